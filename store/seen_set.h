/* SPDX-License-Identifier: MIT
 * seen_set.h: the exact set of numbers that one producer's events had, as the fold `seen` keeps it.
 * See FORMAT.md, "seen". */
#ifndef CB_STORE_SEEN_SET_H
#define CB_STORE_SEEN_SET_H

#include "store/views.h"

enum {
    CB_SEEN_RUNS_MAX = 16,
    CB_SEEN_CHUNK_NUMBERS = 1024,
    CB_SEEN_SET_HEAD_BYTES = 4,
    /* numbers of up to 53 bits: two of 8 bytes for each run, and the two sums */
    CB_SEEN_SET_BYTES_MAX = CB_SEEN_SET_HEAD_BYTES + 8 * (2 * CB_SEEN_RUNS_MAX + 2),
};

struct cb_seen_run {
    uint64_t first, last; /* both seen */
};

struct cb_seen_set {
    uint64_t highest;                              /* number seen */
    uint64_t n_seen;                               /* different numbers */
    uint32_t day;                                  /* of the producer's last receipt (sweep.h) */
    bool chunked;                                  /* some runs stand in chunks */
    unsigned n_runs;                               /* ascending, not touching */
    struct cb_seen_run runs[CB_SEEN_RUNS_MAX + 1]; /* one more while adding */
};

/* An empty value is an empty set. Errors: CB_ECORRUPT. */
CB_MUST_USE int cb_seen_set_decode(struct cb_str value, struct cb_seen_set *out);
/* Returns the bytes written. */
size_t cb_seen_set_encode(const struct cb_seen_set *set, uint8_t out[CB_SEEN_SET_BYTES_MAX]);
/* Adds a number; *fresh says whether it was not there. Chunks are read and written through the
 * views' batch. */
CB_MUST_USE int cb_seen_set_add(struct cb_views *views, uint32_t site, const uint8_t producer[8],
                                struct cb_seen_set *set, uint64_t number, bool *fresh);

#endif
