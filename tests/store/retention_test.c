/* SPDX-License-Identifier: MIT
 * What a site wants forgotten goes at the journal's change of day, neither sooner nor later, and
 * nothing else does; a rebuild makes the same; sessions that began before what is kept harm
 * nothing.
 */
#include "proto/log.h"
#include "store/folder.h"
#include "store/retained.h"
#include "store/rows.h"
#include "store/sweep.h"
#include "store/sweep_retained.h"
#include "store/upkeep.h"
#include "tests/proto/guard.h"
#include "tests/store/rig.h"

enum { NOBODY = 250, DAY = 1440 };

static const int64_t t0 = INT64_C(1767225600000), day_ms = 86400000; /* 2026-01-01 */
static const int64_t m0 = INT64_C(1767225600000) / 60000;
static int64_t fake_us; /* of both clocks */
static uint64_t seq;    /* of producer 1 */

static int64_t now_us(void) {
    return fake_us;
}

static const struct cb_clock_ops fake_clock = {now_us, now_us};

static int setup(void **state) {
    fake_us = t0 * 1000;
    seq = 0;
    cb_clock_replace(&fake_clock);
    return rig_setup(state);
}

static int teardown(void **state) {
    int rc = rig_teardown(state);
    cb_clock_replace(NULL);
    return rc;
}

/* ---- what happens ---- */

static void settings(struct rig *rig, const char *site, uint32_t personal_days,
                     uint32_t rollup_days, uint32_t idle_minutes) {
    struct cb_control control = {.op = CB_CONTROL_SETTINGS,
                                 .made_ms = 1,
                                 .site = cb_str_of(site),
                                 .settings = {.zone = CB_STR("UTC"),
                                              .idle_minutes = idle_minutes,
                                              .personal_days = personal_days,
                                              .rollup_days = rollup_days,
                                              .page = CB_STR("{}")}};
    rig_control(rig, &control);
}

static void add(struct rig *rig, const char *site, uint8_t visitor, int64_t at_ms,
                struct cb_event event) {
    struct cb_envelope envelope = rig_envelope(site, visitor, 1, at_ms);
    event.seq = ++seq;
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
}

static void set(struct rig *rig, const char *site, uint8_t visitor, int64_t at_ms, const char *key,
                const char *value) {
    struct cb_event event = rig_event(0, "set");
    event.key = cb_str_of(key);
    event.value = cb_str_of(value);
    add(rig, site, visitor, at_ms, event);
}

static void edit(struct rig *rig, const char *site, uint8_t visitor, const char *remarks) {
    struct cb_control control = {.op = CB_CONTROL_EDIT, .made_ms = 1, .site = cb_str_of(site)};
    memset(control.visitor, visitor, CB_VISITOR_BYTES);
    control.fields[CB_FIELD_COUNT] = cb_str_of(remarks);
    rig_control(rig, &control);
}

/* It is so many hours after the beginning: the first record of that hour. */
static void at_hour(struct rig *rig, int64_t hours) {
    fake_us = (t0 + hours * 3600000) * 1000;
    add(rig, "demo", NOBODY, t0 + hours * 3600000, rig_event(0, "tick"));
    rig_fold(rig);
}

/* ---- what is there ---- */

static unsigned values_of(struct rig *rig, const char *site, uint8_t visitor) {
    uint8_t key[CB_VISITOR_BYTES];
    struct cb_snapshot *snapshot;
    struct cb_visitor found;
    unsigned n = 0;
    memset(key, visitor, sizeof(key));
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_visitor(snapshot, rig_site_id(snapshot, site), key, &found), 0);
    for (unsigned field = 0; field < CB_FIELD_COUNT; field++) {
        n += found.fields[field].len > 0;
    }
    n += found.remarks.len > 0;
    cb_snapshot_end(&snapshot);
    return n;
}

static bool count_visitor(void *user, const struct cb_visitor *visitor) {
    (void)visitor;
    ++*(unsigned *)user;
    return true;
}

static unsigned found_by(struct rig *rig, const char *site, const char *q) {
    struct cb_snapshot *snapshot;
    struct cb_search_cursor cursor = {.len = 0};
    unsigned n = 0;
    bool more;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_search(snapshot, rig_site_id(snapshot, site), cb_str_of(q),
                                        &cursor, 100, count_visitor, &n, &more),
                     0);
    cb_snapshot_end(&snapshot);
    return n;
}

