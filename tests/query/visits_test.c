/* SPDX-License-Identifier: MIT
 * The reports about visits over the fake reader: the exact JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "query/report.h"
#include "tests/query/fake_reader.h"

static struct cb_reader reader;
static struct cb_session_sums sessions;
static struct cb_funnel funnel = {{9, 4, 3, 3, 2, 1}, {10, 5, 6, 7, 3, 2}};
static struct cb_hist timings[CB_TIMING_COUNT];
static struct cb_trigger_sums triggers[] = {
    {CB_TRIGGER_NONE, {NULL, 0}, {NULL, 0}, {50, 10, 5, 2, 1, 2, 3, 4, 5}},
    {CB_TRIGGER_OTHER, {NULL, 0}, {NULL, 0}, {99, 0, 0, 0, 0, 0, 0, 0, 0}},
    {CB_TRIGGER_FIRST, CB_STR("b"), CB_STR("B"), {7, 6, 2, 1, 1, 2, 3, 4, 5}},
    {CB_TRIGGER_FIRST + 1, CB_STR("a"), CB_STR("A <i>"), {7, 0, 0, 0, 0, 0, 0, 0, 0}},
    {CB_TRIGGER_FIRST + 2, CB_STR("c"), CB_STR(""), {8, 0, 0, 0, 0, 0, 0, 0, 0}},
};

static int setup(void **state) {
    (void)state;
    memset(&sessions, 0, sizeof sessions);
    memset(timings, 0, sizeof timings);
    sessions.sessions = 3;
    sessions.events = 7;
    sessions.interacted = 2;
    sessions.bounced = 1;
    sessions.duration_ms = 1007;
    cb_hist_add(&sessions.durations, 0);
    cb_hist_add(&sessions.durations, 7);
    cb_hist_add(&sessions.durations, 1000);
    cb_hist_add(&timings[CB_TIMING_MAXIMIZE_WRITING], 5);
    reader = (struct cb_reader){.sessions = &sessions,
                                .funnel = &funnel,
                                .timings = timings,
                                .triggers = triggers,
                                .n_triggers = sizeof triggers / sizeof *triggers,
                                .visits_minute = 90};
    return 0;
}

/* Runs a report for demo, or as the balance of a token's site; the caller frees *text. */
static enum cb_refusal run(cb_report_fn *report, const char *query, const char *token_site,
                           const char *visitor, char **text, char *field) {
    static const char *const allowed[] = {"from", "to", "tz", "within", "steps", "order", NULL};
    struct cb_buf out;
    struct cb_report_ctx ctx = {.reader = &reader,
                                .site_name = CB_STR("demo"),
                                .site = {.id = FAKE_DEMO},
                                .visitor = cb_str_of(visitor),
                                .out = &out};
    cb_buf_init(&out, CB_REPORT_BYTES_MAX);
    cb_json_init(&ctx.json, &out);
    snprintf(ctx.token.site, sizeof ctx.token.site, "%s", token_site);
    assert_int_equal(cb_params_parse(cb_str_of(query), allowed, &ctx.params, &ctx.error), 0);
    assert_int_equal(cb_span_parse(&ctx.params, 200 * CB_MINUTE_MS, &ctx.span, &ctx.error), 0);
    assert_int_equal(cb_snapshot_begin(&reader, &ctx.snapshot), 0);
    enum cb_refusal refusal = report(&ctx);
    cb_snapshot_end(&ctx.snapshot);
    assert_int_equal(ctx.json.err, 0);
    *text = strndup(out.data ? out.data : "", out.len);
    assert_non_null(*text);
    if (field)
        snprintf(field, 32, "%.31s", ctx.error.field);
    cb_buf_fini(&out);
    return refusal;
}

static void assert_report(cb_report_fn *report, const char *query, const char *want) {
    char *text;
    assert_int_equal(run(report, query, "", "", &text, NULL), CB_REFUSE_NONE);
    assert_string_equal(text, want);
    free(text);
}

static void assert_refused(cb_report_fn *report, const char *query, const char *visitor,
                           enum cb_refusal refusal, const char *field) {
    char *text, got[32];
    assert_int_equal(run(report, query, "", visitor, &text, got), refusal);
    assert_string_equal(got, field);
    free(text);
}

#define RANGE "{\"site\":\"demo\",\"from\":5400000,\"to\":6300000,\"tz\":\"UTC\","
#define EMPTY "{\"count\":0,\"p50_ms\":null,\"p90_ms\":null,\"p99_ms\":null,\"buckets\":[]}"

