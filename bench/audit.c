/* SPDX-License-Identifier: MIT */
#include "bench/audit.h"

#include <llhttp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/event.h"
#include "proto/http.h"
#include "proto/json_parser.h"

enum {
    ANSWER_MAX = 16 * 1024 * 1024,
    TOKEN_MAX = 512,
    SOCKET_TIMEOUT_S = 20,
    POLL_MS = 50,
    STILL_MS = 500,             /* the books stand still when two looks so far apart agree … */
    STILL_MAX_MS = 20000,       /* … and if they never do, somebody else is sending */
    TOTALS = CB_PLAN_NAMES + 3, /* of a site: by name, then these of the books: */
    COUNTED = CB_PLAN_NAMES,
    DUPLICATE,
    REJECTED,
};

struct cb_audit {
    struct cb_load_url url;
    char token[TOKEN_MAX];
    const struct cb_plan *plan;
    unsigned n_sites;
    int64_t since_ms;
    uint64_t (*before)[TOTALS], (*now)[TOTALS];
    struct cb_json_parser *json;
    struct cb_buf answer;
    llhttp_t parser;
    llhttp_settings_t settings;
    bool complete, failed;
};

__attribute__((format(printf, 3, 4))) static int fail(int rc, char **sentence, const char *format,
                                                      ...) {
    va_list args;
    va_start(args, format);
    if (vasprintf(sentence, format, args) < 0)
        *sentence = NULL;
    va_end(args);
    return rc;
}

/* ---- asking ---- */

static int on_body(llhttp_t *parser, const char *at, size_t len) {
    struct cb_audit *audit = parser->data;
    audit->failed = audit->failed || cb_buf_append(&audit->answer, at, len);
    return audit->failed ? -1 : 0;
}

static int on_complete(llhttp_t *parser) {
    struct cb_audit *audit = parser->data;
    audit->complete = true;
    return 0;
}

static bool write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* The answer's body into audit->answer. */
static int exchange(struct cb_audit *audit, int fd, const char *path) {
    char request[1024], input[16384];
    int len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
                       "Connection: close\r\n\r\n",
                       path, audit->url.host, audit->token);
    if (len < 0 || (size_t)len >= sizeof request || !write_all(fd, request, (size_t)len))
        return CB_ECLOSED;
    llhttp_init(&audit->parser, HTTP_RESPONSE, &audit->settings);
    audit->parser.data = audit;
    audit->complete = audit->failed = false;
    cb_buf_clear(&audit->answer);
    while (!audit->complete) {
        ssize_t n = recv(fd, input, sizeof input, 0);
        if (n <= 0)
            return CB_ECLOSED;
        if (llhttp_execute(&audit->parser, input, (size_t)n) != HPE_OK && !audit->complete)
            return CB_EMALFORMED;
    }
    return 0;
}

static int ask(struct cb_audit *audit, const char *path, struct cb_value *out, char **sentence) {
    const struct timeval timeout = {SOCKET_TIMEOUT_S, 0};
    const struct sockaddr *address = (const struct sockaddr *)&audit->url.address;
    const char *why = NULL;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(CB_ECLOSED, sentence, "--audit: no socket");
    int rc = CB_ECLOSED;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0 &&
        connect(fd, address, audit->url.address_len) == 0)
        rc = exchange(audit, fd, path);
    close(fd);
    if (rc)
        return fail(rc, sentence, "--audit: http://%s%s gives no answer", audit->url.host, path);
    if (audit->parser.status_code != 200)
        return fail(CB_EMALFORMED, sentence, "--audit: http://%s%s answers %u", audit->url.host,
                    path, (unsigned)audit->parser.status_code);
    if (cb_buf_reserve(&audit->answer, CB_HTTP_BODY_PAD))
        return fail(CB_ENOMEM, sentence, "--audit: out of memory");
    struct cb_str body = {audit->answer.data, audit->answer.len};
    if (cb_json_parse(audit->json, body, out, &why))
        return fail(CB_EMALFORMED, sentence, "--audit: http://%s%s: %s", audit->url.host, path,
                    why ? why : "not JSON");
    return 0;
}

