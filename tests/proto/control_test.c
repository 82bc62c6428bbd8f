/* SPDX-License-Identifier: MIT */
#include "proto/control.h"

#include <stdio.h>

#include "proto/frame.h"
#include "tests/proto/guard.h"

static struct cb_control back;

/* A control frame of a released version is what we would write, and holds what is wanted. */
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

static bool decodes_soundly(const void *data, size_t len) {
    if (cb_control_decode((struct cb_str){data, len}, &back) != 0) {
        return false;
    }
    assert_true(back.made_ms >= 0 && back.made_ms <= CB_FRAME_TIME_MAX_MS);
    if (back.op == CB_CONTROL_SITE) {
        assert_true(cb_site_name_valid(back.site));
        assert_true(back.status >= CB_STATUS_ONLINE && back.status <= CB_STATUS_OFFLINE);
    } else {
        assert_int_equal(back.op, CB_CONTROL_TOKEN);
        assert_true(back.site.len == 0 || cb_site_name_valid(back.site));
        assert_true(back.role >= CB_ROLE_VIEWER && back.role <= CB_ROLE_ADMIN);
    }
    return true;
}

#define SITE                                                                                       \
    "\x94\x01\xcd\x03\xe8\xa4"                                                                     \
    "demo\x02"
#define HASH "\xc4\x20hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"

static void a_spoiled_body_is_refused_or_sound(void **state) {
    (void)state;
    static const char token[] = "\x95\x02\x05\xa4"
                                "demo" HASH "\x02";
    guard_spoil(SITE, sizeof SITE - 1, decodes_soundly);
    guard_spoil(token, sizeof token - 1, decodes_soundly);
}

#define DECODE(literal) cb_control_decode(CB_STR(literal), &back)

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
    assert_int_equal(DECODE("\x94\x01\x05\xa1s\x03"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x95\x01\x05\xa1s\x01\x01"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x94\x03\x05\xa1s\x01"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x95\x02\x05\xa0" HASH "\x00"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x95\x02\x05\xa0" HASH "\x04"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x95\x02\x05\xa0\xc4\x01h\x01"), CB_EMALFORMED);
    assert_int_equal(DECODE("\x95\x02\x05\xa1+" HASH "\x01"), CB_EMALFORMED);
    assert_int_equal(DECODE("\xdd\xff\xff\xff\xff"), CB_EMALFORMED);
    assert_int_equal(DECODE(""), CB_EMALFORMED);
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
        cmocka_unit_test(the_rules_hold),
        cmocka_unit_test(a_small_buffer_is_left_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
