/* SPDX-License-Identifier: MIT
 * RFC 8259 class by class, beside the examples of json_test.c: what must be accepted, what must be
 * refused, and what the grammar leaves to the reader, with the choice of proto/json_parser.h. Each
 * text is tried with several kinds of bytes behind it, which must not matter; small alphabets are
 * tried whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/http.h"
#include "proto/json_parser.h"

enum { BODY_MAX = 65536 };

struct text {
    const char *p;
    size_t len;
};

#define TEXT(literal)                                                                              \
    { (literal), sizeof(literal) - 1 }

static const struct text accepted[] = {
    /* section 2: whitespace, and any value at the top */
    TEXT("[ ]"),
    TEXT("{ }"),
    TEXT("[[]   ]"),
    TEXT("\n\r\t [\n\r\t 1\n\r\t ,\n\r\t 2\n\r\t ]\n\r\t "),
    TEXT("{\n\"a\"\r:\t1 ,\"b\"\n:\n2\n}"),
    TEXT("\"a\"\n"),
    TEXT(" null "),
    TEXT("-1"),
    TEXT("1.5"),
    TEXT("true\t"),
    /* sections 4 and 5: objects and arrays */
    TEXT("{\"a\":{},\"b\":[],\"c\":null,\"d\":true,\"e\":false,\"f\":-1.5e-3,\"g\":\"\"}"),
    TEXT("{\"\\u0000\":1}"),
    TEXT("{\"a\\\"b\":1,\"\xc3\xa9\":2}"),
    TEXT("{\"a\":1,\"a\":1,\"\\u0061\":2}"),
    TEXT("[null,1,\"1\",{},[[[[]]]]]"),
    /* section 6: numbers */
    TEXT("[-0,-0.0,-0e1,0.0,0e+0,0E-0,-0E+99]"),
    TEXT("[1e00,1e007,20e1,1E22,123e65,1e-2,1.000000000000000000005]"),
    TEXT(
        "[1e308,1.7976931348623157e308,-1.7976931348623157E+308,4.9e-324,2.2250738585072011e-308]"),
    TEXT("[9223372036854775807,9223372036854775808,-1,9007199254740993]"),
    TEXT("[0.1234567890123456789012345678901234567890123456789012345678901234567890]"),
    /* section 7: strings */
    TEXT("[\"/\",\"\\/\",\"\\\\u0041\",\"\\\\\\\"\",\"\\\\\\\\\"]"),
    TEXT("[\"\\u00E9\\u00e9\\uABCD\\uabcd\\u0022\\u005c\\u000a\\u001F\"]"),
    TEXT("[\"\\uD800\\uDC00\",\"\\udbff\\udfff\",\"\\uD834\\udd1e\",\"\\ud7ff\\ue000\"]"),
    TEXT("[\"\\ufdd0\\ufffe\\uffff\\uFEFF\\u2028\"]"),
    TEXT("[\"\\\\ud800\"]"),
    /* section 8.1: each length of UTF-8 at its ends, and what stands beside the surrogates */
    TEXT("[\"\xc2\x80\xdf\xbf\"]"),
    TEXT("[\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"]"),
    TEXT("[\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"]"),
    TEXT("[\"\xef\xbb\xbf\xef\xb7\x90\xe2\x81\xa0\xc2\xa0\xc2\x85\"]"),
    TEXT("{\"\xf0\x9f\x98\x80\":\"\xf0\x9f\x98\x80\"}"),
};

