/* SPDX-License-Identifier: MIT
 * Answers of the HTTP server: order, keep-alive, bodiless ones, late ones, set-up and drain. */
#include "proto/http_conn.h"
#include "tests/proto/http_rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void test_keep_alive(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_echo);
    int fd = rig_connect(&rig);
    for (int i = 0; i < 3; i++) {
        rig_say(&rig, fd, GET("/again"));
        char *answer = rig_read(&rig, fd, 1);
        assert_contains(answer, "X-Test: 1\r\n");
        assert_null(strstr(answer, "Connection:"));
        free(answer);
    }
    rig_say(&rig, fd,
            "GET /last HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n" GET("/never"));
    char *answer = rig_read_all(&rig, fd);
    assert_contains(answer, "Connection: close\r\n");
    assert_null(strstr(answer, "/never"));
    free(answer);
    close(fd);

    fd = rig_connect(&rig);
    rig_say(&rig, fd, "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    answer = rig_read(&rig, fd, 1);
    assert_contains(answer, "Connection: keep-alive\r\n");
    free(answer);
    rig_say(&rig, fd, "GET /old HTTP/1.0\r\n\r\n");
    answer = rig_read_all(&rig, fd);
    assert_contains(answer, "Connection: close\r\n");
    free(answer);
    close(fd);
    RIG_UNTIL(&rig, cb_http_connections(rig.http) == 0);
    rig_stop(&rig);
}

static void test_answers_in_order(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_hold);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd, GET("/1") GET("/2") GET("/3") GET("/4"));
    RIG_UNTIL(&rig, rig.n_held == 4);
    assert_string_equal(rig.held[0]->peer, "127.0.0.1");
    assert_true(rig.held[0]->received_ms > 0);
    assert_null(rig.held[0]->user);
    cb_http_reply(rig.held[2], 200, NULL, "third", 5);
    cb_http_reply(rig.held[3], 404, NULL, "fourth", 6);
    rig_turn(&rig);
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    cb_http_reply(rig.held[0], 200, NULL, "first", 5);
    char *answer = rig_read(&rig, fd, 1);
    assert_contains(answer, "first");
    free(answer);
    cb_http_reply(rig.held[1], 200, NULL, "second", 6);
    answer = rig_read(&rig, fd, 3);
    char *second = strstr(answer, "second"), *third = strstr(answer, "third"),
         *fourth = strstr(answer, "fourth");
    assert_true(second && third && fourth && second < third && third < fourth);
    assert_contains(third, "HTTP/1.1 404 Not Found\r\n");
    free(answer);
    close(fd);
    rig_stop(&rig);
}

static void test_not_read_while_waiting(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_hold);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd, GET("/1"));
    RIG_UNTIL(&rig, rig.n_held == 1);
    rig_say(&rig, fd, GET("/2"));
    for (int i = 0; i < 5; i++)
        rig_turn(&rig);
    assert_int_equal(rig.n_held, 1);
    cb_http_reply(rig.held[0], 204, NULL, NULL, 0);
    RIG_UNTIL(&rig, rig.n_held == 2);
    assert_true(cb_str_is(rig.held[1]->path, "/2"));
    cb_http_reply(rig.held[1], 204, NULL, NULL, 0);
    free(rig_read(&rig, fd, 2));
    close(fd);
    rig_stop(&rig);
}

static void read_and_hold(struct cb_http_req *req, void *user) {
    rig_hold(req, user);
    cb_http_read(req);
    assert_int_equal(req->path.len + req->query.len + req->body.len + req->n_headers, 0);
    assert_null(cb_http_header(req, "host"));
}

static void hold_and_read_first(struct cb_http_req *req, void *user) {
    rig_hold(req, user);
    if (cb_str_is(req->path, "/1"))
        cb_http_read(req);
}

/* A request that was read keeps no memory of the input while it waits, and those behind it keep
 * theirs. */
