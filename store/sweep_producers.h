/* SPDX-License-Identifier: MIT
 * sweep_producers.h: forgets the seen sets of producers that have been silent for 8 whole days.
 *
 * Part of the sweep (sweep.h): by journal time, in steps. A walk over the table, whose rows have
 * the time of the last receipt: an index by day would cost each visit a row. The fold's thread. */
#ifndef CB_STORE_SWEEP_PRODUCERS_H
#define CB_STORE_SWEEP_PRODUCERS_H

#include "store/views.h"

enum { CB_SEEN_DAYS = 8 };

/* One step within a batch of its own: looks through a stretch of the table, and deletes up to
 * rows_max rows (1 at least), chunks included. *done says that the walk has come to the end; else
 * the next step goes on where it stands. */
CB_MUST_USE int cb_sweep_producers(struct cb_views *views, uint32_t day, uint32_t rows_max,
                                   bool *done);

#endif
