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
#include "store/timeline_row.h"

static int find_row(struct cb_fold_ctx *ctx, uint32_t day, uint16_t part, struct cb_row **row) {
    const uint32_t share = ctx->ordinal / CB_TIMELINE_SHARED;
    const struct cb_key key = cb_key_timeline(day, ctx->site, share, part);
    if (*row && (*row)->key_len == key.len && memcmp((*row)->key, key.bytes, key.len) == 0) {
        return 0;
    }
    int rc = cb_views_row(ctx->views, CB_TABLE_TIMELINE, &key, row);
    bool sound = rc != 0 || (*row)->len == 0 || (*row)->len > CB_TIMELINE_HEAD_BYTES;
    return sound ? rc : CB_ECORRUPT;
}

/* The row behind one that is full. Who has the last position goes along. */
static int open_part(struct cb_fold_ctx *ctx, uint32_t day, uint16_t part, struct cb_row *first,
                     struct cb_row **row) {
    const struct cb_row *before = *row;
    int rc = find_row(ctx, day, part, row);
    rc = rc == 0 ? cb_row_resize(ctx->views, *row, CB_TIMELINE_HEAD_BYTES) : rc;
    if (rc == 0) {
        memcpy((*row)->data, before->data, CB_TIMELINE_HEAD_BYTES);
        cb_be16_put(first->data + CB_TIMELINE_PART, part);
        cb_row_touch(first);
    }
    return rc;
}

/* where: the place of the visitor's last row, which may become another. first: the first row of a
 * day, or NULL; becomes that of today. */
static int note(struct cb_fold_ctx *ctx, struct cb_timeline_place *where, struct cb_row **first) {
    const uint32_t day = cb_sweep_day(ctx->journal_ms);
    const unsigned nth = ctx->ordinal % CB_TIMELINE_SHARED;
    int rc = find_row(ctx, day, 0, first);
    if (rc != 0) {
        return rc;
    }
    struct cb_row *row = *first;
    uint16_t part = row->len > 0 ? cb_be16_get(row->data + CB_TIMELINE_PART) : 0;
    rc = part > 0 ? find_row(ctx, day, part, &row) : 0;
    if (rc != 0 || (part > 0 && row->len == 0)) {
        return rc != 0 ? rc : CB_ECORRUPT;
    }
    if (row->len > 0 && cb_timeline_row_ends(row, nth, ctx->position)) {
        return 0;
    }
    if (row->len + CB_TIMELINE_ENTRY_MAX > CB_TIMELINE_ROW_MAX && part < UINT16_MAX - 1) {
        rc = open_part(ctx, day, ++part, *first, &row);
    }
    const struct cb_timeline_place before = *where, now = {day, (uint16_t)(part + 1)};
    const bool there = before.day == now.day && before.parts == now.parts;
    *where = now;
    return rc == 0 ? cb_timeline_row_append(ctx->views, row, day, nth, ctx->position,
                                            there ? NULL : &before)
                   : rc;
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
