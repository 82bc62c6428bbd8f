/* SPDX-License-Identifier: MIT */
#include "tests/power/recount.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/control.h"
#include "proto/frame.h"
#include "store/rows.h"
#include "store/seen_set.h"

enum { SITES_MAX = 8, NAMES_MAX = 32, PRODUCERS_MAX = 256, VISITORS_MAX = 256, SEQ_MAX = 16384 };

struct site {
    char name[CB_SITE_MAX + 1];
    uint64_t received, counted, duplicate, rejected[CB_REFUSAL_MAX + 1];
    uint64_t counts[NAMES_MAX];
    bool visitors[VISITORS_MAX];
    uint64_t highest[PRODUCERS_MAX], n_seen[PRODUCERS_MAX];
    uint8_t seen[PRODUCERS_MAX][SEQ_MAX / 8]; /* producers and visitors are known by their first
                                                 byte: the driver repeats it */
};

struct recount {
    struct site sites[SITES_MAX]; /* 0: what has no site */
    uint32_t n_sites;
    char names[NAMES_MAX][CB_NAME_MAX + 1];
    uint32_t n_names;
    struct cb_frame frame;
};

struct recount *recount_create(void) {
    struct recount *recount = calloc(1, sizeof(*recount));
    if (recount) {
        recount->n_sites = 1;
    }
    return recount;
}

void recount_destroy(struct recount **recount) {
    free(*recount);
    *recount = NULL;
}

static struct site *site_of(struct recount *recount, struct cb_str name) {
    for (uint32_t i = 1; i < recount->n_sites; i++) {
        if (cb_str_is(name, recount->sites[i].name)) {
            return &recount->sites[i];
        }
    }
    return &recount->sites[0];
}

static uint32_t name_of(struct recount *recount, struct cb_str name) {
    uint32_t i = 0;
    while (i < recount->n_names && !cb_str_is(name, recount->names[i])) {
        i++;
    }
    if (i == recount->n_names && i < NAMES_MAX - 1) {
        snprintf(recount->names[recount->n_names++], CB_NAME_MAX + 1, "%.*s", (int)name.len,
                 name.p);
    }
    return i;
}

/* True when the number is new. */
static bool mark(struct site *site, const uint8_t *producer, uint64_t seq) {
    uint8_t *byte = &site->seen[producer[0]][seq % SEQ_MAX / 8];
    uint8_t bit = (uint8_t)(1u << (seq % 8));
    if (*byte & bit) {
        return false;
    }
    *byte |= bit;
    site->n_seen[producer[0]]++;
    if (seq > site->highest[producer[0]]) {
        site->highest[producer[0]] = seq;
    }
    return true;
}

static void add_control(struct recount *recount, struct cb_str body) {
    struct cb_control control;
    if (cb_control_decode(body, &control) == 0 && control.op == CB_CONTROL_SITE &&
        recount->n_sites < SITES_MAX) {
        snprintf(recount->sites[recount->n_sites++].name, CB_SITE_MAX + 1, "%.*s",
                 (int)control.site.len, control.site.p);
    }
}

static void add_events(struct recount *recount, struct cb_frame_walk *walk,
                       const struct cb_envelope *envelope) {
    struct site *site = site_of(recount, envelope->site);
    struct cb_event event;
    while (cb_frame_walk_event(walk, &event)) {
        if (!mark(site, envelope->producer, event.seq)) {
            site->duplicate++;
            continue;
        }
        site->counted++;
        site->counts[name_of(recount, event.name)]++;
        if (envelope->has_visitor) {
            site->visitors[envelope->visitor[0]] = true;
        }
    }
}

void recount_add(struct recount *recount, struct cb_str bytes) {
    struct cb_frame *frame = &recount->frame;
    if (cb_frame_decode(bytes.p, bytes.len, frame) != 0) {
        return;
    }
    if (frame->kind == CB_FRAME_TRIM) {
        return; /* nothing that was counted goes with its record */
    }
    if (frame->kind == CB_FRAME_CONTROL) {
        add_control(recount, frame->body);
        return;
    }
    for (uint32_t i = 0; i < frame->n_sites; i++) {
        site_of(recount, frame->sites[i].name)->received += frame->sites[i].received;
    }
    struct cb_frame_walk walk;
    struct cb_envelope envelope;
    struct cb_reject reject;
    cb_frame_walk_init(&walk, frame);
    for (enum cb_frame_item item;
         (item = cb_frame_walk_next(&walk, &envelope, &reject)) != CB_ITEM_END;) {
        if (item == CB_ITEM_ENVELOPE) {
            add_events(recount, &walk, &envelope);
            continue;
        }
        struct site *site = site_of(recount, reject.site);
        site->rejected[reject.refusal] += reject.n;
        if (reject.has_seq && site != &recount->sites[0]) {
            mark(site, reject.producer, reject.seq);
        }
    }
}

