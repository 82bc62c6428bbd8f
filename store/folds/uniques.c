/* SPDX-License-Identifier: MIT
 * uniques.c: which visitors had an event of each name, by quarter hour (for 35 days of the journal)
 * and by day in the site's zone (kept): exact sets, no sketches. And which visitors came for the
 * first time, by day.
 *
 * A visitor is a dense ordinal, so a set is cut in chunks (ordinal_set.h), which active visitors
 * share. The four quarters of an hour are one row: who is there in two of them costs as much as who
 * is there in one. Of many visitors few are there in one hour: these are a list (ordinal_list.h),
 * as long as it has room. A day's key says when it begins and how long it is, so readers need
 * not know which zone the site had then. */
#include "store/folds/folds.h"
#include "store/ordinal_list.h"
#include "store/ordinal_set.h"
#include "store/reader.h"
#include "store/rows.h"
#include "store/sweep.h"

static int hour_to_bitmaps(struct cb_views *views, struct cb_row *row) {
    uint8_t planes[CB_HOUR_BITMAP_BYTES] = {0};
    for (size_t at = 0; at < row->len; at += 2) {
        uint16_t entry = cb_be16_get(row->data + at), offset = entry >> CB_HOUR_QUARTERS;
        for (unsigned quarter = 0; quarter < CB_HOUR_QUARTERS; quarter++) {
            if (entry >> quarter & 1) {
                planes[quarter * CB_HOUR_PLANE_BYTES + offset / 8 % CB_HOUR_PLANE_BYTES] |=
                    (uint8_t)(1u << offset % 8);
            }
        }
    }
    int rc = cb_row_resize(views, row, sizeof(planes));
    if (rc == 0) {
        memcpy(row->data, planes, sizeof(planes));
    }
    return rc;
}

static int add_to_hour(struct cb_views *views, struct cb_row *row, uint16_t offset,
                       unsigned quarter) {
    if (row->len != CB_HOUR_BITMAP_BYTES) {
        uint16_t entry = (uint16_t)(offset << CB_HOUR_QUARTERS);
        uint16_t bit = (uint16_t)(1u << quarter);
        size_t n = row->len / 2, at = n > 0 ? cb_u16_list_find(row->data, n, entry) : 0;
        uint16_t there = at < n ? cb_be16_get(row->data + 2 * at) : 0;
        if (at < n && there >> CB_HOUR_QUARTERS == offset) {
            if (!(there & bit)) {
                cb_be16_put(row->data + 2 * at, there | bit);
                cb_row_touch(row);
            }
            return 0;
        }
        if (n < CB_HOUR_LIST_MAX) {
            return cb_u16_list_insert(views, row, 2 * at, entry | bit);
        }
        int rc = hour_to_bitmaps(views, row);
        if (rc != 0) {
            return rc;
        }
    }
    uint8_t *byte = row->data + quarter * CB_HOUR_PLANE_BYTES + offset / 8;
    uint8_t bit = (uint8_t)(1u << offset % 8);
    if (!(*byte & bit)) {
        *byte |= bit;
        cb_row_touch(row);
    }
    return 0;
}

/* number: of a list, or of a chunk and CB_ORDINAL_CHUNKS. */
static int find_hour(struct cb_fold_ctx *ctx, const struct cb_memo_minute *at, uint32_t number,
                     struct cb_row **row) {
    struct cb_key key = cb_key_unique_hour(at->minute / 60, at->site, at->name_id, number);
    return cb_views_row(ctx->views, CB_TABLE_UNIQUE_HOURS, &key, row);
}

/* The list of an hour goes into chunks. */
static int move_hour(struct cb_fold_ctx *ctx, const struct cb_memo_minute *at,
                     struct cb_row *list) {
    uint32_t entries[CB_ORDINAL_LIST_MAX];
    size_t n;
    struct cb_row *row;
    int rc = cb_ordinal_list_move(ctx->views, list, entries, &n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const uint32_t ordinal = (ctx->ordinal >> CB_HOUR_LIST_BITS << CB_HOUR_LIST_BITS) |
                                 entries[i] >> CB_HOUR_QUARTERS;
        rc = find_hour(ctx, at, ordinal >> CB_HOUR_CHUNK_BITS | CB_ORDINAL_CHUNKS, &row);
        for (unsigned quarter = 0; rc == 0 && quarter < CB_HOUR_QUARTERS; quarter++) {
            if (entries[i] >> quarter & 1) {
                rc = add_to_hour(ctx->views, row, (uint16_t)(ordinal % (1u << CB_HOUR_CHUNK_BITS)),
                                 quarter);
            }
        }
    }
    return rc;
}

