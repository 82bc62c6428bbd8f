/* SPDX-License-Identifier: MIT
 * dim_chunk.h: up to 32 values of a dimension on one day, as one row: how many events each has, in
 * all and of which names, and which visitors. See FORMAT.md, "dimensions".
 *
 * The names are a site's first eight, a bit each, nearly always all that it has: so an event
 * changes one row, a report of all events reads sums, and who had events of several names stands
 * there once. Most values have few visitors a day: those stand in the row. Where it would pass
 * 2,000 bytes, its largest set moves to rows of its own (dim_set.h), which is noted here. */
#ifndef CB_STORE_DIM_CHUNK_H
#define CB_STORE_DIM_CHUNK_H

#include "store/rows.h"
#include "store/views.h"

enum {
    CB_DIM_CHUNK_BITS = 5, /* a chunk has 32 values */
    CB_DIM_CHUNK_BYTES_MAX = 2000,
    CB_DIM_MEMBERS_MAX = 255, /* of one value, within the row */
    CB_DIM_NAMES = 8,         /* that have a bit */
};

/* The bit of a name, 0 for all names and for those that have none. */
static inline uint8_t cb_dim_name(uint32_t name_id) {
    const uint32_t nth = name_id - CB_NAME_ID_FIRST; /* of the others large */
    const unsigned bit = nth < CB_DIM_NAMES ? 1u << nth : 0u;
    return (uint8_t)bit;
}

/* What a row does not hold, or no longer. */
struct cb_dim_moved {
    bool apart;     /* the event's own visitor: he belongs into the rows of its value */
    uint8_t offset; /* a value whose set went out, unless n is 0: it belongs there, too */
    unsigned n;
    uint32_t ordinals[CB_DIM_MEMBERS_MAX];
    uint8_t names[CB_DIM_MEMBERS_MAX]; /* bits */
};

/* Counts events of the value at offset: of a name unless its bit is 0, of a visitor unless that is
 * NULL. Errors: CB_ECORRUPT, CB_ENOMEM. The fold's thread. */
CB_MUST_USE int cb_dim_chunk_add(struct cb_views *views, struct cb_row *row, uint8_t offset,
                                 uint8_t name, uint32_t events, const uint32_t *ordinal,
                                 struct cb_dim_moved *moved);

/* Whether the visitors of the value at offset stand in rows of their own. Errors: CB_ECORRUPT. */
CB_MUST_USE int cb_dim_chunk_is_apart(const struct cb_row *row, uint8_t offset, bool *apart);

/* A row taken apart. Arrays have an entry for each of n values, by ascending offset. Pure.
 * Lifetime: the row's. */
struct cb_dim_chunk {
    unsigned n;
    const uint8_t *offsets;  /* with CB_DIM_APART where the visitors stand in rows of their own */
    const uint8_t *members;  /* how many visitors stand in the row */
    const uint8_t *names;    /* bits of those that have events */
    const uint8_t *events;   /* n × u32, big-endian */
    const uint8_t *by_name;  /* u32 for each bit of the first value, of the second, … */
    const uint8_t *ordinals; /* u32 for each member of the first value, of the second, … */
    const uint8_t *member_names; /* … and the bits of the names that it had */
};
enum { CB_DIM_APART = 0x80 };

/* Errors: CB_ECORRUPT. */
CB_MUST_USE int cb_dim_chunk_read(struct cb_str row, struct cb_dim_chunk *out);
static inline unsigned cb_dim_chunk_offset(const struct cb_dim_chunk *chunk, unsigned i) {
    return chunk->offsets[i] & (CB_DIM_APART - 1u);
}
static inline uint32_t cb_dim_chunk_events(const struct cb_dim_chunk *chunk, unsigned i) {
    return cb_be32_get(chunk->events + 4 * (size_t)i);
}
static inline unsigned cb_dim_bits(unsigned names) {
    names -= names >> 1 & 0x55;
    names = (names & 0x33) + (names >> 2 & 0x33);
    return (names + (names >> 4)) & 0x0f;
}

/* The events of a name in value i; by_name: how many counts the values before it have there. */
static inline uint32_t cb_dim_chunk_events_of(const struct cb_dim_chunk *chunk, unsigned i,
                                              unsigned by_name, uint8_t name) {
    const unsigned names = chunk->names[i];
    return names & name ? cb_be32_get(chunk->by_name +
                                      4 * (size_t)(by_name + cb_dim_bits(names & (name - 1u))))
                        : 0;
}

#endif
