/* SPDX-License-Identifier: MIT
 * What the HTTP server refuses, and that where the network cuts a request makes no difference. */
#include "tests/proto/http_rig.h"

struct reject {
    const char *what;
    const char *request;
    size_t len; /* where request holds a NUL */
};
#define REQUEST(text) text, sizeof(text) - 1

static const struct reject rejects[] = {
    {"NUL in a value", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n")},
    {"NUL in a name", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n")},
    {"NUL in the target", REQUEST("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"NUL first", REQUEST("\0GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"a TLS hello", REQUEST("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
    {"conflicting lengths",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")},
    {"repeated length",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na")},
    {"list of lengths", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na")},
    {"length with plus", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na")},
    {"negative length", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\na")},
    {"length with zeros", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 01\r\n\r\na")},
    {"hexadecimal length", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na")},
    {"empty length", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n")},
    {"length with inner space",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\na")},
    {"endless length",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\na")},
    {"length with coding",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
             "0\r\n\r\n")},
    {"coding with length",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
             "0\r\n\r\n")},
    {"two codings", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
                            "0\r\n\r\n")},
    {"coding twice", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"coding identity",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n")},
    {"coding xchunked",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")},
    {"coding in 1.0", REQUEST("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"length with a comma first",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ,1\r\n\r\na")},
    {"length with a dot", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1.0\r\n\r\na")},
    {"length with an exponent",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1e0\r\n\r\na")},
    {"length with a NUL", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\0\r\n\r\na")},
    {"length behind a vertical tab",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \v1\r\n\r\na")},
    {"length of two names",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 1\r\nCONTENT-LENGTH: 1\r\n\r\na")},
    {"length folded", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 1\r\n\r\na")},
    {"length with a space before the colon",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\na")},
    {"length with coding in 1.0",
     REQUEST(
         "POST / HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"length with another coding", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
                                           "1\r\nTransfer-Encoding: identity\r\n\r\na")},
    {"empty coding", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n")},
    {"quoted coding",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n")},
    {"coding with a parameter",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n")},
    {"chunked before another coding",
     REQUEST(
         "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n")},
    {"coding behind a comma",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: , chunked\r\n\r\n0\r\n\r\n")},
    {"coding behind a vertical tab",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n")},
    {"coding with a NUL",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n")},
    {"coding folded",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n")},
    {"coding with a space before the colon",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n")},
    {"coding behind a bare CR",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"coding behind a bare LF",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"folded line of blanks", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n \r\n\r\n")},
    {"bare CR at the start of a line", REQUEST("GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n")},
    {"bare CR in the target", REQUEST("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"LF CR", REQUEST("GET / HTTP/1.1\n\rHost: a\n\r\n\r")},
    {"two Hosts in other letters", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\nhOST: a\r\n\r\n")},
    {"Host with a NUL", REQUEST("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n")},
    {"Host with a user", REQUEST("GET / HTTP/1.1\r\nHost: b@a\r\n\r\n")},
    {"Host with a space before the colon",
     REQUEST("GET / HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n")},
    {"HTTP/1", REQUEST("GET / HTTP/1\r\nHost: a\r\n\r\n")},
    {"HTTP/1.", REQUEST("GET / HTTP/1.\r\nHost: a\r\n\r\n")},
    {"HTTP/11", REQUEST("GET / HTTP/11\r\nHost: a\r\n\r\n")},
    {"HTTP/01.1", REQUEST("GET / HTTP/01.1\r\nHost: a\r\n\r\n")},
    {"HTTP/3.0", REQUEST("GET / HTTP/3.0\r\nHost: a\r\n\r\n")},
    {"HTTP/1.1 with a comma", REQUEST("GET / HTTP/1,1\r\nHost: a\r\n\r\n")},
    {"no version", REQUEST("GET / \r\nHost: a\r\n\r\n")},
    {"NUL in the method", REQUEST("G\0ET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"NUL in the version", REQUEST("GET / HTTP/1.1\0\r\nHost: a\r\n\r\n")},
    {"NUL behind the headers", REQUEST("GET / HTTP/1.1\r\nHost: a\r\n\0\r\n\r\n")},
    {"space first", REQUEST(" GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"high byte in a name", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX\xc3: b\r\n\r\n")},
    {"bracket in a name", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n")},
    {"folded line", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n")},
    {"folded line by tab", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n")},
    {"folded first header", REQUEST("GET / HTTP/1.1\r\n Host: a\r\n\r\n")},
    {"bare LF after the request line", REQUEST("GET / HTTP/1.1\nHost: a\r\n\r\n")},
    {"bare LF after a header", REQUEST("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n")},
    {"bare LF at the end", REQUEST("GET / HTTP/1.1\r\nHost: a\r\n\n")},
    {"bare CR in a value", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n")},
    {"bare CR as line end", REQUEST("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n")},
    {"CR CR LF", REQUEST("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n")},
    {"no Host", REQUEST("GET / HTTP/1.1\r\nX: a\r\n\r\n")},
    {"no header", REQUEST("GET / HTTP/1.1\r\n\r\n")},
    {"two Hosts", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")},
    {"two Hosts in 1.0", REQUEST("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")},
    {"Host with a space", REQUEST("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")},
    {"Host with a path", REQUEST("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")},
    {"HTTP/0.9", REQUEST("GET /\r\n")},
    {"HTTP/0.9 spelled out", REQUEST("GET / HTTP/0.9\r\nHost: a\r\n\r\n")},
    {"HTTP/1.2", REQUEST("GET / HTTP/1.2\r\nHost: a\r\n\r\n")},
    {"HTTP/2.0", REQUEST("GET / HTTP/2.0\r\nHost: a\r\n\r\n")},
    {"HTTP/2 preface", REQUEST("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
    {"HTTP/1.10", REQUEST("GET / HTTP/1.10\r\nHost: a\r\n\r\n")},
    {"http in small letters", REQUEST("GET / http/1.1\r\nHost: a\r\n\r\n")},
    {"RTSP", REQUEST("GET / RTSP/1.0\r\nHost: a\r\n\r\n")},
    {"space before the colon", REQUEST("GET / HTTP/1.1\r\nHost : a\r\n\r\n")},
    {"tab before the colon", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX\t: b\r\n\r\n")},
    {"space in a name", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n")},
    {"no colon", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n")},
    {"empty name", REQUEST("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n")},
    {"control in a value", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n")},
    {"delete in a value", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n")},
    {"two spaces before the target", REQUEST("GET  / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"two spaces behind the target", REQUEST("GET /  HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"space in the target", REQUEST("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"tab for a space", REQUEST("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"space behind the version", REQUEST("GET / HTTP/1.1 \r\nHost: a\r\n\r\n")},
    {"no target", REQUEST("GET HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"unknown method", REQUEST("GRAB / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"method in small letters", REQUEST("get / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"absolute target", REQUEST("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"asterisk target", REQUEST("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"fragment", REQUEST("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"high byte in the target", REQUEST("GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"CONNECT", REQUEST("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"CONNECT with a path", REQUEST("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"Upgrade",
     REQUEST("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")},
    {"another expectation",
     REQUEST("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\na")},
    {"two empty lines first", REQUEST("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"bare LF first", REQUEST("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")},
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    {"chunk size with bare LF", REQUEST(CHUNKED "1\na\r\n0\r\n\r\n")},
    {"chunk size with bare CR", REQUEST(CHUNKED "1\rXa\r\n0\r\n\r\n")},
    {"empty chunk size", REQUEST(CHUNKED "\r\na\r\n0\r\n\r\n")},
    {"chunk size with a sign", REQUEST(CHUNKED "+1\r\na\r\n0\r\n\r\n")},
    {"chunk size with 0x", REQUEST(CHUNKED "0x1\r\na\r\n0\r\n\r\n")},
    {"space before a chunk size", REQUEST(CHUNKED " 1\r\na\r\n0\r\n\r\n")},
    {"space behind a chunk size", REQUEST(CHUNKED "1 \r\na\r\n0\r\n\r\n")},
    {"chunk size of nine digits", REQUEST(CHUNKED "000000001\r\na\r\n0\r\n\r\n")},
    {"chunk longer than its size", REQUEST(CHUNKED "1\r\nab\r\n0\r\n\r\n")},
    {"chunk data with bare LF", REQUEST(CHUNKED "1\r\na\n0\r\n\r\n")},
    {"bare LF in an extension", REQUEST(CHUNKED "1;a\nX\r\na\r\n0\r\n\r\n")},
    {"NUL in an extension", REQUEST(CHUNKED "1;\0\r\na\r\n0\r\n\r\n")},
    {"bare CR in a trailer", REQUEST(CHUNKED "0\r\nX: a\rY: b\r\n\r\n")},
    {"bare LF in a trailer", REQUEST(CHUNKED "0\r\nX: a\n\r\n")},
    {"folded trailer", REQUEST(CHUNKED "0\r\nX: a\r\n b\r\n\r\n")},
    {"trailer without colon", REQUEST(CHUNKED "0\r\nX\r\n\r\n")},
    {"trailer with a space before the colon", REQUEST(CHUNKED "0\r\nX : a\r\n\r\n")},
    {"bare LF at the end of chunks", REQUEST(CHUNKED "0\r\n\n")},
    {"chunk size with a minus", REQUEST(CHUNKED "-1\r\na\r\n0\r\n\r\n")},
    {"chunk size with an underscore", REQUEST(CHUNKED "1_\r\na\r\n0\r\n\r\n")},
    {"chunk size with a NUL", REQUEST(CHUNKED "1\0\r\na\r\n0\r\n\r\n")},
    {"chunk size of no digits", REQUEST(CHUNKED ";a\r\na\r\n0\r\n\r\n")},
    {"last chunk of nine zeros", REQUEST(CHUNKED "000000000\r\n\r\n")},
    {"last chunk with a space", REQUEST(CHUNKED "0 \r\n\r\n")},
    {"chunk without its line end", REQUEST(CHUNKED "1\r\na0\r\n\r\n")},
    {"chunk data with bare CR", REQUEST(CHUNKED "1\r\na\r0\r\n\r\n")},
    {"bare CR in an extension", REQUEST(CHUNKED "1;a\rb\r\na\r\n0\r\n\r\n")},
    {"bare LF in the last extension", REQUEST(CHUNKED "0;a\n\r\n")},
    {"NUL in a trailer", REQUEST(CHUNKED "0\r\nX: \0\r\n\r\n")},
    {"CR CR LF in a trailer", REQUEST(CHUNKED "0\r\nX: a\r\r\n\r\n")},
    {"CR CR LF behind a chunk size", REQUEST(CHUNKED "1\r\r\na\r\n0\r\n\r\n")},
    {"CR CR LF behind chunk data", REQUEST(CHUNKED "1\r\na\r\r\n0\r\n\r\n")},
    {"trailer without a name", REQUEST(CHUNKED "0\r\n: a\r\n\r\n")},
    {"bare CR at the end of chunks", REQUEST(CHUNKED "0\r\n\rX")},
};

static void assert_refused(const char *what, const char *answer, int status, const char *code) {
    char line[32], json[80];
    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    snprintf(json, sizeof(json), "{\"error\":{\"code\":\"%s\",\"message\":\"", code);
    if (strncmp(answer, line, strlen(line)) != 0 || !strstr(answer, json))
        fail_msg("%s: %s", what, answer);
    assert_contains(answer, "\r\nConnection: close\r\n");
    assert_contains(answer, "\r\nContent-Type: application/json\r\n");
    assert_contains(answer, "\r\nAccess-Control-Allow-Origin: *\r\n");
    assert_contains(answer, "\r\nDate: ");
    assert_int_equal(rig_count(answer, "HTTP/1.1 "), 1);
}

static void test_malformed_is_refused(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_echo);
    int64_t before = cb_metric_get(CB_METRIC_HTTP_MALFORMED);
    const unsigned n = sizeof(rejects) / sizeof(rejects[0]);
    for (unsigned i = 0; i < n; i++) {
        char *answer = rig_exchange(&rig, rejects[i].request, rejects[i].len);
        assert_refused(rejects[i].what, answer, 400, "bad_request");
        free(answer);
    }
    assert_int_equal(rig.n_requests, 0);
    assert_int_equal(cb_metric_get(CB_METRIC_HTTP_MALFORMED) - before, n);
    rig_stop(&rig);
}

/* Sends len bytes cut at split, and reads what comes until the server closes. */
static char *exchange_split(struct rig *rig, const char *data, size_t len, size_t split) {
    int fd = rig_connect(rig);
    rig_send(rig, fd, data, split);
    for (int i = 0; i < 3; i++) /* accepts, reads, answers */
        event_base_loop(rig->base, EVLOOP_NONBLOCK);
    rig_send(rig, fd, data + split, len - split);
    char *answer = rig_read_all(rig, fd);
    close(fd);
    return answer;
}

static void test_malformed_is_refused_at_every_split(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_echo);
    for (unsigned i = 0; i < sizeof(rejects) / sizeof(rejects[0]); i++) {
        const struct reject *reject = &rejects[i];
        for (size_t split = 1; split < reject->len; split++) {
            char *answer = exchange_split(&rig, reject->request, reject->len, split);
            assert_refused(reject->what, answer, 400, "bad_request");
            free(answer);
        }
        int fd = rig_connect(&rig);
        for (size_t at = 0; at < reject->len; at++) {
            rig_send(&rig, fd, reject->request + at, 1);
            for (int turn = 0; turn < 3; turn++)
                event_base_loop(rig.base, EVLOOP_NONBLOCK);
        }
        char *answer = rig_read_all(&rig, fd);
        assert_refused(reject->what, answer, 400, "bad_request");
        free(answer);
        close(fd);
    }
    assert_int_equal(rig.n_requests, 0);
    rig_stop(&rig);
}

/* Whoever reads a refused request in another way sees another request behind it: that one must not
 * be served, wherever the network cuts, and what came before is answered. */
static void test_nothing_is_smuggled(void **state) {
    static const char before[] = "GET /before HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char behind[] = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    (void)state;
    struct rig rig;
    unsigned n = 0;
    rig_start(&rig, NULL, rig_echo);
    for (unsigned i = 0; i < sizeof(rejects) / sizeof(rejects[0]); i++) {
        const size_t at = sizeof(before) - 1, end = at + rejects[i].len;
        char *text = malloc(end + sizeof(behind));
        assert_non_null(text);
        memcpy(text, before, at);
        memcpy(text + at, rejects[i].request, rejects[i].len);
        memcpy(text + end, behind, sizeof(behind));
        const size_t splits[] = {1, at, at + 1, end - 1, end, end + 1};
        for (unsigned s = 0; s < sizeof(splits) / sizeof(splits[0]); s++) {
            char *answer = exchange_split(&rig, text, end + sizeof(behind) - 1, splits[s]);
            const char *refusal = strstr(answer + 1, "HTTP/1.1 400 ");
            if (!refusal || rig_count(answer, "HTTP/1.1 2") != 1 || strstr(answer, "smuggled"))
                fail_msg("%s: %s", rejects[i].what, answer);
            assert_contains(answer, "GET [/before]");
            assert_refused(rejects[i].what, refusal, 400, "bad_request");
            free(answer);
            n++;
        }
        free(text);
    }
    assert_int_equal(rig.n_requests, n);
    rig_stop(&rig);
}

/* The same where the head of a sound request like it is known (http_known.c). */
static void test_nothing_is_smuggled_by_a_known_head(void **state) {
    static const char sound[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na"
                                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nb"
                                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nc";
    static const char behind[] = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_echo);
    for (unsigned i = 0; i < sizeof(rejects) / sizeof(rejects[0]); i++) {
        int fd = rig_connect(&rig);
        rig_say(&rig, fd, sound);
        free(rig_read(&rig, fd, 3));
        rig_send(&rig, fd, rejects[i].request, rejects[i].len);
        rig_send(&rig, fd, behind, sizeof(behind) - 1);
        char *answer = rig_read_all(&rig, fd);
        assert_refused(rejects[i].what, answer, 400, "bad_request");
        free(answer);
        close(fd);
    }
    assert_int_equal(rig.n_requests, 3 * sizeof(rejects) / sizeof(rejects[0]));
    rig_stop(&rig);
}

/* A refusal after sound requests comes behind their answers, and ends the connection. */
static void test_malformed_after_sound(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_hold);
    int fd = rig_connect(&rig);
    rig_say(&rig, fd,
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
            "GET /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n");
    RIG_UNTIL(&rig, rig.n_held == 2);
    cb_http_reply(rig.held[1], 200, NULL, "two", 3);
    cb_http_reply(rig.held[0], 200, NULL, "one", 3);
    char *answer = rig_read_all(&rig, fd);
    const char *one = strstr(answer, "one"), *two = strstr(answer, "two"),
               *bad = strstr(answer, "bad_request");
    assert_true(one && two && bad && one < two && two < bad);
    assert_int_equal(rig.n_held, 2);
    free(answer);
    close(fd);
    rig_stop(&rig);
}

/* Odd, but by the book. */
static void test_odd_is_taken(void **state) {
    static const struct {
        const char *request, *echo;
    } odd[] = {
        {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET [/] [] Host={a} body=0:"},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET [/] [] Host={} body=0:"},
        {"GET / HTTP/1.1\r\nHOST:a\r\nX:  b c \t \r\nY: \r\n\r\n",
         "GET [/] [] HOST={a} X={b c} Y={} body=0:"},
        {"GET /?a=b?c HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET [/] [a=b?c] Host={[::1]:80} body"},
        {"GET //a/../b%00? HTTP/1.1\r\nHost: a\r\n\r\n", "GET [//a/../b%00] [] Host={a} body=0:"},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\r\n\r\n", "X={\xc3\xa4} body=0:"},
        {"DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", "DELETE"},
        {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "OTHER"},
        {"GET / HTTP/1.0\r\n\r\n", "GET [/] [] body=0:"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "body=0:"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4 \r\n\r\na\r\n\r", "body=4:a\r\n\r"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \r\n\r\n"
         "00A\r\n0123456789\r\n3;x=\"y\"\r\nabc\r\n0;z\r\nT: v\r\nU:\r\n\r\n",
         "body=13:0123456789abc"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "body=0:"},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
         "HTTP/1.1 200 OK"},
    };
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_echo);
    for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        int fd = rig_connect(&rig);
        rig_say(&rig, fd, odd[i].request);
        char *answer = rig_read(&rig, fd, 1);
        assert_contains(answer, "HTTP/1.1 200 OK\r\n");
        assert_contains(answer, odd[i].echo);
        free(answer);
        close(fd);
    }
    rig_stop(&rig);
}

static const char several[] =
    "POST /a?x=1 HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 11\r\nX-Y:  z \r\n\r\n"
    "hello\r\nHTTP"
    "GET /b HTTP/1.1\r\nHost: a\r\n\r\n"
    "\r\nPOST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: b\r\n\r\n"
    "5\r\nfirst\r\n10;e=1\r\n0123456789abcdef\r\n0\r\nTrail: er\r\n\r\n"
    "\r\nPUT /d? HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/* The answers without their Date. */
static char *strip_dates(char *answers) {
    for (char *date = strstr(answers, "Date: "); date; date = strstr(date, "Date: ")) {
        char *end = strchr(date, '\n') + 1;
        memmove(date, end, strlen(end) + 1);
    }
    return answers;
}

static void test_every_split(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, rig_echo);
    char *whole = strip_dates(rig_exchange(&rig, several, sizeof(several) - 1));
    assert_int_equal(rig_count(whole, "HTTP/1.1 200 OK"), 4);
    assert_contains(whole, "POST [/a] [x=1] Host={shop.example} Content-Length={11} X-Y={z} "
                           "body=11:hello\r\nHTTP");
    assert_contains(whole, "body=21:first0123456789abcdef");
    for (size_t split = 1; split < sizeof(several) - 1; split++) {
        int fd = rig_connect(&rig);
        rig_send(&rig, fd, several, split);
        for (int i = 0; i < 2; i++)
            rig_turn(&rig);
        rig_send(&rig, fd, several + split, sizeof(several) - 1 - split);
        char *answer = strip_dates(rig_read_all(&rig, fd));
        if (strcmp(answer, whole) != 0)
            fail_msg("split at %zu: %s", split, answer);
        free(answer);
        close(fd);
    }
    int fd = rig_connect(&rig);
    for (size_t i = 0; i < sizeof(several) - 1; i++) {
        rig_send(&rig, fd, several + i, 1);
        rig_turn(&rig);
    }
    char *answer = strip_dates(rig_read_all(&rig, fd));
    assert_string_equal(answer, whole);
    free(answer);
    free(whole);
    close(fd);
    rig_stop(&rig);
}

/* A request of which a body that outgrows the first buffer is still coming keeps its strings. */
static void test_head_follows_its_body(void **state) {
    enum { BODY = 60000 };
    (void)state;
    struct rig rig;
    struct cb_http_opts opts = rig_opts();
    opts.body_max_bytes = 1 << 20;
    rig_start(&rig, &opts, rig_echo);
    for (int chunked = 0; chunked < 2; chunked++) {
        int fd = rig_connect(&rig), other = rig_connect(&rig);
        rig_say(&rig, fd, "GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
        rig_say(&rig, fd, "POST /second?q=v HTTP/1.1\r\nHost: b\r\n");
        rig_say(&rig, fd,
                chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Content-Length: 300000\r\n\r\n");
        free(rig_read(&rig, fd, 1));
        char *piece = malloc(BODY);
        assert_non_null(piece);
        memset(piece, 'x', BODY);
        for (int i = 0; i < 5; i++) {
            if (chunked)
                rig_say(&rig, fd, "ea60\r\n");
            rig_send(&rig, fd, piece, BODY);
            if (chunked)
                rig_say(&rig, fd, "\r\n");
            /* somebody else gets the buffers that this request has outgrown */
            rig_say(&rig, other, "GET /other-other-other-other HTTP/1.1\r\nHost: other\r\n\r\n");
            free(rig_read(&rig, other, 1));
        }
        close(other);
        if (chunked)
            rig_say(&rig, fd, "0\r\n\r\n");
        char *answer = rig_read(&rig, fd, 1);
        assert_contains(answer, "POST [/second] [q=v] Host={b} ");
        assert_contains(answer, " body=300000:xxxx");
        assert_null(strchr(strstr(answer, "body="), '\r'));
        free(answer);
        free(piece);
        close(fd);
    }
    rig_stop(&rig);
}

static char *repeated(const char *before, char c, size_t n, const char *after, size_t *len) {
    size_t a = strlen(before), b = strlen(after);
    char *text = malloc(a + n + b);
    assert_non_null(text);
    memcpy(text, before, a);
    memset(text + a, c, n);
    memcpy(text + a + n, after, b);
    *len = a + n + b;
    return text;
}

static void test_head_cap(void **state) {
    static const char before[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ", after[] = "\r\n\r\n";
    const size_t around = sizeof(before) + sizeof(after) - 2;
    (void)state;
    struct rig rig;
    size_t len;
    rig_start(&rig, NULL, rig_echo);
    char *request = repeated(before, 'x', CB_HTTP_HEAD_MAX - around, after, &len);
    assert_int_equal(len, CB_HTTP_HEAD_MAX);
    int fd = rig_connect(&rig);
    rig_send(&rig, fd, request, len);
    char *answer = rig_read(&rig, fd, 1);
    assert_contains(answer, "200 OK");
    free(answer);
    free(request);
    close(fd);
    request = repeated(before, 'x', CB_HTTP_HEAD_MAX - around + 1, after, &len);
    answer = rig_exchange(&rig, request, len);
    assert_refused("a head of one byte too many", answer, 431, "head_too_large");
    free(answer);
    free(request);
    request = repeated("GET /", 'x', 20000, "", &len);
    answer = rig_exchange(&rig, request, len);
    assert_refused("a target without end", answer, 431, "head_too_large");
    free(answer);
    free(request);

    struct cb_buf many;
    cb_buf_init(&many, 8192);
    for (unsigned n = CB_HTTP_HEADERS_MAX; n <= CB_HTTP_HEADERS_MAX + 1; n++) {
        cb_buf_clear(&many);
        assert_int_equal(cb_buf_printf(&many, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"),
                         0);
        for (unsigned i = 2; i < n; i++)
            assert_int_equal(cb_buf_printf(&many, "X%u: y\r\n", i), 0);
        assert_int_equal(cb_buf_printf(&many, "\r\n"), 0);
        answer = rig_exchange(&rig, many.data, many.len);
        if (n <= CB_HTTP_HEADERS_MAX)
            assert_contains(answer, "200 OK");
        else
            assert_refused("too many headers", answer, 431, "head_too_large");
        free(answer);
    }
    cb_buf_fini(&many);
    rig_stop(&rig);
}

static void test_body_cap(void **state) {
    (void)state;
    struct rig rig;
    size_t len;
    rig_start(&rig, NULL, rig_echo);
    /* by its length: before a byte of the body */
    const char *claim = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n";
    char *answer = rig_exchange(&rig, claim, strlen(claim));
    assert_refused("a length over the cap", answer, 413, "too_large");
    free(answer);
    /* the same while the client sends on: it gets the answer, and for a while no reset */
    int fd = rig_connect(&rig);
    rig_say(&rig, fd, claim);
    answer = rig_read(&rig, fd, 1);
    assert_refused("a body that comes all the same", answer, 413, "too_large");
    free(answer);
    char *request = repeated("", 'x', 10000, "", &len);
    for (int i = 0; i < 100; i++) {
        assert_true(rig_send(&rig, fd, request, len));
        rig_turn(&rig);
    }
    free(request);
    close(fd);
    /* chunked: by the size that passes */
    request = repeated(CHUNKED "ffff\r\n", 'x', 65535, "\r\n2\r\n", &len);
    answer = rig_exchange(&rig, request, len);
    assert_refused("chunks over the cap", answer, 413, "too_large");
    free(answer);
    free(request);
    claim = CHUNKED "fffffff0\r\n";
    answer = rig_exchange(&rig, claim, strlen(claim));
    assert_refused("a huge chunk", answer, 413, "too_large");
    free(answer);
    assert_int_equal(rig.n_requests, 0);
    /* exactly at the cap, both ways */
    fd = rig_connect(&rig);
    request = repeated("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n", 'x', 65536,
                       CHUNKED "10000\r\n", &len);
    rig_send(&rig, fd, request, len);
    free(request);
    request = repeated("", 'y', 65536, "\r\n0\r\n\r\n", &len);
    rig_send(&rig, fd, request, len);
    free(request);
    answer = rig_read(&rig, fd, 2);
    assert_contains(answer, "body=65536:xxx");
    assert_contains(answer, "body=65536:yyy");
    free(answer);
    close(fd);
    /* what is no body is bounded too */
    request = repeated(CHUNKED "1;", 'x', 9000, "", &len);
    answer = rig_exchange(&rig, request, len);
    assert_refused("an endless extension", answer, 400, "bad_request");
    free(answer);
    free(request);
    request = repeated(CHUNKED "0\r\nX: ", 'x', 9000, "", &len);
    answer = rig_exchange(&rig, request, len);
    assert_refused("an endless trailer", answer, 400, "bad_request");
    free(answer);
    free(request);
    rig_stop(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed_is_refused),
        cmocka_unit_test(test_malformed_is_refused_at_every_split),
        cmocka_unit_test(test_nothing_is_smuggled),
        cmocka_unit_test(test_nothing_is_smuggled_by_a_known_head),
        cmocka_unit_test(test_malformed_after_sound),
        cmocka_unit_test(test_odd_is_taken),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_head_follows_its_body),
        cmocka_unit_test(test_head_cap),
        cmocka_unit_test(test_body_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
