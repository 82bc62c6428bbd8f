/* SPDX-License-Identifier: MIT */
#include "store/dim_settle.h"

#include <stddef.h>
#include <stdlib.h>

#include "proto/thread.h"
#include "store/dim_chunk.h"
#include "store/dim_set.h"
#include "store/rows.h"

/* ---- sorting ---- */

enum { DIGITS = 4, DIGIT_VALUES = 256 };

/* Sorts by one field, the bytes of which are at an offset, from the lowest to the highest, and
 * keeps the order of those alike. *from and *to are exchanged for each byte that tells any apart.
 */
static void sort_by(struct cb_dim_event **from, struct cb_dim_event **to, size_t n, size_t field) {
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        size_t places[DIGIT_VALUES] = {0}, place = 0;
        const unsigned shift = 8 * digit;
        for (size_t i = 0; i < n; i++) {
            uint32_t value;
            memcpy(&value, (const char *)&(*from)[i] + field, sizeof(value));
            places[value >> shift & (DIGIT_VALUES - 1)]++;
        }
        uint32_t any;
        memcpy(&any, (const char *)&(*from)[0] + field, sizeof(any));
        if (places[any >> shift & (DIGIT_VALUES - 1)] == n) {
            continue;
        }
        for (unsigned d = 0; d < DIGIT_VALUES; d++) {
            const size_t here = places[d];
            places[d] = place;
            place += here;
        }
        for (size_t i = 0; i < n; i++) {
            uint32_t value;
            memcpy(&value, (const char *)&(*from)[i] + field, sizeof(value));
            (*to)[places[value >> shift & (DIGIT_VALUES - 1)]++] = (*from)[i];
        }
        struct cb_dim_event *sorted = *to;
        *to = *from;
        *from = sorted;
    }
}

/* ---- rows ---- */

/* The row at hand: of a name, or of all; and the visitors of its value at hand that do not stand
 * there. */
struct group {
    const struct cb_dim_tail *tail;
    uint32_t name_id, chunk;
    struct cb_dim_member *apart; /* ascending */
    size_t n_apart;
    struct cb_dim_set_scratch *scratch;
};

static int put_apart(struct cb_views *views, const struct group *group, unsigned offset,
                     const struct cb_dim_member *members, size_t n) {
    const struct cb_dim_set set = {group->tail->site, group->tail->day, (uint8_t)group->tail->kind,
                                   group->name_id, group->chunk << CB_DIM_CHUNK_BITS | offset};
    return cb_dim_set_add(views, &set, members, n, group->scratch);
}

static int compare(const void *a, const void *b) {
    const struct cb_dim_member *left = a, *right = b;
    return (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}

/* A set that found no room in the row any more. */
static int put_moved(struct cb_views *views, const struct group *group,
                     const struct cb_dim_moved *moved) {
    struct cb_dim_member members[CB_DIM_MEMBERS_MAX];
    for (unsigned i = 0; i < moved->n; i++) {
        members[i] = (struct cb_dim_member){moved->ordinals[i], moved->names[i]};
    }
    qsort(members, moved->n, sizeof(*members), compare);
    return put_apart(views, group, moved->offset, members, moved->n);
}

/* Of events in order: how many the first one has behind it, itself among them, that are alike. */
static size_t alike(const struct cb_dim_event *events, size_t n, bool of_name) {
    size_t i = 1;
    while (i < n && events[i].number == events[0].number &&
           events[i].ordinal == events[0].ordinal &&
           (!of_name || events[i].name_id == events[0].name_id)) {
        i++;
    }
    return i;
}

/* The events of one visitor and value: of each name in one go. */
static int write_visitor(struct cb_views *views, struct group *group, struct cb_row *row,
                         const struct cb_dim_event *events, size_t n) {
    const uint8_t offset = (uint8_t)(events[0].number & ((1u << CB_DIM_CHUNK_BITS) - 1));
    const uint32_t ordinal = events[0].ordinal;
    struct cb_dim_moved moved;
    bool apart = false;
    uint8_t names = 0;
    int rc = 0;
    for (size_t i = 0, more; rc == 0 && i < n; i += more) {
        const uint8_t name = group->name_id == CB_NAME_ID_ALL ? cb_dim_name(events[i].name_id) : 0;
        more = alike(events + i, n - i, true);
        rc = cb_dim_chunk_add(views, row, offset, name, (uint32_t)more,
                              ordinal != CB_DIM_NOBODY ? &ordinal : NULL, &moved);
        rc = rc == 0 && moved.n > 0 ? put_moved(views, group, &moved) : rc;
        apart |= moved.apart;
        names |= moved.apart ? name : 0;
    }
    if (apart) {
        group->apart[group->n_apart++] = (struct cb_dim_member){ordinal, names};
    }
    return rc;
}

/* Events of a value of which no visitor stands in the row: counted there, a name at a time. */
static int count_value(struct cb_views *views, struct group *group, struct cb_row *row,
                       const struct cb_dim_event *events, size_t n) {
    const uint8_t offset = (uint8_t)(events[0].number & ((1u << CB_DIM_CHUNK_BITS) - 1));
    uint32_t by_name[CB_DIM_NAMES + 1] = {0}; /* by bit; the last: without one */
    struct cb_dim_moved moved;
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t name = group->name_id == CB_NAME_ID_ALL ? cb_dim_name(events[i].name_id) : 0;
        struct cb_dim_member *last = group->n_apart > 0 ? &group->apart[group->n_apart - 1] : NULL;
        by_name[name ? __builtin_ctz(name) : CB_DIM_NAMES]++;
        if (last && last->ordinal == events[i].ordinal) {
            last->names |= name;
        } else if (events[i].ordinal != CB_DIM_NOBODY) {
            group->apart[group->n_apart++] = (struct cb_dim_member){events[i].ordinal, name};
        }
    }
    for (unsigned i = 0; rc == 0 && i <= CB_DIM_NAMES; i++) {
        const uint8_t name = (uint8_t)(i < CB_DIM_NAMES ? 1u << i : 0);
        if (by_name[i] > 0) {
            rc = cb_dim_chunk_add(views, row, offset, name, by_name[i], NULL, &moved);
            rc = rc == 0 && moved.n > 0 ? put_moved(views, group, &moved) : rc;
        }
    }
    return rc;
}

