/* SPDX-License-Identifier: MIT
 * Each report over the fake reader: the exact JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "query/report.h"
#include "tests/query/fake_reader.h"

enum { CLICK = 2, MAXIMIZE = 3, SET = 4 };

static const struct fake_name names[] = {
    {FAKE_DEMO, CLICK, "onClick"},
    {FAKE_DEMO, MAXIMIZE, "onMaximize"},
    {FAKE_DEMO, SET, "set"},
    {FAKE_SHOP, CLICK, "onClick"},
};

/* Minutes from 100; two visitors; a session each, and one more. */
static const struct fake_event events[] = {
    {100, FAKE_DEMO, CB_NAME_ID_SESSIONS, 0},
    {100, FAKE_DEMO, CLICK, 0},
    {101, FAKE_DEMO, CLICK, 1},
    {101, FAKE_DEMO, CB_NAME_ID_SESSIONS, 1},
    {101, FAKE_DEMO, CLICK, 1},
    {103, FAKE_DEMO, MAXIMIZE, 0},
    {103, FAKE_SHOP, CLICK, 5},
    {104, FAKE_DEMO, CLICK, 0},
    {150, FAKE_DEMO, SET, 0},
    {150, FAKE_DEMO, CB_NAME_ID_SESSIONS, 0},
};

static struct cb_visitor visitors[] = {
    {.visitor = {0xab, 0xcd, 1},
     .first_seen_ms = 1000,
     .last_seen_ms = 9000,
     .events = 12,
     .sessions = 3,
     .fields = {{"Ada \"Countess\"", 14}, {"ada@example.org", 15}, {"+44 1", 5}, {"VIP <b>", 7}}},
    {.visitor = {0xab, 0xce, 2}, .first_seen_ms = 2000, .last_seen_ms = 8000, .events = 1},
    {.visitor = {0x01},
     .first_seen_ms = 3000,
     .last_seen_ms = 7000,
     .events = 2,
     .sessions = 1,
     .fields = {{"\xce\xa3\xce\xbf\xcf\x86\xce\xaf\xce\xb1", 10}, {NULL, 0}, {NULL, 0}, {NULL, 0}}},
};
#define VISITORS (sizeof visitors / sizeof *visitors)

#define ROW_ADA                                                                                    \
    "\"visitor\":\"abcd0100000000000000000000000000\",\"name\":\"Ada \\\"Countess\\\"\","          \
    "\"email\":\"ada@example.org\",\"phone\":\"+44 1\",\"notes\":\"VIP \\u003cb>\","               \
    "\"first_seen\":1000,\"last_seen\":9000,\"events\":12,\"sessions\":3}"
#define ROW_BLANK                                                                                  \
    "{\"visitor\":\"abce0200000000000000000000000000\",\"name\":\"\",\"email\":\"\","              \
    "\"phone\":\"\",\"notes\":\"\",\"first_seen\":2000,\"last_seen\":8000,\"events\":1,"           \
    "\"sessions\":0}"
#define ROW_SOFIA                                                                                  \
    "{\"visitor\":\"01000000000000000000000000000000\",\"name\":\"Σοφία\",\"email\":\"\","    \
    "\"phone\":\"\",\"notes\":\"\",\"first_seen\":3000,\"last_seen\":7000,\"events\":2,"           \
    "\"sessions\":1}"

static struct cb_reader reader;

static int setup(void **state) {
    (void)state;
    reader = (struct cb_reader){
        .events = events,
        .n_events = sizeof events / sizeof *events,
        .names = names,
        .n_names = sizeof names / sizeof *names,
        .visitors = visitors,
        .n_visitors = VISITORS,
        .books = {{.received = 3, .rejected = {[CB_REFUSE_BAD_JSON] = 3}},
                  {.received = 10,
                   .counted = 6,
                   .duplicate = 1,
                   .lost = 2,
                   .rejected = {[CB_REFUSE_BAD_EVENT] = 2, [CB_REFUSE_BAD_TIME] = 1}},
                  {.received = 5, .counted = 5}},
    };
    return 0;
}

