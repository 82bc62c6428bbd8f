/* SPDX-License-Identifier: MIT */
#include "query/span.h"

#include <stdio.h>
#include <stdlib.h>
#include <unicode/ucal.h>

#define HOUR_MS (60 * CB_MINUTE_MS)
#define TIME_MAX_MS INT64_C(253402300799999) /* the end of the year 9999 */

static const char *const grains[] = {"minute", "hour", "day", "week", "month"};

const char *cb_grain_name(enum cb_grain grain) {
    return grains[grain];
}

int cb_grain_parse(const struct cb_params *params, enum cb_grain *out,
                   struct cb_param_error *error) {
    const char *text = cb_params_get(params, "grain");
    if (!text) {
        *out = CB_GRAIN_DAY;
        return 0;
    }
    for (size_t i = 0; i < sizeof grains / sizeof *grains; i++) {
        if (!strcmp(text, grains[i])) {
            *out = (enum cb_grain)i;
            return 0;
        }
    }
    return cb_param_refuse(error, "grain", "grain is minute, hour, day, week or month");
}

/* ICU takes any text for a zone and means GMT by those that it does not know: so the name is looked
 * up first, and only what is in the zone data passes ("GMT+3" and the like are not). */
bool cb_zone_known(const char *name) {
    UChar id[CB_SPAN_ZONE_MAX + 1], canonical[128];
    UErrorCode status = U_ZERO_ERROR;
    UBool system = 0;
    size_t len = strlen(name);
    if (len == 0 || len > CB_SPAN_ZONE_MAX || !strcmp(name, UCAL_UNKNOWN_ZONE_ID))
        return false;
    for (size_t i = 0; i <= len; i++) {
        if ((unsigned char)name[i] >= 0x80)
            return false;
        id[i] = (UChar)name[i];
    }
    ucal_getCanonicalTimeZoneID(id, (int32_t)len, canonical, 128, &system, &status);
    return U_SUCCESS(status) && system;
}

/* A calendar of a zone that cb_zone_known has passed. */
static int calendar_open(const char *zone, UCalendar **out) {
    UChar id[CB_SPAN_ZONE_MAX + 1];
    UErrorCode status = U_ZERO_ERROR;
    size_t len = strlen(zone);
    for (size_t i = 0; i <= len; i++)
        id[i] = (UChar)zone[i];
    UCalendar *calendar = ucal_open(id, (int32_t)len, "en_US", UCAL_GREGORIAN, &status);
    if (U_FAILURE(status))
        return CB_ENOMEM;
    /* The first instant of a day is wanted, also where the clock is changed at midnight. */
    ucal_setAttribute(calendar, UCAL_REPEATED_WALL_TIME, UCAL_WALLTIME_FIRST);
    ucal_setAttribute(calendar, UCAL_SKIPPED_WALL_TIME, UCAL_WALLTIME_NEXT_VALID);
    *out = calendar;
    return 0;
}

/* A local date and time as an instant; a month or day outside its range counts on into the next or
 * previous one. ICU fails on fields only out of memory or for years far outside ours. */
struct civil {
    int year, month, day, hour, minute, second; /* month and day from 1 */
};

static int64_t civil_to_ms(UCalendar *calendar, const struct civil *c) {
    UErrorCode status = U_ZERO_ERROR;
    ucal_clear(calendar);
    ucal_setDateTime(calendar, c->year, c->month - 1, c->day, c->hour, c->minute, c->second,
                     &status);
    return (int64_t)ucal_getMillis(calendar, &status);
}

/* The local date of an instant, and how many days after Monday it is. */
static struct civil civil_date(UCalendar *calendar, int64_t ms, int *after_monday) {
    UErrorCode status = U_ZERO_ERROR;
    ucal_setMillis(calendar, (UDate)ms, &status);
    struct civil c = {
        .year = ucal_get(calendar, UCAL_YEAR, &status),
        .month = ucal_get(calendar, UCAL_MONTH, &status) + 1,
        .day = ucal_get(calendar, UCAL_DATE, &status),
    };
    *after_monday = (ucal_get(calendar, UCAL_DAY_OF_WEEK, &status) - UCAL_MONDAY + 7) % 7;
    return c;
}

static int64_t offset_ms(UCalendar *calendar, int64_t ms) {
    UErrorCode status = U_ZERO_ERROR;
    ucal_setMillis(calendar, (UDate)ms, &status);
    return (int64_t)ucal_get(calendar, UCAL_ZONE_OFFSET, &status) +
           ucal_get(calendar, UCAL_DST_OFFSET, &status);
}

