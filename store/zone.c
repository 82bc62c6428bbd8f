/* SPDX-License-Identifier: MIT
 * zone.c: invariant: spans are ascending; span i holds from its start to that of the next. */
#include "store/zone.h"

#include <stdlib.h>
#include <unicode/ucal.h>

enum {
    NAME_MAX_BYTES = 64,
    CANONICAL_MAX = 128,
    SPANS_MAX = 1024, /* changes of the clocks from 1970 to 2100; Morocco has the most, 260 */
    SLOTS = 256,      /* of the names; a power of 2 */
};

static const int64_t minute_ms = INT64_C(60000);
static const int64_t day_ms = INT64_C(86400000);
static const int64_t end_ms = INT64_C(4102444800000);  /* 2100-01-01 */
static const int64_t most_east_ms = INT64_C(57600000); /* no clock is ahead of UTC by 16 hours */

/* From start_ms on clocks are ahead of UTC by offset_ms. */
struct span {
    int64_t start_ms;
    int64_t offset_ms;
};

struct cb_zone {
    struct cb_zone *next; /* of its slot in cb_zones */
    struct cb_day recent[2];
    unsigned last; /* which of them was asked for last */
    uint8_t name_len;
    char name[NAME_MAX_BYTES];
    size_t n;
    struct span spans[];
};

struct cb_zones {
    struct cb_zone *slots[SLOTS];
};

static int64_t floor_div(int64_t value, int64_t by) {
    return value / by - (value % by < 0 ? 1 : 0);
}

/* ---- ICU ---- */

/* ICU means GMT by names that it does not know; so the name is looked up first. */
static int open_calendar(struct cb_str name, UCalendar **out) {
    UChar id[NAME_MAX_BYTES + 1], canonical[CANONICAL_MAX];
    UErrorCode status = U_ZERO_ERROR;
    UBool system = 0;
    if (name.len == 0 || name.len > NAME_MAX_BYTES || cb_str_is(name, UCAL_UNKNOWN_ZONE_ID)) {
        return CB_ENOENT;
    }
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.p[i] >= 0x80) {
            return CB_ENOENT;
        }
        id[i] = (UChar)name.p[i];
    }
    ucal_getCanonicalTimeZoneID(id, (int32_t)name.len, canonical, CANONICAL_MAX, &system, &status);
    if (U_FAILURE(status) || !system) {
        return CB_ENOENT;
    }
    *out = ucal_open(id, (int32_t)name.len, "en_US", UCAL_GREGORIAN, &status);
    return U_FAILURE(status) ? CB_ENOMEM : 0;
}

static struct span span_at(UCalendar *calendar, int64_t ms) {
    UErrorCode status = U_ZERO_ERROR;
    ucal_setMillis(calendar, (UDate)ms, &status);
    int32_t offset = ucal_get(calendar, UCAL_ZONE_OFFSET, &status);
    return (struct span){ms, offset + ucal_get(calendar, UCAL_DST_OFFSET, &status)};
}

/* The next change of the clocks after ms; end_ms when there is none. */
static int64_t next_change(UCalendar *calendar, int64_t ms) {
    UErrorCode status = U_ZERO_ERROR;
    UDate at = 0;
    ucal_setMillis(calendar, (UDate)ms, &status);
    bool found =
        ucal_getTimeZoneTransitionDate(calendar, UCAL_TZ_TRANSITION_NEXT, &at, &status) != 0;
    return found && U_SUCCESS(status) && at > (UDate)ms && at < (UDate)end_ms ? (int64_t)at
                                                                              : end_ms;
}

static size_t read_spans(UCalendar *calendar, struct span *spans) {
    size_t n = 0;
    for (int64_t ms = 0; ms < end_ms && n < SPANS_MAX; ms = next_change(calendar, ms)) {
        struct span span = span_at(calendar, ms);
        if (n == 0 || span.offset_ms != spans[n - 1].offset_ms) {
            spans[n++] = span;
        }
    }
    spans[0].start_ms = INT64_MIN;
    return n;
}

