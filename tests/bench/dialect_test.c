/* SPDX-License-Identifier: MIT
 * What other systems are sent: heads and strings say their true lengths, and each event is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "bench/plan.h"

enum { BATCH = 7 };

static struct cb_plan *plan_of(const char *as, enum cb_plan_mix mix, unsigned n_sites) {
    struct cb_plan_opts opts = {.mix = mix,
                                .site = "shop",
                                .n_sites = n_sites,
                                .n_pages = 10,
                                .n_visitors = 100,
                                .batch = BATCH,
                                .batch_visitors = 2,
                                .hosts = {"127.0.0.1:1", "127.0.0.1:2"},
                                .token = ""};
    struct cb_plan *plan = NULL;
    assert_int_equal(cb_dialect_of(as, &opts.dialect), 0);
    assert_int_equal(cb_plan_create(&opts, &plan), 0);
    return plan;
}

/* The next request of a connection; *text is to be freed. */
static struct cb_str request_of(const struct cb_plan *plan, char **text) {
    struct cb_plan_session session;
    struct cb_plan_item item;
    cb_plan_session_init(plan, CB_LANE_INGEST, 3, &session);
    cb_plan_next(plan, &session, INT64_C(1750000000123), &item);
    *text = calloc(1, cb_plan_bytes_max(plan) + 1);
    assert_non_null(*text);
    struct cb_str request = cb_plan_render(plan, &item, INT64_C(1750000000125), *text);
    assert_true(request.p + request.len <= *text + cb_plan_bytes_max(plan));
    return request;
}

static unsigned lines_of(const char *text) {
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void test_http(void **state) {
    (void)state;
    static const char *const names[] = {"victoriametrics", "influxdb", "clickhouse"};
    for (unsigned i = 0; i < 6; i++) {
        bool batch = i >= 3;
        struct cb_plan *plan =
            plan_of(names[i % 3], batch ? CB_MIX_SERVER : CB_MIX_BEACON, batch ? 100 : 1);
        char *text;
        struct cb_str request = request_of(plan, &text);
        assert_int_equal(strlen(request.p), request.len);
        assert_int_equal(strncmp(request.p, "POST /", 6), 0);
        const char *length = strstr(request.p, "Content-Length: ");
        const char *body = strstr(request.p, "\r\n\r\n");
        assert_true(length && body && length < body);
        body += 4;
        assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body));
        assert_int_equal(lines_of(body), batch ? BATCH : 1);
        assert_non_null(strstr(body, "onWebChatLoaded"));
        assert_non_null(strstr(body, "shop"));
        assert_null(strchr(body, '%'));
        assert_null(strstr(body, "{site}"));
        free(text);
        cb_plan_destroy(&plan);
    }
}

/* Walks commands of Redis: *15, then 15 strings, each as long as it says. */
static unsigned commands_of(const char *at) {
    unsigned n = 0;
    while (*at) {
        assert_int_equal(strncmp(at, "*15\r\n", 5), 0);
        at += 5;
        for (unsigned part = 0; part < 15; part++) {
            char *end;
            assert_int_equal(*at, '$');
            unsigned long len = strtoul(at + 1, &end, 10);
            assert_int_equal(strncmp(end, "\r\n", 2), 0);
            at = end + 2;
            assert_null(memchr(at, '\r', len));
            at += len;
            assert_int_equal(strncmp(at, "\r\n", 2), 0);
            at += 2;
        }
        n++;
    }
    return n;
}

static void test_redis(void **state) {
    (void)state;
    for (unsigned batch = 0; batch < 2; batch++) {
        struct cb_plan *plan =
            plan_of("redis", batch ? CB_MIX_SERVER : CB_MIX_BEACON, batch ? 100 : 1);
        char *text;
        struct cb_str request = request_of(plan, &text);
        assert_int_equal(commands_of(request.p), batch ? BATCH : 1);
        free(text);
        cb_plan_destroy(&plan);
    }
}

static void test_refused(void **state) {
    (void)state;
    const struct cb_dialect *dialect;
    struct cb_plan *plan;
    assert_int_equal(cb_dialect_of("mysql", &dialect), CB_ENOENT);
    assert_int_equal(cb_dialect_of("nginx", &dialect), 0);
    assert_null(dialect); /* it takes anything */
    assert_int_equal(cb_dialect_of("redis", &dialect), 0);
    struct cb_plan_opts opts = {.mix = CB_MIX_WIDGET,
                                .site = "shop",
                                .n_sites = 1,
                                .n_pages = 1,
                                .n_visitors = 1,
                                .batch = 1,
                                .batch_visitors = 1,
                                .hosts = {"h", "h"},
                                .token = "",
                                .dialect = dialect};
    assert_int_equal(cb_plan_create(&opts, &plan), CB_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_redis),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
