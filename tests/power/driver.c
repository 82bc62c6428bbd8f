/* SPDX-License-Identifier: MIT
 * driver.c: what is recorded: a store that starts in no folder, takes a few hundred commits of
 * frames, folds in between, makes bases and trims the journal behind them, and is started again
 * four times, twice after a sudden end.
 *
 * power_driver FOLDER [early]: makes FOLDER/data. Each start is a process of its own, as LMDB wants
 * it; in every other one the fold runs beside the commits, in a thread. With `early` a batch is
 * acked before its commit: the control that the checker must catch. */
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/control.h"
#include "proto/frame.h"
#include "proto/log.h"
#include "store/base.h"
#include "store/fold.h"
#include "store/folder.h"
#include "store/journal.h"
#include "store/trim.h"
#include "tests/power/power.h"

enum {
    STARTS = 5,
    BATCHES = 60, /* of a start */
    SENDERS = 4,
    PRODUCERS = 24,
    VISITORS = 30,
    FRAMES_MAX = 5, /* of a batch */
    EVENTS_MAX = 9, /* of a frame, but for a large one now and then */
    LARGE_EVENTS = 400,
    TRIM_BATCHES = 20, /* from one base to the next */
    TRIM_BYTES = 8192, /* of records that go in one commit */
    GROUP_FRAMES_MAX = 12,
};

static const char *const sites[] = {"demo", "shop", "blog"};
static const char *const names[] = {"onClick", "onMaximize", "page", "added_to_cart", "scrolled"};

/* What clients and senders know, which outlives a store: shared by the starts. */
struct world {
    uint64_t seed;
    uint64_t next_seq[PRODUCERS];
    uint64_t next_number[SENDERS];
};

struct driver {
    struct world *world;
    bool early;
    char dir[256];
    struct cb_journal *journal;
    struct cb_views *views;
    struct cb_overlay *overlay;
    struct cb_fold *fold;
    struct cb_frame_builder builder;
    /* the frames of the batch at hand */
    struct cb_buf frames[FRAMES_MAX];
    uint64_t positions[FRAMES_MAX];
    size_t n_frames;
    /* the fold's thread */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool threaded, woken, stopping;
};

static void must(int rc, const char *what) {
    if (rc != 0) {
        fprintf(stderr, "driver: %s: %s\n", what, cb_err_text(rc));
        _exit(1);
    }
}

static uint64_t draw(struct driver *driver, uint64_t below) {
    return power_random(&driver->world->seed) % below;
}

static void note(struct driver *driver, enum power_kind kind, uint64_t position, struct cb_str s) {
    (void)driver;
    cb_power_note(kind, position, s.p, s.len);
}

static void ack(struct driver *driver, uint64_t position) {
    note(driver, POWER_ACK, position, (struct cb_str){NULL, 0});
}

/* ---- batches ---- */

/* Commits what was appended, and acks it. */
static void commit(struct driver *driver) {
    uint64_t last = 0;
    for (size_t i = 0; i < driver->n_frames; i++) {
        struct cb_buf *frame = &driver->frames[i];
        last = driver->positions[i];
        note(driver, POWER_FRAME, last, (struct cb_str){frame->data, frame->len});
        cb_buf_clear(frame);
    }
    if (driver->early && last > 0) {
        ack(driver, last);
    }
    must(cb_journal_commit(driver->journal), "commit");
    if (!driver->early && last > 0) {
        ack(driver, last);
    }
    if (last > 0) {
        int64_t ms;
        must(cb_journal_time_at(driver->journal, last, &ms), "time");
        note(driver, POWER_TIME, last, (struct cb_str){(const char *)&ms, sizeof(ms)});
    }
    driver->n_frames = 0;
}

static struct cb_buf *next_frame(struct driver *driver) {
    struct cb_buf *frame = &driver->frames[driver->n_frames];
    cb_buf_clear(frame);
    return frame;
}

static void append(struct driver *driver) {
    struct cb_buf *frame = &driver->frames[driver->n_frames];
    must(cb_journal_append(driver->journal, (struct cb_str){frame->data, frame->len},
                           &driver->positions[driver->n_frames]),
         "append");
    driver->n_frames++;
}

static void append_control(struct driver *driver, const struct cb_control *control) {
    struct cb_buf body;
    cb_buf_init(&body, 4096);
    must(cb_control_encode(control, &body), "control");
    must(cb_frame_wrap(CB_FRAME_CONTROL, 0, cb_journal_head(driver->journal) + 1,
                       (struct cb_str){body.data, body.len}, next_frame(driver)),
         "wrap");
    cb_buf_fini(&body);
    append(driver);
}

