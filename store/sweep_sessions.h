/* SPDX-License-Identifier: MIT
 * sweep_sessions.h: forgets the sessions that no event can join any more.
 *
 * Ingest refuses what is over 7 days old, so a session is out of reach once it ended 7 days and the
 * longest idle gap before the journal's day; what the reports made of it stays. Part of the sweep
 * (sweep.h): by journal time, in steps. A walk over the table, so that no event has to keep an
 * index of days up to date. The fold's thread. */
#ifndef CB_STORE_SWEEP_SESSIONS_H
#define CB_STORE_SWEEP_SESSIONS_H

#include "store/views.h"
#include "store/visit.h"

enum { CB_SESSIONS_KEPT_DAYS = 8 }; /* 7 days, and an idle gap of a day at most */

/* Whether no event that comes from then on can join a session. */
bool cb_sessions_out_of_reach(const struct cb_visit *visit, int64_t at_ms);

/* One step within a batch of its own: looks through a stretch of the table, and changes up to
 * rows_max rows of it. *done says that the walk has come to the end; else the next step goes on
 * where it stands. */
CB_MUST_USE int cb_sweep_sessions(struct cb_views *views, uint32_t day, uint32_t rows_max,
                                  bool *done);

#endif
