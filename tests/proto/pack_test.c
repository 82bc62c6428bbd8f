/* SPDX-License-Identifier: MIT */
#include "proto/pack.h"

#include <math.h>
#include <msgpack.h>

#include "proto/event.h"
#include "tests/proto/guard.h"

#define READER(r, literal)                                                                         \
    struct cb_pack_reader r;                                                                       \
    cb_pack_reader_init(&r, literal, sizeof(literal) - 1)

/* ---- against msgpack-c ---- */

enum { VALUES = 20000, NESTED_MAX = 5, VALUE_BYTES_MAX = 1 << 20 };

static void pack_random_int(msgpack_packer *pk, uint64_t *seed) {
    uint64_t v = guard_random(seed) >> (guard_random(seed) % 64);
    switch (guard_random(seed) % 10) {
    case 0:
        msgpack_pack_fix_uint8(pk, (uint8_t)v);
        break;
    case 1:
        msgpack_pack_fix_uint16(pk, (uint16_t)v);
        break;
    case 2:
        msgpack_pack_fix_uint32(pk, (uint32_t)v);
        break;
    case 3:
        msgpack_pack_fix_uint64(pk, v);
        break;
    case 4:
        msgpack_pack_fix_int8(pk, (int8_t)v);
        break;
    case 5:
        msgpack_pack_fix_int16(pk, (int16_t)v);
        break;
    case 6:
        msgpack_pack_fix_int32(pk, (int32_t)v);
        break;
    case 7:
        msgpack_pack_fix_int64(pk, (int64_t)v);
        break;
    case 8:
        msgpack_pack_uint64(pk, v);
        break;
    default:
        msgpack_pack_int64(pk, (int64_t)v);
    }
}

static void pack_random_text(msgpack_packer *pk, uint64_t *seed, bool bin) {
    static const char *const parts[] = {"a", "Z", " ", "\"", "é", "č", "€", "日", "😀", "abcdefgh"};
    char text[70000];
    size_t len = 0;
    size_t want = guard_random(seed) % (guard_random(seed) % 50 == 0 ? sizeof(text) - 8 : 60);
    while (len < want) {
        const char *part = parts[guard_random(seed) % 10];
        memcpy(text + len, part, strlen(part));
        len += strlen(part);
    }
    if (bin) {
        msgpack_pack_bin_with_body(pk, text, len);
    } else {
        msgpack_pack_str_with_body(pk, text, len);
    }
}

static void pack_random(msgpack_packer *pk, uint64_t *seed, unsigned depth) {
    switch (guard_random(seed) % (depth < NESTED_MAX ? 10 : 8)) {
    case 0:
        msgpack_pack_nil(pk);
        break;
    case 1:
        (void)(guard_random(seed) % 2 ? msgpack_pack_true(pk) : msgpack_pack_false(pk));
        break;
    case 2:
        msgpack_pack_double(pk, (double)(int64_t)guard_random(seed) / 1024.0);
        break;
    case 3:
        msgpack_pack_float(pk, (float)(int32_t)guard_random(seed) / 8.0f);
        break;
    case 4:
        pack_random_text(pk, seed, true);
        break;
    case 5:
        pack_random_text(pk, seed, false);
        break;
    case 6:
    case 7:
        pack_random_int(pk, seed);
        break;
    default: {
        bool map = guard_random(seed) % 2;
        size_t n = guard_random(seed) % 20;
        (void)(map ? msgpack_pack_map(pk, n) : msgpack_pack_array(pk, n));
        for (size_t i = 0; i < (map ? 2 * n : n); i++) {
            pack_random(pk, seed, depth + 3);
        }
    }
    }
}

