/* SPDX-License-Identifier: MIT
 * verdict.h: what became of the events of one request, and the answer that says so.
 *
 * All taken: 204. Some: 200 with what was refused. None: the status of the first refusal. One
 * owner. */
#ifndef CB_INGEST_VERDICT_H
#define CB_INGEST_VERDICT_H

#include <stdbool.h>

#include "ingest/fault.h"

enum { CB_VERDICT_LISTED_MAX = 100 }; /* refusals that an answer names; the rest are a number */

struct cb_verdict {
    uint64_t accepted;
    uint64_t rejected;
    unsigned listed;
    struct cb_fault first;
    struct cb_buf list; /* of JSON objects */
};

void cb_verdict_init(struct cb_verdict *v);
void cb_verdict_fini(struct cb_verdict *v);
/* Forgets the request before, keeps the memory. */
void cb_verdict_clear(struct cb_verdict *v);

/* Counts n refused events, the first of which has index within the request. line: of NDJSON, else
 * 0. listed: whether they are named by index (not where a whole body is illegible). */
void cb_verdict_refuse(struct cb_verdict *v, const struct cb_fault *fault, uint64_t index,
                       uint64_t n, uint32_t line, bool listed);

/* The HTTP status of the answer; queued: it was asked for with ack=queued. */
int cb_verdict_status(const struct cb_verdict *v, bool queued);
/* Appends the body of the answer; nothing for 204. Errors: those of cb_buf_append. */
CB_MUST_USE int cb_verdict_json(const struct cb_verdict *v, bool queued, struct cb_buf *out);

#endif
