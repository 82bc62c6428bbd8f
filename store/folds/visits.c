/* SPDX-License-Identifier: MIT
 * visits.c: the rollups of sessions: how many, how long, how far down the funnel, how fast, and
 * what became of triggers, by quarter hour and by day (UTC) of their start.
 *
 * A session that changes is taken out as it was and put in as it is, so the sums are exact at any
 * moment and no trace of what was is left. Where it stays in its row, as nearly always, that is the
 * difference of the two. Rows that a change does not concern are not touched. */
#include "store/folds/folds.h"
#include "store/rows.h"

enum { QUARTERS_DAY = 24 * 60 / CB_QUARTER_MINUTES };

static int add_u32(uint8_t *p, int64_t change) {
    int64_t sum = (int64_t)cb_be32_get(p) + change;
    if (sum < 0 || sum > UINT32_MAX) {
        return CB_ECORRUPT;
    }
    cb_be32_put(p, (uint32_t)sum);
    return 0;
}

static void add_u64(uint8_t *p, uint64_t change) {
    cb_be64_put(p, cb_be64_get(p) + change);
}

/* Adds sign for each bit to the counters at p. */
static int add_bits(uint8_t *p, unsigned bits, int sign) {
    int rc = 0;
    for (; rc == 0 && bits != 0; bits &= bits - 1) {
        rc = add_u32(p + 4 * (unsigned)__builtin_ctz(bits), sign);
    }
    return rc;
}

/* … for those of `after` that `before` had not, and takes away for those that only it had. */
static int move_bits(uint8_t *p, unsigned before, unsigned after) {
    int rc = add_bits(p, after & ~before, 1);
    return rc == 0 ? add_bits(p, before & ~after, -1) : rc;
}

/* ---- what each kind of row makes of a session; sign: 1 in, -1 out ---- */

static uint64_t duration_of(const struct cb_visit *visit) {
    return (uint64_t)(visit->end_ms - visit->start_ms);
}

static int change_sessions(struct cb_views *views, struct cb_row *row, const struct cb_visit *visit,
                           int sign) {
    uint32_t len = row->len > CB_VISITS_SESSIONS_HEAD ? row->len : CB_VISITS_SESSIONS_HEAD;
    int rc = cb_row_resize(views, row, len + CB_HIST_ENTRY_BYTES);
    if (rc != 0) {
        return rc;
    }
    uint8_t *p = row->data;
    uint64_t factor = (uint64_t)(int64_t)sign;
    add_u64(p + CB_VISITS_EVENTS, factor * visit->events);
    add_u64(p + CB_VISITS_DURATION, factor * duration_of(visit));
    size_t packed = len - CB_VISITS_SESSIONS_HEAD;
    rc = cb_hist_packed_change(p + CB_VISITS_SESSIONS_HEAD, &packed,
                               cb_hist_bucket(duration_of(visit)), sign);
    rc = rc == 0 ? add_u32(p + CB_VISITS_COUNT, sign) : rc;
    if (rc == 0 && cb_visit_interacted(visit)) {
        rc = add_u32(p + CB_VISITS_INTERACTED, sign);
    }
    if (rc == 0 && cb_visit_bounced(visit)) {
        rc = add_u32(p + CB_VISITS_BOUNCED, sign);
    }
    bool empty = rc == 0 && cb_be32_get(p + CB_VISITS_COUNT) == 0;
    row->len = empty ? 0 : (uint32_t)(CB_VISITS_SESSIONS_HEAD + packed);
    return rc;
}

static int change_funnel(struct cb_views *views, struct cb_row *row, const struct cb_visit *visit,
                         int sign) {
    static const uint8_t nothing[CB_ROW_FUNNEL_BYTES];
    int rc = row->len == 0 ? cb_row_resize(views, row, CB_ROW_FUNNEL_BYTES) : 0;
    if (rc == 0 && row->len != CB_ROW_FUNNEL_BYTES) {
        rc = CB_ECORRUPT;
    }
    rc = rc == 0 ? add_bits(row->data, cb_visit_reached(visit), sign) : rc;
    rc = rc == 0 ? add_bits(row->data + 4 * CB_STEP_COUNT, cb_visit_happened(visit), sign) : rc;
    if (rc == 0 && memcmp(row->data, nothing, sizeof(nothing)) == 0) {
        row->len = 0;
    }
    cb_row_touch(row);
    return rc;
}

static int change_timing(struct cb_views *views, struct cb_row *row, int64_t ms, int sign) {
    size_t packed = row->len;
    int rc = cb_row_resize(views, row, packed + CB_HIST_ENTRY_BYTES);
    if (rc == 0) {
        rc = cb_hist_packed_change(row->data, &packed, cb_hist_bucket((uint64_t)ms), sign);
        row->len = (uint32_t)packed;
    }
    return rc;
}

/* A row lists those of its 32 triggers that have visits, by number. Whether this one is there, and
 * where, or where it belongs. */
