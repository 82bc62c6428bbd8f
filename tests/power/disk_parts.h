/* SPDX-License-Identifier: MIT
 * disk_parts.h: what disk_load.c (log to steps) and disk.c (cuts and images) share; nobody else
 * includes it. */
#ifndef CB_TESTS_POWER_DISK_PARTS_H
#define CB_TESTS_POWER_DISK_PARTS_H

#include "tests/power/disk.h"

enum { OBJECTS_MAX = 256, ENTRIES_MAX = 32 };

struct entry {
    struct cb_str name;
    uint32_t object;
};

/* A folder or a file; content and entries are those that are durable at the cut. */
struct object {
    uint64_t ino;
    bool folder;
    struct entry entries[ENTRIES_MAX];
    size_t n_entries;
    uint8_t *bytes;
    uint64_t size, cap;
    uint32_t *sector_steps; /* the step that wrote a sector's durable content, + 1 */
    uint32_t size_step;     /* the last durable step that set the size, + 1 */
};

/* What an image makes of a floating step: for data a bit for each sector that landed. */
struct fate {
    uint8_t landed;
    bool grown; /* the size grew even so */
};

struct disk {
    char *log;
    struct object objects[OBJECTS_MAX];
    uint32_t n_objects;
    struct disk_step *steps;
    uint32_t n_steps, cap_steps;
    uint32_t cut;
    uint32_t *floating; /* steps, ascending */
    uint32_t n_floating, cap_floating;
    struct fate *fates; /* of the image at hand, one for each floating step */
    uint32_t *order;    /* places in floating, in the order of applying */
    struct entry (*names)[ENTRIES_MAX];
    size_t *n_names;
};

/* realloc for n items; ends the process when there is no memory. */
void *disk_grow(void *p, size_t n, size_t bytes);
/* Sets a file's size; new bytes are zero. */
void disk_set_size(struct object *object, uint64_t size);

/* A folder's entries: n of them, at most ENTRIES_MAX. */
struct entry *disk_find_entry(struct entry *entries, size_t n, struct cb_str name);
/* object DISK_NEVER: removes the name. */
void disk_set_entry(struct entry *entries, size_t *n, struct cb_str name, uint32_t object);
void disk_apply_rename(struct entry *from, size_t *n_from, struct entry *to, size_t *n_to,
                       const struct disk_step *step);

#endif
