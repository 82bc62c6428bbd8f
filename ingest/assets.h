/* SPDX-License-Identifier: MIT
 * assets.h: what a page loads: the widget's scripts, and the demo page.
 *
 * The files are built from ingest/widget/ and embedded in the binary. */
#ifndef CB_INGEST_ASSETS_H
#define CB_INGEST_ASSETS_H

#include "ingest/hold.h"
#include "proto/asset.h"

/* Generated at build time; ends with a row whose path is NULL. Holds "widget.js" and "consent.js",
 * the same for sites whose settings say consent_needed, the one "w/HASH.js" that both load,
 * "demo.html" and "demo.js". */
extern const struct cb_asset cb_widget_assets[];

/* GET /clientchat/{site}: the script that the page names, kept by browsers for a minute. */
cb_hold_handler cb_assets_script;
/* GET /w/{file}: the user interface, which that script loads; what has this address never changes.
 * A script that is some minutes old may ask for the one of the version before: it gets the one of
 * now, and is not to keep it. */
cb_hold_handler cb_assets_interface;
cb_hold_handler cb_assets_demo;
/* GET /demo.js: the demo page's own script, a file so that the page needs no inline one. */
cb_hold_handler cb_assets_demo_script;

#endif