/* ---- comparing ---- */

/* What the views say, gathered in one walk over some tables. */
struct found {
    struct recount *recount;
    struct cb_views *views;
    struct cb_db_txn *txn;
    struct site *sites[SITES_MAX];                           /* by id */
    uint32_t names[SITES_MAX][NAMES_MAX + CB_NAME_ID_FIRST]; /* id to name */
    uint64_t counts[SITES_MAX][NAMES_MAX + CB_NAME_ID_FIRST];
    uint64_t visitors[SITES_MAX], producers;
    const char *wrong; /* the first that differs */
};

static uint32_t site_id(struct cb_str key) {
    uint32_t id = key.len >= 4 ? cb_be32_get((const uint8_t *)key.p) : SITES_MAX;
    return id < SITES_MAX ? id : SITES_MAX - 1;
}

static void find_site(struct found *found, struct cb_str key, struct cb_str value) {
    struct site *site = site_of(found->recount, key);
    uint32_t id = site_id(value);
    if (site == &found->recount->sites[0] || found->sites[id]) {
        found->wrong = "a site";
    }
    found->sites[id] = site;
}

static void find_name(struct found *found, struct cb_str key, struct cb_str value) {
    uint32_t id = value.len == 4 ? cb_be32_get((const uint8_t *)value.p) : 0;
    struct cb_str name = {key.p + 4, key.len - 4};
    uint32_t number = name_of(found->recount, name);
    if (id < CB_NAME_ID_FIRST || id >= NAMES_MAX + CB_NAME_ID_FIRST || number >= NAMES_MAX - 1) {
        found->wrong = "a name";
        return;
    }
    found->names[site_id(key)][id] = number + 1;
}

static void find_count(struct found *found, struct cb_str key, struct cb_str value) {
    uint32_t name = key.len == 12 ? cb_be32_get((const uint8_t *)key.p + 8) : UINT32_MAX;
    bool all = value.len == CB_COUNT_ALL_BYTES;
    size_t step = all ? 4 : CB_COUNT_ENTRY_BYTES;
    if (name >= NAMES_MAX + CB_NAME_ID_FIRST || value.len % step != 0) {
        found->wrong = "a count";
        return;
    }
    for (size_t at = 0; at < value.len; at += step) {
        const uint8_t *p = (const uint8_t *)value.p + at + (all ? 0 : 1);
        found->counts[site_id(key)][name] += cb_be32_get(p);
    }
}

static void find_book(struct found *found, struct cb_str key, struct cb_str value) {
    const struct site *site = found->sites[site_id(key)];
    const uint8_t *p = (const uint8_t *)value.p;
    uint64_t lost = 0, rejected = 0;
    if (!site || value.len != CB_ROW_BOOKS_BYTES) {
        found->wrong = "a book";
        return;
    }
    for (size_t i = 0; i < PRODUCERS_MAX; i++) {
        lost += site->highest[i] - site->n_seen[i];
    }
    for (size_t i = 0; i <= CB_REFUSAL_MAX; i++) {
        rejected += site->rejected[i];
        if (cb_be64_get(p + CB_BOOKS_REJECTED + 8 * i) != site->rejected[i]) {
            found->wrong = "rejected";
        }
    }
    if (cb_be64_get(p + CB_BOOKS_RECEIVED) != site->received ||
        cb_be64_get(p + CB_BOOKS_COUNTED) != site->counted ||
        cb_be64_get(p + CB_BOOKS_DUPLICATE) != site->duplicate ||
        cb_be64_get(p + CB_BOOKS_LOST) != lost ||
        site->received != site->counted + site->duplicate + rejected) {
        found->wrong = "the books";
    }
}

