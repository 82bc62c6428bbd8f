/* SPDX-License-Identifier: MIT
 * ordinals.h: a set of visitors in memory, put together from rows: bitmaps of 8,192 ordinals each,
 * as they stand on disk. So a row of a bitmap costs 128 words to take in, and counting what two
 * sets share as many; a clear costs what was touched.
 *
 * Roaring was refused: it takes a bitmap in one ordinal at a time, 16 ms for 9 days of 250,000 of
 * 1 M visitors, where this takes 0.5 for 90. One owner. */
#ifndef CB_STORE_ORDINALS_H
#define CB_STORE_ORDINALS_H

#include "store/ordinal_set.h"

struct cb_ordinals_chunk {
    uint32_t number; /* of cb_ordinal_set_chunk */
    uint64_t words[CB_ORDINAL_SET_WORDS];
};

struct cb_ordinals {
    struct cb_ordinals_chunk *
        *chunks; /* in the order of the first touch; those behind n are spare */
    size_t n, cap;
    uint32_t *places; /* by number: index in chunks + 1, 0 for none */
    size_t n_places;
};

void cb_ordinals_init(struct cb_ordinals *set);
void cb_ordinals_fini(struct cb_ordinals *set);
/* Empties it, keeping memory. */
void cb_ordinals_clear(struct cb_ordinals *set);

/* Adds a chunk as rows have it. Errors: CB_ECORRUPT, CB_ENOMEM. */
CB_MUST_USE int cb_ordinals_add(struct cb_ordinals *set, uint32_t number, struct cb_str chunk);
/* Adds a row of unique_hours, a list or a chunk by its number: those who were there in the quarters
 * of mask. Errors likewise. */
CB_MUST_USE int cb_ordinals_add_hour(struct cb_ordinals *set, uint32_t number, struct cb_str row,
                                     unsigned mask);

/* Adds how many such a row has, without a set. Errors: CB_ECORRUPT. */
CB_MUST_USE int cb_ordinals_count_hour(uint32_t number, struct cb_str row, unsigned mask,
                                       uint64_t *n);

uint64_t cb_ordinals_count(const struct cb_ordinals *set);
/* How many are in both. */
uint64_t cb_ordinals_count_both(const struct cb_ordinals *a, const struct cb_ordinals *b);

#endif
