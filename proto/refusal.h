/* SPDX-License-Identifier: MIT
 * refusal.h: every reason for which a client's request, or one event of it, is refused.
 *
 * One table gives the number (on the wire and in the books: never reused, never renumbered), the
 * HTTP status, the code of the JSON error and its default sentence. Any thread. */
#ifndef CB_PROTO_REFUSAL_H
#define CB_PROTO_REFUSAL_H

#include <stdint.h>

#include "proto/buf.h"

/* X(symbol, number, HTTP status, code, default message) */
#define CB_REFUSALS(X)                                                                             \
    X(CB_REFUSE_BAD_REQUEST, 1, 400, "bad_request", "the request is malformed")                    \
    X(CB_REFUSE_BAD_JSON, 2, 400, "bad_json", "the body is not JSON (RFC 8259)")                   \
    X(CB_REFUSE_BAD_MSGPACK, 3, 400, "bad_msgpack", "the body is not msgpack")                     \
    X(CB_REFUSE_BAD_EVENT, 4, 400, "bad_event", "the event breaks a rule")                         \
    X(CB_REFUSE_BAD_TIME, 5, 400, "bad_time", "the event is more than 7 days old")                 \
    X(CB_REFUSE_SITE_UNKNOWN, 6, 404, "site_unknown", "there is no such site")                     \
    X(CB_REFUSE_ORIGIN_REFUSED, 7, 403, "origin_refused", "this origin may not use the site")      \
    X(CB_REFUSE_TOO_LARGE, 8, 413, "too_large", "the body is over the limit")                      \
    X(CB_REFUSE_RATE_LIMITED, 9, 429, "rate_limited", "too many requests")                         \
    X(CB_REFUSE_BUSY, 10, 503, "busy", "the service cannot take this now; send it again later")    \
    X(CB_REFUSE_UNAUTHORIZED, 11, 401, "unauthorized", "a valid bearer token is needed")           \
    X(CB_REFUSE_FORBIDDEN, 12, 403, "forbidden", "this token may not do that")                     \
    X(CB_REFUSE_NOT_FOUND, 13, 404, "not_found", "there is nothing at this address")               \
    X(CB_REFUSE_METHOD, 14, 405, "method_not_allowed", "this address does not take that method")   \
    X(CB_REFUSE_HEAD_TOO_LARGE, 15, 431, "head_too_large", "the request head is over the limit")   \
    X(CB_REFUSE_TIMEOUT, 16, 408, "timeout", "the request did not arrive in time")                 \
    X(CB_REFUSE_INTERNAL, 17, 500, "internal", "the service failed")                               \
    X(CB_REFUSE_GONE, 18, 410, "gone", "this is no longer kept")                                   \
    X(CB_REFUSE_ERASED, 19, 410, "erased", "this visitor was erased: take a new id")

enum cb_refusal {
    CB_REFUSE_NONE = 0,
#define CB_REFUSAL_ENUM(symbol, number, status, code, text) symbol = (number),
    CB_REFUSALS(CB_REFUSAL_ENUM)
#undef CB_REFUSAL_ENUM
        CB_REFUSAL_MAX = 31, /* numbers stay at or below this: the books have a slot for each */
};

/* HTTP status, code and default sentence of a refusal. For a number outside the table: 500,
 * "unknown". Static. */
int cb_refusal_status(unsigned refusal);
const char *cb_refusal_code(unsigned refusal);
const char *cb_refusal_text(unsigned refusal);

/* Appends {"error":{"code":…,"message":…,"field":…}} to out. message NULL means the default
 * sentence; field NULL leaves "field" out. Errors: those of cb_buf_append. */
int cb_refusal_json(struct cb_buf *out, unsigned refusal, const char *message, const char *field);

#endif
