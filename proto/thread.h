/* SPDX-License-Identifier: MIT
 * thread.h: how a thread of ours begins: with a name, and without signals.
 *
 * Signals are main's: any other thread would swallow the SIGTERM that should end the process. The
 * name is for `top -H`, `ps -L` and profiles. */
#ifndef CB_PROTO_THREAD_H
#define CB_PROTO_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include "proto/err.h"

/* Starts run(arg). name: Linux keeps 15 bytes of it. The caller joins *out. Errors: CB_ESYS. */
CB_MUST_USE int cb_thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *arg);

/* Whoever waits for the processor goes first: for long work, some tenths of a millisecond apart.
 * What wakes up would else wait for the end of a slice, milliseconds. Unlike a nice value it needs
 * no right to be taken back, and costs nothing where nobody waits. */
void cb_thread_give_way(void);
/* The calling thread does long work: whoever wakes up goes first at once, before its slice ends.
 * Since Linux 6.12, where a thread with a shorter slice does so and a thread may say how long its
 * own is; before, it changes nothing. */
void cb_thread_take_long_slices(void);
/* … or short work that somebody waits for: woken up, it goes first. */
void cb_thread_take_short_slices(void);
/* The calling thread gives no way from now on. */
void cb_thread_keep_going(void);

#endif
