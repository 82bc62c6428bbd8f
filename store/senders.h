/* SPDX-License-Identifier: MIT
 * senders.h: which frames of a sender are in the journal, so that a frame sent again is acked and
 * not appended again.
 *
 * A row per incarnation, in the journal's environment and in the append's transaction: the highest
 * number and a map of the 64 below and with it. A sender keeps its unacked numbers within 64, so
 * the map always decides for what it may still resend. Rows of senders silent for a day of journal
 * time are dropped when there are many. See FORMAT.md, "senders". */
#ifndef CB_STORE_SENDERS_H
#define CB_STORE_SENDERS_H

#include "store/db.h"

enum { CB_SENDERS_KEPT = 4096, CB_SENDER_WINDOW = 64 };

/* Marks (sender, number) as appended. Errors: CB_EBUSY: it was before; CB_EINVAL: too old to tell,
 * or number 0; CB_EIO, CB_EFULL. */
CB_MUST_USE int cb_senders_admit(struct cb_db_txn *txn, unsigned table, uint64_t sender,
                                 uint64_t number, int64_t journal_ms);

/* Drops rows of senders not heard of for a day, when more than CB_SENDERS_KEPT rows are there. */
CB_MUST_USE int cb_senders_prune(struct cb_db_txn *txn, unsigned table, int64_t journal_ms);

#endif
