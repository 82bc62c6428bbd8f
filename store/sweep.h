/* SPDX-License-Identifier: MIT
 * sweep.h: forgets the seen sets of producers that have been silent for 8 days of journal time
 * (sweep_producers.h), sessions that are out of reach (sweep_sessions.h), minutes and hours that
 * are no longer kept (CB_MINUTES_KEPT_DAYS, CB_HOURS_KEPT_DAYS), the verdicts of records that the
 * journal does not keep any more, and the rows of timelines that name only such (sweep_timeline.h).
 * And it settles what came of dimensions on days that are over (sweep_tails.h).
 *
 * Ingest refuses what is over 7 days old, so nothing honest comes back for a set that is gone. It
 * is done when the journal's day changes, before that day's first record is folded: by journal time
 * alone (DESIGN, invariant 2), so a rebuild does the same at the same place. In steps, since a
 * large delete could hit a full map. The fold's thread. */
#ifndef CB_STORE_SWEEP_H
#define CB_STORE_SWEEP_H

#include "store/views.h"

/* The day of journal time that a record belongs to. */
static inline uint32_t cb_sweep_day(int64_t journal_ms) {
    return (uint32_t)(journal_ms / 86400000);
}

/* One step within a batch of its own: deletes up to rows_max rows of what is due on day. *done says
 * that none is left; the day is then noted as swept. */
CB_MUST_USE int cb_sweep_step(struct cb_views *views, uint32_t day, uint32_t rows_max, bool *done);

/* The day that was swept last, 0 for none. Within a batch. */
CB_MUST_USE int cb_sweep_last(struct cb_views *views, uint32_t *day);

#endif
