/* SPDX-License-Identifier: MIT
 * events.c: see events.h. A body is walked at most twice: once to learn which sites it names (only
 * where it may have several envelopes, or a site is not known), once to check it. What is refused
 * goes into a frame as well: the books hold it, and its answer waits for the same ack. */
#include "ingest/events.h"

#include "ingest/reply.h"
#include "proto/metric.h"

enum { ANSWER_MAX_BYTES = 128 * 1024 };

struct sites {
    unsigned n;
    char names[CB_EVENTS_SITES_MAX][CB_SITE_MAX];
    size_t lens[CB_EVENTS_SITES_MAX];
};

/* Adds a site if it is new; false when there are too many. */
static bool sites_add(struct sites *sites, struct cb_str name) {
    for (unsigned i = 0; i < sites->n; i++)
        if (cb_str_eq(name, (struct cb_str){sites->names[i], sites->lens[i]}))
            return true;
    if (sites->n == CB_EVENTS_SITES_MAX)
        return false;
    memcpy(sites->names[sites->n], name.p, name.len);
    sites->lens[sites->n++] = name.len;
    return true;
}

/* ack=queued: answer 202 before the commit. Errors: CB_EMALFORMED for another value. */
static int read_ack(const struct cb_http_req *req, bool *queued) {
    char value[16];
    *queued = false;
    if (req->query.len == 0)
        return 0;
    int err = cb_http_query(req->query, "ack", value, sizeof value);
    if (err == CB_ENOENT)
        return 0;
    if (err || strcmp(value, "queued") != 0)
        return CB_EMALFORMED;
    *queued = true;
    return 0;
}

/* The answer that worker->verdict says, once the ticket's frames are acked. */
static void close_ticket(struct cb_worker *w, struct cb_ticket *ticket, bool queued) {
    const struct cb_verdict *v = &w->verdict;
    struct cb_batch_reply reply = {.status = cb_verdict_status(v, queued),
                                   .headers = CB_REPLY_CORS};
    cb_buf_init(&reply.text, ANSWER_MAX_BYTES);
    if (reply.status != 204) {
        reply.headers = CB_REPLY_JSON CB_REPLY_CORS;
        if (cb_verdict_json(v, queued, &reply.text))
            cb_buf_clear(&reply.text); /* out of memory: the status still says it */
    }
    cb_metric_add(CB_METRIC_INGEST_EVENTS, (int64_t)(v->accepted + v->rejected));
    if (v->rejected)
        cb_metric_add(CB_METRIC_INGEST_REJECTED, (int64_t)v->rejected);
    cb_batch_close(w->batch, ticket, &reply, queued && v->accepted > 0);
}

void cb_events_refuse_body(struct cb_worker *w, struct cb_http_req *req,
                           const struct cb_fault *fault) {
    struct cb_ticket *ticket;
    if (cb_batch_open(w->batch, req, 0, &ticket)) {
        cb_reply_busy(req);
        return;
    }
    struct cb_reject reject = {.refusal = fault->refusal, .n = 1};
    cb_verdict_clear(&w->verdict);
    cb_verdict_refuse(&w->verdict, fault, 0, 1, 0, false);
    cb_batch_reject(w->batch, ticket, &reject);
    close_ticket(w, ticket, false);
}

void cb_events_refuse(struct cb_worker *w, struct cb_ticket *ticket, uint64_t index) {
    const struct cb_beacon *b = w->beacon;
    for (uint32_t i = 0; i < b->n_refusals; i++) {
        const struct cb_beacon_refusal *r = &b->refusals[i];
        struct cb_reject reject = {.site = b->envelope.site,
                                   .refusal = r->fault.refusal,
                                   .n = r->n,
                                   .has_seq = r->seq != 0 && b->has_producer};
        if (reject.has_seq) {
            reject.seq = r->seq;
            memcpy(reject.producer, b->envelope.producer, sizeof reject.producer);
        }
        cb_batch_reject(w->batch, ticket, &reject);
        cb_verdict_refuse(&w->verdict, &r->fault, index + r->index, r->n, b->line,
                          b->legible || b->line);
    }
}

/* The beacon's envelope was read and its site is settled. */
static void take(struct cb_worker *w, struct cb_ticket *ticket, struct cb_beacon_receipt *receipt,
                 uint64_t index) {
    struct cb_beacon *b = w->beacon;
    cb_beacon_check(b, receipt);
    cb_batch_add(w->batch, ticket, &b->envelope, b->events, b->n_events);
    w->verdict.accepted += b->n_events;
    cb_events_refuse(w, ticket, index);
}

/* The events of a request were taken or refused; its client gave one token at the door. */
static void charge_client(struct cb_worker *w, const struct cb_http_req *req, uint64_t n) {
    struct cb_address client;
    if (n <= 1 || !cb_limit_addresses(w->limit))
        return;
    cb_proxies_client(w->proxies, req, &client);
    cb_limit_address_take(w->limit, &client, n - 1);
}

/* All sites are settled: checks the body, whose first envelope was read already; its site, where
 * that was looked up just now, else NULL. */
