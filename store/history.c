/* SPDX-License-Identifier: MIT
 * history.c: of one visitor what the list does not tell: the values that its fields had, and its
 * visits. */
#include "store/rows.h"
#include "store/snapshot.h"
#include "store/visit.h"

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

struct visits {
    struct cb_snapshot *snapshot;
    bool (*each)(void *user, const struct cb_visitor_visit *visit);
    void *user;
    bool go_on;
};

/* The sessions of a row, the last first. What is behind them is in *tail. */
static int give_row(struct visits *visits, const struct cb_key *key, struct cb_str *tail) {
    struct cb_str row;
    int rc = cb_snapshot_row(visits->snapshot, CB_TABLE_SESSIONS, key, &row);
    *tail = (struct cb_str){NULL, 0};
    if (rc != 0) {
        return rc == CB_ENOENT ? 0 : rc;
    }
    size_t n = row.len / CB_SESSION_BYTES;
    *tail = (struct cb_str){row.p + n * CB_SESSION_BYTES, row.len % CB_SESSION_BYTES};
    while (visits->go_on && n-- > 0) {
        struct cb_visit visit;
        cb_visit_decode((const uint8_t *)row.p + n * CB_SESSION_BYTES, &visit);
        struct cb_visitor_visit given = {.start_ms = visit.start_ms,
                                         .end_ms = visit.end_ms,
                                         .events = visit.events,
                                         .interacted = cb_visit_interacted(&visit)};
        visits->go_on = visits->each(visits->user, &given);
    }
    return tail->len != 0 && tail->len != CB_SESSION_TAIL_BYTES ? CB_ECORRUPT : 0;
}

int cb_snapshot_visits(struct cb_snapshot *snapshot, uint32_t site,
                       const uint8_t visitor[CB_VISITOR_BYTES],
                       bool (*each)(void *user, const struct cb_visitor_visit *visit), void *user) {
    struct visits visits = {.snapshot = snapshot, .each = each, .user = user, .go_on = true};
    struct cb_str tail = {NULL, 0}, none;
    uint32_t ordinal, first = 0, next = 0;
    int rc = cb_snapshot_ordinal(snapshot, site, visitor, &ordinal);
    if (rc != 0) {
        return rc;
    }
    struct cb_key key = cb_key_visitor(site, ordinal);
    rc = give_row(&visits, &key, &tail);
    if (rc == 0 && tail.len > 0) {
        first = cb_be32_get((const uint8_t *)tail.p);
        next = cb_be32_get((const uint8_t *)tail.p + 4);
    }
    while (rc == 0 && visits.go_on && next != first) {
        key = cb_key_session_part(site, ordinal, --next);
        rc = give_row(&visits, &key, &none);
    }
    return rc;
}