static int find_trigger(const struct cb_row *row, uint16_t trigger, size_t *at, bool *there) {
    if (row->len % CB_TRIGGER_ENTRY_BYTES != 0) {
        return CB_ECORRUPT;
    }
    *at = 0;
    while (*at < row->len && cb_be16_get(row->data + *at) < trigger) {
        *at += CB_TRIGGER_ENTRY_BYTES;
    }
    *there = *at < row->len && cb_be16_get(row->data + *at) == trigger;
    return 0;
}

static int change_trigger(struct cb_views *views, struct cb_row *row, const struct cb_visit *visit,
                          int sign) {
    size_t at;
    bool there;
    int rc = find_trigger(row, visit->trigger, &at, &there);
    if (rc == 0 && !there) {
        size_t behind = row->len - at;
        rc = cb_row_resize(views, row, row->len + CB_TRIGGER_ENTRY_BYTES);
        if (rc == 0) {
            memmove(row->data + at + CB_TRIGGER_ENTRY_BYTES, row->data + at, behind);
            memset(row->data + at, 0, CB_TRIGGER_ENTRY_BYTES);
            cb_be16_put(row->data + at, visit->trigger);
        }
    }
    if (rc != 0) {
        return rc;
    }
    rc = add_bits(row->data + at + 2, cb_visit_outcomes(visit), sign);
    if (rc == 0 && cb_be32_get(row->data + at + 2 + 4 * CB_OUTCOME_VISITS) == 0) {
        size_t next = at + CB_TRIGGER_ENTRY_BYTES;
        memmove(row->data + at, row->data + next, row->len - next);
        row->len -= CB_TRIGGER_ENTRY_BYTES;
    }
    cb_row_touch(row);
    return rc;
}

/* ---- … of one that stays in the row: what it is more, or less, than it was ---- */

static int go_on_sessions(struct cb_views *views, struct cb_row *row, const struct cb_visit *before,
                          const struct cb_visit *after) {
    unsigned from = cb_hist_bucket(duration_of(before)), to = cb_hist_bucket(duration_of(after));
    int interacted = cb_visit_interacted(after) - cb_visit_interacted(before);
    int bounced = cb_visit_bounced(after) - cb_visit_bounced(before);
    size_t packed = row->len - CB_VISITS_SESSIONS_HEAD;
    int rc = row->len < CB_VISITS_SESSIONS_HEAD ? CB_ECORRUPT : 0;
    if (rc == 0 && from != to) {
        rc = cb_row_resize(views, row, row->len + CB_HIST_ENTRY_BYTES);
        uint8_t *hist = row->data + CB_VISITS_SESSIONS_HEAD;
        rc = rc == 0 ? cb_hist_packed_change(hist, &packed, to, 1) : rc;
        rc = rc == 0 ? cb_hist_packed_change(hist, &packed, from, -1) : rc;
        row->len = (uint32_t)(CB_VISITS_SESSIONS_HEAD + packed);
    }
    if (rc == 0) {
        add_u64(row->data + CB_VISITS_EVENTS, (uint64_t)after->events - before->events);
        add_u64(row->data + CB_VISITS_DURATION, duration_of(after) - duration_of(before));
        cb_row_touch(row);
    }
    rc = rc == 0 && interacted ? add_u32(row->data + CB_VISITS_INTERACTED, interacted) : rc;
    return rc == 0 && bounced ? add_u32(row->data + CB_VISITS_BOUNCED, bounced) : rc;
}

static int go_on_funnel(struct cb_row *row, const struct cb_visit *before,
                        const struct cb_visit *after) {
    if (row->len != CB_ROW_FUNNEL_BYTES) {
        return CB_ECORRUPT;
    }
    cb_row_touch(row);
    int rc = move_bits(row->data, cb_visit_reached(before), cb_visit_reached(after));
    return rc == 0 ? move_bits(row->data + 4 * CB_STEP_COUNT, cb_visit_happened(before),
                               cb_visit_happened(after))
                   : rc;
}

static int go_on_trigger(struct cb_row *row, const struct cb_visit *before,
                         const struct cb_visit *after) {
    size_t at;
    bool there;
    int rc = find_trigger(row, after->trigger, &at, &there);
    if (rc != 0 || !there) {
        return rc != 0 ? rc : CB_ECORRUPT;
    }
    cb_row_touch(row);
    return move_bits(row->data + at + 2, cb_visit_outcomes(before), cb_visit_outcomes(after));
}

/* ---- which rows ---- */

enum { KINDS = CB_VISITS_TIMINGS + CB_TIMING_COUNT };

_Static_assert((int)KINDS == (int)CB_MEMO_VISITS_KINDS, "the memo has room for other kinds");

static bool concerns(unsigned kind, const struct cb_visit *visit) {
    return kind < CB_VISITS_TIMINGS ||
           cb_visit_timing(visit, (enum cb_timing)(kind - CB_VISITS_TIMINGS)) != CB_VISIT_NEVER;
}

