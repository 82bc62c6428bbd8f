/* SPDX-License-Identifier: MIT */
#include "store/sweep.h"

#include <stdlib.h>

#include "store/rows.h"
#include "store/sweep_retained.h"
#include "store/sweep_sessions.h"
#include "store/sweep_timeline.h"
#include "store/trim.h"

enum { DAY_KEY_BYTES = 16, PRODUCERS_MAX = 1024 };

int cb_sweep_note(struct cb_views *views, uint32_t site, const uint8_t producer[8], uint32_t before,
                  uint32_t day) {
    struct cb_row *row;
    int rc = 0;
    if (before == day) {
        return 0;
    }
    if (before != UINT32_MAX) {
        struct cb_key old = cb_key_seen_day(before, site, producer);
        rc = cb_views_row_unread(views, CB_TABLE_SEEN_DAYS, &old, true, &row);
        rc = rc == 0 ? cb_row_resize(views, row, 0) : rc;
    }
    if (rc == 0) {
        struct cb_key key = cb_key_seen_day(day, site, producer);
        rc = cb_views_row_unread(views, CB_TABLE_SEEN_DAYS, &key, false, &row);
        rc = rc == 0 ? cb_row_resize(views, row, 1) : rc;
    }
    return rc;
}

int cb_sweep_last(struct cb_views *views, uint32_t *day) {
    struct cb_key key = cb_key_meta(CB_META_SWEPT_DAY);
    struct cb_row *row;
    int rc = cb_views_row(views, CB_TABLE_META, &key, &row);
    if (rc == 0) {
        *day = row->len == 4 ? cb_be32_get(row->data) : 0;
    }
    return rc;
}

static int note_swept(struct cb_views *views, uint32_t day) {
    struct cb_key key = cb_key_meta(CB_META_SWEPT_DAY);
    struct cb_row *row;
    int rc = cb_views_row(views, CB_TABLE_META, &key, &row);
    rc = rc == 0 ? cb_row_resize(views, row, 4) : rc;
    if (rc == 0) {
        cb_be32_put(row->data, day);
    }
    return rc;
}

static int delete_row(struct cb_views *views, enum cb_table table, const struct cb_key *key) {
    struct cb_row *row;
    int rc = cb_views_row(views, table, key, &row);
    return rc == 0 ? cb_row_resize(views, row, 0) : rc;
}

/* Keys of a table from first on, up to max, while they begin with its prefix_len bytes. A step
 * reads first and changes the cache afterwards. */
static int collect(struct cb_views *views, enum cb_table table, const struct cb_key *first,
                   size_t prefix_len, struct cb_key *keys, uint32_t max, uint32_t *n) {
    struct cb_db_cursor *cursor;
    int rc = cb_views_cursor(views, table, &cursor);
    if (rc != 0) {
        return rc;
    }
    struct cb_str key, value;
    *n = 0;
    for (rc = cb_db_seek(cursor, cb_key_str(first), &key, &value); rc == 0 && *n < max;
         rc = cb_db_next(cursor, &key, &value)) {
        if (key.len < prefix_len || memcmp(key.p, first->bytes, prefix_len) != 0) {
            break;
        }
        cb_key_init(&keys[*n]);
        cb_key_bytes(&keys[(*n)++], key.p, key.len);
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT ? 0 : rc;
}

/* Deletes a producer's rows; its day's row goes last, when the chunks are all gone. */
static int forget(struct cb_views *views, const struct cb_key *day_key, uint32_t *rows_left) {
    struct cb_key chunks[PRODUCERS_MAX];
    struct cb_key seen = {.len = 0};
    cb_key_bytes(&seen, day_key->bytes + 4, DAY_KEY_BYTES - 4);
    uint32_t n, max = *rows_left < PRODUCERS_MAX ? *rows_left : PRODUCERS_MAX;
    int rc = collect(views, CB_TABLE_SEEN_CHUNKS, &seen, seen.len, chunks, max, &n);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = delete_row(views, CB_TABLE_SEEN_CHUNKS, &chunks[i]);
    }
    *rows_left -= n;
    if (rc != 0 || n == max) {
        *rows_left = 0; /* more chunks may be left: the next step begins with this producer */
        return rc;
    }
    *rows_left -= 1;
    rc = delete_row(views, CB_TABLE_SEEN, &seen);
    return rc == 0 ? delete_row(views, CB_TABLE_SEEN_DAYS, day_key) : rc;
}

