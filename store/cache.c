/* SPDX-License-Identifier: MIT */
#include "store/cache.h"

#include <sodium.h>
#include <stdlib.h>

enum {
    SLOTS_MIN = 1 << 12,
    CHUNK_BYTES = 1 << 20, /* of the rows' memory */
    CHUNKS_KEPT = 16,      /* kept when the rows go */
    PLACES_BYTES = 64,     /* of a row: its slots, and its places in the lists of rows */
    WORD_BYTES = 8,
    SLACK_PART = 8, /* of a row that was read: most that grow at all do by a few bytes, and a copy
                       twice as large would be most of what the rows take */
};

struct chunk {
    struct chunk *next;
    size_t used, size;
    uint8_t bytes[];
};

/* Open addressing: a key that is not there is mostly told by one look at the slots. */
struct slot {
    uint64_t hash;
    struct cb_row *row; /* NULL: free */
};

struct cb_cache {
    unsigned n_tables;
    struct slot *slots;
    size_t n_slots;       /* a power of two, at least twice n_rows */
    struct cb_row **rows; /* all of them, in the order of adding */
    size_t n_rows, rows_cap;
    size_t *n_by_table;
    struct chunk *chunks, *spare;
    size_t n_spare, bytes;
    uint64_t secret[3]; /* of the hash */
};

int cb_cache_create(unsigned n_tables, struct cb_cache **out) {
    struct cb_cache *cache = calloc(1, sizeof(*cache));
    if (!cache) {
        return CB_ENOMEM;
    }
    cache->n_tables = n_tables;
    cache->n_by_table = calloc(n_tables, sizeof(*cache->n_by_table));
    if (!cache->n_by_table) {
        free(cache);
        return CB_ENOMEM;
    }
    randombytes_buf(cache->secret, sizeof(cache->secret));
    *out = cache;
    return 0;
}

int cb_cache_create_like(const struct cb_cache *like, struct cb_cache **out) {
    int rc = cb_cache_create(like->n_tables, out);
    if (rc == 0) {
        memcpy((*out)->secret, like->secret, sizeof(like->secret));
    }
    return rc;
}

static void free_chunks(struct chunk **list) {
    while (*list) {
        struct chunk *next = (*list)->next;
        free(*list);
        *list = next;
    }
}

void cb_cache_destroy(struct cb_cache **cache) {
    if (*cache) {
        free_chunks(&(*cache)->chunks);
        free_chunks(&(*cache)->spare);
        free((*cache)->rows);
        free((*cache)->n_by_table);
        free((*cache)->slots);
        free(*cache);
        *cache = NULL;
    }
}

void cb_cache_clear(struct cb_cache *cache) {
    while (cache->chunks) {
        struct chunk *chunk = cache->chunks;
        cache->chunks = chunk->next;
        if (chunk->size == CHUNK_BYTES && cache->n_spare < CHUNKS_KEPT) {
            chunk->next = cache->spare;
            cache->spare = chunk;
            cache->n_spare++;
        } else {
            free(chunk);
        }
    }
    if (cache->slots) {
        memset(cache->slots, 0, cache->n_slots * sizeof(struct slot));
    }
    memset(cache->n_by_table, 0, cache->n_tables * sizeof(*cache->n_by_table));
    cache->n_rows = 0;
    cache->bytes = 0;
}

size_t cb_cache_bytes(const struct cb_cache *cache) {
    return cache->bytes + cache->n_rows * PLACES_BYTES;
}

size_t cb_cache_rows(const struct cb_cache *cache, unsigned table) {
    return cache->n_by_table[table];
}

