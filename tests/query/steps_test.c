/* SPDX-License-Identifier: MIT
 * The steps of any funnel against a recount that tries every choice of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "query/steps.h"

enum { GAP = 30 * 60000, EVENTS = 400 };

static unsigned seed = 3;

static unsigned random_below(unsigned n) {
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % n;
}

static const char *const names[] = {"onClick", "page", "message", "set", "custom"};
enum { NAMES = 5, SET = 3 };

struct happened {
    unsigned visitor, name;
    bool email;
    int64_t ms;
    unsigned visit;
};

static struct happened events[EVENTS];
static size_t n_events;
static struct visit {
    unsigned visitor;
    int64_t start_ms, end_ms;
} visits[EVENTS];
static unsigned n_visits;

static void model_add(struct happened *event) {
    unsigned found = n_visits;
    for (unsigned i = n_visits; i-- > 0 && found == n_visits;)
        if (visits[i].visitor == event->visitor && event->ms >= visits[i].start_ms - GAP &&
            event->ms <= visits[i].end_ms + GAP)
            found = i;
    if (found == n_visits)
        visits[n_visits++] = (struct visit){event->visitor, event->ms, event->ms};
    struct visit *visit = &visits[found];
    visit->start_ms = event->ms < visit->start_ms ? event->ms : visit->start_ms;
    visit->end_ms = event->ms > visit->end_ms ? event->ms : visit->end_ms;
    event->visit = found;
}

static bool is_step(const struct happened *event, const char *step) {
    if (!strcmp(step, names[event->name]))
        return true;
    if (strcmp(step, CB_STEPS_CONTACT) != 0)
        return false;
    return event->name == 2 || (event->name == SET && event->email);
}

/* Whether the steps from `step` on can be taken by events of the visit behind `after` (an index
 * into the visit's events by time). No two events of a visit are at the same time here. */
static unsigned best(const struct happened *const *own, size_t n, size_t from,
                     const char *const *steps, unsigned n_steps, bool strict) {
    unsigned most = 0;
    if (n_steps == 0)
        return 0;
    for (size_t i = from; i < n; i++) {
        if (is_step(own[i], steps[0])) {
            unsigned here = 1 + best(own, n, i + 1, steps + 1, n_steps - 1, strict);
            most = here > most ? here : most;
        }
        if (strict)
            break;
    }
    return most;
}

static int by_time(const void *a, const void *b) {
    const struct happened *left = *(const struct happened *const *)a,
                          *right = *(const struct happened *const *)b;
    return left->ms < right->ms ? -1 : left->ms > right->ms;
}

static void model_count(const char *const *steps, unsigned n_steps, bool strict, int64_t from,
                        int64_t to, uint64_t *counts) {
    for (unsigned v = 0; v < n_visits; v++) {
        const struct happened *own[EVENTS];
        size_t n = 0;
        if (visits[v].start_ms < from || visits[v].start_ms >= to)
            continue;
        for (size_t i = 0; i < n_events; i++)
            if (events[i].visit == v)
                own[n++] = &events[i];
        qsort(own, n, sizeof own[0], by_time);
        unsigned most = 0;
        for (size_t at = 0; at < (strict ? n : 1); at++) {
            unsigned here = best(own, n, at, steps, n_steps, strict);
            most = here > most ? here : most;
        }
        for (unsigned i = 0; i < most; i++)
            counts[i]++;
    }
}

static int add(struct cb_steps *steps, const struct happened *event) {
    uint8_t visitor[CB_VISITOR_BYTES] = {(uint8_t)event->visitor, 1};
    struct cb_str name = cb_str_of(names[event->name]);
    struct cb_event raw = {.seq = 1, .name_code = cb_event_name_code(name), .name = name};
    if (event->name == SET)
        raw.key = cb_str_of(event->email ? "email" : "name");
    return cb_steps_add(steps, visitor, &raw, event->ms);
}

