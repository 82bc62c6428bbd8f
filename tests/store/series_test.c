/* SPDX-License-Identifier: MIT
 * Counts and different visitors of any range, against a walk through the events themselves: over
 * zones and changes of clocks, late events, a zone that is set anew, and rows that go with time. */
#include "store/ordinal_list.h"
#include "store/zone.h"
#include "tests/store/rig.h"

#include "store/rows.h"
#include "store/sweep.h"

enum { EVENTS_MAX = 8000, NAMES = 3, VISITORS = 60, MINUTE = 60000 };
static const int64_t day_ms = 86400000;

static const char *const names[NAMES] = {"onClick", "page", "message"};

struct event {
    int64_t minute;
    unsigned name, visitor; /* visitor 0: none */
    struct cb_day day;      /* of the zone that the site had then */
};

static struct {
    struct event events[EVENTS_MAX];
    size_t n;
    struct cb_zones *zones;
    struct cb_zone *zone;
    int64_t from, to; /* minutes that have any */
    unsigned seed;
} model;

static unsigned below(unsigned n) {
    model.seed = model.seed * 1103515245u + 12345u;
    return (model.seed >> 8) % n;
}

static void begin(unsigned seed) {
    memset(&model, 0, sizeof model);
    model.seed = seed;
    assert_int_equal(cb_zones_create(&model.zones), 0);
    assert_int_equal(cb_zones_get(model.zones, CB_STR("UTC"), &model.zone), 0);
}

static void set_zone(struct rig *rig, const char *zone) {
    struct cb_control control = {.op = CB_CONTROL_SETTINGS, .site = CB_STR("demo")};
    control.settings = cb_settings_default();
    control.settings.zone = cb_str_of(zone);
    rig_control(rig, &control);
    assert_int_equal(cb_zones_get(model.zones, cb_str_of(zone), &model.zone), 0);
}

static int64_t now_minute(void) {
    return rig_us / 1000 / MINUTE;
}

/* An event that happened `age` minutes ago; visitor 0 is none. */
static void add(struct rig *rig, unsigned name, unsigned visitor, int64_t age, uint64_t *seq) {
    struct event *event = &model.events[model.n++];
    assert_true(model.n <= EVENTS_MAX);
    *event = (struct event){.minute = now_minute() - age, .name = name, .visitor = visitor};
    event->day = cb_zone_day(model.zone, event->minute);
    model.from = model.n == 1 || event->minute < model.from ? event->minute : model.from;
    model.to = event->minute >= model.to ? event->minute + 1 : model.to;
    rig_add(rig, "demo", (uint8_t)visitor, 9, event->minute * MINUTE, ++*seq, names[name]);
}

/* New ones come all the time. */
static unsigned random_visitor(unsigned step) {
    unsigned known = 5 + step / 4;
    return below(known < VISITORS ? known : VISITORS);
}

/* ---- what a range should have ---- */

struct expected {
    uint64_t events, visitors;
    enum cb_known known;
};

static uint64_t count_set(const bool seen[VISITORS]) {
    uint64_t n = 0;
    for (unsigned i = 1; i < VISITORS; i++) {
        n += seen[i];
    }
    return n;
}

static struct expected expect(const struct cb_kept *kept, int name, int64_t from, int64_t to) {
    struct expected out = {0};
    bool exact[VISITORS] = {0}, by_days[VISITORS] = {0};
    bool cut = false, any_day = false;
    for (size_t i = 0; i < model.n; i++) {
        const struct event *event = &model.events[i];
        const struct cb_day *day = &event->day;
        bool in = event->minute >= from && event->minute < to;
        bool named = name < 0 || event->name == (unsigned)name;
        out.events += in && named;
        if (event->visitor == 0) {
            continue;
        }
        bool inside = day->from >= from && day->to <= to;
        int64_t middle = (day->from + day->to) / 2;
        if (to - from >= 20 * 60 && (inside || (middle >= from && middle < to))) {
            any_day = true;
            by_days[event->visitor] |= named;
        }
        exact[event->visitor] |= in && named;
        /* A day that reaches over an edge is known where its quarters are. */
        if (!inside && day->from < to && day->to > from) {
            int64_t first = day->from > from ? day->from : from;
            cut |= first < kept->quarters_from;
        }
    }
    out.known = out.events == 0 || !cut ? CB_KNOWN : any_day ? CB_KNOWN_BY_DAYS : CB_UNKNOWN;
    if (out.events > 0) {
        out.visitors = count_set(out.known == CB_KNOWN ? exact : by_days);
    }
    return out;
}

