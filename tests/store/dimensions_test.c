/* SPDX-License-Identifier: MIT
 * Dimensions: breakdowns of random events (late, repeated, of bots, without a visitor, over days on
 * which clocks change) against a recount of the same events; caps and many visitors.
 */
#include "tests/store/rig.h"

#include "store/rows.h"
#include "store/zone.h"

static unsigned seed;

static unsigned random_below(unsigned n) {
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % n;
}

/* ---- breakdowns ---- */

enum { EVENTS_MAX = 4000, VISITORS = 40, PAGES = 60 };

struct mark {
    bool shop, bot;
    uint8_t visitor, device, browser;
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
        wants[at].events++;
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

static void set_zone(struct rig *rig, const char *site, const char *zone) {
    struct cb_control control = {.op = CB_CONTROL_SETTINGS,
                                 .made_ms = 1000,
                                 .site = cb_str_of(site),
                                 .settings = cb_settings_default()};
    control.settings.zone = cb_str_of(zone);
    rig_control(rig, &control);
}

/* Five days around one on which the clocks of both zones change, in frames of which each event
 * comes twice; then the zone of one site changes, for what comes later. */
static void test_breakdowns_against_a_recount(void **state) {
    struct rig *rig = *state;
    const int64_t received_ms = INT64_C(1775347200000); /* 2026-04-05, a Sunday */
    const char *zones[] = {"Australia/Lord_Howe", "Australia/Sydney", "America/New_York"};
    struct cb_zone *zone[3];
    seed = 11;
    n_marks = 0;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(cb_zone_open(cb_str_of(zones[i]), &zone[i]), 0);
    }
    set_zone(rig, "demo", zones[0]);
    set_zone(rig, "shop", zones[1]);
    for (unsigned round = 0; round < 2; round++) {
        if (round == 1) {
            set_zone(rig, "demo", zones[2]);
        }
        for (unsigned i = 0; i < EVENTS_MAX / 2; i++) {
            struct mark *mark = &marks[n_marks];
            *mark = random_mark(received_ms - INT64_C(5) * 86400000, received_ms);
            struct cb_zone *of = zone[mark->shop ? 1 : round == 0 ? 0 : 2];
            mark->day = cb_zone_day(of, mark->ms / 60000).number;
            n_marks++;
            add_mark(rig, mark, n_marks, received_ms);
            add_mark(rig, mark, n_marks, received_ms);
            if (i % 300 == 299) {
                rig_fold(rig);
            }
        }
        rig_fold(rig);
    }
    int32_t last = cb_zone_day(zone[1], received_ms / 60000).number;
    for (unsigned i = 0; i < 400; i++) {
        int32_t first = last - (int32_t)random_below(8), end = first + 1 + (int32_t)random_below(7);
        const char *name = random_below(2) ? names[random_below(EVENT_NAMES)] : NULL;
        size_t limit = random_below(2) ? 1 + random_below(PAGES) : 1000;
        compare_breakdown(rig, random_below(2), (enum cb_dim)random_below(CB_DIM_COUNT), name,
                          first, end, limit);
        compare_filtered(rig, random_below(2), (enum cb_dim)random_below(CB_DIM_COUNT), name, first,
                         end);
    }
    compare_matches();
    for (unsigned i = 0; i < 3; i++) {
        cb_zone_close(&zone[i]);
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
                                           CB_TABLE_DIMENSIONS, CB_TABLE_DIMENSION_SETS};
    const struct cb_key all = {.len = 0};
    struct cb_snapshot *snapshot;
    uint64_t sum = 1;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    for (unsigned i = 0; i < 4; i++) {
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

static void test_made_anew(void **state) {
    struct rig *rig = *state;
    test_breakdowns_against_a_recount(state);
    make_anew(rig);
    for (unsigned dim = 0; dim < CB_DIM_COUNT; dim++) {
        compare_breakdown(rig, false, (enum cb_dim)dim, NULL, 20000, 21000, 7);
        compare_breakdown(rig, true, (enum cb_dim)dim, "page", 20000, 21000, 1000);
    }
}

/* ---- caps ---- */

static const int64_t t0 = INT64_C(1767225600000); /* 2026-01-01T00:00:00Z */

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

/* 10,000 values a day, in journal order: what comes later is one of the others, a value that is in
 * goes on being counted, and the next day begins anew. */
static void test_the_cap_of_a_day(void **state) {
    struct rig *rig = *state;
    struct cb_snapshot *snapshot;
    uint64_t seq = 0;
    char page[32];
    for (unsigned day = 0; day < 2; day++) {
        int64_t ms = t0 + day * INT64_C(86400000);
        for (unsigned i = 0; i < CB_VALUES_DAY_MAX + 5; i++) {
            /* The second day has those first that found no room on the first. */
            snprintf(page, sizeof(page), "/%05u", day == 0 ? i : CB_VALUES_DAY_MAX + 4 - i);
            add_page(rig, ++seq, page, ms);
            if (seq % 2000 == 0) {
                rig_fold(rig);
            }
        }
        add_page(rig, ++seq, day == 0 ? "/00007" : "/09999", ms + 1000);
        add_page(rig, ++seq, day == 0 ? "/10004" : "/00002", ms + 1000);
        rig_fold(rig);
    }
    struct cb_breakdown got = breakdown(rig, CB_DIM_PAGE, t0, t0 + 86400000, 3, &snapshot);
    assert_int_equal(got.n, 3);
    assert_true(cb_str_is(got.rows[0].value, "/00007") && got.rows[0].events == 2);
    assert_true(cb_str_is(got.rows[1].value, "/00000") && cb_str_is(got.rows[2].value, "/00001"));
    assert_true(got.lower_bound);
    assert_int_equal(got.other_values, CB_VALUES_DAY_MAX - 3);
    assert_int_equal(got.other_events, CB_VALUES_DAY_MAX - 3 + 6);
    free(got.rows);
    cb_snapshot_end(&snapshot);

    got = breakdown(rig, CB_DIM_PAGE, t0 + 86400000, t0 + 2 * INT64_C(86400000), 1000, &snapshot);
    assert_true(cb_str_is(got.rows[0].value, "/09999") && got.rows[0].events == 2);
    assert_true(cb_str_is(got.rows[1].value, "/00005"));
    assert_true(got.lower_bound);
    assert_int_equal(got.other_events, CB_VALUES_DAY_MAX - 1000 + 6);
    free(got.rows);
    cb_snapshot_end(&snapshot);

    got = breakdown(rig, CB_DIM_PAGE, t0, t0 + 2 * INT64_C(86400000), 1, &snapshot);
    assert_int_equal(got.other_values, CB_VALUES_DAY_MAX + 5 - 1);
    assert_int_equal(got.rows[0].events, 3);
    free(got.rows);
    cb_snapshot_end(&snapshot);

    got = breakdown(rig, CB_DIM_DEVICE, t0, t0 + 2 * INT64_C(86400000), 10, &snapshot);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.rows[0].events, seq);
    assert_int_equal(got.rows[0].visitors, 3);
    assert_false(got.lower_bound); /* another dimension has a cap of its own */
    free(got.rows);
    cb_snapshot_end(&snapshot);
    make_anew(rig);
}

/* Profiles are many where languages are: then languages are one, and the other dimensions stay as
 * they are. */
static void test_the_cap_of_profiles(void **state) {
    struct rig *rig = *state;
    struct cb_snapshot *snapshot;
    const unsigned n = CB_VALUES_DAY_MAX + 3000;
    for (unsigned i = 0; i < n; i++) {
        struct cb_envelope envelope = rig_envelope("demo", 0, 1, t0);
        struct cb_event event = rig_event(i + 1, "onClick");
        envelope.device = CB_DEVICE_MOBILE;
        envelope.browser = i % 2 ? CB_BROWSER_EDGE : CB_BROWSER_FIREFOX;
        envelope.language[0] = (char)('a' + i / 676);
        envelope.language[1] = (char)('a' + i / 26 % 26);
        envelope.language[2] = (char)('a' + i % 26);
        memcpy(envelope.country, i % 4 < 2 ? "GR" : "DE", 3);
        assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
        if (i % 2000 == 1999) {
            rig_fold(rig);
        }
    }
    rig_fold(rig);
    struct cb_breakdown got = breakdown(rig, CB_DIM_LANGUAGE, t0, t0 + 86400000, 2, &snapshot);
    assert_true(cb_str_is(got.rows[0].value, "aaa") && cb_str_is(got.rows[1].value, "aab"));
    assert_true(got.lower_bound);
    assert_int_equal(got.other_values, CB_VALUES_DAY_MAX - 2);
    assert_int_equal(got.other_events, n - 2);
    free(got.rows);
    cb_snapshot_end(&snapshot);
    static const enum cb_dim whole[] = {CB_DIM_BROWSER, CB_DIM_COUNTRY};
    for (unsigned i = 0; i < 2; i++) {
        got = breakdown(rig, whole[i], t0, t0 + 86400000, 10, &snapshot);
        assert_int_equal(got.n, 2);
        assert_int_equal(got.rows[0].events, n / 2);
        assert_int_equal(got.rows[1].events, n / 2);
        assert_false(got.lower_bound);
        assert_int_equal(got.other_events, 0);
        free(got.rows);
        cb_snapshot_end(&snapshot);
    }
    make_anew(rig);
}

static void test_a_long_page_is_cut(void **state) {
    struct rig *rig = *state;
    struct cb_snapshot *snapshot;
    static char page[CB_PAGE_MAX + 1];
    memset(page, 'x', CB_PAGE_MAX);
    memcpy(page + CB_VALUE_TEXT_MAX - 1, "\xc3\xa9", 2); /* not within a character */
    add_page(rig, 1, page, t0);
    page[CB_PAGE_MAX - 1] = 'y';
    add_page(rig, 2, page, t0);
    add_page(rig, 3, "", t0);
    rig_fold(rig);
    struct cb_breakdown got = breakdown(rig, CB_DIM_PAGE, t0, t0 + 60000, 10, &snapshot);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.rows[0].value.len, CB_VALUE_TEXT_MAX - 1);
    assert_int_equal(got.rows[0].events, 2);
    assert_int_equal(got.rows[0].visitors, 2);
    free(got.rows);
    cb_snapshot_end(&snapshot);
}

