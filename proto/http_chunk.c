/* SPDX-License-Identifier: MIT
 * http_chunk.c: the chunked coding of a request's body (RFC 9112, section 7.1), decoded in place.
 *
 * Ours and not llhttp's, which takes a CR alone as the end of a trailer line. A decoder that is
 * more lenient than the proxy before it is how requests are smuggled: so lines end in CRLF and
 * nothing else, no space may follow a size, and extensions and trailers are bounded. */
#include "proto/http_conn.h"

enum {
    SIZE, /* hex digits */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* the first byte of a trailer line, or the CR of the end */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
};

static int hex_value(unsigned char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_token(unsigned char c) {
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_text(unsigned char c) {
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static int size_digit(struct cb_http_chunk *chunk, unsigned char c) {
    int value = hex_value(c);
    if (value >= 0) {
        if (++chunk->digits > 8)
            return CB_EMALFORMED;
        chunk->left = chunk->left * 16 + (unsigned)value;
        return 0;
    }
    if (chunk->digits == 0)
        return CB_EMALFORMED;
    if (c == '\r')
        chunk->state = SIZE_LF;
    else if (c == ';')
        chunk->state = EXTENSION;
    else
        return CB_EMALFORMED;
    return 0;
}

/* One byte that is not data. Returns 1 at the end of the body. */
static int step(struct cb_http_chunk *chunk, unsigned char c) {
    switch (chunk->state) {
    case SIZE:
        return size_digit(chunk, c);
    case EXTENSION:
    case TRAILER_VALUE:
        if (c == '\r')
            chunk->state = chunk->state == EXTENSION ? SIZE_LF : TRAILER_LF;
        else if (!is_text(c) || ++chunk->overhead_bytes > CB_HTTP_TRAILER_MAX)
            return CB_EMALFORMED;
        return 0;
    case SIZE_LF:
        chunk->state = chunk->left > 0 ? DATA : TRAILER;
        chunk->digits = 0;
        return c == '\n' ? 0 : CB_EMALFORMED;
    case DATA_CR:
        chunk->state = DATA_LF;
        return c == '\r' ? 0 : CB_EMALFORMED;
    case DATA_LF:
        chunk->state = SIZE;
        return c == '\n' ? 0 : CB_EMALFORMED;
    case TRAILER:
        if (c == '\r') {
            chunk->state = END_LF;
            return 0;
        }
        chunk->state = TRAILER_NAME;
        return is_token(c) && ++chunk->overhead_bytes <= CB_HTTP_TRAILER_MAX ? 0 : CB_EMALFORMED;
    case TRAILER_NAME:
        if (c == ':')
            chunk->state = TRAILER_VALUE;
        else if (!is_token(c) || ++chunk->overhead_bytes > CB_HTTP_TRAILER_MAX)
            return CB_EMALFORMED;
        return 0;
    case TRAILER_LF:
        chunk->state = TRAILER;
        return c == '\n' ? 0 : CB_EMALFORMED;
    default: /* END_LF */
        return c == '\n' ? 1 : CB_EMALFORMED;
    }
}

int cb_http_chunk_decode(struct cb_http_chunk *chunk, char *body, size_t *body_len, size_t body_max,
                         const char *src, size_t len, size_t *used) {
    size_t i = 0;
    while (i < len) {
        if (chunk->state == DATA) {
            size_t n = len - i < chunk->left ? len - i : (size_t)chunk->left;
            memmove(body + *body_len, src + i, n);
            *body_len += n;
            i += n;
            chunk->left -= n;
            if (chunk->left == 0)
                chunk->state = DATA_CR;
            continue;
        }
        int result = step(chunk, (unsigned char)src[i++]);
        if (result < 0)
            return result;
        if (chunk->left > body_max - *body_len)
            return CB_ETOOBIG;
        if (result > 0) {
            *used = i;
            return 1;
        }
    }
    *used = i;
    return 0;
}
