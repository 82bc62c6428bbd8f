/* SPDX-License-Identifier: MIT
 * What the tests of dimensions share: days that pass, until the sweep settles what they left; views
 * made anew, which must have the same rows. */
#ifndef CB_TESTS_STORE_DIM_RIG_H
#define CB_TESTS_STORE_DIM_RIG_H

#include "tests/store/rig.h"

#include "store/rows.h"

/* More than those that have a bit in a row. */
static const char *const names[] = {
    "page", "onClick", "onTrigger", "cart", "onWebChatLoaded", "a", "b", "c", "d", "e", "f"};
enum { EVENT_NAMES = sizeof(names) / sizeof(*names) };

/* ---- days pass ---- */

static const int64_t t0 = INT64_C(1767225600000); /* 2026-01-01T00:00:00Z */
static const int64_t day_ms = INT64_C(86400000);

/* The journal's time goes on, to a record about nothing of interest. */
static inline void pass_days(struct rig *rig, unsigned days) {
    rig_us += days * day_ms * 1000;
    rig_site(rig, "other");
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
}

static inline bool count_row(void *user, struct cb_str key, struct cb_str value) {
    (void)key, (void)value;
    ++*(size_t *)user;
    return true;
}

static inline size_t rows_of(struct rig *rig, enum cb_table table) {
    const struct cb_key all = {.len = 0};
    struct cb_snapshot *snapshot;
    size_t n = 0;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(cb_snapshot_scan(snapshot, table, &all, count_row, &n), 0);
    cb_snapshot_end(&snapshot);
    return n;
}

/* Days pass until the events of all so far stand in their rows. */
static inline void settle(struct rig *rig, unsigned days) {
    assert_true(rows_of(rig, CB_TABLE_DIMENSION_TAILS) > 0);
    pass_days(rig, days);
    assert_int_equal(rows_of(rig, CB_TABLE_DIMENSION_TAILS), 0);
}

static inline bool digest_row(void *user, struct cb_str key, struct cb_str value) {
    uint64_t *digest = user;
    for (size_t i = 0; i < key.len + value.len; i++) {
        char c = i < key.len ? key.p[i] : value.p[i - key.len];
        *digest = (*digest ^ (unsigned char)c) * UINT64_C(1099511628211);
    }
    *digest = (*digest ^ key.len) * UINT64_C(1099511628211);
    return true;
}

/* Of all rows of dimensions. */
static inline uint64_t digest(struct rig *rig) {
    static const enum cb_table tables[] = {CB_TABLE_VALUES, CB_TABLE_VALUE_TEXTS,
                                           CB_TABLE_DIMENSIONS, CB_TABLE_DIMENSION_SETS,
                                           CB_TABLE_DIMENSION_TAILS};
    const struct cb_key all = {.len = 0};
    struct cb_snapshot *snapshot;
    uint64_t sum = 1;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(cb_snapshot_scan(snapshot, tables[i], &all, digest_row, &sum), 0);
    }
    cb_snapshot_end(&snapshot);
    return sum;
}

/* Out of the journal alone, in one batch, the same rows as in many. */
static inline void make_anew(struct rig *rig) {
    char path[128];
    uint64_t before = digest(rig);
    rig_close(rig);
    snprintf(path, sizeof(path), "%s/views", rig->dir);
    assert_int_equal(nftw(path, rig_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
    rig_open(rig);
    assert_true(digest(rig) == before);
}

static inline void set_zone(struct rig *rig, const char *site, const char *zone,
                            uint32_t rollup_days) {
    struct cb_control control = {.op = CB_CONTROL_SETTINGS,
                                 .made_ms = 1000,
                                 .site = cb_str_of(site),
                                 .settings = cb_settings_default()};
    control.settings.zone = cb_str_of(zone);
    control.settings.rollup_days = rollup_days;
    rig_control(rig, &control);
}

#endif
