/* SPDX-License-Identifier: MIT */
#include "proto/control.h"

#include <stdio.h>

#include "proto/frame.h"
#include "tests/proto/guard.h"

static struct cb_control back;

enum { VERSION_AT = 6 }; /* of a frame: behind array head and magic */

/* A control frame of a released version is what we would write but for the frame's version, and
 * holds what is wanted. */
static void check_golden(const char *path, const struct cb_control *want) {
    static char file[4096];
    static struct cb_frame frame;
    struct cb_buf body, wire;
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    size_t len = fread(file, 1, sizeof file, in);
    fclose(in);
    assert_int_equal(cb_frame_decode(file, len, &frame), 0);
    assert_int_equal(frame.kind, CB_FRAME_CONTROL);
    assert_true(frame.sender == 7 && frame.number == 1);
    assert_int_equal(cb_control_decode(frame.body, &back), 0);
    assert_int_equal(back.op, want->op);
    assert_true(back.made_ms == want->made_ms && cb_str_eq(back.site, want->site));
    assert_int_equal(back.status, want->status);
    assert_int_equal(back.role, want->role);
    assert_memory_equal(back.token, want->token, CB_TOKEN_HASH_BYTES);
    cb_buf_init(&body, 4096);
    cb_buf_init(&wire, 4096);
    assert_int_equal(cb_control_encode(want, &body), 0);
    assert_int_equal(
        cb_frame_wrap(CB_FRAME_CONTROL, 7, 1, (struct cb_str){body.data, body.len}, &wire), 0);
    assert_int_equal(wire.len, len);
    assert_int_equal(wire.data[VERSION_AT], CB_FRAME_VERSION);
    wire.data[VERSION_AT] = 1;
    assert_memory_equal(wire.data, file, len);
    cb_buf_fini(&body);
    cb_buf_fini(&wire);
}

static void golden_v1_decodes_and_encodes(void **state) {
    (void)state;
    struct cb_control site = {.op = CB_CONTROL_SITE,
                              .made_ms = 1700000000000,
                              .site = CB_STR("demo"),
                              .status = CB_STATUS_ONLINE};
    struct cb_control token = {
        .op = CB_CONTROL_TOKEN, .made_ms = 1700000000001, .role = CB_ROLE_ADMIN};
    for (uint8_t i = 0; i < CB_TOKEN_HASH_BYTES; i++) {
        token.token[i] = i;
    }
    check_golden(CB_GOLDEN "/control-site-v1.msgpack", &site);
    check_golden(CB_GOLDEN "/control-token-v1.msgpack", &token);
}

/* What decodes is what the rules let in, and is written again as it stood: a body has one form. */
static bool decodes_soundly(const void *data, size_t len) {
    if (cb_control_decode((struct cb_str){data, len}, &back) != 0) {
        return false;
    }
    assert_true(cb_control_valid(&back));
    struct cb_buf again;
    cb_buf_init(&again, CB_CONTROL_MAX);
    static struct cb_control twice;
    assert_int_equal(cb_control_encode(&back, &again), 0);
    assert_int_equal(cb_control_decode((struct cb_str){again.data, again.len}, &twice), 0);
    assert_int_equal(twice.op, back.op);
    cb_buf_fini(&again);
    return true;
}

#define SITE                                                                                       \
    "\x94\x01\xcd\x03\xe8\xa4"                                                                     \
    "demo\x02"
#define HASH "\xc4\x20hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
#define BY "\xc4\x08mmmmmmmm"
#define DEMO                                                                                       \
    "\xa4"                                                                                         \
    "demo"
#define ONLY "\x05" DEMO
#define SITE_BY "\x95\x01" ONLY "\x03" BY
#define TOKEN "\x95\x02" ONLY HASH "\x02"
#define TOKEN_BY                                                                                   \
    "\x97\x02" ONLY HASH "\x02\xa3"                                                                \
    "Ann" BY
#define REVOKE "\x95\x03" ONLY BY "\xc4\x08iiiiiiii"
#define SETTINGS_OF(zone, idle, origins, page)                                                     \
    "\x9b\x04" ONLY BY zone idle "\x00\x1e\xcd\x01\x6d" origins page
#define UTC "\xa3UTC"
#define SETTINGS SETTINGS_OF(UTC, "\x1e", "\xa9https://a", "\xa2{}")
#define STATUS "\x95\x05" ONLY BY "\x03"
#define VISITOR "\xc4\x10vvvvvvvvvvvvvvvv"
#define EDIT                                                                                       \
    "\x96\x06" ONLY BY VISITOR "\x95\xa3"                                                          \
    "Ann"                                                                                          \
    "\xc0\xc0\xa0\xa4"                                                                             \
    "VIP!"

