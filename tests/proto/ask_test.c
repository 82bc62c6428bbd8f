/* SPDX-License-Identifier: MIT */
#include "proto/ask.h"

#include <stdlib.h>

#include "tests/proto/guard.h"

#define VISITOR "0123456789abcdef"

static struct cb_ask asks[CB_ASKS_MAX], asks_back[CB_ASKS_MAX];
static struct cb_answer answers[CB_ASKS_MAX], answers_back[CB_ASKS_MAX];
static uint32_t n;

/* Version 1, byte by byte: it must never change. */
static const char ask_v1[] = "\x93\xa4"
                             "cb.q\x01\x93\x91\x01\x92\x02\xa4"
                             "demo"
                             "\x93\x03\xa3shp\xc4\x10" VISITOR;
static const char answer_v1[] = "\x93\xa4"
                                "cb.r\x01\x94\x94\x01\xc3\xc2\xc3\x95\x02\xc3\xc2\xc2\x01"
                                "\x95\x02\xc2\xc3\xc3\x00"
                                "\x94\x03\xc3\xc2\x94\xa3"
                                "Ann\xa0\xa0\xa5\xc5\xa1o\nx";

static void version_1_of_an_ask_stands(void **state) {
    (void)state;
    struct cb_buf wire;
    cb_buf_init(&wire, CB_ASK_MESSAGE_MAX);
    asks[0] = (struct cb_ask){.kind = CB_ASK_HELLO};
    asks[1] = (struct cb_ask){.kind = CB_ASK_SITE, .site = CB_STR("demo")};
    asks[2] = (struct cb_ask){.kind = CB_ASK_FIELDS, .site = CB_STR("shp")};
    memcpy(asks[2].visitor, VISITOR, CB_VISITOR_BYTES);
    assert_int_equal(cb_ask_encode(asks, 3, &wire), 0);
    assert_int_equal(wire.len, sizeof ask_v1 - 1);
    assert_memory_equal(wire.data, ask_v1, wire.len);
    assert_int_equal(cb_ask_decode(ask_v1, sizeof ask_v1 - 1, asks_back, &n), 0);
    assert_int_equal(n, 3);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(asks_back[i].kind, asks[i].kind);
        assert_true(cb_str_eq(asks_back[i].site, asks[i].site));
        assert_memory_equal(asks_back[i].visitor, asks[i].visitor, CB_VISITOR_BYTES);
    }
    cb_buf_fini(&wire);
}

static void assert_answer(const struct cb_answer *a, const struct cb_answer *z) {
    assert_int_equal(a->kind, z->kind);
    assert_int_equal(a->found, z->found);
    assert_int_equal(a->later, z->later);
    assert_int_equal(a->status, z->status);
    assert_int_equal(a->accepting, z->accepting);
    for (unsigned f = 0; f < CB_FIELD_COUNT; f++) {
        assert_true(cb_str_eq(a->fields[f], z->fields[f]));
    }
}

static void version_1_of_an_answer_stands(void **state) {
    (void)state;
    struct cb_buf wire;
    cb_buf_init(&wire, CB_ASK_MESSAGE_MAX);
    answers[0] = (struct cb_answer){.kind = CB_ASK_HELLO, .found = true, .accepting = true};
    answers[1] = (struct cb_answer){.kind = CB_ASK_SITE, .found = true, .status = CB_STATUS_ONLINE};
    answers[2] = (struct cb_answer){.kind = CB_ASK_SITE, .later = true, .accepting = true};
    answers[3] = (struct cb_answer){
        .kind = CB_ASK_FIELDS,
        .found = true,
        .fields = {[CB_FIELD_NAME] = CB_STR("Ann"), [CB_FIELD_NOTES] = CB_STR("\xc5\xa1o\nx")}};
    assert_int_equal(cb_answer_encode(answers, 4, &wire), 0);
    assert_int_equal(wire.len, sizeof answer_v1 - 1);
    assert_memory_equal(wire.data, answer_v1, wire.len);
    assert_int_equal(cb_answer_decode(answer_v1, sizeof answer_v1 - 1, answers_back, &n), 0);
    assert_int_equal(n, 4);
    for (uint32_t i = 0; i < n; i++) {
        assert_answer(&answers_back[i], &answers[i]);
    }
    cb_buf_fini(&wire);
}

/* What version 1 has besides: a lease, and a site that has settings. */
static const char lease_v1[] = "\x93\xa4"
                               "cb.q\x01\x91\x92\x04\xa4"
                               "demo";
