/* SPDX-License-Identifier: MIT
 * base.c: invariant: a folder of bases/ that has a `check` holds exactly the rows that it says. */
#include "store/base.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/crash.h"
#include "proto/crc.h"
#include "proto/log.h"
#include "proto/metric.h"
#include "store/folder.h"

enum {
    PATH_BYTES = 4096,
    POSITION_DIGITS = 20,
    STEP_BYTES = 8 * 1024 * 1024, /* of rows that a transaction of a copy writes */
    CHECK_BYTES = 256,
};

static const char check_format[] =
    "chatbeacon base 1\nposition %" PRIu64 "\nrows %" PRIu64 "\ncrc32c %08" PRIx32 "\n";

/* What is summed up of rows, in the order of tables and keys. */
struct digest {
    uint64_t rows;
    uint32_t crc;
};

static void digest_row(struct digest *digest, enum cb_table table, struct cb_str key,
                       struct cb_str value) {
    uint8_t head[6]; /* lengths too: a byte that moves from key to value must show */
    head[0] = (uint8_t)table;
    head[1] = (uint8_t)key.len;
    cb_be32_put(head + 2, (uint32_t)value.len);
    digest->crc = cb_crc32c(digest->crc, head, sizeof(head));
    digest->crc = cb_crc32c(digest->crc, key.p, key.len);
    digest->crc = cb_crc32c(digest->crc, value.p, value.len);
    digest->rows++;
}

/* ---- where they stand ---- */

static int path_in(char *out, size_t out_bytes, const char *folder, const char *name) {
    return snprintf(out, out_bytes, "%s/%s", folder, name) < (int)out_bytes ? 0 : CB_EINVAL;
}

int cb_base_path(const char *data_dir, const struct cb_base *base, char *path, size_t path_bytes) {
    return snprintf(path, path_bytes, "%s/bases/%0*" PRIu64, data_dir, POSITION_DIGITS,
                    base->position) < (int)path_bytes
               ? 0
               : CB_EINVAL;
}

/* The position that an entry of bases/ is named after; 0 for any other entry. */
static uint64_t position_of(const char *name) {
    uint64_t position = 0;
    if (strlen(name) != POSITION_DIGITS || strspn(name, "0123456789") != POSITION_DIGITS) {
        return 0;
    }
    errno = 0;
    position = strtoull(name, NULL, 10);
    return errno == 0 ? position : 0;
}

static int read_check(const char *folder, struct cb_base *out) {
    char path[PATH_BYTES], text[CHECK_BYTES] = "", again[CHECK_BYTES];
    int rc = path_in(path, sizeof(path), folder, "check");
    if (rc != 0) {
        return rc;
    }
    FILE *file = fopen(path, "re");
    if (!file) {
        return errno == ENOENT || errno == ENOTDIR ? CB_ENOENT : CB_ESYS;
    }
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    /* Written anew it must be the same, byte for byte: no lax reading of numbers. */
    if (sscanf(text,
               "chatbeacon base 1\nposition %" SCNu64 "\nrows %" SCNu64 "\ncrc32c %" SCNx32 "\n",
               &out->position, &out->rows, &out->crc) != 3) {
        return CB_ECORRUPT;
    }
    snprintf(again, sizeof(again), check_format, out->position, out->rows, out->crc);
    return strcmp(text, again) == 0 ? 0 : CB_ECORRUPT;
}

/* Removes a base, the file that makes it one first. */
static void remove_base(const char *folder) {
    char path[PATH_BYTES];
    if (path_in(path, sizeof(path), folder, "check") == 0) {
        unlink(path);
    }
    if (path_in(path, sizeof(path), folder, "check.new") == 0) {
        unlink(path);
    }
    if (path_in(path, sizeof(path), folder, "views") == 0) {
        cb_db_remove(path);
    }
    rmdir(folder);
}

/* Calls each for every folder of bases/ that is named after a position. */
static int each_base(const char *data_dir,
                     void (*each)(void *user, const struct cb_base *named, const char *folder),
                     void *user) {
    char bases[PATH_BYTES], folder[PATH_BYTES];
    int rc = path_in(bases, sizeof(bases), data_dir, "bases");
    if (rc != 0) {
        return rc;
    }
    DIR *dir = opendir(bases);
    if (!dir) {
        return errno == ENOENT ? 0 : CB_ESYS;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct cb_base named = {.position = position_of(entry->d_name)};
        if (named.position > 0 && path_in(folder, sizeof(folder), bases, entry->d_name) == 0) {
            each(user, &named, folder);
        }
    }
    closedir(dir);
    return 0;
}

struct newest {
    struct cb_base base;
    int rc;
};

