/* SPDX-License-Identifier: MIT
 * http.c: the server: its listener, the connections it takes and refuses, deadlines, drain.
 *
 * Nothing here runs per request but the two pools. Deadlines are looked at in one sweep over all
 * connections, four times a second: they are seconds long, and a sweep of 10,000 costs less than
 * keeping 10,000 timers in order would. */
#include "proto/http.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/http_conn.h"
#include "proto/log.h"
#include "proto/metric.h"

enum {
    BACKLOG = 4096,
    ACCEPT_BURST = 256,    /* connections taken in one turn */
    ACCEPT_RETRY_MS = 200, /* after an error that needs somebody to close something */
    SWEEP_MS = 250,
    NOW_USES = 32, /* callbacks for which the clocks are not read again */
};

static void clocks_read(struct cb_http *http) {
    http->now_ms = cb_clock_mono_ms();
    http->wall_ms = cb_clock_wall_ms();
}

/* Two clocks for each of a thousand requests would be a part of what they cost: what they said
 * holds for a few callbacks, and no longer than this turn of the event loop (turn_event comes
 * behind what was active when it was activated). */
void cb_http_now(struct cb_http *http) {
    if (http->now_uses > 0) {
        http->now_uses--;
        return;
    }
    clocks_read(http);
    http->now_uses = NOW_USES;
    event_active(&http->turn_event, EV_TIMEOUT, 0);
}

static void on_turn_end(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct cb_http *http = arg;
    http->now_uses = 0;
}

/* ---- pools ---- */

char *cb_http_block_take(struct cb_http *http) {
    char *block = http->blocks;
    if (!block)
        return malloc(CB_HTTP_BLOCK_BYTES);
    memcpy(&http->blocks, block, sizeof(http->blocks));
    http->n_blocks--;
    return block;
}

void cb_http_block_give(struct cb_http *http, char *data, size_t cap) {
    if (!data || cap != CB_HTTP_BLOCK_BYTES || http->n_blocks == CB_HTTP_BLOCKS_POOLED) {
        free(data);
        return;
    }
    memcpy(data, &http->blocks, sizeof(http->blocks));
    http->blocks = data;
    http->n_blocks++;
}

struct cb_http_request *cb_http_request_take(struct cb_http *http) {
    struct cb_http_request *req = http->requests;
    struct cb_http_header *headers = NULL;
    unsigned cap = 0;
    if (req) {
        http->requests = req->next;
        http->n_requests--;
        headers = req->headers;
        cap = req->headers_cap;
    } else if (!(req = malloc(sizeof(*req)))) {
        return NULL;
    }
    if (!headers) {
        headers = http->headers;
        cap = http->headers_cap;
        http->headers = NULL;
        http->headers_cap = 0;
    }
    *req = (struct cb_http_request){.headers = headers, .headers_cap = cap};
    return req;
}

void cb_http_read(struct cb_http_req *pub) {
    struct cb_http_request *req = (struct cb_http_request *)pub;
    struct cb_http *http = req->conn->http;
    req->conn->n_headers -= pub->n_headers;
    pub->path = pub->query = pub->body = (struct cb_str){"", 0};
    pub->headers = NULL;
    pub->n_headers = 0;
    if (!http->headers) {
        http->headers = req->headers;
        http->headers_cap = req->headers_cap;
        req->headers = NULL;
        req->headers_cap = 0;
    }
    cb_http_input_read(req->conn);
}

static void request_free(struct cb_http_request *req) {
    free(req->headers);
    free(req);
}

void cb_http_request_give(struct cb_http *http, struct cb_http_request *req) {
    cb_buf_fini(&req->held);
    if (http->n_requests == CB_HTTP_REQUESTS_POOLED) {
        request_free(req);
        return;
    }
    req->next = http->requests;
    http->requests = req;
    http->n_requests++;
}

/* ---- accepting ---- */

static bool may_accept(const struct cb_http *http) {
    return http->fd >= 0 && !http->full && !http->accept_fails;
}

void cb_http_room(struct cb_http *http) {
    if (!http->full || http->n_conns >= http->opts.connections_max)
        return;
    http->full = false;
    if (may_accept(http))
        event_add(&http->accept_event, NULL);
}

static void accept_pause(struct cb_http *http) {
    event_del(&http->accept_event);
    cb_metric_add(CB_METRIC_HTTP_ACCEPT_PAUSED, 1);
}

/* Out of descriptors or memory: the connection stays in the backlog, so accepting at once again
 * would spin. */
static void accept_failed(struct cb_http *http, int error) {
    const struct timeval wait = {.tv_usec = ACCEPT_RETRY_MS * 1000};
    accept_pause(http);
    http->accept_fails = true;
    if (!http->accept_warned)
        cb_log(CB_LOG_WARN, "accept_paused", "port=%u error=\"%s\" connections=%u", http->port,
               strerror(error), http->n_conns);
    http->accept_warned = true; /* once, until one succeeds */
    if (event_add(&http->retry_event, &wait) != 0)
        cb_log(CB_LOG_ERROR, "accept_stopped", "port=%u", http->port);
}

