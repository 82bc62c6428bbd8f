/* SPDX-License-Identifier: MIT
 * settings.c: GET and PUT /v1/sites/{site}/settings, PUT …/status, and PUT …/presence, by which an
 * operator's dashboard says that somebody is there. */
#include "query/settings.h"

#include "proto/ask.h"
#include "query/body.h"
#include "query/report.h"

enum cb_refusal cb_report_settings(struct cb_report_ctx *ctx) {
    struct cb_settings settings;
    if (cb_snapshot_settings(ctx->snapshot, ctx->site.id, &settings, NULL))
        return CB_REFUSE_INTERNAL;
    cb_json_object_begin(&ctx->json);
    cb_settings_write(&ctx->json, &settings);
    cb_json_object_end(&ctx->json);
    return CB_REFUSE_NONE;
}

enum cb_refusal cb_report_settings_put(struct cb_report_ctx *ctx) {
    struct cb_value object;
    enum cb_refusal refusal = cb_body_object(ctx, &object);
    if (refusal)
        return refusal;
    int rc = cb_settings_read(&object, &ctx->text, &ctx->control.settings, &ctx->error);
    if (rc)
        return cb_report_failed(rc);
    ctx->control.op = CB_CONTROL_SETTINGS;
    ctx->control.site = ctx->site_name;
    ctx->after = cb_report_settings;
    return CB_REFUSE_NONE;
}

/* ---- status ---- */

static enum cb_refusal status_after(struct cb_report_ctx *ctx) {
    cb_json_object_begin(&ctx->json);
    cb_json_key(&ctx->json, "site");
    cb_json_str(&ctx->json, ctx->site_name);
    cb_json_key(&ctx->json, "status");
    cb_json_str(&ctx->json, cb_str_of(cb_status_name(ctx->site.status)));
    cb_json_object_end(&ctx->json);
    return CB_REFUSE_NONE;
}

enum cb_refusal cb_report_status_put(struct cb_report_ctx *ctx) {
    static const char *const names[] = {"status", NULL};
    struct cb_str status;
    enum cb_refusal refusal = cb_body_texts(ctx, names, &status);
    if (refusal)
        return refusal;
    ctx->control.status = cb_status_of(status);
    if (!ctx->control.status)
        return cb_body_refuse(ctx, "status", "status is online, offline or automatic");
    ctx->control.op = CB_CONTROL_STATUS;
    ctx->control.site = ctx->site_name;
    ctx->after = status_after;
    return CB_REFUSE_NONE;
}

const char *cb_status_name(unsigned status) {
    return status == CB_STATUS_ONLINE    ? "online"
           : status == CB_STATUS_OFFLINE ? "offline"
                                         : "automatic";
}

unsigned cb_status_of(struct cb_str text) {
    for (unsigned status = CB_STATUS_ONLINE; status <= CB_STATUS_AUTOMATIC; status++)
        if (cb_str_is(text, cb_status_name(status)))
            return status;
    return 0;
}

static enum cb_refusal presence_after(struct cb_report_ctx *ctx) {
    cb_json_object_begin(&ctx->json);
    cb_json_key(&ctx->json, "site");
    cb_json_str(&ctx->json, ctx->site_name);
    cb_json_key(&ctx->json, "mode");
    cb_json_str(&ctx->json, cb_str_of(cb_status_name(ctx->site.status)));
    cb_json_key(&ctx->json, "status");
    cb_json_str(&ctx->json, cb_str_of(cb_status_name(ctx->lease_status)));
    cb_json_key(&ctx->json, "lease_ms");
    cb_json_uint(&ctx->json, CB_LEASE_MS);
    cb_json_key(&ctx->json, "renew_ms");
    cb_json_uint(&ctx->json, CB_LEASE_RENEW_MS);
    cb_json_object_end(&ctx->json);
    return CB_REFUSE_NONE;
}

enum cb_refusal cb_report_presence(struct cb_report_ctx *ctx) {
    ctx->lease = true;
    ctx->after = presence_after;
    return CB_REFUSE_NONE;
}
