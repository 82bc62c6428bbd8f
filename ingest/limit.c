/* SPDX-License-Identifier: MIT
 * limit.c: see limit.h.
 *
 * A bucket is one number, the moment at which it will be full: a token taken moves that on by the
 * time that a token needs to come back. A bucket that is full now is thus the same as none, and
 * looking at one that is not there makes none.
 *
 * A table is one array of entries, made at once, with chains and a list by use in it: it never
 * grows, and pages of it that were never used cost nothing. Keys are keyed hashes of 64 bits:
 * clients choose names and addresses, not where they fall, and that two of them share a bucket by
 * chance will not be seen. */
#include "ingest/limit.h"

#include <sodium.h>
#include <stdlib.h>

#include "proto/clock.h"

enum { NONE = INT32_MAX }; /* no entry */

#define SECOND_NS INT64_C(1000000000)
/* The most credit that anybody gets: keeps sums far from the end of the range. */
#define TAKE_MAX_NS (INT64_C(86400) * 365 * SECOND_NS)

struct entry {
    uint64_t key;
    int64_t full_ns; /* when its bucket is full; mono */
    uint32_t chain;
    uint32_t older, newer; /* by use */
};

struct table {
    int64_t token_ns; /* that a token needs to come back; 0: no limit */
    int64_t burst_ns; /* that a bucket needs to become full; at least token_ns */
    uint32_t n, max;
    struct entry *entries;
    uint32_t *buckets, n_buckets; /* a power of 2 */
    uint32_t oldest, newest;
};

struct cb_limit {
    struct table addresses, sites;
    uint8_t key[crypto_shorthash_KEYBYTES];
};

/* ---- tables ---- */

static int table_init(struct table *t, int64_t rate, const struct cb_limit_opts *opts,
                      uint32_t max) {
    if (rate <= 0)
        return 0;
    t->token_ns = SECOND_NS * opts->threads / rate; /* down: a burst must not lack its last token */
    t->burst_ns = opts->burst_s * SECOND_NS;
    if (t->burst_ns < t->token_ns)
        t->burst_ns = t->token_ns;
    t->max = max;
    t->n_buckets = 1;
    while (t->n_buckets < max)
        t->n_buckets *= 2;
    t->entries = calloc(max, sizeof *t->entries);
    t->buckets = malloc(t->n_buckets * sizeof *t->buckets);
    t->oldest = t->newest = NONE;
    if (!t->entries || !t->buckets)
        return CB_ENOMEM;
    for (uint32_t i = 0; i < t->n_buckets; i++)
        t->buckets[i] = NONE;
    return 0;
}

static void table_fini(struct table *t) {
    free(t->entries);
    free(t->buckets);
}

/* Keys are hashes: their low bits are as good as any. */
static uint32_t *bucket_of(const struct table *t, uint64_t key) {
    return &t->buckets[key & (t->n_buckets - 1)];
}

static uint32_t find(const struct table *t, uint64_t key) {
    uint32_t i = *bucket_of(t, key);
    while (i != NONE && t->entries[i].key != key)
        i = t->entries[i].chain;
    return i;
}

static void unlist(struct table *t, uint32_t i) {
    struct entry *e = &t->entries[i];
    *(e->older != NONE ? &t->entries[e->older].newer : &t->oldest) = e->newer;
    *(e->newer != NONE ? &t->entries[e->newer].older : &t->newest) = e->older;
}

static void list(struct table *t, uint32_t i) {
    struct entry *e = &t->entries[i];
    e->newer = NONE;
    e->older = t->newest;
    *(t->newest != NONE ? &t->entries[t->newest].newer : &t->oldest) = i;
    t->newest = i;
}

