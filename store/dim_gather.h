/* SPDX-License-Identifier: MIT
 * dim_gather.h: what the events of a batch have of dimensions, until it is committed: then each row
 * is looked up once, however many events change it.
 *
 * A pair is a value on a day of a site, by its text; pairs are in order of first sight, and what is
 * counted of them in order of the events: so what the flush makes of them is the same however the
 * journal is cut into batches. The fold's thread. */
#ifndef CB_STORE_DIM_GATHER_H
#define CB_STORE_DIM_GATHER_H

#include "proto/buf.h"
#include "proto/err.h"
#include "store/rows.h"

struct cb_dim_pair {
    uint32_t site;
    int32_t day;
    uint32_t kind;
    uint32_t number;            /* the flush's: of the value */
    uint32_t group;             /* the flush's: the row of all names, + 1 */
    uint32_t text_at, text_len; /* in the gathered texts */
    uint64_t hash;
};

/* An event of a pair. */
struct cb_dim_count {
    uint32_t pair; /* its index */
    uint32_t name_id;
    uint32_t ordinal; /* of the visitor; CB_DIM_NOBODY for none */
    uint32_t next[2]; /* the flush's: of the same row of its name, of all names */
};
#define CB_DIM_NOBODY UINT32_MAX

struct cb_dim_gather {
    struct cb_dim_pair *pairs;
    size_t n_pairs, pairs_cap;
    struct cb_dim_count *counts;
    size_t n_counts, counts_cap;
    char *texts;
    size_t texts_len, texts_cap;
    uint32_t *slots; /* of pairs: index + 1 */
    size_t n_slots;
    uint32_t last[CB_VALUES_KINDS]; /* by kind: the pair that was found last, + 1 */
    uint8_t key[16];                /* of the hash: pages choose the texts */
};

/* Errors: CB_ENOMEM. */
CB_MUST_USE int cb_dim_gather_create(struct cb_dim_gather **out);
void cb_dim_gather_destroy(struct cb_dim_gather **gather);
/* Forgets everything, keeping memory. */
void cb_dim_gather_clear(struct cb_dim_gather *gather);

/* Counts an event of a value, whose text is at most 1,024 bytes and not empty. Errors: CB_ENOMEM.
 */
CB_MUST_USE int cb_dim_gather_add(struct cb_dim_gather *gather, uint32_t site, int32_t day,
                                  unsigned kind, struct cb_str text, uint32_t name_id,
                                  uint32_t ordinal);
static inline struct cb_str cb_dim_gather_text(const struct cb_dim_gather *gather,
                                               const struct cb_dim_pair *pair) {
    return (struct cb_str){gather->texts + pair->text_at, pair->text_len};
}
/* Memory that it holds and that its flush will need, about: a batch has a bound. */
size_t cb_dim_gather_bytes(const struct cb_dim_gather *gather);

#endif
