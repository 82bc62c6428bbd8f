/* SPDX-License-Identifier: MIT
 * reply.c: see reply.h. */
#include "ingest/reply.h"

#include <stdio.h>

#include "proto/metric.h"

enum { ERROR_MAX_BYTES = 4096, HEADERS_MAX_BYTES = 1024 };

bool cb_reply_origin_allowed(const struct cb_http_req *req, const struct cb_site *site) {
    const struct cb_str *origin = cb_http_header(req, "origin");
    return !origin || cb_origins_allow(site->origins, *origin);
}

const char *cb_reply_origin(const struct cb_http_req *req, const struct cb_site *site, char *out) {
    const struct cb_str *origin = cb_http_header(req, "origin");
    if (site->origins.len == 0)
        snprintf(out, CB_REPLY_ORIGIN_MAX, CB_REPLY_CORS);
    else if (!origin || !cb_origins_allow(site->origins, *origin))
        snprintf(out, CB_REPLY_ORIGIN_MAX, "Vary: Origin\r\n");
    else
        snprintf(out, CB_REPLY_ORIGIN_MAX,
                 "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n"
                 "Access-Control-Expose-Headers: Retry-After\r\n",
                 (int)origin->len, origin->p);
    return out;
}

void cb_reply_fault(struct cb_http_req *req, const struct cb_fault *fault, const char *headers) {
    struct cb_buf lines, body;
    cb_buf_init(&lines, HEADERS_MAX_BYTES);
    cb_buf_init(&body, ERROR_MAX_BYTES);
    const char *fixed = CB_REPLY_JSON CB_REPLY_CORS;
    if (headers && cb_buf_printf(&lines, "%s%s", fixed, headers) == 0 &&
        cb_buf_append(&lines, "", 1) == 0)
        fixed = lines.data;
    if (cb_refusal_json(&body, fault->refusal, fault->message, fault->field))
        cb_buf_clear(&body); /* out of memory: the status still says it */
    cb_http_reply(req, cb_refusal_status(fault->refusal), fixed, body.data, body.len);
    cb_buf_fini(&lines);
    cb_buf_fini(&body);
}

void cb_reply_busy(struct cb_http_req *req) {
    cb_reply_unready(req, NULL);
}

void cb_reply_limited(struct cb_http_req *req, unsigned wait_s) {
    struct cb_fault fault = {CB_REFUSE_RATE_LIMITED, NULL, NULL};
    char headers[64];
    snprintf(headers, sizeof headers, CB_REPLY_NO_STORE "Retry-After: %u\r\n", wait_s);
    cb_metric_add(CB_METRIC_INGEST_RATE_LIMITED, 1);
    cb_reply_fault(req, &fault, headers);
}

void cb_reply_unready(struct cb_http_req *req, const char *reason) {
    struct cb_fault fault = {CB_REFUSE_BUSY, reason, NULL};
    cb_metric_add(CB_METRIC_INGEST_BUSY, 1);
    cb_reply_fault(req, &fault, "Retry-After: 1\r\n");
}
