/* SPDX-License-Identifier: MIT
 * behaviour.c: what visitors did in their visits: the rollups of sessions (folds/visits.c) summed
 * over a range: whole days inside, quarter hours at the edges. Each is one run of keys. */
#include <stdlib.h>

#include "store/rows.h"
#include "store/snapshot.h"

enum { QUARTERS_DAY = 24 * 60 / CB_QUARTER_MINUTES, PREFIX_BYTES = 6 /* site, kind, grain */ };

typedef int each_fn(void *user, struct cb_str value);

static int scan_run(struct cb_db_cursor *cursor, struct cb_key from, int64_t end, each_fn *each,
                    void *user) {
    struct cb_str key, value;
    int rc = cb_db_seek(cursor, cb_key_str(&from), &key, &value);
    for (; rc == 0; rc = cb_db_next(cursor, &key, &value)) {
        if (key.len < PREFIX_BYTES + 4 || memcmp(key.p, from.bytes, PREFIX_BYTES) != 0 ||
            cb_be32_get((const uint8_t *)key.p + PREFIX_BYTES) >= end) {
            return 0;
        }
        rc = each(user, value);
        if (rc != 0) {
            return rc;
        }
    }
    return rc == CB_ENOENT ? 0 : rc;
}

/* Calls each for the rows of a kind in [from, to) minutes. */
static int scan(struct cb_snapshot *snapshot, uint32_t site, unsigned kind, int64_t from,
                int64_t to, each_fn *each, void *user) {
    from = from > 0 ? from / CB_QUARTER_MINUTES : 0;
    to = to < UINT32_MAX ? to / CB_QUARTER_MINUTES : UINT32_MAX / CB_QUARTER_MINUTES;
    if (from >= to) {
        return 0;
    }
    int64_t day_from = (from + QUARTERS_DAY - 1) / QUARTERS_DAY, day_to = to / QUARTERS_DAY;
    struct run {
        uint8_t grain;
        int64_t from, to;
    } runs[] = {{CB_VISITS_QUARTER, from, to}, {0, 0, 0}, {0, 0, 0}};
    if (day_from < day_to) {
        runs[0].to = day_from * QUARTERS_DAY;
        runs[1] = (struct run){CB_VISITS_DAY, day_from, day_to};
        runs[2] = (struct run){CB_VISITS_QUARTER, day_to * QUARTERS_DAY, to};
    }
    struct cb_db_cursor *cursor;
    int rc =
        cb_db_cursor_open(snapshot->txn, cb_views_table(snapshot->views, CB_TABLE_VISITS), &cursor);
    if (rc != 0) {
        return rc;
    }
    for (unsigned i = 0; rc == 0 && i < 3; i++) {
        if (runs[i].from < runs[i].to) {
            rc = scan_run(cursor,
                          cb_key_visits(site, (uint8_t)kind, runs[i].grain, (uint32_t)runs[i].from),
                          runs[i].to, each, user);
        }
    }
    cb_db_cursor_close(&cursor);
    return rc;
}

static int add_sessions(void *user, struct cb_str value) {
    struct cb_session_sums *sums = user;
    const uint8_t *p = (const uint8_t *)value.p;
    if (value.len < CB_VISITS_SESSIONS_HEAD) {
        return CB_ECORRUPT;
    }
    sums->sessions += cb_be32_get(p + CB_VISITS_COUNT);
    sums->interacted += cb_be32_get(p + CB_VISITS_INTERACTED);
    sums->bounced += cb_be32_get(p + CB_VISITS_BOUNCED);
    sums->events += cb_be64_get(p + CB_VISITS_EVENTS);
    sums->duration_ms += cb_be64_get(p + CB_VISITS_DURATION);
    return cb_hist_merge_packed(&sums->durations, p + CB_VISITS_SESSIONS_HEAD,
                                value.len - CB_VISITS_SESSIONS_HEAD);
}

int cb_snapshot_sessions(struct cb_snapshot *snapshot, uint32_t site, int64_t from, int64_t to,
                         struct cb_session_sums *out) {
    memset(out, 0, sizeof(*out));
    return scan(snapshot, site, CB_VISITS_SESSIONS, from, to, add_sessions, out);
}

