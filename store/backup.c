/* SPDX-License-Identifier: MIT
 * backup.c: a copy of the data while the store goes on, and the way back. The file `format` is
 * written last: a folder without one is no backup. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base.h"
#include "store/eraser.h"
#include "store/folder.h"
#include "store/replay.h"
#include "store/snapshot.h"
#include "store/upkeep.h"

enum { PATH_BYTES = 4096 };

/* A new or empty folder, 0700. */
static int make_target(const char *folder, const char *option, char **sentence) {
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return cb_upkeep_fail(CB_ESYS, sentence, "%s: cannot make the folder %s: %s", option,
                              folder, strerror(errno));
    }
    DIR *dir = opendir(folder);
    if (!dir) {
        return cb_upkeep_fail(CB_ESYS, sentence, "%s: cannot read the folder %s: %s", option,
                              folder, strerror(errno));
    }
    bool empty = true;
    for (const struct dirent *entry; empty && (entry = readdir(dir)) != NULL;) {
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    closedir(dir);
    return empty ? 0
                 : cb_upkeep_fail(CB_EBUSY, sentence, "%s: the folder %s is not empty", option,
                                  folder);
}

static int copy_one(struct cb_db *db, const char *to, const char *name) {
    char folder[PATH_BYTES];
    if (snprintf(folder, sizeof(folder), "%s/%s", to, name) >= (int)sizeof(folder)) {
        return CB_EINVAL;
    }
    return cb_db_copy(db, folder);
}

static int copy_base(const char *from, const char *to, uint64_t map_bytes) {
    struct cb_base base;
    int rc = cb_base_newest(from, &base);
    return rc == 0 ? cb_base_copy(from, map_bytes, &base, to) : rc == CB_ENOENT ? 0 : rc;
}

/* Views first: the journal copied after them holds all that they hold, and maybe more, which the
 * next start folds. Meanwhile nothing is trimmed, so that it begins before them. */
static int copy_all(struct cb_reader *reader, const char *from, const char *to,
                    uint64_t map_bytes) {
    int hold_fd;
    int rc = cb_folder_hold(from, false, &hold_fd);
    if (rc != 0) {
        return rc;
    }
    rc = copy_one(cb_views_db(cb_reader_views(reader)), to, "views");
    if (rc == 0) {
        rc = copy_base(from, to, map_bytes);
    }
    if (rc == 0) {
        rc = copy_one(cb_journal_db(cb_reader_journal(reader)), to, "journal");
    }
    if (rc == 0 && cb_eraser_under_way(from)) {
        rc = cb_folder_write_file(to, "erasing", "1\n");
    }
    close(hold_fd);
    return rc == 0 ? cb_folder_write_format(to) : rc;
}

static int copy_data(const char *from, const char *to, const struct cb_opts *opts,
                     const char *option, char **sentence) {
    struct cb_reader *reader;
    int rc = make_target(to, option, sentence);
    if (rc == 0) {
        rc = cb_reader_open(from, (uint64_t)opts->map, 0, &reader, sentence);
    }
    if (rc != 0) {
        return rc;
    }
    rc = copy_all(reader, from, to, (uint64_t)opts->map);
    cb_reader_close(&reader);
    return rc == 0 ? 0
                   : cb_upkeep_fail(rc, sentence, "cannot copy %s to %s: %s", from, to,
                                    cb_err_text(rc));
}

int cb_backup(const struct cb_opts *opts, FILE *out, char **sentence) {
    if (opts->to[0] == '\0') {
        return cb_upkeep_fail(CB_EINVAL, sentence, "--to: a folder for the copy is needed");
    }
    int rc = copy_data(opts->data, opts->to, opts, "--to", sentence);
    if (rc == 0) {
        fprintf(out, "backup: %s is a copy of %s\n", opts->to, opts->data);
    }
    return rc;
}

int cb_restore(const struct cb_opts *opts, FILE *out, char **sentence) {
    if (opts->from[0] == '\0') {
        return cb_upkeep_fail(CB_EINVAL, sentence, "--from: the folder of a backup is needed");
    }
    int rc = cb_folder_check_format(opts->from, "--from", sentence);
    if (rc != 0) {
        return rc;
    }
    struct cb_opts backup = *opts;
    backup.data = opts->from;
    rc = cb_verify(&backup, out, sentence);
    if (rc == 0) {
        rc = copy_data(opts->from, opts->data, opts, "--data", sentence);
    }
    if (rc == 0 && opts->erasures && opts->erasures[0] != '\0') {
        rc = cb_erasures_replay(opts, out, sentence);
    }
    if (rc == 0) {
        fprintf(out, "restored: %s\n", opts->data);
    }
    return rc;
}
