/* SPDX-License-Identifier: MIT
 * hold.c: see hold.h. */
#include "ingest/hold.h"

#include <stdlib.h>

#include "ingest/reply.h"

enum cb_site_state cb_hold_site(struct cb_worker *worker, struct cb_str name, bool settled,
                                struct cb_site **out) {
    return settled ? cb_lookup_settled(worker->lookup, name, out)
                   : cb_lookup_site(worker->lookup, name, out);
}

struct cb_hold *cb_hold_begin(struct cb_worker *worker, struct cb_http_req *req,
                              cb_hold_handler *handler) {
    struct cb_hold *hold = malloc(sizeof *hold);
    if (!hold)
        return NULL;
    *hold = (struct cb_hold){worker, req, handler, 1, NULL, worker->holds};
    if (worker->holds)
        worker->holds->prev = hold;
    worker->holds = hold;
    return hold;
}

void cb_hold_free(struct cb_hold *hold) {
    *(hold->prev ? &hold->prev->next : &hold->worker->holds) = hold->next;
    if (hold->next)
        hold->next->prev = hold->prev;
    free(hold);
}

void cb_hold_release(struct cb_hold *hold) {
    if (--hold->waits_for)
        return;
    struct cb_worker *worker = hold->worker;
    struct cb_http_req *req = hold->req;
    cb_hold_handler *handler = hold->handler;
    cb_hold_free(hold);
    handler(worker, req, true);
}

static void settled(void *arg) {
    cb_hold_release(arg);
}

void cb_hold_wait(struct cb_hold *hold, struct cb_str site) {
    if (cb_lookup_wait(hold->worker->lookup, site, settled, hold) == 0)
        hold->waits_for++;
}

void cb_hold_for_site(struct cb_worker *worker, struct cb_http_req *req, struct cb_str site,
                      cb_hold_handler *handler) {
    struct cb_hold *hold = cb_hold_begin(worker, req, handler);
    if (!hold) {
        cb_reply_busy(req);
        return;
    }
    cb_hold_wait(hold, site);
    cb_hold_release(hold);
}

void cb_hold_free_all(struct cb_worker *worker) {
    while (worker->holds)
        cb_hold_free(worker->holds);
}
