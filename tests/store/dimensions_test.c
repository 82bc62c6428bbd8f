/* SPDX-License-Identifier: MIT
 * Dimensions: breakdowns of random events (late, repeated, of bots, without a visitor, over days on
 * which clocks change) against a recount of the same events; caps and many visitors. Days have more
 * than two full tails (dim_tail.h) and something in a third; all is looked at again when the sweep
 * has settled these.
 */
#include "tests/store/rig.h"

#include "store/dim_tail.h"
#include "store/rows.h"
#include "store/sweep.h"
#include "store/sweep_tails.h"
#include "store/zone.h"

static unsigned seed;

static unsigned random_below(unsigned n) {
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % n;
}

/* ---- days pass ---- */

static const int64_t t0 = INT64_C(1767225600000); /* 2026-01-01T00:00:00Z */
static const int64_t day_ms = INT64_C(86400000);

/* The journal's time goes on, to a record about nothing of interest. */
static void pass_days(struct rig *rig, unsigned days) {
    rig_us += days * day_ms * 1000;
    rig_site(rig, "other");
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
}

static bool count_row(void *user, struct cb_str key, struct cb_str value) {
    (void)key, (void)value;
    ++*(size_t *)user;
    return true;
}

static size_t rows_of(struct rig *rig, enum cb_table table) {
    const struct cb_key all = {.len = 0};
    struct cb_snapshot *snapshot;
    size_t n = 0;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_scan(snapshot, table, &all, count_row, &n), 0);
    cb_snapshot_end(&snapshot);
    return n;
}

/* Days pass until the events of all so far stand in their rows. */
static void settle(struct rig *rig, unsigned days) {
    assert_true(rows_of(rig, CB_TABLE_DIMENSION_TAILS) > 0);
    pass_days(rig, days);
    assert_int_equal(rows_of(rig, CB_TABLE_DIMENSION_TAILS), 0);
}

/* ---- breakdowns ---- */

enum { EVENTS_MAX = 4400, VISITORS = 40, PAGES = 60, TIMES_MAX = 60, ADDED_MAX = 1200 };

struct mark {
    bool shop, bot;
    uint8_t visitor, device, browser, times;
    char language[4], country[3];
    int64_t ms;
    const char *name, *page, *referrer, *trigger;
    int32_t day;
};

static struct mark marks[EVENTS_MAX];
static size_t n_marks;

/* More than those that have a bit in a row. */
static const char *const names[] = {
    "page", "onClick", "onTrigger", "cart", "onWebChatLoaded", "a", "b", "c", "d", "e", "f"};
enum { EVENT_NAMES = sizeof(names) / sizeof(*names) };
static const char *const referrers[] = {"", "a.example", "b.example", "c.example", "d.example"};
static const char languages[][4] = {"", "de", "en", "haw", "el"};
static const char countries[][3] = {"", "GR", "DE", "NZ"};
static const struct {
    const char *props, *id;
} triggers[] = {{"\x81\xa2id\xa2t0", "t0"},
                {"\x82\xa2id\xa2t1\xa4name\xa2zz", "t1"},
                {"\x81\xa4name\xa2t2", "t2"},
                {"\x81\xa1x\x01", ""}};

static const char *page_of(unsigned i) {
    static char pages[PAGES][120];
    if (i == 0) {
        return "";
    }
    /* Every third is longer than what a key holds as it is. */
    snprintf(pages[i], sizeof(pages[i]), "https://shop.example/%s/%u",
             i % 3 ? "p" : "a-long-way-to-go-before-the-page-is-told-from-the-others-at-last", i);
    return pages[i];
}

static struct mark random_mark(int64_t from_ms, int64_t to_ms) {
    const unsigned trigger = random_below(4);
    struct mark mark = {
        .shop = random_below(4) == 0,
        .bot = random_below(12) == 0,
        .visitor = (uint8_t)random_below(VISITORS), /* 0: none */
        .device = (uint8_t)random_below(8),
        .browser = (uint8_t)(random_below(3) ? 1 + random_below(3) : random_below(32)),
        .times = (uint8_t)(1 + random_below(TIMES_MAX)),
        .ms = from_ms +
              (int64_t)((double)random_below(1 << 20) / (1 << 20) * (double)(to_ms - from_ms)),
        .name = names[random_below(random_below(2) ? EVENT_NAMES : 5)],
        .page = page_of(random_below(1 + random_below(PAGES))),
        .referrer = referrers[random_below(5)],
    };
    mark.trigger = strcmp(mark.name, "onTrigger") == 0 ? triggers[trigger].id : "";
    memcpy(mark.language, languages[random_below(5)], 4);
    memcpy(mark.country, countries[random_below(4)], 3);
    return mark;
}

static void add_mark(struct rig *rig, const struct mark *mark, uint64_t seq, int64_t received_ms) {
    struct cb_envelope envelope =
        rig_envelope(mark->shop ? "shop" : "demo", mark->visitor, 1, received_ms);
    struct cb_event event = rig_event(seq, mark->name);
    envelope.device = mark->device;
    envelope.browser = mark->browser;
    envelope.bot = mark->bot;
    memcpy(envelope.language, mark->language, sizeof(envelope.language));
    memcpy(envelope.country, mark->country, sizeof(envelope.country));
    event.age_ms = received_ms - mark->ms;
    event.page = cb_str_of(mark->page);
    event.referrer = cb_str_of(mark->referrer);
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(mark->name, "onTrigger") == 0 && strcmp(mark->trigger, triggers[i].id) == 0) {
            event.props = cb_str_of(triggers[i].props);
        }
    }
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
}