static const struct text refused[] = {
    /* structure */
    TEXT(","),
    TEXT(":"),
    TEXT("[,]"),
    TEXT("[1,,2]"),
    TEXT("[1,,]"),
    TEXT("[\"\",]"),
    TEXT("[1:2]"),
    TEXT("[\"a\":1]"),
    TEXT("[1;2]"),
    TEXT("[1}"),
    TEXT("{\"a\":1]"),
    TEXT("{\"a\":[}"),
    TEXT("[{]}"),
    TEXT("[[]"),
    TEXT("[]]"),
    TEXT("{}}"),
    TEXT("[\"a\""),
    TEXT("[\"a\","),
    TEXT("[{}"),
    TEXT("{\""),
    TEXT("{\"a"),
    TEXT("{\"a\""),
    TEXT("{\"a\":"),
    TEXT("{\"a\":1"),
    TEXT("{\"a\":1,"),
    TEXT("{,}"),
    TEXT("{\"a\":1,,\"b\":2}"),
    TEXT("{\"a\":1:2}"),
    TEXT("{\"a\"::1}"),
    TEXT("{\"a\",1}"),
    TEXT("{:1}"),
    TEXT("{\"a\":1 2}"),
    TEXT("{null:1}"),
    TEXT("{[]:1}"),
    TEXT("{\"a\":b}"),
    TEXT("{\"a\"}"),
    TEXT("[a]"),
    TEXT("<null>"),
    TEXT("[*]"),
    TEXT("abc"),
    TEXT("(1)"),
    /* one value and nothing behind it */
    TEXT("1 2"),
    TEXT("\"a\" \"b\""),
    TEXT("null null"),
    TEXT("[],"),
    TEXT("{},{}"),
    TEXT("[]{}"),
    TEXT("[1]x"),
    TEXT("\"a\"x"),
    TEXT("{}#"),
    TEXT("{}/**/"),
    TEXT("[1]\0"),
    TEXT("1\0"),
    TEXT("[]\xef\xbb\xbf"),
    TEXT("[1,/* */2]"),
    TEXT("[1//\n]"),
    TEXT("[1]\f"),
    TEXT("[1]\xe2\x81\xa0"),
    TEXT("\xe3\x80\x80[1]"),
    TEXT("[1,\xc2\x85"
         "2]"),
    /* literals */
    TEXT("[tru]"),
    TEXT("[truE]"),
    TEXT("[TRUE]"),
    TEXT("[fals]"),
    TEXT("[falsey]"),
    TEXT("[nul]"),
    TEXT("[nulL]"),
    TEXT("[null1]"),
    TEXT("[true1]"),
    TEXT("[None]"),
    TEXT("[undefined]"),
    TEXT("t"),
    /* numbers */
    TEXT("-"),
    TEXT("[--1]"),
    TEXT("[- 1]"),
    TEXT("[-a]"),
    TEXT("[00]"),
    TEXT("[-00]"),
    TEXT("[-01]"),
    TEXT("[012]"),
    TEXT("[-012.5]"),
    TEXT("[00.5]"),
    TEXT("0."),
    TEXT("[-.5]"),
    TEXT("[-2.]"),
    TEXT("[0.e1]"),
    TEXT("[2.e3]"),
    TEXT("[2.e-3]"),
    TEXT("[1..2]"),
    TEXT("[1.2.3]"),
    TEXT("[0e]"),
    TEXT("[0E+]"),
    TEXT("[1.0e-]"),
    TEXT("[1ee2]"),
    TEXT("[1e1e1]"),
    TEXT("[1e1.5]"),
    TEXT("[1e+-2]"),
    TEXT("[1+2]"),
    TEXT("[1-1]"),
    TEXT("[1 000]"),
    TEXT("[1a]"),
    TEXT("[1f]"),
    TEXT("[1L]"),
    TEXT("[1n]"),
    TEXT("[0b1]"),
    TEXT("[0o7]"),
    TEXT("[0x]"),
    TEXT("[-NaN]"),
    TEXT("[-Infinity]"),
    TEXT("[+Inf]"),
    TEXT("Infinity"),
    TEXT("[$1]"),
    TEXT("[1%]"),
    TEXT("[\xef\xbc\x91]"),
    TEXT("[\xe2\x88\x92"
         "1]"),
    /* strings */
    TEXT("\""),
    TEXT("[\""),
    TEXT("\"\\"),
    TEXT("\"\\\""),
    TEXT("[\"\\\\\\\"]"),
    TEXT("['a']"),
    TEXT("[`a`]"),
    TEXT("[\xe2\x80\x9c"
         "a\xe2\x80\x9d]"),
    TEXT("[\\n]"),
    TEXT("[\"a\"\"b\"]"),
    TEXT("[\"\\0\"]"),
    TEXT("[\"\\U00e9\"]"),
    TEXT("[\"\\u\"]"),
    TEXT("[\"\\u0\"]"),
    TEXT("[\"\\u00\"]"),
    TEXT("[\"\\u000\"]"),
    TEXT("[\"\\u 041\"]"),
    TEXT("[\"\\u+041\"]"),
    TEXT("[\"\\u-041\"]"),
    TEXT("[\"\\u0x4\"]"),
    TEXT("[\"\\u{41}\"]"),
    TEXT("[\"\\u00:0\"]"),
    TEXT("[\"\\u00/0\"]"),
    TEXT("[\"\\u00@0\"]"),
    TEXT("[\"\\u00G0\"]"),
    TEXT("[\"\\u00`0\"]"),
    TEXT("{\"\\u00\":1}"),
    TEXT("{\"\\x\":1}"),
    /* UTF-8 */
    TEXT("[\"\x80\"]"),
    TEXT("[\"\xbf\"]"),
    TEXT("[\"\xe9\"]"),
    TEXT("[\"\xc3\"]"),
    TEXT("[\"\xe2\x82\x22]"),
    TEXT("[\"\xf0\x9f\x98\"]"),
    TEXT("[\"\xf0\x9f\x98\x22]"),
    TEXT("[\"\xc2\x80\x80\"]"),
    TEXT("[\"\xc0\xaf\"]"),
    TEXT("[\"\xc1\xbf\"]"),
    TEXT("[\"\xe0\x80\x80\"]"),
    TEXT("[\"\xe0\x9f\xbf\"]"),
    TEXT("[\"\xf0\x80\x80\x80\"]"),
    TEXT("[\"\xf0\x8f\xbf\xbf\"]"),
    TEXT("[\"\xed\xbf\xbf\"]"),
    TEXT("[\"\xed\xa0\xbd\xed\xb8\x80\"]"),
    TEXT("[\"\xf5\x80\x80\x80\"]"),
    TEXT("[\"\xf8\x88\x80\x80\x80\"]"),
    TEXT("[\"\xfc\x84\x80\x80\x80\x80\"]"),
    TEXT("[\"\xfe\"]"),
    TEXT("{\"\xff\":1}"),
    TEXT("[\"\\\xe9\"]"),
    TEXT("[\"\\\xc3\xa9\"]"),
    TEXT("\xef\xbb\xbf"),
    TEXT("\xef\xbb"),
    TEXT("\xff\xfe[\0]\0"),
    TEXT("\xfe\xff\0[\0]"),
    TEXT("[\0\"\0a\0\"\0]\0"),
};

