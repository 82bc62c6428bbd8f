/* SPDX-License-Identifier: MIT
 * fields.c: a visitor's name, email, phone and notes, from `set` events and operators' edits, by
 * the write order of DESIGN: each value keeps (time, producer, seq, source) and, for an operator's,
 * the token. What a value replaces, and what came too late to replace anything, goes to `history`:
 * the last CB_HISTORY_MAX of each field. Writing the same value again leaves no trace there. Values
 * are cut in parts of 1,500 bytes, so that no row is over 2 KB. */
#include "proto/pack.h"
#include "store/folds/folds.h"
#include "store/rows.h"

enum { VALUE_MAX = CB_FIELD_PARTS_MAX * CB_FIELD_PART_BYTES };

/* Where a value stands: a field's own, or a place of its history. */
struct place {
    uint32_t site, ordinal;
    uint8_t field;
    int slot; /* -1: the value that counts */
};

/* A value and all that is kept with it. */
struct value {
    struct cb_stamp stamp;
    uint8_t by[CB_TOKEN_ID_BYTES];
    uint32_t moved; /* of the value that counts: how many went to history */
    struct cb_str text;
};

static int part_row(struct cb_views *views, const struct place *place, unsigned part,
                    struct cb_row **out) {
    struct cb_key key = place->slot < 0
                            ? cb_key_field(place->site, place->ordinal, place->field, (uint8_t)part)
                            : cb_key_history(place->site, place->ordinal, place->field,
                                             (uint8_t)place->slot, (uint8_t)part);
    return cb_views_row(views, place->slot < 0 ? CB_TABLE_FIELDS : CB_TABLE_HISTORY, &key, out);
}

static unsigned parts_of(size_t len) {
    return len == 0 ? 1 : (unsigned)((len + CB_FIELD_PART_BYTES - 1) / CB_FIELD_PART_BYTES);
}

/* The number of parts that stand there, 0 for no value. */
static int count_parts(struct cb_views *views, const struct place *place, unsigned *parts) {
    struct cb_row *row;
    int rc = part_row(views, place, 0, &row);
    *parts = 0;
    if (rc != 0 || row->len == 0) {
        return rc;
    }
    if (row->len < CB_FIELD_HEAD_BYTES) {
        return CB_ECORRUPT;
    }
    *parts = parts_of(cb_be32_get(row->data + CB_FIELD_LEN));
    return *parts > CB_FIELD_PARTS_MAX ? CB_ECORRUPT : 0;
}

static void write_head(uint8_t *p, const struct value *value) {
    cb_be64_put(p + CB_FIELD_TRUE_MS, (uint64_t)value->stamp.true_ms);
    cb_be64_put(p + CB_FIELD_SEQ, value->stamp.seq);
    memcpy(p + CB_FIELD_PRODUCER, value->stamp.producer, CB_PRODUCER_BYTES);
    p[CB_FIELD_SOURCE] = value->stamp.source;
    memcpy(p + CB_FIELD_BY, value->by, CB_TOKEN_ID_BYTES);
    cb_be32_put(p + CB_FIELD_MOVED, value->moved);
    cb_be32_put(p + CB_FIELD_LEN, (uint32_t)value->text.len);
}

static int write_value(struct cb_views *views, const struct place *place,
                       const struct value *value) {
    unsigned before, parts = parts_of(value->text.len);
    int rc = count_parts(views, place, &before);
    for (unsigned part = 0; rc == 0 && (part < parts || part < before); part++) {
        struct cb_row *row;
        rc = part_row(views, place, part, &row);
        if (rc != 0) {
            break;
        }
        size_t from = (size_t)part * CB_FIELD_PART_BYTES;
        size_t len = from < value->text.len ? value->text.len - from : 0;
        len = len < CB_FIELD_PART_BYTES ? len : CB_FIELD_PART_BYTES;
        size_t head = part == 0 ? CB_FIELD_HEAD_BYTES : 0;
        rc = cb_row_resize(views, row, head + len);
        if (rc != 0) {
            break;
        }
        if (part == 0) {
            write_head(row->data, value);
        }
        if (len > 0) {
            memcpy(row->data + head, value->text.p + from, len);
        }
    }
    return rc;
}

