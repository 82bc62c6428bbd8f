/* SPDX-License-Identifier: MIT */
#include "query/routes.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "proto/clock.h"
#include "proto/crash.h"
#include "proto/log.h"
#include "proto/metric.h"
#include "query/assets.h"
#include "query/csv.h"
#include "query/headers.h"
#include "query/live.h"
#include "query/stream.h"
#include "query/tries.h"

#define TYPE_JSON "application/json; charset=utf-8"
#define TYPE_CSV "text/csv; charset=utf-8; header=present"
#define TYPE_EVENTS "text/event-stream"
#define TYPE_EXPORT "application/x-ndjson"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define SPAN_PARAMS "from", "to", "tz"

/* clang-format off */
static const struct cb_route routes[] = {
    {CB_HTTP_GET, "/v1/sites/{site}/totals", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     true, {SPAN_PARAMS, "filter", "compare", "format"}, TYPE_JSON, cb_report_totals},
    {CB_HTTP_GET, "/v1/sites/{site}/timeseries", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     true, {SPAN_PARAMS, "grain", "event", "filter", "compare", "format"}, TYPE_JSON, cb_report_series},
    {CB_HTTP_GET, "/v1/sites/{site}/sessions", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     true, {SPAN_PARAMS, "compare", "format"}, TYPE_JSON, cb_report_sessions},
    {CB_HTTP_GET, "/v1/sites/{site}/funnel", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     true, {SPAN_PARAMS, "steps", "order", "compare", "format"}, TYPE_JSON, cb_report_funnel},
    {CB_HTTP_GET, "/v1/sites/{site}/timings", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     true, {SPAN_PARAMS, "compare", "format"}, TYPE_JSON, cb_report_timings},
    {CB_HTTP_GET, "/v1/sites/{site}/triggers", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     true, {SPAN_PARAMS, "within", "compare", "format"}, TYPE_JSON, cb_report_triggers},
    {CB_HTTP_GET, "/v1/sites/{site}/breakdown", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     false, {SPAN_PARAMS, "by", "event", "limit", "compare", "format"}, TYPE_JSON, cb_report_breakdown},
    {CB_HTTP_GET, "/v1/sites/{site}/retention", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     false, {SPAN_PARAMS, "by", "format"}, TYPE_JSON, cb_report_retention},
    {CB_HTTP_GET, "/v1/sites/{site}/visitors", CB_ROLE_OPERATOR, CB_SCOPE_SITE,
     false, {"q", "cursor", "limit", "format"}, TYPE_JSON, cb_report_visitors},
    {CB_HTTP_GET, "/v1/sites/{site}/visitors/{visitor}", CB_ROLE_OPERATOR, CB_SCOPE_SITE,
     false, {"format"}, TYPE_JSON, cb_report_visitor},
    {CB_HTTP_DELETE, "/v1/sites/{site}/visitors/{visitor}", CB_ROLE_ADMIN, CB_SCOPE_SITE,
     false, {NULL}, TYPE_JSON, cb_report_visitor_erase},
    {CB_HTTP_GET, "/v1/sites/{site}/erasures/{id}", CB_ROLE_ADMIN, CB_SCOPE_SITE,
     false, {NULL}, TYPE_JSON, cb_report_erasure},
    {CB_HTTP_GET, "/v1/sites/{site}/visitors/{visitor}/events", CB_ROLE_OPERATOR, CB_SCOPE_SITE,
     false, {"cursor", "limit", "format"}, TYPE_JSON, cb_report_timeline},
    {CB_HTTP_PATCH, "/v1/sites/{site}/visitors/{visitor}", CB_ROLE_OPERATOR, CB_SCOPE_SITE,
     false, {NULL}, TYPE_JSON, cb_report_visitor_edit},
    {CB_HTTP_GET, "/v1/sites/{site}/settings", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     false, {NULL}, TYPE_JSON, cb_report_settings},
    {CB_HTTP_GET, "/v1/sites/{site}/kept", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     false, {NULL}, TYPE_JSON, cb_report_kept},
    {CB_HTTP_PUT, "/v1/sites/{site}/settings", CB_ROLE_ADMIN, CB_SCOPE_SITE,
     false, {NULL}, TYPE_JSON, cb_report_settings_put},
    {CB_HTTP_PUT, "/v1/sites/{site}/status", CB_ROLE_OPERATOR, CB_SCOPE_SITE,
     false, {NULL}, TYPE_JSON, cb_report_status_put},
    {CB_HTTP_PUT, "/v1/sites/{site}/presence", CB_ROLE_OPERATOR, CB_SCOPE_SITE,
     false, {NULL}, TYPE_JSON, cb_report_presence},
    {CB_HTTP_GET, "/v1/sites", CB_ROLE_VIEWER, CB_SCOPE_ANY,
     false, {"format"}, TYPE_JSON, cb_report_sites_list},
    {CB_HTTP_PUT, "/v1/sites/{site}", CB_ROLE_ADMIN, CB_SCOPE_WHOLE,
     false, {NULL}, TYPE_JSON, cb_report_site_put},
    {CB_HTTP_GET, "/v1/token", CB_ROLE_VIEWER, CB_SCOPE_ANY,
     false, {NULL}, TYPE_JSON, cb_report_token},
    {CB_HTTP_GET, "/v1/tokens", CB_ROLE_ADMIN, CB_SCOPE_ANY,
     false, {"format"}, TYPE_JSON, cb_report_tokens},
    {CB_HTTP_POST, "/v1/tokens", CB_ROLE_ADMIN, CB_SCOPE_ANY,
     false, {NULL}, TYPE_JSON, cb_report_token_make},
    {CB_HTTP_DELETE, "/v1/tokens/{id}", CB_ROLE_ADMIN, CB_SCOPE_ANY,
     false, {NULL}, TYPE_JSON, cb_report_token_revoke},
    {CB_HTTP_GET, "/v1/audit", CB_ROLE_ADMIN, CB_SCOPE_ANY,
     false, {"cursor", "limit", "format"}, TYPE_JSON, cb_report_audit},
    {CB_HTTP_GET, "/v1/sites/{site}/export", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     false, {"format", "cursor", "until", "limit", SPAN_PARAMS}, TYPE_EXPORT, cb_report_export},
    {CB_HTTP_GET, "/v1/sites/{site}/live", CB_ROLE_VIEWER, CB_SCOPE_SITE,
     false, {NULL}, TYPE_EVENTS, cb_report_live},
    {CB_HTTP_GET, "/v1/balance", CB_ROLE_VIEWER, CB_SCOPE_ANY,
     false, {"format"}, TYPE_JSON, cb_report_balance},
    {CB_HTTP_GET, "/metrics", CB_ROLE_VIEWER, CB_SCOPE_WHOLE,
     false, {NULL}, TYPE_METRICS, cb_report_metrics},
    {CB_HTTP_GET, "/healthz", 0, CB_SCOPE_OPEN, false, {NULL}, TYPE_JSON, cb_report_alive},
    {CB_HTTP_GET, "/readyz", 0, CB_SCOPE_OPEN, false, {NULL}, TYPE_JSON, cb_report_ready},
    {CB_HTTP_GET, "/openapi.json", 0, CB_SCOPE_OPEN, false, {NULL}, NULL, NULL},
    {CB_HTTP_GET, "/", 0, CB_SCOPE_OPEN, false, {NULL}, NULL, NULL},
    {.pattern = NULL},
};
/* clang-format on */

