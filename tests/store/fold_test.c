/* SPDX-License-Identifier: MIT
 * From journal records to what reports read: exactly once, the books, ranges, visitors, fields,
 * sessions, restart. */
#include "tests/store/rig.h"

#include "store/rows.h"
#include "store/sweep.h"

static const int64_t day_ms = 86400000;
static const int64_t t0 = INT64_C(1767225600000); /* 2026-01-01T00:00:00Z */
#define M0 (t0 / 60000)

static void test_exactly_once(void **state) {
    struct rig *rig = *state;
    for (int round = 0; round < 3; round++) {
        for (uint64_t seq = 1; seq <= 10; seq++) {
            rig_add(rig, "demo", 1, 1, t0, seq, "onClick");
        }
        rig_add(rig, "shop", 1, 1, t0, 1,
                "onClick"); /* the same producer under another site is another */
        rig_fold(rig);
    }
    assert_int_equal(rig_count(rig, "demo", "onClick", M0, M0 + 1, NULL), 10);
    assert_int_equal(rig_count(rig, "shop", "onClick", M0, M0 + 1, NULL), 1);
    struct cb_books books = rig_books(rig, "demo");
    assert_int_equal(books.received, 30);
    assert_int_equal(books.counted, 10);
    assert_int_equal(books.duplicate, 20);
    assert_int_equal(books.lost, 0);
}

static void test_first_payload_wins(void **state) {
    struct rig *rig = *state;
    rig_add(rig, "demo", 1, 1, t0, 1, "onClick");
    rig_add(rig, "demo", 1, 1, t0, 1, "onMaximize");
    rig_fold(rig);
    assert_int_equal(rig_count(rig, "demo", "onClick", M0, M0 + 1, NULL), 1);
    assert_int_equal(rig_count(rig, "demo", "onMaximize", M0, M0 + 1, NULL), 0);
}

static void test_lost_shrinks(void **state) {
    struct rig *rig = *state;
    rig_add(rig, "demo", 1, 1, t0, 1, "onClick");
    rig_add(rig, "demo", 1, 1, t0, 5, "onClick");
    rig_fold(rig);
    assert_int_equal(rig_books(rig, "demo").lost, 3);
    rig_add(rig, "demo", 1, 1, t0, 3, "onClick");
    rig_fold(rig);
    assert_int_equal(rig_books(rig, "demo").lost, 2);
    /* A refused event that told its number did arrive. */
    struct cb_reject reject = {
        .site = CB_STR("demo"), .refusal = CB_REFUSE_BAD_EVENT, .n = 1, .has_seq = true, .seq = 2};
    memset(reject.producer, 1, CB_PRODUCER_BYTES);
    assert_int_equal(cb_frame_builder_reject(&rig->builder, &reject), 0);
    rig_fold(rig);
    struct cb_books books = rig_books(rig, "demo");
    assert_int_equal(books.lost, 1);
    assert_int_equal(books.rejected[CB_REFUSE_BAD_EVENT], 1);
    assert_int_equal(books.received, books.counted + books.duplicate + 1);
}

static void test_books_without_site(void **state) {
    struct rig *rig = *state;
    struct cb_reject reject = {.refusal = CB_REFUSE_BAD_JSON, .n = 4};
    assert_int_equal(cb_frame_builder_reject(&rig->builder, &reject), 0);
    /* Ingest does not let an unknown site through; a frame that has one all the same must not break
     * the books. */
    rig_add(rig, "nowhere", 1, 1, t0, 1, "onClick");
    rig_fold(rig);
    struct cb_books books = rig_books(rig, NULL);
    assert_int_equal(books.received, 5);
    assert_int_equal(books.rejected[CB_REFUSE_BAD_JSON], 4);
    assert_int_equal(books.rejected[CB_REFUSE_SITE_UNKNOWN], 1);
    assert_int_equal(books.counted, 0);
}