static const char *value_of(const struct mark *mark, enum cb_dim dim) {
    if (mark->bot) {
        return dim == CB_DIM_DEVICE ? CB_VALUE_BOT : "";
    }
    switch (dim) {
    case CB_DIM_PAGE:
        return mark->page;
    case CB_DIM_REFERRER:
        return mark->referrer;
    case CB_DIM_LANGUAGE:
        return mark->language;
    case CB_DIM_DEVICE:
        return cb_device_text(mark->device);
    case CB_DIM_BROWSER:
        return cb_browser_text(mark->browser);
    case CB_DIM_TRIGGER:
        return mark->trigger;
    case CB_DIM_COUNTRY:
        return mark->country;
    default:
        return "";
    }
}

struct want {
    const char *value;
    uint64_t events, visitors;
    bool seen[VISITORS];
};

static int compare_want(const void *a, const void *b) {
    const struct want *left = a, *right = b;
    return left->events != right->events ? (left->events < right->events ? 1 : -1)
                                         : strcmp(left->value, right->value);
}

static size_t recount(bool shop, enum cb_dim dim, const char *name, int32_t first, int32_t end,
                      struct want *wants) {
    size_t n = 0;
    for (size_t i = 0; i < n_marks; i++) {
        const struct mark *mark = &marks[i];
        const char *value = value_of(mark, dim);
        if (mark->shop != shop || mark->day < first || mark->day >= end || !*value ||
            (name && strcmp(name, mark->name) != 0)) {
            continue;
        }
        size_t at = 0;
        while (at < n && strcmp(wants[at].value, value) != 0) {
            at++;
        }
        if (at == n) {
            wants[n++] = (struct want){.value = value};
        }
        wants[at].events += mark->times;
        wants[at].visitors += mark->visitor > 0 && !wants[at].seen[mark->visitor];
        wants[at].seen[mark->visitor] = true;
    }
    qsort(wants, n, sizeof(*wants), compare_want);
    return n;
}

static void compare_breakdown(struct rig *rig, bool shop, enum cb_dim dim, const char *name,
                              int32_t first, int32_t end, size_t limit) {
    static struct want wants[PAGES + 10];
    size_t n = recount(shop, dim, name, first, end, wants);
    const struct cb_site_days days = {.first = first, .end = end};
    struct cb_snapshot *snapshot;
    struct cb_breakdown got;
    uint32_t name_id = CB_NAME_ID_ALL;
    uint64_t other = 0;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    uint32_t site = rig_site_id(snapshot, shop ? "shop" : "demo");
    if (name) {
        assert_int_equal(cb_snapshot_name(snapshot, site, cb_str_of(name), &name_id), 0);
    }
    assert_int_equal(cb_snapshot_breakdown(snapshot, site, dim, name_id, &days, limit, &got), 0);
    assert_int_equal(got.n, n < limit ? n : limit);
    for (size_t i = 0; i < got.n; i++) {
        assert_true(cb_str_is(got.rows[i].value, wants[i].value));
        assert_int_equal(got.rows[i].events, wants[i].events);
        assert_int_equal(got.rows[i].visitors, wants[i].visitors);
    }
    for (size_t i = got.n; i < n; i++) {
        other += wants[i].events;
    }
    assert_int_equal(got.other_values, n - got.n);
    assert_int_equal(got.other_events, other);
    assert_false(got.lower_bound);
    free(got.rows);
    cb_snapshot_end(&snapshot);
}

struct name_sums {
    uint32_t ids[EVENT_NAMES];
    uint64_t events[EVENT_NAMES];
};

static void add_name(void *user, uint32_t name_id, uint64_t events) {
    struct name_sums *sums = user;
    unsigned i = 0;
    while (sums->ids[i] != name_id) {
        i++;
        assert_true(i < EVENT_NAMES);
    }
    sums->events[i] += events;
}

/* One value alone, by days. */
static void compare_filtered(struct rig *rig, bool shop, enum cb_dim dim, const char *name,
                             int32_t first, int32_t end) {
    static struct want wants[PAGES + 10];
    size_t n = recount(shop, dim, NULL, 0, INT32_MAX, wants);
    const char *value = random_below(10) && n > 0 ? wants[random_below((unsigned)n)].value : "?";
    const struct cb_filter filter = {dim, cb_str_of(value)};
    struct cb_snapshot *snapshot;
    uint32_t name_id = CB_NAME_ID_ALL;
    uint64_t events[4], visitors[4], sum = 0;
    int32_t bounds[5] = {first, first + (end - first) / 3, first + (end - first) / 2, end - 1, end};
    struct name_sums sums = {.ids = {0}};
    bool lower_bound;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    uint32_t site = rig_site_id(snapshot, shop ? "shop" : "demo");
    for (unsigned i = 0; i < EVENT_NAMES; i++) {
        assert_int_equal(cb_snapshot_name(snapshot, site, cb_str_of(names[i]), &sums.ids[i]), 0);
        name_id = name && strcmp(name, names[i]) == 0 ? sums.ids[i] : name_id;
    }
    assert_int_equal(cb_snapshot_filtered(snapshot, site, &filter, name_id, bounds, 4, events,
                                          visitors, &lower_bound, add_name, &sums),
                     0);
    assert_false(lower_bound);
    for (unsigned b = 0; b < 4; b++) {
        struct want want = {.value = value};
        n = recount(shop, dim, name, bounds[b], bounds[b + 1], wants);
        for (size_t i = 0; i < n; i++) {
            want = strcmp(wants[i].value, value) == 0 ? wants[i] : want;
        }
        assert_int_equal(events[b], want.events);
        assert_int_equal(visitors[b], want.visitors);
        sum += want.events;
    }
    for (unsigned i = 0; i < EVENT_NAMES; i++) {
        sum -= sums.events[i];
    }
    assert_int_equal(sum, 0);
    cb_snapshot_end(&snapshot);
}

