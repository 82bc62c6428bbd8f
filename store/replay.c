/* SPDX-License-Identifier: MIT */
#include "store/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/clock.h"
#include "store/eraser.h"
#include "store/folder.h"
#include "store/rows.h"
#include "store/snapshot.h"
#include "store/upkeep.h"

enum {
    PATH_BYTES = 4096,
    LINE_BYTES = 160,
    LIST_BYTES_MAX = 64 * 1024 * 1024,
    OVERLAY_BYTES = 1024,
    TURNS_MAX = 1000000,
};

/* ---- the list ---- */

static int list_path(const char *data_dir, char path[PATH_BYTES]) {
    return snprintf(path, PATH_BYTES, "%s/erasures", data_dir) < PATH_BYTES ? 0 : CB_EINVAL;
}

/* A whole list, NUL-terminated; empty where there is none. */
static int read_list(const char *path, struct cb_buf *out) {
    FILE *file = fopen(path, "re");
    char piece[4096];
    size_t n;
    int rc = 0;
    if (!file && errno != ENOENT) {
        return CB_ESYS;
    }
    while (file && rc == 0 && (n = fread(piece, 1, sizeof(piece), file)) > 0) {
        rc = cb_buf_append(out, piece, n);
    }
    if (file) {
        rc = rc == 0 && ferror(file) ? CB_EIO : rc;
        fclose(file);
    }
    return rc == 0 ? cb_buf_append(out, "", 1) : rc;
}

static int append_line(const char *data_dir, const char *path, const char *line) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    size_t len = strlen(line);
    if (fd < 0) {
        return CB_ESYS;
    }
    bool written = write(fd, line, len) == (ssize_t)len && fsync(fd) == 0;
    close(fd);
    return written ? cb_folder_sync(data_dir) : CB_EIO;
}

static int add_line(const char *data_dir, const char *line) {
    char path[PATH_BYTES];
    struct cb_buf list;
    int rc = list_path(data_dir, path);
    cb_buf_init(&list, LIST_BYTES_MAX);
    rc = rc == 0 ? read_list(path, &list) : rc;
    if (rc == 0 && !strstr(list.data, line)) {
        rc = append_line(data_dir, path, line);
    }
    cb_buf_fini(&list);
    return rc;
}

int cb_erasures_list(const char *data_dir, struct cb_str site, const struct cb_erasure *erasure) {
    char line[LINE_BYTES], tag[2 * CB_VISITOR_BYTES + 1];
    cb_hex_encode(erasure->tag, CB_VISITOR_BYTES, tag);
    snprintf(line, sizeof(line), "%.*s %s %" PRId64 "\n", (int)site.len, site.p, tag,
             erasure->at_ms);
    return add_line(data_dir, line);
}

/* ---- replaying ---- */

struct wanted {
    char site[CB_SITE_MAX + 1];
    uint8_t tag[CB_VISITOR_BYTES];
    int64_t at_ms;
};

struct replay {
    const struct cb_opts *opts;
    struct cb_journal *journal;
    struct cb_views *views;
    struct cb_overlay *overlay;
    struct cb_fold *fold;
    struct cb_reader *reader;
    struct wanted *wanted; /* by site and tag */
    size_t n_wanted;
    struct cb_control *found; /* site points into wanted */
    size_t n_found;
    struct cb_str site; /* at hand */
    uint32_t site_id;
    struct cb_snapshot *snapshot;
    int rc;
};

static int compare_wanted(const void *a, const void *b) {
    const struct wanted *left = a, *right = b;
    int order = strcmp(left->site, right->site);
    return order != 0 ? order : memcmp(left->tag, right->tag, CB_VISITOR_BYTES);
}

