/* SPDX-License-Identifier: MIT
 * link_address.h: private to link: what must be true of an address before nanomsg may bind it.
 *
 * nanomsg 1.1 leaves a half-made endpoint behind when a bind fails, and aborts when it cannot
 * remove an old socket file. So everything that can go wrong is found out here first. Any thread.
 */
#ifndef CB_PROTO_LINK_ADDRESS_H
#define CB_PROTO_LINK_ADDRESS_H

#include <stdbool.h>

#include "proto/link.h"

/* Makes an address of cb_link_url ready to be bound, and writes it as nanomsg must be given it (a
 * host's name becomes a number). ipc: the folder is made 0700 if it is not there, must be ours and
 * closed to others, and an old socket in it is removed. tcp: the port is tried.
 * Errors: CB_EBUSY when somebody listens there, CB_EINVAL for a host that has no address, CB_ESYS;
 * the log says which address and why. */
CB_MUST_USE int cb_link_address_prepare(const char *url, char out[CB_LINK_URL_MAX]);

/* True for tcp://[IPv6]:PORT. */
bool cb_link_address_is_ipv6(const char *url);

#endif
