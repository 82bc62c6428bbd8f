/* SPDX-License-Identifier: MIT
 * recent.c: a site's visitors, the last seen first: the sets of `recent`, which lie minute by
 * minute, the newest in front, and in each minute the highest ordinals in front (folds/visitors.c).
 * No more of them is read than is given: a page may begin and end within a set. */
#include "store/ordinal_set.h"
#include "store/rows.h"
#include "store/snapshot.h"

enum { KEY_BYTES = 12, SET_ORDINALS = 1 << CB_ORDINAL_SET_BITS };

struct list {
    struct cb_snapshot *snapshot;
    uint32_t site;
    struct cb_visitor_cursor *cursor;
    uint32_t scan_left;
    bool (*each)(void *user, const struct cb_visitor *visitor);
    void *user;
    bool full; /* each has had enough */
    bool more;
};

/* Gives those of a set that are below an offset, until the list is full and one is left. */
static int list_set(struct list *list, struct cb_str key, struct cb_str set, uint32_t below) {
    const uint32_t chunk = ~cb_be32_get((const uint8_t *)key.p + 8);
    struct cb_visitor visitor;
    uint16_t offset;
    int rc;
    while ((rc = cb_ordinal_set_below(set, below, &offset)) == 0) {
        const uint32_t ordinal = chunk * SET_ORDINALS + offset;
        list->more = list->full || list->scan_left == 0;
        if (list->more) {
            break;
        }
        list->scan_left--;
        rc = cb_snapshot_visitor_at(list->snapshot, list->site, ordinal, &visitor);
        if (rc != 0) {
            return rc;
        }
        memcpy(list->cursor->bytes, key.p + 4, 4);
        cb_be32_put(list->cursor->bytes + 4, ~ordinal);
        list->full = !list->each(list->user, &visitor);
        below = offset;
    }
    return rc == CB_ENOENT ? 0 : rc;
}

int cb_snapshot_visitors(struct cb_snapshot *snapshot, uint32_t site,
                         struct cb_visitor_cursor *cursor, uint32_t scan_max,
                         bool (*each)(void *user, const struct cb_visitor *visitor), void *user,
                         bool *more) {
    struct list list = {.snapshot = snapshot,
                        .site = site,
                        .cursor = cursor,
                        .scan_left = scan_max,
                        .each = each,
                        .user = user};
    /* The last one that was given; of all zeros, the beginning, one whom nobody is before. */
    const uint32_t minute = ~cb_be32_get(cursor->bytes);
    const uint32_t ordinal = ~cb_be32_get(cursor->bytes + 4);
    const struct cb_key from = cb_key_recent(site, minute, cb_ordinal_set_chunk(ordinal));
    struct cb_db_cursor *rows;
    struct cb_str key, set;
    int rc =
        cb_db_cursor_open(snapshot->txn, cb_views_table(snapshot->views, CB_TABLE_RECENT), &rows);
    if (rc != 0) {
        return rc;
    }
    rc = cb_db_seek(rows, cb_key_str(&from), &key, &set);
    while (rc == 0 && !list.more && key.len == KEY_BYTES && memcmp(key.p, from.bytes, 4) == 0) {
        bool within = cb_str_eq(key, cb_key_str(&from));
        rc = list_set(&list, key, set, within ? cb_ordinal_set_offset(ordinal) : SET_ORDINALS);
        rc = rc == 0 && !list.more ? cb_db_next(rows, &key, &set) : rc;
    }
    cb_db_cursor_close(&rows);
    *more = list.more;
    return rc == CB_ENOENT ? 0 : rc;
}
