/* SPDX-License-Identifier: MIT
 * views.c: invariant: the rows in LMDB and the position in `meta` always belong together.
 *
 * What a batch reads is, in this order: its own rows, those that the batch behind it changed, LMDB.
 * Nobody else writes these rows, so it does not matter which commit its transaction sees, as long
 * as it is the one before the batch behind it, or that one. */
#include "store/views.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "proto/metric.h"
#include "store/batch_writer.h"
#include "store/dim_memo.h"

enum {
    PATH_BYTES = 4096,
    QUOTA_PERCENT = 90,
    QUOTA_INTERVAL_MS = 1000,
    PAGE_BYTES = 4096,
    NEW_ROWS_A_PAGE = 16, /* that find no room on the pages that are there, about */
    RESERVE_BYTES =
        2000 * 1024 * 1024, /* the pages that two of the fold's largest batches change */
};

static const char *const table_names[CB_TABLE_COUNT] = {
#define CB_TABLE_NAME(symbol, name) [symbol] = name,
    CB_TABLES(CB_TABLE_NAME)
#undef CB_TABLE_NAME
};

struct cb_views {
    struct cb_db *db;
    unsigned tables[CB_TABLE_COUNT];
    uint64_t quota_bytes;
    struct cb_zones *zones;
    int64_t measured_ms;
    _Atomic uint64_t room_bytes; /* as measured last */
    /* the batch */
    struct cb_db_txn *txn; /* it reads */
    bool rests;
    bool pages_known;
    uint64_t pages[CB_TABLE_COUNT]; /* of each table, as of the commit before the one behind */
    struct cb_cache *cache;         /* its rows */
    /* the batch behind it, while `writer` writes it */
    bool is_behind;
    uint64_t behind_position;
    size_t behind_bytes;           /* of memory that its commit takes */
    struct cb_cache *behind_cache; /* its rows */
    struct cb_batch_writer *writer;
    /* what was found of late */
    struct cb_memo *memo;
    struct cb_dim_memo *dims;
};

/* The version is looked at first: views of another version may lack tables. */
static int check_version(struct cb_views *views, struct cb_db_txn *txn, bool make) {
    struct cb_key key = cb_key_meta(CB_META_VERSION);
    struct cb_str value;
    int rc = cb_db_table(txn, table_names[CB_TABLE_META], make, &views->tables[CB_TABLE_META]);
    if (rc == 0) {
        rc = cb_db_get(txn, views->tables[CB_TABLE_META], cb_key_str(&key), &value);
    }
    if (rc == CB_ENOENT && make) {
        uint8_t version[4];
        cb_be32_put(version, CB_VIEWS_VERSION);
        return cb_db_put(txn, views->tables[CB_TABLE_META], cb_key_str(&key),
                         (struct cb_str){(const char *)version, sizeof(version)});
    }
    if (rc == 0) {
        uint32_t version = value.len == 4 ? cb_be32_get((const uint8_t *)value.p) : 0;
        rc = version == 0                 ? CB_ECORRUPT
             : version > CB_VIEWS_VERSION ? CB_EVERSION
             : version < CB_VIEWS_VERSION ? CB_ESTALE
                                          : 0;
    }
    return rc;
}

static int open_tables(struct cb_views *views, struct cb_db_txn *txn, bool make) {
    int rc = check_version(views, txn, make);
    for (unsigned i = 0; rc == 0 && i < CB_TABLE_COUNT; i++) {
        rc = cb_db_table(txn, table_names[i], make, &views->tables[i]);
    }
    return rc;
}

static void measure(struct cb_views *views, struct cb_db_txn *txn) {
    views->measured_ms = cb_clock_mono_ms();
    uint64_t used_bytes = cb_db_used_bytes(txn);
    atomic_store_explicit(&views->room_bytes,
                          used_bytes < views->quota_bytes ? views->quota_bytes - used_bytes : 0,
                          memory_order_relaxed);
}