/* The rule for one event is the fold's. */
static void compare_matches(void) {
    for (size_t i = 0; i < n_marks; i++) {
        const struct mark *mark = &marks[i];
        struct cb_envelope envelope = {
            .bot = mark->bot, .device = mark->device, .browser = mark->browser};
        struct cb_event event = rig_event(1, mark->name);
        memcpy(envelope.language, mark->language, sizeof(envelope.language));
        memcpy(envelope.country, mark->country, sizeof(envelope.country));
        event.page = cb_str_of(mark->page);
        event.referrer = cb_str_of(mark->referrer);
        for (unsigned k = 0; k < 4; k++) {
            if (strcmp(mark->name, "onTrigger") == 0 &&
                strcmp(mark->trigger, triggers[k].id) == 0) {
                event.props = cb_str_of(triggers[k].props);
            }
        }
        for (unsigned dim = 0; dim < CB_DIM_COUNT; dim++) {
            const char *value = value_of(mark, (enum cb_dim)dim);
            struct cb_filter filter = {(enum cb_dim)dim, cb_str_of(value)};
            assert_int_equal(cb_filter_matches(&filter, &envelope, &event), *value != 0);
            filter.value = CB_STR("?");
            assert_false(cb_filter_matches(&filter, &envelope, &event));
        }
    }
}

static void set_zone(struct rig *rig, const char *site, const char *zone, uint32_t rollup_days) {
    struct cb_control control = {.op = CB_CONTROL_SETTINGS,
                                 .made_ms = 1000,
                                 .site = cb_str_of(site),
                                 .settings = cb_settings_default()};
    control.settings.zone = cb_str_of(zone);
    control.settings.rollup_days = rollup_days;
    rig_control(rig, &control);
}

/* The time of the random events ends here, and begins five days before: clocks change meanwhile. */
static const int64_t end_ms = INT64_C(1775347200000); /* 2026-04-05, a Sunday */

/* Random events of the days before a moment, each some times, and once more as a duplicate; the
 * event of a time comes behind those of all marks for the time before. */
static void add_marks(struct rig *rig, size_t n, int64_t from_ms, int64_t to_ms,
                      struct cb_zone *zones[2]) {
    static uint64_t seq;
    const int64_t received_ms = rig_us / 1000;
    const size_t first = n_marks;
    unsigned n_added = 0;
    seq = first == 0 ? 0 : seq;
    for (; n_marks < first + n; n_marks++) {
        assert_true(n_marks < EVENTS_MAX);
        marks[n_marks] = random_mark(from_ms, to_ms);
        struct cb_zone *zone = zones[marks[n_marks].shop];
        marks[n_marks].day = cb_zone_day(zone, marks[n_marks].ms / 60000).number;
    }
    for (unsigned time = 0; time < TIMES_MAX; time++) {
        for (size_t i = first; i < n_marks; i++) {
            if (time < marks[i].times) {
                add_mark(rig, &marks[i], ++seq, received_ms);
                n_added++;
                if (time == 0) {
                    add_mark(rig, &marks[i], seq, received_ms);
                }
            }
            if (n_added >= ADDED_MAX) {
                rig_fold(rig);
                n_added = 0;
            }
        }
    }
    rig_fold(rig);
}

static void compare_all(struct rig *rig, int32_t last) {
    for (unsigned i = 0; i < 150; i++) {
        int32_t first = last - (int32_t)random_below(8), end = first + 1 + (int32_t)random_below(7);
        const char *name = random_below(2) ? names[random_below(EVENT_NAMES)] : NULL;
        size_t limit = random_below(2) ? 1 + random_below(PAGES) : 1000;
        compare_breakdown(rig, random_below(2), (enum cb_dim)random_below(CB_DIM_COUNT), name,
                          first, end, limit);
        compare_filtered(rig, random_below(2), (enum cb_dim)random_below(CB_DIM_COUNT), name, first,
                         end);
    }
    for (unsigned dim = 0; dim < CB_DIM_COUNT; dim++) {
        compare_breakdown(rig, false, (enum cb_dim)dim, NULL, last - 400, last + 100, 7);
        compare_breakdown(rig, true, (enum cb_dim)dim, "page", last - 400, last + 100, 1000);
    }
}

static bool digest_row(void *user, struct cb_str key, struct cb_str value) {
    uint64_t *digest = user;
    for (size_t i = 0; i < key.len + value.len; i++) {
        char c = i < key.len ? key.p[i] : value.p[i - key.len];
        *digest = (*digest ^ (unsigned char)c) * UINT64_C(1099511628211);
    }
    *digest = (*digest ^ key.len) * UINT64_C(1099511628211);
    return true;
}

/* Of all rows of dimensions. */
static uint64_t digest(struct rig *rig) {
    static const enum cb_table tables[] = {CB_TABLE_VALUES, CB_TABLE_VALUE_TEXTS,
                                           CB_TABLE_DIMENSIONS, CB_TABLE_DIMENSION_SETS,
                                           CB_TABLE_DIMENSION_TAILS};
    const struct cb_key all = {.len = 0};
    struct cb_snapshot *snapshot;
    uint64_t sum = 1;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(cb_snapshot_scan(snapshot, tables[i], &all, digest_row, &sum), 0);
    }
    cb_snapshot_end(&snapshot);
    return sum;
}

