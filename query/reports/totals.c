/* SPDX-License-Identifier: MIT
 * totals.c: GET /v1/sites/{site}/totals: how often each event happened in a range, and how many
 * different visitors and how many sessions there were. */
#include <stdlib.h>

#include "query/report.h"

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

static int write_events(struct cb_report_ctx *ctx, const struct names *names) {
    const int64_t bounds[] = {ctx->span.from, ctx->span.to};
    cb_json_key(&ctx->json, "events");
    cb_json_object_begin(&ctx->json);
    for (size_t i = 0; i < names->n; i++) {
        uint64_t events;
        int rc = cb_snapshot_series(ctx->snapshot, ctx->site.id, names->rows[i].id, bounds, 1,
                                    &events, NULL);
        if (rc)
            return rc;
        if (events == 0)
            continue;
        cb_json_key_str(&ctx->json, names->rows[i].text);
        cb_json_uint(&ctx->json, events);
    }
    cb_json_object_end(&ctx->json);
    return 0;
}

static int write_totals(struct cb_report_ctx *ctx, const struct names *names) {
    const int64_t bounds[] = {ctx->span.from, ctx->span.to};
    struct cb_json *json = &ctx->json;
    uint64_t events, visitors, sessions;
    int rc = cb_snapshot_series(ctx->snapshot, ctx->site.id, CB_NAME_ID_ALL, bounds, 1, &events,
                                &visitors);
    if (!rc)
        rc = cb_snapshot_series(ctx->snapshot, ctx->site.id, CB_NAME_ID_SESSIONS, bounds, 1,
                                &sessions, NULL);
    if (rc)
        return rc;

    cb_json_object_begin(json);
    cb_json_key(json, "site");
    cb_json_str(json, ctx->site_name);
    cb_json_key(json, "from");
    cb_json_int(json, ctx->span.from * CB_MINUTE_MS);
    cb_json_key(json, "to");
    cb_json_int(json, ctx->span.to * CB_MINUTE_MS);
    cb_json_key(json, "tz");
    cb_json_str(json, cb_str_of(ctx->span.tz));
    rc = write_events(ctx, names);
    cb_json_key(json, "visitors");
    cb_json_uint(json, visitors);
    cb_json_key(json, "sessions");
    cb_json_uint(json, sessions);
    if (names->cut) {
        cb_json_key(json, "lower_bound"); /* names are missing */
        cb_json_bool(json, true);
    }
    cb_json_object_end(json);
    return rc;
}

enum cb_refusal cb_report_totals(struct cb_report_ctx *ctx) {
    struct names names = {0};
    if (cb_params_get(&ctx->params, "filter"))
        return cb_report_filtered_totals(ctx);
    cb_snapshot_names(ctx->snapshot, ctx->site.id, gather, &names);
    int rc = names.failed ? CB_ENOMEM : write_totals(ctx, &names);
    free(names.rows);
    return rc ? CB_REFUSE_INTERNAL : CB_REFUSE_NONE;
}
