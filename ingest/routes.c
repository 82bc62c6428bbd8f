/* SPDX-License-Identifier: MIT
 * routes.c: see routes.h. A path is found first, then its method is checked, so that a wrong method
 * is told apart (405) from a wrong address (404). */
#include "ingest/routes.h"

#include "ingest/assets.h"
#include "ingest/boot.h"
#include "ingest/events.h"
#include "ingest/health.h"
#include "ingest/pixel.h"
#include "ingest/reply.h"

static const struct route {
    struct cb_str path;
    bool prefix; /* what follows is the handler's */
    bool post;   /* POST (and its preflight), else GET and HEAD */
    bool costs;  /* counts against the limit of its client's address */
    cb_hold_handler *handler;
} routes[] = {
    {{"/v1/events", 10}, false, true, true, cb_events_handle},
    {{"/v1/boot", 8}, false, true, true, cb_boot_handle},
    {{"/v1/pixel.gif", 13}, false, false, true, cb_pixel_handle},
    {{"/clientchat/", 12}, true, false, false, cb_assets_script},
    {{"/w/", 3}, true, false, false, cb_assets_interface},
    {{"/demo", 5}, false, false, false, cb_assets_demo},
    {{"/demo.js", 8}, false, false, false, cb_assets_demo_script},
    {{"/healthz", 8}, false, false, false, cb_health_alive},
    {{"/readyz", 7}, false, false, false, cb_health_ready},
};

static const struct route *route_of(struct cb_str path) {
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const struct route *r = &routes[i];
        if (path.len < r->path.len || memcmp(path.p, r->path.p, r->path.len) != 0)
            continue;
        if (path.len == r->path.len ? !r->prefix : r->prefix)
            return r;
    }
    return NULL;
}

static void preflight(struct cb_http_req *req) {
    cb_http_reply(req, 204,
                  CB_REPLY_CORS "Access-Control-Allow-Methods: POST, OPTIONS\r\n"
                                "Access-Control-Allow-Headers: Content-Type\r\n"
                                "Access-Control-Max-Age: 86400\r\n",
                  NULL, 0);
}

/* Looks whether the client may send another request, before any work is done for it; false when it
 * was refused. The rest of the request's events is taken when they are known. */
static bool admit(struct cb_worker *w, struct cb_http_req *req) {
    struct cb_address client;
    if (!cb_limit_addresses(w->limit))
        return true;
    cb_proxies_client(w->proxies, req, &client);
    unsigned wait_s = cb_limit_address_wait(w->limit, &client);
    if (wait_s) {
        cb_reply_limited(req, wait_s);
        return false;
    }
    cb_limit_address_take(w->limit, &client, 1);
    return true;
}

void cb_routes_handle(struct cb_http_req *req, void *user) {
    const struct route *r = route_of(req->path);
    struct cb_fault fault = {CB_REFUSE_NOT_FOUND, NULL, NULL};
    if (!r) {
        cb_reply_fault(req, &fault, NULL);
        return;
    }
    if (r->post && req->method == CB_HTTP_OPTIONS) {
        preflight(req);
        return;
    }
    bool fits = r->post ? req->method == CB_HTTP_POST
                        : req->method == CB_HTTP_GET || req->method == CB_HTTP_HEAD;
    if (!fits) {
        fault.refusal = CB_REFUSE_METHOD;
        cb_reply_fault(req, &fault, r->post ? "Allow: POST, OPTIONS\r\n" : "Allow: GET, HEAD\r\n");
        return;
    }
    if (!r->costs || admit(user, req))
        r->handler(user, req, false);
}
