/* SPDX-License-Identifier: MIT
 * uplink_asks.c: asks from cb_uplink_ask to their one answered call.
 *
 * gather (one turn of the loop) → batch (a message under an id) → answer, or each ask's own
 * deadline. A batch is out of every list before its last ask is told, so answered may ask. */
#include "proto/uplink_asks.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "proto/clock.h"
#include "proto/metric.h"

enum {
    RESEND_MS = 500, /* then twice that, and so on */
    BACKOFF_TIMES = 16,
    ANSWERS_PER_TURN = 64, /* messages; the rest wait for the next turn of the loop */
    BUCKETS = 1024,
    MESSAGE_BYTES = 16 * 1024, /* CB_ASKS_MAX asks take less than 128 bytes each */
};

static const uint32_t ID_MAX = UINT32_C(0x7fffffff);

/* Who waits for an answer; answered is NULL once told. */
struct asker {
    cb_uplink_answer_fn *answered;
    void *user, *tag;
    int64_t deadline_us;
    enum cb_ask_kind kind;
};

struct batch {
    struct cb_uplink_asks *asks;
    LIST_ENTRY(batch) in_bucket;
    TAILQ_ENTRY(batch) in_waiting; /* while waiting */
    bool waiting;                  /* nanomsg did not take it yet: sent when there is room */
    unsigned tries;                /* times that nanomsg took it */
    int64_t resend_us;
    struct event *timer;
    struct cb_buf message;
    uint32_t id;
    uint32_t n;     /* askers, as in the message */
    uint32_t alive; /* of them, not told yet */
    struct asker askers[];
};

LIST_HEAD(bucket, batch);
TAILQ_HEAD(waiting, batch);

struct cb_uplink_asks {
    struct event_base *base;
    struct cb_link_sender *link;
    struct event *answers_event;
    struct event *room_event; /* added only while batches wait */
    struct event *gather_event;
    struct bucket buckets[BUCKETS];
    struct waiting waiting;
    uint32_t out; /* asks that are not told yet, gathered ones too */
    uint32_t last_id;
    bool met_newer;
    uint32_t n_gathered;
    struct cb_ask gathered[CB_ASKS_MAX]; /* their sites point into sites */
    struct asker askers[CB_ASKS_MAX];
    char sites[CB_ASKS_MAX][CB_SITE_MAX];
};

/* ---- batches ---- */

static struct bucket *bucket_of(struct cb_uplink_asks *a, uint32_t id) {
    return &a->buckets[id % BUCKETS];
}

static struct batch *batch_find(struct cb_uplink_asks *a, uint32_t id) {
    struct batch *batch;
    LIST_FOREACH(batch, bucket_of(a, id), in_bucket) {
        if (batch->id == id) {
            return batch;
        }
    }
    return NULL;
}

static void batch_wait(struct batch *batch, bool wait) {
    struct cb_uplink_asks *a = batch->asks;
    if (batch->waiting == wait) {
        return;
    }
    batch->waiting = wait;
    if (!wait) {
        TAILQ_REMOVE(&a->waiting, batch, in_waiting);
        if (TAILQ_EMPTY(&a->waiting)) {
            event_del(a->room_event);
        }
        return;
    }
    if (TAILQ_EMPTY(&a->waiting)) {
        event_add(a->room_event, NULL);
    }
    TAILQ_INSERT_TAIL(&a->waiting, batch, in_waiting);
}

/* Out of every list; no call comes from it any more. */
static void batch_remove(struct batch *batch) {
    batch_wait(batch, false);
    LIST_REMOVE(batch, in_bucket);
    event_del(batch->timer);
}

static void batch_free(struct batch *batch) {
    event_free(batch->timer);
    cb_buf_fini(&batch->message);
    free(batch);
}

static void tell(struct cb_uplink_asks *a, struct asker *asker, const struct cb_answer *answer) {
    cb_uplink_answer_fn *answered = asker->answered;
    asker->answered = NULL;
    a->out--;
    if (!answer) {
        cb_metric_add(CB_METRIC_ASKS_EXPIRED, 1);
    }
    answered(asker->user, asker->tag, answer);
}

