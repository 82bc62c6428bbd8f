/* SPDX-License-Identifier: MIT
 * Promises of the ingest module as its users see them: over HTTP, with a store at the other end of
 * a real link that acks and answers when the test lets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <msgpack.h>
#include <sodium.h>

#include "ingest/assets.h"
#include "ingest/ingest.h"
#include "proto/clock.h"
#include "tests/ingest/rig.h"

#define VISITOR "00112233445566778899aabbccddeeff"
#define PRODUCER "0123456789abcdef"
#define CLICK(seq) "{\"seq\":" seq ",\"name\":\"onClick\",\"at\":1700000000000}"
#define BEACON(site, events)                                                                       \
    "{\"site\":\"" site "\",\"visitor\":\"" VISITOR "\",\"producer\":\"" PRODUCER                  \
    "\",\"sent\":1700000000000,\"events\":[" events "]}"
#define NDJSON "Content-Type: application/x-ndjson\r\n"
#define MSGPACK "Content-Type: application/msgpack\r\n"

/* Stands in for what is built from ingest/widget/. */
#define BYTES(text)                                                                                \
    { (const unsigned char *)(text), sizeof(text) - 1 }
static const char script[] = "widget", consent_script[] = "asks first", interface[] = "panel";
static const char packed[] = "w", demo[] = "<!doctype html><title>demo</title>";
#define SCRIPT_TYPE "text/javascript; charset=utf-8"
const struct cb_asset cb_widget_assets[] = {
    {"consent.js", SCRIPT_TYPE, "\"c1\"", BYTES(consent_script), {0}, {0}},
    {"demo.html", "text/html; charset=utf-8", "\"d1\"", BYTES(demo), {0}, {0}},
    {"demo.js", SCRIPT_TYPE, "\"j1\"", BYTES(script), {0}, {0}},
    {"w/0123.js", SCRIPT_TYPE, "\"i1\"", BYTES(interface), {0}, {0}},
    {"widget.js", SCRIPT_TYPE, "\"w1\"", BYTES(script), BYTES(packed), {0}},
    {.path = NULL}};

struct fixture {
    struct rig_store store;
    struct cb_opts opts;
    struct cb_ingest *ingest;
    struct rig_answer a;
};

static int start(void **state, const char *ack_timeout_ms, const char *threads) {
    static unsigned n;
    struct fixture *f = calloc(1, sizeof *f);
    char url[64], *sentence = NULL;
    char *argv[] = {"--ingest",
                    "127.0.0.1:0",
                    "--ack-timeout",
                    (char *)(uintptr_t)ack_timeout_ms,
                    "--ingest-threads",
                    (char *)(uintptr_t)threads,
                    "--geo",
                    CB_GEO_FIXTURE,
                    "--proxies",
                    "127.0.0.1",
                    NULL};
    char *envp[] = {NULL};
    if (!f)
        return -1;
    *state = f;
    snprintf(url, sizeof url, "inproc://ingest-test-%u", n++);
    if (rig_store_start(&f->store, url) ||
        cb_opt_parse(CB_OPT_INGEST, sizeof argv / sizeof *argv - 1, argv, envp, &f->opts,
                     &sentence) ||
        cb_ingest_setup(&f->opts, &f->store.url, &f->ingest, &sentence)) {
        print_error("%s\n", sentence ? sentence : "the rig does not start");
        return -1;
    }
    return 0;
}

static int setup(void **state) {
    return start(state, "10000", "1");
}

static int setup_hasty(void **state) {
    return start(state, "400", "1");
}

static int setup_two(void **state) {
    return start(state, "10000", "2");
}

static int teardown(void **state) {
    struct fixture *f = *state;
    unsigned malformed;
    cb_ingest_teardown(&f->ingest);
    malformed = atomic_load(&f->store.malformed);
    rig_store_stop(&f->store);
    cb_opt_fini(&f->opts);
    free(f);
    return malformed ? -1 : 0;
}

static void call(struct fixture *f, const char *method, const char *target, const char *headers,
                 const char *body) {
    rig_call(cb_ingest_address(f->ingest), method, target, headers, body, strlen(body), &f->a);
    /* Whatever is answered, a page may read it, and no cookie comes with it. */
    assert_non_null(strcasestr(f->a.text, "\r\nAccess-Control-Allow-Origin: *\r\n"));
    assert_non_null(strcasestr(f->a.text, "\r\nAccess-Control-Expose-Headers: Retry-After\r\n"));
    assert_null(strcasestr(f->a.text, "\r\nSet-Cookie:"));
}

