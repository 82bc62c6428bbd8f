/* SPDX-License-Identifier: MIT
 * What a client sends to the HTTP server, over a socket pair: all at once; cut at random places,
 * answered late and out of turn; and byte by byte. Each time the same requests must be handed over
 * and the same answers come back, in the order of the requests, and the connection must end. */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/http.h"
#include "proto/http_conn.h"
#include "proto/log.h"
#include "tests/fuzz/fuzz.h"

enum {
    INPUT_MAX = 16 * 1024,
    SINGLE_BYTES_MAX = 400, /* inputs up to this are also sent byte by byte */
    BODY_MAX = 9000,        /* over a block of input: bodies make their connection grow */
    HELD_MAX = 128,
    TURNS_MAX = 4096, /* a connection that is still there then never ends */
    ANSWERS_MAX = 4 << 20,
};

static struct event_base *base;
static struct cb_http *http;

/* One way to send an input, and what came of it. */
static struct run {
    bool late;         /* requests are answered turns later, last first */
    uint64_t requests; /* digest of what the handler was given */
    unsigned n_requests;
    struct held {
        struct cb_http_req *req;
        uint64_t digest;
    } held[HELD_MAX];
    unsigned n_held;
    struct cb_buf answers;
} run;

static int64_t still_us(void) {
    return INT64_C(1700000000000000);
}

static uint64_t request_digest(const struct cb_http_req *req) {
    uint64_t digest = FUZZ_DIGEST_START;
    fuzz_digest_u64(&digest, req->method);
    fuzz_digest_str(&digest, req->path);
    fuzz_digest_str(&digest, req->query);
    fuzz_digest_str(&digest, req->body);
    fuzz_digest_u64(&digest, req->keep_alive);
    for (unsigned i = 0; i < req->n_headers; i++) {
        fuzz_digest_str(&digest, req->headers[i].name);
        fuzz_digest_str(&digest, req->headers[i].value);
    }
    return digest;
}

static bool has_no_line_end(struct cb_str s) {
    return !s.len ||
           (!memchr(s.p, '\r', s.len) && !memchr(s.p, '\n', s.len) && !memchr(s.p, '\0', s.len));
}

static void check_request(const struct cb_http_req *req) {
    unsigned pad = 0, lengths = 0, codings = 0, hosts = 0;
    for (unsigned i = 0; i < CB_HTTP_BODY_PAD; i++)
        pad |= (unsigned char)*(volatile const char *)&req->body.p[req->body.len + i];
    FUZZ_CHECK(pad <= 255);
    FUZZ_CHECK(req->body.len <= BODY_MAX);
    FUZZ_CHECK(req->path.len >= 1 && req->path.p[0] == '/');
    FUZZ_CHECK(has_no_line_end(req->path) && has_no_line_end(req->query));
    FUZZ_CHECK(!memchr(req->path.p, ' ', req->path.len));
    FUZZ_CHECK(req->n_headers <= CB_HTTP_HEADERS_MAX);
    for (unsigned i = 0; i < req->n_headers; i++) {
        struct cb_str name = req->headers[i].name;
        FUZZ_CHECK(name.len > 0 && has_no_line_end(name) && has_no_line_end(req->headers[i].value));
        FUZZ_CHECK(!memchr(name.p, ' ', name.len) && !memchr(name.p, ':', name.len));
        lengths += name.len == 14 && !strncasecmp(name.p, "content-length", 14);
        codings += name.len == 17 && !strncasecmp(name.p, "transfer-encoding", 17);
        hosts += name.len == 4 && !strncasecmp(name.p, "host", 4);
    }
    FUZZ_CHECK(lengths + codings <= 1 && hosts <= 1);
    FUZZ_CHECK(lengths + codings == 1 || req->body.len == 0);
}

static void answer(struct cb_http_req *req, uint64_t digest) {
    char text[32];
    int n = snprintf(text, sizeof text, "%016llx\n", (unsigned long long)digest);
    cb_http_reply(req, 200, NULL, text, (size_t)n);
}

static void handle(struct cb_http_req *req, void *user) {
    (void)user;
    check_request(req);
    uint64_t digest = request_digest(req);
    fuzz_digest_u64(&run.requests, digest);
    run.n_requests++;
    if (!run.late || run.n_held == HELD_MAX) {
        answer(req, digest);
        return;
    }
    run.held[run.n_held++] = (struct held){req, digest};
    if (digest & 1) /* what the others say must stay */
        cb_http_read(req);
}

/* One turn of the server, and what it answered. Returns false when the server closed. */
static bool turn(int fd) {
    FUZZ_CHECK(event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE) >= 0);
    FUZZ_CHECK(cb_buf_reserve(&run.answers, 65536) == 0);
    ssize_t n = recv(fd, run.answers.data + run.answers.len, 65536, MSG_DONTWAIT);
    if (n > 0)
        run.answers.len += (size_t)n;
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static void answer_held(void) {
    struct held held[HELD_MAX];
    unsigned n = run.n_held;
    memcpy(held, run.held, n * sizeof *held);
    run.n_held = 0;
    while (n-- > 0) {
        if (!(held[n].digest & 1))
            FUZZ_CHECK(request_digest(held[n].req) == held[n].digest);
        answer(held[n].req, held[n].digest);
    }
}

