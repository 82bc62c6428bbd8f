/* SPDX-License-Identifier: MIT
 * verify finds what is not sound, rebuild mends what can be derived, and a copy is a whole prefix.
 */
#include "tests/store/rig.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "store/folder.h"
#include "store/rows.h"
#include "store/upkeep.h"

static const int64_t t0 = INT64_C(1767225600000);

static void fill(struct rig *rig) {
    for (uint64_t seq = 1; seq <= 40; seq++) {
        rig_add(rig, seq % 3 ? "demo" : "shop", (uint8_t)(1 + seq % 5), 1,
                t0 + (int64_t)seq * 60000, 1 + seq % 30, "onClick");
        if (seq % 10 == 0) {
            struct cb_reject reject = {
                .site = CB_STR("demo"), .refusal = CB_REFUSE_BAD_TIME, .n = 2};
            assert_int_equal(cb_frame_builder_reject(&rig->builder, &reject), 0);
            rig_fold(rig);
        }
    }
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
}

/* Runs an upkeep command; the text that it printed goes to out. */
static int run(int (*command)(const struct cb_opts *, FILE *, char **), struct rig *rig,
               const char *to, const char *from, char *out, size_t out_bytes) {
    struct cb_opts opts = {
        .data = rig->dir, .to = to ? to : "", .from = from ? from : "", .map = RIG_MAP_BYTES};
    char *sentence = NULL;
    memset(out, 0, out_bytes);
    FILE *file = fmemopen(out, out_bytes - 1, "w");
    int rc = command(&opts, file, &sentence);
    fclose(file);
    assert_int_equal(rc == 0, sentence == NULL); /* an error has its sentence */
    free(sentence);
    return rc;
}

/* Changes a byte of the books' counted, as a bug or a bad disk would. */
static void falsify_books(struct rig *rig) {
    struct cb_key key = cb_key_site(1);
    struct cb_row *row;
    assert_int_equal(cb_views_begin(rig->views), 0);
    assert_int_equal(cb_views_row(rig->views, CB_TABLE_BOOKS, &key, &row), 0);
    row->data[CB_BOOKS_COUNTED + 7] ^= 1;
    cb_row_touch(row);
    assert_int_equal(cb_views_commit(rig->views, cb_journal_head(rig->journal)), 0);
}

static void test_verify(void **state) {
    struct rig *rig = *state;
    char out[4096];
    fill(rig);
    rig_close(rig);
    assert_int_equal(run(cb_verify, rig, NULL, NULL, out, sizeof(out)), 0);
    assert_non_null(
        strstr(out, "demo: received 35, counted 20, duplicate 7, rejected 8: balanced"));
    rig_open(rig);
    falsify_books(rig);
    rig_close(rig);
    assert_int_equal(run(cb_verify, rig, NULL, NULL, out, sizeof(out)), CB_ECORRUPT);
    assert_non_null(strstr(out, "demo: "));
    assert_non_null(strstr(out, "otherwise"));
    assert_int_equal(run(cb_rebuild, rig, NULL, NULL, out, sizeof(out)), 0);
    assert_non_null(strstr(out, "differ: table books"));
    assert_int_equal(run(cb_verify, rig, NULL, NULL, out, sizeof(out)), 0);
    assert_int_equal(run(cb_rebuild, rig, NULL, NULL, out, sizeof(out)), 0);
    assert_non_null(strstr(out, "identical: "));
    rig_open(rig);
    assert_int_equal(rig_books(rig, "demo").counted, 20);
}

/* One bit of one frame on disk. */
static void test_damage(void **state) {
    struct rig *rig = *state;
    char out[4096], path[128];
    fill(rig);
    rig_close(rig);
    snprintf(path, sizeof(path), "%s/journal/data.mdb", rig->dir);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    static uint8_t bytes[1 << 20];
    ssize_t len = read(fd, bytes, sizeof(bytes));
    assert_true(len > 0);
    /* Inside the newest copy of a record: behind its head. */
    uint8_t *record = NULL;
    for (ssize_t i = 0; i + 40 < len; i++) {
        if (memcmp(bytes + i, "cbj\2", 4) == 0) {
            record = bytes + i;
        }
    }
    assert_non_null(record);
    record[20] ^= 0x10;
    assert_int_equal(pwrite(fd, bytes, (size_t)len, 0), len);
    close(fd);
    assert_int_equal(run(cb_verify, rig, NULL, NULL, out, sizeof(out)), CB_ECORRUPT);
    record[20] ^= 0x10;
    fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, bytes, (size_t)len, 0), len);
    close(fd);
    assert_int_equal(run(cb_verify, rig, NULL, NULL, out, sizeof(out)), 0);
    rig_open(rig);
}

static void test_backup_and_restore(void **state) {
    struct rig *rig = *state;
    char out[4096], copy[128], back[128];
    snprintf(copy, sizeof(copy), "%s/copy", rig->dir);
    snprintf(back, sizeof(back), "%s/back", rig->dir);
    fill(rig);
    rig_close(rig);
    assert_int_equal(run(cb_backup, rig, NULL, NULL, out, sizeof(out)), CB_EINVAL);
    assert_int_equal(run(cb_backup, rig, copy, NULL, out, sizeof(out)), 0);
    assert_int_equal(run(cb_backup, rig, copy, NULL, out, sizeof(out)),
                     CB_EBUSY); /* never over what is there */
    struct rig restored = {0};
    snprintf(restored.dir, sizeof(restored.dir), "%.40s/back", rig->dir);
    assert_int_equal(run(cb_restore, &restored, NULL, NULL, out, sizeof(out)), CB_EINVAL);
    assert_int_equal(run(cb_restore, &restored, NULL, copy, out, sizeof(out)), 0);
    assert_int_equal(run(cb_restore, &restored, NULL, copy, out, sizeof(out)), CB_EBUSY);
    rig_open(&restored);
    assert_int_equal(rig_books(&restored, "demo").counted, 20);
    rig_close(&restored);
    char path[256];
    snprintf(path, sizeof(path), "%s/format", copy);
    assert_int_equal(unlink(path), 0); /* a backup that was cut short */
    assert_int_equal(nftw(back, rig_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
    assert_int_equal(run(cb_restore, &restored, NULL, copy, out, sizeof(out)), CB_ECORRUPT);
    rig_open(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {RIG_TEST(test_verify), RIG_TEST(test_damage),
                                       RIG_TEST(test_backup_and_restore)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
