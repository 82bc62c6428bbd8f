/* SPDX-License-Identifier: MIT
 * Invariant: a body that decodes is one that the fold can apply as it stands. The version is that
 * of the frame around it. */
#include "proto/control.h"

#include <assert.h>
#include <msgpack/pack.h>

#include "proto/frame.h"

enum {
    SITE_VALUES = 4,  /* op, made, site, status */
    TOKEN_VALUES = 5, /* op, made, site, token, role */
    CONTROL_BYTES_MAX = 1 + 1 + 9 + 2 + CB_SITE_MAX + 2 + CB_TOKEN_HASH_BYTES + 1,
};

static bool control_ok(const struct cb_control *control) {
    if (control->made_ms < 0 || control->made_ms > CB_FRAME_TIME_MAX_MS) {
        return false;
    }
    switch (control->op) {
    case CB_CONTROL_SITE:
        return cb_site_name_valid(control->site) && control->status >= CB_STATUS_ONLINE &&
               control->status <= CB_STATUS_OFFLINE;
    case CB_CONTROL_TOKEN:
        return (control->site.len == 0 || cb_site_name_valid(control->site)) &&
               control->role >= CB_ROLE_VIEWER && control->role <= CB_ROLE_ADMIN;
    }
    return false;
}

int cb_control_encode(const struct cb_control *control, struct cb_buf *out) {
    assert(control_ok(control));
    int err = cb_buf_reserve(out, CONTROL_BYTES_MAX);
    if (err) {
        return err;
    }
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, cb_pack_write);
    msgpack_pack_array(&pk, control->op == CB_CONTROL_SITE ? SITE_VALUES : TOKEN_VALUES);
    msgpack_pack_uint8(&pk, (uint8_t)control->op);
    msgpack_pack_uint64(&pk, (uint64_t)control->made_ms);
    msgpack_pack_str_with_body(&pk, control->site.p, control->site.len);
    if (control->op == CB_CONTROL_SITE) {
        msgpack_pack_uint32(&pk, control->status);
    } else {
        msgpack_pack_bin_with_body(&pk, control->token, CB_TOKEN_HASH_BYTES);
        msgpack_pack_uint32(&pk, control->role);
    }
    return 0;
}

int cb_control_decode(struct cb_str body, struct cb_control *out) {
    struct cb_pack_reader r;
    memset(out, 0, sizeof *out);
    cb_pack_reader_init(&r, body.p, body.len);
    uint32_t n_values = cb_pack_array(&r, TOKEN_VALUES);
    out->op = (enum cb_control_op)cb_pack_uint(&r, CB_CONTROL_TOKEN);
    out->made_ms = (int64_t)cb_pack_uint(&r, (uint64_t)CB_FRAME_TIME_MAX_MS);
    out->site = cb_pack_str(&r, CB_SITE_MAX);
    if (out->op == CB_CONTROL_SITE && n_values == SITE_VALUES) {
        out->status = (unsigned)cb_pack_uint(&r, CB_STATUS_OFFLINE);
    } else if (out->op == CB_CONTROL_TOKEN && n_values == TOKEN_VALUES) {
        struct cb_str token = cb_pack_bin(&r, CB_TOKEN_HASH_BYTES);
        if (token.len != CB_TOKEN_HASH_BYTES) {
            return CB_EMALFORMED;
        }
        memcpy(out->token, token.p, CB_TOKEN_HASH_BYTES);
        out->role = (unsigned)cb_pack_uint(&r, CB_ROLE_ADMIN);
    } else {
        return CB_EMALFORMED;
    }
    return cb_pack_done(&r) && control_ok(out) ? 0 : CB_EMALFORMED;
}
