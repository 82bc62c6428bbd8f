/* SPDX-License-Identifier: MIT
 * steps.c: GET /v1/sites/{site}/funnel?steps=: any steps, counted from the raw events that the
 * journal has.
 *
 * One JSON object, sent as it is made: its member `progress` grows while events are looked at, then
 * come the steps. Like an export it holds a snapshot for one chunk at a time. The journal is read
 * from a day before the range (a visit that began then is not one of the range) to 8 days behind it
 * (late events). */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "query/report.h"
#include "query/steps.h"

enum {
    CHUNK_EVENTS = 50000,  /* looked at in a turn */
    CHUNK_VISITS = 200000, /* counted in a turn */
    CHUNKS_MAX = 400,      /* also where events are other sites' */
    RUNNING_MAX = 2,       /* at a time, of all threads: each may hold 110 MB */
    STEPS_TEXT_MAX = CB_STEPS_MAX * (CB_NAME_MAX + 1),
};

static const int64_t day_ms = INT64_C(86400000);

static atomic_uint running;

struct funnel {
    struct cb_export base;
    struct cb_reader *reader;
    char site[CB_SITE_MAX + 1], name[CB_SITE_MAX + 16];
    bool csv; /* the steps alone, as a table */
    struct cb_span span;
    char text[STEPS_TEXT_MAX + 1]; /* steps=; the names of spec point into it */
    struct cb_steps_spec spec;
    struct cb_steps *steps;
    struct cb_export_cursor cursor;
    uint64_t begin;
    unsigned chunks;
    uint64_t looked_at;
    bool begun, read; /* the head was written; all events were looked at */
    bool complete;
    uint64_t visits[CB_STEPS_MAX];
    int rc;
};

static void destroy(struct cb_export *export) {
    struct funnel *funnel = (struct funnel *)export;
    cb_steps_destroy(&funnel->steps);
    free(funnel);
    atomic_fetch_sub(&running, 1);
}

/* ---- the answer ---- */

static int write_head(const struct funnel *funnel, struct cb_buf *out) {
    struct cb_json json;
    cb_json_init(&json, out);
    cb_json_object_begin(&json);
    cb_json_key(&json, "site");
    cb_json_str(&json, cb_str_of(funnel->site));
    cb_json_key(&json, "from");
    cb_json_int(&json, funnel->span.from * CB_MINUTE_MS);
    cb_json_key(&json, "to");
    cb_json_int(&json, funnel->span.to * CB_MINUTE_MS);
    cb_json_key(&json, "tz");
    cb_json_str(&json, cb_str_of(funnel->span.tz));
    cb_json_key(&json, "order");
    cb_json_str(&json, cb_str_of(funnel->spec.strict ? "strict" : "ordered"));
    cb_json_key(&json, "progress");
    cb_json_array_begin(&json);
    cb_json_uint(&json, 0);
    return json.err;
}

/* Percent of the journal's stretch that was read. */
static int write_progress(const struct funnel *funnel, struct cb_buf *out) {
    uint64_t all = funnel->base.end >= funnel->begin ? funnel->base.end - funnel->begin + 1 : 1;
    uint64_t done =
        funnel->cursor.position > funnel->begin ? funnel->cursor.position - funnel->begin : 0;
    done = funnel->read || done > all ? all : done;
    return cb_buf_printf(out, ",%u", (unsigned)((double)done * 100 / (double)all));
}

static int write_steps(const struct funnel *funnel, struct cb_buf *out) {
    struct cb_json json;
    int rc = cb_buf_append_str(out, cb_str_of("],\"steps\":"));
    if (rc)
        return rc;
    cb_json_init(&json, out);
    cb_json_array_begin(&json);
    for (unsigned i = 0; i < funnel->spec.n; i++) {
        cb_json_object_begin(&json);
        cb_json_key(&json, "name");
        cb_json_str(&json, funnel->spec.names[i]);
        cb_json_key(&json, "visits");
        cb_json_uint(&json, funnel->visits[i]);
        cb_json_object_end(&json);
    }
    cb_json_array_end(&json);
    if (json.err)
        return json.err;
    return cb_buf_printf(out, ",\"looked_at\":%" PRIu64 ",\"complete\":%s}", funnel->looked_at,
                         funnel->complete ? "true" : "false");
}

