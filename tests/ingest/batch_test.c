/* SPDX-License-Identifier: MIT
 * Promises of ingest/batch.h, on an uplink, an HTTP server and a clock of the test's own: when
 * frames leave, and that each request is answered once, after its last ack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/batch.h"
#include "proto/clock.h"
#include "proto/metric.h"

enum { SENT_MAX = 256, REQS = 8, ACK_TIMEOUT_MS = 1000, HELD_MAX = 8 * 1024 * 1024 };

/* ---- the clock, the uplink, the server ---- */

static int64_t now_ms;

static int64_t now_us(void) {
    return now_ms * 1000;
}

static const struct cb_clock_ops clock_ops = {now_us, now_us};

static struct {
    void *tag;
    uint64_t n_events;
    size_t bytes;
} sent[SENT_MAX];
static unsigned n_sent, n_acked, credits_max;

unsigned cb_uplink_credits(const struct cb_uplink *uplink) {
    (void)uplink;
    return credits_max - (n_sent - n_acked);
}

unsigned cb_uplink_in_flight(const struct cb_uplink *uplink) {
    (void)uplink;
    return n_sent - n_acked;
}

int cb_uplink_send(struct cb_uplink *uplink, struct cb_frame_builder *builder, void *tag) {
    (void)uplink;
    if (n_sent - n_acked == credits_max)
        return CB_EAGAIN;
    assert_true(n_sent < SENT_MAX);
    sent[n_sent].tag = tag;
    sent[n_sent].n_events = builder->n_events;
    sent[n_sent].bytes = cb_frame_builder_bytes(builder);
    assert_true(sent[n_sent].bytes <= CB_FRAME_MAX);
    n_sent++;
    cb_frame_builder_clear(builder);
    return 0;
}

static struct cb_http_req reqs[REQS];
static int statuses[REQS], replies[REQS];
static char bodies[REQS][256];

void cb_http_reply(struct cb_http_req *req, int status, const char *headers, const void *body,
                   size_t len) {
    size_t i = (size_t)(req - reqs);
    assert_true(i < REQS);
    assert_non_null(headers);
    statuses[i] = status;
    replies[i]++;
    snprintf(bodies[i], sizeof bodies[i], "%.*s", (int)len, body ? (const char *)body : "");
    if (status == 503)
        assert_non_null(strstr(headers, "Retry-After: 1\r\n"));
}

static unsigned n_connected;

unsigned cb_http_connections(const struct cb_http *http) {
    (void)http;
    return n_connected;
}

void cb_http_read(struct cb_http_req *req) {
    assert_true(req >= reqs && req < reqs + REQS && !replies[req - reqs]);
}

struct fixture {
    struct event_base *base;
    struct cb_batch *batch;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct cb_batch_opts opts = {HELD_MAX, ACK_TIMEOUT_MS};
    now_ms = 1000000;
    n_sent = n_acked = 0;
    credits_max = CB_UPLINK_CREDITS;
    n_connected = 0;
    memset(statuses, 0, sizeof statuses);
    memset(replies, 0, sizeof replies);
    memset(bodies, 0, sizeof bodies);
    cb_clock_replace(&clock_ops);
    if (!f || !(f->base = event_base_new()))
        return -1;
    *state = f;
    int err = cb_batch_create(f->base, &opts, &f->batch);
    if (!err)
        cb_batch_bind(f->batch, NULL);
    return err;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    cb_batch_destroy(&f->batch);
    event_base_free(f->base);
    free(f);
    cb_clock_replace(NULL);
    assert_int_equal(cb_metric_get(CB_METRIC_INGEST_HELD), 0);
    return 0;
}

/* One turn of the loop. */
static void turn(struct fixture *f) {
    event_base_loop(f->base, EVLOOP_NONBLOCK);
}

/* The oldest frame's ack. */
static void ack(struct fixture *f, enum cb_uplink_result result) {
    assert_true(n_acked < n_sent);
    cb_batch_acked(f->batch, sent[n_acked++].tag, result, 1);
}