/* Minutes 100 to 101 are widened to 90 to 105. */
static void a_session_report(void **state) {
    (void)state;
    assert_report(cb_report_sessions, "from=6000000&to=6060000",
                  RANGE "\"sessions\":3,\"events\":7,\"events_each\":2.3333,\"interacted\":2,"
                        "\"interacted_share\":0.6667,\"bounced\":1,\"bounced_share\":0.3333,"
                        "\"duration\":{\"mean_ms\":336,\"count\":3,\"p50_ms\":7,\"p90_ms\":1007,"
                        "\"p99_ms\":1007,\"buckets\":[[0,1],[7,1],[1023,1]]}}");
    assert_report(cb_report_sessions, "from=6300000&to=6360000&tz=Asia/Kolkata",
                  "{\"site\":\"demo\",\"from\":6300000,\"to\":7200000,\"tz\":\"Asia/Kolkata\","
                  "\"sessions\":0,\"events\":0,\"events_each\":null,\"interacted\":0,"
                  "\"interacted_share\":null,\"bounced\":0,\"bounced_share\":null,"
                  "\"duration\":{\"mean_ms\":null,\"count\":0,\"p50_ms\":null,\"p90_ms\":null,"
                  "\"p99_ms\":null,\"buckets\":[]}}");
}

static void a_funnel_report(void **state) {
    (void)state;
    assert_report(cb_report_funnel, "from=6000000&to=6060000",
                  RANGE "\"steps\":[{\"name\":\"onWebChatLoaded\",\"visits\":9,\"happened\":10},"
                        "{\"name\":\"onTrigger\",\"visits\":4,\"happened\":5},"
                        "{\"name\":\"onClick\",\"visits\":3,\"happened\":6},"
                        "{\"name\":\"onMaximize\",\"visits\":3,\"happened\":7},"
                        "{\"name\":\"onStartWriting\",\"visits\":2,\"happened\":3},"
                        "{\"name\":\"contact\",\"visits\":1,\"happened\":2}]}");
}

static void a_timings_report(void **state) {
    (void)state;
    assert_report(cb_report_timings, "from=6000000&to=6060000",
                  "{\"loaded_click\":" EMPTY ",\"loaded_maximize\":" EMPTY
                  ",\"maximize_writing\":{\"count\":1,\"p50_ms\":5,\"p90_ms\":5,\"p99_ms\":5,"
                  "\"buckets\":[[5,1]]},\"trigger_maximize\":" EMPTY "}");
}

static void a_triggers_report(void **state) {
    (void)state;
    assert_report(cb_report_triggers, "from=6000000&to=6060000&within=10",
                  RANGE "\"within_s\":10,\"triggers\":["
                        "{\"id\":\"c\",\"name\":\"\",\"shown\":8,\"opened\":0,\"opened_within\":0,"
                        "\"wrote\":0,\"closed\":0},"
                        "{\"id\":\"a\",\"name\":\"A \\u003ci>\",\"shown\":7,\"opened\":0,"
                        "\"opened_within\":0,\"wrote\":0,\"closed\":0},"
                        "{\"id\":\"b\",\"name\":\"B\",\"shown\":7,\"opened\":6,\"opened_within\":1,"
                        "\"wrote\":2,\"closed\":1},"
                        "{\"id\":\"(other)\",\"name\":\"\",\"shown\":99,\"opened\":0,"
                        "\"opened_within\":0,\"wrote\":0,\"closed\":0}],"
                        "\"without\":{\"visits\":50,\"opened\":10,\"opened_within\":1,\"wrote\":5,"
                        "\"closed\":2}}");
    assert_report(cb_report_triggers, "from=0&to=60000",
                  "{\"site\":\"demo\",\"from\":0,\"to\":900000,\"tz\":\"UTC\",\"within_s\":60,"
                  "\"triggers\":[],\"without\":{\"visits\":0,\"opened\":0,\"opened_within\":0,"
                  "\"wrote\":0,\"closed\":0}}");
    reader.n_triggers = 1;
    char *text;
    assert_int_equal(
        run(cb_report_triggers, "from=6000000&to=6060000&within=300", "", "", &text, NULL),
        CB_REFUSE_NONE);
    assert_non_null(strstr(text, "\"opened_within\":5"));
    free(text);
    assert_refused(cb_report_triggers, "within=61", "", CB_REFUSE_BAD_REQUEST, "within");
    assert_refused(cb_report_triggers, "within=", "", CB_REFUSE_BAD_REQUEST, "within");
}

static void a_failing_snapshot_is_internal(void **state) {
    (void)state;
    reader.visits_rc = CB_EIO;
    assert_refused(cb_report_sessions, "", "", CB_REFUSE_INTERNAL, "");
    assert_refused(cb_report_funnel, "", "", CB_REFUSE_INTERNAL, "");
    assert_refused(cb_report_timings, "", "", CB_REFUSE_INTERNAL, "");
    assert_refused(cb_report_triggers, "", "", CB_REFUSE_INTERNAL, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_session_report, setup),
        cmocka_unit_test_setup(a_funnel_report, setup),
        cmocka_unit_test_setup(a_timings_report, setup),
        cmocka_unit_test_setup(a_triggers_report, setup),
        cmocka_unit_test_setup(a_failing_snapshot_is_internal, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
