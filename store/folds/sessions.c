/* SPDX-License-Identifier: MIT
 * sessions.c: a visitor's events with no more than an idle gap between them are one session.
 *
 * The sessions that late events may still join are kept, so a late event joins the one that it
 * belongs to (of several, the one opened last), else opens one; sessions never merge, and the order
 * of folding is journal order (DESIGN, "Late events"). The sweep forgets them (sweep_sessions.h).
 * One row holds all that one event needs: what the reports make of a session is in visit.h, and
 * changes their rows (visits.c) as it changes. Bots have no sessions. */
#include "store/folds/folds.h"
#include "store/reader.h"
#include "store/retained.h"
#include "store/rows.h"

static int count_in(const struct cb_row *row, size_t *n) {
    *n = row->len / CB_SESSION_BYTES;
    size_t tail = row->len % CB_SESSION_BYTES;
    return tail != 0 && tail != CB_SESSION_TAIL_BYTES ? CB_ECORRUPT : 0;
}

/* The row of the visitor's sessions that were opened last. */
static int read_newest(struct cb_fold_ctx *ctx, struct cb_row **row, size_t *n) {
    struct cb_row **known = &ctx->sender->sessions;
    int rc = 0;
    if (!*known) {
        struct cb_key key = cb_key_visitor(ctx->site, ctx->ordinal);
        rc = ctx->newcomer ? cb_views_row_unread(ctx->views, CB_TABLE_SESSIONS, &key, false, known)
                           : cb_views_row(ctx->views, CB_TABLE_SESSIONS, &key, known);
    }
    *row = *known;
    return rc == 0 ? count_in(*row, n) : rc;
}

/* A part of the older ones. */
static int read_row(struct cb_fold_ctx *ctx, const struct cb_key *key, struct cb_row **row,
                    size_t *n) {
    int rc = cb_views_row(ctx->views, CB_TABLE_SESSIONS, key, row);
    return rc == 0 ? count_in(*row, n) : rc;
}

static bool is_within(const struct cb_fold_ctx *ctx, int64_t start_ms, int64_t end_ms) {
    int64_t gap_ms = ctx->here->gap_ms;
    return ctx->true_ms >= start_ms - gap_ms && ctx->true_ms <= end_ms + gap_ms;
}

/* The session of a row that the event at hand belongs to, newest first, or NULL. */
static uint8_t *find_in(struct cb_fold_ctx *ctx, struct cb_row *row, size_t n) {
    while (n-- > 0) {
        uint8_t *session = row->data + n * CB_SESSION_BYTES;
        if (is_within(ctx, (int64_t)cb_be64_get(session + CB_SESSION_START),
                      (int64_t)cb_be64_get(session + CB_SESSION_END))) {
            return session;
        }
    }
    return NULL;
}

static void read_tail(const struct cb_row *row, size_t n, uint32_t *first, uint32_t *next) {
    const uint8_t *tail = row->data + n * CB_SESSION_BYTES;
    *first = *next = 0;
    if (row->len > n * CB_SESSION_BYTES) {
        *first = cb_be32_get(tail);
        *next = cb_be32_get(tail + 4);
    }
}

/* Looks through the parts, the newest first. */
static int find_in_parts(struct cb_fold_ctx *ctx, uint32_t first, uint32_t next,
                         struct cb_row **row, uint8_t **session) {
    int rc = 0;
    *session = NULL;
    while (rc == 0 && !*session && next != first) {
        struct cb_key key = cb_key_session_part(ctx->site, ctx->ordinal, --next);
        size_t n;
        rc = read_row(ctx, &key, row, &n);
        *session = rc == 0 ? find_in(ctx, *row, n) : NULL;
    }
    return rc;
}

/* Moves the sessions of a full row into a new part, and leaves the tail alone behind. Where there
 * would be more parts than 8 days can fill, as a clock that jumped may bring about, the oldest
 * goes. */
