/* SPDX-License-Identifier: MIT
 * A journal without its beginning: what is gone is said to be gone, and what was counted stays,
 * through rebuild, verify, backup and a start without views. */
#include "tests/store/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/base.h"
#include "store/folder.h"
#include "store/keeper.h"
#include "store/rows.h"
#include "store/sweep.h"
#include "store/trim.h"
#include "store/upkeep.h"

static const int64_t t0 = INT64_C(1767225600000), day_ms = 86400000;
static int64_t fake_us; /* of both clocks */

static int64_t now_us(void) {
    return fake_us;
}

static const struct cb_clock_ops fake_clock = {now_us, now_us};

/* Of each journal that is filled: with 1 its front goes record by record. */
static uint32_t group_frames = 1;

/* n frames of one event each, every third of them a duplicate, one refused. */
static void fill(struct rig *rig, uint64_t from_seq, uint64_t n) {
    cb_journal_group_limit(rig->journal, group_frames);
    for (uint64_t seq = from_seq; seq < from_seq + n; seq++) {
        rig_add(rig, seq % 4 ? "demo" : "shop", (uint8_t)(1 + seq % 7), 1,
                t0 + (int64_t)seq * 60000, seq > 1 ? seq - seq % 3 % 2 : 1, "onClick");
        if (seq % 10 == 0) {
            struct cb_reject reject = {
                .site = CB_STR("demo"), .refusal = CB_REFUSE_BAD_TIME, .n = 2};
            assert_int_equal(cb_frame_builder_reject(&rig->builder, &reject), 0);
        }
        rig_seal(rig);
    }
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
}

/* As the journal's thread does it. */
static void trim(struct rig *rig, uint64_t before, bool *left) {
    struct cb_buf frame;
    uint64_t position;
    cb_buf_init(&frame, 4096);
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    assert_int_equal(cb_journal_trim(rig->journal, &before, 1 << 20, left), 0);
    assert_int_equal(cb_trim_encode(before, 1, &frame), 0);
    assert_int_equal(
        cb_journal_append(rig->journal, (struct cb_str){frame.data, frame.len}, &position), 0);
    assert_int_equal(cb_journal_commit(rig->journal), 0);
    cb_buf_fini(&frame);
}

static void trim_behind_base(struct rig *rig, struct cb_base *base) {
    bool left;
    assert_int_equal(cb_base_make(rig->dir, RIG_MAP_BYTES, rig->views, NULL, base), 0);
    trim(rig, base->position + 1, &left);
    assert_false(left);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
}

static int run(int (*command)(const struct cb_opts *, FILE *, char **), struct rig *rig,
               const char *to, char *out, size_t out_bytes) {
    struct cb_opts opts = {.data = rig->dir, .to = to, .from = "", .map = RIG_MAP_BYTES};
    char *sentence = NULL;
    memset(out, 0, out_bytes);
    FILE *file = fmemopen(out, out_bytes - 1, "w");
    int rc = command(&opts, file, &sentence);
    fclose(file);
    assert_int_equal(rc == 0, sentence == NULL);
    free(sentence);
    return rc;
}

static void assert_says(const char *out, const char *text) {
    if (!strstr(out, text)) {
        fail_msg("\"%s\" is not in: %s", text, out);
    }
}

static void assert_same_base(const struct cb_base *a, const struct cb_base *b) {
    assert_int_equal(a->position, b->position);
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->crc, b->crc);
}