static void test_read(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, read_and_hold);
    int fds[2] = {rig_connect(&rig), rig_connect(&rig)};
    for (int round = 0; round < 3; round++) {
        rig.n_held = 0;
        for (int i = 0; i < 2; i++)
            rig_say(&rig, fds[i], i ? GET("/2?x") : "HEAD /1 HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
        RIG_UNTIL(&rig, rig.n_held == 2);
        for (const struct cb_http_conn *c = rig.http->conns; c; c = c->next)
            assert_true(!c->in && c->n_requests == 1);
        for (int i = 0; i < 2; i++) {
            bool head = rig.held[i]->method == CB_HTTP_HEAD;
            cb_http_reply(rig.held[i], 200, NULL, head ? "" : "two", head ? 0 : 3);
        }
        for (int i = 0; i < 2; i++)
            free(rig_read(&rig, fds[i], 1));
    }
    close(fds[0]);
    close(fds[1]);
    rig_stop(&rig);

    rig_start(&rig, NULL, hold_and_read_first);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd, GET("/1") "POST /2 HTTP/1.1\r\nHost: b\r\nContent-Length: 4\r\n\r\nbo");
    RIG_UNTIL(&rig, rig.n_held == 1);
    rig_say(&rig, fd, "dy" GET("/3"));
    cb_http_reply(rig.held[0], 200, NULL, "one", 3);
    free(rig_read(&rig, fd, 1));
    RIG_UNTIL(&rig, rig.n_held == 3);
    assert_true(cb_str_is(rig.held[1]->body, "body"));
    assert_true(cb_str_is(*cb_http_header(rig.held[1], "host"), "b"));
    cb_http_read(rig.held[1]);
    assert_true(cb_str_is(rig.held[2]->path, "/3"));
    cb_http_reply(rig.held[2], 200, NULL, "three", 5);
    cb_http_reply(rig.held[1], 200, NULL, "two", 3);
    free(rig_read(&rig, fd, 2));
    close(fd);
    rig_stop(&rig);
}

/* What comes behind a request that ends the connection is not taken, even before its answer. */
static void test_nothing_behind_the_last(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_hold);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd, "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/2"));
    RIG_UNTIL(&rig, rig.n_held > 0);
    assert_int_equal(rig.n_held, 1);
    cb_http_reply(rig.held[0], 200, NULL, "one", 3);
    free(rig_read_all(&rig, fd));
    assert_int_equal(rig.n_held, 1);
    close(fd);
    rig_stop(&rig);
}

static void test_long_pipeline(void **state) {
    enum { N = 200 };
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_hold);
    int fd = rig_connect(&rig);
    for (int i = 0; i < N; i++)
        rig_say(&rig, fd, GET("/"));
    for (unsigned answered = 0; answered < N;) {
        RIG_UNTIL(&rig, rig.n_held > answered);
        assert_true(rig.n_held - answered <= CB_HTTP_PIPELINE_MAX);
        while (answered < rig.n_held)
            cb_http_reply(rig.held[answered++], 200, NULL, "x", 1);
    }
    char *answer = rig_read(&rig, fd, N);
    free(answer);
    close(fd);
    rig_stop(&rig);
}

static void bodiless(struct cb_http_req *req, void *user) {
    (void)user;
    int status = cb_str_is(req->path, "/204") ? 204 : cb_str_is(req->path, "/304") ? 304 : 200;
    cb_http_reply(req, status, "ETag: \"x\"\r\n", "hello", 5);
}

static void test_bodiless(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, bodiless);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd,
            GET("/204") GET("/304") "HEAD /200 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    char *answer = rig_read_all(&rig, fd);
    assert_contains(answer, "HTTP/1.1 204 No Content\r\n");
    assert_contains(answer, "HTTP/1.1 304 Not Modified\r\n");
    assert_contains(answer, "HTTP/1.1 200 OK\r\n");
    assert_int_equal(rig_count(answer, "Content-Length: "), 1);
    assert_contains(answer, "Content-Length: 5\r\n");
    assert_int_equal(rig_count(answer, "ETag: \"x\"\r\n"), 3);
    assert_null(strstr(answer, "hello"));
    free(answer);
    close(fd);
    rig_stop(&rig);
}

