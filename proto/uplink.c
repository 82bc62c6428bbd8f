/* SPDX-License-Identifier: MIT
 * uplink.c: frames from cb_uplink_send to their one acked call.
 *
 * Invariant: the numbers in flight lie within CB_UPLINK_CREDITS of each other, so a frame's slot is
 * its number modulo that. A slot is freed before its acked is called, so acked may send. */
#include "proto/uplink.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "proto/ack.h"
#include "proto/clock.h"
#include "proto/metric.h"
#include "proto/uplink_asks.h"

enum {
    ACKS_PER_TURN = 64, /* messages; the rest wait for the next turn of the loop */
    BACKOFF_TIMES = 64, /* resends come at most this many times resend_ms apart */
};

struct slot {
    bool used;
    bool waiting;   /* nanomsg did not take it yet: sent when there is room */
    unsigned tries; /* times that nanomsg took it */
    void *tag;
    int64_t resend_us, expire_us;
    struct cb_buf bytes; /* the sealed frame; only while used */
};

struct cb_uplink {
    struct event_base *base;
    struct cb_link_sender *link;
    struct cb_uplink_asks *asks;
    cb_uplink_acked_fn *acked;
    void *user;
    int64_t resend_us, expire_us;
    uint64_t incarnation;
    uint64_t oldest, next; /* numbers: oldest in flight (next when none is), next to give */
    unsigned in_flight;
    unsigned n_waiting;
    struct slot slots[CB_UPLINK_CREDITS];
    struct cb_buf spare[CB_UPLINK_CREDITS]; /* buffers of free slots; the last used first */
    unsigned n_spare;
    struct event *acks_event;
    struct event *room_event; /* added only while n_waiting */
    struct event *timer;
    int64_t timer_us; /* when timer fires; 0 when it is not set */
    bool met_newer;
};

_Static_assert((CB_UPLINK_CREDITS & (CB_UPLINK_CREDITS - 1)) == 0, "slots wrap with the numbers");
_Static_assert((int)CB_UPLINK_CREDITS <= (int)CB_ACK_FRAMES_MAX, "one ack may cover all in flight");

static struct slot *slot_of(struct cb_uplink *u, uint64_t number) {
    return &u->slots[number % CB_UPLINK_CREDITS];
}

static void set_waiting(struct cb_uplink *u, struct slot *slot, bool waiting) {
    if (slot->waiting == waiting) {
        return;
    }
    slot->waiting = waiting;
    u->n_waiting += waiting ? 1 : -1U;
    if (waiting && u->n_waiting == 1) {
        event_add(u->room_event, NULL);
    } else if (!waiting && u->n_waiting == 0) {
        event_del(u->room_event);
    }
}

/* ---- the timer: one for all slots, set for the earliest that is due ---- */

static void timer_by(struct cb_uplink *u, int64_t due_us, int64_t now_us) {
    if (u->timer_us && u->timer_us <= due_us) {
        return;
    }
    int64_t left_us = due_us > now_us + 1000 ? due_us - now_us : 1000;
    struct timeval left = {.tv_sec = left_us / 1000000, .tv_usec = left_us % 1000000};
    event_add(u->timer, &left);
    u->timer_us = due_us;
}

static int64_t slot_due(const struct slot *slot) {
    return slot->resend_us < slot->expire_us ? slot->resend_us : slot->expire_us;
}

/* ---- sending ---- */

static int64_t backoff_us(const struct cb_uplink *u, unsigned tries) {
    int64_t times = tries < 16 ? INT64_C(1) << tries : BACKOFF_TIMES;
    return u->resend_us * (times < BACKOFF_TIMES ? times : BACKOFF_TIMES);
}

/* Gives the slot's frame to nanomsg; when that takes nothing, it waits for room. */
static void slot_send(struct cb_uplink *u, struct slot *slot, int64_t now_us) {
    int rc = cb_link_send_frame(u->link, slot->bytes.data, slot->bytes.len);
    set_waiting(u, slot, rc == CB_EAGAIN);
    if (rc) {
        slot->resend_us = now_us + u->resend_us; /* that was no resend: no backoff */
        return;
    }
    cb_metric_add(slot->tries == 0 ? CB_METRIC_FRAMES_SENT : CB_METRIC_FRAMES_RESENT, 1);
    slot->resend_us = now_us + backoff_us(u, slot->tries);
    slot->tries++;
}

/* Sends what waits, the oldest first, until nanomsg takes nothing more. */
static void send_waiting(struct cb_uplink *u, int64_t now_us) {
    for (uint64_t number = u->oldest; number < u->next && u->n_waiting > 0; number++) {
        struct slot *slot = slot_of(u, number);
        if (!slot->used || !slot->waiting) {
            continue;
        }
        slot_send(u, slot, now_us);
        timer_by(u, slot_due(slot), now_us);
        if (slot->waiting) {
            return;
        }
    }
}