static void random_events(void) {
    n_visits = 0;
    for (n_events = 0; n_events < 100 + random_below(EVENTS - 100); n_events++) {
        struct happened *event = &events[n_events];
        *event = (struct happened){
            .visitor = random_below(9), .name = random_below(NAMES), .email = random_below(2)};
        bool taken = true;
        while (taken) { /* one event of a visitor a millisecond: no ties */
            event->ms = (int64_t)random_below(8) * 4 * 3600000 + random_below(3600000);
            taken = false;
            for (size_t i = 0; i < n_events; i++)
                taken |= events[i].visitor == event->visitor && events[i].ms == event->ms;
        }
        model_add(event);
    }
}

static void any_steps_equal_a_recount(void **state) {
    static const char *const known[] = {"onClick", "page",   "message",
                                        "set",     "custom", CB_STEPS_CONTACT};
    (void)state;
    for (unsigned round = 0; round < 150; round++) {
        const char *chosen[CB_STEPS_MAX];
        struct cb_steps_spec spec = {
            .n = 2 + random_below(5), .strict = random_below(2), .gap_ms = GAP};
        for (unsigned i = 0; i < spec.n; i++) {
            chosen[i] = known[random_below(6)];
            spec.names[i] = cb_str_of(chosen[i]);
        }
        struct cb_steps *steps;
        assert_int_equal(cb_steps_create(&spec, &steps), 0);
        random_events();
        for (size_t i = 0; i < n_events; i++)
            assert_int_equal(add(steps, &events[i]), 0);
        int64_t from = random_below(3) * INT64_C(7200000), to = random_below(30) * INT64_C(3600000);
        uint64_t want[CB_STEPS_MAX] = {0}, got[CB_STEPS_MAX] = {0};
        model_count(chosen, spec.n, spec.strict, from, to, want);
        bool more = true;
        while (more)
            assert_int_equal(cb_steps_count(steps, from, to, 7, got, &more), 0);
        assert_memory_equal(got, want, sizeof got);
        cb_steps_destroy(&steps);
        assert_null(steps);
    }
}

/* Within a millisecond events are taken in the order of the steps, however they arrived. */
static void ties(void **state) {
    (void)state;
    struct cb_steps_spec spec = {
        .names = {CB_STR("page"), CB_STR("custom"), CB_STR("onClick")}, .n = 3, .gap_ms = GAP};
    static const struct happened tied[] = {
        {1, 0, false, 5, 0}, {1, 4, false, 5, 0}, {1, 1, false, 5, 0}};
    for (unsigned strict = 0; strict < 2; strict++) {
        struct cb_steps *steps;
        uint64_t got[CB_STEPS_MAX] = {0};
        bool more;
        spec.strict = strict;
        assert_int_equal(cb_steps_create(&spec, &steps), 0);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(add(steps, &tied[i]), 0);
        assert_int_equal(cb_steps_count(steps, 0, 10, 100, got, &more), 0);
        assert_int_equal(got[2], 1);
        cb_steps_destroy(&steps);
    }
}

/* What it holds ends at its bounds, and says so. */
static void bounds(void **state) {
    (void)state;
    struct cb_steps_spec spec = {
        .names = {CB_STR("page"), CB_STR("custom")}, .n = 2, .gap_ms = GAP};
    struct cb_steps *steps;
    struct cb_event page = {.seq = 1, .name_code = CB_NAME_PAGE, .name = CB_STR("page")};
    uint8_t visitor[CB_VISITOR_BYTES] = {0};
    assert_int_equal(cb_steps_create(&spec, &steps), 0);
    for (uint32_t i = 0; i < CB_STEPS_VISITS_MAX; i++) {
        memcpy(visitor, &i, sizeof i);
        assert_int_equal(cb_steps_add(steps, visitor, &page, 5), 0);
    }
    memset(visitor, 0xff, sizeof visitor);
    assert_int_equal(cb_steps_add(steps, visitor, &page, 5), CB_EFULL);
    uint64_t got[CB_STEPS_MAX] = {0};
    bool more;
    assert_int_equal(cb_steps_count(steps, 0, 10, SIZE_MAX, got, &more), 0);
    assert_int_equal(got[0], CB_STEPS_VISITS_MAX);
    cb_steps_destroy(&steps);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_steps_equal_a_recount),
                                       cmocka_unit_test(ties), cmocka_unit_test(bounds)};
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
