/* SPDX-License-Identifier: MIT
 * err.h: the one table of error codes that functions return.
 *
 * A function that can fail returns 0 or one of these (all negative) and hands its result out
 * through a trailing pointer. Codes of other libraries are translated once, in the file that owns
 * the library. What a *client* did wrong is not one of these: see refusal.h. Any thread. */
#ifndef CB_PROTO_ERR_H
#define CB_PROTO_ERR_H

#define CB_ERRORS(X)                                                                               \
    X(CB_ENOMEM, -1, "out of memory")                                                              \
    X(CB_EINVAL, -2, "invalid argument")                                                           \
    X(CB_EMALFORMED, -3, "malformed data")                                                         \
    X(CB_EVERSION, -4, "written by a newer version")                                               \
    X(CB_ETOOBIG, -5, "over a limit")                                                              \
    X(CB_EFULL, -6, "no room")                                                                     \
    X(CB_EAGAIN, -7, "not now")                                                                    \
    X(CB_ENOENT, -8, "not found")                                                                  \
    X(CB_EBUSY, -9, "in use")                                                                      \
    X(CB_EIO, -10, "input or output failed")                                                       \
    X(CB_ETIMEDOUT, -11, "no answer in time")                                                      \
    X(CB_ECLOSED, -12, "closed")                                                                   \
    X(CB_ESYS, -13, "the system refused a call")                                                   \
    X(CB_ECORRUPT, -14, "stored data fails its check")                                             \
    X(CB_EGONE, -15, "no longer kept")                                                             \
    X(CB_ESTALE, -16, "written by an older version")

enum cb_err {
#define CB_ERR_ENUM(name, code, text) name = (code),
    CB_ERRORS(CB_ERR_ENUM)
#undef CB_ERR_ENUM
};

/* A fallible function's result must be looked at. */
#define CB_MUST_USE __attribute__((warn_unused_result))

/* The text for a code of the table, "ok" for 0, "unknown error" for any other. Static storage. */
const char *cb_err_text(int code);

#endif