/* Runs a report for demo, or as the balance of a token's site; the caller frees *text. */
static enum cb_refusal run(cb_report_fn *report, const char *query, const char *token_site,
                           const char *visitor, char **text, char *field) {
    static const char *const allowed[] = {"from",  "to", "tz",     "grain", "event", "cursor",
                                          "limit", "q",  "format", "by",    NULL};
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

static void totals(void **state) {
    (void)state;
    assert_report(cb_report_totals, "from=6000000&to=6240000",
                  "{\"site\":\"demo\",\"from\":6000000,\"to\":6240000,\"tz\":\"UTC\","
                  "\"events\":{\"onClick\":3,\"onMaximize\":1},\"visitors\":2,\"sessions\":2}");
    assert_report(cb_report_totals, "from=6240000&tz=Asia/Kathmandu",
                  "{\"site\":\"demo\",\"from\":6240000,\"to\":12060000,\"tz\":\"Asia/Kathmandu\","
                  "\"events\":{\"onClick\":1,\"set\":1},\"visitors\":1,\"sessions\":1}");
    assert_report(cb_report_totals, "from=0&to=60000",
                  "{\"site\":\"demo\",\"from\":0,\"to\":60000,\"tz\":\"UTC\",\"events\":{},"
                  "\"visitors\":0,\"sessions\":0}");
}

static void totals_say_when_names_are_left_out(void **state) {
    struct fake_name *many = calloc(CB_REPORT_NAMES_MAX + 1, sizeof *many);
    struct fake_event one = {100, FAKE_DEMO, 9, 0};
    (void)state;
    assert_non_null(many);
    for (size_t i = 0; i <= CB_REPORT_NAMES_MAX; i++)
        many[i] = (struct fake_name){FAKE_DEMO, i == 0 ? 9 : 8, "name"};
    reader.names = many;
    reader.events = &one;
    reader.n_events = 1;
    reader.n_names = CB_REPORT_NAMES_MAX;
    assert_report(cb_report_totals, "from=6000000&to=6060000",
                  "{\"site\":\"demo\",\"from\":6000000,\"to\":6060000,\"tz\":\"UTC\","
                  "\"events\":{\"name\":1},\"visitors\":1,\"sessions\":0}");
    reader.n_names++;
    assert_report(cb_report_totals, "from=6000000&to=6060000",
                  "{\"site\":\"demo\",\"from\":6000000,\"to\":6060000,\"tz\":\"UTC\","
                  "\"events\":{\"name\":1},\"visitors\":1,\"sessions\":0,\"lower_bound\":true}");
    free(many);
}

/* Where minutes are gone ranges are whole quarter hours; where quarters of visitors are, it says
 * so. */
static void what_is_not_kept(void **state) {
    (void)state;
    reader.kept = (struct cb_kept){105, 105};
    assert_report(cb_report_totals, "from=6060000&to=6240000",
                  "{\"site\":\"demo\",\"from\":5400000,\"to\":6300000,\"tz\":\"UTC\","
                  "\"events\":{\"onClick\":4,\"onMaximize\":1},\"visitors\":2,\"sessions\":2}");
    assert_report(cb_report_totals, "from=6060000&to=6360000",
                  "{\"site\":\"demo\",\"from\":5400000,\"to\":6360000,\"tz\":\"UTC\","
                  "\"events\":{\"onClick\":4,\"onMaximize\":1},\"visitors\":2,\"sessions\":2}");
    assert_refused(cb_report_series, "from=6240000&to=6360000&grain=minute", "",
                   CB_REFUSE_BAD_REQUEST, "grain");
    assert_report(cb_report_series, "from=6300000&to=6360000&grain=minute",
                  "{\"site\":\"demo\",\"grain\":\"minute\",\"tz\":\"UTC\",\"from\":6300000,"
                  "\"to\":6360000,\"points\":[{\"t\":6300000,\"events\":0,\"visitors\":0}]}");
    reader.known = CB_KNOWN_BY_DAYS;
    assert_report(cb_report_totals, "from=6300000&to=12000000",
                  "{\"site\":\"demo\",\"from\":6300000,\"to\":12000000,\"tz\":\"UTC\","
                  "\"events\":{\"set\":1},\"visitors\":1,\"visitors_exact\":false,\"sessions\":1}");
    reader.known = CB_UNKNOWN;
    assert_report(
        cb_report_series, "from=6240000&to=6360000&grain=hour",
        "{\"site\":\"demo\",\"grain\":\"hour\",\"tz\":\"UTC\",\"from\":5400000,\"to\":6360000,"
        "\"points\":[{\"t\":3600000,\"events\":5,\"visitors\":null,\"visitors_exact\":false}]}");
}

static void retention(void **state) {
    (void)state;
    assert_report(
        cb_report_retention, "from=90000000&to=200000000",
        "{\"site\":\"demo\",\"from\":86400000,\"to\":259200000,\"tz\":\"UTC\",\"by\":\"day\","
        "\"cohorts\":[{\"t\":86400000,\"size\":5,\"returned\":[5,4]},"
        "{\"t\":172800000,\"size\":0,\"returned\":[0]}]}");
    reader.known = CB_KNOWN_BY_DAYS;
    assert_report(cb_report_retention, "from=2026-03-30&to=2026-03-31&tz=Europe/Athens&by=week",
                  "{\"site\":\"demo\",\"from\":1774818000000,\"to\":1775422800000,"
                  "\"tz\":\"Europe/Athens\",\"by\":\"week\",\"cohorts\":[{\"t\":1774818000000,"
                  "\"size\":5,\"returned\":[5]}],\"exact\":false}");
    assert_refused(cb_report_retention, "by=hour", "", CB_REFUSE_BAD_REQUEST, "by");
    assert_refused(cb_report_retention, "from=2026-01-01&to=2026-04-04", "", CB_REFUSE_BAD_REQUEST,
                   "from");
    assert_refused(cb_report_retention, "from=2026-01-01&to=2027-03-04&by=week", "",
                   CB_REFUSE_BAD_REQUEST, "from");
    assert_refused(cb_report_retention, "from=2023-01-01&to=2026-01-02&by=month", "",
                   CB_REFUSE_BAD_REQUEST, "from");
    reader.series_rc = CB_EIO;
    assert_refused(cb_report_retention, "", "", CB_REFUSE_INTERNAL, "");
}

static void series(void **state) {
    (void)state;
    assert_report(
        cb_report_series, "from=6000000&to=6300000&grain=minute",
        "{\"site\":\"demo\",\"grain\":\"minute\",\"tz\":\"UTC\",\"from\":6000000,\"to\":6300000,"
        "\"points\":[{\"t\":6000000,\"events\":1,\"visitors\":1},"
        "{\"t\":6060000,\"events\":2,\"visitors\":1},{\"t\":6120000,\"events\":0,\"visitors\":0},"
        "{\"t\":6180000,\"events\":1,\"visitors\":1},"
        "{\"t\":6240000,\"events\":1,\"visitors\":1}]}");
    assert_report(cb_report_series, "from=6000000&to=9060000&grain=hour&event=onClick",
                  "{\"site\":\"demo\",\"grain\":\"hour\",\"tz\":\"UTC\",\"from\":6000000,"
                  "\"to\":9060000,\"event\":\"onClick\",\"points\":["
                  "{\"t\":3600000,\"events\":4,\"visitors\":2},"
                  "{\"t\":7200000,\"events\":0,\"visitors\":0}]}");
    /* Kathmandu was 5 h 30 min ahead in 1970: minute 100 is 07:10 there. */
    assert_report(cb_report_series, "from=6000000&to=6240000&grain=hour&tz=Asia/Kathmandu",
                  "{\"site\":\"demo\",\"grain\":\"hour\",\"tz\":\"Asia/Kathmandu\","
                  "\"from\":6000000,\"to\":6240000,\"points\":["
                  "{\"t\":5400000,\"events\":4,\"visitors\":2}]}");
}

static void an_unknown_event_gives_zeros(void **state) {
    (void)state;
    assert_report(cb_report_series, "from=6000000&to=6120000&grain=minute&event=never",
                  "{\"site\":\"demo\",\"grain\":\"minute\",\"tz\":\"UTC\",\"from\":6000000,"
                  "\"to\":6120000,\"event\":\"never\",\"points\":["
                  "{\"t\":6000000,\"events\":0,\"visitors\":0},"
                  "{\"t\":6060000,\"events\":0,\"visitors\":0}]}");
    assert_refused(cb_report_series, "event=no%20name", "", CB_REFUSE_BAD_REQUEST, "event");
    assert_refused(cb_report_series, "event=", "", CB_REFUSE_BAD_REQUEST, "event");
    assert_refused(cb_report_series, "grain=second", "", CB_REFUSE_BAD_REQUEST, "grain");
    assert_refused(cb_report_series, "grain=minute&from=0&to=2000-01-01", "", CB_REFUSE_BAD_REQUEST,
                   "grain");
}

static void a_failing_snapshot_is_internal(void **state) {
    (void)state;
    reader.series_rc = CB_ENOMEM;
    assert_refused(cb_report_series, "", "", CB_REFUSE_INTERNAL, "");
    assert_refused(cb_report_totals, "", "", CB_REFUSE_INTERNAL, "");
}

static void visitors_in_pages(void **state) {
    (void)state;
    assert_report(cb_report_visitors, "",
                  "{\"rows\":[{" ROW_ADA "," ROW_BLANK "," ROW_SOFIA "],\"next\":null}");
    assert_report(cb_report_visitors, "limit=2",
                  "{\"rows\":[{" ROW_ADA "," ROW_BLANK "],\"next\":\"0000000000000002\"}");
    assert_int_equal(reader.scanned, 2);
    assert_report(cb_report_visitors, "limit=2&cursor=0000000000000002",
                  "{\"rows\":[" ROW_SOFIA "],\"next\":null}");
}

static void visitors_are_searched(void **state) {
    (void)state;
    assert_report(cb_report_visitors, "q=Ada", "{\"rows\":[{" ROW_ADA "],\"next\":null}");
    assert_report(cb_report_visitors, "q=%CE%A3%CE%BF", "{\"rows\":[" ROW_SOFIA "],\"next\":null}");
    assert_report(cb_report_visitors, "q=nobody", "{\"rows\":[],\"next\":null}");
    assert_report(cb_report_visitors, "q=&limit=1",
                  "{\"rows\":[{" ROW_ADA "],\"next\":\"0000000000000001\"}");
    assert_report(cb_report_visitors, "q=A&limit=1", "{\"rows\":[{" ROW_ADA "],\"next\":\"0001\"}");
    assert_report(cb_report_visitors, "q=A&limit=1&cursor=0001", "{\"rows\":[],\"next\":null}");
    /* No word to look for; a cursor of another question; none at all. */
    assert_refused(cb_report_visitors, "q=-", "", CB_REFUSE_BAD_REQUEST, "q");
    assert_refused(cb_report_visitors, "q=A&cursor=ff00", "", CB_REFUSE_BAD_REQUEST, "cursor");
    assert_refused(cb_report_visitors, "q=A&cursor=0000000000000001", "", CB_REFUSE_BAD_REQUEST,
                   "cursor");
    static const char *const cursors[] = {"", "0", "000", "zz", "00010"};
    char query[64];
    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        snprintf(query, sizeof query, "q=A&cursor=%s", cursors[i]);
        assert_refused(cb_report_visitors, query, "", CB_REFUSE_BAD_REQUEST, "cursor");
    }
}

