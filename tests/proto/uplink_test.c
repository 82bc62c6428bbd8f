/* SPDX-License-Identifier: MIT
 * Every frame handed over ends in exactly one call, whatever is lost on the way, and whether the
 * store is there, late, or gone and back; likewise every ask. */
#include "proto/uplink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "proto/metric.h"
#include "tests/proto/fake_store.h"
#include "tests/proto/link_places.h"

enum { WAIT_MS = 20000, RESEND_MS = 30, EXPIRE_MS = 15000, FRAMES = 300, TAGS = 4096 };

struct test {
    struct event_base *base;
    struct event *tick; /* so that waits see their deadline */
    struct place place;
    struct fake_store *store;
    struct cb_uplink *uplink;
    struct cb_frame_builder builder;
    bool sending; /* within cb_uplink_send or cb_uplink_ask */

    unsigned calls[TAGS]; /* of acked, by tag */
    enum cb_uplink_result results[TAGS];
    uint64_t positions[TAGS];
    unsigned n_calls;
    unsigned to_send; /* acked sends on until that many were sent */
    unsigned n_sent;

    unsigned answers[TAGS], nulls[TAGS]; /* of answered, by tag */
    unsigned n_answers;
    unsigned to_ask; /* answered asks on, until that many were asked */
    unsigned n_asked;
};

static struct test t;

/* ---- the loop ---- */

static void on_tick(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    (void)user;
}

#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        int64_t deadline_ms = cb_clock_mono_ms() + WAIT_MS;                                        \
        while (!(condition)) {                                                                     \
            assert_true(cb_clock_mono_ms() < deadline_ms);                                         \
            event_base_loop(t.base, EVLOOP_ONCE);                                                  \
        }                                                                                          \
    } while (0)

/* Turns the loop for a while in which nothing is to happen. */
static void run_ms(int64_t ms) {
    int64_t end_ms = cb_clock_mono_ms() + ms;
    while (cb_clock_mono_ms() < end_ms) {
        event_base_loop(t.base, EVLOOP_ONCE);
    }
}

/* ---- what the uplink calls ---- */

static size_t tag_of(void *tag) {
    return (size_t)(uintptr_t)tag;
}

static int send_one(void) {
    static const struct cb_str site = {"demo", 4};
    struct cb_reject reject = {.site = site, .refusal = CB_REFUSE_BAD_EVENT, .n = 1 + t.n_sent};
    assert_int_equal(cb_frame_builder_reject(&t.builder, &reject), 0);
    t.sending = true;
    int rc = cb_uplink_send(t.uplink, &t.builder, (void *)(uintptr_t)t.n_sent);
    t.sending = false;
    if (rc == 0) {
        assert_int_equal(t.builder.n_events, 0);
        t.n_sent++;
    }
    return rc;
}

static void on_acked(void *user, void *tag, enum cb_uplink_result result, uint64_t position) {
    assert_ptr_equal(user, &t);
    assert_false(t.sending);
    size_t i = tag_of(tag);
    assert_true(i < t.n_sent);
    t.calls[i]++;
    t.results[i] = result;
    t.positions[i] = position;
    t.n_calls++;
    while (t.n_sent < t.to_send && cb_uplink_credits(t.uplink) > 0) {
        assert_int_equal(send_one(), 0);
    }
}

static int ask_one(enum cb_ask_kind kind, unsigned timeout_ms);

static void on_answered(void *user, void *tag, const struct cb_answer *answer) {
    assert_ptr_equal(user, &t);
    assert_false(t.sending);
    size_t i = tag_of(tag);
    t.n_answers++;
    if (!answer) {
        t.nulls[i]++;
    } else {
        t.answers[i]++;
        if (answer->kind == CB_ASK_FIELDS) {
            char name[16];
            int len = snprintf(name, sizeof(name), "site-%zu", i);
            assert_int_equal(answer->fields[CB_FIELD_NAME].len, len);
            assert_memory_equal(answer->fields[CB_FIELD_NAME].p, name, (size_t)len);
        }
    }
    if (t.n_asked < t.to_ask) {
        assert_int_equal(ask_one(CB_ASK_FIELDS, EXPIRE_MS), 0);
    }
}

