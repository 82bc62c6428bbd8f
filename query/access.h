/* SPDX-License-Identifier: MIT
 * access.h: who may ask: the bearer token of a request, looked up in the views (RFC 6750, section
 * 2.1; the token is never taken from an address or a body).
 *
 * Stored is the BLAKE2b-256 of the token's text, so what the views hold opens nothing. */
#ifndef CB_QUERY_ACCESS_H
#define CB_QUERY_ACCESS_H

#include "proto/http.h"
#include "proto/token.h"
#include "store/reader.h"

/* What a route is about, which decides the tokens that open it. */
enum cb_scope {
    CB_SCOPE_OPEN,  /* needs no token */
    CB_SCOPE_ANY,   /* any token; the report shows what the token may see */
    CB_SCOPE_SITE,  /* a token for the site of the path, or for all */
    CB_SCOPE_WHOLE, /* a token for all sites */
};

/* The token of a request. *tried says whether it named one. Returns CB_REFUSE_NONE;
 * CB_REFUSE_UNAUTHORIZED when there is none, more than one or an unknown one. */
enum cb_refusal cb_access_token(const struct cb_http_req *req, struct cb_snapshot *snapshot,
                                struct cb_token *out, bool *tried);

/* Whether a token opens a route. site: that of the path (CB_SCOPE_SITE only). Returns
 * CB_REFUSE_NONE or CB_REFUSE_FORBIDDEN, with a sentence. */
enum cb_refusal cb_access_check(const struct cb_token *token, enum cb_scope scope,
                                enum cb_role role, struct cb_str site, const char **sentence);

#endif
