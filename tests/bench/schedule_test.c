/* SPDX-License-Identifier: MIT
 * Promises of bench/schedule.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/schedule.h"

enum { START = 5000000 };

static struct cb_schedule make(uint64_t rate, uint64_t duration_us, unsigned thread,
                               unsigned n_threads) {
    return (struct cb_schedule){START, duration_us, rate, thread, n_threads, 0};
}

/* All threads together send at start + i / rate, each i once. */
static void test_threads_share(void **state) {
    (void)state;
    static const uint64_t rates[] = {1, 3, 7, 1000, 333333};
    for (unsigned r = 0; r < sizeof rates / sizeof *rates; r++) {
        for (unsigned n = 1; n <= 5; n++) {
            uint64_t total = 0, duration_us = rates[r] < 1000 ? 3000000 : 10000;
            for (unsigned t = 0; t < n; t++) {
                struct cb_schedule s = make(rates[r], duration_us, t, n);
                int64_t at_us;
                uint64_t k = 0;
                while (cb_schedule_take(&s, INT64_MAX, &at_us)) {
                    uint64_t i = k++ * n + t;
                    assert_int_equal(at_us, START + (int64_t)(i * 1000000 / rates[r]));
                }
                assert_int_equal(k, cb_schedule_total(&s));
                total += k;
            }
            /* rate × duration, rounded up: the first leaves at the start. */
            assert_int_equal(total, (duration_us * rates[r] + 999999) / 1000000);
        }
    }
}

/* What is late keeps its place: a stall delays no intended moment. */
static void test_no_omission(void **state) {
    (void)state;
    struct cb_schedule s = make(1000, 1000000, 0, 1);
    int64_t at_us;
    assert_false(cb_schedule_take(&s, START - 1, &at_us));
    assert_true(cb_schedule_take(&s, START, &at_us));
    assert_false(cb_schedule_take(&s, START + 999, &at_us));
    /* Nobody sent for half a second: 500 are due, each with its own moment. */
    for (int i = 1; i <= 500; i++) {
        assert_true(cb_schedule_take(&s, START + 500000, &at_us));
        assert_int_equal(at_us, START + i * 1000);
    }
    assert_false(cb_schedule_take(&s, START + 500000, &at_us));
    /* Behind the end none leaves, however late it is. */
    uint64_t left = 0;
    while (cb_schedule_take(&s, INT64_MAX, &at_us))
        left++;
    assert_int_equal(left, 499);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_share),
        cmocka_unit_test(test_no_omission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
