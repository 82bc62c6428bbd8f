/* SPDX-License-Identifier: MIT */
#include "proto/settings.h"

static const char lower_digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";

static bool all_of(struct cb_str text, const char *letters, const char *more) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (c == '\0' || (!strchr(letters, c) && !strchr(more, c))) {
            return false;
        }
    }
    return true;
}

struct cb_settings cb_settings_default(void) {
    return (struct cb_settings){
        .zone = CB_STR("UTC"), .idle_minutes = CB_IDLE_MINUTES_DEFAULT, .page = CB_STR("{}")};
}

static bool starts_with(struct cb_str text, struct cb_str prefix) {
    return text.len > prefix.len && memcmp(text.p, prefix.p, prefix.len) == 0;
}

bool cb_origin_valid(struct cb_str text) {
    if (text.len > CB_ORIGIN_MAX) {
        return false;
    }
    struct cb_str scheme = starts_with(text, CB_STR("https://"))  ? CB_STR("https://")
                           : starts_with(text, CB_STR("http://")) ? CB_STR("http://")
                                                                  : CB_STR("");
    if (scheme.len == 0) {
        return false;
    }
    struct cb_str host = {text.p + scheme.len, text.len - scheme.len}, port = {NULL, 0};
    const char *bracket = host.p[0] == '[' ? memchr(host.p, ']', host.len) : NULL;
    const char *from = bracket ? bracket : host.p;
    const char *colon = memchr(from, ':', (size_t)(host.p + host.len - from));
    if (colon) {
        port = (struct cb_str){colon + 1, (size_t)(host.p + host.len - colon - 1)};
        host.len = (size_t)(colon - host.p);
        if (port.len == 0 || port.len > 5 || port.p[0] == '0' || !all_of(port, "0123456789", "") ||
            cb_str_is(port, scheme.len == 8 ? "443" : "80")) {
            return false; /* a browser leaves the scheme's own port out: it would match nothing */
        }
    }
    if (bracket) {
        struct cb_str address = {host.p + 1, host.len >= 2 ? host.len - 2 : 0};
        return address.len > 0 && host.p + host.len - 1 == bracket &&
               all_of(address, "0123456789abcdef", ":.");
    }
    return host.len > 0 && all_of(host, lower_digits, "-._");
}

/* Takes the next word of a list; false at the end. */
static bool next_word(struct cb_str *list, struct cb_str *word) {
    if (list->len == 0) {
        return false;
    }
    const char *space = memchr(list->p, ' ', list->len);
    word->p = list->p;
    word->len = space ? (size_t)(space - list->p) : list->len;
    size_t used = word->len + (space ? 1 : 0);
    list->p += used;
    list->len -= used;
    return true;
}

bool cb_settings_valid(const struct cb_settings *s) {
    struct cb_str list = s->origins, word;
    if (list.len > CB_ORIGINS_MAX_BYTES || (list.len > 0 && list.p[list.len - 1] == ' ')) {
        return false;
    }
    while (next_word(&list, &word)) {
        if (!cb_origin_valid(word)) {
            return false;
        }
    }
    return s->zone.len >= 1 && s->zone.len <= CB_ZONE_MAX &&
           all_of(s->zone, lower_digits, "ABCDEFGHIJKLMNOPQRSTUVWXYZ/_+-") &&
           s->idle_minutes >= 1 && s->idle_minutes <= CB_IDLE_MINUTES_MAX &&
           s->raw_days <= CB_RETAIN_DAYS_MAX && s->personal_days <= CB_RETAIN_DAYS_MAX &&
           s->rollup_days <= CB_RETAIN_DAYS_MAX && s->page.len >= 2 &&
           s->page.len <= CB_PAGE_SETTINGS_MAX && s->page.p[0] == '{' &&
           s->page.p[s->page.len - 1] == '}';
}

bool cb_origins_allow(struct cb_str origins, struct cb_str origin) {
    struct cb_str word;
    if (origins.len == 0 || !origin.p) {
        return true;
    }
    while (next_word(&origins, &word)) {
        if (cb_str_eq(word, origin)) {
            return true;
        }
    }
    return false;
}
