/* SPDX-License-Identifier: MIT
 * recount.h: what the driver's frames say, counted the plain way: arrays and sets, no journal, no
 * folds. */
#ifndef CB_TESTS_POWER_RECOUNT_H
#define CB_TESTS_POWER_RECOUNT_H

#include <stdbool.h>

#include "proto/buf.h"
#include "store/views.h"

struct recount;

struct recount *recount_create(void);
void recount_destroy(struct recount **recount);
/* Counts one more frame. */
void recount_add(struct recount *recount, struct cb_str frame);
/* Whether books, counts by name and grain, visitors and seen sets in the views are what was
 * counted. If not, *sentence (of len bytes) says what differs. */
bool recount_equals(struct recount *recount, struct cb_views *views, char *sentence, size_t len);

#endif
