/* SPDX-License-Identifier: MIT */
#include "proto/err.h"

const char *cb_err_text(int code) {
    switch (code) {
    case 0:
        return "ok";
#define CB_ERR_CASE(name, value, text)                                                             \
    case name:                                                                                     \
        return text;
        CB_ERRORS(CB_ERR_CASE)
#undef CB_ERR_CASE
    default:
        return "unknown error";
    }
}