/* The entry of a key, made where there is none, as the one used last. */
static struct entry *use(struct table *t, uint64_t key) {
    uint32_t i = find(t, key);
    if (i != NONE) {
        unlist(t, i);
        list(t, i);
        return &t->entries[i];
    }
    if (t->n < t->max) {
        i = t->n++;
    } else {
        i = t->oldest;
        uint32_t *at = bucket_of(t, t->entries[i].key);
        while (*at != i)
            at = &t->entries[*at].chain;
        *at = t->entries[i].chain;
        unlist(t, i);
    }
    uint32_t *bucket = bucket_of(t, key);
    t->entries[i] = (struct entry){.key = key, .chain = *bucket};
    *bucket = i;
    list(t, i);
    return &t->entries[i];
}

static int64_t mono_ns(void) {
    return cb_clock_mono_us() * 1000;
}

static unsigned wait_s(const struct table *t, uint64_t key) {
    uint32_t i = find(t, key);
    if (i == NONE)
        return 0;
    int64_t late_ns = t->entries[i].full_ns - mono_ns() + t->token_ns - t->burst_ns;
    return late_ns <= 0 ? 0 : (unsigned)((late_ns + SECOND_NS - 1) / SECOND_NS);
}

static void take(struct table *t, uint64_t key, uint64_t n) {
    struct entry *e = use(t, key);
    int64_t now_ns = mono_ns();
    int64_t take_ns =
        n > (uint64_t)(TAKE_MAX_NS / t->token_ns) ? TAKE_MAX_NS : (int64_t)n * t->token_ns;
    if (e->full_ns < now_ns)
        e->full_ns = now_ns;
    e->full_ns += take_ns;
    if (e->full_ns > now_ns + TAKE_MAX_NS)
        e->full_ns = now_ns + TAKE_MAX_NS;
}

/* ---- keys ---- */

/* The /64; of an IPv4 address the whole, which a hash of 16 bytes tells from any /64. */
static uint64_t address_key(const struct cb_limit *l, const struct cb_address *address) {
    static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};
    struct cb_address a = *address;
    uint64_t key;
    if (memcmp(a.bytes, v4_prefix, sizeof v4_prefix) != 0)
        memset(a.bytes + 8, 0, 8);
    crypto_shorthash((uint8_t *)&key, a.bytes, sizeof a.bytes, l->key);
    return key;
}

static uint64_t site_key(const struct cb_limit *l, struct cb_str site) {
    uint64_t key;
    crypto_shorthash((uint8_t *)&key, (const uint8_t *)site.p, site.len, l->key);
    return key;
}

/* ---- the limits ---- */

int cb_limit_create(const struct cb_limit_opts *opts, struct cb_limit **out) {
    struct cb_limit *l = calloc(1, sizeof *l);
    if (!l)
        return CB_ENOMEM;
    randombytes_buf(l->key, sizeof l->key);
    if (table_init(&l->addresses, opts->address_rate, opts, CB_LIMIT_ADDRESSES_MAX) ||
        table_init(&l->sites, opts->site_rate, opts, CB_LIMIT_SITES_MAX)) {
        cb_limit_destroy(&l);
        return CB_ENOMEM;
    }
    *out = l;
    return 0;
}

void cb_limit_destroy(struct cb_limit **limit) {
    struct cb_limit *l = *limit;
    if (!l)
        return;
    table_fini(&l->addresses);
    table_fini(&l->sites);
    free(l);
    *limit = NULL;
}

bool cb_limit_addresses(const struct cb_limit *l) {
    return l->addresses.token_ns != 0;
}

unsigned cb_limit_address_wait(struct cb_limit *l, const struct cb_address *address) {
    return l->addresses.token_ns ? wait_s(&l->addresses, address_key(l, address)) : 0;
}

unsigned cb_limit_site_wait(struct cb_limit *l, struct cb_str site) {
    return l->sites.token_ns ? wait_s(&l->sites, site_key(l, site)) : 0;
}

void cb_limit_address_take(struct cb_limit *l, const struct cb_address *address, uint64_t n) {
    if (n && l->addresses.token_ns)
        take(&l->addresses, address_key(l, address), n);
}

void cb_limit_site_take(struct cb_limit *l, struct cb_str site, uint64_t n) {
    if (n && l->sites.token_ns)
        take(&l->sites, site_key(l, site), n);
}
