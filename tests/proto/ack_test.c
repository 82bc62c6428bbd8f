/* SPDX-License-Identifier: MIT */
#include "proto/ack.h"

#include "tests/proto/guard.h"

static void encode(const struct cb_ack *ack, struct cb_buf *out) {
    cb_buf_init(out, 1 << 16);
    assert_int_equal(cb_ack_encode(ack, out), 0);
}

/* Version 1, byte by byte: it must never change. */
static void version_1_stands(void **state) {
    (void)state;
    static const char want[] = "\x94\xa4"
                               "cb.a\x01\xcf\x00\x11\x22\x33\x44\x55\x66\x77"
                               "\x93\x93\x01\x00\xcd\x01\x2c\x93\x02\x01\x00\x93\xcc\xff\x02\x00";
    static const struct cb_ack ack = {
        .sender = 0x0011223344556677,
        .n_frames = 3,
        .frames = {{1, CB_ACK_OK, 300}, {2, CB_ACK_BUSY, 0}, {255, CB_ACK_REFUSED, 0}}};
    static struct cb_ack back;
    struct cb_buf wire;
    encode(&ack, &wire);
    assert_int_equal(wire.len, sizeof want - 1);
    assert_memory_equal(wire.data, want, wire.len);
    assert_int_equal(cb_ack_decode(want, sizeof want - 1, &back), 0);
    assert_true(back.sender == ack.sender && back.n_frames == 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(back.frames[i].number == ack.frames[i].number);
        assert_int_equal(back.frames[i].status, ack.frames[i].status);
        assert_true(back.frames[i].position == ack.frames[i].position);
    }
    cb_buf_fini(&wire);
}

static void every_ack_begins_with_its_senders_topic(void **state) {
    (void)state;
    static const uint64_t senders[] = {0, 1, 127, 128, 255, 256, 65536, 1ULL << 32, UINT64_MAX};
    static struct cb_ack ack;
    for (size_t i = 0; i < sizeof senders / sizeof senders[0]; i++) {
        uint8_t topic[CB_ACK_TOPIC_BYTES], other[CB_ACK_TOPIC_BYTES];
        size_t len = cb_ack_topic(senders[i], topic);
        assert_int_equal(len, CB_ACK_TOPIC_BYTES);
        ack.sender = senders[i];
        for (ack.n_frames = 0; ack.n_frames <= CB_ACK_FRAMES_MAX; ack.n_frames += 16) {
            struct cb_buf wire;
            encode(&ack, &wire);
            assert_true(wire.len > len);
            assert_memory_equal(wire.data, topic, len);
            cb_buf_fini(&wire);
        }
        for (size_t k = 0; k < i; k++) {
            cb_ack_topic(senders[k], other);
            assert_memory_not_equal(topic, other, len);
        }
    }
}

static void the_largest_ack_fits(void **state) {
    (void)state;
    static struct cb_ack ack = {.sender = UINT64_MAX, .n_frames = CB_ACK_FRAMES_MAX}, back;
    struct cb_buf wire, small;
    for (size_t i = 0; i < CB_ACK_FRAMES_MAX; i++) {
        ack.frames[i] = (struct cb_ack_frame){UINT64_MAX - i, CB_ACK_REFUSED, UINT64_MAX};
    }
    encode(&ack, &wire);
    assert_int_equal(cb_ack_decode(wire.data, wire.len, &back), 0);
    assert_true(back.frames[63].number == UINT64_MAX - 63);
    cb_buf_init(&small, 64);
    assert_int_equal(cb_ack_encode(&ack, &small), CB_ETOOBIG);
    assert_int_equal(small.len, 0);
    cb_buf_fini(&small);
    cb_buf_fini(&wire);
}

static bool decodes_soundly(const void *data, size_t len) {
    static struct cb_ack ack;
    if (cb_ack_decode(data, len, &ack) != 0) {
        return false;
    }
    assert_true(ack.n_frames <= CB_ACK_FRAMES_MAX);
    for (uint32_t i = 0; i < ack.n_frames; i++) {
        assert_true((unsigned)ack.frames[i].status <= CB_ACK_REFUSED);
    }
    return true;
}

static void a_spoiled_ack_is_refused_or_sound(void **state) {
    (void)state;
    static struct cb_ack ack = {.sender = 5, .n_frames = 3, .frames = {{1, 0, 300}, {2, 1, 0}}};
    struct cb_buf wire;
    encode(&ack, &wire);
    guard_spoil(wire.data, wire.len, decodes_soundly);
    cb_buf_fini(&wire);
}

#define DECODE(literal) cb_ack_decode(literal, sizeof(literal) - 1, &ack)

static void the_rules_hold(void **state) {
    (void)state;
    static struct cb_ack ack;
    assert_int_equal(DECODE("\x94\xa4"
                            "cb.a\x01\x05\x90"),
                     0);
    assert_int_equal(DECODE("\x94\xa4"
                            "cb.a\x02\x05\x90"),
                     CB_EVERSION);
    assert_int_equal(DECODE("\x99\xa4"
                            "cb.a\xcd\xff\xff{}[]---"),
                     CB_EVERSION);
    assert_int_equal(DECODE("\x94\xa4"
                            "cb.a\x00\x05\x90"),
                     CB_EMALFORMED);
    assert_int_equal(DECODE("\x94\xa4"
                            "cb.f\x01\x05\x90"),
                     CB_EMALFORMED);
    assert_int_equal(DECODE("\x95\xa4"
                            "cb.a\x01\x05\x90\xc0"),
                     CB_EMALFORMED);
    assert_int_equal(DECODE("\x95\xa4"
                            "cb.a\x01\x05\x90"),
                     CB_EMALFORMED);
    assert_int_equal(DECODE("\x93\xa4"
                            "cb.a\x01\x05\x90"),
                     CB_EMALFORMED);
    assert_int_equal(DECODE("\x94\xa4"
                            "cb.a\x01\x05\x91\x93\x01\x03\x00"),
                     CB_EMALFORMED);
    assert_int_equal(DECODE("\x94\xa4"
                            "cb.a\x01\x05\x91\x92\x01\x00"),
                     CB_EMALFORMED);
    assert_int_equal(DECODE("\x94\xa4"
                            "cb.a\x01\x05\xdd\xff\xff\xff\xff"),
                     CB_EMALFORMED);
    static char many[9 + 3 + 4 * 65] = "\x94\xa4"
                                       "cb.a\x01\x05\xdc\x00\x41"; /* 65 frames */
    for (size_t i = 0; i < 65; i++) {
        memcpy(many + 11 + 4 * i, "\x93\x01\x00\x00", 4);
    }
    assert_int_equal(cb_ack_decode(many, 11 + 4 * 65, &ack), CB_EMALFORMED);
    many[10] = 64;
    assert_int_equal(cb_ack_decode(many, 11 + 4 * 64, &ack), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_stands),
        cmocka_unit_test(every_ack_begins_with_its_senders_topic),
        cmocka_unit_test(the_largest_ack_fits),
        cmocka_unit_test(a_spoiled_ack_is_refused_or_sound),
        cmocka_unit_test(the_rules_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
