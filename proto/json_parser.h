/* SPDX-License-Identifier: MIT
 * json_parser.h: JSON (RFC 8259) behind a small C interface. json_parser.cpp is the one file that
 * knows simdjson.
 *
 * Strict: full grammar, UTF-8 checked, no byte order mark, nothing behind the value, nested at most
 * CB_VALUE_DEPTH_MAX deep. Refused although the grammar lets them in: whole numbers that do not fit
 * 64 bits, numbers beyond a double, and escapes of half a surrogate pair (RFC 8259, sections 6 and
 * 8.2, leave both to the reader). Repeated members are kept: who reads an object decides. A parser
 * belongs to one thread. */
#ifndef CB_PROTO_JSON_PARSER_H
#define CB_PROTO_JSON_PARSER_H

#include "proto/value.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cb_json_parser;

/* body_max_bytes: the longest body that it will be given; memory is taken as bodies need it.
 * Errors: CB_ENOMEM. */
CB_MUST_USE int cb_json_parser_create(size_t body_max_bytes, struct cb_json_parser **out);
void cb_json_parser_destroy(struct cb_json_parser **json);

/* Parses body, behind which CB_HTTP_BODY_PAD readable bytes must follow (their content does not
 * matter). Lifetime: *out lives until the next parse. Errors: CB_EMALFORMED (*why is a sentence,
 * static), CB_ENOMEM. */
CB_MUST_USE int cb_json_parse(struct cb_json_parser *json, struct cb_str body, struct cb_value *out,
                              const char **why);

extern const struct cb_value_ops cb_json_values;

#ifdef __cplusplus
}
#endif

#endif
