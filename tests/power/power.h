/* SPDX-License-Identifier: MIT
 * power.h: what the driver, the rebuilder and the checker share. */
#ifndef CB_TESTS_POWER_POWER_H
#define CB_TESTS_POWER_POWER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "tests/power/log.h"

enum { POWER_MAP_BYTES = 32 * 1024 * 1024 };

#define POWER_T0_MS INT64_C(1767225600000)              /* 2026-01-01T00:00:00Z */
#define POWER_SENDER UINT64_C(0x1122334455660000)       /* the driver's senders: this and above */
#define POWER_SENDER_AFTER UINT64_C(0x77bb000000000000) /* of frames sent after a crash */

/* A generator of our own (splitmix64), so that a seed means the same everywhere. */
static inline uint64_t power_random(uint64_t *seed) {
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Zeroed memory that forked children share; NULL on error. */
static inline void *power_shared(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

#endif
