/* SPDX-License-Identifier: MIT
 * search.c: by which terms (words.h) a visitor is found. A row's value has a bit for each field
 * that gives the term, so a term goes when the last of them does. */
#include "store/folds/folds.h"
#include "store/rows.h"
#include "store/words.h"

static bool has_key(const struct cb_words *words, unsigned n, struct cb_str key) {
    for (unsigned i = 0; i < n; i++) {
        if (cb_str_eq(cb_words_key(cb_words_term(words, i)), key)) {
            return true;
        }
    }
    return false;
}

/* Sets or clears the field's bit in the rows of those terms of `words` that `but` has not. */
static int mark(struct cb_views *views, uint32_t site, uint32_t ordinal, unsigned field,
                const struct cb_words *words, const struct cb_words *but, bool set) {
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < words->n; i++) {
        struct cb_str term = cb_words_key(cb_words_term(words, i));
        if (has_key(but, but->n, term) || has_key(words, i, term)) {
            continue;
        }
        struct cb_key key = cb_key_search(site, term, ordinal);
        struct cb_row *row;
        rc = cb_views_row(views, CB_TABLE_SEARCH, &key, &row);
        if (rc != 0) {
            break;
        }
        uint8_t fields = row->len == 1 ? row->data[0] : 0;
        fields = (uint8_t)(set ? fields | 1u << field : fields & ~(1u << field));
        rc = cb_row_resize(views, row, fields != 0);
        if (rc == 0 && fields != 0) {
            row->data[0] = fields;
        }
    }
    return rc;
}

int cb_search_change(struct cb_views *views, uint32_t site, uint32_t ordinal, unsigned field,
                     struct cb_str before, struct cb_str after) {
    struct cb_words old, fresh;
    if (!cb_words_searched(field)) {
        return 0;
    }
    cb_words_of(field, before, &old);
    cb_words_of(field, after, &fresh);
    int rc = mark(views, site, ordinal, field, &old, &fresh, false);
    return rc == 0 ? mark(views, site, ordinal, field, &fresh, &old, true) : rc;
}
