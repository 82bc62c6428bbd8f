/* SPDX-License-Identifier: MIT
 * series.c: views → reports: what ranges of events and visitors cost; and what the fold of an event
 * costs with its commits where events are spread over months, as they are in life, so that nearly
 * each of them begins rows of its own. Journal time goes with the events: what is due goes, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/micro/micro.h"
#include "proto/clock.h"
#include "proto/control.h"
#include "store/audience.h"
#include "store/fold.h"
#include "store/snapshot.h"

enum {
    SITES = 1000,
    SESSIONS = 2000, /* at a time */
    STEPS = 6,
    FRAME_EVENTS = 100,
    COMMIT_EVENTS = 5000,
    ASKS = 200,
    DAYS = 92,
    DAY = 1440, /* minutes */
};

#define MAP_BYTES (UINT64_C(32) << 30)

static const int64_t end_ms = INT64_C(1782864000000); /* 2026-07-01: where the events end */
static int64_t now_us;                                /* of both clocks */

static const char *const names[STEPS] = {"onWebChatLoaded", "page",       "onTrigger",
                                         "onClick",         "onMaximize", "onStartWriting"};

static int64_t read_clock(void) {
    return now_us;
}
static const struct cb_clock_ops clock_ops = {read_clock, read_clock};

struct session {
    unsigned site, step;
    uint8_t visitor[CB_VISITOR_BYTES], producer[CB_PRODUCER_BYTES];
};

struct bench {
    char folder[40];
    uint64_t events, visitors;
    struct cb_journal *journal;
    struct cb_views *views;
    struct cb_overlay *overlay;
    struct cb_fold *fold;
    struct cb_frame_builder *builder;
    struct cb_buf frame;
    struct cb_zipf zipf;
    uint64_t random, number;
    struct session sessions[SESSIONS];
};

static uint64_t below(struct bench *b, uint64_t n) {
    return cb_random_below(cb_random_next(&b->random), n);
}

static void append(struct bench *b) {
    uint64_t position;
    cb_micro_must(cb_journal_begin(b->journal), "the journal");
    cb_micro_must(
        cb_journal_append(b->journal, (struct cb_str){b->frame.data, b->frame.len}, &position),
        "the journal");
    cb_micro_must(cb_journal_commit(b->journal), "the journal");
}

static void make_sites(struct bench *b) {
    struct cb_buf body;
    cb_buf_init(&body, CB_CONTROL_MAX);
    for (unsigned i = 0; i < SITES; i++) {
        char name[16];
        struct cb_str site = {name, (size_t)snprintf(name, sizeof name, "s%u", i)};
        struct cb_control control = {
            .op = CB_CONTROL_SITE, .made_ms = 1000, .site = site, .status = CB_STATUS_ONLINE};
        cb_buf_clear(&body);
        cb_buf_clear(&b->frame);
        cb_micro_must(cb_control_encode(&control, &body), "a site");
        cb_micro_must(
            cb_frame_wrap(CB_FRAME_CONTROL, 0, 1, (struct cb_str){body.data, body.len}, &b->frame),
            "a site");
        append(b);
    }
    cb_buf_fini(&body);
}

/* A site has visitors as it has events: the first sites are the largest. */
static void begin_session(struct bench *b, struct session *session) {
    session->site = cb_zipf_pick(&b->zipf, cb_random_next(&b->random));
    session->step = 0;
    uint64_t before = session->site > 0 ? b->zipf.ends[session->site - 1] : 0;
    double part = (double)(b->zipf.ends[session->site] - before) / 18446744073709551616.0;
    uint64_t visitor = below(b, (uint64_t)(part * (double)b->visitors) + 1);
    for (uint64_t i = 0; i < 2; i++) {
        uint64_t mixed = cb_random_mix(visitor * 1000003 + session->site * 2 + i);
        memcpy(session->visitor + 8 * i, &mixed, 8);
    }
    uint64_t producer = cb_random_next(&b->random);
    memcpy(session->producer, &producer, 8);
}

static void add_event(struct bench *b) {
    struct session *session = &b->sessions[below(b, SESSIONS)];
    char name[16];
    struct cb_envelope envelope = {
        .site = {name, (size_t)snprintf(name, sizeof name, "s%u", session->site)},
        .has_visitor = true,
        .received_ms = now_us / 1000,
        .device = CB_DEVICE_DESKTOP};
    memcpy(envelope.visitor, session->visitor, CB_VISITOR_BYTES);
    memcpy(envelope.producer, session->producer, CB_PRODUCER_BYTES);
    struct cb_str event_name = cb_str_of(names[session->step]);
    struct cb_event event = {
        .seq = session->step + 1, .name_code = cb_event_name_code(event_name), .name = event_name};
    cb_micro_must(cb_frame_builder_add(b->builder, &envelope, &event, 1), "an event");
    if (++session->step == STEPS) {
        begin_session(b, session);
    }
}

