/* SPDX-License-Identifier: MIT
 * guard.h: input that ends at a page which may not be touched, and the usual ways to spoil it. A
 * reader that looks one byte too far dies at once. */
#ifndef CB_TESTS_PROTO_GUARD_H
#define CB_TESTS_PROTO_GUARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard {
    uint8_t *map, *end; /* end is the first byte of the forbidden page */
    size_t map_bytes;
};

static inline void guard_init(struct guard *g, size_t len_max) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (len_max + page - 1) / page * page;
    g->map_bytes = room + page;
    g->map = mmap(NULL, g->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g->map != MAP_FAILED);
    g->end = g->map + room;
    assert_int_equal(mprotect(g->end, page, PROT_NONE), 0);
}

static inline void guard_fini(struct guard *g) {
    assert_int_equal(munmap(g->map, g->map_bytes), 0);
}

/* The data, moved so that it ends at the forbidden page. */
static inline uint8_t *guard_put(struct guard *g, const void *data, size_t len) {
    if (len > 0) {
        memmove(g->end - len, data, len);
    }
    return g->end - len;
}

/* Decodes the data, checks all that a success promises, and says whether it was one. */
typedef bool guard_decode_fn(const void *data, size_t len);

/* The sample decodes; no shorter beginning of it does, nor the sample with a byte more. Any single
 * byte may then be anything: the decoder must refuse or give something that is sound. */
static inline void guard_spoil(const void *sample, size_t len, guard_decode_fn *decode) {
    struct guard g;
    guard_init(&g, len + 1);
    assert_true(decode(guard_put(&g, sample, len), len));
    for (size_t cut = 0; cut < len; cut++) {
        assert_false(decode(guard_put(&g, sample, cut), cut));
    }
    uint8_t *more = guard_put(&g, sample, len) - 1;
    memmove(more, more + 1, len);
    more[len] = 0xc0;
    assert_false(decode(more, len + 1));
    uint8_t *p = guard_put(&g, sample, len);
    for (size_t at = 0; at < len; at++) {
        uint8_t right = p[at];
        for (unsigned flip = 1; flip < 256; flip++) {
            p[at] = (uint8_t)(right ^ flip);
            decode(p, len);
        }
        p[at] = right;
    }
    guard_fini(&g);
}

/* A small generator with a fixed start: a failure can be run again. */
static inline uint64_t guard_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * UINT64_C(2685821657736338717);
}

#endif