/* Every range over three days, with odd edges, against a plain recount. */
static void test_ranges(void **state) {
    struct rig *rig = *state;
    static uint8_t visitor_of[4320];
    unsigned seed = 7;
    uint64_t seq = 0;
    for (int minute = 0; minute < 4320; minute += 7) {
        seed = seed * 1103515245u + 12345u;
        visitor_of[minute] = (uint8_t)(1 + (seed >> 16) % 20);
        rig_add(rig, "demo", visitor_of[minute], 1, t0 + minute * INT64_C(60000) + 59999, ++seq,
                "page");
    }
    rig_fold(rig);
    for (int i = 0; i < 400; i++) {
        seed = seed * 1103515245u + 12345u;
        int from = (int)((seed >> 8) % 4320);
        seed = seed * 1103515245u + 12345u;
        int to = from + (int)((seed >> 8) % (4321 - (unsigned)from));
        uint64_t events = 0, visitors = 0, got_visitors;
        bool there[256] = {false};
        for (int minute = from; minute < to; minute++) {
            if (visitor_of[minute] != 0) {
                events++;
                visitors += !there[visitor_of[minute]];
                there[visitor_of[minute]] = true;
            }
        }
        assert_int_equal(rig_count(rig, "demo", "page", M0 + from, M0 + to, &got_visitors), events);
        assert_int_equal(got_visitors, visitors);
        assert_int_equal(rig_count(rig, "demo", "", M0 + from, M0 + to, &got_visitors), events);
        assert_int_equal(got_visitors, visitors);
    }
}

/* More visitors than a list of one chunk holds, and than one chunk has. */
static void test_many_visitors(void **state) {
    struct rig *rig = *state;
    enum { VISITORS = 20000 };
    for (uint32_t i = 0; i < VISITORS; i++) {
        struct cb_envelope envelope = rig_envelope("demo", 1, 1, t0);
        memcpy(envelope.visitor, &i, sizeof(i));
        memcpy(envelope.producer, &i, sizeof(i));
        struct cb_event event = rig_event(1, "onClick");
        int rc = cb_frame_builder_add(&rig->builder, &envelope, &event, 1);
        if (rc == CB_EFULL) {
            rig_seal(rig);
            rc = cb_frame_builder_add(&rig->builder, &envelope, &event, 1);
        }
        assert_int_equal(rc, 0);
    }
    rig_fold(rig);
    uint64_t visitors;
    assert_int_equal(rig_count(rig, "demo", "onClick", M0, M0 + 1, &visitors), VISITORS);
    assert_int_equal(visitors, VISITORS);
    assert_int_equal(rig_count(rig, "demo", "", M0 - 1440, M0 + 1440, &visitors), VISITORS);
    assert_int_equal(visitors, VISITORS);
}

static void test_sessions(void **state) {
    struct rig *rig = *state;
    const int64_t minutes[] = {0, 29, 58, 89, 300, 299, 60 * 24 * 3};
    for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
        rig_add(rig, "demo", 1, 1, t0 + minutes[i] * 60000, i + 1, "page");
    }
    /* Late, but within the idle gap of the first session: joins it. */
    rig_add(rig, "demo", 1, 1, t0 + 10 * 60000, 50, "page");
    /* Late and away from all: opens one. */
    rig_add(rig, "demo", 1, 1, t0 + 180 * 60000, 51, "page");
    rig_add(rig, "demo", 2, 2, t0, 1, "page");
    rig_fold(rig);
    /* visitor 1: [0…58], 89 (31 minutes later), 299…300, 180, three days later; visitor 2: one. */
    assert_int_equal(rig_count(rig, "demo", "sessions", M0, M0 + 1440 * 8, NULL), 6);
    assert_int_equal(rig_count(rig, "demo", "sessions", M0, M0 + 1, NULL), 2);
}

struct list {
    size_t n;
    struct cb_visitor rows[8];
    char name[8][64];
};

static bool collect(void *user, const struct cb_visitor *visitor) {
    struct list *list = user;
    snprintf(list->name[list->n], 64, "%.*s", (int)visitor->fields[CB_FIELD_NAME].len,
             visitor->fields[CB_FIELD_NAME].p);
    list->rows[list->n++] = *visitor;
    return list->n < 2; /* pages of two */
}

