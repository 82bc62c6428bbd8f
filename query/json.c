/* SPDX-License-Identifier: MIT */
#include "query/json.h"

void cb_json_init(struct cb_json *json, struct cb_buf *out) {
    *json = (struct cb_json){.out = out};
}

static void note(struct cb_json *json, int rc) {
    if (rc && !json->err)
        json->err = rc;
}

/* Room for len bytes, of which less may be used; NULL after an error. An answer is thousands of
 * short pieces: each is put together in its place. */
static char *room(struct cb_json *json, size_t len) {
    if (!json->err)
        note(json, cb_buf_reserve(json->out, len));
    return json->err ? NULL : json->out->data + json->out->len;
}

static void used(struct cb_json *json, const char *end) {
    json->out->len = (size_t)(end - json->out->data);
}

/* Before each value, and before each key (whose value then needs none). */
static char *separate(struct cb_json *json, char *p) {
    if (json->comma)
        *p++ = ',';
    return p;
}

static char *copy(char *p, const char *text, size_t len) {
    memcpy(p, text, len);
    return p + len;
}

/* A value as it is written. */
static void value_of(struct cb_json *json, const char *text, size_t len) {
    char *p = room(json, len + 1);
    if (p)
        used(json, copy(separate(json, p), text, len));
    json->comma = true;
}

static void begin(struct cb_json *json, char bracket) {
    value_of(json, &bracket, 1);
    json->comma = false;
}

static void end(struct cb_json *json, char bracket) {
    json->comma = false;
    value_of(json, &bracket, 1);
}

void cb_json_object_begin(struct cb_json *json) {
    begin(json, '{');
}

void cb_json_object_end(struct cb_json *json) {
    end(json, '}');
}

void cb_json_array_begin(struct cb_json *json) {
    begin(json, '[');
}

void cb_json_array_end(struct cb_json *json) {
    end(json, ']');
}

void cb_json_members(struct cb_json *json, struct cb_str members) {
    value_of(json, members.p, members.len);
}

void cb_json_key(struct cb_json *json, const char *key) {
    const size_t len = strlen(key);
    char *p = room(json, len + 4);
    if (p) {
        p = separate(json, p);
        *p++ = '"';
        used(json, copy(copy(p, key, len), "\":", 2));
    }
    json->comma = false;
}

void cb_json_key_str(struct cb_json *json, struct cb_str key) {
    cb_json_str(json, key);
    json->comma = false;
    value_of(json, ":", 1);
    json->comma = false;
}

void cb_json_str(struct cb_json *json, struct cb_str value) {
    char *p = room(json, 1);
    if (p) {
        used(json, separate(json, p));
        note(json, cb_buf_append_json(json->out, value));
    }
    json->comma = true;
}

/* Not printf: a series of 100,000 points writes 300,000 numbers. */
static void number(struct cb_json *json, uint64_t value, bool negative) {
    char text[24];
    char *p = text + sizeof text;
    do {
        *--p = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (negative)
        *--p = '-';
    value_of(json, p, (size_t)(text + sizeof text - p));
}

void cb_json_uint(struct cb_json *json, uint64_t value) {
    number(json, value, false);
}

void cb_json_int(struct cb_json *json, int64_t value) {
    number(json, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

void cb_json_ratio(struct cb_json *json, uint64_t n, uint64_t of) {
    char text[6] = ".";
    if (of == 0) {
        cb_json_null(json);
        return;
    }
    uint64_t tenths = (n * 10000 + of / 2) / of; /* of thousandths */
    number(json, tenths / 10000, false);
    for (unsigned i = 4; i > 0; i--, tenths /= 10)
        text[i] = (char)('0' + tenths % 10);
    json->comma = false;
    value_of(json, text, 5);
}

void cb_json_bool(struct cb_json *json, bool value) {
    value_of(json, value ? "true" : "false", value ? 4 : 5);
}

void cb_json_null(struct cb_json *json) {
    value_of(json, "null", 4);
}
