/* SPDX-License-Identifier: MIT */
#include "store/downlink.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/ack.h"
#include "proto/clock.h"
#include "proto/control.h"
#include "proto/crash.h"
#include "proto/frame.h"
#include "proto/log.h"
#include "proto/metric.h"
#include "proto/thread.h"
#include "store/trim.h"

enum {
    BATCH_FRAMES = 256,            /* frames of one commit */
    BATCH_BYTES = 8 * 1024 * 1024, /* … and their bytes */
    ACK_MAX_BYTES = 4096,
    TRIM_BYTES =
        16 * 1024 * 1024, /* of records deleted in one commit: twice what a batch appends */
    TRIM_PAUSE_MS = 5,    /* between two such commits */
    LOG_INTERVAL_MS = 1000,
    HELD_MAX = 256, /* control frames that wait for the views */
};

/* A frame of the batch at hand. */
struct taken {
    struct cb_link_message message;
    uint64_t sender, number, position;
    enum cb_ack_status status;
    size_t overlay_bytes; /* of its sets; 0 for none */
    bool addressed, acked;
    bool control; /* it came by the control socket */
};

/* A control frame that is journalled: its ack waits until the views hold it, so that whoever wrote
 * can read at once. */
struct held {
    uint64_t sender, number;
    uint64_t position;       /* of its record; 0 when it was there before */
    uint64_t views_position; /* that the views must hold */
};

struct cb_downlink {
    struct cb_link_store *link;
    struct cb_journal *journal;
    struct cb_overlay *overlay;
    struct cb_fold *fold;
    void (*failed)(void *user, int code);
    void *user;
    int wake_fd; /* to stop, or to trim */
    atomic_bool stopping;
    _Atomic uint64_t trim_before; /* records before this position go … */
    uint64_t trimmed_before;      /* … and so much of it is done and written down */
    pthread_t thread;
    struct taken batch[BATCH_FRAMES];
    size_t n_batch, overlay_bytes;
    struct held held[HELD_MAX];
    size_t n_held, n_control; /* the latter: of the batch at hand, taken */
    int64_t logged_ms;
    struct cb_frame frame; /* large: not on the stack */
};

/* The memory that the sets of a decoded frame will take in the overlay. */
static size_t cost_of_sets(const struct cb_frame *frame) {
    struct cb_frame_walk walk;
    struct cb_envelope envelope;
    struct cb_reject reject;
    struct cb_event event;
    size_t bytes = 0;
    cb_frame_walk_init(&walk, frame);
    for (enum cb_frame_item item;
         (item = cb_frame_walk_next(&walk, &envelope, &reject)) != CB_ITEM_END;) {
        while (item == CB_ITEM_ENVELOPE && cb_frame_walk_event(&walk, &event)) {
            if (event.name_code == CB_NAME_SET && envelope.has_visitor) {
                bytes += cb_overlay_cost(event.value.len);
            }
        }
    }
    return bytes;
}

static int put_sets(struct cb_downlink *downlink, const struct taken *taken) {
    struct cb_frame *frame = &downlink->frame;
    struct cb_frame_walk walk;
    struct cb_envelope envelope;
    struct cb_reject reject;
    struct cb_event event;
    int rc = cb_frame_decode(taken->message.data, taken->message.len, frame);
    if (rc != 0) {
        return rc;
    }
    cb_frame_walk_init(&walk, frame);
    for (enum cb_frame_item item;
         rc == 0 && (item = cb_frame_walk_next(&walk, &envelope, &reject)) != CB_ITEM_END;) {
        while (rc == 0 && item == CB_ITEM_ENVELOPE && cb_frame_walk_event(&walk, &event)) {
            int field = cb_field_of(event.key);
            if (event.name_code != CB_NAME_SET || !envelope.has_visitor || field < 0) {
                continue;
            }
            struct cb_stamp stamp = {.true_ms = cb_event_true_ms(&envelope, &event),
                                     .seq = event.seq};
            memcpy(stamp.producer, envelope.producer, CB_PRODUCER_BYTES);
            rc = cb_overlay_put(downlink->overlay, taken->position, envelope.site, envelope.visitor,
                                (unsigned)field, &stamp, event.value);
        }
    }
    return rc;
}

