/* SPDX-License-Identifier: MIT
 * A body of POST /v1/events as JSON and as NDJSON. What stands behind it must not matter, and
 * without a line end both formats are the same. */
#include "tests/fuzz/beacon_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    if (len > BEACON_BODY_MAX)
        return 0;
    beacon_rig_init();
    uint64_t json = beacon_read(data, len, CB_BEACON_JSON, '\0');
    FUZZ_CHECK(beacon_read(data, len, CB_BEACON_JSON, '9') == json);
    uint64_t ndjson = beacon_read(data, len, CB_BEACON_NDJSON, '"');
    if (len > 0 && !memchr(data, '\n', len) && memchr("{[\"0123456789-tfn", data[0], 17))
        FUZZ_CHECK(ndjson == json);
    return 0;
}
