/* SPDX-License-Identifier: MIT
 * sessions.c: GET /v1/sites/{site}/sessions: how many sessions began in a range, how long they
 * were, how many events they had, how many had an interaction and how many saw one page only. */
#include "query/report.h"

static void write_count(struct cb_json *json, const char *key, uint64_t n, const char *share_key,
                        uint64_t of) {
    cb_json_key(json, key);
    cb_json_uint(json, n);
    cb_json_key(json, share_key);
    cb_json_ratio(json, n, of);
}

enum cb_refusal cb_report_sessions(struct cb_report_ctx *ctx) {
    struct cb_json *json = &ctx->json;
    struct cb_session_sums sums;
    cb_report_quarters(ctx);
    if (cb_snapshot_sessions(ctx->snapshot, ctx->site.id, ctx->span.from, ctx->span.to, &sums))
        return CB_REFUSE_INTERNAL;
    cb_json_object_begin(json);
    cb_report_range(ctx);
    cb_json_key(json, "sessions");
    cb_json_uint(json, sums.sessions);
    write_count(json, "events", sums.events, "events_each", sums.sessions);
    write_count(json, "interacted", sums.interacted, "interacted_share", sums.sessions);
    write_count(json, "bounced", sums.bounced, "bounced_share", sums.sessions);
    cb_json_key(json, "duration");
    cb_json_object_begin(json);
    cb_json_key(json, "mean_ms");
    if (sums.sessions > 0)
        cb_json_uint(json, (sums.duration_ms + sums.sessions / 2) / sums.sessions);
    else
        cb_json_null(json);
    cb_report_hist(json, &sums.durations);
    cb_json_object_end(json);
    cb_json_object_end(json);
    return CB_REFUSE_NONE;
}
