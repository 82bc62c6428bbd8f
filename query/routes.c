/* SPDX-License-Identifier: MIT */
#include "query/routes.h"

#include <stdio.h>

#include "proto/clock.h"
#include "proto/crash.h"
#include "proto/log.h"
#include "proto/metric.h"
#include "query/assets.h"
#include "query/stream.h"

#define TYPE_JSON "application/json; charset=utf-8"
#define TYPE_EXPORT "application/x-ndjson"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define SPAN_PARAMS "from", "to", "tz"

/* clang-format off */
static const struct cb_route routes[] = {
    {CB_HTTP_GET, "/v1/sites/{site}/totals", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     true, {SPAN_PARAMS}, TYPE_JSON, cb_report_totals},
    {CB_HTTP_GET, "/v1/sites/{site}/timeseries", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     true, {SPAN_PARAMS, "grain", "event"}, TYPE_JSON, cb_report_series},
    {CB_HTTP_GET, "/v1/sites/{site}/sessions", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     true, {SPAN_PARAMS}, TYPE_JSON, cb_report_sessions},
    {CB_HTTP_GET, "/v1/sites/{site}/funnel", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     true, {SPAN_PARAMS, "steps", "order"}, TYPE_JSON, cb_report_funnel},
    {CB_HTTP_GET, "/v1/sites/{site}/timings", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     true, {SPAN_PARAMS}, TYPE_JSON, cb_report_timings},
    {CB_HTTP_GET, "/v1/sites/{site}/triggers", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     true, {SPAN_PARAMS, "within"}, TYPE_JSON, cb_report_triggers},
    {CB_HTTP_GET, "/v1/sites/{site}/visitors", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     false, {"q", "cursor", "limit"}, TYPE_JSON, cb_report_visitors},
    {CB_HTTP_GET, "/v1/sites/{site}/visitors/{visitor}", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     false, {NULL}, TYPE_JSON, cb_report_visitor},
    {CB_HTTP_GET, "/v1/sites/{site}/export", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     false, {"format", "cursor", "until", "limit", SPAN_PARAMS}, TYPE_EXPORT, cb_report_export},
    {CB_HTTP_GET, "/v1/balance", CB_ROLE_VIEWER, CB_SCOPE_ANY,
     false, {NULL}, TYPE_JSON, cb_report_balance},
    {CB_HTTP_GET, "/metrics", CB_ROLE_VIEWER, CB_SCOPE_WHOLE,
     false, {NULL}, TYPE_METRICS, cb_report_metrics},
    {CB_HTTP_GET, "/healthz", 0, CB_SCOPE_OPEN, false, {NULL}, TYPE_JSON, cb_report_alive},
    {CB_HTTP_GET, "/readyz", 0, CB_SCOPE_OPEN, false, {NULL}, TYPE_JSON, cb_report_ready},
    {CB_HTTP_GET, "/openapi.json", 0, CB_SCOPE_OPEN, false, {NULL}, NULL, NULL},
    {CB_HTTP_GET, "/", 0, CB_SCOPE_OPEN, false, {NULL}, NULL, NULL},
    {.pattern = NULL},
};
/* clang-format on */

#define API_HEADERS "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
#define REFUSAL_HEADERS "Content-Type: " TYPE_JSON "\r\n" API_HEADERS

const char cb_routes_error_headers[] = API_HEADERS;

const struct cb_route *cb_routes_table(void) {
    return routes;
}

struct captured {
    struct cb_str site, visitor;
};

static struct cb_str segment(struct cb_str *path) {
    const char *slash = memchr(path->p, '/', path->len);
    struct cb_str out = {path->p, slash ? (size_t)(slash - path->p) : path->len};
    size_t used = out.len + (slash ? 1 : 0);
    path->p += used;
    path->len -= used;
    return out;
}

