/* SPDX-License-Identifier: MIT
 * journal.c: invariant: positions are consecutive, what cb_journal_commit returned 0 for is on
 * disk, and a group's first record is there as long as any of it is. */
#include "store/journal.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/clock.h"
#include "proto/crash.h"
#include "proto/log.h"
#include "proto/metric.h"
#include "store/journal_inside.h"
#include "store/key.h"
#include "store/senders.h"

enum {
    PATH_BYTES = 4096,
    QUOTA_PERCENT = 90,
    QUOTA_INTERVAL_MS = 1000,
    PRUNE_INTERVAL_MS = 60000,
    READERS_INTERVAL_MS = 5000,
    FAILED_MS = 2000, /* after a commit failed it is not ready, unless one succeeds */
    PAGE_BYTES = 4096,
    PAGE_HEAD_BYTES = 16,
    NODE_HEAD_BYTES = 24, /* a record's key, and what LMDB keeps beside it */
};

int cb_journal_seek_first(struct cb_db_cursor *cursor, uint64_t *position) {
    struct cb_key one = cb_key_position(1);
    struct cb_str key, value;
    int rc = cb_db_seek(cursor, cb_key_str(&one), &key, &value);
    if (rc == 0 && key.len != 8) {
        rc = CB_ECORRUPT;
    }
    if (rc == 0) {
        *position = cb_be64_get((const uint8_t *)key.p);
    }
    return rc;
}

/* The oldest position, the newest and its time; leaves all as they are for an empty journal. */
static int find_ends(struct cb_db_txn *txn, unsigned table, uint64_t *first, uint64_t *head,
                     int64_t *last_ms) {
    struct cb_db_cursor *cursor;
    int rc = cb_db_cursor_open(txn, table, &cursor);
    if (rc != 0) {
        return rc;
    }
    struct cb_str key, value;
    struct cb_record record;
    rc = cb_journal_seek_first(cursor, first);
    if (rc == 0) {
        rc = cb_db_last(cursor, &key, &value);
    }
    if (rc == 0) {
        rc = key.len == 8 ? cb_record_decode(value, &record) : CB_ECORRUPT;
        rc = rc == CB_EMALFORMED ? CB_ECORRUPT : rc;
        if (rc == 0) {
            *head = cb_be64_get((const uint8_t *)key.p);
            *last_ms = record.journal_ms;
        }
    } else if (rc == CB_ENOENT) {
        rc = 0;
    }
    cb_db_cursor_close(&cursor);
    return rc;
}

/* The tables, and where the journal ends. Fills journal->next and the time. */
static int open_tables(struct cb_journal *journal, struct cb_db_txn *txn, bool make) {
    uint64_t first = 1, head = 0;
    int64_t last_ms = 0;
    int rc = cb_db_table(txn, "records", make, &journal->records);
    if (rc == 0) {
        rc = cb_db_table(txn, "senders", make, &journal->senders);
    }
    if (rc == 0) {
        rc = find_ends(txn, journal->records, &first, &head, &last_ms);
    }
    if (rc == 0) {
        journal->next = head + 1;
        journal->kept = first;
        atomic_store(&journal->head, head);
        atomic_store(&journal->first, first);
        cb_journal_time_init(&journal->time, last_ms);
    }
    return rc;
}

/* For the largest frame, so that it does not depend on what comes next. */
static bool check_room(struct cb_journal *journal) {
    bool room = journal->used_bytes + CB_RECORD_MAX < journal->quota_bytes;
    atomic_store_explicit(&journal->accepting, room, memory_order_relaxed);
    return room;
}

/* Of a read transaction: LMDB shows nobody else which pages are free. */
static int measure(struct cb_journal *journal) {
    struct cb_db_txn *txn;
    int rc = cb_db_begin(journal->db, false, &txn);
    if (rc == 0) {
        journal->measured_ms = cb_clock_mono_ms();
        journal->used_bytes = cb_db_used_bytes(txn);
        cb_db_abort(&txn);
        atomic_store_explicit(&journal->measured_bytes, journal->used_bytes, memory_order_relaxed);
        check_room(journal);
    }
    return rc;
}

