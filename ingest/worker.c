/* SPDX-License-Identifier: MIT
 * worker.c: see worker.h. The order of taking down: first the HTTP server, which voids the requests
 * that were not answered, then the uplink, which calls nobody any more, then those that it would
 * have called. */
#include "ingest/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ingest/hold.h"
#include "ingest/reply.h"
#include "ingest/routes.h"
#include "proto/clock.h"
#include "proto/log.h"

enum {
    CALLBACKS_PER_TURN = 128, /* of requests, before acks are looked for again */
    TICK_MS = 20,             /* how often a draining thread looks whether it is done */
    DRAIN_EXTRA_MS = 2000,    /* beyond the ack timeout, for the answers to be read */
    WRITE_TIMEOUTS = 3,       /* request timeouts for a client to take what it was answered */
    RESEND_MS = 1000,
    STREAM_MAX_BYTES = 65536, /* ingest has no streams */
};

static void tick(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    struct cb_worker *w = arg;
    bool busy = cb_http_connections(w->http) || cb_batch_held_bytes(w->batch);
    if (busy && cb_clock_mono_ms() < w->stop_deadline_ms)
        return;
    event_base_loopbreak(w->base);
}

static void stop(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    struct cb_worker *w = arg;
    struct timeval every = {0, TICK_MS * 1000};
    event_del(w->stop);
    cb_http_drain(w->http);
    w->stop_deadline_ms = cb_clock_mono_ms() + w->ack_timeout_ms + DRAIN_EXTRA_MS;
    if (event_add(w->tick, &every))
        event_base_loopbreak(w->base);
}

static int share(int64_t total, int64_t threads) {
    return (int)((total + threads - 1) / threads);
}

static void http_opts(const struct cb_opts *opts, const char *host, uint16_t port,
                      struct cb_http_opts *out) {
    memset(out, 0, sizeof *out);
    snprintf(out->host, sizeof out->host, "%s", host);
    out->port = port;
    out->body_max_bytes = (size_t)opts->body;
    out->connections_max = (unsigned)share(opts->connections, opts->ingest_threads);
    out->per_address_max = (unsigned)share(opts->connections_per_address, opts->ingest_threads);
    out->head_timeout_ms = (unsigned)opts->request_timeout * 1000;
    out->body_timeout_ms = (unsigned)opts->request_timeout * 1000;
    out->idle_timeout_ms = (unsigned)opts->idle_timeout * 1000;
    out->write_timeout_ms = WRITE_TIMEOUTS * out->body_timeout_ms;
    out->stream_max_bytes = STREAM_MAX_BYTES;
    out->error_headers = CB_REPLY_CORS;
}

/* All but the HTTP server. */
static int parts_create(struct cb_worker *w, const struct cb_opts *opts,
                        const struct cb_link_url *url) {
    struct cb_batch_opts batch = {(size_t)opts->held, w->ack_timeout_ms};
    unsigned ask_ms =
        w->ack_timeout_ms < CB_LOOKUP_ASK_MS ? w->ack_timeout_ms : (unsigned)CB_LOOKUP_ASK_MS;
    unsigned resend_ms = w->ack_timeout_ms / 4 < RESEND_MS ? w->ack_timeout_ms / 4 : RESEND_MS;
    int err = cb_batch_create(w->base, &batch, &w->batch);
    if (err)
        return err;
    struct cb_uplink_opts uplink = {.url = *url,
                                    .resend_ms = resend_ms,
                                    .expire_ms = w->ack_timeout_ms,
                                    .acked = cb_batch_acked,
                                    .user = w->batch};
    err = cb_uplink_create(w->base, &uplink, &w->uplink);
    if (err)
        return err;
    cb_batch_bind(w->batch, w->uplink);
    err = cb_lookup_create(w->uplink, ask_ms, &w->lookup);
    if (err)
        return err;
    return cb_beacon_create((size_t)opts->body, &w->beacon);
}

static int limits_create(struct cb_worker *w, const struct cb_opts *opts, char **sentence) {
    struct cb_limit_opts limit = {.address_rate = opts->address_rate,
                                  .site_rate = opts->site_rate,
                                  .burst_s = (unsigned)opts->rate_burst,
                                  .threads = (unsigned)opts->ingest_threads};
    int err = cb_limit_create(&limit, &w->limit);
    return err ? err : cb_proxies_create(opts->proxies, &w->proxies, sentence);
}

/* Acks come first, and requests in turns of a few (uplink.h): else the store stands idle while
 * thousands of them are answered. */
static struct event_base *base_create(void) {
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    struct event_base *base = NULL;
    /* The batch's timer is of 1.5 ms: epoll alone would round it up to 2, and look at a clock that
     * moves each 4. */
    if (event_config_set_max_dispatch_interval(config, NULL, CALLBACKS_PER_TURN, 1) == 0 &&
        event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    if (base && event_base_priority_init(base, 2) != 0) {
        event_base_free(base);
        base = NULL;
    }
    return base;
}

int cb_worker_create(const struct cb_opts *opts, const struct cb_link_url *url, const char *host,
                     uint16_t port, bool first, struct cb_worker **out, char **sentence) {
    struct cb_http_opts http;
    http_opts(opts, host, port, &http);
    struct cb_worker *w = calloc(1, sizeof *w);
    if (!w)
        return CB_ENOMEM;
    cb_verdict_init(&w->verdict);
    w->ack_timeout_ms = (unsigned)opts->ack_timeout;
    w->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    w->base = base_create();
    int err = w->stop_fd < 0 ? CB_ESYS : w->base ? 0 : CB_ENOMEM;
    if (!err) {
        w->stop = event_new(w->base, w->stop_fd, EV_READ | EV_PERSIST, stop, w);
        w->tick = event_new(w->base, -1, EV_PERSIST, tick, w);
        err = w->stop && w->tick && event_add(w->stop, NULL) == 0 ? 0 : CB_ENOMEM;
    }
    if (!err)
        err = limits_create(w, opts, sentence);
    if (!err)
        err = parts_create(w, opts, url);
    if (!err)
        err = cb_http_create(w->base, &http, first, cb_routes_handle, w, &w->http, sentence);
    if (err) {
        cb_worker_destroy(&w);
    } else {
        cb_batch_serve(w->batch, w->http);
        *out = w;
    }
    return err;
}

void cb_worker_destroy(struct cb_worker **worker) {
    struct cb_worker *w = *worker;
    if (!w)
        return;
    if (w->http)
        cb_http_destroy(&w->http);
    if (w->uplink)
        cb_uplink_destroy(&w->uplink);
    cb_lookup_destroy(&w->lookup);
    cb_batch_destroy(&w->batch);
    cb_beacon_destroy(&w->beacon);
    cb_limit_destroy(&w->limit);
    cb_proxies_destroy(&w->proxies);
    cb_verdict_fini(&w->verdict);
    cb_hold_free_all(w);
    if (w->stop)
        event_free(w->stop);
    if (w->tick)
        event_free(w->tick);
    if (w->base)
        event_base_free(w->base);
    if (w->stop_fd >= 0)
        close(w->stop_fd);
    free(w);
    *worker = NULL;
}

void cb_worker_run(struct cb_worker *w) {
    if (event_base_loop(w->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
        cb_log(CB_LOG_ERROR, "ingest_loop_failed", "port=%u", (unsigned)cb_http_port(w->http));
}

void cb_worker_stop(struct cb_worker *w) {
    uint64_t one = 1;
    if (write(w->stop_fd, &one, sizeof one) < 0)
        cb_log(CB_LOG_ERROR, "ingest_stop_failed", "port=%u", (unsigned)cb_http_port(w->http));
}
