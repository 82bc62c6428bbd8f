/* SPDX-License-Identifier: MIT
 * Promises of ingest/limit.h, on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>

#include "ingest/limit.h"
#include "proto/clock.h"

static int64_t clock_us;

static int64_t now_us(void) {
    return clock_us;
}

static const struct cb_clock_ops clock_ops = {now_us, now_us};

static void pass_ms(int64_t ms) {
    clock_us += ms * 1000;
}

static struct cb_limit *make(int64_t address_rate, int64_t site_rate, unsigned burst_s,
                             unsigned threads) {
    struct cb_limit_opts opts = {address_rate, site_rate, burst_s, threads};
    struct cb_limit *limit = NULL;
    assert_int_equal(cb_limit_create(&opts, &limit), 0);
    return limit;
}

static struct cb_address address(const char *text) {
    struct cb_address a;
    assert_int_equal(cb_address_parse(cb_str_of(text), &a), 0);
    return a;
}

/* Sends one event, if that may be. */
static bool send_one(struct cb_limit *limit, const char *text) {
    struct cb_address a = address(text);
    if (cb_limit_address_wait(limit, &a))
        return false;
    cb_limit_address_take(limit, &a, 1);
    return true;
}

static unsigned send_all(struct cb_limit *limit, const char *text) {
    unsigned n = 0;
    while (n < 100000 && send_one(limit, text))
        n++;
    return n;
}

static unsigned wait_s(struct cb_limit *limit, const char *text) {
    struct cb_address a = address(text);
    return cb_limit_address_wait(limit, &a);
}

static void test_a_burst_then_the_rate(void **state) {
    (void)state;
    struct cb_limit *limit = make(5, 0, 4, 1);
    assert_int_equal(send_all(limit, "192.0.2.1"), 20);
    assert_int_equal(wait_s(limit, "192.0.2.1"), 1);
    pass_ms(199);
    assert_false(send_one(limit, "192.0.2.1"));
    pass_ms(1);
    assert_true(send_one(limit, "192.0.2.1"));
    assert_false(send_one(limit, "192.0.2.1"));
    pass_ms(1000);
    assert_int_equal(send_all(limit, "192.0.2.1"), 5);
    pass_ms(86400000); /* it fills to the burst and no further */
    assert_int_equal(send_all(limit, "192.0.2.1"), 20);
    cb_limit_destroy(&limit);
    assert_null(limit);
}

/* Over a long time no more passes than the rate, however often it is tried. */
static void test_the_rate_holds_exactly(void **state) {
    (void)state;
    struct cb_limit *limit = make(3, 0, 1, 1);
    unsigned n = send_all(limit, "192.0.2.1");
    assert_int_equal(n, 3);
    for (int ms = 0; ms < 100000; ms++) {
        pass_ms(1);
        n += send_one(limit, "192.0.2.1");
    }
    assert_in_range(n, 3 + 299, 3 + 300);
    cb_limit_destroy(&limit);
}

static void test_a_large_request_passes_on_credit(void **state) {
    (void)state;
    struct cb_limit *limit = make(10, 0, 1, 1);
    struct cb_address a = address("192.0.2.1");
    assert_int_equal(cb_limit_address_wait(limit, &a), 0);
    cb_limit_address_take(limit, &a, 510);                  /* 10 were there */
    assert_int_equal(cb_limit_address_wait(limit, &a), 51); /* 50.1 s, rounded up */
    pass_ms(50000);
    assert_int_equal(cb_limit_address_wait(limit, &a), 1);
    pass_ms(100);
    assert_int_equal(cb_limit_address_wait(limit, &a), 0);
    /* What cannot be counted is no way round it, and no way out of the range of numbers. */
    for (int i = 0; i < 1000; i++)
        cb_limit_address_take(limit, &a, UINT64_MAX);
    assert_int_equal(cb_limit_address_wait(limit, &a), 365 * 86400);
    cb_limit_destroy(&limit);
}

static void test_a_refused_request_takes_nothing(void **state) {
    (void)state;
    struct cb_limit *limit = make(1, 0, 1, 1);
    assert_true(send_one(limit, "192.0.2.1"));
    for (int i = 0; i < 1000; i++)
        assert_int_equal(wait_s(limit, "192.0.2.1"), 1);
    pass_ms(1000);
    assert_true(send_one(limit, "192.0.2.1"));
    cb_limit_destroy(&limit);
}

