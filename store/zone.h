/* SPDX-License-Identifier: MIT
 * zone.h: the days of a time zone, for folds: which local day a minute lies in, and where that day
 * begins and ends.
 *
 * A local day begins at the first instant at which its clocks have reached that day's midnight, so
 * days follow each other without gap or overlap whatever the clocks do: where they skip midnight
 * the day begins behind the gap, where they go back over midnight it has begun already, and a date
 * that a zone left out (Samoa, 2011-12-30) is a day of no length, which no minute lies in.
 *
 * The zones' data are ICU's, read once; behind the year 2100 the last offset stays. No clock, no
 * globals. Minutes are since 1970 UTC; seconds of an offset (none since 1972) are cut off. One
 * thread, since answers are cached. */
#ifndef CB_STORE_ZONE_H
#define CB_STORE_ZONE_H

#include <stdint.h>

#include "proto/buf.h"

struct cb_zone;
struct cb_zones; /* zones that were asked for, by name */

/* A day that holds at least one minute. */
struct cb_day {
    int32_t number;   /* of its local date: days since 1970-01-01 */
    int64_t from, to; /* minutes, [from, to) */
};

/* Errors: CB_ENOENT when there is no zone of that name, CB_ENOMEM. */
CB_MUST_USE int cb_zone_open(struct cb_str name, struct cb_zone **out);
void cb_zone_close(struct cb_zone **zone);

/* The day that a minute lies in. A minute that was asked for last, or lies in the same day or in
 * the other one of the last two, costs a comparison. */
struct cb_day cb_zone_day(struct cb_zone *zone, int64_t minute);
/* The first minute at which the clocks have reached the midnight of a local date. */
int64_t cb_zone_day_start(const struct cb_zone *zone, int32_t number);

/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_zones_create(struct cb_zones **out);
void cb_zones_destroy(struct cb_zones **zones);
/* The zone of a name; UTC for a name that ICU does not know. It lives as long as zones. Errors:
 * CB_ENOMEM. */
CB_MUST_USE int cb_zones_get(struct cb_zones *zones, struct cb_str name, struct cb_zone **out);

#endif
