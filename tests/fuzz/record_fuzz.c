/* SPDX-License-Identifier: MIT
 * Journal records that were read from a disk nobody vouches for. The CRC stops nearly all inputs,
 * so each is also tried with a right one around it: as a record of version 1 it must decode to just
 * what it says, and with any one bit of it changed it must not; as packed records, one after
 * another, they may unpack to anything that keeps the bounds. And what is packed must come back. */
#include "proto/crc.h"
#include "store/key.h"
#include "store/record.h"
#include "tests/fuzz/frame_rig.h"

enum { VERSION_AT = 3, TIME_AT = 8, HEAD_1 = 16, PLACE_AT = 14, HEAD_2 = 19 };

static struct cb_packer *packer;
static struct cb_unpacker *unpacker;

static void read_frame(struct cb_str bytes) {
    static struct cb_frame frame;
    if (cb_frame_decode(bytes.p, bytes.len, &frame) == 0 && frame.kind == CB_FRAME_BEACONS)
        (void)frame_walk(&frame);
}

static struct cb_str frame_of(const struct cb_record *record) {
    size_t len;
    char *p = cb_unpacker_frame(unpacker, record->place, &len);
    FUZZ_CHECK(cb_unpacker_frames(unpacker) == record->place + 1 && len == record->frame_len);
    return (struct cb_str){p, len};
}

static int check(struct cb_str value) {
    struct cb_record record = {.place = 77};
    int rc = cb_record_decode(value, &record);
    FUZZ_CHECK(rc == 0 || rc == CB_EMALFORMED || rc == CB_EVERSION || rc == CB_ECORRUPT);
    (void)cb_record_place(value);
    if (rc != 0) {
        FUZZ_CHECK(record.place == 77);
        return rc;
    }
    size_t head = record.packed ? HEAD_2 : HEAD_1;
    FUZZ_CHECK(record.bytes.p == value.p + head && record.bytes.len == value.len - head);
    FUZZ_CHECK(record.frame_len <= CB_FRAME_MAX && record.place < CB_RECORD_GROUP_FRAMES);
    if (!record.packed) {
        read_frame(record.bytes);
        return 0;
    }
    FUZZ_CHECK(record.place == cb_record_place(value));
    rc = cb_unpacker_add(unpacker, &record);
    FUZZ_CHECK(rc == 0 || rc == CB_ECORRUPT);
    if (rc == 0)
        read_frame(frame_of(&record));
    else
        FUZZ_CHECK(cb_unpacker_frames(unpacker) == 0);
    return rc;
}

static char *sealed(uint8_t version, const uint8_t *data, size_t len) {
    size_t size = TIME_AT + len;
    char *bytes = malloc(size);
    FUZZ_CHECK(bytes);
    memcpy(bytes, "cbj", 3);
    bytes[VERSION_AT] = (char)version;
    memcpy(bytes + TIME_AT, data, len);
    cb_record_seal(bytes, size);
    return bytes;
}

/* data (time, then frame) as a record of version 1 with a right CRC. */
static void check_version_1(const uint8_t *data, size_t len) {
    size_t size = TIME_AT + len;
    char *bytes = sealed(1, data, len);
    struct cb_record record;
    struct cb_str value = {bytes, size};
    if (len > CB_FRAME_MAX)
        return free(bytes);
    FUZZ_CHECK(cb_record_decode(value, &record) == 0);
    FUZZ_CHECK((uint64_t)record.journal_ms == cb_be64_get(data) && !record.packed);
    check(value);
    uint64_t seed = FUZZ_DIGEST_START;
    fuzz_digest(&seed, data, len);
    for (int i = 0; i < 4; i++) {
        size_t bit = fuzz_random(&seed) % (8 * size);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        FUZZ_CHECK(cb_record_decode(value, &record) != 0);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
    free(bytes);
}

/* data (time, place, length, packed) as a record, and behind it all that follows as the next ones
 * of its group: each u8 length, then the same. */
static void check_packed(const uint8_t *data, size_t len) {
    size_t first = len > 64 ? 64 : len;
    for (const uint8_t *end = data + len; first >= HEAD_2 - TIME_AT;) {
        char *bytes = sealed(CB_RECORD_VERSION, data, first);
        int rc = check((struct cb_str){bytes, TIME_AT + first});
        free(bytes);
        data += first;
        if (rc != 0 || data == end)
            return;
        first = *data++;
        first = first < (size_t)(end - data) ? first : (size_t)(end - data);
    }
}

/* Frames of 1 to 256 bytes, packed and unpacked; a bit changed behind the CRC may unpack to
 * something else, but not to more. */
static void check_round_trip(const uint8_t *data, size_t len) {
    uint64_t seed = FUZZ_DIGEST_START;
    fuzz_digest(&seed, data, len);
    cb_packer_end(packer);
    for (bool spoiled = false; len > 0 && !spoiled;) {
        struct cb_str frame = {(const char *)data, 1 + fuzz_random(&seed) % 256}, value;
        frame.len = frame.len < len ? frame.len : len;
        FUZZ_CHECK(cb_packer_add(packer, frame, 1, &value) == 0);
        spoiled = fuzz_random(&seed) % 16 == 0;
        char *copy = malloc(value.len);
        FUZZ_CHECK(copy);
        memcpy(copy, value.p, value.len);
        if (spoiled) {
            size_t bit = 8 * PLACE_AT + fuzz_random(&seed) % (8 * (value.len - PLACE_AT));
            copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
            cb_record_seal(copy, value.len);
        }
        struct cb_record record;
        struct cb_str there = {copy, value.len};
        int rc = check(there);
        FUZZ_CHECK(rc == 0 || spoiled);
        if (!spoiled) {
            FUZZ_CHECK(cb_record_decode(there, &record) == 0);
            struct cb_str got = frame_of(&record);
            FUZZ_CHECK(got.len == frame.len && memcmp(got.p, frame.p, got.len) == 0);
        }
        free(copy);
        data += frame.len;
        len -= frame.len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    if (!packer)
        FUZZ_CHECK(cb_packer_create(&packer) == 0 && cb_unpacker_create(&unpacker) == 0);
    cb_unpacker_clear(unpacker);
    check((struct cb_str){(const char *)data, len});
    if (len >= HEAD_1 - TIME_AT)
        check_version_1(data, len);
    cb_unpacker_clear(unpacker);
    check_packed(data, len);
    check_round_trip(data, len);
    return 0;
}
