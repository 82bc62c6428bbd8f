/* SPDX-License-Identifier: MIT
 * dim_chunk.c: a row is u8 n · n × u8 offset, ascending · n × u8 members · n × u8 names · n × u32
 * events · the events by name of all of them, one after another · their members · their members'
 * names. Arrays, so that where a value stands is found without looking at all that the row has, and
 * a report that adds up events reads nothing else.
 *
 * Events that come at once may be counted at once: what an event changes does not depend on whether
 * it comes alone. So a set moves only where something new finds no room. */
#include "store/dim_chunk.h"

enum {
    HEAD = 1,
    ENTRY = 7,  /* offset, members, names, events */
    COUNT = 4,  /* events of a name */
    MEMBER = 5, /* ordinal, names */
    ORDINAL = 4,
    APART = CB_DIM_APART,
    OFFSET = CB_DIM_APART - 1,
    ENTRIES_MAX = 1 << CB_DIM_CHUNK_BITS
};

/* The sums of n bytes, and of the bits that are set in them, eight at a time; n is 32 at most. */
static unsigned sum_bytes(const uint8_t *p, unsigned n) {
    const uint64_t low = UINT64_C(0x00ff00ff00ff00ff);
    uint64_t sums = 0; /* four, of 16 bits */
    unsigned i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, sizeof(word));
        sums += (word & low) + (word >> 8 & low);
    }
    unsigned sum = (unsigned)(sums * UINT64_C(0x0001000100010001) >> 48);
    for (; i < n; i++) {
        sum += p[i];
    }
    return sum;
}

static unsigned sum_bits(const uint8_t *p, unsigned n) {
    unsigned sum = 0, i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, sizeof(word));
        word -= word >> 1 & UINT64_C(0x5555555555555555);
        word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
        word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
        sum += (unsigned)(word * UINT64_C(0x0101010101010101) >> 56);
    }
    for (; i < n; i++) {
        sum += cb_dim_bits(p[i]);
    }
    return sum;
}

/* Where things stand in a row. */
struct layout {
    unsigned n, n_by_name, n_members;
    size_t members, names, events, by_name, ordinals, member_names;
};

/* Errors: CB_ECORRUPT. */
static int lay_out(const uint8_t *data, size_t len, struct layout *out) {
    const size_t n = len > 0 ? data[0] : 0;
    if (len == 0 || n > ENTRIES_MAX || HEAD + n * ENTRY > len) {
        return CB_ECORRUPT;
    }
    out->n = (unsigned)n;
    out->members = HEAD + n;
    out->names = HEAD + 2 * n;
    out->events = HEAD + 3 * n;
    out->n_by_name = sum_bits(data + out->names, out->n);
    out->n_members = sum_bytes(data + out->members, out->n);
    out->by_name = HEAD + ENTRY * n;
    out->ordinals = out->by_name + COUNT * (size_t)out->n_by_name;
    out->member_names = out->ordinals + ORDINAL * (size_t)out->n_members;
    return out->member_names + out->n_members == len ? 0 : CB_ECORRUPT;
}

/* Where an offset's entry is or would be, and what its own stands behind. */
struct place {
    struct layout at;
    unsigned i, by_name, members; /* those of the entries before it */
    bool found;
};

