/* SPDX-License-Identifier: MIT
 * msgpack.h: msgpack bodies as values. Reading is proto/pack.h's: in place, without allocation.
 *
 * Pure. Any thread. */
#ifndef CB_INGEST_MSGPACK_H
#define CB_INGEST_MSGPACK_H

#include "proto/value.h"

/* Checks that body is one or more whole msgpack values, nested at most CB_VALUE_DEPTH_MAX deep,
 * with nothing behind them. What was checked can be walked without a failure. Errors:
 * CB_EMALFORMED. */
CB_MUST_USE int cb_msgpack_check(struct cb_str body);
/* Takes the next value off a checked body; false when it is used up. */
bool cb_msgpack_next(struct cb_str *body, struct cb_value *out);

extern const struct cb_value_ops cb_msgpack_values;

#endif