static int ask_one(enum cb_ask_kind kind, unsigned timeout_ms) {
    char name[16]; /* gone after the call: the uplink copies it */
    int len = snprintf(name, sizeof(name), "site-%u", t.n_asked);
    struct cb_ask ask = {.kind = kind};
    if (kind != CB_ASK_HELLO) {
        ask.site = (struct cb_str){name, (size_t)len};
    }
    t.sending = true;
    int rc =
        cb_uplink_ask(t.uplink, &ask, timeout_ms, on_answered, &t, (void *)(uintptr_t)t.n_asked);
    t.sending = false;
    memset(name, 'x', sizeof(name));
    t.n_asked += rc == 0;
    return rc;
}

/* ---- set-up ---- */

static void uplink_open(unsigned resend_ms, unsigned expire_ms) {
    struct cb_uplink_opts opts = {.url = t.place.url,
                                  .resend_ms = resend_ms,
                                  .expire_ms = expire_ms,
                                  .acked = on_acked,
                                  .user = &t};
    assert_int_equal(cb_uplink_create(t.base, &opts, &t.uplink), 0);
}

/* Leaves a link whose three channels are known to be open, and no trace of the frame for that. */
static void connected(void) {
    enum fake_mode mode = t.store->mode;
    t.store->mode = FAKE_TAKES;
    assert_int_equal(send_one(), 0);
    assert_int_equal(ask_one(CB_ASK_HELLO, EXPIRE_MS), 0);
    RUN_UNTIL(t.n_calls == 1 && t.n_answers == 1);
    assert_int_equal(t.results[0], CB_UPLINK_OK);
    t.n_calls = t.n_sent = t.n_answers = t.n_asked = 0;
    memset(t.calls, 0, sizeof(t.calls));
    memset(t.answers, 0, sizeof(t.answers));
    t.store->mode = mode;
    t.store->n_asks = t.store->n_ask_messages = 0;
}

static int setup(enum place_transport transport) {
    memset(&t, 0, sizeof(t));
    t.base = event_base_new();
    t.store = calloc(1, sizeof(*t.store));
    if (!t.base || !t.store || !place_make(transport, &t.place)) {
        return -1;
    }
    cb_frame_builder_init(&t.builder);
    t.tick = event_new(t.base, -1, EV_PERSIST, on_tick, NULL);
    struct timeval tick = {.tv_usec = 5000};
    event_add(t.tick, &tick);
    return fake_open(t.store, t.base, &t.place.url) ? 0 : -1;
}

static int setup_inproc(void **state) {
    (void)state;
    return setup(PLACE_INPROC);
}

static int setup_ipc(void **state) {
    (void)state;
    return setup(PLACE_IPC);
}

static int setup_tcp(void **state) {
    (void)state;
    return setup(PLACE_TCP);
}

static int teardown(void **state) {
    (void)state;
    cb_uplink_destroy(&t.uplink);
    cb_frame_builder_fini(&t.builder);
    fake_close(t.store);
    free(t.store);
    event_free(t.tick);
    event_base_free(t.base);
    place_remove(&t.place);
    return 0;
}

static void all_ended_once(unsigned n, enum cb_uplink_result result) {
    run_ms(2 * RESEND_MS); /* no second call comes */
    assert_int_equal(t.n_calls, n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(t.calls[i], 1);
        assert_int_equal(t.results[i], result);
    }
    assert_int_equal(cb_uplink_in_flight(t.uplink), 0);
    assert_int_equal(cb_uplink_credits(t.uplink), CB_UPLINK_CREDITS);
}

/* ---- frames ---- */