int cb_zone_open(struct cb_str name, struct cb_zone **out) {
    struct span spans[SPANS_MAX];
    UCalendar *calendar;
    int rc = open_calendar(name, &calendar);
    if (rc != 0) {
        return rc;
    }
    size_t n = read_spans(calendar, spans);
    ucal_close(calendar);
    struct cb_zone *zone = calloc(1, sizeof(*zone) + n * sizeof(*spans));
    if (!zone) {
        return CB_ENOMEM;
    }
    zone->name_len = (uint8_t)name.len;
    memcpy(zone->name, name.p, name.len);
    zone->n = n;
    memcpy(zone->spans, spans, n * sizeof(*spans));
    *out = zone;
    return 0;
}

void cb_zone_close(struct cb_zone **zone) {
    free(*zone);
    *zone = NULL;
}

/* ---- days ---- */

/* The span that an instant lies in. */
static size_t find_span(const struct cb_zone *zone, int64_t ms) {
    size_t low = 0, high = zone->n;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (zone->spans[middle].start_ms <= ms) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The first instant whose local time is at or behind a date's midnight: in the first span where
 * there is one. Earlier spans than the one that is looked at first have none. */
static int64_t start_ms(const struct cb_zone *zone, int64_t number) {
    int64_t local_ms = number * day_ms;
    for (size_t i = find_span(zone, local_ms - most_east_ms);; i++) {
        int64_t ms = local_ms - zone->spans[i].offset_ms;
        ms = ms > zone->spans[i].start_ms ? ms : zone->spans[i].start_ms;
        if (i + 1 == zone->n || ms < zone->spans[i + 1].start_ms) {
            return ms;
        }
    }
}

int64_t cb_zone_day_start(const struct cb_zone *zone, int32_t number) {
    return floor_div(start_ms(zone, number), minute_ms);
}

static struct cb_day find_day(const struct cb_zone *zone, int64_t minute) {
    int64_t ms = minute * minute_ms;
    int64_t local_ms = ms + zone->spans[find_span(zone, ms)].offset_ms;
    struct cb_day day = {.number = (int32_t)floor_div(local_ms, day_ms)};
    /* Clocks that went back over midnight show the date before the one that has begun. */
    while (cb_zone_day_start(zone, day.number + 1) <= minute) {
        day.number++;
    }
    /* Where an offset has seconds a day may begin within the minute. */
    while (cb_zone_day_start(zone, day.number) > minute) {
        day.number--;
    }
    day.from = cb_zone_day_start(zone, day.number);
    day.to = cb_zone_day_start(zone, day.number + 1);
    return day;
}

static bool holds(const struct cb_day *day, int64_t minute) {
    return day->from <= minute && minute < day->to;
}

struct cb_day cb_zone_day(struct cb_zone *zone, int64_t minute) {
    if (!holds(&zone->recent[zone->last], minute)) {
        zone->last ^= 1; /* late events change between yesterday and today */
        if (!holds(&zone->recent[zone->last], minute)) {
            zone->recent[zone->last] = find_day(zone, minute);
        }
    }
    return zone->recent[zone->last];
}

/* ---- by name ---- */

int cb_zones_create(struct cb_zones **out) {
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : CB_ENOMEM;
}

void cb_zones_destroy(struct cb_zones **zones) {
    for (size_t i = 0; *zones && i < SLOTS; i++) {
        while ((*zones)->slots[i]) {
            struct cb_zone *zone = (*zones)->slots[i];
            (*zones)->slots[i] = zone->next;
            cb_zone_close(&zone);
        }
    }
    free(*zones);
    *zones = NULL;
}

/* FNV-1a. Names come from settings, and there are about 600. */
static size_t slot_of(struct cb_str name) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ (uint8_t)name.p[i]) * 16777619u;
    }
    return (hash ^ hash >> 16) & (SLOTS - 1);
}

int cb_zones_get(struct cb_zones *zones, struct cb_str name, struct cb_zone **out) {
    size_t slot = slot_of(name);
    for (struct cb_zone *zone = zones->slots[slot]; zone; zone = zone->next) {
        if (cb_str_eq(name, (struct cb_str){zone->name, zone->name_len})) {
            *out = zone;
            return 0;
        }
    }
    struct cb_zone *zone;
    int rc = cb_zone_open(name, &zone);
    if (rc == CB_ENOENT) {
        return cb_str_is(name, "UTC") ? CB_ENOMEM : cb_zones_get(zones, cb_str_of("UTC"), out);
    }
    if (rc == 0) {
        zone->next = zones->slots[slot];
        zones->slots[slot] = zone;
        *out = zone;
    }
    return rc;
}
