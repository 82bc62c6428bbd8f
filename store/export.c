/* SPDX-License-Identifier: MIT
 * export.c: the journal read back through the verdicts: each counted event once. */
#include <stdlib.h>

#include "proto/frame.h"
#include "store/rows.h"
#include "store/snapshot.h"

enum { BYTES_AS_AN_EVENT = 128 }; /* of a frame cost what looking at an event does */

struct walk {
    struct cb_snapshot *snapshot;
    const struct cb_str *site;
    struct cb_export_cursor *cursor;
    uint32_t left; /* of scan_max */
    bool (*each)(void *user, const struct cb_export_row *row);
    void *user;
    bool stopped;
    struct cb_verdict_chunk verdicts;
};

int cb_snapshot_counted(struct cb_snapshot *snapshot, uint64_t position, uint32_t index,
                        struct cb_verdict_chunk *at, bool *counted) {
    uint32_t chunk = index / CB_VERDICT_CHUNK_EVENTS;
    if (chunk != at->chunk) {
        struct cb_key key = cb_key_verdict(position, (uint16_t)chunk);
        int rc = cb_snapshot_row(snapshot, CB_TABLE_VERDICTS, &key, &at->bits);
        if (rc == CB_ENOENT) {
            at->bits = (struct cb_str){NULL, 0};
        } else if (rc != 0) {
            return rc;
        }
        at->chunk = chunk;
    }
    uint32_t bit = index % CB_VERDICT_CHUNK_EVENTS;
    *counted = bit / 8 >= at->bits.len || !((unsigned char)at->bits.p[bit / 8] >> bit % 8 & 1);
    return 0;
}

static int walk_event(struct walk *walk, struct cb_export_row *row) {
    bool counted;
    int rc =
        cb_snapshot_counted(walk->snapshot, row->position, row->index, &walk->verdicts, &counted);
    if (rc != 0) {
        return rc;
    }
    walk->left -= walk->left > 0;
    if (counted) {
        row->true_ms = cb_event_true_ms(row->envelope, row->event);
        walk->stopped = !walk->each(walk->user, row);
    }
    *walk->cursor = (struct cb_export_cursor){row->position, row->index + 1};
    walk->stopped |= walk->left == 0;
    return 0;
}

static int walk_frame(struct walk *walk, const struct cb_frame *frame, uint64_t position) {
    struct cb_frame_walk items;
    struct cb_envelope envelope;
    struct cb_reject reject;
    struct cb_event event;
    struct cb_export_row row = {.position = position, .envelope = &envelope, .event = &event};
    uint32_t from = walk->cursor->position == position ? walk->cursor->index : 0;
    walk->verdicts.chunk = UINT32_MAX;
    cb_frame_walk_init(&items, frame);
    for (enum cb_frame_item item;
         (item = cb_frame_walk_next(&items, &envelope, &reject)) != CB_ITEM_END;) {
        bool wanted =
            item == CB_ITEM_ENVELOPE && (!walk->site || cb_str_eq(envelope.site, *walk->site));
        while (item == CB_ITEM_ENVELOPE && cb_frame_walk_event(&items, &event)) {
            if (wanted && row.index >= from) {
                int rc = walk_event(walk, &row);
                if (rc != 0 || walk->stopped) {
                    return rc;
                }
            }
            row.index++;
        }
    }
    *walk->cursor = (struct cb_export_cursor){position + 1, 0};
    return 0;
}

static int walk_journal(struct walk *walk, struct cb_journal_reader *reader, struct cb_frame *frame,
                        uint64_t end, bool *more) {
    struct cb_journal_record record;
    int rc;
    while ((rc = cb_journal_reader_next(reader, &record)) == 0 && record.position <= end) {
        rc = cb_frame_decode(record.frame.p, record.frame.len, frame);
        if (rc != 0) {
            return rc == CB_EVERSION ? rc : CB_ECORRUPT;
        }
        if (frame->kind == CB_FRAME_BEACONS) {
            rc = walk_frame(walk, frame, record.position);
            if (rc != 0) {
                return rc;
            }
        } else {
            *walk->cursor = (struct cb_export_cursor){record.position + 1, 0};
        }
        /* A frame costs its decoding, whosever events it holds: a rare site must not hold a
         * snapshot. */
        uint32_t cost = 1 + (uint32_t)(record.frame.len / BYTES_AS_AN_EVENT);
        walk->left -= cost < walk->left ? cost : walk->left;
        if (walk->stopped || walk->left == 0) {
            *more = walk->cursor->position <= end;
            return 0;
        }
    }
    return rc == CB_ENOENT ? 0 : rc;
}

int cb_snapshot_export(struct cb_snapshot *snapshot, const struct cb_str *site,
                       struct cb_export_cursor *cursor, uint64_t end, uint32_t scan_max,
                       bool (*each)(void *user, const struct cb_export_row *row), void *user,
                       bool *more) {
    *more = false;
    end = end < snapshot->position ? end : snapshot->position;
    if (cursor->position == 0) {
        int rc = cb_journal_oldest(snapshot->journal, &cursor->position);
        if (rc != 0) {
            return rc;
        }
    }
    if (cursor->position > end) {
        return 0;
    }
    struct cb_frame *frame = malloc(sizeof(*frame)); /* large: not on the stack */
    if (!frame) {
        return CB_ENOMEM;
    }
    struct cb_journal_reader *reader;
    int rc = cb_journal_reader_open(snapshot->journal, cursor->position, &reader);
    if (rc == 0) {
        struct walk walk = {.snapshot = snapshot,
                            .site = site,
                            .cursor = cursor,
                            .left = scan_max > 0 ? scan_max : 1,
                            .each = each,
                            .user = user};
        rc = walk_journal(&walk, reader, frame, end, more);
        cb_journal_reader_close(&reader);
    }
    free(frame);
    return rc;
}
