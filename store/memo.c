/* SPDX-License-Identifier: MIT */
#include "store/memo.h"

#include <stdlib.h>

enum { SITES_BITS = 9, SENDERS_BITS = 13, MINUTES_BITS = 11, VISITS_BITS = 9, WORD_BYTES = 8 };

struct cb_memo {
    struct cb_memo_sender senders[1 << SENDERS_BITS];
    struct cb_memo_minute all[1 << MINUTES_BITS]; /* names 0, apart: an event needs both at once */
    struct cb_memo_minute minutes[1 << MINUTES_BITS];
    struct cb_memo_visits visits[1 << VISITS_BITS];
    struct cb_memo_site sites[1 << SITES_BITS];
    bool used;
};

int cb_memo_create(struct cb_memo **out) {
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : CB_ENOMEM;
}

void cb_memo_destroy(struct cb_memo **memo) {
    free(*memo);
    *memo = NULL;
}

void cb_memo_clear(struct cb_memo *memo) {
    if (memo->used) {
        memset(memo, 0, sizeof(*memo));
    }
}

static size_t mix(uint64_t a, uint64_t b, unsigned bits) {
    uint64_t mixed = a * UINT64_C(0x9e3779b97f4a7c15) + b;
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return (size_t)(mixed >> (64 - bits));
}

static uint64_t word_at(const void *p, size_t len) {
    uint64_t word = 0;
    memcpy(&word, p, len < WORD_BYTES ? len : WORD_BYTES);
    return word;
}

struct cb_memo_site *cb_memo_site(struct cb_memo *memo, struct cb_str name) {
    const char *tail = name.len > WORD_BYTES ? name.p + name.len - WORD_BYTES : name.p;
    uint64_t last = name.len > 0 ? word_at(tail, name.len) : 0;
    uint64_t first = name.len > 0 ? word_at(name.p, name.len) : 0;
    struct cb_memo_site *site = &memo->sites[mix(first, last + name.len, SITES_BITS)];
    if (site->name_len != name.len || !site->known || memcmp(site->name, name.p, name.len) != 0) {
        *site = (struct cb_memo_site){.name_len = name.len};
        memcpy(site->name, name.len > 0 ? name.p : "", name.len);
        memo->used = true;
    }
    return site;
}

struct cb_memo_sender *cb_memo_sender(struct cb_memo *memo, uint32_t site,
                                      const struct cb_envelope *envelope) {
    static const uint8_t nobody[CB_VISITOR_BYTES];
    const uint8_t *id = envelope->has_visitor ? envelope->visitor : nobody;
    uint64_t producer = word_at(envelope->producer, CB_PRODUCER_BYTES);
    struct cb_memo_sender *sender =
        &memo->senders[mix(producer, word_at(id, WORD_BYTES) ^ site, SENDERS_BITS)];
    if (sender->site != site || memcmp(sender->producer, envelope->producer, CB_PRODUCER_BYTES) ||
        memcmp(sender->id, id, CB_VISITOR_BYTES) != 0) {
        *sender = (struct cb_memo_sender){.site = site};
        memcpy(sender->producer, envelope->producer, CB_PRODUCER_BYTES);
        memcpy(sender->id, id, CB_VISITOR_BYTES);
        memo->used = true;
    }
    return sender;
}

struct cb_memo_minute *cb_memo_minute(struct cb_memo *memo, uint32_t site, uint32_t name_id,
                                      uint32_t minute, bool has_visitor, uint32_t hour_chunk) {
    struct cb_memo_minute *table = name_id == 0 ? memo->all : memo->minutes;
    size_t at =
        mix((uint64_t)site << 32 | minute, (uint64_t)hour_chunk << 32 | name_id, MINUTES_BITS);
    struct cb_memo_minute *place = &table[at];
    if (!place->used || place->site != site || place->name_id != name_id ||
        place->minute != minute || place->has_visitor != has_visitor ||
        place->hour_chunk != hour_chunk) {
        *place = (struct cb_memo_minute){.site = site,
                                         .name_id = name_id,
                                         .minute = minute,
                                         .hour_chunk = hour_chunk,
                                         .used = true,
                                         .has_visitor = has_visitor};
        memo->used = true;
    }
    return place;
}

struct cb_memo_visits *cb_memo_visits(struct cb_memo *memo, uint32_t site, uint32_t quarter) {
    struct cb_memo_visits *place = &memo->visits[mix(site, quarter, VISITS_BITS)];
    if (!place->used || place->site != site || place->quarter != quarter) {
        *place = (struct cb_memo_visits){.site = site, .quarter = quarter, .used = true};
        memo->used = true;
    }
    return place;
}
