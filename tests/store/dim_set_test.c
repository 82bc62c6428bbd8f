/* SPDX-License-Identifier: MIT
 * The visitors of a value in rows of their own: against plain arrays, however they are cut into
 * additions; and rows that were spoiled. */
#include "tests/store/rig.h"

#include "store/dim_set.h"
#include "store/rows.h"
#include "tests/proto/guard.h"

enum {
    SITE = 7,
    DAY = -3,
    PER_CHUNK = 1 << CB_DIM_SET_CHUNK_BITS,
    /* Ordinals as places in an array: two chunks from 0 on, and one on each side of 2^24. */
    BEGINNING = 2 * PER_CHUNK,
    PLACES = 4 * PER_CHUNK,
    LISTS_END = 1 << CB_ORDINAL_LIST_BITS,
    VISITORS = LISTS_END + PER_CHUNK,
    WORDS = VISITORS / 64,
    SET_PART_AT = 17,
    KEY_BYTES = 21,
};

static uint64_t seed;

static unsigned random_below(unsigned n) {
    return (unsigned)(guard_random(&seed) % n);
}

static uint32_t ordinal_of(unsigned place) {
    return place < BEGINNING ? place : LISTS_END - PER_CHUNK + (place - BEGINNING);
}

/* Who is in the set at hand, and what he had. */
static bool there[PLACES];
static uint8_t names_of[PLACES];

static struct cb_dim_set_scratch scratch;
static uint64_t got[WORDS], want[WORDS];

static struct cb_dim_set set_of(uint32_t value) {
    return (struct cb_dim_set){SITE, DAY, CB_VALUES_PAGE, CB_NAME_ID_ALL, value};
}

static int compare_members(const void *a, const void *b) {
    const struct cb_dim_member *left = a, *right = b;
    return (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}

/* An addition: in order, each visitor once. */
static void add(struct rig *rig, const struct cb_dim_set *set, struct cb_dim_member *members,
                size_t n) {
    size_t to = 0;
    qsort(members, n, sizeof(*members), compare_members);
    for (size_t i = 0; i < n; i++) {
        if (to > 0 && members[to - 1].ordinal == members[i].ordinal) {
            members[to - 1].names |= members[i].names;
        } else {
            members[to++] = members[i];
        }
    }
    assert_int_equal(cb_dim_set_add(rig->views, set, members, to, &scratch), 0);
}

static void begin(struct rig *rig) {
    assert_int_equal(cb_views_begin(rig->views), 0);
}

static void commit(struct rig *rig) {
    assert_int_equal(cb_views_commit(rig->views, 0), 0);
}

/* ---- reading ---- */

struct reading {
    uint8_t name;
    bool dense; /* a chunk is bitmaps */
};

static bool or_row(void *user, struct cb_str key, struct cb_str value) {
    struct reading *reading = user;
    const uint32_t part = cb_be32_get((const uint8_t *)key.p + SET_PART_AT);
    assert_int_equal(key.len, KEY_BYTES);
    assert_int_equal(cb_dim_set_or(value, part, reading->name, VISITORS, got), 0);
    reading->dense |= part >= CB_DIM_SET_PIECES && value.len == CB_DIM_SET_PLANES_BYTES;
    return true;
}

static bool read_set(struct rig *rig, uint32_t value, uint8_t name) {
    struct reading reading = {name, false};
    struct cb_snapshot *snapshot;
    struct cb_key prefix =
        cb_key_dimension_set(SITE, DAY, CB_VALUES_PAGE, CB_NAME_ID_ALL, value, 0);
    prefix.len = SET_PART_AT;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_scan(snapshot, CB_TABLE_DIMENSION_SETS, &prefix, or_row, &reading),
                     0);
    cb_snapshot_end(&snapshot);
    return reading.dense;
}

