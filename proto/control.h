/* SPDX-License-Identifier: MIT
 * control.h: the body of a control frame: what people and the service itself decide and must
 * survive a rebuild (sites, status, settings, tokens, what operators write about visitors).
 *
 * Control frames are journalled like any other, so the views follow from the journal alone. They
 * are never taken from the frame socket, only from the control socket (DESIGN, "Channels"). Each
 * says who made it. See WIRE.md, "Control". Pure. Any thread. */
#ifndef CB_PROTO_CONTROL_H
#define CB_PROTO_CONTROL_H

#include "proto/event.h"
#include "proto/settings.h"

enum {
    CB_TOKEN_HASH_BYTES = 32,
    CB_TOKEN_ID_BYTES = 8,   /* of the hash: what tells tokens apart, and opens nothing */
    CB_TOKEN_NAME_MAX = 100, /* bytes */
    CB_CONTROL_MAX = 65536,  /* bytes of a body */
    CB_REMARKS_CHARACTERS = 4000,
    CB_EDITABLE_COUNT = CB_FIELD_COUNT + 1,
    CB_FIELD_REMARKS = CB_FIELD_COUNT, /* the operators' own: never given to a page */
};

enum cb_control_op {
    CB_CONTROL_SITE = 1,     /* a site exists, with this status mode */
    CB_CONTROL_TOKEN = 2,    /* a token is valid */
    CB_CONTROL_REVOKE = 3,   /* a token is not valid any more */
    CB_CONTROL_SETTINGS = 4, /* a site's settings, all of them */
    CB_CONTROL_STATUS = 5,   /* a site's status mode */
    CB_CONTROL_EDIT = 6,     /* an operator writes fields of a visitor */
    CB_CONTROL_ERASE = 7,    /* a visitor is erased */
    CB_CONTROL_SWEPT = 8, /* … and the journal holds nothing of them; from the store itself only */
};
enum { CB_CONTROL_OP_MAX = CB_CONTROL_SWEPT };

enum cb_role { CB_ROLE_VIEWER = 1, CB_ROLE_OPERATOR = 2, CB_ROLE_ADMIN = 3 };

/* A site's status mode; what pages see is one of the first two. */
enum cb_site_status { CB_STATUS_ONLINE = 1, CB_STATUS_OFFLINE = 2, CB_STATUS_AUTOMATIC = 3 };

struct cb_control {
    enum cb_control_op op;
    int64_t made_ms;
    uint8_t by[CB_TOKEN_ID_BYTES]; /* the token that it was done with; zeros: the service, or the
                                      command line */
    struct cb_str site;            /* its name; a TOKEN's, REVOKE's: empty for all sites */
    unsigned status;               /* SITE, STATUS: enum cb_site_status */
    uint8_t token[CB_TOKEN_HASH_BYTES];  /* TOKEN: BLAKE2b-256 of the token's text. REVOKE: the id,
                                            in the first CB_TOKEN_ID_BYTES */
    unsigned role;                       /* TOKEN: enum cb_role */
    struct cb_str name;                  /* TOKEN: what people call it, may be empty */
    struct cb_settings settings;         /* SETTINGS */
    uint8_t visitor[CB_VISITOR_BYTES];   /* EDIT, ERASE: the hash; once an erasure is swept, its
                                            pseudonym */
    uint8_t pseudonym[CB_VISITOR_BYTES]; /* ERASE: random; takes the place of the hash */
    uint8_t tag[CB_VISITOR_BYTES];       /* ERASE, SWEPT: cb_visitor_tag of the hash */
    uint64_t through;                    /* SWEPT: the last position that was rewritten */
    struct cb_str fields[CB_EDITABLE_COUNT]; /* EDIT: by enum cb_field, then the remarks; p NULL:
                                                not written */
};

/* The most characters of a field that an operator writes, and its key. */
size_t cb_editable_max_chars(unsigned field);
const char *cb_editable_key(unsigned field);

/* control must obey the rules of WIRE.md (asserted). Errors: CB_ETOOBIG, CB_ENOMEM. */
CB_MUST_USE int cb_control_encode(const struct cb_control *control, struct cb_buf *out);
/* Lifetime: strings of *out point into body. Errors: CB_EMALFORMED. */
CB_MUST_USE int cb_control_decode(struct cb_str body, struct cb_control *out);
/* Whether control obeys the rules: what encodes is then what decodes. */
bool cb_control_valid(const struct cb_control *control);

#endif
