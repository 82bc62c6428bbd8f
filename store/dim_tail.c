/* SPDX-License-Identifier: MIT */
#include "store/dim_tail.h"

enum {
    /* the first part's head */
    EVENTS = 0,
    LAST_PART = 2,
    LAST_ORDINAL = 3,
    HEAD_BYTES = 7,

    /* an event's first byte: the lengths of what follows */
    NUMBER_BYTES = 0, /* at two bits: bytes of the value's number - 1 */
    NAME_BYTES = 2,   /* at two: … of the name's id */
    VISITOR = 4,      /* at the others: bytes of the ordinal, or one of the two below */
    SAME = 0,
    NOBODY = 5,

    ENTRY_BYTES_MAX = 13,
    LOAD_BYTES = 16, /* read at once, where so many are there */
};

static int find_part(struct cb_views *views, const struct cb_dim_tail *tail, uint8_t part,
                     struct cb_row **row) {
    const struct cb_key key =
        cb_key_dimension_tail(tail->site, (uint8_t)tail->kind, tail->day, part);
    return cb_views_row(views, CB_TABLE_DIMENSION_TAILS, &key, row);
}

int cb_dim_tail_open(struct cb_views *views, struct cb_dim_tail *tail) {
    int rc = find_part(views, tail, 0, &tail->head);
    tail->fresh = rc == 0 && tail->head->len == 0;
    if (tail->fresh) {
        rc = cb_row_resize(views, tail->head, HEAD_BYTES);
    }
    if (rc == 0 && tail->head->len < HEAD_BYTES) {
        rc = CB_ECORRUPT;
    }
    if (rc == 0) {
        const uint8_t last = tail->head->data[LAST_PART];
        tail->part = tail->head;
        rc = last > 0 ? find_part(views, tail, last, &tail->part) : 0;
    }
    return rc;
}

static int begin_part(struct cb_views *views, struct cb_dim_tail *tail) {
    uint8_t *last = &tail->head->data[LAST_PART];
    if (*last == UINT8_MAX) {
        return CB_ECORRUPT; /* a full tail has fewer */
    }
    return find_part(views, tail, ++*last, &tail->part);
}

static unsigned bytes_of(uint32_t value) {
    return value < 1u << 8 ? 1 : value < 1u << 16 ? 2 : value < 1u << 24 ? 3 : 4;
}

static size_t put_bytes(uint8_t *p, uint32_t value, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        p[i] = (uint8_t)(value >> 8 * i);
    }
    return n;
}

static size_t put_entry(uint8_t *p, const struct cb_dim_event *event, bool same) {
    const bool nobody = event->ordinal == CB_DIM_NOBODY;
    const unsigned number = bytes_of(event->number), name = bytes_of(event->name_id);
    const unsigned ordinal = same || nobody ? 0 : bytes_of(event->ordinal);
    const unsigned visitor = same ? SAME : nobody ? NOBODY : ordinal;
    size_t n = 1;
    p[0] = (uint8_t)((number - 1) << NUMBER_BYTES | (name - 1) << NAME_BYTES | visitor << VISITOR);
    n += put_bytes(p + n, event->number, number);
    n += put_bytes(p + n, event->name_id, name);
    return n + put_bytes(p + n, event->ordinal, ordinal);
}

int cb_dim_tail_add(struct cb_views *views, struct cb_dim_tail *tail,
                    const struct cb_dim_event *event, bool *full) {
    uint8_t entry[ENTRY_BYTES_MAX];
    int rc = 0;
    if (tail->part->len > CB_DIM_TAIL_PART_BYTES - ENTRY_BYTES_MAX) {
        rc = begin_part(views, tail);
    }
    if (rc != 0) {
        return rc;
    }
    const size_t at = tail->part->len;
    const bool first = at == (tail->part == tail->head ? HEAD_BYTES : 0);
    const bool same = !first && cb_be32_get(tail->head->data + LAST_ORDINAL) == event->ordinal;
    const size_t n = put_entry(entry, event, same);
    rc = cb_row_resize(views, tail->part, at + n);
    if (rc == 0) {
        uint8_t *head = tail->head->data;
        const unsigned events = cb_be16_get(head + EVENTS) + 1u;
        memcpy(tail->part->data + at, entry, n);
        cb_be16_put(head + EVENTS, (uint16_t)events);
        cb_be32_put(head + LAST_ORDINAL, event->ordinal);
        cb_row_touch(tail->head);
        *full = events >= CB_DIM_TAIL_EVENTS;
    }
    return rc;
}

