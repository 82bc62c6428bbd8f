/* SPDX-License-Identifier: MIT
 * The bounds of the HTTP server: deadlines, connections, descriptors, unsent answers. */
#include <sys/resource.h>

#include "proto/http_conn.h"
#include "tests/proto/http_rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct cb_http_opts quick_opts(void) {
    struct cb_http_opts opts = rig_opts();
    opts.head_timeout_ms = 10000;
    opts.body_timeout_ms = 15000;
    opts.idle_timeout_ms = 20000;
    opts.write_timeout_ms = 5000;
    return opts;
}

/* Lets the server see that the client said something, then time pass in small steps during which
 * drip is said again and again: deadlines are absolute. Returns the ms until it was closed. */
static unsigned until_closed(struct rig *rig, int fd, const char *drip, struct cb_buf *in) {
    unsigned passed_ms = 0;
    int64_t end_ms = rig_real_ms() + 3 * RIG_WAIT_MS;
    for (;;) {
        /* a sweep comes with the loop's own time, every 250 ms */
        int64_t sweep_ms = rig_real_ms() + 300;
        while (rig_real_ms() < sweep_ms) {
            rig_turn(rig);
            if (!rig_recv(fd, in))
                return passed_ms;
        }
        assert_true(rig_real_ms() < end_ms);
        if (in->len == 0)
            rig_say(rig, fd, drip);
        for (int i = 0; i < 3; i++)
            rig_turn(rig);
        rig_clock_pass(5000);
        passed_ms += 5000;
    }
}

static void test_deadlines(void **state) {
    static const struct {
        const char *what, *first, *drip, *answer;
        unsigned min_ms, max_ms;
    } cases[] = {
        {"a slow head", "GET / HT", "T", "HTTP/1.1 408 Request Timeout\r\n", 10000, 15000},
        {"a slow body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n", "x",
         "HTTP/1.1 408 Request Timeout\r\n", 15000, 20000},
        {"slow chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
         "1\r\nx\r\n", "HTTP/1.1 408 Request Timeout\r\n", 15000, 20000},
        {"an empty line", "\r\n", "", "HTTP/1.1 408 Request Timeout\r\n", 10000, 15000},
        {"silence", "", "", "", 20000, 25000},
    };
    (void)state;
    struct rig rig;
    struct cb_http_opts opts = quick_opts();
    rig_clock_replace(true);
    rig_start(&rig, &opts, rig_echo);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cb_buf in;
        cb_buf_init(&in, 1 << 20);
        int64_t deadlines = cb_metric_get(CB_METRIC_HTTP_DEADLINES);
        int fd = rig_connect(&rig);
        rig_say(&rig, fd, cases[i].first);
        RIG_UNTIL(&rig, cb_http_connections(rig.http) == 1);
        rig_turn(&rig);
        unsigned ms = until_closed(&rig, fd, cases[i].drip, &in);
        if (ms < cases[i].min_ms || ms > cases[i].max_ms)
            fail_msg("%s: closed after %u ms", cases[i].what, ms);
        assert_contains(in.data, cases[i].answer);
        bool answered = cases[i].answer[0] != 0;
        assert_int_equal(in.len > 0, answered);
        if (answered)
            assert_contains(in.data, "\"code\":\"timeout\"");
        assert_int_equal(cb_metric_get(CB_METRIC_HTTP_DEADLINES) - deadlines, answered);
        cb_buf_fini(&in);
        close(fd);
        RIG_UNTIL(&rig, cb_http_connections(rig.http) == 0);
    }
    rig_stop(&rig);
    rig_clock_replace(false);
}

/* No deadline while the handler works; the idle one starts with the answer. */
static void test_no_deadline_while_working(void **state) {
    (void)state;
    struct rig rig;
    struct cb_http_opts opts = quick_opts();
    rig_clock_replace(true);
    rig_start(&rig, &opts, rig_hold);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd, GET("/"));
    RIG_UNTIL(&rig, rig.n_held == 1);
    rig_clock_pass(1000000);
    int64_t sweep_ms = rig_real_ms() + 300;
    RIG_UNTIL(&rig, rig_real_ms() > sweep_ms);
    cb_http_reply(rig.held[0], 200, NULL, "late", 4);
    free(rig_read(&rig, fd, 1));
    struct cb_buf in;
    cb_buf_init(&in, 1 << 20);
    unsigned ms = until_closed(&rig, fd, "", &in);
    assert_true(ms >= 20000 && ms <= 25000);
    assert_int_equal(in.len, 0);
    cb_buf_fini(&in);
    close(fd);
    rig_stop(&rig);
    rig_clock_replace(false);
}