/* A busy value: more visitors than a row holds, in several chunks of ordinals. */
static void test_many_visitors(void **state) {
    struct rig *rig = *state;
    struct cb_snapshot *snapshot;
    /* Past 8,192 some are in lists, on the busy page too many for one. Those who come again do so
     * on the same page, on each of three days. */
    enum { MANY = 12000, AGAIN = 1000 };
    for (unsigned i = 0; i < 2 * MANY; i++) {
        struct cb_envelope envelope = rig_envelope("demo", 1, 1, t0 + (i % 3) * INT64_C(86400000));
        struct cb_event event = rig_event(i + 1, "page");
        cb_be32_put(envelope.visitor, i < MANY ? i : i % AGAIN);
        event.page = i % 5 ? CB_STR("/busy") : CB_STR("/quiet");
        assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
        if (i % 1000 == 999) {
            rig_fold(rig);
        }
    }
    struct cb_breakdown got =
        breakdown(rig, CB_DIM_PAGE, t0, t0 + 3 * INT64_C(86400000), 10, &snapshot);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.rows[0].events, 2 * MANY / 5 * 4);
    assert_int_equal(got.rows[0].visitors, MANY / 5 * 4);
    assert_int_equal(got.rows[1].visitors, MANY / 5);
    free(got.rows);
    cb_snapshot_end(&snapshot);
    got = breakdown(rig, CB_DIM_DEVICE, t0, t0 + 86400000, 10, &snapshot);
    assert_int_equal(got.rows[0].visitors, MANY / 3 + AGAIN / 3 * 2);
    free(got.rows);
    cb_snapshot_end(&snapshot);
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
    assert_int_equal(got.rows[0].events, DAYS);
    assert_int_equal(got.rows[0].visitors, 2);
    free(got.rows);
    cb_snapshot_end(&snapshot);
}