/* Out of the journal alone, in one batch, the same rows as in many. */
static void make_anew(struct rig *rig) {
    char path[128];
    uint64_t before = digest(rig);
    rig_close(rig);
    snprintf(path, sizeof(path), "%s/views", rig->dir);
    assert_int_equal(nftw(path, rig_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
    rig_open(rig);
    assert_true(digest(rig) == before);
}

/* Whole tails of a day: of profiles, which each event has. */
static size_t full_tails(bool shop, int32_t day) {
    size_t n = 0;
    for (size_t i = 0; i < n_marks; i++) {
        n += marks[i].shop == shop && marks[i].day == day ? marks[i].times : 0;
    }
    return n / CB_DIM_TAIL_EVENTS;
}

/* How many days a site keeps that is to forget those before a day at the next change of day. */
static uint32_t keeps_from(int32_t day) {
    return (uint32_t)(rig_us / 1000 / day_ms - day);
}

/* What a site forgets of days before one. */
static void forget_marks(bool shop, int32_t before) {
    size_t n = 0;
    for (size_t i = 0; i < n_marks; i++) {
        if (marks[i].shop != shop || marks[i].day >= before) {
            marks[n++] = marks[i];
        }
    }
    assert_true(n < n_marks);
    n_marks = n;
}

/* In two zones, one of which is another one later; then the days are over; then some come late;
 * then the days of one site are to be forgotten, and some come late for these. */
static void test_breakdowns_against_a_recount(void **state) {
    struct rig *rig = *state;
    const char *names_of_zones[] = {"Australia/Lord_Howe", "Australia/Sydney", "America/New_York"};
    struct cb_zone *all[3];
    seed = 11;
    n_marks = 0;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(cb_zone_open(cb_str_of(names_of_zones[i]), &all[i]), 0);
    }
    struct cb_zone *zones[2] = {all[0], all[1]}; /* of demo and shop */
    set_zone(rig, "demo", names_of_zones[0], 0);
    set_zone(rig, "shop", names_of_zones[1], 0);
    rig_us = end_ms * 1000;
    add_marks(rig, 2000, end_ms - 5 * day_ms, end_ms, zones);
    set_zone(rig, "demo", names_of_zones[2], 0);
    zones[0] = all[2];
    add_marks(rig, 2000, end_ms - 5 * day_ms, end_ms, zones);
    const int32_t last = cb_zone_day(zones[1], end_ms / 60000).number;
    for (int32_t day = last - 4; day < last; day++) {
        assert_true(full_tails(false, day) >= 2);
    }
    compare_all(rig, last);
    compare_matches();

    settle(rig, 3);
    compare_all(rig, last);
    add_marks(rig, 200, end_ms - 3 * day_ms, end_ms, zones);
    compare_all(rig, last);
    settle(rig, 1);
    compare_all(rig, last);

    const int32_t kept = last - 1; /* from that day on */
    set_zone(rig, "demo", names_of_zones[2], keeps_from(kept));
    pass_days(rig, 1);
    forget_marks(false, kept);
    compare_all(rig, last);
    /* Days that are gone: what comes late is there until the next change of day. */
    add_marks(rig, 200, end_ms - 2 * day_ms, end_ms, zones);
    compare_all(rig, last);
    set_zone(rig, "demo", names_of_zones[2], keeps_from(kept));
    settle(rig, 1);
    forget_marks(false, kept);
    compare_all(rig, last);

    make_anew(rig);
    compare_all(rig, last);
    rig_rebuild_is_identical(rig);
    for (unsigned i = 0; i < 3; i++) {
        cb_zone_close(&all[i]);
    }
}

/* ---- caps ---- */

static struct cb_breakdown breakdown(struct rig *rig, enum cb_dim dim, int64_t from_ms,
                                     int64_t to_ms, size_t limit, struct cb_snapshot **snapshot) {
    struct cb_breakdown got;
    struct cb_site_days days;
    assert_int_equal(cb_snapshot_begin(rig->reader, snapshot), 0);
    uint32_t site = rig_site_id(*snapshot, "demo");
    assert_int_equal(cb_snapshot_days(*snapshot, site, from_ms / 60000, to_ms / 60000, &days), 0);
    assert_int_equal(
        cb_snapshot_breakdown(*snapshot, site, dim, CB_NAME_ID_ALL, &days, limit, &got), 0);
    return got;
}

static void add_page(struct rig *rig, uint64_t seq, const char *page, int64_t ms) {
    struct cb_envelope envelope = rig_envelope("demo", (uint8_t)(1 + seq % 3), 1, ms);
    struct cb_event event = rig_event(seq, "page");
    event.page = cb_str_of(page);
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
}

static void assert_the_cap_of_a_day(struct rig *rig, uint64_t n_events) {
    struct cb_snapshot *snapshot;
    struct cb_breakdown got = breakdown(rig, CB_DIM_PAGE, t0, t0 + day_ms, 3, &snapshot);
    assert_int_equal(got.n, 3);
    assert_true(cb_str_is(got.rows[0].value, "/00007") && got.rows[0].events == 3);
    assert_true(cb_str_is(got.rows[1].value, "/00000") && cb_str_is(got.rows[2].value, "/00001"));
    assert_true(got.lower_bound);
    assert_int_equal(got.other_values, CB_VALUES_DAY_MAX - 3);
    assert_int_equal(got.other_events, 2 * (CB_VALUES_DAY_MAX - 3) + 11);
    free(got.rows);
    cb_snapshot_end(&snapshot);

    got = breakdown(rig, CB_DIM_PAGE, t0 + day_ms, t0 + 2 * day_ms, 1000, &snapshot);
    assert_true(cb_str_is(got.rows[0].value, "/09999") && got.rows[0].events == 3);
    assert_true(cb_str_is(got.rows[1].value, "/00005"));
    assert_true(got.lower_bound);
    assert_int_equal(got.other_events, 2 * (CB_VALUES_DAY_MAX - 1000) + 11);
    free(got.rows);
    cb_snapshot_end(&snapshot);

    got = breakdown(rig, CB_DIM_PAGE, t0, t0 + 2 * day_ms, 1, &snapshot);
    assert_int_equal(got.other_values, CB_VALUES_DAY_MAX + 5 - 1);
    assert_int_equal(got.rows[0].events, 5);
    free(got.rows);
    cb_snapshot_end(&snapshot);

    got = breakdown(rig, CB_DIM_DEVICE, t0, t0 + 2 * day_ms, 10, &snapshot);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.rows[0].events, n_events);
    assert_int_equal(got.rows[0].visitors, 3);
    assert_false(got.lower_bound); /* another dimension has a cap of its own */
    free(got.rows);
    cb_snapshot_end(&snapshot);
}

