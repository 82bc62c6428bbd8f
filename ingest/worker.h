/* SPDX-License-Identifier: MIT
 * worker.h: one ingest thread's own: event base, HTTP server, batch, lookup, uplink, parser.
 * Nothing of it is shared.
 *
 * Made and destroyed by main's thread, before the thread runs and after it ended; in between only
 * the thread calls. */
#ifndef CB_INGEST_WORKER_H
#define CB_INGEST_WORKER_H

#include "ingest/batch.h"
#include "ingest/beacon.h"
#include "ingest/geo.h"
#include "ingest/limit.h"
#include "ingest/lookup.h"
#include "ingest/verdict.h"
#include "proto/opt.h"

struct cb_worker {
    struct event_base *base;
    struct cb_http *http;
    struct cb_uplink *uplink;
    struct cb_batch *batch;
    struct cb_lookup *lookup;
    struct cb_beacon *beacon;
    struct cb_limit *limit;
    struct cb_proxies *proxies;
    const struct cb_geo *geo; /* all threads' (ingest.c); NULL: no countries */
    struct cb_device_kept agents;
    struct cb_verdict verdict;
    struct cb_hold *holds; /* requests that wait for answers to asks */
    /* readyz: what the store last said of itself */
    int64_t hello_ms;
    bool hello_any, hello_ready, hello_accepting;
    /* the end */
    int stop_fd; /* eventfd: readable when the thread is to end */
    struct event *stop, *tick;
    int64_t stop_deadline_ms;
    unsigned ack_timeout_ms;
};

/* first, port: see cb_http_create. On failure *sentence (heap, caller frees) says what. Errors:
 * CB_EBUSY, CB_EINVAL, CB_ESYS, CB_ENOMEM. */
CB_MUST_USE int cb_worker_create(const struct cb_opts *opts, const struct cb_link_url *url,
                                 const char *host, uint16_t port, bool first,
                                 struct cb_worker **out, char **sentence);
void cb_worker_destroy(struct cb_worker **worker);
/* The thread: serves until it is stopped and drained, or the drain's deadline passed. */
void cb_worker_run(struct cb_worker *worker);
/* Any thread. */
void cb_worker_stop(struct cb_worker *worker);

#endif
