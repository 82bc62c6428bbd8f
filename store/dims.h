/* SPDX-License-Identifier: MIT
 * dims.h: reading the tables of dimensions: which numbers of values stand for what, and the rows of
 * a run of days. For the files of store/ that make reports of it. Layout: FORMAT.md. */
#ifndef CB_STORE_DIMS_H
#define CB_STORE_DIMS_H

#include "store/dim_chunk.h"
#include "store/dim_tail.h"
#include "store/snapshot.h"
#include "store/walk.h"

/* The kind of values that a dimension is read from (CB_VALUES_…). */
unsigned cb_dim_kind(enum cb_dim dim);

enum { CB_DIM_OTHER = 0 };     /* index of what is past the cap */
#define CB_DIM_NONE UINT32_MAX /* … of what has no value */

/* From the numbers of a kind to a dimension's values, as indexes: those of one value are one. */
struct cb_dim_map {
    struct cb_snapshot *snapshot;
    uint32_t site;
    enum cb_dim dim;
    uint32_t n;         /* indexes, CB_DIM_OTHER among them */
    uint32_t n_numbers; /* that were given; the last is n_numbers itself */
    uint32_t *indexes;  /* by number; NULL: the number is the index */
    uint32_t *numbers;  /* by index, where indexes is there: one that has the value */
};

/* Errors: CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_dim_map_init(struct cb_dim_map *map, struct cb_snapshot *snapshot, uint32_t site,
                                enum cb_dim dim);
void cb_dim_map_fini(struct cb_dim_map *map);
/* The index of a number; CB_DIM_NONE as well for one that was not given. */
static inline uint32_t cb_dim_index(const struct cb_dim_map *map, uint32_t number) {
    if (number > map->n_numbers) {
        return CB_DIM_NONE;
    }
    return map->indexes ? map->indexes[number] : number;
}
/* The value of an index. Lifetime: the snapshot's. Errors: CB_ECORRUPT, CB_EIO. */
CB_MUST_USE int cb_dim_text(const struct cb_dim_map *map, uint32_t index, struct cb_str *out);

/* Events of a name (CB_NAME_ID_ALL: of all) on the days [first, end). */
struct cb_dim_scan {
    uint32_t site;
    unsigned kind;
    uint32_t name_id;
    bool by_name; /* of all names: the rows, too, of those that have no bit (dim_chunk.h) */
    int32_t first, end;
    const bool *chunks; /* NULL, or by chunk (dim_chunk.h) whether its values are wanted at all */
    uint32_t n_chunks;
    struct cb_walk *sets; /* over dimension_sets; its opener's. NULL: no visitors are asked for */
};
/* A row of it: values of a day. Lifetime: the snapshot's and the scan's. */
struct cb_dim_row {
    const struct cb_dim_scan *scan;
    int32_t day;
    uint32_t name_id; /* CB_NAME_ID_ALL: of all names */
    uint8_t name;     /* the bit of the name that is wanted of it; 0: all that it has */
    uint32_t number;  /* of the value at offset 0 */
    struct cb_dim_chunk chunk;
};
/* Whether a chunk is wanted. */
static inline bool cb_dim_wants(const struct cb_dim_scan *scan, uint32_t chunk) {
    return !scan->chunks || (chunk < scan->n_chunks && scan->chunks[chunk]);
}
/* What is called until it returns other than 0: for each row, which may be copied and read later;
 * for each event of a tail that is of the scan. Days ascend over both. */
struct cb_dim_calls {
    int (*row)(void *user, const struct cb_dim_row *row); /* NULL: tails only */
    int (*event)(void *user, int32_t day, const struct cb_dim_event *event);
};
/* Errors: those of the calls; CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_dim_each(struct cb_snapshot *snapshot, const struct cb_dim_scan *scan,
                            const struct cb_dim_calls *calls, void *user);
/* Adds the visitor of an event, if it has one, to a bitmap as below. Errors: CB_ECORRUPT. */
CB_MUST_USE static inline int cb_dim_or_event(const struct cb_dim_event *event, uint32_t n_visitors,
                                              uint64_t *words) {
    const uint32_t ordinal = event->ordinal;
    if (ordinal < n_visitors) {
        words[ordinal / 64] |= UINT64_C(1) << ordinal % 64;
        return 0;
    }
    return ordinal == CB_DIM_NOBODY ? 0 : CB_ECORRUPT;
}
/* Adds the visitors of value i, of the name that is wanted, to a bitmap of all ordinals of the site
 * (cb_dim_words of n). member: how many members the values before it have. Errors: CB_ECORRUPT,
 * CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_dim_or(const struct cb_dim_row *row, unsigned i, unsigned member,
                          uint32_t n_visitors, uint64_t *words);
static inline size_t cb_dim_words(uint32_t n_visitors) {
    return ((size_t)n_visitors + 63) / 64;
}

/* How many visitors the site has: ordinals are below that. */
CB_MUST_USE int cb_dim_visitors(struct cb_snapshot *snapshot, uint32_t site, uint32_t *n);

#endif
