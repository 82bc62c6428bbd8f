/* SPDX-License-Identifier: MIT */
#include "store/dim_memo.h"

#include <sodium.h>
#include <stdlib.h>

#include "store/rows.h"

enum {
    PAIRS_MIN = 1 << 12,
    PAIRS_MAX = 1 << 18, /* places; half of them are used at most, then all are forgotten */
    TAILS_MIN = 256,
    HEAD_BYTES = 12, /* hashed in front of a text */
};

/* What an event had last of a kind: the next one's sender is mostly the same, and the page often.
 */
struct last {
    bool known;
    uint8_t head[HEAD_BYTES];
    size_t len;
    char text[CB_VALUE_TEXT_MAX];
    size_t place;
};

/* What a text goes by. */
struct name {
    struct cb_str text;
    uint8_t head[HEAD_BYTES];
    uint64_t hash;
    uint32_t more_hash;
};

struct cb_dim_memo {
    struct cb_dim_pair *pairs; /* open addressing */
    size_t n_pairs, places;    /* places: a power of two, or 0 */
    struct last last[CB_VALUES_KINDS];
    struct cb_dim_tail *tails; /* open addressing; an unused place has no head */
    size_t n_tails, tail_places;
    size_t last_tails[CB_VALUES_KINDS]; /* the place that was found last */
    struct name ahead;                  /* what will be asked for */
    uint8_t key[crypto_shorthash_siphashx24_KEYBYTES];
};

int cb_dim_memo_create(struct cb_dim_memo **out) {
    *out = calloc(1, sizeof(**out));
    if (!*out) {
        return CB_ENOMEM;
    }
    randombytes_buf((*out)->key, sizeof((*out)->key));
    return 0;
}

void cb_dim_memo_destroy(struct cb_dim_memo **memo) {
    if (*memo) {
        free((*memo)->pairs);
        free((*memo)->tails);
        free(*memo);
        *memo = NULL;
    }
}

static void forget_pairs(struct cb_dim_memo *memo) {
    if (memo->pairs) {
        memset(memo->pairs, 0, memo->places * sizeof(*memo->pairs));
    }
    memo->n_pairs = 0;
    memset(memo->last, 0, sizeof(memo->last));
}

void cb_dim_memo_clear(struct cb_dim_memo *memo, bool came_to_nothing) {
    if (memo->n_tails > 0) {
        memset(memo->tails, 0, memo->tail_places * sizeof(*memo->tails));
        memo->n_tails = 0;
    }
    if (came_to_nothing) {
        forget_pairs(memo);
    }
}

/* ---- pairs ---- */

static struct cb_dim_pair *place_of(struct cb_dim_pair *pairs, size_t places, uint64_t hash,
                                    uint32_t more_hash) {
    size_t at = (size_t)hash & (places - 1);
    while (pairs[at].more_hash != 0 &&
           (pairs[at].hash != hash || pairs[at].more_hash != more_hash)) {
        at = (at + 1) & (places - 1);
    }
    return &pairs[at];
}

static int make_room(struct cb_dim_memo *memo) {
    if (memo->n_pairs < memo->places / 2) {
        return 0;
    }
    if (memo->places == PAIRS_MAX) {
        forget_pairs(memo);
        return 0;
    }
    const size_t places = memo->places ? memo->places * 2 : PAIRS_MIN;
    struct cb_dim_pair *pairs = calloc(places, sizeof(*pairs));
    if (!pairs) {
        return CB_ENOMEM;
    }
    for (size_t i = 0; i < memo->places; i++) {
        const struct cb_dim_pair *pair = &memo->pairs[i];
        if (pair->more_hash != 0) {
            *place_of(pairs, places, pair->hash, pair->more_hash) = *pair;
        }
    }
    free(memo->pairs);
    memo->pairs = pairs;
    memo->places = places;
    memset(memo->last, 0, sizeof(memo->last));
    return 0;
}

static struct name name_of(uint32_t site, int32_t day, unsigned kind, struct cb_str text) {
    struct name name = {.text = text};
    cb_be32_put(name.head, site);
    cb_be32_put(name.head + 4, (uint32_t)day);
    cb_be32_put(name.head + 8, kind);
    return name;
}

static void hash(const struct cb_dim_memo *memo, struct name *name) {
    uint8_t bytes[HEAD_BYTES + CB_VALUE_TEXT_MAX];
    uint64_t both[2];
    _Static_assert(sizeof(both) == crypto_shorthash_siphashx24_BYTES, "the hash has another size");
    memcpy(bytes, name->head, HEAD_BYTES);
    memcpy(bytes + HEAD_BYTES, name->text.p, name->text.len);
    crypto_shorthash_siphashx24((unsigned char *)both, bytes, HEAD_BYTES + name->text.len,
                                memo->key);
    name->hash = both[0];
    name->more_hash = (uint32_t)both[1] != 0 ? (uint32_t)both[1] : 1;
}

