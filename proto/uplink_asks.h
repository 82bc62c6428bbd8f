/* SPDX-License-Identifier: MIT
 * uplink_asks.h: private to uplink: the asks of a sender, from the question to its one answer.
 *
 * Asks of one turn of the event loop travel as one message under one id. The message is sent again
 * while it is unanswered and one of its asks still waits. Bounded by CB_UPLINK_ASKS_MAX. Thread:
 * the event base's. */
#ifndef CB_PROTO_UPLINK_ASKS_H
#define CB_PROTO_UPLINK_ASKS_H

#include "proto/uplink.h"

enum { CB_UPLINK_ASKS_MAX = 65536 };

struct cb_uplink_asks;

/* link must outlive it. Errors: CB_ENOMEM, CB_ESYS. */
CB_MUST_USE int cb_uplink_asks_create(struct event_base *base, struct cb_link_sender *link,
                                      struct cb_uplink_asks **out);
/* Without further calls. */
void cb_uplink_asks_destroy(struct cb_uplink_asks **asks);
/* As cb_uplink_ask. */
CB_MUST_USE int cb_uplink_asks_add(struct cb_uplink_asks *asks, const struct cb_ask *ask,
                                   unsigned timeout_ms, cb_uplink_answer_fn *answered, void *user,
                                   void *tag);
/* True once an answer was of a newer version. */
bool cb_uplink_asks_met_newer(const struct cb_uplink_asks *asks);

#endif
