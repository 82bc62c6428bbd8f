/* SPDX-License-Identifier: MIT
 * ordinal_list.h: a set of few visitors out of many as one row: 24 bits each, ascending, where
 * chunks (ordinal_set.h) would be rows of one or two. What finds no room any more moves into
 * chunks, all of it, and the row stays as a mark: so which of both a set is follows from who is in
 * it, and not from the order in which they came. A site's first visitors are always in chunks: most
 * sites have no more, and get no list to look for.
 *
 * Who a visitor is stands in the upper bits of his entry; the lower ones, if a table has any, say
 * more about him. See FORMAT.md. */
#ifndef CB_STORE_ORDINAL_LIST_H
#define CB_STORE_ORDINAL_LIST_H

#include "store/views.h"

enum {
    CB_ORDINAL_LIST_BITS = 24,
    CB_ORDINAL_LIST_ENTRY_BYTES = 3,
    CB_ORDINAL_LIST_MAX = 500,
    CB_ORDINAL_LIST_FROM = 8192,     /* ordinals below are in chunks */
    CB_ORDINAL_LIST_MOVED_BYTES = 1, /* of a mark */
};
#define CB_ORDINAL_CHUNKS UINT32_C(0x80000000) /* in a key's number: a chunk's, not a list's */

static inline uint32_t cb_ordinal_list_entry(const uint8_t *list, size_t i) {
    const uint8_t *p = list + CB_ORDINAL_LIST_ENTRY_BYTES * i;
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

/* Adds an entry, or its `low` lower bits to those that the visitor has. *moved says that he, and
 * then everybody, belongs into chunks. Errors: CB_ENOMEM. The fold's thread. */
CB_MUST_USE int cb_ordinal_list_add(struct cb_views *views, struct cb_row *row, unsigned low,
                                    uint32_t entry, bool *moved);
/* Takes the entries of a list that is full, and leaves the mark. Errors: CB_ENOMEM. */
CB_MUST_USE int cb_ordinal_list_move(struct cb_views *views, struct cb_row *row,
                                     uint32_t entries[CB_ORDINAL_LIST_MAX], size_t *n);
static inline bool cb_ordinal_list_moved(const struct cb_row *row) {
    return row->len == CB_ORDINAL_LIST_MOVED_BYTES;
}

/* How many entries a row has; 0 where they moved. Pure. Errors: CB_ECORRUPT. */
CB_MUST_USE static inline int cb_ordinal_list_read(struct cb_str row, size_t *n) {
    *n = row.len / CB_ORDINAL_LIST_ENTRY_BYTES;
    return row.len == CB_ORDINAL_LIST_MOVED_BYTES ||
                   (row.len % CB_ORDINAL_LIST_ENTRY_BYTES == 0 && *n <= CB_ORDINAL_LIST_MAX)
               ? 0
               : CB_ECORRUPT;
}

#endif
