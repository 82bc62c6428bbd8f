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

static int new_ordinal(struct cb_fold_ctx *ctx, const struct cb_key *key) {
    struct cb_row *state, *row;
    int rc = cb_sites_state_here(ctx, &state);
    rc = rc == 0 ? cb_views_row_unread(ctx->views, CB_TABLE_ORDINALS, key, false, &row) : rc;
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
    struct cb_str row;
    int rc = cb_views_look(views, CB_TABLE_ORDINALS, &key, &row);
    if (rc == 0 && row.len == 4) {
        *ordinal = cb_be32_get((const uint8_t *)row.p);
    } else if (rc == 0) {
        rc = row.len == CB_ROW_HUSK_ORDINAL_BYTES ? CB_ENOENT : CB_ECORRUPT;
    }
    return rc;
}

/* The visitor of the envelope: his ordinal and row, made at his first counted event. */
static int find(struct cb_fold_ctx *ctx) {
    struct cb_key key = cb_key_ordinal(ctx->site, ctx->envelope->visitor);
    struct cb_str stands;
    struct cb_row *row;
    int rc = cb_views_look(ctx->views, CB_TABLE_ORDINALS, &key, &stands);
    if (rc == 0 && stands.len == 4) {
        ctx->ordinal = cb_be32_get((const uint8_t *)stands.p);
    } else {
        rc = rc == 0 ? CB_ECORRUPT : rc == CB_ENOENT ? new_ordinal(ctx, &key) : rc;
    }
    if (rc != 0) {
        return rc;
    }
    key = cb_key_visitor(ctx->site, ctx->ordinal);
    rc = ctx->newcomer ? cb_views_row_unread(ctx->views, CB_TABLE_VISITORS, &key, false, &row)
                       : cb_views_row(ctx->views, CB_TABLE_VISITORS, &key, &row);
    if (rc == 0) {
        ctx->sender->ordinal = ctx->ordinal;
        ctx->sender->visitor = row;
    }
    return rc;
}

static int decode(const struct cb_row *row, struct cb_visitor_row *out) {
    return cb_visitor_row_decode((struct cb_str){(const char *)row->data, row->len}, out);
}

/* Takes his row in hand. */
static int begin(struct cb_fold_ctx *ctx) {
    struct cb_fold_visitor *visitor = &ctx->visitor;
    int rc = ctx->sender->visitor ? 0 : find(ctx);
    if (rc != 0) {
        return rc;
    }
    ctx->ordinal = ctx->sender->ordinal;
    visitor->fresh = ctx->newcomer;
    if (visitor->fresh) {
        visitor->now =
            (struct cb_visitor_row){.first_seen_ms = ctx->true_ms, .last_seen_ms = ctx->true_ms};
        memcpy(visitor->now.id, ctx->envelope->visitor, CB_VISITOR_BYTES);
    } else {
        rc = decode(ctx->sender->visitor, &visitor->now);
    }
    if (rc == 0) {
        visitor->row = ctx->sender->visitor;
        visitor->minute_before = minute_of((uint64_t)visitor->now.last_seen_ms);
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
    struct cb_visitor_row *now = &ctx->visitor.now;
    ctx->visitor.seen_before_ms = now->last_seen_ms;
    now->first_seen_ms = ctx->true_ms < now->first_seen_ms ? ctx->true_ms : now->first_seen_ms;
    now->last_seen_ms = ctx->true_ms > now->last_seen_ms ? ctx->true_ms : now->last_seen_ms;
    now->events++;
    return 0;
}

int cb_visitors_read(struct cb_fold_ctx *ctx, struct cb_row **row, struct cb_visitor_row *out) {
    struct cb_key key = cb_key_visitor(ctx->site, ctx->ordinal);
    int rc = cb_views_row(ctx->views, CB_TABLE_VISITORS, &key, row);
    return rc == 0 ? decode(*row, out) : rc;
}

int cb_visitors_write(struct cb_fold_ctx *ctx, struct cb_row *row,
                      const struct cb_visitor_row *visitor) {
    uint8_t bytes[CB_VISITOR_ROW_BYTES_MAX];
    size_t len = cb_visitor_row_encode(visitor, bytes);
    int rc = cb_row_resize(ctx->views, row, len);
    if (rc == 0) {
        memcpy(row->data, bytes, len);
    }
    return rc;
}

/* All folds have made of the visitor what his events say. */
static int on_end(struct cb_fold_ctx *ctx) {
    struct cb_fold_visitor *visitor = &ctx->visitor;
    if (!visitor->row) {
        return 0;
    }
    uint32_t minute = minute_of((uint64_t)visitor->now.last_seen_ms);
    int rc = cb_visitors_write(ctx, visitor->row, &visitor->now);
    if (rc == 0 && !visitor->fresh && minute != visitor->minute_before) {
        rc = set_recent(ctx, visitor->minute_before, false);
    }
    if (rc == 0 && (visitor->fresh || minute != visitor->minute_before)) {
        rc = set_recent(ctx, minute, true);
    }
    visitor->row = NULL;
    return rc;
}

/* Of the session at hand no more stays than when it began: no event can join it. */
int cb_visitors_rename(struct cb_fold_ctx *ctx, const uint8_t id[CB_VISITOR_BYTES]) {
    struct cb_visitor_row visitor;
    struct cb_row *row;
    int rc = cb_visitors_read(ctx, &row, &visitor);
    if (rc != 0) {
        return rc;
    }
    memcpy(visitor.id, id, CB_VISITOR_BYTES);
    cb_visit_init(&visitor.session, visitor.session.start_ms);
    rc = cb_visitors_write(ctx, row, &visitor);
    return rc == 0 ? set_recent(ctx, minute_of((uint64_t)visitor.last_seen_ms), false) : rc;
}

const struct cb_fold_ops cb_fold_visitors = {.name = "visitors", .event = on_event, .end = on_end};
