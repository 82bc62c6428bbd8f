/* SPDX-License-Identifier: MIT
 * reader.c: snapshots of the views, and the rows in them that are read one by one. Series are in
 * series.c. */
#include "store/reader.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/clock.h"
#include "store/folder.h"
#include "store/rows.h"
#include "store/snapshot.h"
#include "store/visitor_row.h"

enum { TEXT_MAX_BYTES = 64 * 1024, OPEN_RETRY_MS = 50 };

struct cb_reader {
    struct cb_views *views;
    struct cb_journal *journal;
    bool owned;
    pthread_mutex_t mutex; /* of the zones: they are read once and cached, for all threads */
    struct cb_zones *zones;
};

int cb_reader_of(struct cb_views *views, struct cb_journal *journal, struct cb_reader **out) {
    struct cb_reader *reader = malloc(sizeof(*reader));
    if (!reader) {
        return CB_ENOMEM;
    }
    *reader = (struct cb_reader){.views = views, .journal = journal, .owned = false};
    pthread_mutex_init(&reader->mutex, NULL);
    int rc = cb_zones_create(&reader->zones);
    if (rc != 0) {
        cb_reader_close(&reader);
        return rc;
    }
    *out = reader;
    return 0;
}

struct cb_views *cb_reader_views(const struct cb_reader *reader) {
    return reader->views;
}

struct cb_journal *cb_reader_journal(const struct cb_reader *reader) {
    return reader->journal;
}

int cb_reader_borrow(struct cb_store *store, struct cb_reader **out) {
    return cb_reader_of(cb_store_views(store), cb_store_journal(store), out);
}

/* Both environments read-only; CB_ENOENT while the store has not made them. */
static int open_both(const char *data_dir, uint64_t map_bytes, struct cb_reader **out) {
    struct cb_views *views = NULL;
    struct cb_journal *journal = NULL;
    int rc = cb_views_open_read_only(data_dir, map_bytes, &views);
    if (rc == 0) {
        rc = cb_journal_open_read_only(data_dir, map_bytes, &journal);
    }
    if (rc == 0) {
        rc = cb_reader_of(views, journal, out);
    }
    if (rc != 0) {
        cb_journal_close(&journal);
        cb_views_close(&views);
        return rc;
    }
    (*out)->owned = true;
    return 0;
}

int cb_reader_open(const char *data_dir, uint64_t map_bytes, unsigned wait_ms,
                   struct cb_reader **out, char **sentence) {
    int64_t until_ms = cb_clock_mono_ms() + wait_ms;
    int rc;
    /* Views of an older version: its store is being started, and makes them anew. */
    while (((rc = open_both(data_dir, map_bytes, out)) == CB_ENOENT || rc == CB_ESTALE) &&
           cb_clock_mono_ms() < until_ms) {
        nanosleep(&(struct timespec){.tv_nsec = OPEN_RETRY_MS * 1000000L}, NULL);
    }
    if (rc == 0) {
        rc = cb_folder_check_format(data_dir, "--data", sentence);
        if (rc == 0) {
            return 0;
        }
        cb_reader_close(out);
        return rc;
    }
    if (asprintf(sentence, "--data: cannot read the data in %s: %s", data_dir,
                 rc == CB_ENOENT ? "no store has made it" : cb_err_text(rc)) < 0) {
        *sentence = NULL;
    }
    return rc;
}

void cb_reader_close(struct cb_reader **reader) {
    if (!*reader) {
        return;
    }
    if ((*reader)->owned) {
        cb_journal_close(&(*reader)->journal);
        cb_views_close(&(*reader)->views);
    }
    cb_zones_destroy(&(*reader)->zones);
    pthread_mutex_destroy(&(*reader)->mutex);
    free(*reader);
    *reader = NULL;
}

int cb_snapshot_begin(struct cb_reader *reader, struct cb_snapshot **out) {
    struct cb_snapshot *snapshot = malloc(sizeof(*snapshot));
    if (!snapshot) {
        return CB_ENOMEM;
    }
    *snapshot =
        (struct cb_snapshot){.reader = reader, .views = reader->views, .journal = reader->journal};
    cb_buf_init(&snapshot->text, TEXT_MAX_BYTES);
    cb_buf_init(&snapshot->history,
                (CB_HISTORY_MAX + 1) * CB_FIELD_PARTS_MAX * CB_FIELD_PART_BYTES);
    cb_buf_init(&snapshot->settings, CB_ORIGINS_MAX_BYTES + CB_PAGE_SETTINGS_MAX);
    int rc = cb_db_begin(cb_views_db(reader->views), false, &snapshot->txn);
    if (rc == 0) {
        rc = cb_views_position(snapshot->views, snapshot->txn, &snapshot->position);
    }
    if (rc != 0) {
        cb_snapshot_end(&snapshot);
        return rc;
    }
    *out = snapshot;
    return 0;
}