static void post(struct fixture *f, const char *headers, const char *body) {
    call(f, "POST", "/v1/events", headers, body);
}

static void is_error(struct fixture *f, int status, const char *code) {
    char start_of[128];
    snprintf(start_of, sizeof start_of, "{\"error\":{\"code\":\"%s\",\"message\":\"", code);
    assert_int_equal(f->a.status, status);
    if (strncmp(f->a.body, start_of, strlen(start_of)) != 0)
        fail_msg("%s", f->a.body);
    assert_non_null(strcasestr(f->a.text, "\r\nContent-Type: application/json\r\n"));
}

static bool has_header(struct fixture *f, const char *line) {
    char text[256];
    snprintf(text, sizeof text, "\r\n%s\r\n", line);
    return strcasestr(f->a.text, text) != NULL;
}

static struct rig_item item(struct fixture *f, unsigned i) {
    struct rig_item out;
    assert_true(rig_wait_items(&f->store, i + 1));
    pthread_mutex_lock(&f->store.lock);
    out = f->store.items[i];
    pthread_mutex_unlock(&f->store.lock);
    return out;
}

static unsigned n_items(struct fixture *f) {
    pthread_mutex_lock(&f->store.lock);
    unsigned n = f->store.n_items;
    pthread_mutex_unlock(&f->store.lock);
    return n;
}

/* ---- events ---- */

static void test_an_event_is_in_a_frame_when_it_is_answered(void **state) {
    struct fixture *f = *state;
    uint8_t id[CB_VISITOR_BYTES], hash[CB_VISITOR_BYTES];
    int64_t before_ms = cb_clock_wall_ms();
    post(f, "Content-Type: text/plain\r\nUser-Agent: X (iPhone) Googlebot/2.1\r\n",
         BEACON("demo", "{\"seq\":9,\"name\":\"cart\",\"at\":1699999999000,\"page\":\"/x\","
                        "\"n\":1,\"props\":{\"s\":\"t\"}}"));
    assert_int_equal(f->a.status, 204);
    assert_int_equal(n_items(f), 1);
    struct rig_item e = item(f, 0);
    assert_false(e.refused);
    assert_string_equal(e.site, "demo");
    assert_string_equal(e.name, "cart");
    assert_string_equal(e.page, "/x");
    assert_string_equal(e.props, "{\"n\":1,\"s\":\"t\"}");
    assert_int_equal(e.seq, 9);
    assert_int_equal(e.age_ms, 1000);
    assert_int_equal(e.device, CB_DEVICE_MOBILE);
    assert_true(e.bot);
    assert_true(e.received_ms >= before_ms && e.received_ms <= cb_clock_wall_ms());
    assert_int_equal(cb_hex_decode(CB_STR(VISITOR), id, sizeof id), 0);
    cb_visitor_hash(CB_STR("demo"), id, hash);
    assert_memory_equal(e.visitor, hash, sizeof hash);
}