static struct cb_retained kept_of(struct rig *rig, const char *site) {
    struct cb_snapshot *snapshot;
    struct cb_retained kept;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_retained(snapshot, rig_site_id(snapshot, site), &kept), 0);
    cb_snapshot_end(&snapshot);
    return kept;
}

static uint64_t sessions_of(struct rig *rig, const char *site, int64_t from, int64_t to) {
    struct cb_snapshot *snapshot;
    struct cb_session_sums *sums = malloc(sizeof(*sums));
    assert_non_null(sums);
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(
        cb_snapshot_sessions(snapshot, rig_site_id(snapshot, site), m0 + from, m0 + to, sums), 0);
    cb_snapshot_end(&snapshot);
    uint64_t n = sums->sessions;
    free(sums);
    return n;
}

static uint64_t rows_of(struct rig *rig, enum cb_table table) {
    struct cb_db_cursor *cursor;
    struct cb_db_txn *txn;
    struct cb_key first = {.len = 0};
    struct cb_str key, value;
    uint64_t n = 0;
    cb_key_u8(&first, 0);
    assert_int_equal(cb_db_begin(cb_views_db(rig->views), false, &txn), 0);
    assert_int_equal(cb_db_cursor_open(txn, cb_views_table(rig->views, table), &cursor), 0);
    for (int rc = cb_db_seek(cursor, cb_key_str(&first), &key, &value); rc == 0;
         rc = cb_db_next(cursor, &key, &value)) {
        n++;
    }
    cb_db_cursor_close(&cursor);
    cb_db_abort(&txn);
    return n;
}

static void assert_rebuilt(struct rig *rig) {
    struct cb_opts opts = {.data = rig->dir, .to = "", .from = "", .map = RIG_MAP_BYTES};
    char out[8192] = "", *sentence = NULL;
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    rig_close(rig);
    FILE *file = fmemopen(out, sizeof(out) - 1, "w");
    int rc = cb_rebuild(&opts, file, &sentence);
    fclose(file);
    if (rc != 0 || !strstr(out, "identical")) {
        fail_msg("%s; %s", sentence ? sentence : "", out);
    }
    free(sentence);
    rig_open(rig);
}

/* ---- tests ---- */

static void test_people(void **state) {
    struct rig *rig = *state;
    const char *const sites[] = {"demo", "shop"};
    settings(rig, "demo", 3, 0, 30);
    for (unsigned i = 0; i < 2; i++) {
        set(rig, sites[i], 1, t0 + 3600000, "name", "Ann Lee");
        set(rig, sites[i], 1, t0 + 3600001, "name", "Ann Moor"); /* "Ann Lee" is history */
        set(rig, sites[i], 1, t0 + 3600002, "phone", "+44 1234");
        set(rig, sites[i], 2, t0 + 23 * 3600000, "name", "Bob");
        set(rig, sites[i], 3, t0, "notes", "seen each day");
        set(rig, sites[i], 4, t0, "email", "dan@example.org");
    }
    rig_fold(rig);
    for (int64_t day = 1; day <= 3; day++) {
        add(rig, "demo", 3, t0 + day * day_ms, rig_event(0, "page"));
        at_hour(rig, 24 * day);
        if (day == 2) {
            edit(rig, "demo", 4, "called");
        }
    }
    /* The last day: nothing went yet. */
    at_hour(rig, 24 * 4 - 1);
    assert_int_equal(values_of(rig, "demo", 1), 2);
    assert_int_equal(found_by(rig, "demo", "moor"), 1);
    assert_int_equal(kept_of(rig, "demo").people, 0);
    uint64_t visitors;
    uint64_t events = rig_count(rig, "demo", "set", m0, m0 + 10 * DAY, &visitors);
    at_hour(rig, 24 * 4);
    assert_int_equal(values_of(rig, "demo", 1), 0);
    assert_int_equal(values_of(rig, "demo", 2), 0);
    assert_int_equal(values_of(rig, "demo", 3), 1); /* seen on the third day */
    assert_int_equal(values_of(rig, "demo", 4), 2); /* written about on the second */
    assert_int_equal(found_by(rig, "demo", "moor"), 0);
    assert_int_equal(found_by(rig, "demo", "1234"), 0);
    assert_int_equal(kept_of(rig, "demo").people, 2);
    assert_true(kept_of(rig, "demo").people_bytes > 200);
    /* Only what they told goes: they were there, and what they did counts. */
    uint64_t visitors_now;
    assert_int_equal(rig_count(rig, "demo", "set", m0, m0 + 10 * DAY, &visitors_now), events);
    assert_int_equal(visitors_now, visitors);
    /* Other sites keep theirs. */
    assert_int_equal(values_of(rig, "shop", 1), 2);
    assert_int_equal(found_by(rig, "shop", "moor"), 1);
    assert_int_equal(kept_of(rig, "shop").people, 0);
    at_hour(rig, 24 * 6);
    assert_int_equal(values_of(rig, "demo", 4), 0);
    at_hour(rig, 24 * 7);
    assert_int_equal(values_of(rig, "demo", 3), 0);
    /* Somebody who comes back is somebody new to tell. */
    set(rig, "demo", 1, t0 + 7 * day_ms, "name", "Ann");
    rig_fold(rig);
    assert_int_equal(values_of(rig, "demo", 1), 1);
    assert_int_equal(rows_of(rig, CB_TABLE_HISTORY), 1); /* shop's */
    assert_rebuilt(rig);
    assert_int_equal(values_of(rig, "demo", 1), 1);
    assert_int_equal(kept_of(rig, "demo").people, 4);
}