/* Why a frame cannot be taken from the socket by which it came, or NULL. Who reaches the socket of
 * beacons must not mint a token; what comes by the other one must be what the fold can apply. */
static const char *misfit(const struct taken *taken, const struct cb_frame *frame) {
    struct cb_control control;
    if (frame->kind == CB_FRAME_BEACONS) {
        return taken->control && frame->n_sites > 0 ? "beacons on the control socket" : NULL;
    }
    if (!taken->control) {
        return "not a frame of beacons";
    }
    if (frame->kind != CB_FRAME_CONTROL || frame->body.len > CB_CONTROL_MAX ||
        cb_control_decode(frame->body, &control) != 0 || control.op == CB_CONTROL_SWEPT) {
        return "not a control frame of this version";
    }
    return NULL;
}

static void refuse(struct taken *taken, const char *why) {
    taken->addressed =
        cb_frame_peek(taken->message.data, taken->message.len, &taken->sender, &taken->number) == 0;
    taken->status = CB_ACK_REFUSED;
    cb_metric_add(CB_METRIC_JOURNAL_REFUSED, 1);
    cb_log(CB_LOG_WARN, "frame_refused", "bytes=%zu text=\"%s\"", taken->message.len, why);
}

/* Decides about one frame, and appends it. Returns an error only where the whole batch must be
 * given up. */
