/* SPDX-License-Identifier: MIT
 * breakdown.c: how many events, and of how many different visitors, each value of a dimension has.
 *
 * Two passes over the rows of the days: the first adds up events, from which the values to be shown
 * follow; the second puts their visitors into bitmaps, as many values at a time as fit
 * BITMAPS_BYTES_MAX. Where rows stand, and the events of tails, are kept from the first to the
 * second, unless there are more than KEPT_MAX. */
#include <stdlib.h>

#include "store/dims.h"
#include "store/ordinal_set.h"
#include "store/rows.h"

enum {
    BITMAPS_BYTES_MAX = 32 * 1024 * 1024,
    KEPT_MIN = 256,
    KEPT_MAX = 1 << 16, /* rows, and as many events of tails */
};

/* What the second pass reads again. */
struct kept {
    struct cb_dim_row *rows;
    size_t n, cap;
    struct cb_dim_event *events;
    size_t n_events, events_cap;
    bool more; /* than is here */
};

/* More room for what is kept; NULL: out of memory. */
static void *grow(void *items, size_t *cap, size_t size) {
    *cap = *cap ? *cap * 2 : KEPT_MIN;
    return realloc(items, *cap * size);
}

static int keep_row(struct kept *kept, const struct cb_dim_row *row) {
    kept->more |= kept->n == KEPT_MAX;
    if (!kept->more && kept->n == kept->cap) {
        struct cb_dim_row *grown = grow(kept->rows, &kept->cap, sizeof(*row));
        if (!grown) {
            return CB_ENOMEM;
        }
        kept->rows = grown;
    }
    if (!kept->more) {
        kept->rows[kept->n++] = *row;
    }
    return 0;
}

static int keep_event(struct kept *kept, const struct cb_dim_event *event) {
    kept->more |= kept->n_events == KEPT_MAX;
    if (!kept->more && kept->n_events == kept->events_cap) {
        struct cb_dim_event *grown = grow(kept->events, &kept->events_cap, sizeof(*event));
        if (!grown) {
            return CB_ENOMEM;
        }
        kept->events = grown;
    }
    if (!kept->more) {
        kept->events[kept->n_events++] = *event;
    }
    return 0;
}

/* ---- events ---- */

struct sums {
    const struct cb_dim_map *map;
    uint64_t *events; /* by index */
    struct kept *kept;
};

static void add_to(const struct sums *sums, uint32_t number, uint32_t events) {
    uint32_t index = cb_dim_index(sums->map, number);
    if (index != CB_DIM_NONE) {
        sums->events[index] += events;
    }
}

static int add_events(void *user, const struct cb_dim_row *row) {
    const struct sums *sums = user;
    const struct cb_dim_chunk *chunk = &row->chunk;
    if (!row->name) { /* nothing is read but what is added up */
        for (unsigned i = 0; i < chunk->n; i++) {
            add_to(sums, row->number + cb_dim_chunk_offset(chunk, i),
                   cb_dim_chunk_events(chunk, i));
        }
        return keep_row(sums->kept, row);
    }
    for (unsigned i = 0, by_name = 0; i < chunk->n; by_name += cb_dim_bits(chunk->names[i]), i++) {
        if (chunk->names[i] & row->name) {
            add_to(sums, row->number + cb_dim_chunk_offset(chunk, i),
                   cb_dim_chunk_events_of(chunk, i, by_name, row->name));
        }
    }
    return keep_row(sums->kept, row);
}

static int add_event(void *user, int32_t day, const struct cb_dim_event *event) {
    const struct sums *sums = user;
    (void)day;
    add_to(sums, event->number, 1);
    return keep_event(sums->kept, event);
}

/* ---- the values to be shown ---- */

struct candidate {
    uint64_t events;
    uint32_t index;
    struct cb_str text; /* set where it is needed */
};

static int compare_text(struct cb_str a, struct cb_str b) {
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.p, b.p, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare(const void *a, const void *b) {
    const struct candidate *left = a, *right = b;
    if (left->events != right->events) {
        return left->events > right->events ? -1 : 1;
    }
    return compare_text(left->text, right->text);
}

static int compare_events(const void *a, const void *b) {
    const struct candidate *left = a, *right = b;
    return (left->events < right->events) - (left->events > right->events);
}

static void swap(struct candidate *a, struct candidate *b) {
    struct candidate c = *a;
    *a = *b;
    *b = c;
}

/* Moves the first k by an order to the front (quickselect). */
static void select_first(struct candidate *all, size_t n, size_t k,
                         int (*order)(const void *a, const void *b)) {
    size_t low = 0, high = n;
    while (high - low > 1 && k > low && k < high) {
        swap(&all[low], &all[low + (high - low) / 2]);
        const struct candidate pivot = all[low];
        size_t less = low, at = low,
               more = high; /* [low, less) < [less, at) = pivot, [more, high) > */
        while (at < more) {
            int o = order(&all[at], &pivot);
            if (o < 0) {
                swap(&all[at++], &all[less++]);
            } else if (o > 0) {
                swap(&all[at], &all[--more]);
            } else {
                at++;
            }
        }
        if (k <= less) {
            high = less;
        } else if (k >= more) {
            low = more;
        } else {
            return;
        }
    }
}

static int read_texts(const struct cb_dim_map *map, struct candidate *all, size_t n) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = all[i].text.p ? 0 : cb_dim_text(map, all[i].index, &all[i].text);
    }
    return rc;
}

