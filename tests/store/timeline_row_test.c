/* SPDX-License-Identifier: MIT
 * A row of the timeline against plain lists, one for each of those who share it; and what no row
 * can be. */
#include "tests/store/rig.h"

#include "store/timeline_row.h"
#include "tests/proto/guard.h"

enum { DAY = 20454 };

static uint64_t lists[CB_TIMELINE_SHARED][CB_TIMELINE_ROW_MAX];
static size_t lengths[CB_TIMELINE_SHARED];
static struct cb_timeline_place before[CB_TIMELINE_SHARED];

static struct cb_str value_of(const struct cb_row *row) {
    return (struct cb_str){(const char *)row->data, row->len};
}

static void assert_read(struct cb_str value, struct cb_timeline_place at) {
    static uint64_t positions[CB_TIMELINE_ROW_MAX];
    for (unsigned nth = 0; nth < CB_TIMELINE_SHARED; nth++) {
        struct cb_timeline_place place = {0};
        size_t n;
        int rc = cb_timeline_row_read(value, at, nth, positions, &n, &place);
        assert_int_equal(rc, lengths[nth] > 0 ? 0 : CB_ECORRUPT);
        if (rc == 0) {
            assert_int_equal(n, lengths[nth]);
            assert_memory_equal(positions, lists[nth], n * sizeof(*positions));
            assert_int_equal(place.parts, before[nth].parts);
            assert_int_equal(place.day, before[nth].parts > 0 ? before[nth].day : 0);
        }
    }
}

/* One before `at`, or none. */
static struct cb_timeline_place some_place(uint64_t *random, struct cb_timeline_place at) {
    struct cb_timeline_place place = {at.day - (uint32_t)(guard_random(random) % 300),
                                      (uint16_t)(guard_random(random) % 200)};
    bool follows = place.day == at.day && place.parts >= at.parts;
    return follows || place.parts == 0 ? (struct cb_timeline_place){0} : place;
}

static struct cb_row *fill(struct rig *rig, uint64_t *random, unsigned who, uint64_t position,
                           uint64_t step, struct cb_timeline_place at) {
    struct cb_key key = cb_key_timeline(at.day, 1, 2, at.parts);
    struct cb_row *row;
    memset(lengths, 0, sizeof(lengths));
    assert_int_equal(cb_views_row(rig->views, CB_TABLE_TIMELINE, &key, &row), 0);
    assert_int_equal(row->len, 0);
    while (row->len + CB_TIMELINE_ENTRY_MAX <= CB_TIMELINE_ROW_MAX) {
        unsigned nth = (unsigned)(guard_random(random) % who);
        position += guard_random(random) % step;
        if (row->len > 0 && cb_timeline_row_ends(row, nth, position)) {
            assert_true(lists[nth][lengths[nth] - 1] == position);
            continue;
        }
        assert_true(lengths[nth] == 0 || lists[nth][lengths[nth] - 1] < position);
        if (lengths[nth] == 0) {
            before[nth] = some_place(random, at);
        }
        assert_int_equal(cb_timeline_row_append(rig->views, row, at.day, nth, position,
                                                lengths[nth] > 0 ? NULL : &before[nth]),
                         0);
        lists[nth][lengths[nth]++] = position;
    }
    return row;
}

static void test_rows(void **state) {
    struct rig *rig = *state;
    uint64_t random = 3;
    for (unsigned round = 0; round < 60; round++) {
        static const uint64_t steps[] = {2, 5, 100, 5000, UINT64_C(1) << 40};
        const struct cb_timeline_place at = {DAY, (uint16_t)(1 + round % 3)};
        uint64_t position = 1 + guard_random(&random) % (round % 2 ? UINT64_C(1) << 50 : 100);
        assert_int_equal(cb_views_begin(rig->views), 0);
        struct cb_row *row =
            fill(rig, &random, 1 + round % CB_TIMELINE_SHARED, position, steps[round % 5], at);
        assert_read(value_of(row), at);
        cb_views_abort(rig->views);
    }
}

/* What was cut, or changed, is refused, or read within its bounds. */
static void test_damage(void **state) {
    struct rig *rig = *state;
    static uint64_t positions[CB_TIMELINE_ROW_MAX];
    const struct cb_timeline_place at = {DAY, 2};
    struct cb_timeline_place place;
    uint64_t random = 8;
    size_t n;
    assert_int_equal(cb_views_begin(rig->views), 0);
    struct cb_row *row = fill(rig, &random, 7, 12345, 300, at);
    for (size_t len = 0; len < row->len; len++) {
        char *cut = malloc(len ? len : 1); /* nothing is read behind it */
        assert_non_null(cut);
        memcpy(cut, row->data, len);
        for (unsigned nth = 0; nth < CB_TIMELINE_SHARED; nth++) {
            assert_int_equal(
                cb_timeline_row_read((struct cb_str){cut, len}, at, nth, positions, &n, &place),
                CB_ECORRUPT);
        }
        free(cut);
    }
    for (unsigned i = 0; i < 200000; i++) {
        char bytes[64];
        size_t len = CB_TIMELINE_HEAD_BYTES + guard_random(&random) % (sizeof(bytes) - 14);
        for (size_t at_byte = 0; at_byte < len; at_byte++) {
            bytes[at_byte] = (char)(guard_random(&random) & (i % 2 ? 0xff : 0x3f));
        }
        memset(bytes, 0, 7);
        int rc = cb_timeline_row_read((struct cb_str){bytes, len}, at, 1, positions, &n, &place);
        assert_true(rc == CB_ECORRUPT ||
                    (rc == 0 && (place.parts == 0 || place.day < at.day ||
                                 (place.day == at.day && place.parts < at.parts))));
    }
    /* A row that names itself, or one behind it, would be followed for ever. */
    for (uint16_t parts = 1; parts < 4; parts++) {
        struct cb_key key = cb_key_timeline(at.day, 1, 3, parts);
        const struct cb_timeline_place named = {at.day, parts};
        struct cb_row *other;
        assert_int_equal(cb_views_row(rig->views, CB_TABLE_TIMELINE, &key, &other), 0);
        assert_int_equal(cb_timeline_row_append(rig->views, other, at.day, 31, 5, &named), 0);
        assert_int_equal(cb_timeline_row_read(value_of(other), at, 31, positions, &n, &place),
                         parts < at.parts ? 0 : CB_ECORRUPT);
    }
    /* Nothing goes back, in the journal or in days. */
    const struct cb_timeline_place tomorrow = {DAY + 1, 1};
    uint64_t last = cb_be64_get(row->data + CB_TIMELINE_LAST);
    assert_int_equal(cb_timeline_row_append(rig->views, row, DAY, 0, last - 1, NULL), CB_ECORRUPT);
    assert_int_equal(cb_timeline_row_append(rig->views, row, DAY, 9, last + 1, &tomorrow),
                     CB_ECORRUPT);
    cb_views_abort(rig->views);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_rows),
        RIG_TEST(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
