/* SPDX-License-Identifier: MIT */
#include "store/audience.h"

#include "store/counter.h"

int cb_audience_open(struct cb_snapshot *snapshot, uint32_t site, uint32_t name_id,
                     struct cb_audience *out) {
    *out = (struct cb_audience){.site = site, .name_id = name_id, .since = INT64_MAX};
    cb_ordinals_init(&out->set);
    int rc = cb_snapshot_kept(snapshot, &out->kept);
    rc = rc == 0 ? cb_walk_open(snapshot, CB_TABLE_MINUTES, &out->minutes) : rc;
    rc = rc == 0 ? cb_walk_open(snapshot, CB_TABLE_UNIQUE_HOURS, &out->hours) : rc;
    rc = rc == 0 ? cb_walk_open(snapshot, CB_TABLE_UNIQUE_DAYS, &out->days) : rc;
    if (rc != 0) {
        cb_audience_close(out);
    }
    return rc;
}

void cb_audience_close(struct cb_audience *audience) {
    cb_walk_close(&audience->days);
    cb_walk_close(&audience->hours);
    cb_walk_close(&audience->minutes);
    cb_ordinals_fini(&audience->set);
}

/* ---- quarter hours and minutes ---- */

/* [from, to) lies in one quarter hour. */
static int add_minutes(struct cb_audience *audience, int64_t from, int64_t to) {
    enum { MINUTE = 12, CHUNK = 13, LEN = 17 };
    int64_t quarter = cb_quarter_down(from), begin = quarter * CB_QUARTER_MINUTES;
    struct cb_key key = cb_key_minute((uint32_t)quarter, audience->site, audience->name_id,
                                      (uint8_t)(from - begin), 0);
    struct cb_walk *walk = &audience->minutes;
    int rc = cb_walk_to(walk, &key);
    while (rc == 0 && cb_walk_at(walk, &key, MINUTE)) {
        const uint8_t *p = (const uint8_t *)walk->key.p;
        if (walk->key.len != LEN || walk->value.len < CB_MINUTE_HEAD_BYTES) {
            return CB_ECORRUPT;
        }
        if (begin + p[MINUTE] >= to) {
            return 0;
        }
        uint32_t chunk = cb_be32_get(p + CHUNK);
        if (chunk != (uint32_t)CB_MINUTE_NO_VISITOR) {
            rc = cb_ordinals_add(&audience->set, chunk,
                                 (struct cb_str){walk->value.p + CB_MINUTE_HEAD_BYTES,
                                                 walk->value.len - CB_MINUTE_HEAD_BYTES});
        }
        rc = rc == 0 ? cb_walk_next(walk) : rc;
    }
    return rc == CB_ENOENT ? 0 : rc;
}

/* Who was there in the quarters of mask of an hour: into the set, or *n of them. */
static int read_hour(struct cb_audience *audience, int64_t hour, unsigned mask, uint64_t *n) {
    enum { CHUNK = 12, LEN = 16 };
    struct cb_key key = cb_key_unique_hour((uint32_t)hour, audience->site, audience->name_id, 0);
    struct cb_walk *walk = &audience->hours;
    int rc = cb_walk_to(walk, &key);
    while (rc == 0 && cb_walk_at(walk, &key, CHUNK)) {
        if (walk->key.len != LEN) {
            return CB_ECORRUPT;
        }
        const uint32_t number = cb_be32_get((const uint8_t *)walk->key.p + CHUNK);
        rc = n ? cb_ordinals_count_hour(number, walk->value, mask, n)
               : cb_ordinals_add_hour(&audience->set, number, walk->value, mask);
        rc = rc == 0 ? cb_walk_next(walk) : rc;
    }
    return rc == CB_ENOENT ? 0 : rc;
}

/* [from, to) in quarter hours since 1970. */
static int add_quarters(struct cb_audience *audience, int64_t from, int64_t to) {
    int rc = 0;
    while (rc == 0 && from < to) {
        int64_t hour = from / CB_HOUR_QUARTERS;
        unsigned mask = 0;
        for (; from < to && from / CB_HOUR_QUARTERS == hour; from++) {
            mask |= 1u << from % CB_HOUR_QUARTERS;
        }
        rc = read_hour(audience, hour, mask, NULL);
    }
    return rc;
}

/* A part of a quarter hour; by the rule of cb_counter_range where its minutes are gone. */
static int add_part(struct cb_audience *audience, int64_t from, int64_t to) {
    if (from >= to) {
        return 0;
    }
    if (from >= audience->kept.minutes_from) {
        return add_minutes(audience, from, to);
    }
    int64_t quarter = cb_quarter_down(from);
    return from % CB_QUARTER_MINUTES == 0 ? add_quarters(audience, quarter, quarter + 1) : 0;
}

