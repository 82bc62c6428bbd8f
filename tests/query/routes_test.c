/* SPDX-License-Identifier: MIT
 * The query service over real HTTP, on the fake reader: what each address answers, to whom. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "query/query.h"
#include "query/routes.h"
#include "query/tries.h"
#include "tests/query/fake_reader.h"

static const struct fake_name names[] = {{FAKE_DEMO, 2, "onClick"}};
static const struct fake_event events[] = {{100, FAKE_DEMO, 2, 0}, {100, FAKE_SHOP, 2, 0}};
static const struct cb_visitor visitors[] = {{.visitor = {0xab}, .events = 1}};

static struct cb_reader reader;
static struct cb_query *query;
static struct cb_opts opts;
static const char *cors = "";

static int setup(void **state) {
    char *sentence;
    (void)state;
    reader = (struct cb_reader){
        .events = events,
        .n_events = 2,
        .names = names,
        .n_names = 1,
        .visitors = visitors,
        .n_visitors = 1,
        .books = {[FAKE_DEMO] = {.received = 1, .counted = 1}},
    };
    opts = (struct cb_opts){.query = "127.0.0.1:0",
                            .cors_origins = cors,
                            .query_threads = 2,
                            .connections = 100,
                            .connections_per_address = 100,
                            .request_timeout = 5,
                            .idle_timeout = 5};
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
    /* Every snapshot that was begun was ended. */
    return query != NULL || reader.open != 0;
}

