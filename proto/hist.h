/* SPDX-License-Identifier: MIT
 * hist.h: a mergeable histogram of whole numbers (milliseconds), log-linear: below 16 each value
 * has a bucket of its own, above each doubling is cut in 16 equal buckets.
 *
 * A bucket's middle is within 1/32 of every value in it, so a quantile is off by 3.2 % at most,
 * whatever the distribution and however many histograms were merged. Counts can be taken out again:
 * what was added wrongly or has changed leaves no trace. Packed, only the buckets that hold
 * something take bytes. Pure. Any thread. */
#ifndef CB_PROTO_HIST_H
#define CB_PROTO_HIST_H

#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"

enum {
    CB_HIST_SUB_BITS = 4,    /* 2^4 buckets for each doubling */
    CB_HIST_VALUE_BITS = 36, /* values from 2^36 on (795 days in ms) share the last bucket */
    CB_HIST_BUCKETS = (CB_HIST_VALUE_BITS - CB_HIST_SUB_BITS + 1) << CB_HIST_SUB_BITS,
    CB_HIST_ENTRY_BYTES = 6, /* packed: u16 bucket · u32 count, big-endian, ascending */
    CB_HIST_PACKED_MAX = CB_HIST_BUCKETS * CB_HIST_ENTRY_BYTES,
};

struct cb_hist {
    uint64_t n; /* of all buckets */
    uint64_t counts[CB_HIST_BUCKETS];
};

/* The bucket of a value; the smallest and the largest value of a bucket. */
unsigned cb_hist_bucket(uint64_t value);
uint64_t cb_hist_low(unsigned bucket);
uint64_t cb_hist_high(unsigned bucket);

void cb_hist_add(struct cb_hist *hist, uint64_t value);
void cb_hist_merge(struct cb_hist *hist, const struct cb_hist *other);
/* The value at rank ceil(percent · n / 100), at least 1: its bucket's middle. 0 when there is none.
 * percent: 1 … 100. */
uint64_t cb_hist_quantile(const struct cb_hist *hist, unsigned percent);

/* Adds change (of either sign) to a bucket of a packed histogram of *len bytes, which has room for
 * one more entry; *len follows. A bucket that comes to 0 goes. Errors: CB_ECORRUPT when it would
 * come below 0 or over 2^32-1; then nothing has changed. */
CB_MUST_USE int cb_hist_packed_change(uint8_t *packed, size_t *len, unsigned bucket,
                                      int64_t change);
/* Adds a packed histogram. Errors: CB_ECORRUPT when it is none; hist is then unspecified. */
CB_MUST_USE int cb_hist_merge_packed(struct cb_hist *hist, const uint8_t *packed, size_t len);

#endif