static int take(struct cb_downlink *downlink, struct taken *taken) {
    struct cb_frame *frame = &downlink->frame;
    int rc = cb_frame_decode(taken->message.data, taken->message.len, frame);
    const char *why = rc != 0 ? cb_err_text(rc) : misfit(taken, frame);
    if (why) {
        refuse(taken, why);
        return 0;
    }
    taken->addressed = true;
    taken->sender = frame->sender;
    taken->number = frame->number;
    bool control = frame->kind == CB_FRAME_CONTROL;
    if (!control && frame->n_sites == 0) {
        return 0; /* a hello: nothing to keep */
    }
    if (!cb_fold_accepting(downlink->fold) ||
        (control && downlink->n_held + downlink->n_control >= HELD_MAX)) {
        taken->status = CB_ACK_BUSY;
        return 0;
    }
    taken->overlay_bytes = control ? 0 : cost_of_sets(frame);
    if (taken->overlay_bytes > 0 &&
        !cb_overlay_has_room(downlink->overlay, downlink->overlay_bytes + taken->overlay_bytes)) {
        taken->status = CB_ACK_BUSY;
        return 0;
    }
    rc = cb_journal_admit(downlink->journal, frame->sender, frame->number);
    if (rc == CB_EBUSY) {
        cb_metric_add(CB_METRIC_JOURNAL_REPEATED, 1);
        taken->status = CB_ACK_OK;
        taken->overlay_bytes = 0; /* its sets went there the first time */
        downlink->n_control += control;
        return 0;
    }
    if (rc == CB_EINVAL) {
        cb_metric_add(CB_METRIC_JOURNAL_REFUSED, 1);
        taken->status = CB_ACK_REFUSED;
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    rc = cb_journal_append(downlink->journal,
                           (struct cb_str){taken->message.data, taken->message.len},
                           &taken->position);
    if (rc != 0) {
        return rc;
    }
    taken->status = CB_ACK_OK;
    downlink->overlay_bytes += taken->overlay_bytes;
    downlink->n_control += control;
    return 0;
}

/* ---- acks of control frames ---- */

/* The batch is committed: its control frames wait for the views from here on. */
static void hold_control(struct cb_downlink *downlink) {
    uint64_t last = 0;
    for (size_t i = 0; downlink->n_control > 0 && i < downlink->n_batch; i++) {
        struct taken *taken = &downlink->batch[i];
        struct cb_frame *frame = &downlink->frame;
        if (!taken->control || taken->status != CB_ACK_OK ||
            cb_frame_decode(taken->message.data, taken->message.len, frame) != 0 ||
            frame->kind != CB_FRAME_CONTROL) {
            continue;
        }
        taken->acked = true; /* later */
        size_t at = 0;
        while (at < downlink->n_held && (downlink->held[at].sender != taken->sender ||
                                         downlink->held[at].number != taken->number)) {
            at++;
        }
        if (at < downlink->n_held) {
            continue; /* sent again while it waits */
        }
        last = taken->position ? taken->position : cb_journal_head(downlink->journal);
        downlink->held[downlink->n_held++] =
            (struct held){taken->sender, taken->number, taken->position, last};
    }
    if (last > 0) {
        cb_fold_force(downlink->fold, last);
    }
}

static void send_ack(struct cb_downlink *downlink, const struct cb_ack *ack) {
    struct cb_buf out;
    cb_buf_init(&out, ACK_MAX_BYTES);
    if (cb_ack_encode(ack, &out) == 0) {
        cb_link_send_ack(downlink->link, out.data, out.len); /* lost: the sender sends again */
    }
    cb_buf_fini(&out);
}

/* Acks the held frames that the views hold by now. */
static void release_held(struct cb_downlink *downlink) {
    uint64_t committed = cb_fold_committed(downlink->fold);
    size_t kept = 0;
    for (size_t i = 0; i < downlink->n_held; i++) {
        struct held held = downlink->held[i];
        if (held.views_position > committed) {
            downlink->held[kept++] = held;
            continue;
        }
        struct cb_ack ack = {.sender = held.sender, .n_frames = 1};
        ack.frames[0] = (struct cb_ack_frame){held.number, CB_ACK_OK, held.position};
        send_ack(downlink, &ack);
    }
    downlink->n_held = kept;
}

/* One ack for each sender of the batch, of at most CB_ACK_FRAMES_MAX frames. */
static void send_acks(struct cb_downlink *downlink) {
    for (size_t i = 0; i < downlink->n_batch; i++) {
        struct taken *first = &downlink->batch[i];
        if (!first->addressed || first->acked) {
            continue;
        }
        struct cb_ack ack = {.sender = first->sender};
        for (size_t j = i; j < downlink->n_batch && ack.n_frames < CB_ACK_FRAMES_MAX; j++) {
            struct taken *taken = &downlink->batch[j];
            if (taken->addressed && !taken->acked && taken->sender == first->sender) {
                ack.frames[ack.n_frames++] =
                    (struct cb_ack_frame){taken->number, taken->status, taken->position};
                taken->acked = true;
            }
        }
        send_ack(downlink, &ack);
    }
}

static void free_batch(struct cb_downlink *downlink) {
    for (size_t i = 0; i < downlink->n_batch; i++) {
        cb_link_message_free(&downlink->batch[i].message);
    }
    downlink->n_batch = 0;
}

/* Everything that waits, up to a batch's bounds, is received; what people write first, since it is
 * little. Returns CB_EAGAIN when nothing is left. */
static int receive(struct cb_downlink *downlink) {
    size_t bytes = 0;
    int rc = 0;
    bool control = true;
    while (downlink->n_batch < BATCH_FRAMES && bytes < BATCH_BYTES) {
        struct taken *taken = &downlink->batch[downlink->n_batch];
        *taken = (struct taken){.control = control};
        rc = control ? cb_link_recv_control(downlink->link, &taken->message)
                     : cb_link_recv_frame(downlink->link, &taken->message);
        if (rc == CB_EAGAIN && control) {
            control = false;
            continue;
        }
        if (rc != 0) {
            break;
        }
        bytes += taken->message.len;
        downlink->n_batch++;
    }
    return rc;
}

/* Nothing of the batch was taken: its senders may try again. */
static void refuse_busy(struct cb_downlink *downlink) {
    for (size_t i = 0; i < downlink->n_batch; i++) {
        downlink->batch[i].position = 0;
        downlink->batch[i].status =
            downlink->batch[i].status == CB_ACK_REFUSED ? CB_ACK_REFUSED : CB_ACK_BUSY;
    }
}

/* At most one line a second, however many batches fail. */
static void log_busy(struct cb_downlink *downlink, int code) {
    int64_t now_ms = cb_clock_mono_ms();
    if (now_ms - downlink->logged_ms >= LOG_INTERVAL_MS) {
        downlink->logged_ms = now_ms;
        cb_log(CB_LOG_WARN, "journal_busy", "frames=%zu text=\"%s\"", downlink->n_batch,
               cb_err_text(code));
    }
}

static bool trim_is_due(struct cb_downlink *downlink) {
    return atomic_load_explicit(&downlink->trim_before, memory_order_relaxed) >
           downlink->trimmed_before;
}

/* The frame that says that the records are gone; behind their going, since there may be no room
 * before it. */
static int append_trim(struct cb_downlink *downlink, uint64_t before) {
    struct cb_buf frame;
    uint64_t position;
    cb_buf_init(&frame, ACK_MAX_BYTES);
    int rc = cb_trim_encode(before, cb_journal_head(downlink->journal) + 1, &frame);
    if (rc == 0) {
        rc =
            cb_journal_append(downlink->journal, (struct cb_str){frame.data, frame.len}, &position);
    }
    cb_buf_fini(&frame);
    return rc;
}

/* A step of what is due, in the open batch. *done is the position up to which all is done once it
 * is committed. */
static int trim_step(struct cb_downlink *downlink, uint64_t *done) {
    uint64_t before = atomic_load_explicit(&downlink->trim_before, memory_order_relaxed);
    uint64_t gone = before;
    bool left = false;
    *done = downlink->trimmed_before;
    if (before <= *done) {
        return 0;
    }
    int rc = cb_journal_trim(downlink->journal, &gone, TRIM_BYTES, &left);
    if (rc == 0 && !left) {
        rc = append_trim(downlink, gone);
        if (rc == 0) {
            *done = before;
        }
        rc = rc == CB_EFULL ? 0 : rc; /* the room is not there before the commit */
    }
    return rc;
}

/* Where no batch comes, or none finds room. */
static int trim_alone(struct cb_downlink *downlink) {
    uint64_t done;
    int rc = cb_journal_begin(downlink->journal);
    if (rc == 0) {
        rc = trim_step(downlink, &done);
        if (rc != 0) {
            cb_journal_abort(downlink->journal);
            return rc;
        }
        rc = cb_journal_commit(downlink->journal);
    }
    if (rc == 0) {
        downlink->trimmed_before = done;
        cb_fold_wake(downlink->fold);
    }
    return rc;
}

static int append_batch(struct cb_downlink *downlink) {
    uint64_t trimmed = downlink->trimmed_before;
    downlink->overlay_bytes = 0;
    downlink->n_control = 0;
    int rc = cb_journal_begin(downlink->journal);
    if (rc == 0) {
        rc = trim_step(downlink, &trimmed);
    }
    for (size_t i = 0; rc == 0 && i < downlink->n_batch; i++) {
        rc = take(downlink, &downlink->batch[i]);
        cb_crash_point("journal_in_batch");
    }
    if (rc != 0) {
        cb_journal_abort(downlink->journal);
        return rc;
    }
    cb_crash_point("journal_before_commit");
    rc = cb_journal_commit(downlink->journal);
    if (rc == 0) {
        downlink->trimmed_before = trimmed;
    }
    return rc;
}

static int handle_batch(struct cb_downlink *downlink) {
    int rc = append_batch(downlink);
    if (rc == CB_EFULL || rc == CB_EIO) {
        /* The map or the disk is full, or a write failed: LMDB took the whole batch back, and what
         * it wrote went to pages that are still free. Its senders try again. Where it cannot tell
         * what its newest meta page holds, it refuses to begin the next batch, and that ends the
         * process. */
        log_busy(downlink, rc);
        refuse_busy(downlink);
        rc = 0;
    } else {
        for (size_t i = 0; rc == 0 && i < downlink->n_batch; i++) {
            struct taken *taken = &downlink->batch[i];
            if (taken->status == CB_ACK_OK && taken->overlay_bytes > 0) {
                rc = put_sets(downlink, taken);
            }
        }
        if (rc == 0) {
            cb_fold_wake(downlink->fold);
            hold_control(downlink);
        }
    }
    if (rc == 0) {
        cb_crash_point("journal_before_ack");
        send_acks(downlink);
        cb_crash_point("journal_after_ack");
    }
    free_batch(downlink);
    return rc;
}

/* The disk's own failures are not the end: what was to go, or to come, comes again. */
static int outlive(int rc) {
    return rc == CB_EFULL || rc == CB_EIO ? 0 : rc;
}

static int turn(struct cb_downlink *downlink, int *got) {
    int rc = 0;
    /* Where the last batch found no room, the next will not either unless some is made. */
    if (trim_is_due(downlink) && !cb_journal_accepting(downlink->journal)) {
        rc = outlive(trim_alone(downlink));
    }
    *got = receive(downlink);
    if (rc == 0 && downlink->n_batch > 0) {
        rc = handle_batch(downlink);
    } else if (rc == 0 && trim_is_due(downlink)) {
        rc = outlive(trim_alone(downlink));
    }
    return rc;
}

static void *run(void *arg) {
    struct cb_downlink *downlink = arg;
    enum { WOKEN, FORCED, FRAMES, CONTROL };
    struct pollfd fds[] = {
        [WOKEN] = {.fd = downlink->wake_fd, .events = POLLIN},
        [FORCED] = {.fd = cb_fold_forced_fd(downlink->fold), .events = POLLIN},
        [FRAMES] = {.fd = cb_link_frames_fd(downlink->link), .events = POLLIN},
        [CONTROL] = {.fd = cb_link_control_fd(downlink->link), .events = POLLIN},
    };
    for (;;) {
        bool stop = atomic_load(&downlink->stopping);
        int got;
        int rc = turn(downlink, &got);
        if (rc != 0) {
            cb_log(CB_LOG_ERROR, "journal_failed", "text=\"%s\"", cb_err_text(rc));
            downlink->failed(downlink->user, rc);
            return NULL;
        }
        if (got == CB_ECLOSED) {
            return NULL;
        }
        if (downlink->n_held > 0) {
            release_held(downlink);
        }
        if (got == CB_EAGAIN) {
            if (stop) {
                return NULL;
            }
            /* A trim goes on at once, step by step; where the disk fails, not without a pause. */
            poll(fds, sizeof(fds) / sizeof(fds[0]), trim_is_due(downlink) ? TRIM_PAUSE_MS : -1);
            if (fds[WOKEN].revents != 0) {
                uint64_t woken;
                ssize_t n = read(downlink->wake_fd, &woken, sizeof(woken));
                (void)n; /* an eventfd gives 8 bytes */
            }
            if (fds[FORCED].revents != 0) {
                uint64_t times;
                ssize_t n = read(fds[FORCED].fd, &times, sizeof(times));
                (void)n; /* what it says is asked of the fold */
            }
        }
    }
}

static void wake(struct cb_downlink *downlink) {
    uint64_t one = 1;
    ssize_t written = write(downlink->wake_fd, &one, sizeof(one));
    (void)written; /* an eventfd takes 8 bytes */
}

void cb_downlink_trim(struct cb_downlink *downlink, uint64_t before) {
    if (before > atomic_load(&downlink->trim_before)) {
        atomic_store(&downlink->trim_before, before);
        wake(downlink);
    }
}

int cb_downlink_create(struct cb_link_store *link, struct cb_journal *journal,
                       struct cb_overlay *overlay, struct cb_fold *fold,
                       void (*failed)(void *user, int code), void *user, struct cb_downlink **out) {
    struct cb_downlink *downlink = calloc(1, sizeof(*downlink));
    if (!downlink) {
        return CB_ENOMEM;
    }
    downlink->link = link;
    downlink->journal = journal;
    downlink->overlay = overlay;
    downlink->fold = fold;
    downlink->failed = failed;
    downlink->user = user;
    downlink->trimmed_before = cb_journal_first(journal);
    downlink->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (downlink->wake_fd < 0) {
        goto err_after_downlink;
    }
    if (cb_thread_start(&downlink->thread, "journal", run, downlink) != 0) {
        goto err_after_wake_fd;
    }
    *out = downlink;
    return 0;

err_after_wake_fd:
    close(downlink->wake_fd);
err_after_downlink:
    free(downlink);
    return CB_ESYS;
}

void cb_downlink_destroy(struct cb_downlink **downlink) {
    if (!*downlink) {
        return;
    }
    atomic_store(&(*downlink)->stopping, true);
    wake(*downlink);
    pthread_join((*downlink)->thread, NULL);
    free_batch(*downlink);
    close((*downlink)->wake_fd);
    free(*downlink);
    *downlink = NULL;
}