void cb_snapshot_end(struct cb_snapshot **snapshot) {
    if (!*snapshot) {
        return;
    }
    cb_db_abort(&(*snapshot)->txn);
    cb_buf_fini(&(*snapshot)->text);
    cb_buf_fini(&(*snapshot)->history);
    cb_buf_fini(&(*snapshot)->settings);
    free(*snapshot);
    *snapshot = NULL;
}

int cb_snapshot_days(struct cb_snapshot *snapshot, uint32_t site, int64_t from, int64_t to,
                     struct cb_site_days *out) {
    struct cb_reader *reader = snapshot->reader;
    struct cb_zone *zone;
    int rc = cb_snapshot_zone(snapshot, site, out->zone);
    if (rc != 0) {
        return rc;
    }
    pthread_mutex_lock(&reader->mutex);
    rc = cb_zones_get(reader->zones, cb_str_of(out->zone), &zone);
    if (rc == 0) {
        struct cb_day first = cb_zone_day(zone, from), last = cb_zone_day(zone, to - 1);
        out->first = first.number;
        out->end = last.number + 1;
        out->from = first.from;
        out->to = last.to;
    }
    pthread_mutex_unlock(&reader->mutex);
    return rc;
}

uint64_t cb_snapshot_position(const struct cb_snapshot *snapshot) {
    return snapshot->position;
}

int cb_snapshot_row(struct cb_snapshot *snapshot, enum cb_table table, const struct cb_key *key,
                    struct cb_str *value) {
    return cb_db_get(snapshot->txn, cb_views_table(snapshot->views, table), cb_key_str(key), value);
}

static int decode_site(struct cb_snapshot *snapshot, struct cb_str value, struct cb_site *out) {
    if (value.len != CB_ROW_SITE_BYTES) {
        return CB_ECORRUPT;
    }
    const uint8_t *p = (const uint8_t *)value.p;
    *out = (struct cb_site){
        .id = cb_be32_get(p), .status = p[4], .made_ms = (int64_t)cb_be64_get(p + 5)};
    struct cb_key key = cb_key_site(out->id);
    struct cb_str state;
    int rc = cb_snapshot_row(snapshot, CB_TABLE_SITE_STATE, &key, &state);
    if (rc == 0 && state.len == CB_ROW_SITE_STATE_BYTES) {
        out->first_minute = cb_be32_get((const uint8_t *)state.p);
        out->last_minute = cb_be32_get((const uint8_t *)state.p + 4);
    }
    return rc == CB_ENOENT ? 0 : rc;
}

int cb_snapshot_site(struct cb_snapshot *snapshot, struct cb_str name, struct cb_site *out) {
    if (!cb_site_name_valid(name)) {
        return CB_ENOENT;
    }
    struct cb_key key = {.len = 0};
    cb_key_bytes(&key, name.p, name.len);
    struct cb_str value;
    int rc = cb_snapshot_row(snapshot, CB_TABLE_SITES, &key, &value);
    return rc == 0 ? decode_site(snapshot, value, out) : rc;
}

