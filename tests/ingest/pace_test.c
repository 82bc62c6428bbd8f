/* SPDX-License-Identifier: MIT
 * Promises of ingest/pace.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingest/pace.h"

enum { TIMEOUT_MS = 4000, MB = 1 << 20 };

static void test_no_limit_while_waits_are_short(void **state) {
    (void)state;
    struct cb_pace pace;
    cb_pace_init(&pace, TIMEOUT_MS);
    assert_true(cb_pace_limit(&pace, 0, 0) == SIZE_MAX);
    for (int64_t now = 0; now < 100000; now += 100) {
        cb_pace_took(&pace, 1000, TIMEOUT_MS / 4 - 1, now); /* slow, but in good time */
        assert_true(cb_pace_limit(&pace, TIMEOUT_MS / 4 - 1, now) == SIZE_MAX);
    }
}

/* A store that takes 1 MB a second: half the timeout's worth may wait, whatever was there. */
static void test_the_pace_is_the_limit(void **state) {
    (void)state;
    static const int64_t waits_ms[] = {1000, 2500, 8000};
    struct cb_pace pace;
    cb_pace_init(&pace, TIMEOUT_MS);
    for (unsigned i = 0; i < sizeof waits_ms / sizeof *waits_ms; i++) {
        for (int k = 0; k < 100; k++)
            cb_pace_took(&pace, (size_t)(waits_ms[i] * MB / 1000), waits_ms[i], 50000);
        size_t limit = cb_pace_limit(&pace, 0, 50000);
        assert_in_range(limit, 2 * MB - 10000, 2 * MB + 10000);
    }
}

/* While nothing is heard the limit falls, down to the least, and never below. */
static void test_a_stall(void **state) {
    (void)state;
    struct cb_pace pace;
    cb_pace_init(&pace, TIMEOUT_MS);
    for (int k = 0; k < 100; k++)
        cb_pace_took(&pace, MB, 100, 0);
    size_t last = SIZE_MAX;
    for (int64_t ms = TIMEOUT_MS / 4; ms <= TIMEOUT_MS; ms += 100) {
        size_t limit = cb_pace_limit(&pace, ms, ms);
        assert_true(limit < last);
        last = limit;
    }
    for (int k = 0; k < 100; k++)
        cb_pace_took(&pace, 0, TIMEOUT_MS, TIMEOUT_MS); /* given up */
    assert_int_equal(cb_pace_limit(&pace, 0, TIMEOUT_MS), CB_PACE_LEAST_BYTES);
    /* It goes on: a few quick acks and the limit is as before; a while later there is none. */
    for (int k = 0; k < 60; k++)
        cb_pace_took(&pace, MB, 100, TIMEOUT_MS + 10 * k);
    assert_true(cb_pace_limit(&pace, 0, TIMEOUT_MS + 600) > 15 * MB);
    assert_true(cb_pace_limit(&pace, 0, 3 * TIMEOUT_MS - 1) < SIZE_MAX);
    assert_true(cb_pace_limit(&pace, 0, 3 * TIMEOUT_MS) == SIZE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_limit_while_waits_are_short),
        cmocka_unit_test(test_the_pace_is_the_limit),
        cmocka_unit_test(test_a_stall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
