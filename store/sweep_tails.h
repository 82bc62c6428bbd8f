/* SPDX-License-Identifier: MIT
 * sweep_tails.h: settles the tails (dim_tail.h) of local days that are over, so that a report over
 * many days reads few of them. Part of the sweep (sweep.h): by journal time, in steps. The fold's
 * thread. */
#ifndef CB_STORE_SWEEP_TAILS_H
#define CB_STORE_SWEEP_TAILS_H

#include "store/views.h"

/* One step within a batch of its own: settles up to rows_max tails, fewer where they change much.
 * *done says that the walk has come to the end; else the next step goes on where it stands. */
CB_MUST_USE int cb_sweep_tails(struct cb_views *views, uint32_t day, uint32_t rows_max, bool *done);

#endif
