/* SPDX-License-Identifier: MIT
 *
 * Each thread owns its event base, HTTP server and connections; what they share (options, reader)
 * is only read. Main's thread sets up before the threads run and frees after they were joined; in
 * between it talks to a thread by its eventfd alone. */
#include "query/query.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/http.h"
#include "proto/json_parser.h"
#include "proto/log.h"
#include "proto/thread.h"
#include "query/headers.h"
#include "query/live.h"
#include "query/routes.h"
#include "query/stream.h"
#include "query/tries.h"
#include "query/writes.h"

enum {
    BODY_MAX_BYTES = 64 * 1024,
    WRITE_TIMEOUT_MS = 30 * 1000,
    ACK_TIMEOUT_MS = 5000, /* where the option does not say */
    STREAM_MAX_BYTES = 256 * 1024,
    DRAIN_MAX_MS = 3000, /* then what is left is closed */
    DRAIN_TICK_MS = 10,
};

struct thread {
    struct event_base *base;
    struct cb_http *http;
    struct cb_streams *streams;
    struct cb_live *live;
    struct cb_writes *writes;
    struct cb_json_parser *parser;
    struct cb_api api;
    struct event *stop; /* reads stop_fd */
    struct event *tick; /* looks whether the drain is done */
    int stop_fd;
    int64_t drain_until_ms; /* on the mono clock */
    pthread_t id;
    bool running;
};

struct cb_query {
    unsigned n_threads;
    struct thread *threads;
    struct cb_tries *tries;
    struct cb_live_places places;
    char address[300];
};

/* What the threads have in common; only read. */
struct shared {
    struct cb_reader *reader;
    struct cb_tries *tries;
    struct cb_live_places *places;
    const struct cb_link_url *control; /* NULL: nothing can be written */
    unsigned ack_timeout_ms;
};

static void drain_look(evutil_socket_t fd, short events, void *user) {
    struct thread *thread = user;
    (void)fd;
    (void)events;
    if (cb_http_connections(thread->http) == 0 || cb_clock_mono_ms() >= thread->drain_until_ms)
        event_base_loopbreak(thread->base);
}

static void drain_begin(evutil_socket_t fd, short events, void *user) {
    struct thread *thread = user;
    const struct timeval tick = {0, DRAIN_TICK_MS * 1000};
    (void)fd;
    (void)events;
    event_del(thread->stop);
    thread->drain_until_ms = cb_clock_mono_ms() + DRAIN_MAX_MS;
    cb_live_drain(thread->live); /* first: draining takes what has arrived */
    cb_http_drain(thread->http);
    if (event_add(thread->tick, &tick))
        event_base_loopbreak(thread->base);
}

static void *thread_main(void *user) {
    struct thread *thread = user;
    cb_thread_take_short_slices();
    event_base_dispatch(thread->base);
    return NULL;
}

static int fail(char **sentence, int rc) {
    if (!*sentence && asprintf(sentence, "query: %s", cb_err_text(rc)) < 0)
        *sentence = NULL;
    return rc;
}

static unsigned share(int64_t whole, int64_t n) {
    return (unsigned)((whole + n - 1) / n);
}

static int http_opts(const struct cb_opts *opts, struct cb_http_opts *out, char **sentence) {
    *out = (struct cb_http_opts){
        .body_max_bytes = BODY_MAX_BYTES,
        .connections_max = share(opts->connections, opts->query_threads),
        .per_address_max = share(opts->connections_per_address, opts->query_threads),
        .head_timeout_ms = (unsigned)opts->request_timeout * 1000,
        .body_timeout_ms = (unsigned)opts->request_timeout * 1000,
        .idle_timeout_ms = (unsigned)opts->idle_timeout * 1000,
        .write_timeout_ms = WRITE_TIMEOUT_MS,
        .stream_max_bytes = STREAM_MAX_BYTES,
        .error_headers = cb_routes_error_headers,
    };
    if (cb_opt_address(opts->query, out->host, sizeof out->host, &out->port)) {
        if (asprintf(sentence, "--query %s: HOST:PORT is expected", opts->query) < 0)
            *sentence = NULL;
        return CB_EINVAL;
    }
    return 0;
}

/* Frees what thread_setup made; thread must not run. */
static void thread_teardown(struct thread *thread) {
    cb_http_destroy(&thread->http);
    cb_writes_destroy(&thread->writes);
    cb_streams_destroy(&thread->streams);
    cb_live_destroy(&thread->live);
    cb_json_parser_destroy(&thread->parser);
    if (thread->tick)
        event_free(thread->tick);
    if (thread->stop)
        event_free(thread->stop);
    if (thread->base)
        event_base_free(thread->base);
    if (thread->stop_fd >= 0)
        close(thread->stop_fd);
}

