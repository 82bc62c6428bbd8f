/* SPDX-License-Identifier: MIT
 * tally.h: counts raw events that come one by one: how many in each bucket and of each name, and
 * how many different visitors in each bucket. Exact; bounded by the enum below: about 110 MB at
 * most. Pure. One owner. */
#ifndef CB_QUERY_TALLY_H
#define CB_QUERY_TALLY_H

#include "proto/event.h"

enum {
    CB_TALLY_SEEN_MAX = 1 << 21, /* pairs of bucket and visitor */
    CB_TALLY_NAMES_MAX = 1000,   /* further ones are counted as (other), as in the fold */
    CB_TALLY_NAME_SLOTS = 2 * CB_TALLY_NAMES_MAX + 48,
};

struct cb_tally_name {
    char text[CB_NAME_MAX];
    uint8_t len;
    uint64_t events;
};

struct cb_tally_seen {
    uint8_t visitor[CB_VISITOR_BYTES];
    uint32_t bucket;
};

struct cb_tally {
    size_t n;              /* buckets */
    const int64_t *bounds; /* n + 1 minutes, ascending; the caller's */
    uint64_t *events, *visitors;
    struct cb_tally_name *names;
    size_t n_names, names_cap;
    uint16_t name_slots[CB_TALLY_NAME_SLOTS]; /* index + 1 */
    /* who was seen: entries, and a table of their indexes + 1 */
    struct cb_tally_seen *seen;
    uint32_t *slots;
    size_t n_seen, n_slots;
    uint8_t key[16];
};

/* Errors: CB_ENOMEM; then nothing is held. */
CB_MUST_USE int cb_tally_init(struct cb_tally *tally, const int64_t *bounds, size_t n);
/* Accepts one that is all zero. */
void cb_tally_fini(struct cb_tally *tally);
/* Counts an event that lies in a bucket; others are left out. Errors: CB_EFULL (more than
 * CB_TALLY_SEEN_MAX), CB_ENOMEM; then it is not counted. */
CB_MUST_USE int cb_tally_add(struct cb_tally *tally, const struct cb_envelope *envelope,
                             const struct cb_event *event, int64_t true_ms);

#endif
