/* SPDX-License-Identifier: MIT
 * device.h: a user agent to its class of device, its family of browsers and the bot verdict, from a
 * small list of tokens.
 *
 * Pure. Any thread. */
#ifndef CB_INGEST_DEVICE_H
#define CB_INGEST_DEVICE_H

#include "proto/event.h"

struct cb_device_verdict {
    enum cb_device device; /* never CB_DEVICE_SERVER: that follows from the envelope */
    enum cb_browser browser;
    bool bot; /* it says itself that it is no person's browser */
};

/* user_agent may be empty. */
struct cb_device_verdict cb_device_of(struct cb_str user_agent);

#endif
