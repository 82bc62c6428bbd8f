/* SPDX-License-Identifier: MIT
 * visitors.c: GET /v1/sites/{site}/visitors: the list, last seen first, and the search in it, in
 * order of what was found. One visitor is in visitor.c. */
#include <stdlib.h>

#include "query/reports/visitors.h"

void cb_report_visitor_row(struct cb_json *json, const struct cb_visitor *visitor) {
    char hex[2 * CB_VISITOR_BYTES + 1];
    cb_hex_encode(visitor->visitor, CB_VISITOR_BYTES, hex);
    cb_json_key(json, "visitor");
    cb_json_str(json, cb_str_of(hex));
    for (unsigned i = 0; i < CB_FIELD_COUNT; i++) {
        cb_json_key(json, cb_field_key(i));
        cb_json_str(json, visitor->fields[i]);
    }
    cb_json_key(json, "first_seen");
    cb_json_int(json, visitor->first_seen_ms);
    cb_json_key(json, "last_seen");
    cb_json_int(json, visitor->last_seen_ms);
    cb_json_key(json, "events");
    cb_json_uint(json, visitor->events);
    cb_json_key(json, "sessions");
    cb_json_uint(json, visitor->sessions);
}

struct list {
    struct cb_json *json;
    unsigned rows, limit;
};

static bool take(void *user, const struct cb_visitor *visitor) {
    struct list *list = user;
    cb_json_object_begin(list->json);
    cb_report_visitor_row(list->json, visitor);
    cb_json_object_end(list->json);
    list->rows++;
    return list->rows < list->limit && !list->json->err;
}

int cb_report_limit(struct cb_report_ctx *ctx, unsigned *out) {
    const char *text = cb_params_get(&ctx->params, "limit");
    *out = CB_REPORT_ROWS_DEFAULT;
    if (!text)
        return 0;
    size_t len = strlen(text);
    unsigned value = 0;
    bool good = len >= 1 && len <= 3 && strspn(text, "0123456789") == len;
    for (size_t i = 0; good && i < len; i++)
        value = value * 10 + (unsigned)(text[i] - '0');
    if (!good || value < 1 || value > CB_REPORT_ROWS_MAX)
        return cb_param_refuse(&ctx->error, "limit", "limit is a whole number from 1 to %d",
                               CB_REPORT_ROWS_MAX);
    *out = value;
    return 0;
}

static int refuse_cursor(struct cb_report_ctx *ctx) {
    return cb_param_refuse(&ctx->error, "cursor",
                           "cursor is the \"next\" of another answer to the same question");
}

static void write_next(struct cb_json *json, bool more, const uint8_t *bytes, size_t len) {
    char hex[2 * CB_SEARCH_CURSOR_MAX + 1];
    cb_json_key(json, "next");
    if (more) {
        cb_hex_encode(bytes, len, hex);
        cb_json_str(json, cb_str_of(hex));
    } else {
        cb_json_null(json);
    }
}

static int list_all(struct cb_report_ctx *ctx, struct list *list) {
    const char *text = cb_params_get(&ctx->params, "cursor");
    struct cb_visitor_cursor cursor = {{0}};
    bool more = false;
    if (text && cb_hex_decode(cb_str_of(text), cursor.bytes, sizeof cursor.bytes))
        return refuse_cursor(ctx);
    cb_json_object_begin(list->json);
    cb_json_key(list->json, "rows");
    cb_json_array_begin(list->json);
    int rc =
        cb_snapshot_visitors(ctx->snapshot, ctx->site.id, &cursor, list->limit, take, list, &more);
    cb_json_array_end(list->json);
    write_next(list->json, more, cursor.bytes, sizeof cursor.bytes);
    cb_json_object_end(list->json);
    return rc;
}

static int search(struct cb_report_ctx *ctx, struct list *list, const char *q) {
    const char *text = cb_params_get(&ctx->params, "cursor");
    struct cb_search_cursor cursor = {.len = 0};
    bool more = false;
    if (text) {
        size_t len = strlen(text);
        if (len == 0 || len % 2 || len > 2 * CB_SEARCH_CURSOR_MAX ||
            cb_hex_decode(cb_str_of(text), cursor.bytes, len / 2))
            return refuse_cursor(ctx);
        cursor.len = (uint8_t)(len / 2);
    }
    cb_json_object_begin(list->json);
    cb_json_key(list->json, "rows");
    cb_json_array_begin(list->json);
    int rc = cb_snapshot_search(ctx->snapshot, ctx->site.id, cb_str_of(q), &cursor,
                                CB_REPORT_SCAN_MAX, take, list, &more);
    if (rc == CB_EINVAL)
        return cb_param_refuse(&ctx->error, "q", "q needs a letter or a digit to look for");
    if (rc == CB_EMALFORMED)
        return refuse_cursor(ctx);
    cb_json_array_end(list->json);
    write_next(list->json, more, cursor.bytes, cursor.len);
    cb_json_object_end(list->json);
    return rc;
}

enum cb_refusal cb_report_visitors(struct cb_report_ctx *ctx) {
    const char *q = cb_params_get(&ctx->params, "q");
    struct list list = {.json = &ctx->json};
    int rc = cb_report_limit(ctx, &list.limit);
    if (!rc)
        rc = q && *q ? search(ctx, &list, q) : list_all(ctx, &list);
    return rc ? cb_report_failed(rc) : CB_REFUSE_NONE;
}