/* Reads one value and compares it, and all in it, with what msgpack-c read. */
static void compare(struct cb_pack_reader *r, const msgpack_object *o) {
    struct cb_pack_token t;
    enum cb_pack_type type;
    assert_true(cb_pack_peek(r, &type));
    assert_true(cb_pack_next(r, &t));
    assert_int_equal(type, t.type);
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        assert_int_equal(t.type, CB_PACK_NIL);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        assert_int_equal(t.type, CB_PACK_BOOL);
        assert_int_equal(t.boolean, o->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        assert_int_equal(t.type, CB_PACK_UINT);
        assert_true(t.u == o->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        assert_int_equal(t.type, CB_PACK_INT);
        assert_true(t.i == o->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        assert_int_equal(t.type, CB_PACK_FLOAT);
        assert_memory_equal(&t.f, &o->via.f64, sizeof t.f);
        break;
    case MSGPACK_OBJECT_STR:
    case MSGPACK_OBJECT_BIN:
        assert_int_equal(t.type, o->type == MSGPACK_OBJECT_STR ? CB_PACK_STR : CB_PACK_BIN);
        assert_int_equal(t.s.len, o->via.str.size);
        assert_memory_equal(t.s.p, o->via.str.ptr, t.s.len);
        break;
    case MSGPACK_OBJECT_ARRAY:
        assert_int_equal(t.type, CB_PACK_ARRAY);
        assert_int_equal(t.n, o->via.array.size);
        for (uint32_t i = 0; i < t.n; i++) {
            compare(r, &o->via.array.ptr[i]);
        }
        break;
    case MSGPACK_OBJECT_MAP:
        assert_int_equal(t.type, CB_PACK_MAP);
        assert_int_equal(t.n, o->via.map.size);
        for (uint32_t i = 0; i < t.n; i++) {
            compare(r, &o->via.map.ptr[i].key);
            compare(r, &o->via.map.ptr[i].val);
        }
        break;
    default:
        fail();
    }
}

static void reads_what_msgpack_c_reads(void **state) {
    (void)state;
    uint64_t seed = 20240229;
    struct cb_buf buf;
    struct guard g;
    cb_buf_init(&buf, VALUE_BYTES_MAX);
    guard_init(&g, VALUE_BYTES_MAX);
    for (int i = 0; i < VALUES; i++) {
        msgpack_packer pk;
        cb_buf_clear(&buf);
        msgpack_packer_init(&pk, &buf, cb_pack_write);
        pack_random(&pk, &seed, 0);
        uint8_t *data = guard_put(&g, buf.data, buf.len);
        msgpack_unpacked other;
        msgpack_unpacked_init(&other);
        assert_int_equal(msgpack_unpack_next(&other, (char *)data, buf.len, NULL),
                         MSGPACK_UNPACK_SUCCESS);
        struct cb_pack_reader r;
        cb_pack_reader_init(&r, data, buf.len);
        compare(&r, &other.data);
        assert_true(cb_pack_done(&r));
        msgpack_unpacked_destroy(&other);

        cb_pack_reader_init(&r, data, buf.len);
        struct cb_str whole = cb_pack_skip(&r, CB_PACK_DEPTH_MAX);
        assert_ptr_equal(whole.p, data);
        assert_int_equal(whole.len, buf.len);

        /* One byte spoiled: what we still take, msgpack-c takes too, to the same byte. */
        data[guard_random(&seed) % buf.len] ^= (uint8_t)(1 + guard_random(&seed) % 255);
        cb_pack_reader_init(&r, data, buf.len);
        whole = cb_pack_skip(&r, CB_PACK_DEPTH_MAX);
        if (r.ok) {
            size_t off = 0;
            msgpack_unpacked_init(&other);
            assert_int_not_equal(msgpack_unpack_next(&other, (char *)data, buf.len, &off),
                                 MSGPACK_UNPACK_PARSE_ERROR);
            assert_int_equal(off, whole.len);
            cb_pack_reader_init(&r, data, buf.len);
            compare(&r, &other.data);
            msgpack_unpacked_destroy(&other);
        }
    }
    guard_fini(&g);
    cb_buf_fini(&buf);
}

/* ---- hostile bytes ---- */

static bool skips(const void *data, size_t len) {
    struct cb_pack_reader r;
    cb_pack_reader_init(&r, data, len);
    struct cb_str whole = cb_pack_skip(&r, CB_PACK_DEPTH_MAX);
    assert_true(r.ok || whole.len == 0);
    assert_true(r.p <= r.end);
    return cb_pack_done(&r);
}

static void one_value_of_each_format_spoiled(void **state) {
    (void)state;
    static const char sample[] =
        "\xdc\x00\x18\x05\xff\xc0\xc2\xc3\xcc\x80\xcd\x01\x00\xce\x00\x01\x00\x00"
        "\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00"
        "\xd3\x80\x00\x00\x00\x00\x00\x00\x00\xca\x3f\x80\x00\x00"
        "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\xa2hi\xd9\x02hi\xda\x00\x02hi"
        "\xdb\x00\x00\x00\x02\xc3\xa9\xc4\x01x\xc5\x00\x01x\xc6\x00\x00\x00\x01x\x91\x01"
        "\x81\x01\x02";
    guard_spoil(sample, sizeof sample - 1, skips);
}

static void extensions_and_the_unused_byte_are_refused(void **state) {
    (void)state;
    static const uint8_t heads[] = {0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8};
    for (size_t i = 0; i < sizeof heads; i++) {
        uint8_t bytes[40] = {heads[i]};
        enum cb_pack_type type;
        struct cb_pack_reader r;
        cb_pack_reader_init(&r, bytes, sizeof bytes);
        assert_false(cb_pack_peek(&r, &type));
        assert_false(skips(bytes, sizeof bytes));
    }
}

static void claims_past_the_bytes_are_refused(void **state) {
    (void)state;
    static const struct cb_str bombs[] = {
        {"\xdd\xff\xff\xff\xff", 5},
        {"\xdf\xff\xff\xff\xff", 5},
        {"\xdb\xff\xff\xff\xff", 5},
        {"\xc6\xff\xff\xff\xff", 5},
        {"\xdf\x80\x00\x00\x00\x01\x01", 7},
        {"\x92\x01", 2},
        {"\x81\x01", 2},
        {"\xdc\xff\xff", 3},
        {"\xde\xff\xff", 3},
    };
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        struct cb_pack_token t;
        struct cb_pack_reader r;
        cb_pack_reader_init(&r, bombs[i].p, bombs[i].len);
        assert_false(cb_pack_next(&r, &t));
        assert_false(r.ok);
    }
}

static void nesting_is_bounded(void **state) {
    (void)state;
    static uint8_t deep[100000];
    memset(deep, 0x91, sizeof deep);
    deep[sizeof deep - 1] = 1;
    assert_false(skips(deep, sizeof deep));
    assert_true(skips(deep + sizeof deep - 1 - CB_PACK_DEPTH_MAX, 1 + CB_PACK_DEPTH_MAX));
    assert_false(skips(deep + sizeof deep - 2 - CB_PACK_DEPTH_MAX, 2 + CB_PACK_DEPTH_MAX));
    READER(scalars, "\x05\x90");
    assert_int_equal(cb_pack_skip(&scalars, 0).len, 1);
    assert_int_equal(cb_pack_skip(&scalars, 0).len, 0);
    assert_false(scalars.ok);
}

static void text_that_is_not_utf8_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\xa1\xff",
        "\xa2\xc3(",
        "\xa2\xc0\x80",
        "\xa3\xed\xa0\x80",
        "\xa4\xf5\x80\x80\x80",
        "\xa9"
        "aaaaaaaa\xc3",
        "\xaa"
        "aaaaaaaaa\x80",
        "\xd9\x01\x80",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(skips(bad[i], strlen(bad[i])));
    }
    assert_true(skips("\xaa"
                      "aaaaaaaa\xc3\xa9",
                      11));
    assert_true(skips("\xc4\x01\xff", 3)); /* bin may be anything */
    for (size_t len = 1; len < 32; len++) {
        for (size_t at = 0; at < len; at++) {
            uint8_t text[32] = {(uint8_t)(0xa0 | len)};
            memset(text + 1, 'a', len);
            assert_true(skips(text, 1 + len));
            text[1 + at] = 0x80;
            assert_false(skips(text, 1 + len));
        }
    }
}

