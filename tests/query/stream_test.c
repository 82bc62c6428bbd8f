/* SPDX-License-Identifier: MIT
 * Exports over real HTTP on one query thread, on the fake reader: others are served in between,
 * clients that stand still or go away, what fails on the way, and how many there may be. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "proto/metric.h"
#include "query/query.h"
#include "query/stream.h"
#include "tests/query/fake_reader.h"

enum { WAIT_MS = 20000 };

static const struct cb_envelope envelope = {.site = CB_STR("demo"), .received_ms = 600000};
static const struct cb_event event = {
    .seq = 1, .name_code = CB_NAME_CLICK, .name = CB_STR("onClick")};
static const struct cb_export_row row = {1, 0, &envelope, &event, 600000};

static struct cb_reader reader;
static struct cb_query *query;

static int setup(void **state) {
    const struct cb_opts opts = {.query = "127.0.0.1:0",
                                 .query_threads = 1,
                                 .connections = 200,
                                 .connections_per_address = 200,
                                 .request_timeout = 20,
                                 .idle_timeout = 20};
    char *sentence;
    (void)state;
    reader = (struct cb_reader){.rows = &row, .n_rows = 1, .endless = true, .position = 20000};
    if (cb_query_setup(&opts, &reader, NULL, &query, &sentence)) {
        fprintf(stderr, "%s\n", sentence ? sentence : "?");
        free(sentence);
        return 1;
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    cb_query_teardown(&query);
    return query != NULL || reader.open != 0;
}

/* window_bytes: of the client, where it is to fill soon; else 0. */
static int say_with(const char *method, const char *target, int window_bytes) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    const struct timeval deadline = {WAIT_MS / 1000, 0};
    char request[512];
    const char *colon = strrchr(cb_query_address(query), ':');
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_non_null(colon);
    assert_true(fd >= 0);
    to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline), 0);
    if (window_bytes > 0)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window_bytes, sizeof window_bytes),
                         0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    snprintf(request, sizeof request,
             "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
             "Authorization: Bearer " FAKE_TOKEN_DEMO "\r\n\r\n",
             method, target);
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    return fd;
}

static int say(const char *method, const char *target) {
    return say_with(method, target, 0);
}

/* Until the server closes; the caller frees. Ends the connection. */
static char *hear(int fd) {
    size_t len = 0, cap = 1 << 16;
    char *text = malloc(cap);
    ssize_t n;
    assert_non_null(text);
    while ((n = read(fd, text + len, cap - 1 - len)) > 0) {
        len += (size_t)n;
        if (cap - len < 4096) {
            cap *= 2;
            text = realloc(text, cap);
            assert_non_null(text);
        }
    }
    assert_int_equal(n, 0);
    close(fd);
    text[len] = '\0';
    return text;
}

static size_t count(const char *text, const char *part) {
    const char *end = text + strlen(text), *at = text;
    size_t n = 0;
    /* not strstr, which a sanitizer measures to the end each time */
    while ((at = memmem(at, (size_t)(end - at), part, strlen(part))) != NULL) {
        at++;
        n++;
    }
    return n;
}

static bool ends_whole(const char *text) {
    size_t len = strlen(text);
    return len > 5 && !strcmp(text + len - 5, "0\r\n\r\n");
}

static void assert_alive(void) {
    char *text = hear(say("GET", "/healthz"));
    assert_non_null(strstr(text, "{\"status\":\"alive\"}"));
    free(text);
}

#define EXPORT "/v1/sites/demo/export"
#define UNTIL(what)                                                                                \
    do {                                                                                           \
        int64_t end_ms = cb_clock_mono_ms() + WAIT_MS;                                             \
        while (!(what)) {                                                                          \
            assert_true(cb_clock_mono_ms() < end_ms);                                              \
            assert_alive();                                                                        \
        }                                                                                          \
    } while (0)

