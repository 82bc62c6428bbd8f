/* SPDX-License-Identifier: MIT
 * dim_set.h: the visitors of a value on one day, each with the names of the events that he had, as
 * bits (dim_chunk.h), in rows of their own: few out of many in one list, more of them in chunks of
 * 8,192 ordinals, moved from the one to the other as the sets of ordinal_list.h; and from a chunk
 * that is full into pieces of 1,024, so that one with many visitors is a bitmap for all and one for
 * each name, in one row. See FORMAT.md, "dimension_sets". */
#ifndef CB_STORE_DIM_SET_H
#define CB_STORE_DIM_SET_H

#include "store/dim_chunk.h"
#include "store/dim_tail.h"
#include "store/ordinal_list.h"
#include "store/views.h"

enum {
    CB_DIM_SET_LIST_ENTRY_BYTES = 4, /* u24 ordinal · u8 names */
    CB_DIM_SET_LIST_MAX = CB_ORDINAL_LIST_MAX,
    CB_DIM_SET_CHUNK_BITS = 13,
    CB_DIM_SET_CHUNK_ENTRY_BYTES = 3, /* u16 offset · u8 names; of a piece, too */
    CB_DIM_SET_CHUNK_MAX = 660,
    CB_DIM_SET_PIECE_BITS = 10,
    CB_DIM_SET_PIECE_ORDINALS = 1 << CB_DIM_SET_PIECE_BITS,
    CB_DIM_SET_PLANE_BYTES = CB_DIM_SET_PIECE_ORDINALS / 8,
    CB_DIM_SET_PLANES_BYTES = CB_DIM_SET_PLANE_BYTES * (1 + CB_DIM_NAMES),
    /* of a piece that is a list: more would be longer than bitmaps */
    CB_DIM_SET_PIECE_MAX = (CB_DIM_SET_PLANES_BYTES - 1) / CB_DIM_SET_CHUNK_ENTRY_BYTES,
    CB_DIM_SET_LIST_FROM = 1 << CB_DIM_SET_CHUNK_BITS, /* ordinals below are in a chunk */
};

#define CB_DIM_SET_CHUNKS UINT32_C(0x80000000) /* in a key's part: a chunk's, … */
#define CB_DIM_SET_PIECES UINT32_C(0xc0000000) /* … a piece's */

struct cb_dim_member {
    uint32_t ordinal;
    uint8_t names;
};

/* Which set: of a value; of all names, or of one. */
struct cb_dim_set {
    uint32_t site;
    int32_t day;
    uint8_t kind;
    uint32_t name_id, value;
};

/* What an addition needs beside the rows. */
struct cb_dim_set_scratch {
    /* of a row, as it would be */
    uint8_t entries[CB_DIM_SET_LIST_ENTRY_BYTES *
                    (CB_DIM_TAIL_EVENTS + CB_DIM_SET_LIST_MAX + CB_DIM_SET_CHUNK_MAX)];
    struct cb_dim_member list[CB_DIM_TAIL_EVENTS + CB_DIM_SET_LIST_MAX];
    struct cb_dim_member chunk[1 << CB_DIM_SET_CHUNK_BITS];
};

/* Adds n members, ascending, each once, to a set; CB_DIM_TAIL_EVENTS at most. Errors: CB_ECORRUPT,
 * CB_EIO, CB_ENOMEM. The fold's thread. */
CB_MUST_USE int cb_dim_set_add(struct cb_views *views, const struct cb_dim_set *set,
                               const struct cb_dim_member *members, size_t n,
                               struct cb_dim_set_scratch *scratch);

/* Adds those of a row, which is a part of a set, to a bitmap of n_visitors ordinals: those that
 * have a name, with 0 all. Pure. Errors: CB_ECORRUPT. */
CB_MUST_USE int cb_dim_set_or(struct cb_str row, uint32_t part, uint8_t name, uint32_t n_visitors,
                              uint64_t *words);

#endif
