/* SPDX-License-Identifier: MIT
 * buf.h: a borrowed string, and a growable buffer that knows its maximum.
 *
 * A cb_buf never grows past max_bytes: that is the bound of whatever it holds. Not thread-safe; one
 * owner. */
#ifndef CB_PROTO_BUF_H
#define CB_PROTO_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/err.h"

/* Bytes that belong to somebody else; not NUL-terminated. p may be NULL when len is 0. */
struct cb_str {
    const char *p;
    size_t len;
};

#define CB_STR(literal) ((struct cb_str){(literal), sizeof(literal) - 1})

static inline struct cb_str cb_str_of(const char *s) {
    return (struct cb_str){s, s ? strlen(s) : 0};
}

static inline bool cb_str_eq(struct cb_str a, struct cb_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool cb_str_is(struct cb_str a, const char *s) {
    return cb_str_eq(a, cb_str_of(s));
}

struct cb_buf {
    char *data;
    size_t len;       /* bytes in use */
    size_t cap;       /* bytes allocated */
    size_t max_bytes; /* never past this */
};

/* No memory is taken until the first append. */
void cb_buf_init(struct cb_buf *buf, size_t max_bytes);
/* Frees the memory; buf is as after cb_buf_init. */
void cb_buf_fini(struct cb_buf *buf);
/* Forgets the content, keeps the memory. */
void cb_buf_clear(struct cb_buf *buf);

/* Makes room for more bytes behind len, without changing len. Errors: CB_ETOOBIG past max_bytes,
 * CB_ENOMEM. */
int cb_buf_reserve(struct cb_buf *buf, size_t more);
/* Appends. On error (CB_ETOOBIG, CB_ENOMEM) the content is unchanged. Results of appends may be
 * ignored only where the caller sized max_bytes for the worst case. */
int cb_buf_append(struct cb_buf *buf, const void *data, size_t len);
int cb_buf_append_str(struct cb_buf *buf, struct cb_str s);
/* Formats like printf and appends. Errors as cb_buf_append. */
int cb_buf_printf(struct cb_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends s as a JSON string with its quotes (RFC 8259, section 7; also escapes < and U+2028/9, so
 * that it may stand in a script). Bytes that are not UTF-8 become U+FFFD. */
int cb_buf_append_json(struct cb_buf *buf, struct cb_str s);

/* True when s is valid UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool cb_utf8_valid(struct cb_str s);
/* The number of code points in valid UTF-8. */
size_t cb_utf8_length(struct cb_str s);

/* Writes len bytes as 2*len lower-case hex digits and a NUL; out holds 2*len+1. */
void cb_hex_encode(const uint8_t *bytes, size_t len, char *out);
/* Reads exactly 2*len hex digits of either case. Errors: CB_EMALFORMED; out is unspecified then. */
int cb_hex_decode(struct cb_str hex, uint8_t *out, size_t len);

#endif