static int write_value(struct cb_views *views, struct group *group, struct cb_row *row,
                       const struct cb_dim_event *events, size_t n) {
    const uint8_t offset = (uint8_t)(events[0].number & ((1u << CB_DIM_CHUNK_BITS) - 1));
    bool apart;
    group->n_apart = 0;
    int rc = cb_dim_chunk_is_apart(row, offset, &apart);
    if (rc == 0 && apart) {
        rc = count_value(views, group, row, events, n);
    }
    for (size_t i = 0, more; rc == 0 && !apart && i < n; i += more) {
        more = alike(events + i, n - i, false);
        rc = write_visitor(views, group, row, events + i, more);
    }
    return rc == 0 && group->n_apart > 0
               ? put_apart(views, group, offset, group->apart, group->n_apart)
               : rc;
}

/* Events in order of values and visitors, into the rows of a name or of all. */
static int write_rows(struct cb_views *views, struct group group, uint32_t name_id,
                      const struct cb_dim_event *events, size_t n) {
    const struct cb_dim_tail *tail = group.tail;
    group.name_id = name_id;
    struct cb_row *row = NULL;
    int rc = 0;
    for (size_t i = 0, more; rc == 0 && i < n; i += more) {
        const uint32_t chunk = events[i].number >> CB_DIM_CHUNK_BITS;
        if (!row || chunk != group.chunk) {
            group.chunk = chunk;
            const struct cb_key key =
                cb_key_dimension(tail->site, tail->day, (uint8_t)tail->kind, name_id, chunk);
            rc = cb_views_row(views, CB_TABLE_DIMENSIONS, &key, &row);
            cb_thread_give_way();
        }
        for (more = 1; i + more < n && events[i + more].number == events[i].number;) {
            more++;
        }
        rc = rc == 0 ? write_value(views, &group, row, events + i, more) : rc;
    }
    return rc;
}

/* Names without a bit have rows of their own besides. */
static int write_names(struct cb_views *views, const struct group *group,
                       struct cb_dim_event *events, struct cb_dim_event *other, size_t n) {
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        if (!cb_dim_name(events[i].name_id)) {
            events[left++] = events[i];
        }
    }
    if (left > 0) {
        sort_by(&events, &other, left, offsetof(struct cb_dim_event, name_id));
    }
    int rc = 0;
    for (size_t i = 0, more; rc == 0 && i < left; i += more) {
        for (more = 1; i + more < left && events[i + more].name_id == events[i].name_id;) {
            more++;
        }
        rc = write_rows(views, *group, events[i].name_id, events + i, more);
    }
    return rc;
}

struct work {
    struct cb_dim_event events[CB_DIM_TAIL_EVENTS], other[CB_DIM_TAIL_EVENTS];
    struct cb_dim_member apart[CB_DIM_TAIL_EVENTS];
    struct cb_dim_set_scratch scratch;
};

int cb_dim_settle(struct cb_views *views, struct cb_dim_tail *tail) {
    struct work *work = malloc(sizeof(*work));
    if (!work) {
        return CB_ENOMEM;
    }
    const struct group group = {.tail = tail, .apart = work->apart, .scratch = &work->scratch};
    struct cb_dim_event *events = work->events, *other = work->other;
    size_t n;
    int rc = cb_dim_tail_take(views, tail, events, &n);
    if (rc == 0 && n > 0) {
        sort_by(&events, &other, n, offsetof(struct cb_dim_event, name_id));
        sort_by(&events, &other, n, offsetof(struct cb_dim_event, ordinal));
        sort_by(&events, &other, n, offsetof(struct cb_dim_event, number));
        rc = write_rows(views, group, CB_NAME_ID_ALL, events, n);
        rc = rc == 0 ? write_names(views, &group, events, other, n) : rc;
    }
    free(work);
    return rc;
}
