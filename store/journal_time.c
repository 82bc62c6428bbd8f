/* SPDX-License-Identifier: MIT */
#include "store/journal_time.h"

#include "proto/clock.h"

void cb_journal_time_init(struct cb_journal_time *time, int64_t last_ms) {
    time->now_ms = last_ms > 0 ? last_ms : cb_clock_wall_ms();
    time->mono_ms = cb_clock_mono_ms();
    time->owed_ms = 0;
}

int64_t cb_journal_time_now(struct cb_journal_time *time) {
    int64_t mono_ms = cb_clock_mono_ms();
    int64_t elapsed_ms = mono_ms - time->mono_ms;
    if (elapsed_ms <= 0) {
        return time->now_ms;
    }
    time->mono_ms = mono_ms;
    time->now_ms += elapsed_ms;
    /* elapsed / 10 of correction, its remainder kept for the next call. */
    time->owed_ms += elapsed_ms;
    int64_t most_ms = time->owed_ms / 10;
    time->owed_ms %= 10;
    int64_t behind_ms = cb_clock_wall_ms() - time->now_ms;
    if (behind_ms > most_ms) {
        behind_ms = most_ms;
    } else if (behind_ms < -most_ms) {
        behind_ms = -most_ms; /* less than what elapsed, so time still goes forward */
    }
    time->now_ms += behind_ms;
    return time->now_ms;
}
