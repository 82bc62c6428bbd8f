/* SPDX-License-Identifier: MIT
 * sweep_timeline.h: forgets the rows of timelines that name only records which the journal does not
 * keep any more. Rows are in order of the day, so it looks at the front alone: where it meets a row
 * that is still needed it ends, and what it can drop behind that one goes with the rest of its day.
 * A part of the sweep (sweep.h). */
#ifndef CB_STORE_SWEEP_TIMELINE_H
#define CB_STORE_SWEEP_TIMELINE_H

#include "store/views.h"

/* Deletes at most *rows_left rows, which is lowered by them; 0 when more may be left. */
CB_MUST_USE int cb_sweep_timeline(struct cb_views *views, uint32_t *rows_left);

#endif
