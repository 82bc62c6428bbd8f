/* SPDX-License-Identifier: MIT
 * http_head.c: the head of a request (RFC 9112, sections 2 to 6). llhttp, in strict mode, splits
 * it; what llhttp lets through although it is ambiguous is refused here.
 *
 * llhttp gets a head only when it is complete, so that where the network cut it cannot matter, and
 * no parser state is kept between reads. Lines are checked as they arrive, which refuses the usual
 * nonsense (a TLS hello, HTTP/0.9, bare line feeds) at once instead of at the deadline. What llhttp
 * 8.1 takes even in strict mode and is refused here: folded lines, HTTP/0.9 and 2.0, empty names,
 * missing, double and odd Hosts, codings before chunked, lengths with leading zeros, fragments.
 * Bare CR and Content-Length beside Transfer-Encoding it refuses too; both are what requests are
 * smuggled with, so they do not depend on its version. Pure. */
#include <llhttp.h>
#include <stdlib.h>
#include <strings.h>

#include "proto/http_conn.h"

/* "GET /path HTTP/1.1" without its CRLF: exactly two spaces, version 1.0 or 1.1. */
static bool request_line_valid(const char *line, size_t len) {
    static const char version[] = " HTTP/1.";
    const size_t tail = sizeof(version); /* with the minor version's digit */
    if (len < tail + 3 || memcmp(line + len - tail, version, tail - 1) != 0)
        return false;
    if (line[len - 1] != '0' && line[len - 1] != '1')
        return false;
    const char *space = memchr(line, ' ', len - tail);
    return space && !memchr(space + 1, ' ', (size_t)(line + len - tail - (space + 1)));
}

static bool begins_length(const char *line, size_t len) {
    static const char name[] = "content-length:";
    return len >= sizeof(name) - 1 && (*line | 0x20) == 'c' &&
           strncasecmp(line, name, sizeof(name) - 1) == 0;
}

enum cb_refusal cb_http_head_scan(struct cb_http_scan *scan, const char *head, size_t len,
                                  size_t *head_len) {
    size_t seen = len < CB_HTTP_HEAD_MAX ? len : CB_HTTP_HEAD_MAX;
    *head_len = 0;
    if (seen > 0 && scan->at == 0 && (head[0] < 'A' || head[0] > 'Z'))
        return CB_REFUSE_BAD_REQUEST;
    while (scan->at < seen) {
        const char *lf = memchr(head + scan->at, '\n', seen - scan->at);
        if (!lf) {
            scan->at = seen;
            break;
        }
        const char *line = head + scan->line;
        const char *cr = memchr(line, '\r', (size_t)(lf - line));
        if (!cr || cr != lf - 1)
            return CB_REFUSE_BAD_REQUEST;
        if (scan->line == 0) {
            if (!request_line_valid(line, (size_t)(cr - line)))
                return CB_REFUSE_BAD_REQUEST;
        } else if (cr == line) {
            *head_len = (size_t)(lf + 1 - head);
            return CB_REFUSE_NONE;
        } else if (*line == ' ' || *line == '\t') {
            return CB_REFUSE_BAD_REQUEST;
        } else if (begins_length(line, (size_t)(cr - line))) {
            scan->length_begin = scan->line;
            scan->length_end = (size_t)(lf + 1 - head);
        }
        scan->line = scan->at = (size_t)(lf + 1 - head);
    }
    return len > CB_HTTP_HEAD_MAX ? CB_REFUSE_HEAD_TOO_LARGE : CB_REFUSE_NONE;
}

bool cb_http_headers_reserve(struct cb_http_request *req, unsigned n) {
    unsigned cap = req->headers_cap ? req->headers_cap : 16;
    if (n <= req->headers_cap)
        return true;
    while (cap < n)
        cap *= 2;
    struct cb_http_header *headers = realloc(req->headers, cap * sizeof(*headers));
    if (!headers)
        return false;
    req->headers = headers;
    req->headers_cap = cap;
    return true;
}

/* What the callbacks fill. */
struct head {
    struct cb_http_request *req;
    struct cb_str target;
    enum cb_refusal refusal;
    bool complete;
};

static int on_url(llhttp_t *parser, const char *at, size_t len) {
    struct head *head = parser->data;
    head->target = (struct cb_str){at, len};
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len) {
    struct head *head = parser->data;
    struct cb_http_request *req = head->req;
    if (len == 0)
        return -1;
    if (req->pub.n_headers == CB_HTTP_HEADERS_MAX) {
        head->refusal = CB_REFUSE_HEAD_TOO_LARGE;
        return -1;
    }
    if (!cb_http_headers_reserve(req, req->pub.n_headers + 1)) {
        head->refusal = CB_REFUSE_INTERNAL;
        return -1;
    }
    struct cb_http_header *header = &req->headers[req->pub.n_headers++];
    header->name = (struct cb_str){at, len};
    header->value = (struct cb_str){at + len, 0};
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len) {
    struct head *head = parser->data;
    if (head->req->pub.n_headers == 0)
        return -1;
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    head->req->headers[head->req->pub.n_headers - 1].value = (struct cb_str){at, len};
    return 0;
}

