/* SPDX-License-Identifier: MIT
 * token.h: the text that a person or a program shows to be let in, and the hash under which it is
 * known. Any thread; sodium_init() was called once before. */
#ifndef CB_PROTO_TOKEN_H
#define CB_PROTO_TOKEN_H

#include "proto/buf.h"
#include "proto/control.h"

enum {
    CB_SECRET_BYTES = 64,    /* a text of ours and its NUL: 43 characters of base64url */
    CB_TOKEN_TEXT_MAX = 256, /* bytes of any text that is looked at */
};

/* Makes the text of a fresh token: 256 random bits. */
void cb_token_text(char out[CB_SECRET_BYTES]);
/* The hash under which a token's text is stored: BLAKE2b-256. */
void cb_token_hash(struct cb_str text, uint8_t out[CB_TOKEN_HASH_BYTES]);

/* A role by its name, 0 for none; its name, "" for none. */
unsigned cb_role_of(struct cb_str name);
const char *cb_role_name(unsigned role);

#endif
