/* SPDX-License-Identifier: MIT
 * http_reply.c: answers: whole ones and streams. They are only collected here (in the connection's
 * output, or with the request while those before it have no answer); http_conn.c writes them at the
 * end of the turn. */
#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "proto/http_conn.h"
#include "proto/log.h"
#include "proto/metric.h"

static const char *reason_of(int status) {
    switch (status) {
#define REASON(code, text)                                                                         \
    case code:                                                                                     \
        return text
        REASON(200, "OK");
        REASON(201, "Created");
        REASON(202, "Accepted");
        REASON(204, "No Content");
        REASON(301, "Moved Permanently");
        REASON(302, "Found");
        REASON(303, "See Other");
        REASON(304, "Not Modified");
        REASON(307, "Temporary Redirect");
        REASON(308, "Permanent Redirect");
        REASON(400, "Bad Request");
        REASON(401, "Unauthorized");
        REASON(403, "Forbidden");
        REASON(404, "Not Found");
        REASON(405, "Method Not Allowed");
        REASON(406, "Not Acceptable");
        REASON(408, "Request Timeout");
        REASON(409, "Conflict");
        REASON(410, "Gone");
        REASON(413, "Content Too Large");
        REASON(415, "Unsupported Media Type");
        REASON(422, "Unprocessable Content");
        REASON(429, "Too Many Requests");
        REASON(431, "Request Header Fields Too Large");
        REASON(500, "Internal Server Error");
        REASON(501, "Not Implemented");
        REASON(503, "Service Unavailable");
#undef REASON
    default:
        return "";
    }
}

