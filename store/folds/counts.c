/* SPDX-License-Identifier: MIT
 * counts.c: how many events of each name in each quarter hour, and which names there are.
 *
 * A day (UTC) of a name is one row, and a site's names of a day stand together: so an event's two
 * counts mostly fall on one page, and a report over days reads one run of keys. Every zone's hours
 * and days are whole quarter hours. Minutes stand in minutes.c, for as long as they are kept. */
#include "store/folds/folds.h"
#include "store/reader.h"
#include "store/rows.h"

static int change_at(uint8_t *p, int64_t change) {
    int64_t sum = (int64_t)cb_be32_get(p) + change;
    if (sum < 0 || sum > UINT32_MAX) {
        return CB_ECORRUPT;
    }
    cb_be32_put(p, (uint32_t)sum);
    return 0;
}

static int list_to_all(struct cb_views *views, struct cb_row *row) {
    uint8_t all[CB_COUNT_ALL_BYTES] = {0};
    for (size_t at = 0; at < row->len; at += CB_COUNT_ENTRY_BYTES) {
        if (row->data[at] >= CB_DAY_QUARTERS) {
            return CB_ECORRUPT;
        }
        memcpy(all + 4 * row->data[at], row->data + at + 1, 4);
    }
    int rc = cb_row_resize(views, row, sizeof(all));
    if (rc == 0) {
        memcpy(row->data, all, sizeof(all));
    }
    return rc;
}

/* Where the entry of a quarter stands in a list, or belongs. Most come in order: from the end. */
static size_t find_entry(const struct cb_row *row, uint8_t quarter) {
    size_t at = row->len;
    while (at > 0 && row->data[at - CB_COUNT_ENTRY_BYTES] >= quarter) {
        at -= CB_COUNT_ENTRY_BYTES;
    }
    return at;
}

/* An entry of nothing goes: only a session that moves takes any away. */
static int change_entry(struct cb_views *views, struct cb_row *row, size_t at, int64_t change) {
    int rc = change_at(row->data + at + 1, change);
    if (rc != 0 || cb_be32_get(row->data + at + 1) > 0) {
        cb_row_touch(row);
        return rc;
    }
    memmove(row->data + at, row->data + at + CB_COUNT_ENTRY_BYTES,
            row->len - at - CB_COUNT_ENTRY_BYTES);
    return cb_row_resize(views, row, row->len - CB_COUNT_ENTRY_BYTES);
}

static int change_row(struct cb_views *views, struct cb_row *row, uint8_t quarter, int64_t change) {
    if (row->len != CB_COUNT_ALL_BYTES) {
        if (row->len % CB_COUNT_ENTRY_BYTES != 0) {
            return CB_ECORRUPT;
        }
        size_t at = find_entry(row, quarter);
        if (at < row->len && row->data[at] == quarter) {
            return change_entry(views, row, at, change);
        }
        if (row->len / CB_COUNT_ENTRY_BYTES < CB_COUNT_ENTRIES_MAX) {
            size_t behind = row->len - at;
            int rc = cb_row_resize(views, row, row->len + CB_COUNT_ENTRY_BYTES);
            if (rc != 0) {
                return rc;
            }
            memmove(row->data + at + CB_COUNT_ENTRY_BYTES, row->data + at, behind);
            row->data[at] = quarter;
            cb_be32_put(row->data + at + 1, 0);
            return change_at(row->data + at + 1, change);
        }
        int rc = list_to_all(views, row);
        if (rc != 0) {
            return rc;
        }
    }
    cb_row_touch(row);
    return change_at(row->data + 4 * quarter, change);
}

static uint8_t quarter_of(uint32_t minute) {
    return (uint8_t)(minute / CB_QUARTER_MINUTES % CB_DAY_QUARTERS);
}

static int find_row(struct cb_views *views, uint32_t site, uint32_t name_id, uint32_t minute,
                    struct cb_row **row) {
    struct cb_key key = cb_key_count(site, minute / CB_DAY_MINUTES, name_id);
    return cb_views_row(views, CB_TABLE_COUNTS, &key, row);
}

