/* SPDX-License-Identifier: MIT
 * The journal: what was committed is there, what was not is not, damage is found, frames sent again
 * are known. */
#include "tests/store/rig.h"

#include "store/journal_time.h"

static int64_t fake_wall_us, fake_mono_us;

static int64_t wall_us(void) {
    return fake_wall_us;
}

static int64_t mono_us(void) {
    return fake_mono_us;
}

static const struct cb_clock_ops fake_clock = {wall_us, mono_us};

static void append(struct cb_journal *journal, const char *text, uint64_t *position) {
    assert_int_equal(cb_journal_append(journal, cb_str_of(text), position), 0);
}

static void test_order_and_abort(void **state) {
    struct rig *rig = *state;
    uint64_t head = cb_journal_head(rig->journal), position;
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    append(rig->journal, "one", &position);
    assert_int_equal(position, head + 1);
    cb_journal_abort(rig->journal);
    assert_int_equal(cb_journal_head(rig->journal), head);
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    append(rig->journal, "two", &position);
    append(rig->journal, "three", &position);
    assert_int_equal(cb_journal_commit(rig->journal), 0);
    assert_int_equal(cb_journal_head(rig->journal), head + 2);

    struct cb_journal_reader *reader;
    struct cb_journal_record record;
    assert_int_equal(cb_journal_reader_open(rig->journal, head + 1, &reader), 0);
    assert_int_equal(cb_journal_reader_next(reader, &record), 0);
    assert_true(cb_str_is(record.frame, "two"));
    assert_int_equal(cb_journal_reader_next(reader, &record), 0);
    assert_true(cb_str_is(record.frame, "three"));
    assert_int_equal(record.position, head + 2);
    assert_int_equal(cb_journal_reader_next(reader, &record), CB_ENOENT);
    cb_journal_reader_close(&reader);
}

static void test_record_damage(void **state) {
    (void)state;
    uint8_t value[CB_JOURNAL_RECORD_HEAD + 5] = {'c', 'b', 'j', 1};
    struct cb_journal_record record;
    struct cb_str s = {(const char *)value, sizeof(value)};
    /* All zero content has a CRC of its own that is not zero. */
    assert_int_equal(cb_journal_record_decode(s, &record), CB_ECORRUPT);
    value[3] = 2;
    assert_int_equal(cb_journal_record_decode(s, &record), CB_EVERSION);
    value[0] = 'x';
    assert_int_equal(cb_journal_record_decode(s, &record), CB_EMALFORMED);
    assert_int_equal(cb_journal_record_decode((struct cb_str){(const char *)value, 3}, &record),
                     CB_EMALFORMED);
}

static void test_senders(void **state) {
    struct rig *rig = *state;
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    assert_int_equal(cb_journal_admit(rig->journal, 5, 1), 0);
    assert_int_equal(cb_journal_admit(rig->journal, 5, 1), CB_EBUSY); /* twice in one batch */
    assert_int_equal(cb_journal_admit(rig->journal, 5, 3), 0);
    assert_int_equal(cb_journal_commit(rig->journal), 0);
    rig_close(rig);
    rig_open(rig); /* a restart forgets nothing */
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    assert_int_equal(cb_journal_admit(rig->journal, 5, 1), CB_EBUSY);
    assert_int_equal(cb_journal_admit(rig->journal, 5, 3), CB_EBUSY);
    assert_int_equal(cb_journal_admit(rig->journal, 5, 2), 0); /* was on its way */
    assert_int_equal(cb_journal_admit(rig->journal, 6, 2), 0); /* another sender */
    assert_int_equal(cb_journal_admit(rig->journal, 5, 66), 0);
    assert_int_equal(cb_journal_admit(rig->journal, 5, 3), CB_EBUSY); /* 63 behind: still known */
    assert_int_equal(cb_journal_admit(rig->journal, 5, 2),
                     CB_EINVAL); /* 64 behind: cannot be told */
    assert_int_equal(cb_journal_admit(rig->journal, 5, 0), CB_EINVAL);
    assert_int_equal(cb_journal_admit(rig->journal, 5, UINT64_MAX), 0);
    assert_int_equal(cb_journal_admit(rig->journal, 5, UINT64_MAX), CB_EBUSY);
    cb_journal_abort(rig->journal);
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    assert_int_equal(cb_journal_admit(rig->journal, 5, 2), 0); /* the aborted batch left no trace */
    cb_journal_abort(rig->journal);
}