static const char set_v1[] = "\x93\xa4"
                             "cb.r\x01\x92\x94\x04\xc3\xc2\x01"
                             "\x97\x02\xc3\xc2\xc3\x02\xa9https://a\xa7{\"a\":1}";

static void leases_and_settings_stand(void **state) {
    (void)state;
    struct cb_buf wire;
    cb_buf_init(&wire, CB_ASK_MESSAGE_MAX);
    asks[0] = (struct cb_ask){.kind = CB_ASK_LEASE, .site = CB_STR("demo")};
    assert_int_equal(cb_ask_encode(asks, 1, &wire), 0);
    assert_int_equal(wire.len, sizeof lease_v1 - 1);
    assert_memory_equal(wire.data, lease_v1, wire.len);
    assert_int_equal(cb_ask_decode(lease_v1, sizeof lease_v1 - 1, asks_back, &n), 0);
    assert_int_equal(asks_back[0].kind, CB_ASK_LEASE);
    answers[0] =
        (struct cb_answer){.kind = CB_ASK_LEASE, .found = true, .status = CB_STATUS_ONLINE};
    answers[1] = (struct cb_answer){.kind = CB_ASK_SITE,
                                    .found = true,
                                    .accepting = true,
                                    .status = CB_STATUS_OFFLINE,
                                    .origins = CB_STR("https://a"),
                                    .page = CB_STR("{\"a\":1}")};
    cb_buf_clear(&wire);
    assert_int_equal(cb_answer_encode(answers, 2, &wire), 0);
    assert_int_equal(wire.len, sizeof set_v1 - 1);
    assert_memory_equal(wire.data, set_v1, wire.len);
    assert_int_equal(cb_answer_decode(set_v1, sizeof set_v1 - 1, answers_back, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(answers_back[0].status, CB_STATUS_ONLINE);
    assert_true(cb_str_is(answers_back[1].origins, "https://a"));
    assert_true(cb_str_is(answers_back[1].page, "{\"a\":1}"));
    answers[1].page.len = CB_PAGE_SETTINGS_MAX + 1;
    assert_int_equal(cb_answer_encode(answers, 2, &wire), CB_ETOOBIG);
    cb_buf_fini(&wire);
}

/* … and who was erased: two tags at a site without settings, and a visitor. */
static const char erased_v1[] = "\x93\xa4"
                                "cb.r\x01\x92\x98\x02\xc3\xc2\xc3\x01\xa0\xa0\xc4\x20"
                                "tttttttttttttttt"
                                "uuuuuuuuuuuuuuuu"
                                "\x95\x03\xc2\xc2\x94\xa0\xa0\xa0\xa0\xc3";

static void erasures_stand(void **state) {
    (void)state;
    struct cb_buf wire;
    cb_buf_init(&wire, CB_ASK_MESSAGE_MAX);
    answers[0] = (struct cb_answer){.kind = CB_ASK_SITE,
                                    .found = true,
                                    .accepting = true,
                                    .status = CB_STATUS_ONLINE,
                                    .erasures = CB_STR("ttttttttttttttttuuuuuuuuuuuuuuuu")};
    answers[1] = (struct cb_answer){.kind = CB_ASK_FIELDS, .erased = true};
    for (unsigned f = 0; f < CB_FIELD_COUNT; f++) {
        answers[1].fields[f] = CB_STR("");
    }
    assert_int_equal(cb_answer_encode(answers, 2, &wire), 0);
    assert_int_equal(wire.len, sizeof erased_v1 - 1);
    assert_memory_equal(wire.data, erased_v1, wire.len);
    assert_int_equal(cb_answer_decode(erased_v1, sizeof erased_v1 - 1, answers_back, &n), 0);
    assert_true(n == 2 && cb_str_eq(answers_back[0].erasures, answers[0].erasures));
    assert_true(answers_back[1].erased && !answers_back[1].found);
    /* a part of a tag; too many of them */
    char spoiled[sizeof erased_v1];
    memcpy(spoiled, erased_v1, sizeof spoiled);
    spoiled[16] = '\x1f';
    assert_int_equal(cb_answer_decode(spoiled, sizeof spoiled - 1, answers_back, &n),
                     CB_EMALFORMED);
    answers[0].erasures.len = (CB_ASK_ERASURES_MAX + 1) * CB_VISITOR_BYTES;
    assert_int_equal(cb_answer_encode(answers, 2, &wire), CB_ETOOBIG);
    cb_buf_fini(&wire);
}

static bool ask_decodes_soundly(const void *data, size_t len) {
    if (cb_ask_decode(data, len, asks_back, &n) != 0) {
        return false;
    }
    assert_true(n >= 1 && n <= CB_ASKS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(asks_back[i].kind == CB_ASK_HELLO || cb_site_name_valid(asks_back[i].site));
        assert_true(asks_back[i].kind >= CB_ASK_HELLO && asks_back[i].kind <= CB_ASK_LEASE);
    }
    return true;
}

static bool answer_decodes_soundly(const void *data, size_t len) {
    if (cb_answer_decode(data, len, answers_back, &n) != 0) {
        return false;
    }
    assert_true(n >= 1 && n <= CB_ASKS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        const struct cb_answer *a = &answers_back[i];
        assert_true(a->kind >= CB_ASK_HELLO && a->kind <= CB_ASK_LEASE);
        assert_true(a->origins.len <= CB_ORIGINS_MAX_BYTES && a->page.len <= CB_PAGE_SETTINGS_MAX);
        assert_true(a->status <= CB_STATUS_OFFLINE);
        for (unsigned f = 0; f < CB_FIELD_COUNT; f++) {
            assert_true(a->fields[f].len <= CB_ASK_VALUE_MAX && cb_utf8_valid(a->fields[f]));
        }
    }
    return true;
}

static void a_spoiled_message_is_refused_or_sound(void **state) {
    (void)state;
    guard_spoil(ask_v1, sizeof ask_v1 - 1, ask_decodes_soundly);
    guard_spoil(answer_v1, sizeof answer_v1 - 1, answer_decodes_soundly);
    guard_spoil(lease_v1, sizeof lease_v1 - 1, ask_decodes_soundly);
    guard_spoil(set_v1, sizeof set_v1 - 1, answer_decodes_soundly);
    guard_spoil(erased_v1, sizeof erased_v1 - 1, answer_decodes_soundly);
}

static void the_largest_messages_fit(void **state) {
    (void)state;
    struct cb_buf wire;
    static char text[CB_ASK_VALUE_MAX + 1], site[CB_SITE_MAX];
    memset(text, 'x', sizeof text);
    memset(site, 's', sizeof site);
    cb_buf_init(&wire, CB_ASK_MESSAGE_MAX);
    for (uint32_t i = 0; i < CB_ASKS_MAX; i++) {
        asks[i] = (struct cb_ask){.kind = CB_ASK_FIELDS, .site = {site, sizeof site}};
        answers[i] = (struct cb_answer){.kind = CB_ASK_FIELDS, .found = true};
        for (unsigned f = 0; f < CB_FIELD_COUNT; f++) {
            answers[i].fields[f] = (struct cb_str){text, CB_ASK_VALUE_MAX};
        }
    }
    assert_int_equal(cb_ask_encode(asks, CB_ASKS_MAX, &wire), 0);
    assert_int_equal(cb_ask_decode(wire.data, wire.len, asks_back, &n), 0);
    assert_int_equal(n, CB_ASKS_MAX);
    cb_buf_clear(&wire);
    assert_int_equal(cb_answer_encode(answers, CB_ASKS_MAX, &wire), 0);
    assert_int_equal(cb_answer_decode(wire.data, wire.len, answers_back, &n), 0);
    assert_int_equal(n, CB_ASKS_MAX);
    assert_answer(&answers_back[63], &answers[63]);
    cb_buf_clear(&wire);
    answers[5].fields[1].len++;
    assert_int_equal(cb_answer_encode(answers, CB_ASKS_MAX, &wire), CB_ETOOBIG);
    assert_int_equal(wire.len, 0);
    cb_buf_fini(&wire);
    cb_buf_init(&wire, 100);
    assert_int_equal(cb_ask_encode(asks, CB_ASKS_MAX, &wire), CB_ETOOBIG);
    assert_int_equal(cb_answer_encode(answers, 1, &wire), CB_ETOOBIG);
    assert_int_equal(wire.len, 0);
    cb_buf_fini(&wire);
}

#define ASK(literal) cb_ask_decode(literal, sizeof(literal) - 1, asks_back, &n)
#define ANSWER(literal) cb_answer_decode(literal, sizeof(literal) - 1, answers_back, &n)

static void the_rules_of_asks_hold(void **state) {
    (void)state;
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x01\x91\x91\x01"),
                     0);
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x02\x91\x91\x01"),
                     CB_EVERSION);
    assert_int_equal(ASK("\x9f\xa4"
                         "cb.q\x7f---------------"),
                     CB_EVERSION);
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x00\x91\x91\x01"),
                     CB_EMALFORMED);
    assert_int_equal(ASK("\x93\xa4"
                         "cb.r\x01\x91\x91\x01"),
                     CB_EMALFORMED);
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x01\x90"),
                     CB_EMALFORMED); /* an ask asks something */
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x01\x91\x91\x00"),
                     CB_EMALFORMED);
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x01\x91\x91\x04"),
                     CB_EMALFORMED);
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x01\x91\x92\x01\x01"),
                     CB_EMALFORMED);
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x01\x91\x92\x02\xa0"),
                     CB_EMALFORMED);
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x01\x91\x92\x02\xa1+"),
                     CB_EMALFORMED);
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x01\x91\x93\x02\xa1s\x01"),
                     CB_EMALFORMED);
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x01\x91\x92\x03\xa1s"),
                     CB_EMALFORMED);
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x01\x91\x93\x03\xa1s\xc4\x0f"
                         "123456789abcdef"),
                     CB_EMALFORMED);
    assert_int_equal(ASK("\x93\xa4"
                         "cb.q\x01\xdd\xff\xff\xff\xff"),
                     CB_EMALFORMED);
    char many[11 + 65 * 2] = "\x93\xa4"
                             "cb.q\x01\xdc\x00\x41";
    for (size_t i = 0; i < 65; i++) {
        memcpy(many + 10 + 2 * i, "\x91\x01", 2);
    }
    assert_int_equal(cb_ask_decode(many, 10 + 65 * 2, asks_back, &n), CB_EMALFORMED);
    many[9] = 64;
    assert_int_equal(cb_ask_decode(many, 10 + 64 * 2, asks_back, &n), 0);
}

