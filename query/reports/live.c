/* SPDX-License-Identifier: MIT
 * live.c: GET /v1/sites/{site}/live: what a stream of live.h is asked for. */
#include "query/report.h"
#include "query/rows.h"

/* Last-Event-ID is what the stream before gave as the id of its last event. */
static int parse_last(struct cb_report_ctx *ctx) {
    char text[CB_CURSOR_TEXT_MAX];
    const struct cb_str id = ctx->last_event_id;
    if (id.len == 0)
        return 0;
    bool fits = id.len < sizeof text && !memchr(id.p, '\0', id.len);
    if (fits) {
        memcpy(text, id.p, id.len);
        text[id.len] = '\0';
    }
    if (!fits || cb_cursor_parse(text, &ctx->live.from))
        return cb_param_refuse(&ctx->error, "Last-Event-ID",
                               "Last-Event-ID is the id of an event that this stream gave");
    ctx->live.resumes = true;
    return 0;
}

enum cb_refusal cb_report_live(struct cb_report_ctx *ctx) {
    int rc = parse_last(ctx);
    if (rc)
        return cb_report_failed(rc);
    ctx->live.site = ctx->site_name;
    ctx->live.site_id = ctx->site.id;
    ctx->live.token = &ctx->token;
    ctx->live.position = cb_snapshot_position(ctx->snapshot);
    return CB_REFUSE_NONE;
}
