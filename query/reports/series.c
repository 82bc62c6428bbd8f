/* SPDX-License-Identifier: MIT
 * series.c: GET /v1/sites/{site}/timeseries: events and different visitors of each bucket of a
 * range, zeros included.
 *
 * Counts are cut at from and to, so the events of all points add up to those of totals over the
 * same range; the first point's t is still where its bucket starts in the calendar. Minutes are
 * there for the last 48 hours, other grains for ever. */
#include <stdlib.h>

#include "query/report.h"

static void write_points(struct cb_report_ctx *ctx, const struct cb_buckets *buckets,
                         const uint64_t *events, const struct cb_distinct *visitors) {
    struct cb_json *json = &ctx->json;
    for (size_t i = 0; i < buckets->n; i++) {
        cb_json_object_begin(json);
        cb_json_key(json, "t");
        cb_json_int(json, (i == 0 ? buckets->first : buckets->bounds[i]) * CB_MINUTE_MS);
        cb_json_key(json, "events");
        cb_json_uint(json, events[i]);
        cb_report_distinct(json, &visitors[i]);
        cb_json_object_end(json);
    }
}

/* events and visitors hold a zero for each bucket. */
static int write_series(struct cb_report_ctx *ctx, const char *event, enum cb_grain grain,
                        const struct cb_buckets *buckets, uint64_t *events,
                        struct cb_distinct *visitors) {
    struct cb_json *json = &ctx->json;
    uint32_t name_id = CB_NAME_ID_ALL;
    int rc = 0;
    if (event)
        rc = cb_snapshot_name(ctx->snapshot, ctx->site.id, cb_str_of(event), &name_id);
    if (!rc)
        rc = cb_snapshot_series(ctx->snapshot, ctx->site.id, name_id, buckets->bounds, buckets->n,
                                events, visitors);
    else if (rc == CB_ENOENT) /* a name that never happened is no mistake: zeros */
        rc = 0;
    if (rc)
        return rc;

    cb_json_object_begin(json);
    cb_json_key(json, "site");
    cb_json_str(json, ctx->site_name);
    cb_json_key(json, "grain");
    cb_json_str(json, cb_str_of(cb_grain_name(grain)));
    cb_json_key(json, "tz");
    cb_json_str(json, cb_str_of(ctx->span.tz));
    cb_json_key(json, "from");
    cb_json_int(json, ctx->span.from * CB_MINUTE_MS);
    cb_json_key(json, "to");
    cb_json_int(json, ctx->span.to * CB_MINUTE_MS);
    if (event) {
        cb_json_key(json, "event");
        cb_json_str(json, cb_str_of(event));
    }
    cb_json_key(json, "points");
    cb_json_array_begin(json);
    write_points(ctx, buckets, events, visitors);
    cb_json_array_end(json);
    cb_json_object_end(json);
    return 0;
}

/* Minutes are asked for where they are kept, anything else in whole quarter hours elsewhere. */
static int fit(struct cb_report_ctx *ctx, enum cb_grain grain) {
    struct cb_kept kept;
    if (grain != CB_GRAIN_MINUTE)
        return cb_report_fit(ctx);
    int rc = cb_snapshot_kept(ctx->snapshot, &kept);
    if (!rc && ctx->span.from < kept.minutes_from)
        rc = cb_param_refuse(&ctx->error, "grain",
                             "single minutes are kept for 48 hours: choose a coarser grain, or a "
                             "later from");
    return rc;
}

enum cb_refusal cb_report_series(struct cb_report_ctx *ctx) {
    const char *event = cb_params_get(&ctx->params, "event");
    const bool filtered = cb_params_get(&ctx->params, "filter") != NULL;
    enum cb_grain grain;
    struct cb_buckets buckets;
    if (event && !cb_event_name_valid(cb_str_of(event)))
        return cb_report_failed(cb_param_refuse(&ctx->error, "event", "this is no event's name"));
    int rc = cb_grain_parse(&ctx->params, &grain, &ctx->error);
    if (!rc && !filtered) /* raw events are counted to the minute */
        rc = fit(ctx, grain);
    if (!rc)
        rc = cb_buckets_init(&ctx->span, grain, &buckets, &ctx->error);
    if (rc)
        return cb_report_failed(rc);
    if (filtered) {
        enum cb_refusal refusal = cb_report_filtered_series(ctx, event, grain, &buckets);
        cb_buckets_fini(&buckets);
        return refusal;
    }

    uint64_t *events = calloc(buckets.n, sizeof *events);
    struct cb_distinct *visitors = calloc(buckets.n, sizeof *visitors);
    rc = CB_ENOMEM;
    if (events && visitors)
        rc = write_series(ctx, event, grain, &buckets, events, visitors);
    free(visitors);
    free(events);
    cb_buckets_fini(&buckets);
    return rc ? CB_REFUSE_INTERNAL : CB_REFUSE_NONE;
}
