/* SPDX-License-Identifier: MIT */
#include "store/trim.h"

#include <msgpack/pack.h>

#include "proto/frame.h"

enum { BODY_BYTES_MAX = 16, ROW_BYTES = 8 };

int cb_trim_encode(uint64_t before, uint64_t number, struct cb_buf *out) {
    struct cb_buf body;
    msgpack_packer pk;
    cb_buf_init(&body, BODY_BYTES_MAX);
    msgpack_packer_init(&pk, &body, cb_pack_write);
    int rc = msgpack_pack_uint64(&pk, before) == 0 ? 0 : CB_ENOMEM;
    if (rc == 0) {
        /* Sender 0 is the store: nobody sends its frames again. */
        rc = cb_frame_wrap(CB_FRAME_TRIM, 0, number, (struct cb_str){body.data, body.len}, out);
    }
    cb_buf_fini(&body);
    return rc;
}

int cb_trim_decode(struct cb_str body, uint64_t *before) {
    struct cb_pack_reader r;
    cb_pack_reader_init(&r, body.p, body.len);
    *before = cb_pack_uint(&r, UINT64_MAX);
    return cb_pack_done(&r) ? 0 : CB_EMALFORMED;
}

static int row(struct cb_views *views, struct cb_row **out) {
    struct cb_key key = cb_key_meta(CB_META_TRIMMED);
    int rc = cb_views_row(views, CB_TABLE_META, &key, out);
    return rc == 0 && (*out)->len != 0 && (*out)->len != ROW_BYTES ? CB_ECORRUPT : rc;
}

int cb_trim_noted(struct cb_views *views, uint64_t *before) {
    struct cb_row *noted;
    int rc = row(views, &noted);
    if (rc == 0) {
        *before = noted->len != 0 ? cb_be64_get(noted->data) : 1;
    }
    return rc;
}

int cb_trim_note(struct cb_views *views, uint64_t before) {
    struct cb_row *noted;
    uint64_t last = 1;
    int rc = cb_trim_noted(views, &last);
    if (rc != 0 || before <= last) {
        return rc;
    }
    rc = row(views, &noted);
    rc = rc == 0 ? cb_row_resize(views, noted, ROW_BYTES) : rc;
    if (rc == 0) {
        cb_be64_put(noted->data, before);
    }
    return rc;
}
