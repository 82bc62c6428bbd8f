/* SPDX-License-Identifier: MIT */
#include "query/raw.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "query/csv.h"

enum {
    CHUNK_EVENTS = 50000, /* looked at in a turn */
    CHUNKS_MAX = 400,     /* also where events are other sites' */
    RUNNING_MAX = 2,      /* at a time, of all threads */
};

static const int64_t day_ms = INT64_C(86400000);

static atomic_uint running;

static void destroy(struct cb_export *export) {
    struct cb_raw *raw = (struct cb_raw *)export;
    raw->ops->fini(raw);
    free(raw);
    atomic_fetch_sub(&running, 1);
}

/* ---- the answer ---- */

static void write_head(const struct cb_raw *raw, struct cb_json *json) {
    cb_json_object_begin(json);
    cb_json_key(json, "site");
    cb_json_str(json, cb_str_of(raw->site));
    cb_json_key(json, "from");
    cb_json_int(json, raw->span.from * CB_MINUTE_MS);
    cb_json_key(json, "to");
    cb_json_int(json, raw->span.to * CB_MINUTE_MS);
    cb_json_key(json, "tz");
    cb_json_str(json, cb_str_of(raw->span.tz));
    if (raw->ops->head)
        raw->ops->head(raw, json);
}

static int begin_progress(const struct cb_raw *raw, struct cb_buf *out) {
    struct cb_json json;
    cb_json_init(&json, out);
    write_head(raw, &json);
    cb_json_key(&json, "progress");
    cb_json_array_begin(&json);
    cb_json_uint(&json, 0);
    return json.err;
}

/* Percent of the journal's stretch that was read. */
static int write_progress(const struct cb_raw *raw, struct cb_buf *out) {
    uint64_t all = raw->base.end >= raw->begin ? raw->base.end - raw->begin + 1 : 1;
    uint64_t done = raw->cursor.position > raw->begin ? raw->cursor.position - raw->begin : 0;
    done = raw->read || done > all ? all : done;
    return cb_buf_printf(out, ",%u", (unsigned)((double)done * 100 / (double)all));
}

static void write_tail(const struct cb_raw *raw, struct cb_json *json) {
    raw->ops->tail(raw, json);
    cb_json_key(json, "looked_at");
    cb_json_uint(json, raw->looked_at);
    cb_json_key(json, "complete");
    cb_json_bool(json, raw->complete);
    cb_json_object_end(json);
}

static int end_json(const struct cb_raw *raw, struct cb_buf *out) {
    struct cb_json json;
    int rc = cb_buf_append_str(out, CB_STR("]"));
    cb_json_init(&json, out);
    json.comma = true; /* the array stands before it */
    json.err = rc;
    write_tail(raw, &json);
    return json.err;
}

static int write_table(const struct cb_raw *raw, struct cb_buf *out) {
    struct cb_buf text;
    struct cb_json json;
    if (raw->ops->table)
        return raw->ops->table(raw, out);
    cb_buf_init(&text, CB_EXPORT_CHUNK_BYTES_MAX);
    cb_json_init(&json, &text);
    write_head(raw, &json);
    write_tail(raw, &json);
    int rc = json.err;
    if (!rc)
        rc = cb_csv_write((struct cb_str){text.data, text.len}, raw->ops->rows, out);
    cb_buf_fini(&text);
    return rc;
}

/* ---- chunks ---- */

static bool take(void *user, const struct cb_export_row *row) {
    struct cb_raw *raw = user;
    if (!cb_row_seen(&raw->rights, row)) { /* older than the site lets be seen */
        raw->complete = false;
        return true;
    }
    raw->looked_at++;
    raw->rc = raw->ops->take(raw, row);
    return raw->rc == 0;
}

static int read_chunk(struct cb_raw *raw) {
    const struct cb_str site = cb_str_of(raw->site);
    struct cb_snapshot *snapshot;
    bool more = false;
    if (cb_snapshot_begin(raw->reader, &snapshot))
        return CB_EAGAIN;
    int rc = cb_snapshot_export(snapshot, &site, &raw->cursor, raw->base.end, CHUNK_EVENTS, take,
                                raw, &more);
    cb_snapshot_end(&snapshot);
    rc = rc ? rc : raw->rc;
    bool over = rc == CB_EFULL || (more && ++raw->chunks >= CHUNKS_MAX);
    raw->complete &= !over;
    raw->read = over || !more;
    return rc == CB_EFULL ? 0 : rc;
}

static int next(struct cb_export *export, struct cb_buf *out, bool *more) {
    struct cb_raw *raw = (struct cb_raw *)export;
    int rc = 0;
    if (!raw->begun && !raw->csv)
        rc = begin_progress(raw, out);
    raw->begun = true;
    *more = true;
    if (rc)
        return rc;
    if (!raw->read) {
        rc = read_chunk(raw);
        return rc || raw->csv ? rc : write_progress(raw, out);
    }
    *more = false;
    rc = raw->ops->count ? raw->ops->count(raw, more) : 0;
    return rc || *more ? rc : (raw->csv ? write_table : end_json)(raw, out);
}

static const struct cb_export_ops export_ops = {.next = next, .destroy = destroy};

/* ---- set-up ---- */

enum cb_refusal cb_raw_create(struct cb_report_ctx *ctx, const struct cb_raw_ops *ops, size_t size,
                              struct cb_raw **out) {
    if (atomic_fetch_add(&running, 1) >= RUNNING_MAX) {
        atomic_fetch_sub(&running, 1);
        return CB_REFUSE_BUSY;
    }
    struct cb_raw *raw = calloc(1, size);
    if (!raw) {
        atomic_fetch_sub(&running, 1);
        return CB_REFUSE_INTERNAL;
    }
    raw->base = (struct cb_export){.ops = &export_ops, .type = "application/json; charset=utf-8"};
    raw->ops = ops;
    raw->reader = ctx->reader;
    raw->span = ctx->span;
    memcpy(raw->site, ctx->site_name.p, ctx->site_name.len);
    *out = raw;
    return CB_REFUSE_NONE;
}

void cb_raw_destroy(struct cb_raw **raw) {
    destroy(&(*raw)->base);
    *raw = NULL;
}

/* The stretch of the journal that may have events of the range. */
static int find_stretch(struct cb_report_ctx *ctx, struct cb_raw *raw) {
    bool kept;
    uint64_t behind;
    int rc = cb_snapshot_since(ctx->snapshot, raw->span.from * CB_MINUTE_MS - day_ms, &raw->begin,
                               &raw->complete);
    if (!rc)
        rc = cb_snapshot_since(ctx->snapshot, raw->span.to * CB_MINUTE_MS + 8 * day_ms, &behind,
                               &kept);
    if (!rc) {
        raw->base.end = behind - 1;
        raw->cursor = (struct cb_export_cursor){raw->begin, 0};
    }
    return rc;
}

int cb_raw_start(struct cb_report_ctx *ctx, const char *file, struct cb_raw **raw) {
    int rc =
        cb_row_rights_read(ctx->snapshot, &ctx->token, ctx->site.id, ctx->now_ms, &(*raw)->rights);
    if (!rc)
        rc = find_stretch(ctx, *raw);
    if (rc)
        return rc;
    if (ctx->csv) {
        snprintf((*raw)->file, sizeof(*raw)->file, "%s-%s.csv", (*raw)->site, file);
        (*raw)->base.name = (*raw)->file;
        (*raw)->base.type = "text/csv; charset=utf-8; header=present";
        (*raw)->csv = true;
    }
    ctx->export = &(*raw)->base;
    *raw = NULL;
    return 0;
}
