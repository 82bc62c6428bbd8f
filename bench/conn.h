/* SPDX-License-Identifier: MIT
 * conn.h: one connection of the load generator: opens, sends a request, reads its answer. HTTP/1.1,
 * or the replies of Redis, one for each event of the request; all good is 200, else 500.
 * One request at a time. A request costs one send and one recv; the socket stays in the poll set.
 *
 * Thread: that of its pool's event base. Callbacks come from the event loop, and from within
 * cb_conn_send only `lost`. */
#ifndef CB_BENCH_CONN_H
#define CB_BENCH_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <llhttp.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "bench/plan.h"

enum { CB_CONN_READ_BYTES = 64 * 1024, CB_CONN_BODY_KEPT = 48 };

struct cb_conn;

/* What the connections of a thread share. */
struct cb_conn_pool {
    struct event_base *base;
    llhttp_settings_t settings;
    bool redis;
    unsigned addresses; /* 127.1.0.1 and on, that connections come from in turn; 0: whichever */
    void (*opened)(struct cb_conn *conn);
    void (*answered)(struct cb_conn *conn);
    void (*lost)(struct cb_conn *conn); /* it is closed now; may be opened again, later */
    void *user;
    char input[CB_CONN_READ_BYTES];
};

enum cb_conn_state { CB_CONN_CLOSED, CB_CONN_OPENING, CB_CONN_IDLE, CB_CONN_BUSY };

struct cb_conn {
    struct cb_conn_pool *pool;
    struct event read_event, write_event;
    int fd;
    uint64_t number;
    enum cb_conn_state is;
    llhttp_t parser;
    bool complete, keep_alive, writing;
    char *unsent; /* what the socket did not take */
    size_t unsent_len, unsent_at;
    unsigned replies_left; /* of Redis */
    char reply_kind;       /* what the line at hand begins with: '\0' at its beginning … */
    bool reply_text;       /* … and it is the text of a string */
    unsigned name_len, name_matched; /* of the header that is read: Retry-After so far */

    /* ---- the last answer ---- */
    int status;
    bool retry_after;
    unsigned body_len; /* kept */
    char body[CB_CONN_BODY_KEPT];
    size_t bytes_in;

    /* ---- the client's own ---- */
    struct cb_conn *next;
    unsigned lane;
    int64_t intended_us, sent_us;
    struct cb_plan_item item;
    struct cb_plan_session session;
};

/* Fills in what parses. */
void cb_conn_pool_init(struct cb_conn_pool *pool, struct event_base *base);
/* Opens it: opened or lost follows. */
void cb_conn_open(struct cb_conn *conn, const struct sockaddr *address, socklen_t address_len);
/* Sends a request; answered or lost follows. The bytes are copied where need be. */
void cb_conn_send(struct cb_conn *conn, struct cb_str request);
/* Closes it without a word; no callback. */
void cb_conn_close(struct cb_conn *conn);

#endif
