/* SPDX-License-Identifier: MIT
 * breakdown.c: views → report: what a breakdown costs by how busy its site is: 30 days, 1,000 pages
 * by Zipf's law, a visitor for each ten events. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/micro/micro.h"
#include "proto/control.h"
#include "store/fold.h"
#include "store/journal.h"
#include "store/reader.h"
#include "store/snapshot.h"
#include "store/sweep_tails.h"

enum { FRAME_BYTES = 64 * 1024, DAYS = 30, ASKS = 200, COMMIT_BYTES = 192 * 1024 * 1024 };

#define MAP_BYTES (UINT64_C(32) << 30)
#define DAY_MS INT64_C(86400000)

struct bench {
    char folder[32];
    struct cb_views *views;
    struct cb_journal *journal;
    struct cb_reader *reader;
    uint64_t position;
};

static void record(struct bench *b, const struct cb_buf *frame, int64_t journal_ms) {
    struct cb_journal_record record = {
        .position = ++b->position, .journal_ms = journal_ms, .frame = {frame->data, frame->len}};
    uint64_t n = 0;
    cb_micro_must(cb_fold_record(b->views, &record, &n), "a record");
}

static void make_site(struct bench *b, const char *name) {
    struct cb_control control = {
        .op = CB_CONTROL_SITE, .made_ms = 1, .site = cb_str_of(name), .status = CB_STATUS_ONLINE};
    struct cb_buf body, frame;
    cb_buf_init(&body, CB_FRAME_MAX);
    cb_buf_init(&frame, CB_FRAME_MAX);
    cb_micro_must(cb_control_encode(&control, &body), "a site");
    cb_micro_must(
        cb_frame_wrap(CB_FRAME_CONTROL, 1, 1, (struct cb_str){body.data, body.len}, &frame),
        "a site");
    record(b, &frame, 1);
    cb_buf_fini(&body);
    cb_buf_fini(&frame);
}

/* As the fold does when the journal's day changes. */
static void settle(struct bench *b, int64_t now_ms) {
    bool done = false;
    while (!done) {
        cb_micro_must(cb_views_begin(b->views), "the views");
        cb_micro_must(cb_sweep_tails(b->views, (uint32_t)(now_ms / DAY_MS), UINT32_MAX, &done),
                      "past days");
        cb_micro_must(cb_views_commit(b->views, b->position), "a commit");
    }
}

/* Events of 30 days, committed as the fold would. */
static void fill(struct bench *b, struct cb_micro_source *source, uint64_t events) {
    struct cb_frame_builder *builder = malloc(sizeof *builder);
    struct cb_buf frame;
    const int64_t begin_ms = source->now_ms;
    cb_micro_must(builder ? 0 : CB_ENOMEM, "a frame");
    cb_frame_builder_init(builder);
    cb_buf_init(&frame, CB_FRAME_MAX);
    for (uint64_t n = 0; n < events;) {
        const int64_t day = source->now_ms / DAY_MS;
        cb_micro_must(cb_views_begin(b->views), "the views");
        if (n == 0) {
            make_site(b, "s0");
        }
        while (n < events && source->now_ms / DAY_MS == day &&
               cb_views_batch_bytes(b->views) < COMMIT_BYTES) {
            n += cb_micro_source_fill(source, builder, FRAME_BYTES);
            source->now_ms = begin_ms + (int64_t)((double)n / (double)events * DAYS * DAY_MS);
            cb_buf_clear(&frame);
            cb_micro_must(cb_frame_builder_seal(builder, 2, b->position + 1, &frame), "a frame");
            cb_frame_builder_clear(builder);
            record(b, &frame, source->now_ms);
        }
        cb_micro_must(cb_views_commit(b->views, b->position), "a commit");
        settle(b, source->now_ms);
    }
    cb_frame_builder_fini(builder);
    free(builder);
    cb_buf_fini(&frame);
}

static void ask(struct bench *b, const char *shape, const char *what, enum cb_dim dim,
                const char *event, unsigned days, size_t limit) {
    uint64_t begin = 0;
    for (unsigned i = 0; i <= ASKS; i++) {
        struct cb_snapshot *snapshot;
        struct cb_site site;
        struct cb_site_days range;
        struct cb_breakdown breakdown;
        uint32_t name_id = CB_NAME_ID_ALL;
        if (i == 1) { /* the first one warms up */
            begin = cb_micro_cpu_ns();
        }
        cb_micro_must(cb_snapshot_begin(b->reader, &snapshot), "a snapshot");
        cb_micro_must(cb_snapshot_site(snapshot, CB_STR("s0"), &site), "the site");
        cb_micro_must(cb_snapshot_days(snapshot, site.id, site.last_minute - days * 1440 + 1,
                                       site.last_minute + 1, &range),
                      "its days");
        if (event) {
            cb_micro_must(cb_snapshot_name(snapshot, site.id, cb_str_of(event), &name_id),
                          "a name");
        }
        cb_micro_must(
            cb_snapshot_breakdown(snapshot, site.id, dim, name_id, &range, limit, &breakdown),
            "a breakdown");
        free(breakdown.rows);
        cb_snapshot_end(&snapshot);
    }
    char text[96];
    snprintf(text, sizeof text, "%s: %s", shape, what);
    cb_micro_row("report", text, ASKS, cb_micro_cpu_ns() - begin);
}

static void run(uint64_t events) {
    char name[32];
    snprintf(name, sizeof name, "%llu events", (unsigned long long)events);
    struct cb_micro_shape shape = {name, 1, (unsigned)(events / 10), 1000, 6, 1};
    struct bench b = {.folder = "/tmp/chatbeacon-micro-XXXXXX"};
    struct cb_micro_source source;
    cb_micro_must(mkdtemp(b.folder) ? 0 : CB_ESYS, "a folder");
    cb_micro_must(cb_views_open(b.folder, MAP_BYTES, &b.views), "the views");
    cb_micro_must(cb_journal_open(b.folder, MAP_BYTES, &b.journal), "the journal");
    cb_micro_must(cb_reader_of(b.views, b.journal, &b.reader), "a reader");
    cb_micro_source_init(&source, &shape);
    fill(&b, &source, events);
    ask(&b, name, "50 pages of 30 days", CB_DIM_PAGE, NULL, DAYS, 50);
    ask(&b, name, "1,000 pages of 30 days", CB_DIM_PAGE, NULL, DAYS, 1000);
    ask(&b, name, "50 pages of 30 days, onClick", CB_DIM_PAGE, "onClick", DAYS, 50);
    ask(&b, name, "50 pages of 1 day", CB_DIM_PAGE, NULL, 1, 50);
    ask(&b, name, "devices of 30 days", CB_DIM_DEVICE, NULL, DAYS, 10);
    cb_reader_close(&b.reader);
    cb_journal_close(&b.journal);
    cb_views_close(&b.views);
    const char *const parts[] = {"views", "journal"};
    for (size_t i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", b.folder, parts[i]);
        cb_db_remove(path);
    }
    rmdir(b.folder);
    cb_micro_source_fini(&source);
}

void cb_micro_breakdown(bool quick) {
    run(10000);
    run(100000);
    if (!quick) {
        run(450000);
    }
}