static bool seen_in_chunk(struct found *found, struct cb_str key, uint64_t seq) {
    struct cb_key chunk =
        cb_key_seen_chunk(site_id(key), (const uint8_t *)key.p + 4, seq / CB_SEEN_CHUNK_NUMBERS);
    struct cb_str bits;
    uint64_t n = seq % CB_SEEN_CHUNK_NUMBERS;
    return cb_db_get(found->txn, cb_views_table(found->views, CB_TABLE_SEEN_CHUNKS),
                     cb_key_str(&chunk), &bits) == 0 &&
           n / 8 < bits.len && ((uint8_t)bits.p[n / 8] >> (n % 8) & 1);
}

static void find_seen(struct found *found, struct cb_str key, struct cb_str value) {
    const struct site *site = found->sites[site_id(key)];
    struct cb_seen_set set;
    if (!site || key.len != 12 || cb_seen_set_decode(value, &set) != 0) {
        found->wrong = "a seen set";
        return;
    }
    uint8_t producer = (uint8_t)key.p[4];
    found->producers++;
    if (set.highest != site->highest[producer] || set.n_seen != site->n_seen[producer]) {
        found->wrong = "a seen set's sums";
    }
    for (uint64_t seq = 1; seq <= site->highest[producer]; seq++) {
        bool there = set.chunked && seen_in_chunk(found, key, seq);
        for (unsigned i = 0; !there && i < set.n_runs; i++) {
            there = seq >= set.runs[i].first && seq <= set.runs[i].last;
        }
        if (there != (bool)(site->seen[producer][seq / 8] >> (seq % 8) & 1)) {
            found->wrong = "a seen set's numbers";
        }
    }
}

static void find_visitor(struct found *found, struct cb_str key, struct cb_str value) {
    (void)value;
    found->visitors[site_id(key)]++;
}

static void walk_table(struct found *found, enum cb_table table,
                       void (*each)(struct found *, struct cb_str, struct cb_str)) {
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    if (cb_db_cursor_open(found->txn, cb_views_table(found->views, table), &cursor) != 0) {
        found->wrong = "a table";
        return;
    }
    int rc = cb_db_seek(cursor, CB_STR("\0"), &key, &value);
    for (; rc == 0; rc = cb_db_next(cursor, &key, &value)) {
        each(found, key, value);
    }
    cb_db_cursor_close(&cursor);
}

static void compare_site(struct found *found, uint32_t id) {
    const struct site *site = found->sites[id];
    uint64_t all = 0, visitors = 0, producers = 0;
    for (uint32_t name = CB_NAME_ID_FIRST; name < NAMES_MAX + CB_NAME_ID_FIRST; name++) {
        uint32_t number = found->names[id][name];
        uint64_t expected = number > 0 ? site->counts[number - 1] : 0;
        all += found->counts[id][name];
        if (found->counts[id][name] != expected) {
            found->wrong = "the counts of a name";
        }
    }
    if (all != site->counted || found->counts[id][CB_NAME_ID_ALL] != site->counted) {
        found->wrong = "the counts of a site";
    }
    for (size_t i = 0; i < VISITORS_MAX; i++) {
        visitors += site->visitors[i];
        producers += site->n_seen[i] > 0;
    }
    found->producers -= producers;
    if (found->visitors[id] != visitors) {
        found->wrong = "the visitors of a site";
    }
}

bool recount_equals(struct recount *recount, struct cb_views *views, char *sentence, size_t len) {
    struct found *found = calloc(1, sizeof(*found));
    if (!found || cb_db_begin(cb_views_db(views), false, &found->txn) != 0) {
        free(found);
        snprintf(sentence, len, "the views cannot be read");
        return false;
    }
    found->recount = recount;
    found->views = views;
    found->sites[0] = &recount->sites[0];
    walk_table(found, CB_TABLE_SITES, find_site);
    walk_table(found, CB_TABLE_NAMES, find_name);
    walk_table(found, CB_TABLE_COUNTS, find_count);
    walk_table(found, CB_TABLE_BOOKS, find_book);
    walk_table(found, CB_TABLE_SEEN, find_seen);
    walk_table(found, CB_TABLE_ORDINALS, find_visitor);
    for (uint32_t id = 1; id < recount->n_sites; id++) {
        if (found->sites[id]) {
            compare_site(found, id);
        } else {
            found->wrong = "a site that is not there";
        }
    }
    if (found->producers != 0) {
        found->wrong = "the number of seen sets";
    }
    bool good = !found->wrong;
    snprintf(sentence, len, "a recount finds another value of %s", good ? "nothing" : found->wrong);
    cb_db_abort(&found->txn);
    free(found);
    return good;
}
