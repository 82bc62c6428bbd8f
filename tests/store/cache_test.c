/* SPDX-License-Identifier: MIT
 * The rows of a batch against a plain list: what was added is found, nothing else, and what was
 * changed comes in order of tables and keys. */
#include "tests/store/rig.h"

#include <sodium.h>

#include "store/cache.h"

enum { TABLES = 3, ROWS = 30000 };

static uint64_t next(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Keys of 0 to 20 bytes, many of which begin and end alike. */
static struct cb_key key_of(uint64_t n) {
    struct cb_key key;
    cb_key_init(&key);
    if (n == 0) {
        return key;
    }
    cb_key_u32(&key, (uint32_t)(n % 7));
    if (n % 3 != 0) {
        cb_key_u64(&key, n);
        cb_key_u64(&key, n % 5);
    } else {
        cb_key_u64(&key, n / 3);
    }
    return key;
}

struct seen {
    unsigned table;
    struct cb_key key;
    size_t n;
    int fail_at;
};

static int in_order(void *user, const struct cb_row *row) {
    struct seen *seen = user;
    size_t len = row->key_len < seen->key.len ? row->key_len : seen->key.len;
    int order = memcmp(row->key, seen->key.bytes, len);
    if (seen->n > 0) {
        assert_true(row->table > seen->table ||
                    (row->table == seen->table &&
                     (order > 0 || (order == 0 && row->key_len > seen->key.len))));
    }
    assert_true(row->dirty);
    seen->table = row->table;
    seen->key.len = row->key_len;
    memcpy(seen->key.bytes, row->key, row->key_len);
    return (int)++seen->n == seen->fail_at ? CB_EFULL : 0;
}

static void test_found_and_in_order(void **state) {
    (void)state;
    struct cb_cache *cache;
    uint64_t random = 7, hash;
    assert_int_equal(cb_cache_create(TABLES, &cache), 0);
    for (int turn = 0; turn < 3; turn++) {
        size_t dirty = 0;
        for (uint64_t n = 0; n < ROWS; n++) {
            struct cb_key key = key_of(n);
            unsigned table = (unsigned)(n % TABLES);
            struct cb_row *row;
            assert_null(cb_cache_find(cache, table, &key, &hash));
            assert_int_equal(cb_cache_add(cache, table, &key, hash, CB_STR("value"), n % 2, &row),
                             0);
            assert_true(row->len == 5 && !row->dirty && row->stored == n % 2);
            if (next(&random) % 4 == 0) {
                size_t len = next(&random) % 100;
                assert_int_equal(cb_cache_resize(cache, row, len), 0);
                assert_true(row->len == len && row->dirty);
                assert_memory_equal(row->data, "value", len < 5 ? len : 5);
                for (size_t i = 5; i < len; i++) {
                    assert_int_equal(row->data[i], 0);
                }
                dirty++;
            }
        }
        for (int i = 0; i < 4 * ROWS; i++) {
            uint64_t n = next(&random) % (ROWS + 100);
            struct cb_key key = key_of(n);
            unsigned table = (unsigned)(n % TABLES);
            struct cb_row *row = cb_cache_find(cache, table, &key, &hash);
            assert_int_equal(row != NULL, n < ROWS);
            assert_true(!row || (row->table == table && row->key_len == key.len &&
                                 memcmp(row->key, key.bytes, key.len) == 0));
            assert_null(cb_cache_find(cache, TABLES, &key, &hash));
        }
        struct seen seen = {.fail_at = -1};
        assert_int_equal(cb_cache_changed(cache, in_order, &seen), 0);
        assert_int_equal(seen.n, dirty);
        seen = (struct seen){.fail_at = 10};
        assert_int_equal(cb_cache_changed(cache, in_order, &seen), CB_EFULL);
        assert_int_equal(seen.n, 10);
        assert_true(cb_cache_bytes(cache) > ROWS * sizeof(struct cb_row));
        cb_cache_clear(cache);
        assert_int_equal(cb_cache_bytes(cache), 0);
    }
    cb_cache_destroy(&cache);
}

/* Rows whose keys share their first and last bytes share a place of the small table: each is found
 * all the same. */
static void test_keys_made_alike(void **state) {
    (void)state;
    struct cb_cache *cache;
    struct cb_row *rows[1000];
    uint64_t hash;
    assert_int_equal(cb_cache_create(1, &cache), 0);
    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < 1000; i++) {
            struct cb_key key;
            cb_key_init(&key);
            cb_key_u64(&key, 1);
            cb_key_u32(&key, i);
            cb_key_u64(&key, 2);
            if (turn == 0) {
                assert_null(cb_cache_find(cache, 0, &key, &hash));
                assert_int_equal(
                    cb_cache_add(cache, 0, &key, hash, (struct cb_str){NULL, 0}, false, &rows[i]),
                    0);
            }
            assert_ptr_equal(cb_cache_find(cache, 0, &key, &hash), rows[i]);
        }
    }
    cb_cache_destroy(&cache);
}

int main(void) {
    if (sodium_init() < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_and_in_order),
        cmocka_unit_test(test_keys_made_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