static void connection_open(int fds[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    const struct sockaddr *from = (const struct sockaddr *)&address;
    struct cb_http_peer *peer;
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    FUZZ_CHECK(cb_http_peers_take(&http->peers, from, 8, &peer) == 0);
    FUZZ_CHECK(cb_http_conn_create(http, fds[0], peer, from) == 0);
}

/* The end of what the client sends is no reason to lose an answer, so it comes last. */
static void connection_close(int fd) {
    bool quiet = false;
    for (int i = 0; !quiet; i++) {
        size_t before = run.answers.len;
        unsigned n = run.n_requests;
        answer_held();
        bool open = turn(fd);
        open = turn(fd) && open;
        quiet = !open || (before == run.answers.len && n == run.n_requests && run.n_held == 0);
        FUZZ_CHECK(i < TURNS_MAX);
    }
    FUZZ_CHECK(shutdown(fd, SHUT_WR) == 0 || errno == ENOTCONN);
    for (int i = 0; cb_http_connections(http) > 0; i++) {
        FUZZ_CHECK(i < TURNS_MAX);
        turn(fd);
    }
    close(fd);
}

/* Takes "100 Continue" out, which is sent only while a body has not arrived: that depends on the
 * cuts. Answers hold no text of the client's. */
static void drop_continues(struct cb_buf *answers) {
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const size_t len = sizeof go_on - 1;
    char *at = answers->data;
    while (answers->len &&
           (at = memmem(at, answers->len - (size_t)(at - answers->data), go_on, len))) {
        answers->len -= len;
        memmove(at, at + len, answers->len - (size_t)(at - answers->data));
    }
}

/* Sends data in pieces of up to piece_max bytes (their lengths from *seed; 0: all at once). */
static void send_all(const uint8_t *data, size_t len, size_t piece_max, bool late, uint64_t *seed) {
    int fds[2];
    run.late = late;
    run.requests = FUZZ_DIGEST_START;
    run.n_requests = run.n_held = 0;
    cb_buf_clear(&run.answers);
    connection_open(fds);
    for (size_t sent = 0; sent < len;) {
        size_t n = piece_max ? 1 + fuzz_random(seed) % piece_max : len;
        n = n < len - sent ? n : len - sent;
        ssize_t rc = send(fds[1], data + sent, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (rc < 0 && errno != EAGAIN)
            break; /* refused, and closed */
        sent += rc > 0 ? (size_t)rc : 0;
        if (!turn(fds[1]))
            break;
        if (late && fuzz_random(seed) % 4 == 0)
            answer_held();
    }
    connection_close(fds[1]);
    drop_continues(&run.answers);
}

/* Every request got its answer: as many good ones as requests, and at most one refusal behind. */
static void check_answers(void) {
    unsigned n_good = 0, n_bad = 0;
    const char *at = run.answers.data, *end = at + run.answers.len;
    static const char line[] = "HTTP/1.1 ";
    while (run.answers.len && (at = memmem(at, (size_t)(end - at), line, sizeof line - 1))) {
        at += sizeof line - 1;
        if (*at == '2') {
            FUZZ_CHECK(n_bad == 0);
            n_good++;
        } else {
            FUZZ_CHECK(*at == '4');
            n_bad++;
        }
    }
    FUZZ_CHECK(n_good == run.n_requests && n_bad <= 1);
}

static void setup(void) {
    static const struct cb_clock_ops clock = {still_us, still_us};
    struct cb_http_opts opts = {.host = "127.0.0.1",
                                .body_max_bytes = BODY_MAX,
                                .connections_max = 8,
                                .per_address_max = 8,
                                .head_timeout_ms = 10000,
                                .body_timeout_ms = 10000,
                                .idle_timeout_ms = 10000,
                                .write_timeout_ms = 10000,
                                .stream_max_bytes = 65536,
                                .error_headers = "Access-Control-Allow-Origin: *\r\n"};
    char *sentence = NULL;
    cb_clock_replace(&clock);
    cb_buf_init(&run.answers, ANSWERS_MAX);
    base = event_base_new();
    FUZZ_CHECK(base);
    FUZZ_CHECK(cb_http_create(base, &opts, true, handle, NULL, &http, &sentence) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    uint64_t seed = FUZZ_DIGEST_START;
    if (len > INPUT_MAX)
        return 0;
    if (!http)
        setup();
    fuzz_digest(&seed, data, len);
    seed |= 1;
    send_all(data, len, 0, false, &seed);
    check_answers();
    uint64_t requests = run.requests;
    struct cb_buf answers = run.answers;
    cb_buf_init(&run.answers, ANSWERS_MAX);
    for (int i = 0; i < 3; i++) {
        if (i == 2 && len > SINGLE_BYTES_MAX)
            break;
        size_t piece_max = i == 2 ? 1 : i == 1 ? 1 + len / 4 : 1 + len / 16;
        send_all(data, len, piece_max, i == 1, &seed);
        check_answers();
        FUZZ_CHECK(run.requests == requests);
        FUZZ_CHECK(cb_str_eq((struct cb_str){run.answers.data, run.answers.len},
                             (struct cb_str){answers.data, answers.len}));
    }
    cb_buf_fini(&answers);
    return 0;
}
