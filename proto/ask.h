/* SPDX-License-Identifier: MIT
 * ask.h: a question to the store that does not go through the journal, and its answer. See WIRE.md,
 * "Ask".
 *
 * Several asks travel in one message; the answer has as many, in the same order. Pure. Any thread.
 */
#ifndef CB_PROTO_ASK_H
#define CB_PROTO_ASK_H

#include "proto/control.h"
#include "proto/event.h"
#include "proto/pack.h"

enum {
    CB_ASK_VERSION = 1,
    CB_ASKS_MAX = 64,            /* asks of one message */
    CB_ASK_VALUE_MAX = 4000 * 4, /* bytes of a visitor's field */
    CB_ASK_MESSAGE_MAX = 4 * 1024 * 1024,
    CB_ASK_ERASURES_MAX = 256, /* tags of one answer */
};

enum cb_ask_kind {
    CB_ASK_HELLO = 1,  /* is the store ready, and of which version */
    CB_ASK_SITE = 2,   /* a site's row */
    CB_ASK_FIELDS = 3, /* a visitor's fields; what was set before the last ack is in them */
    CB_ASK_LEASE = 4, /* an operator's dashboard is there: the site's automatic status is online for
                         CB_LEASE_MS from now */
};

enum { CB_LEASE_MS = 15000, CB_LEASE_RENEW_MS = 5000 };

struct cb_ask {
    enum cb_ask_kind kind;
    struct cb_str site;                /* SITE, FIELDS, LEASE */
    uint8_t visitor[CB_VISITOR_BYTES]; /* FIELDS: the hash */
};

struct cb_answer {
    enum cb_ask_kind kind;
    bool found;                           /* SITE, FIELDS, LEASE: there is one. HELLO: ready */
    bool later;                           /* the store could not look now; ask again */
    unsigned status;                      /* SITE, LEASE: what pages are told: online or offline */
    struct cb_str origins, page;          /* SITE: of struct cb_settings */
    bool accepting;                       /* HELLO, SITE: the journal has room (readyz) */
    struct cb_str erasures;               /* SITE: tags (cb_visitor_tag) of who was erased of late,
                                             CB_VISITOR_BYTES each; of many only some */
    struct cb_str fields[CB_FIELD_COUNT]; /* FIELDS: values, empty where never set */
    bool erased;                          /* FIELDS: the visitor was; not found */
};

CB_MUST_USE int cb_ask_encode(const struct cb_ask *asks, uint32_t n, struct cb_buf *out);
/* out holds CB_ASKS_MAX. Lifetime: strings point into data. Errors: CB_EMALFORMED, CB_EVERSION. */
CB_MUST_USE int cb_ask_decode(const void *data, size_t len, struct cb_ask *out, uint32_t *n);
CB_MUST_USE int cb_answer_encode(const struct cb_answer *answers, uint32_t n, struct cb_buf *out);
CB_MUST_USE int cb_answer_decode(const void *data, size_t len, struct cb_answer *out, uint32_t *n);

#endif
