/* SPDX-License-Identifier: MIT
 * Promises of proto/http_known.c: what is read as a head that came before is what the scan and the
 * parser make of it, and nothing else is; and a server that knows heads sees what changed. */
#include "proto/http_conn.h"
#include "tests/proto/guard.h"
#include "tests/proto/http_rig.h"

#define HEAD(text) text, sizeof(text) - 1

static const struct {
    const char *text;
    size_t len;
} heads[] = {
    {HEAD("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {HEAD("POST /v1/events?ack=queued HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")},
    {HEAD("POST /v1/events HTTP/1.1\r\nhost: beacons.example.com\r\nConnection: keep-alive\r\n"
          "content-LENGTH:  274 \r\nUser-Agent: Mozilla/5.0 (X11)\r\nContent-Type: text/plain\r\n"
          "X-Empty:\r\nAccept-Language: de-DE,de;q=0.9\r\n\r\n")},
    {HEAD("PUT /%20? HTTP/1.1\r\nContent-Length: 12345\r\nHost: [::1]:80\r\n\r\n")},
};
enum { N_HEADS = sizeof(heads) / sizeof(heads[0]) };

/* As a connection reads a head that it does not know; 0 where it is refused or not complete. */
static size_t parse(const char *data, size_t len, struct cb_http_request *req, uint32_t *hash) {
    struct cb_http_scan scan = {0};
    size_t head_len;
    if (cb_http_head_scan(&scan, data, len, &head_len) != CB_REFUSE_NONE || head_len == 0 ||
        cb_http_head_parse(data, head_len, req) != CB_REFUSE_NONE)
        return 0;
    *hash = cb_http_known_hash(&scan, data, head_len);
    return head_len;
}

static void assert_same_str(struct cb_str a, struct cb_str b) {
    assert_ptr_equal(a.p, b.p);
    assert_int_equal(a.len, b.len);
}

static void assert_same(const struct cb_http_request *a, const struct cb_http_request *b) {
    assert_int_equal(a->pub.method, b->pub.method);
    assert_same_str(a->pub.path, b->pub.path);
    assert_same_str(a->pub.query, b->pub.query);
    assert_int_equal(a->pub.n_headers, b->pub.n_headers);
    assert_ptr_equal(a->pub.headers, a->headers);
    for (unsigned i = 0; i < a->pub.n_headers; i++) {
        assert_same_str(a->headers[i].name, b->headers[i].name);
        assert_same_str(a->headers[i].value, b->headers[i].value);
    }
    assert_int_equal(a->content_length, b->content_length);
    assert_int_equal(a->pub.keep_alive, b->pub.keep_alive);
    assert_int_equal(a->http10, b->http10);
    assert_int_equal(a->chunked, b->chunked);
    assert_int_equal(a->expect, b->expect);
}

/* Keeps a head; returns its hash. */
static uint32_t keep(struct cb_http_known *known, const char *text, size_t len) {
    struct cb_http_request req = {0};
    uint32_t hash = 0;
    assert_int_equal(parse(text, len, &req, &hash), len);
    cb_http_known_keep(known, hash, text, len, &req);
    free(req.headers);
    return hash;
}

/* Reads data as the kept head and, where that is one, as any other. Returns its length. */
static size_t read_both(const struct cb_http_known *known, uint32_t hash, const char *data,
                        size_t len) {
    struct cb_http_request fast = {0}, slow = {0};
    uint32_t other_hash = 0;
    size_t head_len = cb_http_known_read(known, hash, data, len, &fast);
    if (head_len) {
        assert_int_equal(parse(data, len, &slow, &other_hash), head_len);
        assert_int_equal(other_hash, hash); /* else a new connection would not find it */
        assert_same(&fast, &slow);
    }
    free(fast.headers);
    free(slow.headers);
    return head_len;
}

static void test_equal_bytes(void **state) {
    (void)state;
    for (unsigned i = 0; i < N_HEADS; i++) {
        struct cb_http_known known = {{0}};
        struct guard guard;
        guard_init(&guard, heads[i].len + 8);
        uint32_t hash = keep(&known, heads[i].text, heads[i].len);
        char *data = (char *)guard_put(&guard, heads[i].text, heads[i].len);
        assert_int_equal(read_both(&known, hash, data, heads[i].len), heads[i].len);
        for (size_t cut = 0; cut < heads[i].len; cut++) {
            data = (char *)guard_put(&guard, heads[i].text, cut);
            assert_int_equal(read_both(&known, hash, data, cut), 0);
        }
        data = (char *)guard_put(&guard, heads[i].text, heads[i].len) - 8;
        memmove(data, data + 8, heads[i].len);
        memcpy(data + heads[i].len, "and more", 8);
        assert_int_equal(read_both(&known, hash, data, heads[i].len + 8), heads[i].len);
        guard_fini(&guard);
        cb_http_known_fini(&known);
    }
}

/* Wherever a byte is changed, left out or put in: it is another head, or another good length. */
static void test_other_bytes(void **state) {
    (void)state;
    unsigned lengths = 0;
    for (unsigned i = 0; i < N_HEADS; i++) {
        struct cb_http_known known = {{0}};
        struct guard guard;
        size_t len = heads[i].len;
        guard_init(&guard, len + 1);
        uint32_t hash = keep(&known, heads[i].text, len);
        char *data = (char *)guard_put(&guard, heads[i].text, len);
        for (size_t at = 0; at < len; at++) {
            for (unsigned c = 0; c < 256; c++) {
                if (data[at] == (char)c)
                    continue;
                char right = data[at];
                data[at] = (char)c;
                lengths += read_both(&known, hash, data, len) > 0;
                data[at] = right;
            }
        }
        for (size_t at = 0; at < len; at++) {
            data = (char *)guard_put(&guard, heads[i].text, len) - 1;
            memmove(data, data + 1, at);
            data[at] = '9';
            lengths += read_both(&known, hash, data, len + 1) > 0;
            data = (char *)guard_put(&guard, heads[i].text, len);
            memmove(data + 1, data, at);
            lengths += read_both(&known, hash, data + 1, len - 1) > 0;
        }
        guard_fini(&guard);
        cb_http_known_fini(&known);
    }
    /* Of the lengths 1, 274 and 12345: another digit (no zero first), a 9 more, a digit less. */
    assert_int_equal(lengths, (9 + 26 + 44) + (2 + 4 + 6) + (0 + 3 + 5));
}

static void test_lengths(void **state) {
    static const struct {
        const char *digits;
        bool good;
    } lengths[] = {
        {"0", true},    {"7", true},          {"65536", true}, {"999999999999999999", true},
        {"", false},    {"01", false},        {"00", false},   {"1000000000000000000", false},
        {"-1", false},  {"+1", false},        {"1 1", false},  {"0x1", false},
        {"1,1", false}, {"1\r\nX: 1", false}, {" 1", false},
    };
    (void)state;
    struct cb_http_known known = {{0}};
    uint32_t hash = keep(&known, heads[1].text, heads[1].len);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        char data[256];
        int len = snprintf(data, sizeof(data),
                           "POST /v1/events?ack=queued HTTP/1.1\r\nHost: a\r\nContent-Length: "
                           "%s\r\n\r\n",
                           lengths[i].digits);
        size_t got = read_both(&known, hash, data, (size_t)len);
        if (got != (lengths[i].good ? (size_t)len : 0))
            fail_msg("\"%s\": %zu", lengths[i].digits, got);
    }
    cb_http_known_fini(&known);
}

static void test_what_is_not_kept(void **state) {
    static const char *const texts[] = {
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nauthorization: Bearer secret\r\n\r\n",
    };
    (void)state;
    struct cb_http_known known = {{0}};
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        keep(&known, texts[i], strlen(texts[i]));
    char large[CB_HTTP_KNOWN_BYTES + 64];
    int len = snprintf(large, sizeof(large), "GET / HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n",
                       CB_HTTP_KNOWN_BYTES, 0);
    keep(&known, large, (size_t)len);
    for (unsigned i = 0; i < CB_HTTP_KNOWN_MAX; i++)
        assert_null(known.heads[i]);
    cb_http_known_fini(&known);
}

static unsigned n_kept(const struct rig *rig) {
    unsigned n = 0;
    for (unsigned i = 0; i < CB_HTTP_KNOWN_MAX; i++)
        n += rig->http->known.heads[i] != NULL;
    return n;
}

#define POST(more, length, body)                                                                   \
    "POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: " length "\r\nX: 1" more "\r\n\r\n" body

static void test_a_server_sees_what_changed(void **state) {
    static const struct {
        const char *request, *echo;
    } course[] = {
        {POST("", "2", "ab"), "POST [/a] [b] Host={h} Content-Length={2} X={1} body=2:ab"},
        {POST("", "3", "abc"), "POST [/a] [b] Host={h} Content-Length={3} X={1} body=3:abc"},
        {POST("", "12", "abcdefghijkl"), "Content-Length={12} X={1} body=12:abcdefghijkl"},
        {POST("", "0", ""), "POST [/a] [b] Host={h} Content-Length={0} X={1} body=0:"},
        {POST("2", "2", "ab"), "POST [/a] [b] Host={h} Content-Length={2} X={12} body=2:ab"},
        {POST("", "2", "ab"), "POST [/a] [b] Host={h} Content-Length={2} X={1} body=2:ab"},
        {"POST /A?b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nX: 1\r\n\r\nab",
         "POST [/A] [b] Host={h} Content-Length={2} X={1} body=2:ab"},
        {"POST /a?b HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\nX: 1\r\n\r\nab", "Host={g}"},
        {POST("\r\nY: 1", "2", "ab"), "X={1} Y={1} body=2:ab"},
        {"\r\n" POST("", "2", "ab"), "POST [/a] [b] Host={h} Content-Length={2} X={1} body=2:ab"},
    };
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_echo);
    for (int round = 0; round < 2; round++) { /* another connection knows what the first one did */
        int fd = rig_connect(&rig);
        for (unsigned i = 0; i < sizeof(course) / sizeof(course[0]); i++) {
            rig_say(&rig, fd, course[i].request);
            char *answer = rig_read(&rig, fd, 1);
            assert_contains(answer, course[i].echo);
            free(answer);
        }
        assert_int_equal(n_kept(&rig), 1); /* only what came twice in a row */
        close(fd);
    }
    rig_stop(&rig);
}

