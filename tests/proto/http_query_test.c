/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/http.h"

/* Decodes from memory of exactly the query's length, so that a read too far is seen. */
static int query(const char *text, const char *name, char *out, size_t out_bytes) {
    size_t len = strlen(text);
    char *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, text, len);
    int rc = cb_http_query((struct cb_str){exact, len}, name, out, out_bytes);
    free(exact);
    return rc;
}

static void test_values(void **state) {
    static const struct {
        const char *query, *name, *value;
    } cases[] = {
        {"a=1", "a", "1"},
        {"a=1&b=2", "b", "2"},
        {"a=1&b=2&", "a", "1"},
        {"a", "a", ""},
        {"a&b", "a", ""},
        {"a=", "a", ""},
        {"a==1=", "a", "=1="},
        {"&&a=1", "a", "1"},
        {"a=x+y%2bz%26%3D", "a", "x y+z&="},
        {"%61%62=c", "ab", "c"},
        {"a+b=c", "a b", "c"},
        {"ab=1&a=2", "a", "2"},
        {"a=%C3%A4", "a", "\xc3\xa4"},
        {"a=1&%zz=2", "a", "1"},
        {"a=1&b=%zz", "a", "1"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[32];
        assert_int_equal(query(cases[i].query, cases[i].name, out, sizeof(out)), 0);
        assert_string_equal(out, cases[i].value);
    }
}

static void test_errors(void **state) {
    static const struct {
        const char *query, *name;
        int rc;
    } cases[] = {
        {"", "a", CB_ENOENT},
        {"b=1", "a", CB_ENOENT},
        {"ab=1", "a", CB_ENOENT},
        {"A=1", "a", CB_ENOENT},
        {"a=1&a=1", "a", CB_EMALFORMED},
        {"a=1&%61=2", "a", CB_EMALFORMED},
        {"a=%", "a", CB_EMALFORMED},
        {"a=%4", "a", CB_EMALFORMED},
        {"a=%4g", "a", CB_EMALFORMED},
        {"a=%00", "a", CB_EMALFORMED},
        {"a=%ff", "a", CB_EMALFORMED},
        {"a=%C3", "a", CB_EMALFORMED},
        {"a=%ED%A0%80", "a", CB_EMALFORMED},
        {"a=12345678", "a", CB_ETOOBIG},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[8];
        assert_int_equal(query(cases[i].query, cases[i].name, out, sizeof(out)), cases[i].rc);
    }
    char out[8];
    assert_int_equal(query("a=1234567", "a", out, sizeof(out)), 0);
    assert_int_equal(query("a=", "a", out, 0), CB_ETOOBIG);
}

static void test_header(void **state) {
    const struct cb_http_header headers[] = {
        {CB_STR("Host"), CB_STR("a")}, {CB_STR("X-Y"), CB_STR("1")}, {CB_STR("x-y"), CB_STR("2")}};
    const struct cb_http_req req = {.headers = headers, .n_headers = 3};
    (void)state;
    assert_ptr_equal(cb_http_header(&req, "x-y"), &headers[1].value);
    assert_ptr_equal(cb_http_header(&req, "host"), &headers[0].value);
    assert_null(cb_http_header(&req, "x"));
    assert_null(cb_http_header(&req, "x-yz"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
