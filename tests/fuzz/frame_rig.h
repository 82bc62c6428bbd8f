/* SPDX-License-Identifier: MIT
 * frame_rig.h: reads a frame in full and sums up what it holds, for the targets that have one. */
#ifndef CB_TESTS_FUZZ_FRAME_RIG_H
#define CB_TESTS_FUZZ_FRAME_RIG_H

#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

/* What a frame holds, however it is laid out: envelopes, events and numbered refusals in order;
 * refusals without a number only as a sum, since a builder adds them up. */
struct frame_sum {
    uint64_t digest;
    uint64_t n_events, n_numbered, n_summed;
};

static inline void frame_sum_envelope(struct frame_sum *sum, const struct cb_envelope *e) {
    fuzz_digest_str(&sum->digest, e->site);
    fuzz_digest_u64(&sum->digest, e->has_visitor);
    fuzz_digest(&sum->digest, e->visitor, e->has_visitor ? CB_VISITOR_BYTES : 0);
    fuzz_digest(&sum->digest, e->producer, CB_PRODUCER_BYTES);
    fuzz_digest_u64(&sum->digest, (uint64_t)e->received_ms);
    fuzz_digest_u64(&sum->digest, e->device);
    fuzz_digest_u64(&sum->digest, e->bot);
    fuzz_digest_str(&sum->digest, cb_str_of(e->country));
    fuzz_digest_str(&sum->digest, cb_str_of(e->language));
    fuzz_digest_u64(&sum->digest, e->browser);
    fuzz_digest_u64(&sum->digest, e->n_events);
}

static inline void frame_sum_event(struct frame_sum *sum, const struct cb_event *e) {
    fuzz_digest_u64(&sum->digest, e->seq);
    fuzz_digest_u64(&sum->digest, (uint64_t)e->age_ms);
    fuzz_digest_u64(&sum->digest, e->name_code);
    fuzz_digest_str(&sum->digest, e->name);
    fuzz_digest_str(&sum->digest, e->page);
    fuzz_digest_str(&sum->digest, e->key);
    fuzz_digest_str(&sum->digest, e->value);
    fuzz_digest_str(&sum->digest, e->props);
    fuzz_digest_str(&sum->digest, e->referrer);
    sum->n_events++;
}

static inline void frame_sum_reject(struct frame_sum *sum, const struct cb_reject *r) {
    if (!r->has_seq || r->site.len == 0) {
        sum->n_summed += r->n;
        return;
    }
    fuzz_digest_str(&sum->digest, r->site);
    fuzz_digest_u64(&sum->digest, r->refusal);
    fuzz_digest(&sum->digest, r->producer, CB_PRODUCER_BYTES);
    fuzz_digest_u64(&sum->digest, r->seq);
    sum->n_numbered++;
}

/* The limits of event.h hold for what came out of a decoder. */
static inline void frame_check_event(const struct cb_event *e) {
    FUZZ_CHECK(e->seq >= 1 && e->seq <= CB_SEQ_MAX);
    FUZZ_CHECK(e->age_ms >= 0 && e->age_ms <= CB_AGE_MAX_MS);
    FUZZ_CHECK(cb_event_name_valid(e->name) && cb_event_name_code(e->name) == e->name_code);
    FUZZ_CHECK(e->page.len <= CB_PAGE_MAX && cb_utf8_valid(e->page));
    FUZZ_CHECK(cb_utf8_valid(e->value) && cb_props_valid(e->props));
    FUZZ_CHECK(e->referrer.len == 0 || cb_referrer_valid(e->referrer));
    if (e->name_code == CB_NAME_SET || e->name_code == CB_NAME_GET)
        FUZZ_CHECK(cb_field_of(e->key) >= 0);
    else
        FUZZ_CHECK(e->key.len == 0 && e->value.len == 0);
}

/* Walks a decoded frame of beacons and checks that each site's received is what the walk finds. */
static inline struct frame_sum frame_walk(const struct cb_frame *frame) {
    struct frame_sum sum = {.digest = FUZZ_DIGEST_START};
    struct cb_frame_walk walk;
    struct cb_envelope envelope;
    struct cb_reject reject;
    struct cb_event event;
    static uint64_t found[CB_FRAME_SITES_MAX];
    enum cb_frame_item item;
    memset(found, 0, sizeof found);
    cb_frame_walk_init(&walk, frame);
    while ((item = cb_frame_walk_next(&walk, &envelope, &reject)) != CB_ITEM_END) {
        struct cb_str site = item == CB_ITEM_ENVELOPE ? envelope.site : reject.site;
        uint64_t n = item == CB_ITEM_ENVELOPE ? envelope.n_events : reject.n;
        uint32_t at = 0;
        while (at < frame->n_sites && !cb_str_eq(frame->sites[at].name, site))
            at++;
        FUZZ_CHECK(at < frame->n_sites);
        FUZZ_CHECK(n >= 1);
        found[at] += n;
        if (item == CB_ITEM_REJECT) {
            FUZZ_CHECK(!reject.has_seq || (n == 1 && reject.seq >= 1 && reject.seq <= CB_SEQ_MAX));
            frame_sum_reject(&sum, &reject);
            continue;
        }
        FUZZ_CHECK(cb_site_name_valid(site));
        frame_sum_envelope(&sum, &envelope);
        for (; n > 0; n--) {
            FUZZ_CHECK(cb_frame_walk_event(&walk, &event));
            frame_check_event(&event);
            frame_sum_event(&sum, &event);
        }
        FUZZ_CHECK(!cb_frame_walk_event(&walk, &event));
    }
    for (uint32_t i = 0; i < frame->n_sites; i++)
        FUZZ_CHECK(found[i] == frame->sites[i].received);
    return sum;
}

static inline void frame_sum_same(const struct frame_sum *a, const struct frame_sum *b) {
    FUZZ_CHECK(a->n_events == b->n_events);
    FUZZ_CHECK(a->n_numbered == b->n_numbered);
    FUZZ_CHECK(a->n_summed == b->n_summed);
    FUZZ_CHECK(a->digest == b->digest);
}

/* Seals what the builder holds; the store must take it, and find in it what went in. */
static inline void frame_seal_check(const struct cb_frame_builder *builder,
                                    const struct frame_sum *expected) {
    static struct cb_frame frame;
    struct cb_buf bytes;
    cb_buf_init(&bytes, CB_FRAME_MAX);
    FUZZ_CHECK(cb_frame_builder_seal(builder, 7, 1, &bytes) == 0);
    FUZZ_CHECK(bytes.len <= cb_frame_builder_bytes(builder));
    FUZZ_CHECK(cb_frame_decode(bytes.data, bytes.len, &frame) == 0);
    struct frame_sum sum = frame_walk(&frame);
    frame_sum_same(&sum, expected);
    cb_buf_fini(&bytes);
}

#endif
