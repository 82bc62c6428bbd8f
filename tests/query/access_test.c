/* SPDX-License-Identifier: MIT
 * Who may: the Authorization header, and what each token opens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "query/access.h"
#include "tests/query/fake_reader.h"

static bool tried; /* the last one named a token */

static enum cb_refusal ask(const struct cb_http_header *headers, unsigned n, struct cb_token *out) {
    struct cb_reader reader = {0};
    struct cb_snapshot *snapshot;
    struct cb_http_req req = {.n_headers = n, .headers = headers};
    assert_int_equal(cb_snapshot_begin(&reader, &snapshot), 0);
    enum cb_refusal refusal = cb_access_token(&req, snapshot, out, &tried);
    cb_snapshot_end(&snapshot);
    return refusal;
}

static enum cb_refusal ask_value(const char *value, struct cb_token *out) {
    const struct cb_http_header headers[] = {
        {CB_STR("Host"), CB_STR("x")},
        {CB_STR("AUTHORIZATION"), cb_str_of(value)},
    };
    return ask(headers, 2, out);
}

/* The hash stands on disk: these bytes may never change. */
static void the_hash_is_blake2b_256_of_the_text(void **state) {
    uint8_t hash[CB_TOKEN_HASH_BYTES];
    char hex[2 * CB_TOKEN_HASH_BYTES + 1];
    (void)state;
    cb_token_hash(CB_STR("abc"), hash);
    cb_hex_encode(hash, sizeof hash, hex);
    assert_string_equal(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

static void a_known_token_is_found(void **state) {
    struct cb_token token;
    (void)state;
    assert_int_equal(ask_value("Bearer " FAKE_TOKEN_ALL, &token), CB_REFUSE_NONE);
    assert_int_equal(token.role, CB_ROLE_VIEWER);
    assert_string_equal(token.site, "");
    assert_int_equal(ask_value("bearer   " FAKE_TOKEN_DEMO " ", &token), CB_REFUSE_NONE);
    assert_int_equal(token.role, CB_ROLE_ADMIN);
    assert_string_equal(token.site, "demo");
}

static void anything_else_is_unauthorized(void **state) {
    struct cb_token token;
    static const char *const bad[] = {
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        FAKE_TOKEN_ALL,
        "Basic " FAKE_TOKEN_ALL,
        "Bearer" FAKE_TOKEN_ALL,
        "Bearer " FAKE_TOKEN_ALL " x",
        "Bearer all-viewe",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ask_value(bad[i], &token), CB_REFUSE_UNAUTHORIZED);
    assert_int_equal(ask(NULL, 0, &token), CB_REFUSE_UNAUTHORIZED);

    char *large = malloc(4096);
    assert_non_null(large);
    memset(large, 'a', 4095);
    memcpy(large, "Bearer ", 7);
    large[4095] = '\0';
    assert_int_equal(ask_value(large, &token), CB_REFUSE_UNAUTHORIZED);
    free(large);
}

static void two_tokens_are_unauthorized(void **state) {
    struct cb_token token;
    const struct cb_http_header headers[] = {
        {CB_STR("authorization"), CB_STR("Bearer " FAKE_TOKEN_ALL)},
        {CB_STR("Authorization"), CB_STR("Bearer " FAKE_TOKEN_ALL)},
    };
    (void)state;
    assert_int_equal(ask(headers, 1, &token), CB_REFUSE_NONE);
    assert_int_equal(ask(headers, 2, &token), CB_REFUSE_UNAUTHORIZED);
}

static void roles_and_sites_are_checked(void **state) {
    static const struct cb_token all = {.role = CB_ROLE_VIEWER},
                                 demo = {.role = CB_ROLE_ADMIN, .site = "demo"};
    static const struct {
        const struct cb_token *token;
        enum cb_scope scope;
        enum cb_role role;
        const char *site;
        enum cb_refusal want;
    } rows[] = {
        {&all, CB_SCOPE_SITE, CB_ROLE_VIEWER, "demo", CB_REFUSE_NONE},
        {&all, CB_SCOPE_SITE, CB_ROLE_OPERATOR, "demo", CB_REFUSE_FORBIDDEN},
        {&all, CB_SCOPE_WHOLE, CB_ROLE_VIEWER, "", CB_REFUSE_NONE},
        {&all, CB_SCOPE_ANY, CB_ROLE_VIEWER, "", CB_REFUSE_NONE},
        {&demo, CB_SCOPE_SITE, CB_ROLE_ADMIN, "demo", CB_REFUSE_NONE},
        {&demo, CB_SCOPE_SITE, CB_ROLE_VIEWER, "shop", CB_REFUSE_FORBIDDEN},
        {&demo, CB_SCOPE_SITE, CB_ROLE_VIEWER, "demo2", CB_REFUSE_FORBIDDEN},
        {&demo, CB_SCOPE_SITE, CB_ROLE_VIEWER, "dem", CB_REFUSE_FORBIDDEN},
        {&demo, CB_SCOPE_SITE, CB_ROLE_VIEWER, "", CB_REFUSE_FORBIDDEN},
        {&demo, CB_SCOPE_WHOLE, CB_ROLE_VIEWER, "", CB_REFUSE_FORBIDDEN},
        {&demo, CB_SCOPE_ANY, CB_ROLE_VIEWER, "", CB_REFUSE_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *sentence = NULL;
        assert_int_equal(cb_access_check(rows[i].token, rows[i].scope, rows[i].role,
                                         cb_str_of(rows[i].site), &sentence),
                         rows[i].want);
        assert_true((sentence != NULL) == (rows[i].want != CB_REFUSE_NONE));
    }
}

static int setup(void **state) {
    (void)state;
    return sodium_init() < 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_blake2b_256_of_the_text),
        cmocka_unit_test(a_known_token_is_found),
        cmocka_unit_test(anything_else_is_unauthorized),
        cmocka_unit_test(two_tokens_are_unauthorized),
        cmocka_unit_test(roles_and_sites_are_checked),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
