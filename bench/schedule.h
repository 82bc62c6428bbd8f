/* SPDX-License-Identifier: MIT
 * schedule.h: when each request of an open loop is meant to leave, decided before the first one
 * does: request i at start + i / rate, whatever became of those before it. A latency counted from
 * there holds the time that a request waited because the service was slow to answer others (no
 * coordinated omission).
 *
 * Several threads share one schedule: each takes every n-th request. Pure. */
#ifndef CB_BENCH_SCHEDULE_H
#define CB_BENCH_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct cb_schedule {
    int64_t start_us;
    uint64_t duration_us;
    uint64_t rate;              /* requests a second of all threads */
    unsigned thread, n_threads; /* this one's place, from 0 */
    uint64_t next;              /* how many this thread has begun */
};

/* When this thread's request k (from 0) is meant to leave. */
static inline int64_t cb_schedule_at_us(const struct cb_schedule *s, uint64_t k) {
    uint64_t i = k * s->n_threads + s->thread;
    return s->start_us + (int64_t)((unsigned __int128)i * 1000000 / s->rate);
}

static inline bool cb_schedule_ends_before(const struct cb_schedule *s, int64_t at_us) {
    return at_us >= s->start_us + (int64_t)s->duration_us;
}

/* Takes the next request if it is due; *at_us is when it was meant to leave. */
static inline bool cb_schedule_take(struct cb_schedule *s, int64_t now_us, int64_t *at_us) {
    *at_us = cb_schedule_at_us(s, s->next);
    if (*at_us > now_us || cb_schedule_ends_before(s, *at_us))
        return false;
    s->next++;
    return true;
}

/* How many this thread has in all. */
static inline uint64_t cb_schedule_total(const struct cb_schedule *s) {
    uint64_t all = /* i with floor(i * 10^6 / rate) < duration: i * 10^6 < duration * rate */
        (uint64_t)(((unsigned __int128)s->duration_us * s->rate + 999999) / 1000000);
    return all <= s->thread ? 0 : (all - s->thread + s->n_threads - 1) / s->n_threads;
}

#endif
