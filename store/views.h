/* SPDX-License-Identifier: MIT
 * views.h: the derived tables, and the fold's write-back cache over them. See FORMAT.md, "Views".
 *
 * A batch: begin, then rows are read once from LMDB into memory, changed there any number of times,
 * and written in key order at the commit, together with the position that they hold: a random
 * read-modify-write for each event would cost 4–8 µs, a sorted batch does not. The fold's thread
 * alone; readers use snapshots (reader.h).
 *
 * A batch can be written behind the next one, which sees it all meanwhile. */
#ifndef CB_STORE_VIEWS_H
#define CB_STORE_VIEWS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/cache.h"
#include "store/db.h"
#include "store/key.h"
#include "store/memo.h"
#include "store/zone.h"

enum { CB_VIEWS_VERSION = 8 };

/* X(symbol, name in LMDB). The rows are in FORMAT.md. */
#define CB_TABLES(X)                                                                               \
    X(CB_TABLE_META, "meta")                                                                       \
    X(CB_TABLE_SITES, "sites")                                                                     \
    X(CB_TABLE_TOKENS, "tokens")                                                                   \
    X(CB_TABLE_NAMES, "names")                                                                     \
    X(CB_TABLE_BOOKS, "books")                                                                     \
    X(CB_TABLE_SITE_STATE, "site_state")                                                           \
    X(CB_TABLE_VERDICTS, "verdicts")                                                               \
    X(CB_TABLE_SEEN, "seen")                                                                       \
    X(CB_TABLE_SEEN_CHUNKS, "seen_chunks")                                                         \
    X(CB_TABLE_COUNTS, "counts")                                                                   \
    X(CB_TABLE_MINUTES, "minutes")                                                                 \
    X(CB_TABLE_UNIQUE_HOURS, "unique_hours")                                                       \
    X(CB_TABLE_UNIQUE_DAYS, "unique_days")                                                         \
    X(CB_TABLE_ORDINALS, "ordinals")                                                               \
    X(CB_TABLE_VISITORS, "visitors")                                                               \
    X(CB_TABLE_RECENT, "recent")                                                                   \
    X(CB_TABLE_FIELDS, "fields")                                                                   \
    X(CB_TABLE_HISTORY, "history")                                                                 \
    X(CB_TABLE_SEARCH, "search")                                                                   \
    X(CB_TABLE_TIMELINE, "timeline")                                                               \
    X(CB_TABLE_ERASURES, "erasures")                                                               \
    X(CB_TABLE_SESSIONS, "sessions")                                                               \
    X(CB_TABLE_SETTINGS, "settings")                                                               \
    X(CB_TABLE_AUDIT, "audit")                                                                     \
    X(CB_TABLE_VISITS, "visits")                                                                   \
    X(CB_TABLE_RETAINED, "retained")                                                               \
    X(CB_TABLE_TRIGGERS, "triggers")                                                               \
    X(CB_TABLE_VALUES, "values")                                                                   \
    X(CB_TABLE_VALUE_TEXTS, "value_texts")                                                         \
    X(CB_TABLE_DIMENSIONS, "dimensions")                                                           \
    X(CB_TABLE_DIMENSION_SETS, "dimension_sets")                                                   \
    X(CB_TABLE_DIMENSION_TAILS, "dimension_tails")

enum cb_table {
#define CB_TABLE_ENUM(symbol, name) symbol,
    CB_TABLES(CB_TABLE_ENUM)
#undef CB_TABLE_ENUM
        CB_TABLE_COUNT
};

/* Rows of the table meta. */
enum {
    CB_META_POSITION = 0,
    CB_META_VERSION = 1,
    CB_META_SWEPT_DAY = 2,
    CB_META_TRIMMED = 3,
    CB_META_PRODUCERS_AT = 4, /* where the sweep of `seen` stands */
    CB_META_SESSIONS_AT = 7,  /* where the sweep of sessions stands */
    CB_META_ERASED_AT = 8,    /* journal time of the newest erasure */
    CB_META_ERASED_DIRTY = 9, /* the newest `dirty` of any */
    CB_META_TAILS_AT = 10,    /* where the settling of past days stands */
    CB_META_SERIES_DAY = 24,  /* the day whose sweep of minutes and hours began last */
    CB_META_RETAINED_AT = 32, /* … and that of what sites want forgotten */
};

struct cb_views;

/* Opens (or makes) DIR/views. Errors: those of cb_db_open; CB_EVERSION when a newer version wrote
 * them, CB_ESTALE when an older one did. */
CB_MUST_USE int cb_views_open(const char *data_dir, uint64_t map_bytes, struct cb_views **out);
/* Opens DIR/views read-only, for a process that only reads. Errors: CB_ENOENT when they are not
 * there yet; others as above. */
