/* SPDX-License-Identifier: MIT
 * assets.c: see assets.h. The script is the same for all sites, so that it is compressed when it is
 * built: it reads its site from the address that it was loaded from. */
#include "ingest/assets.h"

#include "ingest/reply.h"

enum { PATH_PREFIX = sizeof "/clientchat/" - 1 };

static void serve(struct cb_http_req *req, const struct cb_asset *asset, const char *caching) {
    struct cb_fault fault = {CB_REFUSE_INTERNAL, "the widget was not built in", NULL};
    if (asset)
        cb_asset_reply(req, asset, caching);
    else
        cb_reply_fault(req, &fault, CB_REPLY_NO_STORE);
}

/* A quote within a string of JSON is escaped, so this can only be the member itself. */
static bool needs_consent(const struct cb_site *site) {
    static const char member[] = "\"consent_needed\":true";
    return site->page.len > 0 && memmem(site->page.p, site->page.len, member, sizeof member - 1);
}

static void serve_script(struct cb_http_req *req, const struct cb_site *site) {
    struct cb_str path = needs_consent(site) ? CB_STR("consent.js") : CB_STR("widget.js");
    serve(req, cb_asset_find(cb_widget_assets, path),
          CB_REPLY_CORS "Cache-Control: public, max-age=60\r\n");
}

void cb_assets_script(struct cb_worker *w, struct cb_http_req *req, bool settled) {
    struct cb_str name = {req->path.p + PATH_PREFIX, req->path.len - PATH_PREFIX};
    struct cb_fault fault = {CB_REFUSE_SITE_UNKNOWN, NULL, "site"};
    struct cb_site *site;
    enum cb_site_state state =
        cb_site_name_valid(name) ? cb_hold_site(w, name, settled, &site) : CB_SITE_UNKNOWN;
    switch (state) {
    case CB_SITE_WAIT:
        cb_hold_for_site(w, req, name, cb_assets_script);
        break;
    case CB_SITE_KNOWN:
        serve_script(req, site);
        break;
    case CB_SITE_UNKNOWN:
        cb_reply_fault(req, &fault, CB_REPLY_NO_STORE);
        break;
    case CB_SITE_UNAVAILABLE:
        cb_reply_busy(req);
        break;
    }
}

void cb_assets_interface(struct cb_worker *w, struct cb_http_req *req, bool settled) {
    (void)w, (void)settled;
    const struct cb_asset *asset =
        cb_asset_find(cb_widget_assets, (struct cb_str){req->path.p + 1, req->path.len - 1});
    if (asset) {
        serve(req, asset, CB_REPLY_CORS "Cache-Control: public, max-age=31536000, immutable\r\n");
        return;
    }
    for (asset = cb_widget_assets; asset->path && strncmp(asset->path, "w/", 2) != 0;)
        asset++;
    serve(req, asset->path ? asset : NULL, CB_REPLY_CORS CB_REPLY_NO_STORE);
}

static void serve_page(struct cb_http_req *req, struct cb_str path) {
    serve(req, cb_asset_find(cb_widget_assets, path), CB_REPLY_CORS "Cache-Control: no-cache\r\n");
}

void cb_assets_demo(struct cb_worker *w, struct cb_http_req *req, bool settled) {
    (void)w, (void)settled;
    serve_page(req, CB_STR("demo.html"));
}

void cb_assets_demo_script(struct cb_worker *w, struct cb_http_req *req, bool settled) {
    (void)w, (void)settled;
    serve_page(req, CB_STR("demo.js"));
}
