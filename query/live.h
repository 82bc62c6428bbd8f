/* SPDX-License-Identifier: MIT
 * live.h: GET /v1/sites/{site}/live, one server-sent-events stream for each who watches (WHATWG
 * HTML, "Server-sent events"; read by fetch, which can send the token).
 *
 * A thread has one reader of the journal for all its streams: five times a second it looks whether
 * the views have moved on, reads the new events once, writes each once for each role, and gives
 * every stream its part. Each second every stream gets the site's counts. What a stream does not
 * get it is told of (`gap`), and one that does not read is dropped; so a stream holds
 * CB_LIVE_QUEUE_BYTES, the socket's, and a turn's at most. Without streams nothing wakes up. One
 * per query thread; every call comes from that thread. */
#ifndef CB_QUERY_LIVE_H
#define CB_QUERY_LIVE_H

#include <event2/event.h>
#include <stdatomic.h>

#include "proto/http.h"
#include "query/report.h"

enum {
    CB_LIVE_POLL_MS = 200,
    CB_LIVE_COUNTS_MS = 1000,
    CB_LIVE_HEARTBEAT_MS = 15000,      /* a comment, where nothing else was sent for so long */
    CB_LIVE_TURN_EVENTS = 4000,        /* looked at in a turn of the loop … */
    CB_LIVE_TURN_BYTES = 512 * 1024,   /* … or written, of all sites and roles */
    CB_LIVE_TAIL_BYTES = 128 * 1024,   /* of events that a stream gets in a second */
    CB_LIVE_BEHIND_TURNS = 8,          /* read for one that resumes … */
    CB_LIVE_BEHIND_BYTES = 256 * 1024, /* … or given to it */
    CB_LIVE_QUEUE_BYTES = 384 * 1024,  /* unread from earlier turns: then it is dropped … */
    CB_LIVE_SOCKET_BYTES = 128 * 1024, /* … besides what its socket holds */
};

struct cb_live;

/* What the threads of a process share. */
struct cb_live_places {
    atomic_uint taken;
    unsigned max; /* streams */
};

/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_live_create(struct event_base *base, struct cb_reader *reader,
                               struct cb_live_places *places, struct cb_live **out);
/* Frees what is under way; the requests are not touched, so the HTTP server goes first. */
void cb_live_destroy(struct cb_live **live);

/* Answers req with a stream; a HEAD with its head. Errors: CB_EFULL (no place is left, or
 * draining), CB_ENOMEM; then req is not answered. */
CB_MUST_USE int cb_live_take(struct cb_live *live, struct cb_http_req *req,
                             const struct cb_live_ask *ask);
/* Ends all streams with their reason, and takes no more. */
void cb_live_drain(struct cb_live *live);

#endif
