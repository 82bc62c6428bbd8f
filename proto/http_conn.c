/* SPDX-License-Identifier: MIT
 * http_conn.c: a connection: when it reads, hands requests over, writes, and ends.
 *
 * Turn of a connection: readable → advance (hands over every complete request) → handlers answer,
 * now or later, into out → dirty → flush (one send; at the end of the turn, or when many are dirty,
 * so that a turn of thousands of requests needs no buffers for all) → advance (what the buffer
 * still holds) → read on. Only what is called from the event loop (readable, writable, flush, late)
 * closes a connection; a reply never does, so handlers may reply to anything at any time.
 *
 * Reading stops while requests wait or bytes are unsent. It is not taken from the poll set for
 * that: a client that waits for its answer sends nothing, so usually no event comes; when one does
 * come, read_event is deleted then. That saves two system calls per request.
 *
 * Events are edge-triggered: epoll(7) would else look at each socket once more after each request.
 * So nobody tells again of what was left: who leaves something in the socket (a full buffer, the
 * client's end behind its last bytes, a stream's turn to write) deletes the event, and to add it
 * anew looks again. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/http_conn.h"
#include "proto/metric.h"

static void conn_advance(struct cb_http_conn *conn);

size_t cb_http_conn_unsent(const struct cb_http_conn *conn) {
    return conn->out.len - conn->out_sent;
}

static bool may_read(const struct cb_http_conn *conn) {
    return !conn->last && conn->n_requests == 0 && cb_http_conn_unsent(conn) == 0;
}

void cb_http_conn_phase(struct cb_http_conn *conn, enum cb_http_phase phase) {
    const struct cb_http_opts *opts = &conn->http->opts;
    const unsigned timeouts_ms[] = {
        [CB_HTTP_IDLE] = opts->idle_timeout_ms,
        [CB_HTTP_HEAD_COMING] = opts->head_timeout_ms,
        [CB_HTTP_BODY_COMING] = opts->body_timeout_ms,
        [CB_HTTP_LINGERING] = CB_HTTP_LINGER_MS,
    };
    if (conn->phase == phase)
        return;
    conn->phase = (uint8_t)phase;
    conn->deadline_ms =
        phase == CB_HTTP_WORKING ? INT64_MAX : conn->http->now_ms + timeouts_ms[phase];
}

static void set_reading(struct cb_http_conn *conn, bool on) {
    if (conn->reading == on)
        return;
    conn->reading = on;
    if ((on ? event_add(&conn->read_event, NULL) : event_del(&conn->read_event)) != 0)
        conn->broken = true;
}

static void set_writing(struct cb_http_conn *conn, bool on) {
    if (conn->writing == on)
        return;
    conn->writing = on;
    if ((on ? event_add(&conn->write_event, NULL) : event_del(&conn->write_event)) != 0)
        conn->broken = true;
}

static bool is_streaming(const struct cb_http_conn *conn) {
    return conn->first && conn->first->state == CB_HTTP_STREAM;
}

/* All is sent: writes are of interest only to a stream that waits for its turn, at once then. */
static void writing_settle(struct cb_http_conn *conn) {
    set_writing(conn, false);
    set_writing(conn, is_streaming(conn) && conn->first->want_writable);
}

static void output_release(struct cb_http_conn *conn) {
    cb_http_block_give(conn->http, conn->out.data, conn->out.cap);
    cb_buf_init(&conn->out, CB_HTTP_UNSENT_MAX);
    conn->out_sent = 0;
}

void cb_http_conn_dirty(struct cb_http_conn *conn) {
    struct cb_http *http = conn->http;
    if (conn->dirty)
        return;
    conn->dirty = true;
    http->n_dirty++;
    conn->next_dirty = NULL;
    if (http->dirty_final)
        http->dirty_final->next_dirty = conn;
    else
        http->dirty_first = conn;
    http->dirty_final = conn;
    if (!http->flushing) {
        http->flushing = true;
        event_active(&http->flush_event, EV_TIMEOUT, 0);
    }
}

/* ---- closing ---- */

