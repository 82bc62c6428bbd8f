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

static void end_bucket(struct counting *c) {
    c->visitors[c->bucket] = cb_bits_count(c->words, c->n_words);
    memset(c->words, 0, c->n_words * sizeof(uint64_t));
    c->bucket++;
}

static int add_item(void *user, const struct cb_dim_item *item) {
    struct counting *c = user;
    uint32_t index = cb_dim_index(&c->map, item->number);
    c->lower_bound |= index == CB_DIM_OTHER;
    if (index != c->index || index == CB_DIM_NONE) {
        return 0;
    }
    while (item->day >= c->bounds[c->bucket + 1]) { /* days ascend */
        end_bucket(c);
    }
    c->events[c->bucket] += item->entry.events;
    if (c->each) {
        c->each(c->user, item->name_id, item->entry.events);
    }
    return cb_dim_or(item, c->n_visitors, c->words);
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
    const struct cb_dim_scan scan = {
        site, cb_dim_kind(filter->dim), name_id, bounds[0], bounds[n], NULL, 0};
    memset(events, 0, n * sizeof(*events));
    memset(visitors, 0, n * sizeof(*visitors));
    int rc = cb_dim_map_init(&c.map, snapshot, site, filter->dim);
    if (rc != 0) {
        return rc;
    }
    rc = find_index(&c, snapshot, site, filter);
    rc = rc == 0 ? cb_dim_visitors(snapshot, site, &c.n_visitors) : rc;
    if (rc == 0) {
        c.n_words = cb_dim_words(c.n_visitors);
        c.words = calloc(c.n_words + 1, sizeof(uint64_t));
        rc = c.words ? cb_dim_each(snapshot, &scan, add_item, &c) : CB_ENOMEM;
    }
    while (rc == 0 && c.bucket < n) {
        end_bucket(&c);
    }
    *lower_bound = c.lower_bound;
    free(c.words);
    cb_dim_map_fini(&c.map);
    return rc;
}
