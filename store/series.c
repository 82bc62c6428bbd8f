/* SPDX-License-Identifier: MIT
 * series.c: counts and different visitors of ranges of minutes, exact for any bounds: days inside,
 * then hours, then minutes at the edges. Each run of buckets is one run of keys. */
#include <roaring/roaring.h>
#include <stdlib.h>

#include "store/ordinal_set.h"
#include "store/rows.h"
#include "store/snapshot.h"

/* A range [from, to) as at most five runs of buckets of one grain each. */
struct run {
    enum cb_grain grain;
    uint32_t first, end; /* buckets */
};

enum { RUNS_MAX = 5, MINUTES_HOUR = 60, MINUTES_DAY = 1440 };

static size_t add_run(struct run *runs, size_t n, enum cb_grain grain, int64_t from, int64_t to) {
    if (from < to) {
        int64_t minutes = cb_grain_minutes(grain);
        runs[n++] = (struct run){grain, (uint32_t)(from / minutes), (uint32_t)(to / minutes)};
    }
    return n;
}

static int64_t round_up(int64_t minute, int64_t step) {
    return (minute + step - 1) / step * step;
}

static size_t split(int64_t from, int64_t to, struct run runs[RUNS_MAX]) {
    size_t n = 0;
    from = from < 0 ? 0 : from;
    to = to > UINT32_MAX ? UINT32_MAX : to;
    if (from >= to) {
        return 0;
    }
    int64_t hour_from = round_up(from, MINUTES_HOUR), hour_to = to / MINUTES_HOUR * MINUTES_HOUR;
    if (hour_from >= hour_to) {
        return add_run(runs, n, CB_GRAIN_MINUTE, from, to);
    }
    n = add_run(runs, n, CB_GRAIN_MINUTE, from, hour_from);
    int64_t day_from = round_up(from, MINUTES_DAY), day_to = to / MINUTES_DAY * MINUTES_DAY;
    if (day_from >= day_to) {
        n = add_run(runs, n, CB_GRAIN_HOUR, hour_from, hour_to);
    } else {
        n = add_run(runs, n, CB_GRAIN_HOUR, hour_from, day_from);
        n = add_run(runs, n, CB_GRAIN_DAY, day_from, day_to);
        n = add_run(runs, n, CB_GRAIN_HOUR, day_to, hour_to);
    }
    return add_run(runs, n, CB_GRAIN_MINUTE, hour_to, to);
}

/* Calls each for the rows of a run, in order of buckets. prefix of the key: site, name, grain. */
static int scan_run(struct cb_db_cursor *cursor, uint32_t site, uint32_t name_id,
                    const struct run *run,
                    int (*each)(void *user, struct cb_str key, struct cb_str value), void *user) {
    struct cb_key from = cb_key_count(site, name_id, (uint8_t)run->grain, run->first);
    const size_t prefix_len = 9;
    struct cb_str key, value;
    int rc = cb_db_seek(cursor, cb_key_str(&from), &key, &value);
    for (; rc == 0; rc = cb_db_next(cursor, &key, &value)) {
        if (key.len < prefix_len + 4 || memcmp(key.p, from.bytes, prefix_len) != 0 ||
            cb_be32_get((const uint8_t *)key.p + prefix_len) >= run->end) {
            return 0;
        }
        rc = each(user, key, value);
        if (rc != 0) {
            return rc;
        }
    }
    return rc == CB_ENOENT ? 0 : rc;
}

static int add_count(void *user, struct cb_str key, struct cb_str value) {
    (void)key;
    if (value.len != 8) {
        return CB_ECORRUPT;
    }
    *(uint64_t *)user += cb_be64_get((const uint8_t *)value.p);
    return 0;
}

static int add_visitors(void *user, struct cb_str key, struct cb_str value) {
    roaring_bitmap_t *set = user;
    if (key.len != 17) {
        return CB_ECORRUPT;
    }
    uint32_t base = cb_be32_get((const uint8_t *)key.p + 13) << CB_ORDINAL_SET_BITS;
    uint32_t ordinals[1 << CB_ORDINAL_SET_BITS];
    uint64_t words[CB_ORDINAL_SET_WORDS] = {0};
    size_t n = 0;
    if (cb_ordinal_set_or(value, words) != 0) {
        return CB_ECORRUPT;
    }
    for (uint32_t w = 0; w < CB_ORDINAL_SET_WORDS; w++) {
        for (uint64_t bits = words[w]; bits != 0; bits &= bits - 1) {
            ordinals[n++] = base + w * 64 + (uint32_t)__builtin_ctzll(bits);
        }
    }
    roaring_bitmap_add_many(set, n, ordinals);
    return 0;
}

int cb_snapshot_series(struct cb_snapshot *snapshot, uint32_t site, uint32_t name_id,
                       const int64_t *bounds, size_t n, uint64_t *events, uint64_t *visitors) {
    struct cb_db_cursor *counts = NULL, *uniques = NULL;
    roaring_bitmap_t *set = NULL;
    int rc =
        cb_db_cursor_open(snapshot->txn, cb_views_table(snapshot->views, CB_TABLE_COUNTS), &counts);
    if (rc == 0 && visitors) {
        rc = cb_db_cursor_open(snapshot->txn, cb_views_table(snapshot->views, CB_TABLE_UNIQUES),
                               &uniques);
        set = roaring_bitmap_create();
        rc = rc == 0 && !set ? CB_ENOMEM : rc;
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct run runs[RUNS_MAX];
        size_t n_runs = split(bounds[i], bounds[i + 1], runs);
        events[i] = 0;
        for (size_t r = 0; rc == 0 && r < n_runs; r++) {
            rc = scan_run(counts, site, name_id, &runs[r], add_count, &events[i]);
        }
        if (!visitors) {
            continue;
        }
        visitors[i] = 0;
        if (events[i] == 0) {
            continue;
        }
        roaring_bitmap_clear(set);
        for (size_t r = 0; rc == 0 && r < n_runs; r++) {
            rc = scan_run(uniques, site, name_id, &runs[r], add_visitors, set);
        }
        visitors[i] = roaring_bitmap_get_cardinality(set);
    }
    if (set) {
        roaring_bitmap_free(set);
    }
    cb_db_cursor_close(&uniques);
    cb_db_cursor_close(&counts);
    return rc;
}
