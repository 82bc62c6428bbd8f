/* SPDX-License-Identifier: MIT */
#include "store/dims.h"

#include <stdlib.h>

#include "store/dim_set.h"
#include "store/rows.h"

/* Indexes of a profile's dimensions: device and browser by their numbers, languages and countries
 * by their letters (27 of a place: none, a to z). */
enum {
    LETTERS = 27,
    LANGUAGES = LETTERS * LETTERS * LETTERS,
    COUNTRIES = LETTERS * LETTERS,
    DEVICES = CB_PROFILE_BOT + 1,
    BROWSERS = CB_BROWSER_MAX + 1,
};

unsigned cb_dim_kind(enum cb_dim dim) {
    return dim == CB_DIM_PAGE       ? CB_VALUES_PAGE
           : dim == CB_DIM_REFERRER ? CB_VALUES_REFERRER
           : dim == CB_DIM_TRIGGER  ? CB_VALUES_TRIGGER
                                    : CB_VALUES_PROFILE;
}

static uint32_t index_of_letters(const uint8_t *p, size_t n, uint8_t base) {
    uint32_t index = 0;
    for (size_t i = 0; i < n; i++) {
        index =
            index * LETTERS + (p[i] >= base && p[i] < base + LETTERS - 1 ? p[i] - base + 1u : 0);
    }
    return index > 0 ? index : CB_DIM_NONE;
}

/* The index of what a profile has of a dimension. */
static uint32_t index_of_profile(const uint8_t *p, enum cb_dim dim) {
    unsigned number = p[CB_PROFILE_DEVICE];
    bool bot = number == CB_PROFILE_BOT;
    switch (dim) {
    case CB_DIM_DEVICE:
        /* Numbers that are none of ours are unknown: one value. */
        return bot || strcmp(cb_device_text(number), cb_device_text(CB_DEVICE_UNKNOWN)) != 0
                   ? number + 1
                   : CB_DEVICE_UNKNOWN + 1;
    case CB_DIM_BROWSER:
        number = p[CB_PROFILE_BROWSER];
        return bot ? CB_DIM_NONE
               : strcmp(cb_browser_text(number), cb_browser_text(CB_BROWSER_UNKNOWN)) != 0
                   ? number + 1
                   : CB_BROWSER_UNKNOWN + 1;
    case CB_DIM_LANGUAGE:
        return p[CB_PROFILE_LANGUAGE] == CB_PROFILE_OTHER
                   ? (uint32_t)CB_DIM_OTHER
                   : index_of_letters(p + CB_PROFILE_LANGUAGE, 3, 'a');
    case CB_DIM_COUNTRY:
        return p[CB_PROFILE_COUNTRY] == CB_PROFILE_OTHER
                   ? (uint32_t)CB_DIM_OTHER
                   : index_of_letters(p + CB_PROFILE_COUNTRY, 2, 'A');
    default:
        return CB_DIM_NONE;
    }
}

static uint32_t profile_indexes(enum cb_dim dim) {
    return 1u + (dim == CB_DIM_DEVICE     ? (uint32_t)DEVICES
                 : dim == CB_DIM_BROWSER  ? (uint32_t)BROWSERS
                 : dim == CB_DIM_LANGUAGE ? (uint32_t)LANGUAGES
                                          : (uint32_t)COUNTRIES);
}

static bool add_profile(void *user, struct cb_str key, struct cb_str value) {
    struct cb_dim_map *map = user;
    uint32_t number = key.len == 9 ? cb_be32_get((const uint8_t *)key.p + 5) : 0;
    if (number == 0 || number > map->n_numbers || value.len != CB_PROFILE_BYTES) {
        return true; /* stays without an index */
    }
    uint32_t index = index_of_profile((const uint8_t *)value.p, map->dim);
    map->indexes[number] = index;
    if (index != CB_DIM_NONE && map->numbers[index] == 0) {
        map->numbers[index] = number;
    }
    return true;
}

