/* SPDX-License-Identifier: MIT
 * visitors.c: GET /v1/sites/{site}/visitors (the list, last seen first, and the search in it) and
 * …/visitors/{visitor}.
 *
 * A search looks at a bounded number of visitors and of bytes a request; past that it answers with
 * what it found and a cursor, so few or no rows with a "next" do not mean the end. */
#include <stdlib.h>

#include "query/report.h"
#include "query/search.h"

static void write_row(struct cb_json *json, const struct cb_visitor *visitor) {
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
    struct cb_search *search; /* NULL: all */
    unsigned rows, limit;
    size_t bytes; /* searched */
};

static bool matches(struct list *list, const struct cb_visitor *visitor) {
    char hex[2 * CB_VISITOR_BYTES + 1];
    if (!list->search)
        return true;
    cb_hex_encode(visitor->visitor, CB_VISITOR_BYTES, hex);
    if (cb_search_begins(list->search, hex))
        return true;
    for (unsigned i = 0; i < CB_FIELD_COUNT; i++) {
        list->bytes += visitor->fields[i].len;
        if (cb_search_in(list->search, visitor->fields[i]))
            return true;
    }
    return false;
}

static bool take(void *user, const struct cb_visitor *visitor) {
    struct list *list = user;
    if (matches(list, visitor)) {
        cb_json_object_begin(list->json);
        write_row(list->json, visitor);
        cb_json_object_end(list->json);
        list->rows++;
    }
    return list->rows < list->limit && list->bytes < CB_REPORT_SCAN_BYTES && !list->json->err;
}

static int parse_limit(struct cb_report_ctx *ctx, unsigned *out) {
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

static int parse_cursor(struct cb_report_ctx *ctx, struct cb_visitor_cursor *out) {
    const char *text = cb_params_get(&ctx->params, "cursor");
    *out = (struct cb_visitor_cursor){{0}};
    if (text && cb_hex_decode(cb_str_of(text), out->bytes, sizeof out->bytes))
        return cb_param_refuse(&ctx->error, "cursor", "cursor is the \"next\" of another answer");
    return 0;
}

static int write_list(struct cb_report_ctx *ctx, struct list *list,
                      struct cb_visitor_cursor *cursor) {
    uint32_t scan_max = list->search ? CB_REPORT_SCAN_MAX : list->limit;
    char hex[2 * sizeof cursor->bytes + 1];
    bool more = false;
    cb_json_object_begin(list->json);
    cb_json_key(list->json, "rows");
    cb_json_array_begin(list->json);
    int rc = cb_snapshot_visitors(ctx->snapshot, ctx->site.id, cursor, scan_max, take, list, &more);
    cb_json_array_end(list->json);
    cb_json_key(list->json, "next");
    if (more) {
        cb_hex_encode(cursor->bytes, sizeof cursor->bytes, hex);
        cb_json_str(list->json, cb_str_of(hex));
    } else {
        cb_json_null(list->json);
    }
    cb_json_object_end(list->json);
    return rc;
}

enum cb_refusal cb_report_visitors(struct cb_report_ctx *ctx) {
    const char *q = cb_params_get(&ctx->params, "q");
    struct list list = {.json = &ctx->json};
    struct cb_visitor_cursor cursor;
    int rc = parse_limit(ctx, &list.limit);
    if (!rc)
        rc = parse_cursor(ctx, &cursor);
    if (!rc && q && *q)
        rc = cb_search_create(cb_str_of(q), &list.search);
    if (!rc)
        rc = write_list(ctx, &list, &cursor);
    cb_search_destroy(&list.search);
    return rc ? cb_report_failed(rc) : CB_REFUSE_NONE;
}

enum cb_refusal cb_report_visitor(struct cb_report_ctx *ctx) {
    uint8_t key[CB_VISITOR_BYTES];
    struct cb_visitor visitor;
    if (cb_hex_decode(ctx->visitor, key, sizeof key))
        return cb_report_failed(
            cb_param_refuse(&ctx->error, "visitor", "a visitor's key is 32 hexadecimal digits"));
    int rc = cb_snapshot_visitor(ctx->snapshot, ctx->site.id, key, &visitor);
    if (rc == CB_ENOENT) {
        cb_param_refuse(&ctx->error, "visitor", "this site has seen no such visitor");
        return CB_REFUSE_NOT_FOUND;
    }
    if (rc)
        return CB_REFUSE_INTERNAL;
    cb_json_object_begin(&ctx->json);
    cb_json_key(&ctx->json, "site");
    cb_json_str(&ctx->json, ctx->site_name);
    write_row(&ctx->json, &visitor);
    cb_json_key(&ctx->json, "remarks");
    cb_json_str(&ctx->json, visitor.remarks);
    cb_json_object_end(&ctx->json);
    return CB_REFUSE_NONE;
}
