/* SPDX-License-Identifier: MIT
 * visits.c: what the reports about visits (sessions, funnel, timings, triggers) share: their range
 * in whole quarter hours, and histograms in JSON. */
#include "query/report.h"

void cb_report_quarters(struct cb_report_ctx *ctx) {
    const int64_t step = CB_QUARTER_MINUTES;
    struct cb_span *span = &ctx->span;
    span->from = span->from >= 0 ? span->from / step * step : 0;
    span->to = span->to >= 0 ? (span->to + step - 1) / step * step : 0;
}

void cb_report_range(struct cb_report_ctx *ctx) {
    struct cb_json *json = &ctx->json;
    cb_json_key(json, "site");
    cb_json_str(json, ctx->site_name);
    cb_json_key(json, "from");
    cb_json_int(json, ctx->span.from * CB_MINUTE_MS);
    cb_json_key(json, "to");
    cb_json_int(json, ctx->span.to * CB_MINUTE_MS);
    cb_json_key(json, "tz");
    cb_json_str(json, cb_str_of(ctx->span.tz));
}

void cb_report_hist(struct cb_json *json, const struct cb_hist *hist) {
    static const struct {
        const char *key;
        unsigned percent;
    } quantiles[] = {{"p50_ms", 50}, {"p90_ms", 90}, {"p99_ms", 99}};
    cb_json_key(json, "count");
    cb_json_uint(json, hist->n);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        cb_json_key(json, quantiles[i].key);
        if (hist->n > 0)
            cb_json_uint(json, cb_hist_quantile(hist, quantiles[i].percent));
        else
            cb_json_null(json);
    }
    cb_json_key(json, "buckets");
    cb_json_array_begin(json);
    for (unsigned i = 0; i < CB_HIST_BUCKETS; i++) {
        if (hist->counts[i] == 0)
            continue;
        cb_json_array_begin(json);
        cb_json_uint(json, cb_hist_high(i));
        cb_json_uint(json, hist->counts[i]);
        cb_json_array_end(json);
    }
    cb_json_array_end(json);
}
