/* SPDX-License-Identifier: MIT
 * client.h: the connections of one thread, and what they were answered.
 *
 * Closed loop: each connection sends its next request when it was answered. Open loop: requests
 * leave when the schedule says so, on whichever connection is free; when none is, they wait, and
 * their latency, counted from the intended moment, goes on. One request at a time is under way on a
 * connection, as browsers do it.
 *
 * What was answered 429, 503 or 408, or not at all, is sent again under the same numbers in the
 * place of the next new request: so what is offered stays as it was asked for, and what is still
 * unacked at the end is little. With `settle` that rest is sent until it is acked.
 *
 * A client belongs to its thread while it runs; `live` may be read by any thread meanwhile, the
 * rest after the thread was joined. */
#ifndef CB_BENCH_CLIENT_H
#define CB_BENCH_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "bench/latency.h"
#include "bench/plan.h"

enum { CB_CLIENT_STATUS_MAX = 600, CB_CLIENT_RETRY_MAX = 1 << 20 };

struct cb_client_target {
    struct sockaddr_storage address;
    socklen_t address_len;
    unsigned connections; /* of this thread; 0: nothing goes there */
    uint64_t first;       /* the number of its first connection among all threads' */
    uint64_t rate;        /* requests a second of all threads; 0: closed loop */
};

struct cb_client_opts {
    const struct cb_plan *plan;
    struct cb_client_target targets[CB_LANES];
    unsigned thread, n_threads;
    unsigned duration_s;
    unsigned timeout_s; /* a request without an answer for so long is lost, and its connection */
    unsigned addresses; /* of loopback that connections come from in turn; 0: whichever */
    bool redis;         /* what answers is no HTTP */
    bool settle;        /* at the end send what is unacked until it is acked */
    pthread_barrier_t *ready;
    _Atomic int64_t *start_us; /* of all threads; 0 until it is settled, -1 when one failed */
};

struct cb_client_lane {
    struct cb_latency accepted; /* 2xx, from the intended moment to the end of the answer */
    struct cb_latency refused;  /* everything else that was answered, likewise */
    struct cb_latency late;     /* from the intended moment until a request left */
    uint64_t status[CB_CLIENT_STATUS_MAX];
    uint64_t refused_without_retry_after; /* of 429 and 503 */
    uint64_t unanswered;                  /* connection lost, or no answer in time */
    uint64_t connect_failed;
    uint64_t planned, begun;   /* open loop: what the schedule had; what left by its end */
    uint64_t accepted_in_time; /* 2xx before the end of the run, which rates are made of */
    uint64_t events_acked, events_in_time;
    uint64_t bytes_out, bytes_in;
    uint64_t sent_again, settled; /* retries; requests acked after the end of the run */
};

struct cb_client_live {
    _Atomic uint64_t accepted, refused, unanswered, events;
};

struct cb_client {
    struct cb_client_opts opts;
    struct cb_client_lane lanes[CB_LANES];
    struct cb_client_live live;
    uint64_t (*acked)[CB_PLAN_NAMES]; /* events by site and name */
    uint64_t unacked;                 /* items that never were; and more than could be kept */
    uint64_t partly;                  /* answers 200 that refused some */
    int rc;
};

/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_client_create(const struct cb_client_opts *opts, unsigned n_sites,
                                 struct cb_client **out);
void cb_client_destroy(struct cb_client **client);
/* The body of its thread: connects, waits for the others at the barrier, runs. What failed is
 * client->rc (CB_ECLOSED: not all connections could be opened). */
void *cb_client_run(void *client);

#endif
