/* SPDX-License-Identifier: MIT
 * ordinal_set.h: a chunk of an exact set of visitors: 8,192 ordinals, as a sorted list of 16-bit
 * offsets while that is the smaller, as a bitmap afterwards. See FORMAT.md, "uniques".
 *
 * A fold touches one row of at most 1 KB, and active visitors share it. */
#ifndef CB_STORE_ORDINAL_SET_H
#define CB_STORE_ORDINAL_SET_H

#include "store/views.h"

enum {
    CB_ORDINAL_SET_BITS = 13,
    CB_ORDINAL_SET_BYTES = (1 << CB_ORDINAL_SET_BITS) / 8, /* of a bitmap */
    CB_ORDINAL_SET_LIST_MAX = CB_ORDINAL_SET_BYTES / 2 - 1,
    CB_ORDINAL_SET_WORDS = CB_ORDINAL_SET_BYTES / 8,
    /* A bitmap that shrinks to so many is a list again: half of what makes a bitmap of a list, so
       that one who comes and goes does not turn it each time. */
    CB_ORDINAL_SET_LIST_AGAIN = (CB_ORDINAL_SET_LIST_MAX + 1) / 2,
};

/* The chunk of an ordinal, and its place there. */
static inline uint32_t cb_ordinal_set_chunk(uint32_t ordinal) {
    return ordinal >> CB_ORDINAL_SET_BITS;
}
static inline uint16_t cb_ordinal_set_offset(uint32_t ordinal) {
    return (uint16_t)(ordinal & ((1u << CB_ORDINAL_SET_BITS) - 1));
}

/* Adds to the chunk that stands in a row, behind `head` bytes of the row's own. Errors: CB_ENOMEM.
 * The fold's thread. */
CB_MUST_USE int cb_ordinal_set_add_behind(struct cb_views *views, struct cb_row *row, size_t head,
                                          uint16_t offset);
CB_MUST_USE static inline int cb_ordinal_set_add(struct cb_views *views, struct cb_row *row,
                                                 uint16_t offset) {
    return cb_ordinal_set_add_behind(views, row, 0, offset);
}

/* Takes one out, if it is there; of an empty chunk there is no row. Errors: CB_ENOMEM. The fold's
 * thread. */
CB_MUST_USE int cb_ordinal_set_remove(struct cb_views *views, struct cb_row *row, uint16_t offset);

/* Of n ascending u16 the first that is not below value, as an index; and one put into a row in
 * front of a byte. */
size_t cb_u16_list_find(const uint8_t *list, size_t n, uint16_t value);
CB_MUST_USE int cb_u16_list_insert(struct cb_views *views, struct cb_row *row, size_t at,
                                   uint16_t value);

/* Adds a chunk's ordinals to a bitmap of n words (more than CB_ORDINAL_SET_WORDS are not looked
 * at): bit i of word w is offset 64 w + i. Pure. Errors: CB_ECORRUPT, also where one lies behind
 * it. */
CB_MUST_USE int cb_ordinal_set_or(struct cb_str value, uint64_t *words, size_t n);
/* The highest offset that is below `below`. Pure. Errors: CB_ENOENT, CB_ECORRUPT. */
CB_MUST_USE int cb_ordinal_set_below(struct cb_str value, uint32_t below, uint16_t *offset);
/* Adds how many ordinals a chunk has. Pure. Errors: CB_ECORRUPT. */
CB_MUST_USE int cb_ordinal_set_count(struct cb_str value, uint64_t *n);
/* Bits that are set in n words. Any alignment of p. Pure. */
uint64_t cb_bits_count(const void *p, size_t n);
/* … that are set in both. */
uint64_t cb_bits_count_both(const uint64_t *a, const uint64_t *b, size_t n);

#endif