/* 10,000 values a day, in journal order: what comes later is one of the others, a value that is in
 * goes on being counted, and the next day begins anew. */
static void test_the_cap_of_a_day(void **state) {
    struct rig *rig = *state;
    enum { PAGES_OF_A_DAY = CB_VALUES_DAY_MAX + 5 };
    uint64_t seq = 0;
    char page[32];
    for (unsigned day = 0; day < 2; day++) {
        int64_t ms = t0 + day * day_ms;
        for (unsigned i = 0; i < 2 * PAGES_OF_A_DAY; i++) { /* each twice */
            const unsigned nth = i % PAGES_OF_A_DAY;
            /* The second day has those first that found no room on the first. */
            snprintf(page, sizeof(page), "/%05u", day == 0 ? nth : PAGES_OF_A_DAY - 1 - nth);
            add_page(rig, ++seq, page, ms);
            if (seq % 2000 == 0) {
                rig_fold(rig);
            }
        }
        add_page(rig, ++seq, day == 0 ? "/00007" : "/09999", ms + 1000);
        add_page(rig, ++seq, day == 0 ? "/10004" : "/00002", ms + 1000);
        rig_fold(rig);
    }
    assert_the_cap_of_a_day(rig, seq);
    settle(rig, 3);
    assert_the_cap_of_a_day(rig, seq);
    make_anew(rig);
}

static void assert_the_cap_of_profiles(struct rig *rig, unsigned n) {
    struct cb_snapshot *snapshot;
    struct cb_breakdown got = breakdown(rig, CB_DIM_LANGUAGE, t0, t0 + day_ms, 2, &snapshot);
    assert_true(cb_str_is(got.rows[0].value, "aaa") && cb_str_is(got.rows[1].value, "aab"));
    assert_true(got.lower_bound);
    assert_int_equal(got.other_values, CB_VALUES_DAY_MAX - 2);
    assert_int_equal(got.other_events, 2 * (n - 2));
    free(got.rows);
    cb_snapshot_end(&snapshot);
    static const enum cb_dim whole[] = {CB_DIM_BROWSER, CB_DIM_COUNTRY};
    for (unsigned i = 0; i < 2; i++) {
        got = breakdown(rig, whole[i], t0, t0 + day_ms, 10, &snapshot);
        assert_int_equal(got.n, 2);
        assert_int_equal(got.rows[0].events, n);
        assert_int_equal(got.rows[1].events, n);
        assert_false(got.lower_bound);
        assert_int_equal(got.other_events, 0);
        free(got.rows);
        cb_snapshot_end(&snapshot);
    }
}

/* The i-th language. */
static void add_profile(struct rig *rig, uint64_t seq, unsigned i, int64_t ms) {
    struct cb_envelope envelope = rig_envelope("demo", 0, 1, ms);
    struct cb_event event = rig_event(seq, "onClick");
    envelope.device = CB_DEVICE_MOBILE;
    envelope.browser = i % 2 ? CB_BROWSER_EDGE : CB_BROWSER_FIREFOX;
    envelope.language[0] = (char)('a' + i / 676);
    envelope.language[1] = (char)('a' + i / 26 % 26);
    envelope.language[2] = (char)('a' + i % 26);
    memcpy(envelope.country, i % 4 < 2 ? "GR" : "DE", 3);
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
}

/* Profiles are many where languages are: then languages are one, and the other dimensions stay as
 * they are. */
static void test_the_cap_of_profiles(void **state) {
    struct rig *rig = *state;
    enum { PROFILES = CB_VALUES_DAY_MAX + 3000 };
    for (unsigned i = 0; i < 2 * PROFILES; i++) { /* each twice */
        add_profile(rig, i + 1, i % PROFILES, t0);
        if (i % 2000 == 1999) {
            rig_fold(rig);
        }
    }
    rig_fold(rig);
    assert_the_cap_of_profiles(rig, PROFILES);
    settle(rig, 2);
    assert_the_cap_of_profiles(rig, PROFILES);
    make_anew(rig);
}

/* A day that is gone has room again for what found none: also where the process knew that. */
static void test_a_full_day_that_is_gone(void **state) {
    struct rig *rig = *state;
    uint64_t seq = 0;
    char page[32];
    for (unsigned i = 0; i <= CB_VALUES_DAY_MAX; i++) {
        snprintf(page, sizeof(page), "/%05u", i);
        add_page(rig, ++seq, page, t0);
        add_profile(rig, ++seq, i, t0);
        if (seq % 2000 == 0) {
            rig_fold(rig);
        }
    }
    rig_fold(rig);
    set_zone(rig, "demo", "UTC", 1);
    pass_days(rig, 4);
    assert_int_equal(rows_of(rig, CB_TABLE_DIMENSIONS), 0);
    for (unsigned again = 0; again < 2; again++) {
        add_page(rig, ++seq, page, t0);
        add_profile(rig, ++seq, CB_VALUES_DAY_MAX, t0);
        rig_fold(rig);
        struct cb_snapshot *snapshot;
        struct cb_breakdown got = breakdown(rig, CB_DIM_PAGE, t0, t0 + day_ms, 1, &snapshot);
        assert_int_equal(got.n, 1);
        assert_true(cb_str_is(got.rows[0].value, page) && got.rows[0].events == again + 1);
        free(got.rows);
        cb_snapshot_end(&snapshot);
        got = breakdown(rig, CB_DIM_LANGUAGE, t0, t0 + day_ms, 1, &snapshot);
        assert_int_equal(got.n, 1);
        assert_int_equal(got.other_events, 0);
        free(got.rows);
        cb_snapshot_end(&snapshot);
        make_anew(rig); /* by another process, so to say */
    }
}

