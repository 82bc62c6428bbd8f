/* SPDX-License-Identifier: MIT */
#include "store/dim_gather.h"

#include <sodium.h>
#include <stdlib.h>

enum {
    SLOTS_MIN = 1024,
    GROWN_MIN = 256,
    KEPT_MAX = 1 << 17,     /* items whose memory is kept from batch to batch */
    PAIR_FLUSH_BYTES = 512, /* rows of a pair, about: that of its value, and a part of a chunk */
};

_Static_assert(sizeof(((struct cb_dim_gather *)0)->key) == crypto_shorthash_KEYBYTES,
               "the key of the hash has another size");

int cb_dim_gather_create(struct cb_dim_gather **out) {
    *out = calloc(1, sizeof(**out));
    if (!*out) {
        return CB_ENOMEM;
    }
    crypto_shorthash_keygen((*out)->key);
    return 0;
}

static void release(struct cb_dim_gather *gather) {
    free(gather->pairs);
    free(gather->counts);
    free(gather->texts);
    free(gather->slots);
    gather->pairs = NULL;
    gather->counts = NULL;
    gather->texts = NULL;
    gather->slots = NULL;
    gather->pairs_cap = gather->counts_cap = gather->texts_cap = gather->n_slots = 0;
}

void cb_dim_gather_destroy(struct cb_dim_gather **gather) {
    if (*gather) {
        release(*gather);
        free(*gather);
        *gather = NULL;
    }
}

void cb_dim_gather_clear(struct cb_dim_gather *gather) {
    if (gather->counts_cap > KEPT_MAX || gather->pairs_cap > KEPT_MAX) {
        release(gather);
    }
    if (gather->n_pairs > 0 && gather->slots) {
        memset(gather->slots, 0, gather->n_slots * sizeof(*gather->slots));
    }
    gather->n_pairs = gather->n_counts = gather->texts_len = 0;
    memset(gather->last, 0, sizeof(gather->last));
}

/* Makes room for one more of size bytes, or for more of bytes. */
static int grow(void *items, size_t *cap, size_t need, size_t size) {
    if (need <= *cap) {
        return 0;
    }
    size_t n = *cap ? *cap * 2 : GROWN_MIN;
    n = n < need ? need : n;
    void *grown = realloc(*(void **)items, n * size);
    if (!grown) {
        return CB_ENOMEM;
    }
    *(void **)items = grown;
    *cap = n;
    return 0;
}

static bool is_pair(const struct cb_dim_gather *gather, const struct cb_dim_pair *pair,
                    const struct cb_dim_pair *want, struct cb_str text) {
    return pair->site == want->site && pair->day == want->day && pair->kind == want->kind &&
           cb_str_eq(cb_dim_gather_text(gather, pair), text);
}

static uint64_t hash_of(const struct cb_dim_gather *gather, const struct cb_dim_pair *pair,
                        struct cb_str text) {
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)text.p, text.len, gather->key);
    /* The rest is not for pages to choose. */
    hash ^= ((uint64_t)pair->site << 32 | (uint32_t)pair->day) * UINT64_C(0x9e3779b97f4a7c15);
    return (hash + pair->kind) * UINT64_C(0xd6e8feb86659fd93);
}

static int grow_slots(struct cb_dim_gather *gather) {
    size_t n = gather->n_slots ? gather->n_slots * 2 : SLOTS_MIN;
    uint32_t *slots = calloc(n, sizeof(*slots));
    if (!slots) {
        return CB_ENOMEM;
    }
    for (size_t i = 0; i < gather->n_pairs; i++) {
        size_t slot = (size_t)(gather->pairs[i].hash >> 20) & (n - 1);
        while (slots[slot] != 0) {
            slot = (slot + 1) & (n - 1);
        }
        slots[slot] = (uint32_t)i + 1;
    }
    free(gather->slots);
    gather->slots = slots;
    gather->n_slots = n;
    return 0;
}

static int find_by_hash(struct cb_dim_gather *gather, struct cb_dim_pair *want, struct cb_str text,
                        uint32_t *index) {
    want->hash = hash_of(gather, want, text);
    if (gather->n_pairs >= gather->n_slots / 2) {
        int rc = grow_slots(gather);
        if (rc != 0) {
            return rc;
        }
    }
    size_t slot = (size_t)(want->hash >> 20) & (gather->n_slots - 1);
    for (; gather->slots[slot] != 0; slot = (slot + 1) & (gather->n_slots - 1)) {
        *index = gather->slots[slot] - 1;
        if (gather->pairs[*index].hash == want->hash &&
            is_pair(gather, &gather->pairs[*index], want, text)) {
            return 0;
        }
    }
    int rc = grow(&gather->pairs, &gather->pairs_cap, gather->n_pairs + 1, sizeof(*want));
    if (rc == 0) {
        rc = grow(&gather->texts, &gather->texts_cap, gather->texts_len + text.len, 1);
    }
    if (rc != 0) {
        return rc;
    }
    want->text_at = (uint32_t)gather->texts_len;
    want->text_len = (uint32_t)text.len;
    memcpy(gather->texts + gather->texts_len, text.p, text.len);
    gather->texts_len += text.len;
    *index = (uint32_t)gather->n_pairs;
    gather->pairs[gather->n_pairs++] = *want;
    gather->slots[slot] = *index + 1;
    return 0;
}

/* What the event before had of the kind, mostly: its sender is the same, and the page often. */
static int find_pair(struct cb_dim_gather *gather, struct cb_dim_pair *want, struct cb_str text,
                     uint32_t *index) {
    uint32_t *last = &gather->last[want->kind];
    if (*last > 0 && is_pair(gather, &gather->pairs[*last - 1], want, text)) {
        *index = *last - 1;
        return 0;
    }
    int rc = find_by_hash(gather, want, text, index);
    *last = rc == 0 ? *index + 1 : 0;
    return rc;
}

int cb_dim_gather_add(struct cb_dim_gather *gather, uint32_t site, int32_t day, unsigned kind,
                      struct cb_str text, uint32_t name_id, uint32_t ordinal) {
    struct cb_dim_pair want = {.site = site, .day = day, .kind = kind};
    struct cb_dim_count count = {.name_id = name_id, .ordinal = ordinal};
    int rc = find_pair(gather, &want, text, &count.pair);
    if (rc == 0) {
        rc = grow(&gather->counts, &gather->counts_cap, gather->n_counts + 1, sizeof(count));
    }
    if (rc == 0) {
        gather->counts[gather->n_counts++] = count;
    }
    return rc;
}

size_t cb_dim_gather_bytes(const struct cb_dim_gather *gather) {
    return gather->n_counts * sizeof(*gather->counts) +
           gather->n_pairs * (sizeof(*gather->pairs) + PAIR_FLUSH_BYTES) + gather->texts_len;
}
