/* SPDX-License-Identifier: MIT
 * Invariant: a body that decodes is one that the fold can apply as it stands. The version is that
 * of the frame around it; sites and tokens of the first writers are shorter, and read as well. */
#include "proto/control.h"

#include <assert.h>
#include <msgpack/pack.h>

#include "proto/frame.h"
#include "proto/pack.h"

enum {
    SITE_VALUES = 4,      /* op, made, site, status … */
    SITE_BY_VALUES = 5,   /* … by */
    TOKEN_VALUES = 5,     /* op, made, site, token, role … */
    TOKEN_BY_VALUES = 7,  /* … name, by */
    REVOKE_VALUES = 5,    /* op, made, site, by, id */
    SETTINGS_VALUES = 11, /* op, made, site, by, zone, idle, 3 × days, origins, page */
    STATUS_VALUES = 5,    /* op, made, site, by, status */
    EDIT_VALUES = 6,      /* op, made, site, by, visitor, fields */
    ERASE_VALUES = 7,     /* op, made, site, by, visitor, pseudonym, tag */
    SWEPT_VALUES = 6,     /* op, made, site, by, tag, through */
    HEAD_BYTES = 1 + 1 + 9 + 2 + CB_SITE_MAX + 2 + CB_TOKEN_ID_BYTES,
};

static bool has_by(const struct cb_control *control) {
    static const uint8_t none[CB_TOKEN_ID_BYTES];
    return memcmp(control->by, none, sizeof none) != 0;
}

size_t cb_editable_max_chars(unsigned field) {
    return field < CB_FIELD_COUNT ? cb_field_max_chars(field) : CB_REMARKS_CHARACTERS;
}

const char *cb_editable_key(unsigned field) {
    return field < CB_FIELD_COUNT ? cb_field_key(field) : "remarks";
}

static bool fields_ok(const struct cb_control *control) {
    bool any = false;
    for (unsigned i = 0; i < CB_EDITABLE_COUNT; i++) {
        struct cb_str value = control->fields[i];
        if (!value.p) {
            continue;
        }
        any = true;
        if (!cb_utf8_valid(value) || cb_utf8_length(value) > cb_editable_max_chars(i)) {
            return false;
        }
    }
    return any;
}

bool cb_control_valid(const struct cb_control *control) {
    if (control->made_ms < 0 || control->made_ms > CB_FRAME_TIME_MAX_MS) {
        return false;
    }
    bool site = cb_site_name_valid(control->site);
    bool status = control->status >= CB_STATUS_ONLINE && control->status <= CB_STATUS_AUTOMATIC;
    switch (control->op) {
    case CB_CONTROL_SITE:
    case CB_CONTROL_STATUS:
        return site && status;
    case CB_CONTROL_TOKEN:
        return (control->site.len == 0 || site) && control->role >= CB_ROLE_VIEWER &&
               control->role <= CB_ROLE_ADMIN && control->name.len <= CB_TOKEN_NAME_MAX &&
               cb_utf8_valid(control->name);
    case CB_CONTROL_REVOKE:
        return control->site.len == 0 || site;
    case CB_CONTROL_SETTINGS:
        return site && cb_settings_valid(&control->settings) &&
               cb_utf8_valid(control->settings.page);
    case CB_CONTROL_EDIT:
        return site && fields_ok(control);
    case CB_CONTROL_ERASE:
    case CB_CONTROL_SWEPT:
        return site;
    }
    return false;
}

/* ---- writing ---- */

static size_t most_bytes(const struct cb_control *control) {
    size_t bytes = HEAD_BYTES + 128 + control->name.len + control->settings.zone.len +
                   control->settings.origins.len + control->settings.page.len;
    for (unsigned i = 0; i < CB_EDITABLE_COUNT; i++) {
        bytes += 5 + control->fields[i].len;
    }
    return bytes;
}

static void pack_str(msgpack_packer *pk, struct cb_str text) {
    msgpack_pack_str_with_body(pk, text.p ? text.p : "", text.len);
}

static void pack_settings(msgpack_packer *pk, const struct cb_settings *settings) {
    pack_str(pk, settings->zone);
    msgpack_pack_uint32(pk, settings->idle_minutes);
    msgpack_pack_uint32(pk, settings->raw_days);
    msgpack_pack_uint32(pk, settings->personal_days);
    msgpack_pack_uint32(pk, settings->rollup_days);
    pack_str(pk, settings->origins);
    pack_str(pk, settings->page);
}

