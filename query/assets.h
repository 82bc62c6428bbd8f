/* SPDX-License-Identifier: MIT
 * assets.h: the files that the query service serves as they are: the dashboard and openapi.json.
 * Open to everybody: they hold no data. Any thread. */
#ifndef CB_QUERY_ASSETS_H
#define CB_QUERY_ASSETS_H

#include "proto/asset.h"

/* The file for a request's path ("/" is the dashboard's page), or NULL. */
const struct cb_asset *cb_assets_find(struct cb_str path);
/* Answers GET or HEAD with it and the headers that fence the dashboard in. Frees req. */
void cb_assets_reply(struct cb_http_req *req, const struct cb_asset *asset);

#endif