int cb_dim_map_init(struct cb_dim_map *map, struct cb_snapshot *snapshot, uint32_t site,
                    enum cb_dim dim) {
    const unsigned kind = cb_dim_kind(dim);
    struct cb_key key = cb_key_values(site, (uint8_t)kind);
    struct cb_str value;
    *map = (struct cb_dim_map){.snapshot = snapshot, .site = site, .dim = dim, .n = 1};
    int rc = cb_snapshot_row(snapshot, CB_TABLE_VALUES, &key, &value);
    if (rc != 0 || value.len != 4) {
        return rc == CB_ENOENT ? 0 : rc == 0 ? CB_ECORRUPT : rc;
    }
    map->n_numbers = cb_be32_get((const uint8_t *)value.p);
    map->n = map->n_numbers + 1;
    if (kind != CB_VALUES_PROFILE) {
        return 0;
    }
    map->n = profile_indexes(dim);
    map->indexes = malloc(((size_t)map->n_numbers + 1) * sizeof(uint32_t));
    map->numbers = calloc(map->n, sizeof(uint32_t));
    if (!map->indexes || !map->numbers) {
        cb_dim_map_fini(map);
        return CB_ENOMEM;
    }
    memset(map->indexes, 0xff, ((size_t)map->n_numbers + 1) * sizeof(uint32_t)); /* CB_DIM_NONE */
    rc = cb_snapshot_scan(snapshot, CB_TABLE_VALUE_TEXTS, &key, add_profile, map);
    if (rc != 0) {
        cb_dim_map_fini(map);
    }
    return rc;
}

void cb_dim_map_fini(struct cb_dim_map *map) {
    free(map->indexes);
    free(map->numbers);
    map->indexes = map->numbers = NULL;
}

int cb_dim_text(const struct cb_dim_map *map, uint32_t index, struct cb_str *out) {
    uint32_t number = map->numbers ? map->numbers[index] : index;
    struct cb_key key = cb_key_value_text(map->site, (uint8_t)cb_dim_kind(map->dim), number);
    struct cb_str text;
    int rc = cb_snapshot_row(map->snapshot, CB_TABLE_VALUE_TEXTS, &key, &text);
    if (rc != 0) {
        return rc == CB_ENOENT ? CB_ECORRUPT : rc;
    }
    if (map->numbers && text.len != CB_PROFILE_BYTES) {
        return CB_ECORRUPT;
    }
    const uint8_t *p = (const uint8_t *)text.p;
    switch (map->dim) {
    case CB_DIM_DEVICE:
        text = p[CB_PROFILE_DEVICE] == CB_PROFILE_BOT
                   ? CB_STR(CB_VALUE_BOT)
                   : cb_str_of(cb_device_text(p[CB_PROFILE_DEVICE]));
        break;
    case CB_DIM_BROWSER:
        text = cb_str_of(cb_browser_text(p[CB_PROFILE_BROWSER]));
        break;
    case CB_DIM_LANGUAGE:
        text.p += CB_PROFILE_LANGUAGE;
        text.len = strnlen(text.p, 3);
        break;
    case CB_DIM_COUNTRY:
        text.p += CB_PROFILE_COUNTRY;
        text.len = strnlen(text.p, 2);
        break;
    default:
        break;
    }
    *out = text;
    return 0;
}

/* ---- rows ---- */

enum {
    DAY_AT = 4,
    KIND_AT = 8,
    NAME_AT = 9,
    CHUNK_AT = 13,
    KEY_BYTES = 17,
    SET_CHUNK_AT = 17,
    SET_KEY_BYTES = 21,
    TAIL_DAY_AT = 5,
    TAIL_PART_AT = 9,
    TAIL_KEY_BYTES = 10
};

static int give_row(const struct cb_dim_scan *scan, struct cb_str key, struct cb_str value,
                    int (*each)(void *user, const struct cb_dim_row *row), void *user) {
    const uint8_t *p = (const uint8_t *)key.p;
    const uint32_t chunk = cb_be32_get(p + CHUNK_AT);
    if (!cb_dim_wants(scan, chunk)) {
        return 0;
    }
    struct cb_dim_row row = {.scan = scan,
                             .day = cb_day_get(p + DAY_AT),
                             .name_id = cb_be32_get(p + NAME_AT),
                             .name = cb_dim_name(scan->name_id),
                             .number = chunk << CB_DIM_CHUNK_BITS};
    int rc = cb_dim_chunk_read(value, &row.chunk);
    return rc == 0 ? each(user, &row) : rc;
}

/* The names [first, last] whose rows are read. */
struct names {
    uint32_t first, last;
};

