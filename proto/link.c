/* SPDX-License-Identifier: MIT
 * link.c: the channels on nanomsg 1.1. Nothing here blocks, and nothing here is a promise: what was
 * sent may be gone. All messages are nanomsg's memory (NN_MSG), so that none is copied twice. */
#include "proto/link.h"

#include <assert.h>
#include <errno.h>
#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>
#include <nanomsg/pubsub.h>
#include <nanomsg/reqrep.h>
#include <nanomsg/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ack.h"
#include "proto/ask.h"
#include "proto/frame.h"
#include "proto/link_address.h"
#include "proto/log.h"

enum {
    /* Bytes. Over tcp and ipc these are the kernel's buffers (which has a cap of its own), over
     * inproc NN_RCVBUF is the receiver's queue. A store's queue holds many frames of a sender
     * (bounded by its credits in any case); answers may come in a burst, and what does not fit is
     * dropped by a raw REP, so the asking side has the larger buffer. */
    FRAME_BUFFER = 8 * 1024 * 1024,
    ASK_BUFFER = 2 * CB_ASK_MESSAGE_MAX,
    ACK_BUFFER = 1024 * 1024,
    ACK_MAX = 64 * 1024,

    /* The asks' header (a number for each hop, at most 8) counts towards NN_RCVMAXSIZE. */
    HOPS_BYTES = 9 * 4,

    RECONNECT_MS = 50,
    RECONNECT_MAX_MS = 500,

    NO_SOCKET = -1,
    CONTROLS_MAX = 2, /* addresses of control frames: inproc and ipc */
};

static const uint32_t ID_MARK = UINT32_C(1) << 31; /* the end of the way back (RFC SP reqrep) */

struct cb_link_store {
    int frames, control, acks, asks;
    struct cb_link_url urls[1 + CONTROLS_MAX]; /* bound, the first by create */
    unsigned n_urls;
};

/* A connection that receives; see cb_link_sender_tend. */
struct tended {
    const char *url;
    int endpoint;
    uint64_t broken; /* connections lost so far, of those that were dealt with */
};

struct cb_link_sender {
    int frames, acks, asks;
    struct cb_link_url url;
    struct tended tended_acks, tended_asks;
};

static int translate(int error) {
    switch (error) {
    case EAGAIN:
    case EINTR:
    case ETIMEDOUT:
        return CB_EAGAIN;
    case EBADF:
    case ENOTSOCK:
    case ETERM:
        return CB_ECLOSED;
    case EADDRINUSE:
        return CB_EBUSY;
    case ENOMEM:
        return CB_ENOMEM;
    case EMSGSIZE:
        return CB_ETOOBIG;
    case EINVAL:
    case ENAMETOOLONG:
    case ENODEV:
        return CB_EINVAL;
    default:
        return CB_ESYS;
    }
}

/* ---- sockets ---- */

struct channel {
    int domain, protocol;
    int send_bytes, receive_bytes; /* buffers; 0 where it does not send or receive */
    int max_bytes;                 /* the largest message that is received */
};

static const struct channel STORE_FRAMES = {AF_SP, NN_PULL, 0, FRAME_BUFFER, CB_FRAME_MAX};
static const struct channel STORE_ACKS = {AF_SP, NN_PUB, ACK_BUFFER, 0, 0};
static const struct channel STORE_ASKS = {AF_SP_RAW, NN_REP, ASK_BUFFER, ASK_BUFFER,
                                          CB_ASK_MESSAGE_MAX + HOPS_BYTES};
static const struct channel SENDER_FRAMES = {AF_SP, NN_PUSH, FRAME_BUFFER, 0, 0};
static const struct channel SENDER_ACKS = {AF_SP, NN_SUB, 0, ACK_BUFFER, ACK_MAX};
static const struct channel SENDER_ASKS = {AF_SP_RAW, NN_REQ, ASK_BUFFER, ASK_BUFFER,
                                           CB_ASK_MESSAGE_MAX + HOPS_BYTES};

static int set_option(int s, int option, int value) {
    return nn_setsockopt(s, NN_SOL_SOCKET, option, &value, sizeof(value)) == 0
               ? 0
               : translate(nn_errno());
}

static void close_socket(int *s) {
    /* nn_close is to be called again after a signal, or the socket stays. */
    while (*s != NO_SOCKET && nn_close(*s) != 0 && nn_errno() == EINTR) {
    }
    *s = NO_SOCKET;
}

