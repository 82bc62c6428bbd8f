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

/* Reads every record (checksum, order, content) and the newest base, and recounts the books from
 * the journal: from its beginning, or from the base's books where it was trimmed. The store may go
 * on meanwhile; it trims nothing. */
CB_MUST_USE int cb_verify(const struct cb_opts *opts, FILE *out, char **sentence);
/* Makes the views anew from the journal (behind the newest base where it was trimmed), compares all
 * their rows with those that are there, and puts the new ones in their place. Offline: takes the
 * folder's lock. That the old ones differed is reported, not an error. */
CB_MUST_USE int cb_rebuild(const struct cb_opts *opts, FILE *out, char **sentence);
/* Copies the data of a running (or stopped) store into the folder opts->to, which must be new or
 * empty: views first, then the newest base and the journal, so the copy is a whole prefix of what
 * was acked, and opens like any data folder. Nothing is trimmed meanwhile. The admin token's text
 * is not copied; the tokens themselves are. */
CB_MUST_USE int cb_backup(const struct cb_opts *opts, FILE *out, char **sentence);
/* Verifies the backup in opts->from and copies it into the data folder, which must be new or empty.
 */
CB_MUST_USE int cb_restore(const struct cb_opts *opts, FILE *out, char **sentence);

/* Before a start opens the views: where nothing can be folded on to them (an older version wrote
 * them; they are gone, or end before a trimmed journal begins), those of the newest base take their
 * place, or none where the journal goes back to its first record. Under the folder's lock, with no
 * views open. Errors: CB_ECORRUPT when there is no base that helps, CB_EVERSION, those of base.h.
 */
struct cb_journal;
CB_MUST_USE int cb_views_renew(const struct cb_opts *opts, struct cb_journal *journal,
                               char **sentence);

/* The tokens of a data folder: through the control socket where a store runs, else under the
 * folder's lock. create writes the text, which is told this once, and list a line for each. The
 * command line may do what the API may not: end the last admin's token. */
CB_MUST_USE int cb_token_create(const struct cb_opts *opts, FILE *out, char **sentence);
CB_MUST_USE int cb_token_list(const struct cb_opts *opts, FILE *out, char **sentence);
CB_MUST_USE int cb_token_revoke(const struct cb_opts *opts, FILE *out, char **sentence);

/* Sets *sentence like printf and returns code. */
int cb_upkeep_fail(int code, char **sentence, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
