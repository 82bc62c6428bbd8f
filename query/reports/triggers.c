/* SPDX-License-Identifier: MIT
 * triggers.c: GET /v1/sites/{site}/triggers: what became of the visits in which each trigger was
 * shown, and of those without one. */
#include <stdio.h>
#include <stdlib.h>

#include "query/report.h"

static const unsigned within_s[CB_WITHIN_COUNT] = CB_WITHIN_S;

/* The seconds that opened_within counts to, as an index; 60 if it was not given. */
static int parse_within(struct cb_report_ctx *ctx, unsigned *out) {
    const char *text = cb_params_get(&ctx->params, "within");
    char known[8];
    for (unsigned i = 0; i < CB_WITHIN_COUNT; i++) {
        snprintf(known, sizeof known, "%u", within_s[i]);
        if (!strcmp(text ? text : "60", known)) {
            *out = i;
            return 0;
        }
    }
    return cb_param_refuse(&ctx->error, "within", "within is 10, 30, 60, 120 or 300 (seconds)");
}

static void write_outcomes(struct cb_json *json, const char *visits_key,
                           const struct cb_trigger_sums *sums, unsigned within) {
    const struct {
        const char *key;
        unsigned outcome;
    } outcomes[] = {{visits_key, CB_OUTCOME_VISITS},
                    {"opened", CB_OUTCOME_OPENED},
                    {"opened_within", CB_OUTCOME_WITHIN + within},
                    {"wrote", CB_OUTCOME_WROTE},
                    {"closed", CB_OUTCOME_CLOSED}};
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        cb_json_key(json, outcomes[i].key);
        cb_json_uint(json, sums->outcomes[outcomes[i].outcome]);
    }
}

/* Most shown first, ties by id; what has no number of its own last. */
static int compare(const void *a, const void *b) {
    const struct cb_trigger_sums *left = a, *right = b;
    bool other = left->number == CB_TRIGGER_OTHER;
    if (other != (right->number == CB_TRIGGER_OTHER))
        return other ? 1 : -1;
    uint64_t more = left->outcomes[CB_OUTCOME_VISITS], less = right->outcomes[CB_OUTCOME_VISITS];
    if (more != less)
        return more > less ? -1 : 1;
    size_t len = left->id.len < right->id.len ? left->id.len : right->id.len;
    int order = len > 0 ? memcmp(left->id.p, right->id.p, len) : 0;
    return order ? order : (left->id.len > right->id.len) - (left->id.len < right->id.len);
}

static void write_triggers(struct cb_report_ctx *ctx, const struct cb_trigger_sums *rows, size_t n,
                           unsigned within) {
    struct cb_json *json = &ctx->json;
    for (size_t i = 0; i < n; i++) {
        bool other = rows[i].number == CB_TRIGGER_OTHER;
        cb_json_object_begin(json);
        cb_json_key(json, "id");
        cb_json_str(json, other ? cb_str_of("(other)") : rows[i].id);
        cb_json_key(json, "name");
        cb_json_str(json, rows[i].name);
        write_outcomes(json, "shown", &rows[i], within);
        cb_json_object_end(json);
    }
}

enum cb_refusal cb_report_triggers(struct cb_report_ctx *ctx) {
    static const struct cb_trigger_sums none = {.number = CB_TRIGGER_NONE};
    struct cb_json *json = &ctx->json;
    struct cb_trigger_sums *sums;
    size_t n;
    unsigned within = 0;
    int rc = parse_within(ctx, &within);
    if (rc)
        return cb_report_failed(rc);
    cb_report_quarters(ctx);
    if (cb_snapshot_triggers(ctx->snapshot, ctx->site.id, ctx->span.from, ctx->span.to, &sums, &n))
        return CB_REFUSE_INTERNAL;
    size_t without = n > 0 && sums[0].number == CB_TRIGGER_NONE;
    if (n > without)
        qsort(sums + without, n - without, sizeof *sums, compare);
    cb_json_object_begin(json);
    cb_report_range(ctx);
    cb_json_key(json, "within_s");
    cb_json_uint(json, within_s[within]);
    cb_json_key(json, "triggers");
    cb_json_array_begin(json);
    write_triggers(ctx, sums + without, n - without, within);
    cb_json_array_end(json);
    cb_json_key(json, "without");
    cb_json_object_begin(json);
    write_outcomes(json, "visits", without ? sums : &none, within);
    cb_json_object_end(json);
    cb_json_object_end(json);
    free(sums);
    return CB_REFUSE_NONE;
}