static bool path_matches(const char *pattern, struct cb_str path, struct captured *out) {
    struct cb_str rest = cb_str_of(pattern);
    *out = (struct captured){{NULL, 0}, {NULL, 0}};
    /* A slash at the end of only one of the two would be lost in the cutting. */
    if ((rest.p[rest.len - 1] == '/') != (path.len > 0 && path.p[path.len - 1] == '/'))
        return false;
    while (rest.len > 0 && path.len > 0) {
        struct cb_str want = segment(&rest), have = segment(&path);
        struct cb_str *into = cb_str_is(want, "{site}")      ? &out->site
                              : cb_str_is(want, "{visitor}") ? &out->visitor
                                                             : NULL;
        if (into ? have.len == 0 : !cb_str_eq(want, have))
            return false;
        if (into)
            *into = have;
    }
    return rest.len == 0 && path.len == 0;
}

static void refuse_with(struct cb_http_req *req, enum cb_refusal refusal, const char *headers,
                        const struct cb_param_error *error) {
    struct cb_buf body;
    cb_buf_init(&body, 8192);
    const char *sentence = error && *error->sentence ? error->sentence : NULL;
    const char *field = error && *error->field ? error->field : NULL;
    if (cb_refusal_json(&body, refusal, sentence, field))
        cb_buf_clear(&body); /* the status says it, too */
    cb_http_reply(req, cb_refusal_status(refusal), headers, body.data, body.len);
    cb_buf_fini(&body);
}

void cb_api_refuse(struct cb_http_req *req, enum cb_refusal refusal,
                   const struct cb_param_error *error) {
    const char *headers = REFUSAL_HEADERS;
    if (refusal == CB_REFUSE_UNAUTHORIZED)
        headers = REFUSAL_HEADERS "WWW-Authenticate: Bearer\r\n";
    else if (refusal == CB_REFUSE_BUSY)
        headers = REFUSAL_HEADERS "Retry-After: 1\r\n";
    refuse_with(req, refusal, headers, error);
}

/* allow: a bit for each method that the address takes. */
static void refuse_method(struct cb_http_req *req, unsigned allow) {
    static const struct {
        enum cb_http_method method;
        const char *name;
    } names[] = {{CB_HTTP_GET, "GET, HEAD"},
                 {CB_HTTP_POST, "POST"},
                 {CB_HTTP_PUT, "PUT"},
                 {CB_HTTP_PATCH, "PATCH"},
                 {CB_HTTP_DELETE, "DELETE"}};
    char headers[512];
    size_t len = (size_t)snprintf(headers, sizeof headers, "%sAllow:", REFUSAL_HEADERS);
    const char *between = " ";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!(allow & 1u << names[i].method))
            continue;
        len +=
            (size_t)snprintf(headers + len, sizeof headers - len, "%s%s", between, names[i].name);
        between = ", ";
    }
    snprintf(headers + len, sizeof headers - len, "\r\n");
    refuse_with(req, CB_REFUSE_METHOD, headers, NULL);
}

/* The site of the path, once the token is known to be good for it. */
static enum cb_refusal find_site(struct cb_report_ctx *ctx, struct cb_str name) {
    if (!cb_site_name_valid(name))
        return CB_REFUSE_SITE_UNKNOWN;
    int rc = cb_snapshot_site(ctx->snapshot, name, &ctx->site);
    ctx->site_name = name;
    if (rc == CB_ENOENT)
        return CB_REFUSE_SITE_UNKNOWN;
    return rc ? CB_REFUSE_INTERNAL : CB_REFUSE_NONE;
}

static enum cb_refusal admit(const struct cb_route *route, const struct cb_http_req *req,
                             struct cb_report_ctx *ctx, const struct captured *captured) {
    const char *sentence = NULL;
    enum cb_refusal refusal = cb_access_token(req, ctx->snapshot, &ctx->token);
    if (!refusal)
        refusal =
            cb_access_check(&ctx->token, route->scope, route->role, captured->site, &sentence);
    if (sentence)
        cb_param_refuse(&ctx->error, "", "%s", sentence);
    if (!refusal && route->scope == CB_SCOPE_SITE)
        refusal = find_site(ctx, captured->site);
    return refusal;
}

