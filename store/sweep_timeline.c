/* SPDX-License-Identifier: MIT */
#include "store/sweep_timeline.h"

#include "store/timeline_row.h"
#include "store/trim.h"

enum { ROWS_MAX = 1024 }; /* of a step */

/* The keys of the rows at the front of which every record is gone. */
static int collect(struct cb_views *views, uint64_t before, struct cb_key *keys, uint32_t max,
                   uint32_t *n) {
    struct cb_db_cursor *cursor;
    int rc = cb_views_cursor(views, CB_TABLE_TIMELINE, &cursor);
    if (rc != 0) {
        return rc;
    }
    struct cb_key first = cb_key_timeline(0, 0, 0, 0);
    struct cb_str key, value;
    *n = 0;
    for (rc = cb_db_seek(cursor, cb_key_str(&first), &key, &value); rc == 0 && *n < max;
         rc = cb_db_next(cursor, &key, &value)) {
        if (value.len < CB_TIMELINE_HEAD_BYTES ||
            cb_be64_get((const uint8_t *)value.p + CB_TIMELINE_LAST) >= before) {
            break;
        }
        cb_key_init(&keys[*n]);
        cb_key_bytes(&keys[(*n)++], key.p, key.len);
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT ? 0 : rc;
}

int cb_sweep_timeline(struct cb_views *views, uint32_t *rows_left) {
    struct cb_key keys[ROWS_MAX];
    uint32_t n = 0, max = *rows_left < ROWS_MAX ? *rows_left : ROWS_MAX;
    uint64_t before;
    int rc = cb_trim_noted(views, &before);
    rc = rc == 0 ? collect(views, before, keys, max, &n) : rc;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        struct cb_row *row;
        rc = cb_views_row(views, CB_TABLE_TIMELINE, &keys[i], &row);
        rc = rc == 0 ? cb_row_resize(views, row, 0) : rc;
    }
    /* A cursor sees what LMDB has, not what this batch deleted: more is for the next step. */
    *rows_left = n < max ? *rows_left - n : 0;
    return rc;
}
