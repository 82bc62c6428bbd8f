/* SPDX-License-Identifier: MIT
 * params.h: the parameters of a query string, checked against what a route takes.
 *
 * A parameter that is misspelled would otherwise be ignored in silence, and the answer be another
 * one than was asked for: so an unknown name, a name given twice, and a value that is not UTF-8 or
 * over its limit are each refused by name. Pure. Any thread. */
#ifndef CB_QUERY_PARAMS_H
#define CB_QUERY_PARAMS_H

#include "proto/buf.h"

enum {
    CB_PARAMS_MAX = 8,        /* parameters of one route */
    CB_PARAM_VALUE_MAX = 256, /* bytes of a value, decoded */
    CB_PARAM_SENTENCE_MAX = 160,
};

/* What is wrong with a request: the parameter (as the error's "field") and a sentence. */
struct cb_param_error {
    char field[CB_PARAM_VALUE_MAX + 1];
    char sentence[CB_PARAM_SENTENCE_MAX];
};

struct cb_params {
    unsigned n;
    struct {
        const char *name; /* the route's */
        char value[CB_PARAM_VALUE_MAX + 1];
    } rows[CB_PARAMS_MAX];
};

/* Reads query (undecoded) into out. allowed: names, at most CB_PARAMS_MAX, then NULL. Errors:
 * CB_EINVAL with *error filled. */
CB_MUST_USE int cb_params_parse(struct cb_str query, const char *const *allowed,
                                struct cb_params *out, struct cb_param_error *error);

/* The decoded value of a parameter, or NULL where it was not given. Lives as long as params. */
const char *cb_params_get(const struct cb_params *params, const char *name);

/* Fills *error and returns CB_EINVAL: `return cb_param_refuse(error, "tz", "…")`. */
int cb_param_refuse(struct cb_param_error *error, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