/* What the headers say of the sender, and the host that it came from. */
static void test_facts_stand_in_the_frame(void **state) {
    struct fixture *f = *state;
    static const char phone[] =
        "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) CriOS/120.0 Mobile/15E148 Safari/604.1\r\n"
        "Accept-Language: de-CH,de;q=0.9\r\nX-Forwarded-For: 10.1.2.3\r\n";
    post(f, phone,
         BEACON("demo",
                "{\"seq\":1,\"name\":\"onWebChatLoaded\",\"at\":1699999999000,"
                "\"page\":\"https://shop.example/\",\"props\":{\"n\":1,"
                "\"referrer\":\"https://WWW.Google.com:443/search?q=secret\"}},"
                "{\"seq\":2,\"name\":\"page\",\"at\":1699999999000,"
                "\"page\":\"https://shop.example/x\",\"referrer\":\"shop.example:443\"},"
                "{\"seq\":3,\"name\":\"page\",\"at\":1699999999000,\"referrer\":7},"
                "{\"seq\":4,\"name\":\"set\",\"key\":\"name\",\"value\":\"A\","
                "\"at\":1699999999000,\"referrer\":\"t.example\"},"
                "{\"seq\":5,\"name\":\"page\",\"at\":1699999999000,\"referrer\":\"t.example\"}"));
    assert_int_equal(f->a.status, 204);
    static const char *const referrers[] = {"www.google.com", "", "", "", "t.example"};
    assert_int_equal(n_items(f), 5);
    for (unsigned i = 0; i < 5; i++) {
        struct rig_item e = item(f, i);
        assert_int_equal(e.seq, i + 1);
        assert_string_equal(e.referrer, referrers[i]);
        assert_string_equal(e.language, "de");
        assert_string_equal(e.country, "GR");
        assert_int_equal(e.device, CB_DEVICE_MOBILE);
        assert_int_equal(e.browser, CB_BROWSER_CHROME);
        assert_false(e.bot);
    }
    assert_string_equal(item(f, 0).props,
                        "{\"n\":1,\"referrer\":\"https://WWW.Google.com:443/search?q=secret\"}");
    assert_string_equal(item(f, 4).props, "{\"referrer\":\"t.example\"}");
    call(f, "GET", "/v1/pixel.gif?site=demo&page=https%3A%2F%2Fa.example%2F&referrer=B.example&z=1",
         phone, "");
    struct rig_item e = item(f, 5);
    assert_string_equal(e.referrer, "b.example");
    assert_string_equal(e.language, "de");
    assert_string_equal(e.country, "GR");
    assert_int_equal(e.browser, CB_BROWSER_CHROME);
}

static void test_the_answer_waits_for_the_ack(void **state) {
    struct fixture *f = *state;
    int fd = rig_connect(cb_ingest_address(f->ingest));
    static const char good[] = BEACON("demo", CLICK("1")), bad[] = "{";
    atomic_store(&f->store.acking, false);
    rig_request(fd, "POST", "/v1/events", "", good, sizeof good - 1);
    assert_true(rig_wait_items(&f->store, 1));
    assert_false(rig_readable(fd));
    int fd_bad = rig_connect(cb_ingest_address(f->ingest));
    rig_request(fd_bad, "POST", "/v1/events", "", bad, sizeof bad - 1);
    assert_true(rig_wait_items(&f->store, 2));
    assert_false(rig_readable(fd));
    assert_false(rig_readable(fd_bad)); /* a refusal waits as well: it is in the books */
    atomic_store(&f->store.acking, true);
    rig_read(fd, false, &f->a);
    assert_int_equal(f->a.status, 204);
    rig_read(fd_bad, false, &f->a);
    assert_int_equal(f->a.status, 400);
    close(fd);
    close(fd_bad);
}

static void test_without_an_ack_it_is_503_and_later_204(void **state) {
    struct fixture *f = *state;
    static const char body[] = BEACON("demo", CLICK("1"));
    post(f, "", body);
    assert_int_equal(f->a.status, 204);
    atomic_store(&f->store.acking, false);
    post(f, "", body);
    is_error(f, 503, "busy");
    assert_true(has_header(f, "Retry-After: 1"));
    atomic_store(&f->store.acking, true);
    post(f, "", body);
    assert_int_equal(f->a.status, 204);
}

static void test_queued_is_answered_before(void **state) {
    struct fixture *f = *state;
    atomic_store(&f->store.acking, false);
    call(f, "POST", "/v1/events?ack=queued", "", BEACON("demo", CLICK("1") "," CLICK("2")));
    assert_int_equal(f->a.status, 202);
    assert_string_equal(f->a.body, "{\"queued\":2}");
    assert_true(rig_wait_items(&f->store, 2));
    atomic_store(&f->store.acking, true);
    call(f, "POST", "/v1/events?ack=never", "", BEACON("demo", CLICK("3")));
    is_error(f, 400, "bad_request");
}