/* ---- typed reads ---- */

static void typed_reads_keep_their_bounds(void **state) {
    (void)state;
    READER(r, "\x93\x07\xa3"
              "abc\xc4\x01x\x81\x01\xc3\xd0\xfe\xc0\xcf\x80\x00\x00\x00\x00\x00\x00\x00");
    assert_int_equal(cb_pack_array(&r, 3), 3);
    assert_int_equal(cb_pack_uint(&r, 7), 7);
    struct cb_pack_reader over = r;
    assert_int_equal(cb_pack_str(&r, 3).len, 3);
    assert_int_equal(cb_pack_bin(&r, 1).len, 1);
    assert_int_equal(cb_pack_map(&r, 1), 1);
    assert_int_equal(cb_pack_uint(&r, 1), 1);
    assert_true(cb_pack_bool(&r));
    struct cb_pack_token negative;
    assert_true(cb_pack_next(&r, &negative));
    assert_int_equal(negative.type, CB_PACK_INT);
    assert_int_equal(negative.i, -2);
    assert_false(cb_pack_done(&r));
    assert_true(cb_pack_nil(&r));
    assert_false(cb_pack_nil(&r));
    assert_true(r.ok);
    struct cb_pack_reader big = r;
    assert_int_equal(cb_pack_uint(&r, INT64_MAX), 0); /* 2^63 is over it */
    assert_false(r.ok);
    assert_true(cb_pack_uint(&big, UINT64_MAX) == UINT64_C(1) << 63);
    assert_true(cb_pack_done(&big));

    assert_null(cb_pack_str(&over, 2).p);
    assert_false(over.ok);
    assert_int_equal(cb_pack_str(&over, 99).len, 0); /* bad stays bad */
    assert_false(cb_pack_done(&over));
    READER(seven, "\x07");
    assert_int_equal(cb_pack_uint(&seven, 6), 0);
    assert_false(seven.ok);
    READER(minus, "\xff");
    assert_int_equal(cb_pack_uint(&minus, UINT64_MAX), 0);
    assert_false(minus.ok);
    READER(three, "\x93\x01\x01\x01");
    assert_int_equal(cb_pack_array(&three, 2), 0);
    assert_false(three.ok);
    READER(pair, "\x81\x01\x01");
    assert_int_equal(cb_pack_map(&pair, 0), 0);
    assert_false(pair.ok);
}