static void huge(struct cb_http_req *req, void *user) {
    enum { LEN = 8 << 20 };
    struct rig *rig = user;
    rig->n_requests++;
    char *body = calloc(1, LEN);
    assert_non_null(body);
    cb_http_reply(req, 200, NULL, body, LEN);
    free(body);
}

/* A client that does not read its answer is closed; until then it costs one answer, not many. */
static void test_client_that_does_not_read(void **state) {
    (void)state;
    struct rig rig;
    struct cb_http_opts opts = quick_opts();
    rig_clock_replace(true);
    rig_start(&rig, &opts, huge);
    int64_t deadlines = cb_metric_get(CB_METRIC_HTTP_DEADLINES);
    int fd = rig_connect(&rig);
    for (int i = 0; i < 20; i++)
        rig_say(&rig, fd, GET("/"));
    RIG_UNTIL(&rig, rig.n_requests == 1);
    for (int i = 0; i < 20; i++)
        rig_turn(&rig);
    assert_int_equal(rig.n_requests, 1);
    rig_clock_pass(4000);
    int64_t sweep_ms = rig_real_ms() + 300;
    RIG_UNTIL(&rig, rig_real_ms() > sweep_ms);
    assert_int_equal(cb_http_connections(rig.http), 1);
    /* some progress does not help: what was unsent must all be gone by then */
    struct cb_buf in;
    cb_buf_init(&in, 8 << 20);
    RIG_UNTIL(&rig, rig_recv(fd, &in) && in.len > 4000000);
    cb_buf_fini(&in);
    rig_clock_pass(2000);
    RIG_UNTIL(&rig, cb_http_connections(rig.http) == 0);
    assert_int_equal(cb_metric_get(CB_METRIC_HTTP_DEADLINES) - deadlines, 1);
    close(fd);
    rig_stop(&rig);
    rig_clock_replace(false);
}

static void test_connections_per_address(void **state) {
    (void)state;
    struct rig rig;
    struct cb_http_opts opts = rig_opts();
    opts.per_address_max = 2;
    rig_start(&rig, &opts, rig_echo);
    int64_t over = cb_metric_get(CB_METRIC_HTTP_OVER_ADDRESS);
    int a = rig_connect(&rig), b = rig_connect(&rig), c = rig_connect(&rig);
    char *nothing = rig_read_all(&rig, c);
    assert_string_equal(nothing, "");
    free(nothing);
    assert_int_equal(cb_metric_get(CB_METRIC_HTTP_OVER_ADDRESS) - over, 1);
    rig_say(&rig, b, GET("/"));
    free(rig_read(&rig, b, 1));
    close(a);
    close(c);
    RIG_UNTIL(&rig, cb_http_connections(rig.http) == 1);
    c = rig_connect(&rig);
    rig_say(&rig, c, GET("/"));
    free(rig_read(&rig, c, 1));
    close(b);
    close(c);
    rig_stop(&rig);
}

static struct sockaddr_in6 in6(const char *text) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
    return address;
}

static int take(struct cb_http_peers *peers, const char *text, struct cb_http_peer **peer) {
    struct sockaddr_in6 address = in6(text);
    return cb_http_peers_take(peers, (struct sockaddr *)&address, 1, peer);
}

static void test_addresses(void **state) {
    (void)state;
    struct cb_http_peers peers;
    struct cb_http_peer *a, *b, *c, *d;
    assert_int_equal(cb_http_peers_init(&peers), 0);
    assert_int_equal(take(&peers, "2001:db8:0:1::1", &a), 0);
    assert_int_equal(take(&peers, "2001:db8:0:1:ffff::2", &b), CB_EFULL); /* the same /64 */
    assert_int_equal(take(&peers, "2001:db8:0:2::1", &b), 0);
    assert_int_equal(take(&peers, "::ffff:192.0.2.1", &c), 0);
    assert_int_equal(take(&peers, "::ffff:192.0.2.2", &d), 0);
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &in4.sin_addr), 1);
    struct cb_http_peer *same;
    assert_int_equal(cb_http_peers_take(&peers, (struct sockaddr *)&in4, 1, &same), CB_EFULL);
    cb_http_peers_give(&peers, c);
    assert_int_equal(cb_http_peers_take(&peers, (struct sockaddr *)&in4, 1, &c), 0);
    cb_http_peers_give(&peers, b);
    /* many more than the table had buckets at first */
    static struct cb_http_peer *many[5000];
    for (uint32_t i = 0; i < 5000; i++) {
        in4.sin_addr.s_addr = htonl(0x0a000000 + i);
        assert_int_equal(cb_http_peers_take(&peers, (struct sockaddr *)&in4, 1, &many[i]), 0);
    }
    assert_int_equal(peers.n_peers, 5003);
    assert_true(peers.n_buckets >= 4096);
    for (uint32_t i = 0; i < 5000; i++) {
        in4.sin_addr.s_addr = htonl(0x0a000000 + i);
        assert_int_equal(cb_http_peers_take(&peers, (struct sockaddr *)&in4, 1, &same), CB_EFULL);
        cb_http_peers_give(&peers, many[i]);
    }
    assert_int_equal(peers.n_peers, 3);
    cb_http_peers_fini(&peers);

    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in6 mapped = in6("::ffff:192.0.2.1"), plain = in6("2001:DB8::1");
    cb_http_peer_text((struct sockaddr *)&mapped, text);
    assert_string_equal(text, "192.0.2.1");
    cb_http_peer_text((struct sockaddr *)&plain, text);
    assert_string_equal(text, "2001:db8::1");
}

