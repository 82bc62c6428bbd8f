/* SPDX-License-Identifier: MIT
 * What the fold remembers of dimensions: each text and each tail has its own place, however many
 * come, and after a batch there is what is to be. */
#include "tests/store/rig.h"

#include "store/dim_memo.h"
#include "store/rows.h"
#include "tests/proto/guard.h"

/* So many are remembered; the next look for another one forgets them. */
enum { KEPT = 1 << 17, MORE = 40000 };

static uint64_t seed;

static unsigned random_below(unsigned n) {
    return (unsigned)(guard_random(&seed) % n);
}

/* The i-th text of a day and kind: many differ in one of these only, or in length. */
static struct cb_dim_pair *ask(struct cb_dim_memo *memo, unsigned i) {
    static char text[CB_VALUE_TEXT_MAX];
    const unsigned nth = i / 24;
    const uint32_t site = 1 + i / 12 % 2;
    const int32_t day = (int32_t)(i / 4 % 3) - 1;
    struct cb_dim_pair *pair;
    const int head = snprintf(text, sizeof(text), "%u", nth / 4);
    const size_t lens[] = {(size_t)head, (size_t)head + 1, 80, nth % 64 > 3 ? 81 : sizeof(text)};
    const size_t len = lens[nth % 4];
    memset(text + head, 'x', sizeof(text) - (size_t)head);
    assert_int_equal(cb_dim_memo_pair(memo, site, day, i % 4, (struct cb_str){text, len}, &pair),
                     0);
    return pair;
}

static void note(struct cb_dim_memo *memo, unsigned i) {
    struct cb_dim_pair *pair = ask(memo, i);
    assert_int_equal(pair->number, 0);
    pair->number = i + 1;
    assert_ptr_equal(ask(memo, i), pair);
}

static void assert_noted(struct cb_dim_memo *memo, unsigned i) {
    const struct cb_dim_pair *pair = ask(memo, i);
    assert_int_equal(pair->number, i + 1);
}

static void test_each_text_has_its_place(void **state) {
    struct cb_dim_memo *memo;
    (void)state;
    assert_true(sodium_init() >= 0);
    assert_int_equal(cb_dim_memo_create(&memo), 0);
    seed = 1;
    for (unsigned i = 0; i < KEPT - 1; i++) {
        note(memo, i);
        for (unsigned k = 0; k < 4; k++) { /* the newest of each kind among them */
            assert_noted(memo, i - (i < k ? i : k));
        }
        assert_noted(memo, random_below(i + 1));
    }
    cb_dim_memo_clear(memo, false); /* a batch was committed */
    assert_noted(memo, 5);
    note(memo, KEPT - 1);
    for (unsigned i = KEPT; i < KEPT + MORE; i++) {
        note(memo, i);
        const unsigned any = KEPT + random_below(i + 1 - KEPT);
        assert_noted(memo, any);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ask(memo, KEPT - 1 - i)->number, 0);
    }
    for (unsigned i = KEPT + MORE - 8; i < KEPT + MORE; i++) {
        assert_noted(memo, i);
    }
    cb_dim_memo_clear(memo, true); /* one came to nothing */
    for (unsigned i = 0; i < 4 * (KEPT - 8);
         i += 4) { /* of one kind; then the last ones of others */
        note(memo, i);
    }
    for (unsigned i = KEPT + MORE - 3; i < KEPT + MORE; i++) {
        assert_int_equal(ask(memo, i)->number, 0);
    }
    cb_dim_memo_destroy(&memo);
    assert_null(memo);
}

static void test_each_tail_has_its_place(void **state) {
    struct rig *rig = *state;
    enum { TAILS = 3000, TIMES = 3 };
    struct cb_dim_memo *memo = cb_views_dims(rig->views);
    struct cb_dim_tail *tail;
    bool full;
    for (unsigned time = 0; time < 2 * TIMES; time++) {
        if (time % TIMES == 0) {
            assert_int_equal(cb_views_begin(rig->views), 0);
        }
        for (uint32_t i = 0; i < TAILS; i++) {
            const struct cb_dim_event event = {i, time, i};
            const uint32_t site = 1 + i / 100;
            const int32_t day = (int32_t)(i / 4 % 25) - 5;
            assert_int_equal(cb_dim_memo_tail(memo, rig->views, site, day, i % 4, &tail), 0);
            assert_true(tail->site == site && tail->day == day && tail->kind == i % 4);
            assert_int_equal(cb_dim_tail_add(rig->views, tail, &event, &full), 0);
        }
        if (time % TIMES == TIMES - 1) {
            assert_int_equal(cb_views_commit(rig->views, 0), 0);
        }
    }
    assert_int_equal(cb_views_begin(rig->views), 0);
    for (uint32_t i = 0; i < TAILS; i++) {
        static struct cb_dim_event got[CB_DIM_TAIL_EVENTS];
        size_t n;
        assert_int_equal(cb_dim_memo_tail(memo, rig->views, 1 + i / 100, (int32_t)(i / 4 % 25) - 5,
                                          i % 4, &tail),
                         0);
        assert_int_equal(cb_dim_tail_take(rig->views, tail, got, &n), 0);
        assert_int_equal(n, 2 * TIMES);
        for (uint32_t time = 0; time < n; time++) {
            assert_true(got[time].number == i && got[time].name_id == time);
        }
    }
    cb_views_abort(rig->views);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_text_has_its_place),
        RIG_TEST(test_each_tail_has_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