int cb_counts_change(struct cb_views *views, uint32_t site, uint32_t name_id, uint32_t minute,
                     int change) {
    struct cb_row *row;
    int rc = find_row(views, site, name_id, minute, &row);
    return rc == 0 ? change_row(views, row, quarter_of(minute), change) : rc;
}

static int count(struct cb_fold_ctx *ctx, struct cb_memo_minute *at) {
    int rc = at->counts ? 0 : find_row(ctx->views, at->site, at->name_id, at->minute, &at->counts);
    return rc == 0 ? change_row(ctx->views, at->counts, quarter_of(at->minute), 1) : rc;
}

/* The id of a name, made at its first counted event. */
static int name_id(struct cb_fold_ctx *ctx, struct cb_str name, struct cb_row *state,
                   uint32_t *id) {
    struct cb_key key = cb_key_name(ctx->site, name);
    struct cb_row *row;
    int rc = cb_views_row(ctx->views, CB_TABLE_NAMES, &key, &row);
    if (rc != 0) {
        return rc;
    }
    if (row->len == 4) {
        *id = cb_be32_get(row->data);
        return 0;
    }
    if (row->len != 0) {
        return CB_ECORRUPT;
    }
    bool is_other = cb_str_is(name, CB_NAME_OTHER);
    uint32_t n_names = cb_be32_get(state->data + CB_STATE_NAMES);
    if (n_names >= CB_NAMES_MAX && !is_other) {
        return name_id(ctx, cb_str_of(CB_NAME_OTHER), state, id);
    }
    rc = cb_row_resize(ctx->views, row, 4);
    if (rc == 0) {
        *id = CB_NAME_ID_FIRST + n_names;
        cb_be32_put(row->data, *id);
        cb_be32_put(state->data + CB_STATE_NAMES, n_names + 1);
        cb_row_touch(state);
    }
    return rc;
}

static int find_name(struct cb_fold_ctx *ctx, struct cb_row *state) {
    unsigned code = ctx->event->name_code;
    uint32_t *known = code != CB_NAME_CUSTOM ? &ctx->here->name_ids[code] : NULL;
    int rc = known && *known != 0 ? 0 : name_id(ctx, ctx->event->name, state, &ctx->name_id);
    if (rc == 0 && known) {
        ctx->name_id = *known = *known != 0 ? *known : ctx->name_id;
    }
    return rc;
}

/* The first and the last minute in which the site had an event. */
static void stretch(struct cb_row *state, uint32_t minute) {
    uint32_t first = cb_be32_get(state->data + CB_STATE_FIRST_MINUTE);
    uint32_t last = cb_be32_get(state->data + CB_STATE_LAST_MINUTE);
    if (last == 0 || minute < first) {
        cb_be32_put(state->data + CB_STATE_FIRST_MINUTE, minute);
        cb_row_touch(state);
    }
    if (minute > last) {
        cb_be32_put(state->data + CB_STATE_LAST_MINUTE, minute);
        cb_row_touch(state);
    }
}

static int on_event(struct cb_fold_ctx *ctx) {
    struct cb_memo *memo = cb_views_memo(ctx->views);
    struct cb_row *state;
    int rc = cb_sites_state_here(ctx, &state);
    rc = rc == 0 ? find_name(ctx, state) : rc;
    if (rc != 0) {
        return rc;
    }
    stretch(state, ctx->minute);
    const uint32_t ids[] = {CB_NAME_ID_ALL, ctx->name_id};
    bool has_visitor = ctx->envelope->has_visitor;
    uint32_t chunk = has_visitor ? ctx->ordinal >> CB_HOUR_CHUNK_BITS : 0;
    for (unsigned i = 0; rc == 0 && i < 2; i++) {
        ctx->at[i] = cb_memo_minute(memo, ctx->site, ids[i], ctx->minute, has_visitor, chunk);
        rc = count(ctx, ctx->at[i]);
    }
    return rc;
}

const struct cb_fold_ops cb_fold_counts = {.name = "counts", .event = on_event};
