/* SPDX-License-Identifier: MIT */
#include "proto/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>

enum { NAME_BYTES = 16 }; /* pthread_setname_np(3) refuses longer ones */

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

static _Thread_local bool is_late;

void cb_thread_be_late(bool late) {
    is_late = late;
}

void cb_thread_give_way(void) {
    if (!is_late) {
        (void)sched_yield();
    }
}
