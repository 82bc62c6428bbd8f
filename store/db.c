/* SPDX-License-Identifier: MIT */
#include "store/db_lmdb.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "store/folder.h"

enum {
    READERS_MAX = 1024,
    LOCK_BYTES = (READERS_MAX + 4) * 64, /* LMDB's head, and a line of the cache a reader */
    PATH_BYTES = 4096,
    LOG_SLOTS = 16,
    LOG_INTERVAL_MS = 1000,
};

struct cb_db_txn {
    struct cb_db *db;
    MDB_txn *txn;
};

struct cb_db_cursor {
    MDB_cursor *cursor;
};

/* At a full disk every batch fails: a line a second for each code tells it as well. */
static void log_failure(int code, const char *call) {
    static _Atomic int64_t logged_ms[LOG_SLOTS];
    _Atomic int64_t *slot = &logged_ms[(unsigned)code % LOG_SLOTS];
    int64_t now_ms = cb_clock_mono_ms(), last_ms = atomic_load(slot);
    if (last_ms != 0 && now_ms - last_ms < LOG_INTERVAL_MS) {
        return;
    }
    atomic_store(slot, now_ms);
    cb_log(CB_LOG_ERROR, "lmdb_failed", "call=%s code=%d text=\"%s\"", call, code,
           mdb_strerror(code));
}

/* The one place where LMDB's codes become ours. */
int cb_db_translate(int code, const char *call) {
    int ours;
    switch (code) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return CB_ENOENT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case MDB_READERS_FULL:
    case MDB_DBS_FULL:
    case ENOSPC:
    case EDQUOT:
        ours = CB_EFULL;
        break;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
    case MDB_INVALID:
        ours = CB_ECORRUPT;
        break;
    case MDB_VERSION_MISMATCH:
        ours = CB_EVERSION;
        break;
    case ENOMEM:
        ours = CB_ENOMEM;
        break;
    case ENOENT:
        return CB_ENOENT;
    default:
        ours = CB_EIO;
        break;
    }
    log_failure(code, call);
    return ours;
}

static MDB_val val_of(struct cb_str s) {
    return (MDB_val){s.len, (void *)(uintptr_t)s.p};
}

static struct cb_str str_of(MDB_val v) {
    return (struct cb_str){v.mv_data, v.mv_size};
}

/* LMDB syncs its files but not the folder entries that lead to them. */
static int sync_with_parent(const char *folder) {
    char path[PATH_BYTES];
    size_t len = strlen(folder);
    if (len >= sizeof(path)) {
        return CB_EINVAL;
    }
    memcpy(path, folder, len + 1);
    int rc = cb_folder_sync(folder);
    return rc == 0 ? cb_folder_sync(dirname(path)) : rc;
}

/* LMDB writes the first two pages of a new file without a sync, and refuses a file that holds only
 * part of them: after a power cut at the first start no later one would succeed. So a new file is
 * made beside its place, synced, and put there by a rename. */
static int make_file(const char *folder, uint64_t map_bytes) {
    char path[PATH_BYTES], fresh[PATH_BYTES];
    struct stat there;
    if (snprintf(path, sizeof(path), "%s/data.mdb", folder) >= PATH_BYTES ||
        snprintf(fresh, sizeof(fresh), "%s/data.mdb.new", folder) >= PATH_BYTES) {
        return CB_EINVAL;
    }
    if (stat(path, &there) == 0 && there.st_size > 0) {
        return 0;
    }
    if (unlink(fresh) != 0 && errno != ENOENT) {
        return CB_ESYS;
    }
    MDB_env *env;
    int rc = cb_db_translate(mdb_env_create(&env), "env_create");
    if (rc != 0) {
        return rc;
    }
    rc = cb_db_translate(mdb_env_set_mapsize(env, map_bytes), "env_set_mapsize");
    if (rc == 0) {
        rc = cb_db_translate(mdb_env_open(env, fresh, MDB_NOSUBDIR | MDB_NOLOCK, 0600), "env_open");
    }
    if (rc == 0) {
        rc = cb_db_translate(mdb_env_sync(env, 1), "env_sync");
    }
    mdb_env_close(env);
    if (rc == 0 && rename(fresh, path) != 0) {
        rc = CB_EIO;
    }
    return rc;
}

/* LMDB maps its lock file with holes in it: taking a reader's slot at a full disk would be SIGBUS.
 * So its blocks are made before LMDB opens it (after that, closing it here would drop its locks).
 */
static int fill_lock_file(const char *folder) {
    char path[PATH_BYTES];
    if (snprintf(path, sizeof(path), "%s/lock.mdb", folder) >= (int)sizeof(path)) {
        return CB_EINVAL;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return CB_ESYS;
    }
    int rc = cb_db_translate(posix_fallocate(fd, 0, LOCK_BYTES), "lock_file");
    close(fd);
    return rc;
}

