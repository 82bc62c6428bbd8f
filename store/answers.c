/* SPDX-License-Identifier: MIT */
#include "store/answers.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/ask.h"
#include "proto/log.h"
#include "store/snapshot.h"

struct cb_answers {
    struct cb_link_store *link;
    const struct cb_journal *journal;
    const struct cb_fold *fold;
    struct cb_reader *reader;
    struct cb_overlay *overlay;
    int stop_fd;
    pthread_t thread;
    struct cb_ask asks[CB_ASKS_MAX];
    struct cb_answer replies[CB_ASKS_MAX];
    struct cb_buf values; /* of the fields of this message's answers */
    struct cb_buf out;
};

/* Where a field's value stands in answers->values, whose memory may move. */
struct span {
    size_t from, len;
};

/* The fresher of overlay and views. The overlay was read first: the fold drops from it only after
 * the views' commit, so a value is in at least one of what was read in this order. */
static int read_field(struct cb_answers *answers, struct cb_snapshot *snapshot, uint32_t site,
                      uint32_t ordinal, unsigned field, const struct cb_stamp *fresh,
                      struct span *span) {
    size_t from = answers->values.len;
    struct cb_stamp stamp;
    int rc = cb_snapshot_field(snapshot, site, ordinal, field, &stamp, &answers->values);
    if (rc == CB_ENOENT) {
        return 0;
    }
    if (rc == 0 && (!fresh || !cb_stamp_replaces(&stamp, fresh))) {
        *span = (struct span){from, answers->values.len - from};
    }
    return rc;
}

/* Fills the spans of a FIELDS ask; *found says whether the visitor is known. */
static int read_fields(struct cb_answers *answers, const struct cb_ask *ask,
                       struct span spans[CB_FIELD_COUNT], bool *found) {
    bool fresh[CB_FIELD_COUNT];
    struct cb_stamp stamps[CB_FIELD_COUNT];
    *found = false;
    for (unsigned field = 0; field < CB_FIELD_COUNT; field++) {
        size_t from = answers->values.len;
        int rc = cb_overlay_get(answers->overlay, ask->site, ask->visitor, field, &stamps[field],
                                &answers->values);
        if (rc != 0 && rc != CB_ENOENT) {
            return rc;
        }
        fresh[field] = rc == 0;
        spans[field] = (struct span){from, answers->values.len - from};
        *found |= fresh[field];
    }
    struct cb_snapshot *snapshot;
    int rc = cb_snapshot_begin(answers->reader, &snapshot);
    if (rc != 0) {
        return rc;
    }
    struct cb_site site;
    uint32_t ordinal;
    rc = cb_snapshot_site(snapshot, ask->site, &site);
    if (rc == 0) {
        rc = cb_snapshot_ordinal(snapshot, site.id, ask->visitor, &ordinal);
    }
    bool known = rc == 0;
    *found |= known;
    rc = rc == CB_ENOENT ? 0 : rc;
    for (unsigned field = 0; rc == 0 && known && field < CB_FIELD_COUNT; field++) {
        rc = read_field(answers, snapshot, site.id, ordinal, field,
                        fresh[field] ? &stamps[field] : NULL, &spans[field]);
    }
    cb_snapshot_end(&snapshot);
    return rc;
}

static int read_site(struct cb_answers *answers, const struct cb_ask *ask,
                     struct cb_answer *reply) {
    struct cb_snapshot *snapshot;
    int rc = cb_snapshot_begin(answers->reader, &snapshot);
    if (rc != 0) {
        return rc;
    }
    struct cb_site site;
    rc = cb_snapshot_site(snapshot, ask->site, &site);
    if (rc == 0) {
        reply->found = true;
        reply->status = site.status;
    }
    cb_snapshot_end(&snapshot);
    return rc == CB_ENOENT ? 0 : rc;
}

