/* SPDX-License-Identifier: MIT
 * http_known.c: heads that came before, with what they were parsed to. A browser sends the same
 * head with each of its beacons, but for the digits of Content-Length; and equal bytes are parsed
 * equally, so that they need be compared only. Pure but for its memory.
 *
 * Invariant: a kept head was scanned, parsed and taken by http_head.c, whole. What is read as one
 * has its bytes, each of them, with another valid number in the place of the length. A hash only
 * says where to look: heads that share one replace each other. */
#include <stdlib.h>

#include "proto/hash.h"
#include "proto/http_conn.h"

struct piece {
    uint16_t at, len;
};

struct cb_http_head {
    uint16_t len;
    uint16_t length_at, length_digits; /* the value of Content-Length; none: the end, and 0 */
    uint16_t n_headers, length_header;
    enum cb_http_method method;
    struct piece path, query;
    char *bytes; /* behind the pieces */
    struct {
        struct piece name, value;
    } headers[];
};

uint32_t cb_http_known_hash(const struct cb_http_scan *scan, const char *head, size_t len) {
    size_t before = scan->length_begin ? scan->length_begin : len;
    size_t behind = scan->length_begin ? scan->length_end : len;
    return (uint32_t)cb_hash_bytes(cb_hash_bytes(0, head, before), head + behind, len - behind);
}

/* Where the kept head's bytes stand at head: *digits are those of the length there. Returns the
 * head's length, or 0 where it is another one. */
static size_t match(const struct cb_http_head *kept, const char *head, size_t len,
                    struct cb_str *digits) {
    size_t at = kept->length_at, rest = at + kept->length_digits;
    if (len < at || memcmp(head, kept->bytes, at) != 0)
        return 0;
    *digits = (struct cb_str){head + at, 0};
    while (kept->length_digits && at < len && head[at] >= '0' && head[at] <= '9')
        at++;
    digits->len = at - kept->length_at;
    size_t n_rest = kept->len - rest;
    return len - at >= n_rest && memcmp(head + at, kept->bytes + rest, n_rest) == 0 ? at + n_rest
                                                                                    : 0;
}

/* shift: of what stands behind the length; it may have wrapped. */
static struct cb_str str_of(struct piece piece, const char *head, size_t shift) {
    return (struct cb_str){head + (piece.at + shift), piece.len};
}

size_t cb_http_known_read(const struct cb_http_known *known, uint32_t hash, const char *data,
                          size_t len, struct cb_http_request *req) {
    const struct cb_http_head *kept = known->heads[hash % CB_HTTP_KNOWN_MAX];
    struct cb_str digits;
    uint64_t length = 0;
    size_t head_len = kept ? match(kept, data, len, &digits) : 0;
    if (head_len == 0 || (kept->length_digits && !cb_http_length_parse(digits, &length)) ||
        !cb_http_headers_reserve(req, kept->n_headers))
        return 0;
    size_t shift = digits.len - kept->length_digits;
    for (unsigned i = 0; i < kept->n_headers; i++) {
        size_t moved = i > kept->length_header ? shift : 0;
        req->headers[i].name = str_of(kept->headers[i].name, data, moved);
        req->headers[i].value = str_of(kept->headers[i].value, data, moved);
    }
    if (kept->length_digits)
        req->headers[kept->length_header].value = digits;
    req->content_length = length;
    req->pub.method = kept->method;
    req->pub.path = str_of(kept->path, data, 0);
    req->pub.query = str_of(kept->query, data, 0);
    req->pub.n_headers = kept->n_headers;
    req->pub.headers = req->headers;
    req->pub.keep_alive = true;
    return head_len;
}

/* Secrets are not kept; what is rare, or ends its connection, needs no memory. */
static bool is_worth(const struct cb_http_request *req, size_t len) {
    bool plain = !req->http10 && !req->chunked && !req->expect && req->pub.keep_alive;
    for (unsigned i = 0; plain && i < req->pub.n_headers; i++)
        plain = !cb_http_str_is(req->headers[i].name, "authorization");
    return plain && len <= CB_HTTP_KNOWN_BYTES;
}

static struct piece piece_of(struct cb_str s, const char *head) {
    return (struct piece){(uint16_t)(s.p - head), (uint16_t)s.len};
}

void cb_http_known_keep(struct cb_http_known *known, uint32_t hash, const char *head, size_t len,
                        const struct cb_http_request *req) {
    unsigned n = req->pub.n_headers;
    if (!is_worth(req, len))
        return;
    struct cb_http_head *k = malloc(sizeof(*k) + n * sizeof(k->headers[0]) + len);
    if (!k)
        return;
    *k = (struct cb_http_head){.len = (uint16_t)len,
                               .length_at = (uint16_t)len,
                               .length_header = (uint16_t)n,
                               .n_headers = (uint16_t)n,
                               .method = req->pub.method,
                               .path = piece_of(req->pub.path, head),
                               .query = piece_of(req->pub.query, head)};
    for (unsigned i = 0; i < n; i++) {
        struct cb_str value = req->headers[i].value;
        k->headers[i].name = piece_of(req->headers[i].name, head);
        k->headers[i].value = piece_of(value, head);
        if (cb_http_str_is(req->headers[i].name, "content-length")) {
            k->length_header = (uint16_t)i;
            k->length_at = k->headers[i].value.at;
            k->length_digits = k->headers[i].value.len;
        }
    }
    k->bytes = (char *)&k->headers[n];
    memcpy(k->bytes, head, len);
    free(known->heads[hash % CB_HTTP_KNOWN_MAX]);
    known->heads[hash % CB_HTTP_KNOWN_MAX] = k;
}

void cb_http_known_fini(struct cb_http_known *known) {
    for (unsigned i = 0; i < CB_HTTP_KNOWN_MAX; i++)
        free(known->heads[i]);
}
