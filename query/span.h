/* SPDX-License-Identifier: MIT
 * span.h: from, to, tz and grain of a request, as whole minutes since 1970 UTC.
 *
 * Zones are ICU's (IANA names, case counts); buckets follow the zone's calendar, so a day with a
 * change of the clock has 23 or 25 hours and a bucket need not begin on an hour of UTC. This is the
 * only file that knows ICU's calendar. No globals, no clock. Any thread. */
#ifndef CB_QUERY_SPAN_H
#define CB_QUERY_SPAN_H

#include "query/params.h"

enum {
    CB_SPAN_BUCKETS_MAX = 100000,
    CB_SPAN_ZONE_MAX = 64,     /* bytes of a zone's name */
    CB_SPAN_DEFAULT_DAYS = 30, /* how far from lies before to when it is not given */
};

#define CB_MINUTE_MS INT64_C(60000)

enum cb_grain { CB_GRAIN_MINUTE, CB_GRAIN_HOUR, CB_GRAIN_DAY, CB_GRAIN_WEEK, CB_GRAIN_MONTH };

struct cb_span {
    int64_t from, to; /* minutes, [from, to) */
    char tz[CB_SPAN_ZONE_MAX + 1];
};

/* Reads from, to and tz:
 *   from, to  whole milliseconds since 1970, or ISO 8601: 2024-05-01 (the start of that day),
 *             2024-05-01T13:45, …:45:10, …:10.250, each with Z, +HH:MM, +HHMM, +HH or, without any,
 *             in tz. Seconds are cut off. A local time that occurs twice is the first; one that is
 *             skipped is the end of the gap.
 *   to        exclusive; if not given, the end of the minute of now_ms
 *   from      if not given, the start of the day 30 days before to
 *   tz        if not given, UTC
 * Errors: CB_EINVAL with *error filled, CB_ENOMEM. */
CB_MUST_USE int cb_span_parse(const struct cb_params *params, int64_t now_ms, struct cb_span *out,
                              struct cb_param_error *error);

/* The same with another default for tz, the name of a zone. */
CB_MUST_USE int cb_span_parse_in(const struct cb_params *params, const char *zone, int64_t now_ms,
                                 struct cb_span *out, struct cb_param_error *error);

/* The span that a span is compared with, by the value of `compare`:
 *   previous  as many local days earlier as the span reaches over, at least one: what begins and
 *             ends at midnight is put right before itself, the last hours are those of yesterday
 *   year      the same dates and times of the year before; February 29th becomes the 28th
 *   FROM..TO  each as from and to, in the span's zone
 * Errors: CB_EINVAL with *error filled, CB_ENOMEM. */
CB_MUST_USE int cb_span_compare(const struct cb_span *span, const char *text, struct cb_span *out,
                                struct cb_param_error *error);

/* Whether that is the name of an IANA zone. */
bool cb_zone_known(const char *name);
/* The local day of a moment, in minutes: [*from, *to). zone is one that cb_zone_known has passed.
 * Errors: CB_ENOMEM. */
CB_MUST_USE int cb_span_day(const char *zone, int64_t ms, int64_t *from, int64_t *to);

/* The grain parameter; a day if it was not given. Errors: CB_EINVAL with *error filled. */
CB_MUST_USE int cb_grain_parse(const struct cb_params *params, enum cb_grain *out,
                               struct cb_param_error *error);
const char *cb_grain_name(enum cb_grain grain);

/* A span cut into buckets at the starts of minutes, hours, days, weeks (Mondays) or months. */
struct cb_buckets {
    size_t n;
    int64_t first;   /* where the calendar says that the first bucket starts: at or before from */
    int64_t end;     /* … and that the last one ends: at or behind to */
    int64_t *bounds; /* n + 1 minutes, ascending, from bounds[0] = from to bounds[n] = to */
};

/* Errors: CB_EINVAL with *error filled (over CB_SPAN_BUCKETS_MAX), CB_ENOMEM. */
CB_MUST_USE int cb_buckets_init(const struct cb_span *span, enum cb_grain grain,
                                struct cb_buckets *out, struct cb_param_error *error);
void cb_buckets_fini(struct cb_buckets *buckets);

#endif