/* Minutes at which clocks change lie between them; and quarters and minutes of no zone's day. */
static int64_t random_bound(const struct cb_kept *kept) {
    static const char *const zones[] = {"UTC", "Europe/Athens", "Australia/Lord_Howe",
                                        "Asia/Kathmandu", "America/St_Johns"};
    int64_t minute = model.from - 3000 + below((unsigned)(model.to - model.from) + 6000);
    struct cb_zone *zone;
    switch (below(4)) {
    case 0:
        minute -= minute % 15;
        break;
    case 1:
        minute -= minute % 60;
        break;
    case 2:
        assert_int_equal(cb_zones_get(model.zones, cb_str_of(zones[below(5)]), &zone), 0);
        minute = cb_zone_day(zone, minute).from;
        break;
    default: /* a single minute, where there are any */
        minute -= minute < kept->minutes_from ? minute % 15 : 0;
    }
    return minute;
}

static void compare(struct rig *rig, unsigned tries, unsigned *of_known) {
    struct cb_snapshot *snapshot;
    struct cb_kept kept;
    uint32_t ids[NAMES];
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_kept(snapshot, &kept), 0);
    uint32_t site = rig_site_id(snapshot, "demo");
    for (unsigned i = 0; i < NAMES; i++) {
        assert_int_equal(cb_snapshot_name(snapshot, site, cb_str_of(names[i]), &ids[i]), 0);
    }
    for (unsigned i = 0; i < tries; i++) {
        int64_t bounds[5] = {0};
        size_t n = 0;
        for (unsigned k = 0; k < 5; k++) { /* ascending */
            int64_t bound = random_bound(&kept);
            size_t at = n++;
            for (; at > 0 && bounds[at - 1] > bound; at--) {
                bounds[at] = bounds[at - 1];
            }
            bounds[at] = bound;
        }
        int name = (int)below(NAMES + 1) - 1;
        uint64_t events[4];
        struct cb_distinct visitors[4];
        assert_int_equal(cb_snapshot_series(snapshot, site, name < 0 ? CB_NAME_ID_ALL : ids[name],
                                            bounds, 4, events, visitors),
                         0);
        for (unsigned k = 0; k < 4; k++) {
            struct expected right = expect(&kept, name, bounds[k], bounds[k + 1]);
            if (events[k] != right.events || visitors[k].n != right.visitors ||
                visitors[k].known != right.known) {
                fail_msg("[%lld, %lld) of %d: %llu events, %llu visitors (%d), not %llu, %llu (%d)",
                         (long long)bounds[k], (long long)bounds[k + 1], name,
                         (unsigned long long)events[k], (unsigned long long)visitors[k].n,
                         visitors[k].known, (unsigned long long)right.events,
                         (unsigned long long)right.visitors, right.known);
            }
            of_known[right.known] += right.events > 0;
        }
        uint64_t sums[CB_NAME_IDS];
        struct expected all = expect(&kept, -1, bounds[0], bounds[4]);
        assert_int_equal(
            cb_snapshot_totals(snapshot, site, bounds[0], bounds[4], sums, &visitors[0]), 0);
        assert_int_equal(sums[CB_NAME_ID_ALL], all.events);
        assert_int_equal(visitors[0].n, all.visitors);
        assert_int_equal(visitors[0].known, all.known);
        for (int k = 0; k < NAMES; k++) {
            assert_int_equal(sums[ids[k]], expect(&kept, k, bounds[0], bounds[4]).events);
        }
    }
    cb_snapshot_end(&snapshot);
}

/* Whole days of the zone that the site always had are known for ever. */
static void compare_days(struct rig *rig) {
    struct cb_snapshot *snapshot;
    struct cb_kept kept;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_kept(snapshot, &kept), 0);
    uint32_t site = rig_site_id(snapshot, "demo");
    struct cb_day first = cb_zone_day(model.zone, model.from);
    for (int64_t from = first.from; from < model.to; from = cb_zone_day(model.zone, from).to) {
        for (int64_t days = 1; days <= 64; days *= 4) {
            int64_t bounds[] = {from, cb_zone_day(model.zone, from + days * 1440 + 720).from};
            struct cb_distinct visitors;
            uint64_t events;
            assert_int_equal(
                cb_snapshot_series(snapshot, site, CB_NAME_ID_ALL, bounds, 1, &events, &visitors),
                0);
            struct expected right = expect(&kept, -1, bounds[0], bounds[1]);
            assert_int_equal(right.known, CB_KNOWN);
            assert_int_equal(visitors.known, CB_KNOWN);
            assert_int_equal(visitors.n, right.visitors);
        }
    }
    cb_snapshot_end(&snapshot);
}