static void every_frame_ends_in_one_ack(void **state) {
    (void)state;
    int64_t sent = cb_metric_get(CB_METRIC_FRAMES_SENT);
    int64_t acked = cb_metric_get(CB_METRIC_FRAMES_ACKED);
    uplink_open(RESEND_MS, EXPIRE_MS);
    t.to_send = FRAMES;
    for (int i = 0; i < CB_UPLINK_CREDITS; i++) {
        assert_int_equal(send_one(), 0);
    }
    assert_int_equal(t.n_calls, 0);
    RUN_UNTIL(t.n_calls == FRAMES);
    all_ended_once(FRAMES, CB_UPLINK_OK);
    for (unsigned i = 0; i < FRAMES; i++) {
        assert_int_equal(t.positions[i], 100 + 1 + i); /* numbers are 1, 2, 3… */
        assert_true(t.store->copies[1 + i] >= 1);
    }
    assert_int_equal(t.store->numbers_max, FRAMES);
    assert_int_not_equal(t.store->sender, 0);
    assert_int_equal(cb_metric_get(CB_METRIC_FRAMES_SENT) - sent, FRAMES);
    assert_int_equal(cb_metric_get(CB_METRIC_FRAMES_ACKED) - acked, FRAMES);
}

static void lost_on_the_way(enum fake_mode mode) {
    enum { N = 20 };
    uplink_open(RESEND_MS, EXPIRE_MS);
    connected();
    int64_t resent = cb_metric_get(CB_METRIC_FRAMES_RESENT);
    t.store->mode = mode;
    for (int i = 0; i < N; i++) {
        assert_int_equal(send_one(), 0);
    }
    RUN_UNTIL(t.n_calls == N);
    all_ended_once(N, CB_UPLINK_OK);
    for (unsigned i = 0; i < N; i++) {
        unsigned number = 2 + i; /* 1 was that of connected() */
        assert_true(t.store->copies[number] >= 2);
        assert_int_equal(t.positions[i], 100 + number);
    }
    assert_int_equal(t.store->numbers_max, 1 + N);
    assert_true(cb_metric_get(CB_METRIC_FRAMES_RESENT) - resent >= N);
}

static void a_lost_ack_costs_a_resend(void **state) {
    (void)state;
    lost_on_the_way(FAKE_LOSES_ACK);
}

static void a_lost_frame_is_sent_again(void **state) {
    (void)state;
    lost_on_the_way(FAKE_LOSES_FRAME);
}

static void a_busy_store_gets_it_again_later(void **state) {
    (void)state;
    lost_on_the_way(FAKE_BUSY);
}

/* Not at once and not often: after 5, 10, 20, 40 and 80 ms. */
static void six_copies_take_their_time(enum fake_mode mode) {
    uplink_open(5, EXPIRE_MS);
    connected();
    t.store->mode = mode;
    int64_t begun_us = cb_clock_mono_us();
    assert_int_equal(send_one(), 0);
    RUN_UNTIL(t.store->copies[2] >= 6);
    assert_true(cb_clock_mono_us() - begun_us >= 150 * 1000);
    assert_int_equal(t.n_calls, 0);
    t.store->mode = FAKE_TAKES;
    RUN_UNTIL(t.n_calls == 1);
    all_ended_once(1, CB_UPLINK_OK);
}

static void resends_come_further_and_further_apart(void **state) {
    (void)state;
    six_copies_take_their_time(FAKE_MUTE);
}

static void a_busy_store_is_not_hurried(void **state) {
    (void)state;
    six_copies_take_their_time(FAKE_BUSY_ALWAYS);
}

static void a_refused_frame_is_not_sent_again(void **state) {
    (void)state;
    uplink_open(RESEND_MS, EXPIRE_MS);
    connected();
    t.store->mode = FAKE_REFUSES;
    assert_int_equal(send_one(), 0);
    RUN_UNTIL(t.n_calls == 1);
    unsigned copies = t.store->copies[2]; /* more than one if the refusal was slow to come */
    all_ended_once(1, CB_UPLINK_REFUSED);
    run_ms(5 * RESEND_MS);
    assert_int_equal(t.store->copies[2], copies);
}

