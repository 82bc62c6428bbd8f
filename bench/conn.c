/* SPDX-License-Identifier: MIT */
#include "bench/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what llhttp finds ---- */

static int on_begin(llhttp_t *parser) {
    struct cb_conn *conn = parser->data;
    conn->complete = conn->retry_after = false;
    conn->name_len = conn->name_matched = conn->body_len = 0;
    return 0;
}

/* A name may come in pieces. */
static int on_name(llhttp_t *parser, const char *at, size_t len) {
    static const char wanted[] = "retry-after";
    struct cb_conn *conn = parser->data;
    for (size_t i = 0; i < len; i++) {
        unsigned k = conn->name_len++;
        if (k < sizeof wanted - 1 && (at[i] | 0x20) == (wanted[k] | 0x20))
            conn->name_matched++;
    }
    if (conn->name_len == sizeof wanted - 1 && conn->name_matched == conn->name_len)
        conn->retry_after = true;
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len) {
    (void)at, (void)len;
    struct cb_conn *conn = parser->data;
    conn->name_len = conn->name_matched = 0;
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len) {
    struct cb_conn *conn = parser->data;
    size_t room = sizeof conn->body - conn->body_len;
    size_t n = len < room ? len : room;
    memcpy(conn->body + conn->body_len, at, n);
    conn->body_len += (unsigned)n;
    return 0;
}

static int on_complete(llhttp_t *parser) {
    struct cb_conn *conn = parser->data;
    if (parser->status_code < 200)
        return 0; /* an interim answer: the real one follows */
    conn->complete = true;
    conn->status = parser->status_code;
    conn->keep_alive = llhttp_should_keep_alive(parser);
    return 0;
}

void cb_conn_pool_init(struct cb_conn_pool *pool, struct event_base *base) {
    pool->base = base;
    llhttp_settings_init(&pool->settings);
    pool->settings.on_message_begin = on_begin;
    pool->settings.on_header_field = on_name;
    pool->settings.on_header_value = on_value;
    pool->settings.on_body = on_body;
    pool->settings.on_message_complete = on_complete;
}

/* ---- life ---- */

void cb_conn_close(struct cb_conn *conn) {
    if (conn->fd >= 0) {
        event_del(&conn->read_event);
        event_del(&conn->write_event);
        close(conn->fd);
    }
    conn->fd = -1;
    conn->is = CB_CONN_CLOSED;
    free(conn->unsent);
    conn->unsent = NULL;
    conn->unsent_len = conn->unsent_at = 0;
    conn->writing = false;
}

static void lose(struct cb_conn *conn) {
    enum cb_conn_state was = conn->is;
    cb_conn_close(conn);
    conn->is = was; /* so that the client knows what was lost */
    conn->pool->lost(conn);
}

/* Counts replies: lines, of which one that begins with $ is followed by a string's text. False for
 * what is none of Redis's. */
static bool take_replies(struct cb_conn *conn, const char *input, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (conn->replies_left == 0)
            return false;
        if (!conn->reply_kind && !conn->reply_text && !strchr("$+-:", input[i]))
            return false;
        if (!conn->reply_kind)
            conn->reply_kind = input[i];
        if (input[i] != '\n')
            continue;
        bool begins_text = !conn->reply_text && conn->reply_kind == '$';
        if (!conn->reply_text && conn->reply_kind == '-')
            conn->status = 500;
        conn->replies_left -= !begins_text;
        conn->reply_text = begins_text;
        conn->reply_kind = '\0';
    }
    return true;
}

