/* SPDX-License-Identifier: MIT
 * key.h: sortable keys and the numbers in rows: big-endian, so that byte order is numeric order.
 * Pure. Any thread. */
#ifndef CB_STORE_KEY_H
#define CB_STORE_KEY_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "proto/buf.h"

/* LMDB's limit for keys is 511 bytes; no table here needs a quarter of it. */
enum { CB_KEY_MAX = 96 };

struct cb_key {
    uint8_t bytes[CB_KEY_MAX];
    uint8_t len;
};

static inline void cb_be16_put(uint8_t *p, uint16_t v) {
    v = __builtin_bswap16(v);
    memcpy(p, &v, sizeof(v));
}

static inline uint16_t cb_be16_get(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap16(v);
}

static inline void cb_be32_put(uint8_t *p, uint32_t v) {
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof(v));
}

static inline uint32_t cb_be32_get(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

static inline void cb_be48_put(uint8_t *p, uint64_t v) {
    cb_be16_put(p, (uint16_t)(v >> 32));
    cb_be32_put(p + 2, (uint32_t)v);
}

static inline uint64_t cb_be48_get(const uint8_t *p) {
    return (uint64_t)cb_be16_get(p) << 32 | cb_be32_get(p + 2);
}

static inline void cb_be64_put(uint8_t *p, uint64_t v) {
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof(v));
}

static inline uint64_t cb_be64_get(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

/* Local days may lie before 1970: the sign bit is flipped, so that they sort as they count. */
static inline void cb_day_put(uint8_t *p, int32_t day) {
    cb_be32_put(p, (uint32_t)day ^ 0x80000000u);
}

static inline int32_t cb_day_get(const uint8_t *p) {
    return (int32_t)(cb_be32_get(p) ^ 0x80000000u);
}

/* Keys are put together part by part; a key that grows past CB_KEY_MAX is a bug of ours. */
static inline void cb_key_init(struct cb_key *key) {
    key->len = 0;
}

static inline void cb_key_bytes(struct cb_key *key, const void *data, size_t len) {
    assert(key->len + len <= CB_KEY_MAX);
    memcpy(key->bytes + key->len, data, len);
    key->len = (uint8_t)(key->len + len);
}

static inline void cb_key_u8(struct cb_key *key, uint8_t v) {
    cb_key_bytes(key, &v, 1);
}

static inline void cb_key_u32(struct cb_key *key, uint32_t v) {
    uint8_t b[4];
    cb_be32_put(b, v);
    cb_key_bytes(key, b, sizeof(b));
}

static inline void cb_key_u64(struct cb_key *key, uint64_t v) {
    uint8_t b[8];
    cb_be64_put(b, v);
    cb_key_bytes(key, b, sizeof(b));
}

static inline struct cb_str cb_key_str(const struct cb_key *key) {
    return (struct cb_str){(const char *)key->bytes, key->len};
}

/* The keys of FORMAT.md, one function a table. */
struct cb_key cb_key_position(uint64_t position);
struct cb_key cb_key_meta(uint8_t what);
struct cb_key cb_key_verdict(uint64_t position, uint16_t chunk);
struct cb_key cb_key_name(uint32_t site, struct cb_str name);
struct cb_key cb_key_seen(uint32_t site, const uint8_t producer[8]);
struct cb_key cb_key_seen_chunk(uint32_t site, const uint8_t producer[8], uint64_t chunk);
struct cb_key cb_key_count(uint32_t site, uint32_t day, uint32_t name_id);
struct cb_key cb_key_minute(uint32_t quarter, uint32_t site, uint32_t name_id, uint8_t minute,
                            uint32_t chunk);
struct cb_key cb_key_unique_hour(uint32_t hour, uint32_t site, uint32_t name_id, uint32_t chunk);
struct cb_key cb_key_unique_day(uint32_t site, uint32_t quarter, uint8_t quarters, uint32_t name_id,
                                uint32_t chunk);
struct cb_key cb_key_ordinal(uint32_t site, const uint8_t visitor[16]);
struct cb_key cb_key_visitor(uint32_t site, uint32_t ordinal);
struct cb_key cb_key_recent(uint32_t site, uint32_t minute, uint32_t chunk);
struct cb_key cb_key_field(uint32_t site, uint32_t ordinal, uint8_t field, uint8_t part);
struct cb_key cb_key_history(uint32_t site, uint32_t ordinal, uint8_t field, uint8_t slot,
                             uint8_t part);
struct cb_key cb_key_search(uint32_t site, struct cb_str term, uint32_t ordinal);
struct cb_key cb_key_erasure(uint32_t site, const uint8_t tag[16]);
/* share: ordinal / CB_TIMELINE_SHARED */
struct cb_key cb_key_timeline(uint32_t day, uint32_t site, uint32_t share, uint16_t part);
struct cb_key cb_key_site(uint32_t site);
struct cb_key cb_key_token(const uint8_t id[8]);
struct cb_key cb_key_settings(uint32_t site, uint8_t part);
struct cb_key cb_key_audit(uint64_t position);
struct cb_key cb_key_sessions(uint32_t site, uint32_t ordinal, uint32_t part);
struct cb_key cb_key_visits(uint32_t site, uint8_t kind, uint8_t grain, uint32_t bucket);
struct cb_key cb_key_visits_chunk(uint32_t site, uint8_t kind, uint8_t grain, uint32_t bucket,
                                  uint8_t chunk);
struct cb_key cb_key_trigger(uint32_t site, struct cb_str id);
struct cb_key cb_key_values(uint32_t site, uint8_t kind);
struct cb_key cb_key_value(uint32_t site, uint8_t kind, uint8_t form, struct cb_str text);
struct cb_key cb_key_value_text(uint32_t site, uint8_t kind, uint32_t value);
struct cb_key cb_key_dimension(uint32_t site, int32_t day, uint8_t kind, uint32_t name_id,
                               uint32_t chunk);
struct cb_key cb_key_dimension_set(uint32_t site, int32_t day, uint8_t kind, uint32_t name_id,
                                   uint32_t value, uint32_t chunk);
struct cb_key cb_key_dimension_tail(uint32_t site, uint8_t kind, int32_t day, uint8_t part);

#endif
