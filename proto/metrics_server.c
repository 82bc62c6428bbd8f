/* SPDX-License-Identifier: MIT
 * metrics_server.c: see metrics_server.h. The thread owns the event base and the HTTP server from
 * its start to its join; main speaks to it by the eventfd alone. Nothing is drained at the end:
 * each answer is written in the turn that asks for it. */
#include "proto/metrics_server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/http.h"
#include "proto/log.h"
#include "proto/metric.h"
#include "proto/opt.h"
#include "proto/thread.h"

enum {
    BODY_MAX_BYTES = 1024, /* nothing here takes one */
    CONNECTIONS_MAX = 64,
    REQUEST_TIMEOUT_MS = 5000,
    IDLE_TIMEOUT_MS = 120 * 1000, /* longer than the usual pauses between two scrapes */
    STREAM_MAX_BYTES = 65536,     /* there are no streams */
    PAGE_MAX_BYTES = 256 * 1024,
    ERROR_MAX_BYTES = 4096,
};

#define SAFE_HEADERS "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
#define JSON_HEADERS "Content-Type: application/json; charset=utf-8\r\n" SAFE_HEADERS
#define PAGE_HEADERS "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n" SAFE_HEADERS

struct cb_metrics_server {
    struct event_base *base;
    struct cb_http *http;
    struct event *stop; /* reads stop_fd */
    int stop_fd;
    pthread_t thread;
    bool running;
    char address[300];
};

static void refuse(struct cb_http_req *req, enum cb_refusal refusal, const char *headers) {
    struct cb_buf body;
    cb_buf_init(&body, ERROR_MAX_BYTES);
    if (cb_refusal_json(&body, refusal, NULL, NULL))
        cb_buf_clear(&body); /* the status says it, too */
    cb_http_reply(req, cb_refusal_status(refusal), headers, body.data, body.len);
    cb_buf_fini(&body);
}

static void page(struct cb_http_req *req) {
    struct cb_buf text;
    cb_buf_init(&text, PAGE_MAX_BYTES);
    if (cb_metric_render(&text))
        refuse(req, CB_REFUSE_INTERNAL, JSON_HEADERS);
    else
        cb_http_reply(req, 200, PAGE_HEADERS, text.data, text.len);
    cb_buf_fini(&text);
}

static void handle(struct cb_http_req *req, void *user) {
    static const char alive[] = "{\"status\":\"alive\"}";
    bool metrics = cb_str_is(req->path, "/metrics");
    (void)user;
    if (!metrics && !cb_str_is(req->path, "/healthz"))
        refuse(req, CB_REFUSE_NOT_FOUND, JSON_HEADERS);
    else if (req->method != CB_HTTP_GET && req->method != CB_HTTP_HEAD)
        refuse(req, CB_REFUSE_METHOD, JSON_HEADERS "Allow: GET, HEAD\r\n");
    else if (metrics)
        page(req);
    else
        cb_http_reply(req, 200, JSON_HEADERS, alive, sizeof alive - 1);
}

static void stop(evutil_socket_t fd, short events, void *user) {
    struct cb_metrics_server *server = user;
    (void)fd, (void)events;
    event_base_loopbreak(server->base);
}

static void *thread_main(void *user) {
    struct cb_metrics_server *server = user;
    if (event_base_loop(server->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
        cb_log(CB_LOG_ERROR, "metrics_loop_failed", "address=%s", server->address);
    return NULL;
}

static int start(struct cb_metrics_server *server) {
    int rc = cb_thread_start(&server->thread, "metrics", thread_main, server);
    server->running = rc == 0;
    return rc;
}

/* On failure the caller tears down. */
static int open_parts(struct cb_metrics_server *server, const char *address, char **sentence) {
    struct cb_http_opts http = {
        .body_max_bytes = BODY_MAX_BYTES,
        .connections_max = CONNECTIONS_MAX,
        .per_address_max = CONNECTIONS_MAX,
        .head_timeout_ms = REQUEST_TIMEOUT_MS,
        .body_timeout_ms = REQUEST_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .write_timeout_ms = REQUEST_TIMEOUT_MS,
        .stream_max_bytes = STREAM_MAX_BYTES,
        .error_headers = SAFE_HEADERS,
    };
    if (cb_opt_address(address, http.host, sizeof http.host, &http.port)) {
        if (asprintf(sentence, "--metrics: \"%s\" is not HOST:PORT", address) < 0)
            *sentence = NULL;
        return CB_EINVAL;
    }
    server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->stop_fd < 0)
        return CB_ESYS;
    server->base = event_base_new();
    if (!server->base)
        return CB_ENOMEM;
    server->stop = event_new(server->base, server->stop_fd, EV_READ, stop, server);
    if (!server->stop || event_add(server->stop, NULL))
        return CB_ENOMEM;
    int rc = cb_http_create(server->base, &http, true, handle, NULL, &server->http, sentence);
    if (rc)
        return rc;
    snprintf(server->address, sizeof server->address, strchr(http.host, ':') ? "[%s]:%u" : "%s:%u",
             http.host, (unsigned)cb_http_port(server->http));
    return start(server);
}

int cb_metrics_server_setup(const char *address, struct cb_metrics_server **out, char **sentence) {
    *sentence = NULL;
    struct cb_metrics_server *server = calloc(1, sizeof *server);
    if (!server)
        return CB_ENOMEM;
    server->stop_fd = -1;
    int rc = open_parts(server, address, sentence);
    if (rc) {
        cb_metrics_server_teardown(&server);
        if (!*sentence &&
            asprintf(sentence, "--metrics: cannot serve at %s: %s", address, cb_err_text(rc)) < 0)
            *sentence = NULL;
        return rc;
    }
    cb_log(CB_LOG_INFO, "metrics_open", "address=%s", server->address);
    *out = server;
    return 0;
}

const char *cb_metrics_server_address(const struct cb_metrics_server *server) {
    return server->address;
}

void cb_metrics_server_teardown(struct cb_metrics_server **server) {
    struct cb_metrics_server *s = *server;
    if (!s)
        return;
    if (s->running) {
        const uint64_t one = 1;
        ssize_t n = write(s->stop_fd, &one, sizeof one);
        assert(n == (ssize_t)sizeof one); /* an eventfd takes 2^64 - 2 of them */
        (void)n;
        pthread_join(s->thread, NULL);
    }
    cb_http_destroy(&s->http);
    if (s->stop)
        event_free(s->stop);
    if (s->base)
        event_base_free(s->base);
    if (s->stop_fd >= 0)
        close(s->stop_fd);
    free(s);
    *server = NULL;
}