/* Into the list, if there is one: *moved says that there is none any more. */
static int add_to_list(struct cb_fold_ctx *ctx, struct cb_memo_minute *at, unsigned quarter,
                       bool *moved) {
    const uint32_t who = ctx->ordinal % (1u << CB_HOUR_LIST_BITS);
    int rc = at->hours ? 0 : find_hour(ctx, at, ctx->ordinal >> CB_HOUR_LIST_BITS, &at->hours);
    rc = rc == 0 ? cb_ordinal_list_add(ctx->views, at->hours, CB_HOUR_QUARTERS,
                                       who << CB_HOUR_QUARTERS | 1u << quarter, moved)
                 : rc;
    return rc == 0 && *moved && !cb_ordinal_list_moved(at->hours) ? move_hour(ctx, at, at->hours)
                                                                  : rc;
}

static int add_hour(struct cb_fold_ctx *ctx, struct cb_memo_minute *at) {
    const unsigned quarter = at->minute / CB_QUARTER_MINUTES % CB_HOUR_QUARTERS;
    bool moved = at->hours_chunk != NULL || ctx->ordinal < CB_ORDINAL_LIST_FROM;
    int rc = moved ? 0 : add_to_list(ctx, at, quarter, &moved);
    if (rc != 0 || !moved) {
        return rc;
    }
    if (!at->hours_chunk) {
        rc = find_hour(ctx, at, at->hour_chunk | CB_ORDINAL_CHUNKS, &at->hours_chunk);
    }
    return rc == 0 ? add_to_hour(ctx->views, at->hours_chunk,
                                 (uint16_t)(ctx->ordinal % (1u << CB_HOUR_CHUNK_BITS)), quarter)
                   : rc;
}

static int find_day(struct cb_fold_ctx *ctx, uint32_t name_id, struct cb_row **row) {
    /* Whole quarter hours in every zone since 1972. */
    int64_t first = ctx->day.from > 0 ? ctx->day.from / CB_QUARTER_MINUTES : 0;
    int64_t quarters = ctx->day.to / CB_QUARTER_MINUTES - first;
    struct cb_key key = cb_key_unique_day(ctx->site, (uint32_t)first,
                                          (uint8_t)(quarters < UINT8_MAX ? quarters : UINT8_MAX),
                                          name_id, cb_ordinal_set_chunk(ctx->ordinal));
    return cb_views_row(ctx->views, CB_TABLE_UNIQUE_DAYS, &key, row);
}

static int add_day(struct cb_fold_ctx *ctx, struct cb_memo_minute *at) {
    int rc = at->days ? 0 : find_day(ctx, at->name_id, &at->days);
    return rc == 0 ? cb_ordinal_set_add(ctx->views, at->days, cb_ordinal_set_offset(ctx->ordinal))
                   : rc;
}

static int add_newcomer(struct cb_fold_ctx *ctx) {
    struct cb_row *row;
    int rc = find_day(ctx, CB_NAME_ID_NEWCOMERS, &row);
    return rc == 0 ? cb_ordinal_set_add(ctx->views, row, cb_ordinal_set_offset(ctx->ordinal)) : rc;
}

static int on_event(struct cb_fold_ctx *ctx) {
    if (!ctx->envelope->has_visitor) {
        return 0;
    }
    bool hours = ctx->minute >= cb_hours_kept_from(cb_sweep_day(ctx->journal_ms));
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < 2; i++) {
        rc = hours ? add_hour(ctx, ctx->at[i]) : 0;
        rc = rc == 0 ? add_day(ctx, ctx->at[i]) : rc;
    }
    return rc == 0 && ctx->newcomer ? add_newcomer(ctx) : rc;
}

const struct cb_fold_ops cb_fold_uniques = {.name = "uniques", .event = on_event};
