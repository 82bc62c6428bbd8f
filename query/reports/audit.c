/* SPDX-License-Identifier: MIT
 * audit.c: GET /v1/audit: what admins and operators did, newest first. An admin of one site sees
 * what was done at that site. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "query/body.h"
#include "query/report.h"

enum { ROWS_DEFAULT = 50, LOOKED_AT_MAX = 10000 };

struct list {
    struct cb_report_ctx *ctx;
    unsigned rows, limit, looked_at;
    uint64_t last; /* position looked at last */
    bool more;
};

static const char *act_name(unsigned act) {
    switch (act) {
    case CB_CONTROL_SITE:
        return "site_made";
    case CB_CONTROL_TOKEN:
        return "token_made";
    case CB_CONTROL_REVOKE:
        return "token_revoked";
    case CB_CONTROL_SETTINGS:
        return "settings_put";
    case CB_CONTROL_STATUS:
        return "status_put";
    case CB_CONTROL_EDIT:
        return "visitor_edited";
    case CB_CONTROL_ERASE:
        return "visitor_erased";
    case CB_CONTROL_SWEPT:
        return "erasure_swept";
    default:
        return "other";
    }
}

static bool give(void *user, const struct cb_audit *audit) {
    static const uint8_t none[CB_TOKEN_ID_BYTES];
    struct list *list = user;
    struct cb_json *json = &list->ctx->json;
    const char *only = list->ctx->token.site;
    if (list->rows == list->limit || list->looked_at == LOOKED_AT_MAX) {
        list->more = true;
        return false;
    }
    list->looked_at++;
    list->last = audit->position;
    if (*only && !cb_str_is(audit->site, only))
        return true;
    list->rows++;
    cb_json_object_begin(json);
    cb_json_key(json, "position");
    cb_json_uint(json, audit->position);
    cb_json_key(json, "at");
    cb_json_int(json, audit->at_ms);
    cb_json_key(json, "by");
    if (memcmp(audit->by, none, sizeof none) != 0) {
        char hex[2 * CB_TOKEN_ID_BYTES + 1];
        cb_hex_encode(audit->by, CB_TOKEN_ID_BYTES, hex);
        cb_json_str(json, cb_str_of(hex));
    } else {
        cb_json_null(json);
    }
    cb_json_key(json, "act");
    cb_json_str(json, cb_str_of(act_name(audit->act)));
    cb_json_key(json, "site");
    if (audit->site.len > 0)
        cb_json_str(json, audit->site);
    else
        cb_json_null(json);
    cb_json_key(json, "summary");
    cb_json_str(json, audit->summary);
    cb_json_object_end(json);
    return !json->err;
}

/* A whole number from min to max. */
static int parse_number(struct cb_report_ctx *ctx, const char *name, uint64_t max, uint64_t *out) {
    const char *text = cb_params_get(&ctx->params, name);
    if (!text)
        return 0;
    size_t len = strlen(text);
    bool good = len >= 1 && len <= 19 && strspn(text, "0123456789") == len;
    *out = good ? strtoull(text, NULL, 10) : 0;
    return *out >= 1 && *out <= max
               ? 0
               : cb_param_refuse(&ctx->error, name, "%s is a whole number from 1 to %" PRIu64, name,
                                 max);
}

enum cb_refusal cb_report_audit(struct cb_report_ctx *ctx) {
    uint64_t cursor = 0, limit = ROWS_DEFAULT;
    int rc = parse_number(ctx, "cursor", INT64_MAX, &cursor);
    if (!rc)
        rc = parse_number(ctx, "limit", CB_REPORT_AUDIT_ROWS_MAX, &limit);
    if (rc)
        return cb_report_failed(rc);
    struct list list = {.ctx = ctx, .limit = (unsigned)limit};
    cb_json_object_begin(&ctx->json);
    cb_json_key(&ctx->json, "rows");
    cb_json_array_begin(&ctx->json);
    cb_snapshot_audit(ctx->snapshot, cursor, give, &list);
    cb_json_array_end(&ctx->json);
    cb_json_key(&ctx->json, "next");
    if (list.more) {
        char next[24];
        snprintf(next, sizeof next, "%" PRIu64, list.last);
        cb_json_str(&ctx->json, cb_str_of(next));
    } else {
        cb_json_null(&ctx->json);
    }
    cb_json_object_end(&ctx->json);
    return CB_REFUSE_NONE;
}
