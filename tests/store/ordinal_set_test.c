/* SPDX-License-Identifier: MIT
 * A chunk of visitors as rows have it, put into a bitmap and counted, against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/ordinal_set.h"

enum { ORDINALS = 1 << CB_ORDINAL_SET_BITS, MORE = 8 /* words of the next chunk */ };

static uint64_t next(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* A list of n offsets below `end`, ascending, in memory of its own, so that nothing behind it is
 * read; and marks them. */
static uint8_t *list_of(size_t n, unsigned end, bool *there, uint64_t *random) {
    uint8_t *list = malloc(2 * n + 1);
    size_t len = 0;
    assert_non_null(list);
    for (unsigned i = 0; i < end; i++) {
        if (next(random) % (end - i) < n - len) {
            cb_be16_put(list + 2 * len++, (uint16_t)i);
            there[i] = true;
        }
    }
    assert_int_equal(len, n);
    return list;
}

static void assert_words(const uint64_t *words, const bool *there) {
    for (unsigned i = 0; i < ORDINALS; i++) {
        assert_int_equal(words[i / 64] >> i % 64 & 1, there[i]);
    }
    for (unsigned w = 0; w < MORE; w++) {
        assert_true(words[CB_ORDINAL_SET_WORDS + w] == 0);
    }
}

static void sets_are_put_together(void **state) {
    static const size_t lengths[] = {0, 1, 3, 4, 5, 7, 64, CB_ORDINAL_SET_LIST_MAX};
    uint64_t words[CB_ORDINAL_SET_WORDS + MORE] = {0}, random = 1;
    bool there[ORDINALS] = {0};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t *list = list_of(lengths[i], ORDINALS, there, &random);
        const struct cb_str value = {(const char *)list, 2 * lengths[i]};
        uint64_t n = 7;
        assert_int_equal(cb_ordinal_set_or(value, words, CB_ORDINAL_SET_WORDS + MORE), 0);
        assert_words(words, there);
        assert_int_equal(cb_ordinal_set_count(value, &n), 0);
        assert_int_equal(n, 7 + lengths[i]);
        free(list);
    }
    uint8_t bitmap[CB_ORDINAL_SET_BYTES];
    for (size_t i = 0; i < sizeof bitmap; i++) {
        bitmap[i] = (uint8_t)next(&random);
        for (unsigned bit = 0; bit < 8; bit++) {
            there[8 * i + bit] |= bitmap[i] >> bit & 1;
        }
    }
    const struct cb_str value = {(const char *)bitmap, sizeof bitmap};
    assert_int_equal(cb_ordinal_set_or(value, words, CB_ORDINAL_SET_WORDS + MORE), 0);
    assert_words(words, there);
}

/* Bits behind the chunk, or behind a bitmap that ends before it, are of no visitor. */
static void what_lies_behind_is_corrupt(void **state) {
    (void)state;
    for (size_t n = 1; n <= 9; n++) {
        for (size_t at = 0; at < n; at++) {
            for (unsigned words = 1; words <= CB_ORDINAL_SET_WORDS; words *= 2) {
                uint64_t into[CB_ORDINAL_SET_WORDS] = {0}, random = n;
                bool there[ORDINALS] = {0};
                uint8_t *list = list_of(n, words * 64, there, &random);
                const struct cb_str value = {(const char *)list, 2 * n};
                assert_int_equal(cb_ordinal_set_or(value, into, words), 0);
                cb_be16_put(list + 2 * at, (uint16_t)(words * 64));
                assert_int_equal(cb_ordinal_set_or(value, into, words), CB_ECORRUPT);
                cb_be16_put(list + 2 * at, UINT16_MAX);
                assert_int_equal(cb_ordinal_set_or(value, into, words), CB_ECORRUPT);
                free(list);
            }
        }
    }
    static const char odd[1024 + 2] = {0};
    static const size_t lengths[] = {1, 3, 1022 + 1, 1024 + 2};
    uint64_t words[CB_ORDINAL_SET_WORDS] = {0}, count = 0;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const struct cb_str value = {odd, lengths[i]};
        assert_int_equal(cb_ordinal_set_or(value, words, CB_ORDINAL_SET_WORDS), CB_ECORRUPT);
        assert_int_equal(cb_ordinal_set_count(value, &count), CB_ECORRUPT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_put_together),
        cmocka_unit_test(what_lies_behind_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
