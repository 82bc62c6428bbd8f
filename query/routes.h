/* SPDX-License-Identifier: MIT
 * routes.h: from a request to its report: the one table of what the query service serves. */
#ifndef CB_QUERY_ROUTES_H
#define CB_QUERY_ROUTES_H

#include "query/access.h"
#include "query/params.h"
#include "query/report.h"
#include "query/writes.h"

struct cb_route {
    enum cb_http_method method; /* GET takes HEAD, too */
    const char *pattern;        /* {site}, {visitor} and {id} stand for one segment of the path */
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

/* What a query thread answers from; all borrowed. */
struct cb_streams;
struct cb_live;
struct cb_writes;
struct cb_tries;
struct cb_json_parser;
struct cb_api {
    struct cb_reader *reader;
    struct cb_streams *streams;
    struct cb_live *live;
    struct cb_writes *writes;
    struct cb_tries *tries; /* shared by the threads */
    struct cb_json_parser *parser;
};

/* Answers req: at once, or by a stream. user: the thread's struct cb_api. A cb_http_handler. */
void cb_api_handle(struct cb_http_req *req, void *user);

/* A write has ended: answers its request. user: as above. A cb_writes_done_fn. */
void cb_api_written(void *user, struct cb_write *write, enum cb_uplink_result result);

/* Answers req with the JSON error of a refusal. error may be NULL. */
void cb_api_refuse(struct cb_http_req *req, enum cb_refusal refusal,
                   const struct cb_param_error *error);

#endif
