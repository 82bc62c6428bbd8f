/* SPDX-License-Identifier: MIT
 * frame_mask.h: takes a person out of a frame that is in the journal already.
 *
 * The visitor's key gives way to a pseudonym, and what the visitor typed or an operator wrote to a
 * text of the same length: values of `set`, of edits, and the texts in the props of messages and of
 * events with names of their own. Nothing moves, so the frame is as long as it was, decodes to as
 * many events, and folds to the same numbers. Pure. Any thread. */
#ifndef CB_PROTO_FRAME_MASK_H
#define CB_PROTO_FRAME_MASK_H

#include "proto/frame.h"

struct cb_mask {
    struct cb_str site;
    uint8_t tag[CB_VISITOR_BYTES];       /* cb_visitor_tag of the key that goes */
    uint8_t pseudonym[CB_VISITOR_BYTES]; /* … and what comes in its place */
};

/* Masks the frame in data. frame: for its decoding, the caller's since it is large. *changed says
 * whether it held anything of the person's. Errors: those of cb_frame_decode and cb_control_decode;
 * CB_ECORRUPT when what came out of it does not decode. */
CB_MUST_USE int cb_frame_mask(char *data, size_t len, struct cb_frame *frame,
                              const struct cb_mask *mask, bool *changed);

#endif
