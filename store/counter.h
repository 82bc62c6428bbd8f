/* SPDX-License-Identifier: MIT
 * counter.h: how many events a range has: quarter hours, a day of them in a row, and minutes at the
 * edges while they are kept. One snapshot. */
#ifndef CB_STORE_COUNTER_H
#define CB_STORE_COUNTER_H

#include "store/rows.h"
#include "store/walk.h"

struct cb_counter {
    uint32_t site, name_id;
    int64_t minutes_from; /* the first minute that is kept */
    struct cb_walk counts, minutes;
    uint32_t day; /* that quarters are of; UINT32_MAX for none */
    uint32_t quarters[CB_DAY_QUARTERS];
};

CB_MUST_USE int cb_counter_open(struct cb_snapshot *snapshot, uint32_t site, uint32_t name_id,
                                struct cb_counter *out);
void cb_counter_close(struct cb_counter *counter);

/* The events of [from, to), minutes from 0 to UINT32_MAX; cheapest in ascending order. Of a part of
 * a quarter hour whose minutes are gone the whole quarter counts where it begins: so no event is in
 * two buckets that meet there, and none in neither. Errors: CB_ECORRUPT, CB_EIO. */
CB_MUST_USE int cb_counter_range(struct cb_counter *counter, int64_t from, int64_t to,
                                 uint64_t *events);
/* Adds those of each name to sums, of n; by ids of names, those from n on are left out. */
CB_MUST_USE int cb_counter_totals(struct cb_counter *counter, int64_t from, int64_t to,
                                  uint64_t *sums, size_t n);

/* Minutes to whole quarter hours. */
static inline int64_t cb_quarter_up(int64_t minute) {
    return (minute + CB_QUARTER_MINUTES - 1) / CB_QUARTER_MINUTES;
}
static inline int64_t cb_quarter_down(int64_t minute) {
    return minute / CB_QUARTER_MINUTES;
}

#endif
