/* SPDX-License-Identifier: MIT */
#include "query/access.h"

#include <strings.h>

/* The text behind the scheme; the scheme's case does not count (RFC 9110, section 11.1). */
static bool bearer_text(struct cb_str value, struct cb_str *out) {
    static const char scheme[] = "bearer ";
    const size_t scheme_len = sizeof scheme - 1;
    if (value.len < scheme_len || strncasecmp(value.p, scheme, scheme_len) != 0)
        return false;
    out->p = value.p + scheme_len;
    out->len = value.len - scheme_len;
    while (out->len > 0 && out->p[0] == ' ') {
        out->p++;
        out->len--;
    }
    while (out->len > 0 && (out->p[out->len - 1] == ' ' || out->p[out->len - 1] == '\t'))
        out->len--;
    return out->len > 0 && out->len <= CB_TOKEN_TEXT_MAX;
}

enum cb_refusal cb_access_token(const struct cb_http_req *req, struct cb_snapshot *snapshot,
                                struct cb_token *out, bool *tried) {
    static const struct cb_str name = {"authorization", sizeof "authorization" - 1};
    const struct cb_str *value = NULL;
    struct cb_str text;
    *tried = false;
    for (unsigned i = 0; i < req->n_headers; i++) {
        const struct cb_http_header *header = &req->headers[i];
        if (header->name.len != name.len || strncasecmp(header->name.p, name.p, name.len) != 0)
            continue;
        *tried = true;
        if (value) /* which one counts would be a guess, and a proxy's may be another */
            return CB_REFUSE_UNAUTHORIZED;
        value = &header->value;
    }
    if (!value || !bearer_text(*value, &text))
        return CB_REFUSE_UNAUTHORIZED;

    uint8_t hash[CB_TOKEN_HASH_BYTES];
    cb_token_hash(text, hash);
    return cb_snapshot_token(snapshot, hash, out) ? CB_REFUSE_UNAUTHORIZED : CB_REFUSE_NONE;
}

enum cb_refusal cb_access_check(const struct cb_token *token, enum cb_scope scope,
                                enum cb_role role, struct cb_str site, const char **sentence) {
    if (token->role < role) {
        *sentence = "this token's role does not allow that";
        return CB_REFUSE_FORBIDDEN;
    }
    if (scope == CB_SCOPE_WHOLE && token->site[0] != '\0') {
        *sentence = "this needs a token for all sites";
        return CB_REFUSE_FORBIDDEN;
    }
    if (scope == CB_SCOPE_SITE && token->site[0] != '\0' && !cb_str_is(site, token->site)) {
        *sentence = "this token is for another site";
        return CB_REFUSE_FORBIDDEN;
    }
    return CB_REFUSE_NONE;
}