static void assert_a_cut_page(struct rig *rig) {
    struct cb_snapshot *snapshot;
    struct cb_breakdown got = breakdown(rig, CB_DIM_PAGE, t0, t0 + 60000, 10, &snapshot);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.rows[0].value.len, CB_VALUE_TEXT_MAX - 1);
    assert_int_equal(got.rows[0].events, 2);
    assert_int_equal(got.rows[0].visitors, 2);
    free(got.rows);
    cb_snapshot_end(&snapshot);
}

static void test_a_long_page_is_cut(void **state) {
    struct rig *rig = *state;
    static char page[CB_PAGE_MAX + 1];
    memset(page, 'x', CB_PAGE_MAX);
    memcpy(page + CB_VALUE_TEXT_MAX - 1, "\xc3\xa9", 2); /* not within a character */
    add_page(rig, 1, page, t0);
    page[CB_PAGE_MAX - 1] = 'y';
    add_page(rig, 2, page, t0);
    add_page(rig, 3, "", t0);
    rig_fold(rig);
    assert_a_cut_page(rig);
    settle(rig, 2);
    assert_a_cut_page(rig);
}

/* Past 8,192 some are in lists, on the busy page too many for one. Those who come again do so on
 * the same page, on each of three days. */
enum { MANY = 27000, AGAIN = 1000 };

static void assert_many_visitors(struct rig *rig) {
    struct cb_snapshot *snapshot;
    struct cb_breakdown got = breakdown(rig, CB_DIM_PAGE, t0, t0 + 3 * day_ms, 10, &snapshot);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.rows[0].events, 2 * MANY / 5 * 4);
    assert_int_equal(got.rows[0].visitors, MANY / 5 * 4);
    assert_int_equal(got.rows[1].visitors, MANY / 5);
    free(got.rows);
    cb_snapshot_end(&snapshot);
    got = breakdown(rig, CB_DIM_DEVICE, t0, t0 + day_ms, 10, &snapshot);
    assert_int_equal(got.rows[0].visitors, MANY / 3 + AGAIN / 3 * 2);
    free(got.rows);
    cb_snapshot_end(&snapshot);
}

/* A busy value: more visitors than a row holds, in several chunks of ordinals. */
static void test_many_visitors(void **state) {
    struct rig *rig = *state;
    for (unsigned i = 0; i < 2 * MANY; i++) {
        struct cb_envelope envelope = rig_envelope("demo", 1, 1, t0 + (i % 3) * day_ms);
        struct cb_event event = rig_event(i + 1, "page");
        cb_be32_put(envelope.visitor, i < MANY ? i : i % AGAIN);
        event.page = i % 5 ? CB_STR("/busy") : CB_STR("/quiet");
        assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
        if (i % 1000 == 999) {
            rig_fold(rig);
        }
    }
    assert_many_visitors(rig);
    settle(rig, 4);
    assert_many_visitors(rig);
    make_anew(rig);
}

/* More rows than a report keeps, each of one visitor, on the last day another one. */
static void test_many_days(void **state) {
    enum { DAYS = 70000 };
    static const uint8_t bytes[] = {1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0}; /* FORMAT.md */
    const struct cb_site_days days = {.first = 0, .end = DAYS};
    struct rig *rig = *state;
    struct cb_snapshot *snapshot;
    struct cb_breakdown got;
    struct cb_row *row;
    for (uint8_t visitor = 1; visitor <= 2; visitor++) {
        struct cb_envelope envelope = rig_envelope("demo", visitor, visitor, t0);
        struct cb_event event = rig_event(1, "page");
        event.page = CB_STR("/a");
        assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
    }
    rig_fold(rig);
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    uint32_t site = rig_site_id(snapshot, "demo");
    cb_snapshot_end(&snapshot);
    assert_int_equal(cb_views_begin(rig->views), 0);
    for (int32_t day = 0; day < DAYS; day++) {
        struct cb_key key = cb_key_dimension(site, day, CB_VALUES_PAGE, CB_NAME_ID_ALL, 0);
        assert_int_equal(cb_views_row(rig->views, CB_TABLE_DIMENSIONS, &key, &row), 0);
        assert_int_equal(cb_row_resize(rig->views, row, sizeof bytes), 0);
        memcpy(row->data, bytes, sizeof bytes);
        cb_be32_put(row->data + sizeof bytes - 5, day == DAYS - 1 ? 1 : 0);
    }
    assert_int_equal(cb_views_commit(rig->views, 1), 0);
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(
        cb_snapshot_breakdown(snapshot, site, CB_DIM_PAGE, CB_NAME_ID_ALL, &days, 10, &got), 0);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.rows[0].events, DAYS + 2); /* those that were folded are in the tail */
    assert_int_equal(got.rows[0].visitors, 2);
    free(got.rows);
    cb_snapshot_end(&snapshot);
}