static int64_t floor_to(int64_t value, int64_t unit) {
    int64_t rest = value % unit;
    return value - (rest < 0 ? rest + unit : rest);
}

/* Milliseconds since the local clock last showed a whole hour. */
static int64_t past_hour(UCalendar *calendar, int64_t ms) {
    int64_t local = ms + offset_ms(calendar, ms);
    return local - floor_to(local, HOUR_MS);
}

/* How often an hour's start is looked for again, where the clock changes by a part of an hour. */
enum { HOUR_TRIES = 4 };

/* The last whole hour of the local clock at or before ms. */
static int64_t hour_start(UCalendar *calendar, int64_t ms) {
    for (int i = 0; i < HOUR_TRIES; i++) {
        int64_t past = past_hour(calendar, ms);
        if (past == 0)
            break;
        ms -= past;
    }
    return ms;
}

/* The next whole hour of the local clock: one hour later, but where the clock changes by half an
 * hour (Lord Howe) the bucket takes that half hour in. An hour that comes twice is two buckets. */
static int64_t hour_next(UCalendar *calendar, int64_t ms) {
    ms += HOUR_MS;
    for (int i = 0; i < HOUR_TRIES; i++) {
        int64_t past = past_hour(calendar, ms);
        if (past == 0)
            break;
        ms += HOUR_MS - past;
    }
    return ms;
}

/* The start of the bucket that is `ahead` buckets after the one of the local date of ms; grain is a
 * day or more. A week is counted from its Monday even where that day does not exist (Samoa left one
 * out), so that the buckets behind it are whole again. */
static int64_t date_start(UCalendar *calendar, enum cb_grain grain, int64_t ms, int ahead) {
    int after_monday;
    struct civil c = civil_date(calendar, ms, &after_monday);
    if (grain == CB_GRAIN_MONTH) {
        c.month += ahead;
        c.day = 1;
    } else if (grain == CB_GRAIN_WEEK) {
        c.day += 7 * ahead - after_monday;
    } else {
        c.day += ahead;
    }
    return civil_to_ms(calendar, &c);
}

static int64_t bucket_start(UCalendar *calendar, enum cb_grain grain, int64_t ms) {
    if (grain == CB_GRAIN_MINUTE)
        return floor_to(ms, CB_MINUTE_MS);
    if (grain == CB_GRAIN_HOUR)
        return hour_start(calendar, ms);
    return date_start(calendar, grain, ms, 0);
}

/* Always later than start. */
static int64_t bucket_next(UCalendar *calendar, enum cb_grain grain, int64_t start) {
    if (grain == CB_GRAIN_MINUTE)
        return start + CB_MINUTE_MS;
    if (grain == CB_GRAIN_HOUR)
        return hour_next(calendar, start);
    int64_t next = date_start(calendar, grain, start, 1);
    return next > start ? next : start + CB_MINUTE_MS; /* never for ever, should ICU fail */
}

/* Where the zone's clock is not changed, buckets are as far apart as their length says: ICU is
 * asked once for each such stretch, not for each bucket. */
struct stretch {
    int64_t length; /* of a bucket; 0: months, whose lengths differ */
    int64_t until; /* from the last start that was asked for up to this the clock is not changed; 0:
                      a start where that may not be built on */
};

static struct stretch stretch_of(enum cb_grain grain) {
    static const int64_t lengths[] = {[CB_GRAIN_MINUTE] = CB_MINUTE_MS,
                                      [CB_GRAIN_HOUR] = HOUR_MS,
                                      [CB_GRAIN_DAY] = 24 * HOUR_MS,
                                      [CB_GRAIN_WEEK] = 7 * 24 * HOUR_MS,
                                      [CB_GRAIN_MONTH] = 0};
    return (struct stretch){.length = lengths[grain]};
}

/* A stretch may be built on where a start is at a whole hour of the local clock, at midnight, at
 * that of a Monday: not where the clock was put forward over it. */
