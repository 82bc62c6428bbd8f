/* SPDX-License-Identifier: MIT
 * filter.c: the events of one value of a dimension: counted from the rows of the fold, or told one
 * by one by the same rules (folds/dimensions.c). */
#include <stdlib.h>

#include "store/dims.h"
#include "store/folds/folds.h"
#include "store/ordinal_set.h"
#include "store/rows.h"

static struct cb_str value_of(enum cb_dim dim, const struct cb_envelope *envelope,
                              const struct cb_event *event) {
    switch (dim) {
    case CB_DIM_PAGE:
        return cb_text_cut(event->page, CB_VALUE_TEXT_MAX);
    case CB_DIM_REFERRER:
        return event->referrer;
    case CB_DIM_LANGUAGE:
        return cb_str_of(envelope->language);
    case CB_DIM_DEVICE:
        return cb_str_of(cb_device_text(envelope->device));
    case CB_DIM_BROWSER:
        return cb_str_of(cb_browser_text(envelope->browser));
    case CB_DIM_TRIGGER:
        return event->name_code == CB_NAME_TRIGGER ? cb_triggers_id(event->props)
                                                   : (struct cb_str){NULL, 0};
    case CB_DIM_COUNTRY:
        return cb_str_of(envelope->country);
    case CB_DIM_COUNT:
        break;
    }
    return (struct cb_str){NULL, 0};
}

bool cb_filter_matches(const struct cb_filter *filter, const struct cb_envelope *envelope,
                       const struct cb_event *event) {
    if (envelope->bot) {
        return filter->dim == CB_DIM_DEVICE && cb_str_is(filter->value, CB_VALUE_BOT);
    }
    struct cb_str value = value_of(filter->dim, envelope, event);
    return value.len > 0 && cb_str_eq(value, filter->value);
}

/* ---- counted ---- */

struct counting {
    struct cb_dim_map map;
    uint32_t index; /* of the value */
    const int32_t *bounds;
    size_t n, bucket;
    uint64_t *events, *visitors, *words;
    size_t n_words;
    uint32_t n_visitors;
    bool lower_bound;
    void (*each)(void *user, uint32_t name_id, uint64_t events);
    void *user;
};

/* The index of the value; CB_DIM_NONE where the site never had it. */
static int find_index(struct counting *c, struct cb_snapshot *snapshot, uint32_t site,
                      const struct cb_filter *filter) {
    struct cb_str text;
    c->index = CB_DIM_NONE;
    if (!c->map.indexes) {
        struct cb_key key = cb_values_key(site, cb_dim_kind(filter->dim), filter->value);
        int rc = cb_snapshot_row(snapshot, CB_TABLE_VALUES, &key, &text);
        if (rc == 0 && text.len != CB_ROW_VALUE_BYTES) {
            return CB_ECORRUPT;
        }
        if (rc == 0) {
            c->index = cb_be32_get((const uint8_t *)text.p + CB_VALUE_NUMBER);
        }
        return rc == CB_ENOENT ? 0 : rc;
    }
    int rc = 0;
    for (uint32_t i = 1; rc == 0 && c->index == CB_DIM_NONE && i < c->map.n; i++) {
        if (c->map.numbers[i] != 0) {
            rc = cb_dim_text(&c->map, i, &text);
            c->index = rc == 0 && cb_str_eq(text, filter->value) ? i : CB_DIM_NONE;
        }
    }
    return rc;
}

/* The chunks that are read: the value's own, and the one that tells whether a day was full. NULL:
 * out of memory. */
static bool *wanted_chunks(const struct counting *c, uint32_t *n) {
    *n = (c->map.n_numbers >> CB_DIM_CHUNK_BITS) + 1;
    bool *chunks = calloc(*n, sizeof(*chunks));
    for (uint32_t number = 0; chunks && number <= c->map.n_numbers; number++) {
        uint32_t index = cb_dim_index(&c->map, number);
        if (index != CB_DIM_NONE && (index == c->index || index == CB_DIM_OTHER)) {
            chunks[number >> CB_DIM_CHUNK_BITS] = true;
        }
    }
    return chunks;
}

static void end_bucket(struct counting *c) {
    c->visitors[c->bucket] = cb_bits_count(c->words, c->n_words);
    memset(c->words, 0, c->n_words * sizeof(uint64_t));
    c->bucket++;
}

/* The bucket of a day; days ascend. */
static void to_bucket(struct counting *c, int32_t day) {
    while (day >= c->bounds[c->bucket + 1]) {
        end_bucket(c);
    }
}

/* A value of a row: the i-th, behind so many counts by name and so many members. */
struct entry {
    unsigned i, by_name, member;
    uint64_t events; /* of what is wanted */
};

