/* SPDX-License-Identifier: MIT
 * rebuild.c: views follow from the journal alone, so they can be made anew; and made anew they must
 * be the same, row by row. */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/log.h"
#include "store/base.h"
#include "store/eraser.h"
#include "store/fold.h"
#include "store/folder.h"
#include "store/upkeep.h"

enum { PATH_BYTES = 4096, OVERLAY_BYTES = 1024 };

/* The folders of a rebuild: the new views are made in DIR/rebuild/views. */
struct paths {
    char work[PATH_BYTES], fresh[PATH_BYTES], views[PATH_BYTES], old[PATH_BYTES];
};

static bool set_paths(struct paths *paths, const char *dir) {
    return snprintf(paths->work, PATH_BYTES, "%s/rebuild", dir) < PATH_BYTES &&
           snprintf(paths->fresh, PATH_BYTES, "%s/rebuild/views", dir) < PATH_BYTES &&
           snprintf(paths->views, PATH_BYTES, "%s/views", dir) < PATH_BYTES &&
           snprintf(paths->old, PATH_BYTES, "%s/views.old", dir) < PATH_BYTES;
}

/* Views folded up to the journal's head. */
static int folded_views(const char *dir, const struct cb_opts *opts, struct cb_journal *journal,
                        struct cb_overlay *overlay, struct cb_views **out) {
    struct cb_fold *fold = NULL;
    int rc = cb_views_open(dir, (uint64_t)opts->map, out);
    if (rc == 0) {
        rc = cb_fold_create(journal, *out, overlay, &fold);
        cb_fold_destroy(&fold);
    }
    return rc;
}

struct side {
    struct cb_db_txn *txn;
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    int rc;
};

static void side_first(struct side *side, struct cb_views *views, enum cb_table table) {
    static const char zero[1];
    side->rc = cb_db_cursor_open(side->txn, cb_views_table(views, table), &side->cursor);
    if (side->rc == 0) {
        side->rc = cb_db_seek(side->cursor, (struct cb_str){zero, 1}, &side->key, &side->value);
    }
}

/* Compares one table of both. *rows counts; *same is false at the first difference, which is
 * printed. */
static int compare_table(struct cb_views *a, struct side *left, struct cb_views *b,
                         struct side *right, enum cb_table table, FILE *out, uint64_t *rows,
                         bool *same) {
    side_first(left, a, table);
    side_first(right, b, table);
    while (left->rc == 0 && right->rc == 0 && *same) {
        *same = cb_str_eq(left->key, right->key) && cb_str_eq(left->value, right->value);
        if (*same) {
            ++*rows;
            left->rc = cb_db_next(left->cursor, &left->key, &left->value);
            right->rc = cb_db_next(right->cursor, &right->key, &right->value);
        }
    }
    int rc = left->rc == 0 || left->rc == CB_ENOENT ? right->rc : left->rc;
    rc = rc == CB_ENOENT ? 0 : rc;
    if (rc == 0 && left->rc != right->rc) {
        *same = false;
    }
    if (rc == 0 && !*same) {
        const struct side *side = left->rc == 0 ? left : right;
        char hex[2 * CB_KEY_MAX + 1];
        cb_hex_encode((const uint8_t *)side->key.p,
                      side->key.len < CB_KEY_MAX ? side->key.len : CB_KEY_MAX, hex);
        fprintf(out, "the old views differ: table %s, key %s\n", cb_views_table_name(table), hex);
    }
    cb_db_cursor_close(&left->cursor);
    cb_db_cursor_close(&right->cursor);
    return rc;
}

static int compare(struct cb_views *a, struct cb_views *b, FILE *out) {
    struct side left = {0}, right = {0};
    uint64_t rows = 0;
    bool same = true;
    int rc = cb_db_begin(cb_views_db(a), false, &left.txn);
    if (rc == 0) {
        rc = cb_db_begin(cb_views_db(b), false, &right.txn);
    }
    for (unsigned table = 0; rc == 0 && same && table < CB_TABLE_COUNT; table++) {
        rc = compare_table(a, &left, b, &right, (enum cb_table)table, out, &rows, &same);
    }
    cb_db_abort(&right.txn);
    cb_db_abort(&left.txn);
    if (rc == 0 && same) {
        fprintf(out, "identical: %" PRIu64 " rows in %d tables\n", rows, CB_TABLE_COUNT);
    }
    return rc;
}

/* An empty DIR/rebuild, with a base's views in it where the journal does not go back to its first
 * record, or not all of it is as it was folded (eraser.h). */
static int make_seed(const struct cb_opts *opts, const struct paths *paths,
                     struct cb_journal *journal, FILE *out) {
    struct cb_base base = {0};
    uint64_t first = cb_journal_first(journal);
    cb_db_remove(paths->fresh);
    if (mkdir(paths->work, 0700) != 0 && errno != EEXIST) {
        return CB_ESYS;
    }
    if (first == 1 && !cb_eraser_under_way(opts->data)) {
        return 0;
    }
    int rc = cb_base_newest(opts->data, &base);
    if (rc == CB_ENOENT || (rc == 0 && base.position + 1 < first)) {
        return CB_EGONE;
    }
    if (rc == 0) {
        rc = cb_base_copy_views(opts->data, (uint64_t)opts->map, &base, paths->work);
    }
    if (rc == 0 && out) {
        fprintf(out, "base: position %" PRIu64 ", %" PRIu64 " rows, its checksum is right\n",
                base.position, base.rows);
    }
    return rc;
}

