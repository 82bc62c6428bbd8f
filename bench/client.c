/* SPDX-License-Identifier: MIT */
#include "bench/client.h"

#include <stdlib.h>
#include <sys/prctl.h>

#include "bench/conn.h"
#include "bench/schedule.h"
#include "proto/clock.h"

enum {
    CONNECT_WAIT_MS = 20000, /* until all are open at first */
    CONNECT_BURST = 256,     /* that are being opened at a time: a listener's backlog is finite */
    TICK_MS = 250,
    GAP_US = 50, /* the timer is not set shorter */
    BEGIN_MS = 20,
    GRACE_MS = 10000,  /* for the answers that are due at the end */
    SETTLE_MS = 60000, /* for what is sent again after it */
    SETTLE_PAUSE_MS = 100,
};

enum phase { CONNECTING, RUNNING, ENDING, SETTLING };

struct lane {
    struct cb_schedule schedule; /* rate 0: closed loop */
    struct cb_conn *conns;
    unsigned n_conns;
    struct cb_conn *idle, **idle_end; /* the one that was idle longest goes first */
    struct cb_plan_item *retry;       /* a ring: not acked, to be sent again */
    size_t retry_first, retry_n, retry_cap;
};

struct cb_client_state {
    struct cb_client *client;
    struct cb_conn_pool pool;
    struct event *due, *tick;
    enum phase phase;
    struct lane lanes[CB_LANES];
    struct cb_conn *closed; /* to be opened */
    unsigned opening, open, n_conns, busy;
    int64_t start_us, end_us, deadline_us, pause_us;
    char *request;
};

