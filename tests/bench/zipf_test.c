/* SPDX-License-Identifier: MIT
 * Promises of bench/zipf.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/zipf.h"

enum { MANY = 400000, NUMBERS = 50 };

/* How often each comes is near 1/(k+1) of the first. */
static void test_law(void **state) {
    (void)state;
    struct cb_zipf zipf;
    uint64_t random = 1, times[NUMBERS] = {0};
    double all = 0;
    assert_int_equal(cb_zipf_init(&zipf, NUMBERS), 0);
    for (unsigned i = 0; i < MANY; i++)
        times[cb_zipf_pick(&zipf, cb_random_next(&random))]++;
    for (unsigned k = 0; k < NUMBERS; k++)
        all += 1.0 / (k + 1);
    for (unsigned k = 0; k < NUMBERS; k++) {
        double expected = MANY / all / (k + 1);
        assert_true((double)times[k] > 0.9 * expected);
        assert_true((double)times[k] < 1.1 * expected);
    }
    cb_zipf_fini(&zipf);
}

static void test_ends(void **state) {
    (void)state;
    static const unsigned sizes[] = {1, 2, 3, 1000, CB_ZIPF_MAX};
    struct cb_zipf zipf;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(cb_zipf_init(&zipf, sizes[i]), 0);
        assert_int_equal(cb_zipf_pick(&zipf, 0), 0);
        assert_int_equal(cb_zipf_pick(&zipf, UINT64_MAX), sizes[i] - 1);
        cb_zipf_fini(&zipf);
    }
    assert_int_equal(cb_zipf_init(&zipf, 0), CB_EINVAL);
    assert_int_equal(cb_zipf_init(&zipf, CB_ZIPF_MAX + 1), CB_EINVAL);
}

static void test_below(void **state) {
    (void)state;
    uint64_t random = 3, seen[7] = {0};
    for (unsigned i = 0; i < 70000; i++)
        seen[cb_random_below(cb_random_next(&random), 7)]++;
    for (unsigned i = 0; i < 7; i++)
        assert_in_range(seen[i], 9500, 10500);
    assert_int_equal(cb_random_below(UINT64_MAX, 7), 6);
    assert_int_equal(cb_random_below(0, 7), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_law),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
