/* SPDX-License-Identifier: MIT
 * fold.c: invariant: the views hold exactly what the journal says up to their position. */
#include "store/fold.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/crash.h"
#include "proto/log.h"
#include "proto/metric.h"
#include "proto/thread.h"
#include "store/folds/folds.h"
#include "store/reader.h"
#include "store/sweep.h"
#include "store/trim.h"

enum {
    /* Between commits, so that the views' fsync leaves the disk to the journal: ten times what the
       last one took, within these. A longer pause merges more changes of a row into one. */
    PAUSE_MIN_MS = 100,
    PAUSE_MAX_MS = 300,
    PAUSE_FACTOR = 10,
    CHECK_READERS_MS = 5000,
    SWEEP_ROWS = 5000,   /* deleted in one commit */
    RETRY_MS = 500,      /* after the disk was full or failed */
    BATCH_MIN_MS = 1000, /* a batch that is folded without a pause is committed after this */
    /* … or when it takes this much memory, with the pages that LMDB changes: it keeps those of the
       largest batch. Where visitors come back that lie far apart that is mostly pages, and else
       mostly rows. With the one behind it, a batch takes half as much again at most. */
    BATCH_BYTES = 256 * 1024 * 1024,
    BATCH_BYTES_MIN = 512 * 1024, /* … but this where there is no room for more at once */
    VIEWS_PER_FRAME = 16,         /* bytes that a byte of a frame takes of the views, at most */
};

/* The verdict first; visitors before what needs an ordinal, counts before what needs a name's id.
 */
const struct cb_fold_ops *const cb_folds[] = {
    &cb_fold_sites,    &cb_fold_seen,     &cb_fold_erasures,   &cb_fold_verdicts,
    &cb_fold_books,    &cb_fold_visitors, &cb_fold_sessions,   &cb_fold_counts,
    &cb_fold_minutes,  &cb_fold_uniques,  &cb_fold_dimensions, &cb_fold_fields,
    &cb_fold_timeline, &cb_fold_settings, &cb_fold_audit,      NULL,
};

struct cb_fold {
    struct cb_journal *journal;
    struct cb_views *views;
    struct cb_overlay *overlay;
    uint64_t position;             /* folded, committed or not */
    uint64_t committed;            /* what the views on disk hold */
    uint32_t swept_day;            /* see sweep.h */
    bool open;                     /* a batch is open */
    uint64_t behind;               /* what the views hold when the batch behind it is written */
    atomic_bool full;              /* the last batch found no room */
    size_t batch_bytes;            /* a batch is committed when it holds this much memory: */
    size_t batch_bytes_max;        /* … this much, unless there was no room for so many */
    uint64_t open_bytes;           /* of the records of the open batch */
    uint64_t behind_bytes;         /* … of the one behind it */
    _Atomic uint64_t folded_bytes; /* of records, committed; on the scale of what the journal has
                                      appended */
    int64_t batch_ms, committed_ms, checked_ms;
    int64_t pause_ms; /* between commits */
    bool in_service;  /* somebody may look at the views meanwhile */
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* of the two below */
    pthread_cond_t wake;
    bool woken, stopping;
    _Atomic uint64_t forced; /* the highest position that somebody waits for */
    _Atomic uint64_t shown;  /* `committed`, for other threads */
    int forced_fd;
    void (*failed)(void *user, int code);
    void *user;
};

static int fold_control(struct cb_fold_ctx *ctx, const struct cb_frame *frame) {
    struct cb_control control;
    int rc = cb_control_decode(frame->body, &control);
    cb_memo_clear(cb_views_memo(ctx->views)); /* it may change what sites and visitors are */
    for (const struct cb_fold_ops *const *ops = cb_folds; rc == 0 && *ops; ops++) {
        rc = (*ops)->control ? (*ops)->control(ctx, &control) : 0;
    }
    return rc;
}

static int fold_trim(struct cb_fold_ctx *ctx, const struct cb_frame *frame) {
    uint64_t before;
    int rc = cb_trim_decode(frame->body, &before);
    return rc == 0 ? cb_trim_note(ctx->views, before) : rc;
}