/* Memory for a row or its value, aligned for either. */
static void *take(struct cb_cache *cache, size_t len) {
    len = (len + 15) & ~(size_t)15;
    struct chunk *chunk = cache->chunks;
    if (!chunk || chunk->size - chunk->used < len) {
        if (cache->spare && len <= CHUNK_BYTES) {
            chunk = cache->spare;
            cache->spare = chunk->next;
            cache->n_spare--;
        } else {
            size_t size = len > CHUNK_BYTES ? len : CHUNK_BYTES;
            chunk = malloc(sizeof(*chunk) + size);
            if (!chunk) {
                return NULL;
            }
            chunk->size = size;
        }
        chunk->used = 0;
        chunk->next = cache->chunks;
        cache->chunks = chunk;
    }
    void *p = chunk->bytes + chunk->used;
    chunk->used += len;
    cache->bytes += len;
    return p;
}

/* ---- finding ---- */

static uint64_t word_at(const uint8_t *p, size_t len) {
    uint64_t word = 0;
    memcpy(&word, p, len < WORD_BYTES ? len : WORD_BYTES);
    return word;
}

static uint64_t mix(uint64_t a, uint64_t b) {
    __extension__ const unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Products with a secret, eight bytes at a time: pages choose what is in keys, but see neither the
 * secret nor a hash, so they cannot choose what meets in a slot. Several times cheaper than
 * SipHash, which counts: an event looks up some forty rows. */
static uint64_t hash_of(const struct cb_cache *cache, unsigned table, const struct cb_key *key) {
    uint64_t hash = cache->secret[0] ^ ((uint64_t)table << 8 | key->len);
    if (key->len < WORD_BYTES) {
        return mix(hash ^ word_at(key->bytes, key->len), cache->secret[2]);
    }
    for (size_t at = 0; at + WORD_BYTES < key->len; at += WORD_BYTES) {
        hash = mix(hash ^ word_at(key->bytes + at, WORD_BYTES), cache->secret[1]);
    }
    return mix(hash ^ word_at(key->bytes + key->len - WORD_BYTES, WORD_BYTES), cache->secret[2]);
}

static bool is_row(const struct cb_row *row, unsigned table, const struct cb_key *key) {
    return row->table == table && row->key_len == key->len &&
           memcmp(row->key, key->bytes, key->len) == 0;
}

struct cb_row *cb_cache_find_hashed(const struct cb_cache *cache, unsigned table,
                                    const struct cb_key *key, uint64_t hash) {
    if (cache->n_slots == 0) {
        return NULL;
    }
    const size_t mask = cache->n_slots - 1;
    for (size_t at = (size_t)hash & mask; cache->slots[at].row; at = (at + 1) & mask) {
        const struct slot *slot = &cache->slots[at];
        if (slot->hash == hash && is_row(slot->row, table, key)) {
            return slot->row;
        }
    }
    return NULL;
}

struct cb_row *cb_cache_find(const struct cb_cache *cache, unsigned table, const struct cb_key *key,
                             uint64_t *hash) {
    *hash = hash_of(cache, table, key);
    return cb_cache_find_hashed(cache, table, key, *hash);
}

/* ---- adding ---- */

static void put_slot(struct cb_cache *cache, struct slot slot) {
    const size_t mask = cache->n_slots - 1;
    size_t at = (size_t)slot.hash & mask;
    while (cache->slots[at].row) {
        at = (at + 1) & mask;
    }
    cache->slots[at] = slot;
}

static int grow_slots(struct cb_cache *cache) {
    struct slot *before = cache->slots;
    size_t n_before = cache->n_slots, n = n_before ? n_before * 2 : SLOTS_MIN;
    struct slot *slots = calloc(n, sizeof(*slots));
    if (!slots) {
        return CB_ENOMEM;
    }
    cache->slots = slots;
    cache->n_slots = n;
    for (size_t i = 0; i < n_before; i++) {
        if (before[i].row) {
            put_slot(cache, before[i]);
        }
    }
    free(before);
    return 0;
}

static int grow_rows(struct cb_cache *cache) {
    size_t cap = cache->rows_cap ? cache->rows_cap * 2 : SLOTS_MIN;
    struct cb_row **rows = realloc(cache->rows, cap * sizeof(struct cb_row *));
    if (!rows) {
        return CB_ENOMEM;
    }
    cache->rows = rows;
    cache->rows_cap = cap;
    return 0;
}

int cb_cache_add(struct cb_cache *cache, unsigned table, const struct cb_key *key, uint64_t hash,
                 struct cb_str value, bool stored, struct cb_row **out) {
    int rc = cache->n_rows >= cache->n_slots / 2 ? grow_slots(cache) : 0;
    rc = rc == 0 && cache->n_rows == cache->rows_cap ? grow_rows(cache) : rc;
    if (rc != 0) {
        return rc;
    }
    struct cb_row *row = take(cache, sizeof(*row) + key->len);
    if (!row) {
        return CB_ENOMEM;
    }
    *row = (struct cb_row){.table = (uint8_t)table, .stored = stored, .key_len = key->len};
    memcpy(row->key, key->bytes, key->len);
    if (value.len > 0) {
        const size_t cap = value.len + value.len / SLACK_PART;
        row->data = take(cache, cap);
        if (!row->data) {
            return CB_ENOMEM;
        }
        memcpy(row->data, value.p, value.len);
        row->len = (uint32_t)value.len;
        row->cap = (uint32_t)cap;
    }
    put_slot(cache, (struct slot){hash, row});
    cache->rows[cache->n_rows++] = row;
    cache->n_by_table[table]++;
    *out = row;
    return 0;
}

int cb_cache_resize(struct cb_cache *cache, struct cb_row *row, size_t len) {
    if (len > row->cap) {
        size_t cap = row->cap ? (size_t)row->cap * 2 : 16;
        cap = cap < len ? len : cap;
        uint8_t *data = take(cache, cap);
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

/* ---- in order ---- */

/* A changed row with the first bytes of its key as a number, which decides nearly always. */
struct place {
    uint64_t first;
    const struct cb_row *row;
};

static int compare(const void *a, const void *b) {
    const struct place *left = a, *right = b;
    if (left->first != right->first) {
        return left->first < right->first ? -1 : 1;
    }
    size_t left_len = left->row->key_len, right_len = right->row->key_len;
    int order =
        memcmp(left->row->key, right->row->key, left_len < right_len ? left_len : right_len);
    return order != 0 ? order : (left_len > right_len) - (left_len < right_len);
}

/* Puts the changed rows into places, those of a table together; ends[t] is where table t ends. */
static void spread(const struct cb_cache *cache, struct place *places, size_t *ends) {
    for (size_t i = 0; i < cache->n_rows; i++) {
        if (cache->rows[i]->dirty) {
            ends[cache->rows[i]->table + 1]++;
        }
    }
    for (unsigned table = 0; table < cache->n_tables; table++) {
        ends[table + 1] += ends[table];
    }
    for (size_t i = 0; i < cache->n_rows; i++) {
        const struct cb_row *row = cache->rows[i];
        if (row->dirty) {
            uint64_t first = __builtin_bswap64(word_at(row->key, row->key_len));
            places[ends[row->table]++] = (struct place){first, row};
        }
    }
}

int cb_cache_changed(const struct cb_cache *cache,
                     int (*each)(void *user, const struct cb_row *row), void *user) {
    struct place *places = malloc((cache->n_rows + 1) * sizeof(*places));
    size_t *ends = calloc((size_t)cache->n_tables + 1, sizeof(*ends));
    int rc = places && ends ? 0 : CB_ENOMEM;
    if (rc == 0) {
        spread(cache, places, ends);
        size_t begin = 0;
        for (unsigned table = 0; rc == 0 && table < cache->n_tables; table++) {
            qsort(places + begin, ends[table] - begin, sizeof(*places), compare);
            for (size_t i = begin; rc == 0 && i < ends[table]; i++) {
                rc = each(user, places[i].row);
            }
            begin = ends[table];
        }
    }
    free(places);
    free(ends);
    return rc;
}
