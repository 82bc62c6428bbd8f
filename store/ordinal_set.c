/* SPDX-License-Identifier: MIT */
#include "store/ordinal_set.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static int list_to_bitmap(struct cb_views *views, struct cb_row *row, size_t head) {
    uint8_t bitmap[CB_ORDINAL_SET_BYTES] = {0};
    for (size_t at = head; at < row->len; at += 2) {
        uint16_t offset = cb_be16_get(row->data + at);
        bitmap[offset / 8 % CB_ORDINAL_SET_BYTES] |= (uint8_t)(1u << offset % 8);
    }
    int rc = cb_row_resize(views, row, head + sizeof(bitmap));
    if (rc == 0) {
        memcpy(row->data + head, bitmap, sizeof(bitmap));
    }
    return rc;
}

size_t cb_u16_list_find(const uint8_t *list, size_t n, uint16_t value) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cb_be16_get(list + 2 * middle) < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int cb_u16_list_insert(struct cb_views *views, struct cb_row *row, size_t at, uint16_t value) {
    size_t behind = row->len - at;
    int rc = cb_row_resize(views, row, row->len + 2);
    if (rc == 0) {
        memmove(row->data + at + 2, row->data + at, behind);
        cb_be16_put(row->data + at, value);
    }
    return rc;
}

int cb_ordinal_set_add_behind(struct cb_views *views, struct cb_row *row, size_t head,
                              uint16_t offset) {
    if (row->len - head != CB_ORDINAL_SET_BYTES) {
        size_t n = (row->len - head) / 2, at = 0;
        if (n > 0) {
            at = cb_u16_list_find(row->data + head, n, offset);
        }
        if (at < n && cb_be16_get(row->data + head + 2 * at) == offset) {
            return 0;
        }
        if (n < CB_ORDINAL_SET_LIST_MAX) {
            return cb_u16_list_insert(views, row, head + 2 * at, offset);
        }
        int rc = list_to_bitmap(views, row, head);
        if (rc != 0) {
            return rc;
        }
    }
    uint8_t *byte = row->data + head + offset / 8, bit = (uint8_t)(1u << offset % 8);
    if (!(*byte & bit)) {
        *byte |= bit;
        cb_row_touch(row);
    }
    return 0;
}

static int bitmap_to_list(struct cb_views *views, struct cb_row *row) {
    uint8_t list[2 * CB_ORDINAL_SET_LIST_AGAIN];
    size_t len = 0;
    for (uint16_t offset = 0; offset < 8 * CB_ORDINAL_SET_BYTES; offset++) {
        if (row->data[offset / 8] >> offset % 8 & 1) {
            cb_be16_put(list + len, offset);
            len += 2;
        }
    }
    int rc = cb_row_resize(views, row, len);
    if (rc == 0) {
        memcpy(row->data, list, len);
    }
    return rc;
}

int cb_ordinal_set_remove(struct cb_views *views, struct cb_row *row, uint16_t offset) {
    if (row->len == CB_ORDINAL_SET_BYTES) {
        uint8_t *byte = row->data + offset / 8, bit = (uint8_t)(1u << offset % 8);
        if (!(*byte & bit)) {
            return 0;
        }
        *byte &= (uint8_t)~bit;
        cb_row_touch(row);
        return cb_bits_count(row->data, CB_ORDINAL_SET_WORDS) <= CB_ORDINAL_SET_LIST_AGAIN
                   ? bitmap_to_list(views, row)
                   : 0;
    }
    const size_t n = row->len / 2, at = n > 0 ? cb_u16_list_find(row->data, n, offset) : 0;
    if (at == n || cb_be16_get(row->data + 2 * at) != offset) {
        return 0;
    }
    memmove(row->data + 2 * at, row->data + 2 * (at + 1), 2 * (n - at - 1));
    return cb_row_resize(views, row, 2 * (n - 1));
}

static bool is_list(struct cb_str value) {
    return value.len % 2 == 0 && value.len / 2 <= CB_ORDINAL_SET_LIST_MAX;
}

/* A whole bitmap at once: this is where a report over many busy days spends its time. */
static void or_words(uint64_t *restrict words, const uint8_t *restrict p) {
    for (size_t w = 0; w < CB_ORDINAL_SET_WORDS; w++) {
        uint64_t word; /* bit n of byte n / 8: little-endian */
        memcpy(&word, p + 8 * w, sizeof(word));
        words[w] |= word;
    }
}

/* Four at a time, and what lies behind the bitmap is told afterwards: reports over lists spend
 * their time here. */
static int or_list(const uint8_t *p, size_t len, uint64_t *words, size_t n) {
    const uint64_t behind = ~UINT64_C(0x1fff1fff1fff1fff); /* no offset has these bits */
    uint64_t any = 0;
    size_t i = 0;
    if (n >= CB_ORDINAL_SET_WORDS) {
        for (; i + 4 <= len; i += 4) {
            const uint64_t four = cb_be64_get(p + 2 * i);
            for (unsigned k = 0; k < 64; k += 16) {
                const unsigned offset = (uint16_t)(four >> k);
                words[offset / 64 % CB_ORDINAL_SET_WORDS] |= UINT64_C(1) << offset % 64;
            }
            any |= four & behind;
        }
    }
    if (any != 0) {
        return CB_ECORRUPT;
    }
    n = n < CB_ORDINAL_SET_WORDS ? n : CB_ORDINAL_SET_WORDS;
    for (; i < len; i++) {
        const unsigned offset = cb_be16_get(p + 2 * i);
        if (offset / 64 >= n) {
            return CB_ECORRUPT;
        }
        words[offset / 64] |= UINT64_C(1) << offset % 64;
    }
    return 0;
}

