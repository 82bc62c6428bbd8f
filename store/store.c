/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/crash.h"
#include "proto/frame.h"
#include "proto/log.h"
#include "store/answers.h"
#include "store/downlink.h"
#include "store/fold.h"
#include "store/folder.h"
#include "store/journal.h"
#include "store/keeper.h"
#include "store/overlay.h"
#include "store/snapshot.h"
#include "store/upkeep.h"

enum { OVERLAY_MAX_BYTES = 64 * 1024 * 1024, CONTROL_MAX_BYTES = 4096 };

struct cb_store {
    int lock_fd, failed_fd;
    struct cb_journal *journal;
    struct cb_views *views;
    struct cb_overlay *overlay;
    struct cb_fold *fold;
    struct cb_reader *reader; /* of the answers' thread */
    struct cb_link_store *link;
    struct cb_answers *answers;
    struct cb_downlink *downlink;
    struct cb_keeper *keeper;
};

struct cb_views *cb_store_views(struct cb_store *store) {
    return store->views;
}

struct cb_journal *cb_store_journal(struct cb_store *store) {
    return store->journal;
}

int cb_store_failed_fd(const struct cb_store *store) {
    return store->failed_fd;
}

static void on_failed(void *user, int code) {
    struct cb_store *store = user;
    cb_log(CB_LOG_ERROR, "store_failed", "text=\"%s\"", cb_err_text(code));
    uint64_t one = 1;
    ssize_t written = write(store->failed_fd, &one, sizeof(one));
    (void)written; /* an eventfd takes 8 bytes */
}

/* Appends one control frame of the store's own to an open batch. */
static int append_control(struct cb_store *store, const struct cb_control *control) {
    struct cb_buf body, frame;
    cb_buf_init(&body, CONTROL_MAX_BYTES);
    cb_buf_init(&frame, CONTROL_MAX_BYTES);
    int rc = cb_control_encode(control, &body);
    if (rc == 0) {
        /* Sender 0 is the store; nobody resends its frames, so it has no row in `senders`. */
        rc = cb_frame_wrap(CB_FRAME_CONTROL, 0, cb_journal_head(store->journal) + 1,
                           (struct cb_str){body.data, body.len}, &frame);
    }
    uint64_t position;
    if (rc == 0) {
        rc = cb_journal_append(store->journal, (struct cb_str){frame.data, frame.len}, &position);
    }
    cb_buf_fini(&frame);
    cb_buf_fini(&body);
    return rc;
}

/* Appends what a new folder needs (a token), and the sites of the option that are not there yet. */
static int append_missing(struct cb_store *store, const struct cb_opts *opts,
                          struct cb_snapshot *snapshot, char **sentence) {
    int rc = 0;
    if (cb_journal_head(store->journal) == 0) {
        struct cb_control token = {
            .op = CB_CONTROL_TOKEN, .made_ms = cb_clock_wall_ms(), .role = CB_ROLE_ADMIN};
        rc = cb_folder_make_token(opts->data, token.token, sentence);
        cb_crash_point("bootstrap_after_token");
        if (rc == 0) {
            rc = append_control(store, &token);
        }
    }
    for (const char *p = opts->sites; rc == 0 && *p != '\0';) {
        size_t len = strcspn(p, ",");
        struct cb_control site = {.op = CB_CONTROL_SITE,
                                  .made_ms = cb_clock_wall_ms(),
                                  .site = {p, len},
                                  .status = CB_STATUS_ONLINE};
        struct cb_site there;
        if (!cb_site_name_valid(site.site)) {
            if (asprintf(
                    sentence,
                    "--sites: \"%.*s\" is not a site's name (letters, digits, - and _, at most %d)",
                    (int)len, p, CB_SITE_MAX) < 0) {
                *sentence = NULL;
            }
            return CB_EINVAL;
        }
        rc = cb_snapshot_site(snapshot, site.site, &there);
        if (rc == CB_ENOENT) {
            rc = append_control(store, &site);
        }
        p += len + (p[len] == ',');
    }
    return rc;
}

static int bootstrap(struct cb_store *store, const struct cb_opts *opts, char **sentence) {
    struct cb_snapshot *snapshot;
    int rc = cb_snapshot_begin(store->reader, &snapshot);
    if (rc != 0) {
        return rc;
    }
    rc = cb_journal_begin(store->journal);
    if (rc == 0) {
        rc = append_missing(store, opts, snapshot, sentence);
        if (rc == 0) {
            rc = cb_journal_commit(store->journal);
        } else {
            cb_journal_abort(store->journal);
        }
    }
    cb_snapshot_end(&snapshot);
    return rc == 0 ? cb_fold_catch_up(store->fold) : rc;
}

static int open_data(struct cb_store *store, const struct cb_opts *opts, char **sentence) {
    int rc = cb_folder_open(opts->data, &store->lock_fd, sentence);
    if (rc != 0) {
        store->lock_fd = -1;
        return rc;
    }
    rc = cb_journal_open(opts->data, (uint64_t)opts->map, &store->journal);
    if (rc == 0) {
        rc = cb_views_renew(opts, store->journal, sentence);
    }
    if (rc == 0) {
        rc = cb_views_open(opts->data, (uint64_t)opts->map, &store->views);
    }
    if (rc == 0) {
        rc = cb_overlay_create(OVERLAY_MAX_BYTES, &store->overlay);
    }
    if (rc == 0) {
        rc = cb_reader_of(store->views, store->journal, &store->reader);
    }
    if (rc == 0) {
        rc = cb_fold_create(store->journal, store->views, store->overlay, &store->fold);
    }
    return rc == 0 ? bootstrap(store, opts, sentence) : rc;
}

