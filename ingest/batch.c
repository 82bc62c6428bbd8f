/* SPDX-License-Identifier: MIT
 * batch.c: see batch.h.
 *
 * A load is a frame under way: open (events are added), closed (full, waiting for credits), or
 * flying (the uplink has it; the builder is free again). A ticket counts the loads that hold some
 * of it, and one more until it is closed; it is freed when that count is 0, which may be long after
 * its request was answered 503 by the deadline. Tickets wait in the order of their deadlines, which
 * is the order of their arrival: the timeout is the same for all. */
#include "ingest/batch.h"

#include <assert.h>
#include <stdlib.h>

#include "ingest/pace.h"
#include "ingest/reply.h"
#include "proto/clock.h"
#include "proto/crash.h"
#include "proto/metric.h"

enum {
    EAGER_FRAMES = 2,        /* so many in flight keep the store busy … */
    FULL_ENOUGH = 64 * 1024, /* … and then a frame gathers this much before it leaves */
    APART_US = 1500,         /* a frame with few of those who are connected waits so long … */
    FEW_PART = 2,            /* … behind the one before it; less than this part of them is few */
    BUILDERS_KEPT = 8,       /* idle builders, each up to CB_FRAME_MAX of memory */
    LOAD_TICKETS_MIN = 64,
};

struct cb_ticket {
    struct cb_http_req *req; /* NULL once answered */
    unsigned loads;          /* that hold some of it, and 1 until it is closed */
    bool failed;
    bool waiting; /* closed, in the list of deadlines */
    int64_t deadline_ms;
    struct cb_batch_reply reply;
    struct cb_ticket *prev, *next; /* by deadline, or the pool */
};

struct builder {
    struct cb_frame_builder frame;
    struct builder *next;
};

struct load {
    struct builder *builder; /* NULL while it is flying */
    size_t bytes;            /* its part of held */
    size_t ahead_bytes;      /* held when it was opened, which was at … */
    int64_t opened_ms;
    struct cb_ticket **tickets;
    size_t n_tickets, cap_tickets;
    struct load *prev, *next; /* closed ones in order, flying ones, or the pool */
};

struct cb_batch {
    struct cb_batch_opts opts;
    struct cb_uplink *uplink;
    const struct cb_http *http; /* whose requests they are; NULL: not known */
    struct event *flush, *deadline;
    bool flush_due;
    int64_t left_us; /* when the last frame left */
    size_t held;
    struct cb_pace pace;
    struct load *open;
    struct load *closed, **closed_end;
    struct load *flying;
    struct load *idle_loads;
    struct builder *idle_builders;
    unsigned n_idle_builders;
    struct cb_ticket *first, *last; /* waiting, by deadline */
    struct cb_ticket *idle_tickets;
};

/* ---- tickets ---- */

static void unlist(struct cb_batch *b, struct cb_ticket *t) {
    if (!t->waiting)
        return;
    *(t->prev ? &t->prev->next : &b->first) = t->next;
    *(t->next ? &t->next->prev : &b->last) = t->prev;
    t->waiting = false;
}

static void answer(struct cb_batch *b, struct cb_ticket *t, bool ok) {
    struct cb_http_req *req = t->req;
    unlist(b, t);
    if (!req)
        return;
    t->req = NULL;
    cb_metric_add(CB_METRIC_INGEST_HELD, -1);
    const struct cb_batch_reply *r = &t->reply;
    if (!ok)
        cb_reply_busy(req);
    else if (r->body)
        cb_http_reply(req, r->status, r->headers, r->body, r->len);
    else
        cb_http_reply(req, r->status, r->headers, r->text.data, r->text.len);
    cb_buf_fini(&t->reply.text);
}

static void release(struct cb_batch *b, struct cb_ticket *t) {
    assert(t->loads > 0);
    if (--t->loads)
        return;
    answer(b, t, !t->failed);
    t->next = b->idle_tickets;
    b->idle_tickets = t;
}

static void deadline_arm(struct cb_batch *b) {
    if (!b->first)
        return;
    int64_t left_ms = b->first->deadline_ms - cb_clock_mono_ms();
    if (left_ms < 1)
        left_ms = 1;
    struct timeval wait = {left_ms / 1000, (left_ms % 1000) * 1000};
    event_add(b->deadline, &wait);
}