static void the_rules_of_answers_hold(void **state) {
    (void)state;
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x01\x91\x94\x01\xc3\xc2\xc3"),
                     0);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x02\x91\x94\x01\xc3\xc2\xc3"),
                     CB_EVERSION);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.q\x01\x91\x94\x01\xc3\xc2\xc3"),
                     CB_EMALFORMED);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x01\x91\x94\x01\xc3\xc2\x01"),
                     CB_EMALFORMED);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x01\x91\x94\x02\xc3\xc2\xc3"),
                     CB_EMALFORMED);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x01\x91\x95\x02\xc3\xc2\xc3\x02"),
                     0);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x01\x91\x95\x02\xc3\xc2\xc3\x00"),
                     CB_EMALFORMED);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x01\x91\x95\x02\xc2\xc2\xc3\x01"),
                     CB_EMALFORMED);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x01\x91\x95\x02\xc3\xc2\xc3\x03"),
                     CB_EMALFORMED);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x01\x91\x94\x03\xc3\xc2\x93\xa0\xa0\xa0"),
                     CB_EMALFORMED);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x01\x91\x94\x03\xc3\xc2\x94\xa0\xa0\xa0\xa1\xff"),
                     CB_EMALFORMED);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x01\x91\x95\x01\xc3\xc2\xc3"),
                     CB_EMALFORMED);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x01\x92\x95\x01\xc3\xc2\xc3\x94\x01\xc3\xc2\xc3"),
                     CB_EMALFORMED);
    assert_int_equal(ANSWER("\x93\xa4"
                            "cb.r\x01\x91\x95\x03\xc3\xc2\x94\xa0\xa0\xa0\xa0"),
                     CB_EMALFORMED);
    size_t len = CB_ASK_MESSAGE_MAX + 1;
    char *big = calloc(1, len);
    assert_non_null(big);
    memcpy(big,
           "\x93\xa4"
           "cb.r\x02",
           7);
    assert_int_equal(cb_answer_decode(big, len - 1, answers_back, &n), CB_EVERSION);
    assert_int_equal(cb_answer_decode(big, len, answers_back, &n), CB_EMALFORMED);
    free(big);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_of_an_ask_stands),
        cmocka_unit_test(version_1_of_an_answer_stands),
        cmocka_unit_test(leases_and_settings_stand),
        cmocka_unit_test(erasures_stand),
        cmocka_unit_test(a_spoiled_message_is_refused_or_sound),
        cmocka_unit_test(the_largest_messages_fit),
        cmocka_unit_test(the_rules_of_asks_hold),
        cmocka_unit_test(the_rules_of_answers_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
