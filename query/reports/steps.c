/* SPDX-License-Identifier: MIT
 * steps.c: GET /v1/sites/{site}/funnel?steps=: any steps, counted from the raw events that the
 * journal has (raw.h). A visit that began in the day before the range is not one of the range. */
#include <inttypes.h>
#include <stdlib.h>

#include "query/raw.h"
#include "query/steps.h"

enum {
    CHUNK_VISITS = 200000, /* counted in a turn */
    STEPS_TEXT_MAX = CB_STEPS_MAX * (CB_NAME_MAX + 1),
};

struct funnel {
    struct cb_raw raw;
    char text[STEPS_TEXT_MAX + 1]; /* steps=; the names of spec point into it */
    struct cb_steps_spec spec;
    struct cb_steps *steps;
    uint64_t visits[CB_STEPS_MAX];
};

static void fini(struct cb_raw *raw) {
    cb_steps_destroy(&((struct funnel *)raw)->steps);
}

/* ---- the answer ---- */

static void write_head(const struct cb_raw *raw, struct cb_json *json) {
    cb_json_key(json, "order");
    cb_json_str(json, cb_str_of(((const struct funnel *)raw)->spec.strict ? "strict" : "ordered"));
}

static void write_steps(const struct cb_raw *raw, struct cb_json *json) {
    const struct funnel *funnel = (const struct funnel *)raw;
    cb_json_key(json, "steps");
    cb_json_array_begin(json);
    for (unsigned i = 0; i < funnel->spec.n; i++) {
        cb_json_object_begin(json);
        cb_json_key(json, "name");
        cb_json_str(json, funnel->spec.names[i]);
        cb_json_key(json, "visits");
        cb_json_uint(json, funnel->visits[i]);
        cb_json_object_end(json);
    }
    cb_json_array_end(json);
}

/* A table has no place for what was left out but a column. */
static int write_table(const struct cb_raw *raw, struct cb_buf *out) {
    const struct funnel *funnel = (const struct funnel *)raw;
    int rc = cb_buf_append_str(out, cb_str_of("name,visits,complete\r\n"));
    for (unsigned i = 0; !rc && i < funnel->spec.n; i++) /* names of events begin with a letter */
        rc = cb_buf_printf(out, "%.*s,%" PRIu64 ",%s\r\n", (int)funnel->spec.names[i].len,
                           funnel->spec.names[i].p, funnel->visits[i],
                           raw->complete ? "true" : "false");
    return rc;
}

/* ---- counting ---- */

static int take(struct cb_raw *raw, const struct cb_export_row *row) {
    if (!row->envelope->has_visitor || row->envelope->bot)
        return 0;
    return cb_steps_add(((struct funnel *)raw)->steps, row->envelope->visitor, row->event,
                        row->true_ms);
}

static int count(struct cb_raw *raw, bool *more) {
    struct funnel *funnel = (struct funnel *)raw;
    return cb_steps_count(funnel->steps, raw->span.from * CB_MINUTE_MS, raw->span.to * CB_MINUTE_MS,
                          CHUNK_VISITS, funnel->visits, more);
}

static const struct cb_raw_ops funnel_ops = {.head = write_head,
                                             .take = take,
                                             .count = count,
                                             .tail = write_steps,
                                             .table = write_table,
                                             .fini = fini};

/* ---- parameters ---- */

static int parse_steps(struct cb_report_ctx *ctx, struct funnel *funnel) {
    const char *text = cb_params_get(&ctx->params, "steps");
    size_t len = text ? strlen(text) : 0;
    if (len > STEPS_TEXT_MAX)
        return cb_param_refuse(&ctx->error, "steps", "steps is 2 to 8 names of events");
    memcpy(funnel->text, text, len);
    for (const char *at = funnel->text;;) {
        struct cb_str name = {at, strcspn(at, ",")};
        if (funnel->spec.n == CB_STEPS_MAX || !cb_event_name_valid(name))
            return cb_param_refuse(&ctx->error, "steps",
                                   "steps is 2 to 8 names of events, with commas between them");
        funnel->spec.names[funnel->spec.n++] = name;
        at += name.len;
        if (*at++ == '\0')
            break;
    }
    if (funnel->spec.n < CB_STEPS_MIN)
        return cb_param_refuse(&ctx->error, "steps", "steps is 2 to 8 names of events");
    return 0;
}

static int parse_order(struct cb_report_ctx *ctx, bool *strict) {
    const char *text = cb_params_get(&ctx->params, "order");
    *strict = text && !strcmp(text, "strict");
    if (text && !*strict && strcmp(text, "ordered") != 0)
        return cb_param_refuse(&ctx->error, "order", "order is ordered or strict");
    return 0;
}

/* As the site is set now: the fold goes by what was set when an event came. */
static int read_gap(struct cb_report_ctx *ctx, int64_t *gap_ms) {
    struct cb_settings settings;
    int rc = cb_snapshot_settings(ctx->snapshot, ctx->site.id, &settings, NULL);
    if (!rc)
        *gap_ms = (int64_t)settings.idle_minutes * 60000;
    return rc;
}

enum cb_refusal cb_report_steps(struct cb_report_ctx *ctx) {
    struct cb_raw *raw;
    enum cb_refusal refusal = cb_raw_create(ctx, &funnel_ops, sizeof(struct funnel), &raw);
    if (refusal)
        return refusal;
    struct funnel *funnel = (struct funnel *)raw;
    int rc = read_gap(ctx, &funnel->spec.gap_ms);
    if (!rc)
        rc = parse_steps(ctx, funnel);
    if (!rc)
        rc = parse_order(ctx, &funnel->spec.strict);
    if (!rc)
        rc = cb_steps_create(&funnel->spec, &funnel->steps);
    if (!rc)
        rc = cb_raw_start(ctx, "funnel", &raw);
    if (rc)
        cb_raw_destroy(&raw);
    return rc ? cb_report_failed(rc) : CB_REFUSE_NONE;
}
