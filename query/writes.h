/* SPDX-License-Identifier: MIT
 * writes.h: what people write, on its way to the store: a control frame, whose ack says that the
 * journal has it and the views hold it, or a lease, which is an ask.
 *
 * One per query thread, on its event base; every call comes from that thread. Where the store is
 * away a write ends as expired after the deadline; reads go on without it. Bounded by the uplink's
 * credits: 64 under way. */
#ifndef CB_QUERY_WRITES_H
#define CB_QUERY_WRITES_H

#include "proto/control.h"
#include "proto/uplink.h"
#include "query/report.h"

struct cb_route;

/* One write under way; heap. Its strings are those of req, which lives until it is answered. */
struct cb_write {
    struct cb_http_req *req;
    const struct cb_route *route;
    cb_report_fn *after;
    struct cb_token token;
    struct cb_str site_name, visitor, id;
    bool lease;
    unsigned lease_status;
    char secret[CB_SECRET_BYTES];
    struct cb_write *next, **link; /* of the list of those under way */
};

struct cb_writes;
/* Called from the event loop, once for each write that was sent; write is freed behind it. */
typedef void cb_writes_done_fn(void *user, struct cb_write *write, enum cb_uplink_result result);

/* url NULL: there is no way to the store, every write is refused. Errors: those of
 * cb_uplink_create. */
CB_MUST_USE int cb_writes_create(struct event_base *base, const struct cb_link_url *url,
                                 unsigned expire_ms, cb_writes_done_fn *done, void *user,
                                 struct cb_writes **out);
/* Those under way get no further call; their requests must be gone. */
void cb_writes_destroy(struct cb_writes **writes);

/* Sends control (or renews write's site's lease, where write->lease); takes write. Errors:
 * CB_EAGAIN (too much under way, or no way to the store), CB_ENOMEM, CB_ETOOBIG: write is still the
 * caller's. */
CB_MUST_USE int cb_writes_send(struct cb_writes *writes, const struct cb_control *control,
                               struct cb_write *write);
/* Frees a write that was not taken. */
void cb_write_destroy(struct cb_write **write);

#endif
