/* SPDX-License-Identifier: MIT
 * varint.h: small numbers in few bytes: 7 bits a byte, the low ones first, bit 7 for "more
 * follows"; one form for each number. Pure. */
#ifndef CB_STORE_VARINT_H
#define CB_STORE_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CB_VARINT_BYTES = 10 };

/* Returns the bytes written, CB_VARINT_BYTES at most. */
static inline size_t cb_varint_put(uint8_t *p, uint64_t v) {
    size_t n = 0;
    for (; v > 0x7f; v >>= 7) {
        p[n++] = (uint8_t)(v & 0x7f) | 0x80;
    }
    p[n++] = (uint8_t)v;
    return n;
}

/* Takes one from *p, which moves on. False where it does not end before end, or says more than 64
 * bits. */
static inline bool cb_varint_take(const uint8_t **p, const uint8_t *end, uint64_t *v) {
    *v = 0;
    for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t byte = *(*p)++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        *v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            return true;
        }
    }
    return false;
}

#endif
