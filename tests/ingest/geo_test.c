/* SPDX-License-Identifier: MIT
 * Promises of ingest/geo.h, with a database that tests/lib/mmdb.mjs made: 10.1.0.0/16 is GR,
 * 10.2.3.0/24 DE, 2001:db8::/32 JP. */
#include "ingest/geo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What the library itself leaves behind where a file's metadata is damaged: the start ends then. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libmaxminddb";
}

static const char fixture[] = CB_GEO_FIXTURE;

static const char *country_of(const struct cb_geo *geo, const char *text) {
    static char out[3];
    struct cb_address address;
    assert_int_equal(cb_address_parse(cb_str_of(text), &address), 0);
    cb_geo_country(geo, &address, out);
    return out;
}

static void test_countries_of_addresses(void **state) {
    (void)state;
    struct cb_geo *geo;
    char *sentence = NULL;
    assert_int_equal(cb_geo_open(fixture, &geo, &sentence), 0);
    assert_string_equal(country_of(geo, "10.1.0.0"), "GR");
    assert_string_equal(country_of(geo, "10.1.255.255"), "GR");
    assert_string_equal(country_of(geo, "::ffff:10.1.2.3"), "GR");
    assert_string_equal(country_of(geo, "10.2.3.4"), "DE");
    assert_string_equal(country_of(geo, "10.2.4.4"), "");
    assert_string_equal(country_of(geo, "2001:db8::1"), "JP");
    assert_string_equal(country_of(geo, "2001:db9::1"), "");
    assert_string_equal(country_of(geo, "::1"), "");
    cb_geo_close(&geo);
    assert_null(geo);
}

static void test_without_a_file_none(void **state) {
    (void)state;
    struct cb_geo *geo;
    char *sentence = NULL;
    assert_int_equal(cb_geo_open("", &geo, &sentence), 0);
    assert_null(geo);
    assert_null(sentence);
    assert_string_equal(country_of(geo, "10.1.0.0"), "");
}

static size_t load(uint8_t *bytes, size_t max) {
    FILE *file = fopen(fixture, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, max, file);
    fclose(file);
    assert_true(len > 0 && len < max);
    return len;
}

/* Opens a file of these bytes; a sentence is there exactly when it is refused. */
static int open_bytes(const uint8_t *bytes, size_t len, struct cb_geo **geo, char *sentence_out) {
    char path[] = "/tmp/cb-geo-XXXXXX", *sentence = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    int err = cb_geo_open(path, geo, &sentence);
    unlink(path);
    assert_int_equal(err != 0, sentence != NULL);
    snprintf(sentence_out, 512, "%s", sentence ? sentence : "");
    free(sentence);
    return err;
}

static void test_what_is_no_database_is_refused(void **state) {
    (void)state;
    struct cb_geo *geo;
    static uint8_t bytes[4096];
    char sentence[512], *missing = NULL;
    assert_int_equal(cb_geo_open("/nowhere/x.mmdb", &geo, &missing), CB_EIO);
    assert_string_equal(missing, "--geo: /nowhere/x.mmdb: the file cannot be read");
    free(missing);
    assert_int_equal(open_bytes((const uint8_t *)"hello", 5, &geo, sentence), CB_EINVAL);
    assert_non_null(strstr(sentence, "--geo: "));
    size_t len = load(bytes, sizeof bytes);
    uint8_t *type = memmem(bytes, len, "Test-Country", 12);
    assert_non_null(type);
    memcpy(type, "Test-Nothing", 12);
    assert_int_equal(open_bytes(bytes, len, &geo, sentence), CB_EINVAL);
    assert_non_null(strstr(sentence, "no database of countries"));
}

/* A damaged or hostile file is refused, or gives countries or none: no more. */
static void test_a_spoiled_file_harms_nothing(void **state) {
    (void)state;
    static uint8_t bytes[4096];
    static const uint8_t masks[] = {0x01, 0x20, 0x80, 0xff};
    size_t len = load(bytes, sizeof bytes);
    unsigned opened = 0;
    char sentence[512];
    for (size_t at = 0; at < len; at++) {
        for (size_t m = 0; m < sizeof masks; m++) {
            struct cb_geo *geo;
            bytes[at] ^= masks[m];
            if (open_bytes(bytes, len, &geo, sentence) == 0) {
                const char *texts[] = {"10.1.0.0", "10.2.3.4", "2001:db8::1", "ff::"};
                for (size_t i = 0; i < 4; i++) {
                    const char *country = country_of(geo, texts[i]);
                    assert_true(strlen(country) == 0 || strlen(country) == 2);
                }
                cb_geo_close(&geo);
                opened++;
            }
            bytes[at] ^= masks[m];
        }
        struct cb_geo *geo;
        if (open_bytes(bytes, at, &geo, sentence) == 0) { /* cut */
            country_of(geo, "10.1.0.0");
            cb_geo_close(&geo);
        }
    }
    assert_true(opened > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_countries_of_addresses),
        cmocka_unit_test(test_without_a_file_none),
        cmocka_unit_test(test_what_is_no_database_is_refused),
        cmocka_unit_test(test_a_spoiled_file_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
