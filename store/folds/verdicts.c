/* SPDX-License-Identifier: MIT
 * verdicts.c: which events of a frame were not counted, so that exports and recounts of the journal
 * agree with the totals without asking the seen sets, which expire. Frames whose events all count
 * (nearly all) have no row. */
#include "store/folds/folds.h"
#include "store/rows.h"

static int on_event(struct cb_fold_ctx *ctx) {
    if (ctx->counted) {
        return 0;
    }
    struct cb_key key =
        cb_key_verdict(ctx->position, (uint16_t)(ctx->index / CB_VERDICT_CHUNK_EVENTS));
    struct cb_row *row;
    int rc = cb_views_row(ctx->views, CB_TABLE_VERDICTS, &key, &row);
    if (rc != 0) {
        return rc;
    }
    /* As long as its last bit needs: most frames are short. */
    uint32_t bit = ctx->index % CB_VERDICT_CHUNK_EVENTS;
    if (row->len < bit / 8 + 1) {
        rc = cb_row_resize(ctx->views, row, bit / 8 + 1);
        if (rc != 0) {
            return rc;
        }
    }
    row->data[bit / 8] |= (uint8_t)(1u << bit % 8);
    cb_row_touch(row);
    return 0;
}

const struct cb_fold_ops cb_fold_verdicts = {.name = "verdicts", .event = on_event, .every = true};
