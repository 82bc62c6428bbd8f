/* SPDX-License-Identifier: MIT
 * routes.h: from a request to its report: the one table of what the query service serves. */
#ifndef CB_QUERY_ROUTES_H
#define CB_QUERY_ROUTES_H

#include "query/access.h"
#include "query/params.h"
#include "query/report.h"

struct cb_route {
    enum cb_http_method method; /* GET takes HEAD, too */
    const char *pattern;        /* {site} and {visitor} stand for one segment of the path */
    enum cb_role role;          /* the lowest that may; 0 on open routes */
    enum cb_scope scope;
    bool takes_span;                       /* from, to and tz are read into ctx->span */
    const char *params[CB_PARAMS_MAX + 1]; /* taken parameters, then NULL */
    const char *type;                      /* Content-Type of the report */
    cb_report_fn *report;                  /* NULL: a file of assets.h */
};

/* The table; ends with a row whose pattern is NULL. openapi.json describes the same rows. */
const struct cb_route *cb_routes_table(void);

/* Header lines for the answers that the HTTP server makes by itself. */
extern const char cb_routes_error_headers[];

/* Answers req, at once. user: the struct cb_reader. A cb_http_handler. */
void cb_api_handle(struct cb_http_req *req, void *user);

#endif
