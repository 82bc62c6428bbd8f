/* SPDX-License-Identifier: MIT */
#include "store/ordinals.h"

#include <stdlib.h>

#include "store/ordinal_list.h"
#include "store/rows.h"

enum {
    CHUNKS_MIN = 16,
    NUMBER_MAX = UINT32_MAX >> CB_ORDINAL_SET_BITS,
    ALL_QUARTERS = (1 << CB_HOUR_QUARTERS) - 1,
    HOUR_CHUNKS = 1 << (CB_ORDINAL_SET_BITS - CB_HOUR_CHUNK_BITS), /* of a chunk here */
};

void cb_ordinals_init(struct cb_ordinals *set) {
    *set = (struct cb_ordinals){0};
}

void cb_ordinals_fini(struct cb_ordinals *set) {
    for (size_t i = 0; i < set->cap; i++) {
        free(set->chunks[i]);
    }
    free(set->chunks);
    free(set->places);
    cb_ordinals_init(set);
}

void cb_ordinals_clear(struct cb_ordinals *set) {
    for (size_t i = 0; i < set->n; i++) {
        set->places[set->chunks[i]->number] = 0;
    }
    set->n = 0;
}

static int grow_places(struct cb_ordinals *set, uint32_t number) {
    size_t n = set->n_places ? set->n_places : CHUNKS_MIN;
    while (n <= number) {
        n *= 2;
    }
    uint32_t *places = realloc(set->places, n * sizeof(*places));
    if (!places) {
        return CB_ENOMEM;
    }
    memset(places + set->n_places, 0, (n - set->n_places) * sizeof(*places));
    set->places = places;
    set->n_places = n;
    return 0;
}

static int grow_chunks(struct cb_ordinals *set) {
    size_t cap = set->cap ? set->cap * 2 : CHUNKS_MIN;
    struct cb_ordinals_chunk **chunks = realloc(set->chunks, cap * sizeof(*chunks));
    if (!chunks) {
        return CB_ENOMEM;
    }
    memset(chunks + set->cap, 0, (cap - set->cap) * sizeof(*chunks));
    set->chunks = chunks;
    set->cap = cap;
    return 0;
}

/* The chunk of a number; an empty one where it was not touched yet. */
static int touch(struct cb_ordinals *set, uint32_t number, struct cb_ordinals_chunk **out) {
    if (number > NUMBER_MAX) {
        return CB_ECORRUPT;
    }
    int rc = number < set->n_places ? 0 : grow_places(set, number);
    if (rc == 0 && set->places[number] > 0) {
        *out = set->chunks[set->places[number] - 1];
        return 0;
    }
    if (rc == 0 && set->n == set->cap) {
        rc = grow_chunks(set);
    }
    if (rc != 0) {
        return rc;
    }
    struct cb_ordinals_chunk **chunk = &set->chunks[set->n];
    if (!*chunk) {
        *chunk = malloc(sizeof(**chunk));
        if (!*chunk) {
            return CB_ENOMEM;
        }
    }
    (*chunk)->number = number;
    memset((*chunk)->words, 0, sizeof((*chunk)->words));
    set->places[number] = (uint32_t)++set->n;
    *out = *chunk;
    return 0;
}

int cb_ordinals_add(struct cb_ordinals *set, uint32_t number, struct cb_str chunk) {
    struct cb_ordinals_chunk *touched;
    int rc = touch(set, number, &touched);
    return rc == 0 ? cb_ordinal_set_or(chunk, touched->words, CB_ORDINAL_SET_WORDS) : rc;
}

enum { PLANE_WORDS = CB_HOUR_PLANE_BYTES / 8 };

static void or_planes(uint64_t *words, const uint8_t *planes, unsigned mask) {
    for (unsigned quarter = 0; quarter < CB_HOUR_QUARTERS; quarter++) {
        for (unsigned w = 0; mask >> quarter & 1 && w < PLANE_WORDS; w++) {
            uint64_t word; /* as in ordinal_set.c */
            memcpy(&word, planes + quarter * CB_HOUR_PLANE_BYTES + 8 * w, sizeof(word));
            words[w] |= word;
        }
    }
}

static bool is_hour(struct cb_str chunk) {
    return chunk.len == CB_HOUR_BITMAP_BYTES ||
           (chunk.len % 2 == 0 && chunk.len / 2 <= CB_HOUR_LIST_MAX);
}