static int dial(void) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    const struct timeval deadline = {10, 0};
    const char *colon = strrchr(cb_query_address(query), ':');
    assert_non_null(colon);
    to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    assert_int_not_equal(to.sin_port, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* A whole answer; static, so the next one replaces it. */
struct answer {
    int status;
    const char *head, *body;
};

static struct answer ask_raw(const char *request) {
    static char bytes[256 * 1024];
    size_t n = 0;
    ssize_t got;
    int fd = dial();
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    while ((got = read(fd, bytes + n, sizeof bytes - 1 - n)) > 0)
        n += (size_t)got;
    assert_int_equal(got, 0); /* closed by the server, not by the deadline */
    close(fd);
    bytes[n] = '\0';
    char *body = strstr(bytes, "\r\n\r\n");
    assert_non_null(body);
    body[2] = '\0';
    struct answer answer = {(int)strtol(bytes + strlen("HTTP/1.1 "), NULL, 10), bytes, body + 4};
    return answer;
}

/* token NULL: none. */
static struct answer ask(const char *method, const char *target, const char *token) {
    char request[2048];
    snprintf(request, sizeof request,
             "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s%s%s\r\n", method, target,
             token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "");
    return ask_raw(request);
}

static void assert_answer(struct answer answer, int status, const char *part) {
    if (answer.status != status || !strstr(answer.body, part))
        fail_msg("not %d with %s: %s%s", status, part, answer.head, answer.body);
}

static void assert_header(struct answer answer, const char *line) {
    char whole[512];
    snprintf(whole, sizeof whole, "\r\n%s\r\n", line);
    if (!strstr(answer.head, whole))
        fail_msg("no %s in %s", line, answer.head);
}

#define ALL FAKE_TOKEN_ALL
#define OPERATOR FAKE_TOKEN_OPERATOR
#define ROOT FAKE_TOKEN_ROOT
#define TOTALS "/v1/sites/demo/totals"

static void reports_are_served(void **state) {
    (void)state;
    struct answer answer = ask("GET", TOTALS "?from=6000000&to=6060000", ALL);
    assert_answer(answer, 200, "{\"site\":\"demo\",");
    assert_non_null(strstr(answer.body, "\"events\":{\"onClick\":1},\"visitors\":1"));
    assert_header(answer, "Content-Type: application/json; charset=utf-8");
    assert_header(answer, "Cache-Control: no-store");
    assert_header(answer, "X-Content-Type-Options: nosniff");
    assert_answer(ask("GET", "/v1/sites/demo/timeseries?grain=minute&from=0&to=60000", ALL), 200,
                  "\"points\":[{\"t\":0,\"events\":0,\"visitors\":0}]");
    assert_answer(ask("GET", "/v1/sites/demo/visitors?q=ab&limit=1", OPERATOR), 200,
                  "\"next\":null");
    assert_answer(ask("GET", "/v1/sites/demo/visitors/ab000000000000000000000000000000", OPERATOR),
                  200, "{\"site\":\"demo\",\"visitor\":\"ab0");
    assert_answer(ask("GET", "/v1/balance", ALL), 200, "\"shop\":");
    assert_answer(ask("GET", TOTALS, FAKE_TOKEN_DEMO), 200, "\"site\":\"demo\"");
}

static void health_is_open(void **state) {
    (void)state;
    assert_answer(ask("GET", "/healthz", NULL), 200, "{\"status\":\"alive\"}");
    assert_answer(ask("GET", "/readyz", NULL), 200, "{\"ready\":true,\"position\":4711}");
    reader.begin_rc = CB_EIO;
    assert_answer(ask("GET", "/healthz", NULL), 200, "{\"status\":\"alive\"}");
    struct answer answer = ask("GET", "/readyz", NULL);
    assert_answer(answer, 503, "\"code\":\"busy\"");
    assert_header(answer, "Retry-After: 1");
    answer = ask("GET", TOTALS, ALL);
    assert_answer(answer, 503, "\"code\":\"busy\"");
    assert_header(answer, "Retry-After: 1");
}

static const char *method_of(const struct cb_route *route) {
    static const char *const methods[] = {[CB_HTTP_GET] = "GET",
                                          [CB_HTTP_POST] = "POST",
                                          [CB_HTTP_PUT] = "PUT",
                                          [CB_HTTP_PATCH] = "PATCH",
                                          [CB_HTTP_DELETE] = "DELETE"};
    return methods[route->method];
}

static void a_token_is_needed(void **state) {
    (void)state;
    for (const struct cb_route *route = cb_routes_table(); route->pattern; route++) {
        if (route->scope == CB_SCOPE_OPEN)
            continue;
        struct answer answer = ask(method_of(route), route->pattern, NULL);
        assert_answer(answer, 401, "{\"error\":{\"code\":\"unauthorized\"");
        assert_header(answer, "WWW-Authenticate: Bearer");
        assert_answer(ask(method_of(route), route->pattern, FAKE_TOKEN_NOBODY), 403,
                      "\"code\":\"forbidden\"");
    }
    assert_answer(ask("GET", TOTALS, "guess"), 401, "\"code\":\"unauthorized\"");
    assert_answer(ask("GET", TOTALS "?token=" ALL, NULL), 401, "unauthorized");
}

static void a_site_token_opens_its_site(void **state) {
    (void)state;
    assert_answer(ask("GET", TOTALS, FAKE_TOKEN_SHOP), 403, "another site");
    /* Whether a site exists is not told to those who may not see it. */
    assert_answer(ask("GET", "/v1/sites/none/totals", FAKE_TOKEN_SHOP), 403, "another site");
    assert_answer(ask("GET", "/v1/sites/shop/totals", FAKE_TOKEN_SHOP), 200, "\"shop\"");
    struct answer answer = ask("GET", "/v1/balance", FAKE_TOKEN_SHOP);
    assert_answer(answer, 200, "\"shop\":");
    assert_null(strstr(answer.body, "demo"));
    assert_answer(ask("GET", "/metrics", FAKE_TOKEN_DEMO), 403, "all sites");
}

static struct answer send_json(const char *method, const char *target, const char *token,
                               const char *more, const char *body) {
    char request[32768];
    snprintf(request, sizeof request,
             "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n%s"
             "Content-Length: %zu\r\n\r\n%s",
             method, target, token, more, strlen(body), body);
    return ask_raw(request);
}

#define SETTINGS "/v1/sites/demo/settings"
#define ADA "/v1/sites/demo/visitors/ab000000000000000000000000000000"

/* What may be read and written by whom; 503: it may, but there is no store. */
static void roles_decide_who_writes(void **state) {
    static const struct {
        const char *method, *target, *body;
        int viewer, operator, site_admin, admin;
    } rows[] = {
        {"GET", SETTINGS, "", 200, 200, 200, 200},
        {"PUT", SETTINGS, "{}", 403, 403, 503, 503},
        {"PUT", "/v1/sites/demo/status", "{\"status\":\"offline\"}", 403, 503, 503, 503},
        {"PUT", "/v1/sites/demo/presence", "", 403, 503, 503, 503},
        {"GET", "/v1/sites/demo/visitors", "", 403, 200, 200, 200},
        {"PATCH", ADA, "{\"remarks\":\"x\"}", 403, 503, 503, 503},
        {"GET", "/v1/sites", "", 200, 200, 200, 200},
        {"PUT", "/v1/sites/fresh", "", 403, 403, 403, 503},
        {"PUT", "/v1/sites/demo", "", 403, 403, 403, 200},
        {"GET", "/v1/token", "", 200, 200, 200, 200},
        {"GET", "/v1/tokens", "", 403, 403, 200, 200},
        {"POST", "/v1/tokens", "{\"role\":\"admin\"}", 403, 403, 403, 503},
        {"POST", "/v1/tokens", "{\"role\":\"viewer\",\"site\":\"demo\"}", 403, 403, 503, 503},
        {"DELETE", "/v1/tokens/0100000000000000", "", 403, 403, 404, 503},
        {"DELETE", "/v1/tokens/0200000000000000", "", 403, 403, 503, 503},
        {"GET", "/v1/audit", "", 403, 403, 200, 200},
    };
    static const struct cb_token tokens[] = {{.role = CB_ROLE_OPERATOR, .id = {1}},
                                             {.role = CB_ROLE_VIEWER, .id = {2}, .site = "demo"}};
    (void)state;
    reader.tokens = tokens;
    reader.n_tokens = 2;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const who[] = {ALL, OPERATOR, FAKE_TOKEN_DEMO, ROOT};
        const int want[] = {rows[i].viewer, rows[i].operator, rows[i].site_admin, rows[i].admin};
        for (size_t j = 0; j < 4; j++) {
            struct answer answer =
                send_json(rows[i].method, rows[i].target, who[j], "", rows[i].body);
            if (answer.status != want[j])
                fail_msg("%s %s as %s: not %d: %s%s", rows[i].method, rows[i].target, who[j],
                         want[j], answer.head, answer.body);
            if (answer.status == 503)
                assert_header(answer, "Retry-After: 1");
        }
    }
}

