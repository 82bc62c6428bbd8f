/* SPDX-License-Identifier: MIT
 * search.h: does a text hold another, whatever the case? By Unicode's full case folding, without
 * locale and without normalization. This is the only file that knows ICU's case mapping. One owner.
 */
#ifndef CB_QUERY_SEARCH_H
#define CB_QUERY_SEARCH_H

#include "proto/buf.h"

struct cb_search;

/* Searches for text (valid UTF-8). Errors: CB_ENOMEM. */
CB_MUST_USE int cb_search_create(struct cb_str text, struct cb_search **out);
void cb_search_destroy(struct cb_search **search);

/* Whether text holds what is searched for. Of a text over 21,845 bytes (fields are smaller) only an
 * occurrence in the same case is found. */
bool cb_search_in(struct cb_search *search, struct cb_str text);
/* Whether text (ASCII) begins with what is searched for. */
bool cb_search_begins(const struct cb_search *search, const char *text);

#endif