static void take_newer(void *user, const struct cb_base *named, const char *folder) {
    struct newest *newest = user;
    if (named->position <= newest->base.position) {
        return;
    }
    newest->rc = read_check(folder, &newest->base);
    if (newest->rc == CB_ENOENT || newest->base.position != named->position) {
        newest->rc = newest->rc == CB_ESYS ? CB_ESYS : CB_ECORRUPT;
    }
    newest->base.position = named->position;
}

int cb_base_newest(const char *data_dir, struct cb_base *out) {
    struct newest newest = {.rc = CB_ENOENT};
    int rc = each_base(data_dir, take_newer, &newest);
    if (rc == 0) {
        rc = newest.rc;
        *out = newest.base;
    }
    return rc;
}

static void remove_other(void *user, const struct cb_base *named, const char *folder) {
    const struct cb_base *kept = user;
    if (named->position != kept->position) {
        remove_base(folder);
    }
}

/* ---- copying ---- */

/* A copy on its way: rows are read in one transaction and written in many. */
struct copy {
    struct cb_views *from, *to;
    struct cb_db_txn *read, *write;
    const atomic_bool *stop;
    uint64_t step_bytes;
    struct digest digest;
};

static int write_row(struct copy *copy, enum cb_table table, struct cb_str key,
                     struct cb_str value) {
    unsigned handle = cb_views_table(copy->to, table);
    int rc = 0;
    if (!copy->write) {
        rc = cb_db_begin(cb_views_db(copy->to), true, &copy->write);
    }
    if (rc == 0 && table == CB_TABLE_META) {
        rc = cb_db_put(copy->write, handle, key, value); /* its version stands there already */
    } else if (rc == 0) {
        void *data;
        rc = cb_db_append(copy->write, handle, key, value.len, &data);
        if (rc == 0) {
            memcpy(data, value.p, value.len);
        }
    }
    copy->step_bytes += key.len + value.len;
    if (rc == 0 && copy->step_bytes >= STEP_BYTES) {
        copy->step_bytes = 0;
        rc = cb_db_commit(&copy->write);
    }
    return rc;
}