/* Each wrong body is refused with the name of what is wrong, before anything is written. */
static void bodies_are_checked(void **state) {
#define TRIGGER "{\"id\":\"a\",\"name\":\"n\",\"message\":\"m\",\"delay_s\":1}"
    static const struct {
        const char *method, *target, *body, *code, *field;
    } rows[] = {
        {"PUT", SETTINGS, "", "bad_json", NULL},
        {"PUT", SETTINGS, "{\"zone\":}", "bad_json", NULL},
        {"PUT", SETTINGS, "[]", "bad_request", NULL},
        {"PUT", SETTINGS, "{\"zones\":1}", "bad_request", "zones"},
        {"PUT", SETTINGS, "{\"zone\":\"Mars/Olympus\"}", "bad_request", "zone"},
        {"PUT", SETTINGS, "{\"zone\":\"GMT+3\"}", "bad_request", "zone"},
        {"PUT", SETTINGS, "{\"zone\":\"UTC\\u0000\"}", "bad_request", "zone"},
        {"PUT", SETTINGS, "{\"zone\":3}", "bad_request", "zone"},
        {"PUT", SETTINGS, "{\"zone\":\"UTC\",\"zone\":\"UTC\"}", "bad_request", "zone"},
        {"PUT", SETTINGS, "{\"idle_minutes\":0}", "bad_request", "idle_minutes"},
        {"PUT", SETTINGS, "{\"idle_minutes\":1441}", "bad_request", "idle_minutes"},
        {"PUT", SETTINGS, "{\"idle_minutes\":1.5}", "bad_request", "idle_minutes"},
        {"PUT", SETTINGS, "{\"raw_days\":-1}", "bad_request", "raw_days"},
        {"PUT", SETTINGS, "{\"origins\":[\"https://a\",\"https://a/\"]}", "bad_request",
         "origins[1]"},
        {"PUT", SETTINGS, "{\"origins\":\"https://a\"}", "bad_request", "origins"},
        {"PUT", SETTINGS, "{\"origins\":[7]}", "bad_request", "origins[0]"},
        {"PUT", SETTINGS, "{\"texts\":{\"l1\":{\"titel\":\"x\"}}}", "bad_request",
         "texts.l1.titel"},
        {"PUT", SETTINGS, "{\"texts\":{\"l3\":{}}}", "bad_request", "texts.l3"},
        {"PUT", SETTINGS, "{\"texts\":{\"l1\":{\"lang\":\"d\"}}}", "bad_request", "texts.l1.lang"},
        {"PUT", SETTINGS, "{\"position\":\"middle\"}", "bad_request", "position"},
        {"PUT", SETTINGS, "{\"position\":\"bottom-right bottom-left\"}", "bad_request", "position"},
        {"PUT", SETTINGS, "{\"colour\":\"red\"}", "bad_request", "colour"},
        {"PUT", SETTINGS, "{\"form\":[{\"required\":true}]}", "bad_request", "form[0].field"},
        {"PUT", SETTINGS, "{\"triggers\":[" TRIGGER "," TRIGGER "]}", "bad_request",
         "triggers[1].id"},
        {"PUT", SETTINGS, "{\"triggers\":[{\"id\":\"a b\"}]}", "bad_request", "triggers[0].id"},
        {"PUT", SETTINGS, "{\"consent_needed\":\"yes\"}", "bad_request", "consent_needed"},
        {"PUT", "/v1/sites/demo/status", "{\"status\":\"away\"}", "bad_request", "status"},
        {"PUT", "/v1/sites/demo/status", "{}", "bad_request", "status"},
        {"PUT", "/v1/sites/a.b", "", "bad_request", "site"},
        {"PATCH", ADA, "{}", "bad_request", NULL},
        {"PATCH", ADA, "{\"mail\":\"x\"}", "bad_request", "mail"},
        {"PATCH", ADA, "{\"email\":null}", "bad_request", "email"},
        {"PATCH", ADA, "{\"phone\":\"01234567890123456789012345678901234567890\"}", "bad_request",
         "phone"},
        {"PATCH", "/v1/sites/demo/visitors/ab", "{\"name\":\"x\"}", "bad_request", "visitor"},
        {"PATCH", "/v1/sites/demo/visitors/ab000000000000000000000000000001", "{\"name\":\"x\"}",
         "not_found", "visitor"},
        {"POST", "/v1/tokens", "{\"role\":\"boss\"}", "bad_request", "role"},
        {"POST", "/v1/tokens", "{}", "bad_request", "role"},
        {"POST", "/v1/tokens", "{\"role\":\"viewer\",\"site\":\"none\"}", "bad_request", "site"},
        {"DELETE", "/v1/tokens/xyz", "", "bad_request", "id"},
        {"DELETE", "/v1/tokens/0000000000000000", "", "not_found", "id"},
        {"GET", "/v1/audit?cursor=0", "", "bad_request", "cursor"},
        {"GET", "/v1/audit?limit=501", "", "bad_request", "limit"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char part[128];
        struct answer answer = send_json(rows[i].method, rows[i].target, ROOT, "", rows[i].body);
        snprintf(part, sizeof part, "\"code\":\"%s\"", rows[i].code);
        assert_answer(answer, strcmp(rows[i].code, "not_found") ? 400 : 404, part);
        snprintf(part, sizeof part, "\"field\":\"%s\"}}", rows[i].field ? rows[i].field : "");
        if (rows[i].field)
            assert_answer(answer, answer.status, part);
    }
}

static void the_last_admin_stays(void **state) {
    static const struct cb_token tokens[] = {{.role = CB_ROLE_ADMIN, .id = {0xaa}},
                                             {.role = CB_ROLE_ADMIN, .id = {1}, .site = "demo"},
                                             {.role = CB_ROLE_OPERATOR, .id = {2}},
                                             {.role = CB_ROLE_ADMIN, .id = {3}}};
    (void)state;
    reader.tokens = tokens;
    reader.n_tokens = 3;
    assert_answer(send_json("DELETE", "/v1/tokens/aa00000000000000", ROOT, "", ""), 403,
                  "the last admin token of all sites cannot be revoked");
    assert_int_equal(send_json("DELETE", "/v1/tokens/0100000000000000", ROOT, "", "").status, 503);
    reader.n_tokens = 4;
    assert_int_equal(send_json("DELETE", "/v1/tokens/aa00000000000000", ROOT, "", "").status, 503);
    struct answer answer = ask("GET", "/v1/tokens", FAKE_TOKEN_DEMO);
    assert_answer(answer, 200, "{\"tokens\":[{\"id\":\"0100000000000000\",\"role\":\"admin\",");
    assert_null(strstr(answer.body, "aa00"));
}

static void the_audit_log_in_pages(void **state) {
    static const struct cb_audit rows[] = {
        {.position = 9, .at_ms = 1, .act = CB_CONTROL_STATUS, .site = CB_STR("shop"), .by = {1}},
        {.position = 5, .at_ms = 1, .act = CB_CONTROL_SETTINGS, .site = CB_STR("demo")},
        {.position = 2, .at_ms = 1, .act = CB_CONTROL_TOKEN, .summary = CB_STR("admin x")}};
    (void)state;
    reader.audit = rows;
    reader.n_audit = 3;
    assert_answer(ask("GET", "/v1/audit?limit=2", ROOT), 200,
                  "\"by\":\"0100000000000000\",\"act\":\"status_put\",\"site\":\"shop\"");
    assert_answer(ask("GET", "/v1/audit?limit=2", ROOT), 200, "\"next\":\"5\"");
    assert_answer(ask("GET", "/v1/audit?cursor=5", ROOT), 200,
                  "{\"rows\":[{\"position\":2,\"at\":1,\"by\":null,\"act\":\"token_made\","
                  "\"site\":null,\"summary\":\"admin x\"}],\"next\":null}");
    struct answer answer = ask("GET", "/v1/audit", FAKE_TOKEN_DEMO);
    assert_answer(answer, 200, "{\"rows\":[{\"position\":5,");
    assert_null(strstr(answer.body, "shop"));
}

static void settings_are_told_as_they_were_put(void **state) {
    (void)state;
    reader.settings = (struct cb_settings){.zone = CB_STR("Europe/Athens"),
                                           .idle_minutes = 20,
                                           .raw_days = 1,
                                           .personal_days = 2,
                                           .rollup_days = 3,
                                           .origins = CB_STR("https://a https://b"),
                                           .page = CB_STR("{\"colour\":\"#112233\"}")};
    assert_answer(ask("GET", SETTINGS, ALL), 200,
                  "{\"zone\":\"Europe/Athens\",\"idle_minutes\":20,\"raw_days\":1,"
                  "\"personal_days\":2,\"rollup_days\":3,\"origins\":[\"https://a\","
                  "\"https://b\"],\"colour\":\"#112233\"}");
}

static void tries_are_bounded(void **state) {
    (void)state;
    for (int i = 0; i < CB_TRIES_BURST; i++)
        assert_int_equal(ask("GET", TOTALS, "guess").status, 401);
    struct answer answer = ask("GET", TOTALS, "guess");
    assert_answer(answer, 429, "\"code\":\"rate_limited\"");
    assert_non_null(strstr(answer.head, "\r\nRetry-After: "));
    /* No token is no try, and who has one is let in. */
    assert_int_equal(ask("GET", TOTALS, NULL).status, 401);
    assert_int_equal(ask("GET", TOTALS, ALL).status, 200);
}

static int setup_cors(void **state) {
    (void)state;
    cors = "https://a.example,https://b.example:8443";
    int rc = setup(state);
    cors = "";
    return rc;
}

static void listed_origins_may_read(void **state) {
    (void)state;
    struct answer answer = send_json("GET", TOTALS, ALL, "Origin: https://b.example:8443\r\n", "");
    assert_header(answer, "Access-Control-Allow-Origin: https://b.example:8443");
    assert_header(answer, "Vary: Origin");
    answer = send_json("GET", TOTALS, "guess", "Origin: https://a.example\r\n", "");
    assert_int_equal(answer.status, 401);
    assert_header(answer, "Access-Control-Allow-Origin: https://a.example");
    answer = send_json("GET", TOTALS, ALL, "Origin: https://c.example\r\n", "");
    assert_int_equal(answer.status, 200);
    assert_null(strstr(answer.head, "Access-Control-Allow-Origin"));
    answer = send_json("OPTIONS", SETTINGS, ALL, "Origin: https://a.example\r\n", "");
    assert_int_equal(answer.status, 204);
    assert_header(answer, "Access-Control-Allow-Methods: GET, HEAD, PUT");
    assert_header(answer,
                  "Access-Control-Allow-Headers: Authorization, Content-Type, Last-Event-ID");
    answer = send_json("OPTIONS", SETTINGS, ALL, "Origin: https://c.example\r\n", "");
    assert_int_equal(answer.status, 405);
    char *sentence;
    struct cb_query *other = NULL;
    struct cb_opts bad = opts;
    bad.cors_origins = "https://a.example/";
    assert_int_equal(cb_query_setup(&bad, &reader, NULL, &other, &sentence), CB_EINVAL);
    assert_non_null(strstr(sentence, "--cors-origins"));
    free(sentence);
}

static void unknown_things_are_404(void **state) {
    static const char *const targets[] = {
        "/v1",
        "/v1/",
        "/v1/sites/",
        "/v1/sites/demo/x",
        "/v1/sites//totals",
        "/v1/sites/demo/totals/",
        "/v1/sites/demo/totals/x",
        "/v1/sites/demo/visitors/",
        "//",
        "/metrics/",
        "/Healthz",
        "/app.css",
        "/../etc/passwd",
        "/%2e%2e/etc/passwd",
    };
    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        assert_answer(ask("GET", targets[i], ALL), 404, "\"code\":\"not_found\"");
    assert_answer(ask("GET", "/v1/sites/none/totals", ALL), 404, "\"code\":\"site_unknown\"");
    assert_answer(ask("GET", "/v1/sites/d%65mo/totals", ALL), 404, "\"code\":\"site_unknown\"");
    assert_answer(ask("GET", "/v1/sites/demo/visitors/ab000000000000000000000000000001", OPERATOR),
                  404, "\"code\":\"not_found\"");
}

static void other_methods_are_405(void **state) {
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    static const char *const targets[] = {TOTALS, "/healthz", "/", "/app.js", "/openapi.json"};
    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        for (size_t j = 0; j < sizeof targets / sizeof *targets; j++) {
            struct answer answer = ask(methods[i], targets[j], ALL);
            assert_answer(answer, 405, "\"code\":\"method_not_allowed\"");
            assert_header(answer, "Allow: GET, HEAD");
        }
    }
    assert_answer(ask("POST", "/nothing", ALL), 404, "not_found");
}