static void a_search_is_bounded(void **state) {
    const size_t n = 2 * CB_REPORT_SCAN_MAX;
    struct cb_visitor *many = calloc(n, sizeof *many);
    char *notes = malloc(16000);
    (void)state;
    assert_non_null(many);
    assert_non_null(notes);
    reader.visitors = many;
    reader.n_visitors = n;
    many[0].fields[CB_FIELD_NAME] = CB_STR("needle");
    char *text;
    assert_int_equal(run(cb_report_visitors, "q=needle", "", "", &text, NULL), CB_REFUSE_NONE);
    assert_non_null(strstr(text, "\"name\":\"needle\""));
    assert_non_null(strstr(text, "\"next\":\"03e8\"")); /* 1,000 */
    free(text);
    assert_int_equal(reader.scanned, CB_REPORT_SCAN_MAX);
    assert_report(cb_report_visitors, "q=needle&cursor=03e8", "{\"rows\":[],\"next\":null}");

    memset(notes, 'n', 16000);
    for (size_t i = 0; i < n; i++)
        many[i].fields[CB_FIELD_NOTES] = (struct cb_str){notes, 16000};
    /* The largest answer fits. */
    assert_int_equal(run(cb_report_visitors, "limit=200", "", "", &text, NULL), CB_REFUSE_NONE);
    free(text);
    free(notes);
    free(many);
}

