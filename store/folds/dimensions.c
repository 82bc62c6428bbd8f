/* SPDX-License-Identifier: MIT
 * dimensions.c: where events come from and what they are about: for each day of the site and name
 * of events, how many each value of a dimension has, and of which visitors: exact sets.
 *
 * Four kinds of values: what an envelope says of its sender (device, browser, language, country) is
 * one value, its profile, since there are few of them and reports can add up what they share; page,
 * referrer and trigger are one each. What has no value is not counted, and of bots only that they
 * are bots. A row has all names; those that have no bit there (dim_chunk.h) have rows of their own
 * besides.
 *
 * Events are gathered and written when the batch is committed (dim_gather.h): each row is looked up
 * once then, and the memory that a batch holds meanwhile is small. */
#include <stdlib.h>

#include "proto/thread.h"
#include "store/dim_chunk.h"
#include "store/dim_gather.h"
#include "store/folds/folds.h"
#include "store/ordinal_list.h"
#include "store/ordinal_set.h"
#include "store/rows.h"

enum {
    /* Where a day is full of profiles, languages are one, then countries: of what is left there are
     * few. */
    PROFILES_WITHOUT_LANGUAGE_MAX = CB_VALUES_DAY_MAX + 2000,
    GROUP_SLOTS_MIN = 4096,
};

/* ---- events: gathered ---- */

static int gather(struct cb_fold_ctx *ctx, unsigned kind, struct cb_str text) {
    if (text.len == 0) {
        return 0;
    }
    return cb_dim_gather_add(cb_views_gather(ctx->views), ctx->site, ctx->day.number, kind,
                             cb_text_cut(text, CB_VALUE_TEXT_MAX), ctx->name_id,
                             ctx->envelope->has_visitor ? ctx->ordinal : CB_DIM_NOBODY);
}

static int gather_profile(struct cb_fold_ctx *ctx) {
    const struct cb_envelope *envelope = ctx->envelope;
    char profile[CB_PROFILE_BYTES] = {0};
    if (envelope->bot) {
        profile[CB_PROFILE_DEVICE] = (char)CB_PROFILE_BOT;
    } else {
        profile[CB_PROFILE_DEVICE] = (char)envelope->device;
        profile[CB_PROFILE_BROWSER] = (char)envelope->browser;
        memcpy(profile + CB_PROFILE_LANGUAGE, envelope->language, 3);
        memcpy(profile + CB_PROFILE_COUNTRY, envelope->country, 2);
    }
    return gather(ctx, CB_VALUES_PROFILE, (struct cb_str){profile, sizeof(profile)});
}

static cb_views_flush_fn flush;

static int on_event(struct cb_fold_ctx *ctx) {
    const struct cb_event *event = ctx->event;
    cb_views_on_commit(ctx->views, flush);
    int rc = gather_profile(ctx);
    if (rc != 0 || ctx->envelope->bot) {
        return rc;
    }
    rc = gather(ctx, CB_VALUES_PAGE, event->page);
    rc = rc == 0 ? gather(ctx, CB_VALUES_REFERRER, event->referrer) : rc;
    if (rc == 0 && event->name_code == CB_NAME_TRIGGER) {
        rc = gather(ctx, CB_VALUES_TRIGGER, cb_triggers_id(event->props));
    }
    return rc;
}

/* ---- values: by order of first sight ---- */

static int number_profile(struct cb_fold_ctx *ctx, struct cb_str text, uint32_t *number) {
    char profile[CB_PROFILE_BYTES];
    const struct cb_str less = {profile, sizeof(profile)};
    memcpy(profile, text.p, sizeof(profile));
    int rc = cb_values_number(ctx, CB_VALUES_PROFILE, text, CB_VALUES_DAY_MAX, number);
    if (rc == 0 && *number == CB_VALUE_OTHER) {
        memcpy(profile + CB_PROFILE_LANGUAGE, (char[3]){CB_PROFILE_OTHER}, 3);
        rc = cb_values_number(ctx, CB_VALUES_PROFILE, less, PROFILES_WITHOUT_LANGUAGE_MAX, number);
    }
    if (rc == 0 && *number == CB_VALUE_OTHER) {
        memcpy(profile + CB_PROFILE_COUNTRY, (char[2]){CB_PROFILE_OTHER}, 2);
        rc = cb_values_number(ctx, CB_VALUES_PROFILE, less, UINT32_MAX, number);
    }
    return rc;
}

static int number_pairs(struct cb_views *views, struct cb_dim_gather *gathered) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < gathered->n_pairs; i++) {
        struct cb_dim_pair *pair = &gathered->pairs[i];
        pair->group = 0;
        struct cb_fold_ctx ctx = {.views = views, .site = pair->site, .day.number = pair->day};
        struct cb_str text = cb_dim_gather_text(gathered, pair);
        rc = pair->kind == CB_VALUES_PROFILE
                 ? number_profile(&ctx, text, &pair->number)
                 : cb_values_number(&ctx, pair->kind, text, CB_VALUES_DAY_MAX, &pair->number);
    }
    return rc;
}

