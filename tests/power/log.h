/* SPDX-License-Identifier: MIT
 * log.h: what the recorder (shim.c) writes and the rebuilder (disk.c) reads: one entry for each
 * thing that the store did to its disk, in order, and for what the driver notes.
 *
 * An entry is a struct power_entry, then name_bytes of name, then data_bytes of data, in the byte
 * order of this machine: the log does not leave it. */
#ifndef CB_TESTS_POWER_LOG_H
#define CB_TESTS_POWER_LOG_H

#include <stddef.h>
#include <stdint.h>

/* The environment of the recorder: the log's path, and the folder below which it records. */
#define POWER_LOG_ENV "CB_POWER_LOG"
#define POWER_ROOT_ENV "CB_POWER_ROOT"

enum power_kind {
    POWER_ROOT = 1,    /* ino: the folder below which all is recorded */
    POWER_MKDIR,       /* ino, parent, name */
    POWER_CREATE,      /* ino, parent, name: a file that was not there */
    POWER_RENAME,      /* ino: the old parent; parent: the new one; name: old NUL new */
    POWER_UNLINK,      /* parent, name */
    POWER_WRITE,       /* ino, offset, data. Stands before the write: from here on it may land */
    POWER_WRITE_DSYNC, /* the same through a descriptor with O_DSYNC */
    POWER_DSYNCED,     /* ino: the writes above it with O_DSYNC returned, so they are durable */
    POWER_TRUNCATE,    /* ino, offset: the new size */
    POWER_SYNC,        /* ino: fsync, fdatasync or msync of a file or a folder returned */
    POWER_UNKNOWN,     /* name: a call that cannot be recorded; makes the log unusable */
    /* noted by the driver */
    POWER_FRAME, /* offset: a position; data: the frame that is about to be committed there */
    POWER_ACK,   /* offset: everything up to this position was acked */
    POWER_TIME, /* offset: everything up to this position … data: … has this journal time, i64 */
};

struct power_entry {
    uint32_t kind; /* enum power_kind */
    uint32_t name_bytes;
    uint64_t ino, parent, offset, data_bytes;
};

/* Exported by the recorder; NULL where it is not loaded. */
void cb_power_note(enum power_kind kind, uint64_t position, const void *data, size_t len)
    __attribute__((weak));

#endif