/* After a commit. Half full, a second may be too long: a small map is full in less. */
static void measure_again(struct cb_views *views) {
    int64_t interval_ms =
        cb_views_room_bytes(views) > views->quota_bytes / 2 ? QUOTA_INTERVAL_MS : 0;
    struct cb_db_txn *txn;
    if (cb_clock_mono_ms() - views->measured_ms >= interval_ms &&
        cb_db_begin(views->db, false, &txn) == 0) {
        measure(views, txn);
        cb_db_abort(&txn);
    }
}

static uint64_t quota_of(uint64_t map_bytes) {
    uint64_t most = map_bytes / 100 * QUOTA_PERCENT;
    uint64_t reserve = map_bytes / 3 * 2 < RESERVE_BYTES ? map_bytes / 3 * 2 : RESERVE_BYTES;
    return map_bytes - reserve < most ? map_bytes - reserve : most;
}

static int open_views(const char *data_dir, uint64_t map_bytes, bool read_only,
                      struct cb_views **out) {
    char folder[PATH_BYTES];
    if (snprintf(folder, sizeof(folder), "%s/views", data_dir) >= (int)sizeof(folder)) {
        return CB_EINVAL;
    }
    struct cb_views *views = calloc(1, sizeof(*views));
    if (!views) {
        return CB_ENOMEM;
    }
    int rc = cb_cache_create(CB_TABLE_COUNT, &views->cache);
    if (rc != 0) {
        goto err_after_views;
    }
    rc = cb_cache_create_like(views->cache, &views->behind_cache);
    if (rc != 0) {
        goto err_after_cache;
    }
    rc = cb_batch_writer_create(&views->writer);
    if (rc != 0) {
        goto err_after_behind;
    }
    rc = cb_memo_create(&views->memo);
    if (rc != 0) {
        goto err_after_writer;
    }
    rc = cb_dim_memo_create(&views->dims);
    if (rc != 0) {
        goto err_after_memo;
    }
    rc = cb_zones_create(&views->zones);
    if (rc != 0) {
        goto err_after_dims;
    }
    rc = cb_db_open(folder, map_bytes, CB_TABLE_COUNT + 4, read_only, &views->db);
    if (rc != 0) {
        goto err_after_zones;
    }
    struct cb_db_txn *txn;
    rc = cb_db_begin(views->db, !read_only, &txn);
    if (rc != 0) {
        goto err_after_db;
    }
    rc = open_tables(views, txn, !read_only);
    if (rc != 0) {
        cb_db_abort(&txn);
        goto err_after_db;
    }
    if (!read_only) {
        views->quota_bytes = quota_of(map_bytes);
        measure(views, txn);
    }
    /* Also a read transaction is committed, not aborted: that keeps its table handles
     * (mdb_dbi_open). */
    rc = cb_db_commit(&txn);
    if (rc != 0) {
        goto err_after_db;
    }
    *out = views;
    return 0;

err_after_db:
    cb_db_close(&views->db);
err_after_zones:
    cb_zones_destroy(&views->zones);
err_after_dims:
    cb_dim_memo_destroy(&views->dims);
err_after_memo:
    cb_memo_destroy(&views->memo);
err_after_writer:
    cb_batch_writer_destroy(&views->writer);
err_after_behind:
    cb_cache_destroy(&views->behind_cache);
err_after_cache:
    cb_cache_destroy(&views->cache);
err_after_views:
    free(views);
    return rc;
}

int cb_views_open(const char *data_dir, uint64_t map_bytes, struct cb_views **out) {
    return open_views(data_dir, map_bytes, false, out);
}

int cb_views_open_read_only(const char *data_dir, uint64_t map_bytes, struct cb_views **out) {
    return open_views(data_dir, map_bytes, true, out);
}

void cb_views_close(struct cb_views **views) {
    if (!*views) {
        return;
    }
    cb_views_abort(*views);
    cb_batch_writer_destroy(&(*views)->writer);
    cb_cache_destroy(&(*views)->behind_cache);
    cb_cache_destroy(&(*views)->cache);
    cb_memo_destroy(&(*views)->memo);
    cb_dim_memo_destroy(&(*views)->dims);
    cb_db_close(&(*views)->db);
    cb_zones_destroy(&(*views)->zones);
    free(*views);
    *views = NULL;
}

