/* SPDX-License-Identifier: MIT
 * raw.h: answers that are counted from a site's raw events, as far as the journal has them.
 *
 * One JSON object, sent as it is made: its member `progress` grows while events are looked at, then
 * comes what was counted, how many were looked at, and whether that was all (`complete`). Like an
 * export it holds a snapshot for one chunk at a time. The journal is read from a day before the
 * range to 8 days behind it (late events). Two run at a time in a process: each may hold 110 MB. */
#ifndef CB_QUERY_RAW_H
#define CB_QUERY_RAW_H

#include "query/report.h"
#include "query/rows.h"

struct cb_raw {
    struct cb_export base; /* the first member: it is sent as an export */
    const struct cb_raw_ops *ops;
    struct cb_reader *reader;
    char site[CB_SITE_MAX + 1], file[CB_SITE_MAX + 32];
    struct cb_span span;
    bool csv; /* a table, of what was counted */
    struct cb_row_rights rights;
    struct cb_export_cursor cursor;
    uint64_t begin;
    unsigned chunks;
    uint64_t looked_at;
    bool begun, read; /* the head was written; all events were looked at */
    bool complete;
    int rc;
};

/* What is counted. raw is the first member of a struct from malloc. */
struct cb_raw_ops {
    /* Writes the members between the range and progress; may be NULL. */
    void (*head)(const struct cb_raw *raw, struct cb_json *json);
    /* Looks at an event of the stretch of the journal. Errors: CB_EFULL: no more fits, and what was
     * counted stands; CB_ENOMEM. */
    int (*take)(struct cb_raw *raw, const struct cb_export_row *row);
    /* What is to be done when all were looked at, a turn of it; *more: another is needed. May be
     * NULL. */
    int (*count)(struct cb_raw *raw, bool *more);
    /* Writes the members of what was counted: at most half of CB_EXPORT_CHUNK_BYTES_MAX. */
    void (*tail)(const struct cb_raw *raw, struct cb_json *json);
    /* The same as a table; NULL: rows says what its rows are (csv.h). */
    int (*table)(const struct cb_raw *raw, struct cb_buf *out);
    const char *rows;
    /* Frees what raw holds beside itself; also where it was set up in part. */
    void (*fini)(struct cb_raw *raw);
};

/* Room for one more of size bytes, zeroed. CB_REFUSE_BUSY: there is none; CB_REFUSE_INTERNAL. */
enum cb_refusal cb_raw_create(struct cb_report_ctx *ctx, const struct cb_raw_ops *ops, size_t size,
                              struct cb_raw **out);
/* For what could not be set up. */
void cb_raw_destroy(struct cb_raw **raw);
/* Makes it the answer; file: what a table is called, behind the site's name. Takes raw. Errors:
 * those of cb_snapshot_since. */
CB_MUST_USE int cb_raw_start(struct cb_report_ctx *ctx, const char *file, struct cb_raw **raw);

#endif
