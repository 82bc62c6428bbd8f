/* SPDX-License-Identifier: MIT
 * sessions.c: a visitor's events with less than 30 minutes between them are one session.
 *
 * The sessions of a visitor's last 7 days are kept, so a late event joins the one that it belongs
 * to, else opens one; sessions never merge, and the order of folding is journal order (DESIGN,
 * "Late events"). A session is counted in the minute of the event that opened it. */
#include "store/folds/folds.h"
#include "store/reader.h"
#include "store/rows.h"

static const int64_t idle_ms = INT64_C(30) * 60 * 1000;

static uint8_t *session_at(const struct cb_row *row, size_t i) {
    return row->data + i * CB_SESSION_BYTES;
}

/* Drops sessions that ended 7 days before the newest one, and the oldest when the row is full. */
static void drop_old(struct cb_row *row, int64_t now_ms) {
    size_t n = row->len / CB_SESSION_BYTES, kept = 0;
    size_t surplus = n >= CB_SESSIONS_MAX ? n - CB_SESSIONS_MAX + 1 : 0;
    for (size_t i = 0; i < n; i++) {
        int64_t end_ms = (int64_t)cb_be64_get(session_at(row, i) + CB_SESSION_END);
        if (i < surplus || end_ms < now_ms - CB_AGE_MAX_MS) {
            continue;
        }
        if (kept != i) {
            memcpy(session_at(row, kept), session_at(row, i), CB_SESSION_BYTES);
        }
        kept++;
    }
    row->len = (uint32_t)(kept * CB_SESSION_BYTES);
}

static int open_session(struct cb_fold_ctx *ctx, struct cb_row *row) {
    drop_old(row, ctx->true_ms);
    size_t at = row->len / CB_SESSION_BYTES;
    int rc = cb_row_resize(ctx->views, row, row->len + CB_SESSION_BYTES);
    if (rc != 0) {
        return rc;
    }
    cb_be64_put(session_at(row, at) + CB_SESSION_START, (uint64_t)ctx->true_ms);
    cb_be64_put(session_at(row, at) + CB_SESSION_END, (uint64_t)ctx->true_ms);
    cb_be32_put(session_at(row, at) + CB_SESSION_EVENTS, 1);
    struct cb_key key = cb_key_visitor(ctx->site, ctx->ordinal);
    struct cb_row *visitor;
    rc = cb_views_row(ctx->views, CB_TABLE_VISITORS, &key, &visitor);
    if (rc != 0) {
        return rc;
    }
    uint8_t *sessions = visitor->data + CB_VISITOR_SESSIONS;
    cb_be32_put(sessions, cb_be32_get(sessions) + 1);
    cb_row_touch(visitor);
    return cb_counts_add(ctx->views, ctx->site, CB_NAME_ID_SESSIONS, ctx->minute, 1);
}

static int on_event(struct cb_fold_ctx *ctx) {
    if (!ctx->envelope->has_visitor) {
        return 0;
    }
    struct cb_key key = cb_key_visitor(ctx->site, ctx->ordinal);
    struct cb_row *row;
    int rc = cb_views_row(ctx->views, CB_TABLE_SESSIONS, &key, &row);
    if (rc != 0) {
        return rc;
    }
    if (row->len % CB_SESSION_BYTES != 0) {
        return CB_ECORRUPT;
    }
    for (size_t i = row->len / CB_SESSION_BYTES; i-- > 0;) {
        uint8_t *session = session_at(row, i);
        int64_t start_ms = (int64_t)cb_be64_get(session + CB_SESSION_START);
        int64_t end_ms = (int64_t)cb_be64_get(session + CB_SESSION_END);
        if (ctx->true_ms < start_ms - idle_ms || ctx->true_ms > end_ms + idle_ms) {
            continue;
        }
        if (ctx->true_ms < start_ms) {
            cb_be64_put(session + CB_SESSION_START, (uint64_t)ctx->true_ms);
        }
        if (ctx->true_ms > end_ms) {
            cb_be64_put(session + CB_SESSION_END, (uint64_t)ctx->true_ms);
        }
        cb_be32_put(session + CB_SESSION_EVENTS, cb_be32_get(session + CB_SESSION_EVENTS) + 1);
        cb_row_touch(row);
        return 0;
    }
    return open_session(ctx, row);
}

const struct cb_fold_ops cb_fold_sessions = {.name = "sessions", .event = on_event};
