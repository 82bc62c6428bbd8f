/* SPDX-License-Identifier: MIT
 * fold.c: journal → views: what the fold of an event costs by numbers of sites and visitors, apart
 * from the commit that writes what it changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/micro/micro.h"
#include "proto/control.h"
#include "store/fold.h"

enum { FRAME_BYTES = 64 * 1024, COMMIT_EVENTS = 200 * 1000, COMMIT_BYTES = 192 * 1024 * 1024 };

#define MAP_BYTES (UINT64_C(32) << 30)

struct bench {
    char folder[32];
    struct cb_views *views;
    uint64_t position;
    int64_t journal_ms;
    uint64_t fold_ns, commit_ns, events, open_events;
};

static void record(struct bench *b, struct cb_str frame) {
    struct cb_journal_record record = {
        .position = ++b->position, .journal_ms = b->journal_ms, .frame = frame};
    uint64_t n = 0, begin = cb_micro_cpu_ns();
    cb_micro_must(cb_fold_record(b->views, &record, &n), "a record");
    b->fold_ns += cb_micro_cpu_ns() - begin;
    b->events += n;
    b->open_events += n;
}

static void commit(struct bench *b) {
    uint64_t begin = cb_micro_cpu_ns();
    cb_micro_must(cb_views_commit(b->views, b->position), "a commit");
    b->commit_ns += cb_micro_cpu_ns() - begin;
    b->open_events = 0;
}

static void make_sites(struct bench *b, unsigned n) {
    cb_micro_must(cb_views_begin(b->views), "the views");
    for (unsigned i = 0; i < n; i++) {
        char name[16];
        struct cb_str site = {name, (size_t)snprintf(name, sizeof name, "s%u", i)};
        struct cb_control control = {.op = CB_CONTROL_SITE,
                                     .made_ms = b->journal_ms,
                                     .site = site,
                                     .status = CB_STATUS_ONLINE};
        struct cb_buf body, frame;
        cb_buf_init(&body, CB_FRAME_MAX);
        cb_buf_init(&frame, CB_FRAME_MAX);
        cb_micro_must(cb_control_encode(&control, &body), "a site");
        cb_micro_must(
            cb_frame_wrap(CB_FRAME_CONTROL, 1, i + 1, (struct cb_str){body.data, body.len}, &frame),
            "a site");
        record(b, (struct cb_str){frame.data, frame.len});
        cb_buf_fini(&body);
        cb_buf_fini(&frame);
    }
    commit(b);
    b->events = b->fold_ns = b->commit_ns = 0;
}

static void run(const struct cb_micro_shape *shape, uint64_t events) {
    struct bench b = {.folder = "/tmp/chatbeacon-micro-XXXXXX"};
    struct cb_micro_source source;
    struct cb_frame_builder *builder = malloc(sizeof *builder);
    struct cb_buf frame;
    cb_micro_must(builder && mkdtemp(b.folder) ? 0 : CB_ESYS, "a folder");
    cb_frame_builder_init(builder);
    cb_buf_init(&frame, CB_FRAME_MAX);
    cb_micro_source_init(&source, shape);
    b.journal_ms = source.now_ms;
    cb_micro_must(cb_views_open(b.folder, MAP_BYTES, &b.views), "the views");
    make_sites(&b, shape->sites);
    while (b.events < events) {
        cb_micro_must(cb_views_begin(b.views), "the views");
        while (b.open_events < COMMIT_EVENTS && cb_views_batch_bytes(b.views) < COMMIT_BYTES) {
            cb_micro_source_fill(&source, builder, FRAME_BYTES);
            cb_buf_clear(&frame);
            cb_micro_must(cb_frame_builder_seal(builder, 2, b.position + 1, &frame), "a frame");
            cb_frame_builder_clear(builder);
            b.journal_ms = source.now_ms;
            record(&b, (struct cb_str){frame.data, frame.len});
        }
        commit(&b);
    }
    char what[96];
    snprintf(what, sizeof what, "%s: fold", shape->name);
    cb_micro_row("fold", what, b.events, b.fold_ns);
    snprintf(what, sizeof what, "%s: commit", shape->name);
    cb_micro_row("fold", what, b.events, b.commit_ns);
    cb_views_close(&b.views);
    char path[64];
    snprintf(path, sizeof path, "%s/views", b.folder);
    cb_db_remove(path);
    rmdir(b.folder);
    cb_micro_source_fini(&source);
    cb_frame_builder_fini(builder);
    free(builder);
    cb_buf_fini(&frame);
}

void cb_micro_fold(bool quick) {
    static const struct cb_micro_shape shapes[] = {
        {"1 site, 10 k visitors, beacons", 1, 10000, 1000, 6, 1},
        {"100 sites, 100 k visitors, beacons", 100, 100000, 1000, 6, 1},
        {"1,000 sites, 1 M visitors, beacons", 1000, 1000000, 1000, 6, 1},
        {"100 sites, 100 k visitors, 20 events of a visitor at once", 100, 100000, 1000, 20, 20},
        {"100 sites, 100 k visitors, 1 event of a visitor at once", 100, 100000, 1000, 1, 1},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        run(&shapes[i], quick ? 400 * 1000 : 4 * 1000 * 1000);
    }
}