static void count(_Atomic uint64_t *counter, uint64_t n) {
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static struct cb_client_state *state_of(const struct cb_conn *conn) {
    return conn->pool->user;
}

/* ---- what must be sent again ---- */

static bool retry_grow(struct lane *lane) {
    size_t cap = lane->retry_cap ? 2 * lane->retry_cap : 1024;
    struct cb_plan_item *grown = malloc(cap * sizeof *grown);
    if (!grown)
        return false;
    for (size_t i = 0; i < lane->retry_n; i++)
        grown[i] = lane->retry[(lane->retry_first + i) % lane->retry_cap];
    free(lane->retry);
    lane->retry = grown;
    lane->retry_first = 0;
    lane->retry_cap = cap;
    return true;
}

static void retry_put(struct cb_client *client, struct lane *lane,
                      const struct cb_plan_item *item) {
    if (item->n == 0)
        return; /* nothing that counts */
    if (lane->retry_n == CB_CLIENT_RETRY_MAX ||
        (lane->retry_n == lane->retry_cap && !retry_grow(lane))) {
        client->unacked++;
        return;
    }
    lane->retry[(lane->retry_first + lane->retry_n++) % lane->retry_cap] = *item;
}

static bool retry_take(struct lane *lane, struct cb_plan_item *out) {
    if (lane->retry_n == 0)
        return false;
    *out = lane->retry[lane->retry_first];
    lane->retry_first = (lane->retry_first + 1) % lane->retry_cap;
    lane->retry_n--;
    return true;
}

/* ---- sending ---- */

static void idle_put(struct lane *lane, struct cb_conn *conn) {
    conn->next = NULL;
    *lane->idle_end = conn;
    lane->idle_end = &conn->next;
}

static struct cb_conn *idle_take(struct lane *lane) {
    struct cb_conn *conn = lane->idle;
    lane->idle = conn->next;
    if (!lane->idle)
        lane->idle_end = &lane->idle;
    return conn;
}

/* Sends an item on a connection that is in no list. */
static void begin(struct cb_client_state *s, struct cb_conn *conn, int64_t intended_us,
                  int64_t now_us) {
    struct cb_client_lane *result = &s->client->lanes[conn->lane];
    int64_t wall_ms = cb_clock_wall_ms();
    if (retry_take(&s->lanes[conn->lane], &conn->item))
        result->sent_again++;
    else
        cb_plan_next(s->client->opts.plan, &conn->session, wall_ms, &conn->item);
    struct cb_str request = cb_plan_render(s->client->opts.plan, &conn->item, wall_ms, s->request);
    conn->intended_us = intended_us;
    conn->sent_us = now_us;
    result->bytes_out += request.len;
    s->busy++;
    cb_conn_send(conn, request);
}

static void begin_in_run(struct cb_client_state *s, struct cb_conn *conn, int64_t intended_us,
                         int64_t now_us) {
    struct cb_client_lane *result = &s->client->lanes[conn->lane];
    result->begun++;
    cb_latency_add(&result->late, now_us - intended_us);
    begin(s, conn, intended_us, now_us);
}

/* Open loop: sends what is due, and sets the timer for what will be. */
static void pump(struct cb_client_state *s) {
    int64_t next_us = INT64_MAX, now_us = cb_clock_mono_us(), at_us;
    for (unsigned i = 0; i < CB_LANES; i++) {
        struct lane *lane = &s->lanes[i];
        if (!lane->schedule.rate || s->phase != RUNNING)
            continue;
        while (lane->idle && cb_schedule_take(&lane->schedule, now_us, &at_us))
            begin_in_run(s, idle_take(lane), at_us, now_us);
        at_us = cb_schedule_at_us(&lane->schedule, lane->schedule.next);
        if (lane->idle && !cb_schedule_ends_before(&lane->schedule, at_us) && at_us < next_us)
            next_us = at_us;
    }
    if (next_us == INT64_MAX)
        return; /* an answer, or the tick, goes on */
    now_us = cb_clock_mono_us();
    int64_t wait_us = next_us - now_us < GAP_US ? GAP_US : next_us - now_us;
    struct timeval wait = {wait_us / 1000000, wait_us % 1000000};
    event_add(s->due, &wait);
}

static void on_due(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    pump(arg);
}

/* After the end: sends what is unacked, but not while the service has just refused some. */
static void settle(struct cb_client_state *s) {
    int64_t now_us = cb_clock_mono_us();
    for (unsigned i = 0; i < CB_LANES; i++)
        while (now_us >= s->pause_us && s->lanes[i].idle && s->lanes[i].retry_n)
            begin(s, idle_take(&s->lanes[i]), now_us, now_us);
}

/* ---- opening ---- */

static void open_some(struct cb_client_state *s) {
    while (s->closed && s->opening < CONNECT_BURST) {
        struct cb_conn *conn = s->closed;
        const struct cb_client_target *target = &s->client->opts.targets[conn->lane];
        s->closed = conn->next;
        s->opening++;
        cb_conn_open(conn, (const struct sockaddr *)&target->address, target->address_len);
        if (conn->is == CB_CONN_CLOSED)
            return; /* not now (out of descriptors?): at the next tick */
    }
}

static void on_opened(struct cb_conn *conn) {
    struct cb_client_state *s = state_of(conn);
    struct lane *lane = &s->lanes[conn->lane];
    s->opening--;
    s->open++;
    if (s->phase == RUNNING && !lane->schedule.rate) {
        int64_t now_us = cb_clock_mono_us();
        begin_in_run(s, conn, now_us, now_us);
        return;
    }
    idle_put(lane, conn);
    if (s->phase == CONNECTING && s->open == s->n_conns)
        event_base_loopbreak(s->pool.base);
    if (s->phase == CONNECTING)
        open_some(s);
    else
        pump(s);
}

/* Takes a connection out of the idle ones. Rare, so the list is walked. */
static void idle_remove(struct lane *lane, const struct cb_conn *conn) {
    struct cb_conn **at = &lane->idle;
    while (*at && *at != conn)
        at = &(*at)->next;
    if (*at)
        *at = conn->next;
    for (at = &lane->idle; *at;)
        at = &(*at)->next;
    lane->idle_end = at;
}

static void on_lost(struct cb_conn *conn) {
    struct cb_client_state *s = state_of(conn);
    struct cb_client_lane *result = &s->client->lanes[conn->lane];
    if (conn->is == CB_CONN_OPENING) {
        s->opening--;
        result->connect_failed++;
    } else {
        s->open--;
    }
    if (conn->is == CB_CONN_IDLE)
        idle_remove(&s->lanes[conn->lane], conn);
    if (conn->is == CB_CONN_BUSY) {
        s->busy--;
        result->unanswered++;
        count(&s->client->live.unanswered, 1);
        retry_put(s->client, &s->lanes[conn->lane], &conn->item);
    }
    conn->is = CB_CONN_CLOSED;
    conn->next = s->closed;
    s->closed = conn;
}

/* ---- answers ---- */

static bool is_later(int status) {
    return status == 429 || status == 503 || status == 408;
}

static void acked(struct cb_client *client, struct cb_conn *conn, bool in_time) {
    struct cb_client_lane *result = &client->lanes[conn->lane];
    if (conn->item.n == 0)
        return;
    if (client->opts.settle && conn->status != 204)
        client->partly++;
    cb_plan_tally(&conn->item, client->acked);
    result->events_acked += conn->item.n;
    result->events_in_time += in_time ? conn->item.n : 0;
    count(&client->live.events, conn->item.n);
}

static void take_answer(struct cb_client_state *s, struct cb_conn *conn, int64_t now_us) {
    struct cb_client *client = s->client;
    struct cb_client_lane *result = &client->lanes[conn->lane];
    bool good = conn->status >= 200 && conn->status < 300, settling = s->phase == SETTLING;
    int64_t took_us = now_us - conn->intended_us;
    result->bytes_in += conn->bytes_in;
    if (!settling) {
        unsigned status = (unsigned)conn->status;
        result->status[status < CB_CLIENT_STATUS_MAX ? status : 0]++;
        cb_latency_add(good ? &result->accepted : &result->refused, took_us);
        result->accepted_in_time += good && now_us < s->end_us;
        if (!conn->retry_after && (conn->status == 429 || conn->status == 503))
            result->refused_without_retry_after++;
        count(good ? &client->live.accepted : &client->live.refused, 1);
    }
    if (good) {
        result->settled += settling;
        acked(client, conn, !settling && now_us < s->end_us);
    } else if (is_later(conn->status)) {
        retry_put(client, &s->lanes[conn->lane], &conn->item);
        s->pause_us = now_us + SETTLE_PAUSE_MS * 1000;
    }
}

static void on_answered(struct cb_conn *conn) {
    struct cb_client_state *s = state_of(conn);
    struct lane *lane = &s->lanes[conn->lane];
    int64_t now_us = cb_clock_mono_us();
    s->busy--;
    take_answer(s, conn, now_us);
    if (!conn->keep_alive) {
        cb_conn_close(conn);
        s->open--;
        conn->next = s->closed;
        s->closed = conn;
        return;
    }
    if (s->phase == RUNNING && !lane->schedule.rate && now_us < s->end_us) {
        begin_in_run(s, conn, now_us, now_us);
        return;
    }
    idle_put(lane, conn);
    if (s->phase == RUNNING && lane->schedule.rate)
        pump(s);
    else if (s->phase == SETTLING)
        settle(s);
}

/* ---- the course of a run ---- */

static void time_out(struct cb_client_state *s, int64_t before_us) {
    for (unsigned i = 0; i < CB_LANES; i++) {
        for (unsigned k = 0; k < s->lanes[i].n_conns; k++) {
            struct cb_conn *conn = &s->lanes[i].conns[k];
            if (conn->is != CB_CONN_BUSY || conn->sent_us >= before_us)
                continue;
            cb_conn_close(conn);
            conn->is = CB_CONN_BUSY;
            on_lost(conn);
        }
    }
}

static size_t unacked(const struct cb_client_state *s) {
    size_t n = 0;
    for (unsigned i = 0; i < CB_LANES; i++)
        n += s->lanes[i].retry_n;
    return n;
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    (void)fd, (void)what;
    struct cb_client_state *s = arg;
    int64_t now_us = cb_clock_mono_us();
    open_some(s);
    if (s->phase == CONNECTING) {
        if (now_us >= s->deadline_us)
            event_base_loopbreak(s->pool.base);
        return;
    }
    time_out(s, now_us - (int64_t)s->client->opts.timeout_s * 1000000);
    if (s->phase == RUNNING && now_us >= s->end_us) {
        s->phase = ENDING;
        s->deadline_us = now_us + GRACE_MS * 1000;
    }
    if (s->phase == ENDING && now_us >= s->deadline_us)
        time_out(s, INT64_MAX);
    if (s->phase == ENDING && s->busy == 0) {
        s->phase = SETTLING;
        s->deadline_us = now_us + (s->client->opts.settle ? SETTLE_MS * 1000 : 0);
    }
    if (s->phase == SETTLING) {
        if ((unacked(s) == 0 && s->busy == 0) || now_us >= s->deadline_us)
            event_base_loopbreak(s->pool.base);
        else
            settle(s);
    } else {
        pump(s);
    }
}

static int connect_all(struct cb_client_state *s) {
    s->phase = CONNECTING;
    s->deadline_us = cb_clock_mono_us() + CONNECT_WAIT_MS * 1000;
    open_some(s);
    if (s->open < s->n_conns)
        event_base_dispatch(s->pool.base);
    return s->open < s->n_conns ? CB_ECLOSED : 0;
}

/* All threads begin at the same moment, or none does. */
static bool start_together(struct cb_client_state *s) {
    const struct cb_client_opts *o = &s->client->opts;
    if (s->client->rc)
        atomic_store(o->start_us, -1);
    if (pthread_barrier_wait(o->ready) == PTHREAD_BARRIER_SERIAL_THREAD &&
        atomic_load(o->start_us) == 0)
        atomic_store(o->start_us, cb_clock_mono_us() + BEGIN_MS * 1000);
    pthread_barrier_wait(o->ready);
    s->start_us = atomic_load(o->start_us);
    s->end_us = s->start_us + (int64_t)o->duration_s * 1000000;
    return s->start_us > 0;
}

static void run(struct cb_client_state *s) {
    const struct cb_client_opts *o = &s->client->opts;
    s->phase = RUNNING;
    for (unsigned i = 0; i < CB_LANES; i++) {
        struct lane *lane = &s->lanes[i];
        lane->schedule = (struct cb_schedule){.start_us = s->start_us,
                                              .duration_us = (uint64_t)o->duration_s * 1000000,
                                              .rate = o->targets[i].rate,
                                              .thread = o->thread,
                                              .n_threads = o->n_threads};
        if (lane->schedule.rate)
            s->client->lanes[i].planned = cb_schedule_total(&lane->schedule);
        while (!lane->schedule.rate && lane->idle) {
            int64_t now_us = cb_clock_mono_us();
            begin_in_run(s, idle_take(lane), now_us, now_us);
        }
    }
    pump(s);
    event_base_dispatch(s->pool.base);
    s->client->unacked += unacked(s) + s->busy;
}

static int lanes_create(struct cb_client_state *s) {
    const struct cb_client_opts *o = &s->client->opts;
    for (unsigned i = 0; i < CB_LANES; i++) {
        struct lane *lane = &s->lanes[i];
        unsigned n = o->targets[i].connections;
        lane->idle_end = &lane->idle;
        lane->conns = calloc(n ? n : 1, sizeof *lane->conns);
        if (!lane->conns)
            return CB_ENOMEM;
        for (unsigned k = 0; k < n; k++) {
            struct cb_conn *conn = &lane->conns[k];
            conn->pool = &s->pool;
            conn->fd = -1;
            conn->lane = i;
            conn->number = o->targets[i].first + k;
            cb_plan_session_init(o->plan, (enum cb_plan_lane)i, conn->number, &conn->session);
            conn->next = s->closed;
            s->closed = conn;
        }
        lane->n_conns = n;
        s->n_conns += n;
    }
    return 0;
}

static int state_init(struct cb_client_state *s) {
    const struct timeval every = {0, TICK_MS * 1000};
    struct event_config *config = event_config_new();
    if (!config)
        return CB_ENOMEM;
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NOLOCK);
    cb_conn_pool_init(&s->pool, event_base_new_with_config(config));
    event_config_free(config);
    s->pool.redis = s->client->opts.redis;
    s->pool.addresses = s->client->opts.addresses;
    s->pool.opened = on_opened;
    s->pool.answered = on_answered;
    s->pool.lost = on_lost;
    s->pool.user = s;
    s->request = malloc(cb_plan_bytes_max(s->client->opts.plan));
    if (!s->pool.base || !s->request)
        return CB_ENOMEM;
    s->due = evtimer_new(s->pool.base, on_due, s);
    s->tick = event_new(s->pool.base, -1, EV_PERSIST, on_tick, s);
    if (!s->due || !s->tick || event_add(s->tick, &every))
        return CB_ENOMEM;
    return lanes_create(s);
}

