/* SPDX-License-Identifier: MIT
 * Promises of bench/latency.h, against sorted lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "bench/latency.h"
#include "bench/zipf.h"

enum { N = 20000 };

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static const double quantiles[] = {0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};

/* Of n sorted values: the least that the part q does not exceed. */
static uint64_t truth(const uint64_t *sorted, size_t n, double q) {
    size_t rank = 0;
    while ((double)(rank + 1) < q * (double)n)
        rank++;
    return sorted[rank];
}

/* Values of all sizes up to 2^bits. */
static void against_sorted(unsigned bits) {
    static struct cb_latency latency;
    static uint64_t values[N];
    uint64_t random = bits, sum = 0;
    latency = (struct cb_latency){0};
    for (size_t i = 0; i < N; i++) {
        uint64_t r = cb_random_next(&random);
        values[i] = cb_random_next(&random) >> (64 - bits + r % bits);
        sum += values[i];
        cb_latency_add(&latency, (int64_t)values[i]);
    }
    qsort(values, N, sizeof *values, by_size);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        uint64_t exact = truth(values, N, quantiles[i]);
        uint64_t told = cb_latency_quantile_us(&latency, quantiles[i]);
        assert_true(told >= exact);
        assert_true(told <= exact + exact / 128);
    }
    assert_int_equal(latency.n, N);
    assert_int_equal(latency.sum_us, sum);
    assert_int_equal(latency.max_us, values[N - 1]);
    assert_int_equal(cb_latency_quantile_us(&latency, 1), values[N - 1]);
}

static void test_quantiles(void **state) {
    (void)state;
    for (unsigned bits = 1; bits <= CB_LATENCY_MAX_BITS; bits++)
        against_sorted(bits);
}

static void test_edges(void **state) {
    (void)state;
    static struct cb_latency latency;
    assert_int_equal(cb_latency_quantile_us(&latency, 0.5), 0);
    cb_latency_add(&latency, -5);
    assert_int_equal(latency.max_us, 0);
    cb_latency_add(&latency, INT64_MAX);
    assert_int_equal(latency.max_us, (INT64_C(1) << CB_LATENCY_MAX_BITS) - 1);
    assert_int_equal(cb_latency_quantile_us(&latency, 1), latency.max_us);
    /* Each value from one bucket to the next, so that no bucket is left out or met twice. */
    latency = (struct cb_latency){0};
    for (unsigned i = 0; i < 5000; i++)
        cb_latency_add(&latency, i);
    for (unsigned i = 0; i < 5000; i++) {
        uint64_t told = cb_latency_quantile_us(&latency, (i + 0.5) / 5000);
        assert_true(told >= i && told <= i + i / 128);
    }
}

static void test_merge(void **state) {
    (void)state;
    static struct cb_latency a, b, all;
    uint64_t random = 7;
    for (unsigned i = 0; i < N; i++) {
        int64_t us = (int64_t)(cb_random_next(&random) >> 44);
        cb_latency_add(i % 3 ? &a : &b, us);
        cb_latency_add(&all, us);
    }
    cb_latency_merge(&a, &b);
    assert_memory_equal(&a, &all, sizeof all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
