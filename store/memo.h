/* SPDX-License-Identifier: MIT
 * memo.h: what the folds found of late, so that an event's rows are found by four looks instead of
 * thirty: of a site, of a sender (one visitor's page), of a name in a minute, of sessions that
 * began in a quarter hour.
 *
 * Each table has one place for a hash: what comes there displaces what was there, and costs it a
 * look by key, no more; so it does not matter that pages choose some of what is hashed. A place
 * that was another's comes back empty: whoever misses something in it looks it up and puts it
 * there. Rows are those of the batch (views.h): the memo is cleared with them, and whenever a
 * control frame may have changed what sites and visitors are. The fold's thread. */
#ifndef CB_STORE_MEMO_H
#define CB_STORE_MEMO_H

#include "proto/event.h"
#include "store/cache.h"
#include "store/visit.h"
#include "store/zone.h"

struct cb_memo_site {
    char name[CB_SITE_MAX];
    size_t name_len;
    bool known;                               /* id, zone and gap_ms are set */
    uint32_t id;                              /* CB_SITE_ID_NONE: there is no such site */
    struct cb_zone *zone;                     /* NULL without a site */
    int64_t gap_ms;                           /* how long a visitor may be idle within a session */
    uint32_t name_ids[CB_NAME_KNOWN_MAX + 1]; /* of known names, by code; 0: not looked up */
    struct cb_row *state, *books;
};

struct cb_memo_sender {
    uint32_t site, ordinal; /* ordinal: with `visitor` */
    uint8_t producer[CB_PRODUCER_BYTES];
    uint8_t id[CB_VISITOR_BYTES]; /* zeros: none */
    struct cb_row *seen, *visitor;
    struct cb_row *timeline; /* the first row of a day that has, or had, the visitor's */
};

struct cb_memo_minute {
    uint32_t site, name_id, minute, hour_chunk; /* of the visitor's ordinal */
    bool used, has_visitor;
    struct cb_row *counts, *minutes, *days;
    struct cb_row *hours, *hours_chunk; /* the list; where that moved the chunk, or NULL */
};

enum { CB_MEMO_VISITS_KINDS = 3 + CB_TIMING_COUNT, CB_MEMO_VISITS_GRAINS = 2 };

struct cb_memo_visits {
    uint32_t site, quarter;
    bool used;
    struct cb_row *rows[CB_MEMO_VISITS_KINDS][CB_MEMO_VISITS_GRAINS];
};

struct cb_memo;

/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_memo_create(struct cb_memo **out);
void cb_memo_destroy(struct cb_memo **memo);
/* Forgets everything. */
void cb_memo_clear(struct cb_memo *memo);

/* The place of each, emptied if it was another's. The name is at most CB_SITE_MAX bytes. */
struct cb_memo_site *cb_memo_site(struct cb_memo *memo, struct cb_str name);
struct cb_memo_sender *cb_memo_sender(struct cb_memo *memo, uint32_t site,
                                      const struct cb_envelope *envelope);
struct cb_memo_minute *cb_memo_minute(struct cb_memo *memo, uint32_t site, uint32_t name_id,
                                      uint32_t minute, bool has_visitor, uint32_t hour_chunk);
struct cb_memo_visits *cb_memo_visits(struct cb_memo *memo, uint32_t site, uint32_t quarter);

#endif
