/* SPDX-License-Identifier: MIT
 * fault.h: what is wrong with a beacon or one of its events, as its sender is told. */
#ifndef CB_INGEST_FAULT_H
#define CB_INGEST_FAULT_H

#include "proto/refusal.h"

struct cb_fault {
    enum cb_refusal refusal; /* CB_REFUSE_NONE: nothing is wrong */
    const char *message;     /* a sentence, static */
    const char *field;       /* the member that it is about, static, or NULL */
};

#endif
