/* SPDX-License-Identifier: MIT
 * uplink.h: the sending side of the pipeline: numbers frames, keeps them until their ack, sends
 * them again, within credits; and sends asks. Used by each thread of ingest and of query.
 *
 * One uplink has one incarnation and belongs to one event base, whose thread alone calls it. Every
 * frame handed over ends in exactly one call of acked: ok, refused, or expired. */
#ifndef CB_PROTO_UPLINK_H
#define CB_PROTO_UPLINK_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/ask.h"
#include "proto/frame.h"
#include "proto/link.h"

enum { CB_UPLINK_CREDITS = 64 };

enum cb_uplink_result {
    CB_UPLINK_OK,      /* committed */
    CB_UPLINK_REFUSED, /* the store refused it for good */
    CB_UPLINK_EXPIRED, /* no ack in time: it may or may not be committed */
};

/* Called for each frame, from the event loop (never from within cb_uplink_send). tag is what
 * cb_uplink_send was given. */
typedef void cb_uplink_acked_fn(void *user, void *tag, enum cb_uplink_result result,
                                uint64_t position);
/* Called once for each ask. answer is NULL when there was none in time; its strings live during the
 * call. */
typedef void cb_uplink_answer_fn(void *user, void *tag, const struct cb_answer *answer);

struct cb_uplink_opts {
    struct cb_link_url url;
    unsigned
        resend_ms; /* an unacked frame is sent again after this, then after twice this, and so on */
    unsigned expire_ms; /* … and given up after this */
    cb_uplink_acked_fn *acked;
    void *user;
};

struct cb_uplink;

/* The store need not be there yet. Acks are events of priority 0; whatever else, of the base's
 * middle one. Errors: CB_EINVAL (no such host can be), CB_ENOMEM, CB_ESYS. */
CB_MUST_USE int cb_uplink_create(struct event_base *base, const struct cb_uplink_opts *opts,
                                 struct cb_uplink **out);
/* Frames and asks that are still out get no further calls. Not from within a callback. */
void cb_uplink_destroy(struct cb_uplink **uplink);

/* Frames that may be sent now: CB_UPLINK_CREDITS less the span from the oldest frame in flight to
 * the newest. (The span, not the count: the store remembers that many of a sender's latest numbers,
 * and must be able to tell for every frame that may come again.) */
unsigned cb_uplink_credits(const struct cb_uplink *uplink);
/* Frames without an ack yet. */
unsigned cb_uplink_in_flight(const struct cb_uplink *uplink);
/* True once the store has said something in a newer version than this. */
bool cb_uplink_met_newer(const struct cb_uplink *uplink);

/* Seals the builder's frame under the next number, keeps a copy, sends it, and clears the builder.
 * Errors: CB_EAGAIN without credits, CB_ENOMEM, CB_ETOOBIG; then the builder is unchanged. That
 * nanomsg takes nothing now is no error: the frame is sent as soon as there is room. */
CB_MUST_USE int cb_uplink_send(struct cb_uplink *uplink, struct cb_frame_builder *builder,
                               void *tag);

/* The same for a control frame (control.h); the uplink's frames go to the control socket
 * (cb_link_url_control). body is copied. Its ack comes when the views hold it. */
CB_MUST_USE int cb_uplink_send_control(struct cb_uplink *uplink, struct cb_str body, void *tag);

/* Asks; asks of one turn of the event loop travel together. The strings of ask are copied.
 * timeout_ms bounds the wait (within it the ask is sent again when the store seems not to have got
 * it). Errors: CB_EFULL when 65,536 are out, CB_EINVAL for a site over CB_SITE_MAX, CB_ENOMEM. */
CB_MUST_USE int cb_uplink_ask(struct cb_uplink *uplink, const struct cb_ask *ask,
                              unsigned timeout_ms, cb_uplink_answer_fn *answered, void *user,
                              void *tag);

/* Hello: one round trip on all three channels (an empty frame with its ack, and an ask), run before
 * a port is opened; blocks in a base of its own. Errors: CB_ETIMEDOUT, CB_EVERSION (the store is of
 * another version), CB_EINVAL (no such host can be), CB_ENOMEM, CB_ESYS. */
CB_MUST_USE int cb_uplink_hello(const struct cb_link_url *url, unsigned timeout_ms);

#endif
