/* SPDX-License-Identifier: MIT
 * erasures.c: who was erased. What they wrote goes at once; the visitor's row, sets and sums stay
 * under a pseudonym: the husk. For CB_ERASED_DAYS of journal time events of the old key are refused
 * here, where ingest has not refused them before.
 *
 * The control frame carries all that is random, and later its own key is the pseudonym, as in every
 * record of the visitor's (eraser.h). So the fold must make the same of a journal that was swept:
 * the pseudonym's tag leads to the same row, and a key that is the pseudonym already changes
 * nothing. */
#include "store/folds/folds.h"
#include "store/rows.h"

static const int64_t kept_ms = CB_ERASED_DAYS * INT64_C(86400000);

static int tag_row(struct cb_views *views, uint32_t site, const uint8_t tag[CB_VISITOR_BYTES],
                   struct cb_row **out) {
    struct cb_key key = cb_key_erasure(site, tag);
    int rc = cb_views_row(views, CB_TABLE_ERASURES, &key, out);
    bool sound = rc != 0 || (*out)->len == 0 || (*out)->len == CB_ROW_ERASURE_BYTES ||
                 (*out)->len == CB_VISITOR_BYTES;
    return sound ? rc : CB_ECORRUPT;
}

/* The row of an erased key, or of the pseudonym that took its place. Errors: CB_ENOENT. */
static int find(struct cb_views *views, uint32_t site, const uint8_t visitor[CB_VISITOR_BYTES],
                struct cb_row **out) {
    uint8_t tag[CB_VISITOR_BYTES];
    cb_visitor_tag(visitor, tag);
    int rc = tag_row(views, site, tag, out);
    if (rc == 0 && (*out)->len == CB_VISITOR_BYTES) {
        rc = tag_row(views, site, (*out)->data, out);
    }
    return rc == 0 && (*out)->len != CB_ROW_ERASURE_BYTES ? CB_ENOENT : rc;
}

static bool is_active(const struct cb_fold_ctx *ctx, const struct cb_row *row) {
    return ctx->journal_ms < (int64_t)cb_be64_get(row->data + CB_ERASURE_AT) + kept_ms;
}

static int meta_row(struct cb_views *views, uint8_t what, struct cb_row **out) {
    struct cb_key key = cb_key_meta(what);
    int rc = cb_views_row(views, CB_TABLE_META, &key, out);
    return rc == 0 && (*out)->len != 0 && (*out)->len != 8 ? CB_ECORRUPT : rc;
}

static int put_meta(struct cb_fold_ctx *ctx, uint8_t what, uint64_t value) {
    struct cb_row *row;
    int rc = meta_row(ctx->views, what, &row);
    rc = rc == 0 ? cb_row_resize(ctx->views, row, 8) : rc;
    if (rc == 0) {
        cb_be64_put(row->data, value);
    }
    return rc;
}

/* A record that the sweep has to rewrite, or had to. */
static int note(struct cb_fold_ctx *ctx, struct cb_row *row) {
    ctx->ordinal = cb_be32_get(row->data + CB_ERASURE_ORDINAL);
    cb_be64_put(row->data + CB_ERASURE_DIRTY, ctx->position);
    cb_row_touch(row);
    int rc = cb_timeline_note(ctx);
    return rc == 0 ? put_meta(ctx, CB_META_ERASED_DIRTY, ctx->position) : rc;
}

/* ---- which records need looking at: none while nobody was erased of late ---- */

int cb_erasures_begin(struct cb_fold_ctx *ctx) {
    struct cb_row *row;
    int rc = meta_row(ctx->views, CB_META_ERASED_AT, &row);
    ctx->erasing =
        rc == 0 && row->len == 8 && ctx->journal_ms < (int64_t)cb_be64_get(row->data) + kept_ms;
    return rc;
}

/* ---- events, edits ---- */

int cb_erasures_check(struct cb_fold_ctx *ctx, const uint8_t visitor[CB_VISITOR_BYTES],
                      bool *erased) {
    struct cb_row *row;
    *erased = false;
    if (!ctx->erasing || ctx->site == CB_SITE_ID_NONE) {
        return 0;
    }
    int rc = find(ctx->views, ctx->site, visitor, &row);
    if (rc != 0) {
        return rc == CB_ENOENT ? 0 : rc;
    }
    *erased = is_active(ctx, row);
    return *erased ? note(ctx, row) : 0;
}

/* Whether the number was seen before makes no difference: an erased visitor's events are refused
 * each time they come, as ingest refuses them. */
static int on_event(struct cb_fold_ctx *ctx) {
    if (!ctx->erasing || !ctx->envelope->has_visitor) {
        return 0;
    }
    int rc = cb_erasures_check(ctx, ctx->envelope->visitor, &ctx->erased);
    ctx->counted &= !ctx->erased;
    return rc;
}

/* ---- the erasure itself ---- */