static void test_a_bad_event_is_refused_alone_and_in_the_books(void **state) {
    struct fixture *f = *state;
    post(f, "", BEACON("demo", CLICK("1") ",{\"seq\":2,\"name\":\"9\",\"at\":1700000000000}"));
    assert_int_equal(f->a.status, 200);
    assert_string_equal(f->a.body,
                        "{\"accepted\":1,\"rejected\":[{\"index\":1,\"code\":\"bad_event\","
                        "\"message\":\"name must be [a-zA-Z][a-zA-Z0-9_.:-]*, at most 64 "
                        "long\"}]}");
    assert_int_equal(n_items(f), 2);
    struct rig_item taken = item(f, 0), refused = item(f, 1);
    assert_false(taken.refused);
    assert_true(refused.refused);
    assert_string_equal(refused.site, "demo");
    assert_int_equal(refused.refusal, CB_REFUSE_BAD_EVENT);
    assert_true(refused.has_seq);
    assert_int_equal(refused.seq, 2);
    assert_memory_equal(refused.producer, taken.producer, CB_PRODUCER_BYTES);
}

static void test_none_taken_is_the_first_refusal(void **state) {
    struct fixture *f = *state;
    post(f, "", BEACON("demo", "{\"seq\":1,\"name\":\"x\",\"at\":1}"));
    is_error(f, 400, "bad_time");
    assert_non_null(strstr(f->a.body, "\"rejected\":[{\"index\":0,\"code\":\"bad_time\""));
    post(f, "", BEACON("demo", ""));
    is_error(f, 400, "bad_request");
    post(f, MSGPACK, "\xdf\xff\xff\xff\xff");
    is_error(f, 400, "bad_msgpack");
    post(f, "", BEACON("demo", CLICK("1")) "\n" BEACON("demo", CLICK("2")));
    is_error(f, 400, "bad_json");
    for (unsigned i = 0; i < 4; i++)
        assert_true(item(f, i).refused);
    assert_int_equal(n_items(f), 4);
    assert_string_equal(item(f, 3).site, "");
    assert_int_equal(item(f, 3).n, 1);
}

static void test_an_unknown_site_is_404(void **state) {
    struct fixture *f = *state;
    post(f, "", BEACON("nowhere", CLICK("1") "," CLICK("2")));
    is_error(f, 404, "site_unknown");
    struct rig_item refused = item(f, 0);
    assert_true(refused.refused);
    assert_string_equal(refused.site, "");
    assert_int_equal(refused.refusal, CB_REFUSE_SITE_UNKNOWN);
    assert_int_equal(refused.n, 2);
    assert_false(refused.has_seq);
}

static void test_lines_are_taken_one_by_one(void **state) {
    struct fixture *f = *state;
    post(f, NDJSON,
         BEACON("demo", CLICK("1") "," CLICK("2")) "\n{oops\n" BEACON(
             "other", CLICK("3")) "\n" BEACON("nowhere", CLICK("4")) "\n");
    assert_int_equal(f->a.status, 200);
    assert_non_null(strstr(f->a.body, "{\"accepted\":3,\"rejected\":[{\"index\":2,\"line\":2,"
                                      "\"code\":\"bad_json\""));
    assert_non_null(strstr(f->a.body, ",{\"index\":4,\"line\":4,\"code\":\"site_unknown\""));
    assert_int_equal(n_items(f), 5);
    post(f, NDJSON, BEACON("demo", CLICK("5")) "\n" BEACON("other", CLICK("6")));
    assert_int_equal(f->a.status, 204);
    post(f, NDJSON, "x\n\ny\n");
    is_error(f, 400, "bad_json");
    assert_non_null(strstr(f->a.body, "\"index\":1,\"line\":3"));
}

static void test_too_many_sites_in_a_body(void **state) {
    struct fixture *f = *state;
    static char body[65536];
    size_t at = 0;
    for (int i = 0; i < 65; i++)
        at += (size_t)snprintf(
            body + at, sizeof body - at,
            "{\"site\":\"s%d\",\"producer\":\"" PRODUCER "\",\"sent\":1,\"events\":[{}]}\n", i);
    post(f, NDJSON, body);
    is_error(f, 413, "too_large");
    assert_int_equal(item(f, 0).refusal, CB_REFUSE_TOO_LARGE);
    assert_int_equal(n_items(f), 1);
}

