/* SPDX-License-Identifier: MIT
 * settings.h: a site's settings as JSON: an owner's checked, member by member, and written again.
 *
 * What is checked is taken apart: what the tiers go by into struct cb_settings, and what pages get
 * (texts, position, colour, form, triggers, …) into a JSON object of its own, which a boot gives as
 * it stands. Every limit is in the table of settings.c. Thread: the caller's. */
#ifndef CB_QUERY_SETTINGS_H
#define CB_QUERY_SETTINGS_H

#include "proto/settings.h"
#include "proto/value.h"
#include "query/json.h"
#include "query/params.h"

/* Reads settings of a JSON object; what it leaves out has its default. Strings of *out point into
 * text, which holds CB_ORIGINS_MAX_BYTES + CB_PAGE_SETTINGS_MAX, and into the parsed body. Errors:
 * CB_EINVAL with *error filled (its field is a path like triggers[2].delay_s), CB_ENOMEM. */
CB_MUST_USE int cb_settings_read(const struct cb_value *object, struct cb_buf *text,
                                 struct cb_settings *out, struct cb_param_error *error);

/* Writes the members of settings into an object that is open. */
void cb_settings_write(struct cb_json *json, const struct cb_settings *settings);

#endif
