/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/refusal.h"

static void expect(struct cb_buf *buf, const char *text) {
    assert_int_equal(buf->len, strlen(text));
    assert_memory_equal(buf->data, text, buf->len);
    cb_buf_clear(buf);
}

static void test_bound(void **state) {
    (void)state;
    struct cb_buf buf;
    cb_buf_init(&buf, 10);
    assert_int_equal(cb_buf_append(&buf, "0123456789", 10), 0);
    assert_int_equal(cb_buf_append(&buf, "x", 1), CB_ETOOBIG);
    expect(&buf, "0123456789");
    assert_int_equal(cb_buf_printf(&buf, "%s", "0123456789"),
                     0); /* exactly full: no room for a NUL is needed */
    assert_int_equal(cb_buf_printf(&buf, "%d", 1), CB_ETOOBIG);
    assert_int_equal(cb_buf_append_json(&buf, CB_STR("a")), CB_ETOOBIG);
    expect(&buf, "0123456789");
    assert_int_equal(cb_buf_reserve(&buf, SIZE_MAX), CB_ETOOBIG);
    cb_buf_fini(&buf);
}

static void test_json(void **state) {
    (void)state;
    struct cb_buf buf;
    cb_buf_init(&buf, 1000);
    assert_int_equal(cb_buf_append_json(&buf, CB_STR("a\"\\\n\x01</script>\xc3\xa9\xe2\x80\xa8")),
                     0);
    expect(&buf, "\"a\\\"\\\\\\n\\u0001\\u003c/script>\xc3\xa9\\u2028\"");
    assert_int_equal(cb_buf_append_json(&buf, CB_STR("\xff\xc3(\xed\xa0\x80")), 0);
    expect(&buf, "\"\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\"");
    assert_int_equal(cb_buf_append_json(&buf, (struct cb_str){NULL, 0}), 0);
    expect(&buf, "\"\"");
    assert_int_equal(cb_refusal_json(&buf, CB_REFUSE_BAD_EVENT, "no \"name\"", "name"), 0);
    expect(
        &buf,
        "{\"error\":{\"code\":\"bad_event\",\"message\":\"no \\\"name\\\"\",\"field\":\"name\"}}");
    assert_int_equal(cb_refusal_status(CB_REFUSE_BUSY), 503);
    assert_int_equal(cb_refusal_status(999), 500);
    cb_buf_fini(&buf);
}

static void test_utf8(void **state) {
    (void)state;
    static const char *const good[] = {"",
                                       "plain ascii, longer than a word",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "abcdefgh\xff",
                                      "\xe2\x80",
                                      "\xf0\x9f\x98"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(cb_utf8_valid(cb_str_of(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(cb_utf8_valid(cb_str_of(bad[i])));
    }
    assert_int_equal(cb_utf8_length(CB_STR("a\xc3\xa9\xf0\x9f\x98\x80")), 3);
}

static void test_hex(void **state) {
    (void)state;
    uint8_t bytes[3];
    char text[7];
    assert_int_equal(cb_hex_decode(CB_STR("00fFa5"), bytes, 3), 0);
    cb_hex_encode(bytes, 3, text);
    assert_string_equal(text, "00ffa5");
    assert_int_equal(cb_hex_decode(CB_STR("00ff"), bytes, 3), CB_EMALFORMED);
    assert_int_equal(cb_hex_decode(CB_STR("00ff0g"), bytes, 3), CB_EMALFORMED);
    assert_int_equal(cb_hex_decode(CB_STR("00ff0 "), bytes, 3), CB_EMALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bound), cmocka_unit_test(test_json),
                                       cmocka_unit_test(test_utf8), cmocka_unit_test(test_hex)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
