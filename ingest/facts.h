/* SPDX-License-Identifier: MIT
 * facts.h: what a request says of its sender beside its body: device, browser, bot, language and
 * country. Decided here, once, and carried by the frame: the fold takes them as they stand. */
#ifndef CB_INGEST_FACTS_H
#define CB_INGEST_FACTS_H

#include "ingest/device.h"
#include "ingest/geo.h"
#include "ingest/proxies.h"
#include "proto/event.h"

struct cb_facts {
    unsigned device;  /* enum cb_device */
    unsigned browser; /* enum cb_browser */
    bool bot;
    char language[CB_LANGUAGE_MAX + 1]; /* "" where it asks for none */
    char country[3];                    /* "" where it is not known */
};

/* agents: the thread's. geo may be NULL. Any thread. */
void cb_facts_read(const struct cb_http_req *req, struct cb_device_kept *agents,
                   const struct cb_proxies *proxies, const struct cb_geo *geo,
                   struct cb_facts *out);
/* Writes them into an envelope. */
void cb_facts_put(const struct cb_facts *facts, struct cb_envelope *envelope);

#endif
