/* SPDX-License-Identifier: MIT
 * visitor.c: GET /v1/sites/{site}/visitors/{visitor}: what is known of one visitor: the fields with
 * what they were before and who wrote them, and the latest visits; and …/events, the timeline. With
 * format=json it is all of it in one file (person.c). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "query/reports/visitors.h"
#include "query/rows.h"

enum {
    VISITS_MAX = 100,                 /* of an answer */
    TIMELINE_BYTES = 8 * 1024 * 1024, /* of records that one request reads */
};

int cb_report_visitor_key(struct cb_report_ctx *ctx, uint8_t out[CB_VISITOR_BYTES]) {
    return cb_hex_decode(ctx->visitor, out, CB_VISITOR_BYTES)
               ? cb_param_refuse(&ctx->error, "visitor", "a visitor's key is 32 hexadecimal digits")
               : 0;
}

enum cb_refusal cb_report_no_visitor(struct cb_report_ctx *ctx) {
    cb_param_refuse(&ctx->error, "visitor", "this site has seen no such visitor");
    return CB_REFUSE_NOT_FOUND;
}

static const char *source_name(unsigned source) {
    return source == CB_SOURCE_OPERATOR ? "operator" : source == CB_SOURCE_FORM ? "form" : "api";
}

static int write_history(struct cb_snapshot *snapshot, struct cb_json *json, uint32_t site,
                         const uint8_t visitor[CB_VISITOR_BYTES]) {
    int rc = 0;
    cb_json_key(json, "history");
    cb_json_object_begin(json);
    for (unsigned field = 0; !rc && field < CB_EDITABLE_COUNT; field++) {
        struct cb_field_value values[CB_HISTORY_ROWS_MAX];
        size_t n;
        rc = cb_snapshot_history(snapshot, site, visitor, field, values, &n);
        if (rc || n == 0)
            continue;
        cb_json_key(json, cb_editable_key(field));
        cb_json_array_begin(json);
        for (size_t i = 0; i < n; i++) {
            char by[2 * CB_TOKEN_ID_BYTES + 1];
            cb_json_object_begin(json);
            cb_json_key(json, "value");
            cb_json_str(json, values[i].text);
            cb_json_key(json, "at");
            cb_json_int(json, values[i].at_ms);
            cb_json_key(json, "source");
            cb_json_str(json, cb_str_of(source_name(values[i].source)));
            if (values[i].source == CB_SOURCE_OPERATOR) {
                cb_hex_encode(values[i].by, CB_TOKEN_ID_BYTES, by);
                cb_json_key(json, "by");
                cb_json_str(json, cb_str_of(by));
            }
            cb_json_object_end(json);
        }
        cb_json_array_end(json);
    }
    cb_json_object_end(json);
    return rc;
}

struct visits {
    struct cb_json *json;
    unsigned rows;
};

static bool write_visit(void *user, const struct cb_visitor_visit *visit) {
    struct visits *visits = user;
    struct cb_json *json = visits->json;
    cb_json_object_begin(json);
    cb_json_key(json, "start");
    cb_json_int(json, visit->start_ms);
    cb_json_key(json, "end");
    cb_json_int(json, visit->end_ms);
    cb_json_key(json, "events");
    cb_json_uint(json, visit->events);
    cb_json_key(json, "interacted");
    cb_json_bool(json, visit->interacted);
    cb_json_object_end(json);
    return ++visits->rows < VISITS_MAX && !json->err;
}

int cb_report_visitor_members(struct cb_snapshot *snapshot, struct cb_json *json,
                              struct cb_str site_name, uint32_t site,
                              const uint8_t key[CB_VISITOR_BYTES]) {
    struct cb_visitor visitor;
    struct visits visits = {.json = json};
    int rc = cb_snapshot_visitor(snapshot, site, key, &visitor);
    if (rc)
        return rc;
    cb_json_key(json, "site");
    cb_json_str(json, site_name);
    cb_report_visitor_row(json, &visitor);
    cb_json_key(json, "remarks");
    cb_json_str(json, visitor.remarks);
    rc = write_history(snapshot, json, site, key);
    if (rc)
        return rc;
    cb_json_key(json, "visits");
    cb_json_array_begin(json);
    rc = cb_snapshot_visits(snapshot, site, key, write_visit, &visits);
    cb_json_array_end(json);
    return rc;
}

