/* SPDX-License-Identifier: MIT
 * eraser.c: invariant: while a record that the views were folded from may differ from what it was,
 * there is a base behind it, and `erasing` says that views are made from that. */
#include "store/eraser.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/crash.h"
#include "proto/frame_mask.h"
#include "proto/log.h"
#include "store/base.h"
#include "store/folder.h"
#include "store/replay.h"
#include "store/rows.h"
#include "store/snapshot.h"
#include "store/visitor_row.h"

enum {
    PATH_BYTES = 4096,
    DUE_MAX = 64,             /* erasures of a turn */
    BATCH_BYTES = 256 * 1024, /* of frames that are looked through in one commit */
    BODY_BYTES = 512,
};

static const char marker[] = "erasing";

/* An erasure that is due, and the records that may hold the key. */
struct due {
    char site[CB_SITE_MAX];
    size_t site_len;
    struct cb_erasure erasure;
    uint64_t *positions;
    size_t n, cap;
};

struct turn {
    struct cb_eraser *eraser;
    struct cb_snapshot *snapshot;
    struct cb_str site; /* at hand */
    uint32_t site_id;
    struct due due[DUE_MAX];
    size_t n_due;
    bool more;      /* than DUE_MAX */
    uint64_t dirty; /* the newest of all */
    struct cb_frame frame;
    int rc;
};

void cb_eraser_init(struct cb_eraser *eraser, const char *data_dir, uint64_t map_bytes,
                    struct cb_journal *journal, struct cb_views *views, struct cb_fold *fold,
                    const atomic_bool *stop) {
    *eraser = (struct cb_eraser){.data_dir = data_dir,
                                 .map_bytes = map_bytes,
                                 .journal = journal,
                                 .views = views,
                                 .fold = fold,
                                 .stop = stop,
                                 .marked_unknown = true};
}

static int marker_path(const char *data_dir, char path[PATH_BYTES]) {
    return snprintf(path, PATH_BYTES, "%s/%s", data_dir, marker) < PATH_BYTES ? 0 : CB_EINVAL;
}

bool cb_eraser_under_way(const char *data_dir) {
    char path[PATH_BYTES];
    return marker_path(data_dir, path) == 0 && access(path, F_OK) == 0;
}

static bool is_stopping(const struct cb_eraser *eraser) {
    return eraser->stop && atomic_load_explicit(eraser->stop, memory_order_relaxed);
}

/* ---- what is due ---- */

static int add_position(struct due *due, uint64_t position) {
    if (due->n == due->cap) {
        size_t cap = due->cap ? due->cap * 2 : 64;
        uint64_t *positions = realloc(due->positions, cap * sizeof(*positions));
        if (!positions) {
            return CB_ENOMEM;
        }
        due->positions = positions;
        due->cap = cap;
    }
    due->positions[due->n++] = position;
    return 0;
}

/* The records of a visitor, from the rows of the timeline. */
static int read_positions(struct turn *turn, struct due *due, uint32_t site) {
    struct cb_key key = cb_key_visitor(site, due->erasure.ordinal);
    struct cb_visitor_row visitor;
    struct cb_str row;
    int rc = cb_snapshot_row(turn->snapshot, CB_TABLE_VISITORS, &key, &row);
    rc = rc == 0 ? cb_visitor_row_decode(row, &visitor) : rc;
    if (rc != 0) {
        return rc != CB_ENOENT ? rc : CB_ECORRUPT;
    }
    const uint32_t share = due->erasure.ordinal / CB_TIMELINE_SHARED;
    const unsigned nth = due->erasure.ordinal % CB_TIMELINE_SHARED;
    for (struct cb_timeline_place at = visitor.timeline; rc == 0 && at.parts > 0;) {
        uint64_t positions[CB_TIMELINE_ROW_MAX];
        size_t n = 0;
        key = cb_key_timeline(at.day, site, share, (uint16_t)(at.parts - 1));
        rc = cb_snapshot_row(turn->snapshot, CB_TABLE_TIMELINE, &key, &row);
        if (rc == CB_ENOENT) {
            return 0; /* its records are gone, and all before them */
        }
        rc = rc == 0 ? cb_timeline_row_read(row, at, nth, positions, &n, &at) : rc;
        for (size_t i = 0; rc == 0 && i < n; i++) {
            rc = add_position(due, positions[i]);
        }
    }
    return rc;
}

