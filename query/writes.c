/* SPDX-License-Identifier: MIT */
#include "query/writes.h"

#include <sodium.h>
#include <stdlib.h>

enum { RESEND_MS = 200 };

struct cb_writes {
    struct cb_uplink *uplink; /* NULL: no way to the store */
    unsigned expire_ms;
    cb_writes_done_fn *done;
    void *user;
    struct cb_write *first;
    struct cb_buf body;
};

void cb_write_destroy(struct cb_write **write) {
    if (!*write)
        return;
    sodium_memzero(*write, sizeof **write); /* it may hold a token's text */
    free(*write);
    *write = NULL;
}

static void unlist(struct cb_write *write) {
    *write->link = write->next;
    if (write->next)
        write->next->link = write->link;
}

static void list(struct cb_writes *writes, struct cb_write *write) {
    write->next = writes->first;
    write->link = &writes->first;
    if (write->next)
        write->next->link = &write->next;
    writes->first = write;
}

static void end(struct cb_writes *writes, struct cb_write *write, enum cb_uplink_result result) {
    unlist(write);
    writes->done(writes->user, write, result);
    cb_write_destroy(&write);
}

static void on_acked(void *user, void *tag, enum cb_uplink_result result, uint64_t position) {
    (void)position; /* the ack says that the views hold it */
    end(user, tag, result);
}

static void on_answered(void *user, void *tag, const struct cb_answer *answer) {
    struct cb_write *write = tag;
    bool taken = answer && !answer->later && answer->found;
    if (taken)
        write->lease_status = answer->status;
    end(user, write, taken ? CB_UPLINK_OK : CB_UPLINK_EXPIRED);
}

int cb_writes_create(struct event_base *base, const struct cb_link_url *url, unsigned expire_ms,
                     cb_writes_done_fn *done, void *user, struct cb_writes **out) {
    struct cb_writes *writes = calloc(1, sizeof *writes);
    if (!writes)
        return CB_ENOMEM;
    writes->expire_ms = expire_ms;
    writes->done = done;
    writes->user = user;
    cb_buf_init(&writes->body, CB_CONTROL_MAX);
    if (url) {
        struct cb_uplink_opts opts = {.url = *url,
                                      .resend_ms = RESEND_MS,
                                      .expire_ms = expire_ms,
                                      .acked = on_acked,
                                      .user = writes};
        int rc = cb_uplink_create(base, &opts, &writes->uplink);
        if (rc) {
            free(writes);
            return rc;
        }
    }
    *out = writes;
    return 0;
}

void cb_writes_destroy(struct cb_writes **writes) {
    struct cb_writes *w = *writes;
    if (!w)
        return;
    cb_uplink_destroy(&w->uplink);
    while (w->first) {
        struct cb_write *write = w->first;
        unlist(write);
        cb_write_destroy(&write);
    }
    cb_buf_fini(&w->body);
    free(w);
    *writes = NULL;
}

int cb_writes_send(struct cb_writes *writes, const struct cb_control *control,
                   struct cb_write *write) {
    int rc = CB_EAGAIN;
    if (writes->uplink && write->lease) {
        struct cb_ask ask = {.kind = CB_ASK_LEASE, .site = write->site_name};
        rc = cb_uplink_ask(writes->uplink, &ask, writes->expire_ms, on_answered, writes, write);
    } else if (writes->uplink) {
        cb_buf_clear(&writes->body);
        rc = cb_control_encode(control, &writes->body);
        if (!rc)
            rc = cb_uplink_send_control(
                writes->uplink, (struct cb_str){writes->body.data, writes->body.len}, write);
    }
    if (!rc)
        list(writes, write);
    return rc;
}
