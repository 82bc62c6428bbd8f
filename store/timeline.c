/* SPDX-License-Identifier: MIT
 * timeline.c: a visitor's events, newest first, from the records that its timeline names
 * (folds/timeline.c). */
#include <stdlib.h>

#include "proto/frame.h"
#include "store/rows.h"
#include "store/snapshot.h"
#include "store/visitor_row.h"

enum { RING = 256 }; /* events of a record that are held at once */

struct held {
    struct cb_envelope envelope;
    struct cb_event event;
    uint32_t index;
};

struct walk {
    struct cb_snapshot *snapshot;
    struct cb_journal_reader *journal;
    struct cb_str site_name;
    const uint8_t *visitor;
    struct cb_export_cursor *cursor;
    uint64_t bytes_left;
    bool (*each)(void *user, const struct cb_export_row *row);
    void *user;
    bool full; /* each has had enough; whether more is left shows when the next one is found */
    bool stopped, more, trimmed;
    struct cb_frame frame; /* large: not on the stack */
    struct held ring[RING];
    uint64_t positions[CB_TIMELINE_ROW_MAX];
};

/* The last events of a frame that are the visitor's, counted, and before index `before`: at most
 * RING of them, in walk->ring, of which the first is at *from. */
static int hold_events(struct walk *walk, uint64_t position, uint32_t before, size_t *from,
                       size_t *n) {
    struct cb_frame_walk items;
    struct cb_envelope envelope;
    struct cb_reject reject;
    struct cb_event event;
    struct cb_verdict_chunk verdicts = {.chunk = UINT32_MAX};
    uint32_t index = 0;
    size_t total = 0;
    cb_frame_walk_init(&items, &walk->frame);
    for (enum cb_frame_item item;
         (item = cb_frame_walk_next(&items, &envelope, &reject)) != CB_ITEM_END;) {
        bool wanted = item == CB_ITEM_ENVELOPE && envelope.has_visitor &&
                      cb_str_eq(envelope.site, walk->site_name) &&
                      memcmp(envelope.visitor, walk->visitor, CB_VISITOR_BYTES) == 0;
        for (; item == CB_ITEM_ENVELOPE && cb_frame_walk_event(&items, &event); index++) {
            bool counted = false;
            int rc = wanted && index < before
                         ? cb_snapshot_counted(walk->snapshot, position, index, &verdicts, &counted)
                         : 0;
            if (rc != 0) {
                return rc;
            }
            if (counted) {
                walk->ring[total++ % RING] = (struct held){envelope, event, index};
            }
        }
    }
    *n = total < RING ? total : RING;
    *from = total - *n;
    return 0;
}

/* Gives the events of a record, newest first. */
static int give_record(struct walk *walk, const struct cb_journal_record *record) {
    const uint64_t position = record->position;
    uint32_t before = walk->cursor->position == position ? walk->cursor->index : UINT32_MAX;
    size_t from, n;
    do {
        int rc = hold_events(walk, position, before, &from, &n);
        if (rc != 0) {
            return rc;
        }
        for (size_t i = from + n; i > from && !walk->stopped; i--) {
            const struct held *held = &walk->ring[(i - 1) % RING];
            if (walk->full) {
                walk->stopped = walk->more = true;
                break;
            }
            struct cb_export_row row = {.position = position,
                                        .index = held->index,
                                        .envelope = &held->envelope,
                                        .event = &held->event,
                                        .true_ms = cb_event_true_ms(&held->envelope, &held->event)};
            walk->full = !walk->each(walk->user, &row);
            before = held->index;
            *walk->cursor = (struct cb_export_cursor){position, before};
        }
    } while (!walk->stopped && from > 0);
    return 0;
}

