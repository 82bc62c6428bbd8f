/* SPDX-License-Identifier: MIT
 * pack_put.h: msgpack-c's encoder once more, straight into memory that is there. A packer
 * (msgpack_packer_init) calls back for each piece, which costs more than the piece where frames are
 * built, event by event.
 *
 * cb_put_uint64(&at, v) writes at `at` and moves it on, as msgpack_pack_uint64 would; the caller
 * has made room. Any thread. */
#ifndef CB_PROTO_PACK_PUT_H
#define CB_PROTO_PACK_PUT_H

#include <msgpack/pack.h>
#include <string.h>

#define msgpack_pack_inline_func(name) static inline int cb_put##name
#define msgpack_pack_inline_func_cint(name) static inline int cb_put##name
#define msgpack_pack_inline_func_fixint(name) static inline int cb_put_fix##name
#define msgpack_pack_user char **
#define msgpack_pack_append_buffer(user, buf, len) return cb_put_bytes(user, buf, len)

static inline int cb_put_bytes(char **at, const void *data, size_t len) {
    if (len > 0) {
        memcpy(*at, data, len);
        *at += len;
    }
    return 0;
}

#include <msgpack/pack_template.h>

/* A str, and a bin, with its bytes. */
static inline void cb_put_text(char **at, const char *p, size_t len) {
    cb_put_str(at, len);
    cb_put_bytes(at, p, len);
}

static inline void cb_put_blob(char **at, const void *p, size_t len) {
    cb_put_bin(at, len);
    cb_put_bytes(at, p, len);
}

#endif
