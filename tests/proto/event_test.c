/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>

#include "proto/event.h"

static void test_names(void **state) {
    (void)state;
    assert_int_equal(cb_event_name_code(CB_STR("onClick")), CB_NAME_CLICK);
    assert_int_equal(cb_event_name_code(CB_STR("onclick")), CB_NAME_CUSTOM);
    assert_true(cb_str_is(cb_event_name_text(CB_NAME_MESSAGE), "message"));
    assert_int_equal(cb_event_name_text(99).len, 0);
    static const char *const good[] = {"a", "A9", "on.click:x_y-z"};
    static const char *const bad[] = {"", "9a", "_a", "a b", "a\n", "\xc3\xa9", "(other)", "a/b"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(cb_event_name_valid(cb_str_of(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(cb_event_name_valid(cb_str_of(bad[i])));
    }
    char name[CB_NAME_MAX + 1];
    memset(name, 'a', sizeof(name));
    assert_true(cb_event_name_valid((struct cb_str){name, CB_NAME_MAX}));
    assert_false(cb_event_name_valid((struct cb_str){name, CB_NAME_MAX + 1}));
    assert_false(cb_event_name_valid((struct cb_str){"a\0b", 3}));
    assert_true(cb_site_name_valid(CB_STR("9-shop_1")));
    assert_false(cb_site_name_valid(CB_STR("a.b")));
    assert_false(cb_site_name_valid(CB_STR("")));
}

static void test_fields(void **state) {
    (void)state;
    assert_int_equal(cb_field_of(CB_STR("email")), CB_FIELD_EMAIL);
    assert_int_equal(cb_field_of(CB_STR("emai")), CB_ENOENT);
    assert_int_equal(cb_field_max_chars(CB_FIELD_NOTES), 4000);
    assert_string_equal(cb_field_key(CB_FIELD_PHONE), "phone");
}

static void test_hash(void **state) {
    (void)state;
    assert_true(sodium_init() >= 0);
    const uint8_t id[16] = {1, 2, 3};
    uint8_t a[16], b[16], whole[16];
    cb_visitor_hash(CB_STR("demo"), id, a);
    cb_visitor_hash(CB_STR("shop"), id, b);
    assert_memory_not_equal(a, b, 16);
    assert_memory_not_equal(a, id, 16);
    uint8_t text[4 + 16] = {'d', 'e', 'm', 'o', 1, 2, 3};
    crypto_generichash(whole, 16, text, sizeof(text), NULL,
                       0); /* BLAKE2b-128(site ‖ id), as WIRE.md says */
    assert_memory_equal(a, whole, 16);
}

static void test_stamps(void **state) {
    (void)state;
    struct cb_stamp a = {.true_ms = 100, .seq = 5, .producer = {1}};
    struct cb_stamp b = {.true_ms = 50, .seq = 6, .producer = {1}};
    assert_true(cb_stamp_replaces(&a, &b)); /* same producer: the number decides, not the time */
    assert_false(cb_stamp_replaces(&b, &a));
    assert_false(cb_stamp_replaces(&a, &a));
    struct cb_stamp c = {.true_ms = 100, .seq = 1, .producer = {2}};
    assert_true(cb_stamp_replaces(&a, &c) != cb_stamp_replaces(&c, &a)); /* a tie has one winner */
    c.true_ms = 101;
    assert_true(cb_stamp_replaces(&a, &c));
    assert_false(cb_stamp_replaces(&c, &a));
    /* Operators have no producer: the later append wins, and a tie with a page is theirs. A page
     * that calls itself like that is not taken for one. */
    struct cb_stamp first = {.true_ms = 101, .seq = 7, .source = CB_SOURCE_OPERATOR};
    struct cb_stamp second = {.true_ms = 101, .seq = 8, .source = CB_SOURCE_OPERATOR};
    struct cb_stamp page = {.true_ms = 100, .seq = CB_SEQ_MAX, .source = CB_SOURCE_PAGE};
    assert_true(cb_stamp_replaces(&first, &second) && !cb_stamp_replaces(&second, &first));
    assert_true(cb_stamp_replaces(&c, &first) && !cb_stamp_replaces(&first, &c));
    assert_false(cb_stamp_replaces(&first, &page));
    page.true_ms = 102;
    assert_true(cb_stamp_replaces(&first, &page) && !cb_stamp_replaces(&page, &first));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_fields),
                                       cmocka_unit_test(test_hash), cmocka_unit_test(test_stamps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
