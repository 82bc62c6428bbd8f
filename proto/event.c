/* SPDX-License-Identifier: MIT */
#include "proto/event.h"

#include <sodium.h>

static const struct cb_str names[CB_NAME_KNOWN_MAX + 1] = {
#define CB_EVENT_NAME_ROW(symbol, number, text) [number] = {text, sizeof(text) - 1},
    CB_EVENT_NAMES(CB_EVENT_NAME_ROW)
#undef CB_EVENT_NAME_ROW
};

static const struct {
    const char *key;
    size_t max_chars;
} fields[CB_FIELD_COUNT] = {
#define CB_FIELD_ROW(symbol, number, key, characters) [number] = {key, characters},
    CB_FIELDS(CB_FIELD_ROW)
#undef CB_FIELD_ROW
};

#define CB_NUMBER_TEXT(symbol, number, text) [number] = (text),
static const char *const devices[CB_DEVICE_MAX + 1] = {CB_DEVICES(CB_NUMBER_TEXT)};
static const char *const browsers[CB_BROWSER_MAX + 1] = {CB_BROWSERS(CB_NUMBER_TEXT)};
#undef CB_NUMBER_TEXT

const char *cb_device_text(unsigned device) {
    const char *text = device <= CB_DEVICE_MAX ? devices[device] : NULL;
    return text ? text : devices[CB_DEVICE_UNKNOWN];
}

const char *cb_browser_text(unsigned browser) {
    const char *text = browser <= CB_BROWSER_MAX ? browsers[browser] : NULL;
    return text ? text : browsers[CB_BROWSER_UNKNOWN];
}

unsigned cb_event_name_code(struct cb_str name) {
    for (unsigned code = 1; code <= CB_NAME_KNOWN_MAX; code++) {
        if (cb_str_eq(name, names[code])) {
            return code;
        }
    }
    return CB_NAME_CUSTOM;
}

struct cb_str cb_event_name_text(unsigned code) {
    return code <= CB_NAME_KNOWN_MAX ? names[code] : (struct cb_str){NULL, 0};
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool cb_event_name_valid(struct cb_str text) {
    if (text.len == 0 || text.len > CB_NAME_MAX || !is_letter(text.p[0])) {
        return false;
    }
    for (size_t i = 1; i < text.len; i++) {
        char c = text.p[i];
        if (!is_letter(c) && !is_digit(c) && c != '_' && c != '.' && c != ':' && c != '-') {
            return false;
        }
    }
    return true;
}

bool cb_site_name_valid(struct cb_str text) {
    if (text.len == 0 || text.len > CB_SITE_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (!is_letter(c) && !is_digit(c) && c != '_' && c != '-') {
            return false;
        }
    }
    return true;
}

static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

bool cb_language_valid(struct cb_str text) {
    return (text.len == 2 || text.len == 3) && is_lower(text.p[0]) && is_lower(text.p[1]) &&
           (text.len == 2 || is_lower(text.p[2]));
}

bool cb_referrer_valid(struct cb_str text) {
    if (text.len == 0 || text.len > CB_REFERRER_MAX) {
        return false;
    }
    bool is_ip6 = text.p[0] == '[';
    for (size_t i = is_ip6 ? 1 : 0; i < text.len - (is_ip6 ? 1 : 0); i++) {
        char c = text.p[i];
        bool ok =
            is_lower(c) || is_digit(c) || c == '.' || (is_ip6 ? c == ':' : c == '-' || c == '_');
        if (!ok) {
            return false;
        }
    }
    return !is_ip6 || (text.len > 2 && text.p[text.len - 1] == ']');
}

int cb_field_of(struct cb_str key) {
    for (int field = 0; field < CB_FIELD_COUNT; field++) {
        if (cb_str_is(key, fields[field].key)) {
            return field;
        }
    }
    return CB_ENOENT;
}

const char *cb_field_key(unsigned field) {
    return field < CB_FIELD_COUNT ? fields[field].key : "";
}

size_t cb_field_max_chars(unsigned field) {
    return field < CB_FIELD_COUNT ? fields[field].max_chars : 0;
}

void cb_visitor_hash(struct cb_str site, const uint8_t id[CB_VISITOR_BYTES],
                     uint8_t out[CB_VISITOR_BYTES]) {
    /* The id has a fixed length and comes last, so the concatenation is unambiguous. */
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, CB_VISITOR_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)site.p, site.len);
    crypto_generichash_update(&state, id, CB_VISITOR_BYTES);
    crypto_generichash_final(&state, out, CB_VISITOR_BYTES);
    sodium_memzero(&state, sizeof(state));
}

void cb_visitor_tag(const uint8_t visitor[CB_VISITOR_BYTES], uint8_t out[CB_VISITOR_BYTES]) {
    static const char name[] = "chatbeacon erased";
    crypto_generichash(out, CB_VISITOR_BYTES, visitor, CB_VISITOR_BYTES,
                       (const unsigned char *)name, sizeof(name) - 1);
}

bool cb_stamp_replaces(const struct cb_stamp *a, const struct cb_stamp *b) {
    /* A page chooses its producer: it must not be taken for the operators'. */
    int edited = (b->source == CB_SOURCE_OPERATOR) - (a->source == CB_SOURCE_OPERATOR);
    int order = memcmp(a->producer, b->producer, CB_PRODUCER_BYTES);
    if (edited == 0 && order == 0) {
        return b->seq > a->seq;
    }
    if (b->true_ms != a->true_ms) {
        return b->true_ms > a->true_ms;
    }
    return edited != 0 ? edited > 0 : order < 0;
}
