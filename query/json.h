/* SPDX-License-Identifier: MIT
 * json.h: writes JSON into a cb_buf, with the commas in the right places.
 *
 * The first error of the buffer (CB_ETOOBIG, CB_ENOMEM) stays: callers write on and look at err
 * once, at the end. That what is opened is closed, and that a key stands before each value of an
 * object, is the caller's part. One owner. */
#ifndef CB_QUERY_JSON_H
#define CB_QUERY_JSON_H

#include "proto/buf.h"

struct cb_json {
    struct cb_buf *out;
    bool comma; /* something stands before: the next item needs a comma */
    int err;    /* 0 or the first error */
};

void cb_json_init(struct cb_json *json, struct cb_buf *out);

void cb_json_object_begin(struct cb_json *json);
void cb_json_object_end(struct cb_json *json);
void cb_json_array_begin(struct cb_json *json);
void cb_json_array_end(struct cb_json *json);

/* The key of the next value. cb_json_key is for keys of our own, which need no escapes. */
void cb_json_key(struct cb_json *json, const char *key);
void cb_json_key_str(struct cb_json *json, struct cb_str key);

/* Members that are JSON already, as they stand between the braces of an object. */
void cb_json_members(struct cb_json *json, struct cb_str members);

void cb_json_str(struct cb_json *json, struct cb_str value);
void cb_json_uint(struct cb_json *json, uint64_t value);
void cb_json_int(struct cb_json *json, int64_t value);
/* n / of, with four decimals; null when of is 0. n stays below 2^50. */
void cb_json_ratio(struct cb_json *json, uint64_t n, uint64_t of);
void cb_json_bool(struct cb_json *json, bool value);
void cb_json_null(struct cb_json *json);

#endif
