/* SPDX-License-Identifier: MIT
 * keeper.c: invariant: what the downlink is told to trim stands at or before the position of the
 * newest base. */
#include "store/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "proto/metric.h"
#include "proto/thread.h"
#include "store/base.h"
#include "store/eraser.h"
#include "store/folder.h"
#include "store/journal_time.h"

enum {
    TURN_MS = 1000, /* between two looks */
    WAIT_MS = 50,   /* between two looks at how far the journal's thread has trimmed */
    WAITS = 1200,
    FAILED_MS = 60000,     /* after a base could not be made */
    AGE_STEP_MS = 3600000, /* records go by age in whole hours: not a few each second */
    SIZE_STEPS = 8,        /* … and by size in eighths */
};

struct cb_keeper {
    char *data_dir;
    uint64_t map_bytes;
    struct cb_keep_rule rule;
    struct cb_journal *journal;
    struct cb_views *views;
    struct cb_downlink *downlink;
    struct cb_eraser eraser;
    struct cb_journal_time time; /* a clock of its own: an idle journal's stands still */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_bool stopping;
};

struct cb_keep_rule cb_keep_rule_of(const struct cb_opts *opts) {
    struct cb_keep_rule rule = {.raw_ms = opts->raw_days * INT64_C(86400000),
                                .raw_bytes = (uint64_t)opts->raw_bytes};
    uint64_t most = (uint64_t)opts->map / 4 * 3;
    rule.raw_bytes = rule.raw_bytes < most ? rule.raw_bytes : most;
    return rule;
}

/* The first position whose record is not older than ms: journal time never goes back. */
static int position_at(struct cb_journal *journal, int64_t ms, uint64_t *position) {
    uint64_t low = cb_journal_first(journal), high = cb_journal_head(journal);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int64_t there_ms;
        int rc = cb_journal_time_at(journal, middle, &there_ms);
        if (rc != 0) {
            return rc;
        }
        if (there_ms < ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *position = low;
    return 0;
}

int cb_keep_wanted(const struct cb_keep_rule *rule, struct cb_journal *journal, int64_t now_ms,
                   uint64_t *before) {
    uint64_t first = cb_journal_first(journal), head = cb_journal_head(journal);
    uint64_t used = cb_journal_used_bytes(journal);
    int rc = 0;
    *before = first;
    if (head <= first) {
        return 0;
    }
    if (rule->raw_ms > 0 && now_ms > rule->raw_ms) {
        int64_t oldest_ms = (now_ms - rule->raw_ms) / AGE_STEP_MS * AGE_STEP_MS;
        rc = position_at(journal, oldest_ms, before);
    }
    if (rc == 0 && rule->raw_bytes > 0 && used > rule->raw_bytes) {
        /* By the average record: the next turn sees what it came to. */
        uint64_t excess = used - rule->raw_bytes + rule->raw_bytes / SIZE_STEPS;
        double share = (double)excess / (double)used;
        uint64_t by_size = first + 1 + (uint64_t)(share * (double)(head - first));
        by_size = by_size < head ? by_size : head;
        *before = by_size > *before ? by_size : *before;
    }
    if (rc == 0 && *before > first) {
        rc = cb_journal_group_start(journal, *before, before);
    }
    return rc;
}

/* Waits, unless it is to stop. */
static bool wait_ms(struct cb_keeper *keeper, int64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&keeper->mutex);
    int rc = 0;
    while (!atomic_load(&keeper->stopping) && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&keeper->wake, &keeper->mutex, &until);
    }
    pthread_mutex_unlock(&keeper->mutex);
    return !atomic_load(&keeper->stopping);
}

/* Has the journal's thread trim, and waits until it has: meanwhile the hold keeps readers out. Not
 * for ever: where the disk fails it goes on when it can, and a reader that comes meanwhile may have
 * to begin anew. */
static void trim(struct cb_keeper *keeper, uint64_t before) {
    cb_downlink_trim(keeper->downlink, before);
    for (unsigned i = 0; i < WAITS && cb_journal_first(keeper->journal) < before; i++) {
        if (!wait_ms(keeper, WAIT_MS)) {
            return;
        }
    }
}

