/* SPDX-License-Identifier: MIT
 * record.c: invariant: what a packer gave since it began a group is what an unpacker needs to have
 * seen, all of it and nothing else, to read the next one. */
#include "store/record.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "proto/crc.h"
#include "store/key.h"

enum {
    VERSION_AT = 3,
    CRC_AT = 4,
    TIME_AT = 8,
    FRAME_AT_1 = 16, /* of version 1 */
    PLACE_AT = 14,
    FRAME_LEN_AT = 16,
    PACKED_AT = 19,
    /* README: what each costs and saves. Where a group packed well, which those of large batches
     * do, the next one is packed fast: more would save little. */
    LEVEL = 1,
    LEVEL_FAST = -2,
    PACKED_WELL = 6, /* times smaller */
    WINDOW_LOG = 18, /* CB_RECORD_GROUP_BYTES */
};

_Static_assert(CB_RECORD_MAX == PACKED_AT + CB_RECORD_PACKED_MAX, "with its head");
_Static_assert(CB_RECORD_GROUP_BYTES == 1 << WINDOW_LOG, "a group reaches back to its beginning");

static const char magic[3] = {'c', 'b', 'j'};

/* Of odd widths: idle stores have records of one beacon, in which each byte counts. */
static uint64_t uint_get(const uint8_t *p, unsigned bytes) {
    uint64_t value = 0;
    while (bytes-- > 0) {
        value = value << 8 | *p++;
    }
    return value;
}

static void uint_put(uint8_t *p, unsigned bytes, uint64_t value) {
    while (bytes-- > 0) {
        p[bytes] = (uint8_t)value;
        value >>= 8;
    }
}

void cb_record_seal(char *value, size_t len) {
    uint8_t *p = (uint8_t *)value;
    cb_be32_put(p + CRC_AT, cb_crc32c(0, p + TIME_AT, len - TIME_AT));
}

int cb_record_decode(struct cb_str value, struct cb_record *out) {
    const uint8_t *p = (const uint8_t *)value.p;
    if (value.len < FRAME_AT_1 || memcmp(p, magic, sizeof(magic)) != 0 || p[VERSION_AT] == 0) {
        return CB_EMALFORMED;
    }
    if (p[VERSION_AT] > CB_RECORD_VERSION) {
        return CB_EVERSION;
    }
    bool packed = p[VERSION_AT] != 1;
    size_t head = packed ? PACKED_AT : FRAME_AT_1;
    if (value.len < head) {
        return CB_EMALFORMED;
    }
    if (cb_be32_get(p + CRC_AT) != cb_crc32c(0, p + TIME_AT, value.len - TIME_AT)) {
        return CB_ECORRUPT;
    }
    struct cb_record record = {.packed = packed, .bytes = {value.p + head, value.len - head}};
    if (packed) {
        record.journal_ms = (int64_t)uint_get(p + TIME_AT, PLACE_AT - TIME_AT);
        record.place = cb_be16_get(p + PLACE_AT);
        record.frame_len = (uint32_t)uint_get(p + FRAME_LEN_AT, PACKED_AT - FRAME_LEN_AT);
    } else {
        record.journal_ms = (int64_t)cb_be64_get(p + TIME_AT);
        record.frame_len = (uint32_t)record.bytes.len;
    }
    if (record.place >= CB_RECORD_GROUP_FRAMES || record.frame_len > CB_FRAME_MAX ||
        record.bytes.len > CB_RECORD_PACKED_MAX) {
        return CB_EMALFORMED;
    }
    *out = record;
    return 0;
}

uint32_t cb_record_place(struct cb_str value) {
    const uint8_t *p = (const uint8_t *)value.p;
    return value.len < PACKED_AT || p[VERSION_AT] == 1 ? 0 : cb_be16_get(p + PLACE_AT);
}

/* ---- packing ---- */

struct cb_packer {
    ZSTD_CCtx *zstd;
    uint32_t frames, frames_max; /* of the group at hand; 0: the next one begins it */
    size_t bytes, packed;        /* of its frames, as they were and as they are */
    int64_t hour;
    char value[CB_RECORD_MAX];
};

int cb_packer_create(struct cb_packer **out) {
    struct cb_packer *packer = malloc(sizeof(*packer)); /* its pages come as they are needed */
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    if (!packer || !zstd ||
        ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, WINDOW_LOG)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, 0))) {
        free(packer);
        ZSTD_freeCCtx(zstd);
        return CB_ENOMEM;
    }
    packer->zstd = zstd;
    packer->frames_max = CB_RECORD_GROUP_FRAMES;
    packer->frames = 0;
    packer->bytes = packer->packed = 0;
    *out = packer;
    return 0;
}

void cb_packer_destroy(struct cb_packer **packer) {
    if (!*packer) {
        return;
    }
    ZSTD_freeCCtx((*packer)->zstd);
    free(*packer);
    *packer = NULL;
}

void cb_packer_end(struct cb_packer *packer) {
    packer->frames = 0;
}

void cb_packer_limit(struct cb_packer *packer, uint32_t frames) {
    packer->frames_max = frames;
}

static bool fits(const struct cb_packer *packer, size_t len, int64_t hour) {
    return packer->frames > 0 && packer->frames < packer->frames_max &&
           packer->bytes + len <= CB_RECORD_GROUP_BYTES && packer->hour == hour;
}

