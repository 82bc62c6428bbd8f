/* SPDX-License-Identifier: MIT */
#include "proto/refusal.h"

int cb_refusal_status(unsigned refusal) {
    switch (refusal) {
#define CB_REFUSAL_CASE(symbol, number, status, code, text)                                        \
    case symbol:                                                                                   \
        return status;
        CB_REFUSALS(CB_REFUSAL_CASE)
#undef CB_REFUSAL_CASE
    default:
        return 500;
    }
}

const char *cb_refusal_code(unsigned refusal) {
    switch (refusal) {
#define CB_REFUSAL_CASE(symbol, number, status, code, text)                                        \
    case symbol:                                                                                   \
        return code;
        CB_REFUSALS(CB_REFUSAL_CASE)
#undef CB_REFUSAL_CASE
    default:
        return "unknown";
    }
}

const char *cb_refusal_text(unsigned refusal) {
    switch (refusal) {
#define CB_REFUSAL_CASE(symbol, number, status, code, text)                                        \
    case symbol:                                                                                   \
        return text;
        CB_REFUSALS(CB_REFUSAL_CASE)
#undef CB_REFUSAL_CASE
    default:
        return "refused for a reason that this version does not know";
    }
}

int cb_refusal_json(struct cb_buf *out, unsigned refusal, const char *message, const char *field) {
    size_t before = out->len;
    int rc =
        cb_buf_printf(out, "{\"error\":{\"code\":\"%s\",\"message\":", cb_refusal_code(refusal));
    if (rc == 0) {
        rc = cb_buf_append_json(out, cb_str_of(message ? message : cb_refusal_text(refusal)));
    }
    if (rc == 0 && field) {
        rc = cb_buf_append_str(out, CB_STR(",\"field\":"));
        if (rc == 0) {
            rc = cb_buf_append_json(out, cb_str_of(field));
        }
    }
    if (rc == 0) {
        rc = cb_buf_append_str(out, CB_STR("}}"));
    }
    if (rc != 0) {
        out->len = before;
    }
    return rc;
}
