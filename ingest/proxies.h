/* SPDX-License-Identifier: MIT
 * proxies.h: which address a request comes from.
 *
 * That is the address of its connection, unless that is one of the proxies that the option names:
 * then each proxy's word is taken for the hop before it, from the right end of X-Forwarded-For to
 * the left, as far as the proxies reach. So what a client writes into the header by itself is never
 * believed. Any thread. */
#ifndef CB_INGEST_PROXIES_H
#define CB_INGEST_PROXIES_H

#include "proto/http.h"

/* An IPv6 address in network order; IPv4 as ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2). */
struct cb_address {
    uint8_t bytes[16];
};

struct cb_proxies;

/* list: addresses and networks (CIDR), with commas or spaces between; "" for none. On failure
 * *sentence (heap, caller frees) names what is wrong. Errors: CB_EINVAL, CB_ENOMEM. */
CB_MUST_USE int cb_proxies_create(const char *list, struct cb_proxies **out, char **sentence);
void cb_proxies_destroy(struct cb_proxies **proxies);

/* Reads an IPv4 or IPv6 address. Errors: CB_EMALFORMED. */
CB_MUST_USE int cb_address_parse(struct cb_str text, struct cb_address *out);

/* Who sends the request. The hop that a proxy names illegibly, or not at all, is the proxy itself.
 */
void cb_proxies_client(const struct cb_proxies *proxies, const struct cb_http_req *req,
                       struct cb_address *out);

#endif
