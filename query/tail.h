/* SPDX-License-Identifier: MIT
 * tail.h: the events of a stretch of the journal as one role may see them, written once as
 * server-sent events for all who watch: each of them gets it from the first event that it lacks on.
 * One owner. */
#ifndef CB_QUERY_TAIL_H
#define CB_QUERY_TAIL_H

#include "query/rows.h"

struct cb_tail {
    struct cb_buf bytes;
    struct cb_tail_mark {
        uint64_t position;
        uint32_t index;
        uint32_t end; /* of the event's bytes */
    } * marks;
    size_t n, cap;
};

void cb_tail_init(struct cb_tail *tail, size_t bytes_max);
/* Empty again, without memory. */
void cb_tail_fini(struct cb_tail *tail);

/* Appends a row, which stands behind all before it. Errors: CB_ETOOBIG, CB_ENOMEM; then the tail is
 * as it was. */
CB_MUST_USE int cb_tail_add(struct cb_tail *tail, const struct cb_export_row *row,
                            struct cb_row_rights rights);
/* What somebody who wants the rows from `from` on gets. Lives until the tail is changed. */
struct cb_str cb_tail_from(const struct cb_tail *tail, const struct cb_export_cursor *from);

#endif