static void flush_soon(struct cb_batch *b) {
    if (b->flush_due)
        return;
    b->flush_due = true;
    /* Behind what is active already, so it runs when this turn's requests were all read. */
    event_active(b->flush, EV_TIMEOUT, 1);
}

static void deadline_passed(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    struct cb_batch *b = arg;
    int64_t now_ms = cb_clock_mono_ms();
    while (b->first && b->first->deadline_ms <= now_ms)
        answer(b, b->first, false);
    deadline_arm(b);
    flush_soon(b);
}

bool cb_batch_has_room(struct cb_batch *b, size_t bytes) {
    size_t held = b->held + bytes;
    if (held > b->opts.held_max_bytes)
        return false;
    if (held <= CB_PACE_LEAST_BYTES)
        return true;
    int64_t now_ms = cb_clock_mono_ms(), oldest_ms = 0;
    if (b->first)
        oldest_ms = now_ms - (b->first->deadline_ms - b->opts.ack_timeout_ms);
    return held <= cb_pace_limit(&b->pace, oldest_ms, now_ms);
}

int cb_batch_open(struct cb_batch *b, struct cb_http_req *req, size_t bytes,
                  struct cb_ticket **out) {
    if (!cb_batch_has_room(b, bytes))
        return CB_EFULL;
    struct cb_ticket *t = b->idle_tickets;
    if (t)
        b->idle_tickets = t->next;
    else if (!(t = malloc(sizeof *t)))
        return CB_ENOMEM;
    memset(t, 0, sizeof *t);
    t->req = req;
    t->loads = 1;
    cb_metric_add(CB_METRIC_INGEST_HELD, 1);
    *out = t;
    return 0;
}

void cb_batch_close(struct cb_batch *b, struct cb_ticket *t, struct cb_batch_reply *reply,
                    bool now) {
    t->reply = *reply;
    cb_buf_init(&reply->text, 0);
    t->deadline_ms = cb_clock_mono_ms() + b->opts.ack_timeout_ms;
    if (now || t->failed) {
        answer(b, t, !t->failed);
    } else if (t->loads > 1) {
        cb_http_read(t->req);
        t->waiting = true;
        t->prev = b->last;
        t->next = NULL;
        *(b->last ? &b->last->next : &b->first) = t;
        b->last = t;
        if (b->first == t)
            deadline_arm(b);
    }
    release(b, t);
}

/* ---- loads ---- */

static void load_free(struct load *l) {
    if (l->builder) {
        cb_frame_builder_fini(&l->builder->frame);
        free(l->builder);
    }
    free(l->tickets);
    free(l);
}

static void builder_recycle(struct cb_batch *b, struct load *l) {
    struct builder *builder = l->builder;
    l->builder = NULL;
    if (b->n_idle_builders == BUILDERS_KEPT) {
        cb_frame_builder_fini(&builder->frame);
        free(builder);
        return;
    }
    cb_frame_builder_clear(&builder->frame);
    builder->next = b->idle_builders;
    b->idle_builders = builder;
    b->n_idle_builders++;
}

/* The open load, made where there is none; NULL without memory. */
static struct load *load_open(struct cb_batch *b) {
    if (b->open)
        return b->open;
    struct builder *builder = b->idle_builders;
    if (builder) {
        b->idle_builders = builder->next;
        b->n_idle_builders--;
    } else if ((builder = malloc(sizeof *builder))) {
        cb_frame_builder_init(&builder->frame);
    } else {
        return NULL;
    }
    struct load *l = b->idle_loads;
    if (l)
        b->idle_loads = l->next;
    else
        l = calloc(1, sizeof *l);
    if (!l) {
        cb_frame_builder_fini(&builder->frame);
        free(builder);
        return NULL;
    }
    l->builder = builder;
    l->bytes = 0;
    l->ahead_bytes = b->held;
    l->opened_ms = cb_clock_mono_ms();
    l->n_tickets = 0;
    l->prev = l->next = NULL;
    b->open = l;
    return l;
}