/* Who has the k-th name: every (k + 1)-th visitor. */
static void assert_visitors_of_names(struct rig *rig, unsigned many) {
    const struct cb_site_days day = {.first = (int32_t)(t0 / day_ms),
                                     .end = (int32_t)(t0 / day_ms) + 1};
    struct cb_snapshot *snapshot;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    uint32_t site = rig_site_id(snapshot, "demo");
    for (unsigned k = 0; k <= EVENT_NAMES; k++) { /* the last: all of them */
        uint32_t name_id = CB_NAME_ID_ALL;
        uint64_t visitors[2] = {0}, events[2] = {0};
        struct cb_breakdown got;
        if (k < EVENT_NAMES) {
            assert_int_equal(cb_snapshot_name(snapshot, site, cb_str_of(names[k]), &name_id), 0);
        }
        for (unsigned i = 0; i < many; i++) {
            visitors[i % 13 == 0] += k == EVENT_NAMES || i % (k + 1) == 0;
            for (unsigned j = 0; j < EVENT_NAMES; j++) {
                events[i % 13 == 0] += (k == EVENT_NAMES || j == k) && i % (j + 1) == 0;
            }
        }
        assert_int_equal(
            cb_snapshot_breakdown(snapshot, site, CB_DIM_PAGE, name_id, &day, 10, &got), 0);
        assert_int_equal(got.n, 2);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(got.rows[i].events, events[i]);
            assert_int_equal(got.rows[i].visitors, visitors[i]);
        }
        free(got.rows);
    }
    cb_snapshot_end(&snapshot);
}

/* Many visitors of several names, each with its own: those that have a bit in the row, and others.
 */
static void test_many_visitors_of_names(void **state) {
    struct rig *rig = *state;
    enum { VISITORS_OF_NAMES = 6000 };
    uint64_t seq = 0;
    for (unsigned i = 0; i < VISITORS_OF_NAMES; i++) {
        struct cb_envelope envelope = rig_envelope("demo", 1, 1, t0);
        cb_be32_put(envelope.visitor, i);
        for (unsigned k = 0; k < EVENT_NAMES; k++) {
            struct cb_event event = rig_event(++seq, names[k]);
            event.page = i % 13 ? CB_STR("/busy") : CB_STR("/quiet");
            if (i % (k + 1) == 0) {
                assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
            }
        }
        if (i % 300 == 299) {
            rig_fold(rig);
        }
    }
    assert_visitors_of_names(rig, VISITORS_OF_NAMES);
    settle(rig, 2);
    assert_visitors_of_names(rig, VISITORS_OF_NAMES);
    make_anew(rig);
}

static void assert_two_pages(struct rig *rig, uint64_t many) {
    struct cb_snapshot *snapshot;
    struct cb_breakdown got = breakdown(rig, CB_DIM_PAGE, t0, t0 + 60000, 10, &snapshot);
    assert_int_equal(got.n, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(got.rows[i].events, many);
        assert_int_equal(got.rows[i].visitors, many);
    }
    free(got.rows);
    cb_snapshot_end(&snapshot);
}

/* Who goes from one busy page to another is a visitor of both. */
static void test_two_busy_pages(void **state) {
    struct rig *rig = *state;
    enum { VISITORS_OF_BOTH = 9000 };
    for (unsigned i = 0; i < VISITORS_OF_BOTH; i++) {
        struct cb_envelope envelope = rig_envelope("demo", 1, 1, t0);
        cb_be32_put(envelope.visitor, i);
        for (unsigned k = 0; k < 2; k++) {
            struct cb_event event = rig_event(2 * i + k + 1, "page");
            event.page = k ? CB_STR("/b") : CB_STR("/a");
            assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
        }
        if (i % 1000 == 999) {
            rig_fold(rig);
        }
    }
    assert_two_pages(rig, VISITORS_OF_BOTH);
    settle(rig, 2);
    assert_two_pages(rig, VISITORS_OF_BOTH);
}

/* What a batch noted goes with it: the numbers of texts, and where tails stand. */
static void test_a_batch_that_came_to_nothing(void **state) {
    struct rig *rig = *state;
    struct cb_journal_reader *reader;
    struct cb_journal_record record;
    struct cb_snapshot *snapshot;
    uint64_t n_events = 0;
    add_page(rig, 1, "/a", t0);
    add_page(rig, 2, "/b", t0);
    rig_seal(rig);
    assert_int_equal(cb_journal_reader_open(rig->journal, cb_journal_head(rig->journal), &reader),
                     0);
    assert_int_equal(cb_journal_reader_next(reader, &record), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_int_equal(cb_fold_record(rig->views, &record, &n_events), 0);
        cb_views_abort(rig->views);
    }
    cb_journal_reader_close(&reader);
    assert_int_equal(n_events, 4);
    assert_int_equal(rows_of(rig, CB_TABLE_VALUES), 0);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    struct cb_breakdown got = breakdown(rig, CB_DIM_PAGE, t0, t0 + day_ms, 10, &snapshot);
    assert_int_equal(got.n, 2);
    assert_true(cb_str_is(got.rows[0].value, "/a") && cb_str_is(got.rows[1].value, "/b"));
    free(got.rows);
    cb_snapshot_end(&snapshot);
    make_anew(rig);
}

/* Steps of one tail, each other one lost, come to what a sweep in one go does. */
static void test_settled_in_small_steps(void **state) {
    struct rig *rig = *state;
    enum { DAYS = 3, EACH = 300 };
    struct cb_zone *utc, *zones[2];
    assert_int_equal(cb_zone_open(CB_STR("UTC"), &utc), 0);
    zones[0] = zones[1] = utc;
    seed = 13;
    n_marks = 0;
    rig_us += (DAYS * day_ms - 1) * 1000;
    add_marks(rig, EACH, t0, rig_us / 1000, zones);
    const size_t tails = rows_of(rig, CB_TABLE_DIMENSION_TAILS);
    const uint64_t position = cb_journal_head(rig->journal);
    assert_true(tails >= DAYS * 2 * CB_VALUES_KINDS);
    rig_us += 1000; /* the last of the days is not over everywhere */
    rig_site(rig, "other");
    const uint32_t day = cb_sweep_day(rig_us / 1000);
    bool done = false;
    unsigned steps = 0;
    for (unsigned step = 0; !done; step++) {
        assert_true(step < 100);
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_int_equal(cb_sweep_tails(rig->views, day, 1, &done), 0);
        if (step % 2) {
            cb_views_abort(rig->views);
            done = false;
        } else {
            assert_int_equal(cb_views_commit(rig->views, position), 0);
            steps++;
        }
    }
    assert_int_equal(steps, 1 + (DAYS - 1) * 2 * CB_VALUES_KINDS);
    for (done = false; !done;) { /* what else is due that day */
        assert_int_equal(cb_views_begin(rig->views), 0);
        assert_int_equal(cb_sweep_step(rig->views, day, 5000, &done), 0);
        assert_int_equal(cb_views_commit(rig->views, position), 0);
    }
    const size_t left = rows_of(rig, CB_TABLE_DIMENSION_TAILS);
    assert_true(left > 0 && left < tails);
    rig_close(rig);
    rig_open(rig);
    assert_int_equal(rows_of(rig, CB_TABLE_DIMENSION_TAILS), left);
    make_anew(rig);
    cb_zone_close(&utc);
}