int cb_ordinal_set_or(struct cb_str value, uint64_t *words, size_t n) {
    const uint8_t *p = (const uint8_t *)value.p;
    if (value.len == CB_ORDINAL_SET_BYTES) {
        if (n >= CB_ORDINAL_SET_WORDS) {
            or_words(words, p);
            return 0;
        }
        for (size_t w = 0; w < CB_ORDINAL_SET_WORDS; w++) {
            uint64_t word;
            memcpy(&word, p + 8 * w, sizeof(word));
            if (w < n) {
                words[w] |= word;
            } else if (word != 0) {
                return CB_ECORRUPT;
            }
        }
        return 0;
    }
    return is_list(value) ? or_list(p, value.len / 2, words, n) : CB_ECORRUPT;
}

/* The highest bit below; one at a time, so that a page of a list reads no more than it shows. */
static int bit_below(const uint8_t *p, uint32_t below, uint16_t *offset) {
    for (uint32_t w = (below + 63) / 64; w > 0; w--) {
        uint64_t word;
        memcpy(&word, p + (size_t)8 * (w - 1), sizeof(word));
        if (below < 64 * w) {
            word &= (UINT64_C(1) << below % 64) - 1;
        }
        if (word != 0) {
            *offset = (uint16_t)(64 * w - 1 - (unsigned)__builtin_clzll(word));
            return 0;
        }
    }
    return CB_ENOENT;
}

int cb_ordinal_set_below(struct cb_str value, uint32_t below, uint16_t *offset) {
    const uint8_t *p = (const uint8_t *)value.p;
    below = below < 8 * CB_ORDINAL_SET_BYTES ? below : 8 * CB_ORDINAL_SET_BYTES;
    if (value.len == CB_ORDINAL_SET_BYTES) {
        return bit_below(p, below, offset);
    }
    if (!is_list(value) || value.len == 0) {
        return CB_ECORRUPT;
    }
    size_t at = cb_u16_list_find(p, value.len / 2, (uint16_t)below);
    if (at == 0) {
        return CB_ENOENT;
    }
    *offset = cb_be16_get(p + 2 * (at - 1));
    return *offset < below ? 0 : CB_ECORRUPT;
}

int cb_ordinal_set_count(struct cb_str value, uint64_t *n) {
    if (value.len == CB_ORDINAL_SET_BYTES) {
        *n += cb_bits_count(value.p, CB_ORDINAL_SET_WORDS);
        return 0;
    }
    *n += value.len / 2; /* of a list nothing is read */
    return is_list(value) ? 0 : CB_ECORRUPT;
}

/* ---- bits ---- */

/* b NULL: all of a. Inlined into each of the two below, so that one has the instruction. */
static inline __attribute__((always_inline)) uint64_t count_bits(const uint8_t *a,
                                                                 const uint64_t *b, size_t n) {
    uint64_t sum = 0;
    for (size_t w = 0; w < n; w++) {
        uint64_t word;
        memcpy(&word, a + 8 * w, sizeof(word));
        sum += (unsigned)__builtin_popcountll(b ? word & b[w] : word);
    }
    return sum;
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) static uint64_t count_hardware(const uint8_t *a,
                                                                 const uint64_t *b, size_t n) {
    return b ? count_bits(a, b, n) : count_bits(a, NULL, n);
}

/* Eight words at a time. */
__attribute__((target("avx512f,avx512vpopcntdq,popcnt"))) static uint64_t
count_vectors(const uint8_t *a, const uint64_t *b, size_t n) {
    __m512i sums = _mm512_setzero_si512();
    size_t w = 0;
    for (; w + 8 <= n; w += 8) {
        __m512i words = _mm512_loadu_si512(a + 8 * w);
        if (b) {
            words = _mm512_and_si512(words, _mm512_loadu_si512(b + w));
        }
        sums = _mm512_add_epi64(sums, _mm512_popcnt_epi64(words));
    }
    return (uint64_t)_mm512_reduce_add_epi64(sums) + count_bits(a + 8 * w, b ? b + w : NULL, n - w);
}

static uint64_t count(const uint8_t *a, const uint64_t *b, size_t n) {
    return __builtin_cpu_supports("avx512vpopcntdq") ? count_vectors(a, b, n)
           : __builtin_cpu_supports("popcnt")        ? count_hardware(a, b, n)
                                                     : count_bits(a, b, n);
}
#else
static uint64_t count(const uint8_t *a, const uint64_t *b, size_t n) {
    return count_bits(a, b, n);
}
#endif

uint64_t cb_bits_count(const void *p, size_t n) {
    return count(p, NULL, n);
}

uint64_t cb_bits_count_both(const uint64_t *a, const uint64_t *b, size_t n) {
    return count((const uint8_t *)a, b, n);
}
