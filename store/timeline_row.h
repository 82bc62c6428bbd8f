/* SPDX-License-Identifier: MIT
 * timeline_row.h: in which records of the journal up to 32 visitors of a site stand, on one day of
 * journal time. See FORMAT.md, "timeline".
 *
 * Ordinals are given in order of first sight, so visitors of one row mostly come at the same time,
 * and share what a row costs beside the two bytes of an entry. What is noted is appended, and a row
 * knows its last position and who has it: so nothing is looked through. */
#ifndef CB_STORE_TIMELINE_ROW_H
#define CB_STORE_TIMELINE_ROW_H

#include "store/views.h"

/* Where a row stands, for one of its visitors; parts 0: nowhere. */
struct cb_timeline_place {
    uint32_t day;   /* of journal time */
    uint16_t parts; /* the row's part + 1 */
};

enum {
    CB_TIMELINE_SHARED_BITS = 5, /* of an ordinal: whose it is, of those who share a row */
    CB_TIMELINE_SHARED = 1 << CB_TIMELINE_SHARED_BITS,

    CB_TIMELINE_LAST = 0,  /* u64, the last position */
    CB_TIMELINE_WHO = 8,   /* u32: bit n: the nth of them has it */
    CB_TIMELINE_PART = 12, /* u16, the last part of the day; of part 0 */
    CB_TIMELINE_HEAD_BYTES = 14,
    CB_TIMELINE_ROW_MAX = 1500,
    CB_TIMELINE_ENTRY_MAX = 10 + 3 + 5,
};

/* Whether a row, of at least CB_TIMELINE_HEAD_BYTES, ends with this position of the nth's. */
static inline bool cb_timeline_row_ends(const struct cb_row *row, unsigned nth, uint64_t position) {
    return cb_be64_get(row->data + CB_TIMELINE_LAST) == position &&
           (cb_be32_get(row->data + CB_TIMELINE_WHO) >> nth & 1);
}

/* Appends a position, not below the last one, which the row does not end with for the nth. before:
 * NULL, or, of the nth's first in the row, the place of the row with the one before it. day: the
 * row's. Errors: CB_ENOMEM; CB_ECORRUPT for what cannot follow. */
CB_MUST_USE int cb_timeline_row_append(struct cb_views *views, struct cb_row *row, uint32_t day,
                                       unsigned nth, uint64_t position,
                                       const struct cb_timeline_place *before);

/* The nth's positions, ascending, *n of them, at most CB_TIMELINE_ROW_MAX; and where the ones
 * before them stand. at: the row's place. Pure. Errors: CB_ECORRUPT, also where there are none. */
CB_MUST_USE int cb_timeline_row_read(struct cb_str row, struct cb_timeline_place at, unsigned nth,
                                     uint64_t positions[CB_TIMELINE_ROW_MAX], size_t *n,
                                     struct cb_timeline_place *before);

#endif
