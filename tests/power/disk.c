/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/power/disk_parts.h"
#include "tests/power/power.h"

enum { PATH_BYTES = 4096, TORN_MAX = 16 /* writes torn in one image */ };

void *disk_grow(void *p, size_t n, size_t bytes) {
    p = realloc(p, n * bytes);
    if (!p) {
        fprintf(stderr, "power: out of memory\n");
        _exit(1);
    }
    return p;
}

void disk_set_size(struct object *object, uint64_t size) {
    if (size > object->cap) {
        uint64_t cap = object->cap ? object->cap : 65536;
        while (cap < size) {
            cap *= 2;
        }
        object->bytes = disk_grow(object->bytes, cap, 1);
        object->sector_steps =
            disk_grow(object->sector_steps, cap / DISK_SECTOR, sizeof(*object->sector_steps));
        memset(object->sector_steps + object->cap / DISK_SECTOR, 0,
               (cap - object->cap) / DISK_SECTOR * sizeof(*object->sector_steps));
        object->cap = cap;
    }
    if (size > object->size) {
        memset(object->bytes + object->size, 0, size - object->size);
    }
    object->size = size;
}

/* ---- names ---- */

struct entry *disk_find_entry(struct entry *entries, size_t n, struct cb_str name) {
    for (size_t i = 0; i < n; i++) {
        if (cb_str_eq(entries[i].name, name)) {
            return &entries[i];
        }
    }
    return NULL;
}

void disk_set_entry(struct entry *entries, size_t *n, struct cb_str name, uint32_t object) {
    struct entry *there = disk_find_entry(entries, *n, name);
    if (object == DISK_NEVER) {
        if (there) {
            *there = entries[--*n];
        }
    } else if (there) {
        there->object = object;
    } else if (*n < ENTRIES_MAX) {
        entries[(*n)++] = (struct entry){name, object};
    } else {
        fprintf(stderr, "power: over %d entries in a folder\n", ENTRIES_MAX);
        _exit(1);
    }
}

void disk_apply_rename(struct entry *from, size_t *n_from, struct entry *to, size_t *n_to,
                       const struct disk_step *step) {
    struct entry *old = disk_find_entry(from, *n_from, step->name);
    if (old && old->object == step->target) {
        disk_set_entry(from, n_from, step->name, DISK_NEVER);
    }
    disk_set_entry(to, n_to, step->name_to, step->target);
}

/* ---- the cut ---- */

/* Whether the durable content of a sector is newer than a step's. */
static bool outdated(const struct object *object, uint64_t sector, uint32_t step) {
    return object->size_step > step + 1 ||
           (sector < object->cap / DISK_SECTOR && object->sector_steps[sector] > step + 1);
}

static void make_data_durable(struct object *object, const struct disk_step *step, uint32_t i) {
    uint64_t end = step->offset + step->data.len;
    if (object->size_step > i + 1) {
        return;
    }
    if (end > object->size) {
        disk_set_size(object, end);
    }
    for (uint64_t at = step->offset; at < end;) {
        uint64_t sector = at / DISK_SECTOR, next = (sector + 1) * DISK_SECTOR;
        next = next < end ? next : end;
        if (!outdated(object, sector, i)) {
            memcpy(object->bytes + at, step->data.p + (at - step->offset), next - at);
            object->sector_steps[sector] = i + 1;
        }
        at = next;
    }
}

static void make_durable(struct disk *disk, uint32_t i) {
    const struct disk_step *step = &disk->steps[i];
    struct object *object = &disk->objects[step->object];
    if (step->kind == DISK_DATA) {
        make_data_durable(object, step, i);
    } else if (step->kind == DISK_SIZE) {
        disk_set_size(object, step->offset);
        object->size_step = i + 1;
    } else if (step->kind == DISK_ENTRY) {
        disk_set_entry(object->entries, &object->n_entries, step->name, step->target);
    } else {
        struct object *to = &disk->objects[step->folder];
        disk_apply_rename(object->entries, &object->n_entries, to->entries, &to->n_entries, step);
    }
}

void disk_cut(struct disk *disk, uint32_t cut) {
    for (; disk->cut < cut; disk->cut++) {
        if (disk->steps[disk->cut].kind >= DISK_FRAME) {
            continue;
        }
        if (disk->n_floating == disk->cap_floating) {
            disk->cap_floating = disk->cap_floating ? disk->cap_floating * 2 : 1024;
            disk->floating = disk_grow(disk->floating, disk->cap_floating, sizeof(*disk->floating));
            disk->fates = disk_grow(disk->fates, disk->cap_floating, sizeof(*disk->fates));
            disk->order = disk_grow(disk->order, disk->cap_floating, sizeof(*disk->order));
        }
        disk->floating[disk->n_floating++] = disk->cut;
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < disk->n_floating; i++) {
        if (disk->steps[disk->floating[i]].durable <= cut) {
            make_durable(disk, disk->floating[i]);
        } else {
            disk->floating[left++] = disk->floating[i];
        }
    }
    disk->n_floating = left;
}

/* ---- images ---- */

static bool chance(uint64_t *seed, unsigned percent) {
    return power_random(seed) % 100 < percent;
}

