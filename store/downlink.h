/* SPDX-License-Identifier: MIT
 * downlink.h: the journal's thread: takes every frame that waits, appends them in one transaction,
 * commits, acks.
 *
 * Order is the promise: validate → append → commit (fsync) → overlay → ack. Nothing is acked that
 * is not on disk; all refusing is done before. */
#ifndef CB_STORE_DOWNLINK_H
#define CB_STORE_DOWNLINK_H

#include "proto/link.h"
#include "store/fold.h"
#include "store/journal.h"
#include "store/overlay.h"

struct cb_downlink;

/* Starts the thread. What it is given outlives it. failed is called from it, once, when the journal
 * cannot go on. Errors: CB_ESYS, CB_ENOMEM. */
CB_MUST_USE int cb_downlink_create(struct cb_link_store *link, struct cb_journal *journal,
                                   struct cb_overlay *overlay, struct cb_fold *fold,
                                   void (*failed)(void *user, int code), void *user,
                                   struct cb_downlink **out);
/* Has the thread delete the records before position `before`, some with each batch, all in a while
 * where there is none. It may not go back. Any thread. */
void cb_downlink_trim(struct cb_downlink *downlink, uint64_t before);
/* Commits and acks what has arrived, ends the thread, frees. */
void cb_downlink_destroy(struct cb_downlink **downlink);

#endif
