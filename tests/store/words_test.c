/* SPDX-License-Identifier: MIT */
#include "store/words.h"

#include "tests/proto/guard.h"
#include "tests/store/rig.h"

/* The terms of a value, "|" between them, against want. */
static void check(unsigned field, const char *value, const char *want) {
    struct cb_words words;
    char got[1024] = "";
    cb_words_of(field, cb_str_of(value), &words);
    for (unsigned i = 0; i < words.n; i++) {
        struct cb_str term = cb_words_term(&words, i);
        size_t len = strlen(got);
        snprintf(got + len, sizeof(got) - len, "%s%.*s", i ? "|" : "", (int)term.len, term.p);
    }
    if (strcmp(got, want) != 0) {
        fail_msg("%s: \"%s\" is not \"%s\"", value, got, want);
    }
}

static void wanted(const char *q, const char *want) {
    struct cb_words words;
    cb_words_wanted(cb_str_of(q), &words);
    if (want[0] == '\0') {
        assert_int_equal(words.n, 0);
        return;
    }
    assert_int_equal(words.n, 1);
    struct cb_str term = cb_words_term(&words, 0);
    if (!cb_str_is(term, want)) {
        fail_msg("%s: \"%.*s\" is not \"%s\"", q, (int)term.len, term.p, want);
    }
}

static void test_names(void **state) {
    (void)state;
    check(CB_FIELD_NAME, "Ada Lovelace", "ada lovelace|lovelace");
    check(CB_FIELD_NAME, "  O'Brien,  Zoë ", "o brien zoe|brien zoe|zoe");
    check(CB_FIELD_NAME, "ÅNGSTRÖM", "angstrom");
    check(CB_FIELD_NAME, "Zoe\u0308 Str\u00f6m", "zoe strom|strom"); /* decomposed, composed */
    check(CB_FIELD_NAME, "ŁUKASZ Groß Ærø", "lukasz gross aero|gross aero|aero");
    check(CB_FIELD_NAME, "ΣΟΦΊΑ Παππάς", "σοφια παππασ|παππασ");
    check(CB_FIELD_NAME, "ПЁТР", "петр");
    check(CB_FIELD_NAME, "ＡＢＣ１", "abc1"); /* full width */
    check(CB_FIELD_NAME, "王小明", "王小明");
    check(CB_FIELD_NAME, "a\u00a0b\u3000c\u2014d", "a b c d|b c d|c d|d"); /* spaces and a dash */
    check(CB_FIELD_NAME, "a b c d e f g h",
          "a b c d e f g h|b c d e f g h|c d e f g h|d e f g h|"
          "e f g h|f g h");
    check(CB_FIELD_NAME, " -.,", "");
    check(CB_FIELD_NAME, "", "");
    check(CB_FIELD_NOTES, "Ada", "");
    check(CB_FIELD_COUNT, "Ada", "");
}

static void test_addresses_and_numbers(void **state) {
    (void)state;
    check(CB_FIELD_EMAIL, "Ada.L@Mail.Example.ORG",
          "ada l mail example org|l mail example org|mail example org|example org");
    check(CB_FIELD_EMAIL, "ada", "ada");
    check(CB_FIELD_PHONE, "+420 603 123-456", "420603123456|603123456|123456|456");
    check(CB_FIELD_PHONE, "(555) 01 02", "5550102|0102");
    check(CB_FIELD_PHONE, "12", "");
    check(CB_FIELD_PHONE, "none", "");
}

static void test_wanted(void **state) {
    (void)state;
    wanted("ADA lov", "ada lov");
    wanted("ada@ma", "ada ma");
    wanted("+420 603", "420603");
    wanted("(603) 1", "6031");
    wanted("1a", "1a");
    wanted("4/4.", "44");
    wanted("+-()", "");
    wanted("…", "");
    wanted("", "");
}

/* What ends within a character, and what is no UTF-8, is read no further than it goes. */
static void test_bytes(void **state) {
    (void)state;
    struct cb_words words;
    struct guard guard;
    guard_init(&guard, 4);
    for (unsigned c = 0; c < 256; c++) {
        for (size_t len = 1; len <= 4; len++) {
            char text[4];
            memset(text, (int)c, sizeof(text));
            const char *p = (const char *)guard_put(&guard, text, len);
            cb_words_of(CB_FIELD_NAME, (struct cb_str){p, len}, &words);
            assert_true(words.len <= CB_WORDS_BYTES && words.n <= CB_WORDS_TERMS);
        }
    }
    guard_fini(&guard);
    static char large[4 * CB_WORDS_BYTES];
    memset(large, 'x', sizeof(large));
    cb_words_of(CB_FIELD_NAME, (struct cb_str){large, sizeof(large)}, &words);
    assert_true(words.n == 1 && words.len > CB_WORDS_BYTES - 4);
    memset(large, '7', sizeof(large));
    cb_words_of(CB_FIELD_PHONE, (struct cb_str){large, sizeof(large)}, &words);
    assert_true(words.n == 1 && words.len == CB_WORDS_BYTES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_addresses_and_numbers),
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
