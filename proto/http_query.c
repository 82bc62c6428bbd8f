/* SPDX-License-Identifier: MIT
 * http_query.c: lookups in a request: a header, a value of the query string. Pure. */
#include <strings.h>

#include "proto/http.h"

const struct cb_str *cb_http_header(const struct cb_http_req *req, const char *name) {
    size_t len = strlen(name);
    for (unsigned i = 0; i < req->n_headers; i++) {
        const struct cb_http_header *header = &req->headers[i];
        /* the letter first: most names of the same length are other ones */
        if (header->name.len == len && (header->name.p[0] | 0x20) == name[0] &&
            strncasecmp(header->name.p, name, len) == 0)
            return &header->value;
    }
    return NULL;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Takes one decoded byte off s; -1 for a % without two hex digits. */
static int next_byte(struct cb_str *s) {
    unsigned char c = (unsigned char)*s->p;
    if (c == '%') {
        int high = s->len >= 3 ? hex_digit(s->p[1]) : -1;
        int low = s->len >= 3 ? hex_digit(s->p[2]) : -1;
        if (high < 0 || low < 0)
            return -1;
        s->p += 3;
        s->len -= 3;
        return high * 16 + low;
    }
    s->p++;
    s->len--;
    return c == '+' ? ' ' : c;
}

static bool name_is(struct cb_str encoded, const char *name) {
    for (; encoded.len > 0; name++)
        if (*name == 0 || next_byte(&encoded) != (unsigned char)*name)
            return false;
    return *name == 0;
}

static int decode(struct cb_str value, char *out, size_t out_bytes) {
    size_t n = 0;
    while (value.len > 0) {
        int c = next_byte(&value);
        if (c <= 0)
            return CB_EMALFORMED;
        if (n + 1 >= out_bytes)
            return CB_ETOOBIG;
        out[n++] = (char)c;
    }
    out[n] = 0;
    return cb_utf8_valid((struct cb_str){out, n}) ? 0 : CB_EMALFORMED;
}

int cb_http_query(struct cb_str query, const char *name, char *out, size_t out_bytes) {
    struct cb_str value = {0};
    bool found = false;
    while (query.len > 0) {
        const char *end = memchr(query.p, '&', query.len);
        struct cb_str pair = {query.p, end ? (size_t)(end - query.p) : query.len};
        const char *equals = memchr(query.p, '=', pair.len);
        struct cb_str key = {pair.p, equals ? (size_t)(equals - pair.p) : pair.len};
        if (name_is(key, name)) {
            if (found)
                return CB_EMALFORMED;
            found = true;
            value = equals ? (struct cb_str){equals + 1, pair.len - key.len - 1}
                           : (struct cb_str){pair.p + pair.len, 0};
        }
        size_t taken = pair.len + (end ? 1 : 0);
        query.p += taken;
        query.len -= taken;
    }
    if (out_bytes == 0)
        return CB_ETOOBIG;
    return found ? decode(value, out, out_bytes) : CB_ENOENT;
}