/* Of each name, and of all. *dense: some chunk is bitmaps. */
static void assert_set(struct rig *rig, uint32_t value, bool *dense) {
    for (unsigned nth = 0; nth <= CB_DIM_NAMES; nth++) {
        const uint8_t name = (uint8_t)(nth < CB_DIM_NAMES ? 1u << nth : 0);
        memset(got, 0, sizeof(got));
        memset(want, 0, sizeof(want));
        for (unsigned place = 0; place < PLACES; place++) {
            if (there[place] && (!name || names_of[place] & name)) {
                want[ordinal_of(place) / 64] |= UINT64_C(1) << ordinal_of(place) % 64;
            }
        }
        *dense = read_set(rig, value, name);
        assert_memory_equal(got, want, sizeof(got));
    }
}

/* Random visitors, more of them in front, of all places or of those of a few chunks. */
static struct cb_dim_member random_member(unsigned first, unsigned places) {
    const unsigned place = first + random_below(1 + random_below(places));
    const uint8_t names =
        (uint8_t)(random_below(4) ? 1u << random_below(CB_DIM_NAMES) : random_below(256));
    there[place] = true;
    names_of[place] |= names;
    return (struct cb_dim_member){ordinal_of(place), names};
}

static void test_against_arrays(void **state) {
    static struct cb_dim_member members[CB_DIM_TAIL_EVENTS];
    static const struct {
        unsigned first, places;
    } ranges[] = {{0, PLACES},
                  {0, PER_CHUNK},
                  {PER_CHUNK, PER_CHUNK},
                  {BEGINNING, 2 * PER_CHUNK},
                  {PER_CHUNK - 300, 2 * PER_CHUNK}};
    struct rig *rig = *state;
    unsigned n_dense = 0, n_rounds = 0;
    seed = 3;
    for (unsigned range = 0; range < sizeof ranges / sizeof *ranges; range++) {
        for (unsigned most = 1; most <= CB_DIM_TAIL_EVENTS; most *= 8) {
            const uint32_t value = n_rounds++;
            const struct cb_dim_set set = set_of(value);
            bool dense = false;
            memset(there, 0, sizeof(there));
            memset(names_of, 0, sizeof(names_of));
            for (unsigned step = 0; step < 6; step++) {
                begin(rig);
                for (unsigned group = 0; group < 4; group++) {
                    const size_t n = 1 + random_below(most);
                    for (size_t i = 0; i < n; i++) {
                        members[i] = random_member(ranges[range].first, ranges[range].places);
                    }
                    add(rig, &set, members, n);
                }
                commit(rig);
                assert_set(rig, value, &dense);
            }
            n_dense += dense;
        }
    }
    assert_true(n_dense >= 5 && n_rounds - n_dense >= 5);
}

/* ---- what stands where ---- */

static size_t row_bytes(struct rig *rig, const struct cb_dim_set *set, uint32_t part) {
    const struct cb_key key =
        cb_key_dimension_set(set->site, set->day, set->kind, set->name_id, set->value, part);
    struct cb_row *row;
    assert_int_equal(cb_views_row(rig->views, CB_TABLE_DIMENSION_SETS, &key, &row), 0);
    return row->len;
}

static void add_run(struct rig *rig, const struct cb_dim_set *set, uint32_t first, size_t n,
                    uint8_t names) {
    for (size_t i = 0; i < n; i++) {
        struct cb_dim_member member = {first + (uint32_t)i, names};
        add(rig, set, &member, 1);
    }
}