/* Goes on from a row of another kind or name: to this day's rows, or to the next day's. */
static int leap(struct cb_db_cursor *cursor, const struct cb_dim_scan *scan,
                const struct names *names, struct cb_str *key, struct cb_str *value) {
    const uint8_t *p = (const uint8_t *)key->p;
    int32_t day = cb_day_get(p + DAY_AT);
    if (p[KIND_AT] > scan->kind ||
        (p[KIND_AT] == scan->kind && cb_be32_get(p + NAME_AT) > names->last)) {
        day++;
    }
    struct cb_key from = cb_key_dimension(scan->site, day, (uint8_t)scan->kind, names->first, 0);
    return cb_db_seek(cursor, cb_key_str(&from), key, value);
}

/* The tails of the scan that were not given yet. */
struct tails {
    const struct cb_dim_scan *scan;
    struct cb_db_cursor *cursor;
    struct cb_str key, value; /* of the next part */
    int rc;                   /* 0: there is one; CB_ENOENT: none */
};

/* Whether a part is there, and is of the scan. */
static int look_at_tail(struct tails *tails, int rc) {
    const struct cb_dim_scan *scan = tails->scan;
    const struct cb_key prefix = cb_key_values(scan->site, (uint8_t)scan->kind);
    tails->rc = rc;
    if (rc == 0 &&
        (tails->key.len != TAIL_KEY_BYTES || memcmp(tails->key.p, prefix.bytes, prefix.len) != 0 ||
         cb_day_get((const uint8_t *)tails->key.p + TAIL_DAY_AT) >= scan->end)) {
        tails->rc = CB_ENOENT;
    }
    return tails->rc == CB_ENOENT ? 0 : tails->rc;
}

static int open_tails(struct tails *tails, struct cb_snapshot *snapshot,
                      const struct cb_dim_scan *scan) {
    const struct cb_key from =
        cb_key_dimension_tail(scan->site, (uint8_t)scan->kind, scan->first, 0);
    *tails = (struct tails){.scan = scan};
    int rc = cb_db_cursor_open(
        snapshot->txn, cb_views_table(snapshot->views, CB_TABLE_DIMENSION_TAILS), &tails->cursor);
    return rc == 0 ? look_at_tail(tails, cb_db_seek(tails->cursor, cb_key_str(&from), &tails->key,
                                                    &tails->value))
                   : rc;
}

static int give_part(const struct tails *tails, const struct cb_dim_calls *calls, void *user) {
    const struct cb_dim_scan *scan = tails->scan;
    const uint8_t *key = (const uint8_t *)tails->key.p;
    const int32_t day = cb_day_get(key + TAIL_DAY_AT);
    struct cb_dim_tail_walk walk;
    struct cb_dim_event event;
    int rc = cb_dim_tail_read(tails->value, key[TAIL_PART_AT], &walk);
    while (rc == 0 && (rc = cb_dim_tail_next(&walk, &event)) == 0) {
        if ((scan->name_id == CB_NAME_ID_ALL || scan->name_id == event.name_id) &&
            cb_dim_wants(scan, event.number >> CB_DIM_CHUNK_BITS)) {
            rc = calls->event(user, day, &event);
        }
    }
    return rc == CB_ENOENT ? 0 : rc;
}

/* Those of days before one. */
static int give_tails(struct tails *tails, int32_t before, const struct cb_dim_calls *calls,
                      void *user) {
    int rc = 0;
    while (rc == 0 && tails->rc == 0 &&
           cb_day_get((const uint8_t *)tails->key.p + TAIL_DAY_AT) < before) {
        rc = give_part(tails, calls, user);
        if (rc == 0) {
            rc = look_at_tail(tails, cb_db_next(tails->cursor, &tails->key, &tails->value));
        }
    }
    return rc;
}

