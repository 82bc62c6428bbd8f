/* SPDX-License-Identifier: MIT
 * person.c: GET /v1/sites/{site}/visitors/{visitor}?format=json: all that is stored of one person,
 * as one JSON file: what visitor.c tells, then each event, newest first, with what the visitor
 * typed.
 *
 * It outlives its request's turn like any export: chunks in snapshots of their own, up to the
 * position that the views held when it began. A person that is erased meanwhile breaks it off. */
#include <stdio.h>
#include <stdlib.h>

#include "query/reports/visitors.h"
#include "query/rows.h"

enum {
    CHUNK_BYTES = 128 * 1024,
    SCAN_BYTES = 2 * 1024 * 1024, /* of records, for a chunk */
};

struct person {
    struct cb_export base;
    struct cb_reader *reader;
    char site[CB_SITE_MAX + 1], name[CB_SITE_MAX + 64];
    uint8_t key[CB_VISITOR_BYTES];
    struct cb_row_rights rights;
    bool begun, any, old;
    struct cb_export_cursor cursor;
};

struct chunk {
    struct person *person;
    struct cb_buf *out;
    int rc;
};

static bool take(void *user, const struct cb_export_row *row) {
    struct chunk *chunk = user;
    if (!cb_row_seen(&chunk->person->rights, row)) { /* older than the site lets be seen */
        chunk->person->old = true;
        return true;
    }
    if (chunk->person->any)
        chunk->rc = cb_buf_append_str(chunk->out, CB_STR(",\n"));
    chunk->person->any = true;
    if (!chunk->rc)
        chunk->rc = cb_row_json(row, chunk->person->rights, chunk->out);
    return !chunk->rc && chunk->out->len < CHUNK_BYTES;
}

/* The members before the events: an object that is left open. */
static int begin(struct person *person, struct cb_snapshot *snapshot, uint32_t site,
                 struct cb_buf *out) {
    struct cb_json json;
    cb_json_init(&json, out);
    cb_json_object_begin(&json);
    int rc = cb_report_visitor_members(snapshot, &json, cb_str_of(person->site), site, person->key);
    if (!rc)
        rc = json.err;
    person->begun = true;
    return rc ? rc : cb_buf_append_str(out, CB_STR(",\"timeline\":[\n"));
}

static int next(struct cb_export *base, struct cb_buf *out, bool *more) {
    struct person *person = (struct person *)base;
    struct chunk chunk = {.person = person, .out = out};
    struct cb_snapshot *snapshot;
    struct cb_site site;
    bool trimmed = false;
    if (cb_snapshot_begin(person->reader, &snapshot))
        return CB_EAGAIN;
    int rc = cb_snapshot_site(snapshot, cb_str_of(person->site), &site);
    if (!rc && !person->begun)
        rc = begin(person, snapshot, site.id, out);
    if (!rc)
        rc = cb_snapshot_timeline(snapshot, site.id, cb_str_of(person->site), person->key,
                                  &person->cursor, SCAN_BYTES, take, &chunk, more, &trimmed);
    cb_snapshot_end(&snapshot);
    if (!rc)
        rc = chunk.rc;
    trimmed |= person->old;
    if (!rc && !*more)
        rc = cb_buf_printf(out, "\n],\"trimmed\":%s}\n", trimmed ? "true" : "false");
    return rc;
}

static void destroy(struct cb_export *base) {
    free(base);
}

static const struct cb_export_ops person_ops = {.next = next, .destroy = destroy};

enum cb_refusal cb_report_person(struct cb_report_ctx *ctx) {
    struct cb_visitor visitor;
    struct person *person = calloc(1, sizeof *person);
    if (!person)
        return CB_REFUSE_INTERNAL;
    int rc = cb_report_visitor_key(ctx, person->key);
    if (!rc)
        rc = cb_snapshot_visitor(ctx->snapshot, ctx->site.id, person->key, &visitor);
    if (!rc)
        rc = cb_row_rights_read(ctx->snapshot, &ctx->token, ctx->site.id, ctx->now_ms,
                                &person->rights);
    if (rc) {
        free(person);
        return rc == CB_ENOENT ? cb_report_no_visitor(ctx) : cb_report_failed(rc);
    }
    char hex[2 * CB_VISITOR_BYTES + 1];
    cb_hex_encode(person->key, CB_VISITOR_BYTES, hex);
    memcpy(person->site, ctx->site_name.p, ctx->site_name.len);
    snprintf(person->name, sizeof person->name, "%s-%s.json", person->site, hex);
    person->reader = ctx->reader;
    person->base = (struct cb_export){.ops = &person_ops,
                                      .type = "application/json; charset=utf-8",
                                      .name = person->name,
                                      .end = cb_snapshot_position(ctx->snapshot)};
    /* Events are given below the cursor: so none that came after the beginning. */
    person->cursor = (struct cb_export_cursor){person->base.end + 1, 0};
    ctx->export = &person->base;
    return CB_REFUSE_NONE;
}