/* What the rows of a report are where it is asked for as a table: format=csv. */
static const struct {
    cb_report_fn *report;
    const char *rows; /* see csv.h */
} tables[] = {
    {cb_report_totals, CB_CSV_PAIRS},    {cb_report_series, "points"},
    {cb_report_sessions, CB_CSV_PAIRS},  {cb_report_funnel, "steps"},
    {cb_report_timings, CB_CSV_OBJECTS}, {cb_report_triggers, "triggers+without"},
    {cb_report_breakdown, "rows+other"}, {cb_report_visitors, "rows"},
    {cb_report_retention, "cohorts"},    {cb_report_timeline, "rows"},
    {cb_report_sites_list, "sites"},     {cb_report_tokens, "tokens"},
    {cb_report_audit, "rows"},           {cb_report_balance, "sites+total"},
};

enum { DAY_MINUTES = 1440 };

#define JSON_HEADER "Content-Type: " TYPE_JSON "\r\n"

const char cb_routes_error_headers[] = CB_API_HEADERS;

const struct cb_route *cb_routes_table(void) {
    return routes;
}

struct captured {
    struct cb_str site, visitor, id;
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
    *out = (struct captured){.site = {NULL, 0}};
    /* A slash at the end of only one of the two would be lost in the cutting. */
    if ((rest.p[rest.len - 1] == '/') != (path.len > 0 && path.p[path.len - 1] == '/'))
        return false;
    while (rest.len > 0 && path.len > 0) {
        struct cb_str want = segment(&rest), have = segment(&path);
        struct cb_str *into = cb_str_is(want, "{site}")      ? &out->site
                              : cb_str_is(want, "{visitor}") ? &out->visitor
                              : cb_str_is(want, "{id}")      ? &out->id
                                                             : NULL;
        if (into ? have.len == 0 : !cb_str_eq(want, have))
            return false;
        if (into)
            *into = have;
    }
    return rest.len == 0 && path.len == 0;
}