static void add_frame(struct bench *b, uint64_t from) {
    cb_frame_builder_clear(b->builder);
    for (uint64_t i = from; i < from + FRAME_EVENTS; i++) {
        double left = 1 - (double)i / (double)b->events;
        now_us = end_ms * 1000 - (int64_t)(left * DAYS * DAY * 60e6);
        add_event(b);
    }
    cb_buf_clear(&b->frame);
    cb_micro_must(cb_frame_builder_seal(b->builder, 2, ++b->number, &b->frame), "a frame");
    append(b);
}

static void fold_all(struct bench *b) {
    uint64_t spent_ns = 0;
    for (uint64_t i = 0; i < b->events; i += FRAME_EVENTS) {
        add_frame(b, i);
        if ((i + FRAME_EVENTS) % COMMIT_EVENTS != 0) {
            continue;
        }
        uint64_t begin = cb_micro_cpu_ns();
        cb_micro_must(cb_fold_catch_up(b->fold), "the fold");
        spent_ns += cb_micro_cpu_ns() - begin;
    }
    cb_micro_row("series", "1,000 sites, 92 days: fold and commits of 5,000 events", b->events,
                 spent_ns);
}

static void ask(struct bench *b, struct cb_reader *reader, const char *what, int64_t from,
                int64_t to, int64_t step) {
    size_t n = (size_t)((to - from) / step);
    int64_t *bounds = calloc(n + 1, sizeof *bounds);
    uint64_t *events = calloc(n, sizeof *events), spent_ns = 0;
    struct cb_distinct *visitors = calloc(n, sizeof *visitors);
    cb_micro_must(bounds && events && visitors ? 0 : CB_ENOMEM, "memory");
    for (size_t i = 0; i <= n; i++) {
        bounds[i] = from + (int64_t)i * step;
    }
    for (unsigned largest = 0; largest < 2; largest++) {
        spent_ns = 0;
        for (unsigned i = 0; i < ASKS; i++) {
            struct cb_snapshot *snapshot;
            uint32_t site = largest ? 1 : (uint32_t)below(b, SITES) + 1;
            uint64_t begin = cb_micro_cpu_ns();
            cb_micro_must(cb_snapshot_begin(reader, &snapshot), "a snapshot");
            cb_micro_must(
                cb_snapshot_series(snapshot, site, CB_NAME_ID_ALL, bounds, n, events, visitors),
                "a series");
            cb_snapshot_end(&snapshot);
            spent_ns += cb_micro_cpu_ns() - begin;
        }
        char row[96];
        snprintf(row, sizeof row, "%s: %s", largest ? "largest site" : "any site", what);
        cb_micro_row("series", row, ASKS, spent_ns);
    }
    free(visitors);
    free(events);
    free(bounds);
}

static void ask_all(struct bench *b) {
    struct cb_reader *reader;
    const int64_t end = end_ms / 60000, ahead = 330; /* a zone 5:30 ahead of the site's */
    cb_micro_must(cb_reader_of(b->views, b->journal, &reader), "a reader");
    ask(b, reader, "90 days", end - 90 * DAY, end, 90 * DAY);
    ask(b, reader, "90 days by day", end - 90 * DAY, end, DAY);
    ask(b, reader, "30 days of another zone", end - 30 * DAY - ahead, end - ahead, 30 * DAY);
    ask(b, reader, "30 days of another zone by day", end - 30 * DAY - ahead, end - ahead, DAY);
    ask(b, reader, "7 days by hour", end - 7 * DAY, end, 60);
    ask(b, reader, "30 days by hour", end - 30 * DAY, end, 60);
    ask(b, reader, "48 hours by minute", end - 2 * DAY, end, 1);
    cb_reader_close(&reader);
}

/* ---- one site of a million visitors ---- */

enum {
    LARGE_DAYS = 90,
    LARGE_CHUNKS = 1000000 >> CB_ORDINAL_SET_BITS,
    COHORTS = 30,
};

/* A bitmap with a quarter of its bits, as FORMAT.md has it. */
static void put_chunk(struct bench *b, int64_t day, uint32_t name_id, uint32_t chunk) {
    struct cb_row *row;
    struct cb_key key = cb_key_unique_day(
        1, (uint32_t)((end_ms / 60000 / DAY - LARGE_DAYS + day) * 96), 96, name_id, chunk);
    cb_micro_must(cb_views_row(b->views, CB_TABLE_UNIQUE_DAYS, &key, &row), "a row");
    cb_micro_must(cb_row_resize(b->views, row, CB_ORDINAL_SET_BYTES), "a row");
    for (size_t i = 0; i < CB_ORDINAL_SET_BYTES; i += 8) {
        uint64_t bits = cb_random_next(&b->random) & cb_random_next(&b->random);
        memcpy(row->data + i, &bits, sizeof bits);
    }
}