static void test_connections_in_all(void **state) {
    (void)state;
    struct rig rig;
    struct cb_http_opts opts = rig_opts();
    opts.connections_max = 2;
    rig_start(&rig, &opts, rig_echo);
    int64_t paused = cb_metric_get(CB_METRIC_HTTP_ACCEPT_PAUSED);
    int a = rig_connect(&rig), b = rig_connect(&rig), c = rig_connect(&rig);
    rig_say(&rig, c, GET("/c"));
    RIG_UNTIL(&rig, cb_http_connections(rig.http) == 2);
    for (int i = 0; i < 20; i++)
        rig_turn(&rig);
    assert_int_equal(cb_http_connections(rig.http), 2);
    assert_int_equal(cb_metric_get(CB_METRIC_HTTP_ACCEPT_PAUSED) - paused, 1);
    assert_int_equal(rig.n_requests, 0);
    close(a);
    free(rig_read(&rig, c, 1)); /* it waited in the backlog, and was not lost */
    close(b);
    close(c);
    rig_stop(&rig);
}

static void test_out_of_descriptors(void **state) {
    (void)state;
    struct rig rig;
    struct rlimit limit, low;
    rig_start(&rig, NULL, rig_echo);
    int64_t paused = cb_metric_get(CB_METRIC_HTTP_ACCEPT_PAUSED);
    int fd = rig_connect(&rig);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    rig_say(&rig, fd, GET("/"));
    RIG_UNTIL(&rig, cb_metric_get(CB_METRIC_HTTP_ACCEPT_PAUSED) > paused);
    /* the listener stays readable: spinning would show in the number of turns without our timer */
    int64_t end_ms = rig_real_ms() + 500;
    unsigned turns = 0;
    for (; rig_real_ms() < end_ms; turns++) {
        const struct timeval wait = {.tv_usec = 100000};
        event_base_loopexit(rig.base, &wait);
        event_base_loop(rig.base, EVLOOP_ONCE);
    }
    assert_true(turns < 40);
    assert_true(cb_metric_get(CB_METRIC_HTTP_ACCEPT_PAUSED) - paused < 10);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    free(rig_read(&rig, fd, 1));
    close(fd);
    rig_stop(&rig);
}

/* Many headers cost memory: fewer such requests of a connection are taken at once. */
static void test_headers_in_all(void **state) {
    enum { REQUESTS = 20, HEADERS = 60 };
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_hold);
    int fd = rig_connect(&rig);
    for (int i = 0; i < REQUESTS; i++) {
        rig_say(&rig, fd, "GET / HTTP/1.1\r\nHost:\r\n");
        for (int j = 1; j < HEADERS; j++)
            rig_say(&rig, fd, "a:\r\n");
        rig_say(&rig, fd, "\r\n");
    }
    for (unsigned answered = 0; answered < REQUESTS;) {
        RIG_UNTIL(&rig, rig.n_held > answered);
        for (int i = 0; i < 3; i++)
            rig_turn(&rig);
        assert_true((rig.n_held - answered) * HEADERS <= CB_HTTP_HEADERS_PENDING);
        while (answered < rig.n_held)
            cb_http_reply(rig.held[answered++], 204, NULL, NULL, 0);
    }
    free(rig_read(&rig, fd, REQUESTS));
    close(fd);
    rig_stop(&rig);
}

/* An idle connection keeps no buffers. */
static void test_idle_is_small(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_echo);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd, GET("/"));
    free(rig_read(&rig, fd, 1));
    for (int i = 0; i < 3; i++)
        rig_turn(&rig);
    const struct cb_http_conn *conn = rig.http->conns;
    assert_non_null(conn);
    assert_null(conn->in);
    assert_null(conn->out.data);
    assert_true(sizeof(*conn) <= 1024);
    close(fd);
    rig_stop(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_no_deadline_while_working),
        cmocka_unit_test(test_client_that_does_not_read),
        cmocka_unit_test(test_connections_per_address),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_connections_in_all),
        cmocka_unit_test(test_out_of_descriptors),
        cmocka_unit_test(test_headers_in_all),
        cmocka_unit_test(test_idle_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
