/* SPDX-License-Identifier: MIT
 * A chunk of a dimension against a model of it: what is counted in it, one by one or at once, and
 * rows that were spoiled. */
#include "tests/store/rig.h"

#include "store/dim_chunk.h"
#include "store/rows.h"
#include "tests/proto/guard.h"

static unsigned seed;

static unsigned random_below(unsigned n) {
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % n;
}

enum { OFFSETS = 1 << CB_DIM_CHUNK_BITS, ORDINALS = 600, NAMES = CB_DIM_NAMES + 1 };

static struct {
    uint32_t events[OFFSETS], by_name[OFFSETS][NAMES];
    bool apart[OFFSETS];
    uint16_t member[OFFSETS][ORDINALS], found[OFFSETS][ORDINALS]; /* bits of names; 256: is one */
} chunk;

/* Every member stands in the row, or was moved out of it. */
static void assert_chunk(const struct cb_row *row) {
    struct cb_dim_chunk got;
    int last = -1;
    assert_int_equal(cb_dim_chunk_read((struct cb_str){(char *)row->data, row->len}, &got), 0);
    for (unsigned i = 0; i < OFFSETS; i++) {
        if (!chunk.apart[i]) {
            memset(chunk.found[i], 0, sizeof(chunk.found[i]));
        }
    }
    unsigned n = got.n;
    for (unsigned i = 0, by_name = 0, member = 0; i < n; i++) {
        unsigned offset = cb_dim_chunk_offset(&got, i);
        assert_true((int)offset > last);
        last = (int)offset;
        assert_int_equal(cb_dim_chunk_events(&got, i), chunk.events[offset]);
        assert_int_equal((got.offsets[i] & CB_DIM_APART) != 0, chunk.apart[offset]);
        for (unsigned k = 0; k < CB_DIM_NAMES; k++) {
            assert_int_equal(cb_dim_chunk_events_of(&got, i, by_name, (uint8_t)(1u << k)),
                             chunk.by_name[offset][k]);
        }
        by_name += cb_dim_bits(got.names[i]);
        for (unsigned k = 0; k < got.members[i]; k++, member++) {
            uint32_t ordinal = cb_be32_get(got.ordinals + 4 * member);
            assert_true(ordinal < ORDINALS && !chunk.found[offset][ordinal]);
            chunk.found[offset][ordinal] = 256 | got.member_names[member];
        }
    }
    for (unsigned i = 0; i < OFFSETS; i++) {
        n -= chunk.events[i] > 0;
        assert_memory_equal(chunk.found[i], chunk.member[i], sizeof(chunk.found[i]));
    }
    assert_int_equal(n, 0);
}

static void test_a_chunk(void **state) {
    struct rig *rig = *state;
    for (unsigned round = 0; round < 16; round++) {
        struct cb_key key = cb_key_dimension(1, 0, CB_VALUES_PAGE, 9, round);
        struct cb_row *row;
        unsigned moves = 0, offsets = round % 3 == 0 ? OFFSETS : 1 + random_below(OFFSETS);
        unsigned n_names = 1 + round % NAMES;
        memset(&chunk, 0, sizeof(chunk));
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_int_equal(cb_views_row(rig->views, CB_TABLE_DIMENSIONS, &key, &row), 0);
        for (unsigned i = 0; i < 4000; i++) {
            struct cb_dim_moved moved;
            uint8_t offset = (uint8_t)random_below(1 + random_below(offsets));
            unsigned nth = random_below(n_names); /* the last of all has no bit */
            uint8_t name = (uint8_t)(nth < CB_DIM_NAMES ? 1u << nth : 0);
            uint32_t ordinal = random_below(1 + random_below(ORDINALS));
            uint32_t events = 1 + random_below(3);
            bool has_member = random_below(8) > 0;
            assert_int_equal(cb_dim_chunk_add(rig->views, row, offset, name, events,
                                              has_member ? &ordinal : NULL, &moved),
                             0);
            chunk.events[offset] += events;
            chunk.by_name[offset][nth] += events;
            chunk.member[offset][ordinal] |= has_member ? 256 | name : 0;
            for (unsigned k = 0; k < moved.n; k++) {
                chunk.apart[moved.offset] = true;
                chunk.found[moved.offset][moved.ordinals[k]] = 256 | moved.names[k];
                moves++;
            }
            if (moved.apart) {
                chunk.found[offset][ordinal] |= 256 | name;
            }
            assert_true(row->len <= CB_DIM_CHUNK_BYTES_MAX);
            if (i % 16 == 0 || i > 3990) {
                assert_chunk(row);
            }
        }
        assert_true(moves > 0);
        cb_views_abort(rig->views);
    }
}