/* more: further header lines, or "". */
static void refuse_with(struct cb_http_req *req, enum cb_refusal refusal, const char *more,
                        const struct cb_param_error *error) {
    char headers[CB_HEADERS_MAX], lines[512];
    struct cb_buf body;
    cb_buf_init(&body, 8192);
    const char *sentence = error && *error->sentence ? error->sentence : NULL;
    const char *field = error && *error->field ? error->field : NULL;
    if (cb_refusal_json(&body, refusal, sentence, field))
        cb_buf_clear(&body); /* the status says it, too */
    snprintf(lines, sizeof lines, JSON_HEADER "%s", more);
    cb_http_reply(req, cb_refusal_status(refusal), cb_headers_write(req, lines, headers), body.data,
                  body.len);
    cb_buf_fini(&body);
}

void cb_api_refuse(struct cb_http_req *req, enum cb_refusal refusal,
                   const struct cb_param_error *error) {
    const char *more = "";
    if (refusal == CB_REFUSE_UNAUTHORIZED)
        more = "WWW-Authenticate: Bearer\r\n";
    else if (refusal == CB_REFUSE_BUSY)
        more = "Retry-After: 1\r\n";
    refuse_with(req, refusal, more, error);
}

static void refuse_tries(struct cb_http_req *req, unsigned wait_s) {
    char more[64];
    struct cb_param_error error = {.field = ""};
    snprintf(more, sizeof more, "Retry-After: %u\r\n", wait_s);
    cb_param_refuse(&error, "", "too many tokens that are none came from this address");
    refuse_with(req, CB_REFUSE_RATE_LIMITED, more, &error);
}

/* allow: a bit for each method that the address takes. Appends their names to out. */
static void write_methods(unsigned allow, char *out, size_t size) {
    static const struct {
        enum cb_http_method method;
        const char *name;
    } names[] = {{CB_HTTP_GET, "GET, HEAD"},
                 {CB_HTTP_POST, "POST"},
                 {CB_HTTP_PUT, "PUT"},
                 {CB_HTTP_PATCH, "PATCH"},
                 {CB_HTTP_DELETE, "DELETE"}};
    size_t len = strlen(out);
    const char *between = " ";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!(allow & 1u << names[i].method))
            continue;
        len += (size_t)snprintf(out + len, size - len, "%s%s", between, names[i].name);
        between = ", ";
    }
    snprintf(out + len, size - len, "\r\n");
}

static void refuse_method(struct cb_http_req *req, unsigned allow) {
    char more[128] = "Allow:";
    write_methods(allow, more, sizeof more);
    refuse_with(req, CB_REFUSE_METHOD, more, NULL);
}

/* What a browser asks before a page of another origin may send a token or write. */
static void preflight(struct cb_http_req *req, unsigned allow) {
    char headers[CB_HEADERS_MAX], more[512] = "Access-Control-Allow-Methods:";
    write_methods(allow, more, sizeof more);
    size_t len = strlen(more);
    snprintf(more + len, sizeof more - len,
             "Access-Control-Allow-Headers: Authorization, Content-Type, Last-Event-ID\r\n"
             "Access-Control-Max-Age: 600\r\n");
    cb_http_reply(req, 204, cb_headers_write(req, more, headers), NULL, 0);
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
                             struct cb_report_ctx *ctx, const struct captured *captured,
                             struct cb_tries *tries, unsigned *wait_s) {
    const char *sentence = NULL;
    bool tried;
    enum cb_refusal refusal = cb_access_token(req, ctx->snapshot, &ctx->token, &tried);
    if (refusal && tried)
        *wait_s = cb_tries_failed(tries, req->peer);
    if (!refusal)
        refusal =
            cb_access_check(&ctx->token, route->scope, route->role, captured->site, &sentence);
    if (sentence)
        cb_param_refuse(&ctx->error, "", "%s", sentence);
    if (!refusal && route->scope == CB_SCOPE_SITE)
        refusal = find_site(ctx, captured->site);
    return refusal;
}