/* On failure the caller calls thread_teardown, as it does for threads that were set up. */
static int thread_setup(struct thread *thread, const struct cb_http_opts *opts, bool first,
                        const struct shared *shared, char **sentence) {
    thread->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (thread->stop_fd < 0)
        return CB_ESYS;
    thread->base = event_base_new();
    if (!thread->base)
        return CB_ENOMEM;
    thread->stop = event_new(thread->base, thread->stop_fd, EV_READ, drain_begin, thread);
    thread->tick = event_new(thread->base, -1, EV_PERSIST, drain_look, thread);
    if (!thread->stop || !thread->tick || event_add(thread->stop, NULL))
        return CB_ENOMEM;
    int rc = cb_streams_create(thread->base, &thread->streams);
    if (!rc)
        rc = cb_live_create(thread->base, shared->reader, shared->places, &thread->live);
    if (!rc)
        rc = cb_json_parser_create(BODY_MAX_BYTES, &thread->parser);
    if (!rc)
        rc = cb_writes_create(thread->base, shared->control, shared->ack_timeout_ms, cb_api_written,
                              &thread->api, &thread->writes);
    if (rc)
        return rc;
    thread->api = (struct cb_api){.reader = shared->reader,
                                  .streams = thread->streams,
                                  .live = thread->live,
                                  .writes = thread->writes,
                                  .tries = shared->tries,
                                  .parser = thread->parser};
    return cb_http_create(thread->base, opts, first, cb_api_handle, &thread->api, &thread->http,
                          sentence);
}

static int thread_start(struct thread *thread, unsigned number) {
    char name[24];
    snprintf(name, sizeof(name), "query/%u", number);
    int rc = cb_thread_start(&thread->id, name, thread_main, thread);
    thread->running = rc == 0;
    return rc;
}

static int threads_setup(struct cb_query *query, struct cb_http_opts *opts,
                         const struct shared *shared, char **sentence) {
    int rc = 0;
    for (unsigned i = 0; !rc && i < query->n_threads; i++) {
        rc = thread_setup(&query->threads[i], opts, i == 0, shared, sentence);
        if (!rc) /* where the first one picked a port, the others share it */
            opts->port = cb_http_port(query->threads[i].http);
    }
    for (unsigned i = 0; !rc && i < query->n_threads; i++)
        rc = thread_start(&query->threads[i], i);
    return rc;
}

int cb_query_setup(const struct cb_opts *opts, struct cb_reader *reader,
                   const struct cb_link_url *control, struct cb_query **out, char **sentence) {
    struct cb_http_opts http;
    *sentence = NULL;
    int rc = http_opts(opts, &http, sentence);
    if (!rc)
        rc = cb_headers_setup(opts->cors_origins, sentence);
    if (rc)
        return fail(sentence, rc);
    if (sodium_init() < 0)
        return fail(sentence, CB_ESYS);

    struct cb_query *query = calloc(1, sizeof *query);
    if (!query)
        return fail(sentence, CB_ENOMEM);
    query->n_threads = (unsigned)opts->query_threads;
    query->threads = calloc(query->n_threads, sizeof *query->threads);
    if (!query->threads) {
        free(query);
        return fail(sentence, CB_ENOMEM);
    }
    for (unsigned i = 0; i < query->n_threads; i++)
        query->threads[i].stop_fd = -1;
    query->places.max = (unsigned)opts->live_streams;
    rc = cb_tries_create(&query->tries);
    struct shared shared = {.reader = reader,
                            .tries = query->tries,
                            .places = &query->places,
                            .control = control,
                            .ack_timeout_ms = opts->ack_timeout > 0 ? (unsigned)opts->ack_timeout
                                                                    : ACK_TIMEOUT_MS};
    if (!rc)
        rc = threads_setup(query, &http, &shared, sentence);
    if (rc) {
        cb_query_teardown(&query);
        return fail(sentence, rc);
    }
    snprintf(query->address, sizeof query->address, strchr(http.host, ':') ? "[%s]:%u" : "%s:%u",
             http.host, (unsigned)http.port);
    cb_log(CB_LOG_INFO, "query_open", "address=%s threads=%u", query->address, query->n_threads);
    *out = query;
    return 0;
}

const char *cb_query_address(const struct cb_query *query) {
    return query->address;
}

void cb_query_teardown(struct cb_query **query) {
    struct cb_query *q = *query;
    if (!q)
        return;
    for (unsigned i = 0; i < q->n_threads; i++) {
        const uint64_t one = 1;
        if (q->threads[i].running) {
            ssize_t n = write(q->threads[i].stop_fd, &one, sizeof one);
            assert(n == (ssize_t)sizeof one); /* an eventfd takes 2^64 - 2 of them */
            (void)n;
        }
    }
    for (unsigned i = 0; i < q->n_threads; i++)
        if (q->threads[i].running)
            pthread_join(q->threads[i].id, NULL);
    for (unsigned i = 0; i < q->n_threads; i++)
        thread_teardown(&q->threads[i]);
    cb_tries_destroy(&q->tries);
    free(q->threads);
    free(q);
    *query = NULL;
}
