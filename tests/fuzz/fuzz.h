/* SPDX-License-Identifier: MIT
 * fuzz.h: what the fuzz targets share: the entry that libFuzzer and replay.c call, a check that no
 * build leaves out, and a digest to compare two readings of the same bytes. */
#ifndef CB_TESTS_FUZZ_FUZZ_H
#define CB_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/buf.h"

/* One input. Any byte string must be survived; a broken promise ends the process. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#define FUZZ_DIGEST_START UINT64_C(14695981039346656037)

/* FNV-1a over bytes, with their number, so that "ab","c" is not "a","bc". */
static inline void fuzz_digest(uint64_t *digest, const void *data, size_t len) {
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        *digest = (*digest ^ p[i]) * UINT64_C(1099511628211);
    *digest = (*digest ^ len) * UINT64_C(1099511628211);
}

static inline void fuzz_digest_str(uint64_t *digest, struct cb_str s) {
    fuzz_digest(digest, s.p, s.len);
}

static inline void fuzz_digest_u64(uint64_t *digest, uint64_t value) {
    fuzz_digest(digest, &value, sizeof value);
}

/* A generator whose start is the digest of the input: a crasher does the same again. */
static inline uint64_t fuzz_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * UINT64_C(2685821657736338717);
}

#endif