static bool take_erasure(void *user, const struct cb_erasure *erasure) {
    struct turn *turn = user;
    if (erasure->swept) {
        return true;
    }
    if (turn->n_due == DUE_MAX) {
        turn->more = true;
        return false;
    }
    struct due *due = &turn->due[turn->n_due++];
    *due = (struct due){.site_len = turn->site.len, .erasure = *erasure};
    memcpy(due->site, turn->site.p, turn->site.len);
    turn->rc = read_positions(turn, due, turn->site_id);
    return turn->rc == 0;
}

static bool take_site(void *user, struct cb_str name, const struct cb_site *site) {
    struct turn *turn = user;
    turn->site = name;
    turn->site_id = site->id;
    cb_snapshot_erasures(turn->snapshot, site->id, take_erasure, turn);
    return turn->rc == 0 && !turn->more;
}

static int find_due(struct turn *turn) {
    struct cb_reader *reader;
    int rc = cb_reader_of(turn->eraser->views, turn->eraser->journal, &reader);
    if (rc != 0) {
        return rc;
    }
    rc = cb_snapshot_begin(reader, &turn->snapshot);
    if (rc == 0) {
        turn->dirty = cb_snapshot_erased_dirty(turn->snapshot);
        if (turn->dirty != turn->eraser->done) {
            cb_snapshot_sites(turn->snapshot, take_site, turn);
        }
        rc = turn->rc;
        cb_snapshot_end(&turn->snapshot);
    }
    cb_reader_close(&reader);
    return rc;
}

/* ---- rewriting ---- */

static int compare_positions(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The person at hand, and the records that may hold the key. */
struct masking {
    struct cb_mask mask;
    const struct due *due;
    struct cb_frame *frame;
    size_t bytes; /* that were looked at */
};

static int mask_frame(void *user, uint64_t position, char *frame, size_t len, bool *changed) {
    struct masking *masking = user;
    const struct due *due = masking->due;
    masking->bytes += len;
    if (!bsearch(&position, due->positions, due->n, sizeof(position), compare_positions)) {
        return 0;
    }
    return cb_frame_mask(frame, len, masking->frame, &masking->mask, changed);
}

/* Group by group; small ones together in a batch. */
static int rewrite(struct turn *turn, const struct due *due) {
    struct cb_journal *journal = turn->eraser->journal;
    struct masking masking = {
        .mask.site = {due->site, due->site_len}, .due = due, .frame = &turn->frame};
    bool open = false;
    int rc = 0;
    memcpy(masking.mask.tag, due->erasure.tag, CB_VISITOR_BYTES);
    memcpy(masking.mask.pseudonym, due->erasure.pseudonym, CB_VISITOR_BYTES);
    if (due->n > 0) {
        qsort(due->positions, due->n, sizeof(*due->positions), compare_positions);
    }
    uint64_t behind = 0;
    for (size_t i = 0; rc == 0 && i < due->n; i++) {
        if (due->positions[i] < behind) {
            continue; /* of the group before */
        }
        rc = is_stopping(turn->eraser) ? CB_ECLOSED : 0;
        if (rc == 0 && !open) {
            rc = cb_journal_begin(journal);
            open = rc == 0;
        }
        if (rc == 0) {
            rc = cb_journal_edit(journal, due->positions[i], mask_frame, &masking, &behind);
            rc = rc == CB_ENOENT ? 0 : rc; /* trimmed */
        }
        if (rc == 0 && masking.bytes >= BATCH_BYTES) {
            open = false;
            masking.bytes = 0;
            rc = cb_journal_commit(journal);
            cb_crash_point("eraser_between");
        }
    }
    if (open && rc == 0) {
        rc = cb_journal_commit(journal);
    } else if (open) {
        cb_journal_abort(journal);
    }
    return rc;
}

/* ---- a base, and the marker ---- */

static int secure_base(struct turn *turn) {
    struct cb_eraser *eraser = turn->eraser;
    struct cb_base base = {0};
    uint64_t last = 0;
    for (size_t i = 0; i < turn->n_due; i++) {
        uint64_t position = turn->due[i].erasure.position;
        last = position > last ? position : last;
    }
    int rc = cb_base_newest(eraser->data_dir, &base);
    if (rc == CB_ESYS) {
        return rc;
    }
    if (rc != 0 || base.position < last) {
        rc = cb_base_make(eraser->data_dir, eraser->map_bytes, eraser->views, eraser->stop, &base);
    }
    return rc == 0 ? cb_folder_write_file(eraser->data_dir, marker, "1\n") : rc;
}

/* A journal that goes back to its first record needs no base but while it is rewritten. */
static int unmark(struct cb_eraser *eraser) {
    char path[PATH_BYTES];
    int rc = marker_path(eraser->data_dir, path);
    if (rc == 0 && access(path, F_OK) == 0) {
        rc = unlink(path) == 0 ? cb_folder_sync(eraser->data_dir) : CB_ESYS;
        if (rc == 0 && cb_journal_first(eraser->journal) == 1) {
            rc = cb_base_drop(eraser->data_dir);
        }
    }
    return rc;
}

/* ---- the receipt ---- */

static int append_swept(struct cb_journal *journal, const struct due *due) {
    struct cb_control control = {.op = CB_CONTROL_SWEPT,
                                 .made_ms = cb_clock_wall_ms(),
                                 .site = {due->site, due->site_len},
                                 .through = due->erasure.dirty};
    struct cb_buf body, frame;
    uint64_t position;
    memcpy(control.tag, due->erasure.tag, CB_VISITOR_BYTES);
    cb_buf_init(&body, BODY_BYTES);
    cb_buf_init(&frame, 2 * BODY_BYTES);
    int rc = cb_control_encode(&control, &body);
    if (rc == 0) {
        /* Sender 0 is the store: nobody sends its frames again. */
        rc = cb_frame_wrap(CB_FRAME_CONTROL, 0, cb_journal_head(journal) + 1,
                           (struct cb_str){body.data, body.len}, &frame);
    }
    if (rc == 0) {
        rc = cb_journal_append(journal, (struct cb_str){frame.data, frame.len}, &position);
    }
    cb_buf_fini(&frame);
    cb_buf_fini(&body);
    return rc;
}

static int tell(struct turn *turn) {
    struct cb_journal *journal = turn->eraser->journal;
    int rc = cb_journal_begin(journal);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < turn->n_due; i++) {
        rc = append_swept(journal, &turn->due[i]);
    }
    if (rc != 0) {
        cb_journal_abort(journal);
        return rc;
    }
    rc = cb_journal_commit(journal);
    if (rc == 0 && turn->eraser->fold) {
        cb_fold_wake(turn->eraser->fold);
    }
    return rc;
}

