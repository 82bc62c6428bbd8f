/* SPDX-License-Identifier: MIT
 * overlay.h: visitor fields that are acked and not yet in the views, so that a boot sees every set
 * that was answered 2xx.
 *
 * The journal's thread puts a frame's sets here before it acks; the fold drops them once the views
 * that hold them are committed; answers read overlay over views, overlay first. Bounded: when it is
 * full, frames that carry sets are answered busy until the fold caught up. Any thread (one mutex,
 * held for a few hash steps). */
#ifndef CB_STORE_OVERLAY_H
#define CB_STORE_OVERLAY_H

#include <stdint.h>

#include "proto/event.h"

struct cb_overlay;

CB_MUST_USE int cb_overlay_create(size_t max_bytes, struct cb_overlay **out);
void cb_overlay_destroy(struct cb_overlay **overlay);

/* Whether more bytes would fit now. The journal's thread asks before it appends. */
bool cb_overlay_has_room(struct cb_overlay *overlay, size_t bytes);
/* Bytes that a value takes. */
size_t cb_overlay_cost(size_t value_len);
/* Puts a value that the record at position holds, if it replaces what is there by the write order
 * (cb_stamp_replaces). Copies everything. Never fails for lack of room (has_room was asked for the
 * whole frame). Errors: CB_ENOMEM. */
CB_MUST_USE int cb_overlay_put(struct cb_overlay *overlay, uint64_t position, struct cb_str site,
                               const uint8_t visitor[CB_VISITOR_BYTES], unsigned field,
                               const struct cb_stamp *stamp, struct cb_str value);
/* Drops what records up to and with position hold. */
void cb_overlay_drop(struct cb_overlay *overlay, uint64_t position);

/* The fresh value of a field appended to out with its stamp. Errors: CB_ENOENT, those of
 * cb_buf_append. */
CB_MUST_USE int cb_overlay_get(struct cb_overlay *overlay, struct cb_str site,
                               const uint8_t visitor[CB_VISITOR_BYTES], unsigned field,
                               struct cb_stamp *stamp, struct cb_buf *out);

#endif