static int add_kept(struct cb_audience *audience, int64_t from, int64_t to) {
    int64_t first = cb_quarter_up(from), last = cb_quarter_down(to);
    if (first > last || from >= to) {
        return add_part(audience, from, to);
    }
    int rc = add_part(audience, from, first * CB_QUARTER_MINUTES);
    rc = rc == 0 ? add_quarters(audience, first, last) : rc;
    return rc == 0 ? add_part(audience, last * CB_QUARTER_MINUTES, to) : rc;
}

/* ---- days ---- */

struct cb_key cb_audience_from(const struct cb_audience *audience, int64_t from) {
    int64_t quarter = cb_quarter_up(from);
    return cb_key_unique_day(audience->site, quarter > 0 ? (uint32_t)quarter : 0, 0, 0, 0);
}

int cb_audience_day(struct cb_audience *audience, struct cb_key *at, int64_t end,
                    struct cb_site_day *out) {
    enum { SITE = 4, QUARTER = 4, QUARTERS = 8, LEN = 17 };
    int rc = cb_walk_to(&audience->days, at);
    if (rc != 0 || !cb_walk_at(&audience->days, at, SITE)) {
        return rc != 0 ? rc : CB_ENOENT;
    }
    const uint8_t *p = (const uint8_t *)audience->days.key.p;
    if (audience->days.key.len != LEN) {
        return CB_ECORRUPT;
    }
    out->quarter = cb_be32_get(p + QUARTER);
    out->quarters = p[QUARTERS];
    out->from = (int64_t)out->quarter * CB_QUARTER_MINUTES;
    out->to = out->from + out->quarters * CB_QUARTER_MINUTES;
    *at = out->quarters < UINT8_MAX
              ? cb_key_unique_day(audience->site, out->quarter, (uint8_t)(out->quarters + 1), 0, 0)
              : cb_key_unique_day(audience->site, out->quarter + 1, 0, 0, 0);
    return out->from < end ? 0 : CB_ENOENT;
}

/* Into a set, or *n of them. */
static int read_day(struct cb_audience *audience, const struct cb_site_day *day, uint32_t name_id,
                    struct cb_ordinals *set, uint64_t *n) {
    enum { CHUNK = 13 };
    struct cb_key key = cb_key_unique_day(audience->site, day->quarter, day->quarters, name_id, 0);
    struct cb_walk *walk = &audience->days;
    int rc = cb_walk_to(walk, &key);
    while (rc == 0 && cb_walk_at(walk, &key, CHUNK)) {
        rc = n ? cb_ordinal_set_count(walk->value, n)
               : cb_ordinals_add(set, cb_be32_get((const uint8_t *)walk->key.p + CHUNK),
                                 walk->value);
        rc = rc == 0 ? cb_walk_next(walk) : rc;
    }
    return rc == CB_ENOENT ? 0 : rc;
}

int cb_audience_add_day(struct cb_audience *audience, const struct cb_site_day *day,
                        uint32_t name_id, struct cb_ordinals *set) {
    return read_day(audience, day, name_id, set, NULL);
}

/* How days lie to a range. */
struct reach {
    int64_t left, right;      /* days reach in up to left, and out from right on */
    size_t n;                 /* days that are in it */
    struct cb_site_day first; /* of them; not in the set unless there are more */
    bool counted;             /* n_first is known: a range that several days may lie in has none */
    uint64_t n_first;
};

enum { LONGEST = CB_ZONE_DAY_QUARTERS_MAX * CB_QUARTER_MINUTES };

static int add_to_set(struct cb_audience *audience, const struct cb_site_day *day) {
    return read_day(audience, day, audience->name_id, &audience->set, NULL);
}

/* A day that lies in the range. The first is counted while the walk stands at it: most ranges are
 * one day. */
static int take_day(struct cb_audience *audience, const struct cb_site_day *day,
                    struct reach *reach) {
    reach->n++;
    if (reach->n == 1) {
        reach->first = *day;
        return reach->counted ? read_day(audience, day, audience->name_id, NULL, &reach->n_first)
                              : 0;
    }
    int rc = reach->n == 2 ? add_to_set(audience, &reach->first) : 0;
    return rc == 0 ? add_to_set(audience, day) : rc;
}

/* What a day is to [from, to), which it reaches into. half: it also lies in it where its middle
 * does. */
static int look_at_day(struct cb_audience *audience, const struct cb_site_day *day, int64_t from,
                       int64_t to, bool half, struct reach *reach) {
    const int64_t middle = (day->from + day->to) / 2;
    if (day->from < from && day->to > reach->left) {
        reach->left = day->to;
    }
    if (day->to > to && day->from < reach->right) {
        reach->right = day->from;
    }
    return (day->from >= from && day->to <= to) || (half && middle >= from && middle < to)
               ? take_day(audience, day, reach)
               : 0;
}