static void batch_send(struct batch *batch, int64_t now_us) {
    int rc =
        cb_link_send_ask(batch->asks->link, batch->id, batch->message.data, batch->message.len);
    batch_wait(batch, rc == CB_EAGAIN);
    int64_t times = 1;
    if (rc == 0) {
        if (batch->tries == 0) {
            cb_metric_add(CB_METRIC_ASKS_SENT, batch->n);
        }
        times = batch->tries < 4 ? INT64_C(1) << batch->tries : BACKOFF_TIMES;
        batch->tries++;
    }
    batch->resend_us = now_us + times * RESEND_MS * 1000;
}

/* Sets the timer for the next resend or the first deadline. */
static void batch_schedule(struct batch *batch, int64_t now_us) {
    int64_t due_us = batch->resend_us;
    for (uint32_t i = 0; i < batch->n; i++) {
        if (batch->askers[i].answered && batch->askers[i].deadline_us < due_us) {
            due_us = batch->askers[i].deadline_us;
        }
    }
    int64_t left_us = due_us > now_us + 1000 ? due_us - now_us : 1000;
    struct timeval left = {.tv_sec = left_us / 1000000, .tv_usec = left_us % 1000000};
    event_add(batch->timer, &left);
}

static void on_timer(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct batch *batch = user;
    struct cb_uplink_asks *a = batch->asks;
    int64_t now_us = cb_clock_mono_us();
    cb_link_sender_tend(a->link);
    /* A callback cannot free the batch: only this, an answer and destroy do. */
    for (uint32_t i = 0; i < batch->n; i++) {
        struct asker *asker = &batch->askers[i];
        if (asker->answered && asker->deadline_us <= now_us) {
            batch->alive--;
            tell(a, asker, NULL);
        }
    }
    if (batch->alive == 0) {
        batch_remove(batch);
        batch_free(batch);
        return;
    }
    if (batch->resend_us <= now_us) {
        batch_send(batch, now_us);
    }
    batch_schedule(batch, now_us);
}

static void on_room(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct cb_uplink_asks *a = user;
    int64_t now_us = cb_clock_mono_us();
    struct batch *batch;
    while ((batch = TAILQ_FIRST(&a->waiting))) {
        batch_send(batch, now_us);
        batch_schedule(batch, now_us);
        if (batch->waiting) {
            return;
        }
    }
}

/* ---- gathering ---- */

/* Makes a batch of what was gathered and sends it. On error what was gathered stays. */
static int gathered_send(struct cb_uplink_asks *a) {
    size_t askers_bytes = a->n_gathered * sizeof(a->askers[0]);
    struct batch *batch = calloc(1, sizeof(*batch) + askers_bytes);
    if (!batch) {
        return CB_ENOMEM;
    }
    batch->asks = a;
    batch->n = batch->alive = a->n_gathered;
    memcpy(batch->askers, a->askers, askers_bytes);
    cb_buf_init(&batch->message, MESSAGE_BYTES);
    int rc = CB_ENOMEM;
    batch->timer = evtimer_new(a->base, on_timer, batch);
    if (!batch->timer) {
        goto err_after_batch;
    }
    rc = cb_ask_encode(a->gathered, a->n_gathered, &batch->message);
    if (rc) {
        goto err_after_timer;
    }
    do {
        a->last_id = a->last_id < ID_MAX ? a->last_id + 1 : 0;
    } while (batch_find(a, a->last_id));
    batch->id = a->last_id;
    LIST_INSERT_HEAD(bucket_of(a, batch->id), batch, in_bucket);
    a->n_gathered = 0;
    int64_t now_us = cb_clock_mono_us();
    if (TAILQ_EMPTY(&a->waiting)) {
        batch_send(batch, now_us);
    } else {
        batch_wait(batch, true); /* behind those that wait for room */
        batch->resend_us = now_us + RESEND_MS * 1000;
    }
    batch_schedule(batch, now_us);
    return 0;

err_after_timer:
    event_free(batch->timer);
err_after_batch:
    cb_buf_fini(&batch->message);
    free(batch);
    return rc;
}

static void on_gathered(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct cb_uplink_asks *a = user;
    if (a->n_gathered == 0 || gathered_send(a) == 0) {
        return;
    }
    /* Out of memory: nobody is left waiting for what will not be sent. */
    struct asker askers[CB_ASKS_MAX];
    uint32_t n = a->n_gathered;
    memcpy(askers, a->askers, n * sizeof(askers[0]));
    a->n_gathered = 0;
    for (uint32_t i = 0; i < n; i++) {
        tell(a, &askers[i], NULL);
    }
}