/* Under the hold. */
static int trim_behind_base(struct cb_keeper *keeper, uint64_t before) {
    struct cb_base base = {0};
    int rc = cb_base_newest(keeper->data_dir, &base);
    /* One that cannot be read, or that an older version made, is made anew. */
    bool covers = rc == 0 && base.position + 1 >= before;
    if (rc != CB_ESYS && !covers) {
        rc = cb_base_make(keeper->data_dir, keeper->map_bytes, keeper->views, &keeper->stopping,
                          &base);
    }
    if (rc == 0) {
        cb_metric_set(CB_METRIC_BASE_POSITION, (int64_t)base.position);
        before = before < base.position + 1 ? before : base.position + 1;
        rc = cb_journal_group_start(keeper->journal, before, &before);
    }
    if (rc == 0 && before > cb_journal_first(keeper->journal)) {
        trim(keeper, before);
    }
    return rc;
}

static int trim_turn(struct cb_keeper *keeper) {
    uint64_t before;
    int hold_fd;
    if (keeper->rule.raw_ms == 0 && keeper->rule.raw_bytes == 0) {
        return 0;
    }
    int rc =
        cb_keep_wanted(&keeper->rule, keeper->journal, cb_journal_time_now(&keeper->time), &before);
    if (rc != 0 || before <= cb_journal_first(keeper->journal)) {
        return rc;
    }
    rc = cb_folder_hold(keeper->data_dir, true, &hold_fd);
    if (rc != 0) {
        return rc == CB_EBUSY ? 0 : rc; /* a backup is being taken, for instance */
    }
    rc = trim_behind_base(keeper, before);
    close(hold_fd);
    return rc;
}

/* What is tried again each turn; after a failure of its own not for a while. */
struct task {
    int (*turn)(struct cb_keeper *keeper);
    const char *failed; /* to the log */
    int64_t pause_ms;   /* left */
};

static int erase_turn(struct cb_keeper *keeper) {
    bool more;
    return cb_eraser_turn(&keeper->eraser, &more); /* where more is due, the next turn is soon */
}

static void *run(void *arg) {
    struct cb_keeper *keeper = arg;
    struct task tasks[] = {{trim_turn, "trim_failed", 0}, {erase_turn, "erase_failed", 0}};
    while (wait_ms(keeper, TURN_MS)) {
        for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
            struct task *task = &tasks[i];
            task->pause_ms -= task->pause_ms > 0 ? TURN_MS : 0;
            int rc = task->pause_ms > 0 ? 0 : task->turn(keeper);
            if (rc != 0 && rc != CB_ECLOSED) {
                /* Nothing was trimmed that the newest base does not cover, and what was to be
                 * erased still is: only room is missing, or the disk failed. */
                task->pause_ms = FAILED_MS;
                cb_log(CB_LOG_WARN, task->failed, "text=\"%s\"", cb_err_text(rc));
            }
        }
    }
    return NULL;
}

int cb_keeper_create(const struct cb_opts *opts, struct cb_journal *journal, struct cb_views *views,
                     struct cb_downlink *downlink, struct cb_fold *fold, struct cb_keeper **out) {
    struct cb_keep_rule rule = cb_keep_rule_of(opts);
    int64_t last_ms = 0;
    *out = NULL;
    int rc = cb_journal_time_at(journal, cb_journal_head(journal), &last_ms);
    if (rc != 0) {
        return rc;
    }
    struct cb_keeper *keeper = calloc(1, sizeof(*keeper));
    char *data_dir = strdup(opts->data);
    if (!keeper || !data_dir) {
        rc = CB_ENOMEM;
        goto err_after_memory;
    }
    *keeper = (struct cb_keeper){.data_dir = data_dir,
                                 .map_bytes = (uint64_t)opts->map,
                                 .rule = rule,
                                 .journal = journal,
                                 .views = views,
                                 .downlink = downlink};
    cb_eraser_init(&keeper->eraser, data_dir, keeper->map_bytes, journal, views, fold,
                   &keeper->stopping);
    cb_journal_time_init(&keeper->time, last_ms);
    pthread_mutex_init(&keeper->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    rc = cb_thread_start(&keeper->thread, "keeper", run, keeper);
    if (rc != 0) {
        goto err_after_sync;
    }
    *out = keeper;
    return 0;

err_after_sync:
    pthread_cond_destroy(&keeper->wake);
    pthread_mutex_destroy(&keeper->mutex);
err_after_memory:
    free(data_dir);
    free(keeper);
    return rc;
}

void cb_keeper_destroy(struct cb_keeper **keeper) {
    struct cb_keeper *k = *keeper;
    if (!k) {
        return;
    }
    pthread_mutex_lock(&k->mutex);
    atomic_store(&k->stopping, true);
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->mutex);
    pthread_join(k->thread, NULL);
    pthread_cond_destroy(&k->wake);
    pthread_mutex_destroy(&k->mutex);
    free(k->data_dir);
    free(k);
    *keeper = NULL;
}
