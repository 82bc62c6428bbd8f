/* SPDX-License-Identifier: MIT */
#include "bench/latency.h"

enum { SUB = 1 << CB_LATENCY_SUB_BITS };

/* Values below 2·SUB have a bucket each; above, the top SUB_BITS+1 bits choose it. */
static unsigned bucket_of(uint64_t us) {
    if (us < 2 * SUB)
        return (unsigned)us;
    unsigned shift = 63 - (unsigned)__builtin_clzll(us) - CB_LATENCY_SUB_BITS;
    return (shift << CB_LATENCY_SUB_BITS) + (unsigned)(us >> shift);
}

/* The greatest value of a bucket. */
static uint64_t end_of(unsigned bucket) {
    if (bucket < 2 * SUB)
        return bucket;
    unsigned shift = (bucket >> CB_LATENCY_SUB_BITS) - 1;
    uint64_t top = bucket - ((uint64_t)shift << CB_LATENCY_SUB_BITS);
    return ((top + 1) << shift) - 1;
}

void cb_latency_add(struct cb_latency *latency, int64_t us) {
    uint64_t value = us < 0 ? 0 : (uint64_t)us;
    if (value >= UINT64_C(1) << CB_LATENCY_MAX_BITS)
        value = (UINT64_C(1) << CB_LATENCY_MAX_BITS) - 1;
    latency->n++;
    latency->sum_us += value;
    if (value > latency->max_us)
        latency->max_us = value;
    latency->buckets[bucket_of(value)]++;
}

void cb_latency_merge(struct cb_latency *latency, const struct cb_latency *other) {
    latency->n += other->n;
    latency->sum_us += other->sum_us;
    if (other->max_us > latency->max_us)
        latency->max_us = other->max_us;
    for (unsigned i = 0; i < CB_LATENCY_BUCKETS; i++)
        latency->buckets[i] += other->buckets[i];
}

uint64_t cb_latency_quantile_us(const struct cb_latency *latency, double q) {
    if (latency->n == 0)
        return 0;
    double exact = q * (double)latency->n;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact || rank == 0)
        rank++; /* the smallest rank that covers the part q; never below the first */
    uint64_t seen = 0;
    for (unsigned i = 0; i < CB_LATENCY_BUCKETS; i++) {
        seen += latency->buckets[i];
        if (seen >= rank)
            return end_of(i) < latency->max_us ? end_of(i) : latency->max_us;
    }
    return latency->max_us;
}

double cb_latency_mean_us(const struct cb_latency *latency) {
    return latency->n ? (double)latency->sum_us / (double)latency->n : 0;
}
