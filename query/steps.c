/* SPDX-License-Identifier: MIT
 * Invariant: a visit's marks are a chain in the order of their arrival; only events that a step
 * names are marked (in strict order all of them are). */
#include "query/steps.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEP_BITS = CB_STEPS_MAX,
    NO_STEP = (1 << STEP_BITS) - 1,
    NONE = 0, /* indexes count from 1 */
    SLOTS_MIN = 1 << 12,
};

struct person {
    uint8_t visitor[CB_VISITOR_BYTES];
    uint32_t visit; /* the one opened last */
};

struct visit {
    int64_t start_ms, end_ms;
    uint32_t before;      /* the visitor's one opened before it */
    uint32_t first, last; /* marks */
};

struct mark {
    /* ms << STEP_BITS | a bit for each step that it is not, the first one's the highest: so within
     * a millisecond they sort in the order of the steps */
    uint64_t time_misses;
    uint32_t next;
} __attribute__((packed));

/* A list that grows by doubling; its first item has index 1. */
struct list {
    void *items;
    uint32_t n, cap;
};

struct cb_steps {
    struct cb_steps_spec spec;
    unsigned by_code[CB_NAME_KNOWN_MAX + 1]; /* which steps an event of that name code is */
    unsigned contact;                        /* which steps are CB_STEPS_CONTACT */
    bool customs;                            /* some step names an event that has no code */
    struct list people, visits, marks;
    uint32_t *slots; /* of people */
    size_t n_slots;
    uint64_t n_events;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
    uint32_t counted; /* visits */
    uint64_t *sorted; /* marks of the visit at hand */
    size_t sorted_cap;
};

static int grow(struct list *list, size_t item_bytes, uint32_t max) {
    if (list->n + 1 < list->cap)
        return 0;
    if (list->n >= max)
        return CB_EFULL;
    uint32_t cap = list->cap ? list->cap * 2 : 1024;
    cap = cap > max + 1 ? max + 1 : cap;
    void *items = realloc(list->items, cap * item_bytes);
    if (!items)
        return CB_ENOMEM;
    list->items = items;
    list->cap = cap;
    return 0;
}

static struct visit *visit_at(struct cb_steps *steps, uint32_t index) {
    return (struct visit *)steps->visits.items + index;
}

static struct mark *mark_at(struct cb_steps *steps, uint32_t index) {
    return (struct mark *)steps->marks.items + index;
}

static unsigned bit_of(unsigned step) {
    return 1u << (STEP_BITS - 1 - step);
}

int cb_steps_create(const struct cb_steps_spec *spec, struct cb_steps **out) {
    struct cb_steps *steps = calloc(1, sizeof *steps);
    if (!steps)
        return CB_ENOMEM;
    steps->spec = *spec;
    for (unsigned i = 0; i < spec->n; i++) {
        unsigned code = cb_event_name_code(spec->names[i]);
        if (code == CB_NAME_CUSTOM)
            steps->customs = true;
        else
            steps->by_code[code] |= bit_of(i);
        if (cb_str_is(spec->names[i], CB_STEPS_CONTACT))
            steps->contact |= bit_of(i);
    }
    crypto_shorthash_keygen(steps->hash_key);
    *out = steps;
    return 0;
}

void cb_steps_destroy(struct cb_steps **steps) {
    if (!*steps)
        return;
    free((*steps)->people.items);
    free((*steps)->visits.items);
    free((*steps)->marks.items);
    free((*steps)->slots);
    free((*steps)->sorted);
    free(*steps);
    *steps = NULL;
}

/* Which steps an event is. */
static unsigned steps_of(const struct cb_steps *steps, const struct cb_event *event) {
    unsigned code = event->name_code, are = 0;
    if (code != CB_NAME_CUSTOM && code <= CB_NAME_KNOWN_MAX) {
        bool contact = code == CB_NAME_MESSAGE ||
                       (code == CB_NAME_SET &&
                        (cb_str_is(event->key, "email") || cb_str_is(event->key, "phone")));
        return steps->by_code[code] | (contact ? steps->contact : 0);
    }
    for (unsigned i = 0; steps->customs && i < steps->spec.n; i++)
        if (cb_str_eq(event->name, steps->spec.names[i]))
            are |= bit_of(i);
    return are;
}

static size_t slot_of(const struct cb_steps *steps, const uint8_t *visitor) {
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, visitor, CB_VISITOR_BYTES, steps->hash_key);
    size_t slot = (size_t)hash & (steps->n_slots - 1);
    const struct person *people = steps->people.items;
    while (steps->slots[slot] != NONE &&
           memcmp(people[steps->slots[slot]].visitor, visitor, CB_VISITOR_BYTES) != 0)
        slot = (slot + 1) & (steps->n_slots - 1);
    return slot;
}

static int grow_slots(struct cb_steps *steps) {
    if (steps->people.n * 2u < steps->n_slots)
        return 0;
    size_t n = steps->n_slots ? steps->n_slots * 4 : SLOTS_MIN;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots)
        return CB_ENOMEM;
    free(steps->slots);
    steps->slots = slots;
    steps->n_slots = n;
    const struct person *people = steps->people.items;
    for (uint32_t i = 1; i <= steps->people.n; i++)
        slots[slot_of(steps, people[i].visitor)] = i;
    return 0;
}

