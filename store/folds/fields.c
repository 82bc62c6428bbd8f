/* SPDX-License-Identifier: MIT
 * fields.c: a visitor's name, email, phone and notes, from `set` events and
 * operators' edits, by the write order of
 * DESIGN: each value keeps (time, producer, seq, source). Values are cut in parts of 1,500 bytes,
 * so that no row is over 2 KB. */
#include "store/folds/folds.h"
#include "store/rows.h"

static int part_row(struct cb_fold_ctx *ctx, unsigned field, unsigned part, struct cb_row **out) {
    struct cb_key key = cb_key_field(ctx->site, ctx->ordinal, (uint8_t)field, (uint8_t)part);
    return cb_views_row(ctx->views, CB_TABLE_FIELDS, &key, out);
}

static unsigned parts_of(size_t len) {
    return len == 0 ? 1 : (unsigned)((len + CB_FIELD_PART_BYTES - 1) / CB_FIELD_PART_BYTES);
}

static int write_value(struct cb_fold_ctx *ctx, unsigned field, const struct cb_stamp *stamp,
                       struct cb_str value, unsigned parts_before) {
    unsigned parts = parts_of(value.len);
    for (unsigned part = 0; part < parts || part < parts_before; part++) {
        struct cb_row *row;
        int rc = part_row(ctx, field, part, &row);
        if (rc != 0) {
            return rc;
        }
        size_t from = (size_t)part * CB_FIELD_PART_BYTES;
        size_t len = from < value.len ? value.len - from : 0;
        len = len < CB_FIELD_PART_BYTES ? len : CB_FIELD_PART_BYTES;
        size_t head = part == 0 ? CB_FIELD_HEAD_BYTES : 0;
        rc = cb_row_resize(ctx->views, row, head + len);
        if (rc != 0) {
            return rc;
        }
        if (part == 0) {
            cb_be64_put(row->data + CB_FIELD_TRUE_MS, (uint64_t)stamp->true_ms);
            cb_be64_put(row->data + CB_FIELD_SEQ, stamp->seq);
            memcpy(row->data + CB_FIELD_PRODUCER, stamp->producer, CB_PRODUCER_BYTES);
            row->data[CB_FIELD_SOURCE] = stamp->source;
            cb_be32_put(row->data + CB_FIELD_LEN, (uint32_t)value.len);
        }
        if (len > 0) {
            memcpy(row->data + head, value.p + from, len);
        }
    }
    return 0;
}

/* Writes a field of the visitor ctx->ordinal, unless what is there was written later. */
static int put(struct cb_fold_ctx *ctx, unsigned field, const struct cb_stamp *stamp,
               struct cb_str value) {
    struct cb_row *row;
    int rc = part_row(ctx, field, 0, &row);
    if (rc != 0) {
        return rc;
    }
    unsigned parts_before = 0;
    if (row->len > 0) {
        if (row->len < CB_FIELD_HEAD_BYTES) {
            return CB_ECORRUPT;
        }
        struct cb_stamp before = {.true_ms = (int64_t)cb_be64_get(row->data + CB_FIELD_TRUE_MS),
                                  .seq = cb_be64_get(row->data + CB_FIELD_SEQ),
                                  .source = row->data[CB_FIELD_SOURCE]};
        memcpy(before.producer, row->data + CB_FIELD_PRODUCER, CB_PRODUCER_BYTES);
        if (!cb_stamp_replaces(&before, stamp)) {
            return 0;
        }
        parts_before = parts_of(cb_be32_get(row->data + CB_FIELD_LEN));
        if (parts_before > CB_FIELD_PARTS_MAX) {
            return CB_ECORRUPT;
        }
    }
    return write_value(ctx, field, stamp, value, parts_before);
}

static int on_event(struct cb_fold_ctx *ctx) {
    if (ctx->event->name_code != CB_NAME_SET || !ctx->envelope->has_visitor) {
        return 0;
    }
    int field = cb_field_of(ctx->event->key);
    if (field < 0) {
        return 0;
    }
    struct cb_stamp stamp = {
        .true_ms = ctx->true_ms, .seq = ctx->event->seq, .source = CB_SOURCE_PAGE};
    memcpy(stamp.producer, ctx->envelope->producer, CB_PRODUCER_BYTES);
    return put(ctx, (unsigned)field, &stamp, ctx->event->value);
}

/* An operator's edit counts from when it was appended. A visitor who is gone by then, or a site,
 * has nothing to edit. */
static int on_control(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    if (control->op != CB_CONTROL_EDIT) {
        return 0;
    }
    struct cb_row *row;
    int rc = cb_sites_id(ctx->views, control->site, &ctx->site);
    if (rc != 0) {
        return rc == CB_ENOENT ? 0 : rc;
    }
    struct cb_key key = cb_key_ordinal(ctx->site, control->visitor);
    rc = cb_views_row(ctx->views, CB_TABLE_ORDINALS, &key, &row);
    if (rc != 0 || row->len == 0) {
        return rc;
    }
    if (row->len != 4) {
        return CB_ECORRUPT;
    }
    ctx->ordinal = cb_be32_get(row->data);
    struct cb_stamp stamp = {
        .true_ms = ctx->journal_ms, .seq = ctx->position, .source = CB_SOURCE_OPERATOR};
    for (unsigned field = 0; rc == 0 && field < CB_EDITABLE_COUNT; field++) {
        if (control->fields[field].p) {
            rc = put(ctx, field, &stamp, control->fields[field]);
        }
    }
    return rc;
}

const struct cb_fold_ops cb_fold_fields = {
    .name = "fields", .event = on_event, .control = on_control};
