/* SPDX-License-Identifier: MIT
 * events.h: POST /v1/events: a body of beacons to frames, and its answer once they are on disk. */
#ifndef CB_INGEST_EVENTS_H
#define CB_INGEST_EVENTS_H

#include "ingest/hold.h"

enum { CB_EVENTS_SITES_MAX = 64 }; /* sites that one body may name */

cb_hold_handler cb_events_handle;

/* Puts the refusals of the envelope that worker->beacon checked into the ticket's frame and, from
 * index on, into worker->verdict. */
void cb_events_refuse(struct cb_worker *worker, struct cb_ticket *ticket, uint64_t index);
/* Puts one refusal of a whole body, without a site, there; its answer follows. */
void cb_events_refuse_body(struct cb_worker *worker, struct cb_http_req *req,
                           const struct cb_fault *fault);

#endif
