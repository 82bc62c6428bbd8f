/* SPDX-License-Identifier: MIT
 * Promises of ingest/lookup.h, on a clock and an uplink of the test's own: how old an answer may
 * be, who waits, and that the table is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/lookup.h"
#include "proto/clock.h"

enum { ASKS_MAX = 20000 };

/* ---- the clock and the uplink ---- */

static int64_t now_ms;

static int64_t now_us(void) {
    return now_ms * 1000;
}

static const struct cb_clock_ops clock_ops = {now_us, now_us};

static struct {
    cb_uplink_answer_fn *answered;
    void *user, *tag;
    char site[CB_SITE_MAX + 1];
} asks[ASKS_MAX];
static unsigned n_asks; /* that are out */

int cb_uplink_ask(struct cb_uplink *uplink, const struct cb_ask *ask, unsigned timeout_ms,
                  cb_uplink_answer_fn *answered, void *user, void *tag) {
    (void)uplink;
    assert_int_equal(ask->kind, CB_ASK_SITE);
    assert_int_equal(timeout_ms, 500);
    if (n_asks == ASKS_MAX)
        return CB_EFULL;
    asks[n_asks].answered = answered;
    asks[n_asks].user = user;
    asks[n_asks].tag = tag;
    snprintf(asks[n_asks].site, sizeof asks[n_asks].site, "%.*s", (int)ask->site.len, ask->site.p);
    n_asks++;
    return 0;
}

/* Answers all that is out: as found or not; NULL for no answer. */
static void answer_all(const struct cb_answer *answer) {
    unsigned n = n_asks;
    n_asks = 0;
    for (unsigned i = 0; i < n; i++)
        asks[i].answered(asks[i].user, asks[i].tag, answer);
}

static const struct cb_answer online = {
    .kind = CB_ASK_SITE, .found = true, .status = CB_STATUS_ONLINE};
static const struct cb_answer offline = {
    .kind = CB_ASK_SITE, .found = true, .status = CB_STATUS_OFFLINE};
static const struct cb_answer none = {.kind = CB_ASK_SITE, .found = false};
static const struct cb_answer later = {.kind = CB_ASK_SITE, .found = true, .later = true};

static int setup(void **state) {
    now_ms = 1000000;
    n_asks = 0;
    cb_clock_replace(&clock_ops);
    if (sodium_init() < 0)
        return -1;
    return cb_lookup_create(NULL, 500, (struct cb_lookup **)state);
}

static int teardown(void **state) {
    cb_lookup_destroy((struct cb_lookup **)state);
    cb_clock_replace(NULL);
    return 0;
}

static void count(void *arg) {
    ++*(unsigned *)arg;
}

static enum cb_site_state look(void **state, const char *name) {
    struct cb_site *site;
    return cb_lookup_site(*state, cb_str_of(name), &site);
}

static enum cb_site_state settled(void **state, const char *name) {
    struct cb_site *site;
    return cb_lookup_settled(*state, cb_str_of(name), &site);
}

/* ---- promises ---- */

static void test_askers_share_one_ask(void **state) {
    unsigned called = 0;
    assert_int_equal(look(state, "demo"), CB_SITE_WAIT);
    assert_int_equal(n_asks, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cb_lookup_wait(*state, CB_STR("demo"), count, &called), 0);
    assert_int_equal(n_asks, 1);
    assert_string_equal(asks[0].site, "demo");
    assert_int_equal(look(state, "demo"), CB_SITE_WAIT);
    assert_int_equal(called, 0);
    answer_all(&online);
    assert_int_equal(called, 3);
    struct cb_site *site;
    assert_int_equal(cb_lookup_site(*state, CB_STR("demo"), &site), CB_SITE_KNOWN);
    assert_int_equal(site->status, CB_STATUS_ONLINE);
}

static void test_that_there_is_none_is_kept_too(void **state) {
    unsigned called = 0;
    assert_int_equal(cb_lookup_wait(*state, CB_STR("nope"), count, &called), 0);
    answer_all(&none);
    assert_int_equal(called, 1);
    assert_int_equal(settled(state, "nope"), CB_SITE_UNKNOWN);
    assert_int_equal(look(state, "nope"), CB_SITE_UNKNOWN);
    assert_int_equal(n_asks, 0);
}

static void test_an_answer_is_fresh_for_two_seconds(void **state) {
    unsigned called = 0;
    assert_int_equal(cb_lookup_wait(*state, CB_STR("demo"), count, &called), 0);
    answer_all(&online);
    now_ms += CB_LOOKUP_AHEAD_MS;
    assert_int_equal(look(state, "demo"), CB_SITE_KNOWN);
    assert_int_equal(n_asks, 0);
    now_ms += 1; /* asked anew in the background, once */
    assert_int_equal(look(state, "demo"), CB_SITE_KNOWN);
    assert_int_equal(look(state, "demo"), CB_SITE_KNOWN);
    assert_int_equal(n_asks, 1);
    now_ms += CB_LOOKUP_FRESH_MS - CB_LOOKUP_AHEAD_MS - 1;
    assert_int_equal(look(state, "demo"), CB_SITE_KNOWN);
    now_ms += 1; /* that was the last moment */
    assert_int_equal(look(state, "demo"), CB_SITE_WAIT);
    answer_all(&offline);
    struct cb_site *site;
    assert_int_equal(cb_lookup_site(*state, CB_STR("demo"), &site), CB_SITE_KNOWN);
    assert_int_equal(site->status, CB_STATUS_OFFLINE);
}

