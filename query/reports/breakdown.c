/* SPDX-License-Identifier: MIT
 * breakdown.c: GET /v1/sites/{site}/breakdown: which pages, hosts, languages, … had the most
 * events, and how many different visitors each.
 *
 * By whole days of the site's zone, in which dimensions are kept: the range is widened to those,
 * and the answer says what it became. */
#include <stdlib.h>

#include "query/filter.h"
#include "query/report.h"

static int parse_by(struct cb_report_ctx *ctx, enum cb_dim *out) {
    const char *text = cb_params_get(&ctx->params, "by");
    if (!text || cb_dim_of(cb_str_of(text), out))
        return cb_param_refuse(
            &ctx->error, "by",
            "by is page, referrer, language, device, browser, trigger or country");
    return 0;
}

static int parse_limit(struct cb_report_ctx *ctx, size_t *out) {
    const char *text = cb_params_get(&ctx->params, "limit");
    size_t value = 0, len = text ? strlen(text) : 0;
    *out = CB_REPORT_VALUES_DEFAULT;
    if (!text)
        return 0;
    bool good = len >= 1 && len <= 4 && strspn(text, "0123456789") == len;
    for (size_t i = 0; good && i < len; i++)
        value = value * 10 + (size_t)(text[i] - '0');
    if (!good || value < 1 || value > CB_REPORT_VALUES_MAX)
        return cb_param_refuse(&ctx->error, "limit", "limit is a whole number from 1 to %d",
                               CB_REPORT_VALUES_MAX);
    *out = value;
    return 0;
}

static int find_days(struct cb_report_ctx *ctx, struct cb_site_days *out) {
    int rc = cb_snapshot_days(ctx->snapshot, ctx->site.id, ctx->span.from, ctx->span.to, out);
    if (rc)
        return rc;
    /* Days on which the site had nothing cost nothing. */
    int64_t from = out->from, to = out->to;
    from = from > ctx->site.first_minute ? from : ctx->site.first_minute;
    to = to < ctx->site.last_minute ? to : ctx->site.last_minute;
    if ((to - from) / (24 * 60) > CB_REPORT_DAYS_MAX)
        return cb_param_refuse(&ctx->error, "from",
                               "the site has over %d days of events there: choose a shorter range",
                               CB_REPORT_DAYS_MAX);
    return 0;
}

int cb_report_site_span(struct cb_report_ctx *ctx) {
    char zone[CB_ZONE_MAX + 1];
    if (ctx->comparing)
        return 0;
    int rc = cb_snapshot_zone(ctx->snapshot, ctx->site.id, zone);
    return rc ? rc
              : cb_span_parse_in(&ctx->params, cb_zone_known(zone) ? zone : "UTC", ctx->now_ms,
                                 &ctx->span, &ctx->error);
}

static void write_rows(struct cb_json *json, const struct cb_breakdown *breakdown) {
    cb_json_key(json, "rows");
    cb_json_array_begin(json);
    for (size_t i = 0; i < breakdown->n; i++) {
        cb_json_object_begin(json);
        cb_json_key(json, "value");
        cb_json_str(json, breakdown->rows[i].value);
        cb_json_key(json, "events");
        cb_json_uint(json, breakdown->rows[i].events);
        cb_json_key(json, "visitors");
        cb_json_uint(json, breakdown->rows[i].visitors);
        cb_json_object_end(json);
    }
    cb_json_array_end(json);
    cb_json_key(json, "other");
    cb_json_object_begin(json);
    cb_json_key(json, "events");
    cb_json_uint(json, breakdown->other_events);
    cb_json_key(json, "values");
    cb_json_uint(json, breakdown->other_values);
    cb_json_object_end(json);
    if (breakdown->lower_bound) {
        cb_json_key(json, "lower_bound");
        cb_json_bool(json, true);
    }
}

static void write_answer(struct cb_report_ctx *ctx, enum cb_dim dim, const char *event,
                         const struct cb_site_days *days, const struct cb_breakdown *breakdown) {
    struct cb_json *json = &ctx->json;
    cb_json_object_begin(json);
    cb_json_key(json, "site");
    cb_json_str(json, ctx->site_name);
    cb_json_key(json, "by");
    cb_json_str(json, cb_str_of(cb_dim_name(dim)));
    if (event) {
        cb_json_key(json, "event");
        cb_json_str(json, cb_str_of(event));
    }
    cb_json_key(json, "from");
    cb_json_int(json, days->from * CB_MINUTE_MS);
    cb_json_key(json, "to");
    cb_json_int(json, days->to * CB_MINUTE_MS);
    cb_json_key(json, "tz");
    cb_json_str(json, cb_str_of(days->zone));
    cb_json_key(json, "widened");
    cb_json_bool(json, days->from != ctx->span.from || days->to != ctx->span.to);
    write_rows(json, breakdown);
    cb_json_object_end(json);
}

enum cb_refusal cb_report_breakdown(struct cb_report_ctx *ctx) {
    const char *event = cb_params_get(&ctx->params, "event");
    struct cb_site_days days;
    struct cb_breakdown breakdown = {0};
    enum cb_dim dim;
    size_t limit;
    uint32_t name_id = CB_NAME_ID_ALL;
    if (event && !cb_event_name_valid(cb_str_of(event)))
        return cb_report_failed(cb_param_refuse(&ctx->error, "event", "this is no event's name"));
    int rc = cb_report_site_span(ctx);
    if (!rc)
        rc = parse_by(ctx, &dim);
    if (!rc)
        rc = parse_limit(ctx, &limit);
    if (!rc)
        rc = find_days(ctx, &days);
    if (!rc && event)
        rc = cb_snapshot_name(ctx->snapshot, ctx->site.id, cb_str_of(event), &name_id);
    if (!rc)
        rc = cb_snapshot_breakdown(ctx->snapshot, ctx->site.id, dim, name_id, &days, limit,
                                   &breakdown);
    else if (rc == CB_ENOENT) /* a name that never happened is no mistake: no rows */
        rc = 0;
    if (rc)
        return cb_report_failed(rc);
    write_answer(ctx, dim, event, &days, &breakdown);
    free(breakdown.rows);
    return CB_REFUSE_NONE;
}
