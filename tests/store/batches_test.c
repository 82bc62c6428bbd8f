/* SPDX-License-Identifier: MIT
 * Batches that are written behind the next one: what that one sees, what is on disk when, and what
 * is left where the writing fails. The test holds LMDB's lock for writers where a batch has to be
 * under way. */
#include "tests/store/rig.h"

#include "proto/metric.h"
#include "store/rows.h"

static const int64_t t0 = INT64_C(1767225600000); /* 2026-01-01T00:00:00Z */

/* ---- rows ---- */

static struct cb_key key_of(uint32_t n) {
    return cb_key_site(1000000 + n); /* of no site */
}

static void put(struct rig *rig, uint32_t n, const char *text) {
    const struct cb_key key = key_of(n);
    struct cb_row *row;
    assert_int_equal(cb_views_row(rig->views, CB_TABLE_SITE_STATE, &key, &row), 0);
    assert_int_equal(cb_row_resize(rig->views, row, strlen(text)), 0);
    if (row->len > 0) {
        memcpy(row->data, text, row->len);
    }
}

/* What a batch sees; "" for no row. Without taking it in hand, and then so. */
static void assert_seen(struct rig *rig, uint32_t n, const char *text) {
    const struct cb_key key = key_of(n);
    struct cb_str value = {NULL, 0};
    struct cb_row *row;
    for (unsigned again = 0; again < 2; again++) {
        const int rc = cb_views_look(rig->views, CB_TABLE_SITE_STATE, &key, &value);
        assert_int_equal(rc, text[0] ? 0 : CB_ENOENT);
        assert_true(rc != 0 || cb_str_is(value, text));
        assert_int_equal(cb_views_row(rig->views, CB_TABLE_SITE_STATE, &key, &row), 0);
        assert_true(cb_str_is((struct cb_str){(const char *)row->data, row->len}, text));
    }
}

/* What is on disk, which a batch of its own sees. */
static void assert_stored(struct rig *rig, uint32_t n, const char *text) {
    const struct cb_key key = key_of(n);
    struct cb_db *db = cb_views_db(rig->views);
    struct cb_db_txn *txn;
    struct cb_str value = {NULL, 0};
    assert_int_equal(cb_db_begin(db, false, &txn), 0);
    const int rc =
        cb_db_get(txn, cb_views_table(rig->views, CB_TABLE_SITE_STATE), cb_key_str(&key), &value);
    assert_int_equal(rc, text[0] ? 0 : CB_ENOENT);
    assert_true(rc != 0 || cb_str_is(value, text));
    cb_db_abort(&txn);
}

/* LMDB's lock for writers, while the test holds it. */
static struct cb_db_txn *lock;

static void hold_writers(struct rig *rig) {
    assert_int_equal(cb_db_begin(cb_views_db(rig->views), true, &lock), 0);
}

/* Who failed meanwhile must not be waited for by the writer for ever. */
static int teardown(void **state) {
    cb_db_abort(&lock);
    return rig_teardown(state);
}

/* 1 is on disk, and is changed; 2 is, and goes; 3 is, and stays; 4 is new; 5 comes and goes; 6 is,
 * and is taken in hand without being read or changed. */
static void fill(struct rig *rig) {
    const struct cb_key unread = key_of(6);
    struct cb_row *row;
    assert_int_equal(cb_views_begin(rig->views), 0);
    put(rig, 1, "one");
    put(rig, 2, "two");
    put(rig, 3, "three");
    put(rig, 6, "six");
    assert_int_equal(cb_views_commit(rig->views, 1), 0);
    assert_int_equal(cb_views_begin(rig->views), 0);
    put(rig, 1, "one, changed");
    put(rig, 2, "");
    put(rig, 4, "four");
    put(rig, 5, "five");
    put(rig, 5, "");
    assert_seen(rig, 3, "three");
    assert_int_equal(cb_views_row_unread(rig->views, CB_TABLE_SITE_STATE, &unread, true, &row), 0);
}

static void begin_behind(struct rig *rig) {
    fill(rig);
    assert_int_equal(cb_views_commit_behind(rig->views, 2), 0);
    assert_true(cb_views_is_behind(rig->views));
}