static void add(struct fixture *f, struct cb_ticket *ticket, uint32_t n, size_t page_len) {
    static char page[CB_PAGE_MAX];
    struct cb_envelope envelope = {.site = CB_STR("demo"), .received_ms = 1};
    struct cb_event *events = calloc(n, sizeof *events);
    assert_non_null(events);
    memset(page, 'p', sizeof page);
    for (uint32_t i = 0; i < n; i++)
        events[i] = (struct cb_event){.seq = i + 1,
                                      .name_code = CB_NAME_CLICK,
                                      .name = CB_STR("onClick"),
                                      .page = {page, page_len}};
    cb_batch_add(f->batch, ticket, &envelope, events, n);
    free(events);
}

static void finish(struct fixture *f, struct cb_ticket *ticket, const char *text, bool now) {
    struct cb_batch_reply reply = {.status = text ? 200 : 204, .headers = "X: y\r\n"};
    cb_buf_init(&reply.text, 256);
    if (text)
        assert_int_equal(cb_buf_append_str(&reply.text, cb_str_of(text)), 0);
    cb_batch_close(f->batch, ticket, &reply, now);
}

static void request(struct fixture *f, size_t i, uint32_t n, size_t page_len) {
    struct cb_ticket *ticket;
    assert_int_equal(cb_batch_open(f->batch, &reqs[i], 100, &ticket), 0);
    add(f, ticket, n, page_len);
    finish(f, ticket, NULL, false);
}

static void is_answered(size_t i, int status) {
    assert_int_equal(replies[i], 1);
    assert_int_equal(statuses[i], status);
}

/* ---- promises ---- */

static void test_the_answer_waits_for_the_ack(void **state) {
    struct fixture *f = *state;
    request(f, 0, 1, 10);
    request(f, 1, 2, 10);
    assert_int_equal(n_sent, 0); /* what comes in one turn travels together */
    turn(f);
    assert_int_equal(n_sent, 1);
    assert_int_equal(sent[0].n_events, 3);
    assert_int_equal(replies[0] + replies[1], 0);
    assert_int_equal(cb_metric_get(CB_METRIC_INGEST_HELD), 2);
    assert_true(cb_batch_held_bytes(f->batch) > 0);
    ack(f, CB_UPLINK_OK);
    is_answered(0, 204);
    is_answered(1, 204);
    assert_int_equal(cb_batch_held_bytes(f->batch), 0);
}

static void test_frames_gather_while_two_are_in_flight(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < 5; i++) {
        request(f, i, 1, 10);
        turn(f);
    }
    assert_int_equal(n_sent, 2);
    ack(f, CB_UPLINK_OK);
    turn(f);
    assert_int_equal(n_sent, 3);
    assert_int_equal(sent[2].n_events, 3);
    request(f, 5, 40, CB_PAGE_MAX); /* 80 KB: enough to leave all the same */
    turn(f);
    assert_int_equal(n_sent, 4);
    while (n_acked < n_sent)
        ack(f, CB_UPLINK_OK);
    for (size_t i = 0; i <= 5; i++)
        is_answered(i, 204);
}

/* Each frame is a commit of the store: where many are connected, two frames of one request each do
 * not follow each other at once. */
static void test_small_frames_come_apart(void **state) {
    struct fixture *f = *state;
    cb_batch_serve(f->batch, (const struct cb_http *)f);
    n_connected = 8;
    request(f, 0, 1, 10);
    turn(f);
    assert_int_equal(n_sent, 1); /* nothing left before it */
    ack(f, CB_UPLINK_OK);
    now_ms += 1;
    request(f, 1, 1, 10);
    turn(f);
    request(f, 2, 1, 10);
    turn(f);
    assert_int_equal(n_sent, 1);
    now_ms += 1;
    event_base_loop(f->base, EVLOOP_ONCE); /* nothing else comes: it leaves by the timer */
    assert_int_equal(n_sent, 2);
    assert_int_equal(sent[1].n_events, 2);
    ack(f, CB_UPLINK_OK);
    for (size_t i = 3; i < 7; i++)
        request(f, i, 1, 10);
    turn(f);
    assert_int_equal(n_sent, 3); /* half of those who are connected: it is worth a commit */
    ack(f, CB_UPLINK_OK);
    n_connected = 1;
    request(f, 7, 1, 10);
    turn(f);
    assert_int_equal(n_sent, 4); /* who is alone never waits */
    ack(f, CB_UPLINK_OK);
    for (size_t i = 0; i < 8; i++)
        is_answered(i, 204);
}

