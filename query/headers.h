/* SPDX-License-Identifier: MIT
 * headers.h: the header lines that every answer of the API carries, and those that let pages of
 * listed origins read it (Fetch, "CORS protocol").
 *
 * The list is set once, before the threads run, and only read afterwards: any thread. */
#ifndef CB_QUERY_HEADERS_H
#define CB_QUERY_HEADERS_H

#include "proto/http.h"

enum { CB_HEADERS_MAX = 2048 };

/* Answers are for whoever asked, are data and nothing else, and belong in nobody's frame. */
#define CB_API_HEADERS                                                                             \
    "Cache-Control: no-store\r\n"                                                                  \
    "X-Content-Type-Options: nosniff\r\n"                                                          \
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"                      \
    "Referrer-Policy: no-referrer\r\n"

/* origins: as in --cors-origins, A,B,…; borrowed. Errors: CB_EINVAL with *sentence (heap, caller
 * frees) when one is none. */
CB_MUST_USE int cb_headers_setup(const char *origins, char **sentence);

/* Writes CB_API_HEADERS, what the request's origin may have, and more (header lines of ours, at
 * most 1,000 bytes) into out, which holds CB_HEADERS_MAX. Returns out. */
const char *cb_headers_write(const struct cb_http_req *req, const char *more, char *out);
/* Whether the request is of a page of a listed origin. */
bool cb_headers_origin_listed(const struct cb_http_req *req);

#endif
