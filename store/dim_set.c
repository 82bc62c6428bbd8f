/* SPDX-License-Identifier: MIT */
#include "store/dim_set.h"

#include "store/rows.h"

static int find_row(struct cb_views *views, const struct cb_dim_set *set, uint32_t part,
                    struct cb_row **row) {
    const struct cb_key key =
        cb_key_dimension_set(set->site, set->day, set->kind, set->name_id, set->value, part);
    return cb_views_row(views, CB_TABLE_DIMENSION_SETS, &key, row);
}

/* What a part is by its number: of the list, chunks and pieces of a set. */
struct level {
    uint32_t flag;
    unsigned bits; /* of ordinals within a part */
    size_t entry_bytes, max;
};

static const struct level list_level = {0, CB_ORDINAL_LIST_BITS, CB_DIM_SET_LIST_ENTRY_BYTES,
                                        CB_DIM_SET_LIST_MAX};
static const struct level chunk_level = {CB_DIM_SET_CHUNKS, CB_DIM_SET_CHUNK_BITS,
                                         CB_DIM_SET_CHUNK_ENTRY_BYTES, CB_DIM_SET_CHUNK_MAX};
static const struct level piece_level = {CB_DIM_SET_PIECES, CB_DIM_SET_PIECE_BITS,
                                         CB_DIM_SET_CHUNK_ENTRY_BYTES, CB_DIM_SET_PIECE_MAX};

static const struct level *level_of(uint32_t part) {
    return !(part & CB_DIM_SET_CHUNKS)                       ? &list_level
           : (part & CB_DIM_SET_PIECES) == CB_DIM_SET_PIECES ? &piece_level
                                                             : &chunk_level;
}

static uint32_t part_of(const struct level *level, uint32_t ordinal) {
    return level->flag | ordinal >> level->bits;
}

/* ---- a row as members ---- */

/* How many entries a list has. */
static int count_entries(struct cb_str row, uint32_t part, size_t *n) {
    const struct level *level = level_of(part);
    *n = row.len / level->entry_bytes;
    return row.len % level->entry_bytes == 0 && *n <= level->max ? 0 : CB_ECORRUPT;
}

static struct cb_dim_member entry(const uint8_t *p, uint32_t part, size_t i) {
    const struct level *level = level_of(part);
    const uint32_t first = (part & ~level->flag) << level->bits;
    p += level->entry_bytes * i;
    if (level != &list_level) {
        return (struct cb_dim_member){first + cb_be16_get(p), p[2]};
    }
    const uint32_t word = cb_be32_get(p);
    return (struct cb_dim_member){first | word >> 8, (uint8_t)word};
}

/* Whether a member may stand there behind another one, or NULL: so a part has no more members than
 * it has ordinals. */
static bool follows(uint32_t part, const struct cb_dim_member *before, uint32_t ordinal) {
    return (!before || before->ordinal < ordinal) && part_of(level_of(part), ordinal) == part;
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
    const struct level *level = level_of(part);
    if (level != &list_level) {
        cb_be16_put(p, (uint16_t)(member.ordinal & ((1u << level->bits) - 1)));
        p[2] = member.names;
    } else {
        cb_be32_put(p, member.ordinal << 8 | member.names);
    }
    return level->entry_bytes;
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
    const size_t bytes = level_of(part)->entry_bytes;
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
    const struct level *level = level_of(part);
    size_t there;
    bool changed;
    int rc = count_entries((struct cb_str){(const char *)row->data, row->len}, part, &there);
    if (rc != 0 || n > CB_DIM_TAIL_EVENTS + CB_DIM_SET_LIST_MAX) {
        return CB_ECORRUPT;
    }
    const size_t len = merge(row, there, part, members, n, scratch->entries, &changed);
    *n_all = len / level->entry_bytes;
    if (!changed || *n_all > level->max) {
        return 0;
    }
    rc = cb_row_resize(views, row, len);
    if (rc == 0) {
        memcpy(row->data, scratch->entries, len);
    }
    return rc;
}

