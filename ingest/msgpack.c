/* SPDX-License-Identifier: MIT
 * msgpack.c: see msgpack.h. A value that holds others is the span of its bytes; the body was
 * checked whole before, so reads within it do not fail, and if one did the walk just ends. */
#include "ingest/msgpack.h"

#include "proto/pack.h"

int cb_msgpack_check(struct cb_str body) {
    struct cb_pack_reader r;
    cb_pack_reader_init(&r, body.p, body.len);
    do
        cb_pack_skip(&r, CB_VALUE_DEPTH_MAX);
    while (r.ok && r.p != r.end);
    return cb_pack_done(&r) ? 0 : CB_EMALFORMED;
}

static void keep(uintptr_t words[2], const void *from, const void *to) {
    words[0] = (uintptr_t)from;
    words[1] = (uintptr_t)to;
}

static void reader_of(struct cb_pack_reader *r, const uintptr_t words[2]) {
    const uint8_t *from = (const uint8_t *)words[0];
    cb_pack_reader_init(r, from, (size_t)((const uint8_t *)words[1] - from));
}

/* Takes the next value; false at the end. */
static bool take(struct cb_pack_reader *r, struct cb_value *out) {
    enum cb_pack_type type;
    if (!cb_pack_peek(r, &type))
        return false;
    if (type == CB_PACK_ARRAY || type == CB_PACK_MAP) {
        struct cb_str span = cb_pack_skip(r, CB_VALUE_DEPTH_MAX);
        out->type = type == CB_PACK_ARRAY ? CB_VALUE_ARRAY : CB_VALUE_OBJECT;
        keep(out->where, span.p, span.p + span.len);
        return r->ok;
    }
    struct cb_pack_token token;
    if (!cb_pack_next(r, &token))
        return false;
    switch (token.type) {
    case CB_PACK_NIL:
        out->type = CB_VALUE_NULL;
        break;
    case CB_PACK_BOOL:
        out->type = CB_VALUE_BOOL;
        out->boolean = token.boolean;
        break;
    case CB_PACK_UINT:
        out->type = CB_VALUE_UINT;
        out->u = token.u;
        break;
    case CB_PACK_INT:
        out->type = CB_VALUE_INT;
        out->i = token.i;
        break;
    case CB_PACK_FLOAT:
        out->type = CB_VALUE_FLOAT;
        out->f = token.f;
        break;
    case CB_PACK_STR:
        out->type = CB_VALUE_STRING;
        out->s = token.s;
        break;
    default:
        out->type = CB_VALUE_OTHER;
        break;
    }
    return true;
}

bool cb_msgpack_next(struct cb_str *body, struct cb_value *out) {
    struct cb_pack_reader r;
    cb_pack_reader_init(&r, body->p, body->len);
    if (!take(&r, out))
        return false;
    body->p = (const char *)r.p;
    body->len = (size_t)(r.end - r.p);
    return true;
}

static size_t count(const struct cb_value *value) {
    struct cb_pack_reader r;
    reader_of(&r, value->where);
    return value->type == CB_VALUE_ARRAY ? cb_pack_array(&r, UINT32_MAX)
                                         : cb_pack_map(&r, UINT32_MAX);
}

static void begin(const struct cb_value *value, struct cb_value_walk *walk) {
    struct cb_pack_reader r;
    reader_of(&r, value->where);
    if (value->type == CB_VALUE_ARRAY)
        cb_pack_array(&r, UINT32_MAX);
    else
        cb_pack_map(&r, UINT32_MAX);
    keep(walk->at, r.p, r.end);
}

static bool item(struct cb_value_walk *walk, struct cb_value *out) {
    struct cb_pack_reader r;
    reader_of(&r, walk->at);
    bool more = take(&r, out);
    keep(walk->at, r.p, r.end);
    return more;
}

static bool member(struct cb_value_walk *walk, struct cb_str *key, struct cb_value *out) {
    struct cb_pack_reader r;
    reader_of(&r, walk->at);
    struct cb_value name;
    bool more = take(&r, &name) && take(&r, out);
    keep(walk->at, r.p, r.end);
    *key = (struct cb_str){NULL, 0};
    if (more && name.type == CB_VALUE_STRING)
        *key = (struct cb_str){name.s.p ? name.s.p : "", name.s.len};
    return more;
}

const struct cb_value_ops cb_msgpack_values = {count, begin, item, member};