/* Under the hold. */
static int sweep(struct turn *turn) {
    struct cb_eraser *eraser = turn->eraser;
    int rc = secure_base(turn);
    for (size_t i = 0; rc == 0 && i < turn->n_due; i++) {
        struct due *due = &turn->due[i];
        rc = cb_erasures_list(eraser->data_dir, (struct cb_str){due->site, due->site_len},
                              &due->erasure);
    }
    cb_crash_point("eraser_before_rewrite");
    for (size_t i = 0; rc == 0 && i < turn->n_due; i++) {
        rc = rewrite(turn, &turn->due[i]);
    }
    cb_crash_point("eraser_before_scrub");
    rc = rc == 0 ? cb_db_scrub(cb_journal_db(eraser->journal), eraser->stop) : rc;
    rc = rc == 0 ? cb_db_scrub(cb_views_db(eraser->views), eraser->stop) : rc;
    cb_crash_point("eraser_before_tell");
    rc = rc == 0 ? tell(turn) : rc;
    cb_crash_point("eraser_before_unmark");
    return rc == 0 ? unmark(eraser) : rc;
}

static int take_turn(struct turn *turn, bool *more) {
    struct cb_eraser *eraser = turn->eraser;
    int hold_fd;
    int rc = find_due(turn);
    if (rc == 0 && turn->n_due == 0 && !eraser->marked_unknown) {
        eraser->done = turn->dirty;
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    rc = cb_folder_hold(eraser->data_dir, true, &hold_fd);
    if (rc == CB_EBUSY || rc == CB_ENOENT) {
        *more = true; /* a backup is being taken; or this is no whole folder yet */
        return 0;
    }
    if (rc == 0) {
        rc = turn->n_due > 0 ? sweep(turn) : unmark(eraser);
        close(hold_fd);
    }
    eraser->marked_unknown = rc != 0;
    *more = rc == CB_EAGAIN || turn->more;
    for (size_t i = 0; rc == 0 && i < turn->n_due; i++) {
        cb_log(CB_LOG_INFO, "erased", "position=%" PRIu64 " records=%zu",
               turn->due[i].erasure.position, turn->due[i].n);
    }
    return rc == CB_EAGAIN ? 0 : rc;
}

int cb_eraser_turn(struct cb_eraser *eraser, bool *more) {
    *more = false;
    struct turn *turn = calloc(1, sizeof(*turn)); /* large: not on the stack */
    if (!turn) {
        return CB_ENOMEM;
    }
    turn->eraser = eraser;
    int rc = take_turn(turn, more);
    for (size_t i = 0; i < turn->n_due; i++) {
        free(turn->due[i].positions);
    }
    free(turn);
    return rc;
}
