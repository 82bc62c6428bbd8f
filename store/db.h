/* SPDX-License-Identifier: MIT
 * db.h: LMDB, which only db.c and db_scrub.c know: environments, transactions, tables, cursors, and
 * what its codes mean.
 *
 * Never used: MDB_NOSYNC, MDB_WRITEMAP, MDB_MAPASYNC, MDB_NOMETASYNC, DUPSORT. A commit that
 * returned 0 is on disk. An environment is opened once per process and not used across fork. One
 * write transaction at a time for each environment; a write transaction belongs to its thread, a
 * read one to one thread at a time (MDB_NOTLS). */
#ifndef CB_STORE_DB_H
#define CB_STORE_DB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"

struct cb_db;     /* an environment */
struct cb_db_txn; /* a transaction */
struct cb_db_cursor;

/* Opens the environment in folder (made 0700, and fsynced with its parent, unless read_only). Stale
 * readers are cleared. Errors: CB_ENOENT (read_only and not there), CB_EFULL (the disk), CB_EIO,
 * CB_ECORRUPT, CB_EVERSION, CB_ENOMEM, CB_ESYS. */
CB_MUST_USE int cb_db_open(const char *folder, uint64_t map_bytes, unsigned tables_max,
                           bool read_only, struct cb_db **out);
void cb_db_close(struct cb_db **db);
/* Copies a consistent snapshot of the environment, compacted, into a new folder, and syncs it. The
 * writer may go on. Errors: CB_EIO, CB_ESYS. */
CB_MUST_USE int cb_db_copy(struct cb_db *db, const char *folder);
/* Removes an environment that nobody has open, and its folder. What is not there is no error. */
void cb_db_remove(const char *folder);
/* Clears readers of processes that died. Call now and then. */
void cb_db_check_readers(struct cb_db *db);

/* Overwrites with zeros what the file holds beside the rows of now: free pages, and what is unused
 * in others. While it works other writers go on. *stop, looked at now and then, ends it early
 * (CB_ECLOSED). Errors: CB_EAGAIN (a reader of older pages is about: try again), CB_EFULL, CB_EIO,
 * CB_ENOMEM. */
CB_MUST_USE int cb_db_scrub(struct cb_db *db, const atomic_bool *stop);

/* Begins a transaction. Errors: CB_EFULL (reader slots), CB_EIO, CB_ENOMEM; CB_ECORRUPT for good
 * after a commit that failed at its very end, where LMDB cannot tell what is on disk. */
CB_MUST_USE int cb_db_begin(struct cb_db *db, bool write, struct cb_db_txn **out);
/* Ends a write transaction with everything on disk, or with an error and nothing of it. Errors:
 * CB_EFULL (the map, or the disk), CB_EIO (also a disk that fills up within a write). Frees txn in
 * any case. */
CB_MUST_USE int cb_db_commit(struct cb_db_txn **txn);
/* Ends any transaction without effect. Accepts NULL inside. */
void cb_db_abort(struct cb_db_txn **txn);
/* A read transaction holds back no pages until it is resumed, which then sees the newest commit.
 * Errors: CB_EIO, CB_ECORRUPT. */
void cb_db_rest(struct cb_db_txn *txn);
CB_MUST_USE int cb_db_resume(struct cb_db_txn *txn);
/* Bytes of the map that are in use. Pages free for reuse are not counted where txn is a read
 * transaction: LMDB shows its free list to readers only. */
uint64_t cb_db_used_bytes(struct cb_db_txn *txn);

/* Opens a named table; make creates it (in a write transaction). Handles are valid for the
 * environment once txn was committed. Errors: CB_ENOENT, CB_EIO, CB_EFULL, CB_ENOMEM. */
CB_MUST_USE int cb_db_table(struct cb_db_txn *txn, const char *name, bool make, unsigned *table);

/* How many pages a table's rows lie on, as the transaction found it. Errors: CB_EIO. */
CB_MUST_USE int cb_db_pages(struct cb_db_txn *txn, unsigned table, uint64_t *pages);

/* value points into the map: valid until the transaction ends or (in a write transaction) writes.
 * Errors: CB_ENOENT, CB_EIO. */
CB_MUST_USE int cb_db_get(struct cb_db_txn *txn, unsigned table, struct cb_str key,
                          struct cb_str *value);
CB_MUST_USE int cb_db_put(struct cb_db_txn *txn, unsigned table, struct cb_str key,
                          struct cb_str value);
/* Appends a row whose key is above all others; *data is where its len bytes must be written before
 * the next call. */
CB_MUST_USE int cb_db_append(struct cb_db_txn *txn, unsigned table, struct cb_str key, size_t len,
                             void **data);
/* Deletes; a row that is not there is no error. */
CB_MUST_USE int cb_db_delete(struct cb_db_txn *txn, unsigned table, struct cb_str key);

/* A cursor ends before its transaction. */
CB_MUST_USE int cb_db_cursor_open(struct cb_db_txn *txn, unsigned table, struct cb_db_cursor **out);
void cb_db_cursor_close(struct cb_db_cursor **cursor);
/* To the first row with a key >= key; the next row; the last row of the table. Errors: CB_ENOENT
 * when there is none, CB_EIO. */
CB_MUST_USE int cb_db_seek(struct cb_db_cursor *cursor, struct cb_str key, struct cb_str *found,
                           struct cb_str *value);
CB_MUST_USE int cb_db_next(struct cb_db_cursor *cursor, struct cb_str *found, struct cb_str *value);
/* In a write transaction, as cb_db_put and cb_db_delete, but looked for from where the cursor
 * stands: in order of keys most rows are on the page at hand. */
CB_MUST_USE int cb_db_cursor_put(struct cb_db_cursor *cursor, struct cb_str key,
                                 struct cb_str value);
CB_MUST_USE int cb_db_cursor_delete(struct cb_db_cursor *cursor, struct cb_str key);
CB_MUST_USE int cb_db_last(struct cb_db_cursor *cursor, struct cb_str *found, struct cb_str *value);

#endif
