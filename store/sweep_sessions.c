/* SPDX-License-Identifier: MIT */
#include "store/sweep_sessions.h"

#include "store/rows.h"
#include "store/sweep_place.h"

enum {
    LOOKED_AT_MAX = 200000, /* rows of a step */
    CHANGED_MAX = 1024,
    ROW_BYTES_MAX = CB_VISIT_LIST_MAX * (1 + UINT8_MAX),
};

static const int64_t day_ms = INT64_C(86400000);

bool cb_sessions_out_of_reach(const struct cb_visit *visit, int64_t at_ms) {
    return visit->end_ms < at_ms - CB_SESSIONS_KEPT_DAYS * day_ms;
}

/* What stays of a row, which may be all of it. */
static int keep(struct cb_str row, uint32_t day, uint8_t kept[ROW_BYTES_MAX], size_t *len) {
    struct cb_str visits[CB_VISIT_LIST_MAX];
    size_t n;
    int rc = cb_visit_list(row, visits, &n);
    *len = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct cb_visit visit;
        rc = cb_visit_span(visits[i], &visit.start_ms, &visit.end_ms);
        if (rc == 0 && !cb_sessions_out_of_reach(&visit, day * day_ms)) {
            kept[(*len)++] = (uint8_t)visits[i].len;
            memcpy(kept + *len, visits[i].p, visits[i].len);
            *len += visits[i].len;
        }
    }
    return rc;
}

static int forget_in(struct cb_views *views, const struct cb_key *key, uint32_t day) {
    uint8_t kept[ROW_BYTES_MAX];
    struct cb_row *row;
    size_t len;
    int rc = cb_views_row(views, CB_TABLE_SESSIONS, key, &row);
    rc = rc == 0 ? keep((struct cb_str){(const char *)row->data, row->len}, day, kept, &len) : rc;
    if (rc == 0) {
        memcpy(row->data, kept, len);
        rc = cb_row_resize(views, row, len);
    }
    return rc;
}

/* The keys of rows that are due, from behind *at on; *at then stands at the last one looked at. */
static int walk(struct cb_views *views, uint32_t day, struct cb_key *at, struct cb_key *keys,
                uint32_t max, uint32_t *n, bool *done) {
    uint8_t kept[ROW_BYTES_MAX];
    struct cb_db_cursor *cursor;
    int rc = cb_views_cursor(views, CB_TABLE_SESSIONS, &cursor);
    if (rc != 0) {
        return rc;
    }
    struct cb_str key, value;
    *n = 0;
    rc = cb_db_seek(cursor, cb_key_str(at), &key, &value);
    if (rc == 0 && cb_str_eq(key, cb_key_str(at))) {
        rc = cb_db_next(cursor, &key, &value);
    }
    for (uint32_t i = 0; rc == 0 && i < LOOKED_AT_MAX && *n < max; i++) {
        size_t len;
        cb_key_init(at);
        cb_key_bytes(at, key.p, key.len);
        rc = keep(value, day, kept, &len);
        if (rc == 0 && len < value.len) {
            keys[(*n)++] = *at;
        }
        rc = rc == 0 ? cb_db_next(cursor, &key, &value) : rc;
    }
    cb_db_cursor_close(&cursor);
    *done = rc == CB_ENOENT;
    return *done ? 0 : rc;
}

int cb_sweep_sessions(struct cb_views *views, uint32_t day, uint32_t rows_max, bool *done) {
    struct cb_key keys[CHANGED_MAX], at = cb_key_site(0);
    struct cb_row *row;
    uint32_t n = 0;
    int rc = cb_sweep_place_read(views, CB_META_SESSIONS_AT, &row, &at);
    if (rc == 0) {
        rc = walk(views, day, &at, keys, rows_max < CHANGED_MAX ? rows_max : CHANGED_MAX, &n, done);
    }
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = forget_in(views, &keys[i], day);
    }
    return rc == 0 ? cb_sweep_place_write(views, row, &at, *done) : rc;
}
