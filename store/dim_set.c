/* SPDX-License-Identifier: MIT */
#include "store/dim_set.h"

#include "store/rows.h"

static int find_row(struct cb_views *views, const struct cb_dim_set *set, uint32_t part,
                    struct cb_row **row) {
    const struct cb_key key =
        cb_key_dimension_set(set->site, set->day, set->kind, set->name_id, set->value, part);
    return cb_views_row(views, CB_TABLE_DIMENSION_SETS, &key, row);
}

static uint32_t chunk_of(uint32_t ordinal) {
    return ordinal >> CB_DIM_SET_CHUNK_BITS;
}

static uint16_t offset_of(uint32_t ordinal) {
    return (uint16_t)(ordinal % CB_DIM_SET_CHUNK_ORDINALS);
}

/* ---- a row as members ---- */

/* How many entries a list has. */
static int count_entries(struct cb_str row, bool chunk, size_t *n) {
    const size_t bytes = chunk ? CB_DIM_SET_CHUNK_ENTRY_BYTES : CB_DIM_SET_LIST_ENTRY_BYTES;
    *n = row.len / bytes;
    return row.len % bytes == 0 && *n <= (chunk ? CB_DIM_SET_CHUNK_MAX : CB_DIM_SET_LIST_MAX)
               ? 0
               : CB_ECORRUPT;
}

static struct cb_dim_member entry(const uint8_t *p, uint32_t part, size_t i) {
    if (part & CB_ORDINAL_CHUNKS) {
        p += CB_DIM_SET_CHUNK_ENTRY_BYTES * i;
        return (struct cb_dim_member){(part << CB_DIM_SET_CHUNK_BITS) + cb_be16_get(p), p[2]};
    }
    p += CB_DIM_SET_LIST_ENTRY_BYTES * i;
    const uint32_t word = cb_be32_get(p);
    return (struct cb_dim_member){part << CB_ORDINAL_LIST_BITS | word >> 8, (uint8_t)word};
}

/* Whether a member may stand there behind another one, or NULL: so a part has no more members than
 * it has ordinals. */
static bool follows(uint32_t part, const struct cb_dim_member *before, uint32_t ordinal) {
    return (!before || before->ordinal < ordinal) &&
           (!(part & CB_ORDINAL_CHUNKS) || chunk_of(ordinal) == (part & ~CB_ORDINAL_CHUNKS));
}

/* The n entries of a list, at most max. */
static int read_entries(const uint8_t *list, uint32_t part, size_t n, struct cb_dim_member *out,
                        size_t max) {
    for (size_t i = 0; i < n; i++) {
        if (i == max) {
            return CB_ECORRUPT;
        }
        out[i] = entry(list, part, i);
        if (!follows(part, i > 0 ? &out[i - 1] : NULL, out[i].ordinal)) {
            return CB_ECORRUPT;
        }
    }
    return 0;
}

static size_t put_entry(uint8_t *p, uint32_t part, struct cb_dim_member member) {
    if (part & CB_ORDINAL_CHUNKS) {
        cb_be16_put(p, offset_of(member.ordinal));
        p[2] = member.names;
        return CB_DIM_SET_CHUNK_ENTRY_BYTES;
    }
    cb_be32_put(p, member.ordinal << 8 | member.names);
    return CB_DIM_SET_LIST_ENTRY_BYTES;
}

/* The first entry from i on that is not below an ordinal. */
static size_t find_entry(const uint8_t *list, size_t n, uint32_t part, size_t i, uint32_t ordinal) {
    size_t high = n;
    while (i < high) {
        const size_t middle = (i + high) / 2;
        if (entry(list, part, middle).ordinal < ordinal) {
            i = middle + 1;
        } else {
            high = middle;
        }
    }
    return i;
}

/* The row's entries and new ones, in order; what lies between two new ones is copied as it is.
 * Returns the bytes. *changed: they are more than the row's. */
static size_t merge(const struct cb_row *row, size_t there, uint32_t part,
                    const struct cb_dim_member *members, size_t n, uint8_t *out, bool *changed) {
    const size_t bytes =
        part & CB_ORDINAL_CHUNKS ? CB_DIM_SET_CHUNK_ENTRY_BYTES : CB_DIM_SET_LIST_ENTRY_BYTES;
    size_t i = 0, len = 0;
    *changed = false;
    for (size_t k = 0; k <= n; k++) {
        const size_t to = k < n ? find_entry(row->data, there, part, i, members[k].ordinal) : there;
        if (to > i) {
            memcpy(out + len, row->data + bytes * i, bytes * (to - i));
            len += bytes * (to - i);
            i = to;
        }
        if (k < n) {
            struct cb_dim_member next = members[k];
            const struct cb_dim_member old =
                i < there ? entry(row->data, part, i) : (struct cb_dim_member){0, 0};
            const bool is_there = i < there && old.ordinal == next.ordinal;
            *changed |= !is_there || (next.names & ~old.names) != 0;
            next.names |= is_there ? old.names : 0;
            i += is_there;
            len += put_entry(out + len, part, next);
        }
    }
    return len;
}

