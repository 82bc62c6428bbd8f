/* SPDX-License-Identifier: MIT
 * Promises of bench/plan.h: what is sent is what the service takes, by its own decoder; the same
 * seed gives the same; a request that is sent again has the same numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/plan.h"
#include "ingest/beacon.h"
#include "proto/http.h"

enum { BODY_MAX = 4 * 1024 * 1024, REQUESTS = 400 };
#define NOW INT64_C(1700000000000)

static struct cb_plan *make(enum cb_plan_mix mix, unsigned n_sites, unsigned batch,
                            unsigned batch_visitors, uint64_t seed, uint64_t run) {
    struct cb_plan_opts opts = {.mix = mix,
                                .site = "shop",
                                .n_sites = n_sites,
                                .n_pages = 1000,
                                .n_visitors = 5000,
                                .batch = batch,
                                .batch_visitors = batch_visitors,
                                .seed = seed,
                                .run = run,
                                .hosts = {"127.0.0.1:8080", "127.0.0.1:8081"},
                                .token = "secret"};
    struct cb_plan *plan = NULL;
    assert_int_equal(cb_plan_create(&opts, &plan), 0);
    return plan;
}

/* The body of a request whose head is as it should be. */
static struct cb_str body_of(struct cb_str request) {
    char head[2048];
    const char *end = memmem(request.p, request.len, "\r\n\r\n", 4);
    assert_non_null(end);
    size_t head_len = (size_t)(end + 4 - request.p);
    assert_true(head_len < sizeof head);
    memcpy(head, request.p, head_len);
    head[head_len] = '\0';
    const char *length = strstr(head, "\r\nContent-Length: ");
    size_t told = length ? strtoul(length + 18, NULL, 10) : 0;
    assert_int_equal(told, request.len - head_len);
    assert_non_null(strstr(head, "\r\nHost: 127.0.0.1:808"));
    assert_null(memchr(head, '{', head_len)); /* no field was forgotten */
    return (struct cb_str){end + 4, told};
}

/* What the decoder makes of an item's request: all its events, none refused. */
static void decode(struct cb_beacon *b, const struct cb_plan *plan, const struct cb_plan_item *item,
                   struct cb_str request) {
    struct cb_str body = body_of(request);
    struct cb_beacon_receipt receipt = {
        .received_ms = NOW, .facts = {.device = CB_DEVICE_DESKTOP}, .site_known = true};
    uint64_t seq = item->seq, n = 0, counts[4][CB_PLAN_NAMES] = {0}, told[CB_PLAN_NAMES] = {0};
    char site[CB_SITE_MAX + 1];
    char *padded = calloc(1, body.len + CB_HTTP_BODY_PAD);
    assert_non_null(padded);
    memcpy(padded, body.p, body.len);
    cb_plan_site_name(plan, item->site, site);
    cb_beacon_begin(b, (struct cb_str){padded, body.len},
                    item->kind == CB_KIND_BATCH ? CB_BEACON_NDJSON : CB_BEACON_JSON);
    while (cb_beacon_next(b)) {
        cb_beacon_check(b, &receipt);
        assert_int_equal(b->n_refusals, 0);
        assert_true(cb_str_is(b->site, site));
        assert_true(b->envelope.has_visitor);
        for (uint32_t i = 0; i < b->n_events; i++, n++) {
            assert_int_equal(b->events[i].seq, seq++);
            assert_true(b->events[i].age_ms >= 0);
            for (unsigned k = 0; k < CB_PLAN_NAMES; k++)
                told[k] += cb_str_is(b->events[i].name, cb_plan_event_name(k));
        }
    }
    assert_int_equal(n, item->n);
    cb_plan_tally(item, counts);
    assert_memory_equal(counts[item->site], told, sizeof told);
    free(padded);
}

/* Every request of a mix's sessions is taken by the project's own decoder. */
static void valid(enum cb_plan_mix mix, unsigned n_sites, unsigned batch, unsigned visitors) {
    struct cb_plan *plan = make(mix, n_sites, batch, visitors, 1, 2);
    struct cb_plan_session session;
    struct cb_plan_item item;
    struct cb_beacon *b = NULL;
    char *out = malloc(cb_plan_bytes_max(plan));
    assert_non_null(out);
    assert_int_equal(cb_beacon_create(BODY_MAX, &b), 0);
    cb_plan_session_init(plan, CB_LANE_INGEST, 9, &session);
    for (unsigned i = 0; i < REQUESTS; i++) {
        cb_plan_next(plan, &session, NOW, &item);
        struct cb_str request = cb_plan_render(plan, &item, NOW + 5, out);
        assert_true(request.len <= cb_plan_bytes_max(plan));
        if (item.kind == CB_KIND_BOOT)
            assert_non_null(memmem(request.p, request.len, "/v1/boot", 8));
        else
            decode(b, plan, &item, request);
    }
    free(out);
    cb_beacon_destroy(&b);
    cb_plan_destroy(&plan);
}

static void test_valid(void **state) {
    (void)state;
    valid(CB_MIX_BEACON, 1, 1, 1);
    valid(CB_MIX_BEACON, 4, 1, 1);
    valid(CB_MIX_WIDGET, 2, 1, 1);
    valid(CB_MIX_SERVER, 1, 100, 5);
    valid(CB_MIX_SERVER, 3, 100, 100);
    valid(CB_MIX_SERVER, 3, 7, 3);
    valid(CB_MIX_SERVER, 1, 1, 1);
    valid(CB_MIX_MIXED, 4, 20, 5);
}

