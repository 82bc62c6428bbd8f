/* SPDX-License-Identifier: MIT
 * Invariant: all acks to one sender begin with the same bytes, whatever they say. Hence the
 * sender's fixed nine bytes: the shortest form would make one sender's topic the beginning of
 * another's. */
#include "proto/ack.h"

#include <assert.h>
#include <msgpack/pack.h>

#define ACK_MAGIC "cb.a"

enum { ACK_VALUES = 4, ACK_FRAME_VALUES = 3, ACK_FRAME_BYTES_MAX = 1 + 9 + 1 + 9 };

_Static_assert(1 + 5 + 1 + 9 == CB_ACK_TOPIC_BYTES, "array head, magic, version, sender");

size_t cb_ack_topic(uint64_t sender, uint8_t out[CB_ACK_TOPIC_BYTES]) {
    uint8_t head[7] = {0x90 | ACK_VALUES, 0xa4, 'c', 'b', '.', 'a', CB_ACK_VERSION};
    memcpy(out, head, sizeof head);
    out[7] = 0xcf; /* uint 64 */
    for (unsigned i = 0; i < 8; i++) {
        out[8 + i] = (uint8_t)(sender >> (56 - 8 * i));
    }
    return CB_ACK_TOPIC_BYTES;
}

int cb_ack_encode(const struct cb_ack *ack, struct cb_buf *out) {
    uint8_t topic[CB_ACK_TOPIC_BYTES];
    assert(ack->n_frames <= CB_ACK_FRAMES_MAX);
    int err = cb_buf_reserve(out, sizeof topic + 3 + (size_t)ack->n_frames * ACK_FRAME_BYTES_MAX);
    if (err) {
        return err;
    }
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, cb_pack_write);
    cb_pack_write(out, (const char *)topic, cb_ack_topic(ack->sender, topic));
    msgpack_pack_array(&pk, ack->n_frames);
    for (uint32_t i = 0; i < ack->n_frames; i++) {
        msgpack_pack_array(&pk, ACK_FRAME_VALUES);
        msgpack_pack_uint64(&pk, ack->frames[i].number);
        msgpack_pack_uint8(&pk, (uint8_t)ack->frames[i].status);
        msgpack_pack_uint64(&pk, ack->frames[i].position);
    }
    return 0;
}

static int decode_v1(struct cb_pack_reader *r, uint32_t n_values, struct cb_ack *out) {
    out->sender = cb_pack_uint(r, UINT64_MAX);
    out->n_frames = cb_pack_array(r, CB_ACK_FRAMES_MAX);
    for (uint32_t i = 0; i < out->n_frames && r->ok; i++) {
        if (cb_pack_array(r, ACK_FRAME_VALUES) != ACK_FRAME_VALUES) {
            return CB_EMALFORMED;
        }
        out->frames[i].number = cb_pack_uint(r, UINT64_MAX);
        out->frames[i].status = (enum cb_ack_status)cb_pack_uint(r, CB_ACK_REFUSED);
        out->frames[i].position = cb_pack_uint(r, UINT64_MAX);
    }
    return n_values == ACK_VALUES && cb_pack_done(r) ? 0 : CB_EMALFORMED;
}

int cb_ack_decode(const void *data, size_t len, struct cb_ack *out) {
    struct cb_pack_reader r;
    cb_pack_reader_init(&r, data, len);
    uint32_t n_values = cb_pack_array(&r, UINT32_MAX);
    struct cb_str magic = cb_pack_str(&r, sizeof ACK_MAGIC - 1);
    uint64_t version = cb_pack_uint(&r, UINT64_MAX);
    if (!r.ok || !cb_str_is(magic, ACK_MAGIC) || version < 1) {
        return CB_EMALFORMED;
    }
    switch (version) {
    case 1:
        return decode_v1(&r, n_values, out);
    default:
        return CB_EVERSION;
    }
}
