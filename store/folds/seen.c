/* SPDX-License-Identifier: MIT
 * seen.c: the verdict: is this number of this producer new? Exact for any order, any gaps, any
 * number up to 2^53-1.
 *
 * A row for each (site, producer) holds up to 16 runs of numbers seen. When a 17th would be needed,
 * the shortest run moves into bitmap chunks of 1,024 numbers. Moving a run of n numbers costs
 * n/1024 + 2 chunk rows, and its n numbers were paid for when they arrived; so cost and size are
 * bounded by the events received, whatever numbers a producer picks. */
#include "store/folds/folds.h"
#include "store/rows.h"
#include "store/seen_set.h"
#include "store/sweep.h"

/* A producer's share of `lost`: a producer that claims to begin at 2^53 must not drown everyone
 * else's. */
static const uint64_t gap_max = UINT64_C(1) << 32;

static uint64_t gap_of(const struct cb_seen_set *set) {
    uint64_t gap = set->highest - set->n_seen;
    return gap < gap_max ? gap : gap_max;
}

static int find(struct cb_fold_ctx *ctx, const uint8_t *producer, struct cb_row **row) {
    struct cb_key key = cb_key_seen(ctx->site, producer);
    return cb_views_row(ctx->views, CB_TABLE_SEEN, &key, row);
}

/* Takes the set of a row in hand. */
static int begin(struct cb_fold_ctx *ctx, struct cb_row *row) {
    struct cb_fold_seen *seen = &ctx->seen;
    int rc = cb_seen_set_decode((struct cb_str){(const char *)row->data, row->len}, &seen->set);
    if (rc == 0) {
        seen->row = row;
        seen->gap_before = gap_of(&seen->set);
    }
    return rc;
}

/* Writes the set of the producer at hand. */
static int on_end(struct cb_fold_ctx *ctx) {
    struct cb_fold_seen *seen = &ctx->seen;
    if (!seen->row) {
        return 0;
    }
    /* Expiry counts from the last receipt, duplicates included. */
    seen->set.day = cb_sweep_day(ctx->journal_ms);
    uint8_t bytes[CB_SEEN_SET_BYTES_MAX];
    size_t len = cb_seen_set_encode(&seen->set, bytes);
    int rc = cb_row_resize(ctx->views, seen->row, len);
    if (rc != 0) {
        return rc;
    }
    memcpy(seen->row->data, bytes, len);
    seen->row = NULL;
    return cb_books_lost(ctx, (int64_t)gap_of(&seen->set) - (int64_t)seen->gap_before);
}

static int on_event(struct cb_fold_ctx *ctx) {
    if (ctx->site == CB_SITE_ID_NONE) {
        ctx->counted = false;
        return 0;
    }
    const uint8_t *producer = ctx->envelope->producer;
    struct cb_row **row = &ctx->sender->seen;
    int rc = *row ? 0 : find(ctx, producer, row);
    rc = rc != 0 || ctx->seen.row ? rc : begin(ctx, *row);
    return rc == 0 ? cb_seen_set_add(ctx->views, ctx->site, producer, &ctx->seen.set,
                                     ctx->event->seq, &ctx->counted)
                   : rc;
}

/* A refused event that told its number arrived: it must not look lost. */
static int on_reject(struct cb_fold_ctx *ctx, const struct cb_reject *reject) {
    bool fresh;
    if (!reject->has_seq || ctx->site == CB_SITE_ID_NONE) {
        return 0;
    }
    struct cb_row *row;
    int rc = find(ctx, reject->producer, &row);
    rc = rc == 0 ? begin(ctx, row) : rc;
    rc = rc == 0 ? cb_seen_set_add(ctx->views, ctx->site, reject->producer, &ctx->seen.set,
                                   reject->seq, &fresh)
                 : rc;
    return rc == 0 ? on_end(ctx) : rc;
}

const struct cb_fold_ops cb_fold_seen = {
    .name = "seen", .event = on_event, .every = true, .end = on_end, .reject = on_reject};
