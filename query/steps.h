/* SPDX-License-Identifier: MIT
 * steps.h: counts how many visits took the steps of a funnel, from raw events in journal order.
 *
 * Visits are made by the rule of the fold's sessions: an event joins the visitor's visit that is
 * within the idle gap (of several the one opened last), else opens one. Bounded by the enum below:
 * about 110 MB at most. Pure. One owner. */
#ifndef CB_QUERY_STEPS_H
#define CB_QUERY_STEPS_H

#include "proto/event.h"

enum {
    CB_STEPS_MIN = 2,
    CB_STEPS_MAX = 8,
    CB_STEPS_EVENTS_MAX = 4000000, /* events added */
    CB_STEPS_VISITS_MAX = 1000000,
};

struct cb_steps_spec {
    struct cb_str names[CB_STEPS_MAX]; /* of events; CB_STEPS_CONTACT besides. They outlive it */
    unsigned n;
    bool strict; /* the steps follow each other with no other event of the visit in between */
    int64_t gap_ms;
};
/* Stands for a message, or a set of email or phone. */
#define CB_STEPS_CONTACT "contact"

struct cb_steps;

/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_steps_create(const struct cb_steps_spec *spec, struct cb_steps **out);
void cb_steps_destroy(struct cb_steps **steps);

/* Errors: CB_EFULL at a bound (the event is not in it), CB_ENOMEM. */
CB_MUST_USE int cb_steps_add(struct cb_steps *steps, const uint8_t visitor[CB_VISITOR_BYTES],
                             const struct cb_event *event, int64_t true_ms);

/* Counts up to visits_max more of the visits that start in [from_ms, to_ms): visits[i] is how many
 * took step i and those before it. Events of one millisecond are taken in the order of the steps.
 * *more says that some are left. Errors: CB_ENOMEM. */
CB_MUST_USE int cb_steps_count(struct cb_steps *steps, int64_t from_ms, int64_t to_ms,
                               size_t visits_max, uint64_t visits[CB_STEPS_MAX], bool *more);

#endif
