/* SPDX-License-Identifier: MIT
 * values.c: the values of a site's dimensions (pages, hosts, …) as small numbers, in order of first
 * sight, and how many of them a day may have.
 *
 * Values come from pages, so their number is bounded: past 10,000 a day, in journal order, a value
 * that the day does not have yet is one of CB_VALUE_OTHER. A value's row remembers on which of its
 * newest 32 days it was let in; on an older day (clocks that jumped) it is let in unasked. */
#include <sodium.h>

#include "store/folds/folds.h"
#include "store/rows.h"

enum { DAYS_KEPT = 32 };

struct cb_key cb_values_key(uint32_t site, unsigned kind, struct cb_str text) {
    uint8_t hash[CB_VALUE_HASH_BYTES];
    if (text.len <= CB_VALUE_PLAIN_MAX) {
        return cb_key_value(site, (uint8_t)kind, 0, text);
    }
    crypto_generichash(hash, sizeof(hash), (const unsigned char *)text.p, text.len, NULL, 0);
    return cb_key_value(site, (uint8_t)kind, 1, (struct cb_str){(const char *)hash, sizeof(hash)});
}

/* A counter's row, made of zero. */
static int counter_row(struct cb_views *views, enum cb_table table, const struct cb_key *key,
                       struct cb_row **row) {
    int rc = cb_views_row(views, table, key, row);
    if (rc == 0 && (*row)->len == 0) {
        rc = cb_row_resize(views, *row, 4);
    }
    return rc == 0 && (*row)->len != 4 ? CB_ECORRUPT : rc;
}

static int count_up(struct cb_views *views, enum cb_table table, const struct cb_key *key,
                    uint32_t *n) {
    struct cb_row *row;
    int rc = counter_row(views, table, key, &row);
    if (rc == 0) {
        *n = cb_be32_get(row->data) + 1;
        cb_be32_put(row->data, *n);
        cb_row_touch(row);
    }
    return rc;
}

/* Whether the day has room for one more; then it is counted. */
static int let_in(struct cb_fold_ctx *ctx, unsigned kind, uint32_t max, bool *in) {
    struct cb_key key =
        cb_key_dimension(ctx->site, ctx->day.number, (uint8_t)kind, CB_DIMENSION_VALUES, 0);
    struct cb_row *row;
    int rc = counter_row(ctx->views, CB_TABLE_DIMENSIONS, &key, &row);
    if (rc == 0) {
        uint32_t n = cb_be32_get(row->data);
        *in = n < max;
        cb_be32_put(row->data, *in ? n + 1 : n);
        cb_row_touch(row);
    }
    return rc;
}

/* Fills the row of a text that is new, and that of its number. */
static int new_value(struct cb_fold_ctx *ctx, unsigned kind, struct cb_str text,
                     struct cb_row *row) {
    uint32_t number;
    struct cb_key key = cb_key_values(ctx->site, (uint8_t)kind);
    struct cb_row *text_row;
    int rc = count_up(ctx->views, CB_TABLE_VALUES, &key, &number);
    if (rc == 0) {
        key = cb_key_value_text(ctx->site, (uint8_t)kind, number);
        rc = cb_views_row(ctx->views, CB_TABLE_VALUE_TEXTS, &key, &text_row);
    }
    rc = rc == 0 ? cb_row_resize(ctx->views, text_row, text.len) : rc;
    rc = rc == 0 ? cb_row_resize(ctx->views, row, CB_ROW_VALUE_BYTES) : rc;
    if (rc == 0) {
        memcpy(text_row->data, text.p, text.len);
        cb_be32_put(row->data + CB_VALUE_NUMBER, number);
        cb_day_put(row->data + CB_VALUE_DAY, ctx->day.number);
    }
    return rc;
}

/* Whether a value was let in on a day. */
static bool is_in(const struct cb_row *row, int32_t day) {
    int64_t age = (int64_t)cb_day_get(row->data + CB_VALUE_DAY) - day;
    return age >= DAYS_KEPT ||
           (age >= 0 && (cb_be32_get(row->data + CB_VALUE_DAYS) >> age & 1) != 0);
}

static void note_in(struct cb_row *row, int32_t day) {
    int64_t age = (int64_t)cb_day_get(row->data + CB_VALUE_DAY) - day;
    uint32_t days = cb_be32_get(row->data + CB_VALUE_DAYS);
    if (age < 0) {
        days = -age < DAYS_KEPT ? days << -age : 0;
        cb_day_put(row->data + CB_VALUE_DAY, day);
        age = 0;
    }
    cb_be32_put(row->data + CB_VALUE_DAYS, days | 1u << age);
    cb_row_touch(row);
}

int cb_values_number(struct cb_fold_ctx *ctx, unsigned kind, struct cb_str text, uint32_t max,
                     uint32_t *number) {
    const struct cb_key key = cb_values_key(ctx->site, kind, text);
    struct cb_row *row;
    bool in;
    *number = CB_VALUE_OTHER;
    int rc = cb_views_row(ctx->views, CB_TABLE_VALUES, &key, &row);
    if (rc != 0 || (row->len != 0 && row->len != CB_ROW_VALUE_BYTES)) {
        return rc != 0 ? rc : CB_ECORRUPT;
    }
    if (row->len == 0 || !is_in(row, ctx->day.number)) {
        rc = let_in(ctx, kind, max, &in);
        if (rc != 0 || !in) {
            return rc;
        }
        if (row->len == 0) {
            rc = new_value(ctx, kind, text, row);
            if (rc != 0) {
                return rc;
            }
        }
        note_in(row, ctx->day.number);
    }
    *number = cb_be32_get(row->data + CB_VALUE_NUMBER);
    return 0;
}
