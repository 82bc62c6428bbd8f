/* SPDX-License-Identifier: MIT
 * Promises of bench/report.h and bench/options.h: figures under their names, a page that loads
 * nothing, and no load for other machines without leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "bench/report.h"

static struct cb_report report;
static struct cb_load_options options;

static int setup(void **state) {
    (void)state;
    static struct cb_report_second seconds[2] = {{90, 10, 1, 90}, {80, 20, 0, 80}};
    static const struct cb_audit_result audit = {
        .acked = 170, .counted = 171, .differences = 1, .first = "onClick of <b>"};
    char *argv[] = {"--rate=100", "--duration", "2"}, *sentence;
    if (cb_load_options_parse(3, argv, &options, &sentence))
        return -1;
    report = (struct cb_report){.options = &options,
                                .connections = {8, 0},
                                .rate = {100, 0},
                                .seconds = seconds,
                                .n_seconds = 2,
                                .user_s = 0.5,
                                .wall_s = 2,
                                .cores = 2,
                                .audit = &audit};
    struct cb_client_lane half = {.begun = 100, .planned = 100, .accepted_in_time = 85};
    half.status[204] = 85;
    half.status[503] = 15;
    half.refused_without_retry_after = 1;
    for (int i = 0; i < 85; i++)
        cb_latency_add(&half.accepted, 1000 + i);
    cb_report_merge(&report.lanes[CB_LANE_INGEST], &half);
    cb_report_merge(&report.lanes[CB_LANE_INGEST], &half);
    return 0;
}

/* Writes a form of the report as a string; caller frees. */
static char *text_of(int (*put)(const struct cb_report *, struct cb_buf *)) {
    struct cb_buf out;
    cb_buf_init(&out, CB_REPORT_OUT_MAX);
    assert_int_equal(put(&report, &out), 0);
    assert_int_equal(cb_buf_append(&out, "", 1), 0);
    return out.data;
}

static void has(const char *text, const char *piece) {
    if (!strstr(text, piece))
        fail_msg("no %s in %s", piece, text);
}

static void test_table(void **state) {
    (void)state;
    char *text = text_of(cb_report_table);
    has(text, "204                           170");
    has(text, "503                            30");
    has(text, "no Retry-After                    2");
    has(text, "200 of 200 planned");
    has(text, "generator: 0.25 cores");
    has(text, "1 DIFFERENCES, the first: onClick of <b>");
    free(text);
}

static void test_json(void **state) {
    (void)state;
    char *text = text_of(cb_report_json);
    has(text, "\"status\":{\"204\":170,\"503\":30}");
    has(text, "\"without_retry_after\":2");
    has(text, "\"accepted_per_s\":85.0");
    has(text, "\"accepted\":{\"count\":170,");
    has(text, "\"seconds\":[[90,10,1,90],[80,20,0,80]]");
    has(text, "\"audit\":{\"equal\":false,");
    assert_null(strstr(text, "\"query\":"));
    free(text);
}

static void test_page(void **state) {
    (void)state;
    char *text = text_of(cb_report_html);
    has(text, "<svg");
    has(text, "onClick of &lt;b>");
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "http"));
    free(text);
}

static void refused(const char *url, bool allow_remote) {
    struct cb_load_url out;
    char *sentence = NULL;
    assert_int_equal(cb_load_url_parse("url", url, allow_remote, &out, &sentence), CB_EINVAL);
    assert_non_null(sentence);
    free(sentence);
}

static void test_urls(void **state) {
    (void)state;
    struct cb_load_url out;
    char *sentence;
    static const char *const good[] = {"http://127.0.0.1:80", "http://127.9.9.9:1/",
                                       "http://[::1]:8080", "http://localhost:8080"};
    for (unsigned i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(cb_load_url_parse("url", good[i], false, &out, &sentence), 0);
    assert_string_equal(out.host, "localhost:8080");
    assert_int_equal(cb_load_url_parse("url", "http://192.0.2.1:80", true, &out, &sentence), 0);
    refused("http://192.0.2.1:80", false);
    refused("http://example.org:80", false);
    refused("http://[2001:db8::1]:80", false);
    refused("https://127.0.0.1:80", true);
    refused("http://127.0.0.1", true);
    refused("http://127.0.0.1:0", true);
    refused("http://127.0.0.1:80/path", true);
    refused("", true);
}

static void misuse(char *a, char *b) {
    char *argv[] = {a, b}, *sentence = NULL;
    struct cb_load_options out;
    assert_int_equal(cb_load_options_parse(b ? 2 : 1, argv, &out, &sentence), CB_EINVAL);
    assert_non_null(sentence);
    free(sentence);
}

static void test_options(void **state) {
    (void)state;
    assert_int_equal(options.rate, 100);
    assert_int_equal(options.duration, 2);
    assert_int_equal(options.connections, 64);
    assert_false(options.closed);
    misuse("--duration", "3601");
    misuse("--rate", "0");
    misuse("--rate", "1e3");
    misuse("--rate", NULL);
    misuse("--closed", "--rate=5");
    misuse("--closed=yes", NULL);
    misuse("--mix", "tea");
    misuse("--site", "a b");
    misuse("--audit", "http://127.0.0.1:1");
    misuse("--nothing", NULL);
    misuse("rate", NULL);
    misuse("--threads=3", "--connections=2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_json),    cmocka_unit_test(test_page),
        cmocka_unit_test(test_urls),  cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