static void test_msgpack_is_taken(void **state) {
    struct fixture *f = *state;
    msgpack_sbuffer out;
    msgpack_packer pk;
    msgpack_sbuffer_init(&out);
    msgpack_packer_init(&pk, &out, msgpack_sbuffer_write);
    static const char *const head[][2] = {{"site", "other"}, {"producer", PRODUCER}};
    msgpack_pack_map(&pk, 4);
    for (int i = 0; i < 2; i++) {
        msgpack_pack_str_with_body(&pk, head[i][0], strlen(head[i][0]));
        msgpack_pack_str_with_body(&pk, head[i][1], strlen(head[i][1]));
    }
    msgpack_pack_str_with_body(&pk, "sent", 4);
    msgpack_pack_uint64(&pk, 1700000000000);
    msgpack_pack_str_with_body(&pk, "events", 6);
    msgpack_pack_array(&pk, 1);
    msgpack_pack_map(&pk, 3);
    msgpack_pack_str_with_body(&pk, "seq", 3);
    msgpack_pack_uint64(&pk, 1);
    msgpack_pack_str_with_body(&pk, "name", 4);
    msgpack_pack_str_with_body(&pk, "page", 4);
    msgpack_pack_str_with_body(&pk, "at", 2);
    msgpack_pack_uint64(&pk, 1700000000000);
    rig_call(cb_ingest_address(f->ingest), "POST", "/v1/events", MSGPACK, out.data, out.size,
             &f->a);
    msgpack_sbuffer_destroy(&out);
    assert_int_equal(f->a.status, 204);
    struct rig_item e = item(f, 0);
    assert_string_equal(e.site, "other");
    assert_string_equal(e.name, "page");
    assert_false(e.has_visitor);
    assert_int_equal(e.device, CB_DEVICE_SERVER);
}

static void test_a_silent_store_is_503(void **state) {
    struct fixture *f = *state;
    atomic_store(&f->store.answering, false);
    post(f, "", BEACON("demo", CLICK("1")));
    is_error(f, 503, "busy");
    assert_true(has_header(f, "Retry-After: 1"));
    assert_int_equal(n_items(f), 0);
    call(f, "POST", "/v1/boot", "", "{\"site\":\"demo\"}");
    is_error(f, 503, "busy");
    call(f, "GET", "/clientchat/demo", "", "");
    is_error(f, 503, "busy");
    call(f, "GET", "/readyz", "", "");
    is_error(f, 503, "busy");
    call(f, "GET", "/healthz", "", "");
    assert_int_equal(f->a.status, 200);
    atomic_store(&f->store.answering, true);
    post(f, "", BEACON("demo", CLICK("1")));
    assert_int_equal(f->a.status, 204);
}

static void test_a_site_is_asked_for_once(void **state) {
    struct fixture *f = *state;
    static const char body[] = BEACON("demo", CLICK("1"));
    post(f, "", body);
    unsigned asks = atomic_load(&f->store.asks);
    int fd = rig_connect(cb_ingest_address(f->ingest));
    for (int i = 0; i < 20; i++)
        rig_request(fd, "POST", "/v1/events", "", body, sizeof body - 1);
    for (int i = 0; i < 20; i++) {
        rig_read(fd, false, &f->a);
        assert_int_equal(f->a.status, 204);
    }
    close(fd);
    assert_true(atomic_load(&f->store.asks) <= asks + 1); /* a slow machine may refresh */
    assert_int_equal(n_items(f), 21);
    /* What comes in one read leaves in few frames. */
    assert_true(atomic_load(&f->store.frames) < 20);
}

static void test_threads_share_a_port(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 40; i++) {
        post(f, "", BEACON("demo", CLICK("1")));
        assert_int_equal(f->a.status, 204);
    }
    assert_int_equal(n_items(f), 40);
}

/* ---- the other routes ---- */

static void test_boot(void **state) {
    struct fixture *f = *state;
    call(f, "POST", "/v1/boot", "Content-Type: text/plain\r\n", "{\"site\":\"demo\"}");
    assert_int_equal(f->a.status, 200);
    assert_string_equal(f->a.body, "{\"site\":\"demo\",\"status\":\"online\"}");
    assert_true(has_header(f, "Cache-Control: no-store"));
    call(f, "POST", "/v1/boot", "", "{\"visitor\":\"" VISITOR "\",\"site\":\"other\"}");
    assert_int_equal(f->a.status, 200);
    assert_string_equal(f->a.body, "{\"site\":\"other\",\"status\":\"offline\",\"visitor\":{"
                                   "\"name\":\"Ann\",\"email\":\"\",\"phone\":\"\","
                                   "\"notes\":\"\"}}");
    assert_true(has_header(f, "Cache-Control: no-store"));
    static const struct {
        const char *body, *code;
        int status;
    } bad[] = {{"", "bad_json", 400},
               {"[]", "bad_request", 400},
               {"{}", "bad_request", 400},
               {"{\"site\":1}", "bad_request", 400},
               {"{\"site\":\"demo\",\"site\":\"demo\"}", "bad_request", 400},
               {"{\"site\":\"demo\",\"visitor\":\"x\"}", "bad_request", 400},
               {"{\"site\":\"nowhere\"}", "site_unknown", 404}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        call(f, "POST", "/v1/boot", "", bad[i].body);
        is_error(f, bad[i].status, bad[i].code);
    }
}