/* The grammar lets these in and leaves the rest to the reader. This one refuses what it cannot
 * keep: half of a surrogate pair (section 8.2), whole numbers beyond 64 bits and numbers beyond a
 * double (section 6). */
static const struct text refused_by_choice[] = {
    TEXT("[\"\\uDFFF\"]"),
    TEXT("[\"\\uD800x\"]"),
    TEXT("[\"\\uD800\\n\"]"),
    TEXT("[\"\\uD800\\u0041\"]"),
    TEXT("[\"\\uD800\\uE000\"]"),
    TEXT("[\"\\uDC00\\uD800\"]"),
    TEXT("[\"\\uD800\\uD800\\uDC00\"]"),
    TEXT("[\"\\uDBFF\\u\"]"),
    TEXT("{\"\\uD800\":1}"),
    TEXT("[-1e400]"),
    TEXT("[1.8e308]"),
    TEXT("[123123e100000]"),
    TEXT("[100000000000000000000]"),
    TEXT("[-100000000000000000000]"),
    TEXT("[-9223372036854775809]"),
    TEXT("[99999999999999999999999999999999999999999999999999999999999999999999999999999999]"),
};

/* Too small for a double is zero: nothing of use is lost. */
static const struct text taken_as_zero[] = {
    TEXT("1e-400"),
    TEXT("-1e-999"),
    TEXT("123.456e-789"),
    TEXT("0e999999"),
};

/* Parses a copy, behind which nothing but its padding may be read. */
static int parse(struct cb_json_parser *json, struct text text, char pad, struct cb_value *out) {
    static char *copy;
    const char *why = NULL;
    free(copy);
    copy = malloc(text.len + CB_HTTP_BODY_PAD);
    assert_non_null(copy);
    memcpy(copy, text.p, text.len);
    memset(copy + text.len, pad, CB_HTTP_BODY_PAD);
    int err = cb_json_parse(json, (struct cb_str){copy, text.len}, out, &why);
    if (err) {
        assert_int_equal(err, CB_EMALFORMED);
        assert_non_null(why);
    }
    return err;
}

