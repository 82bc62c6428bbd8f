/* SPDX-License-Identifier: MIT
 * pulse.h: how a site is doing at this moment: the numbers that live shows each second. As exact as
 * the reports, from the same rows; minutes are whole ones of the clock. One owner. */
#ifndef CB_QUERY_PULSE_H
#define CB_QUERY_PULSE_H

#include "query/json.h"
#include "store/reader.h"

enum { CB_PULSE_ONLINE_MINUTES = 5 };

struct cb_pulse {
    int64_t minute; /* the one under way when this was read; 0: never */
    char zone[CB_ZONE_MAX + 1];
    int64_t day_from, day_to; /* minutes, of the day under way in the site's zone */
    /* Of the minute before this one, and of this one. What is so new is known exactly. */
    uint64_t events[2];
    struct cb_distinct visitors[2];
    uint64_t day_events, day_sessions;
    struct cb_distinct day_visitors;
    struct cb_distinct online; /* with an event in this minute or the five before it */
};

/* Whether the numbers may be others now although no event came. */
static inline bool cb_pulse_is_old(const struct cb_pulse *pulse, int64_t now_ms) {
    return pulse->minute != now_ms / 60000;
}
/* Reads all of it; *pulse is zeroed before the first time. Errors: those of cb_snapshot_series and
 * cb_span_day; then *pulse is as it was. */
CB_MUST_USE int cb_pulse_read(struct cb_pulse *pulse, struct cb_snapshot *snapshot, uint32_t site,
                              int64_t now_ms);
/* As one JSON object. */
void cb_pulse_json(const struct cb_pulse *pulse, int64_t now_ms, struct cb_json *json);

#endif