CB_MUST_USE int cb_views_open_read_only(const char *data_dir, uint64_t map_bytes,
                                        struct cb_views **out);
void cb_views_close(struct cb_views **views);

/* The environment, for snapshots, and the handle of a table. Any thread. */
struct cb_db *cb_views_db(struct cb_views *views);
const char *cb_views_table_name(enum cb_table table);
unsigned cb_views_table(const struct cb_views *views, enum cb_table table);
/* The position that a snapshot's views hold; 0 for fresh ones. */
CB_MUST_USE int cb_views_position(const struct cb_views *views, struct cb_db_txn *txn,
                                  uint64_t *position);

/* ---- the fold's thread ---- */
/* The zones that sites have, for their days. */
struct cb_zones *cb_views_zones(struct cb_views *views);
/* Begins a batch. Errors: those of cb_db_begin. */
CB_MUST_USE int cb_views_begin(struct cb_views *views);
/* The row of a key, from the batch, the one behind it, or LMDB. Errors: CB_EIO, CB_ECORRUPT,
 * CB_ENOMEM. */
CB_MUST_USE int cb_views_row(struct cb_views *views, enum cb_table table, const struct cb_key *key,
                             struct cb_row **out);
/* What a row holds, for who only looks: unlike above the batch does not keep it, and does not count
 * a page for it. Valid until the batch reads on, rests or changes a row. Errors: CB_ENOENT, CB_EIO,
 * CB_ECORRUPT. */
CB_MUST_USE int cb_views_look(struct cb_views *views, enum cb_table table, const struct cb_key *key,
                              struct cb_str *value);
/* The row of a key of which the caller knows what the rows it belongs to say: stored, it is there
 * and is to be written anew or deleted; else there is none. What it holds is not read: it comes
 * empty, unless the batch has it already. Errors: CB_ENOMEM. */
CB_MUST_USE int cb_views_row_unread(struct cb_views *views, enum cb_table table,
                                    const struct cb_key *key, bool stored, struct cb_row **out);
/* A cursor over a table as LMDB has it: what this batch changed is not there yet. For a batch that
 * has none behind it. Close it before the commit, and before the batch rests. */
CB_MUST_USE int cb_views_cursor(struct cb_views *views, enum cb_table table,
                                struct cb_db_cursor **out);
/* Sets the row's length; new bytes are zero. Length 0 deletes it. Marks it changed. Errors:
 * CB_ENOMEM. */
CB_MUST_USE int cb_row_resize(struct cb_views *views, struct cb_row *row, size_t len);
/* What the folds found of late; cleared with the batch. Of dimensions: see dim_memo.h. */
struct cb_memo *cb_views_memo(struct cb_views *views);
struct cb_dim_memo *cb_views_dims(struct cb_views *views);
/* Bytes that may still be filled, as measured after a commit. A commit writes each page that it
 * changes anew, and those of the commit before it are not free yet: so what two batches may change
 * is left free, in a small map two thirds of it, and 10 % in any. Any thread. */
uint64_t cb_views_room_bytes(const struct cb_views *views);
/* Memory that the batch holds, and that its commit will take of LMDB: a page for each row, unless
 * its table has fewer. */
size_t cb_views_batch_bytes(const struct cb_views *views);
/* … that is held now: the rows of the batch, and all of the one behind it. */
size_t cb_views_memory_bytes(const struct cb_views *views);
/* The batch stays open, but until it reads on it holds back no pages that others free. */
void cb_views_rest(struct cb_views *views);
/* Writes what changed, and the position, in one transaction, after the batch behind it. After an
 * error nothing of the batch is there. Errors: those of cb_db_begin, cb_db_put, cb_db_commit; of
 * the batch behind it. */
CB_MUST_USE int cb_views_commit(struct cb_views *views, uint64_t position);

/* Ends the batch as a commit does, but it is written by another thread, behind the next one; where
 * there can be none, at once. Waits for the one before it. Errors: as above. */
CB_MUST_USE int cb_views_commit_behind(struct cb_views *views, uint64_t position);
/* Whether there is a batch behind that was not ended; and whether its end would not have to wait.
 */
bool cb_views_is_behind(const struct cb_views *views);
bool cb_views_is_behind_written(const struct cb_views *views);
/* Waits for the batch behind, if there is any. After an error nothing of it is there, and the open
 * one, which was built on it, is to be aborted. Errors: those of cb_views_commit. */
CB_MUST_USE int cb_views_end_behind(struct cb_views *views);

/* Gives up the open batch; waits for the one behind it, which is not given up. */
void cb_views_abort(struct cb_views *views);

#endif
