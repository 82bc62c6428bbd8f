/* SPDX-License-Identifier: MIT */
#include "query/search.h"

#include <stdlib.h>
#include <unicode/ucasemap.h>

enum { FOLDED_MAX = 65536 }; /* folding makes UTF-8 three times as long at most */

struct cb_search {
    UCaseMap *map;
    char *wanted; /* folded */
    size_t wanted_len;
    char folded[FOLDED_MAX];
};

/* Folds text into search->folded; false when that has no room for it. */
static bool fold(struct cb_search *search, struct cb_str text, size_t *len) {
    UErrorCode status = U_ZERO_ERROR;
    if (text.len > FOLDED_MAX)
        return false;
    int32_t n = ucasemap_utf8FoldCase(search->map, search->folded, FOLDED_MAX, text.p,
                                      (int32_t)text.len, &status);
    if (U_FAILURE(status))
        return false;
    *len = (size_t)n;
    return true;
}

int cb_search_create(struct cb_str text, struct cb_search **out) {
    UErrorCode status = U_ZERO_ERROR;
    struct cb_search *search = malloc(sizeof *search);
    if (!search)
        return CB_ENOMEM;
    *search = (struct cb_search){.map = ucasemap_open("", U_FOLD_CASE_DEFAULT, &status)};
    if (U_FAILURE(status))
        goto err_after_search;
    if (!fold(search, text, &search->wanted_len))
        goto err_after_map;
    search->wanted = malloc(search->wanted_len + 1);
    if (!search->wanted)
        goto err_after_map;
    memcpy(search->wanted, search->folded, search->wanted_len);
    search->wanted[search->wanted_len] = '\0';
    *out = search;
    return 0;

err_after_map:
    ucasemap_close(search->map);
err_after_search:
    free(search);
    return CB_ENOMEM;
}

void cb_search_destroy(struct cb_search **search) {
    if (!*search)
        return;
    ucasemap_close((*search)->map);
    free((*search)->wanted);
    free(*search);
    *search = NULL;
}

bool cb_search_in(struct cb_search *search, struct cb_str text) {
    size_t len;
    if (search->wanted_len == 0)
        return true;
    if (text.len == 0)
        return false;
    if (fold(search, text, &len))
        return memmem(search->folded, len, search->wanted, search->wanted_len) != NULL;
    return memmem(text.p, text.len, search->wanted, search->wanted_len) != NULL;
}

bool cb_search_begins(const struct cb_search *search, const char *text) {
    return strncmp(text, search->wanted, search->wanted_len) == 0;
}
