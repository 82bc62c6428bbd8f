/* SPDX-License-Identifier: MIT */
#include "proto/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    NAME_BYTES = 16, /* pthread_setname_np(3) refuses longer ones */
    LONG_SLICE_NS = 10 * 1000 * 1000,
    SHORT_SLICE_NS = 100 * 1000, /* the shortest that Linux takes */
};

/* sched_setattr(2), version 0: of glibc only newer ones have it, and the kernel's own header
 * defines again what <sched.h> has. */
struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period; /* ns; runtime: the slice of a usual thread */
};

int cb_thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *arg) {
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) /* threads are born with it */
        return CB_ESYS;
    int rc = pthread_create(out, NULL, run, arg) ? CB_ESYS : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) {
        char kept[NAME_BYTES];
        snprintf(kept, sizeof(kept), "%s", name);
        (void)pthread_setname_np(*out, kept); /* a thread without one works, too */
    }
    return rc;
}

static _Thread_local bool keeps_going;

void cb_thread_keep_going(void) {
    keeps_going = true;
}

void cb_thread_give_way(void) {
    if (!keeps_going) {
        (void)sched_yield();
    }
}

static void take_slices(uint64_t ns) {
    struct attr attr = {.size = sizeof(attr)};
    if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) == 0 && attr.policy == SCHED_OTHER) {
        attr.runtime = ns;
        (void)syscall(SYS_sched_setattr, 0, &attr, 0);
    }
}

void cb_thread_take_long_slices(void) {
    take_slices(LONG_SLICE_NS);
}

void cb_thread_take_short_slices(void) {
    take_slices(SHORT_SLICE_NS);
}