static void without_an_ack_it_expires_and_a_late_one_is_ignored(void **state) {
    (void)state;
    int64_t expired = cb_metric_get(CB_METRIC_FRAMES_EXPIRED);
    uplink_open(RESEND_MS, 100);
    t.store->mode = FAKE_MUTE;
    int64_t begun_ms = cb_clock_mono_ms();
    assert_int_equal(send_one(), 0);
    RUN_UNTIL(t.n_calls == 1);
    assert_true(cb_clock_mono_ms() - begun_ms >= 99);
    all_ended_once(1, CB_UPLINK_EXPIRED);
    assert_int_equal(cb_metric_get(CB_METRIC_FRAMES_EXPIRED) - expired, 1);
    for (int i = 0; i < 5; i++) {
        fake_ack(t.store, t.store->sender, 1, CB_ACK_OK);
    }
    all_ended_once(1, CB_UPLINK_EXPIRED);
    cb_uplink_destroy(&t.uplink);
    uplink_open(RESEND_MS, EXPIRE_MS); /* of another incarnation: nobody's acks are its own */
    memset(t.store->copies, 0, sizeof(t.store->copies));
    uint64_t before = t.store->sender;
    t.n_calls = t.n_sent = t.calls[0] = 0;
    connected();
    assert_int_not_equal(t.store->sender, before);
}

static void credits_bound_the_span_of_numbers(void **state) {
    (void)state;
    uplink_open(10 * EXPIRE_MS, 20 * EXPIRE_MS);
    t.store->mode = FAKE_MUTE;
    assert_int_equal(cb_uplink_credits(t.uplink), CB_UPLINK_CREDITS);
    for (int i = 0; i < CB_UPLINK_CREDITS; i++) {
        assert_int_equal(send_one(), 0);
    }
    assert_int_equal(cb_uplink_credits(t.uplink), 0);
    assert_int_equal(cb_uplink_in_flight(t.uplink), CB_UPLINK_CREDITS);
    assert_int_equal(send_one(), CB_EAGAIN);
    assert_int_equal(t.builder.n_events, 1 + CB_UPLINK_CREDITS); /* as it was */
    cb_frame_builder_clear(&t.builder);
    RUN_UNTIL(t.store->numbers_max == CB_UPLINK_CREDITS);

    /* All but the oldest are acked: the next number would be too far from it. */
    while (t.calls[1] == 0) { /* until the acks' channel is known to be open */
        fake_ack(t.store, t.store->sender, 2, CB_ACK_OK);
        run_ms(10);
    }
    for (unsigned number = 3; number <= CB_UPLINK_CREDITS; number++) {
        fake_ack(t.store, t.store->sender, number, CB_ACK_OK);
    }
    RUN_UNTIL(cb_uplink_in_flight(t.uplink) == 1);
    assert_int_equal(cb_uplink_credits(t.uplink), 0);
    assert_int_equal(send_one(), CB_EAGAIN);
    cb_frame_builder_clear(&t.builder);
    fake_ack(t.store, t.store->sender, 1, CB_ACK_OK);
    RUN_UNTIL(cb_uplink_in_flight(t.uplink) == 0);
    assert_int_equal(cb_uplink_credits(t.uplink), CB_UPLINK_CREDITS);
    t.store->mode = FAKE_TAKES;
    assert_int_equal(send_one(), 0);
    RUN_UNTIL(t.n_calls == CB_UPLINK_CREDITS + 1);
    assert_int_equal(t.store->numbers_max, CB_UPLINK_CREDITS + 1);
    all_ended_once(CB_UPLINK_CREDITS + 1, CB_UPLINK_OK);
}

static void the_store_may_start_later(void **state) {
    (void)state;
    fake_close(t.store);
    uplink_open(RESEND_MS, EXPIRE_MS);
    int64_t sent = cb_metric_get(CB_METRIC_FRAMES_SENT);
    for (int i = 0; i < CB_UPLINK_CREDITS; i++) {
        assert_int_equal(send_one(), 0);
    }
    assert_int_equal(ask_one(CB_ASK_FIELDS, EXPIRE_MS), 0);
    run_ms(3 * RESEND_MS);
    assert_int_equal(cb_metric_get(CB_METRIC_FRAMES_SENT), sent); /* nobody took any */
    assert_int_equal(t.n_calls, 0);
    assert_true(fake_open(t.store, t.base, &t.place.url));
    RUN_UNTIL(t.n_calls == CB_UPLINK_CREDITS && t.n_answers == 1);
    assert_int_equal(t.answers[0], 1);
    all_ended_once(CB_UPLINK_CREDITS, CB_UPLINK_OK);
}