/* What a site goes by: as it is set at this position of the journal. */
static int read_settings(struct cb_views *views, struct cb_memo_site *site) {
    struct cb_settings settings;
    int rc = cb_sites_settings(views, site->id, &settings);
    if (rc == 0) {
        site->gap_ms = (int64_t)settings.idle_minutes * 60000;
        rc = cb_zones_get(cb_views_zones(views), settings.zone, &site->zone);
    }
    return rc;
}

/* The id of a site; CB_SITE_ID_NONE for the empty name and for a site that is not there. */
static int find_site(struct cb_fold_ctx *ctx, struct cb_str name) {
    struct cb_memo_site *site = cb_memo_site(cb_views_memo(ctx->views), name);
    int rc = 0;
    if (!site->known) {
        site->id = CB_SITE_ID_NONE;
        rc = name.len > 0 ? cb_sites_id(ctx->views, name, &site->id) : CB_ENOENT;
        rc = rc == 0 ? read_settings(ctx->views, site) : rc == CB_ENOENT ? 0 : rc;
        site->known = rc == 0;
    }
    ctx->here = site;
    ctx->site = site->id;
    ctx->zone = site->zone;
    return rc;
}

static int fold_event(struct cb_fold_ctx *ctx) {
    ctx->true_ms = cb_event_true_ms(ctx->envelope, ctx->event);
    int64_t minute = ctx->true_ms / 60000;
    ctx->minute = minute < UINT32_MAX ? (uint32_t)minute : UINT32_MAX;
    if (ctx->zone) {
        ctx->day = cb_zone_day(ctx->zone, ctx->minute);
        cb_dimensions_ahead(ctx);
    }
    ctx->counted = ctx->erased = ctx->newcomer = false;
    int rc = 0;
    for (const struct cb_fold_ops *const *ops = cb_folds; rc == 0 && *ops; ops++) {
        if ((*ops)->event && (ctx->counted || (*ops)->every)) {
            rc = (*ops)->event(ctx);
        }
    }
    return rc;
}

static int end_envelope(struct cb_fold_ctx *ctx) {
    int rc = 0;
    for (const struct cb_fold_ops *const *ops = cb_folds; rc == 0 && *ops; ops++) {
        rc = (*ops)->end ? (*ops)->end(ctx) : 0;
    }
    return rc;
}

static int fold_beacons(struct cb_fold_ctx *ctx, const struct cb_frame *frame, uint64_t *n_events) {
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < frame->n_sites; i++) {
        rc = find_site(ctx, frame->sites[i].name);
        for (const struct cb_fold_ops *const *ops = cb_folds; rc == 0 && *ops; ops++) {
            rc = (*ops)->received ? (*ops)->received(ctx, frame->sites[i].received) : 0;
        }
    }
    struct cb_frame_walk walk;
    struct cb_envelope envelope;
    struct cb_reject reject;
    struct cb_event event;
    ctx->index = 0;
    ctx->envelope = &envelope;
    ctx->event = &event;
    cb_frame_walk_init(&walk, frame);
    for (enum cb_frame_item item;
         rc == 0 && (item = cb_frame_walk_next(&walk, &envelope, &reject)) != CB_ITEM_END;) {
        if (item == CB_ITEM_REJECT) {
            rc = find_site(ctx, reject.site);
            for (const struct cb_fold_ops *const *ops = cb_folds; rc == 0 && *ops; ops++) {
                rc = (*ops)->reject ? (*ops)->reject(ctx, &reject) : 0;
            }
            continue;
        }
        rc = find_site(ctx, envelope.site);
        ctx->sender = ctx->site != CB_SITE_ID_NONE
                          ? cb_memo_sender(cb_views_memo(ctx->views), ctx->site, &envelope)
                          : NULL;
        while (rc == 0 && cb_frame_walk_event(&walk, &event)) {
            rc = fold_event(ctx);
            ctx->index++;
            ++*n_events;
        }
        rc = rc == 0 ? end_envelope(ctx) : rc;
    }
    return rc;
}

