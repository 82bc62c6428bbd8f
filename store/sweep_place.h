/* SPDX-License-Identifier: MIT
 * sweep_place.h: where a walk of the sweep (sweep.h) stands: a key, in a row of meta that is there
 * only while the walk is under way. The fold's thread. */
#ifndef CB_STORE_SWEEP_PLACE_H
#define CB_STORE_SWEEP_PLACE_H

#include "store/views.h"

/* The row of meta `what`, and the key in it; *at stays as it is where the walk begins. Errors:
 * CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE static inline int cb_sweep_place_read(struct cb_views *views, uint8_t what,
                                                  struct cb_row **row, struct cb_key *at) {
    const struct cb_key key = cb_key_meta(what);
    int rc = cb_views_row(views, CB_TABLE_META, &key, row);
    if (rc == 0 && (*row)->len > CB_KEY_MAX) {
        rc = CB_ECORRUPT;
    }
    if (rc == 0 && (*row)->len > 0) {
        cb_key_init(at);
        cb_key_bytes(at, (*row)->data, (*row)->len);
    }
    return rc;
}
/* Notes where the walk stands; done: it is over. Errors: CB_ENOMEM. */
CB_MUST_USE static inline int cb_sweep_place_write(struct cb_views *views, struct cb_row *row,
                                                   const struct cb_key *at, bool done) {
    int rc = cb_row_resize(views, row, done ? 0 : at->len);
    if (rc == 0 && !done) {
        memcpy(row->data, at->bytes, at->len);
    }
    return rc;
}

#endif
