/* SPDX-License-Identifier: MIT */
#include "query/headers.h"

#include <stdio.h>

#include "proto/settings.h"

static const char *listed = "";

/* Takes the next origin of the list; false at the end. */
static bool next_origin(const char **list, struct cb_str *out) {
    if (**list == '\0')
        return false;
    size_t len = strcspn(*list, ",");
    *out = (struct cb_str){*list, len};
    *list += len + ((*list)[len] == ',');
    return true;
}

int cb_headers_setup(const char *origins, char **sentence) {
    struct cb_str origin;
    listed = "";
    for (const char *list = origins ? origins : ""; next_origin(&list, &origin);) {
        if (cb_origin_valid(origin))
            continue;
        if (asprintf(sentence,
                     "--cors-origins: \"%.*s\" is no origin like https://host or https://host:port",
                     (int)origin.len, origin.p) < 0)
            *sentence = NULL;
        return CB_EINVAL;
    }
    listed = origins ? origins : "";
    return 0;
}

static const struct cb_str *listed_origin(const struct cb_http_req *req) {
    const struct cb_str *of = cb_http_header(req, "origin");
    struct cb_str origin;
    for (const char *list = listed; of && next_origin(&list, &origin);)
        if (cb_str_eq(origin, *of))
            return of;
    return NULL;
}

bool cb_headers_origin_listed(const struct cb_http_req *req) {
    return listed_origin(req) != NULL;
}

const char *cb_headers_write(const struct cb_http_req *req, const char *more, char *out) {
    const struct cb_str *origin = listed_origin(req);
    int n = snprintf(out, CB_HEADERS_MAX, "%s%s%s", CB_API_HEADERS,
                     *listed ? "Vary: Origin\r\n" : "", more);
    if (origin && n > 0 && n < CB_HEADERS_MAX)
        snprintf(out + n, (size_t)(CB_HEADERS_MAX - n),
                 "Access-Control-Allow-Origin: %.*s\r\n"
                 "Access-Control-Expose-Headers: Retry-After, X-Export-End, X-Next-Cursor\r\n",
                 (int)origin->len, origin->p);
    return out;
}