static void list_parameters_are_checked(void **state) {
    (void)state;
    static const char *const limits[] = {"0",  "201",  "-1",           "",
                                         "1x", "0x10", "999999999999", "%201"};
    static const char *const cursors[] = {"", "00", "000000000000000g", "00000000000000021"};
    char query[64];
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        snprintf(query, sizeof query, "limit=%s", limits[i]);
        assert_refused(cb_report_visitors, query, "", CB_REFUSE_BAD_REQUEST, "limit");
    }
    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        snprintf(query, sizeof query, "cursor=%s", cursors[i]);
        assert_refused(cb_report_visitors, query, "", CB_REFUSE_BAD_REQUEST, "cursor");
    }
}

static void one_visitor(void **state) {
    static const struct fake_history history[] = {
        {CB_FIELD_NAME, {.at_ms = 5, .source = CB_SOURCE_FORM, .text = CB_STR("Ada")}},
        {CB_FIELD_NAME,
         {.at_ms = 4, .source = CB_SOURCE_OPERATOR, .by = {0xab}, .text = CB_STR("A.")}},
        {CB_FIELD_REMARKS, {.at_ms = 3, .source = CB_SOURCE_PAGE, .text = CB_STR("")}},
    };
    static const struct cb_visitor_visit visits[] = {{10, 20, 2, true}, {1, 1, 1, false}};
    char *text;
    (void)state;
    reader.history = history;
    reader.n_history = sizeof history / sizeof *history;
    reader.visits = visits;
    reader.n_visits = sizeof visits / sizeof *visits;
    assert_int_equal(
        run(cb_report_visitor, "", "", "ABcd0100000000000000000000000000", &text, NULL),
        CB_REFUSE_NONE);
    char want[2048];
    snprintf(want, sizeof want,
             "{\"site\":\"demo\",%.*s,\"remarks\":\"\",\"history\":{"
             "\"name\":[{\"value\":\"Ada\",\"at\":5,\"source\":\"form\"},"
             "{\"value\":\"A.\",\"at\":4,\"source\":\"operator\",\"by\":\"ab00000000000000\"}],"
             "\"remarks\":[{\"value\":\"\",\"at\":3,\"source\":\"api\"}]},"
             "\"visits\":[{\"start\":10,\"end\":20,\"events\":2,\"interacted\":true},"
             "{\"start\":1,\"end\":1,\"events\":1,\"interacted\":false}]}",
             (int)strlen(ROW_ADA) - 1, ROW_ADA);
    assert_string_equal(text, want);
    free(text);
    assert_refused(cb_report_visitor, "", "abcd0100000000000000000000000001", CB_REFUSE_NOT_FOUND,
                   "visitor");
    assert_refused(cb_report_visitor, "", "abcd", CB_REFUSE_BAD_REQUEST, "visitor");
    assert_refused(cb_report_visitor, "", "../../etc/passwd", CB_REFUSE_BAD_REQUEST, "visitor");
    assert_refused(cb_report_visitor, "format=csv", "abcd0100000000000000000000000000",
                   CB_REFUSE_BAD_REQUEST, "format");
}

