/* SPDX-License-Identifier: MIT
 * Promises of proto/json_parser.h: what RFC 8259 lets in is read, what it does not is refused, and
 * values, members and their order come out as they were written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
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
    TEXT("{}"),
    TEXT("[]"),
    TEXT("null"),
    TEXT("true"),
    TEXT("false"),
    TEXT("0"),
    TEXT("-0"),
    TEXT("123"),
    TEXT("\"\""),
    TEXT(" \t\r\n[ 1 , 2 ]\n "),
    TEXT("[1e5,1E5,1e+5,1e-5,1.5,-1.5e3,0.1,0e0]"),
    TEXT("[18446744073709551615,-9223372036854775808]"),
    TEXT("{\"\":0}"),
    TEXT("{\"a\":1,\"a\":2}"),
    TEXT("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"]"),
    TEXT("[\"\\ud83d\\ude00\"]"),
    TEXT("[\"\xf0\x9f\x98\x80\"]"),
    TEXT("[\"\\u0000\"]"),
    TEXT("[\"\x7f\"]"),
    TEXT("[\"\xe2\x80\xa8\"]"),
    TEXT("{\"a\":{\"b\":[{\"c\":null}]}}"),
};

static const struct text refused[] = {
    TEXT(""),
    TEXT(" "),
    TEXT("\xef\xbb\xbf{}"),
    TEXT("{"),
    TEXT("}"),
    TEXT("["),
    TEXT("[1"),
    TEXT("[1,"),
    TEXT("[1,]"),
    TEXT("[,1]"),
    TEXT("[1 2]"),
    TEXT("[1]]"),
    TEXT("[1][2]"),
    TEXT("{}\n{}"),
    TEXT("{} x"),
    TEXT("{\"a\"}"),
    TEXT("{\"a\":}"),
    TEXT("{\"a\":1,}"),
    TEXT("{\"a\" 1}"),
    TEXT("{a:1}"),
    TEXT("{'a':1}"),
    TEXT("{1:1}"),
    TEXT("{\"a\":1 \"b\":2}"),
    TEXT("[01]"),
    TEXT("[-]"),
    TEXT("[+1]"),
    TEXT("[.5]"),
    TEXT("[1.]"),
    TEXT("[1e]"),
    TEXT("[1e+]"),
    TEXT("[0x1]"),
    TEXT("[1_000]"),
    TEXT("[NaN]"),
    TEXT("[Infinity]"),
    TEXT("[1e400]"),
    TEXT("[18446744073709551616]"),
    TEXT("[-9223372036854775809]"),
    TEXT("nul"),
    TEXT("nulll"),
    TEXT("True"),
    TEXT("truefalse"),
    TEXT("\"a"),
    TEXT("[\"a]"),
    TEXT("[\"\\x41\"]"),
    TEXT("[\"\\'\"]"),
    TEXT("[\"\\u12\"]"),
    TEXT("[\"\\u12g4\"]"),
    TEXT("[\"\\ud800\"]"),
    TEXT("[\"\\udc00\"]"),
    TEXT("[\"\\ud800\\ud800\"]"),
    TEXT("[\"\\\"]"),
    TEXT("[\"a\nb\"]"),
    TEXT("[\"a\tb\"]"),
    TEXT("[\"a\0b\"]"),
    TEXT("[1\0]"),
    TEXT("\0"),
    TEXT("[\"\xff\"]"),
    TEXT("[\"\xc0\x80\"]"),
    TEXT("[\"\xed\xa0\x80\"]"),
    TEXT("[\"\xf4\x90\x80\x80\"]"),
    TEXT("[\"\xe2\x82\"]"),
    TEXT("[\x80]"),
    TEXT("[1]\v"),
    TEXT("[\f1]"),
    TEXT("\xc2\xa0[1]"),
    TEXT("[1] // one"),
    TEXT("/* */[1]"),
};

/* Parses a copy that ends where its padding ends; pad fills the padding: it must not matter. */
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

static int setup(void **state) {
    return cb_json_parser_create(BODY_MAX, (struct cb_json_parser **)state);
}

static int teardown(void **state) {
    cb_json_parser_destroy((struct cb_json_parser **)state);
    assert_null(*state);
    return 0;
}

static void test_takes_what_the_grammar_lets_in(void **state) {
    static const char pads[] = {'\0', ' ', '9', '"', ']', '\xff'};
    struct cb_value value;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
        for (size_t p = 0; p < sizeof pads; p++)
            if (parse(*state, accepted[i], pads[p], &value))
                fail_msg("refused: %s", accepted[i].p);
}

static void test_refuses_all_else(void **state) {
    static const char pads[] = {'\0', ' ', '9', '"', ']', '}'};
    struct cb_value value;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        for (size_t p = 0; p < sizeof pads; p++)
            if (parse(*state, refused[i], pads[p], &value) == 0)
                fail_msg("accepted: %s", refused[i].p);
}

