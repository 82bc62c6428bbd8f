/* SPDX-License-Identifier: MIT
 * Live streams on the fake reader: who gets what part of a tail, the numbers of a pulse, what one
 * that resumes is given at most, and the comments while the views cannot be read. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "query/live.h"
#include "query/pulse.h"
#include "query/query.h"
#include "query/tail.h"
#include "tests/query/fake_reader.h"

enum { WAIT_S = 20 };

static const struct cb_envelope envelope = {.site = CB_STR("demo"), .received_ms = 600000};
static const struct cb_event event = {
    .seq = 1, .name_code = CB_NAME_CLICK, .name = CB_STR("onClick")};
static const struct cb_token tokens[] = {{.role = CB_ROLE_ADMIN, .site = "demo", .id = {0xde}}};

static struct cb_reader reader;

/* ---- tails ---- */

static struct cb_export_row row_at(uint64_t position, uint32_t index) {
    return (struct cb_export_row){position, index, &envelope, &event, 600000};
}

static unsigned events_of(struct cb_str text) {
    unsigned n = 0;
    const char *at = text.p, *end = text.p + text.len;
    while ((at = memmem(at, (size_t)(end - at), "event: event\n", 13)) != NULL) {
        n++;
        at++;
    }
    return n;
}

static void everybody_gets_the_tail_from_where_they_are(void **state) {
    static const struct cb_export_cursor rows[] = {{3, 0}, {3, 2}, {4, 0}, {9, 5}, {9, 6}};
    static const struct {
        struct cb_export_cursor from;
        unsigned n;
    } wanted[] = {
        {{0, 0}, 5},
        {{3, 0}, 5},
        {{3, 1}, 4},
        {{3, 2}, 4},
        {{3, 3}, 3},
        {{4, 0}, 3},
        {{4, 1}, 2},
        {{9, 5}, 2},
        {{9, 6}, 1},
        {{9, 7}, 0},
        {{5, 0}, 2},
        {{10, 0}, 0},
        {{UINT64_MAX, UINT32_MAX}, 0},
    };
    struct cb_tail tail;
    (void)state;
    cb_tail_init(&tail, 1 << 20);
    assert_int_equal(cb_tail_from(&tail, &rows[0]).len, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cb_export_row row = row_at(rows[i].position, rows[i].index);
        assert_int_equal(cb_tail_add(&tail, &row, (struct cb_row_rights){0}), 0);
    }
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        struct cb_str part = cb_tail_from(&tail, &wanted[i].from);
        assert_int_equal(events_of(part), wanted[i].n);
        assert_true(part.len == 0 || !memcmp(part.p, "id: ", 4));
    }
    cb_tail_fini(&tail);
}

static void a_row_without_room_leaves_the_tail_as_it_was(void **state) {
    struct cb_tail tail;
    struct cb_export_row row = row_at(1, 0);
    (void)state;
    cb_tail_init(&tail, 400);
    assert_int_equal(cb_tail_add(&tail, &row, (struct cb_row_rights){0}), 0);
    size_t before = tail.bytes.len;
    while (cb_tail_add(&tail, &row, (struct cb_row_rights){0}) == 0)
        before = tail.bytes.len;
    assert_int_equal(tail.bytes.len, before);
    assert_int_equal(events_of(cb_tail_from(&tail, &(struct cb_export_cursor){0, 0})), tail.n);
    cb_tail_fini(&tail);
}

static void cursors_are_read_as_they_are_written(void **state) {
    static const char *const texts[] = {"0", "7", "7-0", "7-4294967294", "18446744073709551614"};
    struct cb_export_cursor cursor;
    char text[CB_CURSOR_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(cb_cursor_parse(texts[i], &cursor), 0);
        cb_cursor_text(&cursor, text);
        assert_string_equal(text, texts[i]);
    }
}

/* ---- pulses ---- */

