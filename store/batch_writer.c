/* SPDX-License-Identifier: MIT */
#include "store/batch_writer.h"

#include <pthread.h>
#include <stdlib.h>

#include "proto/crash.h"
#include "proto/thread.h"
#include "store/views.h"

enum { ROWS_IN_A_GO = 16 /* written, before others may go first */ };

/* Where the rows are written: they come table by table, in order of their keys. */
struct place {
    const struct cb_batch *batch;
    struct cb_db_txn *txn;
    struct cb_db_cursor *cursor;
    unsigned table, n_rows;
};

static int write_row(void *user, const struct cb_row *row) {
    struct place *place = user;
    if (++place->n_rows % ROWS_IN_A_GO == 0) {
        cb_thread_give_way();
    }
    if (!place->cursor || place->table != row->table) {
        cb_db_cursor_close(&place->cursor);
        place->table = row->table;
        int rc = cb_db_cursor_open(place->txn, place->batch->tables[row->table], &place->cursor);
        if (rc != 0) {
            return rc;
        }
    }
    struct cb_str key = {(const char *)row->key, row->key_len};
    if (row->len > 0) {
        return cb_db_cursor_put(place->cursor, key,
                                (struct cb_str){(const char *)row->data, row->len});
    }
    return row->stored ? cb_db_cursor_delete(place->cursor, key) : 0;
}

static int write_position(const struct cb_batch *batch, struct cb_db_txn *txn) {
    uint8_t value[8];
    cb_be64_put(value, batch->position);
    struct cb_key key = cb_key_meta(CB_META_POSITION);
    return cb_db_put(txn, batch->tables[CB_TABLE_META], cb_key_str(&key),
                     (struct cb_str){(const char *)value, sizeof(value)});
}

int cb_batch_write(const struct cb_batch *batch) {
    struct place place = {.batch = batch};
    int rc = cb_db_begin(batch->db, true, &place.txn);
    if (rc != 0) {
        return rc;
    }
    rc = cb_cache_changed(batch->rows, write_row, &place);
    cb_db_cursor_close(&place.cursor);
    rc = rc == 0 ? write_position(batch, place.txn) : rc;
    if (rc != 0) {
        cb_db_abort(&place.txn);
        return rc;
    }
    cb_crash_point("views_before_commit");
    return cb_db_commit(&place.txn);
}

/* ---- on a thread of its own ---- */

struct cb_batch_writer {
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t begun, ended;
    bool busy, stopping;
    struct cb_batch batch;
    int rc;
};

static void *run(void *arg) {
    struct cb_batch_writer *writer = arg;
    cb_thread_take_long_slices();
    cb_thread_keep_going(); /* a fold waits for it that is late */
    pthread_mutex_lock(&writer->mutex);
    for (;;) {
        while (!writer->busy && !writer->stopping) {
            pthread_cond_wait(&writer->begun, &writer->mutex);
        }
        if (!writer->busy) {
            break;
        }
        const struct cb_batch batch = writer->batch;
        pthread_mutex_unlock(&writer->mutex);
        int rc = cb_batch_write(&batch);
        pthread_mutex_lock(&writer->mutex);
        writer->rc = rc;
        writer->busy = false;
        pthread_cond_signal(&writer->ended);
    }
    pthread_mutex_unlock(&writer->mutex);
    return NULL;
}

int cb_batch_writer_create(struct cb_batch_writer **out) {
    struct cb_batch_writer *writer = calloc(1, sizeof(*writer));
    if (!writer) {
        return CB_ENOMEM;
    }
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->begun, NULL);
    pthread_cond_init(&writer->ended, NULL);
    *out = writer;
    return 0;
}

void cb_batch_writer_destroy(struct cb_batch_writer **writer) {
    struct cb_batch_writer *w = *writer;
    if (!w) {
        return;
    }
    if (w->started) {
        pthread_mutex_lock(&w->mutex);
        w->stopping = true;
        pthread_cond_signal(&w->begun);
        pthread_mutex_unlock(&w->mutex);
        pthread_join(w->thread, NULL);
    }
    pthread_cond_destroy(&w->ended);
    pthread_cond_destroy(&w->begun);
    pthread_mutex_destroy(&w->mutex);
    free(w);
    *writer = NULL;
}

int cb_batch_writer_begin(struct cb_batch_writer *writer, const struct cb_batch *batch) {
    if (!writer->started) {
        int rc = cb_thread_start(&writer->thread, "fold-writer", run, writer);
        if (rc != 0) {
            return rc;
        }
        writer->started = true;
    }
    pthread_mutex_lock(&writer->mutex);
    writer->batch = *batch;
    writer->busy = true;
    pthread_cond_signal(&writer->begun);
    pthread_mutex_unlock(&writer->mutex);
    return 0;
}

bool cb_batch_writer_is_busy(struct cb_batch_writer *writer) {
    pthread_mutex_lock(&writer->mutex);
    bool busy = writer->busy;
    pthread_mutex_unlock(&writer->mutex);
    return busy;
}

int cb_batch_writer_wait(struct cb_batch_writer *writer) {
    pthread_mutex_lock(&writer->mutex);
    while (writer->busy) {
        pthread_cond_wait(&writer->ended, &writer->mutex);
    }
    int rc = writer->rc;
    pthread_mutex_unlock(&writer->mutex);
    return rc;
}
