/* SPDX-License-Identifier: MIT
 * answers.h: the thread that answers asks: sites, a visitor's fields, hello. Reads overlay over
 * views. */
#ifndef CB_STORE_ANSWERS_H
#define CB_STORE_ANSWERS_H

#include "proto/link.h"
#include "store/fold.h"
#include "store/journal.h"
#include "store/overlay.h"
#include "store/reader.h"

struct cb_answers;

/* Starts the thread. What it is given outlives it. Errors: CB_ESYS, CB_ENOMEM. */
CB_MUST_USE int cb_answers_create(struct cb_link_store *link, const struct cb_journal *journal,
                                  const struct cb_fold *fold, struct cb_reader *reader,
                                  struct cb_overlay *overlay, struct cb_answers **out);
/* Ends the thread, frees. */
void cb_answers_destroy(struct cb_answers **answers);

#endif
