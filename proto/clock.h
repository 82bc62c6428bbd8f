/* SPDX-License-Identifier: MIT
 * clock.h: the only source of time. Tests replace it; nothing else in the code calls clock_gettime.
 *
 * wall: milliseconds since 1970 UTC; may step. mono: milliseconds that never go back and do go on
 * in suspend (CLOCK_BOOTTIME); for deadlines and journal time. Any thread. */
#ifndef CB_PROTO_CLOCK_H
#define CB_PROTO_CLOCK_H

#include <stdint.h>

int64_t cb_clock_wall_ms(void);
int64_t cb_clock_mono_ms(void);
/* Like cb_clock_mono_ms, in microseconds. */
int64_t cb_clock_mono_us(void);

/* A replaced clock. Both functions are called from any thread. */
struct cb_clock_ops {
    int64_t (*wall_us)(void); /* microseconds since 1970 UTC */
    int64_t (*mono_us)(void); /* microseconds since some fixed moment */
};

/* Replaces the clock; NULL puts the system's back. For tests, before threads are started. */
void cb_clock_replace(const struct cb_clock_ops *ops);

#endif
