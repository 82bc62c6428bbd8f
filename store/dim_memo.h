/* SPDX-License-Identifier: MIT
 * dim_memo.h: what the fold found of dimensions: the numbers of texts that are values on a day of a
 * site, and, of the batch, the tails (dim_tail.h) that events go to. So an event is told by one
 * look.
 *
 * A text is told by 96 bits of SipHash under a key that is nobody's but the process's. Numbers are
 * kept from batch to batch, since what was given stays; a batch that came to nothing takes them
 * with it. What is remembered depends on where the process began, so only what the rows would say
 * at any later time may be noted as known. The fold's thread. */
#ifndef CB_STORE_DIM_MEMO_H
#define CB_STORE_DIM_MEMO_H

#include "proto/buf.h"
#include "proto/err.h"
#include "store/dim_tail.h"

/* A value on a day of a site. */
struct cb_dim_pair {
    uint64_t hash;
    uint32_t more_hash; /* 0: the place is unused */
    uint32_t number;    /* 0: not known; set by who asked */
};

struct cb_dim_memo;

/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_dim_memo_create(struct cb_dim_memo **out);
void cb_dim_memo_destroy(struct cb_dim_memo **memo);
/* A batch is over: its tails are forgotten; where it came to nothing everything is. */
void cb_dim_memo_clear(struct cb_dim_memo *memo, bool came_to_nothing);

/* The place of a text, at most CB_VALUE_TEXT_MAX bytes; valid until the next call. Errors:
 * CB_ENOMEM. */
CB_MUST_USE int cb_dim_memo_pair(struct cb_dim_memo *memo, uint32_t site, int32_t day,
                                 unsigned kind, struct cb_str text, struct cb_dim_pair **out);
/* The same text will be asked for soon: its place is on its way from memory until then. */
void cb_dim_memo_ahead(struct cb_dim_memo *memo, uint32_t site, int32_t day, unsigned kind,
                       struct cb_str text);
/* The tail of a day's values, which is opened if it is not at hand; valid until the next call.
 * Errors: those of cb_dim_tail_open. */
CB_MUST_USE int cb_dim_memo_tail(struct cb_dim_memo *memo, struct cb_views *views, uint32_t site,
                                 int32_t day, unsigned kind, struct cb_dim_tail **out);

#endif
