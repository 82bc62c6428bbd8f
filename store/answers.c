/* SPDX-License-Identifier: MIT */
#include "store/answers.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/ask.h"
#include "proto/clock.h"
#include "proto/log.h"
#include "proto/thread.h"
#include "store/snapshot.h"

enum { LEASES_MAX = 4096 }; /* sites at which an operator is at the same time */

/* Until when an operator's dashboard is there. In memory only: after a restart dashboards renew it
 * within CB_LEASE_RENEW_MS. */
struct lease {
    uint32_t site;
    int64_t until_ms; /* mono */
};

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
    struct cb_buf values; /* the texts of this message's answers */
    struct lease leases[LEASES_MAX];
    size_t n_leases;
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

/* Whether a visitor that is not there was erased, however long ago: the browser that still has the
 * id is to take another. */
static int read_erased(struct cb_snapshot *snapshot, uint32_t site, const struct cb_ask *ask,
                       bool *erased) {
    struct cb_erasure erasure;
    uint8_t tag[CB_VISITOR_BYTES];
    if (!cb_snapshot_erased_since(snapshot, 0)) {
        return 0;
    }
    cb_visitor_tag(ask->visitor, tag);
    int rc = cb_snapshot_erasure(snapshot, site, tag, &erasure);
    *erased = rc == 0;
    return rc == CB_ENOENT ? 0 : rc;
}

/* Fills the spans of a FIELDS ask; *found says whether the visitor is known. */
static int read_fields(struct cb_answers *answers, const struct cb_ask *ask,
                       struct span spans[CB_FIELD_COUNT], bool *found, bool *erased) {
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
    bool known = rc == 0, site_known = known;
    if (rc == CB_ENOENT) {
        site_known = cb_snapshot_site(snapshot, ask->site, &site) == 0;
        rc = site_known ? read_erased(snapshot, site.id, ask, erased) : 0;
    }
    *found |= known;
    if (*erased) { /* what came since will be refused */
        memset(spans, 0, CB_FIELD_COUNT * sizeof(*spans));
        *found = false;
    }
    for (unsigned field = 0; rc == 0 && known && field < CB_FIELD_COUNT; field++) {
        rc = read_field(answers, snapshot, site.id, ordinal, field,
                        fresh[field] ? &stamps[field] : NULL, &spans[field]);
    }
    cb_snapshot_end(&snapshot);
    return rc;
}

static bool is_leased(const struct cb_answers *answers, uint32_t site) {
    for (size_t i = 0; i < answers->n_leases; i++) {
        if (answers->leases[i].site == site) {
            return answers->leases[i].until_ms > cb_clock_mono_ms();
        }
    }
    return false;
}

/* Errors: CB_EFULL: no more sites now. */
static int put_lease(struct cb_answers *answers, uint32_t site) {
    int64_t now_ms = cb_clock_mono_ms();
    size_t at = answers->n_leases;
    for (size_t i = 0; i < answers->n_leases; i++) {
        struct lease *lease = &answers->leases[i];
        if (lease->site == site) {
            at = i;
            break;
        }
        if (lease->until_ms <= now_ms) {
            at = i; /* over: its place is free, unless the site has one behind it */
        }
    }
    if (at == LEASES_MAX) {
        return CB_EFULL;
    }
    answers->n_leases += at == answers->n_leases;
    answers->leases[at] = (struct lease){site, now_ms + CB_LEASE_MS};
    return 0;
}

/* What pages are told. */
static unsigned status_of(const struct cb_answers *answers, const struct cb_site *site) {
    if (site->status != CB_STATUS_AUTOMATIC) {
        return site->status;
    }
    return is_leased(answers, site->id) ? CB_STATUS_ONLINE : CB_STATUS_OFFLINE;
}

struct tags {
    struct cb_buf *out;
    int64_t since_ms;
    unsigned n;
    int rc;
};

static bool take_tag(void *user, const struct cb_erasure *erasure) {
    struct tags *tags = user;
    if (erasure->at_ms > tags->since_ms) {
        tags->rc = cb_buf_append(tags->out, erasure->tag, CB_VISITOR_BYTES);
        tags->n++;
    }
    return tags->rc == 0 && tags->n < CB_ASK_ERASURES_MAX;
}

/* Who was erased of late: ingest refuses what comes of them. The fold does, too, by journal time;
 * here it is the clock of now, which is about the same. */
static int append_tags(struct cb_answers *answers, struct cb_snapshot *snapshot, uint32_t site,
                       struct span *span) {
    struct tags tags = {.out = &answers->values,
                        .since_ms = cb_clock_wall_ms() - CB_ERASED_DAYS * INT64_C(86400000)};
    size_t from = answers->values.len;
    if (cb_snapshot_erased_since(snapshot, tags.since_ms)) {
        cb_snapshot_erasures(snapshot, site, take_tag, &tags);
    }
    *span = (struct span){from, answers->values.len - from};
    return tags.rc;
}

static int append_span(struct cb_answers *answers, struct cb_str text, struct span *span) {
    *span = (struct span){answers->values.len, text.len};
    return text.len > 0 ? cb_buf_append_str(&answers->values, text) : 0;
}

/* SITE and LEASE. Origins and the page's settings go into the first two spans. */
static int read_site(struct cb_answers *answers, const struct cb_ask *ask,
                     struct span spans[CB_FIELD_COUNT], struct cb_answer *reply) {
    struct cb_snapshot *snapshot;
    int rc = cb_snapshot_begin(answers->reader, &snapshot);
    if (rc != 0) {
        return rc;
    }
    struct cb_site site;
    struct cb_settings settings;
    rc = cb_snapshot_site(snapshot, ask->site, &site);
    if (rc == 0 && ask->kind == CB_ASK_LEASE) {
        rc = put_lease(answers, site.id);
    } else if (rc == 0) {
        rc = cb_snapshot_settings(snapshot, site.id, &settings, NULL);
        if (rc == 0) {
            rc = append_span(answers, settings.origins, &spans[0]);
        }
        if (rc == 0 && settings.page.len > 2) { /* {}: none */
            rc = append_span(answers, settings.page, &spans[1]);
        }
        if (rc == 0) {
            rc = append_tags(answers, snapshot, site.id, &spans[2]);
        }
    }
    if (rc == 0) {
        reply->found = true;
        reply->status = status_of(answers, &site);
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
        case CB_ASK_LEASE:
            rc = read_site(answers, ask, spans[i], reply);
            break;
        case CB_ASK_FIELDS:
            rc = read_fields(answers, ask, spans[i], &reply->found, &reply->erased);
            break;
        }
        reply->later = rc != 0; /* the disk's errors were logged where they arose */
    }
    for (uint32_t i = 0; i < n; i++) {
        struct cb_answer *reply = &answers->replies[i];
        for (unsigned field = 0; field < CB_FIELD_COUNT; field++) {
            struct span span = spans[i][field];
            reply->fields[field] =
                (struct cb_str){span.len > 0 ? answers->values.data + span.from : "", span.len};
        }
        if (reply->kind == CB_ASK_SITE && reply->found) {
            reply->origins = reply->fields[0];
            reply->page = reply->fields[1];
            reply->erasures = reply->fields[2];
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
    if (cb_thread_start(&answers->thread, "answers", run, answers) != 0) {
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