static void test_expect_continue(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_hold);
    int fd = rig_connect(&rig);
    /* behind a request that waits: 100 must not overtake its answer */
    rig_say(&rig, fd,
            GET("/1") "POST /2 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                      "Content-Length: 5\r\n\r\n");
    RIG_UNTIL(&rig, rig.n_held == 1);
    cb_http_reply(rig.held[0], 200, NULL, "one", 3);
    char *answer = rig_read(&rig, fd, 2);
    const char *go_on = strstr(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_true(go_on && go_on > strstr(answer, "one"));
    free(answer);
    rig_say(&rig, fd, "hel");
    rig_turn(&rig);
    rig_say(&rig, fd, "lo");
    RIG_UNTIL(&rig, rig.n_held == 2);
    assert_true(cb_str_is(rig.held[1]->body, "hello"));
    cb_http_reply(rig.held[1], 200, NULL, "two", 3);
    answer = rig_read(&rig, fd, 1);
    assert_null(strstr(answer, "100 Continue"));
    free(answer);
    /* refused by its length: no 100 */
    rig_say(&rig, fd,
            "POST /3 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999\r\n\r\n");
    answer = rig_read_all(&rig, fd);
    assert_contains(answer, "HTTP/1.1 413 ");
    assert_null(strstr(answer, "100 Continue"));
    free(answer);
    close(fd);
    rig_stop(&rig);
}

static void reset(int fd) {
    const struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
}

/* Requests of a client that is gone stay as they are until they are answered. */
static void test_client_gone(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_hold);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd,
            GET("/1") "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" GET("/3"));
    RIG_UNTIL(&rig, rig.n_held == 3);
    reset(fd);
    for (int i = 0; i < 5; i++)
        rig_turn(&rig);
    cb_http_reply(rig.held[0], 200, NULL, "x", 1);
    for (int i = 0; i < 5; i++)
        rig_turn(&rig);
    assert_int_equal(cb_http_connections(rig.http), 1);
    assert_true(cb_str_is(rig.held[1]->path, "/2"));
    assert_true(cb_str_is(rig.held[1]->body, "body"));
    assert_true(cb_str_is(*cb_http_header(rig.held[2], "host"), "a"));
    cb_http_reply(rig.held[2], 200, NULL, "x", 1);
    cb_http_reply(rig.held[1], 200, NULL, "x", 1);
    RIG_UNTIL(&rig, cb_http_connections(rig.http) == 0);

    fd = rig_connect(&rig);
    rig_say(&rig, fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo");
    rig_turn(&rig);
    close(fd); /* in the middle of a body */
    RIG_UNTIL(&rig, cb_http_connections(rig.http) == 0);
    assert_int_equal(rig.n_held, 3);
    rig_stop(&rig);
}

/* A client that closes its sending side still gets its answer. */
static void test_half_close(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_hold);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd, GET("/"));
    shutdown(fd, SHUT_WR);
    RIG_UNTIL(&rig, rig.n_held == 1);
    for (int i = 0; i < 5; i++)
        rig_turn(&rig);
    cb_http_reply(rig.held[0], 200, NULL, "late", 4);
    char *answer = rig_read_all(&rig, fd);
    assert_contains(answer, "late");
    free(answer);
    close(fd);
    rig_stop(&rig);
}

/* A client's last bytes and its end arrive together: nobody tells of the end once more, and it is
 * seen all the same, not only by a deadline (the clock stands still). */
static void test_end_with_the_last_bytes(void **state) {
    static const char *const texts[] = {GET("/"), GET("/") GET("/"), GET("/") "GET / HT", "GET",
                                        ""};
    static const unsigned answers[] = {1, 2, 1, 0, 0};
    (void)state;
    rig_clock_replace(true);
    struct rig rig;
    rig_start(&rig, NULL, rig_echo);
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (int known = 0; known < 2; known++) { /* before or behind its accept */
            int fd = rig_connect(&rig);
            if (known)
                RIG_UNTIL(&rig, cb_http_connections(rig.http) == 1);
            assert_int_equal(send(fd, texts[i], strlen(texts[i]), MSG_NOSIGNAL), strlen(texts[i]));
            shutdown(fd, SHUT_WR);
            char *answer = rig_read_all(&rig, fd);
            assert_int_equal(rig_count(answer, "200 OK"), answers[i]);
            free(answer);
            close(fd);
            RIG_UNTIL(&rig, cb_http_connections(rig.http) == 0);
        }
    }
    rig_stop(&rig);
    rig_clock_replace(false);
}

