/* SPDX-License-Identifier: MIT
 * health.c: see health.h. The store is asked at most once for each request and not at all within a
 * second of its last answer. */
#include "ingest/health.h"

#include "ingest/reply.h"
#include "proto/clock.h"

enum { HELLO_FRESH_MS = 1000, HELLO_ASK_MS = 1000 };

#define HEALTH_HEADERS CB_REPLY_JSON CB_REPLY_CORS CB_REPLY_NO_STORE

void cb_health_alive(struct cb_worker *worker, struct cb_http_req *req, bool settled) {
    (void)worker, (void)settled;
    struct cb_str body = CB_STR("{\"status\":\"alive\"}");
    cb_http_reply(req, 200, HEALTH_HEADERS, body.p, body.len);
}

static const char *unready(const struct cb_worker *w) {
    if (!w->hello_any)
        return "the store does not answer";
    if (!w->hello_ready)
        return "the store is not ready";
    if (!w->hello_accepting)
        return "the store has no room";
    if (!cb_batch_has_room(w->batch, 1))
        return "too many events wait for the store";
    return NULL;
}

static void reply(struct cb_worker *w, struct cb_http_req *req) {
    const char *reason = unready(w);
    if (reason) {
        struct cb_fault fault = {CB_REFUSE_BUSY, reason, NULL};
        cb_reply_fault(req, &fault, CB_REPLY_NO_STORE "Retry-After: 1\r\n");
        return;
    }
    struct cb_str body = CB_STR("{\"status\":\"ready\"}");
    cb_http_reply(req, 200, HEALTH_HEADERS, body.p, body.len);
}

static void answered(void *user, void *tag, const struct cb_answer *answer) {
    struct cb_worker *w = user;
    w->hello_ms = cb_clock_mono_ms();
    w->hello_any = answer && !answer->later;
    w->hello_ready = w->hello_any && answer->found;
    w->hello_accepting = w->hello_any && answer->accepting;
    reply(w, tag);
}

void cb_health_ready(struct cb_worker *w, struct cb_http_req *req, bool settled) {
    (void)settled;
    struct cb_ask ask = {.kind = CB_ASK_HELLO};
    if (w->hello_any && cb_clock_mono_ms() - w->hello_ms < HELLO_FRESH_MS) {
        reply(w, req);
        return;
    }
    if (cb_uplink_ask(w->uplink, &ask, HELLO_ASK_MS, answered, w, req))
        cb_reply_unready(req, "too much waits for the store");
}