static int find(const struct cb_row *row, uint8_t offset, struct place *out) {
    int rc = lay_out(row->data, row->len, &out->at);
    if (rc != 0) {
        return rc;
    }
    const uint8_t *offsets = row->data + HEAD;
    unsigned low = 0, high = out->at.n;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if ((offsets[middle] & OFFSET) < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    out->i = low;
    out->found = low < out->at.n && (offsets[low] & OFFSET) == offset;
    out->by_name = sum_bits(row->data + out->at.names, low);
    out->members = sum_bytes(row->data + out->at.members, low);
    return 0;
}

/* ---- taking a set out ---- */

static unsigned largest_of(const struct cb_row *row) {
    const unsigned n = row->data[0];
    const uint8_t *members = row->data + HEAD + n;
    unsigned largest = 0;
    for (unsigned i = 1; i < n; i++) {
        if (members[i] > members[largest]) {
            largest = i;
        }
    }
    return largest;
}

static void cut(struct cb_row *row, size_t at, size_t bytes) {
    memmove(row->data + at, row->data + at + bytes, row->len - at - bytes);
    row->len -= (uint32_t)bytes;
}

/* Takes the set of entry i out of a row. */
static int move_set(struct cb_row *row, unsigned i, struct cb_dim_moved *moved) {
    struct place place;
    uint8_t *offset = row->data + HEAD + i;
    int rc = find(row, *offset & OFFSET, &place);
    if (rc != 0) {
        return rc;
    }
    uint8_t *n = row->data + place.at.members + i;
    const size_t ordinals = place.at.ordinals + ORDINAL * (size_t)place.members;
    const size_t names = place.at.member_names + place.members;
    moved->offset = *offset & OFFSET;
    moved->n = *n;
    for (unsigned k = 0; k < moved->n; k++) {
        moved->ordinals[k] = cb_be32_get(row->data + ordinals + ORDINAL * (size_t)k);
        moved->names[k] = row->data[names + k];
    }
    cut(row, names, moved->n);
    cut(row, ordinals, ORDINAL * (size_t)moved->n);
    *offset |= APART;
    *n = 0;
    return 0;
}

/* ---- putting in ---- */

static void count_up(uint8_t *p, uint32_t events) {
    uint32_t n = cb_be32_get(p);
    cb_be32_put(p, n < UINT32_MAX - events ? n + events : UINT32_MAX);
}

/* The names of a member, or NULL. The newest are looked at first: who has one event mostly has the
 * next one, too. */
static uint8_t *find_member(struct cb_row *row, const struct place *place, uint32_t ordinal) {
    const uint8_t *ordinals = row->data + place->at.ordinals + ORDINAL * (size_t)place->members;
    uint8_t wanted[ORDINAL];
    cb_be32_put(wanted, ordinal);
    for (unsigned k = row->data[place->at.members + place->i]; k-- > 0;) {
        if (memcmp(ordinals + ORDINAL * (size_t)k, wanted, ORDINAL) == 0) {
            return row->data + place->at.member_names + place->members + k;
        }
    }
    return NULL;
}

/* What a row does not have yet. */
struct missing {
    bool entry, name, member;
    size_t bytes;
};

/* Also gives the name to a member who is there. */
static struct missing find_missing(struct cb_row *row, const struct place *place, uint8_t name,
                                   const uint32_t *ordinal) {
    const unsigned i = place->i;
    struct missing missing = {!place->found, name != 0, ordinal != NULL, 0};
    if (place->found) {
        missing.name = (name & ~(unsigned)row->data[place->at.names + i]) != 0;
        missing.member = ordinal && !(row->data[HEAD + i] & APART);
        uint8_t *names = missing.member ? find_member(row, place, *ordinal) : NULL;
        if (names) {
            *names |= name;
            missing.member = false;
        }
    }
    missing.bytes =
        (missing.entry ? ENTRY : 0u) + (missing.name ? COUNT : 0u) + (missing.member ? MEMBER : 0u);
    return missing;
}

/* Where there is no room for what is missing, one set moves out, which gives more than that takes:
 * see below. */
static int make_room(struct cb_row *row, uint8_t offset, uint8_t name, const uint32_t *ordinal,
                     struct place *place, struct missing *missing, struct cb_dim_moved *moved) {
    int rc;
    if (missing->member && place->found &&
        row->data[place->at.members + place->i] == CB_DIM_MEMBERS_MAX) {
        rc = move_set(row, place->i, moved);
    } else if (missing->bytes > 0 && row->len + missing->bytes > CB_DIM_CHUNK_BYTES_MAX) {
        rc = move_set(row, largest_of(row), moved);
    } else {
        return 0;
    }
    rc = rc == 0 ? find(row, offset, place) : rc;
    if (rc == 0) {
        *missing = find_missing(row, place, name, ordinal);
    }
    return rc;
}

/* A full row has a set of four, which takes as much as an entry, a name and a member. */
_Static_assert((CB_DIM_CHUNK_BYTES_MAX - HEAD - ENTRIES_MAX * (ENTRY + COUNT * CB_DIM_NAMES)) /
                           MEMBER -
                       4 >
                   3 * ENTRIES_MAX,
               "a full row may have no set that is worth moving");

/* Puts in what is missing, all at once. */
static int put(struct cb_views *views, struct cb_row *row, const struct place *place,
               const struct missing *missing, uint8_t offset, uint8_t name,
               const uint32_t *ordinal) {
    const struct layout *at = &place->at;
    const unsigned i = place->i;
    const size_t len = row->len;
    const unsigned names = place->found ? row->data[at->names + i] : 0;
    const size_t by_name = place->by_name + cb_dim_bits(names & (name - 1u));
    const size_t member = place->members + (place->found ? row->data[at->members + i] : 0u);
    const size_t entry = missing->entry, count = missing->name ? COUNT : 0;
    const struct {
        size_t at, bytes;
    } gaps[] = {{HEAD + i, entry},
                {at->members + i, entry},
                {at->names + i, entry},
                {at->events + 4 * (size_t)i, 4 * entry},
                {at->by_name + COUNT * by_name, count},
                {at->ordinals + ORDINAL * member, missing->member ? ORDINAL : 0},
                {at->member_names + member, missing->member ? 1 : 0}};
    int rc = cb_row_resize(views, row, len + missing->bytes);
    if (rc != 0) {
        return rc;
    }
    /* From the end: each part moves by what is put in before it. */
    uint8_t *data = row->data;
    size_t end = len, by = missing->bytes;
    for (size_t k = sizeof(gaps) / sizeof(*gaps); k-- > 0;) {
        if (gaps[k].bytes > 0) {
            memmove(data + gaps[k].at + by, data + gaps[k].at, end - gaps[k].at);
            by -= gaps[k].bytes;
            end = gaps[k].at;
            memset(data + end + by, 0, gaps[k].bytes);
        }
    }
    data[0] = (uint8_t)(data[0] + entry);
    const size_t n = data[0];
    if (missing->entry) {
        data[HEAD + i] = offset;
    }
    data[HEAD + 2 * n + i] |= name;
    if (missing->member) {
        const size_t before = ENTRY * entry + count;
        data[HEAD + n + i]++;
        cb_be32_put(data + gaps[5].at + before, *ordinal);
        data[gaps[6].at + before + ORDINAL] = name;
    }
    return 0;
}

int cb_dim_chunk_add(struct cb_views *views, struct cb_row *row, uint8_t offset, uint8_t name,
                     uint32_t events, const uint32_t *ordinal, struct cb_dim_moved *moved) {
    struct place place;
    struct missing missing = {.bytes = 0};
    moved->apart = false;
    moved->n = moved->offset = 0;
    int rc = row->len == 0 ? cb_row_resize(views, row, HEAD) : 0;
    rc = rc == 0 ? find(row, offset, &place) : rc;
    if (rc == 0) {
        missing = find_missing(row, &place, name, ordinal);
        rc = make_room(row, offset, name, ordinal, &place, &missing, moved);
    }
    if (rc == 0 && missing.bytes > 0) {
        rc = put(views, row, &place, &missing, offset, name, ordinal);
    }
    if (rc != 0) {
        return rc;
    }
    uint8_t *data = row->data;
    const size_t n = data[0], i = place.i;
    count_up(data + HEAD + 3 * n + 4 * i, events);
    if (name) {
        size_t at = place.by_name + cb_dim_bits(data[HEAD + 2 * n + i] & (name - 1u));
        count_up(data + HEAD + ENTRY * n + COUNT * at, events);
    }
    moved->apart = ordinal && data[HEAD + i] & APART;
    cb_row_touch(row);
    return 0;
}

int cb_dim_chunk_is_apart(const struct cb_row *row, uint8_t offset, bool *apart) {
    struct place place;
    *apart = false;
    int rc = row->len > 0 ? find(row, offset, &place) : 0;
    if (rc == 0 && row->len > 0) {
        *apart = place.found && row->data[HEAD + place.i] & APART;
    }
    return rc;
}

/* ---- reading ---- */

int cb_dim_chunk_read(struct cb_str row, struct cb_dim_chunk *out) {
    const uint8_t *data = (const uint8_t *)row.p;
    struct layout at;
    int rc = lay_out(data, row.len, &at);
    if (rc != 0 || at.n == 0) {
        return CB_ECORRUPT;
    }
    *out = (struct cb_dim_chunk){.n = at.n,
                                 .offsets = data + HEAD,
                                 .members = data + at.members,
                                 .names = data + at.names,
                                 .events = data + at.events,
                                 .by_name = data + at.by_name,
                                 .ordinals = data + at.ordinals,
                                 .member_names = data + at.member_names};
    return 0;
}
