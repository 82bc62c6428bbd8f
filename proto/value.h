/* SPDX-License-Identifier: MIT
 * value.h: a value of a request's body, whichever format the body has.
 *
 * Two implementations exist: cb_json_values (json_parser.h) and cb_msgpack_values
 * (ingest/msgpack.h). The rules of beacons are written once on top of them. Values point into the
 * parsed body and live until its parser takes another one. Thread: the parser's. */
#ifndef CB_PROTO_VALUE_H
#define CB_PROTO_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"

enum { CB_VALUE_DEPTH_MAX = 32 }; /* a body nested deeper is not legible */

enum cb_value_type {
    CB_VALUE_NULL,
    CB_VALUE_BOOL,
    CB_VALUE_UINT,  /* a whole number >= 0 */
    CB_VALUE_INT,   /* a whole number < 0 */
    CB_VALUE_FLOAT, /* written with a fraction or an exponent */
    CB_VALUE_STRING,
    CB_VALUE_ARRAY,
    CB_VALUE_OBJECT,
    CB_VALUE_OTHER, /* msgpack's bin: nothing here takes it */
};

struct cb_value {
    enum cb_value_type type;
    union {
        bool boolean;
        uint64_t u;
        int64_t i;
        double f;
        struct cb_str s;    /* UTF-8, checked */
        uintptr_t where[2]; /* ARRAY, OBJECT: the parser's own */
    };
};

/* A walk over the items of an array or the members of an object. */
struct cb_value_walk {
    uintptr_t at[2], end[2]; /* the parser's own */
};

struct cb_value_ops {
    /* Items of an array, members of an object (saturating at 2^24-1). */
    size_t (*count)(const struct cb_value *value);
    /* Begins a walk over an array or an object. */
    void (*begin)(const struct cb_value *value, struct cb_value_walk *walk);
    /* The next item of an array; false at the end. */
    bool (*item)(struct cb_value_walk *walk, struct cb_value *out);
    /* The next member of an object, in the order of the body, repeated keys too; false at the end.
     * key->p is NULL when the key is not a string (msgpack). */
    bool (*member)(struct cb_value_walk *walk, struct cb_str *key, struct cb_value *out);
};

#endif
