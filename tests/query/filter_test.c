/* SPDX-License-Identifier: MIT
 * filter=: what is a filter and what is not; the tally against a model that keeps every event; and
 * both ways to an answer over the fake reader: the exact JSON. */
#include "query/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "query/report.h"
#include "query/tally.h"
#include "tests/query/fake_reader.h"

/* ---- what is a filter ---- */

static void filters_are_read(void **state) {
    (void)state;
    struct cb_filters f;
    struct cb_param_error error;
    assert_int_equal(cb_filters_parse("device:bot", &f, &error), 0);
    assert_int_equal(f.n, 1);
    assert_int_equal(f.rows[0].dim, CB_DIM_DEVICE);
    assert_true(cb_str_is(f.rows[0].value, "bot"));
    assert_int_equal(cb_filters_parse("page:https://a.example/b:c\\;d\\\\;referrer:[::1];"
                                      "language:haw;country:GR",
                                      &f, &error),
                     0);
    assert_int_equal(f.n, 4);
    assert_true(cb_str_is(f.rows[0].value, "https://a.example/b:c;d\\"));
    assert_true(cb_str_is(f.rows[1].value, "[::1]"));
    assert_int_equal(f.rows[2].dim, CB_DIM_LANGUAGE);
    assert_true(cb_str_is(f.rows[3].value, "GR"));
    assert_int_equal(cb_filters_parse("trigger:(other)", &f, &error), 0);
    assert_int_equal(cb_filters_parse("browser:unknown", &f, &error), 0);
}

static void what_is_no_filter_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "page",
        "page:",
        ":x",
        ";",
        "page:a;",
        "page:a;;page:b",
        "page:a\\",
        "page:a\\b",
        "page:a;page:b",
        "Page:a",
        "page :a",
        "device:x",
        "browser:IE",
        "language:EN",
        "language:english",
        "country:gr",
        "country:GRC",
        "referrer:A.b",
        "referrer:",
        "device:bot;browser:edge;language:de;country:GR;page:a",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cb_filters f;
        struct cb_param_error error = {.field = ""};
        if (cb_filters_parse(bad[i], &f, &error) != CB_EINVAL)
            fail_msg("%s", bad[i]);
        assert_string_equal(error.field, "filter");
    }
}

/* ---- the tally ---- */

enum { EVENTS = 30000, BUCKETS = 7, VISITORS = 900 };

static unsigned seed = 5;

static unsigned random_below(unsigned n) {
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % n;
}

static void a_tally_against_a_model(void **state) {
    (void)state;
    static const int64_t bounds[BUCKETS + 1] = {100, 101, 160, 161, 400, 1000, 1440, 2000};
    static bool seen[BUCKETS][VISITORS];
    uint64_t events[BUCKETS] = {0}, visitors[BUCKETS] = {0}, names[30] = {0};
    struct cb_tally tally;
    assert_int_equal(cb_tally_init(&tally, bounds, BUCKETS), 0);
    for (unsigned i = 0; i < EVENTS; i++) {
        struct cb_envelope envelope = {.has_visitor = random_below(10) > 0};
        unsigned visitor = random_below(1 + random_below(VISITORS)), which = random_below(30);
        int64_t ms = ((int64_t)random_below(2100)) * 60000 + random_below(60000);
        char name[16];
        snprintf(name, sizeof name, "name-%u", which);
        struct cb_event event = {.name = cb_str_of(name)};
        memcpy(envelope.visitor, &visitor, sizeof visitor);
        assert_int_equal(cb_tally_add(&tally, &envelope, &event, ms), 0);
        for (unsigned b = 0; b < BUCKETS; b++) {
            if (ms / 60000 < bounds[b] || ms / 60000 >= bounds[b + 1])
                continue;
            events[b]++;
            names[which]++;
            visitors[b] += envelope.has_visitor && !seen[b][visitor];
            seen[b][visitor] |= envelope.has_visitor;
        }
    }
    assert_memory_equal(tally.events, events, sizeof events);
    assert_memory_equal(tally.visitors, visitors, sizeof visitors);
    assert_int_equal(tally.n_names, 30);
    for (unsigned i = 0; i < 30; i++) {
        unsigned which = (unsigned)strtoul(tally.names[i].text + 5, NULL, 10);
        assert_int_equal(tally.names[i].events, names[which]);
    }
    cb_tally_fini(&tally);
}

