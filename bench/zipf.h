/* SPDX-License-Identifier: MIT
 * zipf.h: numbers 0 … n-1 of which the first come most often: number k as 1/(k+1) (Zipf's law), as
 * the pages of a site and the sites of a service do; and the random numbers that everything here is
 * drawn from.
 *
 * Pure, and the same for the same seed on each machine. */
#ifndef CB_BENCH_ZIPF_H
#define CB_BENCH_ZIPF_H

#include <stdint.h>

#include "proto/err.h"

enum { CB_ZIPF_MAX = 100000 };

struct cb_zipf {
    unsigned n;
    uint64_t *ends; /* number k is for what lies below ends[k] and not below ends[k-1] */
};

/* Errors: CB_EINVAL (n of 0 or over the maximum), CB_ENOMEM. */
CB_MUST_USE int cb_zipf_init(struct cb_zipf *zipf, unsigned n);
void cb_zipf_fini(struct cb_zipf *zipf);
/* Any thread, also several at once. random: 64 even bits. */
unsigned cb_zipf_pick(const struct cb_zipf *zipf, uint64_t random);

/* A bijection that leaves no pattern (the finisher of SplitMix64): numbers in a row become random
 * ones. */
static inline uint64_t cb_random_mix(uint64_t x) {
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The next number of a stream (SplitMix64). */
static inline uint64_t cb_random_next(uint64_t *state) {
    return cb_random_mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

/* A number below n out of 64 random bits. */
static inline uint64_t cb_random_below(uint64_t random, uint64_t n) {
    return (uint64_t)((unsigned __int128)random * n >> 64);
}

#endif
