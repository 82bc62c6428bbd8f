/* SPDX-License-Identifier: MIT
 * uplink_hello.c: proves, before a port is opened, that frames reach the store, acks come back and
 * asks are answered: an empty frame and an ask, over an uplink of their own. */
#include <event2/event.h>

#include "proto/uplink.h"

enum {
    RESEND_MS = 100,
    ASK_MS = 300,  /* an ask without an answer is asked anew */
    PAUSE_MS = 20, /* before asking again a store that is not ready */
};

struct hello {
    struct event_base *base;
    struct cb_uplink *uplink;
    struct event *pause;
    bool acked, answered;
    int rc; /* what ended it early */
};

static void look(struct hello *h) {
    if (h->rc || (h->acked && h->answered)) {
        event_base_loopbreak(h->base);
    }
}

static void on_acked(void *user, void *tag, enum cb_uplink_result result, uint64_t position) {
    (void)tag;
    (void)position;
    struct hello *h = user;
    if (result == CB_UPLINK_OK) {
        h->acked = true;
    } else {
        /* An empty frame of this version is refused only by a store of another. */
        h->rc = result == CB_UPLINK_REFUSED ? CB_EVERSION : CB_ETIMEDOUT;
    }
    look(h);
}

static void on_answered(void *user, void *tag, const struct cb_answer *answer) {
    (void)tag;
    struct hello *h = user;
    if (answer && answer->found && !answer->later) {
        h->answered = true;
        look(h);
        return;
    }
    struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
    event_add(h->pause, &pause);
}

static int ask(struct hello *h) {
    struct cb_ask question = {.kind = CB_ASK_HELLO};
    return cb_uplink_ask(h->uplink, &question, ASK_MS, on_answered, h, NULL);
}

static void on_pause(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct hello *h = user;
    h->rc = ask(h);
    look(h);
}

static int send_empty_frame(struct hello *h) {
    struct cb_frame_builder builder;
    cb_frame_builder_init(&builder);
    int rc = cb_uplink_send(h->uplink, &builder, NULL);
    cb_frame_builder_fini(&builder);
    return rc;
}

static int run(struct hello *h, unsigned timeout_ms) {
    int rc = send_empty_frame(h);
    if (!rc) {
        rc = ask(h);
    }
    if (rc) {
        return rc;
    }
    struct timeval timeout = {.tv_sec = timeout_ms / 1000,
                              .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};
    event_base_loopexit(h->base, &timeout);
    if (event_base_dispatch(h->base) < 0) {
        return CB_ESYS;
    }
    if (h->acked && h->answered) {
        return 0;
    }
    if (cb_uplink_met_newer(h->uplink)) {
        return CB_EVERSION;
    }
    return h->rc ? h->rc : CB_ETIMEDOUT;
}

int cb_uplink_hello(const struct cb_link_url *url, unsigned timeout_ms) {
    struct hello h = {.base = event_base_new()};
    if (!h.base) {
        return CB_ENOMEM;
    }
    int rc = CB_ENOMEM;
    h.pause = evtimer_new(h.base, on_pause, &h);
    if (!h.pause) {
        goto err_after_base;
    }
    struct cb_uplink_opts opts = {.url = *url,
                                  .resend_ms = RESEND_MS,
                                  .expire_ms = timeout_ms,
                                  .acked = on_acked,
                                  .user = &h};
    rc = cb_uplink_create(h.base, &opts, &h.uplink);
    if (rc) {
        goto err_after_pause;
    }
    rc = run(&h, timeout_ms);
    cb_uplink_destroy(&h.uplink);
err_after_pause:
    event_free(h.pause);
err_after_base:
    event_base_free(h.base);
    return rc;
}
