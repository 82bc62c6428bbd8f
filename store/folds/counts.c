/* SPDX-License-Identifier: MIT
 * counts.c: how many events of each name in each minute, hour and day (UTC), and which names there
 * are.
 *
 * Three grains, so that any range of whole minutes is a few runs of keys: days inside, hours and
 * minutes at the edges. */
#include "store/folds/folds.h"
#include "store/reader.h"
#include "store/rows.h"

int cb_counts_add(struct cb_views *views, uint32_t site, uint32_t name_id, uint32_t minute,
                  uint64_t n) {
    for (unsigned grain = 0; grain < CB_GRAIN_COUNT; grain++) {
        struct cb_key key = cb_key_count(site, name_id, (uint8_t)grain,
                                         minute / cb_grain_minutes((enum cb_grain)grain));
        struct cb_row *row;
        int rc = cb_views_row(views, CB_TABLE_COUNTS, &key, &row);
        if (rc == 0 && row->len == 0) {
            rc = cb_row_resize(views, row, 8);
        }
        if (rc == 0 && row->len != 8) {
            rc = CB_ECORRUPT;
        }
        if (rc != 0) {
            return rc;
        }
        cb_be64_put(row->data, cb_be64_get(row->data) + n);
        cb_row_touch(row);
    }
    return 0;
}

/* The id of a name, made at its first counted event. */
static int name_id(struct cb_fold_ctx *ctx, struct cb_str name, struct cb_site_state *state,
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
    if (state->n_names >= CB_NAMES_MAX && !is_other) {
        return name_id(ctx, cb_str_of(CB_NAME_OTHER), state, id);
    }
    rc = cb_row_resize(ctx->views, row, 4);
    if (rc == 0) {
        *id = CB_NAME_ID_FIRST + state->n_names++;
        cb_be32_put(row->data, *id);
    }
    return rc;
}

static int on_event(struct cb_fold_ctx *ctx) {
    struct cb_site_state state;
    int rc = cb_sites_state(ctx->views, ctx->site, &state);
    if (rc != 0) {
        return rc;
    }
    struct cb_site_state before = state;
    rc = name_id(ctx, ctx->event->name, &state, &ctx->name_id);
    if (rc != 0) {
        return rc;
    }
    if (state.last_minute == 0 || ctx->minute < state.first_minute) {
        state.first_minute = ctx->minute;
    }
    if (ctx->minute > state.last_minute) {
        state.last_minute = ctx->minute;
    }
    if (memcmp(&state, &before, sizeof(state)) != 0) {
        rc = cb_sites_set_state(ctx->views, ctx->site, &state);
    }
    if (rc == 0) {
        rc = cb_counts_add(ctx->views, ctx->site, CB_NAME_ID_ALL, ctx->minute, 1);
    }
    if (rc == 0) {
        rc = cb_counts_add(ctx->views, ctx->site, ctx->name_id, ctx->minute, 1);
    }
    return rc;
}

const struct cb_fold_ops cb_fold_counts = {.name = "counts", .event = on_event};