static bool take_input(struct cb_conn *conn, const char *input, size_t len) {
    if (conn->pool->redis) {
        bool good = take_replies(conn, input, len);
        conn->complete = good && conn->replies_left == 0;
        return good;
    }
    enum llhttp_errno error = llhttp_execute(&conn->parser, input, len);
    return error == HPE_OK || (conn->complete && error == HPE_CLOSED_CONNECTION);
}

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    (void)what;
    struct cb_conn *conn = arg;
    char *input = conn->pool->input;
    ssize_t n = recv(fd, input, CB_CONN_READ_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || conn->is != CB_CONN_BUSY) { /* nothing was asked for */
        lose(conn);
        return;
    }
    conn->bytes_in += (size_t)n;
    if (!take_input(conn, input, (size_t)n)) {
        lose(conn);
    } else if (conn->complete) {
        conn->complete = false;
        conn->is = CB_CONN_IDLE;
        conn->pool->answered(conn);
    }
}

/* Sends what is unsent. */
static void flush(struct cb_conn *conn) {
    ssize_t n = send(conn->fd, conn->unsent + conn->unsent_at, conn->unsent_len - conn->unsent_at,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        lose(conn);
        return;
    }
    conn->unsent_at += n > 0 ? (size_t)n : 0;
    if (conn->unsent_at < conn->unsent_len)
        return;
    event_del(&conn->write_event);
    conn->writing = false;
    free(conn->unsent);
    conn->unsent = NULL;
}

static void opened(struct cb_conn *conn) {
    int error = 0, one = 1;
    socklen_t len = sizeof error;
    event_del(&conn->write_event);
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error ||
        setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) ||
        event_add(&conn->read_event, NULL)) {
        lose(conn);
        return;
    }
    conn->is = CB_CONN_IDLE;
    conn->pool->opened(conn);
}

static void on_writable(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    struct cb_conn *conn = arg;
    if (conn->is == CB_CONN_OPENING)
        opened(conn);
    else
        flush(conn);
}

/* Connections come from 127.1.0.1 and on, in turn. */
static int source_bind(const struct cb_conn *conn) {
    int one = 1;
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f010001u + (uint32_t)(conn->number % conn->pool->addresses));
    if (setsockopt(conn->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one))
        return CB_ESYS;
    return bind(conn->fd, (struct sockaddr *)&from, sizeof from) ? CB_ESYS : 0;
}

void cb_conn_open(struct cb_conn *conn, const struct sockaddr *address, socklen_t address_len) {
    conn->is = CB_CONN_OPENING;
    llhttp_init(&conn->parser, HTTP_RESPONSE, &conn->pool->settings);
    conn->parser.data = conn;
    conn->complete = false;
    conn->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        conn->pool->lost(conn);
        return;
    }
    event_assign(&conn->read_event, conn->pool->base, conn->fd, EV_READ | EV_PERSIST, on_readable,
                 conn);
    event_assign(&conn->write_event, conn->pool->base, conn->fd, EV_WRITE | EV_PERSIST, on_writable,
                 conn);
    bool ok = !conn->pool->addresses || address->sa_family != AF_INET || source_bind(conn) == 0;
    ok = ok && (connect(conn->fd, address, address_len) == 0 || errno == EINPROGRESS);
    if (!ok || event_add(&conn->write_event, NULL))
        lose(conn);
}

void cb_conn_send(struct cb_conn *conn, struct cb_str request) {
    conn->is = CB_CONN_BUSY;
    conn->bytes_in = 0;
    if (conn->pool->redis) {
        conn->replies_left = conn->item.n;
        conn->reply_kind = '\0';
        conn->reply_text = conn->retry_after = false;
        conn->keep_alive = true;
        conn->status = 200;
    }
    ssize_t n = send(conn->fd, request.p, request.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        lose(conn);
        return;
    }
    size_t sent = n > 0 ? (size_t)n : 0;
    if (sent == request.len)
        return;
    conn->unsent = malloc(request.len - sent);
    if (!conn->unsent || event_add(&conn->write_event, NULL)) {
        lose(conn);
        return;
    }
    memcpy(conn->unsent, request.p + sent, request.len - sent);
    conn->unsent_len = request.len - sent;
    conn->unsent_at = 0;
    conn->writing = true;
}
