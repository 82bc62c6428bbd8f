/* SPDX-License-Identifier: MIT */
#include "query/assets.h"

extern const struct cb_asset cb_dashboard_assets[]; /* made by cb_embed from dashboard/ */
extern const struct cb_asset cb_openapi_assets[];   /* … from openapi.json */

/* The dashboard holds a token: it runs its own scripts only and talks to its own service only.
 * Styles may be inline because the chart library sets them on its elements. */
static const char headers[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self' "
    "'unsafe-inline'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action "
    "'none'; frame-ancestors 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Cache-Control: no-cache\r\n"; /* kept, but asked for by etag each time */

const struct cb_asset *cb_assets_find(struct cb_str path) {
    if (path.len == 0 || path.p[0] != '/')
        return NULL;
    struct cb_str name = {path.p + 1, path.len - 1};
    if (name.len == 0)
        name = CB_STR("index.html");
    const struct cb_asset *asset = cb_asset_find(cb_dashboard_assets, name);
    return asset ? asset : cb_asset_find(cb_openapi_assets, name);
}

void cb_assets_reply(struct cb_http_req *req, const struct cb_asset *asset) {
    cb_asset_reply(req, asset, headers);
}