static void test_lists_chunks_and_bitmaps(void **state) {
    struct rig *rig = *state;
    const struct cb_dim_set all = set_of(1);
    const uint32_t chunk = CB_DIM_SET_CHUNKS | 2, piece = CB_DIM_SET_PIECES | 2 * 8;
    enum { PIECE = CB_DIM_SET_PIECE_ORDINALS, MORE = CB_DIM_SET_CHUNK_MAX - CB_DIM_SET_LIST_MAX };
    begin(rig);
    add_run(rig, &all, CB_DIM_SET_LIST_FROM, 1, 1);
    add_run(rig, &all, 2 * PER_CHUNK, CB_DIM_SET_LIST_MAX - 1, 1);
    assert_int_equal(row_bytes(rig, &all, 0), CB_DIM_SET_LIST_ENTRY_BYTES * CB_DIM_SET_LIST_MAX);
    assert_int_equal(row_bytes(rig, &all, chunk), 0);
    add_run(rig, &all, 2 * PER_CHUNK + 7, 1, 4); /* who is there finds room */
    assert_int_equal(row_bytes(rig, &all, chunk), 0);
    add_run(rig, &all, 3 * PER_CHUNK, 1, 1);
    assert_int_equal(row_bytes(rig, &all, 0), CB_ORDINAL_LIST_MOVED_BYTES);
    assert_int_equal(row_bytes(rig, &all, chunk),
                     CB_DIM_SET_CHUNK_ENTRY_BYTES * (CB_DIM_SET_LIST_MAX - 1));
    assert_int_equal(row_bytes(rig, &all, chunk - 1), CB_DIM_SET_CHUNK_ENTRY_BYTES);
    assert_int_equal(row_bytes(rig, &all, chunk + 1), CB_DIM_SET_CHUNK_ENTRY_BYTES);
    /* Those of another list stay there, the first ones are in a chunk from the beginning. */
    add_run(rig, &all, LISTS_END, 2, 1);
    add_run(rig, &all, CB_DIM_SET_LIST_FROM - 1, 1, 1);
    assert_int_equal(row_bytes(rig, &all, 1), 2 * CB_DIM_SET_LIST_ENTRY_BYTES);
    assert_int_equal(row_bytes(rig, &all, CB_DIM_SET_CHUNKS), CB_DIM_SET_CHUNK_ENTRY_BYTES);
    /* A chunk that is full goes into pieces; a piece is bitmaps as soon as they are shorter. */
    add_run(rig, &all, 2 * PER_CHUNK + 5 * PIECE, MORE + 1, 2);
    assert_int_equal(row_bytes(rig, &all, chunk),
                     CB_DIM_SET_CHUNK_ENTRY_BYTES * CB_DIM_SET_CHUNK_MAX);
    assert_int_equal(row_bytes(rig, &all, piece), 0);
    add_run(rig, &all, 3 * PER_CHUNK - 1, 1, 2);
    assert_int_equal(row_bytes(rig, &all, chunk), CB_ORDINAL_LIST_MOVED_BYTES);
    assert_int_equal(row_bytes(rig, &all, piece), CB_DIM_SET_PLANES_BYTES);
    assert_int_equal(row_bytes(rig, &all, piece + 5), CB_DIM_SET_CHUNK_ENTRY_BYTES * (MORE + 1));
    assert_int_equal(row_bytes(rig, &all, piece + 7), CB_DIM_SET_CHUNK_ENTRY_BYTES);
    add_run(rig, &all, 2 * PER_CHUNK + 6 * PIECE, CB_DIM_SET_PIECE_MAX, 1);
    assert_int_equal(row_bytes(rig, &all, piece + 6),
                     CB_DIM_SET_CHUNK_ENTRY_BYTES * CB_DIM_SET_PIECE_MAX);
    add_run(rig, &all, 2 * PER_CHUNK + 7 * PIECE - 1, 1, 1);
    assert_int_equal(row_bytes(rig, &all, piece + 6), CB_DIM_SET_PLANES_BYTES);
    assert_int_equal(row_bytes(rig, &all, chunk + 1), CB_DIM_SET_CHUNK_ENTRY_BYTES);
    cb_views_abort(rig->views);
}

/* Of two values: the rows, but for the value in the key. */
struct rows {
    struct rows_row {
        uint8_t key[KEY_BYTES];
        size_t len;
        uint64_t digest;
    } rows[256];
    size_t n;
};

static bool note_row(void *user, struct cb_str key, struct cb_str value) {
    struct rows *rows = user;
    struct rows_row *row = &rows->rows[rows->n++];
    assert_true(rows->n < 256 && key.len == KEY_BYTES);
    *row = (struct rows_row){.len = value.len, .digest = 1};
    memcpy(row->key, key.p, KEY_BYTES);
    memset(row->key + SET_PART_AT - 4, 0, 4);
    for (size_t i = 0; i < value.len; i++) {
        row->digest = (row->digest ^ (unsigned char)value.p[i]) * UINT64_C(1099511628211);
    }
    return true;
}

