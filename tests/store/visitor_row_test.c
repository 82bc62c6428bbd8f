/* SPDX-License-Identifier: MIT
 * A visitor's row and a session, encoded: random ones come back as they were, the common one is
 * small, and what the disk may have made of them is refused or sound. */
#include "tests/proto/guard.h"

#include "proto/frame.h"
#include "store/key.h"
#include "store/varint.h"
#include "store/visitor_row.h"

enum { ROUNDS = 20000 };

static uint64_t state = 7;

/* Below 2^bits, of any length. */
static uint64_t random_bits(unsigned bits) {
    uint64_t n = guard_random(&state);
    unsigned shift = 64 - bits + (unsigned)(guard_random(&state) % bits);
    return shift < 64 ? n >> shift : 0;
}

static bool coin(void) {
    return guard_random(&state) >> 63;
}

static int64_t random_within(int64_t from, int64_t to) {
    int64_t after = (int64_t)random_bits(47);
    return after < to - from ? from + after : to;
}

static void random_visit(struct cb_visit *visit, int64_t from, int64_t to) {
    cb_visit_init(visit, coin() ? from : random_within(from, to));
    visit->end_ms = coin() ? to : random_within(visit->start_ms, to);
    visit->events = (uint32_t)random_bits(32);
    visit->loads = (uint8_t)(random_bits(8) % 3);
    visit->pages = (uint8_t)(random_bits(8) % 3);
    visit->wrote_message = coin();
    for (unsigned i = 0; i < CB_VISIT_TIMES; i++) {
        visit->times_ms[i] =
            coin() ? random_within(visit->start_ms, visit->end_ms) : CB_VISIT_NEVER;
    }
    if (visit->first_ms[CB_STEP_TRIGGER] != CB_VISIT_NEVER) {
        visit->trigger = (uint16_t)random_bits(16);
    }
}

static struct cb_visitor_row random_row(void) {
    struct cb_visitor_row row = {.events = random_bits(coin() ? 8 : 64)};
    for (unsigned i = 0; i < CB_VISITOR_BYTES; i++) {
        row.id[i] = (uint8_t)guard_random(&state);
    }
    row.first_seen_ms = (int64_t)random_bits(48);
    row.last_seen_ms = random_within(row.first_seen_ms, CB_VISIT_MS_MAX);
    row.sessions = coin() ? 1 : (uint32_t)random_bits(32);
    cb_visit_init(&row.session, row.first_seen_ms);
    if (row.sessions > 0) {
        row.part = (uint32_t)(random_bits(32) % (cb_visitor_parts_end(&row) + 1u));
        random_visit(&row.session, row.first_seen_ms, row.last_seen_ms);
        row.session.events =
            coin() && row.events <= UINT32_MAX ? (uint32_t)row.events : row.session.events;
    }
    if (coin()) {
        int64_t day = row.last_seen_ms / 86400000 + (coin() ? 0 : (int64_t)random_bits(20));
        row.timeline.parts = (uint16_t)(coin() ? 1 : 1 + random_bits(15));
        row.timeline.day = coin() ? (uint32_t)random_bits(32) : (uint32_t)day;
    }
    return row;
}

static void assert_same_visit(const struct cb_visit *a, const struct cb_visit *b) {
    assert_int_equal(a->start_ms, b->start_ms);
    assert_int_equal(a->end_ms, b->end_ms);
    assert_int_equal(a->events, b->events);
    assert_true(a->loads == b->loads && a->pages == b->pages && a->trigger == b->trigger &&
                a->wrote_message == b->wrote_message);
    assert_memory_equal(a->times_ms, b->times_ms, sizeof(a->times_ms));
}

/* What comes from a sound row is in order, whatever its bytes were. */
static void assert_sound(const struct cb_visit *visit) {
    assert_true(visit->start_ms >= 0 && visit->start_ms <= visit->end_ms &&
                visit->end_ms <= CB_VISIT_MS_MAX);
    assert_true(visit->loads <= 2 && visit->pages <= 2);
    for (unsigned i = 0; i < CB_VISIT_TIMES; i++) {
        int64_t ms = visit->times_ms[i];
        assert_true(ms == CB_VISIT_NEVER || (ms >= visit->start_ms && ms <= visit->end_ms));
    }
}