/* All days of a zone at once, or so many at a time: what one bucket has seen of the days serves the
 * next one. */
static void compare_buckets(struct rig *rig, const char *name, int64_t days) {
    enum { BUCKETS_MAX = 130 };
    static int64_t bounds[BUCKETS_MAX + 1];
    static uint64_t events[BUCKETS_MAX];
    static struct cb_distinct visitors[BUCKETS_MAX];
    struct cb_snapshot *snapshot;
    struct cb_kept kept;
    struct cb_zone *zone;
    size_t n = 0;
    assert_int_equal(cb_zones_get(model.zones, cb_str_of(name), &zone), 0);
    bounds[0] = cb_zone_day(zone, model.from).from;
    while (bounds[n] < model.to) {
        assert_true(n < BUCKETS_MAX);
        bounds[n + 1] = cb_zone_day(zone, bounds[n] + days * 1440 + 720).from;
        n++;
    }
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_kept(snapshot, &kept), 0);
    assert_int_equal(cb_snapshot_series(snapshot, rig_site_id(snapshot, "demo"), CB_NAME_ID_ALL,
                                        bounds, n, events, visitors),
                     0);
    cb_snapshot_end(&snapshot);
    for (size_t i = 0; i < n; i++) {
        struct expected right = expect(&kept, -1, bounds[i], bounds[i + 1]);
        assert_int_equal(events[i], right.events);
        assert_int_equal(visitors[i].n, right.visitors);
        assert_int_equal(visitors[i].known, right.known);
    }
}

/* Periods of `days` days of a zone that has no part in how the site's days were cut, or all. */
static void compare_retention(struct rig *rig, struct cb_zone *zone, int64_t days) {
    enum { PERIODS_MAX = 110 };
    static int64_t bounds[PERIODS_MAX + 1];
    static uint64_t sizes[PERIODS_MAX], returned[PERIODS_MAX * PERIODS_MAX];
    size_t n = 0;
    bounds[0] = cb_zone_day(zone, model.from + 5 * 1440).from;
    while (bounds[n] < model.to && n < PERIODS_MAX) {
        bounds[n + 1] = cb_zone_day(zone, bounds[n] + days * 1440 + 720).from;
        n++;
    }
    struct cb_snapshot *snapshot;
    bool exact, right_exact = true;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_retention(snapshot, rig_site_id(snapshot, "demo"), bounds, n,
                                           sizes, returned, &exact),
                     0);
    cb_snapshot_end(&snapshot);

    static bool there[VISITORS][PERIODS_MAX];
    int cohorts[VISITORS];
    memset(there, 0, sizeof there);
    memset(cohorts, -1, sizeof cohorts);
    bool met[VISITORS] = {0};
    for (size_t i = 0; i < model.n; i++) { /* in journal order */
        const struct event *event = &model.events[i];
        int64_t middle = (event->day.from + event->day.to) / 2;
        if (event->visitor == 0) {
            continue;
        }
        int period = -1;
        for (size_t k = 0; k < n; k++) {
            period = middle >= bounds[k] && middle < bounds[k + 1] ? (int)k : period;
            right_exact &= event->day.to <= bounds[k] || event->day.from >= bounds[k + 1] ||
                           (event->day.from >= bounds[k] && event->day.to <= bounds[k + 1]);
        }
        if (!met[event->visitor]) {
            cohorts[event->visitor] = period;
            met[event->visitor] = true;
        }
        if (period >= 0) {
            there[event->visitor][period] = true;
        }
    }
    assert_int_equal(exact, right_exact);
    for (size_t i = 0; i < n; i++) {
        uint64_t size = 0;
        for (unsigned v = 1; v < VISITORS; v++) {
            size += cohorts[v] == (int)i;
        }
        assert_int_equal(sizes[i], size);
        for (size_t k = 0; i + k < n; k++) {
            uint64_t back = 0;
            for (unsigned v = 1; v < VISITORS; v++) {
                back += cohorts[v] == (int)i && there[v][i + k];
            }
            assert_int_equal(returned[i * n + k], back);
        }
    }
}

