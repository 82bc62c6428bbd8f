/* SPDX-License-Identifier: MIT
 * batch_writer.h: writes the rows that a batch of the fold changed into LMDB, with the position
 * that they hold: at once, or on a thread of its own, while the fold goes on with the next batch.
 *
 * Of a late fold's time a quarter is writing pages and waiting for the disk, and a batch needs
 * nothing of the one before it but its rows, which are in memory. One batch at a time. The thread
 * is started by the first one and sleeps while there is none. */
#ifndef CB_STORE_BATCH_WRITER_H
#define CB_STORE_BATCH_WRITER_H

#include "store/cache.h"
#include "store/db.h"

struct cb_batch {
    struct cb_db *db;
    const unsigned *tables;      /* handles, by enum cb_table */
    const struct cb_cache *rows; /* unchanged until it is written */
    uint64_t position;
};

/* In one transaction of the calling thread: what changed in order of keys, then the position. After
 * an error nothing of it is there. Errors: those of cb_db_begin, cb_db_put and cb_db_commit. */
CB_MUST_USE int cb_batch_write(const struct cb_batch *batch);

/* ---- on a thread of its own; called by one thread ---- */
struct cb_batch_writer;

/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_batch_writer_create(struct cb_batch_writer **out);
/* Waits for what is being written. */
void cb_batch_writer_destroy(struct cb_batch_writer **writer);
/* Begins with a batch, after the one before it was waited for. Errors: CB_ESYS: no thread. */
CB_MUST_USE int cb_batch_writer_begin(struct cb_batch_writer *writer, const struct cb_batch *batch);
/* Whether it is still at it. */
bool cb_batch_writer_is_busy(struct cb_batch_writer *writer);
/* Waits; what cb_batch_write said of the batch that was begun last, 0 for none. */
CB_MUST_USE int cb_batch_writer_wait(struct cb_batch_writer *writer);

#endif