static void names_past_a_thousand_are_one(void **state) {
    (void)state;
    static const int64_t bounds[] = {0, 1};
    const struct cb_envelope envelope = {.has_visitor = false};
    struct cb_tally tally;
    assert_int_equal(cb_tally_init(&tally, bounds, 1), 0);
    for (unsigned i = 0; i < 1500; i++) {
        char name[16];
        snprintf(name, sizeof name, "name-%u", i % 1200);
        struct cb_event event = {.name = cb_str_of(name)};
        assert_int_equal(cb_tally_add(&tally, &envelope, &event, 0), 0);
    }
    assert_int_equal(tally.n_names, CB_TALLY_NAMES_MAX + 1);
    assert_int_equal(tally.names[0].events, 2);
    assert_memory_equal(tally.names[CB_TALLY_NAMES_MAX].text, "(other)", 7);
    assert_int_equal(tally.names[CB_TALLY_NAMES_MAX].events, 200);
    assert_int_equal(tally.events[0], 1500);
    cb_tally_fini(&tally);
}

/* ---- answers ---- */

static const struct cb_envelope phone = {.site = CB_STR("demo"),
                                         .has_visitor = true,
                                         .visitor = {1},
                                         .device = CB_DEVICE_MOBILE,
                                         .language = "de"};
static const struct cb_envelope desk = {.site = CB_STR("demo"),
                                        .has_visitor = true,
                                        .visitor = {2},
                                        .device = CB_DEVICE_DESKTOP,
                                        .language = "de"};
static const struct cb_event page = {.name = CB_STR("page"), .page = CB_STR("/a")};
static const struct cb_event click = {.name = CB_STR("onClick"), .page = CB_STR("/a")};
static const struct cb_export_row rows[] = {{1, 0, &phone, &page, 90 * CB_MINUTE_MS},
                                            {1, 1, &phone, &click, 91 * CB_MINUTE_MS},
                                            {2, 0, &desk, &click, 92 * CB_MINUTE_MS},
                                            {2, 1, &desk, &page, 300 * CB_MINUTE_MS}};
static const struct fake_name names[] = {{FAKE_DEMO, 8, "page"}, {FAKE_DEMO, 7, "onClick"}};
static struct cb_breakdown breakdown;
static struct cb_reader reader;

static int setup(void **state) {
    (void)state;
    breakdown = (struct cb_breakdown){0};
    reader = (struct cb_reader){.names = names,
                                .n_names = 2,
                                .rows = rows,
                                .n_rows = sizeof rows / sizeof *rows,
                                .breakdown = &breakdown};
    return 0;
}

/* A report's answer, to its end where it comes in chunks. */
static enum cb_refusal run(cb_report_fn *report, const char *query, bool csv, char text[4096],
                           char field[32]) {
    static const char *const allowed[] = {"from", "to", "tz", "grain", "event", "filter", NULL};
    struct cb_buf out;
    struct cb_report_ctx ctx = {.reader = &reader,
                                .site_name = CB_STR("demo"),
                                .site = {.id = FAKE_DEMO, .first_minute = 90, .last_minute = 300},
                                .csv = csv,
                                .out = &out};
    cb_buf_init(&out, CB_EXPORT_CHUNK_BYTES_MAX);
    cb_json_init(&ctx.json, &out);
    assert_int_equal(cb_params_parse(cb_str_of(query), allowed, &ctx.params, &ctx.error), 0);
    assert_int_equal(cb_span_parse(&ctx.params, 3000 * CB_MINUTE_MS, &ctx.span, &ctx.error), 0);
    assert_int_equal(cb_snapshot_begin(&reader, &ctx.snapshot), 0);
    enum cb_refusal refusal = report(&ctx);
    cb_snapshot_end(&ctx.snapshot);
    for (bool more = ctx.export != NULL; more;)
        assert_int_equal(cb_export_next(ctx.export, &out, &more), 0);
    cb_export_destroy(&ctx.export);
    snprintf(text, 4096, "%.*s", (int)out.len, out.data ? out.data : "");
    snprintf(field, 32, "%.31s", ctx.error.field);
    cb_buf_fini(&out);
    return refusal;
}

static void assert_answer(cb_report_fn *report, const char *query, const char *want) {
    char text[4096], field[32];
    assert_int_equal(run(report, query, false, text, field), CB_REFUSE_NONE);
    assert_string_equal(text, want);
}

#define RANGE "{\"site\":\"demo\",\"from\":0,\"to\":172800000,\"tz\":\"UTC\","
#define DAYS "from=1970-01-01&to=1970-01-03"