static const char pads[] = {'\0', ' ', '0', '"', ']', '}', '\xff'};

static void expect(struct cb_json_parser *json, struct text text, bool taken) {
    struct cb_value value;
    for (size_t p = 0; p < sizeof pads; p++)
        if ((parse(json, text, pads[p], &value) == 0) != taken)
            fail_msg("%s, before a %02x: %.*s", taken ? "refused" : "accepted",
                     (unsigned char)pads[p], (int)text.len, text.p);
}

static int setup(void **state) {
    return cb_json_parser_create(BODY_MAX, (struct cb_json_parser **)state);
}

static int teardown(void **state) {
    cb_json_parser_destroy((struct cb_json_parser **)state);
    return 0;
}

#define EACH(table, taken)                                                                         \
    for (size_t i = 0; i < sizeof(table) / sizeof *(table); i++)                                   \
    expect(*state, (table)[i], (taken))

static void test_must_accept(void **state) {
    EACH(accepted, true);
}

static void test_must_refuse(void **state) {
    EACH(refused, false);
}

static void test_choices(void **state) {
    struct cb_value value;
    EACH(refused_by_choice, false);
    EACH(taken_as_zero, true);
    for (size_t i = 0; i < sizeof taken_as_zero / sizeof *taken_as_zero; i++) {
        assert_int_equal(parse(*state, taken_as_zero[i], 0, &value), 0);
        assert_int_equal(value.type, CB_VALUE_FLOAT);
        assert_true(value.f > -1e-300 && value.f < 1e-300);
    }
}

/* A document that was cut off is never one, wherever the cut. */
static void test_every_beginning_is_refused(void **state) {
    static const struct text whole =
        TEXT("{\"a\":[1.5e-3,true,null,\"\\ud83d\\ude00\xf0\x9f\x98\x80\"],\"b\":{\"c\":\"\"}}");
    expect(*state, whole, true);
    for (size_t len = 0; len < whole.len; len++)
        expect(*state, (struct text){whole.p, len}, false);
}

/* Each byte alone, before, between and behind values, in a string, and behind a backslash. */
static void test_every_byte(void **state) {
    char text[16];
    for (int c = 0; c < 256; c++) {
        bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        bool digit = c >= '0' && c <= '9';
        text[0] = (char)c;
        expect(*state, (struct text){text, 1}, digit);
        int len = snprintf(text, sizeof text, "%c[1]", c);
        expect(*state, (struct text){text, (size_t)len}, space);
        len = snprintf(text, sizeof text, "[1%c,2]", c);
        expect(*state, (struct text){text, (size_t)len}, space || digit);
        len = snprintf(text, sizeof text, "[1]%c", c);
        expect(*state, (struct text){text, (size_t)len}, space);
        len = snprintf(text, sizeof text, "[\"%c\"]", c);
        expect(*state, (struct text){text, (size_t)len},
               c >= 0x20 && c < 0x80 && c != '"' && c != '\\');
        len = snprintf(text, sizeof text, "[\"\\%c\"]", c);
        expect(*state, (struct text){text, (size_t)len}, c != 0 && strchr("\"\\/bfnrt", c) != NULL);
    }
}

/* Controls far into a string and far into blanks, where a parser takes many bytes at once. */
static void test_every_offset(void **state) {
    char text[200];
    for (size_t at = 1; at < sizeof text - 1; at++) {
        memset(text, 'x', sizeof text);
        text[0] = text[sizeof text - 1] = '"';
        expect(*state, (struct text){text, sizeof text}, true);
        text[at] = '\x1f';
        expect(*state, (struct text){text, sizeof text}, false);
        text[at] = '\xc3';
        expect(*state, (struct text){text, sizeof text}, false);
        text[at] = '"';
        expect(*state, (struct text){text, sizeof text}, false);
        memset(text, ' ', sizeof text);
        text[at] = '7';
        expect(*state, (struct text){text, sizeof text}, true);
        text[0] = '\f';
        expect(*state, (struct text){text, sizeof text}, false);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_must_accept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_must_refuse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_choices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_beginning_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_offset, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
