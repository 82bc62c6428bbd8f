/* SPDX-License-Identifier: MIT
 * control.h: the body of a control frame: what the service itself decides and must survive a
 * rebuild (sites, tokens).
 *
 * Control frames are journalled like any other, so the views follow from the journal alone. They
 * are never taken from the frame socket (DESIGN, "Channels"). See WIRE.md, "Control". Pure. Any
 * thread. */
#ifndef CB_PROTO_CONTROL_H
#define CB_PROTO_CONTROL_H

#include "proto/event.h"

enum { CB_TOKEN_HASH_BYTES = 32 };

enum cb_control_op {
    CB_CONTROL_SITE = 1,  /* a site exists, with this status mode */
    CB_CONTROL_TOKEN = 2, /* a token is valid */
};

enum cb_role { CB_ROLE_VIEWER = 1, CB_ROLE_OPERATOR = 2, CB_ROLE_ADMIN = 3 };

enum cb_site_status { CB_STATUS_ONLINE = 1, CB_STATUS_OFFLINE = 2 };

struct cb_control {
    enum cb_control_op op;
    int64_t made_ms;
    struct cb_str site; /* SITE: its name. TOKEN: the site it is for, empty for all */
    unsigned status;    /* SITE: enum cb_site_status */
    uint8_t token[CB_TOKEN_HASH_BYTES]; /* TOKEN: BLAKE2b-256 of the token's text */
    unsigned role;                      /* TOKEN: enum cb_role */
};

CB_MUST_USE int cb_control_encode(const struct cb_control *control, struct cb_buf *out);
/* Lifetime: out->site points into body. Errors: CB_EMALFORMED. */
CB_MUST_USE int cb_control_decode(struct cb_str body, struct cb_control *out);

#endif
