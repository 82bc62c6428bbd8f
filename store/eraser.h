/* SPDX-License-Identifier: MIT
 * eraser.h: takes erased visitors out of what is on disk.
 *
 * The fold erases at once what the views hold, and notes which records of the journal hold the key
 * (folds/erasures.c). The eraser then, for all that are due together:
 * 1. makes a base behind the erasures, where the newest stands before one: bases from before hold
 *    the person;
 * 2. writes the file `erasing`: while records are rewritten one by one, views can only be made anew
 *    from that base;
 * 3. rewrites the records, in small batches (proto/frame_mask.h);
 * 4. scrubs both environments (db.h): freed pages hold what was taken out;
 * 5. appends a control frame that says so, from which the receipt follows; takes `erasing` away.
 * Cut short anywhere it begins anew: what is rewritten already stays as it is. A record that comes
 * with the key later, having been under way, makes the erasure due again. The keeper's thread,
 * which owns the bases; whoever holds the folder (a backup) is waited for. */
#ifndef CB_STORE_ERASER_H
#define CB_STORE_ERASER_H

#include <stdatomic.h>

#include "store/fold.h"
#include "store/reader.h"

struct cb_eraser {
    const char *data_dir;
    uint64_t map_bytes;
    struct cb_journal *journal;
    struct cb_views *views;
    struct cb_fold *fold;    /* NULL: nobody to wake */
    const atomic_bool *stop; /* NULL: none */
    uint64_t done;           /* the newest `dirty` that was swept */
    bool marked_unknown;     /* whether `erasing` is there has yet to be looked at */
};

void cb_eraser_init(struct cb_eraser *eraser, const char *data_dir, uint64_t map_bytes,
                    struct cb_journal *journal, struct cb_views *views, struct cb_fold *fold,
                    const atomic_bool *stop);
/* Erases what is due now, which is looked up in one row where there is nothing. *more: something is
 * due still (a reader, or a backup, was in the way): call again later. Errors: those of base.h and
 * journal.h; then it is due still. */
CB_MUST_USE int cb_eraser_turn(struct cb_eraser *eraser, bool *more);

/* Whether records are being rewritten: then the views follow from the newest base, and not from the
 * first record. */
bool cb_eraser_under_way(const char *data_dir);

#endif