/* Three events of Ada's in two records, one of somebody else's between them. */
static void timelines(void **state) {
    static const struct cb_envelope ada = {.site = CB_STR("demo"),
                                           .has_visitor = true,
                                           .visitor = {0xab, 0xcd, 1},
                                           .received_ms = 9000};
    static const struct cb_envelope other = {.site = CB_STR("demo"), .received_ms = 9000};
    static const struct cb_event click = {.seq = 7, .name = CB_STR("onClick")};
    static const struct cb_export_row rows[] = {{3, 0, &ada, &click, 8000},
                                                {5, 0, &ada, &click, 8001},
                                                {5, 1, &other, &click, 8002},
                                                {5, 2, &ada, &click, 8003}};
    static const char *const cursors[] = {"",     "5",    "5-",   "-1",   "0-1",
                                          "5-1x", "+5-1", "05-1", "5-01", "99999999999999999999-1"};
    static const char key[] = "abcd0100000000000000000000000000";
    char *text, query[64];
    (void)state;
    reader.rows = rows;
    reader.n_rows = sizeof rows / sizeof *rows;
    assert_int_equal(run(cb_report_timeline, "limit=2", "", key, &text, NULL), CB_REFUSE_NONE);
    char *first = strstr(text, "\"at\":8003"), *second = strstr(text, "\"at\":8001");
    assert_true(first && second && first < second);
    assert_null(strstr(text, "8002"));
    assert_non_null(strstr(text, "\"next\":\"5-0\",\"trimmed\":false}"));
    free(text);
    reader.trimmed = true;
    assert_int_equal(run(cb_report_timeline, "cursor=5-0", "", key, &text, NULL), CB_REFUSE_NONE);
    assert_non_null(strstr(text, "\"at\":8000"));
    assert_null(strstr(text, "8001"));
    assert_non_null(strstr(text, "\"next\":null,\"trimmed\":true}"));
    free(text);
    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        snprintf(query, sizeof query, "cursor=%s", cursors[i][0] == '+' ? "%2B5-1" : cursors[i]);
        assert_refused(cb_report_timeline, query, key, CB_REFUSE_BAD_REQUEST, "cursor");
    }
    assert_refused(cb_report_timeline, "limit=0", key, CB_REFUSE_BAD_REQUEST, "limit");
    assert_refused(cb_report_timeline, "", "abcd", CB_REFUSE_BAD_REQUEST, "visitor");
    assert_refused(cb_report_timeline, "", "abcd0100000000000000000000000001", CB_REFUSE_NOT_FOUND,
                   "visitor");
}