static void bad_parameters_are_400_with_their_name(void **state) {
    static const char *const rows[][2] = {
        {TOTALS "?form=2024-05-01", "\"field\":\"form\""},
        {TOTALS "?grain=day", "\"field\":\"grain\""},
        {TOTALS "?from=1&from=2", "\"field\":\"from\""},
        {TOTALS "?tz=Mars/Olympus", "\"field\":\"tz\""},
        {TOTALS "?to=soon", "\"field\":\"to\""},
        {"/v1/sites/demo/timeseries?grain=minute&from=0", "\"field\":\"grain\""},
        {"/v1/sites/demo/visitors?limit=201", "\"field\":\"limit\""},
        {"/v1/sites/demo/visitors?cursor=zz", "\"field\":\"cursor\""},
        {"/v1/sites/demo/visitors?tz=UTC", "\"field\":\"tz\""},
        {"/v1/sites/demo/visitors/abc", "\"field\":\"visitor\""},
        {"/v1/balance?site=demo", "\"field\":\"site\""},
        {"/metrics?x", "\"field\":\"x\""},
        {"/readyz?%3Cb%3E=1", "\"field\":\"%3Cb%3E\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer answer =
            ask("GET", rows[i][0], strstr(rows[i][0], "visitors") ? OPERATOR : ALL);
        assert_answer(answer, 400, "{\"error\":{\"code\":\"bad_request\",\"message\":\"");
        assert_answer(answer, 400, rows[i][1]);
    }
}

static void head_has_the_length_only(void **state) {
    char line[64];
    (void)state;
    struct answer answer = ask("GET", TOTALS "?from=6000000&to=6060000", ALL);
    snprintf(line, sizeof line, "Content-Length: %zu", strlen(answer.body));
    answer = ask("HEAD", TOTALS "?from=6000000&to=6060000", ALL);
    assert_int_equal(answer.status, 200);
    assert_header(answer, line);
    assert_string_equal(answer.body, "");
    assert_int_equal(ask("HEAD", "/", NULL).status, 200);
    assert_int_equal(ask("HEAD", TOTALS, NULL).status, 401);
}

static void metrics_are_text(void **state) {
    (void)state;
    struct answer answer = ask("GET", "/metrics", ALL);
    assert_answer(answer, 200, "\nchatbeacon_books_received_total{site=\"demo\"} 1\n");
    assert_header(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8");
    assert_header(answer, "Cache-Control: no-store");
}

static void the_dashboard_is_fenced_in(void **state) {
    (void)state;
    struct answer answer = ask("GET", "/", NULL);
    assert_answer(answer, 200, "<title>fake</title>");
    assert_header(answer, "Content-Type: text/html; charset=utf-8");
    assert_header(answer,
                  "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src "
                  "'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; base-uri "
                  "'none'; form-action 'none'; frame-ancestors 'none'");
    assert_header(answer, "X-Content-Type-Options: nosniff");
    assert_header(answer, "Referrer-Policy: no-referrer");
    assert_header(answer, "Cross-Origin-Opener-Policy: same-origin");
    answer = ask("GET", "/app.js?v=1", NULL);
    assert_answer(answer, 200, "export {}");
    assert_header(answer, "X-Content-Type-Options: nosniff");
    answer = ask_raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                     "If-None-Match: \"page-1\"\r\n\r\n");
    assert_answer(answer, 304, "");
    assert_header(answer, "Referrer-Policy: no-referrer");
}

/* One row of ingest's table, which is read as text: query is built without ingest. */
struct public_route {
    char pattern[64];
    bool post;
};

/* Reads the rows {{"/path", len}, prefix, post, … of ingest/routes.c; their number. */
static size_t read_public_routes(struct public_route *out, size_t max) {
    char line[512];
    size_t n = 0;
    FILE *file = fopen(CB_INGEST_ROUTES, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        char path[48], prefix[6], post[6];
        unsigned len;
        if (sscanf(line, " {{\"%47[^\"]\", %u}, %5[a-z], %5[a-z],", path, &len, prefix, post) != 4)
            continue;
        assert_true(n < max);
        assert_int_equal(strlen(path), len);
        /* The one thing that stands behind a prefix is the name of a site. */
        snprintf(out[n].pattern, sizeof out[n].pattern, "%s%s", path,
                 strcmp(prefix, "true") != 0 ? ""
                 : strcmp(path, "/w/") == 0  ? "{file}"
                                             : "{site}");
        out[n++].post = strcmp(post, "true") == 0;
    }
    fclose(file);
    assert_true(n >= 6); /* else the table is written in another way now */
    return n;
}

/* The part of the document that describes a path, as a string of its own; the caller frees it. NULL
 * where it has none. */
static char *path_item(const char *document, const char *pattern) {
    char key[128];
    snprintf(key, sizeof key, "\n    \"%s\": {\n", pattern);
    const char *from = strstr(document, key);
    const char *end = from ? strstr(from, "\n    }") : NULL;
    if (!end)
        return NULL;
    char *item = strndup(from, (size_t)(end - from));
    assert_non_null(item);
    return item;
}

/* A path is of the services whose table has it: its method, its tags, and where ingest has it the
 * server that says on which port it is. */
static void check_item(const char *document, const char *pattern, unsigned methods, bool query_has,
                       bool ingest_has) {
    char *item = path_item(document, pattern);
    if (!item)
        fail_msg("%s is not in openapi.json", pattern);
    struct {
        const char *text;
        bool wanted;
    } parts[] = {
        {"\n      \"get\": {", methods & 1u << CB_HTTP_GET},
        {"\n      \"post\": {", methods & 1u << CB_HTTP_POST},
        {"\n      \"put\": {", methods & 1u << CB_HTTP_PUT},
        {"\n      \"patch\": {", methods & 1u << CB_HTTP_PATCH},
        {"\n      \"delete\": {", methods & 1u << CB_HTTP_DELETE},
        {"\n          \"query\"", query_has},
        {"\n          \"ingest\"", ingest_has},
        {"\"url\": \"/\"", query_has && ingest_has}, /* else it is the document's */
        {"\"url\": \"http://{address}\"", ingest_has},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if ((strstr(item, parts[i].text) != NULL) != parts[i].wanted)
            fail_msg("%s in openapi.json has %s%s", pattern, parts[i].wanted ? "no " : "",
                     parts[i].text);
    free(item);
}

/* A bit for each method that query has for a path. */
static unsigned query_methods(const char *pattern) {
    unsigned methods = 0;
    for (const struct cb_route *route = cb_routes_table(); route->pattern; route++)
        if (strcmp(route->pattern, pattern) == 0)
            methods |= 1u << route->method;
    return methods;
}

static bool query_has(const char *pattern) {
    const struct cb_route *route = cb_routes_table();
    while (route->pattern && strcmp(route->pattern, pattern) != 0)
        route++;
    return route->pattern != NULL;
}

static bool ingest_has(const struct public_route *routes, size_t n, const char *pattern) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(routes[i].pattern, pattern) == 0)
            return true;
    return false;
}

