/* SPDX-License-Identifier: MIT
 * Promises of ingest/proxies.h: whose word about the client is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdlib.h>

#include "ingest/proxies.h"

/* In memory of exactly its length, so that reads past it are seen. */
static struct cb_str exact(const char *text) {
    size_t len = strlen(text);
    char *p = malloc(len ? len : 1);
    assert_non_null(p);
    memcpy(p, text, len);
    return (struct cb_str){p, len};
}

#define PROXIES "127.0.0.1, 10.0.0.0/8 2001:db8:aa::/47,203.0.113.7/32"

static const struct {
    const char *proxies, *peer;
    const char *lines[3]; /* X-Forwarded-For */
    const char *client;
} cases[] = {
    /* who is not named is not believed */
    {"", "198.51.100.9", {"1.2.3.4"}, "198.51.100.9"},
    {PROXIES, "198.51.100.9", {"1.2.3.4"}, "198.51.100.9"},
    {PROXIES, "198.51.100.9", {"127.0.0.1"}, "198.51.100.9"},
    {PROXIES, "203.0.113.6", {"1.2.3.4"}, "203.0.113.6"},
    {PROXIES, "2001:db8:ac::1", {"1.2.3.4"}, "2001:db8:ac::1"},
    {"0.0.0.0/0", "2001:db8::1", {"1.2.3.4"}, "2001:db8::1"},
    /* a proxy's word is taken for the hop before it only */
    {PROXIES, "127.0.0.1", {"1.2.3.4"}, "1.2.3.4"},
    {PROXIES, "127.0.0.1", {"9.9.9.9, 1.2.3.4"}, "1.2.3.4"},
    {PROXIES, "127.0.0.1", {"127.0.0.1, 1.2.3.4"}, "1.2.3.4"},
    {PROXIES, "127.0.0.1", {"9.9.9.9, 1.2.3.4, 10.1.2.3 ,10.9.9.9"}, "1.2.3.4"},
    {PROXIES, "2001:db8:ab:ffff::1", {"2001:db9::5"}, "2001:db9::5"},
    {"0.0.0.0/0, ::/0", "127.0.0.1", {"2001:db9::5, 1.2.3.4"}, "2001:db9::5"},
    /* several lines are one list */
    {PROXIES, "127.0.0.1", {"9.9.9.9", "1.2.3.4", "10.1.1.1"}, "1.2.3.4"},
    {PROXIES, "127.0.0.1", {"9.9.9.9, 1.2.3.4", "", " , ,"}, "1.2.3.4"},
    /* all the way are proxies, or none was named: the last one known */
    {PROXIES, "127.0.0.1", {NULL}, "127.0.0.1"},
    {PROXIES, "127.0.0.1", {""}, "127.0.0.1"},
    {PROXIES, "127.0.0.1", {"10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
    /* as proxies write it */
    {PROXIES, "127.0.0.1", {"1.2.3.4:5678"}, "1.2.3.4"},
    {PROXIES, "127.0.0.1", {"[2001:db9::5]"}, "2001:db9::5"},
    {PROXIES, "127.0.0.1", {"[2001:db9::5]:443"}, "2001:db9::5"},
    {PROXIES, "127.0.0.1", {"\t::ffff:1.2.3.4 "}, "1.2.3.4"},
    {PROXIES, "::ffff:127.0.0.1", {"1.2.3.4"}, "1.2.3.4"},
    /* what is not legible is put down to the proxy that says it, and nothing before it counts */
    {PROXIES, "127.0.0.1", {"1.2.3.4, unknown"}, "127.0.0.1"},
    {PROXIES, "127.0.0.1", {"1.2.3.4, _hidden, 10.0.0.5"}, "10.0.0.5"},
    {PROXIES, "127.0.0.1", {"[2001:db9::5"}, "127.0.0.1"},
    {PROXIES, "127.0.0.1", {"[2001:db9::5]x"}, "127.0.0.1"},
    {PROXIES, "127.0.0.1", {"["}, "127.0.0.1"},
    {PROXIES, "127.0.0.1", {"[]"}, "127.0.0.1"},
    {PROXIES, "127.0.0.1", {":"}, "127.0.0.1"},
    {PROXIES, "127.0.0.1", {"1.2.3.4.5"}, "127.0.0.1"},
    {PROXIES, "127.0.0.1", {"1.2.3"}, "127.0.0.1"},
    {PROXIES, "127.0.0.1", {"1.2.3.4 5.6.7.8"}, "127.0.0.1"},
    {PROXIES, "127.0.0.1", {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"}, "127.0.0.1"},
};

static void test_who_sends(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cb_proxies *proxies = NULL;
        struct cb_http_header headers[5];
        struct cb_http_req req = {.peer = cases[i].peer, .headers = headers};
        char *sentence, got[INET6_ADDRSTRLEN];
        struct cb_address client, wanted;
        assert_int_equal(cb_proxies_create(cases[i].proxies, &proxies, &sentence), 0);
        headers[req.n_headers++] =
            (struct cb_http_header){CB_STR("X-Forwarded"), CB_STR("6.6.6.6")};
        for (unsigned k = 0; k < 3 && cases[i].lines[k]; k++)
            headers[req.n_headers++] =
                (struct cb_http_header){CB_STR("x-forwarded-For"), exact(cases[i].lines[k])};
        headers[req.n_headers++] =
            (struct cb_http_header){CB_STR("X-Forwarded-Fox"), CB_STR("6.6.6.6")};
        cb_proxies_client(proxies, &req, &client);
        assert_int_equal(cb_address_parse(cb_str_of(cases[i].client), &wanted), 0);
        if (memcmp(&client, &wanted, sizeof client) != 0)
            fail_msg("case %zu: %s, not %s", i, inet_ntop(AF_INET6, client.bytes, got, sizeof got),
                     cases[i].client);
        for (unsigned k = 1; k + 1 < req.n_headers; k++)
            free((void *)(uintptr_t)headers[k].value.p);
        cb_proxies_destroy(&proxies);
        assert_null(proxies);
    }
}

static void test_the_option_is_checked(void **state) {
    (void)state;
    static const char *const bad[] = {"localhost",          "10.0.0.0/33", "10.0.0.0/",
                                      "10.0.0.0/x",         "10.0.0/8",    "::/129",
                                      "10.0.0.0/-1",        "/8",          "10.0.0.0/008 ::/0000",
                                      "10.0.0.1,,nonsense", "[::1]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cb_proxies *proxies = NULL;
        char *sentence = NULL;
        if (cb_proxies_create(bad[i], &proxies, &sentence) != CB_EINVAL)
            fail_msg("\"%s\" is taken", bad[i]);
        assert_null(proxies);
        assert_non_null(strstr(sentence, "--proxies"));
        free(sentence);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_sends),
        cmocka_unit_test(test_the_option_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
