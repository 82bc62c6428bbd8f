/* SPDX-License-Identifier: MIT
 * history.c: of one visitor what the list does not tell: the values that its fields had, and its
 * visits. */
#include "store/rows.h"
#include "store/snapshot.h"
#include "store/visitor_row.h"

/* A value with the places of what is not there yet: text, whose memory may move. */
struct entry {
    struct cb_field_value value;
    uint64_t seq;
    size_t from, len;
};

static int read_entry(struct cb_snapshot *snapshot, enum cb_table table, const struct cb_key *key,
                      struct entry *out) {
    struct cb_stamp stamp;
    out->from = snapshot->history.len;
    int rc = cb_snapshot_value(snapshot, table, key, &out->value, &stamp, &snapshot->history);
    if (rc == 0) {
        out->seq = stamp.seq;
        out->len = snapshot->history.len - out->from;
    }
    return rc;
}

static bool is_newer(const struct entry *a, const struct entry *b) {
    return a->value.at_ms != b->value.at_ms ? a->value.at_ms > b->value.at_ms : a->seq > b->seq;
}

static int read_slots(struct cb_snapshot *snapshot, const struct cb_key *field, uint32_t moved,
                      struct entry *entries, size_t *n) {
    uint32_t slots = moved < CB_HISTORY_MAX ? moved : CB_HISTORY_MAX;
    int rc = 0;
    for (uint32_t slot = 0; rc == 0 && slot < slots; slot++) {
        struct cb_key key = *field;
        struct entry entry;
        cb_key_u8(&key, (uint8_t)slot);
        rc = read_entry(snapshot, CB_TABLE_HISTORY, &key, &entry);
        if (rc != 0) {
            return rc == CB_ENOENT ? CB_ECORRUPT : rc;
        }
        size_t at = (*n)++;
        for (; at > 1 && is_newer(&entry, &entries[at - 1]); at--) {
            entries[at] = entries[at - 1];
        }
        entries[at] = entry;
    }
    return rc;
}

int cb_snapshot_history(struct cb_snapshot *snapshot, uint32_t site,
                        const uint8_t visitor[CB_VISITOR_BYTES], unsigned field,
                        struct cb_field_value out[CB_HISTORY_ROWS_MAX], size_t *n) {
    _Static_assert(CB_HISTORY_ROWS_MAX == CB_HISTORY_MAX + 1, "the value that counts, and history");
    struct entry entries[CB_HISTORY_ROWS_MAX];
    uint32_t ordinal;
    *n = 0;
    cb_buf_clear(&snapshot->history);
    int rc = cb_snapshot_ordinal(snapshot, site, visitor, &ordinal);
    if (rc != 0) {
        return rc;
    }
    struct cb_key key = cb_key_visitor(site, ordinal);
    cb_key_u8(&key, (uint8_t)field);
    rc = read_entry(snapshot, CB_TABLE_FIELDS, &key, &entries[0]);
    if (rc != 0) {
        return rc == CB_ENOENT ? 0 : rc;
    }
    *n = 1;
    rc = read_slots(snapshot, &key, entries[0].value.moved, entries, n);
    for (size_t i = 0; rc == 0 && i < *n; i++) {
        out[i] = entries[i].value;
        out[i].text = (struct cb_str){
            entries[i].len > 0 ? snapshot->history.data + entries[i].from : "", entries[i].len};
    }
    return rc;
}

/* ---- visits ---- */

static bool give(const struct cb_visit *visit,
                 bool (*each)(void *user, const struct cb_visitor_visit *visit), void *user) {
    struct cb_visitor_visit given = {.start_ms = visit->start_ms,
                                     .end_ms = visit->end_ms,
                                     .events = visit->events,
                                     .interacted = cb_visit_interacted(visit)};
    return each(user, &given);
}

/* The sessions of a row, the last first. */
static int give_part(struct cb_str row,
                     bool (*each)(void *user, const struct cb_visitor_visit *visit), void *user,
                     bool *go_on) {
    struct cb_str visits[CB_VISIT_LIST_MAX];
    struct cb_visit visit;
    size_t n;
    int rc = cb_visit_list(row, visits, &n);
    while (rc == 0 && *go_on && n-- > 0) {
        rc = cb_visit_decode(visits[n], &visit);
        *go_on = rc == 0 && give(&visit, each, user);
    }
    return rc;
}

int cb_snapshot_visits(struct cb_snapshot *snapshot, uint32_t site,
                       const uint8_t visitor[CB_VISITOR_BYTES],
                       bool (*each)(void *user, const struct cb_visitor_visit *visit), void *user) {
    struct cb_visitor_row row;
    struct cb_str value;
    uint32_t ordinal;
    int rc = cb_snapshot_ordinal(snapshot, site, visitor, &ordinal);
    if (rc != 0) {
        return rc;
    }
    struct cb_key key = cb_key_visitor(site, ordinal);
    rc = cb_snapshot_row(snapshot, CB_TABLE_VISITORS, &key, &value);
    rc = rc == 0 ? cb_visitor_row_decode(value, &row) : rc == CB_ENOENT ? CB_ECORRUPT : rc;
    if (rc != 0) {
        return rc;
    }
    bool go_on = row.sessions > 0 && give(&row.session, each, user);
    for (uint32_t next = cb_visitor_parts_end(&row); go_on && next > row.part;) {
        key = cb_key_sessions(site, ordinal, --next);
        rc = cb_snapshot_row(snapshot, CB_TABLE_SESSIONS, &key, &value);
        rc = rc == 0 ? give_part(value, each, user, &go_on) : rc == CB_ENOENT ? 0 : rc;
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
