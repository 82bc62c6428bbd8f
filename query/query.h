/* SPDX-License-Identifier: MIT
 * query.h: the private API and the dashboard as a module: threads, each with its own event base and
 * HTTP server.
 *
 * Reads the views in snapshots only. Call from one thread (main's). */
#ifndef CB_QUERY_QUERY_H
#define CB_QUERY_QUERY_H

#include "proto/link.h"
#include "proto/opt.h"
#include "store/reader.h"

struct cb_query;

/* Opens the port and starts the threads. reader is borrowed and must outlive the module. control:
 * where what people write goes (cb_link_url_control), copied; NULL: nothing can be written. The
 * store need not be there: without it reads are answered, and writes get 503. On failure *sentence
 * (heap, caller frees) says what. Errors: CB_EBUSY (port), CB_EINVAL, CB_ESYS, CB_ENOMEM.
 */
CB_MUST_USE int cb_query_setup(const struct cb_opts *opts, struct cb_reader *reader,
                               const struct cb_link_url *control, struct cb_query **out,
                               char **sentence);
/* HOST:PORT as opened. Lives as long as the module. */
const char *cb_query_address(const struct cb_query *query);
/* Stops accepting, answers what is under way, joins the threads, frees. */
void cb_query_teardown(struct cb_query **query);

#endif
