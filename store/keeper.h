/* SPDX-License-Identifier: MIT
 * keeper.h: the thread that takes away what is not to be kept, and owns the bases for it: erased
 * visitors (eraser.h), and what the journal has beyond what the options allow it: single events go
 * after --raw-days, or past --raw-bytes, and only behind a base.
 *
 * A turn: what may go by the options; a new base where the newest does not cover it; then the
 * journal's thread trims. While somebody reads the journal's front or a base (verify, backup), a
 * turn does nothing. */
#ifndef CB_STORE_KEEPER_H
#define CB_STORE_KEEPER_H

#include "proto/opt.h"
#include "store/downlink.h"

struct cb_keeper;

/* What the options say may go. */
struct cb_keep_rule {
    int64_t raw_ms;     /* records older than this by journal time; 0: none by age */
    uint64_t raw_bytes; /* records past this much of the map; 0: none by size */
};
/* The rule of the options: --raw-bytes never leaves a journal so large that it would be full. */
struct cb_keep_rule cb_keep_rule_of(const struct cb_opts *opts);
/* The position before which records may go by the rule at journal time now_ms; the oldest kept when
 * none may. Errors: those of cb_journal_time_at. */
CB_MUST_USE int cb_keep_wanted(const struct cb_keep_rule *rule, struct cb_journal *journal,
                               int64_t now_ms, uint64_t *before);

/* Starts the thread. What it is given outlives it. Errors: CB_ESYS, CB_ENOMEM, those of
 * cb_journal_time_at. */
CB_MUST_USE int cb_keeper_create(const struct cb_opts *opts, struct cb_journal *journal,
                                 struct cb_views *views, struct cb_downlink *downlink,
                                 struct cb_fold *fold, struct cb_keeper **out);
/* Ends the thread, in the middle of a base too, and frees. Accepts NULL inside. */
void cb_keeper_destroy(struct cb_keeper **keeper);

#endif