static int find_person(struct cb_steps *steps, const uint8_t *visitor, struct person **out) {
    int rc = grow_slots(steps);
    if (rc == 0)
        rc = grow(&steps->people, sizeof(struct person), CB_STEPS_VISITS_MAX);
    if (rc)
        return rc;
    size_t slot = slot_of(steps, visitor);
    struct person *people = steps->people.items;
    if (steps->slots[slot] == NONE) {
        steps->slots[slot] = ++steps->people.n;
        people[steps->people.n].visit = NONE;
        memcpy(people[steps->people.n].visitor, visitor, CB_VISITOR_BYTES);
    }
    *out = &people[steps->slots[slot]];
    return 0;
}

static int find_visit(struct cb_steps *steps, struct person *person, int64_t true_ms,
                      uint32_t *out) {
    const int64_t gap_ms = steps->spec.gap_ms;
    for (uint32_t i = person->visit; i != NONE; i = visit_at(steps, i)->before) {
        struct visit *visit = visit_at(steps, i);
        if (true_ms < visit->start_ms - gap_ms || true_ms > visit->end_ms + gap_ms)
            continue;
        visit->start_ms = true_ms < visit->start_ms ? true_ms : visit->start_ms;
        visit->end_ms = true_ms > visit->end_ms ? true_ms : visit->end_ms;
        *out = i;
        return 0;
    }
    int rc = grow(&steps->visits, sizeof(struct visit), CB_STEPS_VISITS_MAX);
    if (rc)
        return rc;
    *out = ++steps->visits.n;
    *visit_at(steps, *out) = (struct visit){true_ms, true_ms, person->visit, NONE, NONE};
    person->visit = *out;
    return 0;
}

int cb_steps_add(struct cb_steps *steps, const uint8_t visitor[CB_VISITOR_BYTES],
                 const struct cb_event *event, int64_t true_ms) {
    struct person *person;
    uint32_t index;
    if (steps->n_events >= CB_STEPS_EVENTS_MAX)
        return CB_EFULL;
    int rc = grow(&steps->marks, sizeof(struct mark), CB_STEPS_EVENTS_MAX);
    if (!rc)
        rc = find_person(steps, visitor, &person);
    if (!rc)
        rc = find_visit(steps, person, true_ms, &index);
    if (rc)
        return rc;
    steps->n_events++;
    unsigned are = steps_of(steps, event);
    if (are == 0 && !steps->spec.strict)
        return 0;
    uint32_t at = ++steps->marks.n;
    *mark_at(steps, at) = (struct mark){(uint64_t)true_ms << STEP_BITS | (NO_STEP ^ are), NONE};
    struct visit *visit = visit_at(steps, index);
    if (visit->last != NONE)
        mark_at(steps, visit->last)->next = at;
    else
        visit->first = at;
    visit->last = at;
    return 0;
}

/* ---- counting ---- */

static int compare(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* The visit's marks by time, in steps->sorted. */
static int sort(struct cb_steps *steps, const struct visit *visit, size_t *n) {
    bool ascending = true;
    *n = 0;
    for (uint32_t i = visit->first; i != NONE; i = mark_at(steps, i)->next) {
        if (*n == steps->sorted_cap) {
            size_t cap = steps->sorted_cap ? steps->sorted_cap * 2 : 256;
            uint64_t *sorted = realloc(steps->sorted, cap * sizeof *sorted);
            if (!sorted)
                return CB_ENOMEM;
            steps->sorted = sorted;
            steps->sorted_cap = cap;
        }
        steps->sorted[*n] = mark_at(steps, i)->time_misses;
        ascending &= *n == 0 || steps->sorted[*n - 1] <= steps->sorted[*n];
        ++*n;
    }
    if (!ascending)
        qsort(steps->sorted, *n, sizeof *steps->sorted, compare);
    return 0;
}

/* How many marks from *at on are the steps one after another; in strict order up to the first that
 * is not. */
static unsigned taken(const struct cb_steps *steps, size_t at, size_t n) {
    unsigned step = 0;
    for (; at < n && step < steps->spec.n; at++) {
        if (!(steps->sorted[at] & bit_of(step)))
            step++;
        else if (steps->spec.strict)
            break;
    }
    return step;
}

static int count_visit(struct cb_steps *steps, const struct visit *visit, uint64_t *visits) {
    size_t n;
    int rc = sort(steps, visit, &n);
    if (rc)
        return rc;
    unsigned most = taken(steps, 0, n);
    for (size_t at = 1; steps->spec.strict && at < n && most < steps->spec.n; at++) {
        unsigned here = taken(steps, at, n);
        most = here > most ? here : most;
    }
    for (unsigned i = 0; i < most; i++)
        visits[i]++;
    return 0;
}

int cb_steps_count(struct cb_steps *steps, int64_t from_ms, int64_t to_ms, size_t visits_max,
                   uint64_t visits[CB_STEPS_MAX], bool *more) {
    for (; visits_max > 0 && steps->counted < steps->visits.n; visits_max--) {
        const struct visit *visit = visit_at(steps, ++steps->counted);
        if (visit->start_ms < from_ms || visit->start_ms >= to_ms)
            continue;
        int rc = count_visit(steps, visit, visits);
        if (rc)
            return rc;
    }
    *more = steps->counted < steps->visits.n;
    return 0;
}
