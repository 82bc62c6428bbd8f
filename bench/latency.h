/* SPDX-License-Identifier: MIT
 * latency.h: how long things took, as a log-linear histogram: 128 buckets for each power of two, so
 * that a quantile is at most 0.8 % above the truth; the maximum is exact. Histograms add up.
 *
 * 28 KB, no memory of its own, no clock. One owner at a time. */
#ifndef CB_BENCH_LATENCY_H
#define CB_BENCH_LATENCY_H

#include <stdint.h>

enum {
    CB_LATENCY_SUB_BITS = 7,
    CB_LATENCY_MAX_BITS = 34, /* 2^34 µs are 4.7 hours; what is longer is taken for that */
    CB_LATENCY_BUCKETS = (CB_LATENCY_MAX_BITS - CB_LATENCY_SUB_BITS + 1) << CB_LATENCY_SUB_BITS,
};

struct cb_latency {
    uint64_t n, sum_us, max_us;
    uint64_t buckets[CB_LATENCY_BUCKETS];
};

/* All zero is an empty one. A negative time (a clock that jitters) is taken for 0. */
void cb_latency_add(struct cb_latency *latency, int64_t us);
/* Adds what other holds. */
void cb_latency_merge(struct cb_latency *latency, const struct cb_latency *other);
/* The least time that a part q (0 … 1) of all did not exceed, as the end of its bucket; 0 of none.
 */
uint64_t cb_latency_quantile_us(const struct cb_latency *latency, double q);
double cb_latency_mean_us(const struct cb_latency *latency);

#endif
