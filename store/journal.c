/* SPDX-License-Identifier: MIT
 * journal.c: invariant: positions are consecutive, and what cb_journal_commit returned 0 for is on
 * disk. */
#include "store/journal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/clock.h"
#include "proto/crash.h"
#include "proto/crc.h"
#include "proto/frame.h"
#include "proto/log.h"
#include "proto/metric.h"
#include "store/db.h"
#include "store/journal_time.h"
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

static const char magic[3] = {'c', 'b', 'j'};

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
    /* the writer's own */
    struct cb_db_txn *txn;
    uint64_t next;                    /* position of the next append */
    uint64_t kept;                    /* position of the oldest record, in this batch */
    uint64_t batch_bytes, batch_cost; /* of its records; what they take of the map */
    uint64_t used_bytes;              /* as measured last, and what was appended since */
    int64_t measured_ms, pruned_ms, checked_ms;
    struct cb_journal_time time;
    int64_t now_ms; /* journal time of this batch */
};

struct cb_journal_reader {
    struct cb_db_txn *txn;
    unsigned records;
    struct cb_db_cursor *cursor;
    uint64_t next;
    bool started;
};

int cb_journal_record_decode(struct cb_str value, struct cb_journal_record *out) {
    const uint8_t *p = (const uint8_t *)value.p;
    if (value.len < CB_JOURNAL_RECORD_HEAD || memcmp(p, magic, sizeof(magic)) != 0) {
        return CB_EMALFORMED;
    }
    if (p[3] != CB_JOURNAL_VERSION) {
        return p[3] > CB_JOURNAL_VERSION ? CB_EVERSION : CB_EMALFORMED;
    }
    if (cb_be32_get(p + 4) != cb_crc32c(0, p + 8, value.len - 8)) {
        return CB_ECORRUPT;
    }
    out->journal_ms = (int64_t)cb_be64_get(p + 8);
    out->frame =
        (struct cb_str){value.p + CB_JOURNAL_RECORD_HEAD, value.len - CB_JOURNAL_RECORD_HEAD};
    return 0;
}