static int open_journal(const char *data_dir, uint64_t map_bytes, bool read_only,
                        struct cb_journal **out) {
    char folder[PATH_BYTES];
    if (snprintf(folder, sizeof(folder), "%s/journal", data_dir) >= (int)sizeof(folder)) {
        return CB_EINVAL;
    }
    struct cb_journal *journal = calloc(1, sizeof(*journal));
    if (!journal) {
        return CB_ENOMEM;
    }
    pthread_mutex_init(&journal->writing, NULL);
    pthread_mutex_init(&journal->sparing, NULL);
    int rc = read_only ? 0 : cb_packer_create(&journal->packer);
    if (rc != 0) {
        goto err_after_journal;
    }
    rc = cb_db_open(folder, map_bytes, 4, read_only, &journal->db);
    if (rc != 0) {
        goto err_after_packer;
    }
    struct cb_db_txn *txn;
    rc = cb_db_begin(journal->db, !read_only, &txn);
    if (rc != 0) {
        goto err_after_db;
    }
    rc = open_tables(journal, txn, !read_only);
    if (rc != 0) {
        cb_db_abort(&txn);
        goto err_after_db;
    }
    /* Also a read transaction is committed: that keeps its table handles (mdb_dbi_open). */
    rc = cb_db_commit(&txn);
    if (rc == 0 && !read_only) {
        journal->quota_bytes = map_bytes / 100 * QUOTA_PERCENT;
        rc = measure(journal);
    }
    if (rc != 0) {
        goto err_after_db;
    }
    *out = journal;
    return 0;

err_after_db:
    cb_db_close(&journal->db);
err_after_packer:
    cb_packer_destroy(&journal->packer);
err_after_journal:
    pthread_mutex_destroy(&journal->sparing);
    pthread_mutex_destroy(&journal->writing);
    free(journal);
    return rc;
}

int cb_journal_open(const char *data_dir, uint64_t map_bytes, struct cb_journal **out) {
    int rc = open_journal(data_dir, map_bytes, false, out);
    if (rc == 0) {
        cb_metric_set(CB_METRIC_JOURNAL_POSITION, (int64_t)cb_journal_head(*out));
        cb_metric_set(CB_METRIC_JOURNAL_FIRST, (int64_t)cb_journal_first(*out));
    }
    return rc;
}

int cb_journal_open_read_only(const char *data_dir, uint64_t map_bytes, struct cb_journal **out) {
    return open_journal(data_dir, map_bytes, true, out);
}

void cb_journal_close(struct cb_journal **journal) {
    if (!*journal) {
        return;
    }
    cb_journal_abort(*journal);
    cb_db_close(&(*journal)->db);
    while ((*journal)->n_spares > 0) {
        cb_unpacker_destroy(&(*journal)->spares[--(*journal)->n_spares].unpacker);
    }
    cb_packer_destroy(&(*journal)->packer);
    pthread_mutex_destroy(&(*journal)->sparing);
    pthread_mutex_destroy(&(*journal)->writing);
    free(*journal);
    *journal = NULL;
}

struct cb_db *cb_journal_db(struct cb_journal *journal) {
    return journal->db;
}

int cb_journal_begin(struct cb_journal *journal) {
    pthread_mutex_lock(&journal->writing);
    int64_t mono_ms = cb_clock_mono_ms();
    int rc = mono_ms - journal->measured_ms >= QUOTA_INTERVAL_MS ? measure(journal) : 0;
    if (rc == 0) {
        rc = cb_db_begin(journal->db, true, &journal->txn);
    }
    if (rc != 0) {
        pthread_mutex_unlock(&journal->writing);
        return rc;
    }
    journal->batch_frame_bytes = journal->batch_bytes = journal->batch_cost = 0;
    journal->edited = false;
    journal->now_ms = cb_journal_time_now(&journal->time);
    if (mono_ms - journal->checked_ms >= READERS_INTERVAL_MS) {
        journal->checked_ms = mono_ms;
        cb_db_check_readers(journal->db); /* a reader that died would hold back pages */
    }
    if (mono_ms - journal->pruned_ms >= PRUNE_INTERVAL_MS) {
        journal->pruned_ms = mono_ms;
        rc = cb_senders_prune(journal->txn, journal->senders, journal->now_ms);
        if (rc != 0) {
            cb_journal_abort(journal);
        }
    }
    return rc;
}

int cb_journal_admit(struct cb_journal *journal, uint64_t sender, uint64_t number) {
    return cb_senders_admit(journal->txn, journal->senders, sender, number, journal->now_ms);
}

/* What a record takes of the map, so that the quota is kept between two measurements: pages of its
 * own when two of its size do not fit in one, else its share of a page. */