/* Requests with a known head, pipelined and cut anywhere, are what they are without. */
static void test_known_at_every_split(void **state) {
    static const char text[] = POST("", "2", "ab") POST("", "1", "c") POST("", "10", "0123456789");
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_echo);
    for (size_t split = 0; split < sizeof(text) - 1; split++) {
        int fd = rig_connect(&rig);
        rig_send(&rig, fd, text, split);
        rig_turn(&rig);
        rig_send(&rig, fd, text + split, sizeof(text) - 1 - split);
        char *answer = rig_read(&rig, fd, 3);
        assert_contains(answer, "Content-Length={2} X={1} body=2:ab");
        assert_contains(answer, "Content-Length={1} X={1} body=1:c");
        assert_contains(answer, "Content-Length={10} X={1} body=10:0123456789");
        free(answer);
        close(fd);
    }
    assert_int_equal(n_kept(&rig), 1);
    /* over the cap of bodies, and no length: refused as ever */
    int fd = rig_connect(&rig);
    rig_say(&rig, fd, POST("", "2", "ab") POST("", "65537", ""));
    char *answer = rig_read_all(&rig, fd);
    assert_contains(answer, "413 Content Too Large");
    free(answer);
    close(fd);
    rig_stop(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_bytes),
        cmocka_unit_test(test_other_bytes),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_what_is_not_kept),
        cmocka_unit_test(test_a_server_sees_what_changed),
        cmocka_unit_test(test_known_at_every_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