/* The row of position 1, or the first one behind it. */
static int seek_first(struct cb_db_cursor *cursor, uint64_t *position) {
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
    struct cb_journal_record record;
    rc = seek_first(cursor, first);
    if (rc == 0) {
        rc = cb_db_last(cursor, &key, &value);
    }
    if (rc == 0) {
        rc = key.len == 8 ? cb_journal_record_decode(value, &record) : CB_ECORRUPT;
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
    bool room = journal->used_bytes + CB_JOURNAL_RECORD_HEAD + CB_FRAME_MAX < journal->quota_bytes;
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
    int rc = cb_db_open(folder, map_bytes, 4, read_only, &journal->db);
    if (rc != 0) {
        goto err_after_journal;
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
err_after_journal:
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
    journal->batch_bytes = journal->batch_cost = 0;
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
    size_t len = CB_JOURNAL_RECORD_HEAD + frame.len;
    uint64_t cost_bytes = cost_of_record(len);
    if (!check_room(journal)) {
        return CB_EFULL;
    }
    struct cb_key key = cb_key_position(journal->next);
    void *data;
    int rc = cb_db_append(journal->txn, journal->records, cb_key_str(&key), len, &data);
    if (rc != 0) {
        return rc;
    }
    uint8_t *p = data;
    memcpy(p, magic, sizeof(magic));
    p[3] = CB_JOURNAL_VERSION;
    cb_be64_put(p + 8, (uint64_t)journal->now_ms);
    memcpy(p + CB_JOURNAL_RECORD_HEAD, frame.p, frame.len);
    cb_be32_put(p + 4, cb_crc32c(0, p + 8, len - 8));
    journal->used_bytes += cost_bytes;
    journal->batch_cost += cost_bytes;
    journal->batch_bytes += len;
    atomic_fetch_add_explicit(&journal->appended_bytes, len, memory_order_relaxed);
    *position = journal->next++;
    return 0;
}

int cb_journal_replace(struct cb_journal *journal, uint64_t position, struct cb_str frame) {
    struct cb_key key = cb_key_position(position);
    struct cb_str value;
    int rc = cb_db_get(journal->txn, journal->records, cb_key_str(&key), &value);
    if (rc != 0 || value.len != CB_JOURNAL_RECORD_HEAD + frame.len) {
        return rc != 0 ? rc : CB_EINVAL;
    }
    uint8_t *p = malloc(value.len);
    if (!p) {
        return CB_ENOMEM;
    }
    memcpy(p, value.p, CB_JOURNAL_RECORD_HEAD);
    memcpy(p + CB_JOURNAL_RECORD_HEAD, frame.p, frame.len);
    cb_be32_put(p + 4, cb_crc32c(0, p + 8, value.len - 8));
    rc = cb_db_put(journal->txn, journal->records, cb_key_str(&key),
                   (struct cb_str){(const char *)p, value.len});
    free(p);
    return rc;
}

int cb_journal_trim(struct cb_journal *journal, uint64_t before, uint64_t bytes_max, bool *left) {
    uint64_t bytes = 0, newest = journal->next - 1;
    int rc = 0;
    before = before < newest ? before : newest;
    while (rc == 0 && journal->kept < before && bytes <= bytes_max) {
        struct cb_key key = cb_key_position(journal->kept);
        struct cb_str value = {NULL, 0};
        rc = cb_db_get(journal->txn, journal->records, cb_key_str(&key), &value);
        rc = rc == 0 ? cb_db_delete(journal->txn, journal->records, cb_key_str(&key)) : rc;
        if (rc == 0) {
            bytes += cost_of_record(value.len);
            journal->kept++;
            cb_crash_point("journal_in_trim");
        }
    }
    *left = journal->kept < before;
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

int cb_journal_commit(struct cb_journal *journal) {
    int rc = cb_db_commit(&journal->txn);
    uint64_t head = atomic_load_explicit(&journal->head, memory_order_relaxed);
    if (rc != 0) {
        journal->next = head + 1;
        journal->kept = cb_journal_first(journal);
        journal->used_bytes -= journal->batch_cost;
        atomic_fetch_sub_explicit(&journal->appended_bytes, journal->batch_bytes,
                                  memory_order_relaxed);
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
    journal->next = atomic_load_explicit(&journal->head, memory_order_relaxed) + 1;
    journal->kept = cb_journal_first(journal);
    journal->used_bytes -= journal->batch_cost;
    atomic_fetch_sub_explicit(&journal->appended_bytes, journal->batch_bytes, memory_order_relaxed);
    journal->batch_bytes = journal->batch_cost = 0;
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

int cb_journal_reader_open(struct cb_journal *journal, uint64_t from,
                           struct cb_journal_reader **out) {
    struct cb_journal_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        return CB_ENOMEM;
    }
    int rc = cb_db_begin(journal->db, false, &reader->txn);
    if (rc != 0) {
        goto err_after_reader;
    }
    rc = cb_db_cursor_open(reader->txn, journal->records, &reader->cursor);
    if (rc != 0) {
        goto err_after_txn;
    }
    uint64_t first = from;
    rc = seek_first(reader->cursor, &first);
    if (rc == 0 && from < first) {
        rc = CB_EGONE;
    }
    if (rc != 0 && rc != CB_ENOENT) {
        goto err_after_cursor;
    }
    reader->next = from;
    reader->records = journal->records;
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

static int decode_record(struct cb_str value, uint64_t position, struct cb_journal_record *out) {
    int rc = cb_journal_record_decode(value, out);
    out->position = position;
    if (rc != 0) {
        cb_log(CB_LOG_ERROR, "journal_record_bad", "position=%llu text=\"%s\"",
               (unsigned long long)position, cb_err_text(rc));
    }
    return rc == CB_EMALFORMED ? CB_ECORRUPT : rc;
}

int cb_journal_reader_get(struct cb_journal_reader *reader, uint64_t position,
                          struct cb_journal_record *out) {
    struct cb_key key = cb_key_position(position);
    struct cb_str value;
    int rc = cb_db_get(reader->txn, reader->records, cb_key_str(&key), &value);
    return rc == 0 ? decode_record(value, position, out) : rc;
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
    rc = decode_record(value, reader->next, out);
    reader->next += rc == 0;
    return rc;
}

void cb_journal_reader_close(struct cb_journal_reader **reader) {
    if (!*reader) {
        return;
    }
    cb_db_cursor_close(&(*reader)->cursor);
    cb_db_abort(&(*reader)->txn);
    free(*reader);
    *reader = NULL;
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
        rc = seek_first(cursor, position);
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
    struct cb_key key = cb_key_position(position);
    struct cb_str value;
    struct cb_journal_record record;
    rc = cb_db_get(txn, journal->records, cb_key_str(&key), &value);
    rc = rc == 0 ? cb_journal_record_decode(value, &record) : rc;
    if (rc == 0) {
        *ms = record.journal_ms;
    }
    cb_db_abort(&txn);
    return rc == CB_EMALFORMED ? CB_ECORRUPT : rc;
}
