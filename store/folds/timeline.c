/* SPDX-License-Identifier: MIT
 * timeline.c: in which records of the journal a visitor stands, day by day of journal time: for the
 * visitor's timeline, and to find what an erasure has to rewrite. Records where nothing of the
 * visitor's was counted are in it as well, and operators' edits.
 *
 * The day comes first in the key, so that a day's rows lie together while they are written, and go
 * together when the journal is trimmed (sweep_timeline.h). Each row names the one before it, and
 * the visitor's row the last: so a visitor's rows are found without looking at days on which
 * nothing was. */
#include "store/folds/folds.h"
#include "store/rows.h"
#include "store/sweep.h"
#include "store/varint.h"

static int append(struct cb_views *views, struct cb_row *row, uint64_t position) {
    uint8_t bytes[CB_VARINT_BYTES];
    size_t at = row->len;
    size_t n = cb_varint_put(bytes, position - cb_be64_get(row->data + CB_TIMELINE_LAST));
    int rc = cb_row_resize(views, row, at + n);
    if (rc == 0) {
        memcpy(row->data + at, bytes, n);
        cb_be64_put(row->data + CB_TIMELINE_LAST, position);
    }
    return rc;
}

/* A row that the visitor has none of yet; where says which is the last from now on. */
static int open_row(struct cb_fold_ctx *ctx, struct cb_timeline_place *where, uint32_t day,
                    uint16_t part, struct cb_row **row) {
    struct cb_key key = cb_key_timeline(day, ctx->site, ctx->ordinal, part);
    int rc = cb_views_row_unread(ctx->views, CB_TABLE_TIMELINE, &key, false, row);
    rc = rc == 0 ? cb_row_resize(ctx->views, *row, CB_TIMELINE_HEAD_BYTES) : rc;
    if (rc == 0) {
        cb_be32_put((*row)->data + CB_TIMELINE_BEFORE, where->day);
        cb_be16_put((*row)->data + CB_TIMELINE_BEFORE + 4, where->parts);
        *where = (struct cb_timeline_place){day, (uint16_t)(part + 1)};
    }
    return rc;
}

/* The visitor's last row of today, *row, which is used if it is there: else it is looked up. */
static int last_row(struct cb_fold_ctx *ctx, uint32_t day, uint16_t part, struct cb_row **row) {
    const struct cb_key key = cb_key_timeline(day, ctx->site, ctx->ordinal, part);
    if (*row && (*row)->key_len == key.len && memcmp((*row)->key, key.bytes, key.len) == 0) {
        return 0;
    }
    return cb_views_row(ctx->views, CB_TABLE_TIMELINE, &key, row);
}

/* where: the place of the visitor's last row, which may become another. */
static int note(struct cb_fold_ctx *ctx, struct cb_timeline_place *where, struct cb_row **row) {
    uint32_t day = cb_sweep_day(ctx->journal_ms);
    if (where->parts == 0 || where->day != day) {
        int rc = open_row(ctx, where, day, 0, row);
        return rc == 0 ? append(ctx->views, *row, ctx->position) : rc;
    }
    int rc = last_row(ctx, day, (uint16_t)(where->parts - 1), row);
    if (rc != 0 || (*row)->len < CB_TIMELINE_HEAD_BYTES) {
        return rc != 0 ? rc : CB_ECORRUPT;
    }
    if (cb_be64_get((*row)->data + CB_TIMELINE_LAST) == ctx->position) {
        return 0;
    }
    if ((*row)->len + CB_VARINT_BYTES > CB_TIMELINE_ROW_MAX && where->parts < UINT16_MAX) {
        rc = open_row(ctx, where, day, where->parts, row);
    }
    return rc == 0 ? append(ctx->views, *row, ctx->position) : rc;
}

int cb_timeline_note(struct cb_fold_ctx *ctx) {
    struct cb_visitor_row visitor;
    struct cb_row *kept, *row = NULL;
    int rc = cb_visitors_read(ctx, &kept, &visitor);
    if (rc != 0) {
        return rc;
    }
    const struct cb_timeline_place before = visitor.timeline;
    rc = note(ctx, &visitor.timeline, &row);
    bool moved = visitor.timeline.day != before.day || visitor.timeline.parts != before.parts;
    return rc == 0 && moved ? cb_visitors_write(ctx, kept, &visitor) : rc;
}

static int on_event(struct cb_fold_ctx *ctx) {
    if (!ctx->envelope->has_visitor || ctx->site == CB_SITE_ID_NONE) {
        return 0;
    }
    if (ctx->erased) {
        return 0; /* noted with the erasure */
    }
    if (!ctx->counted) {
        int rc = cb_visitors_ordinal(ctx->views, ctx->site, ctx->envelope->visitor, &ctx->ordinal);
        if (rc != 0) {
            return rc == CB_ENOENT ? 0 : rc;
        }
    }
    if (ctx->noted && ctx->noted_site == ctx->site && ctx->noted_ordinal == ctx->ordinal) {
        return 0;
    }
    ctx->noted = true;
    ctx->noted_site = ctx->site;
    ctx->noted_ordinal = ctx->ordinal;
    return ctx->visitor.row ? note(ctx, &ctx->visitor.now.timeline, &ctx->sender->timeline)
                            : cb_timeline_note(ctx);
}

const struct cb_fold_ops cb_fold_timeline = {.name = "timeline", .event = on_event, .every = true};
