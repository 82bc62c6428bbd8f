/* SPDX-License-Identifier: MIT
 * disk_load.c: from a log to steps, and until which cut each may be forgotten. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/power/disk_parts.h"
#include "tests/power/power.h"

/* Where syncs are dropped: a disk gets round to a write after this many steps. */
enum { WRITE_BACK_STEPS = 512 };

static uint32_t object_of(const struct disk *disk, uint64_t ino) {
    for (uint32_t i = disk->n_objects; i > 0; i--) { /* the newest: numbers are used again */
        if (disk->objects[i - 1].ino == ino) {
            return i - 1;
        }
    }
    return DISK_NEVER;
}

static struct disk_step *add_step(struct disk *disk, enum disk_step_kind kind, uint32_t object) {
    if (disk->n_steps == disk->cap_steps) {
        disk->cap_steps = disk->cap_steps ? disk->cap_steps * 2 : 4096;
        disk->steps = disk_grow(disk->steps, disk->cap_steps, sizeof(*disk->steps));
    }
    struct disk_step *step = &disk->steps[disk->n_steps++];
    *step = (struct disk_step){.kind = kind, .object = object, .durable = DISK_NEVER};
    return step;
}

static uint32_t add_object(struct disk *disk, uint64_t ino, bool folder) {
    if (disk->n_objects == OBJECTS_MAX) {
        return DISK_NEVER;
    }
    disk->objects[disk->n_objects] = (struct object){.ino = ino, .folder = folder};
    return disk->n_objects++;
}

/* One step for each page, in whole sectors: with what is written goes what stands around it, as the
 * page cache would have it. While loading, the objects' bytes are that cache. */
static void add_write(struct disk *disk, uint32_t number, uint64_t offset, struct cb_str data,
                      bool dsync) {
    struct object *object = &disk->objects[number];
    uint64_t end = offset + data.len;
    if (end > object->size) {
        disk_set_size(object, end);
    }
    if (data.len > 0) {
        memcpy(object->bytes + offset, data.p, data.len);
    }
    uint64_t first = offset / DISK_SECTOR * DISK_SECTOR;
    uint64_t last = (end + DISK_SECTOR - 1) / DISK_SECTOR * DISK_SECTOR;
    last = last < object->size ? last : object->size;
    if (data.len > 0 && (first != offset || last != end)) {
        char *whole = disk_grow(NULL, last - first, 1); /* lives as long as the log */
        memcpy(whole, object->bytes + first, last - first);
        data = (struct cb_str){whole, last - first};
        offset = first;
    }
    while (data.len > 0) {
        size_t len = DISK_PAGE - offset % DISK_PAGE;
        len = len < data.len ? len : data.len;
        struct disk_step *step = add_step(disk, DISK_DATA, number);
        step->offset = offset;
        step->data = (struct cb_str){data.p, len};
        step->dsync = dsync;
        offset += len;
        data = (struct cb_str){data.p + len, data.len - len};
    }
}

static bool holds(const struct disk_step *sync, const struct disk_step *step, bool dsync_only) {
    switch (step->kind) {
    case DISK_DATA:
        return step->object == sync->object && (step->dsync || !dsync_only);
    case DISK_SIZE:
    case DISK_ENTRY:
        return step->object == sync->object && !dsync_only;
    case DISK_RENAME:
        return step->folder == sync->object && !dsync_only;
    default:
        return false;
    }
}

/* A sync, as a step of its own; *first is the first step that may still float. */
static void add_sync(struct disk *disk, uint32_t object, bool dsync_only, enum disk_drop drop,
                     uint32_t *first) {
    struct disk_step *sync = add_step(disk, DISK_SYNC, object);
    bool folder = disk->objects[object].folder;
    if (drop == DISK_DROP_ALL || (drop == DISK_DROP_FOLDERS && folder) ||
        (drop == DISK_DROP_META && dsync_only) ||
        (drop == DISK_DROP_DATA && !folder && !dsync_only)) {
        return;
    }
    for (uint32_t i = *first; i + 1 < disk->n_steps; i++) {
        struct disk_step *step = &disk->steps[i];
        if (step->durable == DISK_NEVER && holds(sync, step, dsync_only)) {
            step->durable = disk->n_steps;
        }
    }
    while (*first < disk->n_steps &&
           (disk->steps[*first].durable != DISK_NEVER || disk->steps[*first].kind >= DISK_FRAME)) {
        ++*first;
    }
}

/* The live names at the end of the log so far are kept in the objects while loading. */
static bool add_rename(struct disk *disk, const struct power_entry *entry, struct cb_str names) {
    struct disk_step *step = add_step(disk, DISK_RENAME, object_of(disk, entry->ino));
    size_t len = strnlen(names.p, names.len);
    step->folder = object_of(disk, entry->parent);
    if (step->object == DISK_NEVER || step->folder == DISK_NEVER || len >= names.len) {
        return false;
    }
    step->name = (struct cb_str){names.p, len};
    step->name_to = (struct cb_str){names.p + len + 1, names.len - len - 1};
    struct object *from = &disk->objects[step->object], *to = &disk->objects[step->folder];
    struct entry *moved = disk_find_entry(from->entries, from->n_entries, step->name);
    if (!moved) {
        return false;
    }
    step->target = moved->object;
    disk_apply_rename(from->entries, &from->n_entries, to->entries, &to->n_entries, step);
    return true;
}

