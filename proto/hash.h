/* SPDX-License-Identifier: MIT
 * hash.h: a fast hash of bytes, for small tables in which whoever falls on another replaces it and
 * everything found is compared whole. It has no key, so who chooses the bytes chooses the hash:
 * never for chains. Any thread. */
#ifndef CB_PROTO_HASH_H
#define CB_PROTO_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t cb_hash_step(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/* Goes on with a hash (0 to begin). */
static inline uint64_t cb_hash_bytes(uint64_t hash, const char *p, size_t len) {
    uint64_t word;
    for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        hash = cb_hash_step(hash, word);
    }
    word = 0;
    memcpy(&word, p, len);
    return cb_hash_step(hash, word ^ (uint64_t)len << 56);
}

#endif
