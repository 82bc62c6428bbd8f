/* SPDX-License-Identifier: MIT
 * journal.c: frame → journal → frame: append and commit, by the bytes of a frame, the frames of a
 * batch, and how many visits are under way at once (their beacons come in frames of their own, so
 * what they have in common is packed only if they are near each other); and what is read back.
 * Processor time only: what the disk takes to sync is not in it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/micro/micro.h"
#include "store/db.h"
#include "store/journal.h"

#define MAP_BYTES (UINT64_C(16) << 30)

enum { EVENT_BYTES = 200, READS = 200 };

struct shape {
    unsigned visits;      /* under way at once */
    unsigned frame_bytes; /* up to about; 0: one event */
    unsigned frames;      /* of a commit */
};

struct bench {
    const struct shape *shape;
    struct cb_micro_source *visits;
    unsigned turn;
    struct cb_frame_builder builder;
    struct cb_buf frame;
    struct cb_journal *journal;
    uint64_t events, ns;
};

static const struct cb_micro_shape beacons = {"beacons", 100, 100000, 1000, 6, 1};

/* The next frame: an event of each visit in turn. */
static void make_frame(struct bench *b, uint64_t number) {
    do {
        struct cb_micro_source *visit = &b->visits[b->turn++ % b->shape->visits];
        b->events += cb_micro_source_fill(visit, &b->builder,
                                          cb_frame_builder_bytes(&b->builder) + EVENT_BYTES);
    } while (cb_frame_builder_bytes(&b->builder) + EVENT_BYTES < b->shape->frame_bytes);
    cb_buf_clear(&b->frame);
    cb_micro_must(cb_frame_builder_seal(&b->builder, 1, number, &b->frame), "a frame");
    cb_frame_builder_clear(&b->builder);
}

static void append(struct bench *b, uint64_t commits) {
    uint64_t number = 0, position;
    for (uint64_t i = 0; i < commits; i++) {
        uint64_t begin = cb_micro_cpu_ns();
        cb_micro_must(cb_journal_begin(b->journal), "a batch");
        b->ns += cb_micro_cpu_ns() - begin;
        for (unsigned k = 0; k < b->shape->frames; k++) {
            make_frame(b, ++number);
            begin = cb_micro_cpu_ns();
            cb_micro_must(cb_journal_admit(b->journal, 1, number), "a frame");
            cb_micro_must(cb_journal_append(
                              b->journal, (struct cb_str){b->frame.data, b->frame.len}, &position),
                          "a frame");
            b->ns += cb_micro_cpu_ns() - begin;
        }
        begin = cb_micro_cpu_ns();
        cb_micro_must(cb_journal_commit(b->journal), "a commit");
        b->ns += cb_micro_cpu_ns() - begin;
    }
}

static void read_back(struct bench *b) {
    struct cb_journal_reader *reader;
    struct cb_journal_record record;
    uint64_t head = cb_journal_head(b->journal), begin = cb_micro_cpu_ns(), random = 1;
    int rc;
    cb_micro_must(cb_journal_reader_open(b->journal, 1, &reader), "a reader");
    while ((rc = cb_journal_reader_next(reader, &record)) == 0) {
    }
    cb_micro_must(rc == CB_ENOENT ? 0 : rc, "a record");
    cb_journal_reader_close(&reader);
    cb_micro_row("journal", "  read in order, an event", b->events, cb_micro_cpu_ns() - begin);
    begin = cb_micro_cpu_ns();
    for (unsigned i = 0; i < READS; i++) {
        cb_micro_must(cb_journal_reader_open(b->journal, UINT64_MAX, &reader), "a reader");
        uint64_t position = 1 + cb_random_below(cb_random_next(&random), head);
        cb_micro_must(cb_journal_reader_get(reader, position, &record), "a record");
        cb_journal_reader_close(&reader);
    }
    cb_micro_row("journal", "  a frame anywhere, with what its group has before it", READS,
                 cb_micro_cpu_ns() - begin);
}

static void run(const struct shape *shape, uint64_t commits) {
    char folder[] = "/tmp/chatbeacon-micro-XXXXXX", path[64], what[128];
    static struct bench b;
    b = (struct bench){.shape = shape, .visits = calloc(shape->visits, sizeof(*b.visits))};
    cb_micro_must(b.visits && mkdtemp(folder) ? 0 : CB_ESYS, "a folder");
    cb_micro_must(cb_journal_open(folder, MAP_BYTES, &b.journal), "the journal");
    cb_micro_source_init(&b.visits[0], &beacons);
    for (unsigned i = 1; i < shape->visits; i++) {
        b.visits[i] = b.visits[0];
        b.visits[i].random = cb_random_mix(i + 1);
        b.visits[i].visit = cb_random_mix(b.visits[i].random); /* producers look random */
    }
    cb_frame_builder_init(&b.builder);
    cb_buf_init(&b.frame, CB_FRAME_MAX);
    uint64_t before = cb_journal_used_bytes(b.journal);
    append(&b, commits);
    cb_journal_close(&b.journal);
    cb_micro_must(cb_journal_open(folder, MAP_BYTES, &b.journal), "the journal"); /* it measures */
    double bytes = (double)(cb_journal_used_bytes(b.journal) - before) / (double)b.events;
    snprintf(what, sizeof what,
             "%u visits at once; commits of %u × %llu events: %.1f bytes an event", shape->visits,
             shape->frames, (unsigned long long)(b.events / (commits * shape->frames)), bytes);
    cb_micro_row("journal", what, b.events, b.ns);
    read_back(&b);
    cb_journal_close(&b.journal);
    snprintf(path, sizeof path, "%s/journal", folder);
    cb_db_remove(path);
    rmdir(folder);
    cb_frame_builder_fini(&b.builder);
    cb_buf_fini(&b.frame);
    cb_micro_source_fini(&b.visits[0]);
    free(b.visits);
}

void cb_micro_journal(bool quick) {
    static const struct {
        struct shape shape;
        unsigned commits;
    } runs[] = {{{1000, 0, 1}, 2000},
                {{1000, 0, 64}, 200},
                {{1000, 64 * 1024, 1}, 200},
                {{1000, 64 * 1024, 16}, 40},
                {{100000, 64 * 1024, 16}, 40}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        run(&runs[i].shape, quick ? runs[i].commits / 4 : runs[i].commits);
    }
}