int cb_fold_record(struct cb_views *views, const struct cb_journal_record *record,
                   uint64_t *n_events) {
    struct cb_frame frame;
    int rc = cb_frame_decode(record->frame.p, record->frame.len, &frame);
    if (rc != 0) {
        return rc == CB_EVERSION ? rc : CB_ECORRUPT;
    }
    struct cb_fold_ctx ctx = {
        .views = views, .position = record->position, .journal_ms = record->journal_ms};
    rc = cb_erasures_begin(&ctx);
    if (rc != 0) {
        return rc;
    }
    switch (frame.kind) {
    case CB_FRAME_BEACONS:
        rc = fold_beacons(&ctx, &frame, n_events);
        break;
    case CB_FRAME_CONTROL:
        rc = fold_control(&ctx, &frame);
        break;
    case CB_FRAME_TRIM:
        rc = fold_trim(&ctx, &frame);
        break;
    }
    return rc == CB_EMALFORMED || rc == CB_EINVAL || rc == CB_ENOENT ? CB_ECORRUPT : rc;
}

/* Whether somebody waits for a position up to and with this one, which is not committed yet. */
static bool is_forced(const struct cb_fold *fold, uint64_t position) {
    uint64_t forced = atomic_load(&fold->forced);
    return forced > fold->committed && position >= forced;
}

/* The views on disk hold fold->committed now. `shown` is set before `forced` is read, and
 * cb_fold_force does the opposite: one of the two sees the other. */
static void show_committed(struct cb_fold *fold, uint64_t before) {
    atomic_store(&fold->shown, fold->committed);
    if (atomic_load(&fold->forced) > before) {
        uint64_t one = 1;
        ssize_t written = write(fold->forced_fd, &one, sizeof(one));
        (void)written; /* an eventfd takes 8 bytes */
    }
}

/* What was folded up to a position is on disk. */
static void note_committed(struct cb_fold *fold, uint64_t position, uint64_t bytes) {
    const uint64_t before = fold->committed;
    fold->committed = position;
    atomic_store_explicit(&fold->full, false, memory_order_relaxed);
    atomic_fetch_add_explicit(&fold->folded_bytes, bytes, memory_order_relaxed);
    fold->batch_bytes *= fold->batch_bytes <= fold->batch_bytes_max / 2 ? 2 : 1;
    cb_crash_point("fold_before_drop");
    cb_overlay_drop(fold->overlay, position);
    show_committed(fold, before);
}

static void check_readers(struct cb_fold *fold) {
    const int64_t now_ms = cb_clock_mono_ms();
    if (now_ms - fold->checked_ms >= CHECK_READERS_MS) {
        fold->checked_ms = now_ms;
        /* a reader that died would hold back pages */
        cb_db_check_readers(cb_views_db(fold->views));
    }
}

/* Waits for the batch that is written behind, if there is any. */
static int end_behind(struct cb_fold *fold) {
    if (!cb_views_is_behind(fold->views)) {
        return 0;
    }
    int rc = cb_views_end_behind(fold->views);
    fold->committed_ms = cb_clock_mono_ms();
    if (rc == 0) {
        note_committed(fold, fold->behind, fold->behind_bytes);
    }
    return rc;
}

static int commit(struct cb_fold *fold) {
    int rc = end_behind(fold);
    if (rc != 0 || !fold->open) {
        return rc;
    }
    fold->open = false;
    int64_t begun_ms = cb_clock_mono_ms();
    rc = cb_views_commit(fold->views, fold->position);
    fold->committed_ms = cb_clock_mono_ms();
    fold->pause_ms = (fold->committed_ms - begun_ms) * PAUSE_FACTOR;
    fold->pause_ms = fold->pause_ms < PAUSE_MIN_MS   ? PAUSE_MIN_MS
                     : fold->pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS
                                                     : fold->pause_ms;
    check_readers(fold);
    if (rc == 0) {
        const uint64_t bytes = fold->open_bytes;
        fold->open_bytes = 0;
        note_committed(fold, fold->position, bytes);
    }
    return rc;
}

/* While more waits to be folded. */
static int commit_behind(struct cb_fold *fold) {
    int rc = end_behind(fold);
    if (rc != 0) {
        return rc;
    }
    fold->open = false;
    rc = cb_views_commit_behind(fold->views, fold->position);
    check_readers(fold);
    if (rc == 0) {
        fold->behind = fold->position;
        fold->behind_bytes = fold->open_bytes;
        fold->open_bytes = 0;
    }
    return rc;
}

/* A new day of journal time: what is due goes, step by step, each step a commit of its own at the
 * position that the views have anyway. Cut short by a crash, it goes on before the same record. */
