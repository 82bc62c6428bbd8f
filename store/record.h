/* SPDX-License-Identifier: MIT
 * record.h: a record of the journal as it lies on disk, and the groups in which frames are packed.
 * See FORMAT.md. The one file that knows zstd.
 *
 * A group is one stream of zstd, of which each record holds the part that its frame came to: so
 * what a visit's beacons have in common is written once, though they come in frames of their own.
 * A record is read by unpacking its group up to it. What a record claims is checked against these
 * bounds before anything is made for it. No allocation but in create. Pure, without a clock. */
#ifndef CB_STORE_RECORD_H
#define CB_STORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"
#include "proto/frame.h"

enum {
    CB_RECORD_VERSION = 2,              /* that is written; 1 is read */
    CB_RECORD_GROUP_FRAMES = 1024,      /* of a group, at most … */
    CB_RECORD_GROUP_BYTES = 256 * 1024, /* … and the bytes of its frames, unless it has but one */
    CB_RECORD_GROUP_MS = 60 * 60 * 1000, /* they were appended in one of these of journal time */
    CB_RECORD_PACKED_MAX = CB_FRAME_MAX + CB_FRAME_MAX / 256 + 64, /* of the largest frame */
    CB_RECORD_MAX = 19 + CB_RECORD_PACKED_MAX,                     /* bytes of a record */
};

struct cb_record {
    int64_t journal_ms; /* of the append */
    uint32_t place;     /* in its group, from 0 */
    bool packed;        /* else (version 1) bytes is the frame, and the record a group of its own */
    uint32_t frame_len;
    struct cb_str bytes; /* in the value */
};

/* Checks a record and takes it apart. Errors: CB_EMALFORMED, CB_EVERSION (a newer version),
 * CB_ECORRUPT (its CRC); then *out is untouched. */
CB_MUST_USE int cb_record_decode(struct cb_str value, struct cb_record *out);
/* Its place in its group, without a look at the rest; 0 of what is no record. */
uint32_t cb_record_place(struct cb_str value);
/* The CRC of a record whose bytes in value were changed, put there. */
void cb_record_seal(char *value, size_t len);

/* ---- frames to records; one owner ---- */
struct cb_packer;
/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_packer_create(struct cb_packer **out);
void cb_packer_destroy(struct cb_packer **packer);
/* The next frame (at most CB_FRAME_MAX bytes) as a record of the group at hand, or of a new one.
 * Every record that it gives must be kept, in order, until the next cb_packer_end. *value is the
 * packer's, until its next call. Errors: CB_ETOOBIG, CB_ENOMEM; the next one begins a group. */
CB_MUST_USE int cb_packer_add(struct cb_packer *packer, struct cb_str frame, int64_t journal_ms,
                              struct cb_str *value);
/* The next frame begins a group. */
void cb_packer_end(struct cb_packer *packer);
/* How many frames a group takes, 1 to CB_RECORD_GROUP_FRAMES. For tests. */
void cb_packer_limit(struct cb_packer *packer, uint32_t frames);

/* ---- records to frames; one owner at a time ---- */
struct cb_unpacker;
/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_unpacker_create(struct cb_unpacker **out);
void cb_unpacker_destroy(struct cb_unpacker **unpacker);
/* The next record of the group at hand, or the first of another. It is packed. Errors: CB_ECORRUPT,
 * when it is not the next one, or does not unpack to what it says; CB_ENOMEM; then nothing of the
 * group is left. */
CB_MUST_USE int cb_unpacker_add(struct cb_unpacker *unpacker, const struct cb_record *record);
/* Frames of the group that were unpacked, and their bytes. */
uint32_t cb_unpacker_frames(const struct cb_unpacker *unpacker);
size_t cb_unpacker_bytes(const struct cb_unpacker *unpacker);
/* The frame at a place below that; the unpacker's, until its next group. It may be changed. */
char *cb_unpacker_frame(struct cb_unpacker *unpacker, uint32_t place, size_t *len);
void cb_unpacker_clear(struct cb_unpacker *unpacker);

#endif