/* ---- reading ---- */

/* The member of an object, or false. */
static bool member_of(const struct cb_value *object, const char *name, struct cb_value *out) {
    struct cb_value_walk walk;
    struct cb_str key;
    if (object->type != CB_VALUE_OBJECT)
        return false;
    cb_json_values.begin(object, &walk);
    while (cb_json_values.member(&walk, &key, out))
        if (cb_str_is(key, name))
            return true;
    return false;
}

/* A number of an object; 0 where there is none. */
static uint64_t number_of(const struct cb_value *object, const char *name) {
    struct cb_value v;
    return member_of(object, name, &v) && v.type == CB_VALUE_UINT ? v.u : 0;
}

static uint64_t sum_of(const struct cb_value *object) {
    struct cb_value_walk walk;
    struct cb_value v;
    struct cb_str key;
    uint64_t sum = 0;
    cb_json_values.begin(object, &walk);
    while (cb_json_values.member(&walk, &key, &v))
        sum += v.type == CB_VALUE_UINT ? v.u : 0;
    return sum;
}

/* The books of all sites. A site that nobody has ever sent to may be missing. */
static int read_books(struct cb_audit *audit, char **sentence) {
    struct cb_value root, sites, books, rejected;
    int rc = ask(audit, "/v1/balance", &root, sentence);
    if (rc)
        return rc;
    if (!member_of(&root, "sites", &sites))
        return fail(CB_EMALFORMED, sentence, "--audit: /v1/balance names no sites");
    for (unsigned i = 0; i < audit->n_sites; i++) {
        char name[CB_SITE_MAX + 1];
        cb_plan_site_name(audit->plan, i, name);
        if (!member_of(&sites, name, &books))
            return fail(CB_EMALFORMED, sentence, "--audit: there is no site \"%s\"", name);
        audit->now[i][COUNTED] = number_of(&books, "counted");
        audit->now[i][DUPLICATE] = number_of(&books, "duplicate");
        audit->now[i][REJECTED] =
            member_of(&books, "rejected", &rejected) && rejected.type == CB_VALUE_OBJECT
                ? sum_of(&rejected)
                : 0;
    }
    return 0;
}

static int read_totals(struct cb_audit *audit, char **sentence) {
    for (unsigned i = 0; i < audit->n_sites; i++) {
        char name[CB_SITE_MAX + 1], path[200];
        struct cb_value root, events;
        cb_plan_site_name(audit->plan, i, name);
        snprintf(path, sizeof path, "/v1/sites/%s/totals?from=%lld", name,
                 (long long)audit->since_ms);
        int rc = ask(audit, path, &root, sentence);
        if (rc)
            return rc;
        if (!member_of(&root, "events", &events))
            return fail(CB_EMALFORMED, sentence, "--audit: %s has no events", path);
        for (unsigned k = 0; k < CB_PLAN_NAMES; k++)
            audit->now[i][k] = number_of(&events, cb_plan_event_name(k));
    }
    return 0;
}

/* ---- comparing ---- */

static uint64_t since(const struct cb_audit *audit, unsigned what) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < audit->n_sites; i++)
        sum += audit->now[i][what] - audit->before[i][what];
    return sum;
}

static uint64_t acked_of(uint64_t (*acked)[CB_PLAN_NAMES], unsigned site) {
    uint64_t sum = 0;
    for (unsigned k = 0; k < CB_PLAN_NAMES; k++)
        sum += acked[site][k];
    return sum;
}

static void differ(struct cb_audit_result *out, const char *site, const char *what, uint64_t acked,
                   uint64_t counted) {
    if (out->differences++ == 0)
        snprintf(out->first, sizeof out->first, "%s of %s: %llu acked, %llu counted", what, site,
                 (unsigned long long)acked, (unsigned long long)counted);
}

