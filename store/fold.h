/* SPDX-License-Identifier: MIT
 * fold.h: reads the journal in order and keeps the views equal to what it says.
 *
 * The fold reads journal bytes and nothing else: no clock, no settings from elsewhere. So views can
 * be thrown away and made again. The loop and its commits are here; what is counted is in folds/,
 * one file a view, in one table (cb_folds). */
#ifndef CB_STORE_FOLD_H
#define CB_STORE_FOLD_H

#include "proto/control.h"
#include "proto/frame.h"
#include "store/journal.h"
#include "store/overlay.h"
#include "store/seen_set.h"
#include "store/views.h"
#include "store/visitor_row.h"

/* What the folds gather of an envelope's events, which have one producer and mostly one visit, to
 * write it once at its end. A row of NULL: nothing yet. */
struct cb_fold_seen {
    struct cb_row *row;
    struct cb_seen_set set;
    uint64_t gap_before;
};
struct cb_fold_visitor {
    struct cb_row *row;
    struct cb_visitor_row now;
    int64_t seen_before_ms; /* last seen, before the event at hand */
    uint32_t minute_before; /* that he was last seen in, as the order of the list has it */
    bool fresh;
};
struct cb_fold_session {
    struct cb_visit *now; /* in `visitor`, where it is the last one, or `older`; NULL: none */
    struct cb_row *row;   /* of an older one, which stands there, */
    size_t at, len;       /* with its length before it */
    bool fresh, more;
    struct cb_visit before, older;
};

/* What the folds see of the record and the event at hand. */
struct cb_fold_ctx {
    struct cb_views *views;
    uint64_t position;
    int64_t journal_ms;
    const struct cb_envelope *envelope;
    const struct cb_event *event;
    struct cb_memo_site *here;     /* of the site, also where it is unknown */
    struct cb_memo_sender *sender; /* of the envelope; NULL without a site */
    struct cb_memo_minute *at[2];  /* of the event, for all names and its own; set by `counts` */
    uint32_t index;                /* of the event among all of its frame, from 0 */
    uint32_t site;                 /* id; CB_SITE_ID_NONE when the site is unknown */
    int64_t true_ms;               /* received - age */
    uint32_t minute;               /* of true_ms */
    struct cb_zone *zone; /* of the site, as it is set at this position; NULL without a site */
    struct cb_day day;    /* that the minute lies in, there */
    bool counted;         /* the verdict; set by the fold `seen` */
    uint32_t name_id;     /* set by the fold `counts` */
    uint32_t ordinal; /* of the visitor, when the envelope has one; set by the fold `visitors` */
    bool newcomer;    /* … which has just been given: nothing of the visitor was counted before */
    bool erasing;     /* somebody was erased of late: see folds/erasures.c */
    bool erased;      /* the event is of an erased visitor, of this ordinal; set by `erasures` */
    bool noted;       /* the record is in the timeline of this visitor: */
    uint32_t noted_site, noted_ordinal;
    struct cb_fold_seen seen; /* each is its fold's */
    struct cb_fold_visitor visitor;
    struct cb_fold_session session;
};

/* One view. Slots may be NULL. Any error stops the fold: nothing of the batch is committed. */
struct cb_fold_ops {
    const char *name;
    /* A site's row of a frame's header: so many were received. */
    int (*received)(struct cb_fold_ctx *ctx, uint64_t n);
    /* An event; only counted ones unless every is set. */
    int (*event)(struct cb_fold_ctx *ctx);
    bool every;
    /* The events of an envelope are over: what was gathered of them is written. */
    int (*end)(struct cb_fold_ctx *ctx);
    /* Events refused by ingest. */
    int (*reject)(struct cb_fold_ctx *ctx, const struct cb_reject *reject);
    /* A control frame. */
    int (*control)(struct cb_fold_ctx *ctx, const struct cb_control *control);
};

/* The table, in the order of the calls: the verdict comes first. Ends with NULL. */
extern const struct cb_fold_ops *const cb_folds[];

/* Folds one record into the views' batch. Errors: CB_ECORRUPT when the frame cannot be decoded,
 * CB_EVERSION, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_fold_record(struct cb_views *views, const struct cb_journal_record *record,
                               uint64_t *n_events);

/* ---- the thread ---- */
struct cb_fold;
/* Folds everything up to the journal's head before it returns, so that nothing acked is missing
 * from the views when the first ask or report comes. Errors as cb_fold_record. */
CB_MUST_USE int cb_fold_create(struct cb_journal *journal, struct cb_views *views,
                               struct cb_overlay *overlay, struct cb_fold **out);
/* Commits batches when they hold that much (cb_views_batch_bytes), instead of some hundreds of
 * megabytes; for tests, before the thread runs. */
void cb_fold_set_batch_bytes(struct cb_fold *fold, size_t bytes);
/* Folds up to the head now; for the time before the thread runs. */
CB_MUST_USE int cb_fold_catch_up(struct cb_fold *fold);
/* Starts the thread. failed is called from it, once, when it cannot go on. Errors: CB_ESYS. */
CB_MUST_USE int cb_fold_start(struct cb_fold *fold, void (*failed)(void *user, int code),
                              void *user);
/* Whether the views have room for all that the journal holds and the fold has yet to fold, and the
 * last batch found it. While they have not the journal takes nothing more: a fold without room can
 * only wait. Any thread. */
bool cb_fold_accepting(const struct cb_fold *fold);
/* The journal has grown. Any thread. */
void cb_fold_wake(struct cb_fold *fold);
/* Commit the views as soon as they hold that position, instead of at the end of the pause: somebody
 * waits for it. Any thread. */
void cb_fold_force(struct cb_fold *fold, uint64_t position);
/* The position that the views on disk hold. Any thread. */
uint64_t cb_fold_committed(const struct cb_fold *fold);
/* An eventfd that becomes readable after a commit while a forced position was outstanding; read by
 * the one thread that forces. */
int cb_fold_forced_fd(const struct cb_fold *fold);
/* Folds what is left, ends the thread, frees. */
void cb_fold_destroy(struct cb_fold **fold);

#endif
