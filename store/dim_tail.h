/* SPDX-License-Identifier: MIT
 * dim_tail.h: what came of late of the values of a day, event by event: rows that only grow at
 * their end, so that an event costs a few bytes there and no look for the rows of its value. When a
 * tail is full its events are settled (dim_settle.h): sorted, and put into the rows of their
 * values, many at once. Reports read both. See FORMAT.md, "dimension_tails".
 *
 * A tail is full after so many events, in the order of the journal: what stands where does not
 * follow from how the journal is cut into batches. */
#ifndef CB_STORE_DIM_TAIL_H
#define CB_STORE_DIM_TAIL_H

#include "store/views.h"

enum {
    CB_DIM_TAIL_EVENTS = 8192, /* of a full one; a report reads so many of a day at most */
    CB_DIM_TAIL_PART_BYTES = 2000,
};
#define CB_DIM_NOBODY UINT32_MAX

/* An event of a value of a dimension. */
struct cb_dim_event {
    uint32_t number; /* of the value */
    uint32_t name_id;
    uint32_t ordinal; /* of the visitor; CB_DIM_NOBODY for none */
};

/* ---- the fold's thread ---- */

/* A tail at hand: of a kind of values on a day of a site. Its rows are the batch's. */
struct cb_dim_tail {
    uint32_t site;
    int32_t day;
    uint32_t kind;
    bool fresh;                 /* there was none: that it is new is still to be seen to */
    struct cb_row *head, *part; /* its first part, and its last one */
};

/* Finds or makes it: fills fresh, head and part. Errors: CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_dim_tail_open(struct cb_views *views, struct cb_dim_tail *tail);
/* Whether there is one that has events; it is not made. Errors: CB_ECORRUPT, CB_EIO. */
CB_MUST_USE int cb_dim_tail_has_any(struct cb_views *views, uint32_t site, int32_t day,
                                    uint32_t kind, bool *out);
/* Adds an event; *full says that they are to be taken now. Errors: as above. */
CB_MUST_USE int cb_dim_tail_add(struct cb_views *views, struct cb_dim_tail *tail,
                                const struct cb_dim_event *event, bool *full);
/* Takes all events out, in order. The tail stays, empty. Errors: as above. */
CB_MUST_USE int cb_dim_tail_take(struct cb_views *views, struct cb_dim_tail *tail,
                                 struct cb_dim_event events[CB_DIM_TAIL_EVENTS], size_t *n);
/* Forgets an empty tail. */
CB_MUST_USE int cb_dim_tail_end(struct cb_views *views, struct cb_dim_tail *tail);

/* ---- reading; pure ---- */

struct cb_dim_tail_walk {
    const uint8_t *p, *end;
    uint32_t ordinal; /* of the event before */
};
/* To the first event of a row. Errors: CB_ECORRUPT. */
CB_MUST_USE int cb_dim_tail_read(struct cb_str row, unsigned part, struct cb_dim_tail_walk *out);
/* Errors: CB_ENOENT at the end, CB_ECORRUPT. */
CB_MUST_USE int cb_dim_tail_next(struct cb_dim_tail_walk *walk, struct cb_dim_event *out);

#endif