static enum cb_refusal report(const struct cb_route *route, const struct cb_http_req *req,
                              struct cb_report_ctx *ctx, const struct captured *captured) {
    enum cb_refusal refusal = CB_REFUSE_NONE;
    if (route->scope != CB_SCOPE_OPEN)
        refusal = admit(route, req, ctx, captured);
    if (refusal)
        return refusal;
    ctx->visitor = captured->visitor;
    int rc = cb_params_parse(req->query, route->params, &ctx->params, &ctx->error);
    if (!rc && route->takes_span)
        rc = cb_span_parse(&ctx->params, ctx->now_ms, &ctx->span, &ctx->error);
    if (rc)
        return cb_report_failed(rc);
    refusal = route->report(ctx);
    cb_crash_point("query_in_report");
    return !refusal && ctx->json.err ? CB_REFUSE_INTERNAL : refusal;
}

static void answer(const struct cb_route *route, struct cb_http_req *req, const struct cb_api *api,
                   const struct captured *captured) {
    struct cb_report_ctx ctx = {.reader = api->reader, .now_ms = cb_clock_wall_ms()};
    struct cb_buf out;
    enum cb_refusal refusal = CB_REFUSE_BUSY;
    cb_buf_init(&out, CB_REPORT_BYTES_MAX);
    ctx.out = &out;
    cb_json_init(&ctx.json, &out);
    if (route->scope == CB_SCOPE_OPEN || !cb_snapshot_begin(api->reader, &ctx.snapshot)) {
        refusal = report(route, req, &ctx, captured);
        if (ctx.snapshot)
            cb_snapshot_end(&ctx.snapshot); /* before the answer is copied: it holds pages back */
    }
    if (refusal) {
        if (refusal == CB_REFUSE_INTERNAL)
            cb_log(CB_LOG_WARN, "report_failed", "route=%s json=\"%s\"", route->pattern,
                   cb_err_text(ctx.json.err));
        cb_api_refuse(req, refusal, &ctx.error);
    } else if (ctx.export) {
        if (cb_streams_take(api->streams, req, &ctx.export))
            cb_api_refuse(req, CB_REFUSE_BUSY, NULL);
    } else {
        bool json = !strcmp(route->type, TYPE_JSON);
        if (route->scope != CB_SCOPE_OPEN)
            cb_metric_add(CB_METRIC_QUERY_REPORTS, 1);
        cb_http_reply(req, 200,
                      json ? REFUSAL_HEADERS : "Content-Type: " TYPE_METRICS "\r\n" API_HEADERS,
                      out.data, out.len);
    }
    cb_export_destroy(&ctx.export); /* where it was not taken */
    cb_buf_fini(&out);
}

/* The row for a path and a method, or NULL with *allow telling the methods that the path has. */
static const struct cb_route *find_route(const struct cb_http_req *req, struct captured *captured,
                                         unsigned *allow) {
    enum cb_http_method method = req->method == CB_HTTP_HEAD ? CB_HTTP_GET : req->method;
    *allow = 0;
    for (const struct cb_route *route = routes; route->pattern; route++) {
        if (!path_matches(route->pattern, req->path, captured))
            continue;
        if (route->method == method)
            return route;
        *allow |= 1u << route->method;
    }
    return NULL;
}

void cb_api_handle(struct cb_http_req *req, void *user) {
    struct captured captured;
    unsigned allow;
    const struct cb_route *route = find_route(req, &captured, &allow);
    if (route && route->report) {
        answer(route, req, user, &captured);
        return;
    }
    /* The dashboard's files beside its page have no rows of their own. */
    const struct cb_asset *asset = cb_assets_find(req->path);
    bool reads = req->method == CB_HTTP_GET || req->method == CB_HTTP_HEAD;
    if (asset && reads)
        cb_assets_reply(req, asset);
    else if (asset || allow)
        refuse_method(req, asset ? 1u << CB_HTTP_GET : allow);
    else
        cb_api_refuse(req, CB_REFUSE_NOT_FOUND, NULL);
}