/* Each row, behind the tails of the days before it. */
static int give_rows(struct cb_snapshot *snapshot, const struct cb_dim_scan *scan,
                     struct tails *tails, const struct cb_dim_calls *calls, void *user) {
    struct names names = {CB_NAME_ID_ALL, CB_NAME_ID_ALL};
    if (scan->name_id != CB_NAME_ID_ALL && !cb_dim_name(scan->name_id)) {
        names.first = names.last = scan->name_id;
    } else if (scan->name_id == CB_NAME_ID_ALL && scan->by_name) {
        names.last = CB_DIMENSION_VALUES - 1;
    }
    struct cb_key from =
        cb_key_dimension(scan->site, scan->first, (uint8_t)scan->kind, names.first, 0);
    struct cb_db_cursor *cursor = NULL;
    struct cb_str key, value;
    int rc = cb_db_cursor_open(snapshot->txn, cb_views_table(snapshot->views, CB_TABLE_DIMENSIONS),
                               &cursor);
    rc = rc == 0 ? cb_db_seek(cursor, cb_key_str(&from), &key, &value) : rc;
    while (rc == 0 && key.len == KEY_BYTES && memcmp(key.p, from.bytes, DAY_AT) == 0 &&
           cb_day_get((const uint8_t *)key.p + DAY_AT) < scan->end) {
        const uint32_t name_id = cb_be32_get((const uint8_t *)key.p + NAME_AT);
        if ((unsigned char)key.p[KIND_AT] != scan->kind || name_id < names.first ||
            name_id > names.last) {
            rc = leap(cursor, scan, &names, &key, &value);
            continue;
        }
        rc = give_tails(tails, cb_day_get((const uint8_t *)key.p + DAY_AT), calls, user);
        rc = rc == 0 ? give_row(scan, key, value, calls->row, user) : rc;
        rc = rc == 0 ? cb_db_next(cursor, &key, &value) : rc;
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT ? 0 : rc;
}

int cb_dim_each(struct cb_snapshot *snapshot, const struct cb_dim_scan *scan,
                const struct cb_dim_calls *calls, void *user) {
    struct tails tails;
    int rc = open_tails(&tails, snapshot, scan);
    if (rc == 0 && calls->row) {
        rc = give_rows(snapshot, scan, &tails, calls, user);
    }
    rc = rc == 0 ? give_tails(&tails, scan->end, calls, user) : rc;
    cb_db_cursor_close(&tails.cursor);
    return rc;
}

/* Those that stand in rows of their own. */
static int or_apart(const struct cb_dim_row *row, uint32_t number, uint32_t n_visitors,
                    uint64_t *words) {
    struct cb_walk *walk = row->scan->sets;
    struct cb_key key = cb_key_dimension_set(row->scan->site, row->day, (uint8_t)row->scan->kind,
                                             row->name_id, number, 0);
    int rc = cb_walk_to(walk, &key);
    while (rc == 0 && cb_walk_at(walk, &key, SET_CHUNK_AT)) {
        if (walk->key.len != SET_KEY_BYTES) {
            return CB_ECORRUPT;
        }
        rc = cb_dim_set_or(walk->value, cb_be32_get((const uint8_t *)walk->key.p + SET_CHUNK_AT),
                           row->name, n_visitors, words);
        rc = rc == 0 ? cb_walk_next(walk) : rc;
    }
    return rc == CB_ENOENT ? 0 : rc;
}

/* Of n members those that have the name, of 0 all. False: one lies behind the bitmap. */
static bool or_members(const uint8_t *ordinals, const uint8_t *names, unsigned n, uint8_t name,
                       uint32_t n_visitors, uint64_t *words) {
    for (unsigned i = 0; i < n; i++) {
        const uint32_t ordinal = cb_be32_get(ordinals + 4 * (size_t)i);
        if (ordinal >= n_visitors) {
            return false;
        }
        if (!name || names[i] & name) {
            words[ordinal / 64] |= UINT64_C(1) << ordinal % 64;
        }
    }
    return true;
}

int cb_dim_or(const struct cb_dim_row *row, unsigned i, unsigned member, uint32_t n_visitors,
              uint64_t *words) {
    const struct cb_dim_chunk *chunk = &row->chunk;
    if (row->name && !(chunk->names[i] & row->name)) {
        return 0;
    }
    if (chunk->offsets[i] & CB_DIM_APART) {
        return or_apart(row, row->number + cb_dim_chunk_offset(chunk, i), n_visitors, words);
    }
    return or_members(chunk->ordinals + 4 * (size_t)member, chunk->member_names + member,
                      chunk->members[i], row->name, n_visitors, words)
               ? 0
               : CB_ECORRUPT;
}

int cb_dim_visitors(struct cb_snapshot *snapshot, uint32_t site, uint32_t *n) {
    struct cb_key key = cb_key_site(site);
    struct cb_str value;
    int rc = cb_snapshot_row(snapshot, CB_TABLE_SITE_STATE, &key, &value);
    *n = 0;
    if (rc != 0 || value.len != CB_ROW_SITE_STATE_BYTES) {
        return rc == CB_ENOENT ? 0 : rc == 0 ? CB_ECORRUPT : rc;
    }
    *n = cb_be32_get((const uint8_t *)value.p + 8);
    return 0;
}
