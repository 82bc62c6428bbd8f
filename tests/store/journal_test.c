/* SPDX-License-Identifier: MIT
 * The journal: what was committed is there, what was not is not, damage is found, frames sent again
 * are known. */
#include "tests/store/rig.h"

#include "store/db.h"
#include "store/journal_time.h"
#include "store/record.h"

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

/* What a frame at a position is, in the tests below: some that others repeat, some that do not
 * pack, two too large for a group. */
static struct cb_str frame_at(uint64_t position) {
    static char bytes[400 * 1024];
    uint64_t random = position * UINT64_C(0x9e3779b97f4a7c15);
    size_t len = position % 700 == 350 ? sizeof(bytes) : 40 + random % 500;
    memset(bytes, 'a' + (int)(position % 3), len);
    memcpy(bytes, &position, sizeof(position));
    for (size_t i = 8; position % 5 == 0 && i + 8 <= len && i < 200; i += 8) {
        random = random * 6364136223846793005u + 1;
        memcpy(bytes + i, &random, sizeof(random));
    }
    return (struct cb_str){bytes, len};
}

static void fill(struct rig *rig, uint64_t n) {
    for (uint64_t i = 0, position; i < n; i += 3) {
        assert_int_equal(cb_journal_begin(rig->journal), 0);
        if (i % 97 == 5) { /* taken back: the next one is read without it */
            append(rig->journal, "never was", &position);
            append(rig->journal, "nor that", &position);
            cb_journal_abort(rig->journal);
            assert_int_equal(cb_journal_begin(rig->journal), 0);
        }
        for (unsigned k = 0; k < 3; k++) {
            struct cb_str frame = frame_at(cb_journal_head(rig->journal) + 1 + k);
            assert_int_equal(cb_journal_append(rig->journal, frame, &position), 0);
        }
        assert_int_equal(cb_journal_commit(rig->journal), 0);
    }
}

static void assert_record(const struct cb_journal_record *record, uint64_t position) {
    struct cb_str frame = frame_at(position);
    assert_int_equal(record->position, position);
    assert_int_equal(record->frame.len, frame.len);
    assert_memory_equal(record->frame.p, frame.p, frame.len);
}

static int shout(void *user, uint64_t position, char *frame, size_t len, bool *changed) {
    const uint64_t *wanted = user;
    if (position == *wanted) {
        frame[len - 1] = '!';
        *changed = true;
    }
    return 0;
}

/* In order, from anywhere, backwards; by several readers at once, who leave what they unpacked to
 * the next; and after something was edited, what was left is not believed. */
static void test_read_anywhere(void **state) {
    struct rig *rig = *state;
    struct cb_journal_reader *reader, *other;
    struct cb_journal_record record;
    uint64_t head;
    const uint64_t begin = cb_journal_head(rig->journal) + 1;
    assert_true(begin < 4);
    fill(rig, 2500);
    head = cb_journal_head(rig->journal);
    assert_true(head > 2000);
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_int_equal(cb_journal_reader_open(rig->journal, begin, &reader), 0);
        for (uint64_t position = begin; position <= head; position++) {
            assert_int_equal(cb_journal_reader_next(reader, &record), 0);
            assert_record(&record, position);
        }
        assert_int_equal(cb_journal_reader_next(reader, &record), CB_ENOENT);
        for (uint64_t position = head; position >= begin;
             position -= position > 13 ? 13 : position) {
            assert_int_equal(cb_journal_reader_get(reader, position, &record), 0);
            assert_record(&record, position);
        }
        assert_int_equal(cb_journal_reader_get(reader, head + 1, &record), CB_ENOENT);
        cb_journal_reader_close(&reader);
        for (uint64_t position = begin; position + 50 <= head; position += 211) {
            assert_int_equal(cb_journal_reader_open(rig->journal, position, &reader), 0);
            assert_int_equal(cb_journal_reader_open(rig->journal, position + 3, &other), 0);
            for (unsigned i = 0; i < 20; i++) {
                assert_int_equal(cb_journal_reader_next(reader, &record), 0);
                assert_record(&record, position + i);
                assert_int_equal(cb_journal_reader_next(other, &record), 0);
                assert_record(&record, position + 3 + i);
                assert_int_equal(cb_journal_reader_get(reader, position + 40, &record), 0);
                assert_record(&record, position + 40);
            }
            cb_journal_reader_close(&reader);
            cb_journal_reader_close(&other);
        }
        if (pass == 0) { /* with nothing unpacked */
            cb_journal_close(&rig->journal);
            assert_int_equal(cb_journal_open(rig->dir, RIG_MAP_BYTES, &rig->journal), 0);
        }
    }
    /* A reader that began before an edit reads what was, and leaves nothing of it. */
    uint64_t edited = 4, behind;
    assert_int_equal(cb_journal_reader_open(rig->journal, 1, &reader), 0);
    for (uint64_t position = 1; position <= 5; position++) {
        assert_int_equal(cb_journal_reader_next(reader, &record), 0);
    }
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    assert_int_equal(cb_journal_edit(rig->journal, 9, shout, &edited, &behind), 0);
    assert_true(behind > 9);
    assert_int_equal(cb_journal_edit(rig->journal, head + 1, shout, &edited, &behind), CB_ENOENT);
    assert_int_equal(cb_journal_commit(rig->journal), 0);
    assert_int_equal(cb_journal_reader_next(reader, &record), 0);
    assert_record(&record, 6);
    cb_journal_reader_close(&reader);
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_int_equal(cb_journal_reader_open(rig->journal, 7, &reader), 0);
        for (uint64_t position = 7; position <= head; position++) {
            assert_int_equal(cb_journal_reader_next(reader, &record), 0);
            assert_record(&record, position);
        }
        assert_int_equal(cb_journal_reader_get(reader, 4, &record), 0);
        assert_int_equal(record.frame.p[record.frame.len - 1], '!');
        assert_int_equal(record.frame.len, frame_at(4).len);
        cb_journal_reader_close(&reader);
        fill(rig, 3); /* behind an edit, and of the same group as far as it may be */
        head = cb_journal_head(rig->journal);
        edited = head - 1;
        assert_int_equal(cb_journal_begin(rig->journal), 0);
        assert_int_equal(cb_journal_edit(rig->journal, head, shout, &edited, &behind), 0);
        assert_int_equal(behind, head + 1);
        assert_int_equal(cb_journal_commit(rig->journal), 0);
        fill(rig, 9);
        assert_int_equal(cb_journal_reader_open(rig->journal, head - 2, &reader), 0);
        for (uint64_t position = head - 2; position <= cb_journal_head(rig->journal); position++) {
            assert_int_equal(cb_journal_reader_next(reader, &record), 0);
            if (position != edited) {
                assert_record(&record, position);
            }
        }
        cb_journal_reader_close(&reader);
        head -= 3; /* whole up to there */
    }
}

