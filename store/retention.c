/* SPDX-License-Identifier: MIT
 * retention.c: of the visitors who came for the first time in a period, how many were there in each
 * later one: exact, by the sets of the site's days.
 *
 * A newcomer's day is that of the event by which he was counted first, in journal order, so the
 * sets of newcomers never share anybody. Their ordinals lie close together: what a cohort has in
 * common with a period costs the few chunks that the cohort has. */
#include <stdlib.h>

#include "store/audience.h"
#include "store/rows.h"

enum { DAYS_MIN = 64 };

struct period_day {
    struct cb_site_day day;
    size_t period;
};

struct retention {
    const int64_t *bounds;
    size_t n;
    struct cb_audience audience;
    struct cb_ordinals *newcomers; /* of each period */
    struct period_day *days;
    size_t n_days, cap;
};

/* The period that holds a minute, which lies in one of them. */
static size_t find_period(const struct retention *r, int64_t minute) {
    size_t low = 0, high = r->n;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (r->bounds[middle] <= minute) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static int note_day(struct retention *r, const struct cb_site_day *day, size_t period) {
    if (r->n_days == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : DAYS_MIN;
        struct period_day *days = realloc(r->days, cap * sizeof(*days));
        if (!days) {
            return CB_ENOMEM;
        }
        r->days = days;
        r->cap = cap;
    }
    r->days[r->n_days++] = (struct period_day){*day, period};
    return 0;
}

/* Finds the days of the periods, and who came first on them. A day belongs to the period that its
 * middle lies in; *exact is false where one lies over an edge. */
static int read_days(struct retention *r, bool *exact) {
    const int64_t longest = CB_ZONE_DAY_QUARTERS_MAX * CB_QUARTER_MINUTES;
    const int64_t from = r->bounds[0], to = r->bounds[r->n];
    struct cb_key at = cb_audience_from(&r->audience, from - longest);
    struct cb_site_day day;
    int rc;
    while ((rc = cb_audience_day(&r->audience, &at, to, &day)) == 0) {
        int64_t middle = (day.from + day.to) / 2;
        if (day.to > from && (day.from < from || day.to > to)) {
            *exact = false;
        }
        if (middle < from || middle >= to) {
            continue;
        }
        size_t period = find_period(r, middle);
        *exact &= day.from >= r->bounds[period] && day.to <= r->bounds[period + 1];
        rc = cb_audience_add_day(&r->audience, &day, CB_NAME_ID_NEWCOMERS, &r->newcomers[period]);
        rc = rc == 0 ? note_day(r, &day, period) : rc;
        if (rc != 0) {
            return rc;
        }
    }
    return rc == CB_ENOENT ? 0 : rc;
}

/* Two zones' days may interleave where a site's zone was changed. */
static int compare(const void *a, const void *b) {
    const struct period_day *left = a, *right = b;
    if (left->period != right->period) {
        return left->period < right->period ? -1 : 1;
    }
    return left->day.quarter != right->day.quarter
               ? (left->day.quarter < right->day.quarter ? -1 : 1)
               : left->day.quarters - right->day.quarters;
}

static int count(struct retention *r, uint64_t *sizes, uint64_t *returned) {
    struct cb_ordinals *active = &r->audience.set;
    size_t at = 0;
    if (r->n_days > 0) {
        qsort(r->days, r->n_days, sizeof(*r->days), compare);
    }
    for (size_t period = 0; period < r->n; period++) {
        cb_ordinals_clear(active);
        for (; at < r->n_days && r->days[at].period == period; at++) {
            int rc = cb_audience_add_day(&r->audience, &r->days[at].day, CB_NAME_ID_ALL, active);
            if (rc != 0) {
                return rc;
            }
        }
        sizes[period] = cb_ordinals_count(&r->newcomers[period]);
        for (size_t cohort = 0; cohort <= period; cohort++) {
            returned[cohort * r->n + period - cohort] =
                cb_ordinals_count_both(&r->newcomers[cohort], active);
        }
    }
    return 0;
}

int cb_snapshot_retention(struct cb_snapshot *snapshot, uint32_t site, const int64_t *bounds,
                          size_t n, uint64_t *sizes, uint64_t *returned, bool *exact) {
    struct retention r = {.bounds = bounds, .n = n};
    int rc = cb_audience_open(snapshot, site, CB_NAME_ID_ALL, &r.audience);
    if (rc != 0) {
        return rc;
    }
    r.newcomers = calloc(n, sizeof(*r.newcomers));
    rc = r.newcomers ? 0 : CB_ENOMEM;
    *exact = true;
    rc = rc == 0 ? read_days(&r, exact) : rc;
    rc = rc == 0 ? count(&r, sizes, returned) : rc;
    for (size_t i = 0; r.newcomers && i < n; i++) {
        cb_ordinals_fini(&r.newcomers[i]);
    }
    free(r.newcomers);
    free(r.days);
    cb_audience_close(&r.audience);
    return rc;
}
