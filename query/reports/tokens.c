/* SPDX-License-Identifier: MIT
 * tokens.c: GET /v1/token, POST and GET /v1/tokens, DELETE /v1/tokens/{id}. An admin of one site
 * makes, sees and revokes tokens of that site only. A token's text is told once, in the answer that
 * makes it; what is stored opens nothing. */
#include "query/access.h"
#include "query/body.h"
#include "query/report.h"

static void write_id(struct cb_json *json, const char *key, const uint8_t id[CB_TOKEN_ID_BYTES]) {
    static const uint8_t none[CB_TOKEN_ID_BYTES];
    char hex[2 * CB_TOKEN_ID_BYTES + 1];
    cb_json_key(json, key);
    if (!memcmp(id, none, sizeof none)) {
        cb_json_null(json); /* the service itself, or the command line */
        return;
    }
    cb_hex_encode(id, CB_TOKEN_ID_BYTES, hex);
    cb_json_str(json, cb_str_of(hex));
}

static void write_token(struct cb_json *json, const struct cb_token *token, const char *secret) {
    cb_json_object_begin(json);
    write_id(json, "id", token->id);
    if (secret) {
        cb_json_key(json, "token");
        cb_json_str(json, cb_str_of(secret));
    }
    cb_json_key(json, "role");
    cb_json_str(json, cb_str_of(cb_role_name(token->role)));
    cb_json_key(json, "site");
    if (token->site[0])
        cb_json_str(json, cb_str_of(token->site));
    else
        cb_json_null(json); /* all of them */
    cb_json_key(json, "name");
    cb_json_str(json, cb_str_of(token->name));
    cb_json_key(json, "made");
    cb_json_int(json, token->made_ms);
    write_id(json, "made_by", token->made_by);
    cb_json_object_end(json);
}

/* What the asker's own token is. */
enum cb_refusal cb_report_token(struct cb_report_ctx *ctx) {
    write_token(&ctx->json, &ctx->token, NULL);
    return CB_REFUSE_NONE;
}

/* Whether the asker may see and end a token. */
static bool is_open(const struct cb_report_ctx *ctx, const struct cb_token *token) {
    return !ctx->token.site[0] || !strcmp(ctx->token.site, token->site);
}

/* ---- making ---- */

static enum cb_refusal made(struct cb_report_ctx *ctx) {
    uint8_t hash[CB_TOKEN_HASH_BYTES];
    struct cb_token token;
    cb_token_hash(cb_str_of(ctx->secret), hash);
    if (cb_snapshot_token(ctx->snapshot, hash, &token))
        return CB_REFUSE_INTERNAL;
    write_token(&ctx->json, &token, ctx->secret);
    ctx->status = 201;
    return CB_REFUSE_NONE;
}

enum cb_refusal cb_report_token_make(struct cb_report_ctx *ctx) {
    static const char *const names[] = {"role", "site", "name", NULL};
    struct cb_str values[3], role, site, name;
    struct cb_site known;
    enum cb_refusal refusal = cb_body_texts(ctx, names, values);
    if (refusal)
        return refusal;
    role = values[0];
    site = values[1];
    name = values[2];
    ctx->control.role = cb_role_of(role);
    if (!ctx->control.role)
        return cb_body_refuse(ctx, "role", "role is viewer, operator or admin");
    if (site.p && cb_snapshot_site(ctx->snapshot, site, &known))
        return cb_body_refuse(ctx, "site", "there is no such site; leave site out for all");
    if (ctx->token.site[0] && !cb_str_is(site, ctx->token.site)) {
        cb_param_refuse(&ctx->error, "site", "this token may make tokens of its own site only");
        return CB_REFUSE_FORBIDDEN;
    }
    if (name.len > CB_TOKEN_NAME_MAX)
        return cb_body_refuse(ctx, "name", "name is at most 100 bytes");
    cb_token_text(ctx->secret);
    cb_token_hash(cb_str_of(ctx->secret), ctx->control.token);
    ctx->control.op = CB_CONTROL_TOKEN;
    ctx->control.site = site;
    ctx->control.name = name;
    ctx->after = made;
    return CB_REFUSE_NONE;
}

/* ---- seeing ---- */

static bool give(void *user, const struct cb_token *token) {
    struct cb_report_ctx *ctx = user;
    if (is_open(ctx, token))
        write_token(&ctx->json, token, NULL);
    return !ctx->json.err;
}

enum cb_refusal cb_report_tokens(struct cb_report_ctx *ctx) {
    cb_json_object_begin(&ctx->json);
    cb_json_key(&ctx->json, "tokens");
    cb_json_array_begin(&ctx->json);
    cb_snapshot_tokens(ctx->snapshot, give, ctx);
    cb_json_array_end(&ctx->json);
    cb_json_object_end(&ctx->json);
    return CB_REFUSE_NONE;
}

/* ---- revoking ---- */

static bool count_admin(void *user, const struct cb_token *token) {
    unsigned *n = user;
    *n += token->role == CB_ROLE_ADMIN && !token->site[0];
    return *n < 2;
}

static enum cb_refusal revoked(struct cb_report_ctx *ctx) {
    ctx->status = 204;
    return CB_REFUSE_NONE;
}

enum cb_refusal cb_report_token_revoke(struct cb_report_ctx *ctx) {
    uint8_t id[CB_TOKEN_ID_BYTES];
    struct cb_token token;
    if (cb_hex_decode(ctx->id, id, sizeof id))
        return cb_body_refuse(ctx, "id", "a token's id is 16 hexadecimal digits");
    int rc = cb_snapshot_token_of(ctx->snapshot, id, &token);
    if (rc == CB_ENOENT || (!rc && !is_open(ctx, &token))) {
        cb_param_refuse(&ctx->error, "id", "there is no such token");
        return CB_REFUSE_NOT_FOUND;
    }
    if (rc)
        return CB_REFUSE_INTERNAL;
    unsigned n_admins = 0;
    cb_snapshot_tokens(ctx->snapshot, count_admin, &n_admins);
    if (token.role == CB_ROLE_ADMIN && !token.site[0] && n_admins < 2) {
        cb_param_refuse(&ctx->error, "id", "the last admin token of all sites cannot be revoked");
        return CB_REFUSE_FORBIDDEN;
    }
    /* What the audit log says of it must outlive this call. */
    int err = cb_buf_append_str(&ctx->text, cb_str_of(token.site));
    if (err)
        return CB_REFUSE_INTERNAL;
    ctx->control.op = CB_CONTROL_REVOKE;
    ctx->control.site = (struct cb_str){ctx->text.data, ctx->text.len};
    memcpy(ctx->control.token, id, sizeof id);
    ctx->after = revoked;
    return CB_REFUSE_NONE;
}