static int walk_record(struct walk *walk, uint64_t position) {
    struct cb_journal_record record;
    int rc = cb_journal_reader_get(walk->journal, position, &record);
    if (rc == CB_ENOENT) {
        walk->trimmed = walk->stopped = true; /* and all before it */
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    /* What its group has before it costs as well: a small record far from others is not cheap. */
    walk->bytes_left -= record.read_bytes < walk->bytes_left ? record.read_bytes : walk->bytes_left;
    rc = cb_frame_decode(record.frame.p, record.frame.len, &walk->frame);
    if (rc != 0) {
        return rc == CB_EVERSION ? rc : CB_ECORRUPT;
    }
    return walk->frame.kind == CB_FRAME_BEACONS ? give_record(walk, &record) : 0;
}

/* The records of the n positions at hand, from the newest down. */
static int walk_row(struct walk *walk, size_t n) {
    int rc = 0;
    while (rc == 0 && n > 0 && !walk->stopped) {
        uint64_t position = walk->positions[--n];
        if (walk->cursor->position != 0 && position > walk->cursor->position) {
            continue;
        }
        if (walk->bytes_left == 0) {
            /* Everything from here on is left: also where the row before gave nothing. */
            if (!walk->full) {
                *walk->cursor = (struct cb_export_cursor){position, UINT32_MAX};
            }
            walk->stopped = walk->more = true;
            break;
        }
        rc = walk_record(walk, position);
    }
    return rc;
}

static int walk_rows(struct walk *walk, uint32_t site, uint32_t ordinal,
                     struct cb_timeline_place place) {
    int rc = 0;
    while (rc == 0 && place.parts > 0 && !walk->stopped) {
        struct cb_key key = cb_key_timeline(place.day, site, ordinal / CB_TIMELINE_SHARED,
                                            (uint16_t)(place.parts - 1));
        struct cb_str row;
        size_t n;
        rc = cb_snapshot_row(walk->snapshot, CB_TABLE_TIMELINE, &key, &row);
        if (rc == CB_ENOENT) {
            walk->trimmed = walk->stopped = true;
            return 0;
        }
        rc = rc == 0 ? cb_timeline_row_read(row, place, ordinal % CB_TIMELINE_SHARED,
                                            walk->positions, &n, &place)
                     : rc;
        rc = rc == 0 ? walk_row(walk, n) : rc;
    }
    return rc;
}

int cb_snapshot_timeline(struct cb_snapshot *snapshot, uint32_t site, struct cb_str site_name,
                         const uint8_t visitor[CB_VISITOR_BYTES], struct cb_export_cursor *cursor,
                         uint64_t scan_bytes,
                         bool (*each)(void *user, const struct cb_export_row *row), void *user,
                         bool *more, bool *trimmed) {
    struct cb_visitor_row found;
    uint32_t ordinal;
    struct cb_str row;
    *more = *trimmed = false;
    int rc = cb_snapshot_ordinal(snapshot, site, visitor, &ordinal);
    if (rc != 0) {
        return rc;
    }
    struct cb_key key = cb_key_visitor(site, ordinal);
    rc = cb_snapshot_row(snapshot, CB_TABLE_VISITORS, &key, &row);
    rc = rc == 0 ? cb_visitor_row_decode(row, &found) : rc;
    if (rc != 0) {
        return rc != CB_ENOENT ? rc : CB_ECORRUPT;
    }
    struct walk *walk = calloc(1, sizeof(*walk));
    if (!walk) {
        return CB_ENOMEM;
    }
    walk->snapshot = snapshot;
    walk->site_name = site_name;
    walk->visitor = visitor;
    walk->cursor = cursor;
    walk->bytes_left = scan_bytes;
    walk->each = each;
    walk->user = user;
    rc = cb_journal_reader_open(snapshot->journal, UINT64_MAX, &walk->journal);
    if (rc == 0) {
        rc = walk_rows(walk, site, ordinal, found.timeline);
        *trimmed = walk->trimmed;
        *more = walk->more;
        cb_journal_reader_close(&walk->journal);
    }
    free(walk);
    return rc;
}
