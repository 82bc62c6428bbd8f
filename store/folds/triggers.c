/* SPDX-License-Identifier: MIT
 * triggers.c: the ids of a site's triggers as small numbers, and the name that each had last.
 *
 * Ids come from pages: what is longer than 64 bytes is cut, and past 500 of a site all others share
 * one number. A row of the empty id says how many there are. */
#include "proto/pack.h"
#include "store/folds/folds.h"
#include "store/rows.h"

struct cb_str cb_text_cut(struct cb_str text, size_t max) {
    if (text.len > max) {
        text.len = max;
        while (text.len > 0 && ((unsigned char)text.p[text.len] & 0xc0) == 0x80) {
            text.len--;
        }
    }
    return text;
}

/* The texts `id` and `name` of the props; what is no text is as if it were not there. */
static void read_props(struct cb_str props, struct cb_str *id, struct cb_str *name) {
    struct cb_pack_reader reader;
    *id = *name = (struct cb_str){"", 0};
    if (props.len == 0) {
        return;
    }
    cb_pack_reader_init(&reader, props.p, props.len);
    for (uint32_t n = cb_pack_map(&reader, CB_PROPS_MAX); n > 0 && reader.ok; n--) {
        struct cb_str key = cb_pack_str(&reader, CB_PROP_KEY_MAX);
        struct cb_pack_token value;
        if (!cb_pack_next(&reader, &value) || value.type != CB_PACK_STR) {
            continue;
        }
        if (cb_str_is(key, "id")) {
            *id = cb_text_cut(value.s, CB_TRIGGER_ID_BYTES);
        } else if (cb_str_is(key, "name")) {
            *name = cb_text_cut(value.s, CB_TRIGGER_ID_BYTES);
        }
    }
}

struct cb_str cb_triggers_id(struct cb_str props) {
    struct cb_str id, name;
    read_props(props, &id, &name);
    return id.len > 0 ? id : name;
}

/* A new number, or CB_TRIGGER_OTHER. */
static int new_number(struct cb_views *views, uint32_t site, uint16_t *number) {
    struct cb_key key = cb_key_site(site);
    struct cb_row *row;
    int rc = cb_views_row(views, CB_TABLE_TRIGGERS, &key, &row);
    if (rc == 0 && row->len == 0) {
        rc = cb_row_resize(views, row, 2);
    }
    if (rc == 0 && row->len != 2) {
        rc = CB_ECORRUPT;
    }
    if (rc != 0) {
        return rc;
    }
    uint16_t n = cb_be16_get(row->data);
    *number = CB_TRIGGER_OTHER;
    if (n < CB_TRIGGERS_MAX) {
        *number = (uint16_t)(CB_TRIGGER_FIRST + n);
        cb_be16_put(row->data, (uint16_t)(n + 1));
        cb_row_touch(row);
    }
    return 0;
}

int cb_triggers_number(struct cb_views *views, uint32_t site, struct cb_str props,
                       uint16_t *number) {
    struct cb_str id, name;
    read_props(props, &id, &name);
    if (id.len == 0) {
        id = name;
    }
    if (id.len == 0) {
        *number = CB_TRIGGER_OTHER; /* nothing to tell it by */
        return 0;
    }
    struct cb_key key = cb_key_trigger(site, id);
    struct cb_row *row;
    int rc = cb_views_row(views, CB_TABLE_TRIGGERS, &key, &row);
    if (rc != 0) {
        return rc;
    }
    if (row->len == 1) {
        return CB_ECORRUPT;
    }
    if (row->len == 0) {
        rc = new_number(views, site, number);
        if (rc != 0 || *number == CB_TRIGGER_OTHER) {
            return rc;
        }
    } else {
        *number = cb_be16_get(row->data);
        if (name.len == 0 ||
            (row->len == 2 + name.len && memcmp(row->data + 2, name.p, name.len) == 0)) {
            return 0;
        }
    }
    rc = cb_row_resize(views, row, 2 + name.len);
    if (rc == 0) {
        cb_be16_put(row->data, *number);
        memcpy(row->data + 2, name.p, name.len);
    }
    return rc;
}
