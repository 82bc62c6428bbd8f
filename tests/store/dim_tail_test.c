/* SPDX-License-Identifier: MIT
 * A tail of a day's events: what goes in comes out, in order, wherever batches end; when it is
 * full; and rows that were spoiled. */
#include "tests/store/rig.h"

#include "store/dim_tail.h"
#include "store/rows.h"
#include "tests/proto/guard.h"

enum {
    DAY = -1,
    HEAD_BYTES = 7, /* FORMAT.md */
    PART_AT = 9,
    PARTS_MAX = 64,
};

static uint64_t seed;

static unsigned random_below(unsigned n) {
    return (unsigned)(guard_random(&seed) % n);
}

static struct cb_dim_event events[CB_DIM_TAIL_EVENTS];

/* Numbers of one byte to five; visitors who come again, and nobody. */
static struct cb_dim_event random_event(const struct cb_dim_event *before, unsigned bits) {
    struct cb_dim_event event = {
        .number = (uint32_t)guard_random(&seed) >> random_below(bits),
        .name_id = (uint32_t)guard_random(&seed) >> random_below(bits),
        .ordinal = (uint32_t)guard_random(&seed) >> random_below(bits),
    };
    if (bits < 32) { /* small ones */
        event.number >>= 32 - bits;
        event.name_id >>= 32 - bits;
        event.ordinal >>= 32 - bits;
    }
    switch (random_below(8)) {
    case 0:
        event.ordinal = CB_DIM_NOBODY;
        break;
    case 1:
        event.ordinal = CB_DIM_NOBODY - 1;
        break;
    case 2:
        event.number = event.name_id = UINT32_MAX;
        break;
    default:
        event.ordinal = before && random_below(2) ? before->ordinal : event.ordinal;
    }
    return event;
}

static void make_events(unsigned bits) {
    for (size_t i = 0; i < CB_DIM_TAIL_EVENTS; i++) {
        events[i] = random_event(i > 0 ? &events[i - 1] : NULL, bits);
    }
}

static void begin(struct rig *rig) {
    assert_int_equal(cb_views_begin(rig->views), 0);
}

static void commit(struct rig *rig) {
    assert_int_equal(cb_views_commit(rig->views, 0), 0);
}

static struct cb_dim_tail open_tail(struct rig *rig, uint32_t site) {
    struct cb_dim_tail tail = {.site = site, .day = DAY, .kind = CB_VALUES_PAGE};
    assert_int_equal(cb_dim_tail_open(rig->views, &tail), 0);
    return tail;
}

static void assert_events(const struct cb_dim_event *got, size_t n) {
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got[i].number, events[i].number);
        assert_int_equal(got[i].name_id, events[i].name_id);
        assert_int_equal(got[i].ordinal, events[i].ordinal);
    }
}

static void assert_taken(struct rig *rig, struct cb_dim_tail *tail, size_t n) {
    struct cb_dim_event *got = malloc(CB_DIM_TAIL_EVENTS * sizeof(*got));
    size_t taken;
    assert_non_null(got);
    assert_int_equal(cb_dim_tail_take(rig->views, tail, got, &taken), 0);
    assert_int_equal(taken, n);
    assert_events(got, n);
    free(got);
}

/* ---- rows ---- */

struct rows {
    size_t n;
    size_t lens[PARTS_MAX];
    uint8_t bytes[PARTS_MAX][CB_DIM_TAIL_PART_BYTES];
};

static bool note_row(void *user, struct cb_str key, struct cb_str value) {
    struct rows *rows = user;
    assert_true(rows->n < PARTS_MAX && value.len <= CB_DIM_TAIL_PART_BYTES);
    assert_int_equal((unsigned char)key.p[PART_AT], rows->n);
    rows->lens[rows->n] = value.len;
    memcpy(rows->bytes[rows->n++], value.p, value.len);
    return true;
}

/* As they stand after the commit. */
static void note_rows(struct rig *rig, uint32_t site, struct rows *rows) {
    const struct cb_key prefix = cb_key_site(site);
    struct cb_snapshot *snapshot;
    memset(rows, 0, sizeof(*rows));
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_scan(snapshot, CB_TABLE_DIMENSION_TAILS, &prefix, note_row, rows),
                     0);
    cb_snapshot_end(&snapshot);
}

/* As reports read them. */
static void assert_read(const struct rows *rows, size_t n) {
    struct cb_dim_event event;
    size_t i = 0;
    for (unsigned part = 0; part < rows->n; part++) {
        struct cb_dim_tail_walk walk;
        int rc = cb_dim_tail_read(
            (struct cb_str){(const char *)rows->bytes[part], rows->lens[part]}, part, &walk);
        assert_int_equal(rc, 0);
        while ((rc = cb_dim_tail_next(&walk, &event)) == 0) {
            assert_true(i < n);
            assert_memory_equal(&event, &events[i], sizeof(event));
            i++;
        }
        assert_int_equal(rc, CB_ENOENT);
    }
    assert_int_equal(i, n);
}

/* ---- tests ---- */

