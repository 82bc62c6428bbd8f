/* SPDX-License-Identifier: MIT
 * http_input.c: the input of a connection: bytes to whole requests, or to a refusal.
 *
 * Requests that wait for their answer have their strings in conn->in, which therefore moves only
 * when none waits. Of the request that is still coming, head and (decoded) body stand together from
 * in_start on; its strings are moved along by rebase. */
#include <stdlib.h>

#include "proto/http_conn.h"
#include "proto/metric.h"

void cb_http_input_release(struct cb_http_conn *conn) {
    cb_http_block_give(conn->http, conn->in, conn->in_cap);
    conn->in = NULL;
    conn->in_cap = conn->in_len = conn->in_start = 0;
}

void cb_http_input_read(struct cb_http_conn *conn) {
    if (conn->n_requests == 1 && !conn->partial && conn->in_len == conn->in_start)
        cb_http_input_release(conn);
}

/* ---- room ---- */

/* The strings of a request whose body is still coming follow its bytes to another place. */
static void rebase(struct cb_http_request *req, const char *from, const char *to) {
    req->pub.path.p = to + (req->pub.path.p - from);
    req->pub.query.p = to + (req->pub.query.p - from);
    for (unsigned i = 0; i < req->pub.n_headers; i++) {
        req->headers[i].name.p = to + (req->headers[i].name.p - from);
        req->headers[i].value.p = to + (req->headers[i].value.p - from);
    }
}

bool cb_http_input_room(struct cb_http_conn *conn) {
    size_t len = conn->in_len - conn->in_start;
    size_t want = len + CB_HTTP_BLOCK_BYTES / 4;
    if (conn->partial && !conn->partial->chunked) {
        size_t body = (size_t)conn->partial->content_length;
        want =
            conn->body_at +
            (body <= CB_HTTP_BODY_AT_ONCE || body < 2 * len ? body : 2 * len + CB_HTTP_BLOCK_BYTES);
    } else if (conn->partial) {
        want = 2 * len;
    }
    want += CB_HTTP_BODY_PAD;
    if (!conn->in) {
        conn->in = cb_http_block_take(conn->http);
        conn->in_cap = conn->in ? CB_HTTP_BLOCK_BYTES : 0;
        return conn->in != NULL;
    }
    if (conn->in_cap - conn->in_start >= want)
        return true;
    char *from = conn->in + conn->in_start, *to = conn->in;
    if (conn->in_cap < want) {
        to = malloc(want);
        if (!to)
            return false;
        memcpy(to, from, len);
    } else {
        memmove(to, from, len);
    }
    if (conn->partial)
        rebase(conn->partial, from, to);
    if (to != conn->in) {
        cb_http_block_give(conn->http, conn->in, conn->in_cap);
        conn->in = to;
        conn->in_cap = want;
    }
    conn->in_start = 0;
    conn->in_len = len;
    return true;
}

/* ---- requests ---- */

static void enqueue(struct cb_http_conn *conn, struct cb_http_request *req) {
    req->conn = conn;
    req->next = NULL;
    req->pub.peer = conn->peer_text;
    req->pub.received_ms = conn->http->wall_ms;
    if (conn->final)
        conn->final->next = req;
    else
        conn->first = req;
    conn->final = req;
    conn->n_requests++;
    conn->n_headers += req->pub.n_headers;
    conn->n_batch++;
    cb_http_conn_phase(conn, CB_HTTP_WORKING);
}

void cb_http_input_refuse(struct cb_http_conn *conn, enum cb_refusal refusal) {
    struct cb_http *http = conn->http;
    struct cb_http_request *req = conn->partial ? conn->partial : cb_http_request_take(http);
    conn->partial = NULL;
    conn->last = true;
    conn->in_start = conn->in_len;
    cb_metric_add(
        refusal == CB_REFUSE_TIMEOUT ? CB_METRIC_HTTP_DEADLINES : CB_METRIC_HTTP_MALFORMED, 1);
    struct cb_buf json;
    cb_buf_init(&json, 1024);
    if (req && cb_refusal_json(&json, refusal, NULL, NULL) == 0) {
        enqueue(conn, req);
        req->pub.keep_alive = false;
        cb_http_reply(&req->pub, cb_refusal_status(refusal), http->error_headers, json.data,
                      json.len);
    } else {
        if (req)
            cb_http_request_give(http, req);
        conn->broken = true;
        cb_http_conn_dirty(conn);
    }
    cb_buf_fini(&json);
}

/* Reads a head if it is complete: then *head_len is its length, else 0. It is kept when it is this
 * connection's second in a row: heads that come once (each with another X-Forwarded-For, say) leave
 * those alone that come often. */