/* The fake gives 10 events a day and the name's number, and the first day as visitors. */
static void whole_days_are_folded(void **state) {
    (void)state;
    assert_answer(cb_report_totals, DAYS "&filter=device:mobile",
                  RANGE "\"filter\":\"device:mobile\",\"source\":\"folded\","
                        "\"events\":{\"onClick\":20},\"visitors\":0}");
    breakdown.lower_bound = true;
    assert_answer(cb_report_series, DAYS "&filter=page:/a&grain=day&event=page",
                  RANGE "\"grain\":\"day\",\"event\":\"page\",\"filter\":\"page:/a\","
                        "\"source\":\"folded\",\"points\":["
                        "{\"t\":0,\"events\":18,\"visitors\":0},"
                        "{\"t\":86400000,\"events\":18,\"visitors\":1}],\"lower_bound\":true}");
    breakdown.lower_bound = false;
    /* Where nothing lies between the ends of the range and those of the days, too. */
    assert_answer(cb_report_totals, "from=5400000&to=18060000&filter=device:mobile",
                  "{\"site\":\"demo\",\"from\":5400000,\"to\":18060000,\"tz\":\"UTC\","
                  "\"filter\":\"device:mobile\",\"source\":\"folded\","
                  "\"events\":{\"onClick\":10},\"visitors\":0}");
    assert_answer(cb_report_series, DAYS "&filter=page:/a&grain=day&event=never",
                  RANGE "\"grain\":\"day\",\"event\":\"never\",\"filter\":\"page:/a\","
                        "\"source\":\"folded\",\"points\":["
                        "{\"t\":0,\"events\":0,\"visitors\":0},"
                        "{\"t\":86400000,\"events\":0,\"visitors\":0}]}");
}

static void anything_else_is_raw(void **state) {
    (void)state;
    assert_answer(cb_report_totals, DAYS "&filter=page:/a;language:de",
                  RANGE
                  "\"filter\":\"page:/a;language:de\",\"source\":\"raw\",\"progress\":[0,100],"
                  "\"events\":{\"onClick\":2,\"page\":2},\"visitors\":2,\"looked_at\":4,"
                  "\"complete\":true}");
    assert_answer(cb_report_totals, "from=5460000&to=18000000&filter=page:/a",
                  "{\"site\":\"demo\",\"from\":5460000,\"to\":18000000,\"tz\":\"UTC\","
                  "\"filter\":\"page:/a\",\"source\":\"raw\",\"progress\":[0,100],"
                  "\"events\":{\"onClick\":2},\"visitors\":2,\"looked_at\":4,\"complete\":true}");
    assert_answer(cb_report_series,
                  "from=3600000&to=10800000&grain=hour&event=onClick&filter=page:/a",
                  "{\"site\":\"demo\",\"from\":3600000,\"to\":10800000,\"tz\":\"UTC\","
                  "\"grain\":\"hour\",\"event\":\"onClick\",\"filter\":\"page:/a\","
                  "\"source\":\"raw\",\"progress\":[0,100],\"points\":["
                  "{\"t\":3600000,\"events\":2,\"visitors\":2},"
                  "{\"t\":7200000,\"events\":0,\"visitors\":0}],\"looked_at\":4,"
                  "\"complete\":true}");
    reader.trimmed = 1;
    char text[4096], field[32];
    assert_int_equal(run(cb_report_totals, DAYS "&filter=page:/a;language:de", false, text, field),
                     CB_REFUSE_NONE);
    assert_non_null(strstr(text, "\"complete\":false}"));
}

static void a_raw_answer_as_a_table(void **state) {
    (void)state;
    char text[4096], field[32];
    assert_int_equal(run(cb_report_series, "from=3600000&to=10800000&grain=hour&filter=page:/a",
                         true, text, field),
                     CB_REFUSE_NONE);
    assert_string_equal(text, "t,events,visitors\r\n3600000,3,2\r\n7200000,0,0\r\n");
    assert_int_equal(run(cb_report_totals, DAYS "&filter=page:/a;device:mobile", true, text, field),
                     CB_REFUSE_NONE);
    assert_non_null(strstr(text, "events.onClick,1\r\nevents.page,1\r\nvisitors,1\r\n"));
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    char text[4096], field[32];
    assert_int_equal(run(cb_report_totals, "filter=", false, text, field), CB_REFUSE_BAD_REQUEST);
    assert_string_equal(field, "filter");
    assert_int_equal(run(cb_report_series, DAYS "&filter=colour:red", false, text, field),
                     CB_REFUSE_BAD_REQUEST);
    assert_string_equal(field, "filter");
    assert_int_equal(run(cb_report_series,
                         "from=1970-01-01&to=1971-01-01&grain=hour&filter=page:/a", false, text,
                         field),
                     CB_REFUSE_BAD_REQUEST);
    assert_string_equal(field, "grain");
    reader.visits_rc = CB_EIO;
    assert_int_equal(run(cb_report_totals, DAYS "&filter=page:/a", false, text, field),
                     CB_REFUSE_INTERNAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_are_read),
        cmocka_unit_test(what_is_no_filter_is_refused),
        cmocka_unit_test(a_tally_against_a_model),
        cmocka_unit_test(names_past_a_thousand_are_one),
        cmocka_unit_test_setup(whole_days_are_folded, setup),
        cmocka_unit_test_setup(anything_else_is_raw, setup),
        cmocka_unit_test_setup(a_raw_answer_as_a_table, setup),
        cmocka_unit_test_setup(what_is_wrong_is_named, setup),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