static void the_end_makes_a_reader_bad(void **state) {
    (void)state;
    struct cb_pack_reader r;
    struct cb_pack_token t;
    enum cb_pack_type type;
    cb_pack_reader_init(&r, NULL, 0);
    assert_true(cb_pack_done(&r));
    assert_false(cb_pack_peek(&r, &type));
    assert_false(cb_pack_nil(&r));
    assert_true(r.ok);
    assert_false(cb_pack_next(&r, &t));
    assert_false(r.ok);
}

static void writing_stops_at_the_buffers_bound(void **state) {
    (void)state;
    struct cb_buf buf;
    cb_buf_init(&buf, 4);
    msgpack_packer pk;
    msgpack_packer_init(&pk, &buf, cb_pack_write);
    assert_int_equal(msgpack_pack_uint64(&pk, 1), 0);
    assert_int_equal(msgpack_pack_str_with_body(&pk, NULL, 0), 0);
    assert_int_equal(msgpack_pack_uint64(&pk, UINT64_MAX), -1);
    assert_int_equal(buf.len, 2);
    cb_buf_fini(&buf);
}

/* ---- props ---- */

static bool props_valid(const void *data, size_t len) {
    struct cb_str props = {data, len};
    struct cb_buf json;
    if (!cb_props_valid(props)) {
        return false;
    }
    cb_buf_init(&json, 1 << 20);
    assert_int_equal(cb_props_json(&json, props), 0);
    assert_true(json.len >= 2 && json.data[0] == '{' && json.data[json.len - 1] == '}');
    assert_true(cb_utf8_valid((struct cb_str){json.data, json.len}));
    cb_buf_fini(&json);
    return len > 0; /* guard_spoil cuts down to nothing, which is no props and valid */
}

#define PROPS_SAMPLE                                                                               \
    "\x88\xa1n\xc0\xa1t\xc3\xa1"                                                                   \
    "f\xc2\xa1i\x2a\xa1m\xd0\xd6\xa1r\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a"                         \
    "\xa1s\xa4\xc3\xa9\"\n\xa3"                                                                    \
    "a.b\xca\x3f\xc0\x00\x00"