/* Of each day a quarter of all visitors, and as newcomers those of one stretch of ordinals. */
static void make_large(struct bench *b) {
    for (int64_t day = 0; day < LARGE_DAYS; day++) {
        cb_micro_must(cb_views_begin(b->views), "the views");
        for (uint32_t chunk = 0; chunk < LARGE_CHUNKS; chunk++) {
            put_chunk(b, day, CB_NAME_ID_ALL, chunk);
            if (chunk * LARGE_DAYS / LARGE_CHUNKS == day) {
                put_chunk(b, day, CB_NAME_ID_NEWCOMERS, chunk);
            }
        }
        cb_micro_must(cb_views_commit(b->views, 1), "the views");
    }
}

static void ask_large(struct bench *b) {
    static uint64_t sizes[COHORTS], returned[COHORTS * COHORTS];
    const int64_t end = end_ms / 60000;
    int64_t bounds[COHORTS + 1];
    uint64_t spent_ns[2] = {0};
    struct cb_reader *reader;
    cb_micro_must(cb_reader_of(b->views, b->journal, &reader), "a reader");
    for (int i = 0; i <= COHORTS; i++) {
        bounds[i] = end - (COHORTS - i) * DAY;
    }
    for (unsigned i = 0; i < ASKS; i++) {
        struct cb_snapshot *snapshot;
        struct cb_audience audience;
        struct cb_distinct visitors;
        bool exact;
        cb_micro_must(cb_snapshot_begin(reader, &snapshot), "a snapshot");
        uint64_t begin = cb_micro_cpu_ns();
        cb_micro_must(cb_audience_open(snapshot, 1, CB_NAME_ID_ALL, &audience), "visitors");
        cb_micro_must(cb_audience_count(&audience, end - LARGE_DAYS * DAY, end, &visitors),
                      "visitors");
        cb_audience_close(&audience);
        spent_ns[0] += cb_micro_cpu_ns() - begin;
        begin = cb_micro_cpu_ns();
        cb_micro_must(cb_snapshot_retention(snapshot, 1, bounds, COHORTS, sizes, returned, &exact),
                      "retention");
        spent_ns[1] += cb_micro_cpu_ns() - begin;
        cb_snapshot_end(&snapshot);
    }
    cb_micro_row("series", "1 M visitors of a site: 90 days of 250,000", ASKS, spent_ns[0]);
    cb_micro_row("series", "1 M visitors of a site: retention, 30 cohorts by day", ASKS,
                 spent_ns[1]);
    cb_reader_close(&reader);
}

static void remove_folder(const char *folder) {
    char path[64];
    snprintf(path, sizeof path, "%s/views", folder);
    cb_db_remove(path);
    snprintf(path, sizeof path, "%s/journal", folder);
    cb_db_remove(path);
    rmdir(folder);
}

void cb_micro_series(bool quick) {
    struct bench *b = calloc(1, sizeof *b);
    cb_micro_must(b && (b->builder = malloc(sizeof *b->builder)) ? 0 : CB_ENOMEM, "memory");
    b->events = quick ? 200 * 1000 : 2 * 1000 * 1000;
    b->visitors = b->events / 10;
    b->random = 1;
    snprintf(b->folder, sizeof b->folder, "/tmp/chatbeacon-micro-XXXXXX");
    cb_micro_must(mkdtemp(b->folder) ? 0 : CB_ESYS, "a folder");
    now_us = end_ms * 1000 - INT64_C(1000000) * 60 * DAY * DAYS;
    cb_clock_replace(&clock_ops);
    cb_frame_builder_init(b->builder);
    cb_buf_init(&b->frame, CB_FRAME_MAX);
    cb_micro_must(cb_zipf_init(&b->zipf, SITES), "sites");
    cb_micro_must(cb_journal_open(b->folder, MAP_BYTES, &b->journal), "the journal");
    cb_micro_must(cb_views_open(b->folder, MAP_BYTES, &b->views), "the views");
    cb_micro_must(cb_overlay_create(1 << 20, &b->overlay), "the overlay");
    cb_micro_must(cb_fold_create(b->journal, b->views, b->overlay, &b->fold), "the fold");
    make_sites(b);
    for (unsigned i = 0; i < SESSIONS; i++) {
        begin_session(b, &b->sessions[i]);
    }
    fold_all(b);
    ask_all(b);
    make_large(b);
    ask_large(b);
    cb_fold_destroy(&b->fold);
    cb_overlay_destroy(&b->overlay);
    cb_views_close(&b->views);
    cb_journal_close(&b->journal);
    cb_clock_replace(NULL);
    remove_folder(b->folder);
    cb_zipf_fini(&b->zipf);
    cb_frame_builder_fini(b->builder);
    free(b->builder);
    cb_buf_fini(&b->frame);
    free(b);
}
