/* SPDX-License-Identifier: MIT
 * beacon.h: a request's body to envelopes with their events, or to refusals.
 *
 * Pure: no I/O, no clock; whether a site exists is told by the caller. A visitor's id never leaves
 * this file: what comes out is its hash (DESIGN, invariant 7). One owner, one body at a time:
 *
 *     cb_beacon_begin(b, body, format);
 *     while (cb_beacon_next(b))                look b->site up
 *         cb_beacon_check(b, &receipt);        take b->events and b->refusals
 */
#ifndef CB_INGEST_BEACON_H
#define CB_INGEST_BEACON_H

#include "ingest/draft.h"
#include "ingest/facts.h"
#include "proto/json_parser.h"

enum cb_beacon_format {
    CB_BEACON_JSON,    /* one envelope */
    CB_BEACON_NDJSON,  /* one on each line; blank lines are skipped */
    CB_BEACON_MSGPACK, /* one or more, one behind the other */
};

/* The format that a Content-Type names; JSON for any other or none (pages send text/plain). */
enum cb_beacon_format cb_beacon_format_of(const struct cb_str *content_type);

/* What ingest knows of an envelope beside its body. */
struct cb_beacon_receipt {
    int64_t received_ms;
    struct cb_facts facts;
    bool site_known;
    bool origin_refused;    /* the request is of a page that may not use the site */
    struct cb_str erasures; /* tags of visitors who were erased (struct cb_site) */
};

/* n events that are refused for the same reason. */
struct cb_beacon_refusal {
    struct cb_fault fault;
    uint32_t index; /* of the first, within its envelope */
    uint32_t n;
    uint64_t seq; /* n is 1: its number where it is legible and is to be marked as seen, else 0 */
};

struct cb_beacon {
    /* ---- set by cb_beacon_next ---- */
    struct cb_str site; /* the envelope's, when it may be a site's name; else empty */
    uint32_t line;      /* NDJSON: of this envelope, from 1; else 0 */
    bool legible;       /* there is an envelope with events, whatever is wrong with them */
    bool failed;        /* out of memory: answer 503 */
    /* ---- set by cb_beacon_check ---- */
    struct cb_envelope envelope;
    uint32_t n_events;
    struct cb_event *events; /* at most CB_EVENTS_MAX */
    uint32_t n_refusals;
    struct cb_beacon_refusal *refusals; /* at most CB_EVENTS_MAX, in the order of the body */
    uint32_t n_total;                   /* events of the envelope, taken and refused; 1 at least */
    bool has_producer;                  /* envelope.producer is legible */

    /* ---- its own ---- */
    struct cb_json_parser *json;
    struct cb_draft draft;
    struct cb_buf props; /* of all events of an envelope, one behind the other */
    enum cb_beacon_format format;
    const struct cb_value_ops *ops;
    struct cb_str rest; /* of the body */
    bool any;           /* a document was handed out */
    struct cb_fault fault;
    unsigned members; /* of the envelope: which were there */
    struct cb_value visitor, producer, sent, list;
};

/* body_max_bytes: the longest body that it will be given. Errors: CB_ENOMEM. */
CB_MUST_USE int cb_beacon_create(size_t body_max_bytes, struct cb_beacon **out);
void cb_beacon_destroy(struct cb_beacon **beacon);

/* Begins a body, behind which CB_HTTP_BODY_PAD readable bytes follow. It must outlive the walk. */
void cb_beacon_begin(struct cb_beacon *b, struct cb_str body, enum cb_beacon_format format);
/* Reads the next envelope; what is not legible counts as one. False at the end of the body (there
 * is one envelope at least) or when b->failed. */
bool cb_beacon_next(struct cb_beacon *b);
/* Checks the envelope that was read and its events. Lifetime: what it sets lives until the next
 * call on b. */
void cb_beacon_check(struct cb_beacon *b, const struct cb_beacon_receipt *receipt);

/* Reads 32 hex digits as a visitor's id and hashes it at once. Errors: CB_EMALFORMED. */
CB_MUST_USE int cb_beacon_visitor(struct cb_str site, struct cb_str hex,
                                  uint8_t out[CB_VISITOR_BYTES]);

#endif