static void assert_seen_behind(struct rig *rig) {
    assert_seen(rig, 1, "one, changed");
    assert_seen(rig, 2, "");
    assert_seen(rig, 3, "three");
    assert_seen(rig, 4, "four");
    assert_seen(rig, 5, "");
    assert_seen(rig, 6, "six");
}

static void test_the_next_batch_sees_it(void **state) {
    struct rig *rig = *state;
    fill(rig);
    hold_writers(rig);
    assert_int_equal(cb_views_commit_behind(rig->views, 2), 0);
    assert_true(cb_views_is_behind(rig->views));
    assert_int_equal(cb_views_begin(rig->views), 0);
    assert_false(cb_views_is_behind_written(rig->views));
    assert_seen_behind(rig);
    put(rig, 1, "");
    put(rig, 2, "two again");
    put(rig, 4, "");
    assert_seen(rig, 1, "");
    assert_seen(rig, 2, "two again");
    assert_int_equal(rig_position(rig), 1);
    assert_stored(rig, 1, "one");
    assert_stored(rig, 4, "");
    cb_db_abort(&lock);

    assert_int_equal(cb_views_end_behind(rig->views), 0);
    assert_false(cb_views_is_behind(rig->views));
    assert_int_equal(rig_position(rig), 2);
    assert_stored(rig, 1, "one, changed");
    assert_stored(rig, 2, "");
    assert_stored(rig, 4, "four");
    assert_seen(rig, 1, "");
    assert_seen(rig, 3, "three");
    assert_int_equal(cb_views_commit(rig->views, 3), 0);
    assert_int_equal(rig_position(rig), 3);
    assert_stored(rig, 1, "");
    assert_stored(rig, 2, "two again");
    assert_stored(rig, 3, "three");
    assert_stored(rig, 4, "");
    assert_stored(rig, 5, "");
}

/* What it saw of LMDB before the batch behind it was there it sees no more. */
static void test_what_was_read_before(void **state) {
    struct rig *rig = *state;
    begin_behind(rig);
    assert_int_equal(cb_views_begin(rig->views), 0);
    assert_seen(rig, 3, "three");
    assert_int_equal(cb_views_end_behind(rig->views), 0);
    assert_seen_behind(rig);
    cb_views_rest(rig->views);
    assert_seen_behind(rig);
    cb_views_abort(rig->views);
}

static void test_one_behind_the_other(void **state) {
    struct rig *rig = *state;
    char text[16], before[16] = "";
    for (uint32_t i = 1; i <= 50; i++) {
        snprintf(text, sizeof(text), "%u", i);
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_seen(rig, 7, before);
        put(rig, 7, text);
        put(rig, 100 + i, text);
        assert_int_equal(cb_views_commit_behind(rig->views, i), 0);
        memcpy(before, text, sizeof(text));
    }
    assert_int_equal(cb_views_begin(rig->views), 0);
    assert_seen(rig, 7, "50");
    assert_seen(rig, 149, "49");
    cb_views_abort(rig->views); /* nothing of what is behind */
    assert_int_equal(rig_position(rig), 50);
    assert_stored(rig, 7, "50");
    assert_stored(rig, 101, "1");
}

/* More than the map has room for: of it and of what was built on it nothing is there, and the next
 * batch finds what was there before. */
static void test_no_room(void **state) {
    struct rig *rig = *state;
    enum { BYTES = 2000, ROWS = RIG_MAP_BYTES / BYTES };
    char text[BYTES + 1];
    begin_behind(rig);
    assert_int_equal(cb_views_end_behind(rig->views), 0);
    memset(text, 'x', BYTES);
    text[BYTES] = '\0';
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(cb_views_begin(rig->views), 0);
        put(rig, 1, "too much");
        for (uint32_t i = 0; i < ROWS; i++) {
            put(rig, 10 + i, text);
        }
        assert_int_equal(cb_views_commit_behind(rig->views, 3), 0);
        assert_int_equal(cb_views_begin(rig->views), 0);
        put(rig, 4, "built on it");
        if (again) { /* a commit finds it as well */
            assert_int_equal(cb_views_commit(rig->views, 4), CB_EFULL);
        } else {
            assert_int_equal(cb_views_end_behind(rig->views), CB_EFULL);
            cb_views_abort(rig->views);
        }
        assert_false(cb_views_is_behind(rig->views));
        assert_int_equal(rig_position(rig), 2);
    }
    assert_int_equal(cb_views_begin(rig->views), 0);
    assert_seen_behind(rig);
    assert_seen(rig, 10, "");
    put(rig, 10, "fits");
    assert_int_equal(cb_views_commit(rig->views, 3), 0);
    assert_stored(rig, 10, "fits");
    assert_stored(rig, 1, "one, changed");
}