static int add_funnel(void *user, struct cb_str value) {
    struct cb_funnel *funnel = user;
    const uint8_t *p = (const uint8_t *)value.p;
    if (value.len != CB_ROW_FUNNEL_BYTES) {
        return CB_ECORRUPT;
    }
    for (unsigned i = 0; i < CB_STEP_COUNT; i++) {
        funnel->reached[i] += cb_be32_get(p + 4 * i);
        funnel->happened[i] += cb_be32_get(p + 4 * (CB_STEP_COUNT + i));
    }
    return 0;
}

int cb_snapshot_funnel(struct cb_snapshot *snapshot, uint32_t site, int64_t from, int64_t to,
                       struct cb_funnel *out) {
    memset(out, 0, sizeof(*out));
    return scan(snapshot, site, CB_VISITS_FUNNEL, from, to, add_funnel, out);
}

static int add_timing(void *user, struct cb_str value) {
    return cb_hist_merge_packed(user, (const uint8_t *)value.p, value.len);
}

int cb_snapshot_timing(struct cb_snapshot *snapshot, uint32_t site, int64_t from, int64_t to,
                       enum cb_timing timing, struct cb_hist *out) {
    memset(out, 0, sizeof(*out));
    return scan(snapshot, site, CB_VISITS_TIMINGS + (unsigned)timing, from, to, add_timing, out);
}

/* ---- triggers ---- */

enum { NUMBERS = CB_TRIGGER_FIRST + CB_TRIGGERS_MAX };

static int add_triggers(void *user, struct cb_str value) {
    struct cb_trigger_sums *sums = user;
    if (value.len % CB_TRIGGER_ENTRY_BYTES != 0) {
        return CB_ECORRUPT;
    }
    for (size_t at = 0; at < value.len; at += CB_TRIGGER_ENTRY_BYTES) {
        const uint8_t *p = (const uint8_t *)value.p + at;
        unsigned number = cb_be16_get(p);
        if (number >= NUMBERS) {
            return CB_ECORRUPT;
        }
        for (unsigned i = 0; i < CB_OUTCOME_COUNT; i++) {
            sums[number].outcomes[i] += cb_be32_get(p + 2 + 4 * i);
        }
    }
    return 0;
}

/* Puts the ids and names to the numbers. */
static int name_triggers(struct cb_snapshot *snapshot, uint32_t site,
                         struct cb_trigger_sums *sums) {
    struct cb_db_cursor *cursor;
    int rc = cb_db_cursor_open(snapshot->txn, cb_views_table(snapshot->views, CB_TABLE_TRIGGERS),
                               &cursor);
    if (rc != 0) {
        return rc;
    }
    struct cb_key from = cb_key_site(site);
    struct cb_str key, value;
    for (rc = cb_db_seek(cursor, cb_key_str(&from), &key, &value); rc == 0;
         rc = cb_db_next(cursor, &key, &value)) {
        if (key.len < from.len || memcmp(key.p, from.bytes, from.len) != 0) {
            break;
        }
        unsigned number = value.len >= 2 ? cb_be16_get((const uint8_t *)value.p) : NUMBERS;
        if (key.len == from.len) {
            continue; /* how many there are */
        }
        if (number >= NUMBERS) {
            rc = CB_ECORRUPT;
            break;
        }
        sums[number].id = (struct cb_str){key.p + from.len, key.len - from.len};
        sums[number].name = (struct cb_str){value.p + 2, value.len - 2};
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT ? 0 : rc;
}

int cb_snapshot_triggers(struct cb_snapshot *snapshot, uint32_t site, int64_t from, int64_t to,
                         struct cb_trigger_sums **out, size_t *n) {
    struct cb_trigger_sums *sums = calloc(NUMBERS, sizeof(*sums));
    if (!sums) {
        return CB_ENOMEM;
    }
    int rc = scan(snapshot, site, CB_VISITS_TRIGGERS, from, to, add_triggers, sums);
    rc = rc == 0 ? name_triggers(snapshot, site, sums) : rc;
    if (rc != 0) {
        free(sums);
        return rc;
    }
    *n = 0;
    for (unsigned i = 0; i < NUMBERS; i++) {
        if (sums[i].outcomes[CB_OUTCOME_VISITS] > 0) {
            sums[i].number = i;
            sums[(*n)++] = sums[i];
        }
    }
    *out = sums;
    return 0;
}