static int sweep(struct cb_fold *fold, uint32_t day) {
    const int64_t rows = cb_metric_get(CB_METRIC_KEPT_ROWS),
                  people = cb_metric_get(CB_METRIC_KEPT_PEOPLE),
                  bytes = cb_metric_get(CB_METRIC_KEPT_BYTES);
    int rc = commit(fold);
    bool done = false;
    while (rc == 0 && !done) {
        rc = cb_views_begin(fold->views);
        if (rc == 0) {
            fold->open = true;
            rc = cb_sweep_step(fold->views, day, SWEEP_ROWS, &done);
        }
        if (rc == 0) {
            rc = commit(fold);
        }
    }
    if (rc == 0 && cb_metric_get(CB_METRIC_KEPT_BYTES) > bytes) {
        cb_log(CB_LOG_INFO, "retention_swept", "day=%u rows=%lld people=%lld bytes=%lld", day,
               (long long)(cb_metric_get(CB_METRIC_KEPT_ROWS) - rows),
               (long long)(cb_metric_get(CB_METRIC_KEPT_PEOPLE) - people),
               (long long)(cb_metric_get(CB_METRIC_KEPT_BYTES) - bytes));
    }
    if (rc == 0) {
        fold->swept_day = day;
    }
    return rc;
}

static bool is_full(const struct cb_fold *fold) {
    return cb_views_batch_bytes(fold->views) >= fold->batch_bytes ||
           cb_views_memory_bytes(fold->views) >= fold->batch_bytes / 2 * 3;
}

/* Whether the open batch has been long enough, although more waits to be folded. While the one
 * behind it is being written it would have to wait. */
static bool is_due(const struct cb_fold *fold) {
    int64_t longest_ms = fold->pause_ms > BATCH_MIN_MS ? fold->pause_ms : BATCH_MIN_MS;
    return fold->in_service && !cb_views_is_behind(fold->views) &&
           cb_clock_mono_ms() - fold->batch_ms >= longest_ms;
}

/* Between two records. */
static int commit_if_due(struct cb_fold *fold) {
    int rc = 0;
    if (cb_views_is_behind(fold->views) &&
        (cb_views_is_behind_written(fold->views) || is_forced(fold, fold->behind))) {
        rc = end_behind(fold);
    }
    if (rc == 0 && is_forced(fold, fold->position)) {
        return commit(fold);
    }
    if (rc == 0 && (is_full(fold) || is_due(fold))) {
        rc = commit_behind(fold);
    }
    return rc;
}

/* Folds what the journal holds now, with commits on the way where a batch is due. */
static int fold_tail(struct cb_fold *fold) {
    if (cb_journal_head(fold->journal) <= fold->position) {
        return 0;
    }
    struct cb_journal_reader *reader;
    int rc = cb_journal_reader_open(fold->journal, fold->position + 1, &reader);
    if (rc != 0) {
        return rc;
    }
    struct cb_journal_record record;
    while ((rc = cb_journal_reader_next(reader, &record)) == 0) {
        if (cb_sweep_day(record.journal_ms) > fold->swept_day) {
            rc = sweep(fold, cb_sweep_day(record.journal_ms));
            if (rc != 0) {
                break;
            }
        }
        if (!fold->open) {
            rc = cb_views_begin(fold->views);
            if (rc != 0) {
                break;
            }
            fold->open = true;
            fold->batch_ms = cb_clock_mono_ms();
        }
        uint64_t n_events = 0;
        rc = cb_fold_record(fold->views, &record, &n_events);
        if (rc != 0) {
            cb_log(CB_LOG_ERROR, "fold_failed", "position=%llu text=\"%s\"",
                   (unsigned long long)record.position, cb_err_text(rc));
            break;
        }
        cb_thread_give_way(); /* to beacons and reports */
        cb_crash_point("fold_in_batch");
        cb_metric_add(CB_METRIC_FOLD_EVENTS, (int64_t)n_events);
        fold->position = record.position;
        fold->open_bytes += CB_JOURNAL_RECORD_HEAD + record.frame.len;
        cb_views_rest(fold->views);
        rc = commit_if_due(fold);
        if (rc != 0) {
            break;
        }
    }
    cb_journal_reader_close(&reader);
    return rc == CB_ENOENT ? end_behind(fold) : rc;
}

/* The pages that a commit left behind can be used in the next but one. So an empty one, which is
 * small, makes room; where not even that fits, what comes tries again. */