static void remove_views(struct rig *rig) {
    char path[128];
    snprintf(path, sizeof(path), "%s/views", rig->dir);
    assert_int_equal(nftw(path, rig_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static int renew(struct rig *rig) {
    struct cb_opts opts = {.data = rig->dir, .map = RIG_MAP_BYTES};
    struct cb_journal *journal;
    char *sentence = NULL;
    assert_int_equal(cb_journal_open(rig->dir, RIG_MAP_BYTES, &journal), 0);
    int rc = cb_views_renew(&opts, journal, &sentence);
    free(sentence);
    cb_journal_close(&journal);
    return rc;
}

static void test_front_goes(void **state) {
    struct rig *rig = *state;
    struct cb_journal_reader *reader;
    struct cb_journal_record record;
    uint64_t oldest, before = 50;
    bool left;
    fill(rig, 1, 100);
    uint64_t head = cb_journal_head(rig->journal);
    assert_int_equal(cb_journal_first(rig->journal), 1);
    /* Aborted: nothing happened. */
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    assert_int_equal(cb_journal_trim(rig->journal, &before, 1 << 20, &left), 0);
    cb_journal_abort(rig->journal);
    assert_int_equal(cb_journal_first(rig->journal), 1);
    /* In steps: at least one group a step; the first has what the rig began with. */
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    assert_int_equal(cb_journal_trim(rig->journal, &before, 0, &left), 0);
    assert_true(left);
    assert_int_equal(cb_journal_commit(rig->journal), 0);
    assert_int_equal(cb_journal_first(rig->journal), 3);
    trim(rig, 50, &left);
    assert_false(left);
    assert_int_equal(cb_journal_first(rig->journal), 50);
    assert_int_equal(cb_journal_reader_open(rig->journal, 49, &reader), CB_EGONE);
    assert_int_equal(cb_journal_reader_open(rig->journal, 50, &reader), 0);
    assert_int_equal(cb_journal_reader_next(reader, &record), 0);
    assert_int_equal(record.position, 50);
    cb_journal_reader_close(&reader);
    /* The newest stays, so that the next position is known after a start. */
    trim(rig, UINT64_MAX, &left);
    assert_false(left);
    assert_int_equal(cb_journal_first(rig->journal), head + 1);
    rig_close(rig);
    rig_open(rig);
    assert_int_equal(cb_journal_head(rig->journal), head + 2);
    assert_int_equal(cb_journal_first(rig->journal), head + 1);
    assert_int_equal(cb_journal_oldest(rig->journal, &oldest), 0);
    assert_int_equal(oldest, head + 1);
}

/* Room comes back: a map that would be full four times over takes it all. */
static void test_room_comes_back(void **state) {
    struct rig *rig = *state;
    static const size_t len = 400 * 1024;
    char *bytes = malloc(len);
    assert_non_null(bytes);
    randombytes_buf(bytes, len); /* it does not pack */
    uint64_t position, most = 0;
    bool left;
    for (unsigned i = 0; i < 640; i++) { /* 250 MiB through a map of 64 */
        assert_int_equal(cb_journal_begin(rig->journal), 0);
        uint64_t head = cb_journal_head(rig->journal);
        uint64_t before = head > 20 ? head - 20 : 0;
        assert_int_equal(cb_journal_trim(rig->journal, &before, 2 * len, &left), 0);
        assert_int_equal(cb_journal_append(rig->journal, (struct cb_str){bytes, len}, &position),
                         0);
        assert_int_equal(cb_journal_commit(rig->journal), 0);
        uint64_t used = cb_journal_used_bytes(rig->journal);
        most = used > most ? used : most;
    }
    free(bytes);
    assert_true(most < RIG_MAP_BYTES / 3);
}

static void test_rebuild_from_base(void **state) {
    struct rig *rig = *state;
    char out[8192];
    struct cb_base base, newest;
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    fill(rig, 1, 60);
    trim_behind_base(rig, &base);
    assert_int_equal(base.position, 62);
    assert_int_equal(cb_journal_first(rig->journal), 62); /* the newest record was that one */
    fill(rig, 50, 60);
    struct cb_books demo = rig_books(rig, "demo"), shop = rig_books(rig, "shop");
    assert_true(demo.duplicate > 20 && demo.rejected[CB_REFUSE_BAD_TIME] > 10);
    rig_close(rig);
    assert_int_equal(run(cb_verify, rig, "", out, sizeof(out)), 0);
    assert_says(out, "base: position 62, ");
    assert_says(out, "from position 62 on");
    assert_says(out, "balanced, as the views say");
    assert_int_equal(run(cb_rebuild, rig, "", out, sizeof(out)), 0);
    assert_says(out, "base: position 62, ");
    assert_says(out, "identical: ");
    /* A base behind a base: the older one goes. */
    rig_open(rig);
    trim_behind_base(rig, &base);
    assert_true(base.position > 120);
    assert_int_equal(cb_base_newest(rig->dir, &newest), 0);
    assert_same_base(&base, &newest);
    char path[128];
    snprintf(path, sizeof(path), "%s/bases/00000000000000000062", rig->dir);
    assert_int_equal(access(path, F_OK), -1);
    fill(rig, 200, 10);
    rig_close(rig);
    assert_int_equal(run(cb_verify, rig, "", out, sizeof(out)), 0);
    assert_int_equal(run(cb_rebuild, rig, "", out, sizeof(out)), 0);
    assert_says(out, "identical: ");
    rig_open(rig);
    assert_int_equal(rig_books(rig, "shop").received, shop.received + 3);
    assert_int_equal(rig_books(rig, "demo").received, demo.received + 7 + 2);
}

/* The front goes by whole groups: what is kept of one can be read. */
static void test_front_goes_by_groups(void **state) {
    struct rig *rig = *state;
    char out[8192];
    struct cb_base base;
    struct cb_books before, after;
    uint64_t start;
    bool left;
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    group_frames = 8;
    fill(rig, 1, 60); /* groups begin at 1, 9, 17 … */
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    uint64_t gone = 8;
    assert_int_equal(cb_journal_trim(rig->journal, &gone, 1 << 20, &left), 0);
    assert_int_equal(gone, 1);
    gone = 40;
    assert_int_equal(cb_journal_trim(rig->journal, &gone, 0, &left), 0); /* a step is a group */
    assert_true(left && gone == 33);
    cb_journal_abort(rig->journal);
    assert_int_equal(cb_base_make(rig->dir, RIG_MAP_BYTES, rig->views, NULL, &base), 0);
    trim(rig, 40, &left);
    assert_false(left);
    assert_int_equal(cb_journal_first(rig->journal), 33);
    assert_int_equal(cb_journal_group_start(rig->journal, 40, &start), 0);
    assert_int_equal(start, 33);
    assert_int_equal(cb_journal_group_start(rig->journal, 32, &start), CB_ENOENT);
    fill(rig, 100, 20);
    trim_behind_base(rig, &base);
    assert_int_equal(cb_journal_group_start(rig->journal, base.position, &start), 0);
    assert_int_equal(cb_journal_first(rig->journal), start);
    assert_true(start < base.position && start > 60);
    fill(rig, 200, 10);
    before = rig_books(rig, "demo");
    rig_close(rig);
    assert_int_equal(run(cb_verify, rig, "", out, sizeof(out)), 0);
    assert_int_equal(run(cb_rebuild, rig, "", out, sizeof(out)), 0);
    assert_says(out, "identical: ");
    remove_views(rig);
    assert_int_equal(renew(rig), 0);
    rig_open(rig);
    after = rig_books(rig, "demo");
    assert_memory_equal(&after, &before, sizeof(after));
    group_frames = 1;
}

/* Views that cannot be folded on: gone, behind the journal's beginning, of an older version. */
static void test_start_without_views(void **state) {
    struct rig *rig = *state;
    struct cb_base base;
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    fill(rig, 1, 60);
    struct cb_books before = rig_books(rig, "demo");
    /* All of the journal is there: views of no or of another version are simply made anew. */
    rig_close(rig);
    remove_views(rig);
    assert_int_equal(renew(rig), 0);
    rig_open(rig);
    struct cb_key key = cb_key_meta(CB_META_VERSION);
    struct cb_row *row;
    assert_int_equal(cb_views_begin(rig->views), 0);
    assert_int_equal(cb_views_row(rig->views, CB_TABLE_META, &key, &row), 0);
    cb_be32_put(row->data, CB_VIEWS_VERSION - 1);
    cb_row_touch(row);
    assert_int_equal(cb_views_commit(rig->views, cb_journal_head(rig->journal)), 0);
    rig_close(rig);
    struct cb_views *views;
    assert_int_equal(cb_views_open(rig->dir, RIG_MAP_BYTES, &views), CB_ESTALE);
    assert_int_equal(renew(rig), 0);
    rig_open(rig);
    struct cb_books after = rig_books(rig, "demo");
    assert_memory_equal(&after, &before, sizeof(after));
    /* Trimmed: from the base. */
    trim_behind_base(rig, &base);
    fill(rig, 100, 10);
    before = rig_books(rig, "demo");
    rig_close(rig);
    remove_views(rig);
    assert_int_equal(renew(rig), 0);
    rig_open(rig);
    after = rig_books(rig, "demo");
    assert_memory_equal(&after, &before, sizeof(after));
    /* … and where that is gone too, it is said, and nothing is made up. */
    rig_close(rig);
    remove_views(rig);
    char path[128];
    snprintf(path, sizeof(path), "%s/bases", rig->dir);
    assert_int_equal(nftw(path, rig_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
    assert_int_equal(renew(rig), CB_ECORRUPT);
    snprintf(path, sizeof(path), "%s/views", rig->dir);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(cb_journal_open(rig->dir, RIG_MAP_BYTES, &rig->journal), 0);
    assert_int_equal(cb_views_open(rig->dir, RIG_MAP_BYTES, &rig->views), 0);
    assert_int_equal(cb_overlay_create(1 << 20, &rig->overlay), 0);
    assert_int_equal(cb_fold_create(rig->journal, rig->views, rig->overlay, &rig->fold), CB_EGONE);
}

static void flip(const char *path, off_t at) {
    uint8_t byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* A base that is not what it was is found out, never used. */
static void test_base_damage(void **state) {
    struct rig *rig = *state;
    char out[8192], path[192], views[192];
    struct cb_base base, again;
    assert_int_equal(cb_base_newest(rig->dir, &base), CB_ENOENT);
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    fill(rig, 1, 60);
    trim_behind_base(rig, &base);
    assert_int_equal(cb_base_check(rig->dir, RIG_MAP_BYTES, &base), 0);
    char folder[128];
    assert_int_equal(cb_base_path(rig->dir, &base, folder, sizeof(folder)), 0);
    snprintf(views, sizeof(views), "%s/views/data.mdb", folder);
    /* The visitor's bytes of a row, wherever LMDB put them. */
    static uint8_t bytes[1 << 20];
    int fd = open(views, O_RDONLY);
    ssize_t len = read(fd, bytes, sizeof(bytes));
    close(fd);
    ssize_t at = -1;
    for (ssize_t i = 0; i + 16 < len; i++) {
        if (memcmp(bytes + i, "\3\3\3\3\3\3\3\3\3\3\3\3\3\3\3\3", 16) == 0) {
            at = i;
        }
    }
    assert_true(at > 0);
    flip(views, at);
    assert_int_equal(cb_base_check(rig->dir, RIG_MAP_BYTES, &base), CB_ECORRUPT);
    rig_close(rig);
    assert_int_equal(run(cb_verify, rig, "", out, sizeof(out)), CB_ECORRUPT);
    assert_int_equal(run(cb_rebuild, rig, "", out, sizeof(out)), CB_ECORRUPT);
    remove_views(rig);
    assert_int_equal(renew(rig), CB_ECORRUPT);
    flip(views, at);
    assert_int_equal(renew(rig), 0);
    assert_int_equal(run(cb_verify, rig, "", out, sizeof(out)), 0);
    rig_open(rig);
    /* `check` is read strictly. */
    static const char *const lies[] = {
        "",
        "chatbeacon base 1\n",
        "chatbeacon base 2\nposition 62\nrows 1\ncrc32c 00000000\n",
        "chatbeacon base 1\nposition +62\nrows 1\ncrc32c 00000000\n",
        "chatbeacon base 1\nposition 63\nrows 1\ncrc32c 00000000\n",
        "chatbeacon base 1\nposition 62\nrows 1\ncrc32c 00000000\nmore",
        "chatbeacon base 1\nposition 99999999999999999999999\nrows 1\ncrc32c 00000000\n",
    };
    snprintf(path, sizeof(path), "%s/check", folder);
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        FILE *file = fopen(path, "w");
        fputs(lies[i], file);
        fclose(file);
        assert_int_equal(cb_base_newest(rig->dir, &again), CB_ECORRUPT);
    }
    /* What was cut short, and what is none, does not matter; the next one cleans up. */
    snprintf(path, sizeof(path), "%s/bases/new", rig->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/bases/new/views", rig->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/bases/notes", rig->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    fill(rig, 70, 5);
    trim_behind_base(rig, &base);
    assert_int_equal(cb_base_newest(rig->dir, &again), 0);
    assert_same_base(&base, &again);
    assert_int_equal(access(path, F_OK), 0); /* not ours */
    assert_int_equal(access(folder, F_OK), -1);
}

/* A base is not made, and none is lost, when it is to stop. */
static void test_base_stops(void **state) {
    struct rig *rig = *state;
    atomic_bool stop = true;
    struct cb_base base, again;
    fill(rig, 1, 10);
    assert_int_equal(cb_base_make(rig->dir, RIG_MAP_BYTES, rig->views, NULL, &base), 0);
    assert_int_equal(cb_base_make(rig->dir, RIG_MAP_BYTES, rig->views, NULL, &again), 0);
    assert_same_base(&base, &again); /* of the same position: the same one */
    fill(rig, 20, 10);
    assert_int_equal(cb_base_make(rig->dir, RIG_MAP_BYTES, rig->views, &stop, &again), CB_ECLOSED);
    assert_int_equal(cb_base_newest(rig->dir, &again), 0);
    assert_same_base(&base, &again);
}

static void test_backup_of_trimmed(void **state) {
    struct rig *rig = *state;
    char out[8192], copy[96];
    struct cb_base base;
    struct rig restored = {0};
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    fill(rig, 1, 60);
    trim_behind_base(rig, &base);
    fill(rig, 100, 10);
    struct cb_books books = rig_books(rig, "demo"), there;
    rig_close(rig);
    snprintf(copy, sizeof(copy), "%s/copy", rig->dir);
    assert_int_equal(run(cb_backup, rig, copy, out, sizeof(out)), 0);
    snprintf(restored.dir, sizeof(restored.dir), "%.50s/copy", rig->dir);
    assert_int_equal(run(cb_verify, &restored, "", out, sizeof(out)), 0);
    assert_says(out, "base: position 62, ");
    assert_int_equal(run(cb_rebuild, &restored, "", out, sizeof(out)), 0);
    assert_says(out, "identical: ");
    rig_open(&restored);
    there = rig_books(&restored, "demo");
    assert_memory_equal(&books, &there, sizeof(books));
    rig_close(&restored);
    rig_open(rig);
}

/* Who reads holds, and only one may change. */
static void test_hold(void **state) {
    struct rig *rig = *state;
    int reader, other, alone;
    assert_int_equal(cb_folder_hold(rig->dir, false, &reader), CB_ENOENT);
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    assert_int_equal(cb_folder_hold(rig->dir, false, &reader), 0);
    assert_int_equal(cb_folder_hold(rig->dir, false, &other), 0);
    assert_int_equal(cb_folder_hold(rig->dir, true, &alone), CB_EBUSY);
    close(reader);
    assert_int_equal(cb_folder_hold(rig->dir, true, &alone), CB_EBUSY);
    close(other);
    assert_int_equal(cb_folder_hold(rig->dir, true, &alone), 0);
    close(alone);
}

static uint64_t rows_of(struct rig *rig, enum cb_table table) {
    struct cb_db_txn *txn;
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    static const char zero[1];
    uint64_t n = 0;
    assert_int_equal(cb_db_begin(cb_views_db(rig->views), false, &txn), 0);
    assert_int_equal(cb_db_cursor_open(txn, cb_views_table(rig->views, table), &cursor), 0);
    for (int rc = cb_db_seek(cursor, (struct cb_str){zero, 1}, &key, &value); rc == 0;
         rc = cb_db_next(cursor, &key, &value)) {
        n++;
    }
    cb_db_cursor_close(&cursor);
    cb_db_abort(&txn);
    return n;
}

/* Verdicts of what is gone go at the journal's next day; those of what is kept stay. */
static void test_verdicts_go(void **state) {
    struct rig *rig = *state;
    char out[8192];
    struct cb_base base;
    rig_close(rig);
    fake_us = t0 * 1000;
    cb_clock_replace(&fake_clock);
    rig_open(rig);
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    cb_journal_group_limit(rig->journal, 1);
    for (unsigned i = 0; i < 1200; i++) { /* more than a step deletes */
        rig_add(rig, "demo", 1, 1, t0, 1, "onClick");
        rig_seal(rig);
    }
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    assert_int_equal(rows_of(rig, CB_TABLE_VERDICTS), 1199);
    trim_behind_base(rig, &base);
    for (unsigned i = 0; i < 5; i++) {
        rig_add(rig, "demo", 1, 1, t0, 1, "onClick");
        rig_fold(rig);
    }
    assert_int_equal(rows_of(rig, CB_TABLE_VERDICTS), 1204);
    fake_us +=
        2 * day_ms * 1000; /* the journal, which runs slower towards a clock that is behind, too */
    rig_add(rig, "demo", 1, 1, t0 + day_ms, 2, "onClick");
    rig_fold(rig);
    /* The record that the base ends with is kept as the newest; its verdict with it. */
    uint64_t kept = 5 + (cb_journal_first(rig->journal) <= base.position ? 1 : 0);
    assert_in_range(rows_of(rig, CB_TABLE_VERDICTS), 5, kept);
    rig_close(rig);
    assert_int_equal(run(cb_verify, rig, "", out, sizeof(out)), 0);
    assert_int_equal(run(cb_rebuild, rig, "", out, sizeof(out)), 0);
    assert_says(out, "identical: ");
    cb_clock_replace(NULL);
    rig_open(rig);
}

/* What may go by age: whole hours of journal time, by the record's own time. */
static void test_wanted_by_age(void **state) {
    struct rig *rig = *state;
    struct cb_keep_rule rule = {.raw_ms = 2 * day_ms};
    uint64_t before;
    rig_close(rig);
    fake_us = (t0 + 10 * day_ms) * 1000;
    cb_clock_replace(&fake_clock);
    char dir[128];
    snprintf(dir, sizeof(dir), "%s", rig->dir);
    assert_int_equal(nftw(dir, rig_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    rig_open(rig);
    for (unsigned hour = 0; hour < 96; hour++) {
        rig_add(rig, "demo", 1, 1, t0, 1 + hour, "onClick");
        rig_seal(rig);
        fake_us += INT64_C(3600000000);
    }
    int64_t now_ms = fake_us / 1000;
    assert_int_equal(cb_keep_wanted(&rule, rig->journal, now_ms, &before), 0);
    assert_int_equal(before, 96 - 48 + 1);
    assert_int_equal(cb_keep_wanted(&rule, rig->journal, now_ms + 3599999, &before), 0);
    assert_int_equal(before, 96 - 48 + 1);
    assert_int_equal(cb_keep_wanted(&rule, rig->journal, now_ms + 365 * day_ms, &before), 0);
    assert_int_equal(before, 96); /* never the newest */
    rule.raw_ms = 200 * day_ms;
    assert_int_equal(cb_keep_wanted(&rule, rig->journal, now_ms, &before), 0);
    assert_int_equal(before, 1);
    cb_clock_replace(NULL);
}

static void test_wanted_by_size(void **state) {
    struct rig *rig = *state;
    uint64_t before;
    char bytes[8000];
    uint64_t position;
    cb_journal_group_limit(rig->journal, 1);
    for (unsigned i = 0; i < 200; i++) {
        randombytes_buf(bytes, sizeof(bytes));
        assert_int_equal(cb_journal_begin(rig->journal), 0);
        assert_int_equal(
            cb_journal_append(rig->journal, (struct cb_str){bytes, sizeof(bytes)}, &position), 0);
        assert_int_equal(cb_journal_commit(rig->journal), 0);
    }
    bool left;
    trim(rig, 3, &left); /* it measures */
    uint64_t used = cb_journal_used_bytes(rig->journal);
    assert_true(used > 200 * 8192);
    struct cb_keep_rule rule = {.raw_bytes = used};
    assert_int_equal(cb_keep_wanted(&rule, rig->journal, t0, &before), 0);
    assert_int_equal(before, 3); /* all may stay */
    rule.raw_bytes = used / 2;
    assert_int_equal(cb_keep_wanted(&rule, rig->journal, t0, &before), 0);
    assert_in_range(before, 100, 130); /* half, and an eighth of what may stay */
    rule.raw_bytes = 1;
    assert_int_equal(cb_keep_wanted(&rule, rig->journal, t0, &before), 0);
    assert_int_equal(before, cb_journal_head(rig->journal));
    struct cb_opts opts = {.raw_bytes = INT64_C(1) << 40, .map = 1 << 24};
    assert_int_equal(cb_keep_rule_of(&opts).raw_bytes, 3 << 22); /* before it is full */
    opts.raw_bytes = 0;
    assert_int_equal(cb_keep_rule_of(&opts).raw_bytes, 0);
}

static void test_trim_frame(void **state) {
    (void)state;
    uint64_t before;
    assert_int_equal(cb_trim_decode(CB_STR("\xcd\x01\x00"), &before), 0);
    assert_int_equal(before, 256);
    assert_int_equal(cb_trim_decode(CB_STR(""), &before), CB_EMALFORMED);
    assert_int_equal(cb_trim_decode(CB_STR("\xa1x"), &before), CB_EMALFORMED);
    assert_int_equal(cb_trim_decode(CB_STR("\x01\x01"), &before), CB_EMALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_front_goes),
        RIG_TEST(test_room_comes_back),
        RIG_TEST(test_front_goes_by_groups),
        RIG_TEST(test_rebuild_from_base),
        RIG_TEST(test_start_without_views),
        RIG_TEST(test_base_damage),
        RIG_TEST(test_base_stops),
        RIG_TEST(test_backup_of_trimmed),
        RIG_TEST(test_hold),
        RIG_TEST(test_verdicts_go),
        RIG_TEST(test_wanted_by_age),
        RIG_TEST(test_wanted_by_size),
        cmocka_unit_test(test_trim_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