static int on_headers_complete(llhttp_t *parser) {
    struct head *head = parser->data;
    head->complete = true;
    return HPE_PAUSED; /* bodies are ours: see http_conn.c and http_chunk.c */
}

/* 1*DIGIT (RFC 9110, section 8.6); without leading zeros, which some read as octal. */
bool cb_http_length_parse(struct cb_str value, uint64_t *out) {
    if (value.len == 0 || value.len > 18 || (value.len > 1 && value.p[0] == '0'))
        return false;
    uint64_t length = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return false;
        length = length * 10 + (uint64_t)(value.p[i] - '0');
    }
    *out = length;
    return true;
}

/* Whether it can be uri-host [":" port] (RFC 9110, section 7.2); may be empty. */
static bool host_valid(struct cb_str value) {
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.p[i] <= ' ' || strchr("/\\,@?#<>\"", value.p[i]))
            return false;
    return true;
}

/* Checks the fields that decide where the request ends and whom it is for. */
static bool fields_valid(struct cb_http_request *req) {
    unsigned hosts = 0, lengths = 0, codings = 0;
    for (unsigned i = 0; i < req->pub.n_headers; i++) {
        struct cb_str name = req->headers[i].name, value = req->headers[i].value;
        if (cb_http_str_is(name, "host")) {
            hosts++;
            if (!host_valid(value))
                return false;
        } else if (cb_http_str_is(name, "content-length")) {
            lengths++;
            if (!cb_http_length_parse(value, &req->content_length))
                return false;
        } else if (cb_http_str_is(name, "transfer-encoding")) {
            codings++;
            req->chunked = true;
            if (!cb_http_str_is(value, "chunked"))
                return false;
        } else if (cb_http_str_is(name, "expect")) {
            req->expect = !req->http10;
            if (!cb_http_str_is(value, "100-continue"))
                return false;
        } else if (cb_http_str_is(name, "upgrade")) {
            return false;
        }
    }
    if (hosts > 1 || (hosts == 0 && !req->http10))
        return false;
    /* HTTP/1.0 has no Transfer-Encoding (RFC 9112, section 6.1). */
    return lengths + codings <= 1 && !(codings && req->http10);
}

static enum cb_http_method method_of(uint8_t method) {
    switch (method) {
    case HTTP_GET:
        return CB_HTTP_GET;
    case HTTP_HEAD:
        return CB_HTTP_HEAD;
    case HTTP_POST:
        return CB_HTTP_POST;
    case HTTP_PUT:
        return CB_HTTP_PUT;
    case HTTP_PATCH:
        return CB_HTTP_PATCH;
    case HTTP_DELETE:
        return CB_HTTP_DELETE;
    case HTTP_OPTIONS:
        return CB_HTTP_OPTIONS;
    default:
        return CB_HTTP_OTHER;
    }
}

enum cb_refusal cb_http_head_parse(const char *data, size_t len, struct cb_http_request *req) {
    static const llhttp_settings_t settings = {
        .on_url = on_url,
        .on_header_field = on_header_field,
        .on_header_value = on_header_value,
        .on_headers_complete = on_headers_complete,
    };
    struct head head = {.req = req};
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = &head;
    llhttp_errno_t err = llhttp_execute(&parser, data, len);
    if (head.refusal != CB_REFUSE_NONE)
        return head.refusal;
    if (err != HPE_PAUSED || !head.complete || parser.method == HTTP_CONNECT)
        return CB_REFUSE_BAD_REQUEST;
    struct cb_str target = head.target;
    if (target.len == 0 || target.p[0] != '/' || memchr(target.p, '#', target.len))
        return CB_REFUSE_BAD_REQUEST;

    req->http10 = parser.http_minor == 0;
    if (!fields_valid(req))
        return CB_REFUSE_BAD_REQUEST;
    const char *question = memchr(target.p, '?', target.len);
    size_t path_len = question ? (size_t)(question - target.p) : target.len;
    req->pub.method = method_of(parser.method);
    req->pub.path = (struct cb_str){target.p, path_len};
    req->pub.query = question ? (struct cb_str){question + 1, target.len - path_len - 1}
                              : (struct cb_str){target.p + path_len, 0};
    req->pub.headers = req->headers;
    req->pub.keep_alive = llhttp_should_keep_alive(&parser) && !(parser.flags & F_CONNECTION_CLOSE);
    return CB_REFUSE_NONE;
}