static void commit_empty(struct cb_fold *fold) {
    int rc = cb_views_begin(fold->views);
    if (rc == 0) {
        rc = cb_views_commit(fold->views, fold->committed);
    }
    (void)rc;
}

/* The disk or the map is full, or a write failed: nothing of the batch is there, and nothing that
 * is there was hurt. The journal still holds it all, so it is folded again. Where there was no
 * room, in smaller batches: the pages that a commit changes are written anew before the old ones
 * are free. */
static bool give_up_batch(struct cb_fold *fold, int code) {
    if (code != CB_EIO && code != CB_EFULL) {
        return false;
    }
    int rc = end_behind(fold); /* of which the same is to be said if it failed, too */
    (void)rc;
    cb_log(CB_LOG_WARN, "fold_retries", "position=%llu text=\"%s\"",
           (unsigned long long)fold->committed, cb_err_text(code));
    cb_views_abort(fold->views);
    cb_db_check_readers(cb_views_db(fold->views)); /* dead ones have slots, and hold back pages */
    fold->open = false;
    fold->open_bytes = 0;
    fold->position = fold->committed;
    if (code == CB_EFULL) {
        atomic_store_explicit(&fold->full, true, memory_order_relaxed);
        fold->batch_bytes /= 8;
        const size_t least =
            fold->batch_bytes_max < BATCH_BYTES_MIN ? fold->batch_bytes_max : BATCH_BYTES_MIN;
        fold->batch_bytes = fold->batch_bytes < least ? least : fold->batch_bytes;
        commit_empty(fold);
    }
    return true;
}

void cb_fold_set_batch_bytes(struct cb_fold *fold, size_t bytes) {
    fold->batch_bytes = fold->batch_bytes_max = bytes;
}

int cb_fold_catch_up(struct cb_fold *fold) {
    for (;;) {
        size_t batch_bytes = fold->batch_bytes;
        uint64_t committed = fold->committed;
        int rc = fold_tail(fold);
        cb_crash_point("recovery_in_catch_up");
        if (rc == 0) {
            rc = commit(fold);
        }
        bool smaller = batch_bytes > BATCH_BYTES_MIN || fold->committed > committed;
        if (rc != CB_EFULL || !give_up_batch(fold, rc) || !smaller) {
            return rc;
        }
    }
}

bool cb_fold_accepting(const struct cb_fold *fold) {
    /* Folded is read first: it never passes what is appended. */
    uint64_t folded = atomic_load_explicit(&fold->folded_bytes, memory_order_acquire);
    uint64_t behind = cb_journal_appended_bytes(fold->journal) - folded;
    return behind < UINT64_MAX / VIEWS_PER_FRAME &&
           behind * VIEWS_PER_FRAME < cb_views_room_bytes(fold->views) &&
           !atomic_load_explicit(&fold->full, memory_order_relaxed);
}

int cb_fold_create(struct cb_journal *journal, struct cb_views *views, struct cb_overlay *overlay,
                   struct cb_fold **out) {
    struct cb_fold *fold = calloc(1, sizeof(*fold));
    if (!fold) {
        return CB_ENOMEM;
    }
    *fold = (struct cb_fold){.journal = journal, .views = views, .overlay = overlay};
    cb_fold_set_batch_bytes(fold, BATCH_BYTES);
    fold->forced_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&fold->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&fold->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    struct cb_db_txn *txn;
    int rc = fold->forced_fd < 0 ? CB_ESYS : cb_db_begin(cb_views_db(views), false, &txn);
    if (rc == 0) {
        rc = cb_views_position(views, txn, &fold->position);
        fold->committed = fold->position;
        atomic_store(&fold->shown, fold->committed);
        cb_db_abort(&txn);
    }
    if (rc == 0) {
        rc = cb_views_begin(views);
        if (rc == 0) {
            rc = cb_sweep_last(views, &fold->swept_day);
            cb_views_abort(views);
        }
    }
    if (rc == 0 && fold->position > cb_journal_head(journal)) {
        cb_log(CB_LOG_ERROR, "views_ahead", "views=%llu journal=%llu",
               (unsigned long long)fold->position, (unsigned long long)cb_journal_head(journal));
        rc = CB_ECORRUPT;
    }
    if (rc == 0) {
        rc = cb_fold_catch_up(fold);
    }
    if (rc != 0) {
        cb_fold_destroy(&fold);
        return rc;
    }
    *out = fold;
    return 0;
}

