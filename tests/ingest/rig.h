/* SPDX-License-Identifier: MIT
 * rig.h: a store that keeps nothing but what it is asked to remember, and an HTTP client that waits
 * for whole answers. For tests that drive the ingest module through its port.
 *
 * The store runs in a thread of its own; the test steers it by the flags and looks at what came
 * under its lock. */
#ifndef CB_TESTS_INGEST_RIG_H
#define CB_TESTS_INGEST_RIG_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/ack.h"
#include "proto/ask.h"
#include "proto/frame.h"
#include "proto/link.h"

enum { RIG_KEPT_MAX = 20000, RIG_UNACKED_MAX = 4096, RIG_WAIT_MS = 20000, RIG_ANSWER_MAX = 65536 };

/* An event or a refusal that came in a frame. */
struct rig_item {
    bool refused;
    char site[CB_SITE_MAX + 1], name[CB_NAME_MAX + 1], page[256], key[16], value[64], props[256];
    char referrer[64], language[4], country[3];
    bool has_visitor, bot, has_seq;
    uint8_t visitor[CB_VISITOR_BYTES], producer[CB_PRODUCER_BYTES];
    uint64_t seq, n;
    int64_t age_ms, received_ms;
    unsigned device, browser, refusal;
};

struct rig_store {
    struct cb_link_store *link;
    struct cb_link_url url;
    pthread_t thread;
    atomic_bool stop, acking, answering, accepting;
    atomic_uint frames, malformed, asks;
    const char *_Atomic pages[4]; /* of the sites shop0 to shop3: what pages get */
    pthread_mutex_t lock;
    unsigned n_items;
    struct rig_item *items;
    struct {
        uint64_t sender, number;
    } unacked[RIG_UNACKED_MAX];
    unsigned n_unacked;
};

/* ---- the store ---- */

static inline void rig_copy(char *out, size_t bytes, struct cb_str s) {
    snprintf(out, bytes, "%.*s", (int)s.len, s.len ? s.p : "");
}

static inline struct rig_item *rig_item(struct rig_store *s) {
    if (s->n_items == RIG_KEPT_MAX)
        abort();
    struct rig_item *item = &s->items[s->n_items++];
    memset(item, 0, sizeof *item);
    return item;
}

static inline void rig_keep(struct rig_store *s, const struct cb_frame *frame) {
    static struct cb_frame_walk walk;
    struct cb_envelope envelope;
    struct cb_reject reject;
    struct cb_event event;
    enum cb_frame_item what;
    cb_frame_walk_init(&walk, frame);
    while ((what = cb_frame_walk_next(&walk, &envelope, &reject)) != CB_ITEM_END) {
        if (what == CB_ITEM_REJECT) {
            struct rig_item *item = rig_item(s);
            item->refused = true;
            rig_copy(item->site, sizeof item->site, reject.site);
            memcpy(item->producer, reject.producer, sizeof item->producer);
            item->refusal = reject.refusal;
            item->n = reject.n;
            item->has_seq = reject.has_seq;
            item->seq = reject.has_seq ? reject.seq : 0;
            continue;
        }
        while (cb_frame_walk_event(&walk, &event)) {
            struct rig_item *item = rig_item(s);
            struct cb_buf json;
            rig_copy(item->site, sizeof item->site, envelope.site);
            rig_copy(item->name, sizeof item->name, event.name);
            rig_copy(item->page, sizeof item->page, event.page);
            rig_copy(item->key, sizeof item->key, event.key);
            rig_copy(item->value, sizeof item->value, event.value);
            rig_copy(item->referrer, sizeof item->referrer, event.referrer);
            rig_copy(item->language, sizeof item->language, cb_str_of(envelope.language));
            rig_copy(item->country, sizeof item->country, cb_str_of(envelope.country));
            cb_buf_init(&json, 1 << 20);
            if (cb_props_json(&json, event.props))
                abort();
            rig_copy(item->props, sizeof item->props, (struct cb_str){json.data, json.len});
            cb_buf_fini(&json);
            item->has_visitor = envelope.has_visitor;
            memcpy(item->visitor, envelope.visitor, sizeof item->visitor);
            memcpy(item->producer, envelope.producer, sizeof item->producer);
            item->bot = envelope.bot;
            item->device = envelope.device;
            item->browser = envelope.browser;
            item->received_ms = envelope.received_ms;
            item->age_ms = event.age_ms;
            item->seq = event.seq;
            item->n = 1;
        }
    }
}