/* ---- parts ---- */

static void set_bit(struct cb_row *row, unsigned plane, unsigned offset) {
    uint8_t *byte = row->data + plane * CB_DIM_SET_PLANE_BYTES + offset / 8;
    const uint8_t bit = (uint8_t)(1u << offset % 8);
    if (!(*byte & bit)) {
        *byte |= bit;
        cb_row_touch(row);
    }
}

/* Members into a piece that is bitmaps. */
static void add_to_planes(struct cb_row *row, const struct cb_dim_member *members, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const unsigned offset = members[i].ordinal % CB_DIM_SET_PIECE_ORDINALS;
        set_bit(row, 0, offset);
        for (unsigned names = members[i].names; names != 0; names &= names - 1) {
            set_bit(row, 1 + (unsigned)__builtin_ctz(names), offset);
        }
    }
}

/* A piece's list becomes bitmaps of the n entries that it would have. */
static int make_planes(struct cb_views *views, struct cb_row *row, uint32_t part, size_t n,
                       struct cb_dim_set_scratch *scratch) {
    struct cb_dim_member members[CB_DIM_SET_PIECE_ORDINALS];
    int rc = read_entries(scratch->entries, part, n, members, CB_DIM_SET_PIECE_ORDINALS);
    rc = rc == 0 ? cb_row_resize(views, row, 0) : rc;
    rc = rc == 0 ? cb_row_resize(views, row, CB_DIM_SET_PLANES_BYTES) : rc;
    if (rc == 0) {
        add_to_planes(row, members, n);
    }
    return rc;
}

static int add_to_piece(struct cb_views *views, struct cb_row *row, uint32_t part,
                        const struct cb_dim_member *members, size_t n,
                        struct cb_dim_set_scratch *scratch) {
    size_t n_all;
    if (row->len == CB_DIM_SET_PLANES_BYTES) {
        add_to_planes(row, members, n);
        return 0;
    }
    int rc = add_to_entries(views, row, part, members, n, scratch, &n_all);
    return rc == 0 && n_all > CB_DIM_SET_PIECE_MAX ? make_planes(views, row, part, n_all, scratch)
                                                   : rc;
}

static int add_by_part(struct cb_views *views, const struct cb_dim_set *set,
                       const struct level *level, const struct cb_dim_member *members, size_t n,
                       struct cb_dim_set_scratch *scratch);

/* The n entries that a list or chunk would have go into what is below it. */
static int move_entries(struct cb_views *views, const struct cb_dim_set *set, uint32_t part,
                        struct cb_row *row, size_t n, struct cb_dim_set_scratch *scratch) {
    const bool list = level_of(part) == &list_level;
    struct cb_dim_member *members = list ? scratch->list : scratch->chunk;
    const size_t max =
        list ? sizeof(scratch->list) / sizeof(*members) : sizeof(scratch->chunk) / sizeof(*members);
    int rc = read_entries(scratch->entries, part, n, members, max);
    rc = rc == 0 ? cb_row_resize(views, row, CB_ORDINAL_LIST_MOVED_BYTES) : rc;
    if (rc == 0) {
        row->data[0] = 0;
        rc = add_by_part(views, set, list ? &chunk_level : &piece_level, members, n, scratch);
    }
    return rc;
}

/* Members of one part. */
static int add_to_part(struct cb_views *views, const struct cb_dim_set *set, uint32_t part,
                       const struct cb_dim_member *members, size_t n,
                       struct cb_dim_set_scratch *scratch) {
    const struct level *level = level_of(part);
    struct cb_row *row;
    size_t n_all;
    int rc = find_row(views, set, part, &row);
    if (rc != 0) {
        return rc;
    }
    if (level == &piece_level) {
        return add_to_piece(views, row, part, members, n, scratch);
    }
    if (cb_ordinal_list_moved(row)) {
        return add_by_part(views, set, level == &list_level ? &chunk_level : &piece_level, members,
                           n, scratch);
    }
    rc = add_to_entries(views, row, part, members, n, scratch, &n_all);
    return rc == 0 && n_all > level->max ? move_entries(views, set, part, row, n_all, scratch) : rc;
}

