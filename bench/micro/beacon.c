/* SPDX-License-Identifier: MIT
 * beacon.c: request → events: the head of a request, its user agent, bodies as JSON, NDJSON and
 * msgpack; and a page's request on its whole way into a frame, all that an ingest thread does for
 * it but what the kernel, the event loop and the answer take. */
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/micro.h"
#include "ingest/beacon.h"
#include "proto/frame.h"
#include "proto/http.h"
#include "proto/http_conn.h"

enum { BODY_MAX = 64 * 1024, PRODUCER_HEX = 16, NOW_S = 1750000000 };

#define AGENT                                                                                      \
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 "     \
    "Safari/537.36"

static const char head[] =
    "POST /v1/events HTTP/1.1\r\nHost: beacons.example.com\r\nConnection: keep-alive\r\n"
    "Content-Length: 274\r\nUser-Agent: " AGENT "\r\nContent-Type: text/plain;charset=UTF-8\r\n"
    "Accept: */*\r\nOrigin: https://shop.example\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: "
    "no-cors\r\nSec-Fetch-Dest: empty\r\nReferer: https://shop.example/\r\nAccept-Encoding: gzip, "
    "deflate, br\r\nAccept-Language: de-DE,de;q=0.9,en;q=0.8\r\n\r\n";

/* Keeps the head, as a connection does that sends it twice; *req is what it was parsed to. */
static uint32_t head_keep(struct cb_http_known *known, struct cb_http_request *req) {
    struct cb_http_scan scan = {0};
    size_t len = 0;
    bool fine = cb_http_head_scan(&scan, head, sizeof head - 1, &len) == CB_REFUSE_NONE &&
                cb_http_head_parse(head, len, req) == CB_REFUSE_NONE;
    cb_micro_must(fine ? 0 : CB_EMALFORMED, "a head");
    uint32_t hash = cb_http_known_hash(&scan, head, len);
    cb_http_known_keep(known, hash, head, len, req);
    return hash;
}

static void heads(unsigned n) {
    struct cb_http_request req = {.headers = NULL};
    uint64_t begin = cb_micro_cpu_ns();
    for (unsigned i = 0; i < n; i++) {
        struct cb_http_scan scan = {0};
        req = (struct cb_http_request){.headers = req.headers, .headers_cap = req.headers_cap};
        size_t len = 0;
        bool fine = cb_http_head_scan(&scan, head, sizeof head - 1, &len) == CB_REFUSE_NONE &&
                    cb_http_head_parse(head, len, &req) == CB_REFUSE_NONE;
        cb_micro_must(fine ? 0 : CB_EMALFORMED, "a head");
    }
    char what[64];
    snprintf(what, sizeof what, "head of a browser's POST, %zu bytes", sizeof head - 1);
    cb_micro_row("beacon", what, n, cb_micro_cpu_ns() - begin);
    free(req.headers);
}

/* The same head, of a server that knows it. */
static void known_heads(unsigned n) {
    static struct cb_http_known known;
    struct cb_http_request req = {.headers = NULL};
    uint32_t hash = head_keep(&known, &req);
    uint64_t begin = cb_micro_cpu_ns();
    for (unsigned i = 0; i < n; i++) {
        req = (struct cb_http_request){.headers = req.headers, .headers_cap = req.headers_cap};
        size_t len = cb_http_known_read(&known, hash, head, sizeof head - 1, &req);
        cb_micro_must(len ? 0 : CB_EMALFORMED, "a known head");
    }
    cb_micro_row("beacon", "… that came before", n, cb_micro_cpu_ns() - begin);
    free(req.headers);
    cb_http_known_fini(&known);
}

static void agents(unsigned n) {
    static struct cb_device_kept kept;
    const struct cb_str agent = CB_STR(AGENT);
    unsigned bots = 0;
    uint64_t begin = cb_micro_cpu_ns();
    for (unsigned i = 0; i < n; i++)
        bots += cb_device_of(agent).bot;
    uint64_t middle = cb_micro_cpu_ns();
    for (unsigned i = 0; i < n; i++)
        bots += cb_device_recall(&kept, agent).bot;
    uint64_t end = cb_micro_cpu_ns();
    cb_micro_must(bots ? CB_EMALFORMED : 0, "a user agent");
    cb_micro_row("beacon", "its user agent", n, middle - begin);
    cb_micro_row("beacon", "… that came before", n, end - middle);
}

static size_t json_envelope(char *out, size_t cap, unsigned nth, unsigned events) {
    size_t len = (size_t)snprintf(out, cap,
                                  "{\"site\":\"demo\",\"visitor\":\"%032x\",\"producer\":\"%016x\","
                                  "\"sent\":%d000,\"events\":[",
                                  nth + 1, nth + 1, NOW_S);
    for (unsigned i = 0; i < events; i++) {
        len += (size_t)snprintf(out + len, cap - len,
                                "%s{\"seq\":%u,\"name\":\"onClick\",\"at\":%d000,\"page\":"
                                "\"https://shop.example/page/%u\"}",
                                i ? "," : "", i + 1, NOW_S - 1, i);
    }
    return len + (size_t)snprintf(out + len, cap - len, "]}");
}

static void put_text(msgpack_packer *pk, const char *text) {
    msgpack_pack_str_with_body(pk, text, strlen(text));
}

