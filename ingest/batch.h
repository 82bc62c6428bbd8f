/* SPDX-License-Identifier: MIT
 * batch.h: gathers events into frames, and holds each request's answer until every frame that
 * carries some of it was acked.
 *
 * Frames gather while the loop is busy and leave at once when it is idle: at the end of a turn the
 * open frame is sent when it holds 64 KB; or when fewer than two are in flight, and the last one
 * left 1.5 ms ago or half of those who are connected wait for this one. Events that wait for the
 * store (open and in flight) are bounded by held_max_bytes, and by what a slow store will ack in
 * time. A request is answered exactly once: by
 * its acks, or with 503 when they do not come within the ack timeout. One per thread, on its event
 * base. */
#ifndef CB_INGEST_BATCH_H
#define CB_INGEST_BATCH_H

#include "proto/http.h"
#include "proto/uplink.h"

struct cb_batch;
struct cb_ticket; /* one request that waits; the batch's */

struct cb_batch_opts {
    size_t held_max_bytes;
    unsigned ack_timeout_ms;
};

/* How a request is answered when its events are on disk. */
struct cb_batch_reply {
    int status;
    const char *headers; /* static */
    const void *body;    /* static, or NULL for text */
    size_t len;
    struct cb_buf text; /* taken over when body is NULL; may be empty */
};

/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_batch_create(struct event_base *base, const struct cb_batch_opts *opts,
                                struct cb_batch **out);
/* Forgets all tickets without an answer: the HTTP server must be gone. */
void cb_batch_destroy(struct cb_batch **batch);
/* The way out; before the first ticket. The uplink's acked is cb_batch_acked, its user the batch.
 * It must outlive the last ticket. */
void cb_batch_bind(struct cb_batch *batch, struct cb_uplink *uplink);
cb_uplink_acked_fn cb_batch_acked;
/* Whose requests will come: it says how many are connected. Not needed; it must outlive the loop.
 */
void cb_batch_serve(struct cb_batch *batch, const struct cb_http *http);

/* Events that wait for the store, in bytes. */
size_t cb_batch_held_bytes(const struct cb_batch *batch);
/* Whether so many more may wait: within held_max_bytes, and within what a slow store will have
 * acked in time (pace.h). */
bool cb_batch_has_room(struct cb_batch *batch, size_t bytes);

/* A ticket for a request whose body is of that many bytes. Errors: CB_EFULL without room,
 * CB_ENOMEM: the request is still the caller's. */
CB_MUST_USE int cb_batch_open(struct cb_batch *batch, struct cb_http_req *req, size_t bytes,
                              struct cb_ticket **out);
/* Adds events or refusals; copied. More than fits one frame is spread over several. A failure is
 * kept in the ticket: its answer is 503 then. */
void cb_batch_add(struct cb_batch *batch, struct cb_ticket *ticket,
                  const struct cb_envelope *envelope, const struct cb_event *events,
                  uint32_t n_events);
void cb_batch_reject(struct cb_batch *batch, struct cb_ticket *ticket,
                     const struct cb_reject *reject);
/* Makes the answer 503, whatever else becomes of what was added. */
void cb_batch_fail(struct cb_ticket *ticket);
/* Ends the adding: the request is answered with reply once all of it is acked; with now, at once.
 * reply->text is taken over. The ticket must not be used again, nor what the request says. */
void cb_batch_close(struct cb_batch *batch, struct cb_ticket *ticket, struct cb_batch_reply *reply,
                    bool now);

#endif
