/* SPDX-License-Identifier: MIT
 * metrics_server.h: what this process counts, for those who watch it: GET /metrics (metric.h) and
 * GET /healthz on an address of their own, HEAD as well, and nothing else.
 *
 * For processes without the query API, whose /metrics shows the counters of its own process only.
 * It asks for no token, so it belongs on an address that only the watchers reach. One thread of its
 * own: it answers also while the tiers' threads are busy. Call from one thread (main's). */
#ifndef CB_PROTO_METRICS_SERVER_H
#define CB_PROTO_METRICS_SERVER_H

#include "proto/buf.h"

struct cb_metrics_server;

/* Listens on HOST:PORT (port 0 picks one) and starts the thread. On failure *sentence (heap, caller
 * frees) names the option. Errors: CB_EINVAL (address), CB_EBUSY (in use), CB_ESYS, CB_ENOMEM. */
CB_MUST_USE int cb_metrics_server_setup(const char *address, struct cb_metrics_server **out,
                                        char **sentence);
/* HOST:PORT that it listens on; lives as long as the server. */
const char *cb_metrics_server_address(const struct cb_metrics_server *server);
/* Closes its connections and joins the thread. *server may be NULL, and is afterwards. */
void cb_metrics_server_teardown(struct cb_metrics_server **server);

#endif
