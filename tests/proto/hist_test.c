/* SPDX-License-Identifier: MIT
 * Histograms against sorted lists: quantiles within their error, merging, packing, taking out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/hist.h"

static uint64_t state = 1;

static uint64_t random64(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Spread over all magnitudes, as times are. */
static uint64_t random_value(void) {
    return random64() >> (28 + random64() % 36);
}

static void test_buckets(void **unused) {
    (void)unused;
    assert_int_equal(cb_hist_low(0), 0);
    for (unsigned i = 0; i < CB_HIST_BUCKETS; i++) {
        uint64_t low = cb_hist_low(i), high = cb_hist_high(i);
        assert_true(low <= high);
        assert_int_equal(cb_hist_bucket(low), i);
        assert_int_equal(cb_hist_bucket(high), i);
        assert_true(high - low <= low / 16);
        if (i > 0) {
            assert_int_equal(cb_hist_high(i - 1) + 1, low);
        }
    }
    assert_int_equal(cb_hist_high(CB_HIST_BUCKETS - 1), (UINT64_C(1) << 36) - 1);
    assert_int_equal(cb_hist_bucket(UINT64_C(1) << 36), CB_HIST_BUCKETS - 1);
    assert_int_equal(cb_hist_bucket(UINT64_MAX), CB_HIST_BUCKETS - 1);
}

static int compare(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void test_quantiles(void **unused) {
    (void)unused;
    static uint64_t values[5000];
    struct cb_hist hist = {0};
    assert_int_equal(cb_hist_quantile(&hist, 50), 0);
    for (unsigned round = 0; round < 60; round++) {
        size_t n = 1 + random64() % 5000;
        struct cb_hist half[2] = {{0}, {0}};
        for (size_t i = 0; i < n; i++) {
            values[i] = round % 2 ? random_value() : random64() % (10 + 1000 * round);
            cb_hist_add(&half[i % 2], values[i]);
        }
        qsort(values, n, sizeof(values[0]), compare);
        hist = half[0];
        cb_hist_merge(&hist, &half[1]);
        assert_int_equal(hist.n, n);
        for (unsigned percent = 1; percent <= 100; percent++) {
            size_t rank = (n * percent + 99) / 100;
            uint64_t want = values[(rank > 0 ? rank : 1) - 1];
            uint64_t got = cb_hist_quantile(&hist, percent);
            uint64_t off = got > want ? got - want : want - got;
            assert_true(off * 32 <= want);
        }
    }
}

/* Adding and taking out in any order, packed, against counting plainly. */
static void test_packed(void **unused) {
    (void)unused;
    static uint8_t packed[CB_HIST_PACKED_MAX];
    static struct cb_hist model, got;
    static uint64_t there[3000];
    size_t len = 0, n = 0;
    for (unsigned i = 0; i < 20000; i++) {
        if (n < 3000 && (n == 0 || random64() % 3 != 0)) {
            there[n] = random_value();
            assert_int_equal(cb_hist_packed_change(packed, &len, cb_hist_bucket(there[n++]), 1), 0);
        } else {
            size_t at = random64() % n;
            assert_int_equal(cb_hist_packed_change(packed, &len, cb_hist_bucket(there[at]), -1), 0);
            there[at] = there[--n];
        }
        assert_true(len <= sizeof(packed));
        if (i % 500 == 0 || i == 19999) {
            memset(&model, 0, sizeof(model));
            memset(&got, 0, sizeof(got));
            for (size_t j = 0; j < n; j++) {
                cb_hist_add(&model, there[j]);
            }
            assert_int_equal(cb_hist_merge_packed(&got, packed, len), 0);
            assert_memory_equal(&got, &model, sizeof(got));
        }
    }
    while (n > 0) {
        assert_int_equal(cb_hist_packed_change(packed, &len, cb_hist_bucket(there[--n]), -1), 0);
    }
    assert_int_equal(len, 0);
    for (unsigned i = CB_HIST_BUCKETS; i-- > 0;) { /* all of them fit */
        assert_int_equal(cb_hist_packed_change(packed, &len, i, 3), 0);
    }
    assert_int_equal(len, CB_HIST_PACKED_MAX);
}

static void test_refused(void **unused) {
    (void)unused;
    uint8_t packed[24] = {0};
    size_t len = 0;
    static struct cb_hist hist;
    assert_int_equal(cb_hist_packed_change(packed, &len, 5, -1), CB_ECORRUPT);
    assert_int_equal(cb_hist_packed_change(packed, &len, 5, 2), 0);
    assert_int_equal(cb_hist_packed_change(packed, &len, 5, -3), CB_ECORRUPT);
    assert_int_equal(cb_hist_packed_change(packed, &len, 5, UINT32_MAX), CB_ECORRUPT);
    assert_int_equal(len, 6);
    assert_int_equal(cb_hist_merge_packed(&hist, packed, 5), CB_ECORRUPT);
    assert_int_equal(cb_hist_packed_change(packed, &len, 7, 1), 0);
    packed[7] = 5; /* the same bucket twice */
    assert_int_equal(cb_hist_merge_packed(&hist, packed, len), CB_ECORRUPT);
    packed[6] = 2, packed[7] = 16; /* 528: past the last */
    assert_int_equal(cb_hist_merge_packed(&hist, packed, len), CB_ECORRUPT);
    packed[6] = 0, packed[7] = 7, packed[11] = 0; /* a count of 0 */
    assert_int_equal(cb_hist_merge_packed(&hist, packed, len), CB_ECORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets), cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_packed), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
