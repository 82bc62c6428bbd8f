/* SPDX-License-Identifier: MIT
 * assets.c: see assets.h. The script is put together for each request, since a copy of a few
 * kilobytes costs less than a cache of sites would; the site's name is of [a-zA-Z0-9_-], so it
 * stands safely in a string literal, an entity tag and a header. */
#include "ingest/assets.h"

#include <stdio.h>

#include "ingest/reply.h"

enum { SCRIPT_MAX_BYTES = 4 * 1024 * 1024, PATH_PREFIX = sizeof "/clientchat/" - 1 };

/* "…" of the asset and the site's name to "…-site". Longer tags than fit are cut: still of this
 * content, since the site's name comes first. */
static void etag_of(const struct cb_asset *asset, struct cb_str site, char *out, size_t bytes) {
    struct cb_str tag = cb_str_of(asset->etag);
    if (tag.len >= 2 && tag.p[0] == '"' && tag.p[tag.len - 1] == '"')
        tag = (struct cb_str){tag.p + 1, tag.len - 2};
    snprintf(out, bytes, "\"%.*s-%.*s\"", (int)site.len, site.p, (int)tag.len, tag.p);
}

static int build(const struct cb_asset *asset, struct cb_str site, struct cb_buf *out) {
    struct cb_str mark = CB_STR(CB_ASSETS_SITE);
    const char *from = (const char *)asset->data;
    const char *at = memmem(from, asset->len, mark.p, mark.len);
    if (!at)
        return CB_EMALFORMED;
    size_t before = (size_t)(at - from);
    int err = cb_buf_reserve(out, asset->len + site.len);
    if (!err)
        err = cb_buf_append(out, from, before);
    if (!err)
        err = cb_buf_append_str(out, site);
    return err ? err : cb_buf_append(out, at + mark.len, asset->len - before - mark.len);
}

static void serve(struct cb_http_req *req, struct cb_str site) {
    const struct cb_asset *asset = cb_asset_find(cb_widget_assets, CB_STR("widget.js"));
    struct cb_fault fault = {CB_REFUSE_INTERNAL, "the widget was not built in", NULL};
    struct cb_buf script;
    char etag[256];
    cb_buf_init(&script, SCRIPT_MAX_BYTES);
    if (!asset || build(asset, site, &script)) {
        cb_reply_fault(req, &fault, CB_REPLY_NO_STORE);
    } else {
        etag_of(asset, site, etag, sizeof etag);
        struct cb_asset own = {asset->path, asset->type, etag, (const unsigned char *)script.data,
                               script.len,  NULL,        0};
        cb_asset_reply(req, &own, CB_REPLY_CORS "Cache-Control: public, max-age=300\r\n");
    }
    cb_buf_fini(&script);
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
        serve(req, name);
        break;
    case CB_SITE_UNKNOWN:
        cb_reply_fault(req, &fault, CB_REPLY_NO_STORE);
        break;
    case CB_SITE_UNAVAILABLE:
        cb_reply_busy(req);
        break;
    }
}

/* Serves an asset as it is. */
static void serve_file(struct cb_http_req *req, struct cb_str path) {
    const struct cb_asset *asset = cb_asset_find(cb_widget_assets, path);
    struct cb_fault fault = {CB_REFUSE_INTERNAL, "the demo page was not built in", NULL};
    if (asset)
        cb_asset_reply(req, asset, CB_REPLY_CORS "Cache-Control: no-cache\r\n");
    else
        cb_reply_fault(req, &fault, CB_REPLY_NO_STORE);
}

void cb_assets_demo(struct cb_worker *w, struct cb_http_req *req, bool settled) {
    (void)w, (void)settled;
    serve_file(req, CB_STR("demo.html"));
}

void cb_assets_demo_script(struct cb_worker *w, struct cb_http_req *req, bool settled) {
    (void)w, (void)settled;
    serve_file(req, CB_STR("demo.js"));
}