static void the_store_may_go_and_come_back(void **state) {
    (void)state;
    enum { ROUNDS = 4, EACH = 40 };
    uplink_open(RESEND_MS, EXPIRE_MS);
    connected();
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < EACH; i++) {
            assert_int_equal(send_one(), 0);
            if (i == EACH / 2) {
                /* Some are acked, some on their way, some not sent. */
                event_base_loop(t.base, EVLOOP_ONCE);
                fake_close(t.store);
            }
        }
        run_ms(RESEND_MS);
        assert_true(fake_open(t.store, t.base, &t.place.url));
        RUN_UNTIL(t.n_calls == (round + 1) * EACH);
    }
    all_ended_once(ROUNDS * EACH, CB_UPLINK_OK);
    for (unsigned number = 1; number <= 1 + ROUNDS * EACH; number++) {
        assert_true(t.store->copies[number] >= 1);
    }
}

static void junk_and_strangers_are_ignored(void **state) {
    (void)state;
    uplink_open(10 * EXPIRE_MS, 20 * EXPIRE_MS);
    t.store->mode = FAKE_MUTE;
    t.store->hold = true;
    assert_int_equal(send_one(), 0);
    assert_int_equal(send_one(), 0);
    assert_int_equal(ask_one(CB_ASK_FIELDS, EXPIRE_MS), 0);
    RUN_UNTIL(t.store->numbers_max == 2 && t.store->n_held == 1);
    uint8_t ack[CB_ACK_TOPIC_BYTES + 64];
    size_t topic_len = cb_ack_topic(t.store->sender, ack);
    memset(ack + topic_len, 0xc1, sizeof(ack) - topic_len);
    for (size_t len = topic_len; len <= sizeof(ack); len++) {
        assert_int_equal(cb_link_send_ack(t.store->link, ack, len), 0);
    }
    fake_ack(t.store, t.store->sender, 0, CB_ACK_OK);
    fake_ack(t.store, t.store->sender, 3, CB_ACK_OK);
    fake_ack(t.store, t.store->sender, 1 + CB_UPLINK_CREDITS, CB_ACK_OK);
    fake_ack(t.store, t.store->sender, UINT64_MAX, CB_ACK_REFUSED);
    fake_ack(t.store, t.store->sender ^ 1, 1, CB_ACK_OK);
    run_ms(50);
    assert_int_equal(t.n_calls, 0);
    while (t.n_calls == 0) {
        fake_ack(t.store, t.store->sender, 2, CB_ACK_OK); /* once is enough, and more harm not */
        run_ms(10);
    }
    for (int i = 0; i < 5; i++) {
        fake_ack(t.store, t.store->sender, 2, CB_ACK_REFUSED);
    }
    fake_ack(t.store, t.store->sender, 1, CB_ACK_OK);
    RUN_UNTIL(t.n_calls == 2);
    all_ended_once(2, CB_UPLINK_OK);
}

static void two_uplinks_do_not_see_each_other(void **state) {
    (void)state;
    uplink_open(RESEND_MS, EXPIRE_MS);
    connected();
    struct cb_uplink *first = t.uplink;
    t.store->mode = FAKE_MUTE;
    assert_int_equal(send_one(), 0); /* number 2 of the first */
    RUN_UNTIL(t.store->numbers_max == 2);
    uplink_open(RESEND_MS, EXPIRE_MS);
    t.store->mode = FAKE_TAKES;
    memset(t.store->copies, 0, sizeof(t.store->copies));
    struct cb_uplink *second = t.uplink;
    assert_int_equal(send_one(), 0);
    assert_int_equal(send_one(), 0); /* number 2 of the second */
    RUN_UNTIL(t.n_calls == 3);
    run_ms(2 * RESEND_MS);
    assert_int_equal(t.calls[0] + t.calls[1] + t.calls[2], 3);
    assert_int_equal(t.n_calls, 3);
    assert_int_equal(cb_uplink_in_flight(first) + cb_uplink_in_flight(second), 0);
    cb_uplink_destroy(&first);
}

/* ---- asks ---- */