static void load_close(struct cb_batch *b) {
    struct load *l = b->open;
    b->open = NULL;
    l->next = NULL;
    *b->closed_end = l;
    b->closed_end = &l->next;
}

/* Sends a load; false when it must wait (it is unchanged then). */
static bool load_send(struct cb_batch *b, struct load *l) {
    if (cb_uplink_send(b->uplink, &l->builder->frame, l))
        return false;
    cb_crash_point("ingest_after_send");
    b->left_us = cb_clock_mono_us();
    builder_recycle(b, l);
    l->prev = NULL;
    l->next = b->flying;
    if (b->flying)
        b->flying->prev = l;
    b->flying = l;
    return true;
}

/* Whether a frame that is not full may leave. The store syncs each batch of frames, which writes
 * some 60 KB however little is in it: so they come apart, unless most who are connected wait for
 * this one and few are left that could join it. Else the flush comes again when it is time. */
static bool is_time(struct cb_batch *b, const struct load *open) {
    int64_t wait_us = b->left_us + APART_US - cb_clock_mono_us();
    size_t clients = b->http ? cb_http_connections(b->http) : 0;
    if (wait_us <= 0 || wait_us > APART_US || open->n_tickets >= clients / FEW_PART)
        return true;
    struct timeval wait = {0, wait_us};
    return event_add(b->flush, &wait) != 0;
}

/* Sends what may leave. */
static void send_all(struct cb_batch *b) {
    while (b->closed && cb_uplink_credits(b->uplink)) {
        struct load *l = b->closed;
        struct load *next = l->next;
        if (!load_send(b, l))
            return;
        b->closed = next;
        if (!next)
            b->closed_end = &b->closed;
    }
    struct load *open = b->open;
    if (b->closed || !open || !open->n_tickets || !cb_uplink_credits(b->uplink))
        return;
    bool eager = cb_uplink_in_flight(b->uplink) < EAGER_FRAMES;
    if ((open->bytes >= FULL_ENOUGH || (eager && is_time(b, open))) && load_send(b, open))
        b->open = NULL;
}

static void flush(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    struct cb_batch *b = arg;
    b->flush_due = false;
    cb_crash_point("ingest_before_send");
    send_all(b);
}

static void load_account(struct cb_batch *b, struct load *l) {
    size_t bytes = cb_frame_builder_bytes(&l->builder->frame);
    b->held += bytes - l->bytes;
    l->bytes = bytes;
}

/* Notes that l holds some of t. False without memory: then t is failed, its events may go all the
 * same (they are counted, and sent again they are duplicates). */
static bool load_note(struct load *l, struct cb_ticket *t) {
    if (l->n_tickets && l->tickets[l->n_tickets - 1] == t)
        return true;
    if (l->n_tickets == l->cap_tickets) {
        size_t cap = l->cap_tickets ? 2 * l->cap_tickets : LOAD_TICKETS_MIN;
        struct cb_ticket **tickets = realloc(l->tickets, cap * sizeof *tickets);
        if (!tickets)
            return false;
        l->tickets = tickets;
        l->cap_tickets = cap;
    }
    l->tickets[l->n_tickets++] = t;
    t->loads++;
    return true;
}

/* One try of adding to the open load, which is closed and begun anew once when it is full. */
static int try_add(struct cb_batch *b, struct cb_ticket *t, const struct cb_envelope *envelope,
                   const struct cb_event *events, uint32_t n, const struct cb_reject *reject) {
    for (;;) {
        struct load *l = load_open(b);
        if (!l)
            return CB_ENOMEM;
        int err = envelope ? cb_frame_builder_add(&l->builder->frame, envelope, events, n)
                           : cb_frame_builder_reject(&l->builder->frame, reject);
        if (err == CB_EFULL && l->builder->frame.n_events) {
            load_close(b);
            send_all(b);
            continue;
        }
        if (err)
            return err;
        load_account(b, l);
        flush_soon(b);
        return load_note(l, t) ? 0 : CB_ENOMEM;
    }
}

