/* SPDX-License-Identifier: MIT
 * dimensions.c: where events come from and what they are about: for each day of the site and name
 * of events, how many each value of a dimension has, and of which visitors: exact sets.
 *
 * Four kinds of values: what an envelope says of its sender (device, browser, language, country) is
 * one value, its profile, since there are few of them and reports can add up what they share; page,
 * referrer and trigger are one each. What has no value is not counted, and of bots only that they
 * are bots.
 *
 * An event goes to the tail of its day, and when that is full, into the rows of its values with the
 * others that are there (dim_tail.h). */
#include "store/dim_memo.h"
#include "store/dim_settle.h"
#include "store/folds/folds.h"
#include "store/rows.h"

enum {
    /* Where a day is full of profiles, languages are one, then countries: of what is left there are
     * few. */
    PROFILES_WITHOUT_LANGUAGE_MAX = CB_VALUES_DAY_MAX + 2000,
    /* Days before one that begins which are over, and which the sweep has settled where the
     * journal's time is that of the events. */
    OVER_FROM = 3,
    OVER_TO = 8,
};

/* ---- values: by order of first sight ---- */

/* Of a profile that found no room: one that says less. */
static int number_less(struct cb_fold_ctx *ctx, struct cb_str text, uint32_t *number) {
    char profile[CB_PROFILE_BYTES];
    const struct cb_str less = {profile, sizeof(profile)};
    memcpy(profile, text.p, sizeof(profile));
    memcpy(profile + CB_PROFILE_LANGUAGE, (char[3]){CB_PROFILE_OTHER}, 3);
    int rc = cb_values_number(ctx, CB_VALUES_PROFILE, less, PROFILES_WITHOUT_LANGUAGE_MAX, number);
    if (rc == 0 && *number == CB_VALUE_OTHER) {
        memcpy(profile + CB_PROFILE_COUNTRY, (char[2]){CB_PROFILE_OTHER}, 2);
        rc = cb_values_number(ctx, CB_VALUES_PROFILE, less, UINT32_MAX, number);
    }
    return rc;
}

static int find_number(struct cb_fold_ctx *ctx, struct cb_dim_pair *pair, unsigned kind,
                       struct cb_str text, uint32_t *number) {
    *number = pair->number;
    if (*number != CB_VALUE_OTHER) {
        return 0;
    }
    int rc = cb_values_number(ctx, kind, text, CB_VALUES_DAY_MAX, number);
    /* What found no room is asked for again: it finds some once the day's rows went (retention). */
    pair->number = rc == 0 ? *number : CB_VALUE_OTHER;
    return rc == 0 && *number == CB_VALUE_OTHER && kind == CB_VALUES_PROFILE
               ? number_less(ctx, text, number)
               : rc;
}

/* ---- events ---- */

/* A day's first event settles the tails of days before that are over. Mostly there are none left:
 * the sweep was there (sweep_tails.h). But the journal's time may be far behind that of events,
 * where a service stood still for weeks or its clock was wrong, and then the sweep is late. */
static int settle_days_before(struct cb_fold_ctx *ctx, unsigned kind) {
    int rc = 0;
    for (int32_t ago = OVER_FROM; rc == 0 && ago <= OVER_TO; ago++) {
        const int32_t day = ctx->day.number - ago;
        struct cb_dim_tail *tail;
        bool any;
        rc = cb_dim_tail_has_any(ctx->views, ctx->site, day, kind, &any);
        if (rc == 0 && any) {
            rc = cb_dim_memo_tail(cb_views_dims(ctx->views), ctx->views, ctx->site, day, kind,
                                  &tail);
            rc = rc == 0 ? cb_dim_settle(ctx->views, tail) : rc;
        }
    }
    return rc;
}

/* The tail that an event of now goes to. */
static int find_tail(struct cb_fold_ctx *ctx, unsigned kind, struct cb_dim_tail **out) {
    struct cb_dim_memo *memo = cb_views_dims(ctx->views);
    int rc = cb_dim_memo_tail(memo, ctx->views, ctx->site, ctx->day.number, kind, out);
    if (rc == 0 && (*out)->fresh) {
        (*out)->fresh = false;
        rc = settle_days_before(ctx, kind);
        rc = rc == 0 ? cb_dim_memo_tail(memo, ctx->views, ctx->site, ctx->day.number, kind, out)
                     : rc;
    }
    return rc;
}

static int count(struct cb_fold_ctx *ctx, unsigned kind, struct cb_str text) {
    struct cb_dim_memo *memo = cb_views_dims(ctx->views);
    struct cb_dim_pair *pair;
    struct cb_dim_tail *tail;
    uint32_t number;
    bool full;
    if (text.len == 0) {
        return 0;
    }
    text = cb_text_cut(text, CB_VALUE_TEXT_MAX);
    int rc = cb_dim_memo_pair(memo, ctx->site, ctx->day.number, kind, text, &pair);
    rc = rc == 0 ? find_number(ctx, pair, kind, text, &number) : rc;
    rc = rc == 0 ? find_tail(ctx, kind, &tail) : rc;
    if (rc != 0) {
        return rc;
    }
    const struct cb_dim_event event = {number, ctx->name_id,
                                       ctx->envelope->has_visitor ? ctx->ordinal : CB_DIM_NOBODY};
    rc = cb_dim_tail_add(ctx->views, tail, &event, &full);
    return rc == 0 && full ? cb_dim_settle(ctx->views, tail) : rc;
}

static int count_profile(struct cb_fold_ctx *ctx) {
    const struct cb_envelope *envelope = ctx->envelope;
    char profile[CB_PROFILE_BYTES] = {0};
    if (envelope->bot) {
        profile[CB_PROFILE_DEVICE] = (char)CB_PROFILE_BOT;
    } else {
        profile[CB_PROFILE_DEVICE] = (char)envelope->device;
        profile[CB_PROFILE_BROWSER] = (char)envelope->browser;
        memcpy(profile + CB_PROFILE_LANGUAGE, envelope->language, 3);
        memcpy(profile + CB_PROFILE_COUNTRY, envelope->country, 2);
    }
    return count(ctx, CB_VALUES_PROFILE, (struct cb_str){profile, sizeof(profile)});
}

void cb_dimensions_ahead(struct cb_fold_ctx *ctx) {
    if (ctx->event->page.len > 0 && !ctx->envelope->bot) {
        cb_dim_memo_ahead(cb_views_dims(ctx->views), ctx->site, ctx->day.number, CB_VALUES_PAGE,
                          cb_text_cut(ctx->event->page, CB_VALUE_TEXT_MAX));
    }
}

static int on_event(struct cb_fold_ctx *ctx) {
    const struct cb_event *event = ctx->event;
    int rc = count_profile(ctx);
    if (rc != 0 || ctx->envelope->bot) {
        return rc;
    }
    rc = count(ctx, CB_VALUES_PAGE, event->page);
    rc = rc == 0 ? count(ctx, CB_VALUES_REFERRER, event->referrer) : rc;
    if (rc == 0 && event->name_code == CB_NAME_TRIGGER) {
        rc = count(ctx, CB_VALUES_TRIGGER, cb_triggers_id(event->props));
    }
    return rc;
}

const struct cb_fold_ops cb_fold_dimensions = {.name = "dimensions", .event = on_event};