static void add_set(struct rig *rig, uint8_t visitor, uint8_t producer, int64_t received_ms,
                    int64_t age_ms, uint64_t seq, const char *key, const char *value) {
    struct cb_envelope envelope = rig_envelope("demo", visitor, producer, received_ms);
    struct cb_event event = rig_event(seq, "set");
    event.key = cb_str_of(key);
    event.value = cb_str_of(value);
    event.age_ms = age_ms;
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
}

static void test_visitor_list(void **state) {
    struct rig *rig = *state;
    for (uint8_t v = 1; v <= 5; v++) {
        char name[8];
        snprintf(name, sizeof(name), "v%d", v);
        add_set(rig, v, v, t0 + v * 60000, 0, 1, "name", name);
    }
    add_set(rig, 2, 2, t0 + 10 * 60000, 0, 2, "name", "v2 again"); /* moves to the front */
    rig_fold(rig);
    struct cb_snapshot *snapshot;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    struct cb_visitor_cursor cursor = {{0}};
    const char *const expected[] = {"v2 again", "v5", "v4", "v3", "v1"};
    size_t at = 0;
    bool more = true;
    while (more) {
        struct list list = {0};
        assert_int_equal(cb_snapshot_visitors(snapshot, rig_site_id(snapshot, "demo"), &cursor, 100,
                                              collect, &list, &more),
                         0);
        for (size_t i = 0; i < list.n; i++) {
            assert_string_equal(list.name[i], expected[at]);
            at++;
        }
    }
    assert_int_equal(at, 5);
    struct cb_visitor visitor;
    uint8_t key[CB_VISITOR_BYTES];
    memset(key, 2, sizeof(key));
    assert_int_equal(cb_snapshot_visitor(snapshot, rig_site_id(snapshot, "demo"), key, &visitor),
                     0);
    assert_int_equal(visitor.events, 2);
    assert_int_equal(visitor.first_seen_ms, t0 + 2 * 60000);
    assert_int_equal(visitor.last_seen_ms, t0 + 10 * 60000);
    cb_snapshot_end(&snapshot);
}

static void expect_field(struct rig *rig, uint8_t visitor, unsigned field, const char *value) {
    struct cb_snapshot *snapshot;
    struct cb_visitor row;
    uint8_t key[CB_VISITOR_BYTES];
    memset(key, visitor, sizeof(key));
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_visitor(snapshot, rig_site_id(snapshot, "demo"), key, &row), 0);
    assert_int_equal(row.fields[field].len, strlen(value));
    assert_memory_equal(row.fields[field].p, value, strlen(value));
    cb_snapshot_end(&snapshot);
}

static void test_write_order(void **state) {
    struct rig *rig = *state;
    add_set(rig, 1, 1, t0, 0, 5, "name", "five");
    add_set(rig, 1, 1, t0 + 1000, 0, 4, "name", "four, sent later");
    rig_fold(rig);
    expect_field(rig, 1, CB_FIELD_NAME, "five"); /* same producer: the higher number wins */
    add_set(rig, 1, 2, t0 + 5000, 10000, 1, "name", "older by its corrected time");
    rig_fold(rig);
    expect_field(rig, 1, CB_FIELD_NAME, "five");
    add_set(rig, 1, 3, t0 + 500, 0, 1, "name", "later");
    rig_fold(rig);
    expect_field(rig, 1, CB_FIELD_NAME, "later");
    expect_field(rig, 1, CB_FIELD_EMAIL, "");
}

static void test_long_field(void **state) {
    struct rig *rig = *state;
    static char notes[16001];
    memset(notes, 'n', 16000);
    for (size_t i = 0; i < 16000; i += 4) {
        memcpy(notes + i, "\xf0\x9f\x98\x80", 4); /* 4,000 characters of 4 bytes */
    }
    add_set(rig, 1, 1, t0, 0, 1, "notes", notes);
    rig_fold(rig);
    expect_field(rig, 1, CB_FIELD_NOTES, notes);
    add_set(rig, 1, 1, t0, 0, 2, "notes", "short");
    rig_fold(rig);
    expect_field(rig, 1, CB_FIELD_NOTES, "short");
    add_set(rig, 1, 1, t0, 0, 3, "notes", "");
    rig_fold(rig);
    expect_field(rig, 1, CB_FIELD_NOTES, "");
}