static void pack_edit(msgpack_packer *pk, const struct cb_control *control) {
    msgpack_pack_bin_with_body(pk, control->visitor, CB_VISITOR_BYTES);
    msgpack_pack_array(pk, CB_EDITABLE_COUNT);
    for (unsigned i = 0; i < CB_EDITABLE_COUNT; i++) {
        if (control->fields[i].p) {
            pack_str(pk, control->fields[i]);
        } else {
            msgpack_pack_nil(pk);
        }
    }
}

static uint32_t values_of(const struct cb_control *control) {
    switch (control->op) {
    case CB_CONTROL_SITE:
        return has_by(control) ? SITE_BY_VALUES : SITE_VALUES;
    case CB_CONTROL_TOKEN:
        return has_by(control) || control->name.len > 0 ? TOKEN_BY_VALUES : TOKEN_VALUES;
    case CB_CONTROL_REVOKE:
        return REVOKE_VALUES;
    case CB_CONTROL_SETTINGS:
        return SETTINGS_VALUES;
    case CB_CONTROL_STATUS:
        return STATUS_VALUES;
    case CB_CONTROL_EDIT:
        return EDIT_VALUES;
    case CB_CONTROL_ERASE:
        return ERASE_VALUES;
    case CB_CONTROL_SWEPT:
        return SWEPT_VALUES;
    }
    return 0;
}

int cb_control_encode(const struct cb_control *control, struct cb_buf *out) {
    assert(cb_control_valid(control));
    int err = cb_buf_reserve(out, most_bytes(control));
    if (err) {
        return err;
    }
    uint32_t n_values = values_of(control);
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, cb_pack_write);
    msgpack_pack_array(&pk, n_values);
    msgpack_pack_uint8(&pk, (uint8_t)control->op);
    msgpack_pack_uint64(&pk, (uint64_t)control->made_ms);
    pack_str(&pk, control->site);
    if (control->op > CB_CONTROL_TOKEN) {
        msgpack_pack_bin_with_body(&pk, control->by, CB_TOKEN_ID_BYTES);
    }
    switch (control->op) {
    case CB_CONTROL_SITE:
    case CB_CONTROL_STATUS:
        msgpack_pack_uint32(&pk, control->status);
        break;
    case CB_CONTROL_TOKEN:
        msgpack_pack_bin_with_body(&pk, control->token, CB_TOKEN_HASH_BYTES);
        msgpack_pack_uint32(&pk, control->role);
        if (n_values == TOKEN_BY_VALUES) {
            pack_str(&pk, control->name);
        }
        break;
    case CB_CONTROL_REVOKE:
        msgpack_pack_bin_with_body(&pk, control->token, CB_TOKEN_ID_BYTES);
        break;
    case CB_CONTROL_SETTINGS:
        pack_settings(&pk, &control->settings);
        break;
    case CB_CONTROL_EDIT:
        pack_edit(&pk, control);
        break;
    case CB_CONTROL_ERASE:
        msgpack_pack_bin_with_body(&pk, control->visitor, CB_VISITOR_BYTES);
        msgpack_pack_bin_with_body(&pk, control->pseudonym, CB_VISITOR_BYTES);
        msgpack_pack_bin_with_body(&pk, control->tag, CB_VISITOR_BYTES);
        break;
    case CB_CONTROL_SWEPT:
        msgpack_pack_bin_with_body(&pk, control->tag, CB_VISITOR_BYTES);
        msgpack_pack_uint64(&pk, control->through);
        break;
    }
    if (n_values == (control->op == CB_CONTROL_SITE ? SITE_BY_VALUES : TOKEN_BY_VALUES) &&
        control->op <= CB_CONTROL_TOKEN) {
        msgpack_pack_bin_with_body(&pk, control->by, CB_TOKEN_ID_BYTES);
    }
    return 0;
}

/* ---- reading ---- */

static void take_bytes(struct cb_pack_reader *r, uint8_t *out, size_t len) {
    struct cb_str bytes = cb_pack_bin(r, len);
    if (bytes.len != len) {
        cb_pack_fail(r);
        return;
    }
    memcpy(out, bytes.p, len);
}

