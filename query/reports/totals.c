/* SPDX-License-Identifier: MIT
 * totals.c: GET /v1/sites/{site}/totals: how often each event happened in a range, and how many
 * different visitors and how many sessions there were. */
#include <stdlib.h>

#include "query/report.h"

int cb_report_fit(struct cb_report_ctx *ctx) {
    const int64_t step = CB_QUARTER_MINUTES;
    struct cb_span *span = &ctx->span;
    struct cb_kept kept;
    int rc = cb_snapshot_kept(ctx->snapshot, &kept);
    if (rc)
        return rc;
    if (span->from < kept.minutes_from)
        span->from = span->from / step * step;
    if (span->to < kept.minutes_from)
        span->to = (span->to + step - 1) / step * step;
    return 0;
}

void cb_report_distinct(struct cb_json *json, const struct cb_distinct *visitors) {
    cb_json_key(json, "visitors");
    if (visitors->known == CB_UNKNOWN)
        cb_json_null(json);
    else
        cb_json_uint(json, visitors->n);
    if (visitors->known != CB_KNOWN) {
        cb_json_key(json, "visitors_exact");
        cb_json_bool(json, false);
    }
}

struct name {
    uint32_t id;
    struct cb_str text;
};

struct names {
    struct name *rows;
    size_t n, cap;
    bool cut;    /* there are more than CB_REPORT_NAMES_MAX */
    bool failed; /* out of memory */
};

/* Names are gathered first, so that no two walks through the views overlap. */
static bool gather(void *user, uint32_t name_id, struct cb_str text) {
    struct names *names = user;
    if (names->n == CB_REPORT_NAMES_MAX) {
        names->cut = true;
        return false;
    }
    if (names->n == names->cap) {
        size_t cap = names->cap ? names->cap * 2 : 32;
        struct name *grown = realloc(names->rows, cap * sizeof *grown);
        if (!grown) {
            names->failed = true;
            return false;
        }
        names->rows = grown;
        names->cap = cap;
    }
    names->rows[names->n++] = (struct name){name_id, text};
    return true;
}

static void write_events(struct cb_report_ctx *ctx, const struct names *names,
                         const uint64_t *sums) {
    cb_json_key(&ctx->json, "events");
    cb_json_object_begin(&ctx->json);
    for (size_t i = 0; i < names->n; i++) {
        uint32_t id = names->rows[i].id;
        if (id >= CB_NAME_IDS || sums[id] == 0)
            continue;
        cb_json_key_str(&ctx->json, names->rows[i].text);
        cb_json_uint(&ctx->json, sums[id]);
    }
    cb_json_object_end(&ctx->json);
}

static int write_totals(struct cb_report_ctx *ctx, const struct names *names) {
    struct cb_json *json = &ctx->json;
    uint64_t sums[CB_NAME_IDS];
    struct cb_distinct visitors;
    int rc = cb_snapshot_totals(ctx->snapshot, ctx->site.id, ctx->span.from, ctx->span.to, sums,
                                &visitors);
    if (rc)
        return rc;

    cb_json_object_begin(json);
    cb_report_range(ctx);
    write_events(ctx, names, sums);
    cb_report_distinct(json, &visitors);
    cb_json_key(json, "sessions");
    cb_json_uint(json, sums[CB_NAME_ID_SESSIONS]);
    if (names->cut) {
        cb_json_key(json, "lower_bound"); /* names are missing */
        cb_json_bool(json, true);
    }
    cb_json_object_end(json);
    return 0;
}

enum cb_refusal cb_report_totals(struct cb_report_ctx *ctx) {
    struct names names = {0};
    if (cb_params_get(&ctx->params, "filter"))
        return cb_report_filtered_totals(ctx);
    cb_snapshot_names(ctx->snapshot, ctx->site.id, gather, &names);
    int rc = names.failed ? CB_ENOMEM : cb_report_fit(ctx);
    if (!rc)
        rc = write_totals(ctx, &names);
    free(names.rows);
    return rc ? CB_REFUSE_INTERNAL : CB_REFUSE_NONE;
}
