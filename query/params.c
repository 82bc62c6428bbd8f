/* SPDX-License-Identifier: MIT */
#include "query/params.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "proto/http.h"

int cb_param_refuse(struct cb_param_error *error, const char *field, const char *format, ...) {
    va_list args;
    snprintf(error->field, sizeof error->field, "%s", field);
    va_start(args, format);
    vsnprintf(error->sentence, sizeof error->sentence, format, args);
    va_end(args);
    return CB_EINVAL;
}

static bool is_allowed(const char *const *allowed, struct cb_str name) {
    for (; *allowed; allowed++)
        if (cb_str_is(name, *allowed))
            return true;
    return false;
}

/* Names are compared as they were sent: ours need no percent-encoding. */
static int check_names(struct cb_str query, const char *const *allowed,
                       struct cb_param_error *error) {
    while (query.len > 0) {
        const char *amp = memchr(query.p, '&', query.len);
        struct cb_str pair = {query.p, amp ? (size_t)(amp - query.p) : query.len};
        const char *equals = memchr(pair.p, '=', pair.len);
        struct cb_str name = {pair.p, equals ? (size_t)(equals - pair.p) : pair.len};
        if (pair.len > 0 && !is_allowed(allowed, name)) { /* "a=1&&b=2" does no harm */
            int len = name.len < CB_PARAM_VALUE_MAX ? (int)name.len : CB_PARAM_VALUE_MAX;
            char text[CB_PARAM_VALUE_MAX + 1];
            snprintf(text, sizeof text, "%.*s", len, name.p);
            return cb_param_refuse(error, text, "this address takes no parameter of that name");
        }
        size_t used = pair.len + (amp ? 1 : 0);
        query.p += used;
        query.len -= used;
    }
    return 0;
}

int cb_params_parse(struct cb_str query, const char *const *allowed, struct cb_params *out,
                    struct cb_param_error *error) {
    int rc = check_names(query, allowed, error);
    out->n = 0;
    for (; !rc && *allowed; allowed++) {
        assert(out->n < CB_PARAMS_MAX);
        char *value = out->rows[out->n].value;
        rc = cb_http_query(query, *allowed, value, sizeof out->rows[out->n].value);
        if (rc == 0)
            out->rows[out->n++].name = *allowed;
        else if (rc == CB_ENOENT)
            rc = 0;
        else if (rc == CB_ETOOBIG)
            rc = cb_param_refuse(error, *allowed, "the value is over %d bytes", CB_PARAM_VALUE_MAX);
        else
            rc = cb_param_refuse(error, *allowed,
                                 "the parameter is given twice or is not percent-encoded UTF-8");
    }
    return rc;
}

const char *cb_params_get(const struct cb_params *params, const char *name) {
    for (unsigned i = 0; i < params->n; i++)
        if (!strcmp(params->rows[i].name, name))
            return params->rows[i].value;
    return NULL;
}
