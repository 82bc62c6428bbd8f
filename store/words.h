/* SPDX-License-Identifier: MIT
 * words.h: what a field of a visitor is found by.
 *
 * A text is folded: lower case, without marks, its words joined by single spaces ("Zoë  O'Brien" is
 * "zoe o brien"). It is found by whatever begins at one of its first words: its terms. A phone
 * number is its digits, and a word begins where a group of them does. The folding is a table of
 * ours, not ICU's: the rows made of it must be the same in every rebuild. Pure. Any thread. */
#ifndef CB_STORE_WORDS_H
#define CB_STORE_WORDS_H

#include "proto/event.h"

enum {
    CB_WORDS_BYTES = 512,    /* of a folded text; what is behind is not found */
    CB_WORDS_TERMS = 6,      /* of a text */
    CB_WORDS_KEY_BYTES = 40, /* of a term in a key */
    CB_WORDS_DIGITS_MIN = 3, /* of a phone number's term */
};

struct cb_words {
    char text[CB_WORDS_BYTES];
    size_t len;
    unsigned n;
    uint16_t terms[CB_WORDS_TERMS]; /* where each begins; it goes on to the end */
};

/* Whether a field is searched. */
static inline bool cb_words_searched(unsigned field) {
    return field == CB_FIELD_NAME || field == CB_FIELD_EMAIL || field == CB_FIELD_PHONE;
}

/* The terms of a field's value (valid UTF-8); none for a field that is not searched. */
void cb_words_of(unsigned field, struct cb_str value, struct cb_words *out);
/* What somebody searches for, as one term: as a phone number where it has digits and nothing but
 * what stands in one. n is 0 where it holds no word. */
void cb_words_wanted(struct cb_str text, struct cb_words *out);

static inline struct cb_str cb_words_term(const struct cb_words *words, unsigned i) {
    return (struct cb_str){words->text + words->terms[i], words->len - words->terms[i]};
}

/* As much of a term as stands in a key. */
static inline struct cb_str cb_words_key(struct cb_str term) {
    return (struct cb_str){term.p, term.len < CB_WORDS_KEY_BYTES ? term.len : CB_WORDS_KEY_BYTES};
}

static inline bool cb_words_begins(struct cb_str term, struct cb_str wanted) {
    return term.len >= wanted.len && memcmp(term.p, wanted.p, wanted.len) == 0;
}

#endif