static void test_closed_while_it_is_written(void **state) {
    struct rig *rig = *state;
    cb_fold_destroy(&rig->fold); /* nobody else has the views */
    cb_reader_close(&rig->reader);
    begin_behind(rig);
    cb_views_close(&rig->views);
    assert_int_equal(cb_views_open(rig->dir, RIG_MAP_BYTES, &rig->views), 0);
    assert_int_equal(rig_position(rig), 2);
    assert_stored(rig, 4, "four");
}

/* ---- the fold ---- */

static unsigned seed;

static unsigned random_below(unsigned n) {
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % n;
}

/* Records of visitors who come again and again, some events twice, some late. */
static void add_records(struct rig *rig, unsigned n) {
    static const char *const names[] = {"page", "onClick", "onMaximize", "cart"};
    static uint64_t seq;
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < 40; j++) {
            const int64_t at = t0 + (int64_t)i * 400000 - random_below(90) * 60000;
            const uint8_t who = (uint8_t)(1 + random_below(200));
            const uint64_t next = random_below(8) ? ++seq : seq;
            rig_add(rig, random_below(3) ? "demo" : "shop", who, who, at, next + 1,
                    names[random_below(4)]);
        }
        rig_seal(rig);
    }
}

/* A batch for each record or two, most of them written behind the next: the rows are those of one
 * batch that has all. */
static void test_the_fold(void **state) {
    struct rig *rig = *state;
    enum { RECORDS = 300 };
    const int64_t commits = cb_metric_get(CB_METRIC_FOLD_COMMITS);
    seed = 5;
    add_records(rig, RECORDS);
    cb_fold_set_batch_bytes(rig->fold, 64 * 1024);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    assert_true(cb_metric_get(CB_METRIC_FOLD_COMMITS) - commits > RECORDS / 4);
    assert_int_equal(cb_fold_committed(rig->fold), cb_journal_head(rig->journal));
    assert_int_equal(rig_position(rig), cb_journal_head(rig->journal));
    rig_rebuild_is_identical(rig);
}

/* A snapshot that somebody keeps holds back all pages that are freed, until the map is full, mostly
 * of a batch that is behind. It is given up with what was built on it; what is there is whole, and
 * when there is room again it goes on. */
static void test_the_fold_without_room(void **state) {
    struct rig *rig = *state;
    enum { RECORDS = 600 };
    struct cb_snapshot *kept;
    seed = 6;
    add_records(rig, RECORDS);
    cb_fold_set_batch_bytes(rig->fold, 64 * 1024);
    assert_int_equal(cb_snapshot_begin(rig->reader, &kept), 0);
    assert_int_equal(cb_fold_catch_up(rig->fold), CB_EFULL);
    assert_true(cb_fold_committed(rig->fold) < cb_journal_head(rig->journal));
    assert_true(cb_fold_committed(rig->fold) > RECORDS / 8);
    assert_int_equal(rig_position(rig), cb_fold_committed(rig->fold));
    cb_snapshot_end(&kept);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    assert_int_equal(cb_fold_committed(rig->fold), cb_journal_head(rig->journal));
    rig_rebuild_is_identical(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_next_batch_sees_it, rig_setup, teardown),
        RIG_TEST(test_what_was_read_before),
        RIG_TEST(test_one_behind_the_other),

        RIG_TEST(test_no_room),
        RIG_TEST(test_closed_while_it_is_written),
        RIG_STOPPED_TEST(test_the_fold),
        RIG_STOPPED_TEST(test_the_fold_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
