/* SPDX-License-Identifier: MIT
 * journal_edit.c: records that are changed in place. Invariant: a group is packed anew as a whole.
 */
#include <stdlib.h>

#include "store/journal_inside.h"
#include "store/key.h"

struct edit {
    struct cb_journal *journal;
    struct unpacked group;
    int64_t times_ms[CB_RECORD_GROUP_FRAMES]; /* of its records */
    uint32_t n;
};

static int put_record(struct cb_journal *journal, uint64_t position, struct cb_str value) {
    struct cb_key key = cb_key_position(position);
    return cb_db_put(journal->txn, journal->records, cb_key_str(&key), value);
}

/* A record of version 1: it stays one. */
static int edit_alone(struct cb_journal *journal, uint64_t position, struct cb_str value,
                      const struct cb_record *record, cb_journal_edit_fn *each, void *user) {
    char *copy = malloc(value.len);
    bool changed = false;
    if (!copy) {
        return CB_ENOMEM;
    }
    memcpy(copy, value.p, value.len);
    int rc = each(user, position, copy + (record->bytes.p - value.p), record->bytes.len, &changed);
    if (rc == 0 && changed) {
        cb_record_seal(copy, value.len);
        rc = put_record(journal, position, (struct cb_str){copy, value.len});
        journal->edited = true;
    }
    free(copy);
    return rc;
}

/* The whole group: what comes behind a record can be read with what stands before it only. */
static int unpack_group(struct edit *edit) {
    struct cb_journal *journal = edit->journal;
    struct cb_str value;
    struct cb_record record;
    int rc = 0;
    while (rc == 0) {
        rc = cb_journal_value(journal->txn, journal->records, edit->group.first + edit->n, &value);
        if (rc == CB_ENOENT && edit->n > 0) {
            return 0;
        }
        rc = rc == 0 ? cb_record_decode(value, &record) : rc;
        if (rc == 0 && edit->n > 0 && record.place == 0) {
            return 0; /* of the next group, or of version 1 */
        }
        rc = rc == 0 ? cb_unpacker_add(edit->group.unpacker, &record) : rc;
        if (rc == 0) {
            edit->times_ms[edit->n++] = record.journal_ms;
        }
    }
    return rc == CB_EMALFORMED ? CB_ECORRUPT : rc;
}

static int pack_group(struct edit *edit) {
    struct cb_journal *journal = edit->journal;
    int rc = 0;
    journal->edited = true;
    cb_packer_end(journal->packer);
    for (uint32_t place = 0; rc == 0 && place < edit->n; place++) {
        size_t len;
        char *frame = cb_unpacker_frame(edit->group.unpacker, place, &len);
        struct cb_str value;
        rc = cb_packer_add(journal->packer, (struct cb_str){frame, len}, edit->times_ms[place],
                           &value);
        rc = rc == 0 ? put_record(journal, edit->group.first + place, value) : rc;
    }
    cb_packer_end(journal->packer);
    return rc;
}

static int edit_group(struct edit *edit, cb_journal_edit_fn *each, void *user) {
    bool changed = false;
    int rc = unpack_group(edit);
    for (uint32_t place = 0; rc == 0 && place < edit->n; place++) {
        size_t len;
        char *frame = cb_unpacker_frame(edit->group.unpacker, place, &len);
        bool here = false;
        rc = each(user, edit->group.first + place, frame, len, &here);
        changed |= here;
    }
    return rc == 0 && changed ? pack_group(edit) : rc;
}

int cb_journal_edit(struct cb_journal *journal, uint64_t position, cb_journal_edit_fn *each,
                    void *user, uint64_t *behind) {
    struct cb_str value;
    struct cb_record record;
    int rc = cb_journal_value(journal->txn, journal->records, position, &value);
    *behind = position + 1;
    if (rc != 0) {
        return rc;
    }
    rc = cb_record_decode(value, &record);
    if (rc != 0 || record.place >= position) {
        return rc == CB_EVERSION ? rc : CB_ECORRUPT;
    }
    if (!record.packed) {
        return edit_alone(journal, position, value, &record, each, user);
    }
    struct edit *edit = calloc(1, sizeof(*edit));
    if (!edit) {
        return CB_ENOMEM;
    }
    edit->journal = journal;
    edit->group.first = position - record.place;
    rc = cb_unpacker_create(&edit->group.unpacker);
    if (rc == 0) {
        rc = edit_group(edit, each, user);
        *behind = edit->group.first + edit->n;
        cb_unpacker_destroy(&edit->group.unpacker);
    }
    free(edit);
    return rc;
}
