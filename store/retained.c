/* SPDX-License-Identifier: MIT */
#include "store/retained.h"

#include "store/rows.h"
#include "store/snapshot.h"

static int decode(struct cb_str value, struct cb_retained *out) {
    const uint8_t *p = (const uint8_t *)value.p;
    *out = (struct cb_retained){.day = 0};
    if (value.len == 0) {
        return 0;
    }
    if (value.len != CB_ROW_RETAINED_BYTES) {
        return CB_ECORRUPT;
    }
    *out = (struct cb_retained){.day = cb_be32_get(p + CB_RETAINED_DAY),
                                .rows = cb_be64_get(p + CB_RETAINED_ROWS),
                                .row_bytes = cb_be64_get(p + CB_RETAINED_ROW_BYTES),
                                .people = cb_be64_get(p + CB_RETAINED_PEOPLE),
                                .people_bytes = cb_be64_get(p + CB_RETAINED_PEOPLE_BYTES)};
    return 0;
}

int cb_retained_read(struct cb_views *views, uint32_t site, struct cb_retained *out) {
    struct cb_key key = cb_key_site(site);
    struct cb_row *row;
    int rc = cb_views_row(views, CB_TABLE_RETAINED, &key, &row);
    return rc == 0 ? decode((struct cb_str){(const char *)row->data, row->len}, out) : rc;
}

int cb_retained_gone(struct cb_views *views, uint32_t site, uint32_t minute, bool *gone) {
    struct cb_retained kept;
    int rc = cb_retained_read(views, site, &kept);
    *gone = rc == 0 && minute / (24 * 60) < kept.day;
    return rc;
}

int cb_retained_write(struct cb_views *views, uint32_t site, const struct cb_retained *kept) {
    struct cb_key key = cb_key_site(site);
    struct cb_row *row;
    int rc = cb_views_row(views, CB_TABLE_RETAINED, &key, &row);
    rc = rc == 0 ? cb_row_resize(views, row, CB_ROW_RETAINED_BYTES) : rc;
    if (rc == 0) {
        cb_be32_put(row->data + CB_RETAINED_DAY, kept->day);
        cb_be64_put(row->data + CB_RETAINED_ROWS, kept->rows);
        cb_be64_put(row->data + CB_RETAINED_ROW_BYTES, kept->row_bytes);
        cb_be64_put(row->data + CB_RETAINED_PEOPLE, kept->people);
        cb_be64_put(row->data + CB_RETAINED_PEOPLE_BYTES, kept->people_bytes);
    }
    return rc;
}

int cb_snapshot_retained(struct cb_snapshot *snapshot, uint32_t site, struct cb_retained *out) {
    struct cb_key key = cb_key_site(site);
    struct cb_str value = {NULL, 0};
    int rc = cb_snapshot_row(snapshot, CB_TABLE_RETAINED, &key, &value);
    return rc == 0 || rc == CB_ENOENT ? decode(value, out) : rc;
}
