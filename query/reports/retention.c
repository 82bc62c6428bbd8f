/* SPDX-License-Identifier: MIT
 * retention.c: GET /v1/sites/{site}/retention: of those who came for the first time in a day, week
 * or month, how many were there in each one since.
 *
 * By the days of the site's zone, which is the zone of from and to where no other is given: the
 * range is widened to whole periods. */
#include <stdlib.h>

#include "query/report.h"

static const struct {
    const char *name;
    enum cb_grain grain;
    size_t most; /* periods of an answer */
} periods[] = {
    {"day", CB_GRAIN_DAY, 92}, {"week", CB_GRAIN_WEEK, 60}, {"month", CB_GRAIN_MONTH, 36}};

static int parse_by(struct cb_report_ctx *ctx, size_t *out) {
    const char *text = cb_params_get(&ctx->params, "by");
    for (size_t i = 0; i < sizeof periods / sizeof *periods; i++) {
        if (!strcmp(text ? text : "day", periods[i].name)) {
            *out = i;
            return 0;
        }
    }
    return cb_param_refuse(&ctx->error, "by", "by is day, week or month");
}

/* The periods that the range touches, whole. */
static int cut(struct cb_report_ctx *ctx, size_t by, struct cb_buckets *out) {
    int rc = cb_buckets_init(&ctx->span, periods[by].grain, out, &ctx->error);
    if (rc)
        return rc;
    if (out->n > periods[by].most) {
        cb_buckets_fini(out);
        return cb_param_refuse(&ctx->error, "from",
                               "the range has more than %zu %ss: choose a shorter one or longer "
                               "periods",
                               periods[by].most, periods[by].name);
    }
    out->bounds[0] = out->first;
    out->bounds[out->n] = out->end;
    return 0;
}

static void write_cohorts(struct cb_json *json, const struct cb_buckets *buckets,
                          const uint64_t *sizes, const uint64_t *returned) {
    cb_json_key(json, "cohorts");
    cb_json_array_begin(json);
    for (size_t cohort = 0; cohort < buckets->n; cohort++) {
        cb_json_object_begin(json);
        cb_json_key(json, "t");
        cb_json_int(json, buckets->bounds[cohort] * CB_MINUTE_MS);
        cb_json_key(json, "size");
        cb_json_uint(json, sizes[cohort]);
        cb_json_key(json, "returned");
        cb_json_array_begin(json);
        for (size_t k = 0; k < buckets->n - cohort; k++)
            cb_json_uint(json, returned[cohort * buckets->n + k]);
        cb_json_array_end(json);
        cb_json_object_end(json);
    }
    cb_json_array_end(json);
}

static int write_answer(struct cb_report_ctx *ctx, size_t by, const struct cb_buckets *buckets,
                        uint64_t *sizes, uint64_t *returned) {
    bool exact;
    int rc = cb_snapshot_retention(ctx->snapshot, ctx->site.id, buckets->bounds, buckets->n, sizes,
                                   returned, &exact);
    if (rc)
        return rc;
    ctx->span.from = buckets->bounds[0];
    ctx->span.to = buckets->bounds[buckets->n];
    cb_json_object_begin(&ctx->json);
    cb_report_range(ctx);
    cb_json_key(&ctx->json, "by");
    cb_json_str(&ctx->json, cb_str_of(periods[by].name));
    write_cohorts(&ctx->json, buckets, sizes, returned);
    if (!exact) {
        cb_json_key(&ctx->json, "exact");
        cb_json_bool(&ctx->json, false);
    }
    cb_json_object_end(&ctx->json);
    return 0;
}

enum cb_refusal cb_report_retention(struct cb_report_ctx *ctx) {
    struct cb_buckets buckets;
    size_t by = 0;
    int rc = cb_report_site_span(ctx);
    if (!rc)
        rc = parse_by(ctx, &by);
    if (!rc)
        rc = cut(ctx, by, &buckets);
    if (rc)
        return cb_report_failed(rc);
    uint64_t *sizes = calloc(buckets.n, sizeof *sizes);
    uint64_t *returned = calloc(buckets.n * buckets.n, sizeof *returned);
    rc = sizes && returned ? write_answer(ctx, by, &buckets, sizes, returned) : CB_ENOMEM;
    free(returned);
    free(sizes);
    cb_buckets_fini(&buckets);
    return rc ? CB_REFUSE_INTERNAL : CB_REFUSE_NONE;
}