static bool decode_row(const void *data, size_t len) {
    struct cb_visitor_row row;
    uint8_t again[CB_VISITOR_ROW_BYTES_MAX];
    if (cb_visitor_row_decode((struct cb_str){data, len}, &row) != 0) {
        return false;
    }
    assert_true(row.first_seen_ms >= 0 && row.first_seen_ms <= row.last_seen_ms &&
                row.last_seen_ms <= CB_VISIT_MS_MAX);
    assert_true(row.part <= cb_visitor_parts_end(&row));
    assert_sound(&row.session);
    assert_true(cb_visitor_row_encode(&row, again) <= sizeof(again));
    return true;
}

static bool decode_visit(const void *data, size_t len) {
    struct cb_visit visit;
    if (cb_visit_decode((struct cb_str){data, len}, &visit) != 0) {
        return false;
    }
    assert_sound(&visit);
    return true;
}

static void test_rows(void **unused) {
    (void)unused;
    size_t longest = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct cb_visitor_row row = random_row(), back;
        uint8_t bytes[CB_VISITOR_ROW_BYTES_MAX];
        size_t len = cb_visitor_row_encode(&row, bytes);
        assert_true(len <= sizeof(bytes));
        longest = len > longest ? len : longest;
        memset(&back, 0xee, sizeof(back));
        assert_int_equal(cb_visitor_row_decode((struct cb_str){(const char *)bytes, len}, &back),
                         0);
        assert_memory_equal(back.id, row.id, sizeof(row.id));
        assert_int_equal(back.first_seen_ms, row.first_seen_ms);
        assert_int_equal(back.last_seen_ms, row.last_seen_ms);
        assert_int_equal(back.events, row.events);
        assert_true(back.sessions == row.sessions && back.part == row.part);
        assert_int_equal(back.timeline.parts, row.timeline.parts);
        assert_int_equal(back.timeline.day, row.timeline.day);
        assert_same_visit(&back.session, &row.session);
        if (i % 200 == 0) {
            guard_spoil(bytes, len, decode_row);
        }
    }
    assert_true(longest > CB_VISITOR_ROW_BYTES_MAX * 2 / 3); /* the random ones reach far */
    assert_false(decode_row("", 0));
}

static void test_visits(void **unused) {
    (void)unused;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct cb_visit visit, back;
        uint8_t bytes[CB_VISIT_BYTES_MAX];
        int64_t from = (int64_t)random_bits(48);
        random_visit(&visit, from, random_within(from, CB_VISIT_MS_MAX));
        size_t len = cb_visit_encode(&visit, bytes);
        assert_true(len <= sizeof(bytes));
        memset(&back, 0xee, sizeof(back));
        assert_int_equal(cb_visit_decode((struct cb_str){(const char *)bytes, len}, &back), 0);
        assert_same_visit(&back, &visit);
        if (i % 200 == 0) {
            guard_spoil(bytes, len, decode_visit);
        }
    }
}

/* Rows of several sessions: as many as there may be, and what is none. */
static void test_lists(void **unused) {
    (void)unused;
    struct cb_str visits[CB_VISIT_LIST_MAX];
    char row[2 * (CB_VISIT_LIST_MAX + 1) + 1] = "";
    size_t n = 1;
    assert_int_equal(cb_visit_list((struct cb_str){row, 0}, visits, &n), 0);
    assert_int_equal(n, 0);
    for (unsigned i = 0; i <= CB_VISIT_LIST_MAX; i++) {
        memcpy(row + 2 * i, "\x01x", 2);
    }
    assert_int_equal(cb_visit_list((struct cb_str){row, 2 * CB_VISIT_LIST_MAX}, visits, &n), 0);
    assert_int_equal(n, CB_VISIT_LIST_MAX);
    assert_true(visits[n - 1].p == row + 2 * n - 1 && visits[n - 1].len == 1);
    assert_int_equal(cb_visit_list((struct cb_str){row, 2 * CB_VISIT_LIST_MAX + 2}, visits, &n),
                     CB_ECORRUPT);
    assert_int_equal(cb_visit_list((struct cb_str){row, 3}, visits, &n), CB_ECORRUPT);
    int64_t start_ms, end_ms;
    assert_int_equal(cb_visit_span(visits[0], &start_ms, &end_ms), CB_ECORRUPT);
}

