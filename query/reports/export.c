/* SPDX-License-Identifier: MIT
 * export.c: GET /v1/sites/{site}/export: the site's counted events, each once, in journal order, as
 * NDJSON or CSV. It begins with the oldest that is kept and that the site's raw_days let be seen.
 *
 * An export outlives its request's turn: it keeps copies only, opens a snapshot for each chunk and
 * closes it again, and ends at the position that the views held when it began, so it ends although
 * events pour in. */
#include <stdio.h>
#include <stdlib.h>

#include "query/report.h"
#include "query/rows.h"

enum {
    CHUNK_BYTES = 128 * 1024, /* a chunk ends behind the row that passes this … */
    CHUNK_EVENTS = 4000,      /* … or when this many events were looked at */
};

struct rows {
    struct cb_export base;
    struct cb_reader *reader;
    char site[CB_SITE_MAX + 1], name[CB_SITE_MAX + 16];
    bool csv;
    bool titled; /* csv: the header line was written */
    struct cb_row_rights rights;
    struct cb_export_cursor cursor;
    bool resumes;           /* … and no row behind it was looked at yet */
    uint64_t left;          /* rows */
    int64_t from_ms, to_ms; /* of `at`, [from, to) */
};

/* ---- chunks ---- */

struct chunk {
    struct rows *export;
    struct cb_buf *out;
    int rc;
};

static bool take(void *user, const struct cb_export_row *row) {
    struct chunk *chunk = user;
    struct rows *export = chunk->export;
    if (!cb_row_seen(&export->rights, row)) {
        /* As where the journal was trimmed: a client that wants it is told that it is late. */
        chunk->rc = export->resumes ? CB_EGONE : 0;
        return !chunk->rc;
    }
    export->resumes = false;
    if (row->true_ms < export->from_ms || row->true_ms >= export->to_ms)
        return true;
    if (export->csv)
        chunk->rc = cb_row_csv(row, export->rights, chunk->out);
    else if (!(chunk->rc = cb_row_json(row, export->rights, chunk->out)))
        chunk->rc = cb_buf_append(chunk->out, "\n", 1);
    if (chunk->rc)
        return false;
    export->left--;
    return export->left > 0 && chunk->out->len < CHUNK_BYTES;
}

static int next(struct cb_export *base, struct cb_buf *out, bool *more) {
    struct rows *export = (struct rows *)base;
    const struct cb_str site = cb_str_of(export->site);
    struct chunk chunk = {.export = export, .out = out};
    struct cb_snapshot *snapshot;
    if (cb_snapshot_begin(export->reader, &snapshot))
        return CB_EAGAIN;
    int rc = 0;
    if (export->csv && !export->titled)
        rc = cb_buf_append_str(out, cb_row_csv_titles);
    export->titled = true;
    if (!rc)
        rc = cb_snapshot_export(snapshot, &site, &export->cursor, export->base.end, CHUNK_EVENTS,
                                take, &chunk, more);
    cb_snapshot_end(&snapshot);
    if (!rc)
        rc = chunk.rc;
    *more = *more && export->left > 0;
    return rc;
}

static void destroy(struct cb_export *base) {
    free(base);
}

static const struct cb_export_ops rows_ops = {.next = next, .destroy = destroy};

/* ---- parameters ---- */

static int parse_format(struct cb_report_ctx *ctx, bool *csv) {
    const char *text = cb_params_get(&ctx->params, "format");
    *csv = text && !strcmp(text, "csv");
    if (text && !*csv && strcmp(text, "ndjson") != 0)
        return cb_param_refuse(&ctx->error, "format", "format is ndjson or csv");
    return 0;
}

/* The cursor names the last row that the client has: the next one is wanted. */
static int parse_cursor(struct cb_report_ctx *ctx, struct cb_export_cursor *out) {
    const char *at = cb_params_get(&ctx->params, "cursor");
    *out = (struct cb_export_cursor){0, 0};
    if (at && cb_cursor_parse(at, out))
        return cb_param_refuse(&ctx->error, "cursor",
                               "cursor is POSITION-INDEX of the last row that you have");
    return 0;
}

static int parse_end(struct cb_report_ctx *ctx, uint64_t *out) {
    const char *at = cb_params_get(&ctx->params, "until");
    uint64_t position = cb_snapshot_position(ctx->snapshot), until = UINT64_MAX;
    if (at && (!cb_number_take(&at, UINT64_MAX, &until) || *at != '\0'))
        return cb_param_refuse(&ctx->error, "until", "until is the X-Export-End of another export");
    *out = until < position ? until : position;
    return 0;
}

static int parse_limit(struct cb_report_ctx *ctx, uint64_t *out) {
    const char *at = cb_params_get(&ctx->params, "limit");
    *out = UINT64_MAX;
    if (at && (!cb_number_take(&at, CB_SEQ_MAX, out) || *at != '\0' || *out == 0))
        return cb_param_refuse(&ctx->error, "limit", "limit is a whole number from 1 to 2^53-1");
    return 0;
}

/* Unlike in a report, a bound that is not given is none: an export leaves nothing out unasked. */
static int parse_times(struct cb_report_ctx *ctx, struct rows *export) {
    export->from_ms = INT64_MIN;
    export->to_ms = INT64_MAX;
    int rc = cb_span_parse(&ctx->params, ctx->now_ms, &ctx->span, &ctx->error);
    if (!rc && cb_params_get(&ctx->params, "from"))
        export->from_ms = ctx->span.from * CB_MINUTE_MS;
    if (!rc && cb_params_get(&ctx->params, "to"))
        export->to_ms = ctx->span.to * CB_MINUTE_MS;
    return rc;
}

enum cb_refusal cb_report_export(struct cb_report_ctx *ctx) {
    struct rows *export = calloc(1, sizeof *export);
    if (!export)
        return CB_REFUSE_INTERNAL;
    export->reader = ctx->reader;
    memcpy(export->site, ctx->site_name.p, ctx->site_name.len);
    int rc =
        cb_row_rights_read(ctx->snapshot, &ctx->token, ctx->site.id, ctx->now_ms, &export->rights);
    if (!rc)
        rc = parse_format(ctx, &export->csv);
    if (!rc)
        rc = parse_cursor(ctx, &export->cursor);
    if (!rc)
        rc = parse_end(ctx, &export->base.end);
    if (!rc)
        rc = parse_limit(ctx, &export->left);
    if (!rc)
        rc = parse_times(ctx, export);
    if (rc) {
        free(export);
        return cb_report_failed(rc);
    }
    export->resumes = export->cursor.position > 0;
    export->base.ops = &rows_ops;
    export->base.type =
        export->csv ? "text/csv; charset=utf-8; header=present" : "application/x-ndjson";
    if (export->csv) {
        snprintf(export->name, sizeof export->name, "%s-events.csv", export->site);
        export->base.name = export->name;
    }
    ctx->export = &export->base;
    return CB_REFUSE_NONE;
}