static inline void rig_ack(struct rig_store *s, uint64_t sender, uint64_t number) {
    struct cb_ack *ack = calloc(1, sizeof *ack);
    struct cb_buf out;
    if (!ack)
        abort();
    ack->sender = sender;
    ack->n_frames = 1;
    ack->frames[0].number = number;
    ack->frames[0].status = CB_ACK_OK;
    ack->frames[0].position = 1;
    cb_buf_init(&out, 65536);
    if (cb_ack_encode(ack, &out))
        abort();
    (void)cb_link_send_ack(s->link, out.data, out.len); /* a lost ack costs a resend */
    cb_buf_fini(&out);
    free(ack);
}

static inline void rig_frame(struct rig_store *s, struct cb_link_message *message) {
    static struct cb_frame frame;
    pthread_mutex_lock(&s->lock);
    if (cb_frame_decode(message->data, message->len, &frame)) {
        atomic_fetch_add(&s->malformed, 1);
    } else {
        rig_keep(s, &frame);
        if (s->n_unacked == RIG_UNACKED_MAX)
            abort();
        s->unacked[s->n_unacked].sender = frame.sender;
        s->unacked[s->n_unacked++].number = frame.number;
        atomic_fetch_add(&s->frames, 1);
    }
    pthread_mutex_unlock(&s->lock);
    cb_link_message_free(message);
}

/* Sites demo (online), other and shop0 to shop3 (offline) exist. Of each visitor the name is Ann.
 */
static inline void rig_answer(struct rig_store *s, struct cb_link_message *message) {
    static struct cb_ask asks[CB_ASKS_MAX];
    static struct cb_answer answers[CB_ASKS_MAX];
    struct cb_buf out;
    uint32_t n = 0;
    if (cb_ask_decode(message->data, message->len, asks, &n))
        abort();
    memset(answers, 0, sizeof answers);
    atomic_fetch_add(&s->asks, n);
    for (uint32_t i = 0; i < n; i++) {
        struct cb_str site = asks[i].site;
        bool demo = cb_str_is(site, "demo"), shop = false;
        if (site.len == 5 && memcmp(site.p, "shop", 4) == 0 && site.p[4] >= '0' &&
            site.p[4] < '4') {
            const char *page = atomic_load(&s->pages[site.p[4] - '0']);
            answers[i].page = cb_str_of(page ? page : "{}");
            shop = true;
        }
        answers[i].kind = asks[i].kind;
        answers[i].accepting = atomic_load(&s->accepting);
        answers[i].found = asks[i].kind == CB_ASK_HELLO || demo || shop || cb_str_is(site, "other");
        answers[i].status = demo ? CB_STATUS_ONLINE : CB_STATUS_OFFLINE;
        if (asks[i].kind == CB_ASK_FIELDS)
            answers[i].fields[CB_FIELD_NAME] = CB_STR("Ann");
    }
    cb_buf_init(&out, CB_ASK_MESSAGE_MAX);
    if (cb_answer_encode(answers, n, &out))
        abort();
    (void)cb_link_send_answer(s->link, message, out.data, out.len);
    cb_buf_fini(&out);
}

static inline void *rig_run(void *arg) {
    struct rig_store *s = arg;
    while (!atomic_load(&s->stop)) {
        struct cb_link_message message;
        struct pollfd fds[] = {{cb_link_frames_fd(s->link), POLLIN, 0},
                               {cb_link_asks_fd(s->link), POLLIN, 0}};
        poll(fds, 2, 5);
        while (cb_link_recv_frame(s->link, &message) == 0)
            rig_frame(s, &message);
        if (atomic_load(&s->acking)) {
            for (unsigned i = 0; i < s->n_unacked; i++)
                rig_ack(s, s->unacked[i].sender, s->unacked[i].number);
            s->n_unacked = 0;
        }
        if (atomic_load(&s->answering))
            while (cb_link_recv_ask(s->link, &message) == 0)
                rig_answer(s, &message);
    }
    return NULL;
}

