/* SPDX-License-Identifier: MIT
 * A body of POST /v1/events as msgpack: counts that lie, nesting, text that is none. What stands
 * behind it must not matter, and what was checked can be walked. */
#include "ingest/msgpack.h"
#include "tests/fuzz/beacon_rig.h"

static void walk(const struct cb_value *value, unsigned depth) {
    const struct cb_value_ops *ops = &cb_msgpack_values;
    struct cb_value_walk at;
    struct cb_value inner;
    struct cb_str key;
    size_t n = 0;
    FUZZ_CHECK(depth <= CB_VALUE_DEPTH_MAX);
    if (value->type == CB_VALUE_STRING)
        FUZZ_CHECK(cb_utf8_valid(value->s));
    if (value->type != CB_VALUE_ARRAY && value->type != CB_VALUE_OBJECT)
        return;
    ops->begin(value, &at);
    if (value->type == CB_VALUE_ARRAY)
        for (; ops->item(&at, &inner); n++)
            walk(&inner, depth + 1);
    else
        for (; ops->member(&at, &key, &inner); n++)
            walk(&inner, depth + 1);
    FUZZ_CHECK(n == ops->count(value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct cb_str body = {(const char *)data, len};
    struct cb_value value;
    if (len > BEACON_BODY_MAX)
        return 0;
    beacon_rig_init();
    if (cb_msgpack_check(body) == 0) {
        FUZZ_CHECK(len > 0);
        while (cb_msgpack_next(&body, &value))
            walk(&value, 0);
        FUZZ_CHECK(body.len == 0);
    }
    uint64_t digest = beacon_read(data, len, CB_BEACON_MSGPACK, '\0');
    FUZZ_CHECK(beacon_read(data, len, CB_BEACON_MSGPACK, '\x01') == digest);
    return 0;
}