static void note_rows(struct rig *rig, uint32_t value, struct rows *rows) {
    struct cb_snapshot *snapshot;
    memset(rows, 0, sizeof(*rows));
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    for (unsigned i = 0; i <= CB_DIM_NAMES; i++) {
        struct cb_key prefix =
            cb_key_dimension_set(SITE, DAY, CB_VALUES_PAGE,
                                 i == 0 ? CB_NAME_ID_ALL : CB_NAME_ID_FIRST + i - 1, value, 0);
        prefix.len = SET_PART_AT;
        assert_int_equal(
            cb_snapshot_scan(snapshot, CB_TABLE_DIMENSION_SETS, &prefix, note_row, rows), 0);
    }
    cb_snapshot_end(&snapshot);
}

static void test_however_it_is_cut(void **state) {
    static struct cb_dim_member all[20000], some[CB_DIM_TAIL_EVENTS];
    static const unsigned numbers[] = {3, 400, 600, 900, 2500, 20000};
    static const unsigned cuts[] = {1, 7, 300, CB_DIM_TAIL_EVENTS};
    static struct rows rows[2];
    struct rig *rig = *state;
    seed = 5;
    for (unsigned round = 0; round < 6; round++) {
        const unsigned n = numbers[round], places = round % 2 ? PLACES : BEGINNING;
        for (unsigned i = 0; i < n; i++) {
            all[i] = random_member(0, places);
        }
        for (unsigned way = 0; way < 4; way++) {
            const uint32_t value = 4 * round + way;
            const struct cb_dim_set set = set_of(value);
            begin(rig);
            for (unsigned at = 0, more; at < n; at += more) {
                more = 1 + random_below(cuts[way]);
                more = more < n - at ? more : n - at;
                memcpy(some, all + at, more * sizeof(*some));
                add(rig, &set, some, more);
                if (random_below(200) == 0) {
                    commit(rig);
                    begin(rig);
                }
            }
            commit(rig);
            note_rows(rig, value, &rows[way > 0]);
            assert_true(rows[0].n > 0 && rows[way > 0].n == rows[0].n);
            assert_memory_equal(&rows[way > 0], &rows[0], sizeof(rows[0]));
            for (unsigned i = n; i-- > 1;) { /* and in another order */
                const unsigned k = random_below(i + 1);
                const struct cb_dim_member member = all[i];
                all[i] = all[k];
                all[k] = member;
            }
        }
    }
}

/* ---- spoiled rows ---- */

static void put_row(struct rig *rig, const struct cb_dim_set *set, uint32_t part, const void *bytes,
                    size_t len) {
    const struct cb_key key =
        cb_key_dimension_set(set->site, set->day, set->kind, set->name_id, set->value, part);
    struct cb_row *row;
    assert_int_equal(cb_views_row(rig->views, CB_TABLE_DIMENSION_SETS, &key, &row), 0);
    assert_int_equal(cb_row_resize(rig->views, row, len), 0);
    memcpy(row->data, bytes, len);
}

/* What an addition to a row comes to; nothing is written behind what it may be. */
static int add_all_to(struct rig *rig, const struct cb_dim_set *set, uint32_t part,
                      const void *bytes, size_t len, const struct cb_dim_member *members,
                      size_t n) {
    begin(rig);
    put_row(rig, set, part, bytes, len);
    if (part >= CB_DIM_SET_PIECES) {
        put_row(rig, set, CB_DIM_SET_CHUNKS | members[0].ordinal >> CB_DIM_SET_CHUNK_BITS, "",
                CB_ORDINAL_LIST_MOVED_BYTES);
    }
    if (part & CB_DIM_SET_CHUNKS) {
        put_row(rig, set, members[0].ordinal >> CB_ORDINAL_LIST_BITS, "",
                CB_ORDINAL_LIST_MOVED_BYTES);
    }
    const int rc = cb_dim_set_add(rig->views, set, members, n, &scratch);
    assert_true(rc == 0 || rc == CB_ECORRUPT);
    cb_views_abort(rig->views);
    return rc;
}

