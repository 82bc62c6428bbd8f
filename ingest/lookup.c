/* SPDX-License-Identifier: MIT
 * lookup.c: see lookup.h. A hash table (keyed, since names come from anywhere) with chains; the
 * entries also stand in a list by the age of their answer, whose old end is evicted. An entry with
 * an ask out is never evicted: the answer comes to it. */
#include "ingest/lookup.h"

#include <sodium.h>
#include <stdlib.h>

#include "proto/clock.h"

enum { BUCKETS = 16384 }; /* a power of 2, above CB_LOOKUP_SITES_MAX */

struct waiter {
    void (*settled)(void *arg);
    void *arg;
    struct waiter *next;
};

struct entry {
    struct cb_site site;
    char *text; /* of its origins, page and erasures */
    char name[CB_SITE_MAX];
    size_t name_len;
    size_t bucket;
    bool found;
    bool asking;
    bool answered;       /* there was an answer ever */
    int64_t answered_ms; /* the last one; mono */
    bool failed;         /* the last ask had no answer … */
    int64_t failed_ms;   /* … then */
    struct waiter *waiters;
    struct entry *chain;
    struct entry *older, *newer;
};

struct cb_lookup {
    struct cb_uplink *uplink;
    unsigned ask_timeout_ms;
    uint8_t key[crypto_shorthash_KEYBYTES];
    struct entry *buckets[BUCKETS];
    struct entry *oldest, *newest;
    unsigned n_entries;
    size_t text_bytes;
};

int cb_lookup_create(struct cb_uplink *uplink, unsigned ask_timeout_ms, struct cb_lookup **out) {
    struct cb_lookup *l = calloc(1, sizeof *l);
    if (!l)
        return CB_ENOMEM;
    l->uplink = uplink;
    l->ask_timeout_ms = ask_timeout_ms;
    randombytes_buf(l->key, sizeof l->key);
    *out = l;
    return 0;
}

static void text_free(struct cb_lookup *l, struct entry *e) {
    l->text_bytes -= e->site.origins.len + e->site.page.len + e->site.erasures.len;
    e->site.origins = e->site.page = e->site.erasures = (struct cb_str){NULL, 0};
    free(e->text);
    e->text = NULL;
}

static void waiters_free(struct entry *e) {
    while (e->waiters) {
        struct waiter *next = e->waiters->next;
        free(e->waiters);
        e->waiters = next;
    }
}

void cb_lookup_destroy(struct cb_lookup **lookup) {
    struct cb_lookup *l = *lookup;
    if (!l)
        return;
    while (l->oldest) {
        struct entry *e = l->oldest;
        l->oldest = e->newer;
        waiters_free(e);
        text_free(l, e);
        free(e);
    }
    free(l);
    *lookup = NULL;
}

static size_t bucket_of(const struct cb_lookup *l, struct cb_str name) {
    uint64_t hash;
    crypto_shorthash((uint8_t *)&hash, (const uint8_t *)name.p, name.len, l->key);
    return (size_t)(hash & (BUCKETS - 1));
}

static struct entry *find(const struct cb_lookup *l, struct cb_str name) {
    struct entry *e = l->buckets[bucket_of(l, name)];
    while (e && !cb_str_eq(name, (struct cb_str){e->name, e->name_len}))
        e = e->chain;
    return e;
}

static void unlist(struct cb_lookup *l, struct entry *e) {
    *(e->older ? &e->older->newer : &l->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &l->newest) = e->older;
}

static void list(struct cb_lookup *l, struct entry *e) {
    e->newer = NULL;
    e->older = l->newest;
    *(l->newest ? &l->newest->newer : &l->oldest) = e;
    l->newest = e;
}

/* Makes room for one entry; false when all have an ask out. */
static bool evict(struct cb_lookup *l) {
    struct entry *e = l->oldest;
    while (e && e->asking)
        e = e->newer;
    if (!e)
        return false;
    struct entry **at = &l->buckets[e->bucket];
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    unlist(l, e);
    waiters_free(e);
    text_free(l, e);
    free(e);
    l->n_entries--;
    return true;
}

static int insert(struct cb_lookup *l, struct cb_str name, struct entry **out) {
    if (l->n_entries >= CB_LOOKUP_SITES_MAX && !evict(l))
        return CB_EFULL;
    struct entry *e = calloc(1, sizeof *e);
    if (!e)
        return CB_ENOMEM;
    memcpy(e->name, name.p, name.len);
    e->name_len = name.len;
    randombytes_buf(e->site.pixel_producer, sizeof e->site.pixel_producer);
    e->bucket = bucket_of(l, name);
    e->chain = l->buckets[e->bucket];
    l->buckets[e->bucket] = e;
    list(l, e);
    l->n_entries++;
    *out = e;
    return 0;
}