static void test_restart(void **state) {
    struct rig *rig = *state;
    rig_add(rig, "demo", 1, 1, t0, 1, "onClick");
    rig_fold(rig);
    rig_add(rig, "demo", 1, 1, t0, 2, "onClick");
    rig_add(rig, "demo", 1, 1, t0, 1, "onClick");
    rig_seal(rig); /* acked, not folded: then the process dies */
    rig_close(rig);
    rig_open(rig);
    assert_int_equal(rig_count(rig, "demo", "onClick", M0, M0 + 1, NULL), 2);
    assert_int_equal(rig_books(rig, "demo").duplicate, 1);
    rig_close(rig);
    rig_open(rig); /* nothing is folded twice */
    assert_int_equal(rig_count(rig, "demo", "onClick", M0, M0 + 1, NULL), 2);
}

/* Views made anew from the journal say the same. */
static void test_rebuild(void **state) {
    struct rig *rig = *state;
    for (uint64_t seq = 1; seq < 200; seq++) {
        rig_add(rig, "demo", (uint8_t)(seq % 7), (uint8_t)(seq % 5), t0 + (int64_t)seq * 1000000,
                seq, "onClick");
        if (seq % 20 == 0) {
            rig_fold(rig);
        }
    }
    rig_fold(rig);
    uint64_t visitors_before, visitors_after;
    uint64_t before = rig_count(rig, "demo", "", M0, M0 + 1440 * 8, &visitors_before);
    struct cb_books books_before = rig_books(rig, "demo");
    rig_close(rig);
    char path[128];
    snprintf(path, sizeof(path), "%s/views", rig->dir);
    assert_int_equal(nftw(path, rig_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
    rig_open(rig);
    assert_int_equal(rig_count(rig, "demo", "", M0, M0 + 1440 * 8, &visitors_after), before);
    assert_int_equal(visitors_after, visitors_before);
    struct cb_books books_after = rig_books(rig, "demo");
    assert_memory_equal(&books_after, &books_before, sizeof(books_before));
}

struct rows {
    size_t n;
    uint64_t seq[64];
    uint64_t position[64];
};

static bool keep_row(void *user, const struct cb_export_row *row) {
    struct rows *rows = user;
    assert_true(rows->n < 64);
    rows->seq[rows->n] = row->event->seq;
    rows->position[rows->n++] = row->position;
    return true;
}

/* Each counted event once, in journal order, however the export is cut in pieces. */
static void test_export(void **state) {
    struct rig *rig = *state;
    for (int round = 0; round < 3; round++) {
        for (uint64_t seq = 1; seq <= 5; seq++) {
            rig_add(rig, "demo", 1, 1, t0, seq + (uint64_t)round, "onClick"); /* 1…5, 2…6, 3…7 */
            rig_add(rig, "shop", 1, 1, t0, seq, "onClick");
        }
        rig_fold(rig);
    }
    for (uint32_t scan_max = 1; scan_max < 40; scan_max += 3) {
        struct rows rows = {0};
        struct cb_export_cursor cursor = {0};
        const struct cb_str site = CB_STR("demo");
        bool more = true;
        for (int turns = 0; more; turns++) {
            struct cb_snapshot *snapshot;
            assert_true(turns < 200);
            assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
            assert_int_equal(cb_snapshot_export(snapshot, &site, &cursor, UINT64_MAX, scan_max,
                                                keep_row, &rows, &more),
                             0);
            cb_snapshot_end(&snapshot);
        }
        assert_int_equal(rows.n, 7);
        for (size_t i = 0; i < rows.n; i++) {
            assert_int_equal(rows.seq[i], i + 1);
            assert_true(i == 0 || rows.position[i] >= rows.position[i - 1]);
        }
    }
}

static bool count_row(void *user, const struct cb_export_row *row) {
    (void)row;
    ++*(size_t *)user;
    return true;
}

/* A frame whose uncounted events stand in several verdict chunks. */
static void test_export_large_frame(void **state) {
    struct rig *rig = *state;
    enum { EVENTS = 20000 };
    static struct cb_event events[EVENTS];
    struct cb_envelope envelope = rig_envelope("demo", 1, 1, t0);
    for (uint32_t i = 0; i < EVENTS; i++) {
        events[i] = rig_event(i % 2 ? i : i + 1, "get"); /* each odd number twice */
        events[i].key = CB_STR("name");
    }
    for (uint32_t i = 0; i < EVENTS; i += 5000) {
        assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &events[i], 5000), 0);
    }
    rig_fold(rig);
    struct cb_snapshot *snapshot;
    size_t n = 0;
    struct cb_export_cursor cursor = {0};
    bool more;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(
        cb_snapshot_export(snapshot, NULL, &cursor, UINT64_MAX, UINT32_MAX, count_row, &n, &more),
        0);
    cb_snapshot_end(&snapshot);
    assert_false(more);
    assert_int_equal(n, EVENTS / 2);
    assert_int_equal(rig_books(rig, "demo").counted, EVENTS / 2);
}