static void test_what_goes_in_comes_out(void **state) {
    static struct rows rows;
    struct rig *rig = *state;
    seed = 1;
    for (unsigned bits = 4; bits <= 32; bits += 7) {
        make_events(bits);
        for (unsigned n = 1; n < CB_DIM_TAIL_EVENTS; n = n * 3 + 1) {
            begin(rig);
            struct cb_dim_tail tail = open_tail(rig, 1);
            for (unsigned i = 0; i < n; i++) {
                bool full = true;
                assert_int_equal(cb_dim_tail_add(rig->views, &tail, &events[i], &full), 0);
                assert_false(full);
            }
            commit(rig);
            note_rows(rig, 1, &rows);
            assert_true(rows.n > n / 900);
            assert_read(&rows, n);
            begin(rig);
            tail = open_tail(rig, 1);
            assert_taken(rig, &tail, n);
            assert_taken(rig, &tail, 0);
            commit(rig);
            note_rows(rig, 1, &rows); /* it stays, empty: a head */
            assert_int_equal(rows.n, 1);
            assert_int_equal(rows.lens[0], HEAD_BYTES);
        }
    }
    begin(rig);
    struct cb_dim_tail tail = open_tail(rig, 1);
    assert_int_equal(cb_dim_tail_end(rig->views, &tail), 0);
    commit(rig);
    note_rows(rig, 1, &rows);
    assert_int_equal(rows.n, 0);
}

/* After so many events, and each time anew. */
static void test_full(void **state) {
    struct rig *rig = *state;
    seed = 2;
    begin(rig);
    struct cb_dim_tail tail = open_tail(rig, 1);
    for (unsigned round = 0; round < 3; round++) {
        make_events(16 + 8 * round);
        for (unsigned i = 0; i < CB_DIM_TAIL_EVENTS; i++) {
            bool full = i + 1 < CB_DIM_TAIL_EVENTS;
            assert_int_equal(cb_dim_tail_add(rig->views, &tail, &events[i], &full), 0);
            assert_int_equal(full, i + 1 == CB_DIM_TAIL_EVENTS);
        }
        assert_taken(rig, &tail, CB_DIM_TAIL_EVENTS);
    }
    cb_views_abort(rig->views);
}

/* Where a batch ends does not show. */
static void test_cut_into_batches(void **state) {
    static struct rows once, cut;
    struct rig *rig = *state;
    seed = 3;
    for (unsigned round = 0; round < 8; round++) {
        const size_t n = round % 2 ? CB_DIM_TAIL_EVENTS : 1 + random_below(CB_DIM_TAIL_EVENTS);
        struct cb_dim_tail tails[2];
        bool full = false;
        make_events(round < 4 ? 12 : 32);
        for (uint32_t way = 0; way < 2; way++) {
            begin(rig);
            tails[way] = open_tail(rig, 1 + way);
            for (size_t i = 0; i < n; i++) {
                assert_int_equal(cb_dim_tail_add(rig->views, &tails[way], &events[i], &full), 0);
                assert_int_equal(full, i + 1 == CB_DIM_TAIL_EVENTS);
                if (way == 1 && random_below(60 << round % 4) == 0) {
                    commit(rig);
                    begin(rig);
                    tails[way] = open_tail(rig, 1 + way);
                }
            }
            commit(rig);
        }
        note_rows(rig, 1, &once);
        note_rows(rig, 2, &cut);
        assert_true(once.n > 0);
        assert_memory_equal(&once, &cut, sizeof(once));
        begin(rig);
        for (uint32_t way = 0; way < 2; way++) {
            tails[way] = open_tail(rig, 1 + way);
            assert_taken(rig, &tails[way], n);
        }
        commit(rig);
    }
}

/* ---- spoiled rows ---- */

/* In memory of its own: how many events a part has before its end, or before it is refused. */
static int read_part(const uint8_t *bytes, size_t len, unsigned part, size_t *n) {
    uint8_t *copy = malloc(len + !len);
    struct cb_dim_tail_walk walk;
    struct cb_dim_event event;
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    int rc = cb_dim_tail_read((struct cb_str){(const char *)copy, len}, part, &walk);
    for (*n = 0; rc == 0 && (rc = cb_dim_tail_next(&walk, &event)) == 0; ++*n) {
        assert_true(*n < len);
    }
    free(copy);
    assert_true(rc == CB_ENOENT || rc == CB_ECORRUPT);
    return rc;
}