static void on_room(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct cb_uplink *u = user;
    send_waiting(u, cb_clock_mono_us());
}

/* The buffer of the next frame, empty; NULL without credits. */
static struct cb_buf *next_bytes(struct cb_uplink *u) {
    if (cb_uplink_credits(u) == 0) {
        return NULL;
    }
    struct cb_buf *bytes = &u->spare[u->n_spare - 1];
    cb_buf_clear(bytes);
    return bytes;
}

/* Takes the frame that was written to next_bytes under the next number, and sends it. */
static void take_off(struct cb_uplink *u, const struct cb_buf *bytes, void *tag) {
    int64_t now_us = cb_clock_mono_us();
    struct slot *slot = slot_of(u, u->next);
    *slot = (struct slot){
        .used = true, .tag = tag, .expire_us = now_us + u->expire_us, .bytes = *bytes};
    u->n_spare--;
    u->next++;
    u->in_flight++;
    if (u->n_waiting > 0) {
        /* Behind those that wait for room. */
        set_waiting(u, slot, true);
        slot->resend_us = now_us + u->resend_us;
    } else {
        slot_send(u, slot, now_us);
    }
    timer_by(u, slot_due(slot), now_us);
}

int cb_uplink_send(struct cb_uplink *u, struct cb_frame_builder *builder, void *tag) {
    struct cb_buf *bytes = next_bytes(u);
    int rc = bytes ? cb_frame_builder_seal(builder, u->incarnation, u->next, bytes) : CB_EAGAIN;
    if (rc == 0) {
        cb_frame_builder_clear(builder);
        take_off(u, bytes, tag);
    }
    return rc;
}

int cb_uplink_send_control(struct cb_uplink *u, struct cb_str body, void *tag) {
    struct cb_buf *bytes = next_bytes(u);
    int rc =
        bytes ? cb_frame_wrap(CB_FRAME_CONTROL, u->incarnation, u->next, body, bytes) : CB_EAGAIN;
    if (rc == 0) {
        take_off(u, bytes, tag);
    }
    return rc;
}

/* ---- ending ---- */

/* Frees the slot, then tells. */
static void slot_end(struct cb_uplink *u, struct slot *slot, enum cb_uplink_result result,
                     uint64_t position) {
    void *tag = slot->tag;
    set_waiting(u, slot, false);
    slot->used = false;
    u->spare[u->n_spare++] = slot->bytes;
    u->in_flight--;
    while (u->oldest < u->next && !slot_of(u, u->oldest)->used) {
        u->oldest++;
    }
    if (result == CB_UPLINK_OK) {
        cb_metric_add(CB_METRIC_FRAMES_ACKED, 1);
    } else if (result == CB_UPLINK_EXPIRED) {
        cb_metric_add(CB_METRIC_FRAMES_EXPIRED, 1);
    }
    u->acked(u->user, tag, result, position);
}

static void take_ack(struct cb_uplink *u, const struct cb_ack *ack) {
    for (uint32_t i = 0; i < ack->n_frames; i++) {
        const struct cb_ack_frame *frame = &ack->frames[i];
        if (frame->number < u->oldest || frame->number >= u->next) {
            continue;
        }
        struct slot *slot = slot_of(u, frame->number);
        if (!slot->used) {
            continue; /* a second ack */
        }
        switch (frame->status) {
        case CB_ACK_OK:
            slot_end(u, slot, CB_UPLINK_OK, frame->position);
            break;
        case CB_ACK_REFUSED:
            slot_end(u, slot, CB_UPLINK_REFUSED, 0);
            break;
        case CB_ACK_BUSY:
            /* The resend timer stands, and grows with each try: that is the wait. */
            break;
        }
    }
}

static void on_acks(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct cb_uplink *u = user;
    for (int i = 0; i < ACKS_PER_TURN; i++) {
        struct cb_link_message message;
        if (cb_link_recv_ack(u->link, &message)) {
            return;
        }
        struct cb_ack ack;
        int rc = cb_ack_decode(message.data, message.len, &ack);
        cb_link_message_free(&message);
        if (rc == 0 && ack.sender == u->incarnation) {
            take_ack(u, &ack);
        } else if (rc == CB_EVERSION) {
            u->met_newer = true;
        }
    }
}

