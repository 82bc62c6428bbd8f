/* SPDX-License-Identifier: MIT
 * ingest.c: see ingest.h. Threads: opts->ingest_threads workers; main's thread only makes and joins
 * them. There are no locks: what threads share are the metrics, which are atomic. */
#include "ingest/ingest.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/worker.h"
#include "proto/log.h"
#include "proto/thread.h"

enum { HELLO_TIMEOUT_MS = 30000 };

struct cb_ingest {
    unsigned n_workers, n_threads;
    struct cb_worker **workers;
    pthread_t *threads;
    struct cb_geo *geo; /* read-only */
    char address[300];
};

static void say(char **sentence, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(char **sentence, const char *format, ...) {
    va_list args;
    free(*sentence);
    va_start(args, format);
    if (vasprintf(sentence, format, args) < 0)
        *sentence = NULL;
    va_end(args);
}

static int hello(const struct cb_link_url *url, char **sentence) {
    int err = cb_uplink_hello(url, HELLO_TIMEOUT_MS);
    if (err == CB_ETIMEDOUT)
        say(sentence, "no store answers at %s", url->frames);
    else if (err)
        say(sentence, "the store at %s cannot be used: %s", url->frames, cb_err_text(err));
    return err;
}

static void *run(void *arg) {
    cb_worker_run(arg);
    return NULL;
}

static int threads_start(struct cb_ingest *in) {
    int err = 0;
    for (; !err && in->n_threads < in->n_workers; in->n_threads += err == 0) {
        unsigned i = in->n_threads;
        char name[24];
        snprintf(name, sizeof name, "ingest/%u", i);
        err = cb_thread_start(&in->threads[i], name, run, in->workers[i]);
    }
    return err;
}

static int workers_create(struct cb_ingest *in, const struct cb_opts *opts,
                          const struct cb_link_url *url, unsigned n, char **sentence) {
    char host[256];
    uint16_t port;
    int err = cb_opt_address(opts->ingest, host, sizeof host, &port);
    if (err) {
        say(sentence, "--ingest: %s is not HOST:PORT", opts->ingest);
        return err;
    }
    for (; in->n_workers < n; in->n_workers++) {
        err = cb_worker_create(opts, url, host, port, in->n_workers == 0,
                               &in->workers[in->n_workers], sentence);
        if (err)
            return err;
        in->workers[in->n_workers]->geo = in->geo;
        port = cb_http_port(in->workers[0]->http);
    }
    snprintf(in->address, sizeof in->address, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
             (unsigned)port);
    return 0;
}

int cb_ingest_setup(const struct cb_opts *opts, const struct cb_link_url *url,
                    struct cb_ingest **out, char **sentence) {
    unsigned n = (unsigned)opts->ingest_threads;
    *sentence = NULL;
    if (sodium_init() < 0) {
        say(sentence, "the system gives no random numbers");
        return CB_ESYS;
    }
    int err = hello(url, sentence);
    if (err)
        return err;
    struct cb_ingest *in = calloc(1, sizeof *in);
    if (in) {
        in->workers = calloc(n, sizeof *in->workers);
        in->threads = calloc(n, sizeof *in->threads);
    }
    err = in && in->workers && in->threads ? 0 : CB_ENOMEM;
    if (!err)
        err = cb_geo_open(opts->geo, &in->geo, sentence);
    if (!err)
        err = workers_create(in, opts, url, n, sentence);
    if (!err)
        err = threads_start(in);
    if (err) {
        if (!*sentence)
            say(sentence, "ingest cannot start: %s", cb_err_text(err));
        cb_ingest_teardown(&in);
        return err;
    }
    cb_log(CB_LOG_INFO, "ingest_ready", "address=%s threads=%u", in->address, n);
    *out = in;
    return 0;
}

const char *cb_ingest_address(const struct cb_ingest *ingest) {
    return ingest->address;
}

void cb_ingest_teardown(struct cb_ingest **ingest) {
    struct cb_ingest *in = *ingest;
    if (!in)
        return;
    for (unsigned i = 0; i < in->n_threads; i++)
        cb_worker_stop(in->workers[i]);
    for (unsigned i = 0; i < in->n_threads; i++)
        pthread_join(in->threads[i], NULL);
    for (unsigned i = 0; i < in->n_workers; i++)
        cb_worker_destroy(&in->workers[i]);
    cb_geo_close(&in->geo);
    free(in->workers);
    free(in->threads);
    free(in);
    *ingest = NULL;
}
