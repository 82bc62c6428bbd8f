/* SPDX-License-Identifier: MIT
 * The log cannot be forged; and the checksum and the clock say what their sources say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/crc.h"
#include "proto/log.h"

static void test_quote(void **state) {
    (void)state;
    char out[32];
    assert_string_equal(cb_log_quote("plain/1.2", out, sizeof(out)), "plain/1.2");
    assert_string_equal(cb_log_quote("two words", out, sizeof(out)), "\"two words\"");
    assert_string_equal(cb_log_quote("a\nts=1", out, sizeof(out)), "\"a\\x0ats=1\"");
    assert_string_equal(cb_log_quote("\"", out, sizeof(out)), "\"\\x22\"");
    assert_string_equal(cb_log_quote("", out, sizeof(out)), "\"\"");
    const char *cut =
        cb_log_quote("a text that is far too long for the room that it gets", out, sizeof(out));
    assert_true(strlen(cut) < sizeof(out));
    assert_string_equal(cut + strlen(cut) - 4, "\xe2\x80\xa6\"");
    assert_string_equal(cb_log_quote("\n\n\n\n\n\n\n\n\n\n\n\n", out, 8), "\"\xe2\x80\xa6\"");
}

static void test_one_line(void **state) {
    (void)state;
    int fds[2], saved = dup(STDERR_FILENO);
    char line[4096];
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    cb_log(CB_LOG_WARN, "test", "text=%s", "one\nlevel=error event=forged");
    cb_log(CB_LOG_DEBUG, "silent", "n=1");
    static char big[5000];
    memset(big, 'x', sizeof(big) - 1);
    cb_log(CB_LOG_ERROR, "big", "text=%s", big);
    dup2(saved, STDERR_FILENO);
    close(fds[1]);
    ssize_t n = read(fds[0], line, sizeof(line) - 1);
    assert_true(n > 0);
    line[n] = '\0';
    size_t newlines = 0;
    for (ssize_t i = 0; i < n; i++) {
        newlines += line[i] == '\n';
    }
    assert_int_equal(newlines, 2);
    assert_int_equal(line[n - 1], '\n');
    assert_null(strstr(line, "silent"));
    assert_non_null(strstr(line, "level=warn event=test text=one level=error"));
    close(fds[0]);
    close(saved);
}

static void test_crc(void **state) {
    (void)state;
    /* RFC 3720, appendix B.4 */
    uint8_t bytes[32] = {0};
    assert_int_equal(cb_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(cb_crc32c(0, bytes, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++) {
        bytes[i] = i;
    }
    assert_int_equal(cb_crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(cb_crc32c(cb_crc32c(0, bytes, 5), bytes + 5, 27), 0x46dd794e);
}

static int64_t seven_seconds(void) {
    return 7000000;
}

static void test_clock(void **state) {
    (void)state;
    int64_t first = cb_clock_mono_us();
    assert_true(cb_clock_mono_us() >= first);
    assert_true(cb_clock_wall_ms() > INT64_C(1700000000000));
    static const struct cb_clock_ops ops = {seven_seconds, seven_seconds};
    cb_clock_replace(&ops);
    assert_int_equal(cb_clock_wall_ms(), 7000);
    assert_int_equal(cb_clock_mono_ms(), 7000);
    cb_clock_replace(NULL);
    assert_true(cb_clock_wall_ms() > 7000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quote),
                                       cmocka_unit_test(test_one_line), cmocka_unit_test(test_crc),
                                       cmocka_unit_test(test_clock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