static void outage(void **state, const struct cb_answer *silence) {
    unsigned called = 0;
    assert_int_equal(cb_lookup_wait(*state, CB_STR("demo"), count, &called), 0);
    answer_all(&online);
    int64_t answered_ms = now_ms;
    now_ms += CB_LOOKUP_FRESH_MS + 1;
    assert_int_equal(look(state, "demo"), CB_SITE_WAIT);
    assert_int_equal(cb_lookup_wait(*state, CB_STR("demo"), count, &called), 0);
    answer_all(silence);
    assert_int_equal(called, 2);
    assert_int_equal(settled(state, "demo"), CB_SITE_KNOWN);
    /* The next do not wait, while asks in the background go on failing. */
    while (now_ms + 1000 <= answered_ms + CB_LOOKUP_STALE_MS) {
        now_ms += 1000;
        assert_int_equal(look(state, "demo"), CB_SITE_KNOWN);
        assert_int_equal(n_asks, 1);
        answer_all(silence);
    }
    now_ms = answered_ms + CB_LOOKUP_STALE_MS + 1;
    assert_int_equal(look(state, "demo"), CB_SITE_WAIT);
    assert_int_equal(settled(state, "demo"), CB_SITE_UNAVAILABLE);
    answer_all(&online);
    assert_int_equal(look(state, "demo"), CB_SITE_KNOWN);
}

static void test_in_an_outage_it_is_used_for_a_minute(void **state) {
    outage(state, NULL);
}

static void test_later_is_no_answer(void **state) {
    outage(state, &later);
}

static void test_what_never_had_an_answer_is_unavailable(void **state) {
    unsigned called = 0;
    assert_int_equal(cb_lookup_wait(*state, CB_STR("demo"), count, &called), 0);
    answer_all(NULL);
    assert_int_equal(called, 1);
    assert_int_equal(settled(state, "demo"), CB_SITE_UNAVAILABLE);
    assert_int_equal(look(state, "demo"), CB_SITE_WAIT);
    assert_int_equal(settled(state, "other"), CB_SITE_UNAVAILABLE);
}

static void test_the_table_is_bounded(void **state) {
    unsigned called = 0;
    char name[32];
    for (int i = 0; i < CB_LOOKUP_SITES_MAX; i++) {
        snprintf(name, sizeof name, "s%d", i);
        assert_int_equal(cb_lookup_wait(*state, cb_str_of(name), count, &called), 0);
    }
    /* None can go while its answer is on its way. */
    assert_int_equal(cb_lookup_wait(*state, CB_STR("more"), count, &called), CB_EFULL);
    answer_all(&online);
    assert_int_equal(called, CB_LOOKUP_SITES_MAX);
    assert_int_equal(look(state, "s0"), CB_SITE_KNOWN);
    assert_int_equal(cb_lookup_wait(*state, CB_STR("more"), count, &called), 0);
    answer_all(&online);
    assert_int_equal(look(state, "s0"), CB_SITE_WAIT); /* the oldest answer */
    assert_int_equal(look(state, "s1"), CB_SITE_KNOWN);
    assert_int_equal(look(state, "more"), CB_SITE_KNOWN);
}

static void test_each_site_has_a_pixel_producer(void **state) {
    unsigned called = 0;
    struct cb_site *a, *b;
    assert_int_equal(cb_lookup_wait(*state, CB_STR("a"), count, &called), 0);
    assert_int_equal(cb_lookup_wait(*state, CB_STR("b"), count, &called), 0);
    answer_all(&online);
    assert_int_equal(cb_lookup_site(*state, CB_STR("a"), &a), CB_SITE_KNOWN);
    assert_int_equal(cb_lookup_site(*state, CB_STR("b"), &b), CB_SITE_KNOWN);
    assert_memory_not_equal(a->pixel_producer, b->pixel_producer, CB_PRODUCER_BYTES);
    assert_int_equal(a->pixel_seq, 0);
}

static void again(void *arg) {
    static unsigned called;
    assert_int_equal(cb_lookup_wait(*(struct cb_lookup **)arg, CB_STR("demo"), count, &called), 0);
}

static void test_whom_it_calls_may_ask_again(void **state) {
    assert_int_equal(cb_lookup_wait(*state, CB_STR("demo"), again, state), 0);
    answer_all(NULL);
    assert_int_equal(n_asks, 1);
}

int main(void) {
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(test_askers_share_one_ask),
        ROW(test_that_there_is_none_is_kept_too),
        ROW(test_an_answer_is_fresh_for_two_seconds),
        ROW(test_in_an_outage_it_is_used_for_a_minute),
        ROW(test_later_is_no_answer),
        ROW(test_what_never_had_an_answer_is_unavailable),
        ROW(test_the_table_is_bounded),
        ROW(test_each_site_has_a_pixel_producer),
        ROW(test_whom_it_calls_may_ask_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