static void a_pulse_is_what_the_rows_say(void **state) {
    /* 2026-11-27 00:03 UTC; visitors are numbered */
    const int64_t now = 29928963, day = 29928960;
    const struct fake_event events[] = {
        {day - 1, FAKE_DEMO, 2, 1}, {day, FAKE_DEMO, 2, 2},
        {now - 1, FAKE_DEMO, 2, 3}, {now - 1, FAKE_DEMO, 2, 3},
        {now, FAKE_DEMO, 2, 3},     {now, FAKE_DEMO, 2, 4},
        {now, FAKE_DEMO, 2, 5},     {now - 6, FAKE_DEMO, 2, 9},
        {now, FAKE_SHOP, 2, 6},     {now, FAKE_DEMO, CB_NAME_ID_SESSIONS, 0},
    };
    struct cb_pulse pulse = {0};
    struct cb_snapshot *snapshot;
    struct cb_buf out;
    struct cb_json json;
    (void)state;
    reader = (struct cb_reader){.events = events, .n_events = sizeof events / sizeof *events};
    assert_int_equal(cb_snapshot_begin(&reader, &snapshot), 0);
    assert_true(cb_pulse_is_old(&pulse, now * 60000));
    assert_int_equal(cb_pulse_read(&pulse, snapshot, FAKE_DEMO, now * 60000 + 59999), 0);
    assert_false(cb_pulse_is_old(&pulse, now * 60000));
    assert_true(cb_pulse_is_old(&pulse, (now + 1) * 60000));
    cb_buf_init(&out, 4096);
    cb_json_init(&json, &out);
    cb_pulse_json(&pulse, now * 60000 + 7, &json);
    assert_int_equal(json.err, 0);
    assert_int_equal(cb_buf_append(&out, "", 1), 0);
    assert_string_equal(out.data, "{\"t\":1795737780007,\"online\":5,"
                                  "\"minute\":{\"t\":1795737720000,\"events\":2,\"visitors\":1},"
                                  "\"current\":{\"t\":1795737780000,\"events\":3,\"visitors\":3},"
                                  "\"day\":{\"t\":1795737600000,\"events\":6,\"visitors\":4,"
                                  "\"sessions\":1,\"tz\":\"UTC\"}}");
    /* What fails leaves it as it was. */
    reader.series_rc = CB_EIO;
    struct cb_pulse before = pulse;
    assert_int_equal(cb_pulse_read(&pulse, snapshot, FAKE_DEMO, (now + 5) * 60000), CB_EIO);
    assert_memory_equal(&pulse, &before, sizeof pulse);
    cb_buf_fini(&out);
    cb_snapshot_end(&snapshot);
}

/* ---- streams ---- */

static struct cb_query *query;
static _Atomic int64_t ahead_us; /* of the clock */

static int64_t wall_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000 + atomic_load(&ahead_us);
}

static const struct cb_clock_ops clock_ops = {wall_us, wall_us};

static int setup(void **state) {
    static const struct cb_export_row row = {1, 0, &envelope, &event, 600000};
    const struct cb_opts opts = {.query = "127.0.0.1:0",
                                 .query_threads = 1,
                                 .connections = 200,
                                 .connections_per_address = 200,
                                 .live_streams = 2,
                                 .request_timeout = 20,
                                 .idle_timeout = 20};
    char *sentence;
    (void)state;
    cb_clock_replace(&clock_ops);
    reader = (struct cb_reader){.rows = &row,
                                .n_rows = 1,
                                .endless = true,
                                .position = 100000,
                                .tokens = tokens,
                                .n_tokens = 1};
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
    cb_clock_replace(NULL);
    return query != NULL || reader.open != 0;
}

/* last: the header's value, or NULL. */
static int watch(const char *last) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    const struct timeval deadline = {WAIT_S, 0};
    char request[512];
    const char *colon = strrchr(cb_query_address(query), ':');
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_non_null(colon);
    assert_true(fd >= 0);
    to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    snprintf(request, sizeof request,
             "GET /v1/sites/demo/live HTTP/1.1\r\nHost: x\r\n%s%s%s"
             "Authorization: Bearer " FAKE_TOKEN_DEMO "\r\n\r\n",
             last ? "Last-Event-ID: " : "", last ? last : "", last ? "\r\n" : "");
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    return fd;
}

