/* SPDX-License-Identifier: MIT
 * rig.h: a data folder of its own for each test, with journal, views and fold but no threads; and
 * frames to feed it. */
#ifndef CB_TESTS_STORE_RIG_H
#define CB_TESTS_STORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/control.h"
#include "proto/frame.h"
#include "store/fold.h"
#include "store/folder.h"
#include "store/snapshot.h"
#include "store/upkeep.h"

enum { RIG_MAP_BYTES = 64 * 1024 * 1024 };

/* Both clocks of tests that ask for it (RIG_STOPPED_TEST): they stand at 2026-01-01, so that what
 * events are dated is as old as it looks. A test may move them on. */
static int64_t rig_us;

static inline int64_t rig_read_clock(void) {
    return rig_us;
}
static const struct cb_clock_ops rig_clock = {rig_read_clock, rig_read_clock};

struct rig {
    char dir[64];
    struct cb_journal *journal;
    struct cb_views *views;
    struct cb_overlay *overlay;
    struct cb_fold *fold;
    struct cb_reader *reader;
    struct cb_frame_builder builder;
    uint64_t sender, number;
};

static inline int rig_remove(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void rig_open(struct rig *rig) {
    assert_int_equal(cb_journal_open(rig->dir, RIG_MAP_BYTES, &rig->journal), 0);
    assert_int_equal(cb_views_open(rig->dir, RIG_MAP_BYTES, &rig->views), 0);
    assert_int_equal(cb_overlay_create(1 << 20, &rig->overlay), 0);
    assert_int_equal(cb_reader_of(rig->views, rig->journal, &rig->reader), 0);
    assert_int_equal(cb_fold_create(rig->journal, rig->views, rig->overlay, &rig->fold), 0);
}

static inline void rig_close(struct rig *rig) {
    cb_fold_destroy(&rig->fold);
    cb_reader_close(&rig->reader);
    cb_overlay_destroy(&rig->overlay);
    cb_views_close(&rig->views);
    cb_journal_close(&rig->journal);
}

/* Appends a frame's bytes as one record. */
static inline void rig_append(struct rig *rig, const struct cb_buf *frame) {
    uint64_t position;
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    assert_int_equal(
        cb_journal_append(rig->journal, (struct cb_str){frame->data, frame->len}, &position), 0);
    assert_int_equal(cb_journal_commit(rig->journal), 0);
}

static inline void rig_control(struct rig *rig, const struct cb_control *control) {
    struct cb_buf body, frame;
    cb_buf_init(&body, CB_CONTROL_MAX);
    cb_buf_init(&frame, CB_FRAME_MAX);
    assert_int_equal(cb_control_encode(control, &body), 0);
    assert_int_equal(
        cb_frame_wrap(CB_FRAME_CONTROL, 0, 1, (struct cb_str){body.data, body.len}, &frame), 0);
    rig_append(rig, &frame);
    cb_buf_fini(&frame);
    cb_buf_fini(&body);
}

static inline void rig_site(struct rig *rig, const char *name) {
    struct cb_control site = {.op = CB_CONTROL_SITE,
                              .made_ms = 1000,
                              .site = cb_str_of(name),
                              .status = CB_STATUS_ONLINE};
    rig_control(rig, &site);
}

static inline void rig_init(struct rig *rig) {
    memset(rig, 0, sizeof(*rig));
    assert_true(sodium_init() >= 0);
    snprintf(rig->dir, sizeof(rig->dir), "/tmp/chatbeacon-test-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    cb_frame_builder_init(&rig->builder);
    rig->sender = 77;
    rig_open(rig);
    rig_site(rig, "demo");
    rig_site(rig, "shop");
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
}

static inline void rig_fini(struct rig *rig) {
    rig_close(rig);
    cb_frame_builder_fini(&rig->builder);
    nftw(rig->dir, rig_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct cb_envelope rig_envelope(const char *site, uint8_t visitor, uint8_t producer,
                                              int64_t received_ms) {
    struct cb_envelope envelope = {.site = cb_str_of(site),
                                   .has_visitor = visitor != 0,
                                   .received_ms = received_ms,
                                   .device = CB_DEVICE_DESKTOP};
    memset(envelope.visitor, visitor, CB_VISITOR_BYTES);
    memset(envelope.producer, producer, CB_PRODUCER_BYTES);
    return envelope;
}

static inline struct cb_event rig_event(uint64_t seq, const char *name) {
    return (struct cb_event){
        .seq = seq, .name_code = cb_event_name_code(cb_str_of(name)), .name = cb_str_of(name)};
}

/* Adds one event to the frame under construction. */
static inline void rig_add(struct rig *rig, const char *site, uint8_t visitor, uint8_t producer,
                           int64_t received_ms, uint64_t seq, const char *name) {
    struct cb_envelope envelope = rig_envelope(site, visitor, producer, received_ms);
    struct cb_event event = rig_event(seq, name);
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
}

/* Appends the frame under construction, without folding it. */
static inline void rig_seal(struct rig *rig) {
    struct cb_buf frame;
    cb_buf_init(&frame, CB_FRAME_MAX);
    assert_int_equal(cb_frame_builder_seal(&rig->builder, rig->sender, ++rig->number, &frame), 0);
    cb_frame_builder_clear(&rig->builder);
    rig_append(rig, &frame);
    cb_buf_fini(&frame);
}

static inline void rig_fold(struct rig *rig) {
    rig_seal(rig);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
}

/* What the views on disk hold. */
static inline uint64_t rig_position(struct rig *rig) {
    struct cb_db_txn *txn;
    uint64_t position;
    assert_int_equal(cb_db_begin(cb_views_db(rig->views), false, &txn), 0);
    assert_int_equal(cb_views_position(rig->views, txn, &position), 0);
    cb_db_abort(&txn);
    return position;
}

static inline uint32_t rig_site_id(struct cb_snapshot *snapshot, const char *name) {
    struct cb_site site;
    assert_int_equal(cb_snapshot_site(snapshot, cb_str_of(name), &site), 0);
    return site.id;
}

static inline struct cb_books rig_books(struct rig *rig, const char *site) {
    struct cb_snapshot *snapshot;
    struct cb_books books;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    cb_snapshot_books(snapshot, site ? rig_site_id(snapshot, site) : CB_SITE_ID_NONE, &books);
    cb_snapshot_end(&snapshot);
    return books;
}

/* Events (and visitors) of a name ("" for all, "sessions" for sessions) in [from, to) minutes. */
static inline uint64_t rig_count(struct rig *rig, const char *site, const char *name, int64_t from,
                                 int64_t to, uint64_t *visitors) {
    struct cb_snapshot *snapshot;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    uint32_t id = rig_site_id(snapshot, site), name_id = CB_NAME_ID_ALL;
    uint64_t events = 0;
    struct cb_distinct distinct = {0, CB_KNOWN};
    int64_t bounds[] = {from, to};
    int rc = 0;
    if (strcmp(name, "sessions") == 0) {
        name_id = CB_NAME_ID_SESSIONS;
    } else if (name[0] != '\0') {
        rc = cb_snapshot_name(snapshot, id, cb_str_of(name), &name_id);
    }
    if (rc == 0) {
        assert_int_equal(cb_snapshot_series(snapshot, id, name_id, bounds, 1, &events, &distinct),
                         0);
        assert_int_equal(distinct.known, CB_KNOWN);
    }
    if (visitors) {
        *visitors = distinct.n;
    }
    cb_snapshot_end(&snapshot);
    return events;
}

/* Views made anew are the same, row by row; they are what the rig goes on with. */
static inline void rig_rebuild_is_identical(struct rig *rig) {
    char out[4096] = "";
    struct cb_opts opts = {.data = rig->dir, .to = "", .from = "", .map = RIG_MAP_BYTES};
    char *sentence = NULL;
    FILE *file = fmemopen(out, sizeof(out) - 1, "w");
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    rig_close(rig);
    assert_int_equal(cb_rebuild(&opts, file, &sentence), 0);
    fclose(file);
    assert_non_null(strstr(out, "identical: "));
    rig_open(rig);
}

/* For cmocka: a fresh folder before, nothing left behind. */
static inline int rig_setup(void **state) {
    static struct rig rig;
    rig_init(&rig);
    *state = &rig;
    return 0;
}

static inline int rig_teardown(void **state) {
    rig_fini(*state);
    return 0;
}

static inline int rig_setup_stopped(void **state) {
    rig_us = INT64_C(1767225600000000);
    cb_clock_replace(&rig_clock);
    return rig_setup(state);
}

static inline int rig_teardown_stopped(void **state) {
    rig_fini(*state);
    cb_clock_replace(NULL);
    return 0;
}

#define RIG_STOPPED_TEST(f)                                                                        \
    cmocka_unit_test_setup_teardown(f, rig_setup_stopped, rig_teardown_stopped)
#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

#endif
