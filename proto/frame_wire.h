/* SPDX-License-Identifier: MIT
 * frame_wire.h: what the reading side (frame.c) and the building side (frame_build.c) of a frame
 * must agree on. Private to these two; the layout is in WIRE.md, "Frame". Pure. Any thread. */
#ifndef CB_PROTO_FRAME_WIRE_H
#define CB_PROTO_FRAME_WIRE_H

#include "proto/frame.h"

#define CB_FRAME_MAGIC "cb.f"

/* Values of every header, item and event, by position. */
enum {
    CB_FRAME_HEAD_VALUES = 6,       /* magic, version, kind, sender, number, sites */
    CB_FRAME_SITE_VALUES = 2,       /* name, received */
    CB_ITEM_ENVELOPE_VALUES_V1 = 9, /* 1, site, visitor, producer, received, device, bot, country,
                                       events */
    CB_ITEM_ENVELOPE_VALUES = 11,   /* … country, language, browser, events */
    CB_ITEM_SUM_VALUES = 4,         /* 2, site, refusal, n */
    CB_ITEM_NUMBERED_VALUES = 6,    /* 2, site, refusal, 1, producer, seq */
    CB_EVENT_VALUES_MIN = 3,        /* seq, name, age; then page, props, referrer; absent tails are
                                       left out */
    CB_EVENT_VALUES_MAX_V1 = 5,
    CB_EVENT_VALUES_MAX = 6,
    CB_EVENT_GET_VALUES = 6, /* … page, props, key */
    CB_EVENT_SET_VALUES = 7, /* … page, props, key, value */
};

/* Whether an event, and an envelope without its events, obey the limits of event.h. The decoder
 * asks of what it read, the builder asserts of what it is given. */
bool cb_frame_event_ok(const struct cb_event *event);
bool cb_frame_envelope_ok(const struct cb_envelope *envelope);

/* The slot of a site's name: it holds the site's index + 1, or 0 when the name is not there yet.
 * There are twice as many slots as sites, so a free one is always met. */
static inline uint16_t *cb_frame_site_slot(uint16_t slots[2 * CB_FRAME_SITES_MAX],
                                           const struct cb_frame_site *sites, struct cb_str name) {
    uint32_t hash = 2166136261u; /* FNV-1a; who floods it gains 256 comparisons */
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ (unsigned char)name.p[i]) * 16777619u;
    }
    for (uint32_t at = hash;; at++) {
        uint16_t *slot = &slots[at % (2 * CB_FRAME_SITES_MAX)];
        if (*slot == 0 || cb_str_eq(sites[*slot - 1].name, name)) {
            return slot;
        }
    }
}

#endif
