/* SPDX-License-Identifier: MIT */
#include "proto/token.h"

#include <sodium.h>

enum { TOKEN_BYTES = 32 };

_Static_assert(sodium_base64_ENCODED_LEN(TOKEN_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING) <=
                   CB_SECRET_BYTES,
               "a text and its NUL");

void cb_token_text(char out[CB_SECRET_BYTES]) {
    uint8_t bytes[TOKEN_BYTES];
    randombytes_buf(bytes, sizeof(bytes));
    sodium_bin2base64(out, CB_SECRET_BYTES, bytes, sizeof(bytes),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(bytes, sizeof(bytes));
}

void cb_token_hash(struct cb_str text, uint8_t out[CB_TOKEN_HASH_BYTES]) {
    crypto_generichash(out, CB_TOKEN_HASH_BYTES, (const unsigned char *)text.p, text.len, NULL, 0);
}

const char *cb_role_name(unsigned role) {
    static const char *const names[] = {"", "viewer", "operator", "admin"};
    return role <= CB_ROLE_ADMIN ? names[role] : "";
}

unsigned cb_role_of(struct cb_str name) {
    for (unsigned role = CB_ROLE_VIEWER; role <= CB_ROLE_ADMIN; role++) {
        if (cb_str_is(name, cb_role_name(role))) {
            return role;
        }
    }
    return 0;
}
