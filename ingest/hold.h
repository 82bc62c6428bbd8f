/* SPDX-License-Identifier: MIT
 * hold.h: a request that waits for the store's answers before it can go on.
 *
 * Its body and strings stay where they are meanwhile (they live until it is answered), so it simply
 * begins anew, told that what it waits for is settled. Thread: the worker's. */
#ifndef CB_INGEST_HOLD_H
#define CB_INGEST_HOLD_H

#include "ingest/worker.h"

/* Handles a request. settled: sites were asked for; look them up with cb_hold_site, which does not
 * say CB_SITE_WAIT then. */
typedef void cb_hold_handler(struct cb_worker *worker, struct cb_http_req *req, bool settled);

struct cb_hold {
    struct cb_worker *worker;
    struct cb_http_req *req;
    cb_hold_handler *handler;
    unsigned waits_for; /* asks, and 1 until cb_hold_release */
    struct cb_hold *prev, *next;
};

/* The state of a site: cb_lookup_settled or cb_lookup_site. */
enum cb_site_state cb_hold_site(struct cb_worker *worker, struct cb_str name, bool settled,
                                struct cb_site **out);

/* Begins to hold req. NULL without memory: req is still the caller's. */
struct cb_hold *cb_hold_begin(struct cb_worker *worker, struct cb_http_req *req,
                              cb_hold_handler *handler);
/* Adds a site to wait for. That it cannot be asked for is seen when the request goes on. */
void cb_hold_wait(struct cb_hold *hold, struct cb_str site);
/* Ends the adding; the request goes on when all came. Handler may run within the call. */
void cb_hold_release(struct cb_hold *hold);
/* Frees a hold whose request was answered or goes another way. */
void cb_hold_free(struct cb_hold *hold);

/* For requests that wait for one site: begin, wait, release; answers 503 without memory. */
void cb_hold_for_site(struct cb_worker *worker, struct cb_http_req *req, struct cb_str site,
                      cb_hold_handler *handler);

/* Frees all holds of a worker whose HTTP server, uplink and lookup are gone. */
void cb_hold_free_all(struct cb_worker *worker);

#endif
