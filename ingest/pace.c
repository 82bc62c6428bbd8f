/* SPDX-License-Identifier: MIT */
#include "ingest/pace.h"

enum {
    LATE_PART = 4,  /* a wait of this part of the timeout is long … */
    LATE_TIMES = 2, /* … and so many timeouts later is no more remembered */
    WAIT_PART = 2,  /* what may wait is acked within this part of the timeout */
    MEMORY_LOADS = 8,
};

void cb_pace_init(struct cb_pace *pace, int64_t timeout_ms) {
    *pace = (struct cb_pace){.timeout_ms = timeout_ms};
}

static void note_wait(struct cb_pace *pace, int64_t wait_ms, int64_t now_ms) {
    if (wait_ms >= pace->timeout_ms / LATE_PART)
        pace->late_until_ms = now_ms + LATE_TIMES * pace->timeout_ms;
}

void cb_pace_took(struct cb_pace *pace, size_t bytes, int64_t wait_ms, int64_t now_ms) {
    note_wait(pace, wait_ms, now_ms);
    pace->bytes += (double)bytes - pace->bytes / MEMORY_LOADS;
    pace->wait_ms += (double)(wait_ms > 0 ? wait_ms : 1) - pace->wait_ms / MEMORY_LOADS;
}

size_t cb_pace_limit(struct cb_pace *pace, int64_t oldest_ms, int64_t now_ms) {
    note_wait(pace, oldest_ms, now_ms);
    if (now_ms >= pace->late_until_ms)
        return SIZE_MAX;
    /* The oldest is one more wait, during which nothing was heard yet. */
    double wait_ms = pace->wait_ms + (double)(oldest_ms > 0 ? oldest_ms : 0);
    double bytes = wait_ms > 0 ? pace->bytes / wait_ms * (double)(pace->timeout_ms / WAIT_PART) : 0;
    return bytes <= CB_PACE_LEAST_BYTES      ? CB_PACE_LEAST_BYTES
           : bytes >= (double)(SIZE_MAX / 2) ? SIZE_MAX
                                             : (size_t)bytes;
}