static void test_quota(void **state) {
    struct rig *rig = *state;
    static char frame[400 * 1024];
    uint64_t position;
    int rc = 0;
    uint64_t committed = cb_journal_head(rig->journal);
    for (int i = 0; rc == 0 && i < 1000; i++) {
        assert_int_equal(cb_journal_begin(rig->journal), 0);
        rc = cb_journal_append(rig->journal, (struct cb_str){frame, sizeof(frame)}, &position);
        if (rc == 0) {
            assert_int_equal(cb_journal_commit(rig->journal), 0);
            committed = position;
        }
    }
    assert_int_equal(rc, CB_EFULL); /* our quota, before LMDB's own end */
    cb_journal_abort(rig->journal);
    assert_false(cb_journal_accepting(rig->journal));
    assert_int_equal(cb_journal_head(rig->journal), committed);
    assert_true(committed > 100);
}

/* Two of these do not fit in one of LMDB's pages. The quota must know it between two measurements,
 * for which no time passes here. */
static void test_quota_of_pages(void **state) {
    struct rig *rig = *state;
    static char frame[2100];
    uint64_t position, committed = 0;
    fake_wall_us = INT64_C(1000000000000);
    fake_mono_us = 5000000;
    cb_clock_replace(&fake_clock);
    int rc = 0;
    while (rc == 0) {
        assert_int_equal(cb_journal_begin(rig->journal), 0);
        for (int i = 0; rc == 0 && i < 500; i++) {
            rc = cb_journal_append(rig->journal, (struct cb_str){frame, sizeof(frame)}, &position);
        }
        if (rc == 0) {
            assert_int_equal(cb_journal_commit(rig->journal), 0);
            committed = position;
        }
    }
    cb_clock_replace(NULL);
    cb_journal_abort(rig->journal);
    assert_int_equal(rc, CB_EFULL);
    assert_true(committed * 4096 < RIG_MAP_BYTES / 100 * 90);
    assert_true(committed * 4096 > RIG_MAP_BYTES / 100 * 80);
}

static void test_time(void **state) {
    (void)state;
    struct cb_journal_time time;
    cb_clock_replace(&fake_clock);
    fake_wall_us = INT64_C(1000000000000);
    fake_mono_us = 5000000;
    cb_journal_time_init(&time, 0);
    assert_int_equal(cb_journal_time_now(&time), 1000000000);
    int64_t before = cb_journal_time_now(&time);
    fake_wall_us += INT64_C(86400000000) * 365; /* the wall clock jumps a year ahead */
    fake_mono_us += 10000000;                   /* 10 s pass */
    int64_t now = cb_journal_time_now(&time);
    assert_true(now >= before + 10000 && now <= before + 11000);
    fake_wall_us = 0; /* 1970 */
    fake_mono_us += 10000000;
    int64_t later = cb_journal_time_now(&time);
    assert_true(later > now && later <= now + 10000);
    fake_mono_us = 0; /* would be a reboot within a process: it must not go back */
    assert_true(cb_journal_time_now(&time) >= later);
    cb_journal_time_init(&time, 77777);
    assert_int_equal(cb_journal_time_now(&time),
                     77777); /* a restart goes on where the journal ended */
    fake_wall_us = INT64_C(90000000);
    for (int i = 0; i < 1000; i++) {
        fake_mono_us += 1000000;
        fake_wall_us += 1000000;
        cb_journal_time_now(&time);
    }
    assert_int_equal(cb_journal_time_now(&time),
                     fake_wall_us / 1000); /* drawn to a right clock in the end */
    cb_clock_replace(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_order_and_abort), cmocka_unit_test(test_record_damage),
        RIG_TEST(test_senders),         RIG_TEST(test_quota),
        RIG_TEST(test_quota_of_pages),  cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