static void test_pixel(void **state) {
    struct fixture *f = *state;
    call(f, "GET", "/v1/pixel.gif?site=demo&name=mail.open&page=https%3A%2F%2Fa%2F&campaign=x+y",
         "", "");
    assert_int_equal(f->a.status, 200);
    assert_int_equal(f->a.len, 43);
    assert_memory_equal(f->a.body, "GIF89a", 6);
    assert_true(has_header(f, "Content-Type: image/gif"));
    assert_true(has_header(f, "Cache-Control: no-store"));
    call(f, "GET", "/v1/pixel.gif?site=demo", "Referer: https://b/\r\n", "");
    assert_int_equal(f->a.status, 200);
    call(f, "GET", "/v1/pixel.gif?site=demo&producer=" PRODUCER "&seq=7", "", "");
    assert_int_equal(f->a.status, 200);
    struct rig_item own = item(f, 0), second = item(f, 1), given = item(f, 2);
    assert_string_equal(own.name, "mail.open");
    assert_string_equal(own.page, "https://a/");
    assert_string_equal(own.props, "{\"campaign\":\"x y\"}");
    assert_int_equal(own.seq, 1);
    assert_int_equal(own.age_ms, 0);
    assert_false(own.has_visitor);
    assert_string_equal(second.name, "page");
    assert_string_equal(second.page, "https://b/");
    assert_int_equal(second.seq, 2);
    assert_memory_equal(own.producer, second.producer, CB_PRODUCER_BYTES);
    assert_int_equal(given.seq, 7);
    assert_memory_equal(given.producer, "\x01\x23\x45\x67\x89\xab\xcd\xef", CB_PRODUCER_BYTES);
    call(f, "HEAD", "/v1/pixel.gif?site=demo", "", "");
    assert_int_equal(f->a.status, 200);
    assert_int_equal(n_items(f), 3);
}

static void test_a_bad_pixel_is_refused(void **state) {
    static const struct {
        const char *query, *code;
        int status;
    } bad[] = {{"", "bad_request", 400},
               {"?site=a%20b", "bad_request", 400},
               {"?site=nowhere", "site_unknown", 404},
               {"?site=demo&visitor=" VISITOR, "bad_request", 400},
               {"?site=demo&producer=" PRODUCER, "bad_request", 400},
               {"?site=demo&seq=1", "bad_request", 400},
               {"?site=demo&producer=" PRODUCER "&seq=0", "bad_event", 400},
               {"?site=demo&producer=" PRODUCER "&seq=9007199254740992", "bad_event", 400},
               {"?site=demo&producer=12&seq=1", "bad_request", 400},
               {"?site=demo&name=1", "bad_event", 400},
               {"?site=demo&name=set&key=name&value=x", "bad_event", 400},
               {"?site=demo&x=1&x=2", "bad_event", 400},
               {"?site=demo&_=1", "bad_event", 400},
               {"?site=demo&x=%zz", "bad_request", 400},
               {"?site=demo&site=demo", "bad_request", 400}};
    struct fixture *f = *state;
    char target[256];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(target, sizeof target, "/v1/pixel.gif%s", bad[i].query);
        call(f, "GET", target, "", "");
        is_error(f, bad[i].status, bad[i].code);
        assert_true(item(f, (unsigned)i).refused);
        assert_int_equal(item(f, (unsigned)i).n, 1);
    }
}

