/* SPDX-License-Identifier: MIT
 * ingest.h: the public front as a module: threads, each with its own event base, HTTP server,
 * batch, lookup and uplink.
 *
 * Opens no database. Call from one thread (main's). */
#ifndef CB_INGEST_INGEST_H
#define CB_INGEST_INGEST_H

#include "proto/link.h"
#include "proto/opt.h"

struct cb_ingest;

/* Says hello to the store, opens the port and starts the threads. On failure *sentence (heap,
 * caller frees) says what. Errors: CB_ETIMEDOUT (no store at url), CB_EBUSY (port), CB_EINVAL,
 * CB_ESYS, CB_ENOMEM. */
CB_MUST_USE int cb_ingest_setup(const struct cb_opts *opts, const struct cb_link_url *url,
                                struct cb_ingest **out, char **sentence);
/* HOST:PORT as opened. Lives as long as the module. */
const char *cb_ingest_address(const struct cb_ingest *ingest);
/* Stops accepting, answers what is held (by ack, or 503 after the ack timeout), joins the threads,
 * frees. */
void cb_ingest_teardown(struct cb_ingest **ingest);

#endif
