/* SPDX-License-Identifier: MIT
 * uniques.c: which visitors had an event of each name in each minute, hour and day: exact sets, no
 * sketches. The sets are cut in chunks (ordinal_set.h). */
#include "store/folds/folds.h"
#include "store/ordinal_set.h"
#include "store/reader.h"

static int add(struct cb_views *views, const struct cb_key *key, uint16_t offset) {
    struct cb_row *row;
    int rc = cb_views_row(views, CB_TABLE_UNIQUES, key, &row);
    return rc == 0 ? cb_ordinal_set_add(views, row, offset) : rc;
}

static int on_event(struct cb_fold_ctx *ctx) {
    if (!ctx->envelope->has_visitor) {
        return 0;
    }
    const uint32_t ids[] = {CB_NAME_ID_ALL, ctx->name_id};
    uint32_t chunk = cb_ordinal_set_chunk(ctx->ordinal);
    uint16_t offset = cb_ordinal_set_offset(ctx->ordinal);
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