/* 100 days from 2026-01-01 on: clocks change in March and April. */
static void run(struct rig *rig, unsigned seed, const char *zone, const char *later) {
    unsigned of_known[3] = {0};
    uint64_t seq = 0;
    begin(seed);
    set_zone(rig, zone);
    for (unsigned step = 0; step < 220; step++) {
        unsigned n = below(20);
        if (step == 110 && later) {
            set_zone(rig, later);
        }
        for (unsigned i = 0; i < n; i++) {
            int64_t age = below(4) ? below(300) : below(7 * 1440);
            add(rig, below(NAMES), random_visitor(step), age, &seq);
        }
        for (unsigned i = 0; i < NAMES && step == 0; i++) {
            add(rig, i, 1, 0, &seq);
        }
        if (n > 0 || step == 0) {
            rig_fold(rig);
        }
        rig_us += (int64_t)below(1320 * 60) * 1000000;
        if (step % 50 == 49) {
            compare(rig, 40, of_known);
        }
    }
    compare(rig, 300, of_known);
    assert_true(of_known[CB_KNOWN] > 100 && of_known[CB_KNOWN_BY_DAYS] > 100);
    assert_true(of_known[CB_UNKNOWN] > 0);
    if (!later) {
        compare_days(rig);
    }
    for (int64_t days = 1; days <= 9; days += 4) {
        compare_buckets(rig, zone, days);
        compare_buckets(rig, later ? later : "Asia/Tokyo", days);
    }
    struct cb_zone *other;
    assert_int_equal(cb_zones_get(model.zones, CB_STR("Asia/Tokyo"), &other), 0);
    for (int64_t days = 1; days <= 30; days = days * 4 + 2) {
        compare_retention(rig, model.zone, days);
        compare_retention(rig, other, days);
    }
    rig_rebuild_is_identical(rig);
    compare(rig, 20, of_known);
    cb_zones_destroy(&model.zones);
}

static void utc(void **state) {
    run(*state, 1, "UTC", NULL);
}
static void athens(void **state) {
    run(*state, 2, "Europe/Athens", NULL);
}
static void lord_howe(void **state) {
    run(*state, 3, "Australia/Lord_Howe", NULL);
}
static void kathmandu_then_new_york(void **state) {
    run(*state, 4, "Asia/Kathmandu", "America/New_York");
}
static void chatham_then_utc(void **state) {
    run(*state, 5, "Pacific/Chatham", "UTC");
}

static uint64_t rows_of(struct rig *rig, enum cb_table table, int64_t *first) {
    struct cb_db_txn *txn;
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    uint64_t n = 0;
    assert_int_equal(cb_db_begin(cb_views_db(rig->views), false, &txn), 0);
    assert_int_equal(cb_db_cursor_open(txn, cb_views_table(rig->views, table), &cursor), 0);
    for (int rc = cb_db_seek(cursor, CB_STR("\0"), &key, &value); rc == 0;
         rc = cb_db_next(cursor, &key, &value)) {
        assert_true(key.len + value.len <= 2048);
        if (n++ == 0 && first) {
            *first = cb_be32_get((const uint8_t *)key.p);
        }
    }
    cb_db_cursor_close(&cursor);
    cb_db_abort(&txn);
    return n;
}

/* Visitors of two hours, more than a list holds in the first one and few of them in the second:
 * lists become bitmaps or chunks, and these end; then rows that are no longer kept go, more than a
 * step takes, and late events do not bring them back. */
enum { MANY = 10800, MANY_QUARTERS = 8 };
static const uint64_t many_every[MANY_QUARTERS] = {1,  3,  10, 30,  /* who is there in each: */
                                                   60, 12, 30, 20}; /* one of so many */