/* ---- rows: what each gets, in order of the events ---- */

struct group {
    uint32_t site;
    int32_t day;
    uint32_t kind, name_id, chunk;
    uint32_t first, last; /* counts, by index; linked by next[LINK_…] */
};

struct groups {
    struct group *rows;
    size_t n, cap;
    uint32_t *slots; /* index + 1 */
    size_t n_slots;
};

static size_t hash_of(const struct group *group) {
    uint64_t hash = (uint64_t)group->site << 32 | (uint32_t)group->day;
    hash = (hash ^ ((uint64_t)group->name_id << 24 | group->chunk << 2 | group->kind)) *
           UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(hash >> 24);
}

/* The slot of a group, or the free one where it would be. */
static uint32_t *slot_of(const struct groups *groups, const struct group *group) {
    for (size_t at = hash_of(group);; at++) {
        uint32_t *slot = &groups->slots[at & (groups->n_slots - 1)];
        if (*slot == 0 ||
            memcmp(&groups->rows[*slot - 1], group, offsetof(struct group, first)) == 0) {
            return slot;
        }
    }
}

static int make_room(struct groups *groups) {
    if (groups->n < groups->n_slots / 2) {
        return 0;
    }
    size_t n = groups->n_slots ? groups->n_slots * 2 : GROUP_SLOTS_MIN;
    struct group *rows = realloc(groups->rows, n / 2 * sizeof(*rows));
    if (!rows) {
        return CB_ENOMEM;
    }
    groups->rows = rows;
    uint32_t *slots = calloc(n, sizeof(*slots));
    if (!slots) {
        return CB_ENOMEM;
    }
    free(groups->slots);
    groups->slots = slots;
    groups->n_slots = n;
    for (size_t i = 0; i < groups->n; i++) {
        *slot_of(groups, &rows[i]) = (uint32_t)i + 1;
    }
    return 0;
}

enum { LINK_NAME, LINK_ALL };

static unsigned link_of(const struct group *group) {
    return group->name_id == CB_NAME_ID_ALL ? LINK_ALL : LINK_NAME;
}

/* The row of a pair's value and a name: its group, + 1. */
static int find_group(const struct cb_dim_pair *pair, uint32_t name_id, uint32_t count,
                      struct groups *groups, uint32_t *out) {
    struct group group = {.site = pair->site,
                          .day = pair->day,
                          .kind = pair->kind,
                          .name_id = name_id,
                          .chunk = pair->number >> CB_DIM_CHUNK_BITS,
                          .first = count,
                          .last = count};
    int rc = make_room(groups);
    if (rc != 0) {
        return rc;
    }
    uint32_t *slot = slot_of(groups, &group);
    if (*slot == 0) {
        groups->rows[groups->n++] = group;
        *slot = (uint32_t)groups->n;
    }
    *out = *slot;
    return 0;
}

/* Puts count i behind the others of a group, unless it began the group. */
static void link_count(struct cb_dim_gather *gathered, uint32_t i, struct group *group) {
    if (group->last != i) {
        gathered->counts[group->last].next[link_of(group)] = i;
        group->last = i;
    }
}

static int group_counts(struct cb_dim_gather *gathered, struct groups *groups) {
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < gathered->n_counts; i++) {
        struct cb_dim_pair *pair = &gathered->pairs[gathered->counts[i].pair];
        uint32_t group;
        if (pair->group == 0) {
            rc = find_group(pair, CB_NAME_ID_ALL, i, groups, &pair->group);
        }
        if (rc == 0) {
            link_count(gathered, i, &groups->rows[pair->group - 1]);
        }
        if (rc == 0 && !cb_dim_name(gathered->counts[i].name_id)) {
            rc = find_group(pair, gathered->counts[i].name_id, i, groups, &group);
            if (rc == 0) {
                link_count(gathered, i, &groups->rows[group - 1]);
            }
        }
    }
    return rc;
}

/* A value's visitors, of a name or of all. */
struct set {
    const struct group *group;
    uint32_t name_id, value;
};

static int find_set_row(struct cb_views *views, const struct set *set, uint32_t number,
                        struct cb_row **row) {
    struct cb_key key =
        cb_key_dimension_set(set->group->site, set->group->day, (uint8_t)set->group->kind,
                             set->name_id, set->value, number);
    return cb_views_row(views, CB_TABLE_DIMENSION_SETS, &key, row);
}

static int add_to_chunk(struct cb_views *views, const struct set *set, uint32_t ordinal) {
    struct cb_row *row;
    int rc = find_set_row(views, set, cb_ordinal_set_chunk(ordinal) | CB_ORDINAL_CHUNKS, &row);
    return rc == 0 ? cb_ordinal_set_add(views, row, cb_ordinal_set_offset(ordinal)) : rc;
}