static void asks_of_a_turn_travel_together(void **state) {
    (void)state;
    enum { N = CB_ASKS_MAX + 36 };
    int64_t sent = cb_metric_get(CB_METRIC_ASKS_SENT);
    uplink_open(RESEND_MS, EXPIRE_MS);
    connected();
    for (int i = 0; i < N; i++) {
        assert_int_equal(ask_one(i % 2 ? CB_ASK_FIELDS : CB_ASK_SITE, EXPIRE_MS), 0);
    }
    assert_int_equal(t.n_answers, 0);
    RUN_UNTIL(t.n_answers == N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(t.answers[i], 1);
    }
    assert_int_equal(t.store->n_asks, N);
    assert_int_equal(t.store->n_ask_messages, 2);
    assert_int_equal(cb_metric_get(CB_METRIC_ASKS_SENT) - sent, N + 1);
}

static void a_thousand_asks_may_be_answered_in_any_order(void **state) {
    (void)state;
    enum { N = 1000 };
    uplink_open(RESEND_MS, EXPIRE_MS);
    connected();
    t.store->hold = true;
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(ask_one(CB_ASK_FIELDS, EXPIRE_MS), 0);
        if (i % 7 == 0) {
            event_base_loop(t.base, EVLOOP_NONBLOCK); /* messages of a few each */
        }
    }
    RUN_UNTIL(t.store->n_asks >= N);
    t.store->hold = false;
    while (t.store->n_held > 0) {
        fake_answer(t.store, &t.store->held[--t.store->n_held]);
        event_base_loop(t.base, EVLOOP_NONBLOCK);
    }
    RUN_UNTIL(t.n_answers == N);
    run_ms(20);
    assert_int_equal(t.n_answers, N);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(t.answers[i], 1);
    }
}

static void an_answer_may_ask_and_an_ack_may_send(void **state) {
    (void)state;
    uplink_open(RESEND_MS, EXPIRE_MS);
    connected();
    t.to_ask = 200;
    t.to_send = 200;
    assert_int_equal(ask_one(CB_ASK_FIELDS, EXPIRE_MS), 0);
    assert_int_equal(send_one(), 0);
    RUN_UNTIL(t.n_answers == 200 && t.n_calls == 200);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(t.answers[i], 1);
        assert_int_equal(t.calls[i], 1);
    }
}

static void an_ask_without_an_answer_ends_in_null(void **state) {
    (void)state;
    int64_t expired = cb_metric_get(CB_METRIC_ASKS_EXPIRED);
    uplink_open(RESEND_MS, EXPIRE_MS);
    connected();
    t.store->hold = true;
    int64_t begun_ms = cb_clock_mono_ms();
    assert_int_equal(ask_one(CB_ASK_FIELDS, 60), 0);
    assert_int_equal(ask_one(CB_ASK_FIELDS, EXPIRE_MS), 0); /* in the same message */
    RUN_UNTIL(t.n_answers == 1);
    assert_true(cb_clock_mono_ms() - begun_ms >= 59);
    assert_int_equal(t.nulls[0], 1);
    assert_int_equal(cb_metric_get(CB_METRIC_ASKS_EXPIRED) - expired, 1);
    t.store->hold = false;
    RUN_UNTIL(t.store->n_held > 0);
    fake_answer(t.store, &t.store->held[--t.store->n_held]);
    RUN_UNTIL(t.n_answers == 2);
    run_ms(20);
    assert_int_equal(t.n_answers, 2);
    assert_int_equal(t.answers[0], 0);
    assert_int_equal(t.answers[1], 1);

    /* Without a store, too. */
    fake_close(t.store);
    t.to_ask = 0;
    assert_int_equal(ask_one(CB_ASK_FIELDS, 30), 0);
    RUN_UNTIL(t.n_answers == 3);
    assert_int_equal(t.nulls[2], 1);
}

static void a_lost_ask_is_asked_again(void **state) {
    (void)state;
    uplink_open(RESEND_MS, EXPIRE_MS);
    connected();
    t.store->lose_asks = 1;
    assert_int_equal(ask_one(CB_ASK_FIELDS, EXPIRE_MS), 0);
    RUN_UNTIL(t.n_answers == 1);
    assert_int_equal(t.answers[0], 1);
    assert_int_equal(t.store->n_ask_messages, 2);
}

