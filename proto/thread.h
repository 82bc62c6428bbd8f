/* SPDX-License-Identifier: MIT
 * thread.h: how a thread of ours begins: with a name, and without signals.
 *
 * Signals are main's: any other thread would swallow the SIGTERM that should end the process. The
 * name is for `top -H`, `ps -L` and profiles. */
#ifndef CB_PROTO_THREAD_H
#define CB_PROTO_THREAD_H

#include <pthread.h>

#include "proto/err.h"

/* Starts run(arg). name: Linux keeps 15 bytes of it. The caller joins *out. Errors: CB_ESYS. */
CB_MUST_USE int cb_thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *arg);

#endif