static void compare_quarters(struct rig *rig, int64_t minute) {
    struct cb_snapshot *snapshot;
    struct cb_distinct visitors;
    uint64_t events;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    uint32_t site = rig_site_id(snapshot, "demo");
    for (unsigned quarter = 0; quarter < MANY_QUARTERS; quarter++) {
        int64_t bounds[] = {minute + quarter * 15, minute + quarter * 15 + 15};
        assert_int_equal(
            cb_snapshot_series(snapshot, site, CB_NAME_ID_ALL, bounds, 1, &events, &visitors), 0);
        assert_int_equal(events, MANY / many_every[quarter]);
        assert_int_equal(visitors.n, events);
        for (int64_t at = bounds[0]; at < bounds[1]; at++) {
            int64_t one[] = {at, at + 1};
            assert_int_equal(
                cb_snapshot_series(snapshot, site, CB_NAME_ID_ALL, one, 1, &events, &visitors), 0);
            assert_int_equal(visitors.n, events);
        }
    }
    const int64_t inner[] = {minute + 15, minute + 45}; /* two quarters of the hour */
    assert_int_equal(
        cb_snapshot_series(snapshot, site, CB_NAME_ID_ALL, inner, 1, &events, &visitors), 0);
    assert_int_equal(events, MANY / 3 + MANY / 10);
    assert_int_equal(visitors.n, MANY / 3 + MANY / 10 - MANY / 30);
    const int64_t later[] = {minute + 60, minute + 120}; /* 12 and 20 divide 60 */
    assert_int_equal(
        cb_snapshot_series(snapshot, site, CB_NAME_ID_ALL, later, 1, &events, &visitors), 0);
    assert_int_equal(events, MANY / 60 + MANY / 12 + MANY / 30 + MANY / 20);
    assert_int_equal(visitors.n, MANY / 12 + MANY / 30 + MANY / 20 - MANY / 60 * 3 + MANY / 60);
    const int64_t over[] = {minute + 75, minute + 105};
    assert_int_equal(
        cb_snapshot_series(snapshot, site, CB_NAME_ID_ALL, over, 1, &events, &visitors), 0);
    assert_int_equal(visitors.n, MANY / 12 + MANY / 30 - MANY / 60);
    cb_snapshot_end(&snapshot);
}

static void many(void **state) {
    struct rig *rig = *state;
    const int64_t minute = now_minute();
    uint64_t seq = 0;
    begin(6);
    for (unsigned quarter = 0; quarter < MANY_QUARTERS; quarter++) {
        for (uint32_t i = 0; i < MANY; i += (uint32_t)many_every[quarter]) {
            struct cb_envelope envelope = rig_envelope("demo", 1, 1, 0);
            memcpy(envelope.visitor, &i, sizeof i);
            envelope.received_ms = (minute + quarter * 15 + i % 15) * MINUTE;
            struct cb_event event = rig_event(++seq, "onClick");
            assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
            if (seq % 3000 == 0) {
                rig_fold(rig);
            }
        }
        rig_fold(rig);
    }
    compare_quarters(rig, minute);
    uint64_t n;
    assert_int_equal(rig_count(rig, "demo", "onClick", minute, minute + 120, &n), seq);
    assert_int_equal(n, MANY);
    assert_int_equal(rig_count(rig, "demo", "onClick", minute, minute + 1440, &n), seq);
    assert_int_equal(n, MANY);

    for (unsigned i = 0; i < 6000; i++) { /* a row of minutes each, for two names */
        rig_add(rig, "demo", 0, 2, (minute + i) * MINUTE, i + 1, "page");
    }
    rig_fold(rig);
    int64_t first = 0;
    rig_us += 40 * day_ms * 1000;
    rig_add(rig, "demo", 1, 3, (minute + 60) * MINUTE, 1, "page"); /* too late for minutes */
    rig_add(rig, "demo", 1, 3, now_minute() * MINUTE, 2, "page");
    rig_fold(rig);
    rows_of(rig, CB_TABLE_MINUTES, &first);
    assert_in_range(first * 15, now_minute() - 3 * 1440, now_minute());
    rows_of(rig, CB_TABLE_UNIQUE_HOURS, &first);
    assert_in_range(first * 60, now_minute() - 36 * 1440, now_minute());
    assert_true(rows_of(rig, CB_TABLE_COUNTS, NULL) > 0);
    assert_true(rows_of(rig, CB_TABLE_UNIQUE_DAYS, NULL) > 0);
    assert_int_equal(rig_count(rig, "demo", "onClick", minute, minute + 1440, &n), seq);
    assert_int_equal(n, MANY);
    rig_rebuild_is_identical(rig);
    cb_zones_destroy(&model.zones);
}