/* A header of ours that may stand there once. Errors: CB_EINVAL with *error filled. */
static int read_header(const struct cb_http_req *req, const char *name, struct cb_str *out,
                       struct cb_param_error *error) {
    unsigned n = 0;
    for (unsigned i = 0; i < req->n_headers; i++) {
        const struct cb_http_header *header = &req->headers[i];
        if (header->name.len != strlen(name) ||
            strncasecmp(header->name.p, name, header->name.len) != 0)
            continue;
        if (n++ > 0)
            return cb_param_refuse(error, name, "%s was sent twice", name);
        *out = header->value;
    }
    return 0;
}

/* NULL: a report that is no table. */
static const char *rows_of(const struct cb_route *route) {
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (tables[i].report == route->report)
            return tables[i].rows;
    return NULL;
}

static int parse_format(const struct cb_route *route, struct cb_report_ctx *ctx) {
    const char *text = cb_params_get(&ctx->params, "format");
    if (!text || !rows_of(route)) /* export and visitor have formats of their own */
        return 0;
    ctx->csv = !strcmp(text, "csv");
    if (!ctx->csv && strcmp(text, "json") != 0)
        return cb_param_refuse(&ctx->error, "format", "format is json or csv");
    return 0;
}

/* Puts the table in the place of the JSON. */
static int make_csv(const struct cb_route *route, struct cb_report_ctx *ctx) {
    const struct cb_str json = {ctx->out->data, ctx->out->len};
    const struct cb_str next = cb_csv_member(json, cb_str_of("next"));
    struct cb_buf table;
    cb_buf_init(&table, CB_REPORT_BYTES_MAX);
    if (next.len > 2 && next.p[0] == '"' && next.len <= sizeof ctx->next) /* digits of ours */
        snprintf(ctx->next, sizeof ctx->next, "%.*s", (int)next.len - 2, next.p + 1);
    int rc = cb_csv_write(json, rows_of(route), &table);
    cb_buf_fini(ctx->out);
    *ctx->out = table;
    return rc;
}

/* Where a range begins before what the site still keeps of it (its rollup_days), the answer says
 * from when on it is of: the counts of before are gone, and not nought. */
static int note_kept(struct cb_report_ctx *ctx) {
    struct cb_buf *out = ctx->out;
    struct cb_retained retained;
    bool object = ctx->span.to > 0 && out->len > 2 && out->data[out->len - 1] == '}';
    int rc = object ? cb_snapshot_retained(ctx->snapshot, ctx->site.id, &retained) : 0;
    if (rc || !object || ctx->span.from >= (int64_t)retained.day * DAY_MINUTES)
        return rc;
    out->len--;
    return cb_buf_printf(out, ",\"kept_from\":%lld}",
                         (long long)retained.day * DAY_MINUTES * CB_MINUTE_MS);
}

/* Runs the report. */
static enum cb_refusal run(const struct cb_route *route, struct cb_report_ctx *ctx) {
    enum cb_refusal refusal = route->report(ctx);
    if (!refusal && !ctx->json.err && route->scope == CB_SCOPE_SITE)
        ctx->json.err = note_kept(ctx);
    return !refusal && ctx->json.err ? CB_REFUSE_INTERNAL : refusal;
}

/* The same report of a second span, in the same snapshot, as the answer's member `compare`. asked:
 * the first span, before the report widened it. */
static enum cb_refusal compare(const struct cb_route *route, struct cb_report_ctx *ctx,
                               const struct cb_span *asked) {
    const char *text = cb_params_get(&ctx->params, "compare");
    int rc = cb_span_compare(asked, text, &ctx->span, &ctx->error);
    if (!rc && ctx->export)
        rc = cb_param_refuse(&ctx->error, "compare",
                             "what is counted from raw events is compared with nothing");
    if (rc)
        return cb_report_failed(rc);
    ctx->comparing = true;
    ctx->out->len--; /* the brace that closes the answer */
    rc = cb_buf_append_str(ctx->out, cb_str_of(",\"compare\":"));
    cb_json_init(&ctx->json, ctx->out);
    enum cb_refusal refusal = rc ? CB_REFUSE_INTERNAL : run(route, ctx);
    if (!refusal && ctx->export) /* of whole days the second span has none */
        return cb_report_failed(
            cb_param_refuse(&ctx->error, "compare",
                            "what is compared with can only be counted from raw "
                            "events: choose whole days"));
    return !refusal && cb_buf_append_str(ctx->out, cb_str_of("}")) ? CB_REFUSE_INTERNAL : refusal;
}

