/* SPDX-License-Identifier: MIT
 * walk.h: a cursor of a snapshot that goes forward: to where it stands already it does not seek, so
 * what is asked for in the order of the keys costs a seek only where something is left out. */
#ifndef CB_STORE_WALK_H
#define CB_STORE_WALK_H

#include "store/snapshot.h"

struct cb_walk {
    struct cb_db_cursor *cursor;
    struct cb_str key, value; /* of the row it stands at */
    int rc;                   /* 0: it stands at a row; CB_ENOENT: behind the last one */
    bool placed;
    /* No row lies between this key and the row: the one that was asked for, or, where it has a
     * length, that of the row before. */
    struct cb_key asked;
    struct cb_str before;
};

CB_MUST_USE int cb_walk_open(struct cb_snapshot *snapshot, enum cb_table table,
                             struct cb_walk *out);
void cb_walk_close(struct cb_walk *walk);

/* To the first row at or behind a key. Errors: CB_ENOENT when there is none, CB_EIO. */
CB_MUST_USE int cb_walk_to(struct cb_walk *walk, const struct cb_key *key);
CB_MUST_USE int cb_walk_next(struct cb_walk *walk);
/* Whether it stands at a row whose key begins with the first len bytes of this one. */
static inline bool cb_walk_at(const struct cb_walk *walk, const struct cb_key *prefix, size_t len) {
    return walk->rc == 0 && walk->key.len >= len && memcmp(walk->key.p, prefix->bytes, len) == 0;
}

#endif