static int add_to(struct rig *rig, const struct cb_dim_set *set, uint32_t part, const void *bytes,
                  size_t len, uint32_t ordinal) {
    const struct cb_dim_member member = {ordinal, 1};
    return add_all_to(rig, set, part, bytes, len, &member, 1);
}

/* A row in memory of its own, into a bitmap of its own: neither is left. */
static int or_alone(const void *bytes, size_t len, uint32_t part, uint8_t name,
                    uint32_t n_visitors) {
    uint8_t *copy = malloc(len + !len);
    uint64_t *words = calloc((n_visitors + 63) / 64, sizeof(*words));
    assert_non_null(copy);
    assert_non_null(words);
    memcpy(copy, bytes, len);
    const int rc =
        cb_dim_set_or((struct cb_str){(const char *)copy, len}, part, name, n_visitors, words);
    assert_true(rc == 0 || rc == CB_ECORRUPT);
    free(words);
    free(copy);
    return rc;
}

/* Refused by both. */
static void assert_corrupt(struct rig *rig, uint32_t part, const uint8_t *bytes, size_t len,
                           uint32_t ordinal) {
    const struct cb_dim_set set = set_of(1);
    assert_int_equal(add_to(rig, &set, part, bytes, len, ordinal), CB_ECORRUPT);
    assert_int_equal(or_alone(bytes, len, part, 0, VISITORS), CB_ECORRUPT);
    assert_int_equal(or_alone(bytes, len, part, 1, VISITORS), CB_ECORRUPT);
}

/* Entries that are no set: readers refuse them, and so does who has to move them; who only adds to
 * them writes nothing outside. */
static void assert_no_set(struct rig *rig, uint32_t part, const uint8_t *bytes, size_t len,
                          uint32_t ordinal) {
    const struct cb_dim_set set = set_of(1);
    add_to(rig, &set, part, bytes, len, ordinal);
    assert_int_equal(or_alone(bytes, len, part, 0, VISITORS), CB_ECORRUPT);
    assert_int_equal(or_alone(bytes, len, part, 1, VISITORS), CB_ECORRUPT);
}

/* A chunk's row of n entries from an offset on. */
static void put_entries(uint8_t *bytes, size_t n, unsigned offset) {
    for (size_t i = 0; i < n; i++) {
        cb_be16_put(bytes + CB_DIM_SET_CHUNK_ENTRY_BYTES * i, (uint16_t)(offset + i));
        bytes[CB_DIM_SET_CHUNK_ENTRY_BYTES * i + 2] = 1;
    }
}

