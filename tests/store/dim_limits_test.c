/* SPDX-License-Identifier: MIT
 * Dimensions at their limits: caps of values, many visitors, days and names, batches that came to
 * nothing, spoiled tails; before and after the sweep has settled what days left. */
#include "tests/store/dim_rig.h"

#include "store/dim_tail.h"
#include "store/sweep.h"
#include "store/sweep_tails.h"

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
        RIG_STOPPED_TEST(test_the_cap_of_a_day),
        RIG_STOPPED_TEST(test_the_cap_of_profiles),
        RIG_STOPPED_TEST(test_a_full_day_that_is_gone),
        RIG_STOPPED_TEST(test_a_long_page_is_cut),
        RIG_STOPPED_TEST(test_many_visitors),
        RIG_STOPPED_TEST(test_many_days),
        RIG_STOPPED_TEST(test_many_visitors_of_names),
        RIG_STOPPED_TEST(test_two_busy_pages),
        RIG_STOPPED_TEST(test_a_batch_that_came_to_nothing),
        RIG_STOPPED_TEST(test_spoiled_tails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
