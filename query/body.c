/* SPDX-License-Identifier: MIT */
#include "query/body.h"

#include <stdio.h>

#include "proto/json_parser.h"

enum cb_refusal cb_body_refuse(struct cb_report_ctx *ctx, const char *field, const char *sentence) {
    cb_param_refuse(&ctx->error, field, "%s", sentence);
    return CB_REFUSE_BAD_REQUEST;
}

enum cb_refusal cb_body_object(struct cb_report_ctx *ctx, struct cb_value *out) {
    const char *why = NULL;
    int rc = cb_json_parse(ctx->parser, ctx->body, out, &why);
    if (rc == CB_EMALFORMED) {
        cb_param_refuse(&ctx->error, "", "%s", why);
        return CB_REFUSE_BAD_JSON;
    }
    if (rc)
        return CB_REFUSE_INTERNAL;
    return out->type == CB_VALUE_OBJECT ? CB_REFUSE_NONE
                                        : cb_body_refuse(ctx, "", "the body must be an object");
}

/* What a client calls a member may be anything: as much of it as an error holds, and whole
 * characters. */
static enum cb_refusal refuse_unknown(struct cb_report_ctx *ctx, struct cb_str key) {
    char name[65];
    snprintf(name, sizeof name, "%.*s", (int)(key.len < 64 ? key.len : 64), key.p);
    size_t len = strlen(name);
    while (len > 0 && !cb_utf8_valid((struct cb_str){name, len}))
        name[--len] = '\0';
    return cb_body_refuse(ctx, name, "there is no such member");
}

enum cb_refusal cb_body_texts(struct cb_report_ctx *ctx, const char *const *names,
                              struct cb_str *values) {
    struct cb_value object, value;
    struct cb_value_walk walk;
    struct cb_str key;
    enum cb_refusal refusal = cb_body_object(ctx, &object);
    if (refusal)
        return refusal;
    for (size_t i = 0; names[i]; i++)
        values[i] = (struct cb_str){NULL, 0};
    cb_json_values.begin(&object, &walk);
    while (cb_json_values.member(&walk, &key, &value)) {
        size_t i = 0;
        while (names[i] && !cb_str_is(key, names[i]))
            i++;
        if (!names[i])
            return refuse_unknown(ctx, key);
        if (values[i].p)
            return cb_body_refuse(ctx, names[i], "it is given twice");
        if (value.type != CB_VALUE_STRING)
            return cb_body_refuse(ctx, names[i], "a text is expected");
        values[i] = value.s.p ? value.s : CB_STR("");
    }
    return CB_REFUSE_NONE;
}