/* Puts the first `limit` of n to the front, in order. Texts are read only of those, and of those
 * that have as many events as the last of them. */
static int choose(const struct cb_dim_map *map, struct candidate *all, size_t n, size_t limit) {
    size_t sure = 0, tied = n;
    if (n > limit) {
        select_first(all, n, limit, compare_events);
        uint64_t least = all[0].events;
        for (size_t i = 1; i < limit; i++) {
            least = all[i].events < least ? all[i].events : least;
        }
        /* Those with more come first, then those with as many. */
        tied = 0;
        for (size_t i = 0; i < n; i++) {
            if (all[i].events > least) {
                swap(&all[i], &all[tied]);
                swap(&all[tied++], &all[sure++]);
            } else if (all[i].events == least) {
                swap(&all[i], &all[tied++]);
            }
        }
    }
    int rc = read_texts(map, all, tied);
    if (rc == 0) {
        select_first(all + sure, tied - sure, limit - sure, compare);
        qsort(all, n < limit ? n : limit, sizeof(*all), compare);
    }
    return rc;
}

/* ---- visitors ---- */

struct sets {
    const struct cb_dim_map *map;
    const uint32_t *slots; /* by index: its bitmap + 1, 0 for none */
    uint32_t first, end;   /* of the slots at hand */
    uint64_t *words;
    uint32_t n_visitors;
    size_t n_words; /* of one bitmap */
};

/* The bitmap of a value; NULL where it is not one of those at hand. */
static uint64_t *words_of(const struct sets *sets, uint32_t number) {
    const uint32_t index = cb_dim_index(sets->map, number);
    const uint32_t slot = index == CB_DIM_NONE ? 0 : sets->slots[index];
    return slot > sets->first && slot <= sets->end
               ? sets->words + (size_t)(slot - 1 - sets->first) * sets->n_words
               : NULL;
}

static int add_members(void *user, const struct cb_dim_row *row) {
    const struct sets *sets = user;
    const struct cb_dim_chunk *chunk = &row->chunk;
    int rc = 0;
    for (unsigned i = 0, member = 0; rc == 0 && i < chunk->n; member += chunk->members[i], i++) {
        uint64_t *words = words_of(sets, row->number + cb_dim_chunk_offset(chunk, i));
        rc = words ? cb_dim_or(row, i, member, sets->n_visitors, words) : 0;
    }
    return rc;
}

static int add_member(void *user, int32_t day, const struct cb_dim_event *event) {
    const struct sets *sets = user;
    uint64_t *words = words_of(sets, event->number);
    (void)day;
    return words ? cb_dim_or_event(event, sets->n_visitors, words) : 0;
}

/* What has values of the scan, again. */
static int read_again(struct cb_snapshot *snapshot, const struct cb_dim_scan *scan,
                      const struct kept *kept, struct sets *sets) {
    static const struct cb_dim_calls calls = {add_members, add_member};
    if (kept->more) {
        return cb_dim_each(snapshot, scan, &calls, sets);
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < kept->n; i++) {
        if (cb_dim_wants(scan, kept->rows[i].number >> CB_DIM_CHUNK_BITS)) {
            rc = add_members(sets, &kept->rows[i]);
        }
    }
    for (size_t i = 0; rc == 0 && i < kept->n_events; i++) {
        rc = add_member(sets, 0, &kept->events[i]);
    }
    return rc;
}

static int count_visitors(struct cb_snapshot *snapshot, const struct cb_dim_scan *scan,
                          const struct kept *kept, struct sets *sets, struct cb_breakdown *out) {
    int rc = cb_dim_visitors(snapshot, scan->site, &sets->n_visitors);
    sets->n_words = cb_dim_words(sets->n_visitors);
    if (rc != 0 || sets->n_words == 0) {
        return rc;
    }
    size_t group = BITMAPS_BYTES_MAX / sizeof(uint64_t) / sets->n_words;
    group = group < 1 ? 1 : group > out->n ? out->n : group;
    for (size_t first = 0; rc == 0 && first < out->n; first += group) {
        size_t n = out->n - first < group ? out->n - first : group;
        sets->first = (uint32_t)first;
        sets->end = (uint32_t)(first + n);
        sets->words = calloc(n * sets->n_words, sizeof(uint64_t));
        rc = sets->words ? read_again(snapshot, scan, kept, sets) : CB_ENOMEM;
        for (size_t i = 0; rc == 0 && i < n; i++) {
            out->rows[first + i].visitors =
                cb_bits_count(sets->words + i * sets->n_words, sets->n_words);
        }
        free(sets->words);
    }
    return rc;
}

