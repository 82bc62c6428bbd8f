/* SPDX-License-Identifier: MIT
 * frame.h: a batch of beacons as one message of the pipeline, and as one record of the journal. See
 * WIRE.md.
 *
 * A frame is [header][body]. The header names the sender (incarnation, number) and, for each site,
 * how many events were received: the `received` of the books, apart from what the fold later finds.
 * The body is envelopes with their events, and refusals. Pure: no I/O, no clock, no globals. Any
 * thread. */
#ifndef CB_PROTO_FRAME_H
#define CB_PROTO_FRAME_H

#include "proto/event.h"
#include "proto/pack.h"
#include "proto/refusal.h"

enum {
    CB_FRAME_VERSION = 2,      /* that is written; older ones are read */
    CB_FRAME_MAX = 512 * 1024, /* bytes of a whole frame; nanomsg drops larger ones silently */
    CB_FRAME_HEAD_MAX = 32 * 1024,
    CB_FRAME_SITES_MAX = 256, /* sites of one frame */
    CB_FRAME_SUMS_MAX = 512,  /* pairs of site and reason that a builder sums */
};

#define CB_FRAME_TIME_MAX_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
#define CB_REJECT_N_MAX UINT64_C(4294967295)          /* of one item; keeps sums far from 2^64 */

enum cb_frame_kind {
    CB_FRAME_BEACONS = 1, /* envelopes and refusals; from anyone who reaches the frame socket */
    CB_FRAME_CONTROL = 2, /* settings and tokens; only from the store itself. See control.h */
    CB_FRAME_TRIM = 3,    /* the journal's front is gone; only from the store itself. See trim.h */
};

struct cb_frame_site {
    struct cb_str name; /* empty: what cannot be put down to a site */
    uint64_t received;  /* events, taken and refused */
};

struct cb_frame {
    unsigned version; /* of what it was decoded from */
    enum cb_frame_kind kind;
    uint64_t sender; /* incarnation: random, new at each start of a sender */
    uint64_t number; /* 1, 2, 3… of that sender */
    uint32_t n_sites;
    struct cb_frame_site sites[CB_FRAME_SITES_MAX];
    struct cb_str body;
};

/* n events refused for one reason. With a legible (producer, seq) n is 1 and the number is marked
 * seen. */
struct cb_reject {
    struct cb_str site; /* empty: no site */
    unsigned refusal;   /* enum cb_refusal; a number unknown here is kept */
    uint64_t n;
    bool has_seq;
    uint8_t producer[CB_PRODUCER_BYTES];
    uint64_t seq;
};

/* Decodes and checks a frame whole: header, and for CB_FRAME_BEACONS every envelope, event and
 * refusal, and that the sites' received equal what the body holds. After success a walk cannot
 * fail. Lifetime: everything in *out points into data, valid while data lives. Errors:
 * CB_EMALFORMED, CB_EVERSION (a newer version), CB_ETOOBIG; on error *out is unspecified. */
CB_MUST_USE int cb_frame_decode(const void *data, size_t len, struct cb_frame *out);

/* Reads the header only far enough for sender and number, so that a refusal can be addressed, also
 * to a sender of a newer version. Errors: CB_EMALFORMED. */
CB_MUST_USE int cb_frame_peek(const void *data, size_t len, uint64_t *sender, uint64_t *number);

/* Walks a decoded frame of beacons in order. Items: an envelope (then its events one by one), or a
 * refusal. */
struct cb_frame_walk {
    const struct cb_frame *frame;
    struct cb_pack_reader body;
    uint32_t events_left;
};

enum cb_frame_item { CB_ITEM_END, CB_ITEM_ENVELOPE, CB_ITEM_REJECT };

void cb_frame_walk_init(struct cb_frame_walk *walk, const struct cb_frame *frame);
/* The next item; unread events of the last envelope are skipped. */
enum cb_frame_item cb_frame_walk_next(struct cb_frame_walk *walk, struct cb_envelope *envelope,
                                      struct cb_reject *reject);
/* The next event of the last envelope; false when there is none left. */
bool cb_frame_walk_event(struct cb_frame_walk *walk, struct cb_event *event);

/* Refusals of one site for one reason, without numbers, until the frame is sealed. */
struct cb_frame_sum {
    uint64_t n;
    uint16_t site;
    uint16_t next; /* index + 1 of the same site's next sum, 0 at the end */
    unsigned refusal;
};

/* Builds a frame in memory of its own, bounded by CB_FRAME_MAX. One owner. Not to be copied or
 * moved (names point into it); only n_sites, n_sums and n_events are for others to read. */
struct cb_frame_builder {
    struct cb_buf body; /* items as they came; sums are put behind them by seal */
    uint32_t n_sites;
    uint32_t n_sums;
    uint32_t site_last;                             /* index of the site added to last */
    size_t sites_bytes;                             /* of the sites in the header, at most */
    uint64_t n_events;                              /* events and refusals so far */
    struct cb_frame_site sites[CB_FRAME_SITES_MAX]; /* names point into site_names */
    uint16_t site_slots[2 * CB_FRAME_SITES_MAX];    /* hashed by name: index + 1, or 0 */
    uint16_t site_sums[CB_FRAME_SITES_MAX];         /* index + 1 of a site's first sum */
    char site_names[CB_FRAME_SITES_MAX][CB_SITE_MAX];
    struct cb_frame_sum sums[CB_FRAME_SUMS_MAX];
};

void cb_frame_builder_init(struct cb_frame_builder *b);
void cb_frame_builder_fini(struct cb_frame_builder *b);
/* Empties it, keeping memory. */
void cb_frame_builder_clear(struct cb_frame_builder *b);
/* Bytes that a frame of what was added so far takes, at most. */
size_t cb_frame_builder_bytes(const struct cb_frame_builder *b);

/* Adds an envelope and its n_events events (at most CB_EVENTS_MAX; with none nothing is added;
 * envelope->n_events is ignored). What the caller adds obeys event.h: the store would refuse the
 * whole frame for one event that does not. All or nothing. Errors: CB_EFULL when the frame would
 * pass CB_FRAME_MAX or CB_FRAME_SITES_MAX (seal it and use a fresh one), CB_ETOOBIG when it would
 * not fit an empty frame either, CB_ENOMEM. */
CB_MUST_USE int cb_frame_builder_add(struct cb_frame_builder *b, const struct cb_envelope *envelope,
                                     const struct cb_event *events, uint32_t n_events);
/* Adds a refusal; n of 0 adds nothing. Refusals without a number are summed by (site, reason)
 * within the frame, also those whose number cannot be kept because there is no site. Errors as
 * above (CB_ETOOBIG: n over CB_REJECT_N_MAX). */
CB_MUST_USE int cb_frame_builder_reject(struct cb_frame_builder *b, const struct cb_reject *reject);

/* Appends the whole frame to out (kind CB_FRAME_BEACONS), which has room for
 * cb_frame_builder_bytes. number is at least 1. The builder is unchanged. Errors: CB_ETOOBIG,
 * CB_ENOMEM; then out is unchanged. */
CB_MUST_USE int cb_frame_builder_seal(const struct cb_frame_builder *b, uint64_t sender,
                                      uint64_t number, struct cb_buf *out);

/* Appends a frame of another kind around a ready body, without sites. Errors: CB_ETOOBIG,
 * CB_ENOMEM; then out is unchanged. */
CB_MUST_USE int cb_frame_wrap(enum cb_frame_kind kind, uint64_t sender, uint64_t number,
                              struct cb_str body, struct cb_buf *out);

#endif