int cb_uplink_asks_add(struct cb_uplink_asks *a, const struct cb_ask *ask, unsigned timeout_ms,
                       cb_uplink_answer_fn *answered, void *user, void *tag) {
    if (ask->site.len > CB_SITE_MAX) {
        return CB_EINVAL;
    }
    if (a->out == CB_UPLINK_ASKS_MAX) {
        return CB_EFULL;
    }
    if (a->n_gathered == CB_ASKS_MAX) {
        int rc = gathered_send(a);
        if (rc) {
            return rc;
        }
    }
    uint32_t i = a->n_gathered++;
    a->gathered[i] = *ask;
    if (ask->site.len) {
        memcpy(a->sites[i], ask->site.p, ask->site.len);
    }
    a->gathered[i].site = (struct cb_str){a->sites[i], ask->site.len};
    a->askers[i] = (struct asker){answered, user, tag,
                                  cb_clock_mono_us() + (int64_t)timeout_ms * 1000, ask->kind};
    a->out++;
    /* Runs behind the events that are active now, so the asks of one turn come together. */
    event_active(a->gather_event, EV_TIMEOUT, 0);
    return 0;
}

/* ---- answers ---- */

/* One answer for each ask, in order: else it is not to this message. */
static bool fits(const struct batch *batch, const struct cb_answer *answers, uint32_t n) {
    if (n != batch->n) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (answers[i].kind != batch->askers[i].kind) {
            return false;
        }
    }
    return true;
}

static void take_answers(struct cb_uplink_asks *a, uint32_t id,
                         const struct cb_link_message *message) {
    struct cb_answer answers[CB_ASKS_MAX];
    uint32_t n = 0;
    struct batch *batch = batch_find(a, id);
    if (!batch) {
        return; /* to a message that was answered already, or is too late */
    }
    int rc = cb_answer_decode(message->data, message->len, answers, &n);
    if (rc || !fits(batch, answers, n)) {
        a->met_newer = a->met_newer || rc == CB_EVERSION;
        return;
    }
    batch_remove(batch);
    for (uint32_t i = 0; i < n; i++) {
        if (batch->askers[i].answered) {
            tell(a, &batch->askers[i], &answers[i]);
        }
    }
    batch_free(batch);
}

static void on_answers(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct cb_uplink_asks *a = user;
    for (int i = 0; i < ANSWERS_PER_TURN; i++) {
        struct cb_link_message message;
        uint32_t id;
        int rc = cb_link_recv_answer(a->link, &id, &message);
        if (rc == CB_EMALFORMED) {
            continue;
        }
        if (rc) {
            return;
        }
        take_answers(a, id, &message);
        cb_link_message_free(&message);
    }
}

bool cb_uplink_asks_met_newer(const struct cb_uplink_asks *a) {
    return a->met_newer;
}

/* ---- life ---- */

int cb_uplink_asks_create(struct event_base *base, struct cb_link_sender *link,
                          struct cb_uplink_asks **out) {
    struct cb_uplink_asks *a = calloc(1, sizeof(*a));
    if (!a) {
        return CB_ENOMEM;
    }
    a->base = base;
    a->link = link;
    TAILQ_INIT(&a->waiting);
    a->answers_event =
        event_new(base, cb_link_answers_fd(link), EV_READ | EV_PERSIST, on_answers, a);
    a->room_event = event_new(base, cb_link_asks_room_fd(link), EV_READ | EV_PERSIST, on_room, a);
    a->gather_event = event_new(base, -1, 0, on_gathered, a);
    int rc = a->answers_event && a->room_event && a->gather_event ? 0 : CB_ENOMEM;
    if (!rc && event_add(a->answers_event, NULL) != 0) {
        rc = CB_ESYS;
    }
    if (rc) {
        cb_uplink_asks_destroy(&a);
        return rc;
    }
    *out = a;
    return 0;
}

void cb_uplink_asks_destroy(struct cb_uplink_asks **asks) {
    struct cb_uplink_asks *a = *asks;
    if (!a) {
        return;
    }
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct batch *batch;
        while ((batch = LIST_FIRST(&a->buckets[i]))) {
            batch_remove(batch);
            batch_free(batch);
        }
    }
    struct event *events[] = {a->answers_event, a->room_event, a->gather_event};
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (events[i]) {
            event_free(events[i]);
        }
    }
    free(a);
    *asks = NULL;
}
