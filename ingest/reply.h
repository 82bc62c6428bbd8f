/* SPDX-License-Identifier: MIT
 * reply.h: the header lines that every answer of the public routes carries, and the answers that
 * several routes share.
 *
 * A beacon is a CORS-simple request from any page, so every answer, errors too, lets it be read
 * (Fetch, "CORS protocol"). No cookie is ever set. Thread: the request's. */
#ifndef CB_INGEST_REPLY_H
#define CB_INGEST_REPLY_H

#include "ingest/fault.h"
#include "ingest/lookup.h"
#include "proto/http.h"

#define CB_REPLY_CORS                                                                              \
    "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: Retry-After\r\n"
#define CB_REPLY_JSON "Content-Type: application/json\r\n"
enum { CB_REPLY_ORIGIN_MAX = 512 };

#define CB_REPLY_NO_STORE "Cache-Control: no-store\r\n"

/* Whether the request may use the site: it is of a page of one of the site's origins, or of none
 * (servers, and the pixel in a picture), or the site lists none. */
bool cb_reply_origin_allowed(const struct cb_http_req *req, const struct cb_site *site);
/* The header lines by which that page, and no other where the site lists any, reads an answer.
 * Returns out, which holds CB_REPLY_ORIGIN_MAX. */
const char *cb_reply_origin(const struct cb_http_req *req, const struct cb_site *site, char *out);

/* Answers with the JSON error of a fault; message NULL means the refusal's own sentence. headers:
 * further lines (at most 500 bytes), or NULL. Frees req. */
void cb_reply_fault(struct cb_http_req *req, const struct cb_fault *fault, const char *headers);
/* 503 busy with Retry-After, counted. Frees req. */
void cb_reply_busy(struct cb_http_req *req);
/* 429 rate_limited with that Retry-After, counted. Frees req. */
void cb_reply_limited(struct cb_http_req *req, unsigned wait_s);
/* As cb_reply_busy, naming what is missing. */
void cb_reply_unready(struct cb_http_req *req, const char *reason);

#endif
