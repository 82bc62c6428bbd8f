/* SPDX-License-Identifier: MIT
 * Props as they stand in frames: pack.h, WIRE.md "Props". Invariant: what cb_props_take let
 * through, cb_props_json can write. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/event.h"
#include "proto/pack.h"

/* Whether a token is a prop's value. JSON has no infinity and no NaN, so props have none either. */
static bool value_ok(const struct cb_pack_token *t) {
    switch (t->type) {
    case CB_PACK_NIL:
    case CB_PACK_BOOL:
    case CB_PACK_UINT:
    case CB_PACK_INT:
        return true;
    case CB_PACK_FLOAT:
        return isfinite(t->f);
    case CB_PACK_STR:
        return t->s.len <= CB_PROP_VALUE_MAX;
    default:
        return false;
    }
}

/* Whether a valid key is not among the n before it. *seen has a bit for the hash of each, so that
 * only keys which share one are compared. */
static bool key_is_new(struct cb_str key, const struct cb_str *keys, uint32_t n, uint64_t *seen) {
    unsigned first = (unsigned char)key.p[0], last = (unsigned char)key.p[key.len - 1];
    uint64_t bit = UINT64_C(1) << ((first * 7 + last * 3 + (unsigned)key.len * 5) & 63);
    if (*seen & bit) {
        for (uint32_t i = 0; i < n; i++) {
            if (cb_str_eq(keys[i], key)) {
                return false;
            }
        }
    }
    *seen |= bit;
    return true;
}

struct cb_str cb_props_take(struct cb_pack_reader *r) {
    const uint8_t *start = r->p;
    struct cb_str keys[CB_PROPS_MAX];
    uint64_t seen = 0;
    uint32_t n = cb_pack_map(r, CB_PROPS_MAX);
    for (uint32_t i = 0; i < n && r->ok; i++) {
        struct cb_pack_token value;
        keys[i] = cb_pack_str(r, CB_PROP_KEY_MAX);
        if (!cb_event_name_valid(keys[i]) || !key_is_new(keys[i], keys, i, &seen) ||
            !cb_pack_next(r, &value) || !value_ok(&value)) {
            cb_pack_fail(r);
        }
    }
    if (!r->ok) {
        return (struct cb_str){NULL, 0};
    }
    return (struct cb_str){(const char *)start, (size_t)(r->p - start)};
}

bool cb_props_valid(struct cb_str props) {
    struct cb_pack_reader r;
    if (props.len == 0) {
        return true;
    }
    cb_pack_reader_init(&r, props.p, props.len);
    cb_props_take(&r);
    return cb_pack_done(&r);
}

/* The shortest of 15, 16 or 17 digits that reads back as the same number. */
static int append_float(struct cb_buf *out, double f) {
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, f);
        if (strtod(text, NULL) == f) {
            break;
        }
    }
    return cb_buf_append_str(out, cb_str_of(text));
}

static int append_value(struct cb_buf *out, const struct cb_pack_token *t) {
    switch (t->type) {
    case CB_PACK_BOOL:
        return cb_buf_append_str(out, t->boolean ? CB_STR("true") : CB_STR("false"));
    case CB_PACK_UINT:
        return cb_buf_printf(out, "%" PRIu64, t->u);
    case CB_PACK_INT:
        return cb_buf_printf(out, "%" PRId64, t->i);
    case CB_PACK_FLOAT:
        return append_float(out, t->f);
    case CB_PACK_STR:
        return cb_buf_append_json(out, t->s);
    default:
        return cb_buf_append_str(out, CB_STR("null"));
    }
}

int cb_props_json(struct cb_buf *out, struct cb_str props) {
    struct cb_pack_reader r;
    size_t len_before = out->len;
    cb_pack_reader_init(&r, props.p, props.len);
    uint32_t n = props.len ? cb_pack_map(&r, CB_PROPS_MAX) : 0;
    int err = cb_buf_append(out, "{", 1);
    for (uint32_t i = 0; i < n && !err; i++) {
        struct cb_pack_token value;
        struct cb_str key = cb_pack_str(&r, CB_PROP_KEY_MAX);
        if (!cb_pack_next(&r, &value)) {
            break;
        }
        if (i > 0) {
            err = cb_buf_append(out, ",", 1);
        }
        if (!err) {
            err = cb_buf_append_json(out, key);
        }
        if (!err) {
            err = cb_buf_append(out, ":", 1);
        }
        if (!err) {
            err = append_value(out, &value);
        }
    }
    assert(err || cb_pack_done(&r));
    if (!err) {
        err = cb_buf_append(out, "}", 1);
    }
    if (err) {
        out->len = len_before;
    }
    return err;
}