static void the_balance_of_all_sites(void **state) {
    (void)state;
    assert_report(cb_report_balance, "",
                  "{\"sites\":{\"demo\":{\"received\":10,\"counted\":6,\"duplicate\":1,"
                  "\"rejected\":{\"bad_event\":2,\"bad_time\":1},\"lost\":2},"
                  "\"shop\":{\"received\":5,\"counted\":5,\"duplicate\":0,\"rejected\":{},"
                  "\"lost\":0}},\"total\":{\"received\":18,\"counted\":11,\"duplicate\":1,"
                  "\"rejected\":{\"bad_json\":3,\"bad_event\":2,\"bad_time\":1},\"lost\":2},"
                  "\"balanced\":true,\"position\":4711}");
}

static void the_balance_of_one_site(void **state) {
    char *text;
    (void)state;
    assert_int_equal(run(cb_report_balance, "", "shop", "", &text, NULL), CB_REFUSE_NONE);
    assert_string_equal(text, "{\"sites\":{\"shop\":{\"received\":5,\"counted\":5,\"duplicate\":0,"
                              "\"rejected\":{},\"lost\":0}},\"total\":{\"received\":5,"
                              "\"counted\":5,\"duplicate\":0,\"rejected\":{},\"lost\":0},"
                              "\"balanced\":true,\"position\":4711}");
    free(text);
}

