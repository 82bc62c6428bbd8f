/* SPDX-License-Identifier: MIT
 * tries.c: a bucket is one number: the moment at which it will be full again. */
#include "query/tries.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/clock.h"

enum { SETS = 1024, WAYS = 4 };

static const int64_t back_ms = INT64_C(1000) * CB_TRIES_BACK_S;

struct bucket {
    uint64_t key;
    int64_t full_ms; /* mono; in the past: full, and as good as none */
};

struct cb_tries {
    pthread_mutex_t mutex;
    uint8_t hash_key[crypto_shorthash_KEYBYTES]; /* clients choose addresses, not where they fall */
    struct bucket sets[SETS][WAYS];
};

int cb_tries_create(struct cb_tries **out) {
    struct cb_tries *tries = calloc(1, sizeof *tries);
    if (!tries)
        return CB_ENOMEM;
    pthread_mutex_init(&tries->mutex, NULL);
    crypto_shorthash_keygen(tries->hash_key);
    *out = tries;
    return 0;
}

void cb_tries_destroy(struct cb_tries **tries) {
    if (!*tries)
        return;
    pthread_mutex_destroy(&(*tries)->mutex);
    free(*tries);
    *tries = NULL;
}

/* Of IPv6 the /64: who has one address of it has them all. */
static uint64_t key_of(const struct cb_tries *tries, const char *peer) {
    uint8_t address[16] = {0};
    struct in6_addr v6;
    size_t len = strlen(peer);
    if (inet_pton(AF_INET6, peer, &v6) == 1 && !IN6_IS_ADDR_V4MAPPED(&v6)) {
        memcpy(address, &v6, 8);
    } else {
        const char *v4 = strrchr(peer, ':') ? strrchr(peer, ':') + 1 : peer;
        len = strlen(v4);
        memcpy(address, v4, len < sizeof address ? len : sizeof address);
    }
    uint64_t key;
    crypto_shorthash((uint8_t *)&key, address, sizeof address, tries->hash_key);
    return key ? key : 1;
}

unsigned cb_tries_failed(struct cb_tries *tries, const char *peer) {
    uint64_t key = key_of(tries, peer);
    int64_t now_ms = cb_clock_mono_ms();
    unsigned wait_s = 0;
    pthread_mutex_lock(&tries->mutex);
    struct bucket *set = tries->sets[key % SETS], *bucket = &set[0];
    for (int i = 0; i < WAYS; i++) {
        if (set[i].key == key) {
            bucket = &set[i];
            break;
        }
        if (set[i].full_ms < bucket->full_ms)
            bucket = &set[i];
    }
    if (bucket->key != key)
        *bucket = (struct bucket){.key = key};
    if (bucket->full_ms < now_ms)
        bucket->full_ms = now_ms;
    int64_t late_ms = bucket->full_ms + back_ms - now_ms - back_ms * CB_TRIES_BURST;
    if (late_ms > 0)
        wait_s = (unsigned)((late_ms + 999) / 1000);
    else
        bucket->full_ms += back_ms;
    pthread_mutex_unlock(&tries->mutex);
    return wait_s;
}
