/* SPDX-License-Identifier: MIT
 * sessions.c: a visitor's events with no more than an idle gap between them are one session.
 *
 * A late event joins the session that it belongs to (of several, the one opened last), else opens
 * one; sessions never merge, and the order of folding is journal order (DESIGN, "Late events"). The
 * session opened last stands in the visitor's row until the next one is opened, however long; those
 * before it stand in rows of up to 16, by their number, while late events may still join them (the
 * sweep forgets them: sweep_sessions.h). So one row holds all that an event needs, nearly always.
 * What the reports make of a session is in visit.h, and changes their rows (visits.c) as it
 * changes. Bots have no sessions. */
#include "store/folds/folds.h"
#include "store/reader.h"
#include "store/retained.h"
#include "store/rows.h"
#include "store/sweep_sessions.h"

static bool is_within(const struct cb_fold_ctx *ctx, int64_t start_ms, int64_t end_ms) {
    int64_t gap_ms = ctx->here->gap_ms;
    return ctx->true_ms >= start_ms - gap_ms && ctx->true_ms <= end_ms + gap_ms;
}

static struct cb_str value_of(const struct cb_row *row) {
    return (struct cb_str){(const char *)row->data, row->len};
}

/* A part of the older sessions. none: there is none yet. */
static int read_part(struct cb_fold_ctx *ctx, uint32_t part, bool none, struct cb_row **row) {
    struct cb_key key = cb_key_sessions(ctx->site, ctx->ordinal, part);
    return none ? cb_views_row_unread(ctx->views, CB_TABLE_SESSIONS, &key, false, row)
                : cb_views_row(ctx->views, CB_TABLE_SESSIONS, &key, row);
}

/* Puts a session into a row of older ones, in the place of what stands `before` bytes long at `at`.
 */
static int put_older(struct cb_fold_ctx *ctx, struct cb_row *row, size_t at, size_t before,
                     const struct cb_visit *visit) {
    uint8_t bytes[1 + CB_VISIT_BYTES_MAX];
    size_t len = cb_visit_encode(visit, bytes + 1) + 1, behind = row->len - at - before;
    int rc = len > before ? cb_row_resize(ctx->views, row, at + len + behind) : 0;
    if (rc != 0) {
        return rc;
    }
    bytes[0] = (uint8_t)(len - 1);
    memmove(row->data + at + len, row->data + at + before, behind);
    memcpy(row->data + at, bytes, len);
    return cb_row_resize(ctx->views, row, at + len + behind);
}

/* Sessions are counted in the minute of their start, which a late event may move. */
static int count_start(struct cb_fold_ctx *ctx, const struct cb_visit *visit, int change) {
    int64_t start = visit->start_ms / 60000;
    uint32_t minute = start < UINT32_MAX ? (uint32_t)start : UINT32_MAX;
    int rc = cb_counts_change(ctx->views, ctx->site, CB_NAME_ID_SESSIONS, minute, change);
    return rc == 0 ? cb_minutes_change(ctx, CB_NAME_ID_SESSIONS, minute, change) : rc;
}

/* Leaves out a session whose rollups are gone because the site keeps them no longer: a visit that
 * began in the last two days of the journal is not looked up, since a day is the least that sites
 * keep. */
static int leave_out_gone(struct cb_fold_ctx *ctx, const struct cb_visit **visit) {
    const int64_t day_ms = INT64_C(86400000);
    bool gone = false;
    int rc = 0;
    if (*visit && (*visit)->start_ms / day_ms + 1 < ctx->journal_ms / day_ms) {
        rc = cb_retained_gone(ctx->views, ctx->site, (uint32_t)((*visit)->start_ms / 60000), &gone);
    }
    *visit = gone ? NULL : *visit;
    return rc;
}

/* Writes the session at hand, and takes it from what it was to what it is in all that sums up
 * sessions. */
static int on_end(struct cb_fold_ctx *ctx) {
    struct cb_fold_session *session = &ctx->session;
    const struct cb_visit *before = session->fresh ? NULL : &session->before;
    const struct cb_visit *now = session->now;
    if (!now) {
        return 0;
    }
    session->now = NULL;
    int rc =
        now == &session->older ? put_older(ctx, session->row, session->at, session->len, now) : 0;
    rc = rc == 0 ? leave_out_gone(ctx, &before) : rc;
    rc = rc == 0 ? leave_out_gone(ctx, &now) : rc;
    if (rc != 0 || (!before && !now)) {
        return rc;
    }
    if (!before || !now || before->start_ms / 60000 != now->start_ms / 60000) {
        rc = before ? count_start(ctx, before, -1) : 0;
        rc = rc == 0 && now ? count_start(ctx, now, 1) : rc;
    }
    return rc == 0 ? cb_visits_change(ctx->views, ctx->site, before, now, session->more) : rc;
}

static void take_session(struct cb_fold_ctx *ctx, struct cb_visit *visit) {
    ctx->session.now = visit;
    ctx->session.fresh = ctx->session.more = false;
    ctx->session.before = *visit;
}

