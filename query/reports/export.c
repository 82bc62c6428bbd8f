/* SPDX-License-Identifier: MIT
 * export.c: GET /v1/sites/{site}/export: the site's counted events, each once, in journal order, as
 * NDJSON or CSV.
 *
 * An export outlives its request's turn: it keeps copies only, opens a snapshot for each chunk and
 * closes it again, and ends at the position that the views held when it began, so it ends although
 * events pour in. */
#include <inttypes.h>
#include <stdlib.h>

#include "proto/pack.h"
#include "query/report.h"

enum {
    CHUNK_BYTES = 128 * 1024, /* a chunk ends behind the row that passes this … */
    CHUNK_EVENTS = 4000,      /* … or when this many events were looked at */
    ROW_BYTES_MAX = CB_EXPORT_CHUNK_BYTES_MAX - CHUNK_BYTES,
};

struct rows {
    struct cb_export base;
    struct cb_reader *reader;
    char site[CB_SITE_MAX + 1];
    bool csv;
    bool producers; /* the token may see them */
    bool personal;  /* … and what visitors typed: else no value of set, no props of message */
    bool titled;    /* csv: the header line was written */
    struct cb_export_cursor cursor;
    uint64_t left;          /* rows */
    int64_t from_ms, to_ms; /* of `at`, [from, to) */
};

/* ---- rows ---- */

static void json_hex(struct cb_json *json, const char *key, const uint8_t *bytes, size_t len) {
    char hex[2 * CB_VISITOR_BYTES + 1];
    cb_hex_encode(bytes, len, hex);
    cb_json_key(json, key);
    cb_json_str(json, cb_str_of(hex));
}

/* A message's props are what a visitor typed. */
static struct cb_str props_of(const struct rows *export, const struct cb_event *event) {
    return event->name_code == CB_NAME_MESSAGE && !export->personal ? (struct cb_str){NULL, 0}
                                                                    : event->props;
}

static int write_ndjson(const struct rows *export, const struct cb_export_row *row,
                        struct cb_buf *out) {
    const struct cb_envelope *envelope = row->envelope;
    const struct cb_event *event = row->event;
    struct cb_json json;
    cb_json_init(&json, out);
    cb_json_object_begin(&json);
    cb_json_key(&json, "position");
    cb_json_uint(&json, row->position);
    cb_json_key(&json, "index");
    cb_json_uint(&json, row->index);
    cb_json_key(&json, "received");
    cb_json_int(&json, envelope->received_ms);
    cb_json_key(&json, "at");
    cb_json_int(&json, row->true_ms);
    cb_json_key(&json, "site");
    cb_json_str(&json, envelope->site);
    if (envelope->has_visitor) {
        json_hex(&json, "visitor", envelope->visitor, CB_VISITOR_BYTES);
    } else {
        cb_json_key(&json, "visitor");
        cb_json_null(&json);
    }
    if (export->producers)
        json_hex(&json, "producer", envelope->producer, CB_PRODUCER_BYTES);
    cb_json_key(&json, "seq");
    cb_json_uint(&json, event->seq);
    cb_json_key(&json, "name");
    cb_json_str(&json, event->name);
    cb_json_key(&json, "page");
    if (event->page.len > 0)
        cb_json_str(&json, event->page);
    else
        cb_json_null(&json);
    if (event->name_code == CB_NAME_SET || event->name_code == CB_NAME_GET) {
        cb_json_key(&json, "key");
        cb_json_str(&json, event->key);
    }
    if (event->name_code == CB_NAME_SET && export->personal) {
        cb_json_key(&json, "value");
        cb_json_str(&json, event->value);
    }
    cb_json_key(&json, "props");
    if (!json.err)
        json.err = cb_props_json(out, props_of(export, event));
    cb_json_object_end(&json);
    return json.err ? json.err : cb_buf_append(out, "\n", 1);
}

/* A text cell, with the comma before it. Where a spreadsheet would take the text for a formula, a
 * single quote is put before it; also before a single quote, so that taking away the first one
 * gives the text back in every case. The rest is RFC 4180. */
static int csv_cell(struct cb_buf *out, struct cb_str text) {
    static const char led[] = "=+-@\t\r\n'";
    static const char quoted[] = "\",\r\n";
    bool quotes = false;
    for (size_t i = 0; i < text.len && !quotes; i++)
        quotes = memchr(quoted, text.p[i], sizeof quoted - 1) != NULL;
    int rc = cb_buf_reserve(out, 2 * text.len + 4);
    if (rc)
        return rc;
    char *to = out->data + out->len;
    *to++ = ',';
    if (quotes)
        *to++ = '"';
    if (text.len > 0 && memchr(led, text.p[0], sizeof led - 1))
        *to++ = '\'';
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == '"')
            *to++ = '"';
        *to++ = text.p[i];
    }
    if (quotes)
        *to++ = '"';
    out->len = (size_t)(to - out->data);
    return 0;
}

