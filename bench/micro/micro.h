/* SPDX-License-Identifier: MIT
 * micro.h: what the micro-benchmarks share: processor time, rows of the table, and events to work
 * on. One thread. */
#ifndef CB_BENCH_MICRO_H
#define CB_BENCH_MICRO_H

#include <stdint.h>

#include "bench/zipf.h"
#include "proto/frame.h"

/* One row of the table: what was done, to how many, in so much processor time. */
void cb_micro_row(const char *arrow, const char *what, uint64_t n, uint64_t cpu_ns);
/* Processor time of this thread, of the kernel for it included. */
uint64_t cb_micro_cpu_ns(void);
/* Ends with a sentence unless rc is 0. */
void cb_micro_must(int rc, const char *what);

/* Visits as pages and servers send them. */
struct cb_micro_shape {
    const char *name;
    unsigned sites, visitors, pages;
    unsigned visit; /* events of a visit, at most CB_MICRO_VISIT_MAX */
    unsigned batch; /* events of an envelope, at most those of a visit */
};
enum { CB_MICRO_VISIT_MAX = 20 };
struct cb_micro_source {
    const struct cb_micro_shape *shape;
    struct cb_zipf sites, pages;
    uint64_t random, visit;
    unsigned left; /* events of the visit that are still to come */
    unsigned site;
    uint64_t visitor;
    int64_t now_ms;
};
void cb_micro_source_init(struct cb_micro_source *source, const struct cb_micro_shape *shape);
void cb_micro_source_fini(struct cb_micro_source *source);
/* Fills a builder with envelopes up to about bytes. Returns the events. */
uint64_t cb_micro_source_fill(struct cb_micro_source *source, struct cb_frame_builder *builder,
                              size_t bytes);

/* The benchmarks, one for each arrow of an event's way. quick: a tenth of the work. */
void cb_micro_beacon(bool quick);
void cb_micro_frame(bool quick);
void cb_micro_journal(bool quick);
void cb_micro_fold(bool quick);
void cb_micro_series(bool quick);
void cb_micro_breakdown(bool quick);

#endif
