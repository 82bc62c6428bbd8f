/* SPDX-License-Identifier: MIT
 * minutes.c: events of each name in each minute, and who they were of, for the last 48 hours of the
 * journal (sweep.c). For what dashboards show of now; older ranges are whole quarter hours.
 *
 * Time comes first in the keys: what is hot stands together whatever the site, and what goes stands
 * in front. */
#include "store/folds/folds.h"
#include "store/ordinal_set.h"
#include "store/rows.h"
#include "store/sweep.h"

/* chunk: of the visitor's ordinal, or CB_MINUTE_NO_VISITOR. */
static int find(struct cb_views *views, uint32_t site, uint32_t name_id, uint32_t minute,
                uint32_t chunk, struct cb_row **row) {
    struct cb_key key = cb_key_minute(minute / CB_QUARTER_MINUTES, site, name_id,
                                      (uint8_t)(minute % CB_QUARTER_MINUTES), chunk);
    int rc = cb_views_row(views, CB_TABLE_MINUTES, &key, row);
    return rc == 0 && (*row)->len == 0 ? cb_row_resize(views, *row, CB_MINUTE_HEAD_BYTES) : rc;
}

static int change(struct cb_row *row, int64_t by) {
    if (row->len < CB_MINUTE_HEAD_BYTES) {
        return CB_ECORRUPT;
    }
    int64_t sum = (int64_t)cb_be32_get(row->data) + by;
    if (sum < 0 || sum > UINT32_MAX) {
        return CB_ECORRUPT;
    }
    cb_be32_put(row->data, (uint32_t)sum);
    cb_row_touch(row);
    return 0;
}

/* Whether rows of that minute are written; the sweep takes those of earlier days. */
static bool is_kept(const struct cb_fold_ctx *ctx, uint32_t minute) {
    return minute >= cb_minutes_kept_from(cb_sweep_day(ctx->journal_ms));
}

int cb_minutes_change(struct cb_fold_ctx *ctx, uint32_t name_id, uint32_t minute, int by) {
    struct cb_row *row;
    if (!is_kept(ctx, minute)) {
        return 0;
    }
    int rc = find(ctx->views, ctx->site, name_id, minute, (uint32_t)CB_MINUTE_NO_VISITOR, &row);
    rc = rc == 0 ? change(row, by) : rc;
    return rc == 0 && cb_be32_get(row->data) == 0 ? cb_row_resize(ctx->views, row, 0) : rc;
}

static int count(struct cb_fold_ctx *ctx, struct cb_memo_minute *at) {
    uint32_t chunk =
        at->has_visitor ? cb_ordinal_set_chunk(ctx->ordinal) : (uint32_t)CB_MINUTE_NO_VISITOR;
    /* A row of events without visitors goes when a session moves out of it. */
    int rc = at->minutes && at->minutes->len > 0
                 ? 0
                 : find(ctx->views, at->site, at->name_id, at->minute, chunk, &at->minutes);
    rc = rc == 0 ? change(at->minutes, 1) : rc;
    return rc == 0 && at->has_visitor
               ? cb_ordinal_set_add_behind(ctx->views, at->minutes, CB_MINUTE_HEAD_BYTES,
                                           cb_ordinal_set_offset(ctx->ordinal))
               : rc;
}

static int on_event(struct cb_fold_ctx *ctx) {
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < 2 && is_kept(ctx, ctx->minute); i++) {
        rc = count(ctx, ctx->at[i]);
    }
    return rc;
}

const struct cb_fold_ops cb_fold_minutes = {.name = "minutes", .event = on_event};