/* Sums up a table, and writes its rows where there is a copy to write. */
static int read_table(struct copy *copy, enum cb_table table) {
    static const char zero[1];
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    int rc = cb_db_cursor_open(copy->read, cb_views_table(copy->from, table), &cursor);
    if (rc != 0) {
        return rc;
    }
    for (rc = cb_db_seek(cursor, (struct cb_str){zero, 1}, &key, &value); rc == 0;
         rc = cb_db_next(cursor, &key, &value)) {
        digest_row(&copy->digest, table, key, value);
        rc = copy->to ? write_row(copy, table, key, value) : 0;
        if (rc == 0 && copy->stop && atomic_load_explicit(copy->stop, memory_order_relaxed)) {
            rc = CB_ECLOSED;
        }
        if (rc != 0) {
            break;
        }
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT ? 0 : rc;
}

/* Reads views whole, and writes them to others where these are given. */
static int read_views(struct cb_views *from, struct cb_views *to, const atomic_bool *stop,
                      uint64_t *position, struct digest *digest) {
    struct copy copy = {.from = from, .to = to, .stop = stop};
    int rc = cb_db_begin(cb_views_db(from), false, &copy.read);
    if (rc != 0) {
        return rc;
    }
    rc = cb_views_position(from, copy.read, position);
    for (unsigned table = 0; rc == 0 && table < CB_TABLE_COUNT; table++) {
        rc = read_table(&copy, (enum cb_table)table);
    }
    if (rc == 0 && copy.write) {
        rc = cb_db_commit(&copy.write);
    }
    cb_db_abort(&copy.write);
    cb_db_abort(&copy.read);
    *digest = copy.digest;
    return rc;
}

static int check_views(const char *dir, uint64_t map_bytes, const struct cb_base *base) {
    struct cb_views *views;
    struct digest digest;
    uint64_t position;
    int rc = cb_views_open_read_only(dir, map_bytes, &views);
    if (rc != 0) {
        return rc == CB_ENOENT ? CB_ECORRUPT : rc;
    }
    rc = read_views(views, NULL, NULL, &position, &digest);
    cb_views_close(&views);
    bool same = position == base->position && digest.rows == base->rows && digest.crc == base->crc;
    return rc == 0 && !same ? CB_ECORRUPT : rc;
}

int cb_base_check(const char *data_dir, uint64_t map_bytes, const struct cb_base *base) {
    char folder[PATH_BYTES];
    int rc = cb_base_path(data_dir, base, folder, sizeof(folder));
    return rc == 0 ? check_views(folder, map_bytes, base) : rc;
}

/* Copies views into dir/views, and reads them back from there. */
static int copy_views(struct cb_views *from, uint64_t map_bytes, const char *dir,
                      const atomic_bool *stop, struct cb_base *out) {
    struct cb_views *to;
    struct digest digest;
    int rc = cb_views_open(dir, map_bytes, &to);
    if (rc != 0) {
        return rc;
    }
    rc = read_views(from, to, stop, &out->position, &digest);
    cb_views_close(&to);
    out->rows = digest.rows;
    out->crc = digest.crc;
    return rc == 0 ? check_views(dir, map_bytes, out) : rc;
}

int cb_base_copy_views(const char *data_dir, uint64_t map_bytes, const struct cb_base *base,
                       const char *to_dir) {
    char folder[PATH_BYTES];
    struct cb_views *from;
    struct cb_base copied = {0};
    int rc = cb_base_path(data_dir, base, folder, sizeof(folder));
    if (rc == 0) {
        rc = cb_views_open_read_only(folder, map_bytes, &from);
    }
    if (rc != 0) {
        return rc == CB_ENOENT ? CB_ECORRUPT : rc;
    }
    rc = copy_views(from, map_bytes, to_dir, NULL, &copied);
    cb_views_close(&from);
    bool same =
        copied.position == base->position && copied.rows == base->rows && copied.crc == base->crc;
    return rc == 0 && !same ? CB_ECORRUPT : rc;
}

/* Makes bases/ and in it the folder `new`, empty. */
static int make_new(const char *data_dir, char *bases, char *fresh, size_t path_bytes) {
    int rc = path_in(bases, path_bytes, data_dir, "bases");
    if (rc == 0) {
        rc = path_in(fresh, path_bytes, bases, "new");
    }
    if (rc != 0) {
        return rc;
    }
    remove_base(fresh); /* what was cut short */
    if ((mkdir(bases, 0700) != 0 && errno != EEXIST) || mkdir(fresh, 0700) != 0) {
        return errno == ENOSPC || errno == EDQUOT ? CB_EFULL : CB_ESYS;
    }
    return cb_folder_sync(data_dir);
}

/* Makes `new` a base: under its name a folder is always whole. */
static int finish(const char *data_dir, const char *bases, const char *fresh,
                  const struct cb_base *base) {
    char text[CHECK_BYTES], place[PATH_BYTES];
    snprintf(text, sizeof(text), check_format, base->position, base->rows, base->crc);
    cb_crash_point("base_before_check");
    int rc = cb_base_path(data_dir, base, place, sizeof(place));
    if (rc == 0) {
        rc = cb_folder_write_file(fresh, "check", text);
    }
    if (rc == 0 && rename(fresh, place) != 0) {
        rc = CB_ESYS;
    }
    return rc == 0 ? cb_folder_sync(bases) : rc;
}

int cb_base_copy(const char *data_dir, uint64_t map_bytes, const struct cb_base *base,
                 const char *to_dir) {
    char bases[PATH_BYTES], fresh[PATH_BYTES];
    int rc = make_new(to_dir, bases, fresh, PATH_BYTES);
    if (rc == 0) {
        rc = cb_base_copy_views(data_dir, map_bytes, base, fresh);
    }
    return rc == 0 ? finish(to_dir, bases, fresh, base) : rc;
}

static int position_now(struct cb_views *views, uint64_t *position) {
    struct cb_db_txn *txn;
    int rc = cb_db_begin(cb_views_db(views), false, &txn);
    if (rc == 0) {
        rc = cb_views_position(views, txn, position);
        cb_db_abort(&txn);
    }
    return rc;
}

int cb_base_make(const char *data_dir, uint64_t map_bytes, struct cb_views *views,
                 const atomic_bool *stop, struct cb_base *out) {
    char bases[PATH_BYTES], fresh[PATH_BYTES];
    uint64_t position;
    int rc = position_now(views, &position);
    if (rc == 0 && cb_base_newest(data_dir, out) == 0 && out->position == position) {
        return 0; /* the fold has not moved since */
    }
    if (rc == 0) {
        rc = make_new(data_dir, bases, fresh, PATH_BYTES);
    }
    if (rc != 0) {
        return rc;
    }
    rc = copy_views(views, map_bytes, fresh, stop, out);
    if (rc == 0) {
        rc = finish(data_dir, bases, fresh, out);
    }
    if (rc != 0) {
        remove_base(fresh);
        return rc;
    }
    cb_crash_point("base_before_prune");
    rc = each_base(data_dir, remove_other, out);
    cb_metric_set(CB_METRIC_BASE_POSITION, (int64_t)out->position);
    cb_log(CB_LOG_INFO, "base_made", "position=%" PRIu64 " rows=%" PRIu64, out->position,
           out->rows);
    return rc;
}

int cb_base_drop(const char *data_dir) {
    const struct cb_base none = {0};
    return each_base(data_dir, remove_other, (void *)(uintptr_t)&none);
}
