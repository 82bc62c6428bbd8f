/* SPDX-License-Identifier: MIT
 * since.c: where in the journal a moment stands. Journal time never goes back, so halving finds it.
 */
#include "store/snapshot.h"

int cb_snapshot_since(struct cb_snapshot *snapshot, int64_t journal_ms, uint64_t *position,
                      bool *kept) {
    uint64_t low, high = snapshot->position + 1;
    int rc = cb_journal_oldest(snapshot->journal, &low);
    *kept = true;
    if (rc == 0 && low > 1 && low < high) {
        int64_t oldest_ms;
        rc = cb_journal_time_at(snapshot->journal, low, &oldest_ms);
        *kept = rc == 0 && oldest_ms <= journal_ms;
    }
    while (rc == 0 && low < high) {
        uint64_t middle = low + (high - low) / 2;
        int64_t ms;
        rc = cb_journal_time_at(snapshot->journal, middle, &ms);
        if (rc == 0 && ms < journal_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *position = low;
    return rc;
}