/* More is in the socket than is read at once: requests, and what a refused client still sends. */
static void test_more_than_is_read_at_once(void **state) {
    enum { N = 500, MUCH = 2000000 };
    static const char one[] =
        "GET /one-of-many-requests-that-are-long-enough-to-fill-the-input-soon "
        "HTTP/1.1\r\nHost: a.host.with.a.long.name.example.com\r\n\r\n";
    (void)state;
    rig_clock_replace(true);
    struct rig rig;
    rig_start(&rig, NULL, rig_echo);
    struct cb_buf text;
    cb_buf_init(&text, 1 << 20);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(cb_buf_append(&text, one, sizeof(one) - 1), 0);
    int fd = rig_connect(&rig);
    ssize_t n = send(fd, text.data, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    assert_true(n > 4 * 8192); /* before the server's first look */
    rig_send(&rig, fd, text.data + n, text.len - (size_t)n);
    shutdown(fd, SHUT_WR);
    char *answers = rig_read_all(&rig, fd);
    assert_int_equal(rig_count(answers, "200 OK"), N);
    free(answers);
    close(fd);

    char *much = calloc(1, MUCH);
    assert_non_null(much);
    memcpy(much, "nonsense", 8);
    for (size_t len = MUCH / 20; len <= MUCH; len += MUCH / 20) {
        fd = rig_connect(&rig);
        n = send(fd, much, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        assert_true(n > 0 && rig_send(&rig, fd, much + n, len - (size_t)n));
        shutdown(fd, SHUT_WR);
        char *answer = rig_read_all(&rig, fd); /* a reset would fail */
        assert_contains(answer, "400 Bad Request");
        free(answer);
        RIG_UNTIL(&rig, cb_http_connections(rig.http) == 0); /* all was read, and its end */
        close(fd);
    }
    free(much);
    cb_buf_fini(&text);
    rig_stop(&rig);
    rig_clock_replace(false);
}

static void big(struct cb_http_req *req, void *user) {
    enum { LEN = 5 << 20 };
    (void)user;
    char *body = malloc(LEN);
    assert_non_null(body);
    for (size_t i = 0; i < LEN; i++)
        body[i] = (char)('a' + i % 26);
    cb_http_reply(req, 200, NULL, body, LEN);
    free(body);
}

static void test_big_answers(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, big);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd, GET("/") "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    char *answer = rig_read_all(&rig, fd);
    assert_int_equal(rig_count(answer, "200 OK"), 2);
    const char *body = strstr(answer, "\r\n\r\n") + 4;
    for (size_t i = 0; i < 5 << 20; i++)
        assert_true(body[i] == (char)('a' + i % 26));
    free(answer);
    close(fd);
    rig_stop(&rig);
}

static void test_destroy_with_everything_open(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_hold);
    int waiting = rig_connect(&rig), half = rig_connect(&rig), idle = rig_connect(&rig);
    rig_say(&rig, waiting, GET("/1") GET("/2"));
    rig_say(&rig, half, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo");
    RIG_UNTIL(&rig, rig.n_held == 2 && cb_http_connections(rig.http) == 3);
    cb_http_reply(rig.held[1], 200, NULL, "held back", 9);
    rig_stop(&rig); /* the sanitizer would tell of a leak */
    assert_int_equal(cb_metric_get(CB_METRIC_HTTP_CONNECTIONS), 0);
    close(waiting);
    close(half);
    close(idle);
}

static void test_drain(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_hold);
    uint16_t port = cb_http_port(rig.http);
    int idle = rig_connect(&rig), waiting = rig_connect(&rig), half = rig_connect(&rig),
        sent = rig_connect(&rig);
    rig_say(&rig, waiting, GET("/1") GET("/2"));
    rig_say(&rig, half, "GET /half HTTP/1.1\r\n");
    RIG_UNTIL(&rig, rig.n_held == 2 && cb_http_connections(rig.http) == 4);
    rig_turn(&rig);
    rig_say(&rig, sent, GET("/sent"));
    cb_http_drain(rig.http);
    assert_int_equal(rig.n_held, 3); /* what had arrived is not lost */
    char *nothing = rig_read_all(&rig, idle);
    assert_string_equal(nothing, "");
    free(nothing);
    close(idle);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&to, sizeof(to)), -1);
    close(late);

    rig_say(&rig, half, "Host: a\r\n\r\n");
    RIG_UNTIL(&rig, rig.n_held == 4);
    for (int i = 0; i < 4; i++)
        cb_http_reply(rig.held[i], 200, NULL, "done", 4);
    const int fds[] = {waiting, half, sent};
    for (int i = 0; i < 3; i++) {
        char *answer = rig_read_all(&rig, fds[i]);
        assert_int_equal(rig_count(answer, "done"), i == 0 ? 2 : 1);
        assert_int_equal(rig_count(answer, "Connection: close"), 1);
        free(answer);
        close(fds[i]);
    }
    RIG_UNTIL(&rig, cb_http_connections(rig.http) == 0);
    rig_stop(&rig);
}