/* ---- the report ---- */

/* By chunk, whether one of its values has a slot: popular values are old, so their numbers are low,
 * and few chunks have all of them. NULL: out of memory. */
static bool *wanted_chunks(const struct cb_dim_map *map, const uint32_t *slots, uint32_t *n) {
    *n = (map->n_numbers >> CB_DIM_CHUNK_BITS) + 1;
    bool *chunks = calloc(*n, sizeof(*chunks));
    for (uint32_t number = 1; chunks && number <= map->n_numbers; number++) {
        uint32_t index = cb_dim_index(map, number);
        if (index != CB_DIM_NONE && slots[index] != 0) {
            chunks[number >> CB_DIM_CHUNK_BITS] = true;
        }
    }
    return chunks;
}

static int show(struct cb_snapshot *snapshot, const struct cb_dim_scan *scan,
                const struct kept *kept, const struct cb_dim_map *map, struct candidate *all,
                size_t n, size_t limit, struct cb_breakdown *out) {
    int rc = choose(map, all, n, limit);
    out->n = n < limit ? n : limit;
    out->rows = calloc(out->n + 1, sizeof(*out->rows));
    uint32_t *slots = calloc(map->n, sizeof(*slots));
    rc = rc == 0 && !(out->rows && slots) ? CB_ENOMEM : rc;
    for (size_t i = 0; rc == 0 && i < out->n; i++) {
        out->rows[i] = (struct cb_breakdown_row){all[i].text, all[i].events, 0};
        slots[all[i].index] = (uint32_t)i + 1;
    }
    for (size_t i = out->n; rc == 0 && i < n; i++) {
        out->other_events += all[i].events;
        out->other_values++;
    }
    if (rc == 0 && out->n > 0) {
        struct sets sets = {.map = map, .slots = slots};
        struct cb_dim_scan some = *scan;
        bool *chunks = wanted_chunks(map, slots, &some.n_chunks);
        some.chunks = chunks;
        rc = chunks ? count_visitors(snapshot, &some, kept, &sets, out) : CB_ENOMEM;
        free(chunks);
    }
    free(slots);
    return rc;
}

int cb_snapshot_breakdown(struct cb_snapshot *snapshot, uint32_t site, enum cb_dim dim,
                          uint32_t name_id, const struct cb_site_days *days, size_t limit,
                          struct cb_breakdown *out) {
    struct cb_dim_map map;
    struct cb_walk sets;
    struct kept kept = {.rows = NULL};
    const struct cb_dim_scan scan = {.site = site,
                                     .kind = cb_dim_kind(dim),
                                     .name_id = name_id,
                                     .first = days->first,
                                     .end = days->end,
                                     .sets = &sets};
    *out = (struct cb_breakdown){0};
    int rc = cb_dim_map_init(&map, snapshot, site, dim);
    if (rc != 0) {
        return rc;
    }
    rc = cb_walk_open(snapshot, CB_TABLE_DIMENSION_SETS, &sets);
    if (rc != 0) {
        cb_dim_map_fini(&map);
        return rc;
    }
    uint64_t *events = calloc(map.n, sizeof(*events));
    struct candidate *all = NULL;
    const struct cb_dim_calls calls = {add_events, add_event};
    rc = events ? cb_dim_each(snapshot, &scan, &calls, &(struct sums){&map, events, &kept})
                : CB_ENOMEM;
    size_t n = 0;
    for (uint32_t i = 1; rc == 0 && i < map.n; i++) {
        n += events[i] > 0;
    }
    if (rc == 0) {
        out->other_events = events[CB_DIM_OTHER];
        out->lower_bound = out->other_events > 0;
        all = calloc(n + 1, sizeof(*all));
        rc = all ? 0 : CB_ENOMEM;
    }
    n = 0;
    for (uint32_t i = 1; rc == 0 && i < map.n; i++) {
        if (events[i] > 0) {
            all[n++] = (struct candidate){.events = events[i], .index = i};
        }
    }
    rc = rc == 0 ? show(snapshot, &scan, &kept, &map, all, n, limit, out) : rc;
    if (rc != 0) {
        free(out->rows);
        *out = (struct cb_breakdown){0};
    }
    free(all);
    free(events);
    free(kept.rows);
    free(kept.events);
    cb_walk_close(&sets);
    cb_dim_map_fini(&map);
    return rc;
}
