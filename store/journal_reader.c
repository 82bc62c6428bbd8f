/* SPDX-License-Identifier: MIT
 * journal_reader.c: records read in order or anywhere. Invariant: a group is unpacked from its
 * first record on, all of it as of one snapshot, or of snapshots between which nothing was edited.
 */
#include <stdlib.h>

#include "proto/log.h"
#include "store/journal_inside.h"
#include "store/key.h"

struct cb_journal_reader {
    struct cb_journal *journal;
    struct cb_db_txn *txn;
    struct cb_db_cursor *cursor; /* for cb_journal_reader_next */
    uint64_t edits;              /* of its snapshot */
    uint64_t next;
    bool started;
    struct unpacked group; /* read last; its unpacker is NULL until the first packed record */
};

/* ---- unpacked groups ---- */

static bool holds(const struct unpacked *group, uint64_t position, uint64_t edits) {
    return group->edits == edits && position >= group->first &&
           position - group->first <= cb_unpacker_frames(group->unpacker);
}

/* An unpacker: one that was just before position, if there is one, else the one unused longest. */
static int take_spare(struct cb_journal_reader *reader, uint64_t position) {
    struct cb_journal *journal = reader->journal;
    struct unpacked *spares = journal->spares;
    int rc = 0;
    pthread_mutex_lock(&journal->sparing);
    if (journal->n_spares > 0) {
        unsigned i = 0;
        while (i + 1 < journal->n_spares && !holds(&spares[i], position, reader->edits)) {
            i++;
        }
        reader->group = spares[i];
        journal->n_spares--;
        memmove(spares + i, spares + i + 1, (journal->n_spares - i) * sizeof(*spares));
    }
    pthread_mutex_unlock(&journal->sparing);
    if (!reader->group.unpacker) {
        rc = cb_unpacker_create(&reader->group.unpacker);
    } else if (reader->group.edits != reader->edits) {
        cb_unpacker_clear(reader->group.unpacker);
    }
    reader->group.edits = reader->edits;
    return rc;
}

static void give_spare(struct cb_journal_reader *reader) {
    struct cb_journal *journal = reader->journal;
    struct unpacked *spares = journal->spares, last = reader->group;
    if (!last.unpacker) {
        return;
    }
    if (!journal->packer) {
        cb_unpacker_clear(last.unpacker); /* another process edits, and does not say so */
    }
    pthread_mutex_lock(&journal->sparing);
    if (journal->n_spares < CB_JOURNAL_SPARES) {
        memmove(spares + 1, spares, journal->n_spares++ * sizeof(*spares));
        spares[0] = last;
        last.unpacker = NULL;
    }
    pthread_mutex_unlock(&journal->sparing);
    cb_unpacker_destroy(&last.unpacker);
}

/* Unpacks the records of a group from the first, or the next, up to the one before `end`. */
static int unpack_up_to(struct cb_db_txn *txn, unsigned records, struct unpacked *group,
                        uint64_t end) {
    uint64_t next = group->first + cb_unpacker_frames(group->unpacker);
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    struct cb_record record;
    if (next == end) {
        return 0;
    }
    int rc = cb_db_cursor_open(txn, records, &cursor);
    if (rc != 0) {
        return rc;
    }
    struct cb_key from = cb_key_position(next);
    rc = cb_db_seek(cursor, cb_key_str(&from), &key, &value);
    for (; rc == 0 && next < end; next++) {
        rc = key.len == 8 && cb_be64_get((const uint8_t *)key.p) == next ? 0 : CB_ECORRUPT;
        rc = rc == 0 ? cb_record_decode(value, &record) : rc;
        rc = rc == 0 && !record.packed ? CB_ECORRUPT : rc;
        rc = rc == 0 ? cb_unpacker_add(group->unpacker, &record) : rc;
        if (rc == 0 && next + 1 < end) {
            rc = cb_db_next(cursor, &key, &value);
        }
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT || rc == CB_EMALFORMED ? CB_ECORRUPT : rc;
}

/* ---- readers ---- */

int cb_journal_reader_open(struct cb_journal *journal, uint64_t from,
                           struct cb_journal_reader **out) {
    struct cb_journal_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        return CB_ENOMEM;
    }
    pthread_mutex_lock(&journal->sparing);
    reader->edits = journal->edits; /* of just this snapshot */
    int rc = cb_db_begin(journal->db, false, &reader->txn);
    pthread_mutex_unlock(&journal->sparing);
    if (rc != 0) {
        goto err_after_reader;
    }
    rc = cb_db_cursor_open(reader->txn, journal->records, &reader->cursor);
    if (rc != 0) {
        goto err_after_txn;
    }
    uint64_t first = from;
    rc = cb_journal_seek_first(reader->cursor, &first);
    if (rc == 0 && from < first) {
        rc = CB_EGONE;
    }
    if (rc != 0 && rc != CB_ENOENT) {
        goto err_after_cursor;
    }
    reader->journal = journal;
    reader->next = from;
    *out = reader;
    return 0;

err_after_cursor:
    cb_db_cursor_close(&reader->cursor);
err_after_txn:
    cb_db_abort(&reader->txn);
err_after_reader:
    free(reader);
    return rc;
}

