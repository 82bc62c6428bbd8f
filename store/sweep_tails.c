/* SPDX-License-Identifier: MIT */
#include "store/sweep_tails.h"

#include "store/dim_settle.h"
#include "store/rows.h"
#include "store/sweep_place.h"

enum {
    SETTLED_MAX = 512,
    BATCH_BYTES = 64 * 1024 * 1024, /* of a step, with the pages of its commit */
    KIND_AT = 4,
    DAY_AT = 5,
    KEY_BYTES = 10,
};

struct due {
    struct cb_dim_tail tails[SETTLED_MAX];
    uint32_t n, max;
};

/* The tails that are due, from *at on, which then is the first key that was not looked at. */
static int look(struct cb_views *views, uint32_t day, struct cb_key *at, struct due *due,
                bool *done) {
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    int rc = cb_views_cursor(views, CB_TABLE_DIMENSION_TAILS, &cursor);
    if (rc != 0) {
        return rc;
    }
    while (due->n < due->max && (rc = cb_db_seek(cursor, cb_key_str(at), &key, &value)) == 0) {
        const uint8_t *p = (const uint8_t *)key.p;
        if (key.len != KEY_BYTES || p[KIND_AT] >= CB_VALUES_KINDS) {
            rc = CB_ECORRUPT;
            break;
        }
        const uint32_t site = cb_be32_get(p);
        const int32_t of = cb_day_get(p + DAY_AT);
        if ((int64_t)of + CB_LOCAL_DAYS <= day) {
            due->tails[due->n++] =
                (struct cb_dim_tail){.site = site, .day = of, .kind = p[KIND_AT]};
            *at = cb_key_dimension_tail(site, p[KIND_AT], of + 1, 0);
        } else { /* nor are those of later days */
            *at = cb_key_values(site, (uint8_t)(p[KIND_AT] + 1));
        }
    }
    cb_db_cursor_close(&cursor);
    *done = rc == CB_ENOENT;
    return *done ? 0 : rc;
}

static int settle(struct cb_views *views, struct cb_dim_tail *tail) {
    int rc = cb_dim_tail_open(views, tail);
    rc = rc == 0 ? cb_dim_settle(views, tail) : rc;
    return rc == 0 ? cb_dim_tail_end(views, tail) : rc;
}

int cb_sweep_tails(struct cb_views *views, uint32_t day, uint32_t rows_max, bool *done) {
    struct due due = {.max = rows_max < SETTLED_MAX ? rows_max : SETTLED_MAX};
    struct cb_key at = cb_key_site(0);
    struct cb_row *row;
    int rc = cb_sweep_place_read(views, CB_META_TAILS_AT, &row, &at);
    rc = rc == 0 ? look(views, day, &at, &due, done) : rc;
    for (uint32_t i = 0; rc == 0 && i < due.n; i++) {
        rc = settle(views, &due.tails[i]);
        if (rc == 0 && i + 1 < due.n && cb_views_batch_bytes(views) > BATCH_BYTES) {
            const struct cb_dim_tail *next = &due.tails[i + 1];
            at = cb_key_dimension_tail(next->site, (uint8_t)next->kind, next->day, 0);
            *done = false;
            break;
        }
    }
    return rc == 0 ? cb_sweep_place_write(views, row, &at, *done) : rc;
}
