/* SPDX-License-Identifier: MIT */
#include "proto/clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

static int64_t system_us(clockid_t id) {
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t system_wall_us(void) {
    return system_us(CLOCK_REALTIME);
}

static int64_t system_mono_us(void) {
    return system_us(CLOCK_BOOTTIME);
}

static const struct cb_clock_ops system_clock = {system_wall_us, system_mono_us};
static _Atomic(const struct cb_clock_ops *) current = &system_clock;

void cb_clock_replace(const struct cb_clock_ops *ops) {
    atomic_store(&current, ops ? ops : &system_clock);
}

int64_t cb_clock_wall_ms(void) {
    return atomic_load_explicit(&current, memory_order_relaxed)->wall_us() / 1000;
}

int64_t cb_clock_mono_ms(void) {
    return cb_clock_mono_us() / 1000;
}

int64_t cb_clock_mono_us(void) {
    return atomic_load_explicit(&current, memory_order_relaxed)->mono_us();
}