static void begin_group(struct cb_packer *packer, int64_t hour) {
    int level = packer->bytes > PACKED_WELL * packer->packed ? LEVEL_FAST : LEVEL;
    ZSTD_CCtx_reset(packer->zstd, ZSTD_reset_session_only);
    ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_compressionLevel, level); /* one that there is */
    packer->frames = 0;
    packer->bytes = packer->packed = 0;
    packer->hour = hour;
}

int cb_packer_add(struct cb_packer *packer, struct cb_str frame, int64_t journal_ms,
                  struct cb_str *value) {
    int64_t hour = journal_ms / CB_RECORD_GROUP_MS;
    if (frame.len > CB_FRAME_MAX) {
        packer->frames = 0;
        return CB_ETOOBIG;
    }
    if (!fits(packer, frame.len, hour)) {
        begin_group(packer, hour);
    }
    ZSTD_inBuffer in = {frame.p, frame.len, 0};
    ZSTD_outBuffer out = {packer->value + PACKED_AT, CB_RECORD_PACKED_MAX, 0};
    if (ZSTD_compressStream2(packer->zstd, &out, &in, ZSTD_e_flush) != 0) {
        packer->frames = 0;
        return CB_ENOMEM; /* all that can be: CB_RECORD_PACKED_MAX holds what there is */
    }
    size_t len = PACKED_AT + out.pos;
    uint8_t *p = (uint8_t *)packer->value;
    memcpy(p, magic, sizeof(magic));
    p[VERSION_AT] = CB_RECORD_VERSION;
    uint_put(p + TIME_AT, PLACE_AT - TIME_AT, (uint64_t)journal_ms);
    cb_be16_put(p + PLACE_AT, (uint16_t)packer->frames);
    uint_put(p + FRAME_LEN_AT, PACKED_AT - FRAME_LEN_AT, frame.len);
    cb_record_seal(packer->value, len);
    packer->frames++;
    packer->bytes += frame.len;
    packer->packed += out.pos;
    *value = (struct cb_str){packer->value, len};
    return 0;
}

/* ---- unpacking ---- */

struct cb_unpacker {
    ZSTD_DCtx *zstd;
    uint32_t frames;
    uint32_t ends[CB_RECORD_GROUP_FRAMES]; /* of each frame, in bytes */
    char bytes[CB_FRAME_MAX + 1];          /* of all; and one, by which too many are known */
};

_Static_assert((int)CB_FRAME_MAX >= (int)CB_RECORD_GROUP_BYTES, "a group fits");

int cb_unpacker_create(struct cb_unpacker **out) {
    struct cb_unpacker *unpacker = malloc(sizeof(*unpacker));
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    /* A stream that claims to reach further back is refused before memory is taken for it. */
    if (!unpacker || !zstd ||
        ZSTD_isError(ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, WINDOW_LOG))) {
        free(unpacker);
        ZSTD_freeDCtx(zstd);
        return CB_ENOMEM;
    }
    unpacker->zstd = zstd;
    unpacker->frames = 0;
    *out = unpacker;
    return 0;
}

void cb_unpacker_destroy(struct cb_unpacker **unpacker) {
    if (!*unpacker) {
        return;
    }
    ZSTD_freeDCtx((*unpacker)->zstd);
    free(*unpacker);
    *unpacker = NULL;
}

int cb_unpacker_add(struct cb_unpacker *unpacker, const struct cb_record *record) {
    if (record->place == 0) {
        ZSTD_DCtx_reset(unpacker->zstd, ZSTD_reset_session_only);
        unpacker->frames = 0;
    }
    uint32_t n = unpacker->frames, begin = n > 0 ? unpacker->ends[n - 1] : 0;
    unpacker->frames = 0;
    if (record->place != n || begin + record->frame_len > (uint32_t)CB_FRAME_MAX) {
        return CB_ECORRUPT;
    }
    ZSTD_inBuffer in = {record->bytes.p, record->bytes.len, 0};
    ZSTD_outBuffer out = {unpacker->bytes + begin, (size_t)record->frame_len + 1, 0};
    size_t rc, taken;
    do {
        taken = in.pos;
        rc = ZSTD_decompressStream(unpacker->zstd, &out, &in);
    } while (!ZSTD_isError(rc) && in.pos < in.size && in.pos > taken);
    if (ZSTD_isError(rc)) {
        return ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation ? CB_ENOMEM : CB_ECORRUPT;
    }
    if (in.pos != in.size || out.pos != record->frame_len) {
        return CB_ECORRUPT;
    }
    unpacker->ends[n] = begin + record->frame_len;
    unpacker->frames = n + 1;
    return 0;
}

uint32_t cb_unpacker_frames(const struct cb_unpacker *unpacker) {
    return unpacker->frames;
}

size_t cb_unpacker_bytes(const struct cb_unpacker *unpacker) {
    return unpacker->frames > 0 ? unpacker->ends[unpacker->frames - 1] : 0;
}

char *cb_unpacker_frame(struct cb_unpacker *unpacker, uint32_t place, size_t *len) {
    uint32_t begin = place > 0 ? unpacker->ends[place - 1] : 0;
    *len = unpacker->ends[place] - begin;
    return unpacker->bytes + begin;
}

void cb_unpacker_clear(struct cb_unpacker *unpacker) {
    unpacker->frames = 0;
}