/* The husk's key in the place of the visitor's. */
static int rename_visitor(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    struct cb_key key = cb_key_ordinal(ctx->site, control->visitor);
    struct cb_row *row;
    int rc = cb_views_row(ctx->views, CB_TABLE_ORDINALS, &key, &row);
    rc = rc == 0 ? cb_row_resize(ctx->views, row, 0) : rc;
    key = cb_key_ordinal(ctx->site, control->pseudonym);
    rc = rc == 0 ? cb_views_row(ctx->views, CB_TABLE_ORDINALS, &key, &row) : rc;
    rc = rc == 0 ? cb_row_resize(ctx->views, row, CB_ROW_HUSK_ORDINAL_BYTES) : rc;
    if (rc == 0) {
        cb_be32_put(row->data, ctx->ordinal);
        row->data[4] = 0;
        rc = cb_visitors_rename(ctx, control->pseudonym);
    }
    return rc;
}

static int write_row(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    struct cb_row *row, *alias;
    uint8_t tag[CB_VISITOR_BYTES];
    int rc = tag_row(ctx->views, ctx->site, control->tag, &row);
    rc = rc == 0 ? cb_row_resize(ctx->views, row, CB_ROW_ERASURE_BYTES) : rc;
    if (rc != 0) {
        return rc;
    }
    cb_be64_put(row->data + CB_ERASURE_AT, (uint64_t)ctx->journal_ms);
    cb_be64_put(row->data + CB_ERASURE_POSITION, ctx->position);
    cb_be64_put(row->data + CB_ERASURE_SWEPT, 0);
    cb_be64_put(row->data + CB_ERASURE_SWEPT_AT, 0);
    memcpy(row->data + CB_ERASURE_PSEUDONYM, control->pseudonym, CB_VISITOR_BYTES);
    cb_be32_put(row->data + CB_ERASURE_ORDINAL, ctx->ordinal);
    rc = note(ctx, row);
    cb_visitor_tag(control->pseudonym, tag);
    rc = rc == 0 ? tag_row(ctx->views, ctx->site, tag, &alias) : rc;
    rc = rc == 0 ? cb_row_resize(ctx->views, alias, CB_VISITOR_BYTES) : rc;
    if (rc == 0) {
        memcpy(alias->data, control->tag, CB_VISITOR_BYTES);
    }
    return rc;
}

static int erase(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    struct cb_row *row;
    /* Asked for twice: the first has done it, and this frame holds the key as well. */
    int rc = tag_row(ctx->views, ctx->site, control->tag, &row);
    if (rc != 0 || (row->len == CB_ROW_ERASURE_BYTES && is_active(ctx, row))) {
        return rc != 0 ? rc : note(ctx, row);
    }
    rc = cb_visitors_ordinal(ctx->views, ctx->site, control->visitor, &ctx->ordinal);
    if (rc != 0) {
        return rc == CB_ENOENT ? 0 : rc;
    }
    rc = cb_fields_forget(ctx->views, ctx->site, ctx->ordinal);
    rc = rc == 0 ? rename_visitor(ctx, control) : rc;
    rc = rc == 0 ? write_row(ctx, control) : rc;
    ctx->erasing = true;
    return rc == 0 ? put_meta(ctx, CB_META_ERASED_AT, (uint64_t)ctx->journal_ms) : rc;
}

static int swept(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    struct cb_row *row;
    int rc = tag_row(ctx->views, ctx->site, control->tag, &row);
    if (rc == 0 && row->len == CB_ROW_ERASURE_BYTES) {
        cb_be64_put(row->data + CB_ERASURE_SWEPT, control->through);
        cb_be64_put(row->data + CB_ERASURE_SWEPT_AT, (uint64_t)ctx->journal_ms);
        cb_row_touch(row);
    }
    return rc;
}

static int on_control(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    if (control->op != CB_CONTROL_ERASE && control->op != CB_CONTROL_SWEPT) {
        return 0;
    }
    int rc = cb_sites_id(ctx->views, control->site, &ctx->site);
    if (rc != 0) {
        return rc == CB_ENOENT ? 0 : rc;
    }
    return control->op == CB_CONTROL_ERASE ? erase(ctx, control) : swept(ctx, control);
}

int cb_erasures_ordinal(struct cb_views *views, uint32_t site, const uint8_t tag[CB_VISITOR_BYTES],
                        uint32_t *ordinal) {
    struct cb_row *row;
    int rc = tag_row(views, site, tag, &row);
    if (rc == 0 && row->len != CB_ROW_ERASURE_BYTES) {
        return CB_ENOENT;
    }
    if (rc == 0) {
        *ordinal = cb_be32_get(row->data + CB_ERASURE_ORDINAL);
    }
    return rc;
}

const struct cb_fold_ops cb_fold_erasures = {
    .name = "erasures", .event = on_event, .every = true, .control = on_control};