static uint64_t cost_of_record(size_t len) {
    const size_t room = PAGE_BYTES - PAGE_HEAD_BYTES, node = len + NODE_HEAD_BYTES;
    if (node > room / 2) {
        return (len + PAGE_HEAD_BYTES + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    }
    return PAGE_BYTES / (room / node);
}

int cb_journal_append(struct cb_journal *journal, struct cb_str frame, uint64_t *position) {
    struct cb_str value;
    void *data;
    if (!check_room(journal)) {
        return CB_EFULL;
    }
    int rc = cb_packer_add(journal->packer, frame, journal->now_ms, &value);
    if (rc != 0) {
        return rc;
    }
    struct cb_key key = cb_key_position(journal->next);
    rc = cb_db_append(journal->txn, journal->records, cb_key_str(&key), value.len, &data);
    if (rc != 0) {
        cb_packer_end(journal->packer);
        return rc;
    }
    memcpy(data, value.p, value.len);
    uint64_t cost_bytes = cost_of_record(value.len);
    uint64_t frame_bytes = CB_JOURNAL_RECORD_HEAD + frame.len;
    journal->used_bytes += cost_bytes;
    journal->batch_cost += cost_bytes;
    journal->batch_bytes += value.len;
    journal->batch_frame_bytes += frame_bytes;
    atomic_fetch_add_explicit(&journal->appended_bytes, frame_bytes, memory_order_relaxed);
    *position = journal->next++;
    return 0;
}

int cb_journal_value(struct cb_db_txn *txn, unsigned records, uint64_t position,
                     struct cb_str *value) {
    struct cb_key key = cb_key_position(position);
    return cb_db_get(txn, records, cb_key_str(&key), value);
}

/* Where the group of the record at a position begins. Errors: CB_ENOENT. */
static int group_start(struct cb_db_txn *txn, unsigned records, uint64_t position,
                       uint64_t *start) {
    struct cb_str value;
    int rc = cb_journal_value(txn, records, position, &value);
    if (rc == 0) {
        uint32_t place = cb_record_place(value);
        *start = place < position ? position - place : 1;
    }
    return rc;
}

int cb_journal_group_start(struct cb_journal *journal, uint64_t position, uint64_t *start) {
    struct cb_db_txn *txn;
    int rc = cb_db_begin(journal->db, false, &txn);
    if (rc == 0) {
        rc = group_start(txn, journal->records, position, start);
        cb_db_abort(&txn);
    }
    return rc;
}

int cb_journal_trim(struct cb_journal *journal, uint64_t *before, uint64_t bytes_max, bool *left) {
    uint64_t bytes = 0, newest = journal->next - 1, end = *before < newest ? *before : newest;
    int rc = journal->kept < end ? group_start(journal->txn, journal->records, end, &end) : 0;
    while (rc == 0 && journal->kept < end) {
        struct cb_key key = cb_key_position(journal->kept);
        struct cb_str value = {NULL, 0};
        rc = cb_db_get(journal->txn, journal->records, cb_key_str(&key), &value);
        if (rc == 0 && bytes > bytes_max && cb_record_place(value) == 0) {
            break;
        }
        rc = rc == 0 ? cb_db_delete(journal->txn, journal->records, cb_key_str(&key)) : rc;
        if (rc == 0) {
            bytes += cost_of_record(value.len);
            journal->kept++;
            cb_crash_point("journal_in_trim");
        }
    }
    *left = journal->kept < end;
    *before = end;
    return rc == CB_ENOENT ? CB_ECORRUPT : rc; /* a gap */
}

/* After a commit that trimmed: there is more room than what was measured, and whoever decides about
 * the next trim must see it. */
static void note_trimmed(struct cb_journal *journal) {
    uint64_t first = atomic_load_explicit(&journal->first, memory_order_relaxed);
    if (journal->kept == first) {
        return;
    }
    cb_metric_add(CB_METRIC_JOURNAL_TRIMMED, (int64_t)(journal->kept - first));
    cb_metric_set(CB_METRIC_JOURNAL_FIRST, (int64_t)journal->kept);
    int rc = measure(journal);
    if (rc != 0) {
        journal->measured_ms = 0; /* the next batch tries again */
    }
    atomic_store_explicit(&journal->first, journal->kept, memory_order_release);
    cb_crash_point("journal_after_trim");
}

/* Under the mutex where something was edited: no reader may begin between the commit and the moment
 * from which what others have unpacked is not believed any more. */
static int commit(struct cb_journal *journal) {
    if (!journal->edited) {
        return cb_db_commit(&journal->txn);
    }
    pthread_mutex_lock(&journal->sparing);
    int rc = cb_db_commit(&journal->txn);
    journal->edits++;
    pthread_mutex_unlock(&journal->sparing);
    return rc;
}

/* Nothing of the batch is there. */
static void take_back(struct cb_journal *journal) {
    cb_packer_end(journal->packer);
    journal->next = atomic_load_explicit(&journal->head, memory_order_relaxed) + 1;
    journal->kept = cb_journal_first(journal);
    journal->used_bytes -= journal->batch_cost;
    atomic_fetch_sub_explicit(&journal->appended_bytes, journal->batch_frame_bytes,
                              memory_order_relaxed);
    journal->batch_frame_bytes = journal->batch_bytes = journal->batch_cost = 0;
}

int cb_journal_commit(struct cb_journal *journal) {
    int rc = commit(journal);
    uint64_t head = atomic_load_explicit(&journal->head, memory_order_relaxed);
    if (rc != 0) {
        take_back(journal);
        atomic_store_explicit(&journal->failed_ms, cb_clock_mono_ms(), memory_order_relaxed);
        pthread_mutex_unlock(&journal->writing);
        return rc;
    }
    if (journal->batch_bytes > 0) {
        atomic_store_explicit(&journal->failed_ms, 0, memory_order_relaxed);
    }
    cb_metric_add(CB_METRIC_JOURNAL_COMMITS, 1);
    cb_metric_add(CB_METRIC_JOURNAL_FRAMES, (int64_t)(journal->next - 1 - head));
    cb_metric_add(CB_METRIC_JOURNAL_BYTES, (int64_t)journal->batch_bytes);
    cb_metric_set(CB_METRIC_JOURNAL_POSITION, (int64_t)(journal->next - 1));
    atomic_store_explicit(&journal->head, journal->next - 1, memory_order_release);
    note_trimmed(journal);
    pthread_mutex_unlock(&journal->writing);
    return 0;
}

void cb_journal_abort(struct cb_journal *journal) {
    if (!journal->txn) {
        return;
    }
    cb_db_abort(&journal->txn);
    take_back(journal);
    pthread_mutex_unlock(&journal->writing);
}

uint64_t cb_journal_head(const struct cb_journal *journal) {
    return atomic_load_explicit(&journal->head, memory_order_acquire);
}

uint64_t cb_journal_first(const struct cb_journal *journal) {
    return atomic_load_explicit(&journal->first, memory_order_acquire);
}

uint64_t cb_journal_used_bytes(const struct cb_journal *journal) {
    return atomic_load_explicit(&journal->measured_bytes, memory_order_relaxed);
}

uint64_t cb_journal_appended_bytes(const struct cb_journal *journal) {
    return atomic_load_explicit(&journal->appended_bytes, memory_order_relaxed);
}

bool cb_journal_accepting(const struct cb_journal *journal) {
    int64_t failed_ms = atomic_load_explicit(&journal->failed_ms, memory_order_relaxed);
    return atomic_load_explicit(&journal->accepting, memory_order_relaxed) &&
           (failed_ms == 0 || cb_clock_mono_ms() - failed_ms >= FAILED_MS);
}

void cb_journal_group_limit(struct cb_journal *journal, uint32_t frames) {
    cb_packer_limit(journal->packer, frames);
}

int cb_journal_oldest(struct cb_journal *journal, uint64_t *position) {
    struct cb_db_txn *txn;
    struct cb_db_cursor *cursor;
    int rc = cb_db_begin(journal->db, false, &txn);
    if (rc != 0) {
        return rc;
    }
    rc = cb_db_cursor_open(txn, journal->records, &cursor);
    if (rc == 0) {
        *position = 1;
        rc = cb_journal_seek_first(cursor, position);
        cb_db_cursor_close(&cursor);
    }
    cb_db_abort(&txn);
    return rc == CB_ENOENT ? 0 : rc;
}

int cb_journal_time_at(struct cb_journal *journal, uint64_t position, int64_t *ms) {
    struct cb_db_txn *txn;
    int rc = cb_db_begin(journal->db, false, &txn);
    if (rc != 0) {
        return rc;
    }
    struct cb_str value;
    struct cb_record record;
    rc = cb_journal_value(txn, journal->records, position, &value);
    rc = rc == 0 ? cb_record_decode(value, &record) : rc;
    if (rc == 0) {
        *ms = record.journal_ms;
    }
    cb_db_abort(&txn);
    return rc == CB_EMALFORMED ? CB_ECORRUPT : rc;
}