static void test_rollups(void **state) {
    struct rig *rig = *state;
    const char *const sites[] = {"demo", "shop"};
    settings(rig, "demo", 0, 4, 30);
    for (int64_t day = 0; day < 10; day++) {
        fake_us = (t0 + day * day_ms + 1000) * 1000;
        for (unsigned i = 0; i < 2; i++) {
            for (uint8_t visitor = 1; visitor <= 5; visitor++) {
                int64_t ms = t0 + day * day_ms + visitor * 4 * 3600000 + 17 * 60000;
                add(rig, sites[i], visitor, ms, rig_event(0, "onWebChatLoaded"));
                add(rig, sites[i], visitor, ms + 1000, rig_event(0, "onClick"));
            }
        }
        rig_fold(rig);
        /* Of the days before the last four nothing, of the others all. */
        for (int64_t back = 0; back <= day; back++) {
            int64_t from = (day - back) * DAY;
            uint64_t visitors, gone = back > 4;
            assert_int_equal(
                rig_count(rig, "demo", "onClick", m0 + from, m0 + from + DAY, &visitors),
                gone ? 0 : 5);
            assert_int_equal(visitors, gone ? 0 : 5);
            assert_int_equal(rig_count(rig, "demo", "sessions", m0 + from, m0 + from + DAY, NULL),
                             gone ? 0 : 5);
            assert_int_equal(sessions_of(rig, "demo", from, from + DAY), gone ? 0 : 5);
            assert_int_equal(
                rig_count(rig, "shop", "onClick", m0 + from, m0 + from + DAY, &visitors), 5);
            assert_int_equal(visitors, 5);
            assert_int_equal(sessions_of(rig, "shop", from, from + DAY), 5);
        }
    }
    struct cb_retained kept = kept_of(rig, "demo");
    assert_int_equal(kept.day, m0 / DAY + 5);
    assert_true(kept.rows > 0 && kept.row_bytes > 8 * kept.rows);
    assert_int_equal(kept_of(rig, "shop").day, 0);
    assert_int_equal(kept_of(rig, "shop").rows, 0);
    /* Kept for ever again: what is gone stays so, and nothing more goes. */
    settings(rig, "demo", 0, 0, 30);
    at_hour(rig, 24 * 20);
    assert_int_equal(rig_count(rig, "demo", "onClick", m0 + 5 * DAY, m0 + 20 * DAY, NULL), 25);
    assert_int_equal(kept_of(rig, "demo").day, kept.day);
    assert_rebuilt(rig);
    assert_int_equal(rig_count(rig, "demo", "onClick", m0, m0 + 20 * DAY, NULL), 25);
}

/* One visit of weeks, whose beginning is long gone from the rollups, and late events that move the
 * beginning of another one back to there. */