static void add_event(struct driver *driver, const char *site, uint64_t producer, uint64_t seq) {
    static char notes[3001];
    struct cb_envelope envelope = {.site = cb_str_of(site),
                                   .has_visitor = draw(driver, 10) != 0,
                                   .received_ms =
                                       POWER_T0_MS + (int64_t)draw(driver, 3 * 60 * 60 * 1000),
                                   .device = CB_DEVICE_DESKTOP};
    memset(envelope.visitor, (int)(1 + draw(driver, VISITORS)), CB_VISITOR_BYTES);
    memset(envelope.producer, (int)(1 + producer), CB_PRODUCER_BYTES);
    struct cb_event event = {.seq = seq, .age_ms = (int64_t)draw(driver, 5000)};
    event.name = cb_str_of(names[draw(driver, sizeof(names) / sizeof(names[0]))]);
    if (draw(driver, 8) == 0) {
        memset(notes, (int)('a' + draw(driver, 26)), sizeof(notes) - 1);
        event.name = CB_STR("set");
        event.key = draw(driver, 4) == 0 ? CB_STR("notes") : CB_STR("name");
        event.value =
            (struct cb_str){notes, cb_str_is(event.key, "notes") ? draw(driver, 3000) : 12};
    }
    event.name_code = cb_event_name_code(event.name);
    must(cb_frame_builder_add(&driver->builder, &envelope, &event, 1), "add");
}

static void add_refusal(struct driver *driver, const char *site, uint64_t producer, uint64_t seq) {
    struct cb_reject reject = {.site = cb_str_of(draw(driver, 5) == 0 ? "" : site),
                               .refusal = CB_REFUSE_BAD_EVENT,
                               .n = 1,
                               .has_seq = draw(driver, 2) == 0 && seq > 0,
                               .seq = seq};
    memset(reject.producer, (int)(1 + producer), CB_PRODUCER_BYTES);
    must(cb_frame_builder_reject(&driver->builder, &reject), "reject");
}

/* A frame of a random sender with fresh events, some that were sent before, gaps and refusals; or,
 * now and then, a frame that was sent before. */
static void frame(struct driver *driver) {
    uint64_t *seqs = driver->world->next_seq;
    uint64_t sender = draw(driver, SENDERS), number = driver->world->next_number[sender] + 1;
    if (number > 1 && draw(driver, 12) == 0) {
        int rc = cb_journal_admit(driver->journal, POWER_SENDER + sender, number - 1);
        must(rc == CB_EBUSY ? 0 : CB_ECORRUPT, "a frame sent again is known");
        return;
    }
    uint64_t n = draw(driver, 60) == 0 ? LARGE_EVENTS : 1 + draw(driver, EVENTS_MAX);
    for (uint64_t i = 0; i < n; i++) {
        const char *site = sites[draw(driver, 3)];
        uint64_t producer = draw(driver, PRODUCERS), kind = draw(driver, 20);
        uint64_t seq = ++seqs[producer];
        if (kind < 3 && seq > 1) {
            seqs[producer]--;
            seq = 1 + draw(driver, seq - 1); /* a client tries again */
        } else if (kind == 3) {
            seqs[producer] += 1 + draw(driver, 3); /* lost on the way */
        }
        if (kind == 4) {
            add_refusal(driver, site, producer, seq);
        } else {
            add_event(driver, site, producer, seq);
        }
    }
    must(cb_journal_admit(driver->journal, POWER_SENDER + sender, number), "admit");
    driver->world->next_number[sender] = number;
    must(cb_frame_builder_seal(&driver->builder, POWER_SENDER + sender, number, next_frame(driver)),
         "seal");
    cb_frame_builder_clear(&driver->builder);
    append(driver);
}

static void begin(struct driver *driver) {
    must(cb_journal_begin(driver->journal), "begin");
    driver->n_frames = 0;
}

static void batch(struct driver *driver) {
    struct world before = *driver->world;
    begin(driver);
    uint64_t n = 1 + draw(driver, FRAMES_MAX);
    for (uint64_t i = 0; i < n; i++) {
        frame(driver);
    }
    if (draw(driver, 25) == 0) { /* given up: its frames come again, other ones in their place */
        cb_journal_abort(driver->journal);
        uint64_t seed = driver->world->seed;
        *driver->world = before;
        driver->world->seed = seed;
        return;
    }
    commit(driver);
}

/* A base of the views as they are, and the journal's front goes up to it, a few records with each
 * batch. */
static void trim(struct driver *driver) {
    struct cb_base base;
    bool left = true;
    must(cb_base_make(driver->dir, POWER_MAP_BYTES, driver->views, NULL, &base), "base");
    while (left) {
        begin(driver);
        uint64_t gone = base.position + 1;
        must(cb_journal_trim(driver->journal, &gone, TRIM_BYTES, &left), "trim");
        frame(driver);
        if (!left) {
            must(cb_trim_encode(gone, cb_journal_head(driver->journal) + 1, next_frame(driver)),
                 "trim frame");
            append(driver);
        }
        commit(driver);
    }
}

/* ---- the fold ---- */