static void take_body(struct cb_worker *w, struct cb_http_req *req, struct cb_site *first,
                      bool queued) {
    struct cb_beacon *b = w->beacon;
    struct cb_ticket *ticket;
    if (cb_batch_open(w->batch, req, req->body.len, &ticket)) {
        cb_reply_busy(req);
        return;
    }
    struct cb_beacon_receipt receipt = {.received_ms = req->received_ms};
    cb_facts_read(req, &w->agents, w->proxies, w->geo, &receipt.facts);
    uint64_t index = 0;
    bool gone = false;
    cb_verdict_clear(&w->verdict);
    do {
        struct cb_site *site = first;
        enum cb_site_state state = first         ? CB_SITE_KNOWN
                                   : b->site.len ? cb_lookup_settled(w->lookup, b->site, &site)
                                                 : CB_SITE_UNKNOWN;
        first = NULL;
        gone = state == CB_SITE_UNAVAILABLE;
        receipt.site_known = state == CB_SITE_KNOWN;
        receipt.erasures = receipt.site_known ? site->erasures : (struct cb_str){NULL, 0};
        receipt.origin_refused = receipt.site_known && !cb_reply_origin_allowed(req, site);
        if (!gone)
            take(w, ticket, &receipt, index);
        if (receipt.site_known)
            cb_limit_site_take(w->limit, b->site, b->n_total);
        index += b->n_total;
    } while (!gone && cb_beacon_next(b));
    charge_client(w, req, index);
    if (gone || b->failed) {
        /* What was taken may go: sent again it is a duplicate. The whole answer is 503. */
        struct cb_batch_reply none = {.status = 0};
        cb_batch_fail(ticket);
        cb_batch_close(w->batch, ticket, &none, true);
        return;
    }
    close_ticket(w, ticket, queued);
}

/* Learns which sites of the body must be asked for, and which may send no more now (the longest
 * wait of any is *wait_s, else 0). Errors: CB_ETOOBIG (too many), CB_ECLOSED (unavailable),
 * CB_ENOMEM. several: there may be more envelopes behind the one that was read; it
 * is lost then. *last: the site of the envelope read last, where it is known. */
static int scan(struct cb_worker *w, bool several, bool settled, struct sites *wanted,
                struct cb_site **last, unsigned *wait_s) {
    struct cb_beacon *b = w->beacon;
    struct sites all;
    all.n = wanted->n = 0;
    *wait_s = 0;
    do {
        *last = NULL;
        if (b->site.len == 0)
            continue;
        struct cb_site *site;
        enum cb_site_state state = cb_hold_site(w, b->site, settled, &site);
        if (state == CB_SITE_UNAVAILABLE)
            return CB_ECLOSED;
        if (!sites_add(&all, b->site))
            return CB_ETOOBIG;
        if (state == CB_SITE_WAIT)
            (void)sites_add(wanted, b->site); /* no more than in all */
        if (state == CB_SITE_KNOWN) {
            *last = site;
            unsigned site_wait_s = cb_limit_site_wait(w->limit, b->site);
            *wait_s = site_wait_s > *wait_s ? site_wait_s : *wait_s;
        }
    } while (several && cb_beacon_next(b));
    return b->failed ? CB_ENOMEM : 0;
}

static void hold(struct cb_worker *w, struct cb_http_req *req, const struct sites *wanted) {
    struct cb_hold *held = cb_hold_begin(w, req, cb_events_handle);
    if (!held) {
        cb_reply_busy(req);
        return;
    }
    for (unsigned i = 0; i < wanted->n; i++)
        cb_hold_wait(held, (struct cb_str){wanted->names[i], wanted->lens[i]});
    cb_hold_release(held);
}

void cb_events_handle(struct cb_worker *w, struct cb_http_req *req, bool settled) {
    struct cb_beacon *b = w->beacon;
    bool queued;
    if (!cb_batch_has_room(w->batch, req->body.len)) { /* before any work is done for it */
        cb_reply_busy(req);
        return;
    }
    if (read_ack(req, &queued)) {
        struct cb_fault fault = {CB_REFUSE_BAD_REQUEST, "ack may only be queued", "ack"};
        cb_events_refuse_body(w, req, &fault);
        return;
    }
    enum cb_beacon_format format = cb_beacon_format_of(cb_http_header(req, "content-type"));
    bool several = format != CB_BEACON_JSON;
    struct sites wanted;
    struct cb_site *site = NULL;
    unsigned wait_s = 0;
    cb_beacon_begin(b, req->body, format);
    int err = cb_beacon_next(b) ? scan(w, several, settled, &wanted, &site, &wait_s) : CB_ENOMEM;
    if (err == CB_ETOOBIG) {
        struct cb_fault fault = {CB_REFUSE_TOO_LARGE, "a body names at most 64 sites", "site"};
        cb_events_refuse_body(w, req, &fault);
    } else if (err) {
        cb_reply_busy(req);
    } else if (wait_s) {
        cb_reply_limited(req, wait_s); /* whole: which of its envelopes passed would not be told */
    } else if (wanted.n) {
        hold(w, req, &wanted);
    } else {
        if (several) {
            cb_beacon_begin(b, req->body, format);
            (void)cb_beacon_next(b); /* as above */
        }
        take_body(w, req, several ? NULL : site, queued);
    }
}
