/* SPDX-License-Identifier: MIT
 * lookup.h: what ingest knows of sites, asked of the store and kept for a moment.
 *
 * An answer, also that there is no such site, is fresh for 2 s (and asked anew in the background
 * after 1 s, so that a busy site never waits). While the store does not answer, it may be used up
 * to 60 s old; past that the site is unavailable: 503. Bounded: 10,000 sites and 64 MB of
 * their settings, oldest answers go first. One per thread, on its event base. */
#ifndef CB_INGEST_LOOKUP_H
#define CB_INGEST_LOOKUP_H

#include "proto/uplink.h"

enum {
    CB_LOOKUP_SITES_MAX = 10000,
    CB_LOOKUP_TEXT_MAX = 64 * 1024 * 1024, /* bytes of all their origins and pages */
    CB_LOOKUP_AHEAD_MS = 1000,             /* older: asked anew in the background */
    CB_LOOKUP_FRESH_MS = 2000,             /* older: asked anew before use … */
    CB_LOOKUP_STALE_MS = 60000,            /* … unless the store does not answer: up to this */
    CB_LOOKUP_ASK_MS = 1000,               /* how long an ask waits */
};

enum cb_site_state {
    CB_SITE_KNOWN,
    CB_SITE_UNKNOWN,     /* the store has no such site */
    CB_SITE_WAIT,        /* ask first: cb_lookup_wait */
    CB_SITE_UNAVAILABLE, /* the store did not answer */
};

struct cb_site {
    unsigned status;        /* enum cb_site_status: online or offline */
    struct cb_str origins;  /* whose pages may use it (struct cb_settings) */
    struct cb_str page;     /* a JSON object, or empty: what a boot gives */
    struct cb_str erasures; /* tags of visitors whose events are refused (struct cb_answer) */
    /* The producer of the pixel's events of this thread: random, with the last number given out. */
    uint8_t pixel_producer[CB_PRODUCER_BYTES];
    uint64_t pixel_seq;
};

struct cb_lookup;

/* ask_timeout_ms: CB_LOOKUP_ASK_MS or less. uplink must outlive the last call. sodium_init() was
 * called. Errors: CB_ENOMEM. */
CB_MUST_USE int cb_lookup_create(struct cb_uplink *uplink, unsigned ask_timeout_ms,
                                 struct cb_lookup **out);
/* The uplink must be gone, or get no more turns: its answers would come to freed memory. */
void cb_lookup_destroy(struct cb_lookup **lookup);

/* What is known of a site now. *out is set for CB_SITE_KNOWN and lives until the event loop's next
 * turn. */
enum cb_site_state cb_lookup_site(struct cb_lookup *lookup, struct cb_str name,
                                  struct cb_site **out);
/* The same after cb_lookup_wait called back: never CB_SITE_WAIT. */
enum cb_site_state cb_lookup_settled(struct cb_lookup *lookup, struct cb_str name,
                                     struct cb_site **out);

/* Asks for a site (askers of the same site share one ask); settled is called once, from the event
 * loop, when the answer or none came. name is copied. Errors: CB_EFULL, CB_ENOMEM: settled is not
 * called. */
CB_MUST_USE int cb_lookup_wait(struct cb_lookup *lookup, struct cb_str name,
                               void (*settled)(void *arg), void *arg);

#endif
