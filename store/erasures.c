/* SPDX-License-Identifier: MIT
 * erasures.c: who was erased, as the views have it. */
#include "store/rows.h"
#include "store/snapshot.h"

static void decode(struct cb_str row, const uint8_t *tag, struct cb_erasure *out) {
    const uint8_t *p = (const uint8_t *)row.p;
    uint64_t swept = cb_be64_get(p + CB_ERASURE_SWEPT);
    *out = (struct cb_erasure){.at_ms = (int64_t)cb_be64_get(p + CB_ERASURE_AT),
                               .position = cb_be64_get(p + CB_ERASURE_POSITION),
                               .dirty = cb_be64_get(p + CB_ERASURE_DIRTY),
                               .ordinal = cb_be32_get(p + CB_ERASURE_ORDINAL)};
    out->swept = swept >= out->dirty;
    out->swept_ms = out->swept ? (int64_t)cb_be64_get(p + CB_ERASURE_SWEPT_AT) : 0;
    memcpy(out->tag, tag, CB_VISITOR_BYTES);
    memcpy(out->pseudonym, p + CB_ERASURE_PSEUDONYM, CB_VISITOR_BYTES);
}

int cb_snapshot_erasure(struct cb_snapshot *snapshot, uint32_t site,
                        const uint8_t tag[CB_VISITOR_BYTES], struct cb_erasure *out) {
    struct cb_key key = cb_key_erasure(site, tag);
    struct cb_str row;
    int rc = cb_snapshot_row(snapshot, CB_TABLE_ERASURES, &key, &row);
    if (rc == 0 && row.len == CB_VISITOR_BYTES) {
        return CB_ENOENT; /* of a pseudonym */
    }
    if (rc == 0 && row.len != CB_ROW_ERASURE_BYTES) {
        rc = CB_ECORRUPT;
    }
    if (rc == 0) {
        decode(row, tag, out);
    }
    return rc;
}

struct erasures_user {
    bool (*each)(void *user, const struct cb_erasure *erasure);
    void *user;
};

static bool give(void *user, struct cb_str key, struct cb_str value) {
    struct erasures_user *u = user;
    struct cb_erasure erasure;
    if (key.len != 4 + CB_VISITOR_BYTES || value.len != CB_ROW_ERASURE_BYTES) {
        return true; /* of a pseudonym */
    }
    decode(value, (const uint8_t *)key.p + 4, &erasure);
    return u->each(u->user, &erasure);
}

void cb_snapshot_erasures(struct cb_snapshot *snapshot, uint32_t site,
                          bool (*each)(void *user, const struct cb_erasure *erasure), void *user) {
    struct erasures_user u = {each, user};
    struct cb_key prefix = cb_key_site(site);
    int rc = cb_snapshot_scan(snapshot, CB_TABLE_ERASURES, &prefix, give, &u);
    (void)rc; /* the disk's errors were logged in db.c; what was read was given */
}

static uint64_t read_meta(struct cb_snapshot *snapshot, uint8_t what) {
    struct cb_key key = cb_key_meta(what);
    struct cb_str row;
    int rc = cb_snapshot_row(snapshot, CB_TABLE_META, &key, &row);
    return rc == 0 && row.len == 8 ? cb_be64_get((const uint8_t *)row.p) : 0;
}

bool cb_snapshot_erased_since(struct cb_snapshot *snapshot, int64_t ms) {
    uint64_t newest = read_meta(snapshot, CB_META_ERASED_AT);
    return newest > 0 && (int64_t)newest > ms;
}

uint64_t cb_snapshot_erased_dirty(struct cb_snapshot *snapshot) {
    return read_meta(snapshot, CB_META_ERASED_DIRTY);
}