static void on_timer(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct cb_uplink *u = user;
    u->timer_us = 0;
    int64_t now_us = cb_clock_mono_us();
    /* Callbacks may send: those numbers are past end, and set the timer themselves. */
    uint64_t end = u->next;
    bool overdue = false;
    for (uint64_t number = u->oldest; number < end; number++) {
        struct slot *slot = slot_of(u, number);
        if (!slot->used) {
            continue;
        }
        if (slot->expire_us <= now_us) {
            slot_end(u, slot, CB_UPLINK_EXPIRED, 0);
            continue;
        }
        if (slot->resend_us <= now_us) {
            overdue = true;
            if (u->n_waiting > 0) {
                set_waiting(u, slot, true);
                slot->resend_us = now_us + u->resend_us;
            } else {
                slot_send(u, slot, now_us);
            }
        }
        timer_by(u, slot_due(slot), now_us);
    }
    if (overdue) {
        cb_link_sender_tend(u->link);
    }
    send_waiting(u, now_us);
}

/* ---- life ---- */

static int random_incarnation(uint64_t *out) {
    do {
        ssize_t n = getrandom(out, sizeof(*out), 0);
        if (n < 0 && errno == EINTR) {
            *out = 0;
        } else if (n != (ssize_t)sizeof(*out)) {
            return CB_ESYS;
        }
    } while (*out == 0); /* 0 is the store itself */
    return 0;
}

static int create_events(struct cb_uplink *u) {
    u->acks_event = event_new(u->base, cb_link_acks_fd(u->link), EV_READ | EV_PERSIST, on_acks, u);
    u->room_event =
        event_new(u->base, cb_link_frames_room_fd(u->link), EV_READ | EV_PERSIST, on_room, u);
    u->timer = evtimer_new(u->base, on_timer, u);
    if (!u->acks_event || !u->room_event || !u->timer) {
        return CB_ENOMEM;
    }
    event_priority_set(u->acks_event, 0); /* before requests, where the base has priorities */
    return event_add(u->acks_event, NULL) == 0 ? 0 : CB_ESYS;
}

int cb_uplink_create(struct event_base *base, const struct cb_uplink_opts *opts,
                     struct cb_uplink **out) {
    struct cb_uplink *u = calloc(1, sizeof(*u));
    if (!u) {
        return CB_ENOMEM;
    }
    u->base = base;
    u->acked = opts->acked;
    u->user = opts->user;
    u->resend_us = (int64_t)(opts->resend_ms ? opts->resend_ms : 1) * 1000;
    u->expire_us = (int64_t)opts->expire_ms * 1000;
    u->oldest = u->next = 1;
    for (unsigned i = 0; i < CB_UPLINK_CREDITS; i++) {
        cb_buf_init(&u->spare[i], CB_FRAME_MAX);
    }
    u->n_spare = CB_UPLINK_CREDITS;
    uint8_t topic[CB_ACK_TOPIC_BYTES];
    int rc = random_incarnation(&u->incarnation);
    if (!rc) {
        rc =
            cb_link_sender_create(&opts->url, topic, cb_ack_topic(u->incarnation, topic), &u->link);
    }
    if (!rc) {
        rc = create_events(u);
    }
    if (!rc) {
        rc = cb_uplink_asks_create(base, u->link, &u->asks);
    }
    if (rc) {
        cb_uplink_destroy(&u);
        return rc;
    }
    *out = u;
    return 0;
}

void cb_uplink_destroy(struct cb_uplink **uplink) {
    struct cb_uplink *u = *uplink;
    if (!u) {
        return;
    }
    cb_uplink_asks_destroy(&u->asks);
    struct event *events[] = {u->acks_event, u->room_event, u->timer};
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (events[i]) {
            event_free(events[i]); /* before the link closes their descriptors */
        }
    }
    cb_link_sender_destroy(&u->link);
    for (unsigned i = 0; i < CB_UPLINK_CREDITS; i++) {
        if (u->slots[i].used) {
            cb_buf_fini(&u->slots[i].bytes);
        }
    }
    for (unsigned i = 0; i < u->n_spare; i++) {
        cb_buf_fini(&u->spare[i]);
    }
    free(u);
    *uplink = NULL;
}

unsigned cb_uplink_credits(const struct cb_uplink *u) {
    return CB_UPLINK_CREDITS - (unsigned)(u->next - u->oldest);
}

unsigned cb_uplink_in_flight(const struct cb_uplink *u) {
    return u->in_flight;
}

bool cb_uplink_met_newer(const struct cb_uplink *u) {
    return u->met_newer || cb_uplink_asks_met_newer(u->asks);
}

int cb_uplink_ask(struct cb_uplink *u, const struct cb_ask *ask, unsigned timeout_ms,
                  cb_uplink_answer_fn *answered, void *user, void *tag) {
    return cb_uplink_asks_add(u->asks, ask, timeout_ms, answered, user, tag);
}
