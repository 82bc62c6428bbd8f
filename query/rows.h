/* SPDX-License-Identifier: MIT
 * rows.h: a counted event as a row of JSON or CSV, with what the token may see of it; and the place
 * of a row among all, as text. Export and live share them. Pure. Any thread. */
#ifndef CB_QUERY_ROWS_H
#define CB_QUERY_ROWS_H

#include "query/json.h"
#include "store/reader.h"

enum { CB_CURSOR_TEXT_MAX = 32 };

struct cb_row_rights {
    bool producers; /* may see who sent it */
    bool personal;  /* … and what visitors typed: else no value of set, no props of message */
    int64_t
        from_ms; /* what was received before this is older than the site's raw_days: not seen … */
    int64_t personal_from_ms; /* … and what was typed before this, than its personal_days */
};
/* What a token may see of a site now: by its role, and by how long the site lets single events be
 * seen, which may be shorter than the journal keeps them. INT64_MIN: as long as that. Errors:
 * CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_row_rights_read(struct cb_snapshot *snapshot, const struct cb_token *token,
                                   uint32_t site, int64_t now_ms, struct cb_row_rights *out);

/* Whether a row may be seen at all. */
static inline bool cb_row_seen(const struct cb_row_rights *rights,
                               const struct cb_export_row *row) {
    return row->envelope->received_ms >= rights->from_ms;
}

/* Appends the row as a JSON object, without a line's end. Errors: those of cb_buf_append. */
CB_MUST_USE int cb_row_json(const struct cb_export_row *row, struct cb_row_rights rights,
                            struct cb_buf *out);

/* Appends the row as a line of CSV, and the line of titles. A text that a spreadsheet would take
 * for a formula gets a single quote before it. Errors: as above. */
extern const struct cb_str cb_row_csv_titles;
CB_MUST_USE int cb_row_csv(const struct cb_export_row *row, struct cb_row_rights rights,
                           struct cb_buf *out);

/* A cursor as text names the last row that somebody has: POSITION-INDEX, or POSITION where they
 * have all of that frame and of those before it. The struct says which row is wanted next. Errors:
 * CB_EMALFORMED. */
CB_MUST_USE int cb_cursor_parse(const char *text, struct cb_export_cursor *out);
void cb_cursor_text(const struct cb_export_cursor *cursor, char out[CB_CURSOR_TEXT_MAX]);
/* Whether a stands before b. */
static inline bool cb_cursor_before(const struct cb_export_cursor *a,
                                    const struct cb_export_cursor *b) {
    return a->position < b->position || (a->position == b->position && a->index < b->index);
}
/* A decimal number at *at, which is moved behind it; false where there is none, or it is over max.
 */
bool cb_number_take(const char **at, uint64_t max, uint64_t *out);

#endif