void cb_http_conn_destroy(struct cb_http_conn *conn) {
    struct cb_http *http = conn->http;
    if (conn->fd >= 0) {
        event_del(&conn->read_event);
        event_del(&conn->write_event);
        close(conn->fd);
    }
    while (conn->first) {
        struct cb_http_request *req = conn->first;
        conn->first = req->next;
        cb_http_request_give(http, req);
    }
    if (conn->partial)
        cb_http_request_give(http, conn->partial);
    cb_http_input_release(conn);
    output_release(conn);
    cb_http_peers_give(&http->peers, conn->peer);
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        http->conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    cb_metric_add(CB_METRIC_HTTP_CONNECTIONS, -1);
    http->n_conns--;
    free(conn);
    cb_http_room(http);
}

void cb_http_conn_release(struct cb_http_conn *conn) {
    if (conn->fd < 0 && conn->n_requests == 0 && !conn->dirty && conn->pins == 0)
        cb_http_conn_destroy(conn);
}

/* Takes req, wherever it stands, from the requests of its connection. */
static void request_drop(struct cb_http_request *req) {
    struct cb_http_conn *conn = req->conn;
    struct cb_http_request **at = &conn->first, *before = NULL;
    while (*at != req) {
        before = *at;
        at = &before->next;
    }
    *at = req->next;
    if (conn->final == req)
        conn->final = before;
    conn->n_requests--;
    conn->n_headers -= req->pub.n_headers;
    cb_http_request_give(conn->http, req);
}

/* Tells the streams that their client is gone. Callbacks may answer other requests of the same
 * connection, so the search begins anew after each. */
static void streams_close(struct cb_http_conn *conn) {
    struct cb_http_request *req = conn->first;
    while (req) {
        if (req->state == CB_HTTP_STREAM && req->closed) {
            req->state = CB_HTTP_GONE;
            req->closed(&req->pub);
            request_drop(req);
            req = conn->first;
        } else {
            req = req->next;
        }
    }
}

void cb_http_conn_gone(struct cb_http_conn *conn) {
    if (conn->fd < 0)
        return;
    conn->pins++;
    set_reading(conn, false);
    set_writing(conn, false);
    close(conn->fd);
    conn->fd = -1;
    conn->last = true;
    conn->deadline_ms = INT64_MAX;
    output_release(conn);
    if (conn->partial)
        cb_http_request_give(conn->http, conn->partial);
    conn->partial = NULL;
    streams_close(conn);
    conn->pins--;
    cb_http_conn_release(conn);
}

/* Reads and drops what still comes, so that a client that is still sending gets the answer and not
 * a reset (RFC 9112, section 9.6). */
static void linger_read(struct cb_http_conn *conn) {
    char scrap[4096];
    for (int i = 0; i < 16; i++) {
        ssize_t n = recv(conn->fd, scrap, sizeof(scrap), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0 || (size_t)n > conn->linger_left) {
            cb_http_conn_gone(conn);
            return;
        }
        conn->linger_left -= (size_t)n;
    }
    set_reading(conn, false); /* the rest, after others had their turn */
    set_reading(conn, true);
}

static void linger_begin(struct cb_http_conn *conn) {
    if (shutdown(conn->fd, SHUT_WR) != 0) {
        cb_http_conn_gone(conn);
        return;
    }
    cb_http_input_release(conn);
    output_release(conn);
    conn->linger_left = CB_HTTP_LINGER_BYTES;
    cb_http_conn_phase(conn, CB_HTTP_LINGERING);
    set_writing(conn, false);
    set_reading(conn, true);
    linger_read(conn);
}

/* After requests were handed over or answers sent: what does it wait for now? */
static void settle(struct cb_http_conn *conn) {
    bool partial = conn->partial || conn->in_len > conn->in_start || conn->skipped;
    if (conn->n_requests == 0 && conn->in_len == conn->in_start && !conn->partial)
        cb_http_input_release(conn);
    if (conn->broken)
        cb_http_conn_dirty(conn);
    if (conn->n_requests > 0)
        cb_http_conn_phase(conn, CB_HTTP_WORKING);
    else
        cb_http_conn_phase(conn, conn->partial ? CB_HTTP_BODY_COMING
                                 : partial     ? CB_HTTP_HEAD_COMING
                                               : CB_HTTP_IDLE);
    if (may_read(conn))
        set_reading(conn, true);
}

