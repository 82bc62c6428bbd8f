/* SPDX-License-Identifier: MIT
 * http_peer.c: how many connections each client address holds: a small hash table that grows with
 * the addresses and is bounded by the connections.
 *
 * IPv6 clients are counted by /64, since who has one address of it has them all. The hash is
 * seeded, so that nobody can choose addresses that fall into one bucket. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/random.h>

#include "proto/http_conn.h"

int cb_http_peers_init(struct cb_http_peers *peers) {
    *peers = (struct cb_http_peers){.n_buckets = 256};
    peers->buckets = calloc(peers->n_buckets, sizeof(struct cb_http_peer *));
    if (!peers->buckets)
        return CB_ENOMEM;
    if (getrandom(&peers->seed, sizeof(peers->seed), 0) != sizeof(peers->seed))
        peers->seed = (uint64_t)(uintptr_t)peers->buckets;
    return 0;
}

void cb_http_peers_fini(struct cb_http_peers *peers) {
    for (unsigned i = 0; peers->buckets && i < peers->n_buckets; i++)
        while (peers->buckets[i]) {
            struct cb_http_peer *peer = peers->buckets[i];
            peers->buckets[i] = peer->next;
            free(peer);
        }
    free(peers->buckets);
    *peers = (struct cb_http_peers){0};
}

static bool is_mapped(const struct sockaddr *address) {
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* The /64 of an IPv6 address. IPv4 stands behind ff:ff:ff:ff, a multicast prefix that no client
 * has. */
static uint64_t key_of(const struct sockaddr *address) {
    uint8_t bytes[8] = {0xff, 0xff, 0xff, 0xff};
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        if (is_mapped(address))
            memcpy(bytes + 4, in6->sin6_addr.s6_addr + 12, 4);
        else
            memcpy(bytes, in6->sin6_addr.s6_addr, 8);
    } else if (address->sa_family == AF_INET) {
        memcpy(bytes + 4, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    }
    uint64_t key;
    memcpy(&key, bytes, sizeof(key));
    return key;
}

/* The finalizer of MurmurHash3: each bit of the key moves half of the result's. */
static uint64_t mix(uint64_t key) {
    key ^= key >> 33;
    key *= UINT64_C(0xff51afd7ed558ccd);
    key ^= key >> 33;
    key *= UINT64_C(0xc4ceb9fe1a85ec53);
    return key ^ (key >> 33);
}

static struct cb_http_peer **bucket_of(struct cb_http_peers *peers, uint64_t key) {
    return &peers->buckets[mix(mix(key ^ peers->seed) + peers->seed) & (peers->n_buckets - 1)];
}

/* Doubles the table; without memory for it the chains get longer, that is all. */
static void grow(struct cb_http_peers *peers) {
    struct cb_http_peer **old = peers->buckets;
    unsigned n_old = peers->n_buckets;
    struct cb_http_peer **buckets = calloc((size_t)n_old * 2, sizeof(*buckets));
    if (!buckets)
        return;
    peers->buckets = buckets;
    peers->n_buckets = n_old * 2;
    for (unsigned i = 0; i < n_old; i++)
        while (old[i]) {
            struct cb_http_peer *peer = old[i];
            old[i] = peer->next;
            struct cb_http_peer **bucket = bucket_of(peers, peer->key);
            peer->next = *bucket;
            *bucket = peer;
        }
    free(old);
}

int cb_http_peers_take(struct cb_http_peers *peers, const struct sockaddr *address, unsigned max,
                       struct cb_http_peer **out) {
    uint64_t key = key_of(address);
    struct cb_http_peer *peer = *bucket_of(peers, key);
    while (peer && peer->key != key)
        peer = peer->next;
    if (peer) {
        if (peer->n >= max)
            return CB_EFULL;
    } else {
        peer = calloc(1, sizeof(*peer));
        if (!peer)
            return CB_ENOMEM;
        if (peers->n_peers >= peers->n_buckets)
            grow(peers);
        struct cb_http_peer **bucket = bucket_of(peers, key);
        peer->key = key;
        peer->next = *bucket;
        *bucket = peer;
        peers->n_peers++;
    }
    peer->n++;
    *out = peer;
    return 0;
}

void cb_http_peers_give(struct cb_http_peers *peers, struct cb_http_peer *peer) {
    if (--peer->n > 0)
        return;
    struct cb_http_peer **at = bucket_of(peers, peer->key);
    while (*at != peer)
        at = &(*at)->next;
    *at = peer->next;
    peers->n_peers--;
    free(peer);
}

void cb_http_peer_text(const struct sockaddr *address, char *out) {
    out[0] = 0;
    if (address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, out,
                  INET6_ADDRSTRLEN);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        if (is_mapped(address))
            inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, out, INET6_ADDRSTRLEN);
        else
            inet_ntop(AF_INET6, &in6->sin6_addr, out, INET6_ADDRSTRLEN);
    }
}