/* *wait_s is set, and the answer is 429, where an address tried too many tokens. */
static enum cb_refusal report(const struct cb_route *route, const struct cb_http_req *req,
                              struct cb_report_ctx *ctx, const struct captured *captured,
                              struct cb_tries *tries, unsigned *wait_s) {
    enum cb_refusal refusal = CB_REFUSE_NONE;
    ctx->site_name = captured->site;
    if (route->scope != CB_SCOPE_OPEN)
        refusal = admit(route, req, ctx, captured, tries, wait_s);
    if (refusal)
        return refusal;
    ctx->visitor = captured->visitor;
    ctx->id = captured->id;
    ctx->body = req->body;
    int rc = cb_params_parse(req->query, route->params, &ctx->params, &ctx->error);
    if (!rc)
        rc = read_header(req, "Last-Event-ID", &ctx->last_event_id, &ctx->error);
    if (!rc && route->takes_span)
        rc = cb_span_parse(&ctx->params, ctx->now_ms, &ctx->span, &ctx->error);
    if (rc)
        return cb_report_failed(rc);
    if (parse_format(route, ctx))
        return CB_REFUSE_BAD_REQUEST;
    struct cb_span asked = ctx->span;
    refusal = run(route, ctx);
    cb_crash_point("query_in_report");
    if (!route->takes_span) /* the report read it */
        asked = ctx->span;
    if (!refusal && cb_params_get(&ctx->params, "compare"))
        refusal = compare(route, ctx, &asked);
    return refusal;
}

static void ctx_init(struct cb_report_ctx *ctx, const struct cb_api *api, struct cb_buf *out) {
    *ctx = (struct cb_report_ctx){
        .reader = api->reader, .parser = api->parser, .now_ms = cb_clock_wall_ms(), .out = out};
    cb_buf_init(out, CB_REPORT_BYTES_MAX);
    cb_buf_init(&ctx->text, CB_CONTROL_MAX);
    cb_json_init(&ctx->json, out);
}

static void ctx_fini(struct cb_report_ctx *ctx) {
    cb_export_destroy(&ctx->export); /* where it was not taken */
    sodium_memzero(ctx->secret, sizeof ctx->secret);
    cb_buf_fini(&ctx->text);
    cb_buf_fini(ctx->out);
}

/* A table is a file: what it is called says what it is of. */
static void write_type(const struct cb_route *route, const struct cb_report_ctx *ctx, char *more,
                       size_t size) {
    const char *what = strrchr(route->pattern, '/') + 1;
    if (!ctx->csv)
        snprintf(more, size, "Content-Type: %s\r\n", route->type);
    else
        snprintf(more, size,
                 "Content-Type: " TYPE_CSV "\r\n"
                 "Content-Disposition: attachment; filename=\"%.*s%s%s.csv\"\r\n%s%s%s",
                 (int)ctx->site_name.len, ctx->site_name.len > 0 ? ctx->site_name.p : "",
                 ctx->site_name.len > 0 ? "-" : "", what, *ctx->next ? "X-Next-Cursor: " : "",
                 ctx->next, *ctx->next ? "\r\n" : "");
}

/* What a report wrote, or why it did not. */
static void reply(const struct cb_route *route, struct cb_http_req *req,
                  const struct cb_report_ctx *ctx, enum cb_refusal refusal) {
    char headers[CB_HEADERS_MAX], more[640];
    if (refusal == CB_REFUSE_INTERNAL)
        cb_log(CB_LOG_WARN, "report_failed", "route=%s json=\"%s\"", route->pattern,
               cb_err_text(ctx->json.err));
    if (refusal) {
        cb_api_refuse(req, refusal, &ctx->error);
        return;
    }
    if (route->scope != CB_SCOPE_OPEN)
        cb_metric_add(CB_METRIC_QUERY_REPORTS, 1);
    write_type(route, ctx, more, sizeof more);
    cb_headers_write(req, ctx->status == 204 ? "" : more, headers);
    cb_http_reply(req, ctx->status ? ctx->status : 200, headers, ctx->out->data, ctx->out->len);
}