/* The document and the tables of both services name the same paths, and the document every error
 * code. */
static void openapi_has_the_routes(void **state) {
    (void)state;
    struct public_route public[32];
    size_t n_public = read_public_routes(public, sizeof public / sizeof *public);
    struct answer answer = ask("GET", "/openapi.json", NULL);
    assert_answer(answer, 200, "\"openapi\": \"3.1.0\"");
    for (const struct cb_route *route = cb_routes_table(); route->pattern; route++) {
        char key[128];
        check_item(answer.body, route->pattern, query_methods(route->pattern), true,
                   ingest_has(public, n_public, route->pattern));
        for (const char *const *param = route->params; *param; param++) {
            snprintf(key, sizeof key, "\"#/components/parameters/%s\"", *param);
            if (!strstr(answer.body, key))
                fail_msg("%s of %s is not in openapi.json", *param, route->pattern);
        }
    }
    for (size_t i = 0; i < n_public; i++)
        check_item(answer.body, public[i].pattern,
                   1u << (public[i].post ? CB_HTTP_POST : CB_HTTP_GET) |
                       query_methods(public[i].pattern),
                   query_has(public[i].pattern), true);
    const char *at = answer.body;
    while ((at = strstr(at, "\n    \"/")) != NULL) {
        char pattern[128];
        at += strlen("\n    \"");
        snprintf(pattern, sizeof pattern, "%.*s", (int)strcspn(at, "\""), at);
        if (!query_has(pattern) && !ingest_has(public, n_public, pattern))
            fail_msg("openapi.json has %s, which is no route", pattern);
    }
    for (unsigned i = 1; i < CB_REFUSAL_MAX; i++) {
        char row[64];
        snprintf(row, sizeof row, "| `%s` | %d |", cb_refusal_code(i), cb_refusal_status(i));
        if (strcmp(cb_refusal_code(i), "unknown") != 0 && !strstr(answer.body, row))
            fail_msg("openapi.json has no row %s", row);
    }
}

