/* SPDX-License-Identifier: MIT
 * The report of a dimension's values over the fake reader: the exact JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "query/report.h"
#include "tests/query/fake_reader.h"

static struct cb_breakdown_row rows[] = {{CB_STR("/a\"<b>"), 7, 3}, {CB_STR("/c"), 1, 0}};
static struct cb_breakdown breakdown = {rows, 2, 9, 4, false};
static struct cb_reader reader;

static int setup(void **state) {
    (void)state;
    static const struct fake_name names[] = {{FAKE_DEMO, 7, "page"}};
    breakdown.lower_bound = false;
    reader = (struct cb_reader){.breakdown = &breakdown, .names = names, .n_names = 1};
    return 0;
}

static enum cb_refusal run(const char *query, char text[4096], char field[32]) {
    static const char *const allowed[] = {"from", "to", "tz", "by", "event", "limit", NULL};
    struct cb_buf out;
    struct cb_report_ctx ctx = {.reader = &reader,
                                .site_name = CB_STR("demo"),
                                .site = {.id = FAKE_DEMO, .last_minute = 5000000},
                                .now_ms = 200 * CB_MINUTE_MS,
                                .out = &out};
    cb_buf_init(&out, CB_REPORT_BYTES_MAX);
    cb_json_init(&ctx.json, &out);
    assert_int_equal(cb_params_parse(cb_str_of(query), allowed, &ctx.params, &ctx.error), 0);
    assert_int_equal(cb_snapshot_begin(&reader, &ctx.snapshot), 0);
    enum cb_refusal refusal = cb_report_breakdown(&ctx);
    cb_snapshot_end(&ctx.snapshot);
    snprintf(text, 4096, "%.*s", (int)out.len, out.data ? out.data : "");
    snprintf(field, 32, "%.31s", ctx.error.field);
    cb_buf_fini(&out);
    return refusal;
}

static void assert_answer(const char *query, const char *want) {
    char text[4096], field[32];
    assert_int_equal(run(query, text, field), CB_REFUSE_NONE);
    assert_string_equal(text, want);
}

static void assert_refused(const char *query, const char *want) {
    char text[4096], field[32];
    assert_int_equal(run(query, text, field), CB_REFUSE_BAD_REQUEST);
    assert_string_equal(field, want);
}

#define ROW "{\"value\":\"/a\\\"\\u003cb>\",\"events\":7,\"visitors\":3}"
#define DAYS "\"from\":86400000,\"to\":172800000,\"tz\":\"UTC\",\"widened\":"

static void a_breakdown(void **state) {
    (void)state;
    assert_answer("by=page&from=1970-01-02&to=1970-01-03",
                  "{\"site\":\"demo\",\"by\":\"page\"," DAYS "false,\"rows\":[" ROW
                  ",{\"value\":\"/c\",\"events\":1,\"visitors\":0}],"
                  "\"other\":{\"events\":9,\"values\":4}}");
    breakdown.lower_bound = true;
    assert_answer("by=country&event=page&from=90000000&to=90060000&limit=1&tz=Asia/Tokyo",
                  "{\"site\":\"demo\",\"by\":\"country\",\"event\":\"page\"," DAYS
                  "true,\"rows\":[" ROW "],\"other\":{\"events\":9,\"values\":4},"
                  "\"lower_bound\":true}");
    assert_answer("by=page&event=never&from=1970-01-02&to=1970-01-03",
                  "{\"site\":\"demo\",\"by\":\"page\",\"event\":\"never\"," DAYS
                  "false,\"rows\":[],\"other\":{\"events\":0,\"values\":0}}");
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "by"},
        {"by=", "by"},
        {"by=Page", "by"},
        {"by=bot", "by"},
        {"by=page&limit=0", "limit"},
        {"by=page&limit=1001", "limit"},
        {"by=page&limit=99999999999999999999", "limit"},
        {"by=page&limit=-1", "limit"},
        {"by=page&limit=", "limit"},
        {"by=page&event=1x", "event"},
        {"by=page&event=", "event"},
        {"by=page&tz=Mars/Olympus", "tz"},
        {"by=page&from=tomorrow", "from"},
        {"by=page&from=1970-01-03&to=1970-01-02", "from"},
        {"by=page&from=0&to=1980-01-01", "from"}, /* of days with events, too many */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i][0], cases[i][1]);
}

static void what_fails_is_said(void **state) {
    (void)state;
    char text[4096], field[32];
    reader.visits_rc = CB_EIO;
    assert_int_equal(run("by=page", text, field), CB_REFUSE_INTERNAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_breakdown, setup),
        cmocka_unit_test_setup(what_is_wrong_is_named, setup),
        cmocka_unit_test_setup(what_fails_is_said, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
