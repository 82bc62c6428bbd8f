/* SPDX-License-Identifier: MIT */
#include "store/sweep_producers.h"

#include <stdlib.h>

#include "store/seen_set.h"
#include "store/sweep.h"
#include "store/sweep_place.h"

enum { LOOKED_AT_MAX = 200000 }; /* rows of a step */

struct due {
    struct cb_key key;
    bool chunked;
};

struct walk {
    struct cb_views *views;
    uint32_t day;
    struct cb_key at; /* everything up to it is done */
    struct due *due;  /* behind it, at most `max` */
    uint32_t n, max;
    uint32_t rows_left; /* that may be deleted */
};

/* More than 8 whole days, wherever in its day the last receipt was. */
static bool is_silent(const struct cb_seen_set *set, uint32_t day) {
    return (uint64_t)set->day + CB_SEEN_DAYS + 1 <= day;
}

/* Reads on behind walk->at, and notes what is due. *last: the last key that was looked at. */
static int look(struct walk *walk, struct cb_key *last, bool *end) {
    struct cb_db_cursor *cursor;
    int rc = cb_views_cursor(walk->views, CB_TABLE_SEEN, &cursor);
    if (rc != 0) {
        return rc;
    }
    struct cb_str key, value;
    *last = walk->at;
    rc = cb_db_seek(cursor, cb_key_str(last), &key, &value);
    if (rc == 0 && cb_str_eq(key, cb_key_str(last))) {
        rc = cb_db_next(cursor, &key, &value);
    }
    for (uint32_t i = 0; rc == 0 && i < LOOKED_AT_MAX && walk->n < walk->max; i++) {
        struct cb_seen_set set;
        cb_key_init(last);
        cb_key_bytes(last, key.p, key.len);
        rc = cb_seen_set_decode(value, &set);
        if (rc == 0 && is_silent(&set, walk->day)) {
            walk->due[walk->n++] = (struct due){*last, set.chunked};
        }
        rc = rc == 0 ? cb_db_next(cursor, &key, &value) : rc;
    }
    cb_db_cursor_close(&cursor);
    *end = rc == CB_ENOENT;
    return *end ? 0 : rc;
}

static int delete_row(struct walk *walk, enum cb_table table, const struct cb_key *key) {
    struct cb_row *row;
    int rc = cb_views_row_unread(walk->views, table, key, true, &row);
    walk->rows_left--;
    return rc == 0 ? cb_row_resize(walk->views, row, 0) : rc;
}

/* Deletes a producer's chunks, as many as may go in this step. */
static int forget_chunks(struct walk *walk, const struct cb_key *producer) {
    struct cb_db_cursor *cursor;
    int rc = cb_views_cursor(walk->views, CB_TABLE_SEEN_CHUNKS, &cursor);
    if (rc != 0) {
        return rc;
    }
    struct cb_str key, value;
    rc = cb_db_seek(cursor, cb_key_str(producer), &key, &value);
    while (rc == 0 && walk->rows_left > 0 && key.len > producer->len &&
           memcmp(key.p, producer->bytes, producer->len) == 0) {
        struct cb_key chunk = {.len = 0};
        cb_key_bytes(&chunk, key.p, key.len);
        rc = delete_row(walk, CB_TABLE_SEEN_CHUNKS, &chunk);
        rc = rc == 0 ? cb_db_next(cursor, &key, &value) : rc;
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT ? 0 : rc;
}

/* Its own row goes last: where chunks are left the next step begins with this producer. */
static int forget(struct walk *walk, const struct due *due, bool *gone) {
    int rc = due->chunked ? forget_chunks(walk, &due->key) : 0;
    *gone = rc == 0 && walk->rows_left > 0;
    return *gone ? delete_row(walk, CB_TABLE_SEEN, &due->key) : rc;
}

static int step(struct walk *walk, bool *done) {
    struct cb_key last;
    bool end, gone = true;
    int rc = look(walk, &last, &end);
    for (uint32_t i = 0; rc == 0 && gone && i < walk->n; i++) {
        rc = forget(walk, &walk->due[i], &gone);
        walk->at = gone ? walk->due[i].key : walk->at;
    }
    walk->at = gone ? last : walk->at;
    *done = rc == 0 && gone && end;
    return rc;
}

int cb_sweep_producers(struct cb_views *views, uint32_t day, uint32_t rows_max, bool *done) {
    struct walk walk = {
        .views = views, .day = day, .at = cb_key_site(0), .max = rows_max, .rows_left = rows_max};
    struct cb_row *row;
    int rc = cb_sweep_place_read(views, CB_META_PRODUCERS_AT, &row, &walk.at);
    if (rc != 0) {
        return rc;
    }
    walk.due = malloc(walk.max * sizeof(*walk.due));
    rc = walk.due ? step(&walk, done) : CB_ENOMEM;
    free(walk.due);
    return rc == 0 ? cb_sweep_place_write(views, row, &walk.at, *done) : rc;
}
