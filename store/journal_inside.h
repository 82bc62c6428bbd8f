/* SPDX-License-Identifier: MIT
 * journal_inside.h: what journal.c, journal_reader.c and journal_edit.c share, and nobody else. */
#ifndef CB_STORE_JOURNAL_INSIDE_H
#define CB_STORE_JOURNAL_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/db.h"
#include "store/journal.h"
#include "store/journal_time.h"
#include "store/record.h"

enum { CB_JOURNAL_SPARES = 4 }; /* unpackers that are kept between readers */

/* An unpacker, and where in the journal its group begins; what it holds is true of journals in
 * which as often something was edited. */
struct unpacked {
    struct cb_unpacker *unpacker;
    uint64_t first, edits;
};

struct cb_journal {
    struct cb_db *db;
    unsigned records, senders;
    uint64_t quota_bytes;
    _Atomic uint64_t head, first;
    _Atomic uint64_t appended_bytes; /* of frames, since it was opened */
    _Atomic uint64_t measured_bytes; /* of the map, in use */
    atomic_bool accepting;
    _Atomic int64_t failed_ms; /* when a commit failed; 0 once one succeeded */
    pthread_mutex_t writing;   /* held from the begin of a batch to its end */
    pthread_mutex_t sparing;   /* for the next three; may be taken while writing is held */
    uint64_t edits;            /* batches that were committed and changed a record */
    struct unpacked spares[CB_JOURNAL_SPARES]; /* the one given back last first */
    unsigned n_spares;
    /* the writer's own */
    struct cb_db_txn *txn;
    uint64_t next; /* position of the next append */
    uint64_t kept; /* position of the oldest record, in this batch */
    struct cb_packer *packer;
    bool edited;                      /* in this batch */
    uint64_t batch_frame_bytes;       /* of its frames, as cb_journal_appended_bytes counts them */
    uint64_t batch_bytes, batch_cost; /* of its records; what they take of the map */
    uint64_t used_bytes;              /* as measured last, and what was appended since */
    int64_t measured_ms, pruned_ms, checked_ms;
    struct cb_journal_time time;
    int64_t now_ms; /* journal time of this batch */
};

/* The row of position 1, or the first one behind it. Errors: CB_ENOENT, CB_ECORRUPT, CB_EIO. */
CB_MUST_USE int cb_journal_seek_first(struct cb_db_cursor *cursor, uint64_t *position);
/* The bytes of the record at a position. Errors: CB_ENOENT, CB_EIO. */
CB_MUST_USE int cb_journal_value(struct cb_db_txn *txn, unsigned records, uint64_t position,
                                 struct cb_str *value);

#endif