static int add_by_part(struct cb_views *views, const struct cb_dim_set *set,
                       const struct level *level, const struct cb_dim_member *members, size_t n,
                       struct cb_dim_set_scratch *scratch) {
    int rc = 0;
    for (size_t i = 0, more; rc == 0 && i < n; i += more) {
        const uint32_t part = part_of(level, members[i].ordinal);
        for (more = 1; i + more < n && part_of(level, members[i + more].ordinal) == part;) {
            more++;
        }
        rc = add_to_part(views, set, part, members + i, more, scratch);
    }
    return rc;
}

int cb_dim_set_add(struct cb_views *views, const struct cb_dim_set *set,
                   const struct cb_dim_member *members, size_t n,
                   struct cb_dim_set_scratch *scratch) {
    size_t i = 0;
    while (i < n && members[i].ordinal < CB_DIM_SET_LIST_FROM) {
        i++;
    }
    int rc = add_by_part(views, set, &chunk_level, members, i, scratch);
    return rc == 0 ? add_by_part(views, set, &list_level, members + i, n - i, scratch) : rc;
}

/* ---- reading ---- */

static int or_plane(const uint8_t *p, uint32_t piece, uint32_t n_visitors, uint64_t *words) {
    const uint64_t at = (uint64_t)piece * (CB_DIM_SET_PIECE_ORDINALS / 64);
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

/* Offsets ascend and are of the part; reports over many days spend their time here. */
static int or_offsets(const uint8_t *p, size_t n, const struct level *level, uint32_t part,
                      uint8_t name, uint32_t n_visitors, uint64_t *words) {
    const uint32_t first = (part & ~level->flag) << level->bits;
    uint32_t least = 0;
    for (size_t i = 0; i < n; i++, p += CB_DIM_SET_CHUNK_ENTRY_BYTES) {
        const uint32_t offset = cb_be16_get(p), ordinal = first + offset;
        if (offset < least || offset >> level->bits || ordinal >= n_visitors) {
            return CB_ECORRUPT;
        }
        least = offset + 1;
        const uint64_t bit = !name || p[2] & name;
        words[ordinal / 64] |= bit << ordinal % 64;
    }
    return 0;
}

static int or_ordinals(const uint8_t *p, size_t n, uint32_t part, uint8_t name, uint32_t n_visitors,
                       uint64_t *words) {
    uint32_t least = 0;
    for (size_t i = 0; i < n; i++) {
        const struct cb_dim_member member = entry(p, part, i);
        if (member.ordinal < least || member.ordinal >= n_visitors) {
            return CB_ECORRUPT;
        }
        least = member.ordinal + 1;
        const uint64_t bit = !name || member.names & name;
        words[member.ordinal / 64] |= bit << member.ordinal % 64;
    }
    return 0;
}

int cb_dim_set_or(struct cb_str row, uint32_t part, uint8_t name, uint32_t n_visitors,
                  uint64_t *words) {
    const struct level *level = level_of(part);
    const uint8_t *p = (const uint8_t *)row.p;
    size_t n;
    if (level == &piece_level && row.len == CB_DIM_SET_PLANES_BYTES) {
        const unsigned plane = name ? 1 + (unsigned)__builtin_ctz(name) : 0;
        return or_plane(p + (size_t)plane * CB_DIM_SET_PLANE_BYTES, part & ~level->flag, n_visitors,
                        words);
    }
    if (level != &piece_level && row.len == CB_ORDINAL_LIST_MOVED_BYTES) {
        return 0;
    }
    int rc = count_entries(row, part, &n);
    if (rc != 0) {
        return rc;
    }
    return level == &list_level ? or_ordinals(p, n, part, name, n_visitors, words)
                                : or_offsets(p, n, level, part, name, n_visitors, words);
}
