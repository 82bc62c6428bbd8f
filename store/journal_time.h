/* SPDX-License-Identifier: MIT
 * journal_time.h: the time that journal records carry, by which things expire.
 *
 * It starts at the newest record's time (at the wall clock for an empty journal), goes on with
 * CLOCK_BOOTTIME, is drawn towards the wall clock by at most a tenth of what elapses, and never
 * goes back. So a wall clock that is wrong or steps cannot expire anything. Milliseconds since 1970
 * UTC. One owner. */
#ifndef CB_STORE_JOURNAL_TIME_H
#define CB_STORE_JOURNAL_TIME_H

#include <stdint.h>

struct cb_journal_time {
    int64_t now_ms;
    int64_t mono_ms; /* when now_ms was taken */
    int64_t owed_ms; /* tenths of correction that did not make a millisecond yet */
};

/* last_ms: the newest record's time, 0 for none. */
void cb_journal_time_init(struct cb_journal_time *time, int64_t last_ms);
/* The time now. */
int64_t cb_journal_time_now(struct cb_journal_time *time);

#endif