/* The day's and month's names do not follow the locale (RFC 9110, section 5.6.7). */
static const char *date_line(struct cb_http *http) {
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t now_s = http->wall_ms / 1000;
    if (now_s != http->date_s || http->date[0] == 0) {
        time_t t = (time_t)now_s;
        struct tm tm;
        gmtime_r(&t, &tm);
        snprintf(http->date, sizeof(http->date), "Date: %s, %02u %s %04u %02u:%02u:%02u GMT\r\n",
                 days[tm.tm_wday], (unsigned)tm.tm_mday % 100, months[tm.tm_mon],
                 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
        http->date_s = now_s;
    }
    return http->date;
}

/* Where the answer of req goes now. */
static struct cb_buf *out_of(struct cb_http_request *req) {
    struct cb_http_conn *conn = req->conn;
    if (conn->first != req) {
        if (req->held.max_bytes == 0)
            cb_buf_init(&req->held, CB_HTTP_UNSENT_MAX);
        return &req->held;
    }
    if (!conn->out.data) {
        conn->out.data = cb_http_block_take(conn->http);
        conn->out.cap = conn->out.data ? CB_HTTP_BLOCK_BYTES : 0;
    }
    return &conn->out;
}

static char *put(char *to, const char *text, size_t len) {
    memcpy(to, text, len);
    return to + len;
}
#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

static char *put_number(char *to, uint64_t n) {
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return put(to, digits + at, sizeof(digits) - at);
}

enum { HEAD_BYTES = 256 }; /* enough for the lines that put_head adds */

enum framing { FRAMED_LENGTH, FRAMED_CHUNKED, FRAMED_CLOSE, FRAMED_NONE };

/* Writes the head; out has HEAD_BYTES and the headers' length. */
static void put_head(struct cb_http_request *req, struct cb_buf *out, int status,
                     const char *headers, size_t headers_len, enum framing framing, size_t len) {
    const char *reason = reason_of(status);
    char *to = PUT(out->data + out->len, "HTTP/1.1 ");
    to = put_number(to, (uint64_t)status);
    *to++ = ' ';
    to = put(to, reason, strlen(reason));
    to = PUT(to, "\r\n");
    const char *date = date_line(req->conn->http);
    to = put(to, date, strlen(date));
    if (framing == FRAMED_LENGTH) {
        to = PUT(to, "Content-Length: ");
        to = put_number(to, len);
        to = PUT(to, "\r\n");
    } else if (framing == FRAMED_CHUNKED) {
        to = PUT(to, "Transfer-Encoding: chunked\r\n");
    }
    if (!req->pub.keep_alive)
        to = PUT(to, "Connection: close\r\n");
    else if (req->http10)
        to = PUT(to, "Connection: keep-alive\r\n");
    if (headers_len > 0)
        to = put(to, headers, headers_len);
    to = PUT(to, "\r\n");
    out->len = (size_t)(to - out->data);
}

/* Before the head: is this the connection's last answer? */
static void decide_last(struct cb_http_request *req) {
    if (req->conn->http->draining && !req->next)
        req->pub.keep_alive = false;
    if (!req->pub.keep_alive)
        req->conn->last = true;
}

static void count(int status) {
    if (status >= 200 && status < 300)
        cb_metric_add(CB_METRIC_HTTP_2XX, 1);
    else if (status >= 400 && status < 500)
        cb_metric_add(CB_METRIC_HTTP_4XX, 1);
    else if (status >= 500)
        cb_metric_add(CB_METRIC_HTTP_5XX, 1);
}

static void give_up(struct cb_http_conn *conn, int rc) {
    cb_log(CB_LOG_WARN, "http_answer_dropped", "reason=\"%s\"", cb_err_text(rc));
    conn->broken = true;
    cb_http_conn_dirty(conn);
}

void cb_http_reply(struct cb_http_req *pub, int status, const char *headers, const void *body,
                   size_t len) {
    struct cb_http_request *req = (struct cb_http_request *)pub;
    struct cb_http_conn *conn = req->conn;
    assert(req->state == CB_HTTP_WAITING && status >= 200 && status <= 999);
    count(status);
    if (conn->fd >= 0) {
        bool none = status == 204 || status == 304;
        size_t headers_len = headers ? strlen(headers) : 0;
        size_t sent_len = none || pub->method == CB_HTTP_HEAD ? 0 : len;
        decide_last(req);
        struct cb_buf *out = out_of(req);
        int rc = cb_buf_reserve(out, HEAD_BYTES + headers_len + sent_len);
        if (rc == 0) {
            put_head(req, out, status, headers, headers_len, none ? FRAMED_NONE : FRAMED_LENGTH,
                     len);
            if (sent_len > 0)
                out->len = (size_t)(put(out->data + out->len, body, sent_len) - out->data);
        } else {
            give_up(conn, rc);
        }
    }
    cb_http_conn_answered(req);
}

void cb_http_stream_begin(struct cb_http_req *pub, int status, const char *headers,
                          void (*writable)(struct cb_http_req *req),
                          void (*closed)(struct cb_http_req *req)) {
    struct cb_http_request *req = (struct cb_http_request *)pub;
    struct cb_http_conn *conn = req->conn;
    assert(req->state == CB_HTTP_WAITING && status >= 200 && status <= 999);
    count(status);
    req->state = CB_HTTP_STREAM;
    req->writable = writable;
    req->closed = closed;
    if (conn->fd < 0) {
        /* The client went before the stream began: closed is still due, from the event loop. */
        cb_http_conn_dirty(conn);
        return;
    }
    bool none = status == 204 || status == 304;
    req->reply_bodiless = none || pub->method == CB_HTTP_HEAD;
    req->reply_chunked = !req->http10;
    if (req->http10 && !none)
        pub->keep_alive = false;
    decide_last(req);
    size_t headers_len = headers ? strlen(headers) : 0;
    struct cb_buf *out = out_of(req);
    int rc = cb_buf_reserve(out, HEAD_BYTES + headers_len);
    if (rc == 0)
        put_head(req, out, status, headers, headers_len,
                 none          ? FRAMED_NONE
                 : req->http10 ? FRAMED_CLOSE
                               : FRAMED_CHUNKED,
                 0);
    else
        give_up(conn, rc);
    cb_http_conn_watch(conn);
    cb_http_conn_dirty(conn);
}

int cb_http_stream_write(struct cb_http_req *pub, const void *data, size_t len) {
    struct cb_http_request *req = (struct cb_http_request *)pub;
    struct cb_http_conn *conn = req->conn;
    if (conn->fd < 0 || conn->broken || req->state != CB_HTTP_STREAM)
        return CB_ECLOSED;
    if (req->reply_bodiless || len == 0)
        return 0;
    struct cb_buf *out = out_of(req);
    int rc = cb_buf_reserve(out, len + 32);
    if (rc != 0) {
        give_up(conn, rc);
        return CB_ECLOSED;
    }
    char *to = out->data + out->len;
    if (req->reply_chunked) {
        char size[20];
        int n = snprintf(size, sizeof(size), "%zx\r\n", len);
        to = put(to, size, (size_t)n);
    }
    to = put(to, data, len);
    if (req->reply_chunked)
        to = PUT(to, "\r\n");
    out->len = (size_t)(to - out->data);
    cb_http_conn_dirty(conn);
    size_t unsent = out == &conn->out ? cb_http_conn_unsent(conn) : out->len;
    if (unsent <= conn->http->opts.stream_max_bytes)
        return 0;
    req->want_writable = true;
    cb_http_conn_watch(conn);
    return CB_EAGAIN;
}

void cb_http_stream_narrow(struct cb_http_req *pub, int bytes) {
    const struct cb_http_conn *conn = ((struct cb_http_request *)pub)->conn;
    if (conn->fd >= 0) /* where it fails it is as it was */
        setsockopt(conn->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

size_t cb_http_stream_unsent(const struct cb_http_req *pub) {
    const struct cb_http_request *req = (const struct cb_http_request *)pub;
    if (req->conn->fd < 0)
        return 0;
    return req->conn->first == req ? cb_http_conn_unsent(req->conn) : req->held.len;
}

void cb_http_stream_end(struct cb_http_req *pub) {
    struct cb_http_request *req = (struct cb_http_request *)pub;
    struct cb_http_conn *conn = req->conn;
    if (req->state != CB_HTTP_STREAM)
        return; /* within its closed callback, after which it is freed */
    if (conn->fd >= 0 && !conn->broken && req->reply_chunked && !req->reply_bodiless) {
        int rc = cb_buf_append(out_of(req), "0\r\n\r\n", 5);
        if (rc != 0)
            give_up(conn, rc);
    }
    cb_http_conn_answered(req);
}

void cb_http_stream_abort(struct cb_http_req *pub) {
    struct cb_http_request *req = (struct cb_http_request *)pub;
    struct cb_http_conn *conn = req->conn;
    if (conn->fd < 0 || req->state != CB_HTTP_STREAM)
        return; /* closed was or will be called */
    conn->broken = true;
    cb_http_conn_dirty(conn);
}
