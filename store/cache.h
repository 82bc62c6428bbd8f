/* SPDX-License-Identifier: MIT
 * cache.h: the rows that a batch of the fold has read or changed, by table and key, in memory that
 * is given back all at once.
 *
 * The hash is cheap, and nobody can guess it: keys hold what pages chose. One thread changes it;
 * while none does, any may look. */
#ifndef CB_STORE_CACHE_H
#define CB_STORE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"
#include "store/key.h"

/* A row. data holds len bytes; an absent row has len 0. Valid until the cache is cleared; change it
 * through cb_cache_resize, or in place followed by cb_row_touch. */
struct cb_row {
    uint8_t *data;
    uint32_t len, cap;
    uint8_t table;
    bool dirty, stored; /* stored: LMDB has a row of this key */
    uint8_t key_len;
    uint8_t key[];
};

static inline void cb_row_touch(struct cb_row *row) {
    row->dirty = true;
}

struct cb_cache;

/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_cache_create(unsigned n_tables, struct cb_cache **out);
/* Another one that hashes keys likewise. Errors: CB_ENOMEM. */
CB_MUST_USE int cb_cache_create_like(const struct cb_cache *like, struct cb_cache **out);
void cb_cache_destroy(struct cb_cache **cache);
/* Forgets all rows; keeps some memory for the next ones. */
void cb_cache_clear(struct cb_cache *cache);

/* The row of a key, or NULL: then *hash is what cb_cache_add wants. */
struct cb_row *cb_cache_find(const struct cb_cache *cache, unsigned table, const struct cb_key *key,
                             uint64_t *hash);
/* … by the hash that this one, or one like it, found. */
struct cb_row *cb_cache_find_hashed(const struct cb_cache *cache, unsigned table,
                                    const struct cb_key *key, uint64_t hash);
/* Adds a row that was not found, with a copy of value. Errors: CB_ENOMEM. */
CB_MUST_USE int cb_cache_add(struct cb_cache *cache, unsigned table, const struct cb_key *key,
                             uint64_t hash, struct cb_str value, bool stored, struct cb_row **out);
/* Sets a row's length; new bytes are zero. Length 0 deletes it. Marks it changed. Errors:
 * CB_ENOMEM. */
CB_MUST_USE int cb_cache_resize(struct cb_cache *cache, struct cb_row *row, size_t len);

/* Memory that the rows hold. */
size_t cb_cache_bytes(const struct cb_cache *cache);
/* How many rows there are of a table. */
size_t cb_cache_rows(const struct cb_cache *cache, unsigned table);
/* Calls each for the rows that were changed, in order of tables and keys, until it fails. Errors:
 * those of each, CB_ENOMEM. */
CB_MUST_USE int cb_cache_changed(const struct cb_cache *cache,
                                 int (*each)(void *user, const struct cb_row *row), void *user);

#endif
