/* SPDX-License-Identifier: MIT
 * visits.c: the rollups of sessions: how many, how long, how far down the funnel, how fast, and
 * what became of triggers, by quarter hour and by day (UTC) of their start.
 *
 * A session that changes is taken out as it was and put in as it is, so the sums are exact at any
 * moment and no trace of what was is left. Rows that a change does not concern are not touched. */
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

/* A row lists those of its 32 triggers that have visits, by number. */
static int change_trigger(struct cb_views *views, struct cb_row *row, const struct cb_visit *visit,
                          int sign) {
    size_t at = 0;
    while (at < row->len && cb_be16_get(row->data + at) < visit->trigger) {
        at += CB_TRIGGER_ENTRY_BYTES;
    }
    int rc = row->len % CB_TRIGGER_ENTRY_BYTES != 0 ? CB_ECORRUPT : 0;
    if (rc == 0 && (at == row->len || cb_be16_get(row->data + at) != visit->trigger)) {
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
                    const struct cb_visit *visit, struct cb_row **row) {
    uint32_t quarter = cb_visit_quarter(visit);
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
                       const struct cb_visit *visit, int sign) {
    if (!concerns(kind, visit)) {
        return 0;
    }
    struct cb_row *row;
    int rc = find_row(views, site, kind, grain, visit, &row);
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

int cb_visits_change(struct cb_views *views, uint32_t site, const struct cb_visit *before,
                     const struct cb_visit *after, bool more) {
    bool moved = !before || !after || cb_visit_quarter(before) != cb_visit_quarter(after);
    unsigned kinds = more || moved ? KINDS : CB_VISITS_SESSIONS + 1;
    int rc = 0;
    for (unsigned kind = 0; rc == 0 && kind < kinds; kind++) {
        if (!moved && alike(kind, before, after)) {
            continue;
        }
        for (unsigned grain = 0; rc == 0 && grain <= CB_VISITS_DAY; grain++) {
            /* In before out: a row that stays is never empty in between. */
            rc = after ? change_kind(views, site, kind, grain, after, 1) : 0;
            if (rc == 0 && before) {
                rc = change_kind(views, site, kind, grain, before, -1);
            }
        }
    }
    return rc;
}