struct cb_db *cb_views_db(struct cb_views *views) {
    return views->db;
}

struct cb_zones *cb_views_zones(struct cb_views *views) {
    return views->zones;
}

const char *cb_views_table_name(enum cb_table table) {
    return table_names[table];
}

unsigned cb_views_table(const struct cb_views *views, enum cb_table table) {
    return views->tables[table];
}

int cb_views_position(const struct cb_views *views, struct cb_db_txn *txn, uint64_t *position) {
    struct cb_key key = cb_key_meta(CB_META_POSITION);
    struct cb_str value;
    int rc = cb_db_get(txn, views->tables[CB_TABLE_META], cb_key_str(&key), &value);
    if (rc == CB_ENOENT) {
        *position = 0;
        return 0;
    }
    if (rc == 0 && value.len != 8) {
        rc = CB_ECORRUPT;
    }
    if (rc == 0) {
        *position = cb_be64_get((const uint8_t *)value.p);
    }
    return rc;
}

/* ---- a batch ---- */

static int count_pages(struct cb_views *views) {
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < CB_TABLE_COUNT; i++) {
        rc = cb_db_pages(views->txn, views->tables[i], &views->pages[i]);
    }
    views->pages_known = rc == 0;
    return rc;
}

int cb_views_begin(struct cb_views *views) {
    int rc = cb_db_begin(views->db, false, &views->txn);
    views->rests = false;
    if (rc == 0) {
        rc = count_pages(views);
        if (rc != 0) {
            cb_db_abort(&views->txn);
        }
    }
    return rc;
}

void cb_views_rest(struct cb_views *views) {
    if (!views->rests) {
        cb_db_rest(views->txn);
        views->rests = true;
    }
}

static int resume(struct cb_views *views) {
    int rc = views->rests ? cb_db_resume(views->txn) : 0;
    views->rests &= rc != 0;
    return rc == 0 && !views->pages_known ? count_pages(views) : rc;
}

uint64_t cb_views_room_bytes(const struct cb_views *views) {
    return atomic_load_explicit(&views->room_bytes, memory_order_relaxed);
}

static void forget(struct cb_views *views, bool came_to_nothing) {
    cb_memo_clear(views->memo);
    cb_dim_memo_clear(views->dims, came_to_nothing);
}

struct cb_memo *cb_views_memo(struct cb_views *views) {
    return views->memo;
}

struct cb_dim_memo *cb_views_dims(struct cb_views *views) {
    return views->dims;
}

size_t cb_views_batch_bytes(const struct cb_views *views) {
    uint64_t pages = 0;
    for (unsigned i = 0; i < CB_TABLE_COUNT; i++) {
        const uint64_t rows = cb_cache_rows(views->cache, i);
        const uint64_t most = views->pages[i] + rows / NEW_ROWS_A_PAGE;
        pages += rows < most ? rows : most;
    }
    return cb_cache_bytes(views->cache) + (size_t)pages * PAGE_BYTES;
}

size_t cb_views_memory_bytes(const struct cb_views *views) {
    return cb_cache_bytes(views->cache) + (views->is_behind ? views->behind_bytes : 0);
}

/* What is beneath the batch, by the hash of the key. */
static int look_beneath(struct cb_views *views, enum cb_table table, const struct cb_key *key,
                        uint64_t hash, struct cb_str *value) {
    const struct cb_row *behind = cb_cache_find_hashed(views->behind_cache, table, key, hash);
    if (behind && behind->dirty) { /* else it may not have been read either */
        *value = (struct cb_str){(const char *)behind->data, behind->len};
        return behind->len > 0 ? 0 : CB_ENOENT;
    }
    int rc = resume(views);
    return rc == 0 ? cb_db_get(views->txn, views->tables[table], cb_key_str(key), value) : rc;
}

int cb_views_row(struct cb_views *views, enum cb_table table, const struct cb_key *key,
                 struct cb_row **out) {
    uint64_t hash;
    struct cb_str value = {NULL, 0};
    *out = cb_cache_find(views->cache, table, key, &hash);
    if (*out) {
        return 0;
    }
    int rc = look_beneath(views, table, key, hash, &value);
    if (rc == CB_ENOENT) {
        value.len = 0;
    }
    return rc == 0 || rc == CB_ENOENT
               ? cb_cache_add(views->cache, table, key, hash, value, rc == 0, out)
               : rc;
}