/* Its names, one by one. */
static void give_names(const struct counting *c, const struct cb_dim_row *row,
                       const struct entry *entry) {
    const uint32_t wanted = row->scan->name_id;
    if (wanted != CB_NAME_ID_ALL || row->name_id != CB_NAME_ID_ALL) {
        c->each(c->user, wanted != CB_NAME_ID_ALL ? wanted : row->name_id, entry->events);
        return;
    }
    for (uint32_t id = CB_NAME_ID_FIRST; id < CB_NAME_ID_FIRST + CB_DIM_NAMES; id++) {
        uint32_t events =
            cb_dim_chunk_events_of(&row->chunk, entry->i, entry->by_name, cb_dim_name(id));
        if (events > 0) {
            c->each(c->user, id, events);
        }
    }
}

static int add_entry(struct counting *c, const struct cb_dim_row *row, const struct entry *entry) {
    if (c->each) {
        give_names(c, row, entry);
    }
    if (row->scan->name_id == CB_NAME_ID_ALL && row->name_id != CB_NAME_ID_ALL) {
        return 0; /* it is in the row of all names, too */
    }
    to_bucket(c, row->day);
    c->events[c->bucket] += entry->events;
    return cb_dim_or(row, entry->i, entry->member, c->n_visitors, c->words);
}

static int add_row(void *user, const struct cb_dim_row *row) {
    struct counting *c = user;
    const struct cb_dim_chunk *chunk = &row->chunk;
    struct entry entry = {.i = 0};
    int rc = 0;
    for (; rc == 0 && entry.i < chunk->n; entry.i++) {
        uint32_t index = cb_dim_index(&c->map, row->number + cb_dim_chunk_offset(chunk, entry.i));
        entry.events = row->name ? cb_dim_chunk_events_of(chunk, entry.i, entry.by_name, row->name)
                                 : cb_dim_chunk_events(chunk, entry.i);
        c->lower_bound |= index == CB_DIM_OTHER && entry.events > 0;
        if (index == c->index && index != CB_DIM_NONE && entry.events > 0) {
            rc = add_entry(c, row, &entry);
        }
        entry.by_name += cb_dim_bits(chunk->names[entry.i]);
        entry.member += chunk->members[entry.i];
    }
    return rc;
}

static int add_event(void *user, int32_t day, const struct cb_dim_event *event) {
    struct counting *c = user;
    const uint32_t index = cb_dim_index(&c->map, event->number);
    c->lower_bound |= index == CB_DIM_OTHER;
    if (index != c->index || index == CB_DIM_NONE) {
        return 0;
    }
    if (c->each) {
        c->each(c->user, event->name_id, 1);
    }
    to_bucket(c, day);
    c->events[c->bucket]++;
    return cb_dim_or_event(event, c->n_visitors, c->words);
}

int cb_snapshot_filtered(struct cb_snapshot *snapshot, uint32_t site,
                         const struct cb_filter *filter, uint32_t name_id, const int32_t *bounds,
                         size_t n, uint64_t *events, uint64_t *visitors, bool *lower_bound,
                         void (*each)(void *user, uint32_t name_id, uint64_t events), void *user) {
    struct counting c = {.bounds = bounds,
                         .n = n,
                         .events = events,
                         .visitors = visitors,
                         .each = each,
                         .user = user};
    struct cb_dim_scan scan = {.site = site,
                               .kind = cb_dim_kind(filter->dim),
                               .name_id = name_id,
                               .by_name = each != NULL,
                               .first = bounds[0],
                               .end = bounds[n]};
    const struct cb_dim_calls calls = {add_row, add_event};
    struct cb_walk sets = {.cursor = NULL};
    bool *chunks = NULL;
    memset(events, 0, n * sizeof(*events));
    memset(visitors, 0, n * sizeof(*visitors));
    int rc = cb_dim_map_init(&c.map, snapshot, site, filter->dim);
    if (rc != 0) {
        return rc;
    }
    rc = find_index(&c, snapshot, site, filter);
    rc = rc == 0 ? cb_walk_open(snapshot, CB_TABLE_DIMENSION_SETS, &sets) : rc;
    rc = rc == 0 ? cb_dim_visitors(snapshot, site, &c.n_visitors) : rc;
    if (rc == 0) {
        c.n_words = cb_dim_words(c.n_visitors);
        c.words = calloc(c.n_words + 1, sizeof(uint64_t));
        scan.sets = &sets;
        scan.chunks = chunks = wanted_chunks(&c, &scan.n_chunks);
        rc = c.words && chunks ? cb_dim_each(snapshot, &scan, &calls, &c) : CB_ENOMEM;
    }
    while (rc == 0 && c.bucket < n) {
        end_bucket(&c);
    }
    *lower_bound = c.lower_bound;
    cb_walk_close(&sets);
    free(chunks);
    free(c.words);
    cb_dim_map_fini(&c.map);
    return rc;
}
