/* SPDX-License-Identifier: MIT
 * overlay.c: a chained hash table whose entries also stand in a queue by position, oldest first. */
#include "store/overlay.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proto/metric.h"

enum { SLOTS = 16384, ENTRY_OVERHEAD = 64 };

struct entry {
    struct entry *next; /* of its slot */
    TAILQ_ENTRY(entry) queue;
    uint64_t position;
    struct cb_stamp stamp;
    uint8_t visitor[CB_VISITOR_BYTES];
    uint8_t field, site_len;
    char site[CB_SITE_MAX];
    size_t value_len;
    char value[];
};

struct cb_overlay {
    pthread_mutex_t mutex;
    size_t bytes, max_bytes;
    uint64_t dropped;                            /* positions up to this one are in the views */
    uint8_t hash_key[crypto_shorthash_KEYBYTES]; /* visitors are chosen by pages: the hash must not
                                                    be guessable */
    TAILQ_HEAD(, entry) queue;
    struct entry *slots[SLOTS];
};

int cb_overlay_create(size_t max_bytes, struct cb_overlay **out) {
    struct cb_overlay *overlay = calloc(1, sizeof(*overlay));
    if (!overlay) {
        return CB_ENOMEM;
    }
    pthread_mutex_init(&overlay->mutex, NULL);
    overlay->max_bytes = max_bytes;
    TAILQ_INIT(&overlay->queue);
    crypto_shorthash_keygen(overlay->hash_key);
    *out = overlay;
    return 0;
}

void cb_overlay_destroy(struct cb_overlay **overlay) {
    if (!*overlay) {
        return;
    }
    cb_overlay_drop(*overlay, UINT64_MAX);
    pthread_mutex_destroy(&(*overlay)->mutex);
    free(*overlay);
    *overlay = NULL;
}

size_t cb_overlay_cost(size_t value_len) {
    return sizeof(struct entry) + ENTRY_OVERHEAD + value_len;
}

bool cb_overlay_has_room(struct cb_overlay *overlay, size_t bytes) {
    pthread_mutex_lock(&overlay->mutex);
    bool room = bytes <= overlay->max_bytes && overlay->bytes <= overlay->max_bytes - bytes;
    pthread_mutex_unlock(&overlay->mutex);
    return room;
}

/* The link that points to the entry, or to where it would be. */
static struct entry **find(struct cb_overlay *overlay, struct cb_str site, const uint8_t *visitor,
                           unsigned field) {
    uint8_t hash[crypto_shorthash_BYTES];
    crypto_shorthash(hash, visitor, CB_VISITOR_BYTES, overlay->hash_key);
    unsigned slot = (unsigned)(hash[0] | hash[1] << 8) % SLOTS;
    struct entry **link = &overlay->slots[slot];
    while (*link) {
        struct entry *e = *link;
        if (e->field == field && memcmp(e->visitor, visitor, CB_VISITOR_BYTES) == 0 &&
            cb_str_eq(site, (struct cb_str){e->site, e->site_len})) {
            break;
        }
        link = &e->next;
    }
    return link;
}

static void drop_entry(struct cb_overlay *overlay, struct entry **link) {
    struct entry *e = *link;
    *link = e->next;
    TAILQ_REMOVE(&overlay->queue, e, queue);
    overlay->bytes -= cb_overlay_cost(e->value_len);
    free(e);
}

int cb_overlay_put(struct cb_overlay *overlay, uint64_t position, struct cb_str site,
                   const uint8_t visitor[CB_VISITOR_BYTES], unsigned field,
                   const struct cb_stamp *stamp, struct cb_str value) {
    struct entry *e = malloc(sizeof(*e) + value.len);
    if (!e) {
        return CB_ENOMEM;
    }
    *e = (struct entry){.position = position,
                        .stamp = *stamp,
                        .field = (uint8_t)field,
                        .site_len = (uint8_t)site.len,
                        .value_len = value.len};
    memcpy(e->visitor, visitor, CB_VISITOR_BYTES);
    memcpy(e->site, site.p, site.len);
    if (value.len > 0) {
        memcpy(e->value, value.p, value.len);
    }
    pthread_mutex_lock(&overlay->mutex);
    struct entry **link = find(overlay, site, visitor, field);
    /* The fold may have been faster: it sees a record as soon as it is committed. */
    bool folded = position <= overlay->dropped;
    if (folded) {
        free(e);
    } else if (*link && !cb_stamp_replaces(&(*link)->stamp, stamp)) {
        free(e);
    } else {
        if (*link) {
            drop_entry(overlay, link);
            link = find(overlay, site, visitor, field);
        }
        e->next = *link;
        *link = e;
        TAILQ_INSERT_TAIL(&overlay->queue, e, queue); /* positions only grow */
        overlay->bytes += cb_overlay_cost(value.len);
    }
    cb_metric_set(CB_METRIC_OVERLAY_BYTES, (int64_t)overlay->bytes);
    pthread_mutex_unlock(&overlay->mutex);
    return 0;
}

void cb_overlay_drop(struct cb_overlay *overlay, uint64_t position) {
    pthread_mutex_lock(&overlay->mutex);
    struct entry *e;
    overlay->dropped = position > overlay->dropped ? position : overlay->dropped;
    while ((e = TAILQ_FIRST(&overlay->queue)) != NULL && e->position <= position) {
        drop_entry(overlay,
                   find(overlay, (struct cb_str){e->site, e->site_len}, e->visitor, e->field));
    }
    cb_metric_set(CB_METRIC_OVERLAY_BYTES, (int64_t)overlay->bytes);
    pthread_mutex_unlock(&overlay->mutex);
}

int cb_overlay_get(struct cb_overlay *overlay, struct cb_str site,
                   const uint8_t visitor[CB_VISITOR_BYTES], unsigned field, struct cb_stamp *stamp,
                   struct cb_buf *out) {
    pthread_mutex_lock(&overlay->mutex);
    struct entry *e = *find(overlay, site, visitor, field);
    int rc = CB_ENOENT;
    if (e) {
        *stamp = e->stamp;
        rc = cb_buf_append(out, e->value, e->value_len);
    }
    pthread_mutex_unlock(&overlay->mutex);
    return rc;
}