/* Many visitors of several names, each with its own: those that have a bit in the row, and others.
 */
static void test_many_visitors_of_names(void **state) {
    struct rig *rig = *state;
    enum { MANY = 3000 };
    const struct cb_site_days day = {.first = (int32_t)(t0 / 86400000),
                                     .end = (int32_t)(t0 / 86400000) + 1};
    uint64_t seq = 0;
    for (unsigned i = 0; i < MANY; i++) {
        struct cb_envelope envelope = rig_envelope("demo", 1, 1, t0);
        cb_be32_put(envelope.visitor, i);
        for (unsigned k = 0; k < EVENT_NAMES; k++) {
            struct cb_event event = rig_event(++seq, names[k]);
            event.page = i % 13 ? CB_STR("/busy") : CB_STR("/quiet");
            if (i % (k + 1) == 0) {
                assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
            }
        }
        if (i % 100 == 99) {
            rig_fold(rig);
        }
    }
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
        for (unsigned i = 0; i < MANY; i++) {
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
    make_anew(rig);
}

/* Who goes from one busy page to another is a visitor of both. */
static void test_two_busy_pages(void **state) {
    struct rig *rig = *state;
    struct cb_snapshot *snapshot;
    enum { MANY = 1000 };
    for (unsigned i = 0; i < MANY; i++) {
        struct cb_envelope envelope = rig_envelope("demo", 1, 1, t0);
        cb_be32_put(envelope.visitor, i);
        for (unsigned k = 0; k < 2; k++) {
            struct cb_event event = rig_event(2 * i + k + 1, "page");
            event.page = k ? CB_STR("/b") : CB_STR("/a");
            assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
        }
    }
    rig_fold(rig);
    struct cb_breakdown got = breakdown(rig, CB_DIM_PAGE, t0, t0 + 60000, 10, &snapshot);
    assert_int_equal(got.n, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(got.rows[i].events, MANY);
        assert_int_equal(got.rows[i].visitors, MANY);
    }
    free(got.rows);
    cb_snapshot_end(&snapshot);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_breakdowns_against_a_recount),
        RIG_TEST(test_made_anew),
        RIG_TEST(test_the_cap_of_a_day),
        RIG_TEST(test_the_cap_of_profiles),
        RIG_TEST(test_a_long_page_is_cut),
        RIG_TEST(test_many_visitors),
        RIG_TEST(test_many_days),
        RIG_TEST(test_many_visitors_of_names),
        RIG_TEST(test_two_busy_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
