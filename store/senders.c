/* SPDX-License-Identifier: MIT */
#include "store/senders.h"

#include "store/key.h"

enum { ROW_BYTES = 24, DROPPED_AT_ONCE = 1024 };

static const int64_t silent_ms = INT64_C(24) * 60 * 60 * 1000;

int cb_senders_admit(struct cb_db_txn *txn, unsigned table, uint64_t sender, uint64_t number,
                     int64_t journal_ms) {
    if (number == 0) {
        return CB_EINVAL;
    }
    struct cb_key key = cb_key_position(sender);
    struct cb_str value;
    uint64_t highest = 0, map = 0; /* bit i of map: number highest - i */
    int rc = cb_db_get(txn, table, cb_key_str(&key), &value);
    if (rc == 0) {
        if (value.len != ROW_BYTES) {
            return CB_ECORRUPT;
        }
        const uint8_t *p = (const uint8_t *)value.p;
        highest = cb_be64_get(p);
        map = cb_be64_get(p + 8);
    } else if (rc != CB_ENOENT) {
        return rc;
    }
    if (number > highest) {
        uint64_t ahead = number - highest;
        map = ahead >= CB_SENDER_WINDOW ? 0 : map << ahead;
        map |= 1;
        highest = number;
    } else {
        uint64_t behind = highest - number;
        if (behind >= CB_SENDER_WINDOW) {
            return CB_EINVAL;
        }
        uint64_t bit = UINT64_C(1) << behind;
        if (map & bit) {
            return CB_EBUSY;
        }
        map |= bit;
    }
    uint8_t row[ROW_BYTES];
    cb_be64_put(row, highest);
    cb_be64_put(row + 8, map);
    cb_be64_put(row + 16, (uint64_t)journal_ms);
    return cb_db_put(txn, table, cb_key_str(&key), (struct cb_str){(const char *)row, sizeof(row)});
}

int cb_senders_prune(struct cb_db_txn *txn, unsigned table, int64_t journal_ms) {
    struct cb_db_cursor *cursor;
    int rc = cb_db_cursor_open(txn, table, &cursor);
    if (rc != 0) {
        return rc;
    }
    static const uint8_t zero[8];
    uint64_t drop[DROPPED_AT_ONCE];
    size_t rows = 0, n_drop = 0;
    struct cb_str key, value;
    rc = cb_db_seek(cursor, (struct cb_str){(const char *)zero, sizeof(zero)}, &key, &value);
    for (; rc == 0; rc = cb_db_next(cursor, &key, &value)) {
        rows++;
        if (key.len == 8 && value.len == ROW_BYTES && n_drop < DROPPED_AT_ONCE &&
            (int64_t)cb_be64_get((const uint8_t *)value.p + 16) < journal_ms - silent_ms) {
            drop[n_drop++] = cb_be64_get((const uint8_t *)key.p);
        }
    }
    cb_db_cursor_close(&cursor);
    if (rc != CB_ENOENT) {
        return rc;
    }
    for (size_t i = 0; rows > CB_SENDERS_KEPT && i < n_drop; i++) {
        struct cb_key old = cb_key_position(drop[i]);
        rc = cb_db_delete(txn, table, cb_key_str(&old));
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
