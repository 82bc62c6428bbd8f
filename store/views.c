/* SPDX-License-Identifier: MIT
 * views.c: invariant: the rows in LMDB and the position in `meta` always belong together. */
#include "store/views.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/clock.h"
#include "proto/crash.h"
#include "proto/log.h"
#include "proto/metric.h"

enum {
    PATH_BYTES = 4096,
    SLOTS_MIN = 1 << 12,
    CHUNK_BYTES = 1 << 20, /* of the batch's memory */
    CHUNKS_KEPT = 16,      /* kept from batch to batch */
    QUOTA_PERCENT = 90,
    QUOTA_INTERVAL_MS = 1000,
    RESERVE_BYTES =
        2000 * 1024 * 1024, /* the pages that two of the fold's largest batches change */
};

static const char *const table_names[CB_TABLE_COUNT] = {
#define CB_TABLE_NAME(symbol, name) [symbol] = name,
    CB_TABLES(CB_TABLE_NAME)
#undef CB_TABLE_NAME
};

/* Memory of a batch: taken from chunks, given back all at once. */
struct chunk {
    struct chunk *next;
    size_t used, size;
    uint8_t bytes[];
};

struct cb_views {
    struct cb_db *db;
    unsigned tables[CB_TABLE_COUNT];
    uint64_t quota_bytes;
    struct cb_zones *zones;
    int64_t measured_ms;
    _Atomic uint64_t room_bytes; /* as measured last */
    /* the batch */
    struct cb_db_txn *txn;
    struct cb_row **slots;
    size_t n_slots, n_rows;
    struct chunk *chunks, *spare;
    size_t n_spare, batch_bytes;
    uint8_t hash_key[crypto_shorthash_KEYBYTES]; /* keys hold what pages chose: the hash must not be
                                                    guessable */
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
    crypto_shorthash_keygen(views->hash_key);
    int rc = cb_zones_create(&views->zones);
    if (rc != 0) {
        goto err_after_views;
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

static void free_chunks(struct chunk **list) {
    while (*list) {
        struct chunk *next = (*list)->next;
        free(*list);
        *list = next;
    }
}

void cb_views_close(struct cb_views **views) {
    if (!*views) {
        return;
    }
    cb_views_abort(*views);
    free_chunks(&(*views)->spare);
    free((*views)->slots);
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

/* Memory of the batch, aligned for any row. */
static void *take(struct cb_views *views, size_t len) {
    len = (len + 15) & ~(size_t)15;
    struct chunk *chunk = views->chunks;
    if (!chunk || chunk->size - chunk->used < len) {
        if (views->spare && len <= CHUNK_BYTES) {
            chunk = views->spare;
            views->spare = chunk->next;
            views->n_spare--;
        } else {
            size_t size = len > CHUNK_BYTES ? len : CHUNK_BYTES;
            chunk = malloc(sizeof(*chunk) + size);
            if (!chunk) {
                return NULL;
            }
            chunk->size = size;
        }
        chunk->used = 0;
        chunk->next = views->chunks;
        views->chunks = chunk;
    }
    void *p = chunk->bytes + chunk->used;
    chunk->used += len;
    views->batch_bytes += len;
    return p;
}

static void end_batch(struct cb_views *views) {
    while (views->chunks) {
        struct chunk *chunk = views->chunks;
        views->chunks = chunk->next;
        if (chunk->size == CHUNK_BYTES && views->n_spare < CHUNKS_KEPT) {
            chunk->next = views->spare;
            views->spare = chunk;
            views->n_spare++;
        } else {
            free(chunk);
        }
    }
    if (views->slots) {
        memset(views->slots, 0, views->n_slots * sizeof(struct cb_row *));
    }
    views->n_rows = 0;
    views->batch_bytes = 0;
}

int cb_views_begin(struct cb_views *views) {
    return cb_db_begin(views->db, true, &views->txn);
}

uint64_t cb_views_room_bytes(const struct cb_views *views) {
    return atomic_load_explicit(&views->room_bytes, memory_order_relaxed);
}

void cb_views_abort(struct cb_views *views) {
    cb_db_abort(&views->txn);
    end_batch(views);
}

size_t cb_views_batch_bytes(const struct cb_views *views) {
    return views->batch_bytes;
}

static size_t hash_of(const struct cb_views *views, unsigned table, const struct cb_key *key) {
    uint8_t text[1 + CB_KEY_MAX];
    text[0] = (uint8_t)table;
    memcpy(text + 1, key->bytes, key->len);
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, text, 1u + key->len, views->hash_key);
    return (size_t)hash;
}

static int grow_slots(struct cb_views *views) {
    size_t n = views->n_slots ? views->n_slots * 4 : SLOTS_MIN;
    struct cb_row **slots = calloc(n, sizeof(struct cb_row *));
    if (!slots) {
        return CB_ENOMEM;
    }
    for (size_t i = 0; i < views->n_slots; i++) {
        for (struct cb_row *row = views->slots[i], *next; row; row = next) {
            next = row->next;
            size_t slot = hash_of(views, row->table, &row->key) & (n - 1);
            row->next = slots[slot];
            slots[slot] = row;
        }
    }
    free(views->slots);
    views->slots = slots;
    views->n_slots = n;
    return 0;
}

int cb_views_row(struct cb_views *views, enum cb_table table, const struct cb_key *key,
                 struct cb_row **out) {
    if (views->n_rows >= views->n_slots) {
        int rc = grow_slots(views);
        if (rc != 0) {
            return rc;
        }
    }
    size_t slot = hash_of(views, table, key) & (views->n_slots - 1);
    for (struct cb_row *row = views->slots[slot]; row; row = row->next) {
        if (row->table == table && row->key.len == key->len &&
            memcmp(row->key.bytes, key->bytes, key->len) == 0) {
            *out = row;
            return 0;
        }
    }
    struct cb_str stored = {NULL, 0};
    int rc = cb_db_get(views->txn, views->tables[table], cb_key_str(key), &stored);
    if (rc != 0 && rc != CB_ENOENT) {
        return rc;
    }
    struct cb_row *row = take(views, sizeof(*row));
    if (!row) {
        return CB_ENOMEM;
    }
    *row = (struct cb_row){.table = (uint8_t)table, .stored = rc == 0, .key = *key};
    if (stored.len > 0) {
        row->data = take(views, stored.len);
        if (!row->data) {
            return CB_ENOMEM;
        }
        memcpy(row->data, stored.p, stored.len);
        row->len = row->cap = (uint32_t)stored.len;
    }
    row->next = views->slots[slot];
    views->slots[slot] = row;
    views->n_rows++;
    *out = row;
    return 0;
}

int cb_views_cursor(struct cb_views *views, enum cb_table table, struct cb_db_cursor **out) {
    return cb_db_cursor_open(views->txn, views->tables[table], out);
}

int cb_row_resize(struct cb_views *views, struct cb_row *row, size_t len) {
    if (len > row->cap) {
        size_t cap = row->cap ? (size_t)row->cap * 2 : 16;
        cap = cap < len ? len : cap;
        uint8_t *data = take(views, cap);
        if (!data) {
            return CB_ENOMEM;
        }
        if (row->len > 0) {
            memcpy(data, row->data, row->len);
        }
        row->data = data;
        row->cap = (uint32_t)cap;
    }
    if (len > row->len) {
        memset(row->data + row->len, 0, len - row->len);
    }
    row->len = (uint32_t)len;
    row->dirty = true;
    return 0;
}

void cb_row_touch(struct cb_row *row) {
    row->dirty = true;
}

static int compare_rows(const void *a, const void *b) {
    const struct cb_row *left = *(struct cb_row *const *)a, *right = *(struct cb_row *const *)b;
    if (left->table != right->table) {
        return left->table < right->table ? -1 : 1;
    }
    uint8_t len = left->key.len < right->key.len ? left->key.len : right->key.len;
    int order = memcmp(left->key.bytes, right->key.bytes, len);
    return order != 0 ? order : (int)left->key.len - (int)right->key.len;
}

static int write_row(struct cb_views *views, const struct cb_row *row) {
    unsigned table = views->tables[row->table];
    if (row->len > 0) {
        return cb_db_put(views->txn, table, cb_key_str(&row->key),
                         (struct cb_str){(const char *)row->data, row->len});
    }
    return row->stored ? cb_db_delete(views->txn, table, cb_key_str(&row->key)) : 0;
}

static int write_rows(struct cb_views *views) {
    size_t n = 0;
    struct cb_row **changed = malloc((views->n_rows + 1) * sizeof(struct cb_row *));
    if (!changed) {
        return CB_ENOMEM;
    }
    for (size_t i = 0; i < views->n_slots; i++) {
        for (struct cb_row *row = views->slots[i]; row; row = row->next) {
            if (row->dirty) {
                changed[n++] = row;
            }
        }
    }
    qsort(changed, n, sizeof(struct cb_row *), compare_rows);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = write_row(views, changed[i]);
    }
    free(changed);
    return rc;
}

int cb_views_commit(struct cb_views *views, uint64_t position) {
    uint8_t value[8];
    cb_be64_put(value, position);
    struct cb_key key = cb_key_meta(CB_META_POSITION);
    int rc = write_rows(views);
    if (rc == 0) {
        rc = cb_db_put(views->txn, views->tables[CB_TABLE_META], cb_key_str(&key),
                       (struct cb_str){(const char *)value, sizeof(value)});
    }
    if (rc != 0) {
        cb_views_abort(views);
        return rc;
    }
    cb_crash_point("views_before_commit");
    rc = cb_db_commit(&views->txn);
    end_batch(views);
    if (rc == 0) {
        measure_again(views);
        cb_metric_add(CB_METRIC_FOLD_COMMITS, 1);
        cb_metric_set(CB_METRIC_FOLD_POSITION, (int64_t)position);
    }
    return rc;
}
