/* SPDX-License-Identifier: MIT
 * sweep_retained.h: what a site wants forgotten: the fields of people who were not seen for its
 * personal_days, and the rollups of days that are older than its rollup_days.
 *
 * Part of the sweep (sweep.h): by journal time and by the settings as they stand at that place, in
 * steps, and nothing is left half done when the next record is folded. Walks, since an index by
 * last sight would cost each event; sites without such settings are jumped over. The fold's thread.
 */
#ifndef CB_STORE_SWEEP_RETAINED_H
#define CB_STORE_SWEEP_RETAINED_H

#include "store/views.h"

/* One step within a batch of its own: looks through a stretch of the tables, and deletes about
 * rows_max rows. *done says that the walk has come to the end; else the next step goes on where it
 * stands. */
CB_MUST_USE int cb_sweep_retained(struct cb_views *views, uint32_t day, uint32_t rows_max,
                                  bool *done);

#endif
