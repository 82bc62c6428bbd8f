/* SPDX-License-Identifier: MIT
 * A record of the journal: what is packed comes back, older versions are read, and what a disk says
 * is not believed. */
#include "store/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "store/key.h"
#include "tests/proto/guard.h"

enum { HEAD_1 = 16, HEAD_2 = 19, HOUR_MS = 3600000 };

static const int64_t t0 = INT64_C(1767225600000);

struct rig {
    struct cb_packer *packer;
    struct cb_unpacker *unpacker;
};

static int setup(void **state) {
    static struct rig rig;
    assert_int_equal(cb_packer_create(&rig.packer), 0);
    assert_int_equal(cb_unpacker_create(&rig.unpacker), 0);
    *state = &rig;
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    cb_packer_destroy(&rig->packer);
    cb_unpacker_destroy(&rig->unpacker);
    return 0;
}

/* Packs a frame, and looks at the record. */
static struct cb_record pack(struct rig *rig, struct cb_str frame, int64_t ms,
                             struct cb_str *value) {
    struct cb_record record;
    assert_int_equal(cb_packer_add(rig->packer, frame, ms, value), 0);
    assert_true(value->len <= CB_RECORD_MAX);
    assert_int_equal(cb_record_decode(*value, &record), 0);
    assert_true(record.packed);
    assert_int_equal(record.journal_ms, ms);
    assert_int_equal(record.frame_len, frame.len);
    assert_int_equal(record.place, cb_record_place(*value));
    return record;
}

static void assert_unpacks(struct rig *rig, const struct cb_record *record, struct cb_str frame) {
    size_t len;
    assert_int_equal(cb_unpacker_add(rig->unpacker, record), 0);
    assert_int_equal(cb_unpacker_frames(rig->unpacker), record->place + 1);
    const char *p = cb_unpacker_frame(rig->unpacker, record->place, &len);
    assert_int_equal(len, frame.len);
    assert_memory_equal(p, frame.p, len);
}

static uint64_t seed = 1;

static void fill_random(char *p, size_t len) {
    for (size_t i = 0; i < len; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        p[i] = (char)(seed >> 56);
    }
}

static void test_round_trip(void **state) {
    struct rig *rig = *state;
    static char bytes[CB_FRAME_MAX];
    struct cb_str value;
    uint32_t groups = 0, most = 0;
    size_t raw = 0, packed = 0;
    for (unsigned i = 0; i < 6000; i++) {
        size_t len = i % 1000 == 999 ? sizeof(bytes) : i % 50 == 49 ? 30000 : i % 300;
        if (i % 7 == 0) {
            fill_random(bytes, len); /* the largest frame among them */
        }
        struct cb_record record =
            pack(rig, (struct cb_str){bytes, len}, t0 + (int64_t)i * 100, &value);
        groups += record.place == 0;
        most = record.place > most ? record.place : most;
        raw += len;
        packed += value.len;
        assert_unpacks(rig, &record, (struct cb_str){bytes, len});
    }
    assert_true(groups > 10 && most > 30 && most < CB_RECORD_GROUP_FRAMES);
    assert_true(packed < raw / 2);
}

/* What a group is bounded by. */
static void test_groups(void **state) {
    struct rig *rig = *state;
    static char bytes[CB_FRAME_MAX + 1];
    struct cb_str value, small = {bytes, 10};
    for (uint32_t i = 0; i < 2 * CB_RECORD_GROUP_FRAMES; i++) {
        struct cb_record record = pack(rig, small, t0, &value);
        assert_int_equal(record.place, i % CB_RECORD_GROUP_FRAMES);
        assert_unpacks(rig, &record, small);
    }
    assert_int_equal(pack(rig, small, t0, &value).place, 0);
    assert_int_equal(pack(rig, small, t0 + HOUR_MS - 1, &value).place, 1);
    assert_int_equal(pack(rig, small, t0 + HOUR_MS, &value).place, 0);
    struct cb_str quarter = {bytes, CB_RECORD_GROUP_BYTES / 4};
    assert_int_equal(pack(rig, quarter, t0 + HOUR_MS, &value).place, 1);
    assert_int_equal(pack(rig, quarter, t0 + HOUR_MS, &value).place, 2);
    assert_int_equal(pack(rig, quarter, t0 + HOUR_MS, &value).place, 3);
    assert_int_equal(pack(rig, quarter, t0 + HOUR_MS, &value).place, 0);
    struct cb_str largest = {bytes, CB_FRAME_MAX};
    assert_int_equal(pack(rig, largest, t0 + HOUR_MS, &value).place, 0);
    assert_int_equal(pack(rig, small, t0 + HOUR_MS, &value).place, 0);
    assert_int_equal(pack(rig, small, t0 + HOUR_MS, &value).place, 1);
    cb_packer_end(rig->packer);
    assert_int_equal(pack(rig, small, t0 + HOUR_MS, &value).place, 0);
    struct cb_str over = {bytes, CB_FRAME_MAX + 1};
    assert_int_equal(cb_packer_add(rig->packer, over, t0, &value), CB_ETOOBIG);
    assert_int_equal(pack(rig, small, t0 + HOUR_MS, &value).place, 0);
    cb_packer_limit(rig->packer, 2);
    assert_int_equal(pack(rig, small, t0 + HOUR_MS, &value).place, 1);
    assert_int_equal(pack(rig, small, t0 + HOUR_MS, &value).place, 0);
}