static int open_link(struct cb_store *store, const struct cb_store_places *places,
                     char **sentence) {
    const char *place = places->frames.frames;
    int rc = cb_link_store_create(&places->frames, &store->link);
    /* One way for what people write is needed; the others are for commands beside a service (a
     * folder may lie where no socket can be). */
    unsigned n_open = 0;
    for (unsigned i = 0; rc == 0 && i < places->n_controls; i++) {
        place = places->controls[i].frames;
        rc = cb_link_store_open_control(store->link, &places->controls[i]);
        n_open += rc == 0;
        if (rc != 0 && n_open > 0) {
            cb_log(CB_LOG_WARN, "control_closed", "address=%s text=\"%s\"", place, cb_err_text(rc));
            rc = 0;
        }
    }
    if (rc != 0 &&
        asprintf(sentence, "--link: cannot listen on %s: %s", place, cb_err_text(rc)) < 0) {
        *sentence = NULL;
    }
    return rc;
}

static int start_threads(struct cb_store *store, const struct cb_opts *opts,
                         const struct cb_store_places *places, char **sentence) {
    int rc = open_link(store, places, sentence);
    if (rc != 0) {
        return rc;
    }
    rc = cb_fold_start(store->fold, on_failed, store);
    if (rc == 0) {
        rc = cb_answers_create(store->link, store->journal, store->fold, store->reader,
                               store->overlay, &store->answers);
    }
    if (rc == 0) {
        rc = cb_downlink_create(store->link, store->journal, store->overlay, store->fold, on_failed,
                                store, &store->downlink);
    }
    if (rc == 0) {
        rc = cb_keeper_create(opts, store->journal, store->views, store->downlink, store->fold,
                              &store->keeper);
    }
    return rc;
}

int cb_store_setup(const struct cb_opts *opts, const struct cb_store_places *places,
                   struct cb_store **out, char **sentence) {
    *sentence = NULL;
    struct cb_store *store = calloc(1, sizeof(*store));
    if (!store) {
        return CB_ENOMEM;
    }
    store->lock_fd = -1;
    store->failed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = store->failed_fd >= 0 && sodium_init() >= 0 ? 0 : CB_ESYS;
    if (rc == 0) {
        rc = open_data(store, opts, sentence);
    }
    if (rc == 0) {
        rc = start_threads(store, opts, places, sentence);
    }
    if (rc != 0) {
        const char *why =
            rc == CB_EFULL ? "no room: the disk is full, or --map is too small" : cb_err_text(rc);
        if (!*sentence &&
            asprintf(sentence, "--data: cannot open the data in %s: %s", opts->data, why) < 0) {
            *sentence = NULL;
        }
        cb_store_teardown(&store);
        return rc;
    }
    *out = store;
    return 0;
}

static int append_offline(struct cb_store *store, const struct cb_control *control) {
    int rc = cb_journal_begin(store->journal);
    if (rc == 0) {
        rc = append_control(store, control);
        if (rc == 0) {
            rc = cb_journal_commit(store->journal);
        } else {
            cb_journal_abort(store->journal);
        }
    }
    return rc == 0 ? cb_fold_catch_up(store->fold) : rc;
}

int cb_store_offline(const struct cb_opts *opts, const struct cb_control *control,
                     cb_store_offline_fn *first, cb_store_offline_fn *last, void *user,
                     char **sentence) {
    struct cb_opts mine = *opts;
    mine.sites = ""; /* a command makes none */
    *sentence = NULL;
    int rc = cb_folder_check_format(opts->data, "--data", sentence); /* nor a folder */
    if (rc != 0) {
        return rc;
    }
    struct cb_store *store = calloc(1, sizeof(*store));
    if (!store) {
        return CB_ENOMEM;
    }
    store->lock_fd = store->failed_fd = -1;
    rc = open_data(store, &mine, sentence);
    if (rc == 0 && first) {
        rc = first(store->reader, user, sentence);
    }
    if (rc == 0 && control) {
        rc = append_offline(store, control);
    }
    if (rc == 0 && last) {
        rc = last(store->reader, user, sentence);
    }
    cb_store_teardown(&store);
    return rc;
}

void cb_store_teardown(struct cb_store **store) {
    struct cb_store *s = *store;
    if (!s) {
        return;
    }
    /* Against the data's way: no more frames, then what they hold is folded, then the folder is let
     * go. */
    cb_keeper_destroy(&s->keeper);
    cb_downlink_destroy(&s->downlink);
    cb_answers_destroy(&s->answers);
    cb_fold_destroy(&s->fold);
    cb_link_store_destroy(&s->link);
    cb_reader_close(&s->reader);
    cb_overlay_destroy(&s->overlay);
    cb_views_close(&s->views);
    cb_journal_close(&s->journal);
    if (s->lock_fd >= 0) {
        close(s->lock_fd);
    }
    if (s->failed_fd >= 0) {
        close(s->failed_fd);
    }
    free(s);
    *store = NULL;
}