static void test_refuses_what_is_nested_too_deep(void **state) {
    char text[4 * CB_VALUE_DEPTH_MAX];
    struct cb_value value;
    for (unsigned depth = 1; depth <= 2 * CB_VALUE_DEPTH_MAX - 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        int err = parse(*state, (struct text){text, 2 * (size_t)depth}, 0, &value);
        if (depth < CB_VALUE_DEPTH_MAX)
            assert_int_equal(err, 0);
        if (depth > CB_VALUE_DEPTH_MAX)
            assert_int_equal(err, CB_EMALFORMED);
    }
}

static void test_a_refusal_says_why(void **state) {
    const char *why = NULL;
    struct cb_value value;
    char body[1 + CB_HTTP_BODY_PAD] = {0};
    assert_int_equal(cb_json_parse(*state, (struct cb_str){body, 0}, &value, &why), CB_EMALFORMED);
    assert_string_equal(why, "the body is empty");
    body[0] = '\xff';
    assert_int_equal(cb_json_parse(*state, (struct cb_str){body, 1}, &value, &why), CB_EMALFORMED);
    assert_string_equal(why, "the body is not UTF-8");
}

static void test_values_come_out_as_written(void **state) {
    struct text text = TEXT("[null,true,18446744073709551615,7,-7,1.5,\"\\u00e9\\u0000x\",[],{}]");
    struct cb_value array, v;
    struct cb_value_walk walk;
    const struct cb_value_ops *ops = &cb_json_values;
    assert_int_equal(parse(*state, text, 0, &array), 0);
    assert_int_equal(array.type, CB_VALUE_ARRAY);
    assert_int_equal(ops->count(&array), 9);
    ops->begin(&array, &walk);
    assert_true(ops->item(&walk, &v));
    assert_int_equal(v.type, CB_VALUE_NULL);
    assert_true(ops->item(&walk, &v));
    assert_int_equal(v.type, CB_VALUE_BOOL);
    assert_true(v.boolean);
    assert_true(ops->item(&walk, &v));
    assert_int_equal(v.type, CB_VALUE_UINT);
    assert_true(v.u == UINT64_MAX);
    assert_true(ops->item(&walk, &v));
    assert_int_equal(v.type, CB_VALUE_UINT);
    assert_int_equal(v.u, 7);
    assert_true(ops->item(&walk, &v));
    assert_int_equal(v.type, CB_VALUE_INT);
    assert_int_equal(v.i, -7);
    assert_true(ops->item(&walk, &v));
    assert_int_equal(v.type, CB_VALUE_FLOAT);
    assert_true(v.f > 1.4 && v.f < 1.6);
    assert_true(ops->item(&walk, &v));
    assert_int_equal(v.type, CB_VALUE_STRING);
    assert_true(cb_str_eq(v.s, CB_STR("\xc3\xa9\0x")));
    assert_true(ops->item(&walk, &v));
    assert_int_equal(v.type, CB_VALUE_ARRAY);
    assert_int_equal(ops->count(&v), 0);
    assert_true(ops->item(&walk, &v));
    assert_int_equal(v.type, CB_VALUE_OBJECT);
    assert_false(ops->item(&walk, &v));
    assert_false(ops->item(&walk, &v));
}

static void test_repeated_members_are_kept_in_order(void **state) {
    struct text text = TEXT("{\"b\":1,\"a\":[{\"x\":2}],\"b\":3}");
    struct cb_value object, v;
    struct cb_value_walk walk;
    struct cb_str key;
    assert_int_equal(parse(*state, text, 0, &object), 0);
    assert_int_equal(cb_json_values.count(&object), 3);
    cb_json_values.begin(&object, &walk);
    assert_true(cb_json_values.member(&walk, &key, &v));
    assert_true(cb_str_is(key, "b"));
    assert_int_equal(v.u, 1);
    assert_true(cb_json_values.member(&walk, &key, &v));
    assert_true(cb_str_is(key, "a"));
    assert_int_equal(v.type, CB_VALUE_ARRAY);
    assert_true(cb_json_values.member(&walk, &key, &v));
    assert_true(cb_str_is(key, "b"));
    assert_int_equal(v.u, 3);
    assert_false(cb_json_values.member(&walk, &key, &v));
}

static void test_takes_bodies_up_to_its_maximum(void **state) {
    static char text[BODY_MAX];
    struct cb_value value;
    memset(text, ' ', sizeof text);
    text[0] = '[';
    text[sizeof text - 1] = ']';
    assert_int_equal(parse(*state, (struct text){text, sizeof text}, 0, &value), 0);
    assert_int_equal(parse(*state, (struct text){"[", 1}, 0, &value), CB_EMALFORMED);
    assert_int_equal(parse(*state, (struct text){"[1]", 3}, 0, &value), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_takes_what_the_grammar_lets_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_all_else, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_what_is_nested_too_deep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refusal_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values_come_out_as_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_repeated_members_are_kept_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_takes_bodies_up_to_its_maximum, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
