/* SPDX-License-Identifier: MIT
 * store.h: the one writer as a module: the data folder, the journal's thread, the fold's thread,
 * the answers' thread.
 *
 * Call from one thread (main's). Which thread owns what: store/README.md. */
#ifndef CB_STORE_STORE_H
#define CB_STORE_STORE_H

#include "proto/control.h"
#include "proto/link.h"
#include "proto/opt.h"

struct cb_reader;
struct cb_store;

enum { CB_STORE_CONTROLS_MAX = 2 };

/* Where the store listens: for beacons, and for control frames (cb_link_url_control). */
struct cb_store_places {
    struct cb_link_url frames;
    struct cb_link_url controls[CB_STORE_CONTROLS_MAX];
    unsigned n_controls;
};

/* Locks and opens (or makes) the data folder, recovers, binds the channels, starts the threads;
 * when it returns the store answers a hello. A new folder gets the sites of the option and
 * DIR/admin-token. On failure *sentence (heap, caller frees) says what, naming the folder or the
 * option. Errors: CB_EBUSY (another process holds the folder, or the address), CB_EIO, CB_EVERSION,
 * CB_ECORRUPT, CB_EINVAL, CB_ESYS, CB_ENOMEM. */
CB_MUST_USE int cb_store_setup(const struct cb_opts *opts, const struct cb_store_places *places,
                               struct cb_store **out, char **sentence);
/* Opens a stopped store's folder under its lock and folds what is left; then calls with a reader of
 * it first (unless NULL), appends control and folds it (unless NULL, or first failed), and calls
 * last. Errors: those of cb_store_setup (CB_EBUSY: a store runs) and of first and last. */
typedef int cb_store_offline_fn(struct cb_reader *reader, void *user, char **sentence);
CB_MUST_USE int cb_store_offline(const struct cb_opts *opts, const struct cb_control *control,
                                 cb_store_offline_fn *first, cb_store_offline_fn *last, void *user,
                                 char **sentence);
/* A descriptor that becomes readable when the store cannot go on (its data is damaged, or LMDB
 * refuses to): the process should say so and exit 1, for its supervisor to start it again. */
int cb_store_failed_fd(const struct cb_store *store);
/* Stops taking frames, folds what was acked, joins the threads, closes. */
void cb_store_teardown(struct cb_store **store);

#endif