/* Adds members to a row that is a list. *n_all: how many it would have then; where those are more
 * than it may have, it is left as it is, and all of them are in `scratch->entries`. */
static int add_to_entries(struct cb_views *views, struct cb_row *row, uint32_t part,
                          const struct cb_dim_member *members, size_t n,
                          struct cb_dim_set_scratch *scratch, size_t *n_all) {
    const bool chunk = part & CB_ORDINAL_CHUNKS;
    const size_t bytes = chunk ? CB_DIM_SET_CHUNK_ENTRY_BYTES : CB_DIM_SET_LIST_ENTRY_BYTES;
    size_t there;
    bool changed;
    int rc = count_entries((struct cb_str){(const char *)row->data, row->len}, chunk, &there);
    if (rc != 0 || n > CB_DIM_TAIL_EVENTS + CB_DIM_SET_LIST_MAX) {
        return CB_ECORRUPT;
    }
    const size_t len = merge(row, there, part, members, n, scratch->entries, &changed);
    *n_all = len / bytes;
    if (!changed || *n_all > (size_t)(chunk ? CB_DIM_SET_CHUNK_MAX : CB_DIM_SET_LIST_MAX)) {
        return 0;
    }
    rc = cb_row_resize(views, row, len);
    if (rc == 0) {
        memcpy(row->data, scratch->entries, len);
    }
    return rc;
}

/* ---- chunks ---- */

static void set_bit(struct cb_row *row, unsigned plane, uint16_t offset) {
    uint8_t *byte = row->data + plane * CB_DIM_SET_PLANE_BYTES + offset / 8;
    const uint8_t bit = (uint8_t)(1u << offset % 8);
    if (!(*byte & bit)) {
        *byte |= bit;
        cb_row_touch(row);
    }
}

/* Members into a chunk that is bitmaps. */
static void add_to_planes(struct cb_row *row, const struct cb_dim_member *members, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const uint16_t offset = offset_of(members[i].ordinal);
        set_bit(row, 0, offset);
        for (unsigned names = members[i].names; names != 0; names &= names - 1) {
            set_bit(row, 1 + (unsigned)__builtin_ctz(names), offset);
        }
    }
}

/* A chunk's list becomes bitmaps of the n entries that it would have. */
static int make_planes(struct cb_views *views, struct cb_row *row, uint32_t part, size_t n,
                       struct cb_dim_set_scratch *scratch) {
    struct cb_dim_member members[CB_DIM_SET_CHUNK_ORDINALS];
    int rc = read_entries(scratch->entries, part, n, members, CB_DIM_SET_CHUNK_ORDINALS);
    rc = rc == 0 ? cb_row_resize(views, row, 0) : rc;
    rc = rc == 0 ? cb_row_resize(views, row, CB_DIM_SET_PLANES_BYTES) : rc;
    if (rc == 0) {
        add_to_planes(row, members, n);
    }
    return rc;
}

/* Members of one chunk. */
static int add_to_chunk(struct cb_views *views, const struct cb_dim_set *set, uint32_t part,
                        const struct cb_dim_member *members, size_t n,
                        struct cb_dim_set_scratch *scratch) {
    struct cb_row *row;
    size_t n_all;
    int rc = find_row(views, set, part, &row);
    if (rc == 0 && row->len == CB_DIM_SET_PLANES_BYTES) {
        add_to_planes(row, members, n);
        return 0;
    }
    rc = rc == 0 ? add_to_entries(views, row, part, members, n, scratch, &n_all) : rc;
    return rc == 0 && n_all > CB_DIM_SET_CHUNK_MAX ? make_planes(views, row, part, n_all, scratch)
                                                   : rc;
}

static int add_to_chunks(struct cb_views *views, const struct cb_dim_set *set,
                         const struct cb_dim_member *members, size_t n,
                         struct cb_dim_set_scratch *scratch) {
    int rc = 0;
    for (size_t i = 0, more; rc == 0 && i < n; i += more) {
        const uint32_t chunk = chunk_of(members[i].ordinal);
        for (more = 1; i + more < n && chunk_of(members[i + more].ordinal) == chunk;) {
            more++;
        }
        rc = add_to_chunk(views, set, chunk | CB_ORDINAL_CHUNKS, members + i, more, scratch);
    }
    return rc;
}

