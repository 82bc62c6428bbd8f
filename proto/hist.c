/* SPDX-License-Identifier: MIT */
#include "proto/hist.h"

#include <stdbool.h>
#include <string.h>

enum { SUB = 1 << CB_HIST_SUB_BITS };

unsigned cb_hist_bucket(uint64_t value) {
    if (value >> CB_HIST_VALUE_BITS != 0) {
        return CB_HIST_BUCKETS - 1;
    }
    if (value < SUB) {
        return (unsigned)value;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - CB_HIST_SUB_BITS;
    return ((shift + 1) << CB_HIST_SUB_BITS) + (unsigned)(value >> shift) % SUB;
}

uint64_t cb_hist_low(unsigned bucket) {
    if (bucket < SUB) {
        return bucket;
    }
    unsigned shift = bucket / SUB - 1;
    return (uint64_t)(SUB + bucket % SUB) << shift;
}

uint64_t cb_hist_high(unsigned bucket) {
    return cb_hist_low(bucket + 1) - 1;
}

void cb_hist_add(struct cb_hist *hist, uint64_t value) {
    hist->counts[cb_hist_bucket(value)]++;
    hist->n++;
}

void cb_hist_merge(struct cb_hist *hist, const struct cb_hist *other) {
    for (unsigned i = 0; i < CB_HIST_BUCKETS; i++) {
        hist->counts[i] += other->counts[i];
    }
    hist->n += other->n;
}

uint64_t cb_hist_quantile(const struct cb_hist *hist, unsigned percent) {
    /* Rounded up; n is a count of events, far from 2^57. */
    uint64_t rank = (hist->n * percent + 99) / 100;
    rank = rank > 0 ? rank : 1;
    for (unsigned i = 0; i < CB_HIST_BUCKETS; i++) {
        if (hist->counts[i] >= rank) {
            uint64_t low = cb_hist_low(i);
            return low + (cb_hist_high(i) - low) / 2;
        }
        rank -= hist->counts[i];
    }
    return 0;
}

static unsigned bucket_of(const uint8_t *entry) {
    return (unsigned)entry[0] << 8 | entry[1];
}

static uint32_t count_of(const uint8_t *entry) {
    return (uint32_t)entry[2] << 24 | (uint32_t)entry[3] << 16 | (uint32_t)entry[4] << 8 | entry[5];
}

static void put_entry(uint8_t *entry, unsigned bucket, uint32_t count) {
    entry[0] = (uint8_t)(bucket >> 8);
    entry[1] = (uint8_t)bucket;
    entry[2] = (uint8_t)(count >> 24);
    entry[3] = (uint8_t)(count >> 16);
    entry[4] = (uint8_t)(count >> 8);
    entry[5] = (uint8_t)count;
}

int cb_hist_packed_change(uint8_t *packed, size_t *len, unsigned bucket, int64_t change) {
    size_t low = 0, high = *len / CB_HIST_ENTRY_BYTES;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bucket_of(packed + middle * CB_HIST_ENTRY_BYTES) < bucket) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    uint8_t *entry = packed + low * CB_HIST_ENTRY_BYTES;
    size_t behind = *len - low * CB_HIST_ENTRY_BYTES;
    bool there = behind > 0 && bucket_of(entry) == bucket;
    int64_t before = there ? count_of(entry) : 0;
    if (change < -before || change > (int64_t)UINT32_MAX - before) {
        return CB_ECORRUPT;
    }
    if (before + change == 0) {
        if (there) {
            memmove(entry, entry + CB_HIST_ENTRY_BYTES, behind - CB_HIST_ENTRY_BYTES);
            *len -= CB_HIST_ENTRY_BYTES;
        }
        return 0;
    }
    if (!there) {
        memmove(entry + CB_HIST_ENTRY_BYTES, entry, behind);
        *len += CB_HIST_ENTRY_BYTES;
    }
    put_entry(entry, bucket, (uint32_t)(before + change));
    return 0;
}

int cb_hist_merge_packed(struct cb_hist *hist, const uint8_t *packed, size_t len) {
    int last = -1;
    if (len % CB_HIST_ENTRY_BYTES != 0) {
        return CB_ECORRUPT;
    }
    for (size_t at = 0; at < len; at += CB_HIST_ENTRY_BYTES) {
        unsigned bucket = bucket_of(packed + at);
        uint32_t count = count_of(packed + at);
        if (bucket >= CB_HIST_BUCKETS || (int)bucket <= last || count == 0) {
            return CB_ECORRUPT;
        }
        hist->counts[bucket] += count;
        hist->n += count;
        last = (int)bucket;
    }
    return 0;
}
