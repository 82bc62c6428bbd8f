/* SPDX-License-Identifier: MIT */
#include "store/key.h"

struct cb_key cb_key_position(uint64_t position) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_u64(&key, position);
    return key;
}

struct cb_key cb_key_meta(uint8_t what) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_u8(&key, what);
    return key;
}

struct cb_key cb_key_verdict(uint64_t position, uint16_t chunk) {
    struct cb_key key = cb_key_position(position);
    uint8_t b[2];
    cb_be16_put(b, chunk);
    cb_key_bytes(&key, b, sizeof(b));
    return key;
}

struct cb_key cb_key_name(uint32_t site, struct cb_str name) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_u32(&key, site);
    cb_key_bytes(&key, name.p ? name.p : "", name.len);
    return key;
}

struct cb_key cb_key_seen(uint32_t site, const uint8_t producer[8]) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_u32(&key, site);
    cb_key_bytes(&key, producer, 8);
    return key;
}

struct cb_key cb_key_seen_chunk(uint32_t site, const uint8_t producer[8], uint64_t chunk) {
    struct cb_key key = cb_key_seen(site, producer);
    cb_key_u64(&key, chunk);
    return key;
}

struct cb_key cb_key_count(uint32_t site, uint32_t day, uint32_t name_id) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_u32(&key, site);
    cb_key_u32(&key, day);
    cb_key_u32(&key, name_id);
    return key;
}

struct cb_key cb_key_minute(uint32_t quarter, uint32_t site, uint32_t name_id, uint8_t minute,
                            uint32_t chunk) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_u32(&key, quarter);
    cb_key_u32(&key, site);
    cb_key_u32(&key, name_id);
    cb_key_u8(&key, minute);
    cb_key_u32(&key, chunk);
    return key;
}

struct cb_key cb_key_unique_hour(uint32_t hour, uint32_t site, uint32_t name_id, uint32_t chunk) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_u32(&key, hour);
    cb_key_u32(&key, site);
    cb_key_u32(&key, name_id);
    cb_key_u32(&key, chunk);
    return key;
}

struct cb_key cb_key_unique_day(uint32_t site, uint32_t quarter, uint8_t quarters, uint32_t name_id,
                                uint32_t chunk) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_u32(&key, site);
    cb_key_u32(&key, quarter);
    cb_key_u8(&key, quarters);
    cb_key_u32(&key, name_id);
    cb_key_u32(&key, chunk);
    return key;
}

struct cb_key cb_key_ordinal(uint32_t site, const uint8_t visitor[16]) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_u32(&key, site);
    cb_key_bytes(&key, visitor, 16);
    return key;
}

struct cb_key cb_key_visitor(uint32_t site, uint32_t ordinal) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_u32(&key, site);
    cb_key_u32(&key, ordinal);
    return key;
}

struct cb_key cb_key_recent(uint32_t site, uint32_t minute, uint32_t chunk) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_u32(&key, site);
    cb_key_u32(&key, ~minute); /* complements: the newest sorts first */
    cb_key_u32(&key, ~chunk);
    return key;
}

struct cb_key cb_key_field(uint32_t site, uint32_t ordinal, uint8_t field, uint8_t part) {
    struct cb_key key = cb_key_visitor(site, ordinal);
    cb_key_u8(&key, field);
    cb_key_u8(&key, part);
    return key;
}

struct cb_key cb_key_history(uint32_t site, uint32_t ordinal, uint8_t field, uint8_t slot,
                             uint8_t part) {
    struct cb_key key = cb_key_visitor(site, ordinal);
    cb_key_u8(&key, field);
    cb_key_u8(&key, slot);
    cb_key_u8(&key, part);
    return key;
}

/* No term holds a zero byte: with one behind it a term sorts before those that it begins. */
struct cb_key cb_key_search(uint32_t site, struct cb_str term, uint32_t ordinal) {
    struct cb_key key = cb_key_site(site);
    cb_key_bytes(&key, term.p, term.len);
    cb_key_u8(&key, 0);
    cb_key_u32(&key, ordinal);
    return key;
}