/* Frames full of another site's events cost what they take: one call does not read them all. */
static void test_export_rare_site(void **state) {
    struct rig *rig = *state;
    enum { FRAMES = 8, EVENTS = 2000 };
    for (uint64_t i = 0; i < FRAMES * EVENTS; i++) {
        rig_add(rig, "shop", 1, 1, t0, i + 1, "onClick");
        if (i % EVENTS == EVENTS - 1) {
            rig_fold(rig);
        }
    }
    const struct cb_str site = CB_STR("demo");
    struct cb_export_cursor cursor = {0};
    struct cb_snapshot *snapshot;
    size_t n = 0, turns = 0;
    bool more = true;
    for (; more; turns++) {
        assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
        assert_int_equal(
            cb_snapshot_export(snapshot, &site, &cursor, UINT64_MAX, FRAMES, count_row, &n, &more),
            0);
        cb_snapshot_end(&snapshot);
    }
    assert_int_equal(n, 0);
    assert_true(turns >= FRAMES);
}

static int64_t fake_wall_us, fake_mono_us;

static int64_t wall_us(void) {
    return fake_wall_us;
}

static int64_t mono_us(void) {
    return fake_mono_us;
}

static const struct cb_clock_ops fake_clock = {wall_us, mono_us};

static size_t rows_of(struct rig *rig, enum cb_table table) {
    struct cb_db_txn *txn;
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    size_t n = 0;
    assert_int_equal(cb_db_begin(cb_views_db(rig->views), false, &txn), 0);
    assert_int_equal(cb_db_cursor_open(txn, cb_views_table(rig->views, table), &cursor), 0);
    for (int rc = cb_db_seek(cursor, CB_STR("\0"), &key, &value); rc == 0;
         rc = cb_db_next(cursor, &key, &value)) {
        n++;
    }
    cb_db_cursor_close(&cursor);
    cb_db_abort(&txn);
    return n;
}

static void pass_days(int64_t days) {
    fake_mono_us += days * 86400000000;
    fake_wall_us += days * 86400000000;
}

/* Seen sets live for 8 days of journal time behind the last receipt, and no wall clock can end
 * them. */