static void test_addresses_are_told_apart(void **state) {
    (void)state;
    struct cb_limit *limit = make(1, 0, 1, 1);
    static const struct {
        const char *text;
        bool passes; /* after those above it */
    } cases[] = {
        {"192.0.2.1", true},
        {"192.0.2.2", true},
        {"192.0.2.1", false},
        {"::ffff:192.0.2.2", false}, /* the same client on a socket for both */
        {"2001:db8:0:1::1", true},   /* of a /64 … */
        {"2001:db8:0:1::2", false},  /* … all are one */
        {"2001:db8:0:1:ffff::", false},
        {"2001:db8:0:2::1", true}, /* the next /64 */
        {"::1", true},
        {"::2", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (send_one(limit, cases[i].text) != cases[i].passes)
            fail_msg("case %zu: %s", i, cases[i].text);
    cb_limit_destroy(&limit);
}

static void test_sites_have_their_own(void **state) {
    (void)state;
    struct cb_limit *limit = make(0, 2, 1, 1);
    struct cb_str demo = CB_STR("demo"), other = CB_STR("other");
    assert_false(cb_limit_addresses(limit));
    cb_limit_site_take(limit, demo, 4);
    assert_int_equal(cb_limit_site_wait(limit, demo), 2);
    assert_int_equal(cb_limit_site_wait(limit, other), 0);
    assert_int_equal(send_all(limit, "192.0.2.1"), 100000); /* no limit for addresses */
    pass_ms(1500);
    assert_int_equal(cb_limit_site_wait(limit, demo), 0);
    cb_limit_destroy(&limit);
}

static void test_threads_share_the_rate(void **state) {
    (void)state;
    struct cb_limit *limit = make(8, 0, 2, 4);
    assert_int_equal(send_all(limit, "192.0.2.1"), 4); /* a quarter of 8 a second for 2 s */
    pass_ms(1000);
    assert_int_equal(send_all(limit, "192.0.2.1"), 2);
    cb_limit_destroy(&limit);
    limit = make(1, 0, 1, 64); /* a share below one token: one request all the same, then 64 s */
    assert_int_equal(send_all(limit, "192.0.2.1"), 1);
    assert_int_equal(wait_s(limit, "192.0.2.1"), 64);
    cb_limit_destroy(&limit);
}

static struct cb_address numbered(uint32_t n) {
    struct cb_address a = {{0x20, 0x01}};
    for (unsigned i = 0; i < 4; i++)
        a.bytes[4 + i] = (uint8_t)(n >> (24 - 8 * i));
    return a;
}

static void test_the_table_is_bounded(void **state) {
    (void)state;
    struct cb_limit *limit = make(1, 0, 1, 1);
    struct cb_address a;
    for (uint32_t i = 0; i < CB_LIMIT_ADDRESSES_MAX; i++) {
        a = numbered(i);
        cb_limit_address_take(limit, &a, 100);
    }
    a = numbered(0);
    cb_limit_address_take(limit, &a, 1); /* used again: not the next to go */
    for (uint32_t i = 0; i < 10; i++) {
        a = numbered(CB_LIMIT_ADDRESSES_MAX + i);
        assert_int_equal(cb_limit_address_wait(limit, &a), 0);
        cb_limit_address_take(limit, &a, 100);
        assert_int_not_equal(cb_limit_address_wait(limit, &a), 0);
    }
    /* Those used least recently made room, and no other. */
    for (uint32_t i = 0; i < CB_LIMIT_ADDRESSES_MAX; i++) {
        a = numbered(i);
        if ((cb_limit_address_wait(limit, &a) == 0) != (i >= 1 && i <= 10))
            fail_msg("address %u", i);
    }
    /* Turned over twice, it knows the newest as it knew the first. */
    uint32_t n = 3 * CB_LIMIT_ADDRESSES_MAX;
    for (uint32_t i = CB_LIMIT_ADDRESSES_MAX; i < n; i++) {
        a = numbered(i);
        cb_limit_address_take(limit, &a, 100);
    }
    for (uint32_t i = 0; i < n; i++) {
        a = numbered(i);
        if ((cb_limit_address_wait(limit, &a) == 0) != (i < n - CB_LIMIT_ADDRESSES_MAX))
            fail_msg("address %u", i);
    }
    cb_limit_destroy(&limit);
}

static int setup(void **state) {
    (void)state;
    clock_us = INT64_C(3600000000);
    cb_clock_replace(&clock_ops);
    return sodium_init() < 0;
}

static int teardown(void **state) {
    (void)state;
    cb_clock_replace(NULL);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_then_the_rate),
        cmocka_unit_test(test_the_rate_holds_exactly),
        cmocka_unit_test(test_a_large_request_passes_on_credit),
        cmocka_unit_test(test_a_refused_request_takes_nothing),
        cmocka_unit_test(test_addresses_are_told_apart),
        cmocka_unit_test(test_sites_have_their_own),
        cmocka_unit_test(test_threads_share_the_rate),
        cmocka_unit_test(test_the_table_is_bounded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
