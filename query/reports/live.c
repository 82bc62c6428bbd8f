/* SPDX-License-Identifier: MIT
 * live.c: GET /v1/sites/{site}/live: what a stream of live.h is asked for. */
#include "query/report.h"
#include "query/rows.h"

enum { LOOK_EVENTS = 4000 };

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

static bool take(void *user, const struct cb_export_row *row) {
    struct cb_live_ask *ask = user;
    bool old = row->envelope->received_ms < ask->oldest_ms;
    ask->old |= old;
    if (!old)
        ask->seen = (struct cb_export_cursor){row->position, row->index};
    return old;
}

/* Whether the next events of the site are too old to be seen, and which is the first that is not:
 * where it is not found soon, what comes from now on. */
static int find_seen(struct cb_report_ctx *ctx) {
    struct cb_export_cursor cursor = ctx->live.from;
    bool more;
    ctx->live.seen = (struct cb_export_cursor){ctx->live.position + 1, 0};
    int rc = cb_snapshot_export(ctx->snapshot, &ctx->site_name, &cursor, UINT64_MAX, LOOK_EVENTS,
                                take, &ctx->live, &more);
    return rc == CB_EGONE ? 0 : rc; /* live.c tells of what is trimmed */
}

enum cb_refusal cb_report_live(struct cb_report_ctx *ctx) {
    struct cb_row_rights rights;
    int rc = parse_last(ctx);
    if (!rc)
        rc = cb_row_rights_read(ctx->snapshot, &ctx->token, ctx->site.id, ctx->now_ms, &rights);
    if (rc)
        return cb_report_failed(rc);
    ctx->live.oldest_ms =
        rights.from_ms > rights.personal_from_ms ? rights.from_ms : rights.personal_from_ms;
    ctx->live.site = ctx->site_name;
    ctx->live.site_id = ctx->site.id;
    ctx->live.token = &ctx->token;
    ctx->live.position = cb_snapshot_position(ctx->snapshot);
    rc = ctx->live.resumes && ctx->live.oldest_ms > INT64_MIN ? find_seen(ctx) : 0;
    return rc ? cb_report_failed(rc) : CB_REFUSE_NONE;
}