static int create(struct rig *rig, struct cb_http_opts opts, bool first, struct cb_http **out,
                  char **sentence) {
    return cb_http_create(rig->base, &opts, first, rig_echo, rig, out, sentence);
}

static void test_listening(void **state) {
    (void)state;
    struct rig rig;
    struct cb_http_opts opts = rig_opts();
    struct cb_http *other = NULL;
    char *sentence = NULL, expected[64];
    rig_start(&rig, NULL, rig_echo);
    opts.port = cb_http_port(rig.http);
    assert_true(opts.port > 0);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u is in use", opts.port);
    assert_int_equal(create(&rig, opts, true, &other, &sentence), CB_EBUSY);
    assert_string_equal(sentence, expected);
    free(sentence);
    /* a second thread of the same server shares the port */
    assert_int_equal(create(&rig, opts, false, &other, &sentence), 0);
    assert_null(sentence);
    assert_int_equal(cb_http_port(other), opts.port);
    cb_http_destroy(&other);
    cb_http_destroy(&other); /* NULL is fine */

    snprintf(opts.host, sizeof(opts.host), "256.1.1.1.");
    assert_int_equal(create(&rig, opts, true, &other, &sentence), CB_EINVAL);
    assert_contains(sentence, "256.1.1.1.:");
    free(sentence);
    snprintf(opts.host, sizeof(opts.host), "192.0.2.1"); /* not ours (RFC 5737) */
    assert_int_equal(create(&rig, opts, true, &other, &sentence), CB_ESYS);
    assert_contains(sentence, "192.0.2.1:");
    free(sentence);
    rig_stop(&rig);

    /* the port is free at once after a server with connections */
    rig_start(&rig, NULL, rig_echo);
    uint16_t port = cb_http_port(rig.http);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd, GET("/"));
    free(rig_read(&rig, fd, 1));
    rig_stop(&rig);
    opts = rig_opts();
    opts.port = port;
    rig_start(&rig, &opts, rig_echo);
    close(fd);
    rig_stop(&rig);
}

static void test_ipv6(void **state) {
    (void)state;
    struct rig rig;
    struct cb_http_opts opts = rig_opts();
    snprintf(opts.host, sizeof(opts.host), "::1");
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        skip(); /* this machine has no IPv6 */
    }
    close(fd);
    rig_start(&rig, &opts, rig_hold);
    to.sin6_port = htons(cb_http_port(rig.http));
    fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    rig_say(&rig, fd, GET("/"));
    RIG_UNTIL(&rig, rig.n_held == 1);
    assert_string_equal(rig.held[0]->peer, "::1");
    close(fd);
    rig_stop(&rig);
}

static void test_date(void **state) {
    (void)state;
    struct rig rig;
    rig_clock_replace(true);
    rig_time_us = INT64_C(784111777) * 1000000; /* the moment of RFC 9110, section 5.6.7 */
    rig_start(&rig, NULL, rig_echo);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd, GET("/"));
    char *answer = rig_read(&rig, fd, 1);
    assert_contains(answer, "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    free(answer);
    rig_clock_pass(1000);
    rig_say(&rig, fd, GET("/"));
    answer = rig_read(&rig, fd, 1);
    assert_contains(answer, "\r\nDate: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
    free(answer);
    close(fd);
    rig_stop(&rig);
    rig_clock_replace(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_answers_in_order),
        cmocka_unit_test(test_not_read_while_waiting),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_nothing_behind_the_last),
        cmocka_unit_test(test_long_pipeline),
        cmocka_unit_test(test_bodiless),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_client_gone),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_end_with_the_last_bytes),
        cmocka_unit_test(test_more_than_is_read_at_once),
        cmocka_unit_test(test_big_answers),
        cmocka_unit_test(test_destroy_with_everything_open),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_listening),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
