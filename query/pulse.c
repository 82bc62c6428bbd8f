/* SPDX-License-Identifier: MIT */
#include "query/pulse.h"

#include "query/span.h"

/* The day's bounds are kept until it is over: ICU takes longer for them than the rows take. */
static int read_day(struct cb_pulse *pulse, struct cb_snapshot *snapshot, uint32_t site,
                    int64_t now_ms) {
    char zone[CB_ZONE_MAX + 1];
    int rc = cb_snapshot_zone(snapshot, site, zone);
    bool same = !rc && !strcmp(zone, pulse->zone) && pulse->day_from <= pulse->minute &&
                pulse->minute < pulse->day_to;
    if (rc || same)
        return rc;
    memcpy(pulse->zone, zone, sizeof zone);
    return cb_span_day(zone, now_ms, &pulse->day_from, &pulse->day_to);
}

int cb_pulse_read(struct cb_pulse *pulse, struct cb_snapshot *snapshot, uint32_t site,
                  int64_t now_ms) {
    struct cb_pulse fresh = *pulse;
    const int64_t minute = now_ms / CB_MINUTE_MS;
    const int64_t minutes[] = {minute - 1, minute, minute + 1};
    const int64_t recent[] = {minute - CB_PULSE_ONLINE_MINUTES, minute + 1};
    uint64_t events;
    fresh.minute = minute;
    int rc = read_day(&fresh, snapshot, site, now_ms);
    const int64_t day[] = {fresh.day_from, fresh.day_to};
    if (!rc)
        rc = cb_snapshot_series(snapshot, site, CB_NAME_ID_ALL, minutes, 2, fresh.events,
                                fresh.visitors);
    if (!rc)
        rc = cb_snapshot_series(snapshot, site, CB_NAME_ID_ALL, recent, 1, &events, &fresh.online);
    if (!rc)
        rc = cb_snapshot_series(snapshot, site, CB_NAME_ID_ALL, day, 1, &fresh.day_events,
                                &fresh.day_visitors);
    if (!rc)
        rc = cb_snapshot_series(snapshot, site, CB_NAME_ID_SESSIONS, day, 1, &fresh.day_sessions,
                                NULL);
    if (!rc)
        *pulse = fresh;
    return rc;
}

static void bucket(struct cb_json *json, const char *key, int64_t minute, uint64_t events,
                   struct cb_distinct visitors) {
    cb_json_key(json, key);
    cb_json_object_begin(json);
    cb_json_key(json, "t");
    cb_json_int(json, minute * CB_MINUTE_MS);
    cb_json_key(json, "events");
    cb_json_uint(json, events);
    cb_json_key(json, "visitors");
    cb_json_uint(json, visitors.n);
}

void cb_pulse_json(const struct cb_pulse *pulse, int64_t now_ms, struct cb_json *json) {
    cb_json_object_begin(json);
    cb_json_key(json, "t");
    cb_json_int(json, now_ms);
    cb_json_key(json, "online");
    cb_json_uint(json, pulse->online.n);
    bucket(json, "minute", pulse->minute - 1, pulse->events[0], pulse->visitors[0]);
    cb_json_object_end(json);
    bucket(json, "current", pulse->minute, pulse->events[1], pulse->visitors[1]);
    cb_json_object_end(json);
    bucket(json, "day", pulse->day_from, pulse->day_events, pulse->day_visitors);
    cb_json_key(json, "sessions");
    cb_json_uint(json, pulse->day_sessions);
    cb_json_key(json, "tz");
    cb_json_str(json, cb_str_of(pulse->zone));
    cb_json_object_end(json);
    cb_json_object_end(json);
}
