/* SPDX-License-Identifier: MIT
 * stream.h: answers that are too long for one turn of the event loop: an export, sent chunk by
 * chunk.
 *
 * A thread's exports take turns: one chunk of one of them in each turn of its loop, so that other
 * requests wait for a chunk at most. An export whose client does not read stands still, with what
 * http.h's stream_max_bytes and one chunk hold, and no snapshot. Nothing of a request is kept but
 * the request itself. One per query thread; every call comes from that thread. */
#ifndef CB_QUERY_STREAM_H
#define CB_QUERY_STREAM_H

#include "proto/http.h"
#include "query/report.h"

enum { CB_STREAMS_MAX = 64 }; /* exports of one thread at a time */

struct cb_streams;

/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_streams_create(struct event_base *base, struct cb_streams **out);
/* Frees what is under way; the requests are not touched, so the HTTP server goes first. */
void cb_streams_destroy(struct cb_streams **streams);

/* Answers req with the export, beginning in the next turn; a HEAD at once. Takes the export, which
 * is NULL afterwards. Errors: CB_EFULL, CB_ENOMEM, CB_ESYS; then req is not answered and the export
 * is still the caller's. */
CB_MUST_USE int cb_streams_take(struct cb_streams *streams, struct cb_http_req *req,
                                struct cb_export **export);

#endif