#define KEY(letters) "\xc4\x10" letters
#define ERASE "\x97\x07" ONLY BY VISITOR KEY("pppppppppppppppp") KEY("tttttttttttttttt")
#define SWEPT "\x96\x08" ONLY BY KEY("tttttttttttttttt") "\xcd\x01\x00"

static void a_spoiled_body_is_refused_or_sound(void **state) {
    (void)state;
    guard_spoil(SITE, sizeof SITE - 1, decodes_soundly);
    guard_spoil(SITE_BY, sizeof SITE_BY - 1, decodes_soundly);
    guard_spoil(TOKEN, sizeof TOKEN - 1, decodes_soundly);
    guard_spoil(TOKEN_BY, sizeof TOKEN_BY - 1, decodes_soundly);
    guard_spoil(REVOKE, sizeof REVOKE - 1, decodes_soundly);
    guard_spoil(SETTINGS, sizeof SETTINGS - 1, decodes_soundly);
    guard_spoil(STATUS, sizeof STATUS - 1, decodes_soundly);
    guard_spoil(EDIT, sizeof EDIT - 1, decodes_soundly);
    guard_spoil(ERASE, sizeof ERASE - 1, decodes_soundly);
    guard_spoil(SWEPT, sizeof SWEPT - 1, decodes_soundly);
}

#define DECODE(literal) cb_control_decode(CB_STR(literal), &back)

/* Version 1, byte by byte: it must never change. */
static void each_kind_is_read_and_written(void **state) {
    static const struct cb_str bodies[] = {
        CB_STR(SITE),     CB_STR(SITE_BY), CB_STR(TOKEN), CB_STR(TOKEN_BY), CB_STR(REVOKE),
        CB_STR(SETTINGS), CB_STR(STATUS),  CB_STR(EDIT),  CB_STR(ERASE),    CB_STR(SWEPT)};
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct cb_buf again;
        cb_buf_init(&again, CB_CONTROL_MAX);
        assert_int_equal(cb_control_decode(bodies[i], &back), 0);
        assert_int_equal(cb_control_encode(&back, &again), 0);
        assert_int_equal(again.len, bodies[i].len);
        assert_memory_equal(again.data, bodies[i].p, again.len);
        cb_buf_fini(&again);
    }
    assert_int_equal(DECODE(TOKEN_BY), 0);
    assert_memory_equal(back.by, "mmmmmmmm", CB_TOKEN_ID_BYTES);
    assert_true(cb_str_is(back.name, "Ann"));
    assert_int_equal(DECODE(REVOKE), 0);
    assert_memory_equal(back.token, "iiiiiiii", CB_TOKEN_ID_BYTES);
    assert_int_equal(DECODE(SETTINGS), 0);
    assert_true(cb_str_is(back.settings.zone, "UTC") && back.settings.idle_minutes == 30);
    assert_true(back.settings.raw_days == 0 && back.settings.personal_days == 30);
    assert_true(back.settings.rollup_days == 365);
    assert_true(cb_str_is(back.settings.origins, "https://a"));
    assert_int_equal(DECODE(EDIT), 0);
    assert_true(cb_str_is(back.fields[CB_FIELD_NAME], "Ann") && !back.fields[CB_FIELD_EMAIL].p);
    /* Emptied is not the same as left alone. */
    assert_true(back.fields[CB_FIELD_NOTES].p && back.fields[CB_FIELD_NOTES].len == 0);
    assert_true(cb_str_is(back.fields[CB_FIELD_REMARKS], "VIP!"));
    assert_int_equal(DECODE(ERASE), 0);
    assert_memory_equal(back.visitor, "vvvvvvvvvvvvvvvv", CB_VISITOR_BYTES);
    assert_memory_equal(back.pseudonym, "pppppppppppppppp", CB_VISITOR_BYTES);
    assert_int_equal(DECODE(SWEPT), 0);
    assert_memory_equal(back.tag, "tttttttttttttttt", CB_VISITOR_BYTES);
    assert_int_equal(back.through, 256);
}