static int add_hour_list(struct cb_ordinals *set, uint32_t number, struct cb_str list,
                         unsigned mask) {
    const uint8_t *p = (const uint8_t *)list.p;
    struct cb_ordinals_chunk *touched = NULL;
    size_t n;
    int rc = number < 1u << (32 - CB_HOUR_LIST_BITS) ? cb_ordinal_list_read(list, &n) : CB_ECORRUPT;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const uint32_t entry = cb_ordinal_list_entry(p, i);
        const uint32_t ordinal = number << CB_HOUR_LIST_BITS | entry >> CB_HOUR_QUARTERS;
        if (!(entry & mask)) {
            continue;
        }
        if (!touched || touched->number != cb_ordinal_set_chunk(ordinal)) {
            rc = touch(set, cb_ordinal_set_chunk(ordinal), &touched);
        }
        if (rc == 0) {
            const unsigned offset = cb_ordinal_set_offset(ordinal);
            touched->words[offset / 64] |= UINT64_C(1) << offset % 64;
        }
    }
    return rc;
}

static int add_hour_chunk(struct cb_ordinals *set, uint32_t number, struct cb_str chunk,
                          unsigned mask) {
    const uint8_t *p = (const uint8_t *)chunk.p;
    struct cb_ordinals_chunk *touched;
    if (!is_hour(chunk)) {
        return CB_ECORRUPT;
    }
    int rc = touch(set, number / HOUR_CHUNKS, &touched);
    if (rc != 0) {
        return rc;
    }
    uint64_t *words = touched->words + number % HOUR_CHUNKS * PLANE_WORDS;
    if (chunk.len == CB_HOUR_BITMAP_BYTES) {
        or_planes(words, p, mask);
        return 0;
    }
    for (size_t i = 0; i < chunk.len / 2; i++) {
        uint16_t entry = cb_be16_get(p + 2 * i);
        unsigned offset = entry >> CB_HOUR_QUARTERS & ((1u << CB_HOUR_CHUNK_BITS) - 1);
        if (entry & mask) {
            words[offset / 64] |= UINT64_C(1) << offset % 64;
        }
    }
    return 0;
}

int cb_ordinals_add_hour(struct cb_ordinals *set, uint32_t number, struct cb_str row,
                         unsigned mask) {
    return number & CB_ORDINAL_CHUNKS ? add_hour_chunk(set, number & ~CB_ORDINAL_CHUNKS, row, mask)
                                      : add_hour_list(set, number, row, mask);
}

/* ---- counting ---- */

static int count_hour_list(struct cb_str list, unsigned mask, uint64_t *n) {
    size_t entries;
    int rc = cb_ordinal_list_read(list, &entries);
    if (rc == 0 && mask == ALL_QUARTERS) {
        *n += entries; /* each was there in one of them */
        return 0;
    }
    for (size_t i = 0; rc == 0 && i < entries; i++) {
        *n += (cb_ordinal_list_entry((const uint8_t *)list.p, i) & mask) != 0;
    }
    return rc;
}

static int count_hour_chunk(struct cb_str chunk, unsigned mask, uint64_t *n) {
    const uint8_t *p = (const uint8_t *)chunk.p;
    if (!is_hour(chunk)) {
        return CB_ECORRUPT;
    }
    if (chunk.len == CB_HOUR_BITMAP_BYTES) {
        uint64_t words[PLANE_WORDS] = {0};
        or_planes(words, p, mask);
        *n += cb_bits_count(words, PLANE_WORDS);
    } else if (mask == ALL_QUARTERS) {
        *n += chunk.len / 2;
    } else {
        for (size_t i = 0; i < chunk.len; i += 2) {
            *n += (cb_be16_get(p + i) & mask) != 0;
        }
    }
    return 0;
}

int cb_ordinals_count_hour(uint32_t number, struct cb_str row, unsigned mask, uint64_t *n) {
    return number & CB_ORDINAL_CHUNKS ? count_hour_chunk(row, mask, n)
                                      : count_hour_list(row, mask, n);
}

uint64_t cb_ordinals_count(const struct cb_ordinals *set) {
    uint64_t n = 0;
    for (size_t i = 0; i < set->n; i++) {
        n += cb_bits_count(set->chunks[i]->words, CB_ORDINAL_SET_WORDS);
    }
    return n;
}

uint64_t cb_ordinals_count_both(const struct cb_ordinals *a, const struct cb_ordinals *b) {
    uint64_t n = 0;
    for (size_t i = 0; i < a->n; i++) {
        uint32_t number = a->chunks[i]->number;
        if (number < b->n_places && b->places[number] > 0) {
            n += cb_bits_count_both(a->chunks[i]->words, b->chunks[b->places[number] - 1]->words,
                                    CB_ORDINAL_SET_WORDS);
        }
    }
    return n;
}
