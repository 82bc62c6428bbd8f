/* SPDX-License-Identifier: MIT
 * dim_settle.h: puts the events of a tail (dim_tail.h) into the rows of their values: in order of
 * values and visitors, so that each row is looked up once for all of them. The fold's thread. */
#ifndef CB_STORE_DIM_SETTLE_H
#define CB_STORE_DIM_SETTLE_H

#include "store/dim_tail.h"

/* Empties a tail. Errors: CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_dim_settle(struct cb_views *views, struct cb_dim_tail *tail);

#endif