static void test_seen_expires(void **state) {
    struct rig *rig = *state;
    fake_wall_us = cb_clock_wall_ms() * 1000;
    fake_mono_us = 1000000;
    cb_clock_replace(&fake_clock);
    rig_close(rig);
    rig_open(rig); /* the journal's clock begins anew on the fake one */
    int64_t to_midnight_us = (day_ms - fake_wall_us / 1000 % day_ms) * 1000;
    fake_mono_us += to_midnight_us; /* whole days are counted: what follows begins with one */
    fake_wall_us += to_midnight_us;
    const uint64_t odd = 400; /* numbers that need chunks */
    for (uint64_t seq = 1; seq <= odd; seq++) {
        rig_add(rig, "demo", 1, 2, t0, 2 * seq, "onClick");
    }
    rig_add(rig, "demo", 1, 1, t0, 1, "onClick");
    rig_fold(rig);
    assert_int_equal(rows_of(rig, CB_TABLE_SEEN), 2);
    assert_true(rows_of(rig, CB_TABLE_SEEN_CHUNKS) > 0);
    pass_days(8);
    fake_wall_us += 365 * 86400000000; /* the wall clock goes wrong by a year */
    rig_add(rig, "demo", 1, 1, t0, 1, "onClick");
    rig_add(rig, "demo", 1, 2, t0, 800, "onClick");
    rig_fold(rig);
    assert_int_equal(rig_books(rig, "demo").duplicate, 2); /* still known */
    fake_wall_us -= 365 * 86400000000;
    pass_days(5);
    rig_add(rig, "demo", 1, 1, t0, 1, "onClick"); /* goes on; producer 2 stays silent */
    rig_fold(rig);
    pass_days(5);
    rig_add(rig, "demo", 1, 3, t0, 1, "onClick");
    rig_fold(rig);
    assert_int_equal(rig_books(rig, "demo").duplicate, 3);
    assert_int_equal(rows_of(rig, CB_TABLE_SEEN), 2); /* 1 and 3 */
    assert_int_equal(rows_of(rig, CB_TABLE_SEEN_CHUNKS), 0);
    rig_add(rig, "demo", 1, 1, t0, 1, "onClick");
    rig_fold(rig);
    assert_int_equal(rig_books(rig, "demo").duplicate, 4);
    cb_clock_replace(NULL);
}

static void add_producer(struct rig *rig, uint32_t producer, uint64_t seq) {
    struct cb_envelope envelope = rig_envelope("demo", 0, 1, t0);
    memcpy(envelope.producer, &producer, sizeof(producer));
    struct cb_event event = rig_event(seq, "onClick");
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
}

/* From now on time goes by only where the test says so. */
static void restart_with_fake_clock(struct rig *rig) {
    fake_wall_us = cb_clock_wall_ms() * 1000;
    fake_mono_us = 1000000;
    cb_clock_replace(&fake_clock);
    rig_close(rig);
    rig_open(rig);
}

/* More producers than one step takes. */
static void test_seen_expires_in_steps(void **state) {
    struct rig *rig = *state;
    restart_with_fake_clock(rig);
    for (uint32_t i = 0; i < 7000; i++) {
        add_producer(rig, i, 1);
    }
    rig_fold(rig);
    assert_int_equal(rows_of(rig, CB_TABLE_SEEN), 7000);
    pass_days(20);
    rig_add(rig, "demo", 0, 7, t0, 1, "onClick");
    rig_fold(rig);
    assert_int_equal(rows_of(rig, CB_TABLE_SEEN), 1);
    assert_int_equal(rig_books(rig, "demo").counted, 7001);
    cb_clock_replace(NULL);
}

static bool is_under_way(struct rig *rig) {
    struct cb_key key = cb_key_meta(CB_META_PRODUCERS_AT);
    struct cb_db_txn *txn;
    struct cb_str value;
    assert_int_equal(cb_db_begin(cb_views_db(rig->views), false, &txn), 0);
    int rc = cb_db_get(txn, cb_views_table(rig->views, CB_TABLE_META), cb_key_str(&key), &value);
    cb_db_abort(&txn);
    return rc == 0;
}

/* A sweep that crashes cut short, also between the chunks of one producer, goes on where it stood,
 * and what it leaves is what one without a crash does. */