/* Sends what the report wants written; req is answered by cb_api_written. */
static void start_write(const struct cb_route *route, struct cb_http_req *req,
                        const struct cb_api *api, struct cb_report_ctx *ctx) {
    struct cb_write *write = calloc(1, sizeof *write);
    if (write) {
        *write = (struct cb_write){.req = req,
                                   .route = route,
                                   .after = ctx->after,
                                   .token = ctx->token,
                                   .site_name = ctx->site_name,
                                   .visitor = ctx->visitor,
                                   .id = ctx->id,
                                   .lease = ctx->lease};
        memcpy(write->secret, ctx->secret, sizeof write->secret);
        ctx->control.made_ms = ctx->now_ms;
        memcpy(ctx->control.by, ctx->token.id, sizeof ctx->control.by);
        if (!cb_writes_send(api->writes, &ctx->control, write))
            return;
    }
    cb_write_destroy(&write);
    cb_api_refuse(req, CB_REFUSE_BUSY, NULL);
}

static void answer(const struct cb_route *route, struct cb_http_req *req, const struct cb_api *api,
                   const struct captured *captured) {
    struct cb_report_ctx ctx;
    struct cb_buf out;
    enum cb_refusal refusal = CB_REFUSE_BUSY;
    unsigned wait_s = 0;
    ctx_init(&ctx, api, &out);
    if (route->scope == CB_SCOPE_OPEN || !cb_snapshot_begin(api->reader, &ctx.snapshot)) {
        refusal = report(route, req, &ctx, captured, api->tries, &wait_s);
        if (ctx.snapshot)
            cb_snapshot_end(&ctx.snapshot); /* before the answer is copied: it holds pages back */
    }
    if (!refusal && ctx.csv && !ctx.export && make_csv(route, &ctx))
        refusal = CB_REFUSE_INTERNAL;
    if (wait_s) {
        refuse_tries(req, wait_s);
    } else if (!refusal && ctx.export) {
        if (cb_streams_take(api->streams, req, &ctx.export))
            cb_api_refuse(req, CB_REFUSE_BUSY, NULL);
    } else if (!refusal && ctx.live.site.p) {
        if (cb_live_take(api->live, req, &ctx.live))
            cb_api_refuse(req, CB_REFUSE_BUSY, NULL);
    } else if (!refusal && ctx.after) {
        start_write(route, req, api, &ctx);
    } else {
        reply(route, req, &ctx, refusal);
    }
    ctx_fini(&ctx);
}

/* An expired write may have been taken, or may yet be: what it says is then so, and sending it
 * again does no harm. */
void cb_api_written(void *user, struct cb_write *write, enum cb_uplink_result result) {
    const struct cb_api *api = user;
    struct cb_report_ctx ctx;
    struct cb_buf out;
    enum cb_refusal refusal = result == CB_UPLINK_REFUSED ? CB_REFUSE_INTERNAL : CB_REFUSE_BUSY;
    ctx_init(&ctx, api, &out);
    if (result == CB_UPLINK_EXPIRED)
        cb_param_refuse(&ctx.error, "",
                        "the store did not confirm this in time: it may or may not "
                        "have been taken; send it again");
    if (result == CB_UPLINK_OK && !cb_snapshot_begin(api->reader, &ctx.snapshot)) {
        ctx.token = write->token;
        ctx.site_name = write->site_name;
        ctx.visitor = write->visitor;
        ctx.id = write->id;
        ctx.lease_status = write->lease_status;
        memcpy(ctx.secret, write->secret, sizeof ctx.secret);
        refusal = write->route->scope == CB_SCOPE_SITE ? find_site(&ctx, write->site_name)
                                                       : CB_REFUSE_NONE;
        if (!refusal)
            refusal = write->after(&ctx);
        if (!refusal && ctx.json.err)
            refusal = CB_REFUSE_INTERNAL;
        cb_snapshot_end(&ctx.snapshot);
    }
    reply(write->route, write->req, &ctx, refusal);
    ctx_fini(&ctx);
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
    if (req->method == CB_HTTP_OPTIONS && allow && cb_headers_origin_listed(req)) {
        preflight(req, allow);
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