static int open_socket(const struct channel *channel, const char *url, int *out) {
    int s = nn_socket(channel->domain, channel->protocol);
    if (s < 0) {
        return translate(nn_errno());
    }
    int rc = 0;
    if (channel->send_bytes) {
        rc = set_option(s, NN_SNDBUF, channel->send_bytes);
    }
    if (!rc && channel->receive_bytes) {
        rc = set_option(s, NN_RCVBUF, channel->receive_bytes);
    }
    if (!rc && channel->max_bytes) {
        rc = set_option(s, NN_RCVMAXSIZE, channel->max_bytes);
    }
    if (!rc) {
        rc = set_option(s, NN_RECONNECT_IVL, RECONNECT_MS);
    }
    if (!rc) {
        rc = set_option(s, NN_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    }
    /* Else a small frame waits for the TCP acknowledgement of the one before: 40 ms. */
    int on = 1;
    if (!rc && nn_setsockopt(s, NN_TCP, NN_TCP_NODELAY, &on, sizeof(on)) != 0) {
        rc = translate(nn_errno());
    }
    if (!rc && cb_link_address_is_ipv6(url)) {
        rc = set_option(s, NN_IPV4ONLY, 0);
    }
    if (rc) {
        close_socket(&s);
        return rc;
    }
    *out = s;
    return 0;
}

static int bind_socket(int s, const char *url) {
    char address[CB_LINK_URL_MAX];
    int rc = cb_link_address_prepare(url, address);
    if (rc == 0 && nn_bind(s, address) < 0) {
        int error = nn_errno();
        char quoted[120];
        cb_log(CB_LOG_ERROR, "link_bind_failed", "address=%s reason=%s", url,
               cb_log_quote(nn_strerror(error), quoted, sizeof(quoted)));
        rc = translate(error);
    }
    return rc;
}

static int open_bound(const struct channel *channel, const char *url, int *out) {
    int s;
    int rc = open_socket(channel, url, &s);
    if (rc) {
        return rc;
    }
    rc = bind_socket(s, url);
    if (rc) {
        close_socket(&s);
        return rc;
    }
    *out = s;
    return 0;
}

static int open_connected(const struct channel *channel, const char *url, const void *topic,
                          size_t topic_len, int *out, int *endpoint) {
    int s;
    int rc = open_socket(channel, url, &s);
    if (rc) {
        return rc;
    }
    /* Before connecting: what comes earlier than the subscription is dropped. */
    if (channel->protocol == NN_SUB &&
        nn_setsockopt(s, NN_SUB, NN_SUB_SUBSCRIBE, topic, topic_len) != 0) {
        rc = translate(nn_errno());
    } else if ((*endpoint = nn_connect(s, url)) < 0) {
        rc = translate(nn_errno());
    }
    if (rc) {
        close_socket(&s);
        return rc;
    }
    *out = s;
    return 0;
}

/* The option is NN_RCVFD or NN_SNDFD. -1 when there is none. */
static int descriptor(int s, int option) {
    int fd = -1;
    size_t len = sizeof(fd);
    return nn_getsockopt(s, NN_SOL_SOCKET, option, &fd, &len) == 0 ? fd : -1;
}

/* ---- messages ---- */

void cb_link_message_free(struct cb_link_message *message) {
    if (message->data) {
        nn_freemsg(message->data);
    }
    if (message->header) {
        nn_freemsg(message->header);
    }
    memset(message, 0, sizeof(*message));
}

static int send_copy(int s, const void *data, size_t len, const void *control, size_t control_len) {
    void *copy = nn_allocmsg(len, 0);
    if (!copy) {
        return CB_ENOMEM;
    }
    if (len) {
        memcpy(copy, data, len);
    }
    struct nn_iovec iov = {&copy, NN_MSG};
    /* msg_control is only read from. It is given as bytes, not as NN_MSG: of an NN_MSG header
     * nobody can tell after a failed send whether it is still ours. */
    struct nn_msghdr header = {&iov, 1, (void *)(uintptr_t)control, control_len};
    if (nn_sendmsg(s, &header, NN_DONTWAIT) < 0) {
        int rc = translate(nn_errno());
        nn_freemsg(copy); /* after a failed send the message is still ours */
        return rc;
    }
    return 0;
}

static int receive(int s, struct cb_link_message *out) {
    void *data = NULL;
    int n = nn_recv(s, &data, NN_MSG, NN_DONTWAIT);
    if (n < 0) {
        return translate(nn_errno());
    }
    *out = (struct cb_link_message){.data = data, .len = (size_t)n};
    return 0;
}

/* Also hands over the first control message, the SP header: that of raw sockets. */
static int receive_with_header(int s, struct cb_link_message *out) {
    void *data = NULL, *control = NULL;
    struct nn_iovec iov = {&data, NN_MSG};
    struct nn_msghdr header = {&iov, 1, &control, NN_MSG};
    int n = nn_recvmsg(s, &header, NN_DONTWAIT);
    if (n < 0) {
        return translate(nn_errno());
    }
    *out = (struct cb_link_message){.data = data, .len = (size_t)n, .header = control};
    const struct nn_cmsghdr *cmsg = control ? NN_CMSG_FIRSTHDR(&header) : NULL;
    if (cmsg && cmsg->cmsg_level == PROTO_SP && cmsg->cmsg_type == SP_HDR) {
        out->header_len = cmsg->cmsg_len;
    }
    return 0;
}

/* An SP header in the form of nanomsg's ancillary data: a cmsghdr, the header's length, its bytes.
 */
struct id_header {
    struct nn_cmsghdr cmsg;
    size_t len;
    uint8_t id[4];
    uint8_t padding[sizeof(size_t) - 4];
};

_Static_assert(sizeof(struct id_header) == NN_CMSG_SPACE(sizeof(size_t) + 4),
               "laid out as nn_cmsg(3) says");

static bool read_id(const struct cb_link_message *message, uint32_t *id) {
    struct id_header header;
    if (message->header_len < offsetof(struct id_header, padding)) {
        return false;
    }
    memcpy(&header, message->header, offsetof(struct id_header, padding));
    if (header.len != sizeof(header.id)) {
        return false;
    }
    uint32_t word = (uint32_t)header.id[0] << 24 | (uint32_t)header.id[1] << 16 |
                    (uint32_t)header.id[2] << 8 | header.id[3];
    *id = word & ~ID_MARK;
    return (word & ID_MARK) != 0;
}

/* ---- the store's end ---- */

int cb_link_store_create(const struct cb_link_url *url, struct cb_link_store **out) {
    struct cb_link_store *store = malloc(sizeof(*store));
    if (!store) {
        return CB_ENOMEM;
    }
    *store = (struct cb_link_store){NO_SOCKET, NO_SOCKET,      NO_SOCKET,
                                    NO_SOCKET, .urls = {*url}, .n_urls = 1};
    int rc = open_bound(&STORE_FRAMES, url->frames, &store->frames);
    if (!rc) {
        rc = open_bound(&STORE_ACKS, url->acks, &store->acks);
    }
    if (!rc) {
        rc = open_bound(&STORE_ASKS, url->asks, &store->asks);
    }
    if (rc) {
        cb_link_store_destroy(&store);
        return rc;
    }
    *out = store;
    return 0;
}

int cb_link_store_open_control(struct cb_link_store *store, const struct cb_link_url *control) {
    bool acks = false, asks = false;
    for (unsigned i = 0; i < store->n_urls; i++) {
        acks |= strcmp(store->urls[i].acks, control->acks) == 0;
        asks |= strcmp(store->urls[i].asks, control->asks) == 0;
    }
    if (store->n_urls > CONTROLS_MAX) {
        return CB_EFULL;
    }
    int rc = store->control == NO_SOCKET
                 ? open_bound(&STORE_FRAMES, control->frames, &store->control)
                 : bind_socket(store->control, control->frames);
    if (!rc && !acks) {
        rc = bind_socket(store->acks, control->acks);
    }
    if (!rc && !asks) {
        rc = bind_socket(store->asks, control->asks);
    }
    if (!rc) {
        store->urls[store->n_urls++] = *control;
    }
    return rc;
}

void cb_link_store_destroy(struct cb_link_store **store) {
    if (!*store) {
        return;
    }
    close_socket(&(*store)->frames);
    close_socket(&(*store)->control);
    close_socket(&(*store)->acks);
    close_socket(&(*store)->asks);
    free(*store);
    *store = NULL;
}

int cb_link_frames_fd(struct cb_link_store *store) {
    return descriptor(store->frames, NN_RCVFD);
}

int cb_link_asks_fd(struct cb_link_store *store) {
    return descriptor(store->asks, NN_RCVFD);
}

int cb_link_recv_frame(struct cb_link_store *store, struct cb_link_message *out) {
    return receive(store->frames, out);
}

int cb_link_control_fd(struct cb_link_store *store) {
    return store->control == NO_SOCKET ? -1 : descriptor(store->control, NN_RCVFD);
}

int cb_link_recv_control(struct cb_link_store *store, struct cb_link_message *out) {
    return store->control == NO_SOCKET ? CB_EAGAIN : receive(store->control, out);
}

int cb_link_send_ack(struct cb_link_store *store, const void *data, size_t len) {
    return len <= ACK_MAX ? send_copy(store->acks, data, len, NULL, 0) : CB_ETOOBIG;
}

int cb_link_recv_ask(struct cb_link_store *store, struct cb_link_message *out) {
    return receive_with_header(store->asks, out);
}

int cb_link_send_answer(struct cb_link_store *store, struct cb_link_message *ask, const void *data,
                        size_t len) {
    int rc = CB_ETOOBIG;
    if (len <= CB_ASK_MESSAGE_MAX) {
        rc = send_copy(store->asks, data, len, ask->header, ask->header_len);
    }
    cb_link_message_free(ask);
    return rc;
}

/* ---- a sender's end ---- */

int cb_link_sender_create(const struct cb_link_url *url, const void *topic, size_t topic_len,
                          struct cb_link_sender **out) {
    struct cb_link_sender *sender = malloc(sizeof(*sender));
    if (!sender) {
        return CB_ENOMEM;
    }
    *sender = (struct cb_link_sender){NO_SOCKET, NO_SOCKET, NO_SOCKET, *url, {0}, {0}};
    sender->tended_acks.url = sender->url.acks;
    sender->tended_asks.url = sender->url.asks;
    int endpoint;
    /* Acks first, so that the way back is likely open before the first frame is on its way. */
    int rc = open_connected(&SENDER_ACKS, url->acks, topic, topic_len, &sender->acks,
                            &sender->tended_acks.endpoint);
    if (!rc) {
        rc = open_connected(&SENDER_ASKS, url->asks, NULL, 0, &sender->asks,
                            &sender->tended_asks.endpoint);
    }
    if (!rc) {
        rc = open_connected(&SENDER_FRAMES, url->frames, NULL, 0, &sender->frames, &endpoint);
    }
    if (rc) {
        cb_link_sender_destroy(&sender);
        return rc;
    }
    *out = sender;
    return 0;
}

void cb_link_sender_destroy(struct cb_link_sender **sender) {
    if (!*sender) {
        return;
    }
    close_socket(&(*sender)->frames);
    close_socket(&(*sender)->acks);
    close_socket(&(*sender)->asks);
    free(*sender);
    *sender = NULL;
}

static void tend(int s, struct tended *tended) {
    uint64_t broken = nn_get_statistic(s, NN_STAT_BROKEN_CONNECTIONS);
    if (broken == tended->broken) {
        return;
    }
    int endpoint = nn_connect(s, tended->url);
    if (endpoint < 0) {
        return; /* the old one goes on trying; so does the next call */
    }
    (void)nn_shutdown(s, tended->endpoint);
    tended->endpoint = endpoint;
    tended->broken = broken;
}

void cb_link_sender_tend(struct cb_link_sender *sender) {
    tend(sender->acks, &sender->tended_acks);
    tend(sender->asks, &sender->tended_asks);
}

int cb_link_acks_fd(struct cb_link_sender *sender) {
    return descriptor(sender->acks, NN_RCVFD);
}

int cb_link_answers_fd(struct cb_link_sender *sender) {
    return descriptor(sender->asks, NN_RCVFD);
}

int cb_link_frames_room_fd(struct cb_link_sender *sender) {
    return descriptor(sender->frames, NN_SNDFD);
}

int cb_link_asks_room_fd(struct cb_link_sender *sender) {
    return descriptor(sender->asks, NN_SNDFD);
}

int cb_link_send_frame(struct cb_link_sender *sender, const void *data, size_t len) {
    return len <= CB_FRAME_MAX ? send_copy(sender->frames, data, len, NULL, 0) : CB_ETOOBIG;
}

int cb_link_recv_ack(struct cb_link_sender *sender, struct cb_link_message *out) {
    return receive(sender->acks, out);
}

int cb_link_send_ask(struct cb_link_sender *sender, uint32_t id, const void *data, size_t len) {
    if (len > CB_ASK_MESSAGE_MAX) {
        return CB_ETOOBIG;
    }
    assert(id < ID_MARK);
    struct id_header header = {
        .cmsg = {NN_CMSG_LEN(sizeof(size_t) + 4), PROTO_SP, SP_HDR},
        .len = 4,
        .id = {(uint8_t)(id >> 24 | 0x80), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id}};
    return send_copy(sender->asks, data, len, &header, sizeof(header));
}

int cb_link_recv_answer(struct cb_link_sender *sender, uint32_t *id, struct cb_link_message *out) {
    struct cb_link_message message = {0};
    int rc = receive_with_header(sender->asks, &message);
    if (rc) {
        return rc;
    }
    if (!read_id(&message, id)) {
        cb_link_message_free(&message);
        return CB_EMALFORMED;
    }
    *out = message;
    return 0;
}