static void take_settings(struct cb_pack_reader *r, struct cb_settings *out) {
    out->zone = cb_pack_str(r, CB_ZONE_MAX);
    out->idle_minutes = (uint32_t)cb_pack_uint(r, CB_IDLE_MINUTES_MAX);
    out->raw_days = (uint32_t)cb_pack_uint(r, CB_RETAIN_DAYS_MAX);
    out->personal_days = (uint32_t)cb_pack_uint(r, CB_RETAIN_DAYS_MAX);
    out->rollup_days = (uint32_t)cb_pack_uint(r, CB_RETAIN_DAYS_MAX);
    out->origins = cb_pack_str(r, CB_ORIGINS_MAX_BYTES);
    out->page = cb_pack_str(r, CB_PAGE_SETTINGS_MAX);
}

static void take_edit(struct cb_pack_reader *r, struct cb_control *out) {
    take_bytes(r, out->visitor, CB_VISITOR_BYTES);
    if (cb_pack_array(r, CB_EDITABLE_COUNT) != CB_EDITABLE_COUNT) {
        cb_pack_fail(r);
    }
    for (unsigned i = 0; r->ok && i < CB_EDITABLE_COUNT; i++) {
        if (!cb_pack_nil(r)) {
            out->fields[i] = cb_pack_str(r, 4 * cb_editable_max_chars(i));
        }
    }
}

int cb_control_decode(struct cb_str body, struct cb_control *out) {
    struct cb_pack_reader r;
    memset(out, 0, sizeof *out);
    cb_pack_reader_init(&r, body.p, body.len);
    uint32_t n_values = cb_pack_array(&r, SETTINGS_VALUES);
    out->op = (enum cb_control_op)cb_pack_uint(&r, CB_CONTROL_OP_MAX);
    out->made_ms = (int64_t)cb_pack_uint(&r, (uint64_t)CB_FRAME_TIME_MAX_MS);
    out->site = cb_pack_str(&r, CB_SITE_MAX);
    if (out->op > CB_CONTROL_TOKEN) {
        take_bytes(&r, out->by, CB_TOKEN_ID_BYTES);
    }
    bool by_follows = false;
    switch (out->op) {
    case CB_CONTROL_SITE:
        out->status = (unsigned)cb_pack_uint(&r, CB_STATUS_AUTOMATIC);
        by_follows = n_values == SITE_BY_VALUES;
        break;
    case CB_CONTROL_TOKEN:
        take_bytes(&r, out->token, CB_TOKEN_HASH_BYTES);
        out->role = (unsigned)cb_pack_uint(&r, CB_ROLE_ADMIN);
        by_follows = n_values == TOKEN_BY_VALUES;
        if (by_follows) {
            out->name = cb_pack_str(&r, CB_TOKEN_NAME_MAX);
        }
        break;
    case CB_CONTROL_REVOKE:
        take_bytes(&r, out->token, CB_TOKEN_ID_BYTES);
        break;
    case CB_CONTROL_SETTINGS:
        take_settings(&r, &out->settings);
        break;
    case CB_CONTROL_STATUS:
        out->status = (unsigned)cb_pack_uint(&r, CB_STATUS_AUTOMATIC);
        break;
    case CB_CONTROL_EDIT:
        take_edit(&r, out);
        break;
    case CB_CONTROL_ERASE:
        take_bytes(&r, out->visitor, CB_VISITOR_BYTES);
        take_bytes(&r, out->pseudonym, CB_VISITOR_BYTES);
        take_bytes(&r, out->tag, CB_VISITOR_BYTES);
        break;
    case CB_CONTROL_SWEPT:
        take_bytes(&r, out->tag, CB_VISITOR_BYTES);
        out->through = cb_pack_uint(&r, UINT64_MAX);
        break;
    }
    if (by_follows) {
        take_bytes(&r, out->by, CB_TOKEN_ID_BYTES);
    }
    /* The shorter form is the one without a maker: each body has one way to be written. */
    bool fits = n_values == values_of(out);
    return cb_pack_done(&r) && fits && cb_control_valid(out) ? 0 : CB_EMALFORMED;
}
