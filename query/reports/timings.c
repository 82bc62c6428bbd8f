/* SPDX-License-Identifier: MIT
 * timings.c: GET /v1/sites/{site}/timings: how long visitors took from one thing to the next. */
#include "query/report.h"

static const char *const names[CB_TIMING_COUNT] = {
    [CB_TIMING_LOADED_CLICK] = "loaded_click",
    [CB_TIMING_LOADED_MAXIMIZE] = "loaded_maximize",
    [CB_TIMING_MAXIMIZE_WRITING] = "maximize_writing",
    [CB_TIMING_TRIGGER_MAXIMIZE] = "trigger_maximize",
};

enum cb_refusal cb_report_timings(struct cb_report_ctx *ctx) {
    struct cb_hist hist;
    cb_report_quarters(ctx);
    cb_json_object_begin(&ctx->json);
    for (unsigned i = 0; i < CB_TIMING_COUNT; i++) {
        if (cb_snapshot_timing(ctx->snapshot, ctx->site.id, ctx->span.from, ctx->span.to,
                               (enum cb_timing)i, &hist))
            return CB_REFUSE_INTERNAL;
        cb_json_key(&ctx->json, names[i]);
        cb_json_object_begin(&ctx->json);
        cb_report_hist(&ctx->json, &hist);
        cb_json_object_end(&ctx->json);
    }
    cb_json_object_end(&ctx->json);
    return CB_REFUSE_NONE;
}