int cb_db_open(const char *folder, uint64_t map_bytes, unsigned tables_max, bool read_only,
               struct cb_db **out) {
    if (!read_only && mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return CB_ESYS;
    }
    if (!read_only) {
        int made = make_file(folder, map_bytes);
        if (made == 0) {
            made = fill_lock_file(folder);
        }
        if (made != 0) {
            return made;
        }
    }
    struct cb_db *db = calloc(1, sizeof(*db));
    if (!db) {
        return CB_ENOMEM;
    }
    int rc = cb_db_translate(mdb_env_create(&db->env), "env_create");
    if (rc != 0) {
        goto err_after_db;
    }
    rc = cb_db_translate(mdb_env_set_mapsize(db->env, map_bytes), "env_set_mapsize");
    if (rc == 0) {
        rc = cb_db_translate(mdb_env_set_maxdbs(db->env, tables_max), "env_set_maxdbs");
    }
    if (rc == 0) {
        rc = cb_db_translate(mdb_env_set_maxreaders(db->env, READERS_MAX), "env_set_maxreaders");
    }
    if (rc == 0) {
        /* Read-ahead hurts once the map is larger than memory: views are read at random. */
        unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (read_only ? MDB_RDONLY : 0);
        rc = cb_db_translate(mdb_env_open(db->env, folder, flags, 0600), "env_open");
    }
    if (rc == 0 && !read_only) {
        rc = sync_with_parent(folder);
    }
    if (rc != 0) {
        goto err_after_env;
    }
    cb_db_check_readers(db);
    *out = db;
    return 0;

err_after_env:
    mdb_env_close(db->env);
err_after_db:
    free(db);
    return rc;
}

void cb_db_close(struct cb_db **db) {
    if (!*db) {
        return;
    }
    mdb_env_close((*db)->env);
    free(*db);
    *db = NULL;
}

/* mdb_env_copy2 writes the file and does not sync it. */
static int sync_copy(const char *folder) {
    char path[PATH_BYTES];
    if (snprintf(path, sizeof(path), "%s/data.mdb", folder) >= (int)sizeof(path)) {
        return CB_EINVAL;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return CB_ESYS;
    }
    int rc = fsync(fd) == 0 ? 0 : CB_EIO;
    close(fd);
    return rc == 0 ? sync_with_parent(folder) : rc;
}

int cb_db_copy(struct cb_db *db, const char *folder) {
    if (mkdir(folder, 0700) != 0) {
        return CB_ESYS;
    }
    int rc = cb_db_translate(mdb_env_copy2(db->env, folder, MDB_CP_COMPACT), "env_copy");
    return rc == 0 ? sync_copy(folder) : rc;
}

void cb_db_remove(const char *folder) {
    static const char *const files[] = {"data.mdb", "data.mdb.new", "lock.mdb"};
    char path[PATH_BYTES];
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        if (snprintf(path, sizeof(path), "%s/%s", folder, files[i]) < (int)sizeof(path)) {
            unlink(path);
        }
    }
    rmdir(folder);
}

void cb_db_check_readers(struct cb_db *db) {
    int dead = 0;
    mdb_reader_check(db->env, &dead);
    if (dead > 0) {
        cb_log(CB_LOG_INFO, "readers_cleared", "n=%d", dead);
    }
}

int cb_db_begin(struct cb_db *db, bool write, struct cb_db_txn **out) {
    struct cb_db_txn *txn = malloc(sizeof(*txn));
    if (!txn) {
        return CB_ENOMEM;
    }
    txn->db = db;
    int rc = cb_db_translate(mdb_txn_begin(db->env, NULL, write ? 0 : MDB_RDONLY, &txn->txn),
                             "txn_begin");
    if (rc != 0) {
        free(txn);
        return rc;
    }
    *out = txn;
    return 0;
}

int cb_db_commit(struct cb_db_txn **txn) {
    int rc = cb_db_translate(mdb_txn_commit((*txn)->txn), "txn_commit");
    free(*txn);
    *txn = NULL;
    return rc;
}

void cb_db_abort(struct cb_db_txn **txn) {
    if (!*txn) {
        return;
    }
    mdb_txn_abort((*txn)->txn);
    free(*txn);
    *txn = NULL;
}

void cb_db_rest(struct cb_db_txn *txn) {
    mdb_txn_reset(txn->txn);
}

int cb_db_resume(struct cb_db_txn *txn) {
    return cb_db_translate(mdb_txn_renew(txn->txn), "txn_renew");
}