static void props_become_json(void **state) {
    (void)state;
    struct cb_buf json;
    cb_buf_init(&json, 4096);
    assert_int_equal(cb_props_json(&json, CB_STR(PROPS_SAMPLE)), 0);
    assert_true(cb_str_is((struct cb_str){json.data, json.len},
                          "{\"n\":null,\"t\":true,\"f\":false,\"i\":42,\"m\":-42,\"r\":0.1,"
                          "\"s\":\"é\\\"\\n\",\"a.b\":1.5}"));
    cb_buf_clear(&json);
    assert_int_equal(cb_props_json(&json, (struct cb_str){NULL, 0}), 0);
    assert_true(cb_str_is((struct cb_str){json.data, json.len}, "{}"));
    cb_buf_fini(&json);

    cb_buf_init(&json, 20);
    assert_int_equal(cb_buf_append(&json, "x", 1), 0);
    assert_int_equal(cb_props_json(&json, CB_STR(PROPS_SAMPLE)), CB_ETOOBIG);
    assert_int_equal(json.len, 1);
    cb_buf_fini(&json);
}

static void props_keep_their_rules(void **state) {
    (void)state;
    guard_spoil(PROPS_SAMPLE, sizeof PROPS_SAMPLE - 1, props_valid);
    assert_true(cb_props_valid((struct cb_str){NULL, 0}));
    assert_true(cb_props_valid(CB_STR("\x80")));
    assert_false(cb_props_valid(CB_STR("\x82\xa1k\x01\xa1k\x02")));     /* a key twice */
    assert_false(cb_props_valid(CB_STR("\x82\xa1k\x01\xd9\x01k\x02"))); /* … in another form */
    assert_false(cb_props_valid(CB_STR("\x81\xa0\x01")));               /* no key */
    assert_false(cb_props_valid(CB_STR("\x81\xa2k \x01")));
    assert_false(cb_props_valid(CB_STR("\x81\xa2\x31k\x01")));
    assert_false(cb_props_valid(CB_STR("\x81\x01\x01")));
    assert_false(cb_props_valid(CB_STR("\x81\xa1k\x90")));
    assert_false(cb_props_valid(CB_STR("\x81\xa1k\x80")));
    assert_false(cb_props_valid(CB_STR("\x81\xa1k\xc4\x00")));
    assert_false(cb_props_valid(CB_STR("\x81\xa1k\xa1\xff")));
    assert_false(cb_props_valid(CB_STR("\x81\xa1k\xca\x7f\x80\x00\x00")));                 /* inf */
    assert_false(cb_props_valid(CB_STR("\x81\xa1k\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"))); /* NaN */
    assert_false(cb_props_valid(CB_STR("\x91\x01")));
}

static bool props_of(uint32_t n, size_t key_len, size_t value_len) {
    struct cb_buf buf;
    char key[CB_PROP_KEY_MAX + 2];
    static const char value[CB_PROP_VALUE_MAX + 1];
    cb_buf_init(&buf, 1 << 20);
    msgpack_packer pk;
    msgpack_packer_init(&pk, &buf, cb_pack_write);
    msgpack_pack_map(&pk, n);
    for (uint32_t i = 0; i < n; i++) {
        memset(key, 'k', key_len);
        key[key_len - 1] = (char)('a' + i % 26);
        key[key_len - 2] = (char)('a' + i / 26);
        msgpack_pack_str_with_body(&pk, key, key_len);
        msgpack_pack_str_with_body(&pk, value, value_len);
    }
    bool valid = cb_props_valid((struct cb_str){buf.data, buf.len});
    cb_buf_fini(&buf);
    return valid;
}

static void props_limits_are_exact(void **state) {
    (void)state;
    assert_true(props_of(CB_PROPS_MAX, CB_PROP_KEY_MAX, CB_PROP_VALUE_MAX));
    assert_false(props_of(CB_PROPS_MAX + 1, 2, 0));
    assert_false(props_of(1, CB_PROP_KEY_MAX + 1, 0));
    assert_false(props_of(1, 2, CB_PROP_VALUE_MAX + 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_msgpack_c_reads),
        cmocka_unit_test(one_value_of_each_format_spoiled),
        cmocka_unit_test(extensions_and_the_unused_byte_are_refused),
        cmocka_unit_test(claims_past_the_bytes_are_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
        cmocka_unit_test(typed_reads_keep_their_bounds),
        cmocka_unit_test(the_end_makes_a_reader_bad),
        cmocka_unit_test(writing_stops_at_the_buffers_bound),
        cmocka_unit_test(props_become_json),
        cmocka_unit_test(props_keep_their_rules),
        cmocka_unit_test(props_limits_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
