/* SPDX-License-Identifier: MIT */
#include "tests/store/rig.h"

static const uint8_t visitor[CB_VISITOR_BYTES] = {1, 2, 3};

static struct cb_stamp stamp_of(int64_t true_ms, uint64_t seq, uint8_t producer) {
    struct cb_stamp stamp = {.true_ms = true_ms, .seq = seq};
    memset(stamp.producer, producer, CB_PRODUCER_BYTES);
    return stamp;
}

static void put(struct cb_overlay *overlay, uint64_t position, struct cb_stamp stamp,
                const char *value) {
    assert_int_equal(cb_overlay_put(overlay, position, CB_STR("demo"), visitor, CB_FIELD_NAME,
                                    &stamp, cb_str_of(value)),
                     0);
}

static void expect(struct cb_overlay *overlay, const char *value) {
    struct cb_buf out;
    struct cb_stamp stamp;
    cb_buf_init(&out, 1000);
    int rc = cb_overlay_get(overlay, CB_STR("demo"), visitor, CB_FIELD_NAME, &stamp, &out);
    assert_int_equal(rc, value ? 0 : CB_ENOENT);
    if (value) {
        assert_true(cb_str_is((struct cb_str){out.data, out.len}, value));
    }
    cb_buf_fini(&out);
}

static void test_order_and_drop(void **state) {
    (void)state;
    struct cb_overlay *overlay;
    assert_true(sodium_init() >= 0);
    assert_int_equal(cb_overlay_create(10000, &overlay), 0);
    expect(overlay, NULL);
    put(overlay, 3, stamp_of(100, 1, 1), "first");
    put(overlay, 4, stamp_of(200, 2, 1), "second");
    expect(overlay, "second");
    put(overlay, 5, stamp_of(300, 1, 1), "the first number again");
    expect(overlay, "second");
    put(overlay, 6, stamp_of(150, 9, 2), "older, of another producer");
    expect(overlay, "second");
    cb_overlay_drop(overlay, 3);
    expect(overlay, "second");
    cb_overlay_drop(overlay, 4);
    expect(overlay, NULL);
    put(overlay, 4, stamp_of(300, 3, 1), "the fold was faster");
    expect(overlay, NULL);
    put(overlay, 5, stamp_of(300, 3, 1), "next");
    expect(overlay, "next");
    cb_overlay_destroy(&overlay);
    assert_null(overlay);
}

static void test_bound(void **state) {
    (void)state;
    struct cb_overlay *overlay;
    assert_int_equal(cb_overlay_create(1000, &overlay), 0);
    assert_true(cb_overlay_has_room(overlay, cb_overlay_cost(10)));
    for (uint64_t i = 1; cb_overlay_has_room(overlay, cb_overlay_cost(10)); i++) {
        uint8_t other[CB_VISITOR_BYTES] = {0};
        memcpy(other, &i, sizeof(i));
        struct cb_stamp stamp = stamp_of(1, 1, 1);
        assert_int_equal(cb_overlay_put(overlay, i, CB_STR("demo"), other, CB_FIELD_NAME, &stamp,
                                        CB_STR("0123456789")),
                         0);
        assert_true(i < 20);
    }
    assert_false(cb_overlay_has_room(overlay, cb_overlay_cost(10)));
    cb_overlay_drop(overlay, UINT64_MAX);
    assert_true(cb_overlay_has_room(overlay, 1000));
    assert_false(cb_overlay_has_room(overlay, 1001));
    cb_overlay_destroy(&overlay);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order_and_drop),
                                       cmocka_unit_test(test_bound)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
