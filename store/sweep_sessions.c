/* SPDX-License-Identifier: MIT */
#include "store/sweep_sessions.h"

#include "store/rows.h"

enum { LOOKED_AT_MAX = 200000, CHANGED_MAX = 1024 }; /* rows of a step */

static const int64_t day_ms = INT64_C(86400000);

static bool is_due(const uint8_t *session, int64_t before_ms) {
    return (int64_t)cb_be64_get(session + CB_SESSION_END) < before_ms;
}

/* Whether a row has a session to be forgotten, or none and parts that may be gone. */
static bool row_is_due(struct cb_str value, int64_t before_ms) {
    size_t n = value.len / CB_SESSION_BYTES;
    for (size_t i = 0; i < n; i++) {
        if (is_due((const uint8_t *)value.p + i * CB_SESSION_BYTES, before_ms)) {
            return true;
        }
    }
    return n == 0;
}

/* Whether every part of a visitor is gone. */
static int parts_gone(struct cb_views *views, const struct cb_key *visitor,
                      const struct cb_row *row, bool *gone) {
    const uint32_t next = cb_be32_get(row->data + 4);
    int rc = 0;
    *gone = true;
    for (uint32_t part = cb_be32_get(row->data); rc == 0 && *gone && part != next; part++) {
        struct cb_key key = *visitor;
        struct cb_row *there;
        cb_key_u32(&key, part);
        rc = cb_views_row(views, CB_TABLE_SESSIONS, &key, &there);
        *gone = rc == 0 && there->len == 0;
    }
    return rc;
}

static int forget_in(struct cb_views *views, const struct cb_key *key, int64_t before_ms) {
    struct cb_row *row;
    int rc = cb_views_row(views, CB_TABLE_SESSIONS, key, &row);
    if (rc != 0) {
        return rc;
    }
    size_t n = row->len / CB_SESSION_BYTES, tail = row->len % CB_SESSION_BYTES, kept = 0;
    if (tail != 0 && tail != CB_SESSION_TAIL_BYTES) {
        return CB_ECORRUPT;
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t *session = row->data + i * CB_SESSION_BYTES;
        if (is_due(session, before_ms)) {
            continue;
        }
        if (kept != i) {
            memcpy(row->data + kept * CB_SESSION_BYTES, session, CB_SESSION_BYTES);
        }
        kept++;
    }
    memmove(row->data + kept * CB_SESSION_BYTES, row->data + n * CB_SESSION_BYTES, tail);
    if (kept == 0 && tail > 0) {
        bool gone;
        rc = parts_gone(views, key, row, &gone);
        tail = gone ? 0 : tail;
    }
    return rc == 0 ? cb_row_resize(views, row, kept * CB_SESSION_BYTES + tail) : rc;
}

/* The keys of rows that are due, from behind *at on; *at then stands at the last one looked at. */
static int walk(struct cb_views *views, int64_t before_ms, struct cb_key *at, struct cb_key *keys,
                uint32_t max, uint32_t *n, bool *done) {
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
        cb_key_init(at);
        cb_key_bytes(at, key.p, key.len);
        if (row_is_due(value, before_ms)) {
            keys[(*n)++] = *at;
        }
        rc = cb_db_next(cursor, &key, &value);
    }
    cb_db_cursor_close(&cursor);
    *done = rc == CB_ENOENT;
    return *done ? 0 : rc;
}

int cb_sweep_sessions(struct cb_views *views, uint32_t day, uint32_t rows_max, bool *done) {
    struct cb_key keys[CHANGED_MAX], at = cb_key_site(0);
    struct cb_key key = cb_key_meta(CB_META_SESSIONS_AT);
    struct cb_row *row;
    uint32_t n = 0;
    int64_t before_ms = ((int64_t)day - CB_SESSIONS_KEPT_DAYS) * day_ms;
    int rc = cb_views_row(views, CB_TABLE_META, &key, &row);
    if (rc == 0 && row->len > CB_KEY_MAX) {
        rc = CB_ECORRUPT;
    }
    if (rc == 0 && row->len > 0) {
        cb_key_init(&at);
        cb_key_bytes(&at, row->data, row->len);
    }
    if (rc == 0) {
        rc = walk(views, before_ms, &at, keys, rows_max < CHANGED_MAX ? rows_max : CHANGED_MAX, &n,
                  done);
    }
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = forget_in(views, &keys[i], before_ms);
    }
    rc = rc == 0 ? cb_row_resize(views, row, *done ? 0 : at.len) : rc;
    if (rc == 0 && !*done) {
        memcpy(row->data, at.bytes, at.len);
    }
    return rc;
}
