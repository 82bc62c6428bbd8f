/* SPDX-License-Identifier: MIT
 * erase.c: DELETE /v1/sites/{site}/visitors/{visitor}, and the receipt that it answers with:
 * GET /v1/sites/{site}/erasures/{id}.
 *
 * A DELETE is answered when nobody can read of the visitor any more: 202 while what is on disk has
 * yet to be rewritten, 200 once it is. Sent again it answers with the receipt of the first. The id
 * of a receipt is the tag of the visitor's key, which leads to nobody. */
#include <sodium.h>
#include <stdio.h>

#include "query/reports/visitors.h"

enum { ACCEPTED = 202 };

static void write_receipt(struct cb_report_ctx *ctx, const struct cb_erasure *erasure) {
    char id[2 * CB_VISITOR_BYTES + 1], place[CB_SITE_MAX + 64];
    cb_hex_encode(erasure->tag, CB_VISITOR_BYTES, id);
    snprintf(place, sizeof place, "/v1/sites/%.*s/erasures/%s", (int)ctx->site_name.len,
             ctx->site_name.p, id);
    cb_json_object_begin(&ctx->json);
    cb_json_key(&ctx->json, "site");
    cb_json_str(&ctx->json, ctx->site_name);
    cb_json_key(&ctx->json, "erasure");
    cb_json_str(&ctx->json, cb_str_of(id));
    cb_json_key(&ctx->json, "receipt");
    cb_json_str(&ctx->json, cb_str_of(place));
    cb_json_key(&ctx->json, "state");
    cb_json_str(&ctx->json, cb_str_of(erasure->swept ? "done" : "sweeping"));
    cb_json_key(&ctx->json, "erased");
    cb_json_int(&ctx->json, erasure->at_ms);
    cb_json_key(&ctx->json, "done");
    if (erasure->swept)
        cb_json_int(&ctx->json, erasure->swept_ms);
    else
        cb_json_null(&ctx->json);
    cb_json_key(&ctx->json, "out_of_reach");
    cb_json_array_begin(&ctx->json);
    cb_json_str(&ctx->json, cb_str_of("backups"));
    cb_json_str(&ctx->json, cb_str_of("exports"));
    cb_json_array_end(&ctx->json);
    cb_json_object_end(&ctx->json);
}

static enum cb_refusal answer(struct cb_report_ctx *ctx, const uint8_t tag[CB_VISITOR_BYTES],
                              bool may_wait) {
    struct cb_erasure erasure;
    int rc = cb_snapshot_erasure(ctx->snapshot, ctx->site.id, tag, &erasure);
    if (rc)
        return rc == CB_ENOENT ? CB_REFUSE_NOT_FOUND : CB_REFUSE_INTERNAL;
    write_receipt(ctx, &erasure);
    ctx->status = may_wait && !erasure.swept ? ACCEPTED : 0;
    return CB_REFUSE_NONE;
}

/* After the write, and for who asks again. */
static enum cb_refusal answer_delete(struct cb_report_ctx *ctx) {
    uint8_t key[CB_VISITOR_BYTES], tag[CB_VISITOR_BYTES];
    if (cb_report_visitor_key(ctx, key))
        return CB_REFUSE_INTERNAL; /* it was read before */
    cb_visitor_tag(key, tag);
    enum cb_refusal refusal = answer(ctx, tag, true);
    return refusal == CB_REFUSE_NOT_FOUND ? cb_report_no_visitor(ctx) : refusal;
}

enum cb_refusal cb_report_visitor_erase(struct cb_report_ctx *ctx) {
    struct cb_visitor visitor;
    int rc = cb_report_visitor_key(ctx, ctx->control.visitor);
    if (rc)
        return cb_report_failed(rc);
    rc = cb_snapshot_visitor(ctx->snapshot, ctx->site.id, ctx->control.visitor, &visitor);
    if (rc == CB_ENOENT)
        return answer_delete(ctx);
    if (rc)
        return CB_REFUSE_INTERNAL;
    ctx->control.op = CB_CONTROL_ERASE;
    ctx->control.site = ctx->site_name;
    randombytes_buf(ctx->control.pseudonym, CB_VISITOR_BYTES);
    cb_visitor_tag(ctx->control.visitor, ctx->control.tag);
    ctx->after = answer_delete;
    return CB_REFUSE_NONE;
}

enum cb_refusal cb_report_erasure(struct cb_report_ctx *ctx) {
    uint8_t tag[CB_VISITOR_BYTES];
    if (cb_hex_decode(ctx->id, tag, sizeof tag))
        return cb_report_failed(
            cb_param_refuse(&ctx->error, "id", "an erasure's id is 32 hexadecimal digits"));
    enum cb_refusal refusal = answer(ctx, tag, false);
    if (refusal == CB_REFUSE_NOT_FOUND)
        cb_param_refuse(&ctx->error, "id", "this site has no such erasure");
    return refusal;
}
