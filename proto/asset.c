/* SPDX-License-Identifier: MIT
 * asset.c: serves the embedded web files.
 *
 * The encodings of an asset are different bytes, so a compressed one carries its entity tag as a
 * weak one; If-None-Match compares weakly anyway (RFC 9110, sections 8.8.3 and 13.1.2). */
#include "proto/asset.h"

#include <stdio.h>
#include <strings.h>

const struct cb_asset *cb_asset_find(const struct cb_asset *table, struct cb_str path) {
    for (; table->path; table++)
        if (cb_str_is(path, table->path))
            return table;
    return NULL;
}

static struct cb_str trim(struct cb_str s) {
    while (s.len > 0 && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.len--;
    }
    while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Takes what stands before the next separator off list; false at its end. */
static bool next_item(struct cb_str *list, char separator, struct cb_str *item) {
    if (list->len == 0)
        return false;
    const char *end = memchr(list->p, separator, list->len);
    size_t len = end ? (size_t)(end - list->p) : list->len;
    *item = trim((struct cb_str){list->p, len});
    size_t taken = len + (end ? 1 : 0);
    list->p += taken;
    list->len -= taken;
    return true;
}

static bool case_is(struct cb_str s, const char *lower) {
    return s.len == strlen(lower) && strncasecmp(s.p, lower, s.len) == 0;
}

/* q=0, q=0.0, q=0.00 or q=0.000: not acceptable. Any other weight will do. */
static bool weight_is_zero(struct cb_str parameters) {
    struct cb_str item;
    while (next_item(&parameters, ';', &item)) {
        if (item.len < 3 || (item.p[0] | 0x20) != 'q' || item.p[1] != '=' || item.p[2] != '0')
            continue;
        for (size_t i = 3; i < item.len; i++)
            if (item.p[i] != '.' && item.p[i] != '0')
                return false;
        return true;
    }
    return false;
}

/* Whether Accept-Encoding takes a coding (RFC 9110, section 12.5.3): by name, else by *. alias:
 * another name of it, or NULL. */
static bool takes(const struct cb_http_req *req, const char *name, const char *alias) {
    bool star = false;
    for (unsigned i = 0; i < req->n_headers; i++) {
        struct cb_str list = req->headers[i].value, item, coding;
        if (!case_is(req->headers[i].name, "accept-encoding"))
            continue;
        while (next_item(&list, ',', &item)) {
            if (!next_item(&item, ';', &coding))
                continue;
            if (case_is(coding, name) || (alias && case_is(coding, alias)))
                return !weight_is_zero(item);
            if (case_is(coding, "*"))
                star = !weight_is_zero(item);
        }
    }
    return star;
}

/* Whether If-None-Match names the tag. A comma within a tag only makes it not match. */
static bool has_tag(const struct cb_http_req *req, const char *etag) {
    for (unsigned i = 0; i < req->n_headers; i++) {
        struct cb_str list = req->headers[i].value, item;
        if (!case_is(req->headers[i].name, "if-none-match"))
            continue;
        while (next_item(&list, ',', &item)) {
            if (item.len >= 2 && memcmp(item.p, "W/", 2) == 0) {
                item.p += 2;
                item.len -= 2;
            }
            if (cb_str_is(item, etag) || cb_str_is(item, "*"))
                return true;
        }
    }
    return false;
}

void cb_asset_reply(struct cb_http_req *req, const struct cb_asset *asset, const char *headers) {
    struct cb_asset_bytes body = asset->data;
    const char *coding = NULL;
    if (asset->gzip.p && takes(req, "gzip", "x-gzip")) {
        coding = "gzip";
        body = asset->gzip;
    }
    if (asset->brotli.p && asset->brotli.len < body.len && takes(req, "br", NULL)) {
        coding = "br";
        body = asset->brotli;
    }
    struct cb_buf lines;
    cb_buf_init(&lines, 8192);
    int rc = cb_buf_printf(&lines, "ETag: %s%s\r\n%s%s", coding ? "W/" : "", asset->etag,
                           asset->gzip.p || asset->brotli.p ? "Vary: Accept-Encoding\r\n" : "",
                           headers ? headers : "");
    bool same = has_tag(req, asset->etag);
    if (rc == 0 && !same)
        rc = cb_buf_printf(&lines, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n",
                           asset->type);
    if (rc == 0 && !same && coding)
        rc = cb_buf_printf(&lines, "Content-Encoding: %s\r\n", coding);
    if (rc == 0)
        rc = cb_buf_append(&lines, "", 1);
    if (rc != 0)
        cb_http_reply(req, 500, NULL, NULL, 0);
    else if (same)
        cb_http_reply(req, 304, lines.data, NULL, 0);
    else
        cb_http_reply(req, 200, lines.data, body.p, body.len);
    cb_buf_fini(&lines);
}