/* Waits for a wake (unless it is deaf), or for ms (-1: for ever). False when the fold is to stop.
 */
static bool wait_ms(struct cb_fold *fold, int64_t ms, bool deaf) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&fold->mutex);
    int rc = 0;
    while ((deaf || !fold->woken) && !fold->stopping && rc != ETIMEDOUT) {
        rc = ms < 0 ? pthread_cond_wait(&fold->wake, &fold->mutex)
                    : pthread_cond_timedwait(&fold->wake, &fold->mutex, &until);
    }
    fold->woken = false;
    bool go_on = !fold->stopping;
    pthread_mutex_unlock(&fold->mutex);
    return go_on;
}

/* Folds what there is; *pause_ms says how long to wait for more, -1 for ever; *deaf: whatever
 * comes. */
static int turn(struct cb_fold *fold, int64_t *pause_ms, bool *deaf) {
    *pause_ms = -1;
    *deaf = false;
    int rc = fold_tail(fold);
    if (rc == 0 && fold->open) {
        *pause_ms = fold->committed_ms + fold->pause_ms - cb_clock_mono_ms();
        if (*pause_ms <= 0 || is_forced(fold, fold->position)) {
            *pause_ms = 0;
            rc = commit(fold);
        }
    }
    if (rc != 0 && give_up_batch(fold, rc)) {
        *pause_ms = RETRY_MS;
        *deaf = true; /* each new frame would try all of it again */
        rc = 0;
    }
    return rc;
}

static void *run(void *arg) {
    struct cb_fold *fold = arg;
    int rc = 0;
    cb_thread_take_long_slices();
    bool go_on = true;
    while (rc == 0 && go_on) {
        int64_t pause_ms;
        bool deaf;
        rc = turn(fold, &pause_ms, &deaf);
        if (rc == 0 && pause_ms != 0) {
            go_on = wait_ms(fold, pause_ms, deaf);
        }
    }
    fold->in_service = false;
    if (rc == 0) {
        rc = cb_fold_catch_up(fold);
        if (rc != 0 && give_up_batch(fold, rc)) {
            rc = 0; /* the next start folds it */
        }
    }
    if (rc != 0) {
        cb_views_abort(fold->views);
        fold->open = false;
        fold->failed(fold->user, rc);
    }
    return NULL;
}

int cb_fold_start(struct cb_fold *fold, void (*failed)(void *user, int code), void *user) {
    fold->failed = failed;
    fold->user = user;
    fold->in_service = true;
    atomic_store(&fold->folded_bytes,
                 cb_journal_appended_bytes(fold->journal)); /* it is caught up */
    int rc = cb_thread_start(&fold->thread, "fold", run, fold);
    fold->started = rc == 0;
    return rc;
}

void cb_fold_wake(struct cb_fold *fold) {
    pthread_mutex_lock(&fold->mutex);
    fold->woken = true;
    pthread_cond_signal(&fold->wake);
    pthread_mutex_unlock(&fold->mutex);
}

void cb_fold_force(struct cb_fold *fold, uint64_t position) {
    uint64_t before = atomic_load(&fold->forced);
    while (before < position && !atomic_compare_exchange_weak(&fold->forced, &before, position)) {
    }
    cb_fold_wake(fold);
}

uint64_t cb_fold_committed(const struct cb_fold *fold) {
    return atomic_load(&fold->shown);
}

int cb_fold_forced_fd(const struct cb_fold *fold) {
    return fold->forced_fd;
}

void cb_fold_destroy(struct cb_fold **fold) {
    if (!*fold) {
        return;
    }
    if ((*fold)->started) {
        pthread_mutex_lock(&(*fold)->mutex);
        (*fold)->stopping = true;
        pthread_cond_signal(&(*fold)->wake);
        pthread_mutex_unlock(&(*fold)->mutex);
        pthread_join((*fold)->thread, NULL);
    }
    cb_views_abort((*fold)->views);
    if ((*fold)->forced_fd >= 0) {
        close((*fold)->forced_fd);
    }
    pthread_cond_destroy(&(*fold)->wake);
    pthread_mutex_destroy(&(*fold)->mutex);
    free(*fold);
    *fold = NULL;
}