static void test_seen_expires_cut_short(void **state) {
    struct rig *rig = *state;
    restart_with_fake_clock(rig);
    for (uint32_t i = 0; i < 40; i++) {
        const uint64_t odd = i % 36 == 3 ? 60 : 1;
        for (uint64_t n = 0; n < odd; n++) {
            add_producer(rig, i, 1 + 2000 * n);
        }
    }
    rig_fold(rig);
    pass_days(6);
    for (uint32_t i = 0; i < 40; i += 4) {
        add_producer(rig, i, 2);
    }
    rig_fold(rig);
    const size_t chunks = rows_of(rig, CB_TABLE_SEEN_CHUNKS);
    assert_true(chunks > 80);
    pass_days(5);
    rig_add(rig, "demo", 0, 7, t0, 1, "onClick"); /* in the journal, and not folded */
    rig_seal(rig);
    const uint32_t day = (uint32_t)(cb_clock_wall_ms() / day_ms);
    const uint64_t position = rig_position(rig);
    assert_int_equal(position + 1, cb_journal_head(rig->journal));
    bool done = false;
    unsigned under_way = 0;
    for (unsigned step = 0; !done; step++) {
        assert_true(step < 400);
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_int_equal(cb_sweep_step(rig->views, day, 3, &done), 0);
        if (step % 2) { /* and what was not committed never was */
            cb_views_abort(rig->views);
            done = false;
            continue;
        }
        assert_int_equal(cb_views_commit(rig->views, position), 0);
        under_way += is_under_way(rig);
        if (under_way == 5) { /* two of the 15 rows were of `seen` */
            assert_int_equal(rows_of(rig, CB_TABLE_SEEN_CHUNKS), chunks - 13);
        }
    }
    assert_true(under_way > chunks / 3);
    assert_int_equal(rows_of(rig, CB_TABLE_SEEN), 10);
    assert_int_equal(rows_of(rig, CB_TABLE_SEEN_CHUNKS), 0);
    rig_close(rig);
    rig_open(rig);
    assert_false(is_under_way(rig));
    assert_int_equal(rows_of(rig, CB_TABLE_SEEN), 11);
    rig_rebuild_is_identical(rig);
    cb_clock_replace(NULL);
}

static void test_names_are_capped(void **state) {
    struct rig *rig = *state;
    for (unsigned i = 0; i < CB_NAMES_MAX + 50; i++) {
        char name[32];
        snprintf(name, sizeof(name), "custom%u", i);
        rig_add(rig, "demo", 1, 1, t0, i + 1, name);
    }
    rig_fold(rig);
    assert_int_equal(rig_count(rig, "demo", "custom7", M0, M0 + 1, NULL), 1);
    assert_int_equal(rig_count(rig, "demo", CB_NAME_OTHER, M0, M0 + 1, NULL), 50);
    assert_int_equal(rig_count(rig, "demo", "", M0, M0 + 1, NULL), CB_NAMES_MAX + 50);
}

static void test_token(void **state) {
    struct rig *rig = *state;
    struct cb_control token = {
        .op = CB_CONTROL_TOKEN, .made_ms = 5, .role = CB_ROLE_OPERATOR, .site = CB_STR("shop")};
    memset(token.token, 0xab, sizeof(token.token));
    rig_control(rig, &token);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    struct cb_snapshot *snapshot;
    struct cb_token found;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_token(snapshot, token.token, &found), 0);
    assert_int_equal(found.role, CB_ROLE_OPERATOR);
    assert_string_equal(found.site, "shop");
    token.token[31] ^= 1;
    assert_int_equal(cb_snapshot_token(snapshot, token.token, &found), CB_ENOENT);
    cb_snapshot_end(&snapshot);
}

/* A clock at 1970 must not reach below minute 0. */
static void test_time_before_1970(void **state) {
    struct rig *rig = *state;
    struct cb_envelope envelope = rig_envelope("demo", 1, 1, 5);
    struct cb_event event = rig_event(1, "onClick");
    event.age_ms = day_ms;
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
    rig_fold(rig);
    assert_int_equal(rig_count(rig, "demo", "onClick", 0, 1440, NULL), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_STOPPED_TEST(test_exactly_once),
        RIG_STOPPED_TEST(test_first_payload_wins),
        RIG_TEST(test_lost_shrinks),
        RIG_TEST(test_books_without_site),
        RIG_STOPPED_TEST(test_ranges),
        RIG_STOPPED_TEST(test_many_visitors),
        RIG_STOPPED_TEST(test_sessions),
        RIG_TEST(test_visitor_list),
        RIG_TEST(test_write_order),
        RIG_TEST(test_long_field),
        RIG_STOPPED_TEST(test_restart),
        RIG_TEST(test_rebuild),
        RIG_STOPPED_TEST(test_names_are_capped),
        RIG_TEST(test_token),
        RIG_TEST(test_export),
        RIG_TEST(test_seen_expires),
        RIG_TEST(test_seen_expires_in_steps),
        RIG_TEST(test_seen_expires_cut_short),
        RIG_TEST(test_export_large_frame),
        RIG_TEST(test_export_rare_site),
        RIG_STOPPED_TEST(test_time_before_1970),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