static bool is_balanced(const char *token_site) {
    char *text;
    assert_int_equal(run(cb_report_balance, "", token_site, "", &text, NULL), CB_REFUSE_NONE);
    bool yes = strstr(text, "\"balanced\":true") != NULL;
    assert_true(yes != (strstr(text, "\"balanced\":false") != NULL));
    free(text);
    return yes;
}

static void books_that_do_not_add_up_show(void **state) {
    (void)state;
    reader.books[FAKE_DEMO].counted--; /* an event vanished … */
    assert_false(is_balanced(""));
    assert_false(is_balanced("demo"));
    assert_true(is_balanced("shop"));
    reader.books[FAKE_SHOP].counted++; /* … and another site's surplus does not hide it */
    assert_false(is_balanced(""));
    setup(NULL);
    reader.books[0].received++;
    assert_false(is_balanced(""));
}

static void reasons_of_a_newer_version_are_one_row(void **state) {
    char *text;
    (void)state;
    reader.books[FAKE_SHOP] =
        (struct cb_books){.received = 5, .rejected = {[CB_REFUSAL_MAX] = 2, [30] = 3}};
    assert_int_equal(run(cb_report_balance, "", "shop", "", &text, NULL), CB_REFUSE_NONE);
    assert_non_null(strstr(text, "\"rejected\":{\"unknown\":5}"));
    assert_non_null(strstr(text, "\"balanced\":true"));
    free(text);
}

static void metrics_have_the_books(void **state) {
    static const char *const lines[] = {
        "chatbeacon_build_info{version=\"",
        "\nchatbeacon_views_position 4711\n",
        "\n# TYPE chatbeacon_books_received_total counter\n",
        "\nchatbeacon_books_received_total{site=\"demo\"} 10\n",
        "\nchatbeacon_books_received_total{site=\"\"} 3\n",
        "\nchatbeacon_books_counted_total{site=\"shop\"} 5\n",
        "\nchatbeacon_books_duplicate_total{site=\"demo\"} 1\n",
        "\nchatbeacon_books_lost{site=\"demo\"} 2\n",
        "\nchatbeacon_books_rejected_total{site=\"demo\",reason=\"bad_event\"} 2\n",
        "\nchatbeacon_books_rejected_total{site=\"\",reason=\"bad_json\"} 3\n",
        "\n# TYPE chatbeacon_query_reports_total counter\n",
    };
    char *text;
    (void)state;
    assert_int_equal(run(cb_report_metrics, "", "", "", &text, NULL), CB_REFUSE_NONE);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(text, lines[i]))
            fail_msg("missing: %s in\n%s", lines[i], text);
    assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(totals, setup),
        cmocka_unit_test_setup(totals_say_when_names_are_left_out, setup),
        cmocka_unit_test_setup(what_is_not_kept, setup),
        cmocka_unit_test_setup(retention, setup),
        cmocka_unit_test_setup(series, setup),
        cmocka_unit_test_setup(an_unknown_event_gives_zeros, setup),
        cmocka_unit_test_setup(a_failing_snapshot_is_internal, setup),
        cmocka_unit_test_setup(visitors_in_pages, setup),
        cmocka_unit_test_setup(visitors_are_searched, setup),
        cmocka_unit_test_setup(a_search_is_bounded, setup),
        cmocka_unit_test_setup(list_parameters_are_checked, setup),
        cmocka_unit_test_setup(one_visitor, setup),
        cmocka_unit_test_setup(timelines, setup),
        cmocka_unit_test_setup(the_balance_of_all_sites, setup),
        cmocka_unit_test_setup(the_balance_of_one_site, setup),
        cmocka_unit_test_setup(books_that_do_not_add_up_show, setup),
        cmocka_unit_test_setup(reasons_of_a_newer_version_are_one_row, setup),
        cmocka_unit_test_setup(metrics_have_the_books, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