static void stretch_begin(UCalendar *calendar, enum cb_grain grain, int64_t start,
                          struct stretch *stretch) {
    const int64_t monday =
        grain == CB_GRAIN_WEEK ? 3 * 24 * HOUR_MS : 0; /* 1970 began on a Thursday */
    UErrorCode status = U_ZERO_ERROR;
    UDate change;
    stretch->until = 0;
    if (stretch->length == 0)
        return;
    int64_t local = start + offset_ms(calendar, start) + monday;
    if (floor_to(local, stretch->length) != local)
        return;
    if (!ucal_getTimeZoneTransitionDate(calendar, UCAL_TZ_TRANSITION_NEXT, &change, &status))
        change = (UDate)TIME_MAX_MS;
    if (U_SUCCESS(status))
        stretch->until = change < (UDate)TIME_MAX_MS ? (int64_t)change : INT64_MAX;
}

/* The start behind one that bucket_next or this gave. */
static int64_t stretch_next(UCalendar *calendar, enum cb_grain grain, int64_t start,
                            struct stretch *stretch) {
    if (start >= stretch->until - stretch->length) {
        stretch_begin(calendar, grain, start, stretch);
        if (start >= stretch->until - stretch->length)
            return bucket_next(calendar, grain, start);
    }
    return start + stretch->length;
}

/* The bucket that ms is in. Where the clock goes back over midnight, a date begins before the one
 * before it has ended. */
static void bucket_of(UCalendar *calendar, enum cb_grain grain, int64_t ms, int64_t *start,
                      int64_t *next) {
    *start = bucket_start(calendar, grain, ms);
    *next = bucket_next(calendar, grain, *start);
    while (*next <= ms) {
        *start = *next;
        *next = bucket_next(calendar, grain, *start);
    }
}

int cb_span_day(const char *zone, int64_t ms, int64_t *from, int64_t *to) {
    UCalendar *calendar;
    int64_t start, next;
    int rc = calendar_open(zone, &calendar);
    if (rc)
        return rc;
    bucket_of(calendar, CB_GRAIN_DAY, ms, &start, &next);
    ucal_close(calendar);
    *from = floor_to(start, CB_MINUTE_MS) / CB_MINUTE_MS;
    *to = floor_to(next, CB_MINUTE_MS) / CB_MINUTE_MS;
    return 0;
}

static bool digits(const char **p, unsigned n, int *out) {
    int value = 0;
    for (unsigned i = 0; i < n; i++) {
        if ((*p)[i] < '0' || (*p)[i] > '9')
            return false;
        value = value * 10 + ((*p)[i] - '0');
    }
    *p += n;
    *out = value;
    return true;
}

static bool literal(const char **p, char c) {
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

static bool parse_date(const char **p, struct civil *c) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!digits(p, 4, &c->year) || !literal(p, '-') || !digits(p, 2, &c->month) ||
        !literal(p, '-') || !digits(p, 2, &c->day))
        return false;
    if (c->year < 1970 || c->month < 1 || c->month > 12 || c->day < 1)
        return false;
    bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;
    return c->day <= lengths[c->month - 1] + (c->month == 2 && leap ? 1 : 0);
}

/* HH:MM with optional :SS and a fraction of the second, which is cut off. */
static bool parse_clock(const char **p, struct civil *c) {
    if (!digits(p, 2, &c->hour) || !literal(p, ':') || !digits(p, 2, &c->minute))
        return false;
    if (literal(p, ':')) {
        if (!digits(p, 2, &c->second))
            return false;
        if (literal(p, '.')) {
            int ignored;
            if (!digits(p, 1, &ignored))
                return false;
            while (digits(p, 1, &ignored))
                ;
        }
    }
    return c->hour <= 23 && c->minute <= 59 && c->second <= 59;
}

/* +HH, +HHMM or +HH:MM, to milliseconds. */
static bool parse_offset(const char **p, int64_t *out) {
    bool negative = **p == '-';
    int hours, minutes = 0;
    if (!negative && **p != '+')
        return false;
    (*p)++;
    if (!digits(p, 2, &hours))
        return false;
    if (literal(p, ':') ? !digits(p, 2, &minutes) : (**p != '\0' && !digits(p, 2, &minutes)))
        return false;
    if (hours > 18 || minutes > 59)
        return false;
    *out = (hours * 60 + minutes) * CB_MINUTE_MS * (negative ? -1 : 1);
    return true;
}

static int64_t civil_to_utc_ms(const struct civil *c) {
    /* Days since 1970 by the civil calendar, years counted from March so that the leap day is
     * last. */
    int64_t year = c->month > 2 ? c->year : c->year - 1;
    int64_t month = c->month > 2 ? c->month - 3 : c->month + 9;
    int64_t days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 +
                   c->day - 1 - 719468;
    return ((days * 24 + c->hour) * 60 + c->minute) * CB_MINUTE_MS + c->second * INT64_C(1000);
}