static int unpack(struct cb_journal_reader *reader, uint64_t position,
                  const struct cb_record *record, struct cb_journal_record *out) {
    struct unpacked *group = &reader->group;
    uint64_t start = position - record->place;
    size_t len;
    if (record->place >= position) {
        return CB_ECORRUPT;
    }
    int rc = group->unpacker ? 0 : take_spare(reader, position);
    if (rc != 0) {
        return rc;
    }
    if (group->first != start) {
        group->first = start;
        cb_unpacker_clear(group->unpacker);
    }
    size_t before = cb_unpacker_bytes(group->unpacker);
    if (cb_unpacker_frames(group->unpacker) <= record->place) {
        rc = unpack_up_to(reader->txn, reader->journal->records, group, position);
        rc = rc == 0 ? cb_unpacker_add(group->unpacker, record) : rc;
    }
    if (rc == 0) {
        out->frame.p = cb_unpacker_frame(group->unpacker, record->place, &len);
        out->frame.len = len;
        out->read_bytes = cb_unpacker_bytes(group->unpacker) - before;
        out->read_bytes = out->read_bytes > len ? out->read_bytes : len;
    }
    return rc;
}

static int decode_record(struct cb_journal_reader *reader, struct cb_str value, uint64_t position,
                         struct cb_journal_record *out) {
    struct cb_record record;
    int rc = cb_record_decode(value, &record);
    if (rc == 0) {
        out->journal_ms = record.journal_ms;
        out->frame = record.bytes;
        out->read_bytes = record.bytes.len;
        rc = record.packed ? unpack(reader, position, &record, out) : 0;
    }
    out->position = position;
    if (rc != 0) {
        cb_log(CB_LOG_ERROR, "journal_record_bad", "position=%llu text=\"%s\"",
               (unsigned long long)position, cb_err_text(rc));
    }
    return rc == CB_EMALFORMED ? CB_ECORRUPT : rc;
}

int cb_journal_reader_get(struct cb_journal_reader *reader, uint64_t position,
                          struct cb_journal_record *out) {
    struct cb_str value;
    int rc = cb_journal_value(reader->txn, reader->journal->records, position, &value);
    return rc == 0 ? decode_record(reader, value, position, out) : rc;
}

int cb_journal_reader_next(struct cb_journal_reader *reader, struct cb_journal_record *out) {
    struct cb_str key, value;
    int rc;
    if (reader->started) {
        rc = cb_db_next(reader->cursor, &key, &value);
    } else {
        struct cb_key from = cb_key_position(reader->next);
        rc = cb_db_seek(reader->cursor, cb_key_str(&from), &key, &value);
        reader->started = true;
    }
    if (rc != 0) {
        return rc;
    }
    if (key.len != 8 || cb_be64_get((const uint8_t *)key.p) != reader->next) {
        cb_log(CB_LOG_ERROR, "journal_gap", "expected=%llu", (unsigned long long)reader->next);
        return CB_ECORRUPT;
    }
    rc = decode_record(reader, value, reader->next, out);
    reader->next += rc == 0;
    return rc;
}

void cb_journal_reader_close(struct cb_journal_reader **reader) {
    if (!*reader) {
        return;
    }
    give_spare(*reader);
    cb_db_cursor_close(&(*reader)->cursor);
    cb_db_abort(&(*reader)->txn);
    free(*reader);
    *reader = NULL;
}