static void on_retry(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct cb_http *http = arg;
    http->accept_fails = false;
    if (may_accept(http))
        event_add(&http->accept_event, NULL);
}

static void take_connection(struct cb_http *http, int fd, const struct sockaddr *address) {
    struct cb_http_peer *peer;
    int rc = cb_http_peers_take(&http->peers, address, http->opts.per_address_max, &peer);
    if (rc == 0) {
        rc = cb_http_conn_create(http, fd, peer, address);
        if (rc == 0) {
            cb_metric_add(CB_METRIC_HTTP_ACCEPTED, 1);
            return;
        }
        cb_http_peers_give(&http->peers, peer);
    } else if (rc == CB_EFULL) {
        cb_metric_add(CB_METRIC_HTTP_OVER_ADDRESS, 1);
    }
    close(fd);
}

static void on_accept(evutil_socket_t listener, short what, void *arg) {
    (void)what;
    struct cb_http *http = arg;
    cb_http_now(http);
    for (int i = 0; i < ACCEPT_BURST; i++) {
        if (http->n_conns >= http->opts.connections_max) {
            http->full = true;
            accept_pause(http);
            return;
        }
        struct sockaddr_storage address;
        socklen_t len = sizeof(address);
        int fd = accept4(listener, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            http->accept_warned = false;
            take_connection(http, fd, (struct sockaddr *)&address);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            accept_failed(http, errno);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } /* any other is of that one connection, which is gone (accept(2)) */
    }
}

/* ---- timers ---- */

enum sweep { SWEEP_LATE, SWEEP_DRAIN };

/* Collects first: what is done to one connection may free others, but only such whose client is
 * gone, and those are not collected. */