static void test_damage(void **state) {
    struct rig *rig = *state;
    struct cb_str value;
    struct cb_record record;
    pack(rig, CB_STR("a frame, a frame"), t0, &value);
    char *copy = malloc(value.len);
    assert_non_null(copy);
    memcpy(copy, value.p, value.len);
    struct cb_str s = {copy, value.len};
    for (size_t bit = 0; bit < 8 * value.len; bit++) {
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        assert_int_not_equal(cb_record_decode(s, &record), 0);
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
    }
    assert_int_equal(cb_record_decode(s, &record), 0);
    struct guard guard;
    guard_init(&guard, value.len);
    for (size_t len = 0; len < value.len; len++) {
        struct cb_str cut = {(const char *)guard_put(&guard, copy, len), len};
        int rc = cb_record_decode(cut, &record);
        assert_true(rc == CB_EMALFORMED || rc == CB_ECORRUPT);
        assert_int_equal(cb_record_place(cut), 0);
    }
    guard_fini(&guard);
    copy[3] = CB_RECORD_VERSION + 1;
    assert_int_equal(cb_record_decode(s, &record), CB_EVERSION);
    copy[3] = 0;
    assert_int_equal(cb_record_decode(s, &record), CB_EMALFORMED);
    free(copy);
}

/* Records with a right CRC that claim what is not so. */
static void test_lies(void **state) {
    struct rig *rig = *state;
    static char value_bytes[CB_RECORD_MAX + 1], bytes[2000];
    struct cb_str value;
    struct cb_record record, good = pack(rig, CB_STR("one frame, one frame"), t0, &value);
    memcpy(value_bytes, value.p, value.len);
    good.bytes.p = value_bytes + HEAD_2;
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t lens[] = {19, 21, CB_FRAME_MAX};
        record = good;
        record.frame_len = lens[i];
        assert_int_equal(cb_unpacker_add(rig->unpacker, &record), CB_ECORRUPT);
        assert_int_equal(cb_unpacker_frames(rig->unpacker), 0);
    }
    assert_int_equal(cb_unpacker_add(rig->unpacker, &good), 0);
    record = good;
    record.place = 2; /* not the next */
    assert_int_equal(cb_unpacker_add(rig->unpacker, &record), CB_ECORRUPT);
    record.place = 1; /* the group is gone with that */
    assert_int_equal(cb_unpacker_add(rig->unpacker, &record), CB_ECORRUPT);
    /* Heads. */
    char *head = value_bytes;
    struct cb_str whole = {value_bytes, value.len};
    cb_be16_put((uint8_t *)head + 14, CB_RECORD_GROUP_FRAMES);
    cb_record_seal(head, value.len);
    assert_int_equal(cb_record_decode(whole, &record), CB_EMALFORMED);
    cb_be16_put((uint8_t *)head + 14, 0);
    memcpy(head + 16, "\x08\x00\x01", 3); /* CB_FRAME_MAX + 1 */
    cb_record_seal(head, value.len);
    assert_int_equal(cb_record_decode(whole, &record), CB_EMALFORMED);
    memcpy(head + 16, "\0\0\x14", 3);
    cb_record_seal(head, sizeof(value_bytes));
    whole.len = sizeof(value_bytes);
    assert_int_equal(cb_record_decode(whole, &record), CB_EMALFORMED);
    /* A stream that would take 128 MB; one that is a thousand times what it says; none at all. */
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, 27);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, 0);
    char packed[4096];
    ZSTD_inBuffer in = {bytes, sizeof(bytes), 0};
    ZSTD_outBuffer out = {packed, sizeof(packed), 0};
    assert_int_equal(ZSTD_compressStream2(zstd, &out, &in, ZSTD_e_flush), 0);
    record =
        (struct cb_record){.packed = true, .frame_len = sizeof(bytes), .bytes = {packed, out.pos}};
    assert_int_equal(cb_unpacker_add(rig->unpacker, &record), CB_ECORRUPT);
    ZSTD_CCtx_reset(zstd, ZSTD_reset_session_only);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, 17);
    in.pos = out.pos = 0;
    assert_int_equal(ZSTD_compressStream2(zstd, &out, &in, ZSTD_e_flush), 0);
    record.bytes.len = out.pos;
    assert_int_equal(cb_unpacker_add(rig->unpacker, &record), 0);
    record.frame_len = 2;
    assert_int_equal(cb_unpacker_add(rig->unpacker, &record), CB_ECORRUPT);
    ZSTD_freeCCtx(zstd);
    fill_random(bytes, sizeof(bytes));
    record.bytes = (struct cb_str){bytes, sizeof(bytes)};
    assert_int_equal(cb_unpacker_add(rig->unpacker, &record), CB_ECORRUPT);
    record.bytes.len = 0;
    assert_int_equal(cb_unpacker_add(rig->unpacker, &record), CB_ECORRUPT);
}

