/* SPDX-License-Identifier: MIT */
#include "store/words.h"

#include "store/words_table.h"

enum { REPLACEMENT = 0xfffd };

/* The code point at *p, which is moved behind it. Of bytes that are no UTF-8 each is one of its
 * own.
 */
static uint32_t take(const unsigned char **p, const unsigned char *end) {
    uint32_t c = *(*p)++;
    unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    if (c < 0x80) {
        return c;
    }
    if (more == 0 || (size_t)(end - *p) < more) {
        return REPLACEMENT;
    }
    c &= 0x3fu >> more;
    while (more-- > 0) {
        c = c << 6 | (*(*p)++ & 0x3fu);
    }
    return c;
}

static unsigned put(uint32_t c, char out[4]) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    unsigned n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (unsigned i = n - 1; i > 0; i--, c >>= 6) {
        out[i] = (char)(0x80 | (c & 0x3f));
    }
    out[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c);
    return n;
}

static const char *find_folded(uint32_t c) {
    size_t low = 0, high = sizeof(folded) / sizeof(folded[0]);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (folded[middle].from < c) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < sizeof(folded) / sizeof(folded[0]) && folded[low].from == c ? folded[low].to
                                                                             : NULL;
}

static bool is_mark(uint32_t c) {
    return c >= 0x300 && c <= 0x36f;
}

/* What stands between words: in ASCII all but letters and digits. */
static bool is_between(uint32_t c) {
    if (c < 0x80) {
        return !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
    }
    return c < 0xc0 || c == 0xd7 || c == 0xf7 || (c >= 0x2000 && c <= 0x206f) ||
           (c >= 0x3000 && c <= 0x303f) || c == 0xfeff || c == REPLACEMENT;
}

/* What a code point is looked for as: the bytes in out, none for a mark. */
static size_t fold_one(uint32_t c, char out[4]) {
    const char *to;
    if (c >= 'A' && c <= 'Z') {
        out[0] = (char)(c | 0x20);
        return 1;
    }
    if (is_mark(c)) {
        return 0;
    }
    if (c >= 0x80 && (to = find_folded(c)) != NULL) {
        size_t n = strlen(to);
        memcpy(out, to, n);
        return n;
    }
    if (is_between(c)) {
        out[0] = ' ';
        return 1;
    }
    return put(c, out);
}

static void fold_words(struct cb_str text, struct cb_words *out) {
    const unsigned char *p = (const unsigned char *)text.p, *end = p + text.len;
    bool between = true;
    while (p < end) {
        char to[4];
        size_t n = fold_one(take(&p, end), to);
        if (n == 0) {
            continue;
        }
        if (to[0] == ' ') {
            between = true;
            continue;
        }
        if (out->len + n + 1 > CB_WORDS_BYTES) {
            return;
        }
        if (between) {
            if (out->len > 0) {
                out->text[out->len++] = ' ';
            }
            if (out->n < CB_WORDS_TERMS) {
                out->terms[out->n++] = (uint16_t)out->len;
            }
            between = false;
        }
        memcpy(out->text + out->len, to, n);
        out->len += n;
    }
}

static void fold_digits(struct cb_str text, struct cb_words *out) {
    bool between = true;
    for (size_t i = 0; i < text.len && out->len < CB_WORDS_BYTES; i++) {
        bool digit = text.p[i] >= '0' && text.p[i] <= '9';
        if (digit && between && out->n < CB_WORDS_TERMS) {
            out->terms[out->n++] = (uint16_t)out->len;
        }
        if (digit) {
            out->text[out->len++] = text.p[i];
        }
        between = !digit;
    }
}

void cb_words_of(unsigned field, struct cb_str value, struct cb_words *out) {
    out->len = 0;
    out->n = 0;
    switch (field) {
    case CB_FIELD_NAME:
        fold_words(value, out);
        break;
    case CB_FIELD_EMAIL:
        fold_words(value, out);
        /* Nobody looks for what nearly all addresses end with. */
        out->n -= out->n > 1 && memchr(out->text + out->terms[out->n - 1], ' ',
                                       out->len - out->terms[out->n - 1]) == NULL;
        break;
    case CB_FIELD_PHONE:
        fold_digits(value, out);
        while (out->n > 0 && out->len - out->terms[out->n - 1] < CB_WORDS_DIGITS_MIN) {
            out->n--;
        }
        break;
    default:
        break;
    }
}

void cb_words_wanted(struct cb_str text, struct cb_words *out) {
    bool digits = false, phone = true;
    for (size_t i = 0; i < text.len; i++) {
        digits |= text.p[i] >= '0' && text.p[i] <= '9';
        phone &= memchr("0123456789 +-()./", text.p[i], 17) != NULL;
    }
    out->len = 0;
    out->n = 0;
    if (phone && digits) {
        fold_digits(text, out);
    } else {
        fold_words(text, out);
    }
    out->n = out->len > 0;
}
