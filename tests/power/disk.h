/* SPDX-License-Identifier: MIT
 * disk.h: a disk that may forget what was not synced: reads a log and makes crash images of it.
 *
 * The log becomes steps, one for each page written, entry made, size set, sync, or note. A cut at c
 * is a power failure after c steps. What a sync covered before the cut is there; each other step
 * may or may not be, in any combination, whatever the order it was done in:
 * - a file's pages (4,096 bytes), and under tearing each 512-byte sector of them, by themselves;
 * - its size, which may have grown while the data did not land (zeros are read there);
 * - a folder's entries (made, renamed, removed), which only a sync of the folder holds down.
 * Of one sector never an older content than the newest that was synced. A write through O_DSYNC is
 * synced when it returned, and so only the bytes of that write. */
#ifndef CB_TESTS_POWER_DISK_H
#define CB_TESTS_POWER_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"

enum { DISK_PAGE = 4096, DISK_SECTOR = 512, DISK_NEVER = UINT32_MAX };

/* Which syncs are forgotten: the controls. */
enum disk_drop { DISK_DROP_NONE, DISK_DROP_ALL, DISK_DROP_FOLDERS, DISK_DROP_DATA, DISK_DROP_META };

enum disk_step_kind {
    DISK_DATA,
    DISK_SIZE,
    DISK_ENTRY,
    DISK_RENAME,
    DISK_FRAME,
    DISK_ACK,
    DISK_TIME,
    DISK_SYNC
};

struct disk_step {
    enum disk_step_kind kind;
    uint32_t object;  /* DATA, SIZE: the file. ENTRY, RENAME: the folder. SYNC: what was synced */
    uint32_t target;  /* ENTRY, RENAME: what the name leads to, DISK_NEVER when it is removed */
    uint32_t folder;  /* RENAME: the new folder */
    uint32_t durable; /* the first cut at which it must be there */
    uint64_t offset;  /* DATA; SIZE: the size; FRAME, ACK, TIME: the position */
    struct cb_str name, name_to; /* ENTRY, RENAME */
    struct cb_str data;          /* DATA, FRAME, TIME; points into the log */
    bool dsync;
};

struct disk;

/* Reads a log. Prints a sentence and returns NULL when it cannot be used. */
struct disk *disk_load(const char *log_path, enum disk_drop drop);
uint32_t disk_n_steps(const struct disk *disk);
const struct disk_step *disk_step(const struct disk *disk, uint32_t i);

/* Goes to a cut; cuts only grow. */
void disk_cut(struct disk *disk, uint32_t cut);

enum disk_image { DISK_PREFIX, DISK_SUBSET, DISK_TORN, DISK_IMAGE_KINDS };
/* Writes an image of the cut at hand into an empty folder, as everything up to the cut (PREFIX), a
 * random part of what may be forgotten in random order (SUBSET), or all of it with the last writes
 * torn by sectors (TORN). noise: fill LMDB's lock files with random bytes. False on error. */
bool disk_write_image(struct disk *disk, enum disk_image kind, uint64_t seed, bool noise,
                      const char *folder);

#endif