/* A table has no place for what was left out but a column. */
static int write_table(const struct funnel *funnel, struct cb_buf *out) {
    int rc = cb_buf_append_str(out, cb_str_of("name,visits,complete\r\n"));
    for (unsigned i = 0; !rc && i < funnel->spec.n; i++) /* names of events begin with a letter */
        rc = cb_buf_printf(out, "%.*s,%" PRIu64 ",%s\r\n", (int)funnel->spec.names[i].len,
                           funnel->spec.names[i].p, funnel->visits[i],
                           funnel->complete ? "true" : "false");
    return rc;
}

/* ---- chunks ---- */

static bool take(void *user, const struct cb_export_row *row) {
    struct funnel *funnel = user;
    funnel->looked_at++;
    if (!row->envelope->has_visitor || row->envelope->bot)
        return true;
    funnel->rc = cb_steps_add(funnel->steps, row->envelope->visitor, row->event, row->true_ms);
    return funnel->rc == 0;
}

static int read_chunk(struct funnel *funnel) {
    const struct cb_str site = cb_str_of(funnel->site);
    struct cb_snapshot *snapshot;
    bool more = false;
    if (cb_snapshot_begin(funnel->reader, &snapshot))
        return CB_EAGAIN;
    int rc = cb_snapshot_export(snapshot, &site, &funnel->cursor, funnel->base.end, CHUNK_EVENTS,
                                take, funnel, &more);
    cb_snapshot_end(&snapshot);
    rc = rc ? rc : funnel->rc;
    bool over = rc == CB_EFULL || (more && ++funnel->chunks >= CHUNKS_MAX);
    funnel->complete &= !over;
    funnel->read = over || !more;
    return rc == CB_EFULL ? 0 : rc;
}

static int next(struct cb_export *export, struct cb_buf *out, bool *more) {
    struct funnel *funnel = (struct funnel *)export;
    int rc = 0;
    if (!funnel->begun && !funnel->csv)
        rc = write_head(funnel, out);
    funnel->begun = true;
    *more = true;
    if (rc)
        return rc;
    if (!funnel->read) {
        rc = read_chunk(funnel);
        return rc || funnel->csv ? rc : write_progress(funnel, out);
    }
    rc = cb_steps_count(funnel->steps, funnel->span.from * CB_MINUTE_MS,
                        funnel->span.to * CB_MINUTE_MS, CHUNK_VISITS, funnel->visits, more);
    return rc || *more ? rc : (funnel->csv ? write_table : write_steps)(funnel, out);
}

static const struct cb_export_ops funnel_ops = {.next = next, .destroy = destroy};

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

/* The stretch of the journal that may have events of the range's visits. */
static int find_stretch(struct cb_report_ctx *ctx, struct funnel *funnel) {
    bool kept;
    uint64_t behind;
    int rc = cb_snapshot_since(ctx->snapshot, funnel->span.from * CB_MINUTE_MS - day_ms,
                               &funnel->begin, &funnel->complete);
    if (!rc)
        rc = cb_snapshot_since(ctx->snapshot, funnel->span.to * CB_MINUTE_MS + 8 * day_ms, &behind,
                               &kept);
    if (!rc) {
        funnel->base.end = behind - 1;
        funnel->cursor = (struct cb_export_cursor){funnel->begin, 0};
    }
    return rc;
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
    if (atomic_fetch_add(&running, 1) >= RUNNING_MAX) {
        atomic_fetch_sub(&running, 1);
        return CB_REFUSE_BUSY;
    }
    struct funnel *funnel = calloc(1, sizeof *funnel);
    if (!funnel) {
        atomic_fetch_sub(&running, 1);
        return CB_REFUSE_INTERNAL;
    }
    funnel->base =
        (struct cb_export){.ops = &funnel_ops, .type = "application/json; charset=utf-8"};
    funnel->reader = ctx->reader;
    funnel->span = ctx->span;
    memcpy(funnel->site, ctx->site_name.p, ctx->site_name.len);
    int rc = read_gap(ctx, &funnel->spec.gap_ms);
    if (!rc)
        rc = parse_steps(ctx, funnel);
    if (!rc)
        rc = parse_order(ctx, &funnel->spec.strict);
    if (!rc)
        rc = find_stretch(ctx, funnel);
    if (!rc)
        rc = cb_steps_create(&funnel->spec, &funnel->steps);
    if (rc) {
        destroy(&funnel->base);
        return cb_report_failed(rc);
    }
    if (ctx->csv) {
        snprintf(funnel->name, sizeof funnel->name, "%s-funnel.csv", funnel->site);
        funnel->base.name = funnel->name;
        funnel->base.type = "text/csv; charset=utf-8; header=present";
        funnel->csv = true;
    }
    ctx->export = &funnel->base;
    return CB_REFUSE_NONE;
}
