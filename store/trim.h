/* SPDX-License-Identifier: MIT
 * trim.h: the journal's front goes. What is decided is a frame of the journal itself (kind 3), so
 * that the views can drop what only served these records, at the same place in every rebuild.
 *
 * The order: records go (cb_journal_trim, the journal's thread), the frame says so, the fold notes
 * it in `meta`, and the next sweep drops the verdict rows below. */
#ifndef CB_STORE_TRIM_H
#define CB_STORE_TRIM_H

#include "store/views.h"

/* Appends the whole frame: records that stand before position `before` are gone. number is the
 * frame's among those of the store. Errors: those of cb_frame_wrap. */
CB_MUST_USE int cb_trim_encode(uint64_t before, uint64_t number, struct cb_buf *out);
/* Errors: CB_EMALFORMED. */
CB_MUST_USE int cb_trim_decode(struct cb_str body, uint64_t *before);

/* ---- the fold's thread, within a batch ---- */
/* Notes a trim. It may not go back: an older one changes nothing. */
CB_MUST_USE int cb_trim_note(struct cb_views *views, uint64_t before);
/* What was noted last; 1 when nothing ever went. */
CB_MUST_USE int cb_trim_noted(struct cb_views *views, uint64_t *before);

#endif
