/* SPDX-License-Identifier: MIT
 * visitors.c: who was there: a dense ordinal in order of first sight, first and last seen, events;
 * and the order of the visitor list (`recent`: last seen first, to the minute, so that a visitor
 * moves once a minute at most, and those of a minute share a row). */
#include "store/folds/folds.h"
#include "store/ordinal_set.h"
#include "store/rows.h"

static uint32_t minute_of(uint64_t ms) {
    uint64_t minute = ms / 60000;
    return minute < UINT32_MAX ? (uint32_t)minute : UINT32_MAX;
}

/* A visitor stands in one set, under the minute that his row says. */
static int set_recent(struct cb_fold_ctx *ctx, uint32_t minute, bool present) {
    struct cb_key key = cb_key_recent(ctx->site, minute, cb_ordinal_set_chunk(ctx->ordinal));
    const uint16_t offset = cb_ordinal_set_offset(ctx->ordinal);
    struct cb_row *row;
    int rc = cb_views_row(ctx->views, CB_TABLE_RECENT, &key, &row);
    if (rc != 0) {
        return rc;
    }
    return present ? cb_ordinal_set_add(ctx->views, row, offset)
                   : cb_ordinal_set_remove(ctx->views, row, offset);
}

static int new_ordinal(struct cb_fold_ctx *ctx, struct cb_row *row) {
    struct cb_row *state;
    int rc = cb_sites_state_here(ctx, &state);
    rc = rc == 0 ? cb_row_resize(ctx->views, row, 4) : rc;
    if (rc == 0) {
        ctx->ordinal = cb_be32_get(state->data + CB_STATE_VISITORS);
        ctx->newcomer = true;
        cb_be32_put(state->data + CB_STATE_VISITORS, ctx->ordinal + 1);
        cb_row_touch(state);
    }
    if (rc == 0) {
        cb_be32_put(row->data, ctx->ordinal);
    }
    return rc;
}

int cb_visitors_ordinal(struct cb_views *views, uint32_t site,
                        const uint8_t visitor[CB_VISITOR_BYTES], uint32_t *ordinal) {
    struct cb_key key = cb_key_ordinal(site, visitor);
    struct cb_row *row;
    int rc = cb_views_row(views, CB_TABLE_ORDINALS, &key, &row);
    if (rc != 0 || row->len != 4) {
        bool none = rc == 0 && (row->len == 0 || row->len == CB_ROW_HUSK_ORDINAL_BYTES);
        return rc != 0 ? rc : none ? CB_ENOENT : CB_ECORRUPT;
    }
    *ordinal = cb_be32_get(row->data);
    return 0;
}

/* The visitor of the envelope: his ordinal and row, made at his first counted event. */
static int find(struct cb_fold_ctx *ctx) {
    struct cb_fold_visitor *visitor = &ctx->visitor;
    struct cb_key key = cb_key_ordinal(ctx->site, ctx->envelope->visitor);
    struct cb_row *row;
    int rc = cb_views_row(ctx->views, CB_TABLE_ORDINALS, &key, &row);
    if (rc != 0) {
        return rc;
    }
    if (row->len == 4) {
        ctx->ordinal = cb_be32_get(row->data);
    } else if (row->len != 0) {
        return CB_ECORRUPT;
    } else {
        rc = new_ordinal(ctx, row);
        if (rc != 0) {
            return rc;
        }
    }
    key = cb_key_visitor(ctx->site, ctx->ordinal);
    rc = ctx->newcomer ? cb_views_row_unread(ctx->views, CB_TABLE_VISITORS, &key, false, &row)
                       : cb_views_row(ctx->views, CB_TABLE_VISITORS, &key, &row);
    if (rc != 0) {
        return rc;
    }
    visitor->fresh = row->len == 0;
    if (visitor->fresh) {
        rc = cb_row_resize(ctx->views, row, CB_ROW_VISITOR_BYTES);
        if (rc != 0) {
            return rc;
        }
        memcpy(row->data + CB_VISITOR_ID, ctx->envelope->visitor, CB_VISITOR_BYTES);
        cb_be64_put(row->data + CB_VISITOR_FIRST_SEEN, (uint64_t)ctx->true_ms);
        cb_be64_put(row->data + CB_VISITOR_LAST_SEEN, (uint64_t)ctx->true_ms);
    } else if (row->len != CB_ROW_VISITOR_BYTES) {
        return CB_ECORRUPT;
    }
    ctx->sender->ordinal = ctx->ordinal;
    ctx->sender->visitor = row;
    return 0;
}

static int begin(struct cb_fold_ctx *ctx) {
    struct cb_fold_visitor *visitor = &ctx->visitor;
    visitor->fresh = false;
    int rc = ctx->sender->visitor ? 0 : find(ctx);
    if (rc == 0) {
        ctx->ordinal = ctx->sender->ordinal;
        visitor->row = ctx->sender->visitor;
        visitor->minute_before = minute_of(cb_be64_get(visitor->row->data + CB_VISITOR_LAST_SEEN));
    }
    return rc;
}

static int on_event(struct cb_fold_ctx *ctx) {
    if (!ctx->envelope->has_visitor) {
        return 0;
    }
    int rc = ctx->visitor.row ? 0 : begin(ctx);
    if (rc != 0) {
        return rc;
    }
    uint8_t *data = ctx->visitor.row->data;
    uint64_t now_ms = (uint64_t)ctx->true_ms;
    if (now_ms < cb_be64_get(data + CB_VISITOR_FIRST_SEEN)) {
        cb_be64_put(data + CB_VISITOR_FIRST_SEEN, now_ms);
    }
    if (now_ms > cb_be64_get(data + CB_VISITOR_LAST_SEEN)) {
        cb_be64_put(data + CB_VISITOR_LAST_SEEN, now_ms);
    }
    cb_be64_put(data + CB_VISITOR_EVENTS, cb_be64_get(data + CB_VISITOR_EVENTS) + 1);
    cb_row_touch(ctx->visitor.row);
    return 0;
}

static int on_end(struct cb_fold_ctx *ctx) {
    struct cb_fold_visitor *visitor = &ctx->visitor;
    if (!visitor->row) {
        return 0;
    }
    uint32_t minute = minute_of(cb_be64_get(visitor->row->data + CB_VISITOR_LAST_SEEN));
    int rc = 0;
    if (!visitor->fresh && minute != visitor->minute_before) {
        rc = set_recent(ctx, visitor->minute_before, false);
    }
    if (rc == 0 && (visitor->fresh || minute != visitor->minute_before)) {
        rc = set_recent(ctx, minute, true);
    }
    visitor->row = NULL;
    return rc;
}

int cb_visitors_rename(struct cb_fold_ctx *ctx, const uint8_t visitor[CB_VISITOR_BYTES]) {
    struct cb_key key = cb_key_visitor(ctx->site, ctx->ordinal);
    struct cb_row *row;
    int rc = cb_views_row(ctx->views, CB_TABLE_VISITORS, &key, &row);
    if (rc != 0 || row->len != CB_ROW_VISITOR_BYTES) {
        return rc != 0 ? rc : CB_ECORRUPT;
    }
    memcpy(row->data + CB_VISITOR_ID, visitor, CB_VISITOR_BYTES);
    cb_row_touch(row);
    return set_recent(ctx, minute_of(cb_be64_get(row->data + CB_VISITOR_LAST_SEEN)), false);
}

const struct cb_fold_ops cb_fold_visitors = {.name = "visitors", .event = on_event, .end = on_end};
