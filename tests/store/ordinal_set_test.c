/* SPDX-License-Identifier: MIT
 * A chunk of visitors as rows have it, put into a bitmap and counted, and while it grows, shrinks,
 * and turns from a list into a bitmap and back, against a plain array. */
#include "tests/store/rig.h"

#include "store/ordinal_list.h"
#include "store/ordinal_set.h"
#include "store/ordinals.h"
#include "store/rows.h"

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

/* Of any number of words, at any place. */
static void bits_are_counted(void **state) {
    enum { WORDS = 40 };
    uint64_t random = 3, both[WORDS];
    (void)state;
    for (size_t n = 0; n <= WORDS; n++) {
        uint8_t *bytes = malloc(8 * n + 1);
        uint64_t right = 0, right_both = 0;
        assert_non_null(bytes);
        for (size_t i = 0; i < 8 * n; i++) {
            bytes[i + 1] = (uint8_t)next(&random);
        }
        for (size_t w = 0; w < n; w++) {
            uint64_t word;
            memcpy(&word, bytes + 1 + 8 * w, 8);
            both[w] = next(&random) << 31 | next(&random);
            for (unsigned bit = 0; bit < 64; bit++) {
                right += word >> bit & 1;
                right_both += (word & both[w]) >> bit & 1;
            }
        }
        assert_int_equal(cb_bits_count(bytes + 1, n), right);
        memmove(bytes, bytes + 1, 8 * n);
        assert_int_equal(cb_bits_count_both((const uint64_t *)(void *)bytes, both, n), right_both);
        free(bytes);
    }
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

/* ---- in a row ---- */

static bool present[ORDINALS];
static unsigned n_present;

static struct cb_row *row_of(struct rig *rig) {
    struct cb_key key = cb_key_recent(1, 2, 3);
    struct cb_row *row;
    assert_int_equal(cb_views_row(rig->views, CB_TABLE_RECENT, &key, &row), 0);
    return row;
}

static void compare(const struct cb_row *row) {
    struct cb_str set = {(const char *)row->data, row->len};
    uint32_t below = ORDINALS + 100;
    uint64_t n = 0;
    uint16_t offset;
    int rc = CB_ENOENT;
    assert_true(row->len == CB_ORDINAL_SET_BYTES || row->len == 2 * n_present);
    if (n_present == 0) {
        return;
    }
    assert_int_equal(cb_ordinal_set_count(set, &n), 0);
    assert_int_equal(n, n_present);
    for (unsigned left = n_present; left > 0; left--) {
        rc = cb_ordinal_set_below(set, below, &offset);
        assert_int_equal(rc, 0);
        for (uint32_t between = offset + 1u; between < below && between < ORDINALS; between++) {
            assert_false(present[between]);
        }
        assert_true(present[offset]);
        below = offset;
    }
    assert_int_equal(cb_ordinal_set_below(set, below, &offset), CB_ENOENT);
}

/* Up to `most` of them, then down to none. */
static void swell(struct rig *rig, unsigned most, uint64_t *random) {
    unsigned turns = 0;
    assert_int_equal(cb_views_begin(rig->views), 0);
    struct cb_row *row = row_of(rig);
    for (bool down = false; n_present > 0 || !down; turns++) {
        uint16_t offset = (uint16_t)(next(random) % ORDINALS);
        bool add = next(random) % 8 != 0;
        add = down ? !add : add;
        if (down && turns % 4 != 0) { /* one that is there, so that it comes to an end */
            uint16_t found;
            struct cb_str set = {(const char *)row->data, row->len};
            offset = cb_ordinal_set_below(set, offset, &found) == 0 ? found : offset;
        }
        if (add) {
            assert_int_equal(cb_ordinal_set_add(rig->views, row, offset), 0);
            n_present += !present[offset];
        } else {
            assert_int_equal(cb_ordinal_set_remove(rig->views, row, offset), 0);
            n_present -= present[offset];
        }
        present[offset] = add;
        assert_true(row->len == CB_ORDINAL_SET_BYTES ? n_present > CB_ORDINAL_SET_LIST_AGAIN
                                                     : n_present <= CB_ORDINAL_SET_LIST_MAX);
        if (turns % 100 == 0) {
            compare(row);
        }
        down = down || n_present >= most;
    }
    assert_int_equal(row->len, 0);
    cb_views_abort(rig->views);
}

static void swelling(void **state) {
    struct rig *rig = *state;
    uint64_t random = 5;
    static const unsigned most[] = {1, 3, 300, 511, 512, 600, 2000, 6000};
    for (size_t i = 0; i < sizeof(most) / sizeof(*most); i++) {
        swell(rig, most[i], &random);
    }
}

static void none_below_in_damage(void **state) {
    (void)state;
    uint8_t bytes[CB_ORDINAL_SET_BYTES + 2] = {0};
    uint16_t offset;
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        uint8_t *exact = malloc(len ? len : 1); /* nothing is read behind it */
        assert_non_null(exact);
        memset(exact, 0, len ? len : 1);
        bool list = len > 0 && len % 2 == 0 && len / 2 <= CB_ORDINAL_SET_LIST_MAX;
        int rc = cb_ordinal_set_below((struct cb_str){(const char *)exact, len}, ORDINALS, &offset);
        assert_int_equal(rc, list ? 0 : len == CB_ORDINAL_SET_BYTES ? CB_ENOENT : CB_ECORRUPT);
        free(exact);
    }
    memset(bytes, 0xff, sizeof(bytes)); /* offsets that no chunk has */
    assert_int_equal(cb_ordinal_set_below((struct cb_str){(const char *)bytes, 4}, 10, &offset),
                     CB_ENOENT);
    cb_be16_put(bytes, 20); /* not ascending */
    cb_be16_put(bytes + 2, 30);
    cb_be16_put(bytes + 4, 5);
    for (uint32_t below = 0; below < 40; below++) {
        int rc = cb_ordinal_set_below((struct cb_str){(const char *)bytes, 6}, below, &offset);
        assert_true(rc == CB_ENOENT || rc == CB_ECORRUPT || (rc == 0 && offset < below));
    }
}