/* Reads on until the text is there; everything so far, which is static. */
static const char *hear(int fd, const char *wanted) {
    static char text[8 << 20];
    size_t len = 0;
    text[0] = '\0';
    while (!memmem(text, len, wanted, strlen(wanted))) {
        ssize_t n = read(fd, text + len, sizeof text - 1 - len);
        if (n <= 0 || len + (size_t)n == sizeof text - 1)
            fail_msg("%s did not come; %.400s", wanted, text + (len > 400 ? len - 400 : 0));
        len += (size_t)n;
    }
    text[len] = '\0';
    return text;
}

/* Its share, each event once, in order, and a gap that begins where the share ends. */
static void one_that_resumes_gets_its_share(void **state) {
    (void)state;
    int fd = watch("2000");
    const char *text = hear(fd, "event: counts");
    const char *at = text;
    unsigned n = 0;
    while ((at = strstr(at, "\"position\":")) != NULL) {
        at += strlen("\"position\":");
        assert_int_equal(strtoul(at, NULL, 10), 2001 + n++);
    }
    assert_true(n > 500);
    assert_true(strlen(text) < CB_LIVE_BEHIND_BYTES * 2 + 65536);
    char gap[256];
    snprintf(gap, sizeof gap,
             "\"reason\":\"behind\",\"after\":\"%u-0\",\"up_to\":\"100000\",\"export\":"
             "\"/v1/sites/demo/export?cursor=%u-0&until=100000\"",
             2000 + n, 2000 + n);
    assert_non_null(strstr(text, gap));
    close(fd);
    /* One that is not so far back is not told of one, and gets them all. */
    fd = watch("99900-0");
    text = hear(fd, "event: counts");
    assert_null(strstr(text, "event: gap"));
    assert_int_equal(events_of(cb_str_of(text)), 100);
    close(fd);
}

static void views_that_cannot_be_read_are_waited_for(void **state) {
    (void)state;
    int fd = watch(NULL);
    hear(fd, "event: counts");
    reader.begin_rc = CB_EFULL;
    atomic_fetch_add(&ahead_us, INT64_C(1000) * CB_LIVE_HEARTBEAT_MS);
    hear(fd, ": still here\n\n");
    reader.begin_rc = 0;
    hear(fd, "event: counts");
    close(fd);
}

static void places_are_given_back(void **state) {
    int fds[2];
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 2; i++) {
            for (bool taken = false; !taken;) { /* those of the round before are noticed to go */
                fds[i] = watch(NULL);
                const char *text = hear(fds[i], "\r\n\r\n");
                taken = !strncmp(text, "HTTP/1.1 200 ", 13);
                if (!taken)
                    close(fds[i]);
            }
        }
        int refused = watch(NULL);
        const char *text = hear(refused, "\"code\":\"busy\"");
        assert_non_null(strstr(text, "\r\nRetry-After: 1\r\n"));
        close(refused);
        close(fds[0]);
        close(fds[1]);
    }
}

/* teardown() ends with streams under way; the sanitizer sees what is left behind. */
static void the_service_ends_with_streams_under_way(void **state) {
    (void)state;
    int fd = watch("1");
    hear(fd, "event: event");
    cb_query_teardown(&query);
    hear(fd, "event: end\ndata: {\"reason\":\"shutdown\"}");
    close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_gets_the_tail_from_where_they_are),
        cmocka_unit_test(a_row_without_room_leaves_the_tail_as_it_was),
        cmocka_unit_test(cursors_are_read_as_they_are_written),
        cmocka_unit_test(a_pulse_is_what_the_rows_say),
        TEST(one_that_resumes_gets_its_share),
        TEST(views_that_cannot_be_read_are_waited_for),
        TEST(places_are_given_back),
        TEST(the_service_ends_with_streams_under_way),
    };
    cb_log_set_level(CB_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
