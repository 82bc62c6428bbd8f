/* SPDX-License-Identifier: MIT */
#include "store/counter.h"

int cb_counter_open(struct cb_snapshot *snapshot, uint32_t site, uint32_t name_id,
                    struct cb_counter *out) {
    struct cb_kept kept;
    *out = (struct cb_counter){.site = site, .name_id = name_id, .day = UINT32_MAX};
    int rc = cb_snapshot_kept(snapshot, &kept);
    out->minutes_from = kept.minutes_from;
    rc = rc == 0 ? cb_walk_open(snapshot, CB_TABLE_COUNTS, &out->counts) : rc;
    rc = rc == 0 ? cb_walk_open(snapshot, CB_TABLE_MINUTES, &out->minutes) : rc;
    if (rc != 0) {
        cb_counter_close(out);
    }
    return rc;
}

void cb_counter_close(struct cb_counter *counter) {
    cb_walk_close(&counter->minutes);
    cb_walk_close(&counter->counts);
}

/* ---- quarter hours ---- */

static int read_quarters(struct cb_str value, uint32_t quarters[CB_DAY_QUARTERS]) {
    const uint8_t *p = (const uint8_t *)value.p;
    if (value.len == CB_COUNT_ALL_BYTES) {
        for (unsigned i = 0; i < CB_DAY_QUARTERS; i++) {
            quarters[i] = cb_be32_get(p + 4 * i);
        }
        return 0;
    }
    memset(quarters, 0, CB_DAY_QUARTERS * sizeof(*quarters));
    for (size_t at = 0; at + CB_COUNT_ENTRY_BYTES <= value.len; at += CB_COUNT_ENTRY_BYTES) {
        if (p[at] >= CB_DAY_QUARTERS) {
            return CB_ECORRUPT;
        }
        quarters[p[at]] = cb_be32_get(p + at + 1);
    }
    return value.len % CB_COUNT_ENTRY_BYTES == 0 ? 0 : CB_ECORRUPT;
}

/* The events of a whole day: this is where totals of many days spend their time, so of a full row
 * two are taken at once. */
static int sum_quarters(struct cb_str value, uint64_t *sum) {
    const uint8_t *p = (const uint8_t *)value.p;
    if (value.len == CB_COUNT_ALL_BYTES) {
        uint64_t even = 0, odd = 0;
        for (unsigned i = 0; i < CB_DAY_QUARTERS; i += 2) {
            const uint64_t two = cb_be64_get(p + 4 * i);
            even += two >> 32;
            odd += two & UINT32_MAX;
        }
        *sum += even + odd;
        return 0;
    }
    for (size_t at = 0; at + CB_COUNT_ENTRY_BYTES <= value.len; at += CB_COUNT_ENTRY_BYTES) {
        *sum += cb_be32_get(p + at + 1);
    }
    return value.len % CB_COUNT_ENTRY_BYTES == 0 ? 0 : CB_ECORRUPT;
}

/* The place of a row of the site: errors CB_ENOENT where the walk stands at none. */
static int place_of(const struct cb_walk *walk, const struct cb_key *key, uint32_t *day,
                    uint32_t *name_id) {
    enum { SITE = 4, LEN = 12 };
    if (!cb_walk_at(walk, key, SITE)) {
        return walk->rc != 0 ? walk->rc : CB_ENOENT;
    }
    if (walk->key.len != LEN) {
        return CB_ECORRUPT;
    }
    *day = cb_be32_get((const uint8_t *)walk->key.p + 4);
    *name_id = cb_be32_get((const uint8_t *)walk->key.p + 8);
    return 0;
}

/* Finds the row of a day (empty where there is none), or says from which day on there may be one:
 * CB_EAGAIN. Errors: CB_ENOENT when there is none. */
