/* SPDX-License-Identifier: MIT
 * A crash point kills at its pass, and no other does; where points are not built in, none is code.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/crash.h"

enum { ENDED = 100 };

/* A child passes "a" and "b" in turn, five times each; its status tells how far it came. */
static int pass_with(const char *wanted) {
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("CHATBEACON_CRASH", wanted, 1);
        for (int i = 0; i < 5; i++) {
            cb_crash_point("a");
            if (write(fds[1], "a", 1) != 1) {
                _exit(1);
            }
            cb_crash_point("b");
            if (write(fds[1], "b", 1) != 1) {
                _exit(1);
            }
        }
        _exit(ENDED);
    }
    close(fds[1]);
    int passed = 0, status;
    char c;
    while (read(fds[0], &c, 1) == 1) {
        passed++;
    }
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
        return -WEXITSTATUS(status);
    }
    assert_int_equal(WTERMSIG(status), SIGKILL);
    return passed;
}

#ifdef CB_CRASH_POINTS
static void test_kills_at_its_pass(void **state) {
    (void)state;
    assert_int_equal(pass_with("a"), 0);
    assert_int_equal(pass_with("b"), 1);
    assert_int_equal(pass_with("a:3"), 4);
    assert_int_equal(pass_with("b:5"), 9);
}

static void test_spares_who_is_not_meant(void **state) {
    (void)state;
    assert_int_equal(pass_with(""), -ENDED);
    assert_int_equal(pass_with("a:6"), -ENDED);
    assert_int_equal(pass_with("aa"), -ENDED);
}

static void test_refuses_what_is_no_point(void **state) {
    (void)state;
    assert_int_equal(pass_with("a:0"), -2);
    assert_int_equal(pass_with("a:x"), -2);
    assert_int_equal(pass_with("a:"), -2);
    assert_int_equal(pass_with(":1"), -2);
}
#else
static void test_is_no_code(void **state) {
    (void)state;
    assert_int_equal(pass_with("a"), -ENDED);
    assert_int_equal(pass_with("a:0"), -ENDED);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
#ifdef CB_CRASH_POINTS
        cmocka_unit_test(test_kills_at_its_pass),
        cmocka_unit_test(test_spares_who_is_not_meant),
        cmocka_unit_test(test_refuses_what_is_no_point),
#else
        cmocka_unit_test(test_is_no_code),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
