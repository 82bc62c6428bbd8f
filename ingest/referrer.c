/* SPDX-License-Identifier: MIT */
#include "ingest/referrer.h"

/* Where c stands in text, or its length. */
static size_t find(struct cb_str text, char c) {
    const char *at = text.len ? memchr(text.p, c, text.len) : NULL;
    return at ? (size_t)(at - text.p) : text.len;
}

static struct cb_str behind(struct cb_str text, size_t n) {
    return (struct cb_str){text.p + n, text.len - n};
}

/* What stands between the scheme and the path of an address; the whole of a text without either. */
static struct cb_str authority_of(struct cb_str text) {
    size_t colon = find(text, ':');
    if (colon + 2 < text.len && text.p[colon + 1] == '/' && text.p[colon + 2] == '/')
        text = behind(text, colon + 3);
    static const char ends[] = {'/', '?', '#', '\\'};
    for (size_t i = 0; i < sizeof ends; i++)
        text.len = find(text, ends[i]);
    for (size_t at; (at = find(text, '@')) < text.len;)
        text = behind(text, at + 1);
    return text;
}

size_t cb_referrer_host(struct cb_str text, char out[CB_REFERRER_MAX]) {
    struct cb_str host = authority_of(text);
    bool is_ip6 = host.len > 0 && host.p[0] == '[';
    if (is_ip6 && find(host, ']') < host.len)
        host.len = find(host, ']') + 1;
    else if (!is_ip6)
        host.len = find(host, ':');
    if (host.len > 0 && host.p[host.len - 1] == '.')
        host.len--;
    if (host.len > CB_REFERRER_MAX)
        return 0;
    for (size_t i = 0; i < host.len; i++)
        out[i] = (char)(host.p[i] >= 'A' && host.p[i] <= 'Z' ? host.p[i] | 0x20 : host.p[i]);
    return cb_referrer_valid((struct cb_str){out, host.len}) ? host.len : 0;
}

size_t cb_referrer_of(struct cb_str text, struct cb_str page, char out[CB_REFERRER_MAX]) {
    char own[CB_REFERRER_MAX];
    size_t len = cb_referrer_host(text, out);
    if (len == 0)
        return 0;
    size_t own_len = cb_referrer_host(page, own);
    return len == own_len && memcmp(out, own, len) == 0 ? 0 : len;
}
