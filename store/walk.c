/* SPDX-License-Identifier: MIT
 * walk.c: invariant: where it is placed, the row is the first at or behind `asked`,
 * or behind `before`. */
#include "store/walk.h"

int cb_walk_open(struct cb_snapshot *snapshot, enum cb_table table, struct cb_walk *out) {
    *out = (struct cb_walk){.rc = CB_ENOENT};
    return cb_db_cursor_open(snapshot->txn, cb_views_table(snapshot->views, table), &out->cursor);
}

void cb_walk_close(struct cb_walk *walk) {
    cb_db_cursor_close(&walk->cursor);
}

static int compare(struct cb_str a, struct cb_str b) {
    int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int cb_walk_to(struct cb_walk *walk, const struct cb_key *key) {
    struct cb_str wanted = cb_key_str(key);
    if (walk->placed && (walk->rc == CB_ENOENT || compare(wanted, walk->key) <= 0) &&
        (walk->before.len > 0 ? compare(walk->before, wanted) < 0
                              : compare(cb_key_str(&walk->asked), wanted) <= 0)) {
        return walk->rc;
    }
    walk->asked = *key;
    walk->before.len = 0;
    walk->rc = cb_db_seek(walk->cursor, wanted, &walk->key, &walk->value);
    walk->placed = walk->rc == 0 || walk->rc == CB_ENOENT;
    return walk->rc;
}

int cb_walk_next(struct cb_walk *walk) {
    walk->before = walk->key; /* in the map, as long as the snapshot is */
    walk->rc = cb_db_next(walk->cursor, &walk->key, &walk->value);
    walk->placed = walk->rc == 0 || walk->rc == CB_ENOENT;
    return walk->rc;
}