static void test_spoiled_parts_are_refused_or_sound(void **state) {
    (void)state;
    /* Lengths, number, name, ordinal. */
    static const struct {
        const char *bytes;
        size_t len;
        int rc;
    } cases[] = {
        {"", 0, CB_ENOENT},
        {"\x10\x01\x02\x03", 4, CB_ENOENT},
        {"\x00\x01\x02", 3, CB_ENOENT}, /* as nobody before it */
        {"\x50\x01\x02", 3, CB_ENOENT}, /* nobody */
        {"\x60\x01\x02", 3, CB_ECORRUPT},
        {"\x80\x01\x02", 3, CB_ECORRUPT},
        {"\x10", 1, CB_ECORRUPT},
        {"\x10\x01\x02", 3, CB_ECORRUPT},
        {"\x00\x01", 2, CB_ECORRUPT},
        {"\x04\x01\x02", 3, CB_ECORRUPT},
        {"\x4f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 13, CB_ENOENT},
        {"\x4f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, CB_ECORRUPT},
    };
    size_t n;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_part((const uint8_t *)cases[i].bytes, cases[i].len, 1, &n),
                         cases[i].rc);
    }
    for (size_t len = 0; len < HEAD_BYTES; len++) {
        assert_int_equal(read_part((const uint8_t *)"\0\0\0\0\0\0", len, 0, &n), CB_ECORRUPT);
    }
    uint8_t bytes[64];
    seed = 4;
    for (unsigned i = 0; i < 20000; i++) {
        const size_t len = random_below(sizeof(bytes));
        for (size_t k = 0; k < len; k++) {
            bytes[k] = (uint8_t)guard_random(&seed);
        }
        read_part(bytes, len, random_below(2), &n);
    }
}

static struct cb_row *part_row(struct rig *rig, uint8_t part) {
    const struct cb_key key = cb_key_dimension_tail(1, CB_VALUES_PAGE, DAY, part);
    struct cb_row *row;
    assert_int_equal(cb_views_row(rig->views, CB_TABLE_DIMENSION_TAILS, &key, &row), 0);
    return row;
}

static void assert_not_taken(struct rig *rig, struct cb_dim_tail *tail) {
    struct cb_dim_event *got = malloc(CB_DIM_TAIL_EVENTS * sizeof(*got)); /* to its end */
    size_t n;
    assert_non_null(got);
    assert_int_equal(cb_dim_tail_take(rig->views, tail, got, &n), CB_ECORRUPT);
    free(got);
}

/* A tail of n events, of which some row is to be spoiled. */
static struct cb_dim_tail filled_tail(struct rig *rig, size_t n) {
    begin(rig);
    struct cb_dim_tail tail = open_tail(rig, 1);
    for (size_t i = 0; i < n; i++) {
        bool full;
        assert_int_equal(cb_dim_tail_add(rig->views, &tail, &events[i], &full), 0);
    }
    return tail;
}

static void test_a_spoiled_tail_is_refused(void **state) {
    struct rig *rig = *state;
    enum { SOME = 3000, EVENTS = 0, LAST_PART = 2 };
    bool full;
    seed = 5;
    make_events(32);
    /* One byte more or less at the end of each part; a part that is not there. */
    struct cb_dim_tail tail = filled_tail(rig, SOME);
    const uint8_t last = tail.head->data[LAST_PART];
    assert_true(last > 3);
    cb_views_abort(rig->views);
    for (uint8_t part = 0; part <= last; part++) {
        for (unsigned way = 0; way < 3; way++) {
            tail = filled_tail(rig, SOME);
            struct cb_row *row = part_row(rig, part);
            const size_t len = way == 0 ? row->len + 1 : way == 1 ? row->len - 1 : 0;
            if (way < 2 || part > 0) { /* a head is there once it was opened */
                assert_int_equal(cb_row_resize(rig->views, row, len), 0);
                assert_not_taken(rig, &tail);
            }
            cb_views_abort(rig->views);
        }
    }
    /* The head says other than the parts; more events than a tail has. */
    for (unsigned way = 0; way < 4; way++) {
        tail = filled_tail(rig, way == 3 ? CB_DIM_TAIL_EVENTS : SOME);
        uint8_t *head = tail.head->data;
        if (way < 2) {
            cb_be16_put(head + EVENTS, (uint16_t)(SOME + (way ? 1 : -1)));
        } else if (way == 2) {
            head[LAST_PART]--;
        } else {
            assert_int_equal(cb_dim_tail_add(rig->views, &tail, &events[0], &full), 0);
        }
        assert_not_taken(rig, &tail);
        cb_views_abort(rig->views);
    }
    /* A head that is too short; no part behind the last that there can be. */
    for (size_t len = 1; len < HEAD_BYTES; len++) {
        begin(rig);
        assert_int_equal(cb_row_resize(rig->views, part_row(rig, 0), len), 0);
        tail = (struct cb_dim_tail){.site = 1, .day = DAY, .kind = CB_VALUES_PAGE};
        assert_int_equal(cb_dim_tail_open(rig->views, &tail), CB_ECORRUPT);
        cb_views_abort(rig->views);
    }
    begin(rig);
    tail = open_tail(rig, 1);
    tail.head->data[LAST_PART] = UINT8_MAX;
    tail = open_tail(rig, 1);
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < CB_DIM_TAIL_EVENTS; i++) {
        rc = cb_dim_tail_add(rig->views, &tail, &events[i], &full);
    }
    assert_int_equal(rc, CB_ECORRUPT);
    cb_views_abort(rig->views);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_what_goes_in_comes_out),
        RIG_TEST(test_full),
        RIG_TEST(test_cut_into_batches),
        cmocka_unit_test(test_spoiled_parts_are_refused_or_sound),
        RIG_TEST(test_a_spoiled_tail_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
