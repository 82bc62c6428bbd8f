/* SPDX-License-Identifier: MIT
 * uniques.c: which visitors had an event of each name in each minute, hour and day: exact sets, no
 * sketches.
 *
 * A visitor is a dense ordinal, so a set is cut in chunks of 8,192 ordinals: a sorted list of
 * 16-bit offsets while that is the smaller, a bitmap afterwards. A fold touches one row of at most
 * 1 KB, and active visitors share it. */
#include "store/folds/folds.h"
#include "store/reader.h"
#include "store/rows.h"

static int list_to_bitmap(struct cb_views *views, struct cb_row *row) {
    uint16_t offsets[CB_UNIQUES_LIST_MAX];
    size_t n = row->len / 2;
    for (size_t i = 0; i < n; i++) {
        offsets[i] = cb_be16_get(row->data + 2 * i);
    }
    int rc = cb_row_resize(views, row, CB_UNIQUES_BITMAP_BYTES);
    if (rc != 0) {
        return rc;
    }
    memset(row->data, 0, CB_UNIQUES_BITMAP_BYTES);
    for (size_t i = 0; i < n; i++) {
        row->data[offsets[i] / 8] |= (uint8_t)(1u << offsets[i] % 8);
    }
    return 0;
}

static int add_to_list(struct cb_views *views, struct cb_row *row, uint16_t offset) {
    size_t low = 0, high = row->len / 2;
    while (low < high) {
        size_t middle = (low + high) / 2;
        uint16_t there = cb_be16_get(row->data + 2 * middle);
        if (there == offset) {
            return 0;
        }
        if (there < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t behind = row->len - 2 * low;
    int rc = cb_row_resize(views, row, row->len + 2);
    if (rc == 0) {
        memmove(row->data + 2 * low + 2, row->data + 2 * low, behind);
        cb_be16_put(row->data + 2 * low, offset);
    }
    return rc;
}

static int add(struct cb_views *views, const struct cb_key *key, uint16_t offset) {
    struct cb_row *row;
    int rc = cb_views_row(views, CB_TABLE_UNIQUES, key, &row);
    if (rc != 0) {
        return rc;
    }
    if (row->len != CB_UNIQUES_BITMAP_BYTES) {
        if (row->len / 2 < CB_UNIQUES_LIST_MAX) {
            return add_to_list(views, row, offset);
        }
        rc = list_to_bitmap(views, row);
        if (rc != 0) {
            return rc;
        }
    }
    uint8_t bit = (uint8_t)(1u << offset % 8);
    if (!(row->data[offset / 8] & bit)) {
        row->data[offset / 8] |= bit;
        cb_row_touch(row);
    }
    return 0;
}

static int on_event(struct cb_fold_ctx *ctx) {
    if (!ctx->envelope->has_visitor) {
        return 0;
    }
    const uint32_t ids[] = {CB_NAME_ID_ALL, ctx->name_id};
    uint32_t chunk = ctx->ordinal >> CB_UNIQUES_CHUNK_BITS;
    uint16_t offset = (uint16_t)(ctx->ordinal & ((1u << CB_UNIQUES_CHUNK_BITS) - 1));
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned grain = 0; grain < CB_GRAIN_COUNT; grain++) {
            uint32_t bucket = ctx->minute / cb_grain_minutes((enum cb_grain)grain);
            struct cb_key key = cb_key_unique(ctx->site, ids[i], (uint8_t)grain, bucket, chunk);
            int rc = add(ctx->views, &key, offset);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

const struct cb_fold_ops cb_fold_uniques = {.name = "uniques", .event = on_event};