static struct cb_str put_text(char **at, struct cb_str text) {
    struct cb_str kept = {*at, text.len};
    if (text.len > 0)
        memcpy(*at, text.p, text.len);
    *at += text.len;
    return kept;
}

/* Keeps what pages get, and who was erased. Without memory the site is as it was, and so is its
 * answer. */
static int text_take(struct cb_lookup *l, struct entry *e, const struct cb_answer *answer) {
    size_t len = answer->origins.len + answer->page.len + answer->erasures.len;
    char *text = len > 0 ? malloc(len) : NULL, *at = text;
    if (len > 0 && !text)
        return CB_ENOMEM;
    text_free(l, e);
    if (len == 0)
        return 0;
    e->text = text;
    e->site.origins = put_text(&at, answer->origins);
    e->site.page = put_text(&at, answer->page);
    e->site.erasures = put_text(&at, answer->erasures);
    l->text_bytes += len;
    return 0;
}

static void answered(void *user, void *tag, const struct cb_answer *answer) {
    struct cb_lookup *l = user;
    struct entry *e = tag;
    e->asking = false;
    e->failed = !answer || answer->later || text_take(l, e, answer);
    if (e->failed) {
        e->failed_ms = cb_clock_mono_ms();
    } else {
        e->answered = true;
        e->answered_ms = cb_clock_mono_ms();
        e->found = answer->found;
        e->site.status = answer->status;
    }
    unlist(l, e);
    list(l, e);
    e->asking = true; /* it is not to go now */
    while (l->text_bytes > CB_LOOKUP_TEXT_MAX && evict(l)) {
    }
    e->asking = false;
    /* The list is taken off first: whom it calls may ask again. */
    struct waiter *waiters = e->waiters;
    e->waiters = NULL;
    while (waiters) {
        struct waiter *next = waiters->next;
        waiters->settled(waiters->arg);
        free(waiters);
        waiters = next;
    }
}

static int ask(struct cb_lookup *l, struct entry *e) {
    if (e->asking)
        return 0;
    struct cb_ask question = {.kind = CB_ASK_SITE, .site = {e->name, e->name_len}};
    int err = cb_uplink_ask(l->uplink, &question, l->ask_timeout_ms, answered, l, e);
    if (!err)
        e->asking = true;
    return err;
}

static enum cb_site_state state_of(struct entry *e, struct cb_site **out) {
    *out = &e->site;
    return e->found ? CB_SITE_KNOWN : CB_SITE_UNKNOWN;
}

enum cb_site_state cb_lookup_site(struct cb_lookup *l, struct cb_str name, struct cb_site **out) {
    struct entry *e = find(l, name);
    if (!e || !e->answered)
        return CB_SITE_WAIT;
    int64_t now_ms = cb_clock_mono_ms();
    int64_t age_ms = now_ms - e->answered_ms;
    /* A store that was silent a moment ago is not waited for again by each request. */
    bool silent = e->failed && now_ms - e->failed_ms < CB_LOOKUP_FRESH_MS;
    if (age_ms > CB_LOOKUP_AHEAD_MS)
        ask(l, e); /* in the background: that it fails is no harm, cb_lookup_wait says it again */
    if (age_ms <= CB_LOOKUP_FRESH_MS || (silent && age_ms <= CB_LOOKUP_STALE_MS))
        return state_of(e, out);
    return CB_SITE_WAIT;
}

enum cb_site_state cb_lookup_settled(struct cb_lookup *l, struct cb_str name,
                                     struct cb_site **out) {
    struct entry *e = find(l, name);
    if (!e || !e->answered || cb_clock_mono_ms() - e->answered_ms > CB_LOOKUP_STALE_MS)
        return CB_SITE_UNAVAILABLE;
    return state_of(e, out);
}

int cb_lookup_wait(struct cb_lookup *l, struct cb_str name, void (*settled)(void *arg), void *arg) {
    struct entry *e = find(l, name);
    int err = e ? 0 : insert(l, name, &e);
    if (err)
        return err;
    struct waiter *w = malloc(sizeof *w);
    if (!w)
        return CB_ENOMEM;
    err = ask(l, e);
    if (err) {
        free(w);
        return err;
    }
    *w = (struct waiter){settled, arg, e->waiters};
    e->waiters = w;
    return 0;
}
