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

enum {
    CB_DEVICE_KEPT = 512,       /* verdicts that are kept, of … */
    CB_DEVICE_KEPT_BYTES = 248, /* … user agents up to this long */
};

/* Verdicts of user agents that came before. Zeroed to begin; one owner. */
struct cb_device_kept {
    struct cb_device_agent {
        uint8_t len; /* 0: none */
        uint8_t device, browser;
        bool bot;
        char agent[CB_DEVICE_KEPT_BYTES];
    } agents[CB_DEVICE_KEPT];
};

/* The same as cb_device_of, which is asked only for what is not kept. */
struct cb_device_verdict cb_device_recall(struct cb_device_kept *kept, struct cb_str user_agent);

#endif