/* Records as version 1 wrote them, behind what is there. */
static void put_version_1(struct rig *rig, unsigned n) {
    struct cb_db_txn *txn;
    unsigned table;
    assert_int_equal(cb_db_begin(cb_journal_db(rig->journal), true, &txn), 0);
    assert_int_equal(cb_db_table(txn, "records", false, &table), 0);
    for (uint64_t position = cb_journal_head(rig->journal) + 1; n > 0; n--, position++) {
        struct cb_key key = cb_key_position(position);
        struct cb_str frame = frame_at(position);
        char value[1024] = "cbj\1";
        assert_true(CB_JOURNAL_RECORD_HEAD + frame.len <= sizeof(value));
        cb_be64_put((uint8_t *)value + 8, (uint64_t)cb_clock_wall_ms());
        memcpy(value + CB_JOURNAL_RECORD_HEAD, frame.p, frame.len);
        cb_record_seal(value, CB_JOURNAL_RECORD_HEAD + frame.len);
        assert_int_equal(cb_db_put(txn, table, cb_key_str(&key),
                                   (struct cb_str){value, CB_JOURNAL_RECORD_HEAD + frame.len}),
                         0);
    }
    assert_int_equal(cb_db_commit(&txn), 0);
    cb_journal_close(&rig->journal);
    assert_int_equal(cb_journal_open(rig->dir, RIG_MAP_BYTES, &rig->journal), 0);
}

/* A journal that an older version began is read, edited and trimmed as any other. */
static void test_version_1(void **state) {
    struct rig *rig = *state;
    struct cb_journal_reader *reader;
    struct cb_journal_record record;
    const uint64_t begin = cb_journal_head(rig->journal) + 1;
    uint64_t position, start, behind, edited = begin + 2, gone = begin + 4;
    bool left;
    put_version_1(rig, 6);
    fill(rig, 30);
    uint64_t head = cb_journal_head(rig->journal);
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_int_equal(cb_journal_reader_open(rig->journal, begin, &reader), 0);
        for (position = begin; position <= head; position++) {
            assert_int_equal(cb_journal_reader_next(reader, &record), 0);
            if (pass == 0 || position != edited) {
                assert_record(&record, position);
            } else {
                assert_int_equal(record.frame.p[record.frame.len - 1], '!');
            }
        }
        assert_int_equal(cb_journal_reader_get(reader, begin + 1, &record), 0);
        assert_record(&record, begin + 1);
        cb_journal_reader_close(&reader);
        assert_int_equal(cb_journal_begin(rig->journal), 0);
        assert_int_equal(cb_journal_edit(rig->journal, edited, shout, &edited, &behind), 0);
        assert_int_equal(behind, edited + 1);
        assert_int_equal(cb_journal_commit(rig->journal), 0);
    }
    assert_int_equal(cb_journal_group_start(rig->journal, begin + 5, &start), 0);
    assert_int_equal(start, begin + 5);
    assert_int_equal(cb_journal_group_start(rig->journal, begin + 8, &start), 0);
    assert_int_equal(start, begin + 6);
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    assert_int_equal(cb_journal_trim(rig->journal, &gone, 1 << 20, &left), 0);
    assert_int_equal(gone, begin + 4);
    assert_int_equal(cb_journal_commit(rig->journal), 0);
    assert_int_equal(cb_journal_first(rig->journal), begin + 4);
}

static void test_quota(void **state) {
    struct rig *rig = *state;
    static char frame[400 * 1024];
    uint64_t position;
    int rc = 0;
    randombytes_buf(frame, sizeof(frame)); /* it does not pack */
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
            randombytes_buf(frame, sizeof(frame));
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
        RIG_TEST(test_order_and_abort), RIG_TEST(test_read_anywhere), RIG_TEST(test_version_1),
        RIG_TEST(test_senders),         RIG_TEST(test_quota),         RIG_TEST(test_quota_of_pages),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