/* Adds the days that lie in [from, to), if there are several. half: also those over an edge whose
 * middle lies in it. */
static int add_days(struct cb_audience *audience, int64_t from, int64_t to, bool half,
                    struct reach *out) {
    struct cb_site_day day, *ahead = audience->ahead;
    size_t i = 0, kept = 0;
    int rc = 0;
    *out = (struct reach){.left = from, .right = to, .counted = to - from <= LONGEST};
    if (from < audience->since) {
        audience->n_ahead = 0;
        audience->next = cb_audience_from(audience, from - LONGEST);
    }
    for (bool more = true; more && rc == 0; i++) {
        if (i < audience->n_ahead) {
            day = ahead[i];
        } else {
            rc = cb_audience_day(audience, &audience->next, INT64_MAX, &day);
        }
        more = rc == 0 && (day.from < to || i + 1 < audience->n_ahead);
        if (rc == 0 && day.from < to) {
            rc = look_at_day(audience, &day, from, to, half, out);
        }
        if (rc == 0 && day.to > to) {
            if (kept < CB_DAYS_AHEAD) {
                ahead[kept] = day; /* read already: kept is i at most */
            }
            kept++;
        }
    }
    /* Of more days than there is room for, of several zones, the next range begins anew. */
    bool known = (rc == 0 || rc == CB_ENOENT) && kept <= CB_DAYS_AHEAD;
    audience->n_ahead = known ? kept : 0;
    audience->since = known ? to : INT64_MAX;
    /* One day may reach over both edges; of two zones' days one over each, and these meet. */
    out->left = out->left < to ? out->left : to;
    out->right = out->right > out->left ? out->right : out->left;
    return rc == CB_ENOENT ? 0 : rc;
}

/* Counts what add_days found: one day by its rows, several by the set. */
static int count_days(struct cb_audience *audience, const struct reach *reach, uint64_t *n) {
    *n = reach->n > 1 ? cb_ordinals_count(&audience->set) : reach->n_first;
    return reach->n == 1 && !reach->counted
               ? read_day(audience, &reach->first, audience->name_id, NULL, n)
               : 0;
}

/* By the days of the site alone: those whose middle lies in the range stand for it. */
static int count_by_days(struct cb_audience *audience, int64_t from, int64_t to,
                         struct cb_distinct *out) {
    struct reach reach;
    cb_ordinals_clear(&audience->set);
    int rc = add_days(audience, from, to, true, &reach);
    rc = rc == 0 ? count_days(audience, &reach, &out->n) : rc;
    out->known = reach.n > 0 ? CB_KNOWN_BY_DAYS : CB_UNKNOWN;
    return rc;
}

/* Whole quarters of one hour. */
static bool is_of_hour(int64_t from, int64_t to) {
    return from < to && from % CB_QUARTER_MINUTES == 0 && to % CB_QUARTER_MINUTES == 0 &&
           from / 60 == (to - 1) / 60;
}

int cb_audience_count(struct cb_audience *audience, int64_t from, int64_t to,
                      struct cb_distinct *out) {
    enum {
        SHORT = 20 * 60
    }; /* less than a day of any zone: no days inside, none to stand for it */
    struct reach reach = {.left = to, .right = to};
    int rc = 0;
    *out = (struct cb_distinct){0, CB_KNOWN};
    if (is_of_hour(from, to) && from >= audience->kept.quarters_from) {
        unsigned quarters = (unsigned)(to - from) / CB_QUARTER_MINUTES;
        unsigned mask = ((1u << quarters) - 1) << from / CB_QUARTER_MINUTES % CB_HOUR_QUARTERS;
        return read_hour(audience, from / 60, mask, &out->n);
    }
    cb_ordinals_clear(&audience->set);
    if (to - from >= SHORT || from < audience->kept.quarters_from) {
        rc = add_days(audience, from, to, false, &reach);
    }
    if (rc != 0) {
        return rc;
    }
    int64_t edge = from < reach.left ? from : reach.right;
    if (edge == to) {
        return count_days(audience, &reach, &out->n);
    }
    if (edge < audience->kept.quarters_from) {
        out->known = CB_UNKNOWN;
        return to - from >= SHORT ? count_by_days(audience, from, to, out) : 0;
    }
    rc = reach.n == 1 ? add_to_set(audience, &reach.first) : 0;
    rc = rc == 0 ? add_kept(audience, from, reach.left) : rc;
    rc = rc == 0 ? add_kept(audience, reach.right, to) : rc;
    out->n = cb_ordinals_count(&audience->set);
    return rc;
}
