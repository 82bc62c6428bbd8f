/* SPDX-License-Identifier: MIT
 * funnel.c: GET /v1/sites/{site}/funnel: how many visits came how far on the way to a chat. */
#include "query/report.h"

/* The events' names, so that they can be given back as steps=. */
static const char *const names[CB_STEP_COUNT] = {
    [CB_STEP_LOADED] = "onWebChatLoaded", [CB_STEP_TRIGGER] = "onTrigger",
    [CB_STEP_CLICK] = "onClick",          [CB_STEP_MAXIMIZE] = "onMaximize",
    [CB_STEP_WRITING] = "onStartWriting", [CB_STEP_CONTACT] = "contact",
};

enum cb_refusal cb_report_funnel(struct cb_report_ctx *ctx) {
    struct cb_json *json = &ctx->json;
    struct cb_funnel funnel;
    if (cb_params_get(&ctx->params, "steps"))
        return cb_report_steps(ctx);
    if (cb_params_get(&ctx->params, "order"))
        return cb_report_failed(cb_param_refuse(&ctx->error, "order", "order goes with steps"));
    cb_report_quarters(ctx);
    if (cb_snapshot_funnel(ctx->snapshot, ctx->site.id, ctx->span.from, ctx->span.to, &funnel))
        return CB_REFUSE_INTERNAL;
    cb_json_object_begin(json);
    cb_report_range(ctx);
    cb_json_key(json, "steps");
    cb_json_array_begin(json);
    for (unsigned i = 0; i < CB_STEP_COUNT; i++) {
        cb_json_object_begin(json);
        cb_json_key(json, "name");
        cb_json_str(json, cb_str_of(names[i]));
        cb_json_key(json, "visits");
        cb_json_uint(json, funnel.reached[i]);
        cb_json_key(json, "happened");
        cb_json_uint(json, funnel.happened[i]);
        cb_json_object_end(json);
    }
    cb_json_array_end(json);
    cb_json_object_end(json);
    return CB_REFUSE_NONE;
}