static void answer(struct cb_answers *answers, struct cb_link_message *message) {
    uint32_t n;
    int rc = cb_ask_decode(message->data, message->len, answers->asks, &n);
    if (rc != 0) {
        cb_log(CB_LOG_WARN, "ask_refused", "text=\"%s\"", cb_err_text(rc));
        cb_link_message_free(message);
        return;
    }
    struct span spans[CB_ASKS_MAX][CB_FIELD_COUNT] = {0};
    cb_buf_clear(&answers->values);
    for (uint32_t i = 0; i < n; i++) {
        const struct cb_ask *ask = &answers->asks[i];
        struct cb_answer *reply = &answers->replies[i];
        *reply = (struct cb_answer){.kind = ask->kind,
                                    .accepting = cb_journal_accepting(answers->journal) &&
                                                 cb_fold_accepting(answers->fold)};
        rc = 0;
        switch (ask->kind) {
        case CB_ASK_HELLO:
            reply->found = true;
            break;
        case CB_ASK_SITE:
            rc = read_site(answers, ask, reply);
            break;
        case CB_ASK_FIELDS:
            rc = read_fields(answers, ask, spans[i], &reply->found);
            break;
        }
        reply->later = rc != 0; /* the disk's errors were logged where they arose */
    }
    for (uint32_t i = 0; i < n; i++) {
        for (unsigned field = 0; field < CB_FIELD_COUNT; field++) {
            struct span span = spans[i][field];
            answers->replies[i].fields[field] =
                (struct cb_str){span.len > 0 ? answers->values.data + span.from : "", span.len};
        }
    }
    cb_buf_clear(&answers->out);
    rc = cb_answer_encode(answers->replies, n, &answers->out);
    if (rc != 0) {
        cb_log(CB_LOG_WARN, "answer_too_large", "asks=%u", n);
        cb_link_message_free(message);
        return;
    }
    /* When the channel takes nothing, the asker asks again. */
    cb_link_send_answer(answers->link, message, answers->out.data, answers->out.len);
}

static void *run(void *arg) {
    struct cb_answers *answers = arg;
    struct pollfd fds[] = {{.fd = cb_link_asks_fd(answers->link), .events = POLLIN},
                           {.fd = answers->stop_fd, .events = POLLIN}};
    for (;;) {
        struct cb_link_message message;
        int rc;
        while ((rc = cb_link_recv_ask(answers->link, &message)) == 0) {
            answer(answers, &message);
        }
        if (rc == CB_ECLOSED || fds[1].revents != 0) {
            return NULL;
        }
        poll(fds, 2, -1);
    }
}

int cb_answers_create(struct cb_link_store *link, const struct cb_journal *journal,
                      const struct cb_fold *fold, struct cb_reader *reader,
                      struct cb_overlay *overlay, struct cb_answers **out) {
    struct cb_answers *answers = calloc(1, sizeof(*answers));
    if (!answers) {
        return CB_ENOMEM;
    }
    answers->link = link;
    answers->journal = journal;
    answers->fold = fold;
    answers->reader = reader;
    answers->overlay = overlay;
    /* Twice: overlay's and views' values both stand there until the fresher was picked. */
    cb_buf_init(&answers->values, (size_t)2 * CB_ASKS_MAX * CB_FIELD_COUNT * CB_ASK_VALUE_MAX);
    cb_buf_init(&answers->out, CB_ASK_MESSAGE_MAX);
    int rc = CB_ESYS;
    answers->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (answers->stop_fd < 0) {
        goto err_after_answers;
    }
    if (pthread_create(&answers->thread, NULL, run, answers) != 0) {
        goto err_after_stop_fd;
    }
    *out = answers;
    return 0;

err_after_stop_fd:
    close(answers->stop_fd);
err_after_answers:
    free(answers);
    return rc;
}

void cb_answers_destroy(struct cb_answers **answers) {
    if (!*answers) {
        return;
    }
    uint64_t one = 1;
    ssize_t written = write((*answers)->stop_fd, &one, sizeof(one));
    (void)written; /* an eventfd takes 8 bytes */
    pthread_join((*answers)->thread, NULL);
    close((*answers)->stop_fd);
    cb_buf_fini(&(*answers)->values);
    cb_buf_fini(&(*answers)->out);
    free(*answers);
    *answers = NULL;
}