static void test_a_large_request_waits_for_all_its_frames(void **state) {
    struct fixture *f = *state;
    credits_max = 2;
    request(f, 0, 1000, CB_PAGE_MAX); /* 2 MB */
    turn(f);
    assert_int_equal(n_sent, 2);
    uint64_t events = 0;
    while (n_acked < n_sent) {
        assert_int_equal(replies[0], 0);
        events += sent[n_acked].n_events;
        ack(f, CB_UPLINK_OK);
        turn(f);
    }
    assert_true(n_sent >= 4);
    assert_int_equal(events, 1000);
    is_answered(0, 204);
    assert_int_equal(cb_batch_held_bytes(f->batch), 0);
}

static void test_one_lost_frame_is_503_for_its_requests(void **state) {
    struct fixture *f = *state;
    request(f, 0, 1, 10);
    turn(f);
    request(f, 1, 1, 10);
    turn(f);
    ack(f, CB_UPLINK_EXPIRED);
    ack(f, CB_UPLINK_OK);
    is_answered(0, 503);
    is_answered(1, 204);
    request(f, 2, 1000, CB_PAGE_MAX);
    turn(f);
    ack(f, CB_UPLINK_REFUSED);
    while (n_acked < n_sent) {
        ack(f, CB_UPLINK_OK);
        turn(f);
    }
    is_answered(2, 503);
}

static void test_the_deadline_answers_once(void **state) {
    struct fixture *f = *state;
    credits_max = 0; /* it does not even leave */
    request(f, 0, 1, 10);
    now_ms += ACK_TIMEOUT_MS / 2;
    request(f, 1, 1, 10);
    turn(f);
    now_ms += ACK_TIMEOUT_MS / 2;
    /* The loop's timer runs on real time; the clock's is what decides. */
    int64_t tries = 0;
    while (!replies[0] && tries++ < 200)
        event_base_loop(f->base, EVLOOP_ONCE);
    is_answered(0, 503);
    assert_int_equal(replies[1], 0);
    credits_max = 1;
    request(f, 2, 1, 10);
    turn(f);
    assert_int_equal(n_sent, 1);
    ack(f, CB_UPLINK_OK); /* late for one */
    is_answered(0, 503);
    is_answered(1, 204);
    is_answered(2, 204);
}

static void test_what_waits_is_bounded(void **state) {
    struct fixture *f = *state;
    struct cb_ticket *ticket;
    credits_max = 4;
    while (cb_batch_held_bytes(f->batch) <= HELD_MAX - 300000) {
        assert_int_equal(cb_batch_open(f->batch, &reqs[0], 250000, &ticket), 0);
        add(f, ticket, 100, CB_PAGE_MAX);
        finish(f, ticket, NULL, true);
        turn(f);
    }
    assert_int_equal(cb_batch_open(f->batch, &reqs[0], 300000, &ticket), CB_EFULL);
    while (n_acked < n_sent) {
        ack(f, CB_UPLINK_OK);
        turn(f);
    }
    assert_int_equal(cb_batch_held_bytes(f->batch), 0);
    assert_int_equal(cb_batch_open(f->batch, &reqs[1], 300000, &ticket), 0);
    add(f, ticket, 1, 1);
    finish(f, ticket, "x", false);
    turn(f);
    ack(f, CB_UPLINK_OK);
    is_answered(1, 200);
    assert_string_equal(bodies[1], "x");
}

/* 200 KB and more, that nobody waits for. */
static bool flood(struct fixture *f) {
    struct cb_ticket *ticket;
    if (!cb_batch_has_room(f->batch, 200000) ||
        cb_batch_open(f->batch, &reqs[0], 200000, &ticket) == CB_EFULL)
        return false;
    add(f, ticket, 100, CB_PAGE_MAX);
    finish(f, ticket, NULL, true);
    turn(f);
    return true;
}

/* A store that needs half the timeout for each frame: what it will not have acked in time is
 * refused, long before held_max. */
