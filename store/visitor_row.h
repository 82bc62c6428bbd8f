/* SPDX-License-Identifier: MIT
 * visitor_row.h: what stands in a visitor's row: who it is, when they were seen, and the session
 * that was opened last. See FORMAT.md, "A visitor's row". Pure. Any thread. */
#ifndef CB_STORE_VISITOR_ROW_H
#define CB_STORE_VISITOR_ROW_H

#include "store/timeline_row.h"
#include "store/visit.h"

struct cb_visitor_row {
    uint8_t id[CB_VISITOR_BYTES];
    int64_t first_seen_ms, last_seen_ms;
    uint64_t events;
    uint32_t sessions;                 /* all that were opened: their numbers are below this one */
    uint32_t part;                     /* from which on some may stand in `sessions` */
    struct cb_timeline_place timeline; /* the last row of it */
    struct cb_visit session;           /* the last one; where there are any */
};

enum {
    CB_VISITOR_ROW_BYTES_MAX =
        CB_VISITOR_BYTES + 6 + 1 + 7 + 10 + 3 + 5 + 10 + 7 + 7 + 5 + CB_VISIT_STEPS_MAX
};

/* Behind the last part that sessions before the last one may stand in. */
static inline uint32_t cb_visitor_parts_end(const struct cb_visitor_row *row) {
    return row->sessions < 2 ? 0 : (row->sessions - 2) / CB_VISIT_LIST_MAX + 1;
}

/* Returns the bytes written. part is at most cb_visitor_parts_end. */
size_t cb_visitor_row_encode(const struct cb_visitor_row *row,
                             uint8_t out[CB_VISITOR_ROW_BYTES_MAX]);
/* Errors: CB_ECORRUPT, also for an empty value. */
CB_MUST_USE int cb_visitor_row_decode(struct cb_str value, struct cb_visitor_row *out);

#endif
