/* SPDX-License-Identifier: MIT
 * link.h: the one file that knows nanomsg: the three channels between a sender (ingest, query) and
 * the store.
 *
 *   frames  PUSH → PULL     acks  SUB ← PUB     asks  raw REQ → raw REP (many outstanding, answers
 * in any order)
 *
 * Control frames have a PULL of their own, which only query uses and which is never tcp.
 *
 * nn_send() promises nothing: a frame is safe only when its ack came (uplink.h sends again). All
 * sends and receives are non-blocking. A socket belongs to one thread at a time. Descriptors are
 * level-triggered and only ever polled for reading, never read (nn_getsockopt(3), NN_RCVFD). A
 * malformed IPC header aborts a receiving libnanomsg: ipc folders are made 0700, and tcp belongs on
 * a trusted network only. */
#ifndef CB_PROTO_LINK_H
#define CB_PROTO_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"

enum { CB_LINK_URL_MAX = 108 };

/* The addresses of the three channels. */
struct cb_link_url {
    char frames[CB_LINK_URL_MAX];
    char acks[CB_LINK_URL_MAX];
    char asks[CB_LINK_URL_MAX];
};

/* Reads inproc://NAME, ipc:///FOLDER (also ipc://RELATIVE; three sockets in that folder) or
 * tcp://HOST:PORT (PORT, PORT+1, PORT+2). Errors: CB_EINVAL (also when a path is over the limit of
 * a socket's address). */
CB_MUST_USE int cb_link_url_parse(const char *url, struct cb_link_url *out);

/* The same for a sender of control frames, and for where they are taken: inproc://NAME or
 * ipc:///FOLDER, in which `control` stands beside the three. Its acks and asks are the ones above.
 * Never tcp: who reaches this socket can mint a token. Errors: as above, CB_EINVAL for tcp too. */
CB_MUST_USE int cb_link_url_control(const char *url, struct cb_link_url *out);

/* A received message: nanomsg's memory, handed over. */
struct cb_link_message {
    void *data;
    size_t len;
    void *header; /* asks only: the way back, opaque */
    size_t header_len;
};
/* Frees what a receive handed over; a zeroed message is fine. */
void cb_link_message_free(struct cb_link_message *message);

/* ---- the store's end ---- */
struct cb_link_store;
/* Binds the channels. An ipc folder is made, 0700, if it is not there (its parent must be), and is
 * refused unless it is ours and closed to others; old sockets in it are removed. Errors: CB_EBUSY
 * (address in use), CB_EINVAL (a host without an address), CB_ESYS, CB_ENOMEM; the log says which
 * address and why. */
CB_MUST_USE int cb_link_store_create(const struct cb_link_url *url, struct cb_link_store **out);
/* Binds the socket of control frames of an address of cb_link_url_control, and its acks and asks
 * where they are not bound already; may be called for several addresses, before the store's
 * threads run. Errors: as above. */
CB_MUST_USE int cb_link_store_open_control(struct cb_link_store *store,
                                           const struct cb_link_url *control);
void cb_link_store_destroy(struct cb_link_store **store);
/* Descriptors to poll for reading. */
int cb_link_frames_fd(struct cb_link_store *store);
int cb_link_asks_fd(struct cb_link_store *store);
/* Receives a frame. Thread: the journal's. Errors: CB_EAGAIN when there is none, CB_ECLOSED. */
CB_MUST_USE int cb_link_recv_frame(struct cb_link_store *store, struct cb_link_message *out);
/* The same for control frames; -1 and CB_EAGAIN where that socket was not opened. */
int cb_link_control_fd(struct cb_link_store *store);
CB_MUST_USE int cb_link_recv_control(struct cb_link_store *store, struct cb_link_message *out);
/* Publishes an ack. Thread: the journal's. A lost ack costs a resend, nothing else. Errors:
 * CB_EAGAIN, CB_ECLOSED, CB_ETOOBIG, CB_ENOMEM. */
int cb_link_send_ack(struct cb_link_store *store, const void *data, size_t len);
/* Receives asks with their way back. Thread: the answers'. Errors: CB_EAGAIN, CB_ECLOSED. */
CB_MUST_USE int cb_link_recv_ask(struct cb_link_store *store, struct cb_link_message *out);
/* Answers asks; takes ask (its header is used, then all of it freed, also on error). nanomsg drops
 * answers to an asker that does not keep up, silently: the asker asks again. Errors: CB_EAGAIN,
 * CB_ECLOSED, CB_ETOOBIG, CB_ENOMEM. */
int cb_link_send_answer(struct cb_link_store *store, struct cb_link_message *ask, const void *data,
                        size_t len);

/* ---- a sender's end ---- */
struct cb_link_sender;
/* Connects the channels; topic is what acks to this sender begin with. The store need not be there
 * yet, and may come and go. Errors: CB_EINVAL (no such host can be), CB_ESYS, CB_ENOMEM. */
CB_MUST_USE int cb_link_sender_create(const struct cb_link_url *url, const void *topic,
                                      size_t topic_len, struct cb_link_sender **out);
void cb_link_sender_destroy(struct cb_link_sender **sender);
/* Replaces connections that broke. nanomsg (1.1.5, and 1.2.1) reconnects by itself, but keeps what
 * it had read ahead of the lost connection and takes it for the new one's greeting, so that each
 * attempt fails until those up to 2 KB are used up, 8 bytes at a time: minutes. To be called while
 * acks or answers are overdue; costs nothing when nothing broke. */
void cb_link_sender_tend(struct cb_link_sender *sender);
int cb_link_acks_fd(struct cb_link_sender *sender);
int cb_link_answers_fd(struct cb_link_sender *sender);
/* Descriptors that are readable while the channel takes a frame, or asks: what to wait for after
 * CB_EAGAIN. Level-triggered too, and never read. */
int cb_link_frames_room_fd(struct cb_link_sender *sender);
int cb_link_asks_room_fd(struct cb_link_sender *sender);
/* Sends a copy of data. Errors: CB_EAGAIN when the channel takes nothing now (no peer, or full),
 * CB_ETOOBIG, CB_ENOMEM, CB_ECLOSED. */
CB_MUST_USE int cb_link_send_frame(struct cb_link_sender *sender, const void *data, size_t len);
CB_MUST_USE int cb_link_recv_ack(struct cb_link_sender *sender, struct cb_link_message *out);
/* Sends asks under an id of the caller's (31 bits), which the answer carries back. Errors as
 * above. */
CB_MUST_USE int cb_link_send_ask(struct cb_link_sender *sender, uint32_t id, const void *data,
                                 size_t len);
/* Errors: CB_EAGAIN when there is none, CB_EMALFORMED (an answer without an id was thrown away;
 * there may be more), CB_ECLOSED. */
CB_MUST_USE int cb_link_recv_answer(struct cb_link_sender *sender, uint32_t *id,
                                    struct cb_link_message *out);

#endif