static bool alike(unsigned kind, const struct cb_visit *a, const struct cb_visit *b) {
    switch (kind) {
    case CB_VISITS_SESSIONS:
        return false; /* each event is counted */
    case CB_VISITS_FUNNEL:
        return cb_visit_happened(a) == cb_visit_happened(b) &&
               cb_visit_reached(a) == cb_visit_reached(b);
    case CB_VISITS_TRIGGERS:
        return a->trigger == b->trigger && cb_visit_outcomes(a) == cb_visit_outcomes(b);
    default: {
        enum cb_timing timing = (enum cb_timing)(kind - CB_VISITS_TIMINGS);
        return cb_visit_timing(a, timing) == cb_visit_timing(b, timing);
    }
    }
}

static int find_row(struct cb_views *views, uint32_t site, unsigned kind, unsigned grain,
                    uint32_t quarter, const struct cb_visit *visit, struct cb_row **row) {
    uint8_t chunk = (uint8_t)(visit->trigger / CB_TRIGGERS_CHUNK);
    struct cb_memo_visits *memo = cb_memo_visits(cb_views_memo(views), site, quarter);
    bool first = kind != CB_VISITS_TRIGGERS || chunk == 0;
    if (first && memo->rows[kind][grain]) {
        *row = memo->rows[kind][grain];
        return 0;
    }
    uint32_t bucket = grain == CB_VISITS_DAY ? quarter / QUARTERS_DAY : quarter;
    struct cb_key key = cb_key_visits(site, (uint8_t)kind, (uint8_t)grain, bucket);
    if (kind == CB_VISITS_TRIGGERS) {
        cb_key_u8(&key, chunk);
    }
    int rc = cb_views_row(views, CB_TABLE_VISITS, &key, row);
    if (rc == 0 && first) {
        memo->rows[kind][grain] = *row;
    }
    return rc;
}

static int change_kind(struct cb_views *views, uint32_t site, unsigned kind, unsigned grain,
                       uint32_t quarter, const struct cb_visit *visit, int sign) {
    if (!concerns(kind, visit)) {
        return 0;
    }
    struct cb_row *row;
    int rc = find_row(views, site, kind, grain, quarter, visit, &row);
    if (rc != 0) {
        return rc;
    }
    switch (kind) {
    case CB_VISITS_SESSIONS:
        return change_sessions(views, row, visit, sign);
    case CB_VISITS_FUNNEL:
        return change_funnel(views, row, visit, sign);
    case CB_VISITS_TRIGGERS:
        return change_trigger(views, row, visit, sign);
    default:
        return change_timing(
            views, row, cb_visit_timing(visit, (enum cb_timing)(kind - CB_VISITS_TIMINGS)), sign);
    }
}

/* Whether a session that stays in its bucket has a place in the row already, which it keeps: a step
 * that has happened does not go again. */
static bool goes_on(unsigned kind, const struct cb_visit *before, const struct cb_visit *after) {
    return kind == CB_VISITS_SESSIONS ||
           (kind == CB_VISITS_FUNNEL && cb_visit_happened(before) != 0) ||
           (kind == CB_VISITS_TRIGGERS && before->trigger == after->trigger);
}

static int go_on(struct cb_views *views, uint32_t site, unsigned kind, unsigned grain,
                 uint32_t quarter, const struct cb_visit *before, const struct cb_visit *after) {
    struct cb_row *row;
    int rc = find_row(views, site, kind, grain, quarter, after, &row);
    if (rc != 0) {
        return rc;
    }
    switch (kind) {
    case CB_VISITS_SESSIONS:
        return go_on_sessions(views, row, before, after);
    case CB_VISITS_FUNNEL:
        return go_on_funnel(row, before, after);
    default:
        return go_on_trigger(row, before, after);
    }
}

int cb_visits_change(struct cb_views *views, uint32_t site, const struct cb_visit *before,
                     const struct cb_visit *after, bool more) {
    const uint32_t from = before ? cb_visit_quarter(before) : 0;
    const uint32_t to = after ? cb_visit_quarter(after) : 0;
    const bool stays = before && after && from == to;
    const unsigned kinds = more || !stays ? KINDS : CB_VISITS_SESSIONS + 1;
    int rc = 0;
    for (unsigned kind = 0; rc == 0 && kind < kinds; kind++) {
        if (stays && alike(kind, before, after)) {
            continue;
        }
        const bool on = stays && goes_on(kind, before, after);
        for (unsigned grain = 0; rc == 0 && grain <= CB_VISITS_DAY; grain++) {
            if (on) {
                rc = go_on(views, site, kind, grain, to, before, after);
                continue;
            }
            /* In before out: a row that stays is never empty in between. */
            rc = after ? change_kind(views, site, kind, grain, to, after, 1) : 0;
            if (rc == 0 && before) {
                rc = change_kind(views, site, kind, grain, from, before, -1);
            }
        }
    }
    return rc;
}