/* Takes the session of a row that the event at hand belongs to, if there is one: of several the
 * last. */
static int take_in(struct cb_fold_ctx *ctx, struct cb_row *row) {
    struct cb_fold_session *session = &ctx->session;
    struct cb_str visits[CB_VISIT_LIST_MAX];
    size_t n;
    int rc = cb_visit_list(value_of(row), visits, &n);
    while (rc == 0 && n-- > 0) {
        int64_t start_ms, end_ms;
        rc = cb_visit_span(visits[n], &start_ms, &end_ms);
        if (rc == 0 && is_within(ctx, start_ms, end_ms)) {
            rc = cb_visit_decode(visits[n], &session->older);
            session->row = row;
            session->at = (size_t)(visits[n].p - (const char *)row->data) - 1;
            session->len = visits[n].len + 1;
            take_session(ctx, &session->older);
            break;
        }
    }
    return rc;
}

/* Looks through the sessions before the last one, the newest first. */
static int take_older(struct cb_fold_ctx *ctx) {
    struct cb_visitor_row *visitor = &ctx->visitor.now;
    uint32_t next = cb_visitor_parts_end(visitor), there = next;
    int rc = 0;
    while (rc == 0 && !ctx->session.now && next > visitor->part) {
        struct cb_row *row;
        rc = read_part(ctx, --next, false, &row);
        if (rc == 0 && row->len > 0) {
            there = next;
            rc = take_in(ctx, row);
        }
    }
    if (rc == 0 && !ctx->session.now) {
        visitor->part = there; /* the parts before it are gone */
    }
    return rc;
}

/* Makes room for another session: the last one goes to the older ones, unless it ended so long
 * before the event at hand that no other can be so late. Where there would be more parts than 8
 * days can fill, as a clock that jumped may bring about, the oldest goes. */
static int move_last(struct cb_fold_ctx *ctx) {
    struct cb_visitor_row *visitor = &ctx->visitor.now;
    const uint32_t end = cb_visitor_parts_end(visitor);
    const uint32_t part = (visitor->sessions - 1) / CB_VISIT_LIST_MAX;
    struct cb_row *row;
    if (cb_sessions_out_of_reach(&visitor->session, ctx->true_ms)) {
        visitor->part = visitor->part == end ? part + 1 : visitor->part;
        return 0;
    }
    int rc = read_part(ctx, part, part == end || part < visitor->part, &row);
    rc = rc == 0 ? put_older(ctx, row, row->len, 0, &visitor->session) : rc;
    visitor->part = part < visitor->part ? part : visitor->part;
    if (rc == 0 && part - visitor->part >= CB_SESSION_PARTS_MAX) {
        rc = read_part(ctx, visitor->part++, false, &row);
        rc = rc == 0 && row->len > 0 ? cb_row_resize(ctx->views, row, 0) : rc;
    }
    return rc;
}

static int open_session(struct cb_fold_ctx *ctx) {
    struct cb_visitor_row *visitor = &ctx->visitor.now;
    int rc = visitor->sessions > 0 ? move_last(ctx) : 0;
    if (rc == 0) {
        visitor->sessions++;
        cb_visit_init(&visitor->session, ctx->true_ms);
        ctx->session.now = &visitor->session;
        ctx->session.fresh = ctx->session.more = true;
    }
    return rc;
}

static int find_session(struct cb_fold_ctx *ctx) {
    struct cb_visitor_row *visitor = &ctx->visitor.now;
    if (visitor->sessions > 0 &&
        is_within(ctx, visitor->session.start_ms, visitor->session.end_ms)) {
        take_session(ctx, &visitor->session);
        return 0;
    }
    /* Behind all that he was seen at there is no session. */
    bool late = ctx->true_ms <= ctx->visitor.seen_before_ms + ctx->here->gap_ms;
    int rc = late ? take_older(ctx) : 0;
    return rc == 0 && !ctx->session.now ? open_session(ctx) : rc;
}

static int on_event(struct cb_fold_ctx *ctx) {
    if (!ctx->envelope->has_visitor || ctx->envelope->bot) {
        return 0;
    }
    struct cb_fold_session *session = &ctx->session;
    uint16_t trigger = CB_TRIGGER_NONE;
    int rc = 0;
    if (ctx->event->name_code == CB_NAME_TRIGGER) {
        rc = cb_triggers_number(ctx->views, ctx->site, ctx->event->props, &trigger);
    }
    bool at_hand = session->now == &ctx->visitor.now.session &&
                   is_within(ctx, session->now->start_ms, session->now->end_ms);
    if (rc == 0 && !at_hand) {
        rc = on_end(ctx);
        rc = rc == 0 ? find_session(ctx) : rc;
    }
    if (rc == 0 && cb_visit_add(session->now, ctx->event, ctx->true_ms, trigger)) {
        session->more = true;
    }
    return rc;
}

const struct cb_fold_ops cb_fold_sessions = {.name = "sessions", .event = on_event, .end = on_end};