/* Reads a value; its text goes to text, which holds VALUE_MAX bytes. Errors: CB_ENOENT. */
static int read_value(struct cb_views *views, const struct place *place, char *text,
                      struct value *out) {
    unsigned parts;
    size_t len = 0;
    int rc = count_parts(views, place, &parts);
    if (rc == 0 && parts == 0) {
        return CB_ENOENT;
    }
    for (unsigned part = 0; rc == 0 && part < parts; part++) {
        struct cb_row *row;
        rc = part_row(views, place, part, &row);
        size_t head = part == 0 ? CB_FIELD_HEAD_BYTES : 0;
        if (rc != 0 || row->len < head || row->len - head > CB_FIELD_PART_BYTES) {
            return rc != 0 ? rc : CB_ECORRUPT;
        }
        if (part == 0) {
            const uint8_t *p = row->data;
            *out = (struct value){.stamp = {.true_ms = (int64_t)cb_be64_get(p + CB_FIELD_TRUE_MS),
                                            .seq = cb_be64_get(p + CB_FIELD_SEQ),
                                            .source = p[CB_FIELD_SOURCE]},
                                  .moved = cb_be32_get(p + CB_FIELD_MOVED),
                                  .text = {text, cb_be32_get(p + CB_FIELD_LEN)}};
            memcpy(out->stamp.producer, p + CB_FIELD_PRODUCER, CB_PRODUCER_BYTES);
            memcpy(out->by, p + CB_FIELD_BY, CB_TOKEN_ID_BYTES);
        }
        if (row->len > head) {
            memcpy(text + len, row->data + head, row->len - head);
        }
        len += row->len - head;
    }
    return rc == 0 && len != out->text.len ? CB_ECORRUPT : rc;
}

/* Puts a value into the history of its field, over the oldest one where it is full. moved: how many
 * went there before. */
static int keep(struct cb_views *views, struct place place, const struct value *value,
                uint32_t moved) {
    struct value kept = *value;
    kept.moved = 0;
    place.slot = (int)(moved % CB_HISTORY_MAX);
    return write_value(views, &place, &kept);
}

/* Writes a field of the visitor ctx->ordinal, unless what is there was written later. */
static int put(struct cb_fold_ctx *ctx, unsigned field, struct value *fresh) {
    char text[VALUE_MAX];
    struct value before = {.text = {text, 0}};
    const struct place place = {ctx->site, ctx->ordinal, (uint8_t)field, -1};
    int rc = read_value(ctx->views, &place, text, &before);
    bool any = rc == 0;
    if (rc != 0 && rc != CB_ENOENT) {
        return rc;
    }
    bool same = any && cb_str_eq(before.text, fresh->text);
    if (any && !cb_stamp_replaces(&before.stamp, &fresh->stamp)) {
        if (same) {
            return 0;
        }
        rc = keep(ctx->views, place, fresh, before.moved++);
        return rc == 0 ? write_value(ctx->views, &place, &before) : rc;
    }
    fresh->moved = before.moved;
    rc = any && !same ? keep(ctx->views, place, &before, fresh->moved++) : 0;
    if (rc == 0) {
        rc = write_value(ctx->views, &place, fresh);
    }
    return rc == 0 && !same ? cb_search_change(ctx->views, ctx->site, ctx->ordinal, field,
                                               before.text, fresh->text)
                            : rc;
}