static void test_sessions_from_before(void **state) {
    struct rig *rig = *state;
    settings(rig, "demo", 0, 2, 1440);
    for (int64_t half = 0; half < 40; half++) {
        fake_us = (t0 + half * day_ms / 2) * 1000;
        add(rig, "demo", 1, t0 + half * day_ms / 2, rig_event(0, half % 3 ? "onClick" : "page"));
        rig_fold(rig);
    }
    assert_int_equal(sessions_of(rig, "demo", 0, 30 * DAY), 0);
    assert_int_equal(rig_count(rig, "demo", "sessions", m0, m0 + 30 * DAY, NULL), 0);
    settings(rig, "demo", 0, 2, 30);
    add(rig, "demo", 2, t0 + 20 * day_ms, rig_event(0, "page"));
    rig_fold(rig);
    assert_int_equal(sessions_of(rig, "demo", 0, 30 * DAY), 1);
    settings(rig, "demo", 0, 2, 1440);
    for (int64_t half = 1; half < 12; half++) { /* late: each a half day before the one before it */
        add(rig, "demo", 2, t0 + 20 * day_ms - half * day_ms / 2, rig_event(0, "page"));
        rig_fold(rig);
    }
    assert_int_equal(sessions_of(rig, "demo", 0, 30 * DAY), 0);
    assert_int_equal(rig_count(rig, "demo", "sessions", m0, m0 + 30 * DAY, NULL), 0);
    at_hour(rig, 24 * 21);
    at_hour(rig, 24 * 40);
    assert_rebuilt(rig);
}