static int find_day(struct cb_counter *counter, uint32_t *day, struct cb_str *row) {
    struct cb_key key = cb_key_count(counter->site, *day, counter->name_id);
    uint32_t found, name_id;
    int rc = cb_walk_to(&counter->counts, &key);
    rc = rc == 0 ? place_of(&counter->counts, &key, &found, &name_id) : rc;
    *row = (struct cb_str){NULL, 0};
    if (rc == 0 && found == *day && name_id == counter->name_id) {
        *row = counter->counts.value;
    } else if (rc == 0 && found > *day) {
        *day = found; /* nothing in between: a range may be of 8,000 years */
        rc = CB_EAGAIN;
    }
    return rc;
}

/* The quarters of a day, which are kept for the next call. Errors: those of find_day. */
static int load_day(struct cb_counter *counter, uint32_t *day) {
    struct cb_str row;
    if (*day == counter->day) {
        return 0;
    }
    int rc = find_day(counter, day, &row);
    if (rc == 0) {
        counter->day = *day;
        rc = read_quarters(row, counter->quarters);
    }
    return rc;
}

static int count_in_day(struct cb_counter *counter, uint32_t *day, int64_t from, int64_t to,
                        uint64_t *events) {
    struct cb_str row;
    if (to - from == CB_DAY_QUARTERS) {
        int rc = find_day(counter, day, &row);
        return rc == 0 ? sum_quarters(row, events) : rc;
    }
    int rc = load_day(counter, day);
    for (; rc == 0 && from < to; from++) {
        *events += counter->quarters[from % CB_DAY_QUARTERS];
    }
    return rc;
}

/* [from, to) in quarter hours since 1970. */
static int count_quarters(struct cb_counter *counter, int64_t from, int64_t to, uint64_t *events) {
    int rc = 0;
    while (rc == 0 && from < to) {
        uint32_t day = (uint32_t)(from / CB_DAY_QUARTERS);
        int64_t end = ((int64_t)day + 1) * CB_DAY_QUARTERS;
        end = end < to ? end : to;
        rc = count_in_day(counter, &day, from, end, events);
        from = end;
        if (rc == CB_EAGAIN) {
            from = (int64_t)day * CB_DAY_QUARTERS;
            rc = 0;
        }
    }
    return rc == CB_ENOENT ? 0 : rc;
}

/* ---- minutes ---- */

typedef void each_fn(void *user, uint32_t name_id, uint32_t events);

/* Calls each for the rows of a quarter hour with minutes in [from, to): of one name, or of all. */
static int scan_minutes(struct cb_counter *counter, bool one_name, int64_t from, int64_t to,
                        each_fn *each, void *user) {
    enum { SITE = 8, NAME = 8, MINUTE = 12, LEN = 17 };
    int64_t quarter = cb_quarter_down(from), begin = quarter * CB_QUARTER_MINUTES;
    struct cb_key key =
        cb_key_minute((uint32_t)quarter, counter->site, one_name ? counter->name_id : 0,
                      one_name ? (uint8_t)(from - begin) : 0, 0);
    struct cb_walk *walk = &counter->minutes;
    int rc = cb_walk_to(walk, &key);
    while (rc == 0 && cb_walk_at(walk, &key, one_name ? MINUTE : SITE)) {
        const uint8_t *p = (const uint8_t *)walk->key.p;
        if (walk->key.len != LEN || walk->value.len < CB_MINUTE_HEAD_BYTES) {
            return CB_ECORRUPT;
        }
        int64_t minute = begin + p[MINUTE];
        if (one_name && minute >= to) {
            return 0;
        }
        if (minute >= from && minute < to) {
            each(user, cb_be32_get(p + NAME), cb_be32_get((const uint8_t *)walk->value.p));
        }
        rc = cb_walk_next(walk);
    }
    return rc == CB_ENOENT ? 0 : rc;
}

static void add_one(void *user, uint32_t name_id, uint32_t events) {
    (void)name_id;
    *(uint64_t *)user += events;
}