static void conn_advance(struct cb_http_conn *conn) {
    conn->pins++;
    while (!conn->last && !conn->broken && conn->n_batch < CB_HTTP_PIPELINE_MAX &&
           conn->n_requests < CB_HTTP_PIPELINE_MAX &&
           conn->n_headers <= CB_HTTP_HEADERS_PENDING - CB_HTTP_HEADERS_MAX &&
           cb_http_conn_unsent(conn) < CB_HTTP_UNSENT_SOFT) {
        if (!cb_http_input_next(conn))
            break;
    }
    conn->pins--;
    settle(conn);
}

/* ---- reading ---- */

/* Reads once. ending: the client sends no more than is there. Returns false when there was nothing,
 * or the connection is closed now. */
static bool conn_read(struct cb_http_conn *conn, bool ending) {
    if (!cb_http_input_room(conn)) {
        cb_http_conn_gone(conn);
        return false;
    }
    size_t room = conn->in_cap - CB_HTTP_BODY_PAD - conn->in_len;
    ssize_t n = recv(conn->fd, conn->in + conn->in_len, room, MSG_DONTWAIT);
    bool none = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    bool again = (n < 0 && errno == EINTR) || (n > 0 && (ending || (size_t)n == room));
    if (again) /* something is left in the socket, if only its end */
        set_reading(conn, false);
    if (n > 0) {
        conn->in_len += (size_t)n;
        return true;
    }
    if (none || again)
        settle(conn);
    else
        cb_http_conn_gone(conn);
    return false;
}

/* The client of a stream sent something: if that is its end, the stream has no reader. */
static void peek(struct cb_http_conn *conn) {
    char byte;
    ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        cb_http_conn_gone(conn);
    else if (n > 0)
        set_reading(conn, false);
}

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    struct cb_http_conn *conn = arg;
    cb_http_now(conn->http);
    if (conn->http->n_dirty >= CB_HTTP_DIRTY_MAX) {
        conn->pins++;
        cb_http_flush(conn->http);
        conn->pins--;
    }
    if (conn->fd < 0)
        cb_http_conn_release(conn);
    else if (conn->phase == CB_HTTP_LINGERING)
        linger_read(conn);
    else if (is_streaming(conn))
        peek(conn);
    else if (!may_read(conn))
        set_reading(conn, false);
    else if (conn_read(conn, (what & EV_CLOSED) != 0))
        conn_advance(conn);
}

void cb_http_conn_drain(struct cb_http_conn *conn) {
    if (conn->fd < 0 || conn->pins > 0 || conn->partial || conn->skipped || !may_read(conn) ||
        conn->in_len > conn->in_start)
        return;
    conn->pins++;
    if (conn_read(conn, false))
        conn_advance(conn);
    else
        cb_http_conn_gone(conn);
    conn->pins--;
    cb_http_conn_release(conn);
}

/* ---- writing ---- */

/* Sends what the socket takes. Returns false when the connection is closed now or blocked. */
static bool conn_send(struct cb_http_conn *conn) {
    size_t unsent = cb_http_conn_unsent(conn);
    if (unsent > 0) {
        ssize_t n =
            send(conn->fd, conn->out.data + conn->out_sent, unsent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            cb_http_conn_gone(conn);
            return false;
        }
        conn->out_sent += n > 0 ? (size_t)n : 0;
        conn->sent += n > 0 ? (size_t)n : 0;
    }
    unsent = cb_http_conn_unsent(conn);
    if (unsent == 0) {
        output_release(conn);
        conn->blocked = false;
        writing_settle(conn);
        return true;
    }
    /* What is unsent now must be gone by the deadline; only then is there another one. So a client
     * that takes a byte now and then is closed. */
    if (!conn->blocked || conn->sent >= conn->write_by) {
        conn->blocked = true;
        conn->write_by = conn->sent + unsent;
        conn->phase = CB_HTTP_BLOCKED;
        conn->deadline_ms = conn->http->now_ms + conn->http->opts.write_timeout_ms;
    }
    if (conn->out_sent > CB_HTTP_UNSENT_SOFT) {
        memmove(conn->out.data, conn->out.data + conn->out_sent, unsent);
        conn->out.len = unsent;
        conn->out_sent = 0;
    }
    set_writing(conn, true);
    return false;
}

