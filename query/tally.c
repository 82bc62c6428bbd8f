/* SPDX-License-Identifier: MIT */
#include "query/tally.h"

#include <sodium.h>
#include <stdlib.h>

enum { SLOTS_MIN = 1024, NAMES_MIN = 16 };

_Static_assert(sizeof(((struct cb_tally *)0)->key) == crypto_shorthash_KEYBYTES,
               "the key of the hash has another size");

int cb_tally_init(struct cb_tally *tally, const int64_t *bounds, size_t n) {
    *tally = (struct cb_tally){.n = n, .bounds = bounds};
    crypto_shorthash_keygen(tally->key); /* who chooses ids must not choose slots */
    tally->events = calloc(n, sizeof *tally->events);
    tally->visitors = calloc(n, sizeof *tally->visitors);
    if (tally->events && tally->visitors)
        return 0;
    cb_tally_fini(tally);
    return CB_ENOMEM;
}

void cb_tally_fini(struct cb_tally *tally) {
    free(tally->events);
    free(tally->visitors);
    free(tally->names);
    free(tally->seen);
    free(tally->slots);
    *tally = (struct cb_tally){.n = 0};
}

/* ---- visitors ---- */

static size_t slot_of(const struct cb_tally *tally, const struct cb_tally_seen *seen) {
    uint8_t text[CB_VISITOR_BYTES + sizeof seen->bucket];
    uint64_t hash;
    memcpy(text, seen->visitor, CB_VISITOR_BYTES);
    memcpy(text + CB_VISITOR_BYTES, &seen->bucket, sizeof seen->bucket);
    crypto_shorthash((unsigned char *)&hash, text, sizeof text, tally->key);
    size_t slot = (size_t)hash & (tally->n_slots - 1);
    while (tally->slots[slot]) {
        const struct cb_tally_seen *there = &tally->seen[tally->slots[slot] - 1];
        if (there->bucket == seen->bucket &&
            memcmp(there->visitor, seen->visitor, CB_VISITOR_BYTES) == 0)
            break;
        slot = (slot + 1) & (tally->n_slots - 1);
    }
    return slot;
}

/* Twice as many slots, half of which may be taken. */
static int grow(struct cb_tally *tally) {
    size_t n = tally->n_slots ? tally->n_slots * 2 : SLOTS_MIN;
    struct cb_tally_seen *seen = realloc(tally->seen, n / 2 * sizeof *seen);
    if (!seen)
        return CB_ENOMEM;
    tally->seen = seen;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots)
        return CB_ENOMEM;
    free(tally->slots);
    tally->slots = slots;
    tally->n_slots = n;
    for (size_t i = 0; i < tally->n_seen; i++)
        slots[slot_of(tally, &seen[i])] = (uint32_t)i + 1;
    return 0;
}

static int add_visitor(struct cb_tally *tally, uint32_t bucket, const uint8_t *visitor) {
    struct cb_tally_seen seen = {.bucket = bucket};
    memcpy(seen.visitor, visitor, CB_VISITOR_BYTES);
    if (tally->n_seen >= tally->n_slots / 2) {
        int rc = grow(tally);
        if (rc)
            return rc;
    }
    size_t slot = slot_of(tally, &seen);
    if (tally->slots[slot])
        return 0;
    if (tally->n_seen == CB_TALLY_SEEN_MAX)
        return CB_EFULL;
    tally->seen[tally->n_seen++] = seen;
    tally->slots[slot] = (uint32_t)tally->n_seen;
    tally->visitors[bucket]++;
    return 0;
}

/* ---- names ---- */

static size_t name_slot_of(const struct cb_tally *tally, struct cb_str text) {
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)text.p, text.len, tally->key);
    size_t slot = (size_t)hash % CB_TALLY_NAME_SLOTS;
    while (tally->name_slots[slot]) {
        const struct cb_tally_name *there = &tally->names[tally->name_slots[slot] - 1];
        if (cb_str_eq(text, (struct cb_str){there->text, there->len}))
            break;
        slot = (slot + 1) % CB_TALLY_NAME_SLOTS;
    }
    return slot;
}

static int find_name(struct cb_tally *tally, struct cb_str text, struct cb_tally_name **out) {
    size_t slot = name_slot_of(tally, text);
    if (!tally->name_slots[slot] && tally->n_names >= CB_TALLY_NAMES_MAX) {
        text = CB_STR("(other)");
        slot = name_slot_of(tally, text);
    }
    if (!tally->name_slots[slot]) {
        if (tally->n_names == tally->names_cap) {
            size_t cap = tally->names_cap ? tally->names_cap * 2 : NAMES_MIN;
            struct cb_tally_name *names = realloc(tally->names, cap * sizeof *names);
            if (!names)
                return CB_ENOMEM;
            tally->names = names;
            tally->names_cap = cap;
        }
        struct cb_tally_name *name = &tally->names[tally->n_names++];
        *name = (struct cb_tally_name){.len = (uint8_t)text.len};
        memcpy(name->text, text.p, text.len);
        tally->name_slots[slot] = (uint16_t)tally->n_names;
    }
    *out = &tally->names[tally->name_slots[slot] - 1];
    return 0;
}

/* ---- events ---- */

/* The bucket of a minute that lies in one. */
static size_t bucket_of(const struct cb_tally *tally, int64_t minute) {
    size_t low = 0, high = tally->n;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (tally->bounds[middle] <= minute)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int cb_tally_add(struct cb_tally *tally, const struct cb_envelope *envelope,
                 const struct cb_event *event, int64_t true_ms) {
    int64_t minute = true_ms / 60000;
    struct cb_tally_name *name;
    if (minute < tally->bounds[0] || minute >= tally->bounds[tally->n])
        return 0;
    size_t bucket = bucket_of(tally, minute);
    int rc = find_name(tally, event->name, &name);
    if (!rc && envelope->has_visitor)
        rc = add_visitor(tally, (uint32_t)bucket, envelope->visitor);
    if (rc)
        return rc;
    name->events++;
    tally->events[bucket]++;
    return 0;
}
