/* SPDX-License-Identifier: MIT
 * sites.c: GET /v1/sites (those that the token may see) and PUT /v1/sites/{site}. */
#include "query/body.h"
#include "query/report.h"

static void write_site(struct cb_json *json, struct cb_str name, const struct cb_site *site) {
    cb_json_object_begin(json);
    cb_json_key(json, "site");
    cb_json_str(json, name);
    cb_json_key(json, "status");
    cb_json_str(json, cb_str_of(cb_status_name(site->status)));
    cb_json_key(json, "made");
    cb_json_int(json, site->made_ms);
    cb_json_object_end(json);
}

struct list {
    struct cb_report_ctx *ctx;
    size_t n;
};

static bool give(void *user, struct cb_str name, const struct cb_site *site) {
    struct list *list = user;
    const char *only = list->ctx->token.site;
    if (*only && !cb_str_is(name, only))
        return true;
    if (list->n++ == CB_REPORT_SITES_MAX)
        return false;
    write_site(&list->ctx->json, name, site);
    return !list->ctx->json.err;
}

enum cb_refusal cb_report_sites_list(struct cb_report_ctx *ctx) {
    struct list list = {ctx, 0};
    cb_json_object_begin(&ctx->json);
    cb_json_key(&ctx->json, "sites");
    cb_json_array_begin(&ctx->json);
    cb_snapshot_sites(ctx->snapshot, give, &list);
    cb_json_array_end(&ctx->json);
    cb_json_object_end(&ctx->json);
    return list.n > CB_REPORT_SITES_MAX ? CB_REFUSE_INTERNAL : CB_REFUSE_NONE;
}

static enum cb_refusal made(struct cb_report_ctx *ctx) {
    struct cb_site site;
    if (cb_snapshot_site(ctx->snapshot, ctx->site_name, &site))
        return CB_REFUSE_INTERNAL;
    write_site(&ctx->json, ctx->site_name, &site);
    ctx->status = 201;
    return CB_REFUSE_NONE;
}

/* A site that is there is left as it is: making it twice is making it once. */
enum cb_refusal cb_report_site_put(struct cb_report_ctx *ctx) {
    static const char *const names[] = {"status", NULL};
    struct cb_str status = {NULL, 0};
    struct cb_site site;
    if (!cb_site_name_valid(ctx->site_name))
        return cb_body_refuse(ctx, "site", "a site's name is 1 to 64 letters, digits, - and _");
    enum cb_refusal refusal =
        ctx->body.len > 0 ? cb_body_texts(ctx, names, &status) : CB_REFUSE_NONE;
    if (refusal)
        return refusal;
    ctx->control.status = status.p ? cb_status_of(status) : CB_STATUS_ONLINE;
    if (!ctx->control.status)
        return cb_body_refuse(ctx, "status", "status is online, offline or automatic");
    int rc = cb_snapshot_site(ctx->snapshot, ctx->site_name, &site);
    if (rc == 0) {
        write_site(&ctx->json, ctx->site_name, &site);
        return CB_REFUSE_NONE;
    }
    if (rc != CB_ENOENT)
        return CB_REFUSE_INTERNAL;
    ctx->control.op = CB_CONTROL_SITE;
    ctx->control.site = ctx->site_name;
    ctx->after = made;
    return CB_REFUSE_NONE;
}
