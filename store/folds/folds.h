/* SPDX-License-Identifier: MIT
 * folds.h: the rows of the table of folds, and what they call of each other. The fold's thread
 * only.
 *
 * A new view is one file here, one line below, one row in fold.c's table, and its tables in
 * FORMAT.md. */
#ifndef CB_STORE_FOLDS_FOLDS_H
#define CB_STORE_FOLDS_FOLDS_H

#include "store/fold.h"
#include "store/visit.h"

extern const struct cb_fold_ops cb_fold_sites, cb_fold_seen, cb_fold_books, cb_fold_verdicts,
    cb_fold_visitors, cb_fold_sessions, cb_fold_counts, cb_fold_minutes, cb_fold_uniques,
    cb_fold_fields, cb_fold_timeline, cb_fold_erasures, cb_fold_settings, cb_fold_audit,
    cb_fold_dimensions;

/* sites: the id of a site, CB_ENOENT when there is none. */
CB_MUST_USE int cb_sites_id(struct cb_views *views, struct cb_str name, uint32_t *id);
/* sites: the row of the small state of a site (rows.h), to be changed in place. */
CB_MUST_USE int cb_sites_state(struct cb_views *views, uint32_t site, struct cb_row **row);
/* sites: … of the event's site. */
CB_MUST_USE int cb_sites_state_here(struct cb_fold_ctx *ctx, struct cb_row **row);

/* settings: what a site goes by; the defaults where it was given none. zone lives until the batch
 * ends; origins and page, which no fold needs, are left empty. */
CB_MUST_USE int cb_sites_settings(struct cb_views *views, uint32_t site, struct cb_settings *out);

/* books: adds to `lost` of the site at hand, which may go down as well: a gap may still be filled.
 */
CB_MUST_USE int cb_books_lost(struct cb_fold_ctx *ctx, int64_t change);

/* visitors: the ordinal of a visitor, CB_ENOENT where the site has not seen it. */
CB_MUST_USE int cb_visitors_ordinal(struct cb_views *views, uint32_t site,
                                    const uint8_t visitor[CB_VISITOR_BYTES], uint32_t *ordinal);

/* visitors: the row of the visitor ctx->ordinal, who must not be in hand (ctx->visitor). */
CB_MUST_USE int cb_visitors_read(struct cb_fold_ctx *ctx, struct cb_row **row,
                                 struct cb_visitor_row *out);
CB_MUST_USE int cb_visitors_write(struct cb_fold_ctx *ctx, struct cb_row *row,
                                  const struct cb_visitor_row *visitor);
/* visitors: … is called otherwise from now on, and is in no list any more. */
CB_MUST_USE int cb_visitors_rename(struct cb_fold_ctx *ctx, const uint8_t id[CB_VISITOR_BYTES]);

/* erasures: sets ctx->erasing; for each record before its first event or control frame. */
CB_MUST_USE int cb_erasures_begin(struct cb_fold_ctx *ctx);
/* erasures: whether what is of this visitor is refused now; if so ctx->ordinal is set, and the
 * record at hand is noted as one that holds the key. */
CB_MUST_USE int cb_erasures_check(struct cb_fold_ctx *ctx, const uint8_t visitor[CB_VISITOR_BYTES],
                                  bool *erased);
/* erasures: the ordinal of who was erased under a tag. Errors: CB_ENOENT. */
CB_MUST_USE int cb_erasures_ordinal(struct cb_views *views, uint32_t site,
                                    const uint8_t tag[CB_VISITOR_BYTES], uint32_t *ordinal);

/* timeline: the record at hand is one of the visitor ctx->ordinal's. */
CB_MUST_USE int cb_timeline_note(struct cb_fold_ctx *ctx);

/* fields: drops all that a visitor's fields hold: values, history, and by what they are found. */
CB_MUST_USE int cb_fields_forget(struct cb_views *views, uint32_t site, uint32_t ordinal);

/* search: a field that had the value `before` ("" for none) has `after`. */
CB_MUST_USE int cb_search_change(struct cb_views *views, uint32_t site, uint32_t ordinal,
                                 unsigned field, struct cb_str before, struct cb_str after);

/* counts: changes how many a name has in the minute's quarter hour; minutes: in the minute itself,
 * while it is kept, without a visitor. What is taken away was there. */
CB_MUST_USE int cb_counts_change(struct cb_views *views, uint32_t site, uint32_t name_id,
                                 uint32_t minute, int change);
CB_MUST_USE int cb_minutes_change(struct cb_fold_ctx *ctx, uint32_t name_id, uint32_t minute,
                                  int change);

/* visits: a session is now `after` and was `before` (NULL for either: it is in no rollup). more:
 * besides its end and number of events something else has changed, too. */
CB_MUST_USE int cb_visits_change(struct cb_views *views, uint32_t site,
                                 const struct cb_visit *before, const struct cb_visit *after,
                                 bool more);

/* dimensions: what the event at hand will need is fetched into the cache of the processor
 * meanwhile.
 */
void cb_dimensions_ahead(struct cb_fold_ctx *ctx);

/* triggers: the number of a trigger by the props of its event; CB_TRIGGER_OTHER where they have
 * neither id nor name, and past CB_TRIGGERS_MAX. */
CB_MUST_USE int cb_triggers_number(struct cb_views *views, uint32_t site, struct cb_str props,
                                   uint16_t *number);
/* triggers: what a trigger is told by: its id, else its name, cut to CB_TRIGGER_ID_BYTES; empty
 * where the props have neither. */
struct cb_str cb_triggers_id(struct cb_str props);
/* At most max bytes of a text, not cut within a character. */
struct cb_str cb_text_cut(struct cb_str text, size_t max);

/* values: the key of a text's row in the table values. */
struct cb_key cb_values_key(uint32_t site, unsigned kind, struct cb_str text);
/* values: the number of a value of the event's site on its day; CB_VALUE_OTHER where the day has
 * max of the kind already. */
CB_MUST_USE int cb_values_number(struct cb_fold_ctx *ctx, unsigned kind, struct cb_str text,
                                 uint32_t max, uint32_t *number);

#endif
