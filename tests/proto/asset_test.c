/* SPDX-License-Identifier: MIT */
#include "proto/asset.h"
#include "tests/proto/http_rig.h"

#define BYTES(text)                                                                                \
    { (const unsigned char *)(text), sizeof(text) - 1 }
#define PLAIN "plain text, as long as it is"
static const struct cb_asset assets[] = {
    {"app.js", "text/javascript", "\"abc\"", BYTES(PLAIN), BYTES("gzipped"), BYTES("brot")},
    {"dot.gif", "image/gif", "\"def\"", BYTES("dot"), {0}, {0}},
    {"odd.js", "text/javascript", "\"ghi\"", BYTES(PLAIN), BYTES("gzipped"),
     BYTES("longer than gzip")},
    {.path = NULL},
};

static void test_find(void **state) {
    (void)state;
    assert_ptr_equal(cb_asset_find(assets, CB_STR("app.js")), &assets[0]);
    assert_ptr_equal(cb_asset_find(assets, CB_STR("dot.gif")), &assets[1]);
    assert_null(cb_asset_find(assets, CB_STR("app.j")));
    assert_null(cb_asset_find(assets, CB_STR("app.js/")));
    assert_null(cb_asset_find(assets, CB_STR("")));
}

static void serve(struct cb_http_req *req, void *user) {
    (void)user;
    struct cb_str path = {req->path.p + 1, req->path.len - 1};
    const struct cb_asset *asset = cb_asset_find(assets, path);
    assert_non_null(asset);
    cb_asset_reply(req, asset, "Cache-Control: no-cache\r\n");
}

/* The answer to a request for path with these header lines. The caller frees it. */
static char *get(struct rig *rig, const char *method, const char *path, const char *lines) {
    char request[1024];
    int len =
        snprintf(request, sizeof(request),
                 "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n", method, path, lines);
    assert_true(len > 0 && (size_t)len < sizeof(request));
    return rig_exchange(rig, request, (size_t)len);
}

static void test_encoding(void **state) {
    static const struct {
        const char *lines, *coding;
    } cases[] = {
        {"", NULL},
        {"Accept-Encoding: gzip\r\n", "gzip"},
        {"Accept-Encoding: GZip\r\n", "gzip"},
        {"Accept-Encoding: gzip, deflate, br, zstd\r\n", "br"},
        {"Accept-Encoding: br;q=0, gzip;q=0.5 , deflate\r\n", "gzip"},
        {"Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n", "br"},
        {"Accept-Encoding: gzip;q=0\r\n", NULL},
        {"Accept-Encoding: gzip; q=0.000, *\r\n", "br"},
        {"Accept-Encoding: br; q=0.000, *\r\n", "gzip"},
        {"Accept-Encoding: gzip;q=0.001\r\n", "gzip"},
        {"Accept-Encoding: *\r\n", "br"},
        {"Accept-Encoding: *;q=0\r\n", NULL},
        {"Accept-Encoding: *;q=0, gzip\r\n", "gzip"},
        {"Accept-Encoding: identity\r\n", NULL},
        {"Accept-Encoding: gzipped, bro\r\n", NULL},
        {"Accept-Encoding: ,,;\r\n", NULL},
    };
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, serve);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *answer = get(&rig, "GET", "/app.js", cases[i].lines), line[64] = "";
        const char *coding = cases[i].coding;
        assert_contains(answer, "HTTP/1.1 200 OK\r\n");
        assert_contains(answer, "Vary: Accept-Encoding\r\n");
        assert_contains(answer, "Content-Type: text/javascript\r\n");
        assert_contains(answer, "Cache-Control: no-cache\r\n");
        assert_contains(answer, coding ? "ETag: W/\"abc\"\r\n" : "ETag: \"abc\"\r\n");
        if (coding)
            snprintf(line, sizeof(line), "\r\nContent-Encoding: %s\r\n", coding);
        if (coding ? !strstr(answer, line) : strstr(answer, "Content-Encoding") != NULL)
            fail_msg("%s: %s", cases[i].lines, answer);
        assert_string_equal(strstr(answer, "\r\n\r\n") + 4, !coding ? PLAIN
                                                            : strcmp(coding, "br") == 0
                                                                ? "brot"
                                                                : "gzipped");
        free(answer);
    }
    /* the smaller one */
    char *odd = get(&rig, "GET", "/odd.js", "Accept-Encoding: gzip, br\r\n");
    assert_contains(odd, "Content-Encoding: gzip\r\n");
    free(odd);
    /* what has no compressed form */
    char *answer = get(&rig, "GET", "/dot.gif", "Accept-Encoding: gzip\r\n");
    assert_null(strstr(answer, "Content-Encoding"));
    assert_null(strstr(answer, "Vary"));
    assert_contains(answer, "ETag: \"def\"\r\n");
    free(answer);
    rig_stop(&rig);
}

static void test_not_modified(void **state) {
    static const struct {
        const char *lines;
        int status;
    } cases[] = {
        {"If-None-Match: \"abc\"\r\n", 304},
        {"If-None-Match: W/\"abc\"\r\nAccept-Encoding: gzip\r\n", 304},
        {"If-None-Match: \"x\", \"abc\"\r\n", 304},
        {"If-None-Match: *\r\n", 304},
        {"If-None-Match: \"x\"\r\n", 200},
        {"If-None-Match: abc\r\n", 200},
        {"If-None-Match: \"ABC\"\r\n", 200},
        {"If-None-Match: W/\r\n", 200},
        {"If-None-Match:\r\n", 200},
    };
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, serve);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *answer = get(&rig, "GET", "/app.js", cases[i].lines), line[16];
        snprintf(line, sizeof(line), "HTTP/1.1 %d ", cases[i].status);
        if (strncmp(answer, line, strlen(line)) != 0)
            fail_msg("%s: %s", cases[i].lines, answer);
        assert_contains(answer, "\"abc\"\r\n");
        assert_contains(answer, "Cache-Control: no-cache\r\n");
        assert_int_equal(strlen(strstr(answer, "\r\n\r\n")) > 4, cases[i].status == 200);
        free(answer);
    }
    rig_stop(&rig);
}

static void test_head(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, serve);
    char *answer = get(&rig, "HEAD", "/app.js", "");
    assert_contains(answer, "Content-Length: 28\r\n");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    free(answer);
    rig_stop(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_not_modified),
        cmocka_unit_test(test_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
