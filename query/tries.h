/* SPDX-License-Identifier: MIT
 * tries.h: how often one address may come with a token that is none.
 *
 * A bucket of 10 tries for each address (IPv6: each /64), of which one comes back each 6 s. It
 * quiets whoever tries; a token of 256 random bits is not found by trying. So who has a good token
 * is never refused for what others behind the same address did: only tries that fail are counted,
 * and only they are answered 429. Bounded: 4,096 addresses, the least recent of a slot's four goes
 * first. Any thread (one mutex, for failed tries only). */
#ifndef CB_QUERY_TRIES_H
#define CB_QUERY_TRIES_H

#include "proto/err.h"

enum { CB_TRIES_BURST = 10, CB_TRIES_BACK_S = 6 };

struct cb_tries;

/* sodium_init() was called. Errors: CB_ENOMEM. */
CB_MUST_USE int cb_tries_create(struct cb_tries **out);
void cb_tries_destroy(struct cb_tries **tries);

/* A try of the peer (an address as text) failed. Returns 0 and takes one of its tries, or, where it
 * has none left, the seconds until it has. */
unsigned cb_tries_failed(struct cb_tries *tries, const char *peer);

#endif
