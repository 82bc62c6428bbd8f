/* SPDX-License-Identifier: MIT
 * retained.h: what a site's retention (its personal_days and rollup_days) has taken away so far:
 * the rows of `retained`. Written by the sweep (sweep_retained.h). */
#ifndef CB_STORE_RETAINED_H
#define CB_STORE_RETAINED_H

#include "store/reader.h"
#include "store/views.h"

/* Within a batch: zeros where nothing ever went. Errors: CB_ECORRUPT, those of cb_views_row. */
CB_MUST_USE int cb_retained_read(struct cb_views *views, uint32_t site, struct cb_retained *out);
/* Whether the site's rollups of the day (UTC) of a minute are gone: then nothing may be taken out
 * of them, and nothing is put in. */
CB_MUST_USE int cb_retained_gone(struct cb_views *views, uint32_t site, uint32_t minute,
                                 bool *gone);
CB_MUST_USE int cb_retained_write(struct cb_views *views, uint32_t site,
                                  const struct cb_retained *kept);

#endif