static void test_the_script(void **state) {
    struct fixture *f = *state;
    call(f, "GET", "/clientchat/demo", "", "");
    assert_int_equal(f->a.status, 200);
    assert_string_equal(f->a.body, script);
    assert_true(has_header(f, "Cache-Control: public, max-age=60"));
    assert_true(has_header(f, "Content-Type: " SCRIPT_TYPE));
    assert_true(has_header(f, "ETag: \"w1\""));
    assert_true(has_header(f, "Vary: Accept-Encoding"));
    call(f, "GET", "/clientchat/other", "Accept-Encoding: gzip\r\n", "");
    assert_string_equal(f->a.body, packed);
    call(f, "GET", "/clientchat/demo", "If-None-Match: \"w1\"\r\n", "");
    assert_int_equal(f->a.status, 304);
    call(f, "HEAD", "/clientchat/demo", "", "");
    assert_int_equal(f->a.status, 200);
    call(f, "GET", "/clientchat/nowhere", "", "");
    is_error(f, 404, "site_unknown");
    call(f, "GET", "/clientchat/a%22b", "", "");
    is_error(f, 404, "site_unknown");
    call(f, "GET", "/clientchat/", "", "");
    is_error(f, 404, "not_found");
}

static void test_the_script_of_a_site_that_needs_consent(void **state) {
    static const struct {
        const char *page, *script;
    } cases[] = {
        {"{\"consent_needed\":true}", consent_script},
        {"{\"position\":\"top-left\",\"consent_needed\":true,\"form\":[]}", consent_script},
        {"{\"consent_needed\":false}", script},
        {"{\"texts\":{\"l1\":{\"title\":\"\\\"consent_needed\\\":true\"}}}", script},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char site[16], path[64];
        snprintf(site, sizeof site, "shop%zu", i);
        snprintf(path, sizeof path, "/clientchat/%s", site);
        atomic_store(&f->store.pages[i], cases[i].page);
        call(f, "GET", path, "", "");
        assert_int_equal(f->a.status, 200);
        assert_string_equal(f->a.body, cases[i].script);
    }
}

static void test_the_interface_never_changes_at_its_address(void **state) {
    struct fixture *f = *state;
    call(f, "GET", "/w/0123.js", "Origin: https://shop.example\r\n", "");
    assert_int_equal(f->a.status, 200);
    assert_string_equal(f->a.body, interface);
    assert_true(has_header(f, "Cache-Control: public, max-age=31536000, immutable"));
    assert_true(has_header(f, "Access-Control-Allow-Origin: *")); /* it is a module */
    call(f, "GET", "/w/4567.js", "", "");                         /* of another version */
    assert_int_equal(f->a.status, 200);
    assert_string_equal(f->a.body, interface);
    assert_true(has_header(f, "Cache-Control: no-store"));
    call(f, "GET", "/w/", "", "");
    is_error(f, 404, "not_found");
}

static void test_the_demo_page(void **state) {
    struct fixture *f = *state;
    call(f, "GET", "/demo", "", "");
    assert_int_equal(f->a.status, 200);
    assert_string_equal(f->a.body, demo);
    assert_true(has_header(f, "Cache-Control: no-cache"));
    call(f, "GET", "/demo.js", "", "");
    assert_int_equal(f->a.status, 200);
    assert_string_equal(f->a.body, script);
}

static void test_addresses_and_methods(void **state) {
    static const char *const gets[] = {"/v1/pixel.gif", "/clientchat/demo", "/w/0123.js", "/demo",
                                       "/demo.js",      "/healthz",         "/readyz"};
    static const char *const posts[] = {"/v1/events", "/v1/boot"};
    static const char *const nowhere[] = {"/",       "/v1",   "/v1/events/", "/v1/eventsx",
                                          "/demo/x", "/DEMO", "/../demo"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        call(f, "GET", nowhere[i], "", "");
        is_error(f, 404, "not_found");
        call(f, "POST", nowhere[i], "", "{}");
        is_error(f, 404, "not_found");
    }
    for (size_t i = 0; i < sizeof gets / sizeof *gets; i++) {
        call(f, "POST", gets[i], "", "{}");
        is_error(f, 405, "method_not_allowed");
        assert_true(has_header(f, "Allow: GET, HEAD"));
    }
    for (size_t i = 0; i < sizeof posts / sizeof *posts; i++) {
        call(f, "GET", posts[i], "", "");
        is_error(f, 405, "method_not_allowed");
        assert_true(has_header(f, "Allow: POST, OPTIONS"));
        call(f, "OPTIONS", posts[i], "Origin: https://a\r\n", "");
        assert_int_equal(f->a.status, 204);
        assert_true(has_header(f, "Access-Control-Allow-Methods: POST, OPTIONS"));
        assert_true(has_header(f, "Access-Control-Allow-Headers: Content-Type"));
        assert_true(has_header(f, "Access-Control-Max-Age: 86400"));
    }
    assert_int_equal(n_items(f), 0);
}