static inline int rig_store_start(struct rig_store *s, const char *url) {
    memset(s, 0, sizeof *s);
    s->items = calloc(RIG_KEPT_MAX, sizeof *s->items);
    pthread_mutex_init(&s->lock, NULL);
    atomic_store(&s->acking, true);
    atomic_store(&s->answering, true);
    atomic_store(&s->accepting, true);
    if (!s->items || cb_link_url_parse(url, &s->url) || cb_link_store_create(&s->url, &s->link))
        return -1;
    return pthread_create(&s->thread, NULL, rig_run, s);
}

static inline void rig_store_stop(struct rig_store *s) {
    atomic_store(&s->stop, true);
    pthread_join(s->thread, NULL);
    cb_link_store_destroy(&s->link);
    pthread_mutex_destroy(&s->lock);
    free(s->items);
}

static inline int64_t rig_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until n items came in all; false past the deadline. */
static inline bool rig_wait_items(struct rig_store *s, unsigned n) {
    int64_t deadline_ms = rig_now_ms() + RIG_WAIT_MS;
    unsigned got;
    do {
        pthread_mutex_lock(&s->lock);
        got = s->n_items;
        pthread_mutex_unlock(&s->lock);
        if (got < n)
            poll(NULL, 0, 1);
    } while (got < n && rig_now_ms() < deadline_ms);
    return got >= n;
}

/* ---- the client ---- */

struct rig_answer {
    int status;
    char text[RIG_ANSWER_MAX]; /* the whole head, NUL-terminated */
    char *body;                /* in text, NUL-terminated */
    size_t len;                /* of the body */
};

static inline int rig_connect(const char *address) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct timeval wait = {RIG_WAIT_MS / 1000, 0};
    const char *colon = strrchr(address, ':');
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !colon)
        abort();
    to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (connect(fd, (struct sockaddr *)&to, sizeof to))
        abort();
    return fd;
}

static inline void rig_send(int fd, const void *data, size_t len) {
    const char *p = data;
    while (len) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n <= 0)
            abort();
        p += n;
        len -= (size_t)n;
    }
}

/* Sends a request with a body; headers are whole lines, or "". */
static inline void rig_request(int fd, const char *method, const char *target, const char *headers,
                               const void *body, size_t len) {
    char head[16384];
    int n =
        snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: t\r\n%sContent-Length: %zu\r\n\r\n",
                 method, target, headers, len);
    if (n < 0 || (size_t)n >= sizeof head)
        abort();
    rig_send(fd, head, (size_t)n);
    rig_send(fd, body, len);
}

/* Reads one answer; status 0 when the connection ended or nothing came in time. head: to HEAD. */
static inline void rig_read(int fd, bool head, struct rig_answer *a) {
    size_t got = 0, need = 0;
    memset(a, 0, sizeof *a);
    a->body = a->text;
    while (!need || got < need) {
        ssize_t n = recv(fd, a->text + got, need ? need - got : 1, 0);
        if (n <= 0 || got + (size_t)n >= sizeof a->text - 1)
            return;
        got += (size_t)n;
        if (need || got < 4 || memcmp(a->text + got - 4, "\r\n\r\n", 4) != 0)
            continue;
        const char *length = strcasestr(a->text, "\r\ncontent-length:");
        a->len = length && !head ? strtoul(length + 17, NULL, 10) : 0;
        need = got + a->len;
        a->text[got - 1] = '\0'; /* the head ends here */
        a->body = a->text + got;
    }
    a->status = (int)strtol(a->text + 9, NULL, 10);
}

/* True when an answer, or the connection's end, can be read now. */
static inline bool rig_readable(int fd) {
    struct pollfd poller = {fd, POLLIN, 0};
    return poll(&poller, 1, 0) > 0;
}

/* A request on a connection of its own. */
static inline void rig_call(const char *address, const char *method, const char *target,
                            const char *headers, const void *body, size_t len,
                            struct rig_answer *a) {
    int fd = rig_connect(address);
    rig_request(fd, method, target, headers, body, len);
    rig_read(fd, strcmp(method, "HEAD") == 0, a);
    close(fd);
}

#endif
