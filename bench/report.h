/* SPDX-License-Identifier: MIT
 * report.h: what a run gave, as a table for people, as JSON, and as a page with plots (inline SVG,
 * nothing loaded from elsewhere). Pure but for the memory of out. */
#ifndef CB_BENCH_REPORT_H
#define CB_BENCH_REPORT_H

#include "bench/audit.h"
#include "bench/client.h"
#include "bench/options.h"

enum { CB_REPORT_SECONDS_MAX = 3700, CB_REPORT_OUT_MAX = 4 << 20 };

/* What happened in one second. */
struct cb_report_second {
    uint64_t accepted, refused, unanswered, events;
};

struct cb_report {
    const struct cb_load_options *options;
    struct cb_client_lane lanes[CB_LANES]; /* of all threads together */
    unsigned connections[CB_LANES];
    uint64_t rate[CB_LANES];
    uint64_t unacked, partly;
    struct cb_report_second *seconds;
    unsigned n_seconds;
    double user_s, system_s, wall_s;     /* of the generator, during the run */
    unsigned cores;                      /* of the machine */
    const struct cb_audit_result *audit; /* NULL: none was asked for */
};

/* Adds a thread's lane to the whole. */
void cb_report_merge(struct cb_client_lane *sum, const struct cb_client_lane *lane);

/* Errors of all: as cb_buf_append. */
CB_MUST_USE int cb_report_table(const struct cb_report *report, struct cb_buf *out);
CB_MUST_USE int cb_report_json(const struct cb_report *report, struct cb_buf *out);
CB_MUST_USE int cb_report_html(const struct cb_report *report, struct cb_buf *out); /* page.c */

#endif
