/* SPDX-License-Identifier: MIT */
#include "ingest/language.h"

enum { LOOKED_AT_MAX = 512, WEIGHT_MAX = 1000 };

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

static struct cb_str trim(struct cb_str text) {
    while (text.len && is_space(text.p[0]))
        text = (struct cb_str){text.p + 1, text.len - 1};
    while (text.len && is_space(text.p[text.len - 1]))
        text.len--;
    return text;
}

/* Takes the text up to the next c, and c. */
static struct cb_str take_until(struct cb_str *rest, char c) {
    const char *end = rest->len ? memchr(rest->p, c, rest->len) : NULL;
    struct cb_str out = {rest->p, end ? (size_t)(end - rest->p) : rest->len};
    size_t taken = out.len + (end ? 1 : 0);
    *rest = (struct cb_str){rest->p + taken, rest->len - taken};
    return trim(out);
}

/* The weight of q=0.xyz in thousandths; 0 where it is no weight. */
static unsigned weight_of(struct cb_str text) {
    unsigned weight = 0, unit = WEIGHT_MAX;
    if (text.len < 3 || text.len > 7 || (text.p[0] | 0x20) != 'q' || text.p[1] != '=')
        return 0;
    for (size_t i = 2; i < text.len; i++) {
        if (i == 3 && text.p[i] == '.')
            continue;
        if (text.p[i] < '0' || text.p[i] > '9' || i == 3)
            return 0;
        weight += unit * (unsigned)(text.p[i] - '0');
        unit /= 10;
    }
    return weight <= WEIGHT_MAX ? weight : 0;
}

/* The primary subtag of a language range, lower case; false where it is none. */
static bool read_range(struct cb_str range, char out[CB_LANGUAGE_MAX + 1]) {
    size_t len = 0;
    while (len < range.len && range.p[len] != '-')
        len++;
    if (len > CB_LANGUAGE_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(range.p[i] >= 'A' && range.p[i] <= 'Z' ? range.p[i] | 0x20 : range.p[i]);
    out[len] = '\0';
    return cb_language_valid((struct cb_str){out, len});
}

void cb_language_of(struct cb_str header, char out[CB_LANGUAGE_MAX + 1]) {
    unsigned best = 0;
    if (header.len > LOOKED_AT_MAX)
        header.len = LOOKED_AT_MAX;
    out[0] = '\0';
    while (header.len && best < WEIGHT_MAX) {
        struct cb_str item = take_until(&header, ',');
        char language[CB_LANGUAGE_MAX + 1];
        struct cb_str range = take_until(&item, ';');
        unsigned weight = item.len ? weight_of(trim(item)) : WEIGHT_MAX;
        if (weight > best && read_range(range, language)) {
            memcpy(out, language, sizeof language);
            best = weight;
        }
    }
}
