/* SPDX-License-Identifier: MIT
 * asset.h: a built web file that is embedded in the binary, and how it is served.
 *
 * The tables are generated at build time by embed.mjs (see embed.cmake) from what esbuild made. Any
 * thread. */
#ifndef CB_PROTO_ASSET_H
#define CB_PROTO_ASSET_H

#include "proto/http.h"

struct cb_asset_bytes {
    const unsigned char *p;
    size_t len;
};

struct cb_asset {
    const char *path; /* as in the URL, without the leading / */
    const char *type; /* Content-Type */
    const char *etag; /* with its quotes; of the content */
    struct cb_asset_bytes data;
    struct cb_asset_bytes gzip, brotli; /* the same, compressed; p NULL where that is not smaller */
};

/* The asset of a path in a table that ends with a row whose path is NULL; NULL when there is none.
 */
const struct cb_asset *cb_asset_find(const struct cb_asset *table, struct cb_str path);

/* Answers GET or HEAD with the asset: 304 when If-None-Match has its etag, the smallest form that
 * the client takes (Vary is set). headers: further header lines (Cache-Control and so on), or NULL.
 * Frees req. */
void cb_asset_reply(struct cb_http_req *req, const struct cb_asset *asset, const char *headers);

#endif
