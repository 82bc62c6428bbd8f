/* SPDX-License-Identifier: MIT
 * dim_chunk.c: a row is u8 entries · entries × (u8 offset · u8 members · u32 events), ascending ·
 * the members of all of them, one after another. */
#include "store/dim_chunk.h"

enum {
    HEAD = 1,
    ENTRY = CB_DIM_ENTRY_BYTES,
    MEMBER = 4,
    APART = CB_DIM_APART,
    ENTRIES_MAX = 1 << CB_DIM_CHUNK_BITS
};

static uint8_t *entry_at(struct cb_row *row, unsigned i) {
    return row->data + HEAD + (size_t)i * ENTRY;
}

static unsigned members_of(const uint8_t *entry) {
    return entry[1] == APART ? 0 : entry[1];
}

/* Where an offset's entry is or would be, and where its members are. */
struct place {
    unsigned i;
    bool found;
    size_t members_at;
};

/* One pass, which also finds that the entries' members are what the row has. Errors: CB_ECORRUPT.
 */
static int find(struct cb_row *row, uint8_t offset, struct place *out) {
    const unsigned n = row->data[0];
    const size_t entries_end = HEAD + (size_t)n * ENTRY;
    size_t before = 0, all = 0;
    *out = (struct place){.i = n};
    if (n > ENTRIES_MAX || entries_end > row->len) {
        return CB_ECORRUPT;
    }
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *entry = entry_at(row, i);
        if (out->i == n && entry[0] >= offset) {
            out->i = i;
            out->found = entry[0] == offset;
            before = all;
        }
        all += members_of(entry);
    }
    out->members_at = entries_end + MEMBER * (out->i == n ? all : before);
    return entries_end + MEMBER * all == row->len ? 0 : CB_ECORRUPT;
}

/* Makes room for bytes at a place. */
static int open_gap(struct cb_views *views, struct cb_row *row, size_t at, size_t bytes) {
    size_t behind = row->len - at;
    int rc = cb_row_resize(views, row, row->len + bytes);
    if (rc == 0) {
        memmove(row->data + at + bytes, row->data + at, behind);
    }
    return rc;
}

static unsigned largest_of(struct cb_row *row) {
    unsigned largest = 0;
    for (unsigned i = 1; i < row->data[0]; i++) {
        if (members_of(entry_at(row, i)) > members_of(entry_at(row, largest))) {
            largest = i;
        }
    }
    return largest;
}

/* Takes the set of entry i out of a row. */
static int move_set(struct cb_row *row, unsigned i, struct cb_dim_moved *moved) {
    uint8_t *entry = entry_at(row, i);
    struct place place;
    int rc = find(row, entry[0], &place);
    if (rc != 0) {
        return rc;
    }
    moved->offset = entry[0];
    moved->n = members_of(entry);
    uint8_t *members = row->data + place.members_at;
    for (unsigned k = 0; k < moved->n; k++) {
        moved->ordinals[k] = cb_be32_get(members + MEMBER * k);
    }
    size_t behind = place.members_at + MEMBER * moved->n;
    memmove(members, row->data + behind, row->len - behind);
    row->len -= (uint32_t)(MEMBER * moved->n);
    entry[1] = APART;
    return 0;
}

static int add_member(struct cb_views *views, struct cb_row *row, const struct place *at,
                      uint32_t ordinal, struct cb_dim_moved *moved) {
    struct place place = *at;
    uint8_t *entry = entry_at(row, place.i);
    const uint8_t offset = entry[0];
    for (unsigned k = 0; k < members_of(entry); k++) {
        if (cb_be32_get(row->data + place.members_at + MEMBER * k) == ordinal) {
            return 0;
        }
    }
    int rc = 0;
    if (entry[1] == CB_DIM_MEMBERS_MAX) {
        rc = move_set(row, place.i, moved);
    } else if (entry[1] != APART && row->len + MEMBER > CB_DIM_CHUNK_BYTES_MAX) {
        rc = move_set(row, largest_of(row), moved);
        rc = rc == 0 ? find(row, offset, &place) : rc;
    }
    if (rc == 0 && entry[1] == APART) {
        moved->offset = offset;
        moved->ordinals[moved->n++] = ordinal;
        return 0;
    }
    size_t end = place.members_at + MEMBER * (size_t)members_of(entry);
    rc = rc == 0 ? open_gap(views, row, end, MEMBER) : rc;
    if (rc == 0) {
        cb_be32_put(row->data + end, ordinal);
        entry_at(row, place.i)[1]++;
    }
    return rc;
}

/* A new entry, with room for its first member behind it, so that one set at most moves. */
static int add_entry(struct cb_views *views, struct cb_row *row, uint8_t offset,
                     struct place *place, struct cb_dim_moved *moved) {
    int rc = 0;
    if (row->len + ENTRY + MEMBER > CB_DIM_CHUNK_BYTES_MAX) {
        rc = move_set(row, largest_of(row), moved); /* of three members or more: see below */
    }
    rc = rc == 0 ? open_gap(views, row, HEAD + (size_t)place->i * ENTRY, ENTRY) : rc;
    if (rc == 0) {
        memset(entry_at(row, place->i), 0, ENTRY);
        entry_at(row, place->i)[0] = offset;
        row->data[0]++;
        rc = find(row, offset, place);
    }
    return rc;
}

/* 128 entries leave room for 307 members: a full row has a set of three. */
_Static_assert((CB_DIM_CHUNK_BYTES_MAX - ENTRY - MEMBER - HEAD - ENTRIES_MAX * ENTRY) / MEMBER >
                   2 * ENTRIES_MAX,
               "a full row may have no set that is worth moving");

int cb_dim_chunk_add(struct cb_views *views, struct cb_row *row, uint8_t offset,
                     const uint32_t *ordinal, struct cb_dim_moved *moved) {
    struct place place;
    moved->n = moved->offset = 0;
    int rc = row->len == 0 ? cb_row_resize(views, row, HEAD) : 0;
    rc = rc == 0 ? find(row, offset, &place) : rc;
    if (rc == 0 && !place.found) {
        rc = add_entry(views, row, offset, &place, moved);
    }
    if (rc != 0) {
        return rc;
    }
    uint8_t *events = entry_at(row, place.i) + 2;
    uint32_t n = cb_be32_get(events);
    cb_be32_put(events, n < UINT32_MAX ? n + 1 : n);
    cb_row_touch(row);
    return ordinal ? add_member(views, row, &place, *ordinal, moved) : 0;
}

int cb_dim_walk_init(struct cb_dim_walk *walk, struct cb_str row) {
    const uint8_t *data = (const uint8_t *)row.p;
    size_t n = row.len > 0 ? data[0] : 0, entries_end = HEAD + n * ENTRY;
    if (n == 0 || n > ENTRIES_MAX || entries_end > row.len) {
        return CB_ECORRUPT;
    }
    walk->entry = data + HEAD;
    walk->entries_end = walk->members = data + entries_end;
    walk->end = data + row.len;
    return 0;
}
