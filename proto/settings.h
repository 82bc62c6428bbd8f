/* SPDX-License-Identifier: MIT
 * settings.h: what a site's owner sets: what the tiers go by, and what pages get with a boot.
 *
 * Query checks an owner's JSON and makes this of it; it travels in a control frame (WIRE.md,
 * "Control") and stands in the views. Pure. Any thread. */
#ifndef CB_PROTO_SETTINGS_H
#define CB_PROTO_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"

enum {
    CB_ZONE_MAX = 64, /* bytes of a time zone's name */
    CB_IDLE_MINUTES_DEFAULT = 30,
    CB_IDLE_MINUTES_MAX = 1440,
    CB_RETAIN_DAYS_MAX = 36500,
    CB_ORIGIN_MAX = 262,          /* bytes: https://HOST:PORT */
    CB_ORIGINS_MAX_BYTES = 4096,  /* of the whole list */
    CB_PAGE_SETTINGS_MAX = 16384, /* bytes of JSON that a boot gives */
};

struct cb_settings {
    struct cb_str zone;    /* IANA; days of reports and folds are days there */
    uint32_t idle_minutes; /* a session ends after this without an event */
    uint32_t raw_days, personal_days, rollup_days; /* how long to keep; 0: for ever */
    struct cb_str origins; /* whose pages may use the site: "https://a.example
                              https://b.example:8443"; empty: any page */
    struct cb_str page;    /* a JSON object, public: texts, position, colour, form, triggers, … */
};

/* What a site has that was never given any. Static strings. */
struct cb_settings cb_settings_default(void);
/* Whether these are within the bounds above: names and lists of the right characters. That the zone
 * exists and that page is JSON is whoever made them's part. */
bool cb_settings_valid(const struct cb_settings *settings);
/* Whether text is an origin as browsers write it (RFC 6454, section 6.2): https://host or
 * http://host, lower case, with a port unless it is the scheme's own. */
bool cb_origin_valid(struct cb_str text);
/* Whether a page of that origin may use a site with that list. An absent origin (p NULL) is no
 * page: allowed. */
bool cb_origins_allow(struct cb_str origins, struct cb_str origin);

#endif
