/* SPDX-License-Identifier: MIT
 * assets.h: what a page loads: GET /clientchat/{site}, the widget's script for a site, and
 * GET /demo.
 *
 * The files are built from ingest/widget/ and embedded in the binary. */
#ifndef CB_INGEST_ASSETS_H
#define CB_INGEST_ASSETS_H

#include "ingest/hold.h"
#include "proto/asset.h"

/* Generated at build time; ends with a row whose path is NULL. Holds "widget.js", in which
 * CB_ASSETS_SITE stands exactly once, within a string literal, "demo.html" and "demo.js". */
extern const struct cb_asset cb_widget_assets[];
#define CB_ASSETS_SITE "__CHATBEACON_SITE__"

cb_hold_handler cb_assets_script;
cb_hold_handler cb_assets_demo;
/* GET /demo.js: the demo page's own script, a file so that the page needs no inline one. */
cb_hold_handler cb_assets_demo_script;

#endif