static size_t msgpack_envelope(char *out, size_t cap, unsigned nth, unsigned events) {
    msgpack_sbuffer buffer;
    msgpack_packer pk;
    char hex[33];
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 5);
    put_text(&pk, "site");
    put_text(&pk, "demo");
    put_text(&pk, "visitor");
    snprintf(hex, sizeof hex, "%032x", nth + 1);
    put_text(&pk, hex);
    put_text(&pk, "producer");
    put_text(&pk, hex + PRODUCER_HEX);
    put_text(&pk, "sent");
    msgpack_pack_uint64(&pk, NOW_S * UINT64_C(1000));
    put_text(&pk, "events");
    msgpack_pack_array(&pk, events);
    for (unsigned i = 0; i < events; i++) {
        char page[64];
        msgpack_pack_map(&pk, 4);
        put_text(&pk, "seq");
        msgpack_pack_uint64(&pk, i + 1);
        put_text(&pk, "name");
        put_text(&pk, "onClick");
        put_text(&pk, "at");
        msgpack_pack_uint64(&pk, (NOW_S - 1) * UINT64_C(1000));
        put_text(&pk, "page");
        snprintf(page, sizeof page, "https://shop.example/page/%u", i);
        put_text(&pk, page);
    }
    size_t len = buffer.size;
    cb_micro_must(len <= cap ? 0 : CB_ETOOBIG, "a body");
    memcpy(out, buffer.data, len);
    msgpack_sbuffer_destroy(&buffer);
    return len;
}

static void bodies(struct cb_beacon *beacon, const char *name, enum cb_beacon_format format,
                   unsigned envelopes, unsigned events, unsigned n) {
    static char body[BODY_MAX + CB_HTTP_BODY_PAD];
    size_t len = 0;
    for (unsigned i = 0; i < envelopes; i++) {
        bool packed = format == CB_BEACON_MSGPACK;
        len += (packed ? msgpack_envelope : json_envelope)(body + len, BODY_MAX - len, i, events);
        if (format == CB_BEACON_NDJSON) {
            body[len++] = '\n';
        }
    }
    struct cb_beacon_receipt receipt = {.received_ms = NOW_S * INT64_C(1000), .site_known = true};
    uint64_t taken = 0, begin = cb_micro_cpu_ns();
    for (unsigned i = 0; i < n; i++) {
        cb_beacon_begin(beacon, (struct cb_str){body, len}, format);
        while (cb_beacon_next(beacon)) {
            cb_beacon_check(beacon, &receipt);
            taken += beacon->n_events;
        }
    }
    uint64_t ns = cb_micro_cpu_ns() - begin, all = (uint64_t)n * envelopes * events;
    cb_micro_must(taken == all ? 0 : CB_EMALFORMED, "a body");
    char what[96];
    snprintf(what, sizeof what, "%s, %u × %u events, %zu bytes each", name, envelopes, events,
             len / envelopes / events);
    cb_micro_row("beacon", what, all, ns);
}

/* One request of a page after the other, each of another visitor. */
static void whole(struct cb_beacon *beacon, unsigned n) {
    enum { BODIES = 64, ROOM = 1024 };
    static char bodies_of[BODIES][ROOM];
    static struct cb_http_known known;
    static struct cb_device_kept kept;
    static struct cb_frame_builder frame;
    struct cb_http_request req = {.headers = NULL};
    uint32_t hash = head_keep(&known, &req);
    size_t lens[BODIES];
    for (unsigned i = 0; i < BODIES; i++)
        lens[i] = json_envelope(bodies_of[i], ROOM - CB_HTTP_BODY_PAD, i, 1);
    cb_frame_builder_init(&frame);
    uint64_t begin = cb_micro_cpu_ns();
    for (unsigned i = 0; i < n; i++) {
        req = (struct cb_http_request){.headers = req.headers, .headers_cap = req.headers_cap};
        size_t len = cb_http_known_read(&known, hash, head, sizeof head - 1, &req);
        struct cb_beacon_receipt receipt = {.received_ms = NOW_S * INT64_C(1000),
                                            .site_known = true};
        cb_facts_read(&req.pub, &kept, NULL, NULL, &receipt.facts);
        cb_beacon_begin(beacon, (struct cb_str){bodies_of[i % BODIES], lens[i % BODIES]},
                        cb_beacon_format_of(cb_http_header(&req.pub, "content-type")));
        bool fine = len > 0 && cb_beacon_next(beacon);
        cb_beacon_check(beacon, &receipt);
        fine = fine && beacon->n_events == 1;
        int rc = cb_frame_builder_add(&frame, &beacon->envelope, beacon->events, 1);
        if (rc == CB_EFULL) {
            cb_frame_builder_clear(&frame);
            rc = cb_frame_builder_add(&frame, &beacon->envelope, beacon->events, 1);
        }
        cb_micro_must(fine ? rc : CB_EMALFORMED, "a request");
    }
    cb_micro_row("beacon", "head, facts, JSON of one event, frame", n, cb_micro_cpu_ns() - begin);
    cb_frame_builder_fini(&frame);
    cb_http_known_fini(&known);
    free(req.headers);
}

void cb_micro_beacon(bool quick) {
    unsigned part = quick ? 10 : 1;
    struct cb_beacon *beacon;
    cb_micro_must(cb_beacon_create(BODY_MAX, &beacon), "a parser");
    heads(500000 / part);
    known_heads(2000000 / part);
    agents(1000000 / part);
    bodies(beacon, "JSON", CB_BEACON_JSON, 1, 1, 500000 / part);
    bodies(beacon, "JSON", CB_BEACON_JSON, 1, 20, 50000 / part);
    bodies(beacon, "NDJSON", CB_BEACON_NDJSON, 5, 20, 10000 / part);
    bodies(beacon, "NDJSON", CB_BEACON_NDJSON, 100, 1, 10000 / part);
    bodies(beacon, "msgpack", CB_BEACON_MSGPACK, 1, 1, 500000 / part);
    bodies(beacon, "msgpack", CB_BEACON_MSGPACK, 5, 20, 10000 / part);
    whole(beacon, 500000 / part);
    cb_beacon_destroy(&beacon);
}