static bool is_last(const struct last *last, const struct name *name) {
    return last->known && last->len == name->text.len &&
           memcmp(last->head, name->head, HEAD_BYTES) == 0 &&
           memcmp(last->text, name->text.p, name->text.len) == 0;
}

void cb_dim_memo_ahead(struct cb_dim_memo *memo, uint32_t site, int32_t day, unsigned kind,
                       struct cb_str text) {
    struct name name = name_of(site, day, kind, text);
    memo->ahead.text.p = NULL;
    if (memo->places > 0 && !is_last(&memo->last[kind], &name)) {
        hash(memo, &name);
        memo->ahead = name;
        __builtin_prefetch(&memo->pairs[(size_t)name.hash & (memo->places - 1)]);
    }
}

/* The same bytes at the same place: those that were looked at ahead. */
static bool is_ahead(const struct name *ahead, const struct name *name) {
    return ahead->text.p == name->text.p && ahead->text.len == name->text.len &&
           memcmp(ahead->head, name->head, HEAD_BYTES) == 0;
}

int cb_dim_memo_pair(struct cb_dim_memo *memo, uint32_t site, int32_t day, unsigned kind,
                     struct cb_str text, struct cb_dim_pair **out) {
    struct last *last = &memo->last[kind];
    struct name name = name_of(site, day, kind, text);
    if (is_last(last, &name)) {
        *out = &memo->pairs[last->place];
        return 0;
    }
    int rc = make_room(memo);
    if (rc != 0) {
        return rc;
    }
    if (is_ahead(&memo->ahead, &name)) {
        name = memo->ahead;
    } else {
        hash(memo, &name);
    }
    memo->ahead.text.p = NULL; /* what is there later may be another text */
    struct cb_dim_pair *pair = place_of(memo->pairs, memo->places, name.hash, name.more_hash);
    if (pair->more_hash == 0) {
        *pair = (struct cb_dim_pair){.hash = name.hash, .more_hash = name.more_hash};
        memo->n_pairs++;
    }
    last->known = true;
    last->len = text.len;
    memcpy(last->head, name.head, HEAD_BYTES);
    memcpy(last->text, text.p, text.len);
    last->place = (size_t)(pair - memo->pairs);
    *out = pair;
    return 0;
}

/* ---- tails ---- */

static bool is_tail(const struct cb_dim_tail *tail, uint32_t site, int32_t day, unsigned kind) {
    return tail->head && tail->site == site && tail->day == day && tail->kind == kind;
}

/* The place of a tail, or the unused one where it would be. */
static size_t tail_place(const struct cb_dim_tail *tails, size_t places, uint32_t site, int32_t day,
                         unsigned kind) {
    const uint64_t hash =
        (((uint64_t)site << 32 | (uint32_t)day) * UINT64_C(0x9e3779b97f4a7c15) + kind) *
        UINT64_C(0xd6e8feb86659fd93);
    size_t at = (size_t)(hash >> 32) & (places - 1);
    while (tails[at].head && !is_tail(&tails[at], site, day, kind)) {
        at = (at + 1) & (places - 1);
    }
    return at;
}

static int make_tail_room(struct cb_dim_memo *memo) {
    if (memo->n_tails < memo->tail_places / 2) {
        return 0;
    }
    const size_t places = memo->tail_places ? memo->tail_places * 2 : TAILS_MIN;
    struct cb_dim_tail *tails = calloc(places, sizeof(*tails));
    if (!tails) {
        return CB_ENOMEM;
    }
    for (size_t i = 0; i < memo->tail_places; i++) {
        const struct cb_dim_tail *tail = &memo->tails[i];
        if (tail->head) {
            tails[tail_place(tails, places, tail->site, tail->day, tail->kind)] = *tail;
        }
    }
    free(memo->tails);
    memo->tails = tails;
    memo->tail_places = places;
    return 0;
}

int cb_dim_memo_tail(struct cb_dim_memo *memo, struct cb_views *views, uint32_t site, int32_t day,
                     unsigned kind, struct cb_dim_tail **out) {
    size_t *last = &memo->last_tails[kind];
    if (*last < memo->tail_places && is_tail(&memo->tails[*last], site, day, kind)) {
        *out = &memo->tails[*last];
        return 0;
    }
    int rc = make_tail_room(memo);
    if (rc != 0) {
        return rc;
    }
    *last = tail_place(memo->tails, memo->tail_places, site, day, kind);
    struct cb_dim_tail *tail = &memo->tails[*last];
    if (!tail->head) {
        struct cb_dim_tail opened = {.site = site, .day = day, .kind = kind};
        rc = cb_dim_tail_open(views, &opened);
        if (rc != 0) {
            return rc;
        }
        *tail = opened;
        memo->n_tails++;
    }
    *out = tail;
    return 0;
}