static bool add_entry(struct disk *disk, const struct power_entry *entry, struct cb_str name) {
    uint32_t parent = object_of(disk, entry->parent);
    uint32_t object = entry->kind == POWER_UNLINK
                          ? DISK_NEVER
                          : add_object(disk, entry->ino, entry->kind == POWER_MKDIR);
    if (parent == DISK_NEVER || (object == DISK_NEVER && entry->kind != POWER_UNLINK)) {
        return false;
    }
    struct disk_step *step = add_step(disk, DISK_ENTRY, parent);
    step->target = object;
    step->name = name;
    struct object *folder = &disk->objects[parent];
    disk_set_entry(folder->entries, &folder->n_entries, name, object);
    return true;
}

static bool load_entry(struct disk *disk, const struct power_entry *entry, struct cb_str name,
                       struct cb_str data, enum disk_drop drop, uint32_t *first) {
    uint32_t object = object_of(disk, entry->ino);
    struct disk_step *step;
    switch (entry->kind) {
    case POWER_ROOT:
        return add_object(disk, entry->ino, true) == 0;
    case POWER_MKDIR:
    case POWER_CREATE:
    case POWER_UNLINK:
        return add_entry(disk, entry, name);
    case POWER_RENAME:
        return add_rename(disk, entry, name);
    case POWER_FRAME:
    case POWER_ACK:
    case POWER_TIME:
        step = add_step(disk,
                        entry->kind == POWER_ACK    ? DISK_ACK
                        : entry->kind == POWER_TIME ? DISK_TIME
                                                    : DISK_FRAME,
                        DISK_NEVER);
        step->offset = entry->offset;
        step->data = data;
        return true;
    case POWER_UNKNOWN:
        fprintf(stderr, "power: not recordable: %.*s\n", (int)name.len, name.p);
        return false;
    default:
        break;
    }
    if (object == DISK_NEVER) {
        return false;
    }
    if (entry->kind == POWER_TRUNCATE) {
        add_step(disk, DISK_SIZE, object)->offset = entry->offset;
        disk_set_size(&disk->objects[object], entry->offset);
    } else if (entry->kind == POWER_SYNC || entry->kind == POWER_DSYNCED) {
        add_sync(disk, object, entry->kind == POWER_DSYNCED, drop, first);
    } else {
        add_write(disk, object, entry->offset, data, entry->kind == POWER_WRITE_DSYNC);
    }
    return true;
}

static char *read_log(const char *path, size_t *len) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) {
        return NULL;
    }
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    *len = (size_t)st.st_size;
    return p == MAP_FAILED ? NULL : p;
}

struct disk *disk_load(const char *log_path, enum disk_drop drop) {
    struct disk *disk = disk_grow(NULL, 1, sizeof(*disk));
    memset(disk, 0, sizeof(*disk));
    size_t len = 0;
    disk->log = read_log(log_path, &len);
    uint32_t first = 0;
    size_t at = 0;
    bool good = disk->log != NULL;
    while (good && at + sizeof(struct power_entry) <= len) {
        struct power_entry entry;
        memcpy(&entry, disk->log + at, sizeof(entry));
        at += sizeof(entry);
        struct cb_str name = {disk->log + at, entry.name_bytes};
        struct cb_str data = {disk->log + at + name.len, (size_t)entry.data_bytes};
        at += name.len + data.len;
        good = at <= len && load_entry(disk, &entry, name, data, drop, &first);
    }
    if (!good || at != len) {
        fprintf(stderr, "power: %s cannot be used, at byte %zu of %zu\n", log_path, at, len);
        return NULL;
    }
    for (uint32_t i = 0; drop != DISK_DROP_NONE && i < disk->n_steps; i++) {
        uint32_t *durable = &disk->steps[i].durable;
        *durable = *durable < i + WRITE_BACK_STEPS ? *durable : i + WRITE_BACK_STEPS;
    }
    for (uint32_t i = 0; i < disk->n_objects; i++) {
        disk->objects[i].n_entries = 0; /* from here on: what is durable */
        disk->objects[i].size = 0;
    }
    disk->names = disk_grow(NULL, disk->n_objects, sizeof(*disk->names));
    disk->n_names = disk_grow(NULL, disk->n_objects, sizeof(*disk->n_names));
    return disk;
}

uint32_t disk_n_steps(const struct disk *disk) {
    return disk->n_steps;
}

const struct disk_step *disk_step(const struct disk *disk, uint32_t i) {
    return &disk->steps[i];
}
