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

/* Sets *fresh, unless seq was seen before. */
static int mark(struct cb_fold_ctx *ctx, const uint8_t *producer, uint64_t seq, bool *fresh) {
    struct cb_key key = cb_key_seen(ctx->site, producer);
    struct cb_row *row;
    int rc = cb_views_row(ctx->views, CB_TABLE_SEEN, &key, &row);
    if (rc != 0) {
        return rc;
    }
    struct cb_seen_set set;
    rc = cb_seen_set_decode((struct cb_str){(const char *)row->data, row->len}, &set);
    if (rc != 0) {
        return rc;
    }
    uint32_t day_before = row->len > 0 ? cb_sweep_day(set.journal_ms) : UINT32_MAX;
    uint64_t gap_before = gap_of(&set);
    rc = cb_seen_set_add(ctx->views, ctx->site, producer, &set, seq, fresh);
    if (rc != 0) {
        return rc;
    }
    rc = cb_sweep_note(ctx->views, ctx->site, producer, day_before, cb_sweep_day(ctx->journal_ms));
    if (rc != 0) {
        return rc;
    }
    set.journal_ms = ctx->journal_ms; /* expiry counts from the last receipt, duplicates included */
    uint8_t bytes[CB_SEEN_SET_BYTES_MAX];
    size_t len = cb_seen_set_encode(&set, bytes);
    rc = cb_row_resize(ctx->views, row, len);
    if (rc != 0) {
        return rc;
    }
    memcpy(row->data, bytes, len);
    return cb_books_lost(ctx->views, ctx->site, (int64_t)gap_of(&set) - (int64_t)gap_before);
}

static int on_event(struct cb_fold_ctx *ctx) {
    if (ctx->site == CB_SITE_ID_NONE) {
        ctx->counted = false;
        return 0;
    }
    return mark(ctx, ctx->envelope->producer, ctx->event->seq, &ctx->counted);
}

/* A refused event that told its number arrived: it must not look lost. */
static int on_reject(struct cb_fold_ctx *ctx, const struct cb_reject *reject) {
    bool fresh;
    if (!reject->has_seq || ctx->site == CB_SITE_ID_NONE) {
        return 0;
    }
    return mark(ctx, reject->producer, reject->seq, &fresh);
}

const struct cb_fold_ops cb_fold_seen = {
    .name = "seen", .event = on_event, .every = true, .reject = on_reject};
