/* SPDX-License-Identifier: MIT
 * beacon_rig.h: a request's body on its way to the store: what ingest takes of it goes into a
 * frame, as ingest/events.c does it, and the store must take that frame and find the same in it. */
#ifndef CB_TESTS_FUZZ_BEACON_RIG_H
#define CB_TESTS_FUZZ_BEACON_RIG_H

#include <sodium.h>

#include "ingest/beacon.h"
#include "proto/http.h"
#include "tests/fuzz/frame_rig.h"

enum { BEACON_BODY_MAX = 64 * 1024 };

static struct cb_beacon *beacon;
static struct cb_frame_builder beacon_frame;
static struct frame_sum beacon_frame_sum;

static inline void beacon_rig_init(void) {
    if (beacon)
        return;
    FUZZ_CHECK(sodium_init() >= 0);
    FUZZ_CHECK(cb_beacon_create(BEACON_BODY_MAX, &beacon) == 0);
    cb_frame_builder_init(&beacon_frame);
}

static inline void beacon_frame_end(void) {
    const struct frame_sum *sum = &beacon_frame_sum;
    if (sum->n_events + sum->n_numbered + sum->n_summed > 0)
        frame_seal_check(&beacon_frame, sum);
    cb_frame_builder_clear(&beacon_frame);
    beacon_frame_sum = (struct frame_sum){.digest = FUZZ_DIGEST_START};
}

/* The props leave as JSON in exports: they must be JSON. */
static inline void beacon_check_props(struct cb_str props) {
    static struct cb_json_parser *json;
    struct cb_buf text;
    struct cb_value value;
    const char *why = NULL;
    static const char pad[CB_HTTP_BODY_PAD];
    if (!json)
        FUZZ_CHECK(cb_json_parser_create(1 << 20, &json) == 0);
    cb_buf_init(&text, 1 << 20);
    FUZZ_CHECK(cb_props_json(&text, props) == 0);
    size_t len = text.len;
    FUZZ_CHECK(cb_buf_append(&text, pad, sizeof pad) == 0);
    FUZZ_CHECK(cb_json_parse(json, (struct cb_str){text.data, len}, &value, &why) == 0);
    FUZZ_CHECK(value.type == CB_VALUE_OBJECT);
    cb_buf_fini(&text);
}

static inline void beacon_take_events(void) {
    struct cb_envelope envelope = beacon->envelope;
    if (beacon->n_events == 0)
        return;
    int rc = cb_frame_builder_add(&beacon_frame, &envelope, beacon->events, beacon->n_events);
    if (rc == CB_EFULL) {
        beacon_frame_end();
        rc = cb_frame_builder_add(&beacon_frame, &envelope, beacon->events, beacon->n_events);
    }
    FUZZ_CHECK(rc == 0);
    frame_sum_envelope(&beacon_frame_sum, &envelope);
    for (uint32_t i = 0; i < beacon->n_events; i++) {
        frame_check_event(&beacon->events[i]);
        beacon_check_props(beacon->events[i].props);
        frame_sum_event(&beacon_frame_sum, &beacon->events[i]);
    }
}

static inline void beacon_take_refusals(uint64_t *digest) {
    uint64_t n = 0, next_index = 0;
    for (uint32_t i = 0; i < beacon->n_refusals; i++) {
        const struct cb_beacon_refusal *r = &beacon->refusals[i];
        FUZZ_CHECK(r->fault.refusal != CB_REFUSE_NONE && r->fault.message);
        FUZZ_CHECK(r->n >= 1 && r->index >= next_index && r->seq <= CB_SEQ_MAX);
        next_index = (uint64_t)r->index + r->n;
        n += r->n;
        struct cb_reject reject = {.site = beacon->envelope.site,
                                   .refusal = r->fault.refusal,
                                   .n = r->n,
                                   .has_seq = r->seq != 0 && beacon->has_producer};
        if (reject.has_seq) {
            FUZZ_CHECK(r->n == 1);
            reject.seq = r->seq;
            memcpy(reject.producer, beacon->envelope.producer, sizeof reject.producer);
        }
        int rc = cb_frame_builder_reject(&beacon_frame, &reject);
        if (rc == CB_EFULL) {
            beacon_frame_end();
            rc = cb_frame_builder_reject(&beacon_frame, &reject);
        }
        FUZZ_CHECK(rc == 0);
        frame_sum_reject(&beacon_frame_sum, &reject);
        fuzz_digest_u64(digest, r->fault.refusal);
        fuzz_digest_u64(digest, r->index);
        fuzz_digest_u64(digest, r->n);
        fuzz_digest_u64(digest, r->seq);
        fuzz_digest_str(digest, cb_str_of(r->fault.message));
    }
    FUZZ_CHECK(n + beacon->n_events == beacon->n_total && beacon->n_total >= 1);
    FUZZ_CHECK(n == 0 || next_index <= beacon->n_total);
}

/* Reads a body to its end; returns a digest of all that came of it. Behind the body stand as many
 * bytes of pad as a server guarantees, and then nothing. */
static inline uint64_t beacon_read(const uint8_t *data, size_t len, enum cb_beacon_format format,
                                   char pad) {
    uint64_t digest = FUZZ_DIGEST_START;
    uint32_t line = 0;
    unsigned n = 0;
    char *body = malloc(len + CB_HTTP_BODY_PAD);
    FUZZ_CHECK(body);
    memcpy(body, data, len);
    memset(body + len, pad, CB_HTTP_BODY_PAD);
    beacon_frame_end();
    cb_beacon_begin(beacon, (struct cb_str){body, len}, format);
    while (cb_beacon_next(beacon)) {
        struct cb_beacon_receipt receipt = {.received_ms = INT64_C(1700000000000),
                                            .facts = {.device = CB_DEVICE_MOBILE}};
        n++;
        /* Sites whose name begins with x do not exist. */
        receipt.site_known = beacon->site.len > 0 && beacon->site.p[0] != 'x';
        cb_beacon_check(beacon, &receipt);
        FUZZ_CHECK(beacon->n_events == beacon->envelope.n_events);
        FUZZ_CHECK(receipt.site_known || (beacon->n_events == 0 && !beacon->envelope.site.len));
        FUZZ_CHECK(beacon->n_events == 0 || (beacon->legible && beacon->has_producer));
        if (format == CB_BEACON_NDJSON)
            FUZZ_CHECK(beacon->line > line || !beacon->legible);
        line = beacon->line;
        beacon_take_events();
        beacon_take_refusals(&digest);
    }
    FUZZ_CHECK(!beacon->failed);
    FUZZ_CHECK(n >= 1 && (n == 1 || format != CB_BEACON_JSON));
    FUZZ_CHECK(!cb_beacon_next(beacon));
    fuzz_digest_u64(&digest, n);
    fuzz_digest_u64(&digest, beacon_frame_sum.digest);
    fuzz_digest_u64(&digest, beacon_frame_sum.n_events);
    beacon_frame_end();
    free(body);
    return digest;
}

#endif