/* Verdicts of records that are gone; *rows_left is 0 when more may be left. */
static int forget_verdicts(struct cb_views *views, uint32_t *rows_left) {
    struct cb_key keys[PRODUCERS_MAX];
    struct cb_key first = cb_key_verdict(0, 0);
    uint32_t n, i = 0, max = *rows_left < PRODUCERS_MAX ? *rows_left : PRODUCERS_MAX;
    uint64_t before;
    int rc = cb_trim_noted(views, &before);
    if (rc == 0) {
        rc = collect(views, CB_TABLE_VERDICTS, &first, 0, keys, max, &n);
    }
    while (rc == 0 && i < n && cb_be64_get(keys[i].bytes) < before) {
        rc = delete_row(views, CB_TABLE_VERDICTS, &keys[i++]);
    }
    /* A cursor sees what LMDB has, not what this batch deleted: more is for the next step. */
    *rows_left = i < max ? *rows_left - i : 0;
    return rc;
}

static int forget_producers(struct cb_views *views, uint32_t day, uint32_t rows_left, bool *done) {
    struct cb_key keys[PRODUCERS_MAX];
    static const uint8_t no_producer[8];
    struct cb_key first = cb_key_seen_day(0, 0, no_producer); /* the longest silent come first */
    uint32_t n;
    int rc = collect(views, CB_TABLE_SEEN_DAYS, &first, 0, keys, PRODUCERS_MAX, &n);
    for (uint32_t i = 0; rc == 0 && i < n && rows_left > 0 && !*done; i++) {
        /* More than 8 whole days, wherever in its day the last receipt was. */
        *done = keys[i].len != DAY_KEY_BYTES ||
                (uint64_t)cb_be32_get(keys[i].bytes) + CB_SEEN_DAYS + 1 > day;
        rc = *done ? 0 : forget(views, &keys[i], &rows_left);
    }
    *done |= n == 0;
    return rc;
}

/* Notes that rows of minutes and hours begin to go, in the batch that the first ones go with: so a
 * reader never takes what is going for what never was. */
static int note_series(struct cb_views *views, uint32_t day) {
    struct cb_key key = cb_key_meta(CB_META_SERIES_DAY);
    struct cb_row *row;
    int rc = cb_views_row(views, CB_TABLE_META, &key, &row);
    rc = rc == 0 ? cb_row_resize(views, row, 4) : rc;
    if (rc == 0) {
        cb_be32_put(row->data, day);
    }
    return rc;
}

/* Rows of a table whose keys begin with a u32 of time below `before`: they stand in front.
 * *rows_left is 0 when more may be left. */
static int forget_front(struct cb_views *views, enum cb_table table, int64_t before,
                        uint32_t *rows_left) {
    struct cb_key *keys = malloc(*rows_left * sizeof(*keys));
    struct cb_key first = {.len = 0};
    uint32_t n = 0, i = 0;
    if (!keys) {
        return CB_ENOMEM;
    }
    cb_key_u32(&first, 0);
    int rc = collect(views, table, &first, 0, keys, *rows_left, &n);
    while (rc == 0 && i < n && cb_be32_get(keys[i].bytes) < before) {
        rc = delete_row(views, table, &keys[i++]);
    }
    *rows_left -= i;
    free(keys);
    return rc;
}

static int forget_series(struct cb_views *views, uint32_t day, uint32_t rows_left, bool *done) {
    int rc = note_series(views, day);
    if (rc == 0) {
        rc = forget_front(views, CB_TABLE_MINUTES, cb_minutes_kept_from(day) / CB_QUARTER_MINUTES,
                          &rows_left);
    }
    if (rc == 0 && rows_left > 0) {
        rc = forget_front(views, CB_TABLE_UNIQUE_HOURS, cb_hours_kept_from(day) / 60, &rows_left);
    }
    *done = rows_left > 0;
    return rc;
}

int cb_sweep_step(struct cb_views *views, uint32_t day, uint32_t rows_max, bool *done) {
    uint32_t rows_left = rows_max;
    bool last; /* what takes many steps is not begun anew in each */
    *done = false;
    int rc = cb_sweep_retained_begun(views, &last);
    if (rc == 0 && last) {
        rc = cb_sweep_retained(views, day, rows_max, done);
        return rc == 0 && *done ? note_swept(views, day) : rc;
    }
    rc = rc == 0 ? forget_verdicts(views, &rows_left) : rc;
    if (rc == 0 && rows_left > 0) {
        rc = cb_sweep_timeline(views, &rows_left);
    }
    if (rc == 0 && rows_left > 0) {
        rc = forget_producers(views, day, rows_left, done);
    }
    if (rc == 0 && *done) {
        rc = forget_series(views, day, rows_max, done);
    }
    if (rc == 0 && *done) {
        rc = cb_sweep_sessions(views, day, rows_max, done);
    }
    if (rc == 0 && *done) {
        rc = cb_sweep_retained(views, day, rows_max, done);
    }
    return rc == 0 && *done ? note_swept(views, day) : rc;
}
