/* SPDX-License-Identifier: MIT
 * audit.h: does the service count what it has acked? Reads the books (/v1/balance) and the totals
 * of each site before a run, and again after it: the difference must be what was answered 2xx, for
 * each site and each event's name, not one more and not one less.
 *
 * Nobody else may send to these sites meanwhile. Blocks; any one thread. */
#ifndef CB_BENCH_AUDIT_H
#define CB_BENCH_AUDIT_H

#include "bench/options.h"

struct cb_audit;

/* token: read from a file; copied. Errors: CB_ENOMEM. */
CB_MUST_USE int cb_audit_create(const struct cb_load_url *url, const char *token,
                                const struct cb_plan *plan, unsigned n_sites,
                                struct cb_audit **out);
void cb_audit_destroy(struct cb_audit **audit);

/* Remembers what is counted, once what was acked before is folded (the books stand still).
 * since_ms: nothing that will be sent is older. Errors: CB_ECLOSED, CB_EMALFORMED (no such answer;
 * *sentence, heap, says which), CB_ENOMEM. */
CB_MUST_USE int cb_audit_begin(struct cb_audit *audit, int64_t since_ms, char **sentence);

struct cb_audit_result {
    bool equal;
    uint64_t acked, counted, duplicate, rejected; /* counted and so on: since begin */
    uint64_t differences;                         /* sites and names that differ */
    char first[200];                              /* what the first of them is */
    double wait_s; /* from the call until as much was counted as was acked */
};
/* Waits until as much is counted as was acked (at most wait_ms, without progress for that long),
 * then compares. acked: a row for each site. Errors: as cb_audit_begin. */
CB_MUST_USE int cb_audit_end(struct cb_audit *audit, uint64_t (*acked)[CB_PLAN_NAMES],
                             unsigned wait_ms, struct cb_audit_result *out, char **sentence);

#endif
