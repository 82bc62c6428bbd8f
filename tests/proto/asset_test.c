/* SPDX-License-Identifier: MIT */
#include "proto/asset.h"
#include "tests/proto/http_rig.h"

static const unsigned char plain[] = "plain text, as long as it is", packed[] = "packed";
static const struct cb_asset assets[] = {
    {"app.js", "text/javascript", "\"abc\"", plain, sizeof(plain) - 1, packed, sizeof(packed) - 1},
    {"dot.gif", "image/gif", "\"def\"", packed, sizeof(packed) - 1, NULL, 0},
    {NULL, NULL, NULL, NULL, 0, NULL, 0},
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
        const char *lines;
        bool gzip;
    } cases[] = {
        {"", false},
        {"Accept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: GZip\r\n", true},
        {"Accept-Encoding: br, gzip;q=0.5 , deflate\r\n", true},
        {"Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: gzip;q=0\r\n", false},
        {"Accept-Encoding: gzip; q=0.000, *\r\n", false},
        {"Accept-Encoding: gzip;q=0.001\r\n", true},
        {"Accept-Encoding: *\r\n", true},
        {"Accept-Encoding: *;q=0\r\n", false},
        {"Accept-Encoding: *;q=0, gzip\r\n", true},
        {"Accept-Encoding: identity\r\n", false},
        {"Accept-Encoding: gzipped\r\n", false},
        {"Accept-Encoding: ,,;\r\n", false},
    };
    (void)state;
    struct rig rig;
    rig_start(&rig, NULL, serve);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *answer = get(&rig, "GET", "/app.js", cases[i].lines);
        assert_contains(answer, "HTTP/1.1 200 OK\r\n");
        assert_contains(answer, "Vary: Accept-Encoding\r\n");
        assert_contains(answer, "Content-Type: text/javascript\r\n");
        assert_contains(answer, "Cache-Control: no-cache\r\n");
        assert_contains(answer, cases[i].gzip ? "ETag: W/\"abc\"\r\n" : "ETag: \"abc\"\r\n");
        bool gzip = strstr(answer, "Content-Encoding: gzip\r\n") != NULL;
        if (gzip != cases[i].gzip)
            fail_msg("%s: %s", cases[i].lines, answer);
        assert_string_equal(strstr(answer, "\r\n\r\n") + 4,
                            gzip ? (const char *)packed : (const char *)plain);
        free(answer);
    }
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
