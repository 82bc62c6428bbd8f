/* SPDX-License-Identifier: MIT
 * visitors.h: what the reports about visitors share. */
#ifndef CB_QUERY_REPORTS_VISITORS_H
#define CB_QUERY_REPORTS_VISITORS_H

#include "query/report.h"

/* The members of a visitor's row: key, fields, first and last seen, counts. */
void cb_report_visitor_row(struct cb_json *json, const struct cb_visitor *visitor);
/* `limit` of a list. Errors: CB_EINVAL with ctx->error filled. */
CB_MUST_USE int cb_report_limit(struct cb_report_ctx *ctx, unsigned *out);
/* {visitor} of the path. Errors: CB_EINVAL with ctx->error filled. */
CB_MUST_USE int cb_report_visitor_key(struct cb_report_ctx *ctx, uint8_t out[CB_VISITOR_BYTES]);
/* This site has no such visitor. */
enum cb_refusal cb_report_no_visitor(struct cb_report_ctx *ctx);
/* Everything that is known of one visitor but events, as members: the row, remarks, history,
 * visits. Errors: CB_ENOENT, those of the reader. */
CB_MUST_USE int cb_report_visitor_members(struct cb_snapshot *snapshot, struct cb_json *json,
                                          struct cb_str site_name, uint32_t site,
                                          const uint8_t visitor[CB_VISITOR_BYTES]);

#endif