static void draw_fates(struct disk *disk, enum disk_image kind, uint64_t *seed) {
    static const uint8_t shares[] = {10, 25, 50, 75, 90, 97};
    unsigned share = kind == DISK_PREFIX ? 100
                     : kind == DISK_TORN ? 85
                                         : shares[power_random(seed) % sizeof(shares)];
    uint32_t n = disk->n_floating, n_data = 0;
    for (uint32_t i = 0; i < n; i++) {
        disk->fates[i].landed = chance(seed, share) ? 0xff : 0;
        disk->fates[i].grown = chance(seed, 25);
        disk->order[i] = i;
    }
    uint32_t torn = kind == DISK_TORN ? 1 + (uint32_t)(power_random(seed) % TORN_MAX) : 0;
    for (uint32_t i = n; i > 0; i--) {
        if (disk->steps[disk->floating[i - 1]].kind != DISK_DATA) {
            continue;
        }
        if (n_data < torn) {
            disk->fates[i - 1].landed = (uint8_t)power_random(seed);
        }
        n_data++;
        if (kind == DISK_SUBSET) { /* changes places with any write that comes after it */
            uint32_t other = i - 1 + (uint32_t)(power_random(seed) % (n - i + 1));
            if (disk->steps[disk->floating[other]].kind == DISK_DATA) {
                uint32_t place = disk->order[i - 1];
                disk->order[i - 1] = disk->order[other];
                disk->order[other] = place;
            }
        }
    }
}

static bool write_all(int fd, const void *data, size_t len, uint64_t offset) {
    return len == 0 || pwrite(fd, data, len, (off_t)offset) == (ssize_t)len;
}

static bool write_sectors(int fd, const struct object *object, const struct disk_step *step,
                          uint32_t i, uint8_t landed) {
    uint64_t end = step->offset + step->data.len, first = step->offset / DISK_SECTOR;
    for (uint64_t at = step->offset; at < end;) {
        uint64_t sector = at / DISK_SECTOR, next = (sector + 1) * DISK_SECTOR;
        next = next < end ? next : end;
        if ((landed >> (sector - first) & 1) && !outdated(object, sector, i) &&
            !write_all(fd, step->data.p + (at - step->offset), next - at, at)) {
            return false;
        }
        at = next;
    }
    return true;
}

static bool write_noise(int fd, uint64_t seed) {
    struct stat st;
    uint64_t block[DISK_PAGE / sizeof(uint64_t)];
    if (fstat(fd, &st) != 0) {
        return false;
    }
    for (off_t at = 0; at < st.st_size; at += DISK_PAGE) {
        for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++) {
            block[i] = power_random(&seed);
        }
        off_t left = st.st_size - at;
        if (!write_all(fd, block, left < DISK_PAGE ? (size_t)left : DISK_PAGE, (uint64_t)at)) {
            return false;
        }
    }
    return true;
}

static bool write_file(struct disk *disk, uint32_t number, int fd) {
    const struct object *object = &disk->objects[number];
    uint64_t size = object->size;
    bool good = write_all(fd, object->bytes, object->size, 0);
    for (uint32_t k = 0; good && k < disk->n_floating; k++) {
        uint32_t place = disk->order[k], i = disk->floating[place];
        const struct disk_step *step = &disk->steps[i];
        struct fate fate = disk->fates[place];
        if (step->object != number || (step->kind != DISK_DATA && step->kind != DISK_SIZE)) {
            continue;
        }
        if (step->kind == DISK_SIZE) {
            if (fate.landed) {
                size = step->offset;
                good = ftruncate(fd, (off_t)size) == 0;
            }
            continue;
        }
        uint64_t end = step->offset + step->data.len;
        good = write_sectors(fd, object, step, i, fate.landed);
        if (end > size && object->size_step <= i + 1 && (fate.landed || fate.grown)) {
            size = end;
        }
    }
    return good && ftruncate(fd, (off_t)size) == 0;
}

static bool write_folder(struct disk *disk, uint32_t number, const char *path, bool noise,
                         uint64_t seed) {
    bool good = true;
    for (size_t i = 0; good && i < disk->n_names[number]; i++) {
        const struct entry *entry = &disk->names[number][i];
        char inner[PATH_BYTES];
        if (snprintf(inner, sizeof(inner), "%s/%.*s", path, (int)entry->name.len, entry->name.p) >=
            (int)sizeof(inner)) {
            return false;
        }
        if (disk->objects[entry->object].folder) {
            good = mkdir(inner, 0700) == 0 && write_folder(disk, entry->object, inner, noise, seed);
            continue;
        }
        int fd = open(inner, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        good = fd >= 0 && write_file(disk, entry->object, fd);
        if (good && noise && cb_str_is(entry->name, "lock.mdb")) {
            good = write_noise(fd, seed);
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    return good;
}

bool disk_write_image(struct disk *disk, enum disk_image kind, uint64_t seed, bool noise,
                      const char *folder) {
    draw_fates(disk, kind, &seed);
    for (uint32_t i = 0; i < disk->n_objects; i++) {
        disk->n_names[i] = disk->objects[i].n_entries;
        memcpy(disk->names[i], disk->objects[i].entries, sizeof(disk->names[i]));
    }
    for (uint32_t i = 0; i < disk->n_floating; i++) {
        const struct disk_step *step = &disk->steps[disk->floating[i]];
        if (!disk->fates[i].landed) {
            continue;
        }
        if (step->kind == DISK_ENTRY) {
            disk_set_entry(disk->names[step->object], &disk->n_names[step->object], step->name,
                           step->target);
        } else if (step->kind == DISK_RENAME) {
            disk_apply_rename(disk->names[step->object], &disk->n_names[step->object],
                              disk->names[step->folder], &disk->n_names[step->folder], step);
        }
    }
    return write_folder(disk, 0, folder, noise, seed);
}