static void compare(const struct cb_audit *audit, uint64_t (*acked)[CB_PLAN_NAMES],
                    struct cb_audit_result *out) {
    for (unsigned i = 0; i < audit->n_sites; i++) {
        char name[CB_SITE_MAX + 1];
        uint64_t sum = acked_of(acked, i);
        uint64_t counted = audit->now[i][COUNTED] - audit->before[i][COUNTED];
        cb_plan_site_name(audit->plan, i, name);
        if (sum != counted)
            differ(out, name, "events in the books", sum, counted);
        for (unsigned k = 0; k < CB_PLAN_NAMES; k++) {
            counted = audit->now[i][k] - audit->before[i][k];
            if (acked[i][k] != counted)
                differ(out, name, cb_plan_event_name(k), acked[i][k], counted);
        }
    }
    out->equal = out->differences == 0;
}

int cb_audit_begin(struct cb_audit *audit, int64_t since_ms, char **sentence) {
    int64_t deadline_ms = cb_clock_mono_ms() + STILL_MAX_MS;
    uint64_t last;
    audit->since_ms = since_ms;
    *sentence = NULL;
    int rc = read_books(audit, sentence);
    do {
        last = since(audit, COUNTED);
        nanosleep(&(struct timespec){0, STILL_MS * 1000000}, NULL);
        rc = rc ? rc : read_books(audit, sentence);
    } while (!rc && last != since(audit, COUNTED) && cb_clock_mono_ms() < deadline_ms);
    rc = rc ? rc : read_totals(audit, sentence);
    if (!rc)
        memcpy(audit->before, audit->now, audit->n_sites * sizeof *audit->now);
    return rc;
}

int cb_audit_end(struct cb_audit *audit, uint64_t (*acked)[CB_PLAN_NAMES], unsigned wait_ms,
                 struct cb_audit_result *out, char **sentence) {
    int64_t start_us = cb_clock_mono_us(), progress_us = start_us;
    uint64_t last = 0;
    *sentence = NULL;
    *out = (struct cb_audit_result){0};
    for (unsigned i = 0; i < audit->n_sites; i++)
        out->acked += acked_of(acked, i);
    for (;;) {
        int rc = read_books(audit, sentence);
        if (rc)
            return rc;
        out->counted = since(audit, COUNTED);
        int64_t now_us = cb_clock_mono_us();
        out->wait_s = (double)(now_us - start_us) / 1e6;
        if (out->counted != last)
            progress_us = now_us;
        last = out->counted;
        if (out->counted >= out->acked || now_us - progress_us > (int64_t)wait_ms * 1000)
            break;
        nanosleep(&(struct timespec){0, POLL_MS * 1000000}, NULL);
    }
    int rc = read_totals(audit, sentence);
    /* The books again: behind the totals, so that one event too many is not missed by either. */
    rc = rc ? rc : read_books(audit, sentence);
    if (rc)
        return rc;
    out->counted = since(audit, COUNTED);
    out->duplicate = since(audit, DUPLICATE);
    out->rejected = since(audit, REJECTED);
    compare(audit, acked, out);
    return 0;
}

/* ---- life ---- */

int cb_audit_create(const struct cb_load_url *url, const char *token, const struct cb_plan *plan,
                    unsigned n_sites, struct cb_audit **out) {
    struct cb_audit *audit = calloc(1, sizeof *audit);
    if (!audit)
        return CB_ENOMEM;
    audit->url = *url;
    audit->plan = plan;
    audit->n_sites = n_sites;
    snprintf(audit->token, sizeof audit->token, "%s", token);
    cb_buf_init(&audit->answer, ANSWER_MAX);
    llhttp_settings_init(&audit->settings);
    audit->settings.on_body = on_body;
    audit->settings.on_message_complete = on_complete;
    audit->before = calloc(n_sites, sizeof *audit->before);
    audit->now = calloc(n_sites, sizeof *audit->now);
    if (!audit->before || !audit->now || cb_json_parser_create(ANSWER_MAX, &audit->json)) {
        cb_audit_destroy(&audit);
        return CB_ENOMEM;
    }
    *out = audit;
    return 0;
}

void cb_audit_destroy(struct cb_audit **out) {
    struct cb_audit *audit = *out;
    if (!audit)
        return;
    cb_json_parser_destroy(&audit->json);
    cb_buf_fini(&audit->answer);
    free(audit->before);
    free(audit->now);
    free(audit);
    *out = NULL;
}