uint64_t cb_db_used_bytes(struct cb_db_txn *txn) {
    MDB_envinfo info;
    MDB_stat stat;
    mdb_env_info(txn->db->env, &info);
    mdb_env_stat(txn->db->env, &stat);
    uint64_t pages = info.me_last_pgno + 1;
    /* The free list (table 0): each value is a count followed by that many page numbers. */
    MDB_cursor *cursor;
    uint64_t free_pages = 0;
    if (mdb_cursor_open(txn->txn, 0, &cursor) == 0) {
        MDB_val key, value;
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
            size_t n;
            memcpy(&n, value.mv_data, sizeof(n));
            free_pages += n;
        }
        mdb_cursor_close(cursor);
    }
    return (pages - free_pages) * stat.ms_psize;
}

int cb_db_table(struct cb_db_txn *txn, const char *name, bool make, unsigned *table) {
    return cb_db_translate(mdb_dbi_open(txn->txn, name, make ? MDB_CREATE : 0, table), "dbi_open");
}

int cb_db_pages(struct cb_db_txn *txn, unsigned table, uint64_t *pages) {
    MDB_stat stat;
    int rc = cb_db_translate(mdb_stat(txn->txn, table, &stat), "stat");
    if (rc == 0) {
        *pages = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    }
    return rc;
}

int cb_db_get(struct cb_db_txn *txn, unsigned table, struct cb_str key, struct cb_str *value) {
    MDB_val k = val_of(key), v;
    int rc = cb_db_translate(mdb_get(txn->txn, table, &k, &v), "get");
    if (rc == 0) {
        *value = str_of(v);
    }
    return rc;
}

int cb_db_put(struct cb_db_txn *txn, unsigned table, struct cb_str key, struct cb_str value) {
    MDB_val k = val_of(key), v = val_of(value);
    return cb_db_translate(mdb_put(txn->txn, table, &k, &v, 0), "put");
}

int cb_db_append(struct cb_db_txn *txn, unsigned table, struct cb_str key, size_t len,
                 void **data) {
    MDB_val k = val_of(key), v = {len, NULL};
    int rc = cb_db_translate(mdb_put(txn->txn, table, &k, &v, MDB_APPEND | MDB_RESERVE), "append");
    if (rc == 0) {
        *data = v.mv_data;
    }
    return rc;
}

int cb_db_delete(struct cb_db_txn *txn, unsigned table, struct cb_str key) {
    MDB_val k = val_of(key);
    int rc = cb_db_translate(mdb_del(txn->txn, table, &k, NULL), "del");
    return rc == CB_ENOENT ? 0 : rc;
}

int cb_db_cursor_open(struct cb_db_txn *txn, unsigned table, struct cb_db_cursor **out) {
    struct cb_db_cursor *cursor = malloc(sizeof(*cursor));
    if (!cursor) {
        return CB_ENOMEM;
    }
    int rc = cb_db_translate(mdb_cursor_open(txn->txn, table, &cursor->cursor), "cursor_open");
    if (rc != 0) {
        free(cursor);
        return rc;
    }
    *out = cursor;
    return 0;
}

void cb_db_cursor_close(struct cb_db_cursor **cursor) {
    if (!*cursor) {
        return;
    }
    mdb_cursor_close((*cursor)->cursor);
    free(*cursor);
    *cursor = NULL;
}

static int move(struct cb_db_cursor *cursor, MDB_val key, MDB_cursor_op op, struct cb_str *found,
                struct cb_str *value) {
    MDB_val v;
    int rc = cb_db_translate(mdb_cursor_get(cursor->cursor, &key, &v, op), "cursor_get");
    if (rc == 0) {
        *found = str_of(key);
        *value = str_of(v);
    }
    return rc;
}

int cb_db_seek(struct cb_db_cursor *cursor, struct cb_str key, struct cb_str *found,
               struct cb_str *value) {
    return move(cursor, val_of(key), MDB_SET_RANGE, found, value);
}

int cb_db_next(struct cb_db_cursor *cursor, struct cb_str *found, struct cb_str *value) {
    return move(cursor, (MDB_val){0, NULL}, MDB_NEXT, found, value);
}

int cb_db_last(struct cb_db_cursor *cursor, struct cb_str *found, struct cb_str *value) {
    return move(cursor, (MDB_val){0, NULL}, MDB_LAST, found, value);
}

int cb_db_cursor_put(struct cb_db_cursor *cursor, struct cb_str key, struct cb_str value) {
    MDB_val k = val_of(key), v = val_of(value);
    return cb_db_translate(mdb_cursor_put(cursor->cursor, &k, &v, 0), "cursor_put");
}

int cb_db_cursor_delete(struct cb_db_cursor *cursor, struct cb_str key) {
    MDB_val k = val_of(key), v;
    int rc = cb_db_translate(mdb_cursor_get(cursor->cursor, &k, &v, MDB_SET), "cursor_get");
    rc = rc == 0 ? cb_db_translate(mdb_cursor_del(cursor->cursor, 0), "cursor_del") : rc;
    return rc == CB_ENOENT ? 0 : rc;
}