/* Rows of an hour, lists and chunks: in several, of who was there in some of the quarters. */
static void hours_are_put_together(void **state) {
    enum { LISTS = 3, ENTRIES = CB_ORDINAL_LIST_MAX, BYTES = CB_ORDINAL_LIST_ENTRY_BYTES };
    uint8_t *list = malloc((size_t)ENTRIES * BYTES);
    (void)state;
    assert_non_null(list);
    for (unsigned mask = 1; mask < 16; mask++) {
        struct cb_ordinals set;
        uint64_t random = mask, right = 0, rows = 0;
        cb_ordinals_init(&set);
        for (uint32_t number = 0; number < LISTS; number++) {
            uint32_t who = 0;
            for (unsigned i = 0; i < ENTRIES; i++) {
                const uint32_t quarters = 1 + (uint32_t)next(&random) % 15;
                who += 1 + (uint32_t)next(&random) % 2000; /* at most 2^20 of them */
                const uint32_t entry = who << CB_HOUR_QUARTERS | quarters;
                list[BYTES * i] = (uint8_t)(entry >> 16);
                cb_be16_put(list + BYTES * i + 1, (uint16_t)entry);
                right += (quarters & mask) != 0;
            }
            const struct cb_str row = {(const char *)list, (size_t)ENTRIES * BYTES};
            const uint32_t at = number * 1000; /* up to ordinal 2^31 */
            assert_int_equal(cb_ordinals_count_hour(at, row, mask, &rows), 0);
            assert_int_equal(cb_ordinals_add_hour(&set, at, row, mask), 0);
            assert_int_equal(cb_ordinals_add_hour(&set, at, row, mask), 0);
        }
        assert_int_equal(rows, right);
        assert_int_equal(cb_ordinals_count(&set), right);
        /* A list that moved has nobody; chunks have them. */
        assert_int_equal(cb_ordinals_add_hour(&set, 7, CB_STR("\0"), mask), 0);
        assert_int_equal(cb_ordinals_count_hour(7, CB_STR("\0"), mask, &rows), 0);
        cb_be16_put(list, (uint16_t)(5 << CB_HOUR_QUARTERS | 15));
        const struct cb_str row = {(const char *)list, 2};
        assert_int_equal(cb_ordinals_add_hour(&set, 7 | CB_ORDINAL_CHUNKS, row, mask), 0);
        assert_int_equal(cb_ordinals_count_hour(7 | CB_ORDINAL_CHUNKS, row, mask, &rows), 0);
        assert_int_equal(rows, right + 1);
        assert_int_equal(cb_ordinals_count(&set), right + 1);
        cb_ordinals_fini(&set);
    }
    free(list);
}

static void hours_that_cannot_be_are_corrupt(void **state) {
    static const char bytes[CB_ORDINAL_LIST_MAX * CB_ORDINAL_LIST_ENTRY_BYTES + 3] = {0};
    static const size_t lengths[] = {2, 4, 5, 1499, 1501, sizeof bytes};
    struct cb_ordinals set;
    uint64_t n = 0;
    (void)state;
    cb_ordinals_init(&set);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const struct cb_str row = {bytes, lengths[i]};
        assert_int_equal(cb_ordinals_add_hour(&set, 0, row, 15), CB_ECORRUPT);
        assert_int_equal(cb_ordinals_count_hour(0, row, 15, &n), CB_ECORRUPT);
    }
    const struct cb_str good = {"\0\0\x1f", 3};
    assert_int_equal(cb_ordinals_add_hour(&set, 4095, good, 15), 0);
    assert_int_equal(cb_ordinals_count(&set), 1);
    assert_int_equal(cb_ordinals_add_hour(&set, 4096, good, 15), CB_ECORRUPT);
    const struct cb_str odd = {bytes, 3};
    assert_int_equal(cb_ordinals_add_hour(&set, CB_ORDINAL_CHUNKS, odd, 15), CB_ECORRUPT);
    cb_ordinals_fini(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_put_together),
        cmocka_unit_test(bits_are_counted),
        cmocka_unit_test(what_lies_behind_is_corrupt),
        RIG_TEST(swelling),
        cmocka_unit_test(none_below_in_damage),
        cmocka_unit_test(hours_are_put_together),
        cmocka_unit_test(hours_that_cannot_be_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
