/* SPDX-License-Identifier: MIT
 * replay.h: the list of who was erased, and a restored backup that learns of those that were erased
 * after it was made.
 *
 * DIR/erasures has a line for each erasure: the site, the tag of the key (which leads to nobody)
 * and the time. It is worth keeping beside backups. */
#ifndef CB_STORE_REPLAY_H
#define CB_STORE_REPLAY_H

#include <stdio.h>

#include "proto/opt.h"
#include "store/reader.h"

/* Adds a line to the list, unless it is there. Errors: CB_EIO, CB_ESYS, CB_ENOMEM, CB_ETOOBIG. */
CB_MUST_USE int cb_erasures_list(const char *data_dir, struct cb_str site,
                                 const struct cb_erasure *erasure);
/* Erases in a data folder that no store runs on whoever stands in the list of opts->erasures and is
 * there, sweeps what is on disk, and takes over the list. Errors: those of the store. */
CB_MUST_USE int cb_erasures_replay(const struct cb_opts *opts, FILE *out, char **sentence);

#endif
