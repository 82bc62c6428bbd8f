/* SPDX-License-Identifier: MIT
 * referrer.h: the host that a visitor came from, out of what a page says of it.
 *
 * Pure. Any thread. */
#ifndef CB_INGEST_REFERRER_H
#define CB_INGEST_REFERRER_H

#include "proto/event.h"

/* Reads the host of an address (https://Example.com:8443/path) or of a host with or without a port
 * into out, lower case, without port, user and last dot; 0 where there is none that
 * cb_referrer_valid takes. Returns its length. */
size_t cb_referrer_host(struct cb_str text, char out[CB_REFERRER_MAX]);

/* The same for an event: 0 as well where the host is that of the event's own page, since a site's
 * visitors do not come from itself. */
size_t cb_referrer_of(struct cb_str text, struct cb_str page, char out[CB_REFERRER_MAX]);

#endif