/* The first and the last time that a frame may hold. */
static void test_ends_of_time(void **unused) {
    (void)unused;
    struct cb_visit visit, back;
    uint8_t bytes[CB_VISIT_BYTES_MAX];
    struct cb_event event = {.name_code = CB_NAME_CLICK};
    cb_visit_init(&visit, CB_FRAME_TIME_MAX_MS);
    assert_true(cb_visit_add(&visit, &event, CB_FRAME_TIME_MAX_MS, 0));
    event.name_code = CB_NAME_MINIMIZE;
    assert_true(cb_visit_add(&visit, &event, 0, 0));
    size_t len = cb_visit_encode(&visit, bytes);
    assert_int_equal(cb_visit_decode((struct cb_str){(const char *)bytes, len}, &back), 0);
    assert_same_visit(&back, &visit);
    assert_int_equal(back.first_ms[CB_STEP_CLICK], CB_FRAME_TIME_MAX_MS);
    assert_int_equal(back.minimize_ms, 0);
    assert_int_equal(back.contact_ms, CB_VISIT_NEVER);
}

/* A visitor of one session of a few minutes, as nearly all are. */
static void test_common_row_is_small(void **unused) {
    (void)unused;
    const int64_t t0 = INT64_C(1767225600000);
    static const unsigned codes[] = {CB_NAME_LOADED, CB_NAME_PAGE,     CB_NAME_TRIGGER,
                                     CB_NAME_CLICK,  CB_NAME_MAXIMIZE, CB_NAME_START_WRITING};
    struct cb_visitor_row row = {.first_seen_ms = t0,
                                 .events = 6,
                                 .sessions = 1,
                                 .timeline = {(uint32_t)(t0 / 86400000), 1}};
    uint8_t bytes[CB_VISITOR_ROW_BYTES_MAX];
    cb_visit_init(&row.session, t0);
    for (unsigned i = 0; i < 6; i++) {
        struct cb_event event = {.name_code = codes[i]};
        cb_visit_add(&row.session, &event, t0 + i * INT64_C(60000), 3);
    }
    row.last_seen_ms = row.session.end_ms;
    assert_int_equal(cb_visitor_row_encode(&row, bytes), 43);
}

static size_t put_head(uint8_t *out, uint8_t flags, int64_t first_seen_ms) {
    memset(out, 1, CB_VISITOR_BYTES);
    cb_be48_put(out + CB_VISITOR_BYTES, (uint64_t)first_seen_ms);
    out[CB_VISITOR_BYTES + 6] = flags;
    return CB_VISITOR_BYTES + 7;
}

/* Rows that no byte of a sound one is away from. */
static void test_hostile(void **unused) {
    (void)unused;
    static const struct {
        uint8_t flags;
        uint64_t numbers[6];
        unsigned n;
    } rows[] = {
        {1 | 2 | 4 | 8 | 16, {UINT64_MAX, 6, 0, 0}, 4}, /* last seen past all times */
        {0, {10, 6, UINT16_MAX + 1, 0, 0}, 5},          /* parts */
        {0, {10, 6, 1, UINT64_MAX, 0}, 5},              /* day of the timeline */
        {0, {86400000, 6, 1, UINT64_C(2) * UINT32_MAX, 0}, 5},
        {0, {10, 6, 1, 1999, 0}, 5}, /* … before 1970 */
        {16, {10, 6, UINT64_C(1) << 32, 0}, 4},
        {16, {10, 6, 17, 2, 0}, 5},                             /* more parts than there are */
        {1 | 4 | 8 | 16, {10, 6, 11, 0, 0}, 5},                 /* starts before first seen */
        {1 | 8 | 16, {10, 6, 5, 6, 0, 0}, 6},                   /* ends before it starts */
        {1 | 2 | 4 | 8 | 16, {10, UINT64_C(1) << 32, 0, 0}, 4}, /* events */
        {1 | 2 | 4 | 8 | 16, {10, 6, 3, 0}, 4},                 /* times that are not there */
        {1 | 2 | 4 | 8 | 16 | 32, {10, 6, 0, 0}, 4},
    };
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        size_t len = put_head(bytes, rows[i].flags, 1000);
        for (unsigned k = 0; k < rows[i].n; k++) {
            len += cb_varint_put(bytes + len, rows[i].numbers[k]);
        }
        assert_false(decode_row(bytes, len));
    }
    size_t len = put_head(bytes, 1 | 2 | 4 | 8 | 16, 1000); /* the same way, but sound */
    len += cb_varint_put(bytes + len, 10);
    len += cb_varint_put(bytes + len, 6);
    bytes[len++] = 0;
    bytes[len++] = 0;
    assert_true(decode_row(bytes, len));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_visits),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_ends_of_time),
        cmocka_unit_test(test_common_row_is_small),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