int cb_snapshot_scan(struct cb_snapshot *snapshot, enum cb_table table, const struct cb_key *prefix,
                     bool (*each)(void *user, struct cb_str key, struct cb_str value), void *user) {
    struct cb_db_cursor *cursor;
    int rc = cb_db_cursor_open(snapshot->txn, cb_views_table(snapshot->views, table), &cursor);
    if (rc != 0) {
        return rc;
    }
    /* LMDB takes no empty key; every key of ours begins above a zero byte's position. */
    struct cb_key from = *prefix;
    if (from.len == 0) {
        cb_key_u8(&from, 0);
    }
    struct cb_str key, value;
    for (rc = cb_db_seek(cursor, cb_key_str(&from), &key, &value); rc == 0;
         rc = cb_db_next(cursor, &key, &value)) {
        if (key.len < prefix->len || memcmp(key.p, prefix->bytes, prefix->len) != 0) {
            break;
        }
        if (!each(user, key, value)) {
            break;
        }
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT ? 0 : rc;
}

struct sites_user {
    struct cb_snapshot *snapshot;
    bool (*each)(void *user, struct cb_str name, const struct cb_site *site);
    void *user;
};

static bool give_site(void *user, struct cb_str key, struct cb_str value) {
    struct sites_user *u = user;
    struct cb_site site;
    return decode_site(u->snapshot, value, &site) != 0 || u->each(u->user, key, &site);
}

void cb_snapshot_sites(struct cb_snapshot *snapshot,
                       bool (*each)(void *user, struct cb_str name, const struct cb_site *site),
                       void *user) {
    struct sites_user u = {snapshot, each, user};
    struct cb_key prefix = {.len = 0};
    int rc = cb_snapshot_scan(snapshot, CB_TABLE_SITES, &prefix, give_site, &u);
    (void)rc; /* the disk's errors were logged in db.c; what was read was given */
}

int cb_snapshot_name(struct cb_snapshot *snapshot, uint32_t site, struct cb_str name,
                     uint32_t *name_id) {
    if (name.len > CB_NAME_MAX) {
        return CB_ENOENT;
    }
    struct cb_key key = cb_key_name(site, name);
    struct cb_str value;
    int rc = cb_snapshot_row(snapshot, CB_TABLE_NAMES, &key, &value);
    if (rc == 0 && value.len != 4) {
        rc = CB_ECORRUPT;
    }
    if (rc == 0) {
        *name_id = cb_be32_get((const uint8_t *)value.p);
    }
    return rc;
}

struct names_user {
    bool (*each)(void *user, uint32_t name_id, struct cb_str name);
    void *user;
};

static bool give_name(void *user, struct cb_str key, struct cb_str value) {
    struct names_user *u = user;
    return value.len != 4 || u->each(u->user, cb_be32_get((const uint8_t *)value.p),
                                     (struct cb_str){key.p + 4, key.len - 4});
}

void cb_snapshot_names(struct cb_snapshot *snapshot, uint32_t site,
                       bool (*each)(void *user, uint32_t name_id, struct cb_str name), void *user) {
    struct names_user u = {each, user};
    struct cb_key prefix = cb_key_site(site);
    int rc = cb_snapshot_scan(snapshot, CB_TABLE_NAMES, &prefix, give_name, &u);
    (void)rc;
}

int cb_snapshot_ordinal(struct cb_snapshot *snapshot, uint32_t site,
                        const uint8_t visitor[CB_VISITOR_BYTES], uint32_t *ordinal) {
    struct cb_key key = cb_key_ordinal(site, visitor);
    struct cb_str value;
    int rc = cb_snapshot_row(snapshot, CB_TABLE_ORDINALS, &key, &value);
    if (rc == 0 && value.len != 4) {
        rc = value.len == CB_ROW_HUSK_ORDINAL_BYTES ? CB_ENOENT : CB_ECORRUPT;
    }
    if (rc == 0) {
        *ordinal = cb_be32_get((const uint8_t *)value.p);
    }
    return rc;
}

int cb_snapshot_value(struct cb_snapshot *snapshot, enum cb_table table, const struct cb_key *place,
                      struct cb_field_value *value, struct cb_stamp *stamp, struct cb_buf *out) {
    size_t before = out->len, len = 0;
    for (unsigned part = 0; part == 0 || out->len - before < len; part++) {
        struct cb_key key = *place;
        struct cb_str row;
        cb_key_u8(&key, (uint8_t)part);
        int rc = cb_snapshot_row(snapshot, table, &key, &row);
        if (rc != 0) {
            return part == 0 ? rc : CB_ECORRUPT;
        }
        if (part == 0) {
            const uint8_t *p = (const uint8_t *)row.p;
            if (row.len < CB_FIELD_HEAD_BYTES) {
                return CB_ECORRUPT;
            }
            stamp->true_ms = (int64_t)cb_be64_get(p + CB_FIELD_TRUE_MS);
            stamp->seq = cb_be64_get(p + CB_FIELD_SEQ);
            memcpy(stamp->producer, p + CB_FIELD_PRODUCER, CB_PRODUCER_BYTES);
            stamp->source = p[CB_FIELD_SOURCE];
            *value = (struct cb_field_value){.at_ms = stamp->true_ms,
                                             .source = stamp->source,
                                             .moved = cb_be32_get(p + CB_FIELD_MOVED)};
            memcpy(value->by, p + CB_FIELD_BY, CB_TOKEN_ID_BYTES);
            len = cb_be32_get(p + CB_FIELD_LEN);
            row.p += CB_FIELD_HEAD_BYTES;
            row.len -= CB_FIELD_HEAD_BYTES;
        }
        if (part > CB_FIELD_PARTS_MAX || (row.len == 0 && len > 0) || row.len > len) {
            return CB_ECORRUPT;
        }
        rc = cb_buf_append_str(out, row);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int cb_snapshot_field(struct cb_snapshot *snapshot, uint32_t site, uint32_t ordinal, unsigned field,
                      struct cb_stamp *stamp, struct cb_buf *out) {
    struct cb_key key = cb_key_visitor(site, ordinal);
    struct cb_field_value value;
    cb_key_u8(&key, (uint8_t)field);
    return cb_snapshot_value(snapshot, CB_TABLE_FIELDS, &key, &value, stamp, out);
}

int cb_snapshot_visitor_at(struct cb_snapshot *snapshot, uint32_t site, uint32_t ordinal,
                           struct cb_visitor *out) {
    cb_buf_clear(&snapshot->text);
    struct cb_key key = cb_key_visitor(site, ordinal);
    struct cb_visitor_row row;
    struct cb_str value;
    int rc = cb_snapshot_row(snapshot, CB_TABLE_VISITORS, &key, &value);
    rc = rc == 0 ? cb_visitor_row_decode(value, &row) : rc;
    if (rc != 0) {
        return rc;
    }
    *out = (struct cb_visitor){.first_seen_ms = row.first_seen_ms,
                               .last_seen_ms = row.last_seen_ms,
                               .events = row.events,
                               .sessions = row.sessions};
    memcpy(out->visitor, row.id, CB_VISITOR_BYTES);
    /* Fields are put together in text, whose memory may move: offsets first, pointers when all are
     * there. */
    size_t offsets[CB_EDITABLE_COUNT + 1];
    for (unsigned field = 0; field < CB_EDITABLE_COUNT; field++) {
        offsets[field] = snapshot->text.len;
        struct cb_stamp stamp;
        rc = cb_snapshot_field(snapshot, site, ordinal, field, &stamp, &snapshot->text);
        if (rc != 0 && rc != CB_ENOENT) {
            return rc;
        }
    }
    offsets[CB_EDITABLE_COUNT] = snapshot->text.len;
    for (unsigned field = 0; field < CB_EDITABLE_COUNT; field++) {
        *(field < CB_FIELD_COUNT ? &out->fields[field] : &out->remarks) =
            (struct cb_str){snapshot->text.len > 0 ? snapshot->text.data + offsets[field] : "",
                            offsets[field + 1] - offsets[field]};
    }
    return 0;
}

int cb_snapshot_visitor(struct cb_snapshot *snapshot, uint32_t site,
                        const uint8_t visitor[CB_VISITOR_BYTES], struct cb_visitor *out) {
    uint32_t ordinal;
    int rc = cb_snapshot_ordinal(snapshot, site, visitor, &ordinal);
    if (rc != 0) {
        return rc;
    }
    return cb_snapshot_visitor_at(snapshot, site, ordinal, out);
}

void cb_snapshot_books(struct cb_snapshot *snapshot, uint32_t site, struct cb_books *out) {
    *out = (struct cb_books){0};
    struct cb_key key = cb_key_site(site);
    struct cb_str value;
    if (cb_snapshot_row(snapshot, CB_TABLE_BOOKS, &key, &value) != 0 ||
        value.len != CB_ROW_BOOKS_BYTES) {
        return;
    }
    const uint8_t *p = (const uint8_t *)value.p;
    out->received = cb_be64_get(p + CB_BOOKS_RECEIVED);
    out->counted = cb_be64_get(p + CB_BOOKS_COUNTED);
    out->duplicate = cb_be64_get(p + CB_BOOKS_DUPLICATE);
    out->lost = cb_be64_get(p + CB_BOOKS_LOST);
    for (unsigned i = 0; i <= CB_REFUSAL_MAX; i++) {
        out->rejected[i] = cb_be64_get(p + CB_BOOKS_REJECTED + 8 * i);
    }
}
