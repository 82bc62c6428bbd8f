/* SPDX-License-Identifier: MIT
 * Promises of ingest/verdict.h: the answers of POST /v1/events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "ingest/verdict.h"

static const struct cb_fault bad_event = {CB_REFUSE_BAD_EVENT, "no \"name\"", "name"};
static const struct cb_fault unknown = {CB_REFUSE_SITE_UNKNOWN, "there is no such site", "site"};

static int setup(void **state) {
    struct cb_verdict *v = malloc(sizeof *v);
    *state = v;
    if (v)
        cb_verdict_init(v);
    return v ? 0 : -1;
}

static int teardown(void **state) {
    cb_verdict_fini(*state);
    free(*state);
    return 0;
}

static void answers(const struct cb_verdict *v, bool queued, int status, const char *body) {
    struct cb_buf out;
    cb_buf_init(&out, 131072);
    assert_int_equal(cb_verdict_status(v, queued), status);
    assert_int_equal(cb_verdict_json(v, queued, &out), 0);
    if (!cb_str_eq((struct cb_str){out.data, out.len}, cb_str_of(body)))
        fail_msg("%.*s", (int)out.len, out.data);
    cb_buf_fini(&out);
}

static void test_all_taken_is_204(void **state) {
    struct cb_verdict *v = *state;
    v->accepted = 3;
    answers(v, false, 204, "");
    answers(v, true, 202, "{\"queued\":3}");
}

static void test_some_taken_is_200_with_the_rest(void **state) {
    struct cb_verdict *v = *state;
    v->accepted = 2;
    cb_verdict_refuse(v, &bad_event, 1, 1, 0, true);
    cb_verdict_refuse(v, &unknown, 3, 2, 7, true);
    answers(v, false, 200,
            "{\"accepted\":2,\"rejected\":["
            "{\"index\":1,\"code\":\"bad_event\",\"message\":\"no \\\"name\\\"\"},"
            "{\"index\":3,\"line\":7,\"code\":\"site_unknown\","
            "\"message\":\"there is no such site\"},"
            "{\"index\":4,\"line\":7,\"code\":\"site_unknown\","
            "\"message\":\"there is no such site\"}]}");
    answers(v, true, 202,
            "{\"queued\":2,\"rejected\":["
            "{\"index\":1,\"code\":\"bad_event\",\"message\":\"no \\\"name\\\"\"},"
            "{\"index\":3,\"line\":7,\"code\":\"site_unknown\","
            "\"message\":\"there is no such site\"},"
            "{\"index\":4,\"line\":7,\"code\":\"site_unknown\","
            "\"message\":\"there is no such site\"}]}");
}

static void test_none_taken_is_the_first_refusal(void **state) {
    struct cb_verdict *v = *state;
    cb_verdict_refuse(v, &unknown, 0, 1, 0, true);
    cb_verdict_refuse(v, &bad_event, 1, 1, 0, true);
    answers(v, false, 404,
            "{\"error\":{\"code\":\"site_unknown\",\"message\":\"there is no such site\","
            "\"field\":\"site\"},\"rejected\":["
            "{\"index\":0,\"code\":\"site_unknown\",\"message\":\"there is no such site\"},"
            "{\"index\":1,\"code\":\"bad_event\",\"message\":\"no \\\"name\\\"\"}]}");
    assert_int_equal(cb_verdict_status(v, true), 404);
}

static void test_an_illegible_body_has_no_list(void **state) {
    struct cb_verdict *v = *state;
    cb_verdict_refuse(v, &(struct cb_fault){CB_REFUSE_BAD_JSON, "it is empty", NULL}, 0, 1, 0,
                      false);
    answers(v, false, 400, "{\"error\":{\"code\":\"bad_json\",\"message\":\"it is empty\"}}");
}

static void test_the_list_is_bounded(void **state) {
    struct cb_verdict *v = *state;
    struct cb_buf out;
    v->accepted = 1;
    cb_verdict_refuse(v, &bad_event, 0, 16000000, 0, true);
    cb_verdict_refuse(v, &bad_event, 16000000, 1, 0, true);
    assert_int_equal(v->listed, CB_VERDICT_LISTED_MAX);
    cb_buf_init(&out, 65536);
    assert_int_equal(cb_verdict_json(v, false, &out), 0);
    struct cb_str end = CB_STR("],\"more\":15999901}");
    assert_true(out.len > end.len);
    assert_memory_equal(out.data + out.len - end.len, end.p, end.len);
    cb_buf_fini(&out);
    cb_verdict_clear(v);
    v->accepted = 1;
    answers(v, false, 204, "");
}

int main(void) {
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(test_all_taken_is_204),
        ROW(test_some_taken_is_200_with_the_rest),
        ROW(test_none_taken_is_the_first_refusal),
        ROW(test_an_illegible_body_has_no_list),
        ROW(test_the_list_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
