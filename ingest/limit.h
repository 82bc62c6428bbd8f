/* SPDX-License-Identifier: MIT
 * limit.h: how many events a second one client address, and one site, may send.
 *
 * A token bucket for each: it fills at the rate, holds burst_s seconds' worth (one event at least),
 * and an event takes a token. Whoever has a token may send one request of any size, which takes as
 * many tokens as it has events, if need be on credit: so no request is too large to pass ever, and
 * over time no more than the rate passes. A refused request takes nothing.
 *
 * IPv6 clients are counted by /64: who has one address of it has them all. Both tables are bounded;
 * in a full one the bucket that was used least recently is forgotten, as if it were full.
 *
 * Each ingest thread has its own and gets an equal share of both rates, as connections are spread
 * over the threads. Thread: the owner's. */
#ifndef CB_INGEST_LIMIT_H
#define CB_INGEST_LIMIT_H

#include "ingest/proxies.h"

enum { CB_LIMIT_ADDRESSES_MAX = 65536, CB_LIMIT_SITES_MAX = 16384 };

struct cb_limit_opts {
    int64_t address_rate, site_rate; /* events a second of the whole process; 0: no limit */
    unsigned burst_s;
    unsigned threads; /* that share the rates */
};

struct cb_limit;

/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_limit_create(const struct cb_limit_opts *opts, struct cb_limit **out);
void cb_limit_destroy(struct cb_limit **limit);

/* True when addresses are limited; else nobody needs to be known. */
bool cb_limit_addresses(const struct cb_limit *limit);

/* 0 when there is a token, else the seconds until there is one, rounded up. */
unsigned cb_limit_address_wait(struct cb_limit *limit, const struct cb_address *address);
unsigned cb_limit_site_wait(struct cb_limit *limit, struct cb_str site);
/* Takes n tokens, on credit where there are fewer. */
void cb_limit_address_take(struct cb_limit *limit, const struct cb_address *address, uint64_t n);
void cb_limit_site_take(struct cb_limit *limit, struct cb_str site, uint64_t n);

#endif
