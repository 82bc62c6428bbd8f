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
enum { CB_VISIT_FIRSTS = CB_STEP_CONTACT, CB_VISIT_TIMES = CB_VISIT_FIRSTS + 2 };

enum { CB_VISIT_NEVER = -1 }; /* a time that is not there */

/* Times take 48 bits on disk: frames hold none past the year 9999. */
#define CB_VISIT_MS_MAX ((INT64_C(1) << 48) - 1)

struct cb_visit {
    int64_t start_ms, end_ms; /* of its first and last event */
    uint32_t events;
    uint8_t loads, pages; /* onWebChatLoaded and page, each up to 2: "more than one" */
    bool wrote_message;   /* a `message` is in it */
    uint16_t trigger;     /* number of the first trigger's id; CB_TRIGGER_NONE without one */
    union {
        struct {
            int64_t first_ms[CB_VISIT_FIRSTS]; /* first time of each step, by enum cb_step */
            int64_t contact_ms;                /* last time of message, or set of email or phone */
            int64_t minimize_ms;               /* last time */
        };
        int64_t times_ms[CB_VISIT_TIMES]; /* all of these */
    };
};

enum {
    CB_VISIT_STEPS_MAX = 2 + 3 + 7 * CB_VISIT_TIMES, /* bytes; a varint of 48 bits has 7 */
    CB_VISIT_BYTES_MAX = 6 + 7 + 5 + CB_VISIT_STEPS_MAX,
    CB_VISIT_LIST_MAX = 16, /* visits of a row: 1.2 KB at most */
};

/* A visit as it stands alone; see FORMAT.md, "A session". Returns the bytes written. */
size_t cb_visit_encode(const struct cb_visit *visit, uint8_t out[CB_VISIT_BYTES_MAX]);
/* Errors: CB_ECORRUPT, also where a time is not within the visit. */
CB_MUST_USE int cb_visit_decode(struct cb_str value, struct cb_visit *out);
/* Of an encoded visit only when it was. Errors: CB_ECORRUPT. */
CB_MUST_USE int cb_visit_span(struct cb_str value, int64_t *start_ms, int64_t *end_ms);
/* The encoded visits of a row that holds several, in order. Errors: CB_ECORRUPT. */
CB_MUST_USE int cb_visit_list(struct cb_str row, struct cb_str out[CB_VISIT_LIST_MAX], size_t *n);
/* All but start, end and events, which stand elsewhere. Take moves *p on, and wants the three to be
 * set; false where what is there does not end before end, or is no visit. */
size_t cb_visit_put_steps(const struct cb_visit *visit, uint8_t out[CB_VISIT_STEPS_MAX]);
bool cb_visit_take_steps(const uint8_t **p, const uint8_t *end, struct cb_visit *visit);

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