static int take_part(const struct cb_row *row, unsigned part, struct cb_dim_event *events,
                     size_t *n) {
    struct cb_dim_tail_walk walk;
    int rc = cb_dim_tail_read((struct cb_str){(const char *)row->data, row->len}, part, &walk);
    struct cb_dim_event event;
    while (rc == 0 && (rc = cb_dim_tail_next(&walk, &event)) == 0) {
        if (*n == CB_DIM_TAIL_EVENTS) {
            return CB_ECORRUPT;
        }
        events[(*n)++] = event;
    }
    return rc == CB_ENOENT ? 0 : rc;
}

int cb_dim_tail_take(struct cb_views *views, struct cb_dim_tail *tail,
                     struct cb_dim_event events[CB_DIM_TAIL_EVENTS], size_t *n) {
    const unsigned last = tail->head->data[LAST_PART];
    *n = 0;
    int rc = take_part(tail->head, 0, events, n);
    for (unsigned part = 1; rc == 0 && part <= last; part++) {
        struct cb_row *row;
        rc = find_part(views, tail, (uint8_t)part, &row);
        rc = rc == 0 ? take_part(row, part, events, n) : rc;
        rc = rc == 0 ? cb_row_resize(views, row, 0) : rc;
    }
    if (rc == 0 && *n != cb_be16_get(tail->head->data + EVENTS)) {
        rc = CB_ECORRUPT;
    }
    rc = rc == 0 ? cb_row_resize(views, tail->head, HEAD_BYTES) : rc;
    if (rc == 0) {
        memset(tail->head->data, 0, HEAD_BYTES);
        tail->part = tail->head;
    }
    return rc;
}

int cb_dim_tail_has_any(struct cb_views *views, uint32_t site, int32_t day, uint32_t kind,
                        bool *out) {
    const struct cb_key key = cb_key_dimension_tail(site, (uint8_t)kind, day, 0);
    struct cb_str head;
    int rc = cb_views_look(views, CB_TABLE_DIMENSION_TAILS, &key, &head);
    *out = false;
    if (rc == 0 && head.len >= HEAD_BYTES) {
        *out = cb_be16_get((const uint8_t *)head.p + EVENTS) > 0;
        return 0;
    }
    return rc == CB_ENOENT ? 0 : rc == 0 ? CB_ECORRUPT : rc;
}

int cb_dim_tail_end(struct cb_views *views, struct cb_dim_tail *tail) {
    return cb_row_resize(views, tail->head, 0);
}

/* ---- reading ---- */

int cb_dim_tail_read(struct cb_str row, unsigned part, struct cb_dim_tail_walk *out) {
    const size_t head = part == 0 ? HEAD_BYTES : 0;
    if (row.len < head) {
        return CB_ECORRUPT;
    }
    *out = (struct cb_dim_tail_walk){.p = (const uint8_t *)row.p + head,
                                     .end = (const uint8_t *)row.p + row.len,
                                     .ordinal = CB_DIM_NOBODY};
    return 0;
}

static uint32_t load(const uint8_t *p, unsigned bytes) {
    uint32_t value; /* little-endian */
    memcpy(&value, p, sizeof(value));
    return value & UINT32_MAX >> (32 - 8 * bytes);
}

/* Without a branch on lengths, which cannot be foretold: reports spend their time here. */
int cb_dim_tail_next(struct cb_dim_tail_walk *walk, struct cb_dim_event *out) {
    const size_t left = (size_t)(walk->end - walk->p);
    uint8_t last[LOAD_BYTES] = {0};
    const uint8_t *p = walk->p;
    if (left == 0) {
        return CB_ENOENT;
    }
    if (left < LOAD_BYTES) {
        memcpy(last, p, left);
        p = last;
    }
    const unsigned number = (p[0] >> NUMBER_BYTES & 3u) + 1, name = (p[0] >> NAME_BYTES & 3u) + 1;
    const unsigned visitor = p[0] >> VISITOR;
    const unsigned ordinal = visitor < NOBODY ? visitor : 0;
    const size_t bytes = 1 + number + name + ordinal;
    if (visitor > NOBODY || bytes > left) {
        return CB_ECORRUPT;
    }
    out->number = load(p + 1, number);
    out->name_id = load(p + 1 + number, name);
    walk->ordinal = ordinal > 0         ? load(p + 1 + number + name, ordinal)
                    : visitor == NOBODY ? CB_DIM_NOBODY
                                        : walk->ordinal;
    out->ordinal = walk->ordinal;
    walk->p += bytes;
    return 0;
}