static void test_the_servers_own_errors_can_be_read_by_pages(void **state) {
    struct fixture *f = *state;
    static char body[70000];
    memset(body, ' ', sizeof body - 1);
    post(f, "", body);
    is_error(f, 413, "too_large");
    call(f, "GET", "/demo", "Bad Header: x\r\n", "");
    is_error(f, 400, "bad_request");
}

static void test_ready_is_what_the_store_says(void **state) {
    struct fixture *f = *state;
    atomic_store(&f->store.accepting, false);
    call(f, "GET", "/readyz", "", "");
    is_error(f, 503, "busy");
    assert_non_null(strstr(f->a.body, "no room"));
    call(f, "GET", "/healthz", "", "");
    assert_int_equal(f->a.status, 200);
    atomic_store(&f->store.accepting, true);
    int64_t deadline_ms = rig_now_ms() + RIG_WAIT_MS; /* the answer is kept for a second */
    do
        call(f, "GET", "/readyz", "", "");
    while (f->a.status != 200 && rig_now_ms() < deadline_ms);
    assert_int_equal(f->a.status, 200);
}

static void test_the_end_answers_what_is_held(void **state) {
    struct fixture *f = *state;
    int fd = rig_connect(cb_ingest_address(f->ingest));
    static const char body[] = BEACON("demo", CLICK("1"));
    atomic_store(&f->store.acking, false);
    rig_request(fd, "POST", "/v1/events", "", body, sizeof body - 1);
    assert_true(rig_wait_items(&f->store, 1));
    cb_ingest_teardown(&f->ingest); /* waits for the ack timeout */
    rig_read(fd, false, &f->a);
    assert_int_equal(f->a.status, 503);
    close(fd);
}

static void test_a_port_in_use_is_named(void **state) {
    struct fixture *f = *state;
    struct cb_ingest *second = NULL;
    char *sentence = NULL;
    const char *address = f->opts.ingest;
    f->opts.ingest = cb_ingest_address(f->ingest);
    assert_int_equal(cb_ingest_setup(&f->opts, &f->store.url, &second, &sentence), CB_EBUSY);
    assert_null(second);
    assert_non_null(strstr(sentence, cb_ingest_address(f->ingest)));
    free(sentence);
    f->opts.ingest = address;
}

int main(void) {
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(test_an_event_is_in_a_frame_when_it_is_answered),
        ROW(test_facts_stand_in_the_frame),
        ROW(test_the_answer_waits_for_the_ack),
        cmocka_unit_test_setup_teardown(test_without_an_ack_it_is_503_and_later_204, setup_hasty,
                                        teardown),
        ROW(test_queued_is_answered_before),
        ROW(test_a_bad_event_is_refused_alone_and_in_the_books),
        ROW(test_none_taken_is_the_first_refusal),
        ROW(test_an_unknown_site_is_404),
        ROW(test_lines_are_taken_one_by_one),
        ROW(test_too_many_sites_in_a_body),
        ROW(test_msgpack_is_taken),
        cmocka_unit_test_setup_teardown(test_a_silent_store_is_503, setup_hasty, teardown),
        ROW(test_a_site_is_asked_for_once),
        cmocka_unit_test_setup_teardown(test_threads_share_a_port, setup_two, teardown),
        ROW(test_boot),
        ROW(test_pixel),
        ROW(test_a_bad_pixel_is_refused),
        ROW(test_the_script),
        ROW(test_the_script_of_a_site_that_needs_consent),
        ROW(test_the_interface_never_changes_at_its_address),
        ROW(test_the_demo_page),
        ROW(test_addresses_and_methods),
        ROW(test_the_servers_own_errors_can_be_read_by_pages),
        ROW(test_ready_is_what_the_store_says),
        cmocka_unit_test_setup_teardown(test_the_end_answers_what_is_held, setup_hasty, teardown),
        ROW(test_a_port_in_use_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
