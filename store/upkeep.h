/* SPDX-License-Identifier: MIT
 * upkeep.h: what an operator runs on a data folder beside the service: verify, backup; or instead
 * of it: rebuild, restore.
 *
 * Each writes what it found to out, a line each, and says in *sentence (heap, caller frees) what
 * went wrong. Errors are those of the store; CB_ECORRUPT when what was found is not sound. One
 * thread. */
#ifndef CB_STORE_UPKEEP_H
#define CB_STORE_UPKEEP_H

#include <stdio.h>

#include "proto/opt.h"

/* Reads every record (checksum, order, content) and recounts the books from the journal. The store
 * may go on meanwhile. */
CB_MUST_USE int cb_verify(const struct cb_opts *opts, FILE *out, char **sentence);
/* Makes the views anew from the journal, compares all their rows with those that are there, and
 * puts the new ones in their place. Offline: takes the folder's lock. That the old ones differed is
 * reported, not an error. */
CB_MUST_USE int cb_rebuild(const struct cb_opts *opts, FILE *out, char **sentence);
/* Copies the data of a running (or stopped) store into the folder opts->to, which must be new or
 * empty: views first, then the journal, so the copy is a whole prefix of what was acked, and opens
 * like any data folder. The admin token's text is not copied; the tokens themselves are. */
CB_MUST_USE int cb_backup(const struct cb_opts *opts, FILE *out, char **sentence);
/* Verifies the backup in opts->from and copies it into the data folder, which must be new or empty.
 */
CB_MUST_USE int cb_restore(const struct cb_opts *opts, FILE *out, char **sentence);

/* Sets *sentence like printf and returns code. */
int cb_upkeep_fail(int code, char **sentence, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
