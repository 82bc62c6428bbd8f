/* SPDX-License-Identifier: MIT
 * A frame from anyone who reaches the socket: cb_frame_decode, the full walk, and the same content
 * built anew. What was decoded is sound, its sums match, and it survives another turn. */
#include "proto/frame_mask.h"
#include "tests/fuzz/frame_rig.h"

static struct cb_frame_builder builder;
static struct cb_event events[CB_EVENTS_MAX];

/* A walk that leaves the events alone meets the same items. */
static void skip_events(const struct cb_frame *frame, const struct frame_sum *expected) {
    struct cb_frame_walk walk;
    struct cb_envelope envelope;
    struct cb_reject reject;
    uint64_t n_events = 0, n_refused = 0;
    enum cb_frame_item item;
    cb_frame_walk_init(&walk, frame);
    while ((item = cb_frame_walk_next(&walk, &envelope, &reject)) != CB_ITEM_END) {
        if (item == CB_ITEM_ENVELOPE)
            n_events += envelope.n_events;
        else
            n_refused += reject.n;
    }
    FUZZ_CHECK(n_events == expected->n_events);
    FUZZ_CHECK(n_refused == expected->n_numbered + expected->n_summed);
}

static uint32_t read_events(struct cb_frame_walk *walk, struct cb_envelope *envelope) {
    uint32_t n = 0;
    while (n < envelope->n_events) {
        FUZZ_CHECK(cb_frame_walk_event(walk, &events[n]));
        n++;
    }
    return n;
}

static void rebuild(const struct cb_frame *frame, const struct frame_sum *expected) {
    struct cb_frame_walk walk;
    struct cb_envelope envelope;
    struct cb_reject reject;
    enum cb_frame_item item;
    uint64_t n_sums = 0;
    cb_frame_builder_clear(&builder);
    cb_frame_walk_init(&walk, frame);
    while ((item = cb_frame_walk_next(&walk, &envelope, &reject)) != CB_ITEM_END) {
        int rc;
        if (item == CB_ITEM_ENVELOPE) {
            uint32_t n = read_events(&walk, &envelope);
            rc = cb_frame_builder_add(&builder, &envelope, events, n);
        } else {
            n_sums += !reject.has_seq;
            rc = cb_frame_builder_reject(&builder, &reject);
        }
        /* A builder keeps fewer sums than a hostile frame may have, and counts their bytes in full.
         */
        if (rc == CB_EFULL && (n_sums > CB_FRAME_SUMS_MAX || expected->n_summed > CB_REJECT_N_MAX ||
                               frame->body.len > CB_FRAME_MAX / 2))
            return;
        FUZZ_CHECK(rc == 0);
    }
    if (expected->n_events + expected->n_numbered + expected->n_summed > 0)
        frame_seal_check(&builder, expected);
}

static bool same_events(const struct frame_sum *a, const struct frame_sum *b) {
    return a->n_events == b->n_events && a->n_numbered == b->n_numbered &&
           a->n_summed == b->n_summed;
}

/* The first visitor is taken out: what is left is a frame of the same length and sums, without the
 * key, and masking it again changes nothing. */
static void mask_first(const uint8_t *data, size_t len, const struct cb_frame *frame,
                       const struct frame_sum *expected) {
    static struct cb_frame masked;
    struct cb_frame_walk walk;
    struct cb_envelope envelope = {.has_visitor = false};
    struct cb_reject reject;
    struct cb_mask mask = {.pseudonym = {0xfe}};
    enum cb_frame_item item;
    bool changed;
    cb_frame_walk_init(&walk, frame);
    while ((item = cb_frame_walk_next(&walk, &envelope, &reject)) != CB_ITEM_END)
        if (item == CB_ITEM_ENVELOPE && envelope.has_visitor)
            break;
    if (item == CB_ITEM_END)
        return;
    mask.site = envelope.site;
    cb_visitor_tag(envelope.visitor, mask.tag);
    char *copy = malloc(len);
    FUZZ_CHECK(copy);
    memcpy(copy, data, len);
    FUZZ_CHECK(cb_frame_mask(copy, len, &masked, &mask, &changed) == 0 && changed);
    FUZZ_CHECK(cb_frame_decode(copy, len, &masked) == 0);
    struct frame_sum sum = frame_walk(&masked);
    FUZZ_CHECK(same_events(&sum, expected));
    FUZZ_CHECK(cb_frame_mask(copy, len, &masked, &mask, &changed) == 0 && !changed);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static struct cb_frame frame;
    uint64_t sender = 0, number = 0;
    int peeked = cb_frame_peek(data, len, &sender, &number);
    int rc = cb_frame_decode(data, len, &frame);
    FUZZ_CHECK(rc == 0 || rc == CB_EMALFORMED || rc == CB_EVERSION || rc == CB_ETOOBIG);
    if (rc != 0)
        return 0;
    FUZZ_CHECK(peeked == 0 && sender == frame.sender && number == frame.number);
    FUZZ_CHECK(frame.number >= 1);
    if (frame.kind == CB_FRAME_CONTROL || frame.kind == CB_FRAME_TRIM) {
        FUZZ_CHECK(frame.n_sites == 0);
        return 0;
    }
    FUZZ_CHECK(frame.kind == CB_FRAME_BEACONS);
    if (builder.body.max_bytes == 0)
        cb_frame_builder_init(&builder);
    struct frame_sum sum = frame_walk(&frame);
    skip_events(&frame, &sum);
    rebuild(&frame, &sum);
    mask_first(data, len, &frame, &sum);
    return 0;
}