static void state_fini(struct cb_client_state *s) {
    for (unsigned i = 0; i < CB_LANES; i++) {
        for (unsigned k = 0; k < s->lanes[i].n_conns; k++)
            cb_conn_close(&s->lanes[i].conns[k]);
        free(s->lanes[i].conns);
        free(s->lanes[i].retry);
    }
    if (s->due)
        event_free(s->due);
    if (s->tick)
        event_free(s->tick);
    if (s->pool.base)
        event_base_free(s->pool.base);
    free(s->request);
}

void *cb_client_run(void *arg) {
    struct cb_client *client = arg;
    struct cb_client_state *s = calloc(1, sizeof *s);
    prctl(PR_SET_TIMERSLACK, 1000UL); /* of this thread: 1 µs */
    if (s) {
        s->client = client;
        client->rc = state_init(s);
        client->rc = client->rc ? client->rc : connect_all(s);
        if (start_together(s))
            run(s);
        state_fini(s);
    } else {
        client->rc = CB_ENOMEM;
        atomic_store(client->opts.start_us, -1);
        pthread_barrier_wait(client->opts.ready);
        pthread_barrier_wait(client->opts.ready);
    }
    free(s);
    return NULL;
}

int cb_client_create(const struct cb_client_opts *opts, unsigned n_sites, struct cb_client **out) {
    struct cb_client *client = calloc(1, sizeof *client);
    if (!client)
        return CB_ENOMEM;
    client->opts = *opts;
    client->acked = calloc(n_sites, sizeof *client->acked);
    if (!client->acked) {
        free(client);
        return CB_ENOMEM;
    }
    *out = client;
    return 0;
}

void cb_client_destroy(struct cb_client **out) {
    if (!*out)
        return;
    free((*out)->acked);
    free(*out);
    *out = NULL;
}
