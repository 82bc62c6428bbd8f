/* SPDX-License-Identifier: MIT
 * http_rig.h: an HTTP server and its clients in one thread, for the tests of http and asset.
 *
 * A client's socket does not block; whoever waits turns the server's event loop meanwhile, for at
 * most RIG_WAIT_MS. */
#ifndef CB_TESTS_PROTO_HTTP_RIG_H
#define CB_TESTS_PROTO_HTTP_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/clock.h"
#include "proto/http.h"
#include "proto/metric.h"

enum { RIG_WAIT_MS = 10000, RIG_HELD_MAX = 256 };

struct rig {
    struct event_base *base;
    struct cb_http *http;
    struct cb_http_req *held[RIG_HELD_MAX]; /* what the holding handler was given */
    unsigned n_held, n_requests;
};

static inline int64_t rig_real_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Answers with what the request was, in one line that tests can compare. */
static inline void rig_echo(struct cb_http_req *req, void *user) {
    static const char *const methods[] = {"GET",   "HEAD",   "POST",    "PUT",
                                          "PATCH", "DELETE", "OPTIONS", "OTHER"};
    struct cb_buf out;
    struct rig *rig = user;
    rig->n_requests++;
    cb_buf_init(&out, 1 << 20);
    assert_int_equal(cb_buf_printf(&out, "%s [%.*s] [%.*s]", methods[req->method],
                                   (int)req->path.len, req->path.p, (int)req->query.len,
                                   req->query.p),
                     0);
    for (unsigned i = 0; i < req->n_headers; i++)
        assert_int_equal(cb_buf_printf(&out, " %.*s={%.*s}", (int)req->headers[i].name.len,
                                       req->headers[i].name.p, (int)req->headers[i].value.len,
                                       req->headers[i].value.p),
                         0);
    unsigned pad = 0; /* the promise of CB_HTTP_BODY_PAD, for the address sanitizer to check */
    for (unsigned i = 0; i < CB_HTTP_BODY_PAD; i++)
        pad |= (unsigned char)*(volatile const char *)&req->body.p[req->body.len + i];
    assert_true(pad <= 255);
    assert_int_equal(cb_buf_printf(&out, " body=%zu:", req->body.len), 0);
    assert_int_equal(cb_buf_append_str(&out, req->body), 0);
    cb_http_reply(req, 200, "X-Test: 1\r\n", out.data, out.len);
    cb_buf_fini(&out);
}

static inline void rig_hold(struct cb_http_req *req, void *user) {
    struct rig *rig = user;
    assert_true(rig->n_held < RIG_HELD_MAX);
    rig->n_requests++;
    rig->held[rig->n_held++] = req;
}

static inline struct cb_http_opts rig_opts(void) {
    return (struct cb_http_opts){.host = "127.0.0.1",
                                 .body_max_bytes = 65536,
                                 .connections_max = 1000,
                                 .per_address_max = 1000,
                                 .head_timeout_ms = 10000,
                                 .body_timeout_ms = 10000,
                                 .idle_timeout_ms = 75000,
                                 .write_timeout_ms = 10000,
                                 .stream_max_bytes = 65536,
                                 .error_headers = "Access-Control-Allow-Origin: *\r\n"};
}

static inline void rig_start(struct rig *rig, const struct cb_http_opts *opts,
                             cb_http_handler *handler) {
    struct cb_http_opts defaults = rig_opts();
    char *sentence = NULL;
    memset(rig, 0, sizeof(*rig));
    rig->base = event_base_new();
    assert_non_null(rig->base);
    int rc = cb_http_create(rig->base, opts ? opts : &defaults, true, handler, rig, &rig->http,
                            &sentence);
    if (rc != 0)
        fail_msg("%s", sentence);
}

static inline void rig_stop(struct rig *rig) {
    cb_http_destroy(&rig->http);
    assert_null(rig->http);
    event_base_free(rig->base);
}

/* One turn of the event loop, which waits at most a millisecond. */
static inline void rig_turn(struct rig *rig) {
    const struct timeval wait = {.tv_usec = 1000};
    event_base_loopexit(rig->base, &wait);
    event_base_loop(rig->base, EVLOOP_ONCE);
}