void cb_http_conn_flush(struct cb_http_conn *conn) {
    if (conn->fd < 0) { /* a stream began after its client had gone */
        conn->pins++;
        streams_close(conn);
        conn->pins--;
        cb_http_conn_release(conn);
        return;
    }
    if (conn->phase == CB_HTTP_LINGERING)
        return;
    if (conn->broken) {
        cb_http_conn_gone(conn);
        return;
    }
    if (!conn_send(conn))
        return;
    conn->n_batch = 0;
    if (conn->http->draining && conn->in_len == conn->in_start && !conn->skipped)
        conn->last = true; /* its answers were on their way when the drain began */
    if (conn->last && conn->n_requests == 0)
        linger_begin(conn);
    else
        conn_advance(conn);
}

static void on_writable(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct cb_http_conn *conn = arg;
    cb_http_now(conn->http);
    conn->pins++;
    cb_http_conn_flush(conn);
    struct cb_http_request *req = conn->fd >= 0 && is_streaming(conn) ? conn->first : NULL;
    if (req && req->want_writable &&
        cb_http_conn_unsent(conn) <= conn->http->opts.stream_max_bytes / 2) {
        req->want_writable = false;
        if (req->writable)
            req->writable(&req->pub);
    }
    if (conn->fd >= 0 && conn->phase != CB_HTTP_LINGERING && cb_http_conn_unsent(conn) == 0)
        writing_settle(conn);
    conn->pins--;
    cb_http_conn_release(conn);
}

void cb_http_conn_watch(struct cb_http_conn *conn) {
    if (conn->fd < 0 || !is_streaming(conn))
        return;
    set_reading(conn, true); /* to see its end; see peek */
    if (conn->first->want_writable)
        set_writing(conn, true);
}

void cb_http_conn_answered(struct cb_http_request *req) {
    struct cb_http_conn *conn = req->conn;
    req->state = CB_HTTP_ANSWERED;
    if (conn->fd < 0) {
        request_drop(req);
        cb_http_conn_release(conn);
        return;
    }
    while (conn->first && conn->first->state == CB_HTTP_ANSWERED) {
        request_drop(conn->first);
        struct cb_http_request *next = conn->first;
        if (next && cb_buf_append(&conn->out, next->held.data, next->held.len) != 0)
            conn->broken = true;
        if (next)
            cb_buf_fini(&next->held);
    }
    cb_http_conn_watch(conn);
    cb_http_conn_dirty(conn);
}

/* ---- life ---- */

void cb_http_conn_late(struct cb_http_conn *conn) {
    switch (conn->phase) {
    case CB_HTTP_HEAD_COMING:
    case CB_HTTP_BODY_COMING:
        cb_http_input_refuse(conn, CB_REFUSE_TIMEOUT);
        break;
    case CB_HTTP_BLOCKED:
        cb_metric_add(CB_METRIC_HTTP_DEADLINES, 1);
        cb_http_conn_gone(conn);
        break;
    default:
        cb_http_conn_gone(conn);
    }
}

int cb_http_conn_create(struct cb_http *http, int fd, struct cb_http_peer *peer,
                        const struct sockaddr *address) {
    struct cb_http_conn *conn = calloc(1, sizeof(*conn));
    if (!conn)
        return CB_ENOMEM;
    conn->http = http;
    conn->fd = fd;
    conn->peer = peer;
    cb_http_peer_text(address, conn->peer_text);
    cb_buf_init(&conn->out, CB_HTTP_UNSENT_MAX);
    const short events = EV_PERSIST | EV_ET;
    event_assign(&conn->read_event, http->base, fd, EV_READ | EV_CLOSED | events, on_readable,
                 conn);
    event_assign(&conn->write_event, http->base, fd, EV_WRITE | events, on_writable, conn);
    if (event_add(&conn->read_event, NULL) != 0) {
        free(conn);
        return CB_ESYS;
    }
    conn->reading = true;
    conn->phase = CB_HTTP_WORKING;
    cb_http_conn_phase(conn, CB_HTTP_IDLE);
    conn->next = http->conns;
    if (conn->next)
        conn->next->prev = conn;
    http->conns = conn;
    http->n_conns++;
    cb_metric_add(CB_METRIC_HTTP_CONNECTIONS, 1);
    return 0;
}