static void test_a_slow_store_gets_no_more_than_it_acks_in_time(void **state) {
    struct fixture *f = *state;
    credits_max = 4;
    for (int i = 0; i < 40; i++) {
        assert_true(flood(f));
        now_ms += ACK_TIMEOUT_MS / 2;
        while (n_acked < n_sent)
            ack(f, CB_UPLINK_OK);
    }
    unsigned n = 0;
    while (flood(f))
        n++;
    /* A frame's bytes each half timeout, which is what may wait; but never less than 256 KB. */
    assert_in_range(n, 1, 2);
    assert_true(cb_batch_held_bytes(f->batch) < 700000);
    while (n_acked < n_sent) {
        ack(f, CB_UPLINK_OK);
        turn(f);
    }
    assert_true(flood(f));
    /* Quick again for two timeouts: no limit but held_max. */
    now_ms += 2 * ACK_TIMEOUT_MS;
    while (n_acked < n_sent) {
        ack(f, CB_UPLINK_OK);
        turn(f);
    }
    for (int i = 0; i < 40; i++) {
        assert_true(flood(f));
        now_ms += ACK_TIMEOUT_MS / 20;
        while (n_acked < n_sent)
            ack(f, CB_UPLINK_OK);
        turn(f);
    }
    now_ms += 2 * ACK_TIMEOUT_MS;
    n = 0;
    while (flood(f))
        n++;
    assert_in_range(n, 30, 45);
    while (n_acked < n_sent) {
        ack(f, CB_UPLINK_OK);
        turn(f);
    }
}

static void test_queued_is_answered_at_once(void **state) {
    struct fixture *f = *state;
    struct cb_ticket *ticket;
    assert_int_equal(cb_batch_open(f->batch, &reqs[0], 10, &ticket), 0);
    add(f, ticket, 1, 1);
    finish(f, ticket, "queued", true);
    is_answered(0, 200);
    turn(f);
    ack(f, CB_UPLINK_EXPIRED);
    is_answered(0, 200);
}

static void test_a_failed_ticket_is_503(void **state) {
    struct fixture *f = *state;
    struct cb_ticket *ticket;
    assert_int_equal(cb_batch_open(f->batch, &reqs[0], 10, &ticket), 0);
    add(f, ticket, 1, 1);
    cb_batch_fail(ticket);
    finish(f, ticket, NULL, true);
    is_answered(0, 503);
    turn(f);
    ack(f, CB_UPLINK_OK);
    is_answered(0, 503);
}

static void test_refusals_travel_too(void **state) {
    struct fixture *f = *state;
    struct cb_ticket *ticket;
    struct cb_reject reject = {.site = CB_STR("demo"), .refusal = CB_REFUSE_BAD_EVENT, .n = 1};
    assert_int_equal(cb_batch_open(f->batch, &reqs[0], 10, &ticket), 0);
    cb_batch_reject(f->batch, ticket, &reject);
    finish(f, ticket, "refused", false);
    turn(f);
    assert_int_equal(n_sent, 1);
    assert_int_equal(sent[0].n_events, 1);
    assert_int_equal(replies[0], 0);
    ack(f, CB_UPLINK_OK);
    is_answered(0, 200);
}

static void test_destroy_answers_nobody(void **state) {
    struct fixture *f = *state;
    request(f, 0, 1000, CB_PAGE_MAX);
    credits_max = 1;
    turn(f);
    request(f, 1, 1, 1);
    cb_batch_destroy(&f->batch);
    assert_int_equal(replies[0] + replies[1], 0);
}

int main(void) {
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(test_the_answer_waits_for_the_ack),
        ROW(test_frames_gather_while_two_are_in_flight),
        ROW(test_small_frames_come_apart),
        ROW(test_a_large_request_waits_for_all_its_frames),
        ROW(test_one_lost_frame_is_503_for_its_requests),
        ROW(test_the_deadline_answers_once),
        ROW(test_what_waits_is_bounded),
        ROW(test_a_slow_store_gets_no_more_than_it_acks_in_time),
        ROW(test_queued_is_answered_at_once),
        ROW(test_a_failed_ticket_is_503),
        ROW(test_refusals_travel_too),
        ROW(test_destroy_answers_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