/* Turns the loop until condition; fails the test at the deadline. */
#define RIG_UNTIL(rig, condition)                                                                  \
    do {                                                                                           \
        int64_t rig_end_ms = rig_real_ms() + RIG_WAIT_MS;                                          \
        while (!(condition)) {                                                                     \
            if (rig_real_ms() > rig_end_ms)                                                        \
                fail_msg("waited in vain for: %s", #condition);                                    \
            rig_turn(rig);                                                                         \
        }                                                                                          \
    } while (0)

static inline int rig_connect(struct rig *rig) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(cb_http_port(rig->http)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* Sends all; false when the server broke the connection. */
static inline bool rig_send(struct rig *rig, int fd, const void *data, size_t len) {
    int64_t end_ms = rig_real_ms() + RIG_WAIT_MS;
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, (const char *)data + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
        else if (n < 0 && errno != EAGAIN)
            return false;
        else
            rig_turn(rig);
        assert_true(rig_real_ms() < end_ms);
    }
    return true;
}

static inline void rig_say(struct rig *rig, int fd, const char *text) {
    rig_send(rig, fd, text, strlen(text));
}

/* What fd has, appended to in, which stays NUL-terminated. Returns false at the end of it. */
static inline bool rig_recv(int fd, struct cb_buf *in) {
    assert_int_equal(cb_buf_reserve(in, 65537), 0);
    ssize_t n = recv(fd, in->data + in->len, 65536, MSG_DONTWAIT);
    if (n > 0)
        in->len += (size_t)n;
    in->data[in->len] = 0;
    return n > 0 || (n < 0 && errno == EAGAIN);
}

/* All that comes until the server closes; a reset fails the test. The caller frees it. */
static inline char *rig_read_all(struct rig *rig, int fd) {
    struct cb_buf in;
    int64_t end_ms = rig_real_ms() + RIG_WAIT_MS;
    cb_buf_init(&in, 64 << 20);
    for (;;) {
        assert_int_equal(cb_buf_reserve(&in, 65537), 0);
        ssize_t n = recv(fd, in.data + in.len, 65536, MSG_DONTWAIT);
        if (n == 0)
            break;
        if (n < 0 && errno != EAGAIN)
            fail_msg("the connection broke: %s", strerror(errno));
        if (n > 0)
            in.len += (size_t)n;
        else if (rig_real_ms() > end_ms)
            fail_msg("the server does not close; so far: %.*s", (int)in.len, in.data);
        else
            rig_turn(rig);
    }
    in.data[in.len] = 0;
    return in.data;
}

/* Where the answer at text ends, or NULL while it is not complete. Content-Length only; bodiless
 * where head is set. */
static inline const char *rig_answer_end(const char *text, bool head) {
    const char *end = strstr(text, "\r\n\r\n");
    if (!end)
        return NULL;
    end += 4;
    const char *length = strstr(text, "Content-Length: ");
    if (!length || length > end || head)
        return end;
    size_t n = strtoul(length + 16, NULL, 10);
    return strlen(end) >= n ? end + n : NULL;
}

/* Exactly n answers. The caller frees them. */
static inline char *rig_read(struct rig *rig, int fd, unsigned n) {
    struct cb_buf in;
    int64_t end_ms = rig_real_ms() + RIG_WAIT_MS;
    cb_buf_init(&in, 64 << 20);
    for (;;) {
        bool open = rig_recv(fd, &in);
        const char *at = in.data;
        unsigned whole = 0;
        for (const char *end; *at && (end = rig_answer_end(at, false)); at = end)
            whole++;
        if (whole >= n) {
            assert_int_equal(whole, n);
            assert_true(*at == 0);
            return in.data;
        }
        if (!open || rig_real_ms() > end_ms)
            fail_msg("%u answers of %u: %s", whole, n, in.data);
        rig_turn(rig);
    }
}

/* One connection: sends, reads until the server closes. The caller frees it. */
static inline char *rig_exchange(struct rig *rig, const void *data, size_t len) {
    int fd = rig_connect(rig);
    rig_send(rig, fd, data, len);
    char *answer = rig_read_all(rig, fd);
    close(fd);
    return answer;
}

static inline unsigned rig_count(const char *text, const char *what) {
    unsigned n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

#define assert_contains(text, what)                                                                \
    do {                                                                                           \
        if (!strstr(text, what))                                                                   \
            fail_msg("\"%s\" is not in: %s", what, text);                                          \
    } while (0)

/* A clock that stands still until it is told. */
static int64_t rig_time_us = INT64_C(1700000000000000);

static inline int64_t rig_clock(void) {
    return rig_time_us;
}

static inline void rig_clock_replace(bool on) {
    static const struct cb_clock_ops ops = {.wall_us = rig_clock, .mono_us = rig_clock};
    cb_clock_replace(on ? &ops : NULL);
}

static inline void rig_clock_pass(unsigned ms) {
    rig_time_us += (int64_t)ms * 1000;
}

#endif