/* What begins to go is no longer read, also while rows of it are left. */
static void sweep_in_steps(void **state) {
    struct rig *rig = *state;
    const int64_t minute = now_minute(), day = minute / 1440 + 3;
    bool done = false;
    for (unsigned i = 0; i < 60; i++) {
        rig_add(rig, "demo", 1, 1, (minute + i) * MINUTE, i + 1, "page");
    }
    rig_fold(rig);
    const uint64_t before = rows_of(rig, CB_TABLE_MINUTES, NULL);
    struct cb_kept kept = {0};
    for (unsigned steps = 0; kept.minutes_from < (day - 2) * 1440; steps++) {
        struct cb_snapshot *snapshot;
        assert_true(steps < 100 && !done);
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_int_equal(cb_sweep_step(rig->views, (uint32_t)day, 10, &done), 0);
        assert_int_equal(cb_views_commit(rig->views, 1), 0);
        assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
        assert_int_equal(cb_snapshot_kept(snapshot, &kept), 0);
        cb_snapshot_end(&snapshot);
        uint64_t left = rows_of(rig, CB_TABLE_MINUTES, NULL);
        assert_true(left > 0);
        assert_true((left == before) == (kept.minutes_from < (day - 2) * 1440));
    }
    assert_false(done);
}

/* Ranges of thousands of years are a few seeks, and rows that cannot be are damage. */
static void bounds_and_damage(void **state) {
    struct rig *rig = *state;
    uint64_t n;
    rig_add(rig, "demo", 1, 1, rig_us / 1000, 1, "onClick");
    rig_add(rig, "demo", 2, 2, rig_us / 1000 + 200 * day_ms, 1, "onClick");
    rig_fold(rig);
    assert_int_equal(rig_count(rig, "demo", "onClick", -5000, INT64_C(4200000000), &n), 2);
    assert_int_equal(n, 2);
    assert_int_equal(rig_count(rig, "demo", "", 0, INT64_MAX, &n), 2);

    static const uint8_t junk[7] = {200, 1};
    const struct {
        enum cb_table table;
        struct cb_key key;
    } rows[] = {
        {CB_TABLE_COUNTS, cb_key_count(1, (uint32_t)(now_minute() / 1440), 0)},
        {CB_TABLE_UNIQUE_HOURS,
         cb_key_unique_hour((uint32_t)(now_minute() / 60), 1, 0, CB_ORDINAL_CHUNKS)},
        {CB_TABLE_UNIQUE_DAYS,
         cb_key_unique_day(1, (uint32_t)(now_minute() / 15), CB_DAY_QUARTERS, 0, 0)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cb_row *row;
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_int_equal(cb_views_row(rig->views, rows[i].table, &rows[i].key, &row), 0);
        assert_true(row->len > 0);
        uint8_t before[2048];
        size_t len = row->len;
        memcpy(before, row->data, len);
        assert_int_equal(cb_row_resize(rig->views, row, sizeof junk), 0);
        memcpy(row->data, junk, sizeof junk);
        assert_int_equal(cb_views_commit(rig->views, 1), 0);
        struct cb_snapshot *snapshot;
        uint64_t events[2];
        struct cb_distinct visitors[2];
        const int64_t bounds[] = {now_minute() / 1440 * 1440, now_minute() / 1440 * 1440 + 60,
                                  now_minute() / 1440 * 1440 + 1440};
        const int64_t day[] = {bounds[0], bounds[2]};
        assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
        assert_int_equal(cb_snapshot_series(snapshot, 1, 0, i == 2 ? day : bounds, i == 2 ? 1 : 2,
                                            events, visitors),
                         CB_ECORRUPT);
        cb_snapshot_end(&snapshot);
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_int_equal(cb_views_row(rig->views, rows[i].table, &rows[i].key, &row), 0);
        assert_int_equal(cb_row_resize(rig->views, row, len), 0);
        memcpy(row->data, before, len);
        assert_int_equal(cb_views_commit(rig->views, 1), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_STOPPED_TEST(utc),
        RIG_STOPPED_TEST(athens),
        RIG_STOPPED_TEST(lord_howe),
        RIG_STOPPED_TEST(kathmandu_then_new_york),
        RIG_STOPPED_TEST(chatham_then_utc),
        RIG_STOPPED_TEST(many),
        RIG_STOPPED_TEST(sweep_in_steps),
        RIG_STOPPED_TEST(bounds_and_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