/* Junk in place of an answer, then the true one to the repeated ask. */
static void an_answer_that_does_not_fit_is_ignored(void **state) {
    (void)state;
    uplink_open(RESEND_MS, EXPIRE_MS);
    connected();
    struct cb_answer answers[3] = {{.kind = CB_ASK_HELLO, .found = true},
                                   {.kind = CB_ASK_FIELDS, .found = true},
                                   {.kind = CB_ASK_FIELDS, .found = true}};
    struct cb_buf bytes[4];
    for (size_t i = 0; i < 4; i++) {
        cb_buf_init(&bytes[i], 4096);
    }
    assert_int_equal(cb_buf_append(&bytes[0], "\xc1junk", 5), 0);
    assert_int_equal(cb_answer_encode(answers, 1, &bytes[1]), 0);     /* another kind */
    assert_int_equal(cb_answer_encode(answers + 1, 2, &bytes[2]), 0); /* too many */
    assert_int_equal(cb_answer_encode(answers + 1, 1, &bytes[3]), 0); /* cut short */
    bytes[3].len--;
    t.store->hold = true;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ask_one(CB_ASK_FIELDS, EXPIRE_MS), 0);
        RUN_UNTIL(t.store->n_held == i + 1);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(
            cb_link_send_answer(t.store->link, &t.store->held[i], bytes[i].data, bytes[i].len), 0);
        cb_buf_fini(&bytes[i]);
    }
    t.store->n_held = 0;
    run_ms(50);
    assert_int_equal(t.n_answers, 0);
    t.store->hold = false;
    RUN_UNTIL(t.n_answers == 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(t.answers[i], 1);
    }
}

static void asks_are_bounded(void **state) {
    (void)state;
    fake_close(t.store);
    uplink_open(RESEND_MS, EXPIRE_MS);
    struct cb_ask ask = {.kind = CB_ASK_HELLO};
    for (unsigned i = 0; i < 65536; i++) {
        assert_int_equal(cb_uplink_ask(t.uplink, &ask, EXPIRE_MS, on_answered, &t, NULL), 0);
    }
    assert_int_equal(cb_uplink_ask(t.uplink, &ask, EXPIRE_MS, on_answered, &t, NULL), CB_EFULL);
    char name[CB_SITE_MAX + 1] = {0};
    ask = (struct cb_ask){.kind = CB_ASK_SITE, .site = {name, sizeof(name)}};
    assert_int_equal(cb_uplink_ask(t.uplink, &ask, EXPIRE_MS, on_answered, &t, NULL), CB_EINVAL);
    ask.kind = CB_ASK_HELLO;
    ask.site.len = 0;
    assert_true(fake_open(t.store, t.base, &t.place.url));
    RUN_UNTIL(t.n_answers == 65536);
    assert_int_equal(t.answers[0], 65536);
    t.n_answers = 0;
    assert_int_equal(cb_uplink_ask(t.uplink, &ask, EXPIRE_MS, on_answered, &t, NULL), 0);
    RUN_UNTIL(t.n_answers == 1);
}

static void nobody_is_called_after_destroy(void **state) {
    (void)state;
    uplink_open(RESEND_MS, EXPIRE_MS);
    connected();
    t.store->mode = FAKE_MUTE;
    t.store->hold = true;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(send_one(), 0);
        assert_int_equal(ask_one(CB_ASK_FIELDS, 20), 0);
        event_base_loop(t.base, EVLOOP_NONBLOCK);
    }
    assert_int_equal(ask_one(CB_ASK_FIELDS, 20), 0); /* still gathered */
    unsigned n_answers = t.n_answers;
    cb_uplink_destroy(&t.uplink);
    assert_null(t.uplink);
    cb_uplink_destroy(&t.uplink);
    run_ms(60);
    assert_int_equal(t.n_calls, 0);
    assert_int_equal(t.n_answers, n_answers);
}

/* ---- hello ---- */

/* The fake store in a thread of its own, since hello blocks. */
struct fake_thread {
    pthread_t thread;
    atomic_bool stop;
};

static struct fake_thread runner;

