/* SPDX-License-Identifier: MIT
 * body.h: the JSON object in the body of a request that writes, checked against what the route
 * takes: an unknown member, one given twice, and one of another type are each refused by name. */
#ifndef CB_QUERY_BODY_H
#define CB_QUERY_BODY_H

#include "proto/value.h"
#include "query/report.h"

enum { CB_BODY_MEMBERS_MAX = 16 };

/* The object. It lives until the thread's next body. */
enum cb_refusal cb_body_object(struct cb_report_ctx *ctx, struct cb_value *out);

/* The object's members, all of them texts. names: at most CB_BODY_MEMBERS_MAX, then NULL; values[i]
 * is that of names[i], its p NULL where it was not given. */
enum cb_refusal cb_body_texts(struct cb_report_ctx *ctx, const char *const *names,
                              struct cb_str *values);

/* Refuses a request for its member `field`: `return cb_body_refuse(ctx, "role", "…")`. */
enum cb_refusal cb_body_refuse(struct cb_report_ctx *ctx, const char *field, const char *sentence);

#endif