static void test_reports(void **state) {
    (void)state;
    struct cb_plan *plan = make(CB_MIX_DASHBOARD, 3, 1, 1, 1, 2);
    struct cb_plan_session session;
    struct cb_plan_item item;
    char *out = malloc(cb_plan_bytes_max(plan));
    cb_plan_session_init(plan, CB_LANE_QUERY, 1, &session);
    for (unsigned i = 0; i < 20; i++) {
        cb_plan_next(plan, &session, NOW, &item);
        struct cb_str request = cb_plan_render(plan, &item, NOW, out);
        assert_int_equal(body_of(request).len, 0);
        assert_int_equal(memcmp(request.p, "GET /v1/sites/shop", 18), 0);
        assert_non_null(memmem(request.p, request.len, "Bearer secret\r\n", 15));
        assert_int_equal(item.n, 0);
    }
    free(out);
    cb_plan_destroy(&plan);
}

/* Both plans' sessions say the same, or at least once not. */
static bool same(struct cb_plan *a, struct cb_plan *b, bool with_producers) {
    struct cb_plan_session sa, sb;
    struct cb_plan_item ia, ib;
    bool equal = true;
    cb_plan_session_init(a, CB_LANE_INGEST, 3, &sa);
    cb_plan_session_init(b, CB_LANE_INGEST, 3, &sb);
    for (unsigned i = 0; i < REQUESTS; i++) {
        cb_plan_next(a, &sa, NOW + i, &ia);
        cb_plan_next(b, &sb, NOW + i, &ib);
        if (!with_producers)
            ia.producer = ib.producer = 0;
        equal = equal && ia.producer == ib.producer && ia.seq == ib.seq && ia.site == ib.site &&
                ia.page == ib.page && ia.visitor == ib.visitor && ia.kind == ib.kind &&
                ia.agent == ib.agent && ia.n == ib.n;
    }
    cb_plan_destroy(&a);
    cb_plan_destroy(&b);
    return equal;
}

static void test_seed(void **state) {
    (void)state;
    enum cb_plan_mix m = CB_MIX_MIXED;
    assert_true(same(make(m, 9, 10, 2, 7, 1), make(m, 9, 10, 2, 7, 1), true));
    assert_true(same(make(m, 9, 10, 2, 7, 1), make(m, 9, 10, 2, 7, 2), false));
    assert_false(same(make(m, 9, 10, 2, 7, 1), make(m, 9, 10, 2, 7, 2), true));
    assert_false(same(make(m, 9, 10, 2, 7, 1), make(m, 9, 10, 2, 8, 1), false));
}

/* Another connection's producers are others; each has its numbers from 1 without a gap. */
static void test_numbers(void **state) {
    (void)state;
    struct cb_plan *plan = make(CB_MIX_BEACON, 1, 1, 1, 1, 1);
    struct cb_plan_session session;
    struct cb_plan_item item;
    uint64_t producers[600];
    unsigned n = 0;
    for (uint64_t c = 0; c < 100; c++) {
        cb_plan_session_init(plan, CB_LANE_INGEST, c, &session);
        for (unsigned i = 0; i < 36; i++) {
            cb_plan_next(plan, &session, NOW, &item);
            assert_int_equal(item.seq, i % 6 + 1);
            if (item.seq == 1)
                producers[n++] = item.producer;
            assert_int_equal(item.producer, producers[n - 1]);
        }
    }
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < i; k++)
            assert_true(producers[i] != producers[k]);
    cb_plan_destroy(&plan);
}

/* Rendered again later, only `sent` differs. */
static void test_again(void **state) {
    (void)state;
    struct cb_plan *plan = make(CB_MIX_SERVER, 3, 12, 3, 1, 1);
    struct cb_plan_session session;
    struct cb_plan_item item;
    size_t max = cb_plan_bytes_max(plan), differ = 0;
    char *a = calloc(1, max), *b = calloc(1, max);
    cb_plan_session_init(plan, CB_LANE_INGEST, 1, &session);
    cb_plan_next(plan, &session, NOW, &item);
    struct cb_str first = cb_plan_render(plan, &item, NOW, a);
    struct cb_str again = cb_plan_render(plan, &item, NOW + 7, b);
    assert_int_equal(first.len, again.len);
    for (size_t i = 0; i < first.len; i++)
        differ += first.p[i] != again.p[i];
    assert_int_equal(differ, 3); /* the last digit of `sent`, on three lines */
    free(a);
    free(b);
    cb_plan_destroy(&plan);
}

static void test_refused(void **state) {
    (void)state;
    struct cb_plan *plan = NULL;
    struct cb_plan_opts good = {.mix = CB_MIX_BEACON,
                                .site = "shop",
                                .n_sites = 1,
                                .n_pages = 1,
                                .n_visitors = 1,
                                .batch = 1,
                                .batch_visitors = 1,
                                .hosts = {"h", "h"},
                                .token = ""};
    struct cb_plan_opts bad = good;
    bad.n_sites = 0;
    assert_int_equal(cb_plan_create(&bad, &plan), CB_EINVAL);
    bad = good;
    bad.n_pages = CB_PLAN_PAGES_MAX + 1;
    assert_int_equal(cb_plan_create(&bad, &plan), CB_EINVAL);
    bad = good;
    bad.batch_visitors = 2;
    assert_int_equal(cb_plan_create(&bad, &plan), CB_EINVAL);
    bad = good;
    bad.site = "no site";
    assert_int_equal(cb_plan_create(&bad, &plan), CB_EINVAL);
    enum cb_plan_mix mix;
    assert_int_equal(cb_plan_mix_of("beacons", &mix), CB_ENOENT);
    assert_int_equal(cb_plan_mix_of("widget", &mix), 0);
    assert_int_equal(mix, CB_MIX_WIDGET);
}

static int setup(void **state) {
    (void)state;
    return sodium_init() < 0 ? -1 : 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid), cmocka_unit_test(test_reports),
        cmocka_unit_test(test_seed),  cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_again), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