static void *run_fake(void *user) {
    (void)user;
    while (!atomic_load(&runner.stop)) {
        event_base_loop(t.base, EVLOOP_ONCE);
    }
    return NULL;
}

static void fake_start(void) {
    atomic_store(&runner.stop, false);
    assert_int_equal(pthread_create(&runner.thread, NULL, run_fake, NULL), 0);
}

static void fake_stop(void) {
    atomic_store(&runner.stop, true);
    assert_int_equal(pthread_join(runner.thread, NULL), 0);
}

static int hello_with(enum fake_mode mode, unsigned not_ready, bool newer, unsigned timeout_ms) {
    t.store->mode = mode;
    t.store->not_ready = not_ready;
    t.store->newer = newer;
    memset(t.store->copies, 0, sizeof(t.store->copies));
    fake_start();
    int rc = cb_uplink_hello(&t.place.url, timeout_ms);
    fake_stop();
    return rc;
}

static void hello_is_answered(void **state) {
    (void)state;
    assert_int_equal(hello_with(FAKE_TAKES, 0, false, WAIT_MS), 0);
    assert_int_equal(hello_with(FAKE_LOSES_FRAME, 3, false, WAIT_MS), 0);
    assert_int_equal(t.store->not_ready, 0);
    assert_true(t.store->copies[1] >= 2);
}

static void hello_ends_in_time(void **state) {
    (void)state;
    int64_t begun_ms = cb_clock_mono_ms();
    assert_int_equal(hello_with(FAKE_MUTE, 0, false, 150), CB_ETIMEDOUT);        /* no ack */
    assert_int_equal(hello_with(FAKE_TAKES, 1000000, false, 150), CB_ETIMEDOUT); /* not ready */
    t.store->not_ready = 0;
    fake_close(t.store); /* nobody there */
    assert_int_equal(cb_uplink_hello(&t.place.url, 150), CB_ETIMEDOUT);
    assert_int_equal(cb_uplink_hello(&t.place.url, 0), CB_ETIMEDOUT);
    assert_true(cb_clock_mono_ms() - begun_ms < WAIT_MS);
}

static void hello_tells_another_version(void **state) {
    (void)state;
    assert_int_equal(hello_with(FAKE_REFUSES, 0, false, WAIT_MS), CB_EVERSION);
    assert_int_equal(hello_with(FAKE_TAKES, 0, true, 700), CB_EVERSION);
}

#define OVER(transport, test)                                                                      \
    { #test " over " #transport, test, setup_##transport, teardown, NULL }
#define OVER_ALL(test) OVER(inproc, test), OVER(ipc, test), OVER(tcp, test)

int main(void) {
    const struct CMUnitTest tests[] = {
        OVER_ALL(every_frame_ends_in_one_ack),
        OVER_ALL(a_lost_ack_costs_a_resend),
        OVER_ALL(a_lost_frame_is_sent_again),
        OVER_ALL(a_busy_store_gets_it_again_later),
        OVER_ALL(a_refused_frame_is_not_sent_again),
        OVER(inproc, resends_come_further_and_further_apart),
        OVER(inproc, a_busy_store_is_not_hurried),
        OVER_ALL(without_an_ack_it_expires_and_a_late_one_is_ignored),
        OVER_ALL(credits_bound_the_span_of_numbers),
        OVER_ALL(the_store_may_start_later),
        OVER_ALL(the_store_may_go_and_come_back),
        OVER_ALL(junk_and_strangers_are_ignored),
        OVER_ALL(two_uplinks_do_not_see_each_other),
        OVER_ALL(asks_of_a_turn_travel_together),
        OVER_ALL(a_thousand_asks_may_be_answered_in_any_order),
        OVER_ALL(an_answer_may_ask_and_an_ack_may_send),
        OVER_ALL(an_ask_without_an_answer_ends_in_null),
        OVER(inproc, a_lost_ask_is_asked_again),
        OVER(ipc, an_answer_that_does_not_fit_is_ignored),
        OVER(ipc, asks_are_bounded),
        OVER_ALL(nobody_is_called_after_destroy),
        OVER_ALL(hello_is_answered),
        OVER_ALL(hello_ends_in_time),
        OVER(tcp, hello_tells_another_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
