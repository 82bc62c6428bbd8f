/* SPDX-License-Identifier: MIT
 * visit.h: a session, as the fold keeps it while late events may still join it, and what follows
 * from it for the reports.
 *
 * Everything in it is a sum, a least or a greatest of its events, so the order in which they
 * arrive makes no difference to it. Pure. Any thread. */
#ifndef CB_STORE_VISIT_H
#define CB_STORE_VISIT_H

#include "proto/event.h"
#include "store/reader.h"

/* The first times that are kept: the steps of the chat funnel but for the last. */
enum { CB_VISIT_FIRSTS = CB_STEP_CONTACT };

enum { CB_VISIT_NEVER = -1 }; /* a time that is not there */

struct cb_visit {
    int64_t start_ms, end_ms; /* of its first and last event */
    uint32_t events;
    uint8_t loads, pages; /* onWebChatLoaded and page, each up to 2: "more than one" */
    bool wrote_message;   /* a `message` is in it */
    uint16_t trigger;     /* number of the first trigger's id; CB_TRIGGER_NONE without one */
    int64_t first_ms[CB_VISIT_FIRSTS]; /* first time of each step, by enum cb_step */
    int64_t contact_ms;                /* last time of message, or set of email or phone */
    int64_t minimize_ms;               /* last time */
};

enum { CB_VISIT_BYTES = 67 }; /* encoded; see FORMAT.md, "A session" */

void cb_visit_encode(const struct cb_visit *visit, uint8_t out[CB_VISIT_BYTES]);
void cb_visit_decode(const uint8_t in[CB_VISIT_BYTES], struct cb_visit *out);

/* A visit without events, for cb_visit_add. */
void cb_visit_init(struct cb_visit *visit, int64_t true_ms);
/* Adds an event. trigger: the number of its id, for onTrigger. True when more than end and events
 * have changed. */
bool cb_visit_add(struct cb_visit *visit, const struct cb_event *event, int64_t true_ms,
                  uint16_t trigger);

/* The quarter hour (since 1970) that a visit is put down to: that of its start. */
uint32_t cb_visit_quarter(const struct cb_visit *visit);
/* Whether the visitor clicked, maximized, wrote or sent a message. */
bool cb_visit_interacted(const struct cb_visit *visit);
/* Whether there was no interaction and no second page. */
bool cb_visit_bounced(const struct cb_visit *visit);
/* Bits by enum cb_step: the steps that it has; and those reached in order, each for the first time
 * not before the first time of the one before it (the last step: for the last time). */
unsigned cb_visit_happened(const struct cb_visit *visit);
unsigned cb_visit_reached(const struct cb_visit *visit);
/* A timing, from first time to first time; CB_VISIT_NEVER when one of the two is missing or the
 * second came before the first. */
int64_t cb_visit_timing(const struct cb_visit *visit, enum cb_timing timing);
/* Bits by enum cb_outcome: what became of it after its trigger, or without one after it loaded. */
unsigned cb_visit_outcomes(const struct cb_visit *visit);

#endif
