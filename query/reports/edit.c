/* SPDX-License-Identifier: MIT
 * edit.c: PATCH /v1/sites/{site}/visitors/{visitor}: what an operator writes about a visitor: the
 * fields that the visitor's own page reads as well, and remarks, which no page ever gets. */
#include <stdio.h>

#include "query/body.h"
#include "query/report.h"

enum cb_refusal cb_report_visitor_edit(struct cb_report_ctx *ctx) {
    const char *names[CB_EDITABLE_COUNT + 1] = {NULL};
    struct cb_visitor visitor;
    bool any = false;
    for (unsigned i = 0; i < CB_EDITABLE_COUNT; i++)
        names[i] = cb_editable_key(i);
    if (cb_hex_decode(ctx->visitor, ctx->control.visitor, CB_VISITOR_BYTES))
        return cb_body_refuse(ctx, "visitor", "a visitor's key is 32 hexadecimal digits");
    enum cb_refusal refusal = cb_body_texts(ctx, names, ctx->control.fields);
    if (refusal)
        return refusal;
    for (unsigned i = 0; i < CB_EDITABLE_COUNT; i++) {
        struct cb_str value = ctx->control.fields[i];
        any |= value.p != NULL;
        if (value.p && cb_utf8_length(value) > cb_editable_max_chars(i)) {
            char sentence[64];
            snprintf(sentence, sizeof sentence, "at most %zu characters are taken",
                     cb_editable_max_chars(i));
            return cb_body_refuse(ctx, names[i], sentence);
        }
    }
    if (!any)
        return cb_body_refuse(ctx, "", "name, email, phone, notes or remarks is expected");
    int rc = cb_snapshot_visitor(ctx->snapshot, ctx->site.id, ctx->control.visitor, &visitor);
    if (rc == CB_ENOENT) {
        cb_param_refuse(&ctx->error, "visitor", "this site has seen no such visitor");
        return CB_REFUSE_NOT_FOUND;
    }
    if (rc)
        return CB_REFUSE_INTERNAL;
    ctx->control.op = CB_CONTROL_EDIT;
    ctx->control.site = ctx->site_name;
    ctx->after = cb_report_visitor;
    return CB_REFUSE_NONE;
}