static void test_version_1(void **state) {
    (void)state;
    uint8_t value[HEAD_1 + 5] = {'c', 'b', 'j', 1};
    struct cb_record record;
    struct cb_str s = {(const char *)value, sizeof(value)};
    /* All zero content has a CRC of its own that is not zero. */
    assert_int_equal(cb_record_decode(s, &record), CB_ECORRUPT);
    cb_be64_put(value + 8, 77);
    memcpy(value + HEAD_1, "frame", 5);
    cb_record_seal((char *)value, sizeof(value));
    assert_int_equal(cb_record_decode(s, &record), 0);
    assert_true(!record.packed && record.place == 0 && record.journal_ms == 77);
    assert_true(cb_str_is(record.bytes, "frame"));
    assert_int_equal(cb_record_place(s), 0);
    s.len = HEAD_1 - 1;
    assert_int_equal(cb_record_decode(s, &record), CB_EMALFORMED);
    value[0] = 'x';
    s.len = sizeof(value);
    assert_int_equal(cb_record_decode(s, &record), CB_EMALFORMED);
}

/* Records as each version wrote them: u32 length, record, one after another. */
static void test_golden(void **state) {
    struct rig *rig = *state;
    static const char *const frames[] = {"the first frame", "the first frame, again",
                                         "the frame, the frame, the frame"};
    static const char *const names[] = {"records-v1.bin", "records-v2.bin"};
    for (size_t file = 0; file < 2; file++) {
        char path[512];
        uint8_t bytes[1024];
        snprintf(path, sizeof(path), "%s/%s", CB_GOLDEN, names[file]);
        FILE *in = fopen(path, "rb");
        assert_non_null(in);
        size_t len = fread(bytes, 1, sizeof(bytes), in), at = 0;
        fclose(in);
        for (size_t i = 0; i < 3; i++) {
            struct cb_record record;
            assert_true(at + 4 <= len);
            struct cb_str value = {(const char *)bytes + at + 4, cb_be32_get(bytes + at)};
            assert_true(at + 4 + value.len <= len);
            at += 4 + value.len;
            assert_int_equal(cb_record_decode(value, &record), 0);
            assert_int_equal(record.journal_ms, t0 + (int64_t)i);
            assert_int_equal(record.packed, file == 1);
            assert_int_equal(record.place, file == 1 ? i : 0);
            if (record.packed) {
                assert_unpacks(rig, &record, cb_str_of(frames[i]));
            } else {
                assert_true(cb_str_is(record.bytes, frames[i]));
            }
        }
        assert_int_equal(at, len);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),
        TEST(test_groups),
        TEST(test_damage),
        TEST(test_lies),
        cmocka_unit_test(test_version_1),
        TEST(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
