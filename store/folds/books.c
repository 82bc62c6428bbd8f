/* SPDX-License-Identifier: MIT
 * books.c: received = counted + duplicate + rejected, per site (DESIGN, invariant 4). received
 * comes from the frames' headers, the rest from verdicts, so the equation can fail and is worth
 * showing. */
#include "store/folds/folds.h"
#include "store/rows.h"

static int find(struct cb_fold_ctx *ctx, struct cb_row **row) {
    struct cb_key key = cb_key_site(ctx->site);
    int rc = cb_views_row(ctx->views, CB_TABLE_BOOKS, &key, row);
    if (rc == 0 && (*row)->len == 0) {
        rc = cb_row_resize(ctx->views, *row, CB_ROW_BOOKS_BYTES);
    }
    return rc == 0 && (*row)->len != CB_ROW_BOOKS_BYTES ? CB_ECORRUPT : rc;
}

static int add(struct cb_fold_ctx *ctx, unsigned offset, uint64_t n) {
    int rc = ctx->here->books ? 0 : find(ctx, &ctx->here->books);
    if (rc == 0) {
        struct cb_row *row = ctx->here->books;
        cb_be64_put(row->data + offset, cb_be64_get(row->data + offset) + n);
        cb_row_touch(row);
    }
    return rc;
}

int cb_books_lost(struct cb_fold_ctx *ctx, int64_t change) {
    return change == 0 ? 0 : add(ctx, CB_BOOKS_LOST, (uint64_t)change);
}

static int rejected(struct cb_fold_ctx *ctx, unsigned refusal, uint64_t n) {
    unsigned slot = refusal <= CB_REFUSAL_MAX ? refusal : CB_REFUSAL_MAX;
    return add(ctx, CB_BOOKS_REJECTED + 8 * slot, n);
}

static int on_received(struct cb_fold_ctx *ctx, uint64_t n) {
    return add(ctx, CB_BOOKS_RECEIVED, n);
}

static int on_event(struct cb_fold_ctx *ctx) {
    if (ctx->site == CB_SITE_ID_NONE) {
        return rejected(ctx, CB_REFUSE_SITE_UNKNOWN, 1);
    }
    if (ctx->erased) {
        return rejected(ctx, CB_REFUSE_ERASED, 1);
    }
    return add(ctx, ctx->counted ? CB_BOOKS_COUNTED : CB_BOOKS_DUPLICATE, 1);
}

static int on_reject(struct cb_fold_ctx *ctx, const struct cb_reject *reject) {
    return rejected(ctx, reject->refusal, reject->n);
}

const struct cb_fold_ops cb_fold_books = {.name = "books",
                                          .received = on_received,
                                          .event = on_event,
                                          .every = true,
                                          .reject = on_reject};
