/* SPDX-License-Identifier: MIT
 * journal.h: the truth: every frame as it arrived, in order, in an LMDB environment of its own. See
 * FORMAT.md, "Journal".
 *
 * Positions are 1, 2, 3…; keys only ever grow, so an append never searches. Records go from the
 * front only (cb_journal_trim), and the newest never does. They are packed in groups (record.h),
 * and go by whole groups. Each record carries a CRC-32C, since LMDB 0.9 has no page checksums. One
 * writer at a time: a batch belongs to its thread, and the next one waits for its end; any number
 * of readers, each with its own cb_journal_reader. */
#ifndef CB_STORE_JOURNAL_H
#define CB_STORE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"

enum { CB_JOURNAL_RECORD_HEAD = 16 }; /* bytes that a frame counts more than it has */

struct cb_db;
struct cb_journal;

struct cb_journal_record {
    uint64_t position;
    int64_t journal_ms; /* journal time of the append: see journal_time.h */
    struct cb_str frame;
    size_t read_bytes; /* of frames that were unpacked to read it, its own at least */
};

/* Opens (or makes) DIR/journal. Errors: those of cb_db_open, CB_EVERSION. */
CB_MUST_USE int cb_journal_open(const char *data_dir, uint64_t map_bytes, struct cb_journal **out);
/* Opens DIR/journal read-only, for a process that only reads it: the writer's calls and head are
 * not for it. Errors: CB_ENOENT when it is not there; others as above. */
CB_MUST_USE int cb_journal_open_read_only(const char *data_dir, uint64_t map_bytes,
                                          struct cb_journal **out);
void cb_journal_close(struct cb_journal **journal);

/* The environment, for a copy of it. */
struct cb_db *cb_journal_db(struct cb_journal *journal);

/* ---- writers ---- */
/* Begins a batch; waits for the end of another thread's. Errors: CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_journal_begin(struct cb_journal *journal);
/* Whether frame `number` of `sender` may be appended: 0; CB_EBUSY: it was appended before (ack it,
 * append nothing); CB_EINVAL: too far behind that sender's highest number to tell, so it must be
 * refused. Within a batch. */
CB_MUST_USE int cb_journal_admit(struct cb_journal *journal, uint64_t sender, uint64_t number);
/* Appends a frame. Errors: CB_EFULL (over 90 % of the map, or LMDB says so), CB_EIO; after CB_EIO
 * abort the batch. */
CB_MUST_USE int cb_journal_append(struct cb_journal *journal, struct cb_str frame,
                                  uint64_t *position);
/* Deletes records from the front that stand before position *before, up to about bytes_max of them
 * (at least one group), in this batch. *before goes back to the beginning of its group: what stands
 * there stays whole. The newest record always stays: it tells the position. *left says that more
 * could go. Errors: CB_EFULL, CB_EIO; then abort the batch. */
CB_MUST_USE int cb_journal_trim(struct cb_journal *journal, uint64_t *before, uint64_t bytes_max,
                                bool *left);
/* A frame of the journal, which may be changed in place but not in length; *changed says so.
 * Errors: its own. */
typedef int cb_journal_edit_fn(void *user, uint64_t position, char *frame, size_t len,
                               bool *changed);
/* Gives each frame of the group that has a position, in order, and puts those records that changed
 * in the place of what they were, as appended at the same time; for what an erasure takes out of
 * them. *behind is the first position behind the group. Within a batch. Errors: CB_ENOENT,
 * CB_ECORRUPT, CB_EVERSION, CB_ENOMEM, those of each; CB_EFULL and CB_EIO, after which the batch is
 * to be aborted. */
CB_MUST_USE int cb_journal_edit(struct cb_journal *journal, uint64_t position,
                                cb_journal_edit_fn *each, void *user, uint64_t *behind);
/* Ends the batch on disk. After an error nothing of it is there. */
CB_MUST_USE int cb_journal_commit(struct cb_journal *journal);
void cb_journal_abort(struct cb_journal *journal);

/* The newest committed position, 0 when empty. Any thread. */
uint64_t cb_journal_head(const struct cb_journal *journal);
/* The oldest position that is kept, 1 for an empty journal. Any thread. */
uint64_t cb_journal_first(const struct cb_journal *journal);
/* Bytes of the map in use: as measured last, about a second ago. Any thread. */
uint64_t cb_journal_used_bytes(const struct cb_journal *journal);
/* What the fold has to go through: frames appended since it was opened, those of the batch at hand
 * too, each its own bytes (not those on disk) and CB_JOURNAL_RECORD_HEAD. Any thread. */
uint64_t cb_journal_appended_bytes(const struct cb_journal *journal);
/* Whether there is room under the quota of 90 % of the map, and the last commit did not fail. The
 * latter only for two seconds: who is told that there is no room may send nothing that would show
 * that there is again. Any thread. */
bool cb_journal_accepting(const struct cb_journal *journal);

/* ---- readers ---- */
struct cb_journal_reader;
/* A snapshot of the journal standing before position from. Errors: CB_EGONE when the journal begins
 * behind it (trimmed), CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_journal_reader_open(struct cb_journal *journal, uint64_t from,
                                       struct cb_journal_reader **out);
/* The next record; out->frame lives until the reader's next call. Errors: CB_ENOENT at the end,
 * CB_ECORRUPT when the record fails its CRC, does not unpack, or its position is not the next;
 * CB_EVERSION, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_journal_reader_next(struct cb_journal_reader *reader,
                                       struct cb_journal_record *out);
/* The record at a position of the reader's snapshot, wherever the reader stands: what stands before
 * it in its group is unpacked, unless the reader has just read there. out->frame as above. Errors:
 * CB_ENOENT when it is not there; others as above. */
CB_MUST_USE int cb_journal_reader_get(struct cb_journal_reader *reader, uint64_t position,
                                      struct cb_journal_record *out);
void cb_journal_reader_close(struct cb_journal_reader **reader);
/* The oldest position of a fresh snapshot, also where another process trims; 1 for an empty
 * journal. Errors: CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_journal_oldest(struct cb_journal *journal, uint64_t *position);
/* The journal time of the record at a position. Errors: CB_ENOENT, CB_ECORRUPT, CB_EVERSION,
 * CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_journal_time_at(struct cb_journal *journal, uint64_t position, int64_t *ms);

/* Where the group of the record at a position begins. Errors: CB_ENOENT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_journal_group_start(struct cb_journal *journal, uint64_t position,
                                       uint64_t *start);
/* How many frames a group takes from the next one on, 1 to CB_RECORD_GROUP_FRAMES. For tests. */
void cb_journal_group_limit(struct cb_journal *journal, uint32_t frames);

#endif
