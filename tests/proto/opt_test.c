/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/opt.h"

static int parse(unsigned tiers, struct cb_opts *opts, char **sentence, char **envp, ...) {
    char *argv[16];
    int argc = 0;
    va_list args;
    va_start(args, envp);
    while ((argv[argc] = va_arg(args, char *)) != NULL) {
        argc++;
    }
    va_end(args);
    return cb_opt_parse(tiers, argc, argv, envp, opts, sentence);
}

static void test_sources(void **state) {
    (void)state;
    char path[] = "/tmp/chatbeacon-opt-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "# a comment\n\nbody = 8K\n  ingest-threads=3  \ndata = from file\n") >
                0);
    close(fd);
    char *envp[] = {"CHATBEACON_INGEST_THREADS=4", "CHATBEACON_DATA=from environment",
                    "CHATBEACON_BINARY=/x", "HOME=/", NULL};
    struct cb_opts opts;
    char *sentence;
    assert_int_equal(
        parse(CB_OPT_SERVE, &opts, &sentence, envp, "--config", path, "--data=from line", NULL), 0);
    assert_string_equal(opts.data, "from line");
    assert_int_equal(opts.ingest_threads, 4);
    assert_int_equal(opts.body, 8192);
    assert_int_equal(opts.idle_timeout, 75);
    assert_string_equal(opts.query, "127.0.0.1:8081");
    cb_opt_fini(&opts);
    unlink(path);
    assert_int_equal(parse(CB_OPT_SERVE, &opts, &sentence, envp, "--config", path, NULL), CB_EIO);
    assert_non_null(strstr(sentence, path));
    free(sentence);
}

static void test_misuse(void **state) {
    (void)state;
    static const struct {
        const char *arguments[3];
        const char *named; /* what the sentence names */
    } cases[] = {
        {{"--nonsense", "1"}, "--nonsense"},
        {{"--body"}, "--body"},
        {{"--body", "12x"}, "--body"},
        {{"--body", "9999999999999999999999"}, "--body"},
        {{"--body", "99G"}, "--body"},
        {{"--body", "-1"}, "--body"},
        {{"--body", ""}, "--body"},
        {{"--query-threads", "0"}, "--query-threads"},
        {{"stray"}, "stray"},
        {{"--data", ""}, "--data"},
        {{"--", "1"}, "--"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cb_opts opts;
        char *sentence = NULL;
        assert_int_equal(parse(CB_OPT_SERVE, &opts, &sentence, NULL, cases[i].arguments[0],
                               cases[i].arguments[1], NULL),
                         CB_EINVAL);
        assert_non_null(strstr(sentence, cases[i].named));
        free(sentence);
    }
    struct cb_opts opts;
    char *sentence;
    assert_int_equal(parse(CB_OPT_INGEST, &opts, &sentence, NULL, "--data", "x", NULL), CB_EINVAL);
    free(sentence);
    char *envp[] = {"CHATBEACON_BODY=big", NULL};
    assert_int_equal(parse(CB_OPT_INGEST, &opts, &sentence, envp, NULL), CB_EINVAL);
    assert_non_null(strstr(sentence, "CHATBEACON_BODY"));
    free(sentence);
}

/* Several tiers may share one environment and one file: what is another tier's is passed over,
 * whatever it holds. */
static void test_other_tiers(void **state) {
    (void)state;
    char *envp[] = {"CHATBEACON_BODY=garbage", "CHATBEACON_SITES=a", NULL};
    struct cb_opts opts;
    char *sentence = NULL;
    assert_int_equal(parse(CB_OPT_STORE, &opts, &sentence, envp, NULL), 0);
    assert_string_equal(opts.sites, "a");
    cb_opt_fini(&opts);
}

static void test_address(void **state) {
    (void)state;
    char host[32];
    uint16_t port;
    assert_int_equal(cb_opt_address("127.0.0.1:8080", host, sizeof(host), &port), 0);
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(port, 8080);
    assert_int_equal(cb_opt_address("[::1]:0", host, sizeof(host), &port), 0);
    assert_string_equal(host, "::1");
    assert_int_equal(port, 0);
    static const char *const bad[] = {
        "",        ":",      ":80",        "host",
        "host:",   "host:x", "host:65536", "host:-1",
        "::1:80",  "[::1",   "[]:80",      "a-name-that-is-longer-than-the-room:80",
        "host:80 "};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(cb_opt_address(bad[i], host, sizeof(host), &port), CB_EINVAL);
    }
}

static void test_help(void **state) {
    (void)state;
    struct cb_buf help;
    cb_buf_init(&help, 65536);
    assert_int_equal(cb_opt_help(CB_OPT_INGEST, &help), 0);
    assert_int_equal(cb_buf_append(&help, "", 1), 0);
    assert_non_null(strstr(help.data, "--ack-timeout"));
    assert_null(strstr(help.data, "--query-threads"));
    cb_buf_fini(&help);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sources),
                                       cmocka_unit_test(test_misuse),
                                       cmocka_unit_test(test_other_tiers),
                                       cmocka_unit_test(test_address), cmocka_unit_test(test_help)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