void cb_batch_add(struct cb_batch *b, struct cb_ticket *t, const struct cb_envelope *envelope,
                  const struct cb_event *events, uint32_t n) {
    if (n == 0 || t->failed)
        return;
    int err = try_add(b, t, envelope, events, n, NULL);
    if ((err == CB_ETOOBIG || err == CB_EFULL) && n > 1) {
        cb_batch_add(b, t, envelope, events, n / 2);
        cb_batch_add(b, t, envelope, events + n / 2, n - n / 2);
    } else if (err) {
        t->failed = true;
    }
}

void cb_batch_reject(struct cb_batch *b, struct cb_ticket *t, const struct cb_reject *reject) {
    if (!t->failed && try_add(b, t, NULL, NULL, 0, reject))
        t->failed = true;
}

void cb_batch_fail(struct cb_ticket *t) {
    t->failed = true;
}

/* ---- acks ---- */

void cb_batch_acked(void *user, void *tag, enum cb_uplink_result result, uint64_t position) {
    (void)position;
    struct cb_batch *b = user;
    struct load *l = tag;
    if (!l)
        return;
    cb_crash_point("ingest_before_answer");
    for (size_t i = 0; i < l->n_tickets; i++) {
        if (result != CB_UPLINK_OK)
            l->tickets[i]->failed = true;
        release(b, l->tickets[i]);
    }
    int64_t now_ms = cb_clock_mono_ms();
    cb_pace_took(&b->pace, result == CB_UPLINK_OK ? l->ahead_bytes + l->bytes : 0,
                 now_ms - l->opened_ms, now_ms);
    b->held -= l->bytes;
    *(l->prev ? &l->prev->next : &b->flying) = l->next;
    if (l->next)
        l->next->prev = l->prev;
    l->next = b->idle_loads;
    b->idle_loads = l;
    if (b->closed || b->open)
        flush_soon(b);
}

/* ---- the batch ---- */

int cb_batch_create(struct event_base *base, const struct cb_batch_opts *opts,
                    struct cb_batch **out) {
    struct cb_batch *b = calloc(1, sizeof *b);
    if (!b)
        return CB_ENOMEM;
    b->opts = *opts;
    b->closed_end = &b->closed;
    cb_pace_init(&b->pace, opts->ack_timeout_ms);
    b->flush = event_new(base, -1, 0, flush, b);
    b->deadline = evtimer_new(base, deadline_passed, b);
    if (!b->flush || !b->deadline) {
        cb_batch_destroy(&b);
        return CB_ENOMEM;
    }
    *out = b;
    return 0;
}

void cb_batch_bind(struct cb_batch *batch, struct cb_uplink *uplink) {
    batch->uplink = uplink;
}

void cb_batch_serve(struct cb_batch *batch, const struct cb_http *http) {
    batch->http = http;
}

size_t cb_batch_held_bytes(const struct cb_batch *batch) {
    return batch->held;
}

static void loads_free(struct cb_batch *b, struct load *l, bool tickets) {
    while (l) {
        struct load *next = l->next;
        for (size_t i = 0; tickets && i < l->n_tickets; i++) {
            if (l->tickets[i]->req)
                cb_metric_add(CB_METRIC_INGEST_HELD, -1);
            l->tickets[i]->req = NULL; /* void with its server */
            release(b, l->tickets[i]);
        }
        load_free(l);
        l = next;
    }
}

void cb_batch_destroy(struct cb_batch **batch) {
    struct cb_batch *b = *batch;
    if (!b)
        return;
    loads_free(b, b->open, true);
    loads_free(b, b->closed, true);
    loads_free(b, b->flying, true);
    loads_free(b, b->idle_loads, false);
    while (b->idle_tickets) {
        struct cb_ticket *t = b->idle_tickets;
        b->idle_tickets = t->next;
        cb_buf_fini(&t->reply.text);
        free(t);
    }
    while (b->idle_builders) {
        struct builder *builder = b->idle_builders;
        b->idle_builders = builder->next;
        cb_frame_builder_fini(&builder->frame);
        free(builder);
    }
    if (b->flush)
        event_free(b->flush);
    if (b->deadline)
        event_free(b->deadline);
    free(b);
    *batch = NULL;
}