static bool parse_iso(UCalendar *calendar, const char *text, int64_t *out) {
    struct civil c = {0};
    int64_t offset = 0;
    if (!parse_date(&text, &c))
        return false;
    if (*text != '\0' && (!literal(&text, 'T') || !parse_clock(&text, &c)))
        return false;
    if (*text == '\0') {
        *out = civil_to_ms(calendar, &c);
        return true;
    }
    if (!literal(&text, 'Z') && !parse_offset(&text, &offset))
        return false;
    *out = civil_to_utc_ms(&c) - offset;
    return *text == '\0';
}

static bool parse_ms(const char *text, int64_t *out) {
    int64_t value = 0;
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 15 || text[len] != '\0')
        return false;
    for (size_t i = 0; i < len; i++)
        value = value * 10 + (text[i] - '0');
    *out = value;
    return true;
}

static int parse_time(UCalendar *calendar, const char *field, const char *text, int64_t *minute,
                      struct cb_param_error *error) {
    int64_t ms;
    if (!parse_ms(text, &ms) && !parse_iso(calendar, text, &ms))
        return cb_param_refuse(error, field,
                               "%s is ISO 8601 (2024-05-01, 2024-05-01T13:45Z; + is %%2B in a "
                               "query) or milliseconds since 1970",
                               field);
    if (ms < 0 || ms > TIME_MAX_MS)
        return cb_param_refuse(error, field, "%s lies outside the years 1970 to 9999", field);
    *minute = ms / CB_MINUTE_MS;
    return 0;
}

static int64_t default_from(UCalendar *calendar, int64_t to) {
    int64_t ms = date_start(calendar, CB_GRAIN_DAY, to * CB_MINUTE_MS, -CB_SPAN_DEFAULT_DAYS);
    return ms < 0 ? 0 : ms / CB_MINUTE_MS;
}

int cb_span_parse(const struct cb_params *params, int64_t now_ms, struct cb_span *out,
                  struct cb_param_error *error) {
    return cb_span_parse_in(params, "UTC", now_ms, out, error);
}

int cb_span_parse_in(const struct cb_params *params, const char *zone, int64_t now_ms,
                     struct cb_span *out, struct cb_param_error *error) {
    const char *tz = cb_params_get(params, "tz");
    const char *from = cb_params_get(params, "from");
    const char *to = cb_params_get(params, "to");
    struct cb_span span = {0};
    if (!tz)
        tz = zone;
    if (!cb_zone_known(tz))
        return cb_param_refuse(error, "tz", "tz is the name of an IANA zone, like Europe/Athens");
    snprintf(span.tz, sizeof span.tz, "%s", tz);

    UCalendar *calendar;
    int rc = calendar_open(span.tz, &calendar);
    if (rc)
        return rc;
    span.to = now_ms / CB_MINUTE_MS + 1;
    if (to)
        rc = parse_time(calendar, "to", to, &span.to, error);
    if (!rc && from)
        rc = parse_time(calendar, "from", from, &span.from, error);
    if (!rc && !from)
        span.from = default_from(calendar, span.to);
    ucal_close(calendar);
    if (!rc && span.from >= span.to)
        rc = cb_param_refuse(error, from ? "from" : "to",
                             "from must lie before to, by a minute at least");
    if (!rc)
        *out = span;
    return rc;
}

/* ---- what a span is compared with ---- */

/* The instant with the same local time in another year, and days later: in minutes. */
static int64_t move(UCalendar *calendar, int64_t minute, int years, int days) {
    int after_monday;
    UErrorCode status = U_ZERO_ERROR;
    struct civil c = civil_date(calendar, minute * CB_MINUTE_MS, &after_monday);
    c.hour = ucal_get(calendar, UCAL_HOUR_OF_DAY, &status);
    c.minute = ucal_get(calendar, UCAL_MINUTE, &status);
    if (years != 0 && c.month == 2 && c.day == 29)
        c.day = 28;
    c.year += years;
    c.day += days;
    return floor_to(civil_to_ms(calendar, &c), CB_MINUTE_MS) / CB_MINUTE_MS;
}

/* How many local days a span reaches over: two at most more than days of 24 hours tell, since a
 * zone may leave one out. */
static int days_of(UCalendar *calendar, const struct cb_span *span) {
    int days = (int)((span->to - span->from) / (24 * 60)) - 2;
    days = days > 1 ? days : 1;
    while (move(calendar, span->from, 0, days) < span->to)
        days++;
    return days;
}