static int csv_props(struct cb_buf *out, struct cb_str props) {
    struct cb_buf json;
    cb_buf_init(&json, ROW_BYTES_MAX);
    int rc = cb_props_json(&json, props);
    if (!rc)
        rc = csv_cell(out, (struct cb_str){json.data, json.len});
    cb_buf_fini(&json);
    return rc;
}

static int write_csv(const struct rows *export, const struct cb_export_row *row,
                     struct cb_buf *out) {
    const struct cb_envelope *envelope = row->envelope;
    const struct cb_event *event = row->event;
    char visitor[2 * CB_VISITOR_BYTES + 1] = "", producer[2 * CB_PRODUCER_BYTES + 1] = "";
    if (envelope->has_visitor)
        cb_hex_encode(envelope->visitor, CB_VISITOR_BYTES, visitor);
    if (export->producers)
        cb_hex_encode(envelope->producer, CB_PRODUCER_BYTES, producer);
    int rc = cb_buf_printf(out, "%" PRIu64 ",%" PRIu32 ",%" PRId64 ",%" PRId64, row->position,
                           row->index, envelope->received_ms, row->true_ms);
    if (!rc)
        rc = csv_cell(out, envelope->site);
    if (!rc)
        rc = cb_buf_printf(out, ",%s,%s,%" PRIu64, visitor, producer, event->seq);
    if (!rc)
        rc = csv_cell(out, event->name);
    if (!rc)
        rc = csv_cell(out, event->page);
    if (!rc)
        rc = csv_cell(out, event->key);
    if (!rc)
        rc = csv_cell(out, export->personal ? event->value : (struct cb_str){NULL, 0});
    if (!rc)
        rc = csv_props(out, props_of(export, event));
    return rc ? rc : cb_buf_append(out, "\r\n", 2);
}

/* ---- chunks ---- */

struct chunk {
    struct rows *export;
    struct cb_buf *out;
    int rc;
};

static bool take(void *user, const struct cb_export_row *row) {
    struct chunk *chunk = user;
    struct rows *export = chunk->export;
    if (row->true_ms < export->from_ms || row->true_ms >= export->to_ms)
        return true;
    chunk->rc = (export->csv ? write_csv : write_ndjson)(export, row, chunk->out);
    if (chunk->rc)
        return false;
    export->left--;
    return export->left > 0 && chunk->out->len < CHUNK_BYTES;
}

static int next(struct cb_export *base, struct cb_buf *out, bool *more) {
    struct rows *export = (struct rows *)base;
    static const struct cb_str titles =
        CB_STR("position,index,received,at,site,visitor,producer,seq,name,page,key,value,props"
               "\r\n");
    const struct cb_str site = cb_str_of(export->site);
    struct chunk chunk = {.export = export, .out = out};
    struct cb_snapshot *snapshot;
    if (cb_snapshot_begin(export->reader, &snapshot))
        return CB_EAGAIN;
    int rc = 0;
    if (export->csv && !export->titled)
        rc = cb_buf_append_str(out, titles);
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

/* A decimal number at *at, which is moved behind it. */
static bool take_number(const char **at, uint64_t max, uint64_t *out) {
    const char *digit = *at;
    uint64_t value = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        unsigned n = (unsigned)(*digit - '0');
        if (value > (max - n) / 10)
            return false;
        value = value * 10 + n;
    }
    bool some = digit > *at;
    *at = digit;
    *out = value;
    return some;
}

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
    uint64_t position, index;
    *out = (struct cb_export_cursor){0, 0};
    if (!at)
        return 0;
    if (!take_number(&at, UINT64_MAX, &position) || position == 0 || *at++ != '-' ||
        !take_number(&at, UINT32_MAX - 1, &index) || *at != '\0')
        return cb_param_refuse(&ctx->error, "cursor",
                               "cursor is POSITION-INDEX of the last row that you have");
    *out = (struct cb_export_cursor){position, (uint32_t)index + 1};
    return 0;
}

static int parse_end(struct cb_report_ctx *ctx, uint64_t *out) {
    const char *at = cb_params_get(&ctx->params, "until");
    uint64_t position = cb_snapshot_position(ctx->snapshot), until = UINT64_MAX;
    if (at && (!take_number(&at, UINT64_MAX, &until) || *at != '\0'))
        return cb_param_refuse(&ctx->error, "until", "until is the X-Export-End of another export");
    *out = until < position ? until : position;
    return 0;
}

static int parse_limit(struct cb_report_ctx *ctx, uint64_t *out) {
    const char *at = cb_params_get(&ctx->params, "limit");
    *out = UINT64_MAX;
    if (at && (!take_number(&at, CB_SEQ_MAX, out) || *at != '\0' || *out == 0))
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
    export->producers = ctx->token.role >= CB_ROLE_ADMIN;
    export->personal = ctx->token.role >= CB_ROLE_OPERATOR;
    memcpy(export->site, ctx->site_name.p, ctx->site_name.len);
    int rc = parse_format(ctx, &export->csv);
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
    export->base.ops = &rows_ops;
    export->base.type =
        export->csv ? "text/csv; charset=utf-8; header=present" : "application/x-ndjson";
    ctx->export = &export->base;
    return CB_REFUSE_NONE;
}