enum cb_refusal cb_report_visitor(struct cb_report_ctx *ctx) {
    const char *format = cb_params_get(&ctx->params, "format");
    uint8_t key[CB_VISITOR_BYTES];
    int rc = cb_report_visitor_key(ctx, key);
    if (!rc && format && strcmp(format, "json") != 0)
        rc = cb_param_refuse(&ctx->error, "format", "format is json, or not given");
    if (rc)
        return cb_report_failed(rc);
    if (format)
        return cb_report_person(ctx);
    cb_json_object_begin(&ctx->json);
    rc = cb_report_visitor_members(ctx->snapshot, &ctx->json, ctx->site_name, ctx->site.id, key);
    cb_json_object_end(&ctx->json);
    return rc == CB_ENOENT ? cb_report_no_visitor(ctx) : rc ? CB_REFUSE_INTERNAL : CB_REFUSE_NONE;
}

/* ---- the timeline ---- */

struct timeline {
    struct cb_report_ctx *ctx;
    struct cb_row_rights rights;
    unsigned rows, limit;
    bool old; /* some are older than the site lets be seen */
};

static bool write_event(void *user, const struct cb_export_row *row) {
    struct timeline *timeline = user;
    struct cb_report_ctx *ctx = timeline->ctx;
    if (!cb_row_seen(&timeline->rights, row)) {
        timeline->old = true;
        return true;
    }
    cb_json_members(&ctx->json, CB_STR("")); /* the comma between two */
    if (!ctx->json.err)
        ctx->json.err = cb_row_json(row, timeline->rights, ctx->out);
    return ++timeline->rows < timeline->limit && !ctx->json.err;
}

/* POSITION-INDEX of the last event that was given, as an export's. */
static int parse_cursor(struct cb_report_ctx *ctx, struct cb_export_cursor *out) {
    const char *text = cb_params_get(&ctx->params, "cursor");
    char again[40];
    *out = (struct cb_export_cursor){0, 0};
    if (!text)
        return 0;
    int rc =
        sscanf(text, "%20" SCNu64 "-%10" SCNu32, &out->position, &out->index) == 2 ? 0 : CB_EINVAL;
    /* Written anew it must be the same: no signs, spaces or numbers that do not fit. */
    snprintf(again, sizeof again, "%" PRIu64 "-%" PRIu32, out->position, out->index);
    if (rc || out->position == 0 || strcmp(text, again) != 0)
        return cb_param_refuse(&ctx->error, "cursor", "cursor is the \"next\" of another answer");
    return 0;
}

enum cb_refusal cb_report_timeline(struct cb_report_ctx *ctx) {
    struct timeline timeline = {.ctx = ctx};
    struct cb_export_cursor cursor;
    uint8_t key[CB_VISITOR_BYTES];
    bool more = false, trimmed = false;
    int rc = cb_report_visitor_key(ctx, key);
    if (!rc)
        rc = cb_report_limit(ctx, &timeline.limit);
    if (!rc)
        rc = cb_row_rights_read(ctx->snapshot, &ctx->token, ctx->site.id, ctx->now_ms,
                                &timeline.rights);
    if (!rc)
        rc = parse_cursor(ctx, &cursor);
    if (rc)
        return cb_report_failed(rc);
    cb_json_object_begin(&ctx->json);
    cb_json_key(&ctx->json, "rows");
    cb_json_array_begin(&ctx->json);
    rc = cb_snapshot_timeline(ctx->snapshot, ctx->site.id, ctx->site_name, key, &cursor,
                              TIMELINE_BYTES, write_event, &timeline, &more, &trimmed);
    cb_json_array_end(&ctx->json);
    cb_json_key(&ctx->json, "next");
    if (more) {
        char next[40];
        snprintf(next, sizeof next, "%" PRIu64 "-%" PRIu32, cursor.position, cursor.index);
        cb_json_str(&ctx->json, cb_str_of(next));
    } else {
        cb_json_null(&ctx->json);
    }
    cb_json_key(&ctx->json, "trimmed");
    cb_json_bool(&ctx->json, trimmed || timeline.old);
    cb_json_object_end(&ctx->json);
    return rc == CB_ENOENT ? cb_report_no_visitor(ctx) : rc ? CB_REFUSE_INTERNAL : CB_REFUSE_NONE;
}