/* Events that are counted at once leave what they leave one by one: where a batch of the fold ends
 * must not show. */
static void test_at_once_or_one_by_one(void **state) {
    struct rig *rig = *state;
    for (unsigned round = 0; round < 40; round++) {
        struct cb_row *rows[2];
        assert_int_equal(cb_views_begin(rig->views), 0);
        for (unsigned i = 0; i < 2; i++) {
            struct cb_key key = cb_key_dimension(1, 0, CB_VALUES_PAGE, 9, i);
            assert_int_equal(cb_views_row(rig->views, CB_TABLE_DIMENSIONS, &key, &rows[i]), 0);
        }
        for (unsigned i = 0; i < 1000; i++) {
            struct cb_dim_moved moved[2];
            uint8_t offset = (uint8_t)random_below(OFFSETS),
                    name = (uint8_t)(1u << random_below(8));
            uint32_t ordinal = random_below(300), events = 1 + random_below(4);
            assert_int_equal(
                cb_dim_chunk_add(rig->views, rows[0], offset, name, events, &ordinal, &moved[0]),
                0);
            for (uint32_t k = 0; k < events; k++) {
                assert_int_equal(
                    cb_dim_chunk_add(rig->views, rows[1], offset, name, 1, &ordinal, &moved[1]), 0);
            }
            assert_int_equal(rows[0]->len, rows[1]->len);
            assert_memory_equal(rows[0]->data, rows[1]->data, rows[0]->len);
        }
        cb_views_abort(rig->views);
    }
}

static bool reads_soundly(const void *data, size_t len) {
    struct cb_dim_chunk got;
    uint64_t sum = 0;
    if (cb_dim_chunk_read((struct cb_str){data, len}, &got) != 0) {
        return false;
    }
    for (unsigned i = 0, by_name = 0, member = 0; i < got.n; i++) {
        sum += cb_dim_chunk_offset(&got, i) + cb_dim_chunk_events(&got, i);
        for (unsigned k = 0; k < CB_DIM_NAMES; k++) {
            sum += cb_dim_chunk_events_of(&got, i, by_name, (uint8_t)(1u << k));
        }
        by_name += cb_dim_bits(got.names[i]);
        for (unsigned k = 0; k < got.members[i]; k++, member++) {
            sum += cb_be32_get(got.ordinals + 4 * member) + got.member_names[member];
        }
    }
    return sum != 1;
}

static void test_a_spoiled_chunk_is_refused_or_sound(void **state) {
    (void)state;
    static const uint8_t row[] = {
        3, 2, 7 | CB_DIM_APART,
        9,       /* offsets */
        1, 0, 2, /* members */
        1, 0, 6, /* names */
        0, 0, 0,
        5, 0, 0,
        0, 9, 0,
        0, 0, 2, /* events */
        0, 0, 0,
        5, 0, 0,
        0, 1, 0,
        0, 0, 1, /* by name */
        0, 0, 0,
        1, 0, 0,
        0, 2, 0,
        0, 0, 3,
        1, 2, 4, /* members, their names */
    };
    guard_spoil(row, sizeof(row), reads_soundly);
    assert_false(reads_soundly("", 0));
    assert_false(reads_soundly("\0", 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_a_chunk),
        RIG_TEST(test_at_once_or_one_by_one),
        cmocka_unit_test(test_a_spoiled_chunk_is_refused_or_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
