/* SPDX-License-Identifier: MIT */
#include "store/sweep.h"

#include <stdlib.h>

#include "store/rows.h"
#include "store/sweep_producers.h"
#include "store/sweep_retained.h"
#include "store/sweep_sessions.h"
#include "store/sweep_tails.h"
#include "store/sweep_timeline.h"
#include "store/trim.h"

enum { VERDICTS_MAX = 1024 }; /* of a step */

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

/* Keys of a table from first on, up to max. A step reads first and changes the cache afterwards. */
static int collect(struct cb_views *views, enum cb_table table, const struct cb_key *first,
                   struct cb_key *keys, uint32_t max, uint32_t *n) {
    struct cb_db_cursor *cursor;
    int rc = cb_views_cursor(views, table, &cursor);
    if (rc != 0) {
        return rc;
    }
    struct cb_str key, value;
    *n = 0;
    for (rc = cb_db_seek(cursor, cb_key_str(first), &key, &value); rc == 0 && *n < max;
         rc = cb_db_next(cursor, &key, &value)) {
        cb_key_init(&keys[*n]);
        cb_key_bytes(&keys[(*n)++], key.p, key.len);
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT ? 0 : rc;
}

/* Verdicts of records that are gone; *rows_left is 0 when more may be left. */
static int forget_verdicts(struct cb_views *views, uint32_t *rows_left) {
    struct cb_key keys[VERDICTS_MAX];
    struct cb_key first = cb_key_verdict(0, 0);
    uint32_t n, i = 0, max = *rows_left < VERDICTS_MAX ? *rows_left : VERDICTS_MAX;
    uint64_t before;
    int rc = cb_trim_noted(views, &before);
    if (rc == 0) {
        rc = collect(views, CB_TABLE_VERDICTS, &first, keys, max, &n);
    }
    while (rc == 0 && i < n && cb_be64_get(keys[i].bytes) < before) {
        rc = delete_row(views, CB_TABLE_VERDICTS, &keys[i++]);
    }
    /* A cursor sees what LMDB has, not what this batch deleted: more is for the next step. */
    *rows_left = i < max ? *rows_left - i : 0;
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
    int rc = collect(views, table, &first, keys, *rows_left, &n);
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

/* What stands in front of its table, so that looking for it costs nothing where there is none. */
static int forget_fronts(struct cb_views *views, uint32_t day, uint32_t rows_max, bool *done) {
    uint32_t rows_left = rows_max;
    int rc = forget_verdicts(views, &rows_left);
    if (rc == 0 && rows_left > 0) {
        rc = cb_sweep_timeline(views, &rows_left);
    }
    *done = false;
    return rc == 0 && rows_left > 0 ? forget_series(views, day, rows_left, done) : rc;
}

/* Walks through whole tables, which take many steps: a row of meta says where one stands, so none
 * is begun anew. */
static const struct walk {
    uint8_t at; /* that row */
    int (*step)(struct cb_views *views, uint32_t day, uint32_t rows_max, bool *done);
} walks[] = {
    {CB_META_TAILS_AT, cb_sweep_tails},
    {CB_META_PRODUCERS_AT, cb_sweep_producers},
    {CB_META_SESSIONS_AT, cb_sweep_sessions},
    {CB_META_RETAINED_AT, cb_sweep_retained},
};
enum { WALKS = sizeof(walks) / sizeof(*walks) };

/* The walk that is under way; WALKS: none. */
static int find_walk(struct cb_views *views, size_t *nth) {
    int rc = 0;
    for (*nth = 0; *nth < WALKS; ++*nth) {
        struct cb_key key = cb_key_meta(walks[*nth].at);
        struct cb_row *row;
        rc = cb_views_row(views, CB_TABLE_META, &key, &row);
        if (rc != 0 || row->len > 0) {
            break;
        }
    }
    return rc;
}

int cb_sweep_step(struct cb_views *views, uint32_t day, uint32_t rows_max, bool *done) {
    size_t nth;
    *done = true;
    int rc = find_walk(views, &nth);
    if (rc == 0 && nth == WALKS) {
        nth = 0;
        rc = forget_fronts(views, day, rows_max, done);
    }
    for (; rc == 0 && *done && nth < WALKS; nth++) {
        rc = walks[nth].step(views, day, rows_max, done);
    }
    return rc == 0 && *done ? note_swept(views, day) : rc;
}
