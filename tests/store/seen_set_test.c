/* SPDX-License-Identifier: MIT
 * The exactly-once verdict against a plain table of booleans, for orders and gaps that a producer
 * could pick. */
#include "tests/store/rig.h"

#include "store/seen_set.h"

enum { NUMBERS = 6000 };

static const uint8_t producer[8] = {9, 9, 9, 9, 9, 9, 9, 9};

/* Adds numbers through encode and decode, as the fold does, and compares each verdict. base shifts
 * them up. */
static void compare(struct rig *rig, const uint64_t *numbers, size_t n, uint64_t base) {
    bool *there = calloc(NUMBERS + 1, 1);
    uint8_t bytes[CB_SEEN_SET_BYTES_MAX];
    size_t len = 0, different = 0;
    assert_non_null(there);
    assert_int_equal(cb_views_begin(rig->views), 0);
    for (size_t i = 0; i < n; i++) {
        struct cb_seen_set set;
        bool fresh;
        assert_int_equal(cb_seen_set_decode((struct cb_str){(const char *)bytes, len}, &set), 0);
        assert_int_equal(cb_seen_set_add(rig->views, 1, producer, &set, base + numbers[i], &fresh),
                         0);
        assert_int_equal(fresh, !there[numbers[i]]);
        different += fresh;
        there[numbers[i]] = true;
        assert_int_equal(set.n_seen, different);
        assert_true(set.n_runs <= CB_SEEN_RUNS_MAX);
        len = cb_seen_set_encode(&set, bytes);
        assert_true(len <= sizeof(bytes));
    }
    cb_views_abort(rig->views);
    free(there);
}

static void test_orders(void **state) {
    struct rig *rig = *state;
    static uint64_t numbers[NUMBERS * 2];
    size_t n = 0;
    for (uint64_t i = 1; i <= NUMBERS; i++) {
        numbers[n++] = i; /* in order, then all again */
    }
    for (uint64_t i = 1; i <= NUMBERS; i++) {
        numbers[n++] = i;
    }
    compare(rig, numbers, n, 0);
    n = 0;
    for (uint64_t i = NUMBERS; i >= 1; i--) {
        numbers[n++] = i; /* backwards */
    }
    compare(rig, numbers, n, 0);
    n = 0;
    for (uint64_t i = 1; i <= NUMBERS; i += 2) {
        numbers[n++] = i; /* odd ones, then the even ones in the gaps, then odd again */
    }
    for (uint64_t i = 2; i <= NUMBERS; i += 2) {
        numbers[n++] = i;
    }
    for (uint64_t i = 1; i <= NUMBERS; i += 2) {
        numbers[n++] = i;
    }
    compare(rig, numbers, n, 0);
    n = 0;
    for (uint64_t i = 1; i <= NUMBERS; i += 3) {
        numbers[n++] = i;
    }
    compare(rig, numbers, n, CB_SEQ_MAX - NUMBERS);
}

static void test_random(void **state) {
    struct rig *rig = *state;
    static uint64_t numbers[NUMBERS * 2];
    unsigned seed = 12345;
    for (int round = 0; round < 20; round++) {
        uint64_t width = round % 2 ? NUMBERS : 200;
        for (size_t i = 0; i < NUMBERS * 2; i++) {
            seed = seed * 1103515245u + 12345u;
            numbers[i] = 1 + (seed >> 8) % width;
        }
        compare(rig, numbers, NUMBERS * 2, 0);
    }
}

static int decode(const uint8_t *bytes, size_t len) {
    struct cb_seen_set set;
    return cb_seen_set_decode((struct cb_str){(const char *)bytes, len}, &set);
}

/* What no encoder writes; and whatever bytes there are, nothing is read behind them. */
static void test_decode_refuses(void **state) {
    (void)state;
    static const uint8_t one_run[] = {1, 0, 0, 9, 0, 5};
    static const uint8_t too_many[4 + 34] = {CB_SEEN_RUNS_MAX + 1};
    static const uint8_t beyond[] = {1, 0, 0, 9, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0};
    static const uint8_t more_seen[] = {0x81, 0, 0, 9, 0, 5, 6, 7};
    assert_int_equal(decode(one_run, sizeof(one_run)), 0);
    for (size_t len = 1; len < sizeof(one_run); len++) {
        assert_int_equal(decode(one_run, len), CB_ECORRUPT);
    }
    assert_int_equal(decode(too_many, sizeof(too_many)), CB_ECORRUPT);
    assert_int_equal(decode(beyond, sizeof(beyond)), CB_ECORRUPT);
    assert_int_equal(decode(more_seen, sizeof(more_seen)), CB_ECORRUPT);
    uint8_t trailing[sizeof(one_run) + 1] = {0};
    memcpy(trailing, one_run, sizeof(one_run));
    assert_int_equal(decode(trailing, sizeof(trailing)), CB_ECORRUPT);
}

/* The row of a page that was left after its sixth event, as nearly all are. */
static void test_small(void **state) {
    (void)state;
    struct cb_seen_set set = {.highest = 6,
                              .n_seen = 6,
                              .day = 20454,
                              .n_runs = 1,
                              .runs = {{1, 6}}},
                       back;
    uint8_t bytes[CB_SEEN_SET_BYTES_MAX];
    size_t len = cb_seen_set_encode(&set, bytes);
    assert_int_equal(len, 6);
    assert_int_equal(cb_seen_set_decode((struct cb_str){(const char *)bytes, len}, &back), 0);
    assert_int_equal(back.highest, 6);
    assert_int_equal(back.n_seen, 6);
    assert_int_equal(back.day, set.day);
    assert_false(back.chunked);
    assert_int_equal(back.n_runs, 1);
    assert_int_equal(back.runs[0].first, 1);
    assert_int_equal(back.runs[0].last, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_decode_refuses),
        cmocka_unit_test(test_small),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