static int parse_between(UCalendar *calendar, const char *text, struct cb_span *out,
                         struct cb_param_error *error) {
    const char *dots = strstr(text, "..");
    char from[CB_PARAM_VALUE_MAX + 1];
    if (!dots)
        return cb_param_refuse(error, "compare", "compare is previous, year or FROM..TO");
    snprintf(from, sizeof from, "%.*s", (int)(dots - text), text);
    int rc = parse_time(calendar, "compare", from, &out->from, error);
    return rc ? rc : parse_time(calendar, "compare", dots + 2, &out->to, error);
}

int cb_span_compare(const struct cb_span *span, const char *text, struct cb_span *out,
                    struct cb_param_error *error) {
    UCalendar *calendar;
    int rc = calendar_open(span->tz, &calendar);
    if (rc)
        return rc;
    *out = *span;
    bool year = !strcmp(text, "year"), previous = !strcmp(text, "previous");
    if (year || previous) {
        int years = year ? -1 : 0, days = previous ? -days_of(calendar, span) : 0;
        out->from = move(calendar, span->from, years, days);
        out->to = move(calendar, span->to, years, days);
        if (out->from == out->to) /* a day that the zone left out, or what the clocks skipped */
            out->from = move(calendar, span->from, years, days - 1);
    } else {
        rc = parse_between(calendar, text, out, error);
    }
    ucal_close(calendar);
    if (!rc && out->from < 0)
        rc = cb_param_refuse(error, "compare", "there is nothing before 1970 to compare with");
    if (!rc && out->from >= out->to)
        rc = cb_param_refuse(error, "compare",
                             "what is compared with must be a minute long at least");
    return rc;
}

/* Appends a bound; *cap grows by doubling. */
static int bound_add(struct cb_buckets *buckets, size_t *cap, int64_t minute) {
    if (buckets->n == *cap) {
        size_t more = *cap ? *cap * 2 : 64;
        int64_t *grown = realloc(buckets->bounds, more * sizeof *grown);
        if (!grown)
            return CB_ENOMEM;
        buckets->bounds = grown;
        *cap = more;
    }
    buckets->bounds[buckets->n++] = minute;
    return 0;
}

/* Fills the bounds; buckets->n counts them (one more than buckets) until the end. */
static int cut(UCalendar *calendar, const struct cb_span *span, enum cb_grain grain,
               struct cb_buckets *buckets, struct cb_param_error *error) {
    size_t cap = 0;
    int64_t from_ms = span->from * CB_MINUTE_MS, to_ms = span->to * CB_MINUTE_MS;
    int64_t start, next;
    struct stretch stretch = stretch_of(grain);
    bucket_of(calendar, grain, from_ms, &start, &next);
    buckets->first = floor_to(start, CB_MINUTE_MS) / CB_MINUTE_MS;
    int rc = bound_add(buckets, &cap, span->from);
    for (; !rc && next < to_ms; next = stretch_next(calendar, grain, next, &stretch)) {
        /* Offsets with seconds (none since 1972) put a start between minutes. */
        int64_t minute = next / CB_MINUTE_MS;
        if (minute <= buckets->bounds[buckets->n - 1])
            continue;
        if (buckets->n == CB_SPAN_BUCKETS_MAX)
            return cb_param_refuse(error, "grain",
                                   "the range has over %d buckets: choose a coarser grain or a "
                                   "shorter range",
                                   CB_SPAN_BUCKETS_MAX);
        rc = bound_add(buckets, &cap, minute);
    }
    buckets->end = -floor_to(-next, CB_MINUTE_MS) / CB_MINUTE_MS;
    if (!rc)
        rc = bound_add(buckets, &cap, span->to);
    if (!rc)
        buckets->n--;
    return rc;
}

int cb_buckets_init(const struct cb_span *span, enum cb_grain grain, struct cb_buckets *out,
                    struct cb_param_error *error) {
    UCalendar *calendar;
    struct cb_buckets buckets = {0};
    int rc = calendar_open(span->tz, &calendar);
    if (rc)
        return rc;
    rc = cut(calendar, span, grain, &buckets, error);
    ucal_close(calendar);
    if (rc) {
        cb_buckets_fini(&buckets);
        return rc;
    }
    *out = buckets;
    return 0;
}

void cb_buckets_fini(struct cb_buckets *buckets) {
    free(buckets->bounds);
    *buckets = (struct cb_buckets){0};
}
