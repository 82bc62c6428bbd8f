/* SPDX-License-Identifier: MIT
 * audience.h: which visitors a range has: whole days of the site inside, and quarter hours (minutes
 * in the last of them) where a day reaches over an edge. So a range is exact while its quarters are
 * kept, and for ever where its edges are days of the site. What is one day, or lies in one hour, is
 * counted row by row; only of more are sets put together. One snapshot. */
#ifndef CB_STORE_AUDIENCE_H
#define CB_STORE_AUDIENCE_H

#include "store/ordinals.h"
#include "store/walk.h"

/* A day of the site as it was when its events were folded. */
struct cb_site_day {
    uint32_t quarter;
    uint8_t quarters;
    int64_t from, to; /* minutes */
};

enum { CB_DAYS_AHEAD = 4 };

struct cb_audience {
    uint32_t site, name_id;
    struct cb_kept kept;
    struct cb_walk minutes, hours, days;
    struct cb_ordinals set; /* of the range at hand, where it takes one */
    /* Days that reach behind the range before, or begin there: what comes next needs not look for
     * them. `next` is where those behind them are looked for; a range that begins before `since`
     * begins anew. */
    struct cb_site_day ahead[CB_DAYS_AHEAD];
    size_t n_ahead;
    struct cb_key next;
    int64_t since;
};

CB_MUST_USE int cb_audience_open(struct cb_snapshot *snapshot, uint32_t site, uint32_t name_id,
                                 struct cb_audience *out);
void cb_audience_close(struct cb_audience *audience);

/* How many visitors [from, to) has, minutes from 0 to UINT32_MAX; cheapest in ascending order.
 * Errors: CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_audience_count(struct cb_audience *audience, int64_t from, int64_t to,
                                  struct cb_distinct *out);

/* The first day at or behind *at (which stands for the site and a time: cb_audience_from) that
 * begins before `end`; *at then stands behind it. Errors: CB_ENOENT when there is none. */
struct cb_key cb_audience_from(const struct cb_audience *audience, int64_t from);
CB_MUST_USE int cb_audience_day(struct cb_audience *audience, struct cb_key *at, int64_t end,
                                struct cb_site_day *out);
/* Adds the visitors that a name had on a day to a set. */
CB_MUST_USE int cb_audience_add_day(struct cb_audience *audience, const struct cb_site_day *day,
                                    uint32_t name_id, struct cb_ordinals *set);

#endif
