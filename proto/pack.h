/* SPDX-License-Identifier: MIT
 * pack.h: reads msgpack in place, token by token, from bytes that nobody vouches for.
 *
 * Writing is msgpack-c's (msgpack_packer on a cb_buf, cb_pack_write below). Reading frames is ours,
 * because both the way to the ack and the fold walk every event: no allocation, no tree, and a
 * count is never believed before the bytes that it needs are there (five bytes can claim 16 GB).
 * Extension types are refused. A reader goes bad at the first error and stays so: callers may read
 * several tokens and look at ok once. Pure; one owner. */
#ifndef CB_PROTO_PACK_H
#define CB_PROTO_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"

enum cb_pack_type {
    CB_PACK_NIL,
    CB_PACK_BOOL,
    CB_PACK_UINT, /* a whole number >= 0 */
    CB_PACK_INT,  /* a whole number < 0 */
    CB_PACK_FLOAT,
    CB_PACK_STR, /* UTF-8, checked */
    CB_PACK_BIN,
    CB_PACK_ARRAY, /* n items follow */
    CB_PACK_MAP,   /* n pairs follow */
};

struct cb_pack_token {
    enum cb_pack_type type;
    union {
        bool boolean;
        uint64_t u;
        int64_t i;
        double f;
        uint32_t n;
        struct cb_str s; /* points into the reader's bytes */
    };
};

struct cb_pack_reader {
    const uint8_t *p, *end;
    bool ok;
};

enum { CB_PACK_DEPTH_MAX = 32 };

void cb_pack_reader_init(struct cb_pack_reader *r, const void *data, size_t len);
/* The next token; false at an error, an unknown type, too few bytes or the end. All of these, the
 * end too, make the reader bad: where values may stop, ask cb_pack_done first. */
bool cb_pack_next(struct cb_pack_reader *r, struct cb_pack_token *out);
/* The type of the next token without taking it; false at the end or when bad. */
bool cb_pack_peek(const struct cb_pack_reader *r, enum cb_pack_type *out);
/* Typed reads: the value, or a zero value with r->ok false when the next token is of another type
 * or over the bound. */
uint32_t cb_pack_array(struct cb_pack_reader *r, uint32_t n_max);
uint32_t cb_pack_map(struct cb_pack_reader *r, uint32_t n_max);
uint64_t cb_pack_uint(struct cb_pack_reader *r, uint64_t max);
bool cb_pack_bool(struct cb_pack_reader *r);
struct cb_str cb_pack_str(struct cb_pack_reader *r, size_t len_max);
struct cb_str cb_pack_bin(struct cb_pack_reader *r, size_t len_max);
/* Takes a nil if one is next; else false, and the reader is as before. */
bool cb_pack_nil(struct cb_pack_reader *r);
/* Skips one whole value in which at most depth arrays and maps are nested (0: scalars only; at most
 * CB_PACK_DEPTH_MAX); its bytes are returned. */
struct cb_str cb_pack_skip(struct cb_pack_reader *r, unsigned depth);
/* Marks the reader bad. */
void cb_pack_fail(struct cb_pack_reader *r);
/* True when nothing went wrong and every byte was read. */
bool cb_pack_done(const struct cb_pack_reader *r);

/* The write callback for msgpack_packer_init(&pk, buf, cb_pack_write): appends to a struct cb_buf;
 * -1 when it is full. */
int cb_pack_write(void *buf, const char *data, size_t len);

/* Props as they stand in frames: a map of at most CB_PROPS_MAX pairs, keys by the rule of names and
 * not repeated, values nil, bool, finite number or string of at most CB_PROP_VALUE_MAX bytes. Empty
 * bytes are valid (no props). */
bool cb_props_valid(struct cb_str props);
/* Takes a map that must be valid props; its bytes, or empty with r->ok false. */
struct cb_str cb_props_take(struct cb_pack_reader *r);
/* Appends props as a JSON object ({} for empty). props must be valid. Errors: those of
 * cb_buf_append. */
int cb_props_json(struct cb_buf *out, struct cb_str props);

#endif
