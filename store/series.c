/* SPDX-License-Identifier: MIT
 * series.c: counts (counter.c) and different visitors (audience.c) of the buckets of a range. */
#include <assert.h>

#include "store/audience.h"
#include "store/counter.h"

static_assert(CB_NAME_IDS == CB_NAME_ID_FIRST + CB_NAMES_MAX + 1, "the names, and (other)");

int cb_snapshot_kept(struct cb_snapshot *snapshot, struct cb_kept *out) {
    struct cb_key key = cb_key_meta(CB_META_SERIES_DAY);
    struct cb_str value;
    int rc = cb_snapshot_row(snapshot, CB_TABLE_META, &key, &value);
    if (rc != 0 && rc != CB_ENOENT) {
        return rc;
    }
    if (rc == 0 && value.len != 4) {
        return CB_ECORRUPT;
    }
    int64_t day = rc == 0 ? cb_be32_get((const uint8_t *)value.p) : 0;
    *out = (struct cb_kept){cb_minutes_kept_from(day), cb_hours_kept_from(day)};
    return 0;
}

/* Minutes that the views can have. */
static int64_t clamp(int64_t minute) {
    return minute < 0 ? 0 : minute > UINT32_MAX ? UINT32_MAX : minute;
}

int cb_snapshot_series(struct cb_snapshot *snapshot, uint32_t site, uint32_t name_id,
                       const int64_t *bounds, size_t n, uint64_t *events,
                       struct cb_distinct *visitors) {
    struct cb_counter counter;
    struct cb_audience audience;
    int rc = cb_counter_open(snapshot, site, name_id, &counter);
    if (rc != 0) {
        return rc;
    }
    rc = visitors ? cb_audience_open(snapshot, site, name_id, &audience) : 0;
    if (rc != 0) {
        cb_counter_close(&counter);
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        int64_t from = clamp(bounds[i]), to = clamp(bounds[i + 1]);
        rc = cb_counter_range(&counter, from, to, &events[i]);
        if (!visitors) {
            continue;
        }
        visitors[i] = (struct cb_distinct){0, CB_KNOWN};
        if (rc == 0 && events[i] > 0) {
            rc = cb_audience_count(&audience, from, to, &visitors[i]);
        }
    }
    if (visitors) {
        cb_audience_close(&audience);
    }
    cb_counter_close(&counter);
    return rc;
}

int cb_snapshot_totals(struct cb_snapshot *snapshot, uint32_t site, int64_t from, int64_t to,
                       uint64_t sums[CB_NAME_IDS], struct cb_distinct *visitors) {
    struct cb_counter counter;
    struct cb_audience audience;
    int rc = cb_counter_open(snapshot, site, CB_NAME_ID_ALL, &counter);
    memset(sums, 0, CB_NAME_IDS * sizeof(*sums));
    *visitors = (struct cb_distinct){0, CB_KNOWN};
    if (rc == 0) {
        rc = cb_counter_totals(&counter, clamp(from), clamp(to), sums, CB_NAME_IDS);
        cb_counter_close(&counter);
    }
    if (rc == 0 && sums[CB_NAME_ID_ALL] > 0) {
        rc = cb_audience_open(snapshot, site, CB_NAME_ID_ALL, &audience);
        if (rc == 0) {
            rc = cb_audience_count(&audience, clamp(from), clamp(to), visitors);
            cb_audience_close(&audience);
        }
    }
    return rc;
}