/* The list goes into chunks. */
static int move_list(struct cb_views *views, const struct set *set, struct cb_row *list,
                     uint32_t number) {
    uint32_t entries[CB_ORDINAL_LIST_MAX];
    size_t n;
    int rc = cb_ordinal_list_move(views, list, entries, &n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = add_to_chunk(views, set, number << CB_ORDINAL_LIST_BITS | entries[i]);
    }
    return rc;
}

static int add_to_set(struct cb_views *views, const struct group *group, uint32_t name_id,
                      uint32_t value, uint32_t ordinal) {
    const struct set set = {group, name_id, value};
    const uint32_t number = ordinal >> CB_ORDINAL_LIST_BITS;
    struct cb_row *list;
    bool moved = false;
    if (ordinal < CB_ORDINAL_LIST_FROM) {
        return add_to_chunk(views, &set, ordinal);
    }
    int rc = find_set_row(views, &set, number, &list);
    rc = rc == 0 ? cb_ordinal_list_add(views, list, 0, ordinal & ((1u << CB_ORDINAL_LIST_BITS) - 1),
                                       &moved)
                 : rc;
    if (rc == 0 && moved && !cb_ordinal_list_moved(list)) {
        rc = move_list(views, &set, list, number);
    }
    return rc == 0 && moved ? add_to_chunk(views, &set, ordinal) : rc;
}

/* A visitor who does not stand in a value's chunk: in the set of the row's name, and in that of
 * each that has a bit there. */
static int put_apart(struct cb_views *views, const struct group *group, unsigned offset,
                     uint32_t ordinal, uint8_t names, bool names_only) {
    const uint32_t value = group->chunk << CB_DIM_CHUNK_BITS | offset;
    int rc = names_only ? 0 : add_to_set(views, group, group->name_id, value, ordinal);
    for (uint32_t i = 0; rc == 0 && names >> i; i++) {
        if (names >> i & 1) {
            rc = add_to_set(views, group, CB_NAME_ID_FIRST + i, value, ordinal);
        }
    }
    return rc;
}

/* *apart: the count whose visitor was put apart last, or NULL: of his next event on the page only
 * the name may be new. */
static int write_count(struct cb_views *views, const struct cb_dim_gather *gathered,
                       const struct group *group, const struct cb_dim_count *count, uint32_t events,
                       struct cb_row *row, const struct cb_dim_count **apart) {
    struct cb_dim_moved moved;
    const unsigned offset = gathered->pairs[count->pair].number & ((1u << CB_DIM_CHUNK_BITS) - 1);
    const uint8_t name = link_of(group) == LINK_ALL ? cb_dim_name(count->name_id) : 0;
    int rc = cb_dim_chunk_add(views, row, (uint8_t)offset, name, events,
                              count->ordinal != CB_DIM_NOBODY ? &count->ordinal : NULL, &moved);
    for (unsigned i = 0; rc == 0 && i < moved.n; i++) {
        rc = put_apart(views, group, moved.offset, moved.ordinals[i], moved.names[i], false);
    }
    if (rc == 0 && moved.apart) {
        bool again = *apart && (*apart)->pair == count->pair && (*apart)->ordinal == count->ordinal;
        rc = put_apart(views, group, offset, count->ordinal, name, again);
        *apart = count;
    }
    return rc;
}

static bool is_like(const struct cb_dim_count *a, const struct cb_dim_count *b) {
    return a->pair == b->pair && a->name_id == b->name_id && a->ordinal == b->ordinal;
}

/* What one visitor does often on one page comes in one go, mostly, and is written in one. */
static int write_group(struct cb_views *views, const struct cb_dim_gather *gathered,
                       const struct group *group) {
    const unsigned link = link_of(group);
    struct cb_row *row;
    struct cb_key key = cb_key_dimension(group->site, group->day, (uint8_t)group->kind,
                                         group->name_id, group->chunk);
    int rc = cb_views_row(views, CB_TABLE_DIMENSIONS, &key, &row);
    const struct cb_dim_count *apart = NULL;
    uint32_t i = group->first;
    for (bool more = rc == 0; more; more = more && rc == 0) {
        const struct cb_dim_count *count = &gathered->counts[i];
        uint32_t events = 0;
        do {
            events++;
            more = i != group->last;
            i = more ? gathered->counts[i].next[link] : i;
        } while (more && is_like(&gathered->counts[i], count));
        rc = write_count(views, gathered, group, count, events, row, &apart);
    }
    return rc;
}

static int flush(struct cb_views *views) {
    struct cb_dim_gather *gathered = cb_views_gather(views);
    struct groups groups = {0};
    int rc = number_pairs(views, gathered);
    rc = rc == 0 ? group_counts(gathered, &groups) : rc;
    for (size_t i = 0; rc == 0 && i < groups.n; i++) {
        rc = write_group(views, gathered, &groups.rows[i]);
        cb_thread_give_way();
    }
    free(groups.rows);
    free(groups.slots);
    return rc == CB_ENOENT ? CB_ECORRUPT : rc;
}

const struct cb_fold_ops cb_fold_dimensions = {.name = "dimensions", .event = on_event};
