/* SPDX-License-Identifier: MIT
 * A journal record that was read from a disk nobody vouches for. The CRC stops nearly all inputs,
 * so each is also tried with a right one around it: then it must decode to just what it says, and
 * with any one bit of it changed it must not. */
#include "proto/crc.h"
#include "store/journal.h"
#include "store/key.h"
#include "tests/fuzz/frame_rig.h"

enum { CRC_AT = 4, TIME_AT = 8 };

static void read_frame(struct cb_str bytes) {
    static struct cb_frame frame;
    if (cb_frame_decode(bytes.p, bytes.len, &frame) == 0 && frame.kind == CB_FRAME_BEACONS)
        (void)frame_walk(&frame);
}

static void check(struct cb_str value) {
    struct cb_journal_record record = {.position = 77};
    int rc = cb_journal_record_decode(value, &record);
    FUZZ_CHECK(rc == 0 || rc == CB_EMALFORMED || rc == CB_EVERSION || rc == CB_ECORRUPT);
    if (rc != 0)
        return;
    FUZZ_CHECK(record.position == 77);
    FUZZ_CHECK(record.frame.p == value.p + CB_JOURNAL_RECORD_HEAD);
    FUZZ_CHECK(record.frame.len == value.len - CB_JOURNAL_RECORD_HEAD);
    read_frame(record.frame);
}

/* data (time, then frame) as a record of version 1 with a right CRC. */
static void check_sealed(const uint8_t *data, size_t len) {
    static const uint8_t head[] = {'c', 'b', 'j', 1};
    size_t size = TIME_AT + len;
    uint8_t *bytes = malloc(size);
    struct cb_journal_record record;
    FUZZ_CHECK(bytes);
    memcpy(bytes, head, sizeof head);
    memcpy(bytes + TIME_AT, data, len);
    cb_be32_put(bytes + CRC_AT, cb_crc32c(0, bytes + TIME_AT, len));
    struct cb_str value = {(const char *)bytes, size};
    FUZZ_CHECK(cb_journal_record_decode(value, &record) == 0);
    FUZZ_CHECK((uint64_t)record.journal_ms == cb_be64_get(data));
    check(value);
    uint64_t seed = FUZZ_DIGEST_START;
    fuzz_digest(&seed, data, len);
    for (int i = 0; i < 4; i++) {
        size_t bit = fuzz_random(&seed) % (8 * size);
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
        FUZZ_CHECK(cb_journal_record_decode(value, &record) != 0);
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    check((struct cb_str){(const char *)data, len});
    if (len >= CB_JOURNAL_RECORD_HEAD - TIME_AT)
        check_sealed(data, len);
    return 0;
}
