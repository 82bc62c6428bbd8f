/* SPDX-License-Identifier: MIT
 * ack.h: what the store says of frames, to one sender, after the commit that holds them. See
 * WIRE.md, "Ack".
 *
 * Pure. Any thread. */
#ifndef CB_PROTO_ACK_H
#define CB_PROTO_ACK_H

#include "proto/buf.h"
#include "proto/pack.h"

enum {
    CB_ACK_VERSION = 1,
    CB_ACK_FRAMES_MAX = 64, /* frames of one ack: the credits of a sender */
    CB_ACK_TOPIC_BYTES =
        16, /* every ack to one sender begins with the same bytes; see cb_ack_topic */
};

enum cb_ack_status {
    CB_ACK_OK = 0,      /* committed at position */
    CB_ACK_BUSY = 1,    /* not taken; may be sent again later */
    CB_ACK_REFUSED = 2, /* never taken: malformed or of a newer version */
};

struct cb_ack_frame {
    uint64_t number;
    enum cb_ack_status status;
    uint64_t position; /* of the journal record, when ok */
};

struct cb_ack {
    uint64_t sender;
    uint32_t n_frames;
    struct cb_ack_frame frames[CB_ACK_FRAMES_MAX];
};

/* The bytes with which every ack to sender begins: what its SUB socket subscribes to. out holds
 * CB_ACK_TOPIC_BYTES; returns how many are used. */
size_t cb_ack_topic(uint64_t sender, uint8_t out[CB_ACK_TOPIC_BYTES]);
CB_MUST_USE int cb_ack_encode(const struct cb_ack *ack, struct cb_buf *out);
/* Errors: CB_EMALFORMED, CB_EVERSION. */
CB_MUST_USE int cb_ack_decode(const void *data, size_t len, struct cb_ack *out);

#endif
