/* SPDX-License-Identifier: MIT */
#include "query/filter.h"

static const char *const dims[CB_DIM_COUNT] = {
#define DIM_NAME(symbol, name) [symbol] = (name),
    CB_DIMS(DIM_NAME)
#undef DIM_NAME
};

int cb_dim_of(struct cb_str name, enum cb_dim *out) {
    for (unsigned i = 0; i < CB_DIM_COUNT; i++) {
        if (cb_str_is(name, dims[i])) {
            *out = (enum cb_dim)i;
            return 0;
        }
    }
    return CB_ENOENT;
}

const char *cb_dim_name(enum cb_dim dim) {
    return dims[dim];
}

static bool is_text_of(struct cb_str value, const char *(*text)(unsigned), unsigned max) {
    for (unsigned i = 0; i <= max; i++)
        if (cb_str_is(value, text(i)))
            return true;
    return false;
}

static bool is_capital(char c) {
    return c >= 'A' && c <= 'Z';
}

/* Whether an event could have it: a slip would otherwise be answered with zeros. */
static bool is_possible(enum cb_dim dim, struct cb_str value) {
    switch (dim) {
    case CB_DIM_DEVICE:
        return cb_str_is(value, CB_VALUE_BOT) || is_text_of(value, cb_device_text, CB_DEVICE_MAX);
    case CB_DIM_BROWSER:
        return is_text_of(value, cb_browser_text, CB_BROWSER_MAX);
    case CB_DIM_LANGUAGE:
        return cb_language_valid(value);
    case CB_DIM_COUNTRY:
        return value.len == 2 && is_capital(value.p[0]) && is_capital(value.p[1]);
    case CB_DIM_REFERRER:
        return cb_referrer_valid(value);
    default:
        return value.len > 0;
    }
}

/* Takes a value up to the next `;` that is not escaped, unescaped in place. Errors: CB_EMALFORMED
 * for another escape. */
static int take_value(char **at, struct cb_str *out) {
    char *from = *at, *to = from;
    out->p = to;
    for (; *from && *from != ';'; from++) {
        if (*from == '\\' && *++from != ';' && *from != '\\')
            return CB_EMALFORMED;
        *to++ = *from;
    }
    out->len = (size_t)(to - out->p);
    *at = from;
    return 0;
}

static int take_filter(char **at, struct cb_filter *out) {
    char *colon = strpbrk(*at, ":;");
    if (!colon || *colon != ':' ||
        cb_dim_of((struct cb_str){*at, (size_t)(colon - *at)}, &out->dim))
        return CB_EMALFORMED;
    *at = colon + 1;
    int rc = take_value(at, &out->value);
    return !rc && is_possible(out->dim, out->value) ? 0 : CB_EMALFORMED;
}

int cb_filters_parse(const char *text, struct cb_filters *out, struct cb_param_error *error) {
    size_t len = strlen(text);
    out->n = 0;
    if (len > CB_PARAM_VALUE_MAX)
        return cb_param_refuse(error, "filter", "filter is too long");
    memcpy(out->text, text, len + 1);
    for (char *at = out->text;; at++) {
        if (out->n == CB_FILTERS_MAX)
            return cb_param_refuse(error, "filter", "filter has at most %d dimensions",
                                   CB_FILTERS_MAX);
        struct cb_filter *filter = &out->rows[out->n++];
        if (take_filter(&at, filter))
            return cb_param_refuse(
                error, "filter",
                "filter is DIMENSION:VALUE, more of them behind a ; (\\; and \\\\ "
                "within a value); a value must be one that its dimension can "
                "have");
        for (unsigned i = 0; i + 1 < out->n; i++)
            if (out->rows[i].dim == filter->dim)
                return cb_param_refuse(error, "filter", "a dimension stands in filter twice");
        if (*at == '\0')
            return 0;
    }
}

bool cb_filters_match(const struct cb_filters *filters, const struct cb_envelope *envelope,
                      const struct cb_event *event) {
    for (unsigned i = 0; i < filters->n; i++)
        if (!cb_filter_matches(&filters->rows[i], envelope, event))
            return false;
    return true;
}