static void test_spoiled_rows_are_refused(void **state) {
    struct rig *rig = *state;
    enum { CHUNK = 1, ORDINAL = PER_CHUNK + 5, CASES = 3000 };
    const uint32_t part = CB_DIM_SET_CHUNKS | CHUNK;
    const struct cb_dim_set set = set_of(1);
    static uint8_t bytes[CB_DIM_SET_LIST_ENTRY_BYTES * (CB_DIM_SET_LIST_MAX + 1)];
    /* Lengths: none that a row can have. */
    for (size_t len = 2; len <= sizeof(bytes); len++) {
        const bool list = len % CB_DIM_SET_LIST_ENTRY_BYTES == 0 &&
                          len / CB_DIM_SET_LIST_ENTRY_BYTES <= CB_DIM_SET_LIST_MAX;
        const bool chunk = (len % CB_DIM_SET_CHUNK_ENTRY_BYTES == 0 &&
                            len / CB_DIM_SET_CHUNK_ENTRY_BYTES <= CB_DIM_SET_CHUNK_MAX);
        memset(bytes, 0, sizeof(bytes));
        for (size_t i = 0; i < len / CB_DIM_SET_LIST_ENTRY_BYTES; i++) {
            cb_be32_put(bytes + CB_DIM_SET_LIST_ENTRY_BYTES * i, (uint32_t)(PER_CHUNK + i) << 8);
        }
        if (!list) {
            assert_corrupt(rig, 0, bytes, len, ORDINAL);
        } else {
            assert_int_equal(add_to(rig, &set, 0, bytes, len, ORDINAL), 0);
            assert_int_equal(or_alone(bytes, len, 0, 0, VISITORS), 0);
        }
        put_entries(bytes, len / CB_DIM_SET_CHUNK_ENTRY_BYTES, 0);
        if (!chunk) {
            assert_corrupt(rig, part, bytes, len, ORDINAL);
        } else {
            assert_int_equal(add_to(rig, &set, part, bytes, len, ORDINAL), 0);
            assert_int_equal(or_alone(bytes, len, part, 0, VISITORS), 0);
        }
    }
    /* Not ascending, in front, behind. */
    for (size_t at = 1; at < 4; at++) {
        for (unsigned less = 0; less < 2; less++) {
            put_entries(bytes, 4, 10);
            cb_be16_put(bytes + CB_DIM_SET_CHUNK_ENTRY_BYTES * at, (uint16_t)(10 + at - 1 - less));
            assert_no_set(rig, part, bytes, 4 * CB_DIM_SET_CHUNK_ENTRY_BYTES, ORDINAL);
            for (uint32_t i = 0; i < 4; i++) {
                cb_be32_put(bytes + CB_DIM_SET_LIST_ENTRY_BYTES * i, (PER_CHUNK + 10 + i) << 8);
            }
            cb_be32_put(bytes + CB_DIM_SET_LIST_ENTRY_BYTES * at,
                        (uint32_t)(PER_CHUNK + 10 + at - 1 - less) << 8);
            assert_no_set(rig, 0, bytes, 4 * CB_DIM_SET_LIST_ENTRY_BYTES, ORDINAL);
        }
    }
    /* Out of the chunk: the next one's, or any other's. */
    for (unsigned offset = PER_CHUNK; offset <= UINT16_MAX; offset += 4093) {
        put_entries(bytes, 3, 0);
        cb_be16_put(bytes + 2 * CB_DIM_SET_CHUNK_ENTRY_BYTES, (uint16_t)offset);
        assert_no_set(rig, part, bytes, 3 * CB_DIM_SET_CHUNK_ENTRY_BYTES, ORDINAL);
    }
    /* … in rows that are full. */
    put_entries(bytes, CB_DIM_SET_CHUNK_MAX, 10);
    assert_int_equal(add_to(rig, &set, part, bytes,
                            CB_DIM_SET_CHUNK_MAX * CB_DIM_SET_CHUNK_ENTRY_BYTES, ORDINAL),
                     0);
    for (unsigned offset = 11; offset < UINT16_MAX; offset += UINT16_MAX - 20) {
        cb_be16_put(bytes + 2 * CB_DIM_SET_CHUNK_ENTRY_BYTES, (uint16_t)offset);
        assert_corrupt(rig, part, bytes, CB_DIM_SET_CHUNK_MAX * CB_DIM_SET_CHUNK_ENTRY_BYTES,
                       ORDINAL);
    }
    for (uint32_t i = 0; i < CB_DIM_SET_LIST_MAX; i++) {
        cb_be32_put(bytes + CB_DIM_SET_LIST_ENTRY_BYTES * i, (PER_CHUNK + 10 + i - i % 2) << 8);
    }
    assert_corrupt(rig, 0, bytes, CB_DIM_SET_LIST_MAX * CB_DIM_SET_LIST_ENTRY_BYTES, ORDINAL);
    /* … and to which as many come as there can be. */
    static struct cb_dim_member members[CB_DIM_TAIL_EVENTS];
    for (uint32_t i = 0; i < CB_DIM_TAIL_EVENTS; i++) {
        members[i] = (struct cb_dim_member){PER_CHUNK + i, 0xff};
    }
    assert_int_equal(add_all_to(rig, &set, 0, bytes,
                                CB_DIM_SET_LIST_MAX * CB_DIM_SET_LIST_ENTRY_BYTES, members,
                                CB_DIM_TAIL_EVENTS),
                     CB_ECORRUPT);
    for (unsigned offset = 0; offset <= PER_CHUNK; offset += PER_CHUNK) {
        put_entries(bytes, CB_DIM_SET_CHUNK_MAX, offset);
        assert_int_equal(add_all_to(rig, &set, part, bytes,
                                    CB_DIM_SET_CHUNK_MAX * CB_DIM_SET_CHUNK_ENTRY_BYTES, members,
                                    CB_DIM_TAIL_EVENTS),
                         offset == 0 ? 0 : CB_ECORRUPT);
    }
    /* Behind the last visitor; a chunk that is none. */
    put_entries(bytes, 1, 6);
    assert_int_equal(or_alone(bytes, CB_DIM_SET_CHUNK_ENTRY_BYTES, part, 0, PER_CHUNK + 7), 0);
    assert_int_equal(or_alone(bytes, CB_DIM_SET_CHUNK_ENTRY_BYTES, part, 0, PER_CHUNK + 6),
                     CB_ECORRUPT);
    cb_be32_put(bytes, (PER_CHUNK + 6) << 8);
    assert_int_equal(or_alone(bytes, CB_DIM_SET_LIST_ENTRY_BYTES, 0, 0, PER_CHUNK + 6),
                     CB_ECORRUPT);
    /* Bitmaps, of a piece only. */
    const uint32_t piece = CB_DIM_SET_PIECES | PER_CHUNK / CB_DIM_SET_PIECE_ORDINALS,
                   end = PER_CHUNK + CB_DIM_SET_PIECE_ORDINALS;
    memset(bytes, 0xff, sizeof(bytes));
    for (unsigned name = 0; name < 2; name++) {
        const uint8_t bit = (uint8_t)name;
        assert_int_equal(or_alone(bytes, CB_DIM_SET_PLANES_BYTES, piece, bit, end), 0);
        assert_int_equal(or_alone(bytes, CB_DIM_SET_PLANES_BYTES, piece, bit, end - 64),
                         CB_ECORRUPT);
        assert_int_equal(or_alone(bytes, CB_DIM_SET_PLANES_BYTES, piece, bit, PER_CHUNK),
                         CB_ECORRUPT);
        assert_int_equal(or_alone(bytes, CB_DIM_SET_PLANES_BYTES, part, bit, VISITORS),
                         CB_ECORRUPT);
        assert_int_equal(or_alone(bytes, CB_DIM_SET_PLANES_BYTES, UINT32_MAX, bit, PER_CHUNK),
                         CB_ECORRUPT);
    }
    assert_corrupt(rig, piece, bytes, CB_DIM_SET_PLANES_BYTES - 1, PER_CHUNK + 5);
    put_entries(bytes, 1, 6);
    assert_int_equal(or_alone(bytes, CB_DIM_SET_CHUNK_ENTRY_BYTES, UINT32_MAX, 0, VISITORS),
                     CB_ECORRUPT);
    /* Anything at all. */
    seed = 9;
    for (unsigned i = 0; i < CASES; i++) {
        const uint32_t any = random_below(2)   ? random_below(4)
                             : random_below(8) ? CB_DIM_SET_CHUNKS | random_below(3000)
                                               : (uint32_t)guard_random(&seed);
        const size_t len = random_below(2) ? random_below(sizeof(bytes)) : 12 * random_below(40);
        unsigned at = 0;
        for (size_t k = 0; k < len; k++) { /* in parts ascending */
            at += random_below(3) ? random_below(9) : random_below(0x300);
            bytes[k] = (uint8_t)(k % 3 == 0 ? at >> 8 : at);
        }
        or_alone(bytes, len, any, (uint8_t)random_below(3), 1 + random_below(4 * PER_CHUNK));
        if (len > 0) {
            add_to(rig, &set, any, bytes, len,
                   any & CB_DIM_SET_CHUNKS ? (any & 0x7ff) << CB_DIM_SET_CHUNK_BITS
                                           : (any & 3) << CB_ORDINAL_LIST_BITS | ORDINAL);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_against_arrays),
        RIG_TEST(test_lists_chunks_and_bitmaps),
        RIG_TEST(test_however_it_is_cut),
        RIG_TEST(test_spoiled_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