struct cb_key cb_key_erasure(uint32_t site, const uint8_t tag[16]) {
    return cb_key_ordinal(site, tag);
}

struct cb_key cb_key_timeline(uint32_t day, uint32_t site, uint32_t share, uint16_t part) {
    struct cb_key key = {.len = 0};
    uint8_t b[2];
    cb_key_u32(&key, day);
    cb_key_u32(&key, site);
    cb_key_u32(&key, share);
    cb_be16_put(b, part);
    cb_key_bytes(&key, b, part > 0 ? sizeof(b) : 0); /* there is rarely a second one */
    return key;
}

struct cb_key cb_key_site(uint32_t site) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_u32(&key, site);
    return key;
}

struct cb_key cb_key_token(const uint8_t id[8]) {
    struct cb_key key;
    cb_key_init(&key);
    cb_key_bytes(&key, id, 8);
    return key;
}

struct cb_key cb_key_settings(uint32_t site, uint8_t part) {
    struct cb_key key = cb_key_site(site);
    cb_key_u8(&key, part);
    return key;
}

struct cb_key cb_key_audit(uint64_t position) {
    return cb_key_position(~position); /* the newest first */
}

struct cb_key cb_key_sessions(uint32_t site, uint32_t ordinal, uint32_t part) {
    struct cb_key key = cb_key_visitor(site, ordinal);
    cb_key_u32(&key, part);
    return key;
}

struct cb_key cb_key_visits(uint32_t site, uint8_t kind, uint8_t grain, uint32_t bucket) {
    struct cb_key key = cb_key_site(site);
    cb_key_u8(&key, kind);
    cb_key_u8(&key, grain);
    cb_key_u32(&key, bucket);
    return key;
}

struct cb_key cb_key_visits_chunk(uint32_t site, uint8_t kind, uint8_t grain, uint32_t bucket,
                                  uint8_t chunk) {
    struct cb_key key = cb_key_visits(site, kind, grain, bucket);
    cb_key_u8(&key, chunk);
    return key;
}

struct cb_key cb_key_trigger(uint32_t site, struct cb_str id) {
    struct cb_key key = cb_key_site(site);
    cb_key_bytes(&key, id.p ? id.p : "", id.len);
    return key;
}

struct cb_key cb_key_values(uint32_t site, uint8_t kind) {
    struct cb_key key = cb_key_site(site);
    cb_key_u8(&key, kind);
    return key;
}

struct cb_key cb_key_value(uint32_t site, uint8_t kind, uint8_t form, struct cb_str text) {
    struct cb_key key = cb_key_values(site, kind);
    cb_key_u8(&key, form);
    cb_key_bytes(&key, text.p, text.len);
    return key;
}

struct cb_key cb_key_value_text(uint32_t site, uint8_t kind, uint32_t value) {
    struct cb_key key = cb_key_values(site, kind);
    cb_key_u32(&key, value);
    return key;
}

struct cb_key cb_key_dimension(uint32_t site, int32_t day, uint8_t kind, uint32_t name_id,
                               uint32_t chunk) {
    struct cb_key key = cb_key_site(site);
    uint8_t day_bytes[4];
    cb_day_put(day_bytes, day);
    cb_key_bytes(&key, day_bytes, sizeof(day_bytes));
    cb_key_u8(&key, kind);
    cb_key_u32(&key, name_id);
    cb_key_u32(&key, chunk);
    return key;
}

struct cb_key cb_key_dimension_set(uint32_t site, int32_t day, uint8_t kind, uint32_t name_id,
                                   uint32_t value, uint32_t chunk) {
    struct cb_key key = cb_key_dimension(site, day, kind, name_id, value);
    cb_key_u32(&key, chunk);
    return key;
}

struct cb_key cb_key_dimension_tail(uint32_t site, uint8_t kind, int32_t day, uint8_t part) {
    struct cb_key key = cb_key_values(site, kind);
    uint8_t day_bytes[4];
    cb_day_put(day_bytes, day);
    cb_key_bytes(&key, day_bytes, sizeof(day_bytes));
    cb_key_u8(&key, part);
    return key;
}
