/* SPDX-License-Identifier: MIT
 * snapshot.h: what reader.c and answers.c share: reading the rows of the views within one read
 * transaction. */
#ifndef CB_STORE_SNAPSHOT_H
#define CB_STORE_SNAPSHOT_H

#include "store/journal.h"
#include "store/reader.h"
#include "store/views.h"

struct cb_snapshot {
    struct cb_reader *reader;
    const struct cb_views *views;
    struct cb_journal *journal;
    struct cb_db_txn *txn;
    uint64_t position;
    struct cb_buf text;     /* strings that had to be put together; freed with the snapshot */
    struct cb_buf settings; /* … those of a site's settings */
    struct cb_buf history;  /* … those of a field's history */
};

/* The value of a row. Errors: CB_ENOENT, CB_EIO. */
CB_MUST_USE int cb_snapshot_row(struct cb_snapshot *snapshot, enum cb_table table,
                                const struct cb_key *key, struct cb_str *value);
/* Calls each for the rows whose keys begin with prefix, until it returns false. */
CB_MUST_USE int cb_snapshot_scan(struct cb_snapshot *snapshot, enum cb_table table,
                                 const struct cb_key *prefix,
                                 bool (*each)(void *user, struct cb_str key, struct cb_str value),
                                 void *user);
/* Appends a visitor's field to out, with its stamp. Errors: CB_ENOENT when it was never set,
 * CB_ECORRUPT, those of cb_buf_append. */
CB_MUST_USE int cb_snapshot_field(struct cb_snapshot *snapshot, uint32_t site, uint32_t ordinal,
                                  unsigned field, struct cb_stamp *stamp, struct cb_buf *out);
/* … a value of a table that is laid out like `fields`; place is the key up to the part. */
CB_MUST_USE int cb_snapshot_value(struct cb_snapshot *snapshot, enum cb_table table,
                                  const struct cb_key *place, struct cb_field_value *value,
                                  struct cb_stamp *stamp, struct cb_buf *out);
/* The visitor of an ordinal. Errors as cb_snapshot_visitor. */
CB_MUST_USE int cb_snapshot_visitor_at(struct cb_snapshot *snapshot, uint32_t site,
                                       uint32_t ordinal, struct cb_visitor *out);
/* Whether an event of a record was counted. Verdicts are read once for each chunk of events: one of
 * these a record, chunk UINT32_MAX at first. */
struct cb_verdict_chunk {
    uint32_t chunk;
    struct cb_str bits;
};
CB_MUST_USE int cb_snapshot_counted(struct cb_snapshot *snapshot, uint64_t position, uint32_t index,
                                    struct cb_verdict_chunk *at, bool *counted);
/* The newest `dirty` of any erasure; 0 when nobody was ever erased. */
uint64_t cb_snapshot_erased_dirty(struct cb_snapshot *snapshot);
CB_MUST_USE int cb_snapshot_ordinal(struct cb_snapshot *snapshot, uint32_t site,
                                    const uint8_t visitor[CB_VISITOR_BYTES], uint32_t *ordinal);
/* A reader of views and journal that are open in this process already; they outlive it. */
CB_MUST_USE int cb_reader_of(struct cb_views *views, struct cb_journal *journal,
                             struct cb_reader **out);

/* What a reader reads. */
struct cb_views *cb_reader_views(const struct cb_reader *reader);
struct cb_journal *cb_reader_journal(const struct cb_reader *reader);

/* The store's views, lent to a reader of the same process, since LMDB must not open an environment
 * twice. */
struct cb_views *cb_store_views(struct cb_store *store);
struct cb_journal *cb_store_journal(struct cb_store *store);

#endif