static void the_rules_hold(void **state) {
    (void)state;
    assert_int_equal(DECODE(SITE), 0);
    assert_int_equal(back.status, CB_STATUS_OFFLINE);
    assert_int_equal(DECODE("\x95\x02\x05\xa0" HASH "\x01"), 0);
    assert_int_equal(DECODE("\x94\x01\xff\xa4"
                            "demo\x02"),
                     CB_EMALFORMED);
    assert_int_equal(DECODE("\x94\x01\x05\xa0\x02"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x94\x01\x05\xa2 s\x02"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x94\x01\x05\xa1s\x00"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x94\x01\x05\xa1s\x04"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x95\x01\x05\xa1s\x01\x01"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x94\x03\x05\xa1s\x01"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x95\x02\x05\xa0" HASH "\x00"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x95\x02\x05\xa0" HASH "\x04"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x95\x02\x05\xa0\xc4\x01h\x01"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x95\x02\x05\xa1+" HASH "\x01"), CB_EMALFORMED);
    assert_int_equal(DECODE("\xdd\xff\xff\xff\xff"), CB_EMALFORMED);
    assert_int_equal(DECODE(""), CB_EMALFORMED);
    /* nobody did it, in the long form */
    assert_int_equal(DECODE("\x95\x01" ONLY "\x03\xc4\x08\0\0\0\0\0\0\0\0"), CB_EMALFORMED);
    /* settings out of their bounds */
    assert_int_equal(DECODE(SETTINGS_OF("\xa0", "\x1e", "\xa0", "\xa2{}")), CB_EMALFORMED);
    assert_int_equal(DECODE(SETTINGS_OF("\xa2<>", "\x1e", "\xa0", "\xa2{}")), CB_EMALFORMED);
    assert_int_equal(DECODE(SETTINGS_OF(UTC, "\x00", "\xa0", "\xa2{}")), CB_EMALFORMED);
    assert_int_equal(DECODE(SETTINGS_OF(UTC, "\xcd\x05\xa1", "\xa0", "\xa2{}")), CB_EMALFORMED);
    assert_int_equal(DECODE(SETTINGS_OF(UTC, "\x1e", "\xa1x", "\xa2{}")), CB_EMALFORMED);
    assert_int_equal(DECODE(SETTINGS_OF(UTC, "\x1e", "\xa9https://A", "\xa2{}")), CB_EMALFORMED);
    assert_int_equal(DECODE(SETTINGS_OF(UTC, "\x1e", "\xa0", "\xa2[]")), CB_EMALFORMED);
    /* an erasure at no site, and one without its tag */
    assert_int_equal(DECODE("\x97\x07\x05\xa0" BY VISITOR VISITOR VISITOR), CB_EMALFORMED);
    assert_int_equal(DECODE("\x96\x07" ONLY BY VISITOR VISITOR), CB_EMALFORMED);
    /* edits of nothing, of too much, of one field too many */
    assert_int_equal(DECODE("\x96\x06" ONLY BY VISITOR "\x95\xc0\xc0\xc0\xc0\xc0"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x96\x06" ONLY BY VISITOR "\x95\xc0\xc0\xd9\x29"
                            "01234567890123456789012345678901234567890"
                            "\xc0\xc0"),
                     CB_EMALFORMED);
    assert_int_equal(DECODE("\x96\x06" ONLY BY VISITOR "\x94\xa1x\xc0\xc0\xc0"), CB_EMALFORMED);
}

static void origins_are_matched_whole(void **state) {
    static const char *const good[] = {"https://a",          "http://a.example:8080",
                                       "https://xn--a-b.de", "https://127.0.0.1:1",
                                       "http://[::1]",       "http://[::1]:81"};
    static const char *const bad[] = {
        "",           "a.example",     "https://",        "https://A.example", "https://a/",
        "https://a?", "https://a:443", "http://a:80",     "https://a:",        "https://a:0",
        "ftp://a",    "https://a b",   "https://[::1",    "https://[]",        "https://a:123456",
        "null",       "https://*",     "https://a\r\nX:", "https://u@a"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!cb_origin_valid(cb_str_of(good[i]))) {
            fail_msg("%s is refused", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (cb_origin_valid(cb_str_of(bad[i]))) {
            fail_msg("%s is taken", bad[i]);
        }
    }
    struct cb_str list = CB_STR("https://a https://b.example:8443"), none = {NULL, 0};
    assert_true(cb_origins_allow(list, CB_STR("https://a")));
    assert_true(cb_origins_allow(list, CB_STR("https://b.example:8443")));
    assert_false(cb_origins_allow(list, CB_STR("https://b.example")));
    assert_false(cb_origins_allow(list, CB_STR("https://a https://b.example:8443")));
    assert_false(cb_origins_allow(list, CB_STR("null")));
    assert_false(cb_origins_allow(list, CB_STR("")));
    assert_true(cb_origins_allow(list, none));           /* no page */
    assert_true(cb_origins_allow(none, CB_STR("null"))); /* any page */
}

static void a_small_buffer_is_left_as_it_was(void **state) {
    (void)state;
    struct cb_buf small;
    struct cb_control site = {
        .op = CB_CONTROL_SITE, .site = CB_STR("demo"), .status = CB_STATUS_ONLINE};
    cb_buf_init(&small, 8);
    assert_int_equal(cb_control_encode(&site, &small), CB_ETOOBIG);
    assert_int_equal(small.len, 0);
    cb_buf_fini(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_v1_decodes_and_encodes),
        cmocka_unit_test(a_spoiled_body_is_refused_or_sound),
        cmocka_unit_test(each_kind_is_read_and_written),
        cmocka_unit_test(the_rules_hold),
        cmocka_unit_test(origins_are_matched_whole),
        cmocka_unit_test(a_small_buffer_is_left_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
