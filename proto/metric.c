/* SPDX-License-Identifier: MIT */
#include "proto/metric.h"

#include <inttypes.h>
#include <stdatomic.h>

static _Atomic int64_t values[CB_METRIC_COUNT];

static const struct {
    const char *name, *type, *help;
} rows[CB_METRIC_COUNT] = {
#define CB_METRIC_ROW(symbol, name, type, help) {name, type, help},
    CB_METRICS(CB_METRIC_ROW)
#undef CB_METRIC_ROW
};

void cb_metric_add(enum cb_metric metric, int64_t n) {
    atomic_fetch_add_explicit(&values[metric], n, memory_order_relaxed);
}

void cb_metric_set(enum cb_metric metric, int64_t value) {
    atomic_store_explicit(&values[metric], value, memory_order_relaxed);
}

int64_t cb_metric_get(enum cb_metric metric) {
    return atomic_load_explicit(&values[metric], memory_order_relaxed);
}

int cb_metric_render(struct cb_buf *out) {
    for (unsigned i = 0; i < CB_METRIC_COUNT; i++) {
        int rc = cb_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n", rows[i].name,
                               rows[i].help, rows[i].name, rows[i].type, rows[i].name,
                               cb_metric_get((enum cb_metric)i));
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