/* One line of the list; the newline is cut off. */
static int take_line(struct replay *replay, char *line) {
    char *space = strchr(line, ' ');
    size_t site_len = space ? (size_t)(space - line) : 0;
    struct wanted *all = realloc(replay->wanted, (replay->n_wanted + 1) * sizeof(*all));
    if (!all) {
        return CB_ENOMEM;
    }
    replay->wanted = all;
    struct wanted *wanted = &all[replay->n_wanted];
    *wanted = (struct wanted){.at_ms = 0};
    if (!space || !cb_site_name_valid((struct cb_str){line, site_len}) ||
        strlen(space + 1) < 2 * CB_VISITOR_BYTES ||
        cb_hex_decode((struct cb_str){space + 1, 2 * CB_VISITOR_BYTES}, wanted->tag,
                      CB_VISITOR_BYTES) != 0) {
        return CB_EMALFORMED;
    }
    memcpy(wanted->site, line, site_len);
    wanted->at_ms = strtoll(space + 1 + (size_t)2 * CB_VISITOR_BYTES, NULL, 10);
    replay->n_wanted++;
    return 0;
}

static int read_wanted(struct replay *replay, const char *path, char **sentence) {
    struct cb_buf list;
    int rc = access(path, R_OK) == 0 ? 0 : CB_ESYS;
    cb_buf_init(&list, LIST_BYTES_MAX);
    rc = rc == 0 ? read_list(path, &list) : rc;
    char *line = list.data;
    for (char *end; rc == 0 && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        rc = take_line(replay, line);
    }
    if (rc == 0 && *line != '\0') {
        rc = CB_EMALFORMED;
    }
    cb_buf_fini(&list);
    if (rc == 0 && replay->n_wanted > 0) {
        qsort(replay->wanted, replay->n_wanted, sizeof(*replay->wanted), compare_wanted);
    }
    return rc == 0 ? 0
                   : cb_upkeep_fail(CB_EINVAL, sentence, "--erasures: %s is not such a list: %s",
                                    path, cb_err_text(rc));
}

static bool look_at(void *user, struct cb_str key, struct cb_str value) {
    struct replay *replay = user;
    struct wanted asked = {.at_ms = 0};
    if (key.len != 4 + CB_VISITOR_BYTES || value.len != 4) {
        return true; /* a husk */
    }
    memcpy(asked.site, replay->site.p, replay->site.len);
    cb_visitor_tag((const uint8_t *)key.p + 4, asked.tag);
    const struct wanted *wanted = replay->n_wanted > 0
                                      ? bsearch(&asked, replay->wanted, replay->n_wanted,
                                                sizeof(*replay->wanted), compare_wanted)
                                      : NULL;
    if (!wanted) {
        return true;
    }
    struct cb_control *found = realloc(replay->found, (replay->n_found + 1) * sizeof(*found));
    if (!found) {
        replay->rc = CB_ENOMEM;
        return false;
    }
    replay->found = found;
    found += replay->n_found++;
    *found = (struct cb_control){
        .op = CB_CONTROL_ERASE, .made_ms = cb_clock_wall_ms(), .site = cb_str_of(wanted->site)};
    memcpy(found->visitor, key.p + 4, CB_VISITOR_BYTES);
    memcpy(found->tag, wanted->tag, CB_VISITOR_BYTES);
    randombytes_buf(found->pseudonym, CB_VISITOR_BYTES);
    return true;
}

static bool look_in(void *user, struct cb_str name, const struct cb_site *site) {
    struct replay *replay = user;
    struct cb_key prefix = cb_key_site(site->id);
    replay->site = name;
    int rc = cb_snapshot_scan(replay->snapshot, CB_TABLE_ORDINALS, &prefix, look_at, replay);
    replay->rc = replay->rc == 0 ? rc : replay->rc;
    return replay->rc == 0;
}

static int find_all(struct replay *replay) {
    int rc = cb_snapshot_begin(replay->reader, &replay->snapshot);
    if (rc == 0) {
        cb_snapshot_sites(replay->snapshot, look_in, replay);
        cb_snapshot_end(&replay->snapshot);
        rc = replay->rc;
    }
    return rc;
}