/* Whether a `set` says that a form of the widget made it, not a call of the page's. */
static bool is_of_form(struct cb_str props) {
    struct cb_pack_reader reader;
    bool form = false;
    if (props.len == 0) {
        return false;
    }
    cb_pack_reader_init(&reader, props.p, props.len);
    for (uint32_t n = cb_pack_map(&reader, CB_PROPS_MAX); n > 0 && reader.ok; n--) {
        struct cb_str key = cb_pack_str(&reader, CB_PROP_KEY_MAX);
        struct cb_pack_token value;
        if (cb_pack_next(&reader, &value) && value.type == CB_PACK_STR &&
            cb_str_is(key, "source")) {
            form = cb_str_is(value.s, "form");
        }
    }
    return form;
}

static int on_event(struct cb_fold_ctx *ctx) {
    if (ctx->event->name_code != CB_NAME_SET || !ctx->envelope->has_visitor) {
        return 0;
    }
    int field = cb_field_of(ctx->event->key);
    if (field < 0) {
        return 0;
    }
    struct value fresh = {
        .stamp = {.true_ms = ctx->true_ms,
                  .seq = ctx->event->seq,
                  .source = is_of_form(ctx->event->props) ? CB_SOURCE_FORM : CB_SOURCE_PAGE},
        .text = ctx->event->value};
    memcpy(fresh.stamp.producer, ctx->envelope->producer, CB_PRODUCER_BYTES);
    return put(ctx, (unsigned)field, &fresh);
}

/* An operator's edit counts from when it was appended. A visitor who is gone by then, or a site,
 * has nothing to edit. */
static int on_control(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    if (control->op != CB_CONTROL_EDIT) {
        return 0;
    }
    bool erased;
    int rc = cb_sites_id(ctx->views, control->site, &ctx->site);
    if (rc == 0) {
        rc = cb_erasures_check(ctx, control->visitor, &erased);
        if (rc != 0 || erased) {
            return rc;
        }
        rc = cb_visitors_ordinal(ctx->views, ctx->site, control->visitor, &ctx->ordinal);
    }
    if (rc != 0) {
        return rc == CB_ENOENT ? 0 : rc;
    }
    rc = cb_timeline_note(ctx);
    for (unsigned field = 0; rc == 0 && field < CB_EDITABLE_COUNT; field++) {
        struct value fresh = {.stamp = {.true_ms = ctx->journal_ms,
                                        .seq = ctx->position,
                                        .source = CB_SOURCE_OPERATOR},
                              .text = control->fields[field]};
        memcpy(fresh.by, control->by, CB_TOKEN_ID_BYTES);
        if (fresh.text.p) {
            rc = put(ctx, field, &fresh);
        }
    }
    return rc;
}

static int drop_value(struct cb_views *views, const struct place *place) {
    unsigned parts;
    int rc = count_parts(views, place, &parts);
    for (unsigned part = 0; rc == 0 && part < parts; part++) {
        struct cb_row *row;
        rc = part_row(views, place, part, &row);
        rc = rc == 0 ? cb_row_resize(views, row, 0) : rc;
    }
    return rc;
}

int cb_fields_forget(struct cb_views *views, uint32_t site, uint32_t ordinal) {
    char text[VALUE_MAX];
    int rc = 0;
    for (unsigned field = 0; rc == 0 && field < CB_EDITABLE_COUNT; field++) {
        struct place place = {site, ordinal, (uint8_t)field, -1};
        struct value value;
        rc = read_value(views, &place, text, &value);
        if (rc != 0) {
            rc = rc == CB_ENOENT ? 0 : rc;
            continue;
        }
        rc = cb_search_change(views, site, ordinal, field, value.text, (struct cb_str){"", 0});
        rc = rc == 0 ? drop_value(views, &place) : rc;
        uint32_t slots = value.moved < CB_HISTORY_MAX ? value.moved : CB_HISTORY_MAX;
        for (place.slot = 0; rc == 0 && place.slot < (int)slots; place.slot++) {
            rc = drop_value(views, &place);
        }
    }
    return rc;
}

const struct cb_fold_ops cb_fold_fields = {
    .name = "fields", .event = on_event, .control = on_control};