int cb_views_look(struct cb_views *views, enum cb_table table, const struct cb_key *key,
                  struct cb_str *value) {
    uint64_t hash;
    const struct cb_row *row = cb_cache_find(views->cache, table, key, &hash);
    if (row) {
        *value = (struct cb_str){(const char *)row->data, row->len};
        return row->len > 0 ? 0 : CB_ENOENT;
    }
    return look_beneath(views, table, key, hash, value);
}

int cb_views_row_unread(struct cb_views *views, enum cb_table table, const struct cb_key *key,
                        bool stored, struct cb_row **out) {
    uint64_t hash;
    *out = cb_cache_find(views->cache, table, key, &hash);
    return *out ? 0
                : cb_cache_add(views->cache, table, key, hash, (struct cb_str){NULL, 0}, stored,
                               out);
}

int cb_views_cursor(struct cb_views *views, enum cb_table table, struct cb_db_cursor **out) {
    assert(!views->is_behind);
    int rc = resume(views);
    return rc == 0 ? cb_db_cursor_open(views->txn, views->tables[table], out) : rc;
}

int cb_row_resize(struct cb_views *views, struct cb_row *row, size_t len) {
    return cb_cache_resize(views->cache, row, len);
}

/* ---- its end ---- */

static void note_commit(struct cb_views *views, uint64_t position) {
    measure_again(views);
    cb_metric_add(CB_METRIC_FOLD_COMMITS, 1);
    cb_metric_set(CB_METRIC_FOLD_POSITION, (int64_t)position);
}

static struct cb_batch batch_of(const struct cb_views *views, uint64_t position) {
    return (struct cb_batch){
        .db = views->db, .tables = views->tables, .rows = views->cache, .position = position};
}

int cb_views_commit(struct cb_views *views, uint64_t position) {
    const struct cb_batch batch = batch_of(views, position);
    int rc = cb_views_end_behind(views);
    cb_db_abort(&views->txn); /* it would hold back pages */
    rc = rc == 0 ? cb_batch_write(&batch) : rc;
    cb_cache_clear(views->cache);
    forget(views, rc != 0);
    if (rc == 0) {
        note_commit(views, position);
    }
    return rc;
}

int cb_views_commit_behind(struct cb_views *views, uint64_t position) {
    const struct cb_batch batch = batch_of(views, position);
    int rc = cb_views_end_behind(views);
    if (rc != 0) {
        cb_views_abort(views);
        return rc;
    }
    if (cb_batch_writer_begin(views->writer, &batch) != 0) {
        return cb_views_commit(views, position); /* without a thread it is done here */
    }
    views->behind_bytes = cb_views_batch_bytes(views);
    views->behind_position = position;
    struct cb_cache *next = views->behind_cache;
    views->behind_cache = views->cache;
    views->cache = next;
    views->is_behind = true;
    cb_db_abort(&views->txn);
    forget(views, false);
    return 0;
}

bool cb_views_is_behind(const struct cb_views *views) {
    return views->is_behind;
}

bool cb_views_is_behind_written(const struct cb_views *views) {
    return !cb_batch_writer_is_busy(views->writer);
}

int cb_views_end_behind(struct cb_views *views) {
    if (!views->is_behind) {
        return 0;
    }
    int rc = cb_batch_writer_wait(views->writer);
    views->is_behind = false;
    if (views->txn) {
        cb_views_rest(views); /* without these rows it must not see what was before them */
        views->pages_known = false;
    }
    cb_cache_clear(views->behind_cache);
    if (rc == 0) {
        note_commit(views, views->behind_position);
    }
    return rc;
}

void cb_views_abort(struct cb_views *views) {
    int rc = cb_views_end_behind(views);
    (void)rc; /* what is behind was asked for before */
    cb_db_abort(&views->txn);
    cb_cache_clear(views->cache);
    forget(views, true);
}