static void the_head_and_the_whole(void **state) {
    (void)state;
    char *text = hear(say("GET", EXPORT));
    assert_int_equal(strncmp(text, "HTTP/1.1 200 OK\r\n", 17), 0);
    assert_non_null(strstr(text, "\r\nContent-Type: application/x-ndjson\r\n"));
    assert_non_null(strstr(text, "\r\nX-Export-End: 20000\r\n"));
    assert_non_null(strstr(text, "\r\nCache-Control: no-store\r\n"));
    assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_true(ends_whole(text));
    assert_int_equal(count(text, "\"name\":\"onClick\""), 20000);
    free(text);
    text = hear(say("GET", EXPORT "?format=csv&limit=2"));
    assert_non_null(strstr(text, "\r\nContent-Type: text/csv; charset=utf-8; header=present\r\n"));
    assert_int_equal(count(text, ",onClick,"), 2);
    assert_true(ends_whole(text));
    free(text);
    text = hear(say("HEAD", EXPORT "?until=7"));
    assert_int_equal(strncmp(text, "HTTP/1.1 200 OK\r\n", 17), 0);
    assert_non_null(strstr(text, "\r\nX-Export-End: 7\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    free(text);
    text = hear(say("HEAD", EXPORT "?cursor=7-"));
    assert_int_equal(strncmp(text, "HTTP/1.1 400 ", 13), 0);
    free(text);
}

/* One thread, an export without an end in sight that is read as fast as it comes. */
static void others_are_served_in_between(void **state) {
    (void)state;
    reader.position = UINT64_C(1) << 40;
    int fd = say("GET", EXPORT);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static char scrap[65536];
        while (read(fd, scrap, sizeof scrap) > 0)
            ;
        _exit(0);
    }
    /* Chunks are made before and behind each of these answers. */
    for (unsigned i = 0; i < 5; i++) {
        unsigned before = reader.exports;
        assert_alive();
        UNTIL(reader.exports > before);
    }
    close(fd);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Nobody reads: it stands still, and holds no snapshot. */
static void a_reader_that_stands_still_costs_nothing(void **state) {
    (void)state;
    reader.position = UINT64_C(1) << 40;
    int fd = say("GET", EXPORT);
    unsigned before, same = 0;
    UNTIL(reader.exports > 0);
    for (before = reader.exports; same < 50; before = reader.exports) {
        assert_alive();
        same = reader.exports == before ? same + 1 : 0;
    }
    assert_int_equal(reader.open, 0);
    /* and goes on when it is read */
    static char scrap[1 << 20];
    size_t got = 0;
    while (got < sizeof scrap * 8) {
        ssize_t n = read(fd, scrap, sizeof scrap);
        assert_true(n > 0);
        got += (size_t)n;
    }
    UNTIL(reader.exports > before);
    close(fd);
}

static void a_failure_is_never_a_whole_answer(void **state) {
    (void)state;
    reader.broken_at = 1;
    char *text = hear(say("GET", EXPORT));
    assert_int_equal(strncmp(text, "HTTP/1.1 500 ", 13), 0);
    assert_non_null(strstr(text, "\"code\":\"internal\""));
    free(text);
    reader.broken_at = 19999;
    text = hear(say("GET", EXPORT));
    assert_int_equal(strncmp(text, "HTTP/1.1 200 ", 13), 0);
    assert_false(ends_whole(text));
    free(text);
    assert_alive();
}

/* As many as there may be, then 503; those whose client goes away make room. */
static void there_are_only_so_many(void **state) {
    int fds[CB_STREAMS_MAX];
    (void)state;
    reader.position = UINT64_C(1) << 40;
    int64_t before = cb_metric_get(CB_METRIC_QUERY_REPORTS);
    for (unsigned i = 0; i < CB_STREAMS_MAX; i++)
        fds[i] = say_with("GET", EXPORT, 4096);
    UNTIL(cb_metric_get(CB_METRIC_QUERY_REPORTS) == before + CB_STREAMS_MAX);
    char *text = hear(say("GET", EXPORT));
    assert_int_equal(strncmp(text, "HTTP/1.1 503 ", 13), 0);
    assert_non_null(strstr(text, "\r\nRetry-After: 1\r\n"));
    free(text);
    for (unsigned i = 0; i < CB_STREAMS_MAX; i++)
        close(fds[i]);
    int64_t end_ms = cb_clock_mono_ms() + WAIT_MS;
    for (bool room = false; !room;) {
        assert_true(cb_clock_mono_ms() < end_ms);
        text = hear(say("GET", EXPORT "?limit=1"));
        room = strncmp(text, "HTTP/1.1 200 ", 13) == 0 && ends_whole(text);
        free(text);
    }
}

/* teardown() ends with exports under way; the sanitizer sees what is left behind. */
static void the_service_ends_with_exports_under_way(void **state) {
    (void)state;
    reader.position = UINT64_C(1) << 40;
    int fd = say("GET", EXPORT);
    UNTIL(reader.exports > 0);
    cb_query_teardown(&query);
    close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_head_and_the_whole),
        TEST(others_are_served_in_between),
        TEST(a_reader_that_stands_still_costs_nothing),
        TEST(a_failure_is_never_a_whole_answer),
        TEST(there_are_only_so_many),
        TEST(the_service_ends_with_exports_under_way),
    };
    cb_log_set_level(CB_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
