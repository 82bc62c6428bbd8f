/* SPDX-License-Identifier: MIT
 * health.c: GET /healthz (the process answers) and GET /readyz (the views can be read). */
#include "query/report.h"

enum cb_refusal cb_report_alive(struct cb_report_ctx *ctx) {
    cb_json_object_begin(&ctx->json);
    cb_json_key(&ctx->json, "status");
    cb_json_str(&ctx->json, CB_STR("alive"));
    cb_json_object_end(&ctx->json);
    return CB_REFUSE_NONE;
}

enum cb_refusal cb_report_ready(struct cb_report_ctx *ctx) {
    struct cb_snapshot *snapshot;
    if (cb_snapshot_begin(ctx->reader, &snapshot))
        return CB_REFUSE_BUSY;
    cb_json_object_begin(&ctx->json);
    cb_json_key(&ctx->json, "ready");
    cb_json_bool(&ctx->json, true);
    cb_json_key(&ctx->json, "position");
    cb_json_uint(&ctx->json, cb_snapshot_position(snapshot));
    cb_json_object_end(&ctx->json);
    cb_snapshot_end(&snapshot);
    return CB_REFUSE_NONE;
}