static void a_large_body_is_413(void **state) {
    (void)state;
    struct answer answer = ask_raw("POST /v1/balance HTTP/1.1\r\nHost: x\r\n"
                                   "Content-Length: 65537\r\n\r\n");
    assert_answer(answer, 413, "\"code\":\"too_large\"");
    assert_header(answer, "Cache-Control: no-store");
}

static void one_address_has_one_service(void **state) {
    struct cb_query *second = NULL;
    char *sentence;
    char address[300];
    (void)state;
    snprintf(address, sizeof address, "%s", cb_query_address(query));
    struct cb_opts same = opts;
    same.query = address;
    assert_int_equal(cb_query_setup(&same, &reader, NULL, &second, &sentence), CB_EBUSY);
    assert_null(second);
    assert_non_null(strstr(sentence, address));
    free(sentence);
    same.query = "nowhere";
    assert_int_equal(cb_query_setup(&same, &reader, NULL, &second, &sentence), CB_EINVAL);
    assert_non_null(strstr(sentence, "nowhere"));
    free(sentence);
}

/* A client that stays connected does not keep the service from ending: teardown() joins. */
static void idle_connections_do_not_hold_teardown(void **state) {
    (void)state;
    int fd = dial();
    const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    char byte;
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    assert_int_equal(read(fd, &byte, 1), 1);
    int64_t began_ms = cb_clock_mono_ms();
    cb_query_teardown(&query);
    assert_true(cb_clock_mono_ms() - began_ms < 2000); /* well before the drain's own deadline */
    while (read(fd, &byte, 1) > 0)
        ;
    close(fd);
    assert_null(query);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reports_are_served, setup, teardown),
        cmocka_unit_test_setup_teardown(health_is_open, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_is_needed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_site_token_opens_its_site, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_things_are_404, setup, teardown),
        cmocka_unit_test_setup_teardown(other_methods_are_405, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_parameters_are_400_with_their_name, setup, teardown),
        cmocka_unit_test_setup_teardown(head_has_the_length_only, setup, teardown),
        cmocka_unit_test_setup_teardown(metrics_are_text, setup, teardown),
        cmocka_unit_test_setup_teardown(the_dashboard_is_fenced_in, setup, teardown),
        cmocka_unit_test_setup_teardown(roles_decide_who_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(bodies_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_admin_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(the_audit_log_in_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(settings_are_told_as_they_were_put, setup, teardown),
        cmocka_unit_test_setup_teardown(tries_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(listed_origins_may_read, setup_cors, teardown),
        cmocka_unit_test_setup_teardown(openapi_has_the_routes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_body_is_413, setup, teardown),
        cmocka_unit_test_setup_teardown(one_address_has_one_service, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_connections_do_not_hold_teardown, setup, teardown),
    };
    cb_log_set_level(CB_LOG_WARN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