static int count_part(struct cb_counter *counter, int64_t from, int64_t to, uint64_t *events) {
    if (from >= to) {
        return 0;
    }
    if (from >= counter->minutes_from) {
        return scan_minutes(counter, true, from, to, add_one, events);
    }
    int64_t quarter = cb_quarter_down(from);
    return from % CB_QUARTER_MINUTES == 0 ? count_quarters(counter, quarter, quarter + 1, events)
                                          : 0;
}

int cb_counter_range(struct cb_counter *counter, int64_t from, int64_t to, uint64_t *events) {
    int64_t first = cb_quarter_up(from), last = cb_quarter_down(to);
    *events = 0;
    if (first > last) {
        return count_part(counter, from, to, events);
    }
    int rc = count_part(counter, from, first * CB_QUARTER_MINUTES, events);
    rc = rc == 0 ? count_quarters(counter, first, last, events) : rc;
    return rc == 0 ? count_part(counter, last * CB_QUARTER_MINUTES, to, events) : rc;
}

/* ---- all names at once ---- */

struct totals {
    uint64_t *sums;
    size_t n;
};

static void add_total(void *user, uint32_t name_id, uint32_t events) {
    struct totals *totals = user;
    if (name_id < totals->n) {
        totals->sums[name_id] += events;
    }
}

/* Adds the quarters [first, last) of a day. */
static int add_row(struct cb_str value, int64_t first, int64_t last, uint64_t *sum) {
    uint32_t quarters[CB_DAY_QUARTERS];
    if (last - first == CB_DAY_QUARTERS) {
        return sum_quarters(value, sum);
    }
    int rc = read_quarters(value, quarters);
    for (; rc == 0 && first < last; first++) {
        *sum += quarters[first];
    }
    return rc;
}

/* One run of keys, of all the days. */
static int total_quarters(struct cb_counter *counter, int64_t from, int64_t to,
                          struct totals *totals) {
    struct cb_key key = cb_key_count(counter->site, (uint32_t)(from / CB_DAY_QUARTERS), 0);
    struct cb_walk *walk = &counter->counts;
    uint32_t day, name_id;
    int rc = from < to ? cb_walk_to(walk, &key) : CB_ENOENT;
    while (rc == 0 && (rc = place_of(walk, &key, &day, &name_id)) == 0) {
        int64_t begin = (int64_t)day * CB_DAY_QUARTERS;
        int64_t first = from > begin ? from - begin : 0;
        int64_t last = to - begin < CB_DAY_QUARTERS ? to - begin : CB_DAY_QUARTERS;
        if (last <= 0) {
            return 0;
        }
        if (name_id >= totals->n) {
            key = cb_key_count(counter->site, day + 1, 0);
            rc = cb_walk_to(walk, &key);
            continue;
        }
        rc = add_row(walk->value, first, last, &totals->sums[name_id]);
        rc = rc == 0 ? cb_walk_next(walk) : rc;
    }
    return rc == CB_ENOENT ? 0 : rc;
}

static int total_part(struct cb_counter *counter, int64_t from, int64_t to, struct totals *totals) {
    if (from >= to) {
        return 0;
    }
    if (from >= counter->minutes_from) {
        return scan_minutes(counter, false, from, to, add_total, totals);
    }
    int64_t quarter = cb_quarter_down(from);
    return from % CB_QUARTER_MINUTES == 0 ? total_quarters(counter, quarter, quarter + 1, totals)
                                          : 0;
}

int cb_counter_totals(struct cb_counter *counter, int64_t from, int64_t to, uint64_t *sums,
                      size_t n) {
    struct totals totals = {sums, n};
    int64_t first = cb_quarter_up(from), last = cb_quarter_down(to);
    if (first > last) {
        return total_part(counter, from, to, &totals);
    }
    int rc = total_part(counter, from, first * CB_QUARTER_MINUTES, &totals);
    rc = rc == 0 ? total_quarters(counter, first, last, &totals) : rc;
    return rc == 0 ? total_part(counter, last * CB_QUARTER_MINUTES, to, &totals) : rc;
}