static int append_one(struct replay *replay, const struct cb_control *control) {
    struct cb_buf body, frame;
    uint64_t position;
    cb_buf_init(&body, CB_CONTROL_MAX);
    cb_buf_init(&frame, CB_CONTROL_MAX);
    int rc = cb_control_encode(control, &body);
    if (rc == 0) {
        rc = cb_frame_wrap(CB_FRAME_CONTROL, 0, cb_journal_head(replay->journal) + 1,
                           (struct cb_str){body.data, body.len}, &frame);
    }
    rc = rc == 0 ? cb_journal_begin(replay->journal) : rc;
    if (rc == 0) {
        rc = cb_journal_append(replay->journal, (struct cb_str){frame.data, frame.len}, &position);
        if (rc == 0) {
            rc = cb_journal_commit(replay->journal);
        } else {
            cb_journal_abort(replay->journal);
        }
    }
    cb_buf_fini(&frame);
    cb_buf_fini(&body);
    return rc;
}

static int erase_all(struct replay *replay) {
    struct cb_eraser eraser;
    bool more = true;
    int rc = find_all(replay);
    for (size_t i = 0; rc == 0 && i < replay->n_found; i++) {
        rc = append_one(replay, &replay->found[i]);
    }
    rc = rc == 0 ? cb_fold_catch_up(replay->fold) : rc;
    cb_eraser_init(&eraser, replay->opts->data, (uint64_t)replay->opts->map, replay->journal,
                   replay->views, NULL, NULL);
    for (unsigned i = 0; rc == 0 && more && i < TURNS_MAX; i++) {
        rc = cb_eraser_turn(&eraser, &more);
        rc = rc == 0 ? cb_fold_catch_up(replay->fold) : rc;
    }
    return rc == 0 && more ? CB_EBUSY : rc;
}

/* The views that were restored, folded up to the journal's end. */
static int open_all(struct replay *replay, char **sentence) {
    const struct cb_opts *opts = replay->opts;
    int rc = cb_journal_open(opts->data, (uint64_t)opts->map, &replay->journal);
    if (rc == 0) {
        rc = cb_views_renew(opts, replay->journal, sentence);
    }
    if (rc == 0) {
        rc = cb_views_open(opts->data, (uint64_t)opts->map, &replay->views);
    }
    if (rc == 0) {
        rc = cb_overlay_create(OVERLAY_BYTES, &replay->overlay);
    }
    if (rc == 0) {
        rc = cb_reader_of(replay->views, replay->journal, &replay->reader);
    }
    if (rc == 0) {
        rc = cb_fold_create(replay->journal, replay->views, replay->overlay, &replay->fold);
    }
    return rc;
}

static void close_all(struct replay *replay) {
    cb_fold_destroy(&replay->fold);
    cb_reader_close(&replay->reader);
    cb_overlay_destroy(&replay->overlay);
    cb_views_close(&replay->views);
    cb_journal_close(&replay->journal);
    free(replay->wanted);
    free(replay->found);
}

static int take_over(const struct replay *replay) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < replay->n_wanted; i++) {
        struct cb_erasure erasure = {.at_ms = replay->wanted[i].at_ms};
        memcpy(erasure.tag, replay->wanted[i].tag, CB_VISITOR_BYTES);
        rc = cb_erasures_list(replay->opts->data, cb_str_of(replay->wanted[i].site), &erasure);
    }
    return rc;
}

int cb_erasures_replay(const struct cb_opts *opts, FILE *out, char **sentence) {
    struct replay replay = {.opts = opts};
    int lock_fd;
    int rc = cb_folder_open(opts->data, &lock_fd, sentence);
    if (rc != 0) {
        return rc;
    }
    rc = sodium_init() >= 0 ? read_wanted(&replay, opts->erasures, sentence) : CB_ESYS;
    rc = rc == 0 ? open_all(&replay, sentence) : rc;
    rc = rc == 0 ? erase_all(&replay) : rc;
    rc = rc == 0 ? take_over(&replay) : rc;
    if (rc == 0) {
        fprintf(out, "erasures: %zu in the list, %zu were in the backup and are erased again\n",
                replay.n_wanted, replay.n_found);
    } else if (!*sentence) {
        rc = cb_upkeep_fail(rc, sentence, "cannot erase again in %s: %s", opts->data,
                            cb_err_text(rc));
    }
    close_all(&replay);
    close(lock_fd);
    return rc;
}
