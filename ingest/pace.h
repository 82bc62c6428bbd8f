/* SPDX-License-Identifier: MIT
 * pace.h: how much may wait for the store. What would be acked only after its client was told 503
 * is work for nothing, and worse: the client sends it again. So when the store is slow no more is
 * taken than it will have acked in half the time that an answer may wait; the rest is refused at
 * once.
 *
 * The store's pace is what was delivered while loads waited (for each load: the bytes before it and
 * its own, over its wait), the latest counting most. While waits are short there is no limit.
 * Pure: no clock. One owner. */
#ifndef CB_INGEST_PACE_H
#define CB_INGEST_PACE_H

#include <stddef.h>
#include <stdint.h>

enum { CB_PACE_LEAST_BYTES = 256 * 1024 }; /* may always wait: else a stall would last */

struct cb_pace {
    int64_t timeout_ms;    /* how long an answer may wait */
    int64_t late_until_ms; /* waits were long lately */
    double bytes, wait_ms; /* sums; each load takes an eighth of them away */
};

void cb_pace_init(struct cb_pace *pace, int64_t timeout_ms);
/* A load was acked (or not, within the timeout: then bytes is 0) after wait_ms. */
void cb_pace_took(struct cb_pace *pace, size_t bytes, int64_t wait_ms, int64_t now_ms);
/* How many bytes may wait now, of which the oldest has waited for oldest_ms; SIZE_MAX: no limit. */
size_t cb_pace_limit(struct cb_pace *pace, int64_t oldest_ms, int64_t now_ms);

#endif
