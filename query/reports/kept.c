/* SPDX-License-Identifier: MIT
 * kept.c: GET /v1/sites/{site}/kept: how long the site keeps what, from when on it is there, and
 * what went so far. */
#include "query/report.h"
#include "query/rows.h"

enum { DAY_MINUTES = 1440 };

static void number(struct cb_json *json, const char *key, uint64_t value) {
    cb_json_key(json, key);
    cb_json_uint(json, value);
}

/* Since when; null: for ever. */
static void since(struct cb_json *json, int64_t ms, bool known) {
    cb_json_key(json, "from");
    if (known)
        cb_json_int(json, ms);
    else
        cb_json_null(json);
}

enum cb_refusal cb_report_kept(struct cb_report_ctx *ctx) {
    struct cb_json *json = &ctx->json;
    struct cb_settings settings;
    struct cb_row_rights rights;
    struct cb_retained kept;
    if (cb_row_rights_read(ctx->snapshot, &ctx->token, ctx->site.id, ctx->now_ms, &rights) ||
        cb_snapshot_retained(ctx->snapshot, ctx->site.id, &kept) ||
        cb_snapshot_settings(ctx->snapshot, ctx->site.id, &settings, NULL))
        return CB_REFUSE_INTERNAL;
    cb_json_object_begin(json);
    cb_json_key(json, "site");
    cb_json_str(json, ctx->site_name);
    cb_json_key(json, "raw");
    cb_json_object_begin(json);
    number(json, "days", settings.raw_days);
    since(json, rights.from_ms, settings.raw_days > 0);
    cb_json_object_end(json);
    cb_json_key(json, "personal");
    cb_json_object_begin(json);
    number(json, "days", settings.personal_days);
    since(json, rights.personal_from_ms, settings.personal_days > 0);
    number(json, "people", kept.people);
    number(json, "bytes", kept.people_bytes);
    cb_json_object_end(json);
    cb_json_key(json, "rollups");
    cb_json_object_begin(json);
    number(json, "days", settings.rollup_days);
    since(json, (int64_t)kept.day * DAY_MINUTES * CB_MINUTE_MS, kept.day > 0);
    number(json, "rows", kept.rows);
    number(json, "bytes", kept.row_bytes);
    cb_json_object_end(json);
    cb_json_object_end(json);
    return CB_REFUSE_NONE;
}