static void sweep(struct cb_http *http, enum sweep kind) {
    struct cb_http_conn *list = NULL;
    for (struct cb_http_conn *conn = http->conns; conn; conn = conn->next) {
        if (conn->fd < 0 || (kind == SWEEP_LATE && conn->deadline_ms > http->now_ms))
            continue;
        conn->next_late = list;
        list = conn;
    }
    while (list) {
        struct cb_http_conn *conn = list;
        list = conn->next_late;
        if (kind == SWEEP_LATE)
            cb_http_conn_late(conn);
        else
            cb_http_conn_drain(conn);
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    clocks_read(arg); /* deadlines do not wait for a long turn to end */
    sweep(arg, SWEEP_LATE);
}

void cb_http_flush(struct cb_http *http) {
    http->flushing = true; /* what gets dirty meanwhile is met further down */
    while (http->dirty_first) {
        struct cb_http_conn *conn = http->dirty_first;
        http->dirty_first = conn->next_dirty;
        if (!http->dirty_first)
            http->dirty_final = NULL;
        conn->dirty = false;
        http->n_dirty--;
        cb_http_conn_flush(conn);
    }
    http->flushing = false;
}

static void on_flush(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct cb_http *http = arg;
    cb_http_now(http);
    cb_http_flush(http);
}

/* ---- set-up ---- */

/* "127.0.0.1:8080 is in use", "[::1]:80: Permission denied". Returns rc. */
static int fail(const struct cb_http_opts *opts, int rc, const char *what, char **sentence) {
    bool bracket = strchr(opts->host, ':') != NULL;
    if (asprintf(sentence, "%s%s%s:%u%s", bracket ? "[" : "", opts->host, bracket ? "]" : "",
                 opts->port, what) < 0)
        *sentence = NULL;
    return rc;
}

static int fail_errno(const struct cb_http_opts *opts, int error, char **sentence) {
    char what[160];
    if (error == EADDRINUSE)
        return fail(opts, CB_EBUSY, " is in use", sentence);
    snprintf(what, sizeof(what), " cannot be listened on: %s", strerror(error));
    return fail(opts, CB_ESYS, what, sentence);
}

/* A bound socket, or a negative errno. */
static int bind_to(const struct addrinfo *address, bool shared, unsigned peer_timeout_ms) {
    const int on = 1, off = 0;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (address->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    /* Accepted sockets inherit TCP_NODELAY and the timeout: without it a client whose machine is
     * gone would hold its stream, which is small enough for the kernel's buffer, for 15 minutes. */
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &peer_timeout_ms, sizeof(peer_timeout_ms));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
        (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
        bind(fd, address->ai_addr, address->ai_addrlen) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

/* A listening socket, or a negative errno. */
static int listen_on(const struct addrinfo *address, bool first, unsigned peer_timeout_ms) {
    if (first) { /* without SO_REUSEPORT this fails if anybody listens there */
        int probe = bind_to(address, false, peer_timeout_ms);
        if (probe < 0)
            return probe;
        close(probe);
    }
    int fd = bind_to(address, true, peer_timeout_ms);
    if (fd >= 0 && listen(fd, BACKLOG) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static int listener_open(struct cb_http *http, bool first, char **sentence) {
    const struct cb_http_opts *opts = &http->opts;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char port[8];
    snprintf(port, sizeof(port), "%u", opts->port);
    struct addrinfo *addresses;
    int gai = getaddrinfo(opts->host, port, &hints, &addresses);
    if (gai != 0) {
        char what[160];
        snprintf(what, sizeof(what), " is not an address: %s", gai_strerror(gai));
        return fail(opts, CB_EINVAL, what, sentence);
    }
    /* A name may have addresses that this machine cannot use (IPv6 switched off); but one in use is
     * an answer. */
    int fd = -EADDRNOTAVAIL;
    for (struct addrinfo *a = addresses; a && fd < 0 && fd != -EADDRINUSE; a = a->ai_next)
        fd = listen_on(a, first, 2 * opts->write_timeout_ms);
    freeaddrinfo(addresses);
    if (fd < 0)
        return fail_errno(opts, -fd, sentence);
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0) {
        int error = errno;
        close(fd);
        return fail_errno(opts, error, sentence);
    }
    http->port =
        ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&bound)->sin6_port
                                          : ((struct sockaddr_in *)(void *)&bound)->sin_port);
    http->fd = fd;
    return 0;
}

static int events_add(struct cb_http *http) {
    const struct timeval tick = {.tv_usec = SWEEP_MS * 1000};
    struct event_base *base = http->base;
    event_assign(&http->accept_event, base, http->fd, EV_READ | EV_PERSIST, on_accept, http);
    event_assign(&http->sweep_event, base, -1, EV_PERSIST, on_sweep, http);
    event_assign(&http->retry_event, base, -1, 0, on_retry, http);
    event_assign(&http->flush_event, base, -1, 0, on_flush, http);
    event_assign(&http->turn_event, base, -1, 0, on_turn_end, http);
    if (event_add(&http->sweep_event, &tick) != 0)
        return CB_ESYS;
    if (event_add(&http->accept_event, NULL) != 0) {
        event_del(&http->sweep_event);
        return CB_ESYS;
    }
    return 0;
}

int cb_http_create(struct event_base *base, const struct cb_http_opts *opts, bool first,
                   cb_http_handler *handler, void *user, struct cb_http **out, char **sentence) {
    int rc = CB_ENOMEM;
    *sentence = NULL;
    struct cb_http *http = calloc(1, sizeof(*http));
    if (!http)
        return fail(opts, rc, ": out of memory", sentence);
    http->base = base;
    http->opts = *opts;
    http->handler = handler;
    http->user = user;
    http->fd = -1;
    clocks_read(http);
    if (asprintf(&http->error_headers, "Content-Type: application/json\r\n%s",
                 opts->error_headers ? opts->error_headers : "") < 0) {
        fail(opts, rc, ": out of memory", sentence);
        goto err_after_http;
    }
    if (cb_http_peers_init(&http->peers) != 0) {
        fail(opts, rc, ": out of memory", sentence);
        goto err_after_headers;
    }
    rc = listener_open(http, first, sentence);
    if (rc != 0)
        goto err_after_peers;
    rc = events_add(http);
    if (rc != 0) {
        fail(opts, rc, " cannot be listened on: no event", sentence);
        goto err_after_listener;
    }
    *out = http;
    return 0;

err_after_listener:
    close(http->fd);
err_after_peers:
    cb_http_peers_fini(&http->peers);
err_after_headers:
    free(http->error_headers);
err_after_http:
    free(http);
    return rc;
}

uint16_t cb_http_port(const struct cb_http *http) {
    return http->port;
}

unsigned cb_http_connections(const struct cb_http *http) {
    return http->n_conns;
}

void cb_http_drain(struct cb_http *http) {
    if (http->draining)
        return;
    http->draining = true;
    event_del(&http->accept_event);
    event_del(&http->retry_event);
    close(http->fd);
    http->fd = -1;
    clocks_read(http);
    sweep(http, SWEEP_DRAIN);
}

void cb_http_destroy(struct cb_http **out) {
    struct cb_http *http = *out;
    if (!http)
        return;
    *out = NULL;
    if (!http->draining) {
        event_del(&http->accept_event);
        event_del(&http->retry_event);
        close(http->fd);
        http->fd = -1;
    }
    event_del(&http->sweep_event);
    event_del(&http->flush_event);
    event_del(&http->turn_event);
    while (http->conns)
        cb_http_conn_destroy(http->conns);
    while (http->requests) {
        struct cb_http_request *req = http->requests;
        http->requests = req->next;
        request_free(req);
    }
    while (http->blocks)
        free(cb_http_block_take(http));
    cb_http_peers_fini(&http->peers);
    cb_http_known_fini(&http->known);
    free(http->headers);
    free(http->error_headers);
    free(http);
}