static int move_to_part(struct cb_fold_ctx *ctx, struct cb_row *row, size_t n, uint32_t first,
                        uint32_t next) {
    for (;; first++) {
        struct cb_row *oldest;
        size_t n_oldest;
        struct cb_key key = cb_key_session_part(ctx->site, ctx->ordinal, first);
        int rc = first == next ? 0 : read_row(ctx, &key, &oldest, &n_oldest);
        if (rc != 0) {
            return rc;
        }
        if (first == next || (n_oldest > 0 && next - first < CB_SESSION_PARTS_MAX)) {
            break;
        }
        rc = n_oldest > 0 ? cb_row_resize(ctx->views, oldest, 0) : 0;
        if (rc != 0) {
            return rc;
        }
    }
    struct cb_row *part;
    struct cb_key key = cb_key_session_part(ctx->site, ctx->ordinal, next);
    int rc = cb_views_row(ctx->views, CB_TABLE_SESSIONS, &key, &part);
    rc = rc == 0 ? cb_row_resize(ctx->views, part, n * CB_SESSION_BYTES) : rc;
    if (rc != 0) {
        return rc;
    }
    memcpy(part->data, row->data, n * CB_SESSION_BYTES);
    rc = cb_row_resize(ctx->views, row, CB_SESSION_TAIL_BYTES);
    if (rc == 0) {
        cb_be32_put(row->data, first);
        cb_be32_put(row->data + 4, next + 1);
    }
    return rc;
}

/* Room for one more session, behind the others and before the tail. */
static int append(struct cb_fold_ctx *ctx, struct cb_row *row, size_t n, uint8_t **session) {
    uint32_t first, next;
    int rc = 0;
    if (n >= CB_SESSIONS_ROW_MAX) {
        read_tail(row, n, &first, &next);
        rc = move_to_part(ctx, row, n, first, next);
        n = 0;
    }
    size_t tail = row->len - n * CB_SESSION_BYTES;
    rc = rc == 0 ? cb_row_resize(ctx->views, row, row->len + CB_SESSION_BYTES) : rc;
    if (rc == 0) {
        *session = row->data + n * CB_SESSION_BYTES;
        memmove(*session + CB_SESSION_BYTES, *session, tail);
    }
    return rc;
}

static void add_session(struct cb_fold_ctx *ctx) {
    uint8_t *sessions = ctx->sender->visitor->data + CB_VISITOR_SESSIONS;
    cb_be32_put(sessions, cb_be32_get(sessions) + 1);
    cb_row_touch(ctx->sender->visitor);
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
    if (!session->row) {
        return 0;
    }
    const struct cb_visit *before = session->fresh ? NULL : &session->before;
    const struct cb_visit *now = &session->now;
    cb_visit_encode(now, session->row->data + session->at);
    cb_row_touch(session->row);
    session->row = NULL;
    int rc = leave_out_gone(ctx, &before);
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

/* Makes a session the one at hand. newest: it is the first that an event is looked for in. */
static void take_session(struct cb_fold_ctx *ctx, struct cb_row *row, uint8_t *session,
                         bool newest) {
    ctx->session.row = row;
    ctx->session.at = (size_t)(session - row->data);
    ctx->session.newest = newest;
    ctx->session.fresh = ctx->session.more = false;
    cb_visit_decode(session, &ctx->session.before);
    ctx->session.now = ctx->session.before;
}

static int open_session(struct cb_fold_ctx *ctx, struct cb_row *row, size_t n) {
    uint8_t *session;
    int rc = append(ctx, row, n, &session);
    if (rc == 0) {
        add_session(ctx);
        ctx->session.row = row;
        ctx->session.at = (size_t)(session - row->data);
        ctx->session.newest = ctx->session.fresh = ctx->session.more = true;
        cb_visit_init(&ctx->session.now, ctx->true_ms);
    }
    return rc;
}

static int find_session(struct cb_fold_ctx *ctx) {
    struct cb_row *row;
    size_t n;
    int rc = read_newest(ctx, &row, &n);
    if (rc != 0) {
        return rc;
    }
    uint8_t *session = find_in(ctx, row, n);
    if (session) {
        take_session(ctx, row, session, session == row->data + (n - 1) * CB_SESSION_BYTES);
        return 0;
    }
    struct cb_row *part = NULL;
    uint32_t first, next;
    read_tail(row, n, &first, &next);
    rc = find_in_parts(ctx, first, next, &part, &session);
    if (rc == 0 && session) {
        take_session(ctx, part, session, false);
        return 0;
    }
    return rc == 0 ? open_session(ctx, row, n) : rc;
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
    bool at_hand = session->row && session->newest &&
                   is_within(ctx, session->now.start_ms, session->now.end_ms);
    if (rc == 0 && !at_hand) {
        rc = session->row ? on_end(ctx) : 0;
        rc = rc == 0 ? find_session(ctx) : rc;
    }
    if (rc == 0 && cb_visit_add(&session->now, ctx->event, ctx->true_ms, trigger)) {
        session->more = true;
    }
    return rc;
}

const struct cb_fold_ops cb_fold_sessions = {.name = "sessions", .event = on_event, .end = on_end};
