/* SPDX-License-Identifier: MIT
 * routes.h: a request to its handler: the table of the public routes.
 *
 * Every answer carries the CORS headers (reply.h). Thread: the worker's. */
#ifndef CB_INGEST_ROUTES_H
#define CB_INGEST_ROUTES_H

#include "proto/http.h"

/* The HTTP server's handler; user is the struct cb_worker. */
void cb_routes_handle(struct cb_http_req *req, void *user);

#endif