/* Makes the new views, and compares them with the old ones where these can be read. */
static int make_and_compare(const struct cb_opts *opts, const struct paths *paths,
                            struct cb_journal *journal, FILE *out) {
    struct cb_overlay *overlay;
    struct cb_views *fresh = NULL, *old = NULL;
    int rc = cb_overlay_create(OVERLAY_BYTES, &overlay);
    if (rc != 0) {
        return rc;
    }
    rc = folded_views(paths->work, opts, journal, overlay, &fresh);
    if (rc == 0) {
        fprintf(out, "rebuilt: views hold position %" PRIu64 "\n", cb_journal_head(journal));
        int old_rc = folded_views(opts->data, opts, journal, overlay, &old);
        if (old_rc == 0) {
            rc = compare(old, fresh, out);
        } else {
            fprintf(out, "the old views cannot be read: %s\n", cb_err_text(old_rc));
        }
    }
    cb_views_close(&old);
    cb_views_close(&fresh);
    cb_overlay_destroy(&overlay);
    return rc;
}

/* Puts the new views, or none, in the place of the old ones. Cut short in between, a start finds no
 * views and makes them anew: nothing is lost but time. */
static int swap(const struct paths *paths, const char *data_dir) {
    cb_db_remove(paths->old);
    if ((rename(paths->views, paths->old) != 0 && errno != ENOENT) ||
        (rename(paths->fresh, paths->views) != 0 && errno != ENOENT)) {
        return CB_ESYS;
    }
    int rc = cb_folder_sync(data_dir);
    cb_db_remove(paths->old);
    rmdir(paths->work);
    return rc;
}

int cb_rebuild(const struct cb_opts *opts, FILE *out, char **sentence) {
    struct paths paths;
    int lock_fd;
    if (!set_paths(&paths, opts->data)) {
        return cb_upkeep_fail(CB_EINVAL, sentence, "--data: the path is too long");
    }
    int rc = cb_folder_open(opts->data, &lock_fd, sentence);
    if (rc != 0) {
        return rc;
    }
    struct cb_journal *journal = NULL;
    rc = cb_journal_open(opts->data, (uint64_t)opts->map, &journal);
    if (rc == 0) {
        rc = make_seed(opts, &paths, journal, out);
    }
    if (rc == 0) {
        rc = make_and_compare(opts, &paths, journal, out);
    }
    if (rc == 0) {
        rc = swap(&paths, opts->data);
    }
    cb_journal_close(&journal);
    close(lock_fd);
    return rc == 0 ? 0
                   : cb_upkeep_fail(rc, sentence, "cannot rebuild the views in %s: %s", opts->data,
                                    cb_err_text(rc));
}

/* Whether records from behind that position on may differ from what other views were folded from.
 */
static bool was_rewritten(const struct cb_opts *opts, uint64_t position) {
    struct cb_base base;
    return cb_eraser_under_way(opts->data) && cb_base_newest(opts->data, &base) == 0 &&
           position < base.position;
}

/* Whether nothing can be folded on to the views that are there. */
static int views_end_early(const struct cb_opts *opts, struct cb_journal *journal, bool *early) {
    struct cb_views *views;
    uint64_t position = 0;
    int rc = cb_views_open_read_only(opts->data, (uint64_t)opts->map, &views);
    if (rc == 0) {
        struct cb_db_txn *txn;
        rc = cb_db_begin(cb_views_db(views), false, &txn);
        if (rc == 0) {
            rc = cb_views_position(views, txn, &position);
            cb_db_abort(&txn);
        }
        cb_views_close(&views);
    }
    *early = rc == CB_ESTALE || position + 1 < cb_journal_first(journal) ||
             was_rewritten(opts, position);
    /* Not there, or made and then cut short before its first commit: a start makes them. */
    return rc == CB_ESTALE || rc == CB_ENOENT ? 0 : rc;
}

int cb_views_renew(const struct cb_opts *opts, struct cb_journal *journal, char **sentence) {
    struct paths paths;
    bool early;
    if (!set_paths(&paths, opts->data)) {
        return cb_upkeep_fail(CB_EINVAL, sentence, "--data: the path is too long");
    }
    int rc = views_end_early(opts, journal, &early);
    if (rc != 0 || !early) {
        return rc;
    }
    rc = make_seed(opts, &paths, journal, NULL);
    if (rc == CB_EGONE || rc == CB_ESTALE) {
        return cb_upkeep_fail(CB_ECORRUPT, sentence,
                              "--data: the journal in %s was trimmed, and no base of this version "
                              "covers what is gone: restore a backup",
                              opts->data);
    }
    if (rc == 0) {
        cb_log(CB_LOG_INFO, "views_renewed", "journal_first=%" PRIu64, cb_journal_first(journal));
        rc = swap(&paths, opts->data);
    }
    return rc;
}
