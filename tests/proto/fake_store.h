/* SPDX-License-Identifier: MIT
 * fake_store.h: the store's end of a link, in a test's event loop, that loses, delays and refuses
 * on command. */
#ifndef CB_TESTS_PROTO_FAKE_STORE_H
#define CB_TESTS_PROTO_FAKE_STORE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ack.h"
#include "proto/ask.h"
#include "proto/clock.h"
#include "proto/frame.h"
#include "proto/link.h"

enum { FAKE_NUMBERS = 4096, FAKE_HELD = 1024 };

/* What becomes of the first copy of a frame; every later copy is taken and acked. */
enum fake_mode {
    FAKE_TAKES,       /* taken and acked */
    FAKE_LOSES_FRAME, /* as if it had never come */
    FAKE_LOSES_ACK,   /* taken, but the ack is lost */
    FAKE_BUSY,
    FAKE_REFUSES,
    FAKE_BUSY_ALWAYS, /* every copy */
    FAKE_MUTE,        /* no copy is acked, ever */
};

struct fake_store {
    struct event_base *base;
    struct cb_link_store *link;
    struct event *frames_event, *asks_event;
    enum fake_mode mode;
    uint64_t sender; /* of the last frame */
    uint64_t numbers_max;
    unsigned copies[FAKE_NUMBERS]; /* by number */
    unsigned n_asks, n_ask_messages;
    unsigned lose_asks; /* messages of asks to lose */
    unsigned not_ready; /* hellos to answer with found=false */
    bool newer;         /* answers claim a newer version */
    bool hold;          /* asks are kept in held, unanswered */
    struct cb_link_message held[FAKE_HELD];
    unsigned n_held;
};

static inline void fake_ack(struct fake_store *f, uint64_t sender, uint64_t number,
                            enum cb_ack_status status) {
    struct cb_ack ack = {.sender = sender, .n_frames = 1};
    ack.frames[0] = (struct cb_ack_frame){number, status, status == CB_ACK_OK ? 100 + number : 0};
    struct cb_buf out;
    cb_buf_init(&out, 4096);
    if (cb_ack_encode(&ack, &out) || cb_link_send_ack(f->link, out.data, out.len)) {
        abort();
    }
    cb_buf_fini(&out);
}

static inline void fake_on_frame(struct fake_store *f, const void *data, size_t len) {
    static _Thread_local struct cb_frame frame;
    if (cb_frame_decode(data, len, &frame) || frame.number >= FAKE_NUMBERS) {
        abort();
    }
    uint64_t number = frame.number;
    bool first = f->copies[number]++ == 0;
    f->sender = frame.sender;
    f->numbers_max = number > f->numbers_max ? number : f->numbers_max;
    if (f->mode == FAKE_MUTE || (first && f->mode == FAKE_LOSES_FRAME) ||
        (first && f->mode == FAKE_LOSES_ACK)) {
        return;
    }
    enum cb_ack_status status = CB_ACK_OK;
    if (f->mode == FAKE_REFUSES) {
        status = CB_ACK_REFUSED;
    } else if (f->mode == FAKE_BUSY_ALWAYS || (first && f->mode == FAKE_BUSY)) {
        status = CB_ACK_BUSY;
    }
    fake_ack(f, frame.sender, number, status);
}

static inline void fake_frames(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct fake_store *f = user;
    struct cb_link_message message;
    while (!cb_link_recv_frame(f->link, &message)) {
        fake_on_frame(f, message.data, message.len);
        cb_link_message_free(&message);
    }
}

/* Answers FIELDS with the site's name as the visitor's name. Takes the message. */
static inline void fake_answer(struct fake_store *f, struct cb_link_message *message) {
    struct cb_ask asks[CB_ASKS_MAX];
    struct cb_answer answers[CB_ASKS_MAX];
    memset(answers, 0, sizeof(answers));
    uint32_t n;
    if (cb_ask_decode(message->data, message->len, asks, &n)) {
        abort();
    }
    for (uint32_t i = 0; i < n; i++) {
        answers[i].kind = asks[i].kind;
        answers[i].found = true;
        answers[i].accepting = true;
        if (asks[i].kind == CB_ASK_HELLO && f->not_ready > 0) {
            f->not_ready--;
            answers[i].found = false;
        } else if (asks[i].kind == CB_ASK_SITE) {
            answers[i].status = CB_STATUS_ONLINE;
        } else if (asks[i].kind == CB_ASK_FIELDS) {
            answers[i].fields[CB_FIELD_NAME] = asks[i].site;
        }
    }
    struct cb_buf out;
    cb_buf_init(&out, CB_ASK_MESSAGE_MAX);
    if (cb_answer_encode(answers, n, &out)) {
        abort();
    }
    if (f->newer) {
        out.data[6] = CB_ASK_VERSION + 1; /* array head, "cb.x" with its head, version */
    }
    (void)cb_link_send_answer(f->link, message, out.data, out.len);
    cb_buf_fini(&out);
}

static inline void fake_asks(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct fake_store *f = user;
    struct cb_link_message message;
    while (!cb_link_recv_ask(f->link, &message)) {
        struct cb_ask asks[CB_ASKS_MAX];
        uint32_t n;
        if (cb_ask_decode(message.data, message.len, asks, &n)) {
            abort();
        }
        f->n_ask_messages++;
        f->n_asks += n;
        if (f->lose_asks > 0) {
            f->lose_asks--;
            cb_link_message_free(&message);
        } else if (f->hold && f->n_held < FAKE_HELD) {
            f->held[f->n_held++] = message;
        } else {
            fake_answer(f, &message);
        }
    }
}

static inline bool fake_open(struct fake_store *f, struct event_base *base,
                             const struct cb_link_url *url) {
    f->base = base;
    if (cb_link_store_create(url, &f->link)) {
        return false;
    }
    f->frames_event =
        event_new(base, cb_link_frames_fd(f->link), EV_READ | EV_PERSIST, fake_frames, f);
    f->asks_event = event_new(base, cb_link_asks_fd(f->link), EV_READ | EV_PERSIST, fake_asks, f);
    return f->frames_event && f->asks_event && !event_add(f->frames_event, NULL) &&
           !event_add(f->asks_event, NULL);
}

static inline void fake_close(struct fake_store *f) {
    if (!f->link) {
        return;
    }
    event_free(f->frames_event);
    event_free(f->asks_event);
    while (f->n_held > 0) {
        cb_link_message_free(&f->held[--f->n_held]);
    }
    cb_link_store_destroy(&f->link);
}

#endif