/* Steps of one row come to the same as those of thousands. */
static void test_small_steps(void **state) {
    struct rig *rig = *state;
    const uint32_t day = (uint32_t)(m0 / DAY) + 30;
    settings(rig, "demo", 3, 5, 30);
    settings(rig, "shop", 0, 7, 30);
    for (unsigned i = 0; i < 300; i++) {
        const char *site = i % 2 ? "demo" : "shop";
        set(rig, site, (uint8_t)(1 + i % 40), t0 + (int64_t)i * 3600000, "name", "Ann");
        set(rig, site, (uint8_t)(1 + i % 40), t0 + (int64_t)i * 3600000 + 1, "name", "Anna");
        if (i % 10 == 9) { /* without a change of the journal's day */
            rig_fold(rig);
        }
    }
    unsigned steps = 0;
    for (bool done = false; !done; steps++) {
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_int_equal(cb_sweep_retained(rig->views, day, 1, &done), 0);
        assert_int_equal(cb_views_commit(rig->views, cb_journal_head(rig->journal)), 0);
        struct cb_key key = cb_key_meta(CB_META_RETAINED_AT);
        struct cb_row *row;
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_int_equal(cb_views_row(rig->views, CB_TABLE_META, &key, &row), 0);
        assert_true((row->len > 0) == !done);
        cb_views_abort(rig->views);
    }
    assert_true(steps > 100);
    const struct cb_retained small[] = {kept_of(rig, "demo"), kept_of(rig, "shop")};
    assert_true(small[0].people > 0 && small[0].rows > 0 && small[1].rows > 0);
    assert_int_equal(small[1].people, 0);
    assert_int_equal(rig_count(rig, "demo", "", m0, m0 + 30 * DAY, NULL), 0);
    /* The same from the journal, in one step. */
    rig_close(rig);
    char path[128];
    snprintf(path, sizeof(path), "%s/views", rig->dir);
    assert_int_equal(nftw(path, rig_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
    rig_open(rig);
    unsigned large = 0;
    for (bool done = false; !done; large++) {
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_int_equal(cb_sweep_retained(rig->views, day, 5000, &done), 0);
        assert_int_equal(cb_views_commit(rig->views, cb_journal_head(rig->journal)), 0);
    }
    assert_true(large < steps / 4);
    const struct cb_retained again[] = {kept_of(rig, "demo"), kept_of(rig, "shop")};
    assert_memory_equal(small, again, sizeof(small));
}

/* A sweep that a crash cuts short, again and again, comes to the same before the same record. */
static void test_cut_short(void **state) {
    struct rig *rig = *state;
    const uint32_t day = (uint32_t)(m0 / DAY) + 30;
    settings(rig, "demo", 3, 5, 30);
    for (unsigned i = 0; i < 200; i++) {
        set(rig, "demo", (uint8_t)(1 + i % 40), t0 + (int64_t)i * 1800000, "name", "Ann");
    }
    rig_fold(rig);
    /* The next day's first record is in the journal and not folded. */
    fake_us = (t0 + 30 * day_ms) * 1000;
    add(rig, "demo", 1, t0 + 30 * day_ms, rig_event(0, "tick"));
    rig_seal(rig);
    const uint64_t position = rig_position(rig);
    assert_int_equal(position + 1, cb_journal_head(rig->journal));
    for (unsigned step = 0; step < 7; step++) {
        bool done;
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_int_equal(cb_sweep_step(rig->views, day, 3, &done), 0);
        assert_false(done);
        if (step % 2) { /* and what was not committed never was */
            cb_views_abort(rig->views);
        } else {
            assert_int_equal(cb_views_commit(rig->views, position), 0);
        }
    }
    rig_close(rig);
    rig_open(rig); /* as a start does: it sweeps on, then folds */
    assert_int_equal(rig_count(rig, "demo", "", m0, m0 + 29 * DAY, NULL), 0);
    assert_int_equal(rig_count(rig, "demo", "tick", m0, m0 + 31 * DAY, NULL), 1);
    assert_int_equal(kept_of(rig, "demo").people, 40);
    assert_rebuilt(rig);
}

/* Whatever sites set and visitors do, at each change of the day nothing is there that should not
 * be, what should is, and a rebuild agrees. */
static void test_anything(void **state) {
    struct rig *rig = *state;
    uint64_t random = 20260101;
    struct {
        uint32_t personal, rollup;
        int64_t gone; /* rollups of days before this */
        int64_t seen[12];
        bool told[12];
        uint64_t events[60];
    } sites[2] = {{.gone = 0}};
    const char *const names[] = {"demo", "shop"};
    for (int64_t day = 0; day < 60; day++) {
        const int64_t start = t0 + day * day_ms;
        fake_us = (start + 1) * 1000;
        /* The first record of the day, by somebody who tells nothing; settings of before count. */
        for (unsigned s = 0; s < 2; s++) {
            add(rig, names[s], NOBODY, start, rig_event(0, "tick"));
            sites[s].events[day]++;
        }
        rig_fold(rig);
        for (unsigned s = 0; s < 2; s++) {
            int64_t from = day - sites[s].rollup;
            if (sites[s].rollup > 0 && from > sites[s].gone) {
                sites[s].gone = from;
            }
            for (unsigned v = 0; v < 12; v++) {
                if (sites[s].personal > 0 && sites[s].told[v] &&
                    sites[s].seen[v] < day - sites[s].personal) {
                    sites[s].told[v] = false;
                }
                if (sites[s].seen[v] > 0 || sites[s].told[v]) {
                    assert_int_equal(values_of(rig, names[s], (uint8_t)(1 + v)), sites[s].told[v]);
                }
            }
            for (int64_t d = 0; d <= day; d++) {
                uint64_t visitors;
                uint64_t n =
                    rig_count(rig, names[s], "", m0 + d * DAY, m0 + (d + 1) * DAY, &visitors);
                assert_int_equal(n, d < sites[s].gone ? 0 : sites[s].events[d]);
                assert_true(n == 0 ? visitors == 0 : visitors > 0);
            }
        }
        for (unsigned i = 0; i < 10; i++) {
            unsigned s = (unsigned)(guard_random(&random) % 2);
            unsigned v = (unsigned)(guard_random(&random) % 12);
            int64_t at = start + (int64_t)(guard_random(&random) % (uint64_t)(day_ms - 2)) + 1;
            fake_us = at * 1000 > fake_us ? at * 1000 : fake_us;
            if (guard_random(&random) % 3 == 0) {
                set(rig, names[s], (uint8_t)(1 + v), at, "name", i % 2 ? "Ann" : "Bob");
                sites[s].told[v] = true;
            } else {
                add(rig, names[s], (uint8_t)(1 + v), at, rig_event(0, "page"));
            }
            sites[s].seen[v] = day;
            sites[s].events[day]++;
            if (i % 3 == 0) {
                rig_fold(rig);
            }
        }
        if (day % 7 == 3) {
            unsigned s = (unsigned)(guard_random(&random) % 2);
            sites[s].personal = (uint32_t)(guard_random(&random) % 6);
            sites[s].rollup = (uint32_t)(guard_random(&random) % 12);
            settings(rig, names[s], sites[s].personal, sites[s].rollup, 30);
        }
    }
    rig_fold(rig);
    assert_true(kept_of(rig, "demo").rows + kept_of(rig, "shop").rows > 0);
    assert_true(kept_of(rig, "demo").people + kept_of(rig, "shop").people > 0);
    assert_rebuilt(rig);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_people),      TEST(test_rollups),   TEST(test_sessions_from_before),
        TEST(test_small_steps), TEST(test_cut_short), TEST(test_anything)};
    cb_log_set_level(CB_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
