/* SPDX-License-Identifier: MIT
 * filter.c: whether an event has a value of a dimension: the rules of folds/dimensions.c, for one
 * event. */
#include "store/folds/folds.h"
#include "store/rows.h"

static struct cb_str value_of(enum cb_dim dim, const struct cb_envelope *envelope,
                              const struct cb_event *event) {
    switch (dim) {
    case CB_DIM_PAGE:
        return cb_text_cut(event->page, CB_VALUE_TEXT_MAX);
    case CB_DIM_REFERRER:
        return event->referrer;
    case CB_DIM_LANGUAGE:
        return cb_str_of(envelope->language);
    case CB_DIM_DEVICE:
        return cb_str_of(cb_device_text(envelope->device));
    case CB_DIM_BROWSER:
        return cb_str_of(cb_browser_text(envelope->browser));
    case CB_DIM_TRIGGER:
        return event->name_code == CB_NAME_TRIGGER ? cb_triggers_id(event->props)
                                                   : (struct cb_str){NULL, 0};
    case CB_DIM_COUNTRY:
        return cb_str_of(envelope->country);
    case CB_DIM_COUNT:
        break;
    }
    return (struct cb_str){NULL, 0};
}

bool cb_filter_matches(const struct cb_filter *filter, const struct cb_envelope *envelope,
                       const struct cb_event *event) {
    if (envelope->bot) {
        return filter->dim == CB_DIM_DEVICE && cb_str_is(filter->value, CB_VALUE_BOT);
    }
    struct cb_str value = value_of(filter->dim, envelope, event);
    return value.len > 0 && cb_str_eq(value, filter->value);
}