static void *run_fold(void *arg) {
    struct driver *driver = arg;
    bool go_on = true;
    while (go_on) {
        must(cb_fold_catch_up(driver->fold), "fold");
        pthread_mutex_lock(&driver->mutex);
        while (!driver->woken && !driver->stopping) {
            pthread_cond_wait(&driver->wake, &driver->mutex);
        }
        driver->woken = false;
        go_on = !driver->stopping;
        pthread_mutex_unlock(&driver->mutex);
    }
    return NULL;
}

static void wake_fold(struct driver *driver, bool stop) {
    pthread_mutex_lock(&driver->mutex);
    driver->woken = true;
    driver->stopping = stop;
    pthread_cond_signal(&driver->wake);
    pthread_mutex_unlock(&driver->mutex);
}

/* ---- a start ---- */

/* As store.c does it. */
static void open_store(struct driver *driver) {
    int lock_fd;
    char *sentence = NULL;
    must(cb_folder_open(driver->dir, &lock_fd, &sentence), "folder");
    must(cb_journal_open(driver->dir, POWER_MAP_BYTES, &driver->journal), "journal");
    cb_journal_group_limit(driver->journal, 1 + (uint32_t)draw(driver, GROUP_FRAMES_MAX));
    must(cb_views_open(driver->dir, POWER_MAP_BYTES, &driver->views), "views");
    must(cb_overlay_create(1 << 20, &driver->overlay), "overlay");
    must(cb_fold_create(driver->journal, driver->views, driver->overlay, &driver->fold), "fold");
    if (cb_journal_head(driver->journal) > 0) {
        return;
    }
    begin(driver);
    struct cb_control control = {
        .op = CB_CONTROL_TOKEN, .made_ms = cb_clock_wall_ms(), .role = CB_ROLE_ADMIN};
    must(cb_folder_make_token(driver->dir, control.token, &sentence), "token");
    append_control(driver, &control);
    for (size_t i = 0; i < sizeof(sites) / sizeof(sites[0]); i++) {
        control = (struct cb_control){.op = CB_CONTROL_SITE,
                                      .made_ms = cb_clock_wall_ms(),
                                      .site = cb_str_of(sites[i]),
                                      .status = CB_STATUS_ONLINE};
        append_control(driver, &control);
    }
    commit(driver);
    must(cb_fold_catch_up(driver->fold), "fold");
}

static void close_store(struct driver *driver) {
    cb_fold_destroy(&driver->fold);
    cb_overlay_destroy(&driver->overlay);
    cb_views_close(&driver->views);
    cb_journal_close(&driver->journal);
}

/* One process's life. An odd start folds in a thread; the second and fourth end with a batch open
 * and the fold behind, as a killed process does. */
static void start(struct driver *driver, int n) {
    bool sudden = n == 1 || n == 3;
    driver->threaded = n % 2 == 1;
    open_store(driver);
    if (driver->threaded) {
        must(pthread_create(&driver->thread, NULL, run_fold, driver), "thread");
    }
    for (int i = 0; i < BATCHES; i++) {
        batch(driver);
        if (i % 3 == 2 && driver->threaded) {
            wake_fold(driver, false);
        } else if (i % 3 == 2) {
            must(cb_fold_catch_up(driver->fold), "fold");
        }
        if (i % TRIM_BATCHES == TRIM_BATCHES - 1) {
            trim(driver);
        }
    }
    if (sudden) {
        struct world before = *driver->world;
        begin(driver);
        frame(driver);
        *driver->world = before;
        _exit(0);
    }
    if (driver->threaded) {
        wake_fold(driver, true);
        pthread_join(driver->thread, NULL);
    }
    must(cb_fold_catch_up(driver->fold), "fold");
    close_store(driver);
    _exit(0);
}

int main(int argc, char **argv) {
    static struct driver driver = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                                   .wake = PTHREAD_COND_INITIALIZER};
    if (argc < 2 || !cb_power_note || sodium_init() < 0) {
        fprintf(stderr, "usage: LD_PRELOAD=libpower_shim.so power_driver FOLDER [early]\n");
        return 2;
    }
    cb_log_set_level(CB_LOG_ERROR);
    snprintf(driver.dir, sizeof(driver.dir), "%s/data", argv[1]);
    driver.early = argc > 2 && strcmp(argv[2], "early") == 0;
    driver.world = power_shared(sizeof(*driver.world));
    driver.world->seed = 1;
    cb_frame_builder_init(&driver.builder);
    for (size_t i = 0; i < FRAMES_MAX; i++) {
        cb_buf_init(&driver.frames[i], CB_FRAME_MAX);
    }
    for (int n = 0; n < STARTS; n++) {
        pid_t child = fork();
        if (child == 0) {
            start(&driver, n);
        }
        int status = 1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "driver: start %d failed\n", n);
            return 1;
        }
    }
    return 0;
}
