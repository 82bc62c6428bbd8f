/* SPDX-License-Identifier: MIT
 * filter.h: filter= of a request: values of dimensions that an event must have, all of them.
 *
 *     page:https://shop.example/cart;device:mobile
 *
 * A `;` within a value is written `\;`, a backslash `\\`. Pure. Any thread. */
#ifndef CB_QUERY_FILTER_H
#define CB_QUERY_FILTER_H

#include "query/params.h"
#include "store/reader.h"

enum { CB_FILTERS_MAX = 4 };

struct cb_filters {
    unsigned n;
    struct cb_filter rows[CB_FILTERS_MAX]; /* values point into text: not to be moved */
    char text[CB_PARAM_VALUE_MAX + 1];
};

/* Errors: CB_EINVAL with *error filled. */
CB_MUST_USE int cb_filters_parse(const char *text, struct cb_filters *out,
                                 struct cb_param_error *error);
bool cb_filters_match(const struct cb_filters *filters, const struct cb_envelope *envelope,
                      const struct cb_event *event);

/* A dimension by its name. Errors: CB_ENOENT. */
CB_MUST_USE int cb_dim_of(struct cb_str name, enum cb_dim *out);
const char *cb_dim_name(enum cb_dim dim);

#endif
