/* SPDX-License-Identifier: MIT
 * Promises of ingest/language.h and ingest/referrer.h. */
#include "ingest/language.h"

#include "ingest/referrer.h"
#include "tests/proto/guard.h"

static const char *language_of(const char *header) {
    static char out[CB_LANGUAGE_MAX + 1];
    struct guard g;
    size_t len = strlen(header);
    guard_init(&g, len);
    cb_language_of((struct cb_str){(const char *)guard_put(&g, header, len), len}, out);
    guard_fini(&g);
    return out;
}

static void test_languages(void **state) {
    (void)state;
    static const struct {
        const char *header, *want;
    } cases[] = {
        {"de-CH,de;q=0.9,en;q=0.8", "de"},
        {"EN", "en"},
        {"fil-PH, fil;q=0.9", "fil"},
        {"en;q=0.2, cs;q=0.7 , sk;q=0.7", "cs"},
        {" en ; q=0.5 ,\tel ; Q=1.000", "el"},
        {"en;q=0.123,de;q=0.124", "de"},
        {"*, de;q=0.1", "de"},
        {"zh-Hant-TW", "zh"},
        {"en;q=0", ""},
        {"*", ""},
        {"", ""},
        {",,;,", ""},
        {"english, de;q=0.5", "de"}, /* no subtag of two or three letters */
        {"e", ""},
        {"x-klingon, e1, de", "de"},
        {"en;q=2, de;q=0.1", "de"}, /* no weight */
        {"en;q=1.001, de;q=0.1", "de"},
        {"en;q=0.1234, de;q=0.1", "de"},
        {"en;level=1, de;q=0.1", "de"},
        {"\xc3\xa4\xc3\xa4, de", "de"},
        {"-, de", "de"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(language_of(cases[i].header), cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].header, language_of(cases[i].header));
}

static void test_a_long_header_is_cut(void **state) {
    (void)state;
    static char header[9000];
    memset(header, ',', sizeof header - 1);
    memcpy(header + sizeof header - 3, "de", 2);
    assert_string_equal(language_of(header), "");
    memcpy(header, "el", 2);
    assert_string_equal(language_of(header), "el");
}

static struct cb_str host_of(const char *text, const char *page) {
    static char out[CB_REFERRER_MAX];
    struct guard g;
    size_t len = strlen(text);
    guard_init(&g, len);
    size_t host_len = cb_referrer_of((struct cb_str){(const char *)guard_put(&g, text, len), len},
                                     cb_str_of(page), out);
    guard_fini(&g);
    assert_true(host_len == 0 || cb_referrer_valid((struct cb_str){out, host_len}));
    return (struct cb_str){out, host_len};
}

static void test_referrers(void **state) {
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"www.Example.com", "www.example.com"},
        {"example.com:8443", "example.com"},
        {"https://Example.com:8443/a?b#c", "example.com"},
        {"http://user:secret@example.com/", "example.com"},
        {"https://a@b@example.com", "example.com"},
        {"//example.com/x", ""}, /* neither an address nor a host */
        {"https://example.com?x=/y", "example.com"},
        {"https://example.com\\x", "example.com"},
        {"example.com.", "example.com"},
        {"https://[2001:DB8::1]:8080/", "[2001:db8::1]"},
        {"[::1]", "[::1]"},
        {"[::1", ""},
        {"android-app://com.google.android.gm/", "com.google.android.gm"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"b\xc3\xbc"
         "cher.example",
         ""},
        {"a b", ""},
        {"", ""},
        {"https://", ""},
        {"https:///x", ""},
        {".", ""},
        {"https://shop.example/", ""}, /* the page's own */
        {"SHOP.example:443", ""},
        {"www.shop.example", "www.shop.example"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cb_str host = host_of(cases[i].text, "https://shop.example/cart");
        if (!cb_str_is(host, cases[i].want))
            fail_msg("%s: %.*s", cases[i].text, (int)host.len, host.p);
    }
}

static void test_a_host_is_253_bytes_at_most(void **state) {
    (void)state;
    char text[300];
    memset(text, 'a', sizeof text);
    text[253] = '\0';
    assert_int_equal(host_of(text, "").len, 253);
    text[253] = 'a';
    text[254] = '\0';
    assert_int_equal(host_of(text, "").len, 0);
    text[253] = ':';
    assert_int_equal(host_of(text, "").len, 253);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_a_long_header_is_cut),
        cmocka_unit_test(test_referrers),
        cmocka_unit_test(test_a_host_is_253_bytes_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