/* ---- spoiled tails ---- */

static int read_page(struct rig *rig, const char *page) {
    const int32_t day = (int32_t)(t0 / day_ms), bounds[] = {day, day + 1};
    const struct cb_site_days days = {.first = day, .end = day + 1};
    const struct cb_filter filter = {CB_DIM_PAGE, cb_str_of(page)};
    struct cb_snapshot *snapshot;
    struct cb_breakdown got;
    uint64_t events, visitors;
    bool lower_bound;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    const uint32_t site = rig_site_id(snapshot, "demo");
    const int rc =
        cb_snapshot_breakdown(snapshot, site, CB_DIM_PAGE, CB_NAME_ID_ALL, &days, 10, &got);
    assert_int_equal(cb_snapshot_filtered(snapshot, site, &filter, CB_NAME_ID_ALL, bounds, 1,
                                          &events, &visitors, &lower_bound, NULL, NULL),
                     rc);
    assert_true(rc != 0 || (got.n == 1 && events == got.rows[0].events &&
                            visitors == got.rows[0].visitors && visitors == 1));
    free(got.rows);
    cb_snapshot_end(&snapshot);
    return rc;
}

static void put_tail(struct rig *rig, uint8_t kind, const void *bytes, size_t len) {
    struct cb_snapshot *snapshot;
    struct cb_row *row;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    const uint32_t site = rig_site_id(snapshot, "demo");
    cb_snapshot_end(&snapshot);
    const struct cb_key key = cb_key_dimension_tail(site, kind, (int32_t)(t0 / day_ms), 0);
    assert_int_equal(cb_views_begin(rig->views), 0);
    assert_int_equal(cb_views_row(rig->views, CB_TABLE_DIMENSION_TAILS, &key, &row), 0);
    assert_int_equal(cb_row_resize(rig->views, row, len), 0);
    memcpy(row->data, bytes, len);
    assert_int_equal(cb_views_commit(rig->views, cb_journal_head(rig->journal)), 0);
}

static int sweep_tails(struct rig *rig) {
    bool done;
    assert_int_equal(cb_views_begin(rig->views), 0);
    const int rc = cb_sweep_tails(rig->views, cb_sweep_day(t0) + CB_LOCAL_DAYS, UINT32_MAX, &done);
    cb_views_abort(rig->views);
    return rc;
}

static void test_spoiled_tails(void **state) {
    struct rig *rig = *state;
    /* A head of one event, then value 1, name 2, visitor 0: see FORMAT.md. */
    static const uint8_t right[] = {0, 1, 0, 0, 0, 0, 0, 0x10, 1, 2, 0};
    static const struct {
        size_t at;
        uint8_t byte;
    } cases[] = {{7, 0x60}, {7, 0x20}, {10, 1}}; /* no kind of visitor; cut; nobody's ordinal */
    uint8_t bytes[sizeof right];
    add_page(rig, 1, "/a", t0);
    rig_fold(rig);
    put_tail(rig, CB_VALUES_PAGE, right, sizeof right);
    assert_int_equal(read_page(rig, "/a"), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(bytes, right, sizeof bytes);
        bytes[cases[i].at] = cases[i].byte;
        put_tail(rig, CB_VALUES_PAGE, bytes, sizeof bytes);
        assert_int_equal(read_page(rig, "/a"), CB_ECORRUPT);
    }
    put_tail(rig, CB_VALUES_PAGE, right, 3);
    assert_int_equal(read_page(rig, "/a"), CB_ECORRUPT);
    assert_int_equal(sweep_tails(rig), CB_ECORRUPT);
    /* One of no kind does not send the sweep round and round. */
    put_tail(rig, CB_VALUES_PAGE, right, sizeof right);
    assert_int_equal(sweep_tails(rig), 0);
    put_tail(rig, UINT8_MAX, right, sizeof right);
    assert_int_equal(sweep_tails(rig), CB_ECORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_STOPPED_TEST(test_breakdowns_against_a_recount),
        RIG_STOPPED_TEST(test_the_cap_of_a_day),
        RIG_STOPPED_TEST(test_the_cap_of_profiles),
        RIG_STOPPED_TEST(test_a_full_day_that_is_gone),
        RIG_STOPPED_TEST(test_a_long_page_is_cut),
        RIG_STOPPED_TEST(test_many_visitors),
        RIG_STOPPED_TEST(test_many_days),
        RIG_STOPPED_TEST(test_many_visitors_of_names),
        RIG_STOPPED_TEST(test_two_busy_pages),
        RIG_STOPPED_TEST(test_a_batch_that_came_to_nothing),
        RIG_STOPPED_TEST(test_settled_in_small_steps),
        RIG_STOPPED_TEST(test_spoiled_tails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
