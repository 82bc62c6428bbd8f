/* SPDX-License-Identifier: MIT
 * dim_chunk.h: up to 128 values of a dimension on one day, as one row: how many events each has,
 * and which visitors. See FORMAT.md, "dimensions".
 *
 * Most values have few visitors a day: those stand in the row itself. Where the row would pass
 * 2,000 bytes, its largest set moves to rows of its own (ordinal_set.h), which is noted here. So an
 * event changes one row, or two where its value is a busy one. */
#ifndef CB_STORE_DIM_CHUNK_H
#define CB_STORE_DIM_CHUNK_H

#include "store/views.h"

enum {
    CB_DIM_CHUNK_BITS = 7, /* a chunk has 128 values */
    CB_DIM_CHUNK_BYTES_MAX = 2000,
    CB_DIM_MEMBERS_MAX = 254, /* of one value, within the row */
};

/* Visitors that are to be put into the rows of a value; none where n is 0. */
struct cb_dim_moved {
    uint8_t offset; /* of the value in its chunk */
    unsigned n;
    uint32_t ordinals[CB_DIM_MEMBERS_MAX + 1];
};

/* Counts an event of the value at offset, of a visitor unless that is NULL. *moved: which visitors
 * the row does not hold, or no longer. Errors: CB_ECORRUPT, CB_ENOMEM. The fold's thread. */
CB_MUST_USE int cb_dim_chunk_add(struct cb_views *views, struct cb_row *row, uint8_t offset,
                                 const uint32_t *ordinal, struct cb_dim_moved *moved);

/* A value of a chunk. */
struct cb_dim_entry {
    uint8_t offset;
    bool apart; /* its visitors stand in rows of their own */
    uint32_t events;
    unsigned n;             /* visitors within the row, at most 254 */
    const uint8_t *members; /* n × u32, big-endian */
};

/* Walks the values of a row, by their offsets. Pure. */
struct cb_dim_walk {
    const uint8_t *entry, *entries_end, *members, *end;
};

enum { CB_DIM_ENTRY_BYTES = 6, CB_DIM_APART = 255 };

/* Errors: CB_ECORRUPT. */
CB_MUST_USE int cb_dim_walk_init(struct cb_dim_walk *walk, struct cb_str row);
/* False at the end, and where the row is cut short: cb_dim_walk_ended tells. */
static inline bool cb_dim_walk_next(struct cb_dim_walk *walk, struct cb_dim_entry *out) {
    const uint8_t *entry = walk->entry;
    if (entry == walk->entries_end) {
        return false;
    }
    unsigned n = entry[1] == CB_DIM_APART ? 0 : entry[1];
    if ((size_t)(walk->end - walk->members) < 4 * (size_t)n) {
        return false;
    }
    *out = (struct cb_dim_entry){entry[0], entry[1] == CB_DIM_APART, cb_be32_get(entry + 2), n,
                                 walk->members};
    walk->members += 4 * (size_t)n;
    walk->entry += CB_DIM_ENTRY_BYTES;
    return true;
}
/* Whether a walk went over all that the row has, and to its end. */
static inline bool cb_dim_walk_ended(const struct cb_dim_walk *walk) {
    return walk->entry == walk->entries_end && walk->members == walk->end;
}

#endif