/* ---- lists ---- */

/* The n entries that a list would have go into chunks. */
static int move_list(struct cb_views *views, const struct cb_dim_set *set, uint32_t part,
                     struct cb_row *row, size_t n, struct cb_dim_set_scratch *scratch) {
    int rc = read_entries(scratch->entries, part, n, scratch->list,
                          sizeof(scratch->list) / sizeof(*scratch->list));
    rc = rc == 0 ? cb_row_resize(views, row, CB_ORDINAL_LIST_MOVED_BYTES) : rc;
    if (rc == 0) {
        row->data[0] = 0;
        rc = add_to_chunks(views, set, scratch->list, n, scratch);
    }
    return rc;
}

/* Members of one list, none of whom belongs into chunks from the beginning. */
static int add_to_list(struct cb_views *views, const struct cb_dim_set *set, uint32_t part,
                       const struct cb_dim_member *members, size_t n,
                       struct cb_dim_set_scratch *scratch) {
    struct cb_row *row;
    size_t n_all;
    int rc = find_row(views, set, part, &row);
    if (rc == 0 && cb_ordinal_list_moved(row)) {
        return add_to_chunks(views, set, members, n, scratch);
    }
    rc = rc == 0 ? add_to_entries(views, row, part, members, n, scratch, &n_all) : rc;
    return rc == 0 && n_all > CB_DIM_SET_LIST_MAX ? move_list(views, set, part, row, n_all, scratch)
                                                  : rc;
}

int cb_dim_set_add(struct cb_views *views, const struct cb_dim_set *set,
                   const struct cb_dim_member *members, size_t n,
                   struct cb_dim_set_scratch *scratch) {
    size_t i = 0;
    while (i < n && members[i].ordinal < CB_DIM_SET_LIST_FROM) {
        i++;
    }
    int rc = i > 0 ? add_to_chunks(views, set, members, i, scratch) : 0;
    for (size_t more; rc == 0 && i < n; i += more) {
        const uint32_t part = members[i].ordinal >> CB_ORDINAL_LIST_BITS;
        for (more = 1; i + more < n && members[i + more].ordinal >> CB_ORDINAL_LIST_BITS == part;) {
            more++;
        }
        rc = add_to_list(views, set, part, members + i, more, scratch);
    }
    return rc;
}

/* ---- reading ---- */

static int or_plane(const uint8_t *p, uint32_t chunk, uint32_t n_visitors, uint64_t *words) {
    const uint64_t at = (uint64_t)chunk * (CB_DIM_SET_CHUNK_ORDINALS / 64);
    const uint64_t n_words = ((uint64_t)n_visitors + 63) / 64;
    if (at >= n_words) {
        return CB_ECORRUPT;
    }
    for (size_t w = 0; w < CB_DIM_SET_PLANE_BYTES / 8; w++) {
        uint64_t word; /* bit n of byte n / 8: little-endian */
        memcpy(&word, p + 8 * w, sizeof(word));
        if (at + w < n_words) {
            words[at + w] |= word;
        } else if (word != 0) {
            return CB_ECORRUPT;
        }
    }
    return 0;
}

int cb_dim_set_or(struct cb_str row, uint32_t part, uint8_t name, uint32_t n_visitors,
                  uint64_t *words) {
    const bool chunk = part & CB_ORDINAL_CHUNKS;
    const uint8_t *p = (const uint8_t *)row.p;
    size_t n;
    if (chunk && row.len == CB_DIM_SET_PLANES_BYTES) {
        const unsigned plane = name ? 1 + (unsigned)__builtin_ctz(name) : 0;
        return or_plane(p + (size_t)plane * CB_DIM_SET_PLANE_BYTES, part & ~CB_ORDINAL_CHUNKS,
                        n_visitors, words);
    }
    if (!chunk && row.len == CB_ORDINAL_LIST_MOVED_BYTES) {
        return 0;
    }
    int rc = count_entries(row, chunk, &n);
    struct cb_dim_member before;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const struct cb_dim_member member = entry(p, part, i);
        if (member.ordinal >= n_visitors ||
            !follows(part, i > 0 ? &before : NULL, member.ordinal)) {
            return CB_ECORRUPT;
        }
        before = member;
        if (!name || member.names & name) {
            words[member.ordinal / 64] |= UINT64_C(1) << member.ordinal % 64;
        }
    }
    return rc;
}
