/* SPDX-License-Identifier: MIT
 * dimensions.c: where events come from and what they are about: for each day of the site and name
 * of events, how many each value of a dimension has, and of which visitors: exact sets.
 *
 * Four kinds of values: what an envelope says of its sender (device, browser, language, country) is
 * one value, its profile, since there are few of them and reports can add up what they share; page,
 * referrer and trigger are one each. What has no value is not counted, and of bots only that they
 * are bots. "All events" is not kept: a report adds up the names. */
#include "store/dim_chunk.h"
#include "store/folds/folds.h"
#include "store/ordinal_set.h"
#include "store/rows.h"

enum {
    /* Where a day is full of profiles, languages are one, then countries: of what is left there are
     * few. */
    PROFILES_WITHOUT_LANGUAGE_MAX = CB_VALUES_DAY_MAX + 2000,
};

/* The visitors that do not stand in a value's chunk. */
static int put_apart(struct cb_fold_ctx *ctx, unsigned kind, uint32_t value,
                     const struct cb_dim_moved *moved) {
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < moved->n; i++) {
        struct cb_row *row;
        struct cb_key key =
            cb_key_dimension_set(ctx->site, ctx->day.number, (uint8_t)kind, ctx->name_id, value,
                                 cb_ordinal_set_chunk(moved->ordinals[i]));
        rc = cb_views_row(ctx->views, CB_TABLE_DIMENSION_SETS, &key, &row);
        if (rc == 0) {
            rc = cb_ordinal_set_add(ctx->views, row, cb_ordinal_set_offset(moved->ordinals[i]));
        }
    }
    return rc;
}

static int count(struct cb_fold_ctx *ctx, unsigned kind, uint32_t value) {
    struct cb_dim_moved moved;
    struct cb_row *row;
    uint32_t chunk = value >> CB_DIM_CHUNK_BITS;
    struct cb_key key =
        cb_key_dimension(ctx->site, ctx->day.number, (uint8_t)kind, ctx->name_id, chunk);
    int rc = cb_views_row(ctx->views, CB_TABLE_DIMENSIONS, &key, &row);
    if (rc == 0) {
        rc = cb_dim_chunk_add(ctx->views, row, (uint8_t)(value & ((1u << CB_DIM_CHUNK_BITS) - 1)),
                              ctx->envelope->has_visitor ? &ctx->ordinal : NULL, &moved);
    }
    return rc == 0 ? put_apart(ctx, kind, chunk << CB_DIM_CHUNK_BITS | moved.offset, &moved) : rc;
}

static int count_text(struct cb_fold_ctx *ctx, unsigned kind, struct cb_str text) {
    uint32_t value;
    if (text.len == 0) {
        return 0;
    }
    int rc = cb_values_number(ctx, kind, cb_text_cut(text, CB_VALUE_TEXT_MAX), CB_VALUES_DAY_MAX,
                              &value);
    return rc == 0 ? count(ctx, kind, value) : rc;
}

static int count_profile(struct cb_fold_ctx *ctx) {
    const struct cb_envelope *envelope = ctx->envelope;
    char profile[CB_PROFILE_BYTES] = {0};
    const struct cb_str text = {profile, sizeof(profile)};
    uint32_t value;
    if (envelope->bot) {
        profile[CB_PROFILE_DEVICE] = (char)CB_PROFILE_BOT;
    } else {
        profile[CB_PROFILE_DEVICE] = (char)envelope->device;
        profile[CB_PROFILE_BROWSER] = (char)envelope->browser;
        memcpy(profile + CB_PROFILE_LANGUAGE, envelope->language, 3);
        memcpy(profile + CB_PROFILE_COUNTRY, envelope->country, 2);
    }
    int rc = cb_values_number(ctx, CB_VALUES_PROFILE, text, CB_VALUES_DAY_MAX, &value);
    if (rc == 0 && value == CB_VALUE_OTHER) {
        memcpy(profile + CB_PROFILE_LANGUAGE, (char[3]){CB_PROFILE_OTHER}, 3);
        rc = cb_values_number(ctx, CB_VALUES_PROFILE, text, PROFILES_WITHOUT_LANGUAGE_MAX, &value);
    }
    if (rc == 0 && value == CB_VALUE_OTHER) {
        memcpy(profile + CB_PROFILE_COUNTRY, (char[2]){CB_PROFILE_OTHER}, 2);
        rc = cb_values_number(ctx, CB_VALUES_PROFILE, text, UINT32_MAX, &value);
    }
    return rc == 0 ? count(ctx, CB_VALUES_PROFILE, value) : rc;
}

static int on_event(struct cb_fold_ctx *ctx) {
    const struct cb_event *event = ctx->event;
    int rc = count_profile(ctx);
    if (rc != 0 || ctx->envelope->bot) {
        return rc;
    }
    rc = count_text(ctx, CB_VALUES_PAGE, event->page);
    rc = rc == 0 ? count_text(ctx, CB_VALUES_REFERRER, event->referrer) : rc;
    if (rc == 0 && event->name_code == CB_NAME_TRIGGER) {
        rc = count_text(ctx, CB_VALUES_TRIGGER, cb_triggers_id(event->props));
    }
    return rc;
}

const struct cb_fold_ops cb_fold_dimensions = {.name = "dimensions", .event = on_event};
