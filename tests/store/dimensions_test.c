/* SPDX-License-Identifier: MIT
 * Dimensions: breakdowns of random events (late, repeated, of bots, without a visitor, over days on
 * which clocks change) against a recount of the same events. Days have more than two full tails
 * (dim_tail.h) and something in a third; all is looked at again when the sweep has settled these,
 * and where days' first events do.
 */
#include "tests/store/dim_rig.h"

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

/* The time of the random events ends here, and begins five days before: clocks change meanwhile. */
static const int64_t end_ms = INT64_C(1775347200000); /* 2026-04-05, a Sunday */

/* Random events of the days before a moment, each some times, and once more as a duplicate; the
 * event of a time comes behind those of all marks for the time before. */
static void add_marks_received(struct rig *rig, size_t n, int64_t from_ms, int64_t to_ms,
                               struct cb_zone *zones[2], int64_t received_ms) {
    static uint64_t seq;
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

static void add_marks(struct rig *rig, size_t n, int64_t from_ms, int64_t to_ms,
                      struct cb_zone *zones[2]) {
    add_marks_received(rig, n, from_ms, to_ms, zones, rig_us / 1000);
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

/* Of profiles, which each event has. */
struct tails {
    int32_t first; /* the earliest day of which events stand in one */
    uint64_t events;
};

static bool look_at_tail(void *user, struct cb_str key, struct cb_str value) {
    struct tails *tails = user;
    const int32_t day = cb_day_get((const uint8_t *)key.p + 5);
    const bool is_head = key.p[key.len - 1] == 0, is_profile = key.p[4] == CB_VALUES_PROFILE;
    const unsigned events = is_head && is_profile ? cb_be16_get((const uint8_t *)value.p) : 0;
    tails->events += events;
    tails->first = events > 0 && day < tails->first ? day : tails->first;
    return true;
}

/* Where events' days pass and the journal's does not, no sweep comes. */
static void test_days_pass_for_events_alone(void **state) {
    struct rig *rig = *state;
    enum { DAYS = 12, EACH = 60 };
    struct cb_zone *utc, *zones[2];
    const struct cb_key all = {.len = 0};
    struct cb_snapshot *snapshot;
    const int32_t first = (int32_t)(t0 / day_ms), last = first + DAYS - 1;
    struct tails tails = {.first = INT32_MAX};
    assert_int_equal(cb_zone_open(CB_STR("UTC"), &utc), 0);
    zones[0] = zones[1] = utc;
    seed = 17;
    n_marks = 0;
    for (int64_t day = 0; day < DAYS; day++) {
        if (day != 5 && day != 6) { /* of a week; some do not open then */
            const int64_t begin_ms = t0 + day * day_ms;
            add_marks_received(rig, EACH, begin_ms, begin_ms + day_ms, zones, begin_ms + day_ms);
        }
    }
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(
        cb_snapshot_scan(snapshot, CB_TABLE_DIMENSION_TAILS, &all, look_at_tail, &tails), 0);
    cb_snapshot_end(&snapshot);
    assert_true(tails.events > 0);
    assert_int_equal(tails.first, last - 2);
    compare_all(rig, last);
    make_anew(rig);
    compare_all(rig, last);
    rig_rebuild_is_identical(rig);
    cb_zone_close(&utc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_STOPPED_TEST(test_breakdowns_against_a_recount),
        RIG_STOPPED_TEST(test_settled_in_small_steps),
        RIG_STOPPED_TEST(test_days_pass_for_events_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