static enum cb_refusal read_head(struct cb_http_conn *conn, const char *head, size_t len,
                                 struct cb_http_request *req, size_t *head_len) {
    struct cb_http_known *known = &conn->http->known;
    if (conn->scan.at == 0) {
        *head_len = cb_http_known_read(known, conn->head_hash, head, len, req);
        if (*head_len > 0)
            return CB_REFUSE_NONE;
    }
    enum cb_refusal refusal = cb_http_head_scan(&conn->scan, head, len, head_len);
    if (refusal != CB_REFUSE_NONE || *head_len == 0)
        return refusal;
    uint32_t hash = cb_http_known_hash(&conn->scan, head, *head_len);
    bool again = hash == conn->head_hash;
    conn->head_hash = hash;
    if (cb_http_known_read(known, hash, head, *head_len, req) > 0)
        return CB_REFUSE_NONE;
    refusal = cb_http_head_parse(head, *head_len, req);
    if (refusal == CB_REFUSE_NONE && again)
        cb_http_known_keep(known, hash, head, *head_len, req);
    return refusal;
}

/* Looks for a complete head and parses it into conn->partial. */
static enum cb_refusal take_head(struct cb_http_conn *conn) {
    if (!conn->skipped && conn->in_len - conn->in_start >= 2 &&
        memcmp(conn->in + conn->in_start, "\r\n", 2) == 0) {
        conn->in_start += 2; /* one empty line is forgiven (RFC 9112, section 2.2) */
        conn->skipped = true;
    }
    const char *head = conn->in + conn->in_start;
    size_t len = conn->in_len - conn->in_start, head_len = 0;
    if (!conn->skipped && len == 1 && head[0] == '\r')
        return CB_REFUSE_NONE;
    struct cb_http_request *req = cb_http_request_take(conn->http);
    if (!req)
        return CB_REFUSE_INTERNAL;
    enum cb_refusal refusal = read_head(conn, head, len, req, &head_len);
    if (refusal == CB_REFUSE_NONE && req->content_length > conn->http->opts.body_max_bytes)
        refusal = CB_REFUSE_TOO_LARGE;
    if (refusal != CB_REFUSE_NONE || head_len == 0) {
        cb_http_request_give(conn->http, req);
        return refusal;
    }
    conn->partial = req;
    conn->body_at = head_len;
    conn->body_len = 0;
    conn->chunk = (struct cb_http_chunk){0};
    return CB_REFUSE_NONE;
}

/* Completes conn->partial's body if its bytes are there; *end is where the request ends then, from
 * in_start, else 0. */
static enum cb_refusal take_body(struct cb_http_conn *conn, size_t *end) {
    struct cb_http_request *req = conn->partial;
    char *body = conn->in + conn->in_start + conn->body_at;
    size_t have = conn->in_len - conn->in_start - conn->body_at;
    *end = 0;
    if (!req->chunked) {
        if (have >= req->content_length) {
            conn->body_len = (size_t)req->content_length;
            *end = conn->body_at + conn->body_len;
        }
        return CB_REFUSE_NONE;
    }
    /* Behind the decoded bytes stand the raw ones. While more is needed all of them get used, so
     * that the next read appends directly to the decoded ones. */
    size_t used, decoded = conn->body_len;
    int rc =
        cb_http_chunk_decode(&conn->chunk, body, &conn->body_len, conn->http->opts.body_max_bytes,
                             body + decoded, have - decoded, &used);
    if (rc < 0)
        return rc == CB_ETOOBIG ? CB_REFUSE_TOO_LARGE : CB_REFUSE_BAD_REQUEST;
    if (rc > 0)
        *end = conn->body_at + decoded + used;
    else
        conn->in_len = conn->in_start + conn->body_at + conn->body_len;
    return CB_REFUSE_NONE;
}

bool cb_http_input_next(struct cb_http_conn *conn) {
    size_t end = 0;
    enum cb_refusal refusal = CB_REFUSE_NONE;
    if (conn->in_len == conn->in_start)
        return false;
    if (!conn->partial)
        refusal = take_head(conn);
    if (refusal == CB_REFUSE_NONE && conn->partial)
        refusal = take_body(conn, &end);
    if (refusal != CB_REFUSE_NONE) {
        cb_http_input_refuse(conn, refusal);
        return true;
    }
    struct cb_http_request *req = conn->partial;
    if (end == 0) {
        if (req && req->expect && conn->n_requests == 0) {
            static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
            req->expect = false;
            if (cb_buf_append(&conn->out, go_on, sizeof(go_on) - 1) != 0)
                conn->broken = true;
            cb_http_conn_dirty(conn);
        }
        return false;
    }
    req->pub.body = (struct cb_str){conn->in + conn->in_start + conn->body_at, conn->body_len};
    conn->in_start += end;
    conn->scan = (struct cb_http_scan){0};
    conn->skipped = false;
    conn->partial = NULL;
    if (!req->pub.keep_alive)
        conn->last = true;
    enqueue(conn, req);
    cb_metric_add(CB_METRIC_HTTP_REQUESTS, 1);
    conn->http->handler(&req->pub, conn->http->user);
    return true;
}
