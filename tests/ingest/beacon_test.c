/* SPDX-License-Identifier: MIT
 * Promises of ingest/beacon.h and ingest/draft.h: which envelopes and events are taken, and why the
 * others are not. Each rule is tried in JSON and, translated, in msgpack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/beacon.h"
#include "ingest/msgpack.h"
#include "proto/http.h"
#include "proto/pack.h"

enum { BODY_MAX = 1024 * 1024 };

#define T "1700000000000"
#define VISITOR "00112233445566778899aabbccddeeff"
#define PRODUCER "0123456789abcdef"
#define HEAD                                                                                       \
    "\"site\":\"demo\",\"visitor\":\"" VISITOR "\",\"producer\":\"" PRODUCER "\",\"sent\":" T
#define ENVELOPE(events) "{" HEAD ",\"events\":[" events "]}"
#define CLICK(seq) "{\"seq\":" seq ",\"name\":\"onClick\",\"at\":" T "}"

struct fixture {
    struct cb_beacon *b;
    char *body; /* with its padding */
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    if (sodium_init() < 0 || !f)
        return -1;
    *state = f;
    return cb_beacon_create(BODY_MAX, &f->b);
}

static int teardown(void **state) {
    struct fixture *f = *state;
    cb_beacon_destroy(&f->b);
    free(f->body);
    free(f);
    return 0;
}

static void begin(struct fixture *f, const void *body, size_t len, enum cb_beacon_format format) {
    free(f->body);
    f->body = malloc(len + CB_HTTP_BODY_PAD);
    assert_non_null(f->body);
    memcpy(f->body, body, len);
    memset(f->body + len, '9', CB_HTTP_BODY_PAD);
    cb_beacon_begin(f->b, (struct cb_str){f->body, len}, format);
}

static bool next(struct fixture *f, bool site_known) {
    struct cb_beacon_receipt receipt = {
        .received_ms = 1234,
        .facts = {CB_DEVICE_DESKTOP, CB_BROWSER_EDGE, true, "de", "CH"},
        .site_known = site_known};
    if (!cb_beacon_next(f->b))
        return false;
    cb_beacon_check(f->b, &receipt);
    return true;
}

/* Appends value as msgpack. */
static void translate(msgpack_packer *pk, const struct cb_value *value) {
    const struct cb_value_ops *ops = &cb_json_values;
    struct cb_value_walk walk;
    struct cb_value v;
    struct cb_str key;
    switch (value->type) {
    case CB_VALUE_NULL:
        msgpack_pack_nil(pk);
        break;
    case CB_VALUE_BOOL:
        value->boolean ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
        break;
    case CB_VALUE_UINT:
        msgpack_pack_uint64(pk, value->u);
        break;
    case CB_VALUE_INT:
        msgpack_pack_int64(pk, value->i);
        break;
    case CB_VALUE_FLOAT:
        msgpack_pack_double(pk, value->f);
        break;
    case CB_VALUE_STRING:
        msgpack_pack_str_with_body(pk, value->s.p, value->s.len);
        break;
    case CB_VALUE_ARRAY:
        msgpack_pack_array(pk, ops->count(value));
        ops->begin(value, &walk);
        while (ops->item(&walk, &v))
            translate(pk, &v);
        break;
    default:
        msgpack_pack_map(pk, ops->count(value));
        ops->begin(value, &walk);
        while (ops->member(&walk, &key, &v)) {
            msgpack_pack_str_with_body(pk, key.p, key.len);
            translate(pk, &v);
        }
    }
}

static void to_msgpack(const char *json_text, struct cb_buf *out) {
    struct cb_json_parser *json;
    struct cb_value value;
    const char *why;
    size_t len = strlen(json_text);
    char *padded = calloc(1, len + CB_HTTP_BODY_PAD);
    msgpack_packer pk;
    assert_non_null(padded);
    memcpy(padded, json_text, len);
    assert_int_equal(cb_json_parser_create(BODY_MAX, &json), 0);
    assert_int_equal(cb_json_parse(json, (struct cb_str){padded, len}, &value, &why), 0);
    msgpack_packer_init(&pk, out, cb_pack_write);
    translate(&pk, &value);
    cb_json_parser_destroy(&json);
    free(padded);
}

typedef void check_fn(struct fixture *f, const void *arg);

/* Runs check on the one envelope of a body, in both formats. */
static void both(struct fixture *f, const char *body, bool site_known, check_fn *check,
                 const void *arg) {
    struct cb_buf packed;
    begin(f, body, strlen(body), CB_BEACON_JSON);
    assert_true(next(f, site_known));
    check(f, arg);
    assert_false(next(f, site_known));
    cb_buf_init(&packed, BODY_MAX);
    to_msgpack(body, &packed);
    begin(f, packed.data, packed.len, CB_BEACON_MSGPACK);
    cb_buf_fini(&packed);
    assert_true(next(f, site_known));
    check(f, arg);
    assert_false(next(f, site_known));
}

/* ---- what is taken ---- */

static void is_sound(struct fixture *f, const void *arg) {
    const struct cb_beacon *b = f->b;
    uint8_t id[CB_VISITOR_BYTES], hash[CB_VISITOR_BYTES], producer[CB_PRODUCER_BYTES];
    (void)arg;
    assert_true(cb_str_is(b->site, "demo"));
    assert_int_equal(b->n_refusals, 0);
    assert_int_equal(b->n_events, 3);
    assert_int_equal(b->n_total, 3);
    assert_true(cb_str_is(b->envelope.site, "demo"));
    assert_int_equal(b->envelope.received_ms, 1234);
    assert_int_equal(b->envelope.device, CB_DEVICE_DESKTOP);
    assert_true(b->envelope.bot);
    assert_int_equal(b->envelope.browser, CB_BROWSER_EDGE);
    assert_string_equal(b->envelope.language, "de");
    assert_string_equal(b->envelope.country, "CH");
    assert_true(b->envelope.has_visitor);
    assert_int_equal(cb_hex_decode(CB_STR(VISITOR), id, sizeof id), 0);
    cb_visitor_hash(CB_STR("demo"), id, hash);
    assert_memory_equal(b->envelope.visitor, hash, sizeof hash);
    assert_int_equal(cb_hex_decode(CB_STR(PRODUCER), producer, sizeof producer), 0);
    assert_memory_equal(b->envelope.producer, producer, sizeof producer);

    const struct cb_event *click = &b->events[0], *set = &b->events[1], *own = &b->events[2];
    assert_int_equal(click->seq, 1);
    assert_int_equal(click->name_code, CB_NAME_CLICK);
    assert_true(cb_str_is(click->name, "onClick"));
    assert_true(cb_str_is(click->page, "https://shop.example/"));
    assert_int_equal(click->age_ms, 0);
    assert_int_equal(click->props.len, 0);
    assert_int_equal(set->name_code, CB_NAME_SET);
    assert_true(cb_str_is(set->key, "name"));
    assert_true(cb_str_is(set->value, "Ann"));
    assert_true(set->seq == CB_SEQ_MAX);
    assert_int_equal(set->age_ms, 5);
    assert_int_equal(own->name_code, CB_NAME_CUSTOM);
    assert_true(cb_str_is(own->name, "cart.add"));
    assert_true(cb_props_valid(own->props));
    struct cb_buf json;
    cb_buf_init(&json, 4096);
    assert_int_equal(cb_props_json(&json, own->props), 0);
    assert_true(cb_str_eq((struct cb_str){json.data, json.len},
                          CB_STR("{\"a\":1,\"b\":\"x\",\"n\":null,\"t\":true,\"m\":-2,"
                                 "\"key\":\"k\"}")));
    cb_buf_fini(&json);
}

static void test_takes_a_beacon(void **state) {
    both(*state,
         ENVELOPE("{\"seq\":1,\"name\":\"onClick\",\"at\":" T
                  ",\"page\":\"https://shop.example/\"},"
                  "{\"value\":\"Ann\",\"key\":\"name\",\"at\":1699999999995,\"name\":\"set\","
                  "\"seq\":9007199254740991},"
                  "{\"seq\":3,\"name\":\"cart.add\",\"at\":" T ",\"a\":1,\"key\":\"k\","
                  "\"props\":{\"b\":\"x\",\"n\":null,\"t\":true},\"m\":-2}"),
         true, is_sound, NULL);
}

static void is_without_visitor(struct fixture *f, const void *arg) {
    (void)arg;
    assert_int_equal(f->b->n_events, 1);
    assert_false(f->b->envelope.has_visitor);
}

static void test_a_server_has_no_visitor(void **state) {
    both(*state,
         "{\"site\":\"demo\",\"producer\":\"" PRODUCER "\",\"sent\":" T
         ",\"events\":[" CLICK("1") "]}",
         true, is_without_visitor, NULL);
    both(*state,
         "{\"site\":\"demo\",\"visitor\":null,\"producer\":\"" PRODUCER "\",\"sent\":" T
         ",\"more\":{\"from\":[\"later\"]},\"events\":[" CLICK("1") "]}",
         true, is_without_visitor, NULL);
}

static void has_ages(struct fixture *f, const void *arg) {
    (void)arg;
    assert_int_equal(f->b->n_events, 2);
    assert_int_equal(f->b->events[0].age_ms, 0);
    assert_true(f->b->events[1].age_ms == CB_AGE_MAX_MS);
    assert_int_equal(f->b->n_refusals, 1);
    assert_int_equal(f->b->refusals[0].fault.refusal, CB_REFUSE_BAD_TIME);
    assert_int_equal(f->b->refusals[0].index, 2);
    assert_int_equal(f->b->refusals[0].seq, 3);
}

static void test_an_event_is_at_most_seven_days_old(void **state) {
    both(*state,
         ENVELOPE("{\"seq\":1,\"name\":\"page\",\"at\":1800000000000},"
                  "{\"seq\":2,\"name\":\"page\",\"at\":1699395200000},"
                  "{\"seq\":3,\"name\":\"page\",\"at\":1699395199999}"),
         true, has_ages, NULL);
}

/* ---- events that are refused ---- */

struct bad_event {
    const char *members; /* with MANY: that many props instead */
    uint64_t seq;        /* legible: marked as seen */
};

static const struct bad_event bad_events[] = {
    {"\"name\":\"page\",\"at\":" T, 0},
    {"\"seq\":0,\"name\":\"page\",\"at\":" T, 0},
    {"\"seq\":-1,\"name\":\"page\",\"at\":" T, 0},
    {"\"seq\":1.0,\"name\":\"page\",\"at\":" T, 0},
    {"\"seq\":\"1\",\"name\":\"page\",\"at\":" T, 0},
    {"\"seq\":9007199254740992,\"name\":\"page\",\"at\":" T, 0},
    {"\"seq\":4,\"seq\":5,\"name\":\"page\",\"at\":" T, 0},
    {"\"seq\":7,\"at\":" T, 7},
    {"\"seq\":7,\"name\":7,\"at\":" T, 7},
    {"\"seq\":7,\"name\":\"\",\"at\":" T, 7},
    {"\"seq\":7,\"name\":\"1x\",\"at\":" T, 7},
    {"\"seq\":7,\"name\":\"a b\",\"at\":" T, 7},
    {"\"seq\":7,\"name\":\"a\\u0000\",\"at\":" T, 7},
    {"\"seq\":7,\"name\":\"a\",\"name\":\"a\",\"at\":" T, 7},
    {"\"seq\":7,\"name\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
     "\"at\":" T,
     7},
    {"\"seq\":7,\"name\":\"page\"", 7},
    {"\"seq\":7,\"name\":\"page\",\"at\":-1", 7},
    {"\"seq\":7,\"name\":\"page\",\"at\":1.5", 7},
    {"\"seq\":7,\"name\":\"page\",\"at\":\"" T "\"", 7},
    {"\"seq\":7,\"name\":\"page\",\"at\":8640000000000001", 7},
    {"\"seq\":7,\"name\":\"page\",\"at\":18446744073709551615", 7},
    {"\"seq\":7,\"name\":\"page\",\"at\":null", 7},
    {"\"name\":\"page\",\"at\":" T ",\"page\":7,\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"page\":{},\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"x\":[],\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"x\":{},\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"x y\":1,\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"\":1,\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"_x\":1,\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"x\":1,\"x\":1,\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"x\":1,\"props\":{\"x\":1},\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"key\":\"k\",\"props\":{\"key\":\"k\"},\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"props\":{\"x\":{}},\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"props\":{\"x\":1,\"x\":1},\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"props\":{},\"props\":{},\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"props\":1,\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"props\":null,\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"visitor\":\"" VISITOR "\",\"seq\":7", 7},
    {"\"name\":\"page\",\"at\":" T ",\"props\":{\"visitor\":\"" VISITOR "\"},\"seq\":7", 7},
    {"\"seq\":7,\"name\":\"set\",\"at\":" T, 7},
    {"\"seq\":7,\"name\":\"set\",\"at\":" T ",\"key\":\"name\"", 7},
    {"\"seq\":7,\"name\":\"set\",\"at\":" T ",\"value\":\"x\"", 7},
    {"\"seq\":7,\"name\":\"set\",\"at\":" T ",\"key\":\"colour\",\"value\":\"x\"", 7},
    {"\"seq\":7,\"name\":\"set\",\"at\":" T ",\"key\":1,\"value\":\"x\"", 7},
    {"\"seq\":7,\"name\":\"set\",\"at\":" T ",\"key\":\"name\",\"value\":1", 7},
    {"\"seq\":7,\"name\":\"set\",\"at\":" T ",\"key\":\"name\",\"value\":null", 7},
    {"\"seq\":7,\"name\":\"set\",\"at\":" T
     ",\"key\":\"phone\",\"value\":\"01234567890123456789012345678901234567890\"",
     7},
    {"\"seq\":7,\"name\":\"get\",\"at\":" T, 7},
    {"\"seq\":7,\"name\":\"get\",\"at\":" T ",\"key\":\"x\"", 7},
    {"\"seq\":7,\"name\":\"get\",\"at\":" T ",\"key\":\"name\",\"value\":\"x\"", 7},
};

static void refuses_only_the_middle(struct fixture *f, const void *arg) {
    const struct bad_event *bad = arg;
    const struct cb_beacon *b = f->b;
    assert_int_equal(b->n_events, 2);
    assert_int_equal(b->events[0].seq, 100);
    assert_int_equal(b->events[1].seq, 102);
    assert_int_equal(b->n_refusals, 1);
    assert_int_equal(b->n_total, 3);
    assert_int_equal(b->refusals[0].fault.refusal, CB_REFUSE_BAD_EVENT);
    assert_non_null(b->refusals[0].fault.message);
    assert_int_equal(b->refusals[0].index, 1);
    assert_int_equal(b->refusals[0].n, 1);
    assert_true(b->refusals[0].seq == bad->seq);
    assert_true(b->has_producer);
}

static void test_a_bad_event_leaves_its_neighbours(void **state) {
    char body[2048];
    for (size_t i = 0; i < sizeof bad_events / sizeof *bad_events; i++) {
        snprintf(body, sizeof body, ENVELOPE(CLICK("100") ",{%s}," CLICK("102")),
                 bad_events[i].members);
        both(*state, body, true, refuses_only_the_middle, &bad_events[i]);
    }
}

static void test_an_event_is_an_object(void **state) {
    static const char *const events[] = {"1", "null", "\"x\"", "[]", "true"};
    struct bad_event bad = {NULL, 0};
    char body[1024];
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        snprintf(body, sizeof body, ENVELOPE(CLICK("100") ",%s," CLICK("102")), events[i]);
        both(*state, body, true, refuses_only_the_middle, &bad);
    }
}

static void is_taken(struct fixture *f, const void *arg) {
    (void)arg;
    assert_int_equal(f->b->n_refusals, 0);
    assert_int_equal(f->b->n_events, 3);
}

/* A body with an event whose page, prop or field is n of fill long, or has n props. */
static void sized(char *body, size_t bytes, const char *what, size_t n, const char *fill) {
    size_t at = (size_t)snprintf(body, bytes, "{" HEAD ",\"events\":[" CLICK("100") ",{");
    if (strcmp(what, "props") == 0) {
        for (size_t i = 0; i < n; i++)
            at += (size_t)snprintf(body + at, bytes - at, "\"p%zu\":0,", i);
    } else {
        at += (size_t)snprintf(body + at, bytes - at, "\"%s\":\"", what);
        for (size_t i = 0; i < n; i++)
            at += (size_t)snprintf(body + at, bytes - at, "%s", fill);
        at += (size_t)snprintf(body + at, bytes - at, "\",");
    }
    const char *name = strcmp(what, "value") == 0 ? "set\",\"key\":\"notes" : "page";
    snprintf(body + at, bytes - at, "\"name\":\"%s\",\"at\":" T ",\"seq\":7}," CLICK("102") "]}",
             name);
}

static void test_sizes_are_bounded(void **state) {
    static const struct {
        const char *what, *fill;
        size_t max;
    } cases[] = {{"page", "a", CB_PAGE_MAX},
                 {"props", "", CB_PROPS_MAX},
                 {"text", "b", CB_PROP_VALUE_MAX},
                 {"value", "\xf0\x9f\x98\x80", 4000}};
    static char body[65536];
    struct bad_event bad = {NULL, 7};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sized(body, sizeof body, cases[i].what, cases[i].max, cases[i].fill);
        both(*state, body, true, is_taken, NULL);
        sized(body, sizeof body, cases[i].what, cases[i].max + 1, cases[i].fill);
        both(*state, body, true, refuses_only_the_middle, &bad);
    }
}

static void is_one_set_less(struct fixture *f, const void *arg) {
    (void)arg;
    assert_int_equal(f->b->n_events, 1);
    assert_int_equal(f->b->n_refusals, 1);
    assert_string_equal(f->b->refusals[0].fault.field, "visitor");
}

static void test_set_needs_a_visitor(void **state) {
    both(*state,
         "{\"site\":\"demo\",\"producer\":\"" PRODUCER "\",\"sent\":" T ",\"events\":["
         "{\"seq\":1,\"name\":\"set\",\"key\":\"name\",\"value\":\"x\",\"at\":" T "},"
         "{\"seq\":2,\"name\":\"get\",\"key\":\"name\",\"at\":" T "}]}",
         true, is_one_set_less, NULL);
}

/* ---- envelopes that are refused ---- */

struct bad_envelope {
    const char *body;
    const char *field; /* or NULL */
    bool site_known;
    bool by_number; /* each event with its number */
};

#define TWO "\"events\":[" CLICK("5") ",{\"seq\":6}]"
#define REST "\"producer\":\"" PRODUCER "\",\"sent\":" T "," TWO "}"
#define SITE "{\"site\":\"demo\","

static const struct bad_envelope bad_envelopes[] = {
    {"{" REST, "site", false, false},
    {"{\"site\":1," REST, "site", false, false},
    {"{\"site\":\"\"," REST, "site", false, false},
    {"{\"site\":\"a b\"," REST, "site", false, false},
    {"{\"site\":\"../x\"," REST, "site", false, false},
    {SITE "\"site\":\"demo\"," REST, NULL, false, false},
    {SITE "\"visitor\":\"123\"," REST, "visitor", true, true},
    {SITE "\"visitor\":1," REST, "visitor", true, true},
    {SITE "\"visitor\":\"" VISITOR "0\"," REST, "visitor", true, true},
    {SITE "\"visitor\":\"" VISITOR "\",\"visitor\":\"" VISITOR "\"," REST, NULL, true, true},
    {SITE "\"sent\":" T "," TWO "}", "producer", true, false},
    {SITE "\"producer\":\"0123\",\"sent\":" T "," TWO "}", "producer", true, false},
    {SITE "\"producer\":12,\"sent\":" T "," TWO "}", "producer", true, false},
    {SITE "\"producer\":\"" PRODUCER "\"," TWO "}", "sent", true, true},
    {SITE "\"producer\":\"" PRODUCER "\",\"sent\":-1," TWO "}", "sent", true, true},
    {SITE "\"producer\":\"" PRODUCER "\",\"sent\":1.5," TWO "}", "sent", true, true},
    {SITE "\"producer\":\"" PRODUCER "\",\"sent\":\"" T "\"," TWO "}", "sent", true, true},
    {SITE "\"producer\":\"" PRODUCER "\",\"sent\":8640000000000001," TWO "}", "sent", true, true},
    {SITE "\"x\":1,\"x\":2," REST, NULL, true, true},
};

static void refuses_two(struct fixture *f, const void *arg) {
    const struct bad_envelope *bad = arg;
    const struct cb_beacon *b = f->b;
    assert_int_equal(b->n_events, 0);
    assert_int_equal(b->n_total, 2);
    assert_true(b->legible);
    assert_int_equal(b->n_refusals, bad->by_number ? 2 : 1);
    assert_int_equal(b->refusals[0].fault.refusal, CB_REFUSE_BAD_REQUEST);
    if (bad->field)
        assert_string_equal(b->refusals[0].fault.field, bad->field);
    else
        assert_null(b->refusals[0].fault.field);
    assert_int_equal(b->refusals[0].n, bad->by_number ? 1 : 2);
    assert_int_equal(b->refusals[0].seq, bad->by_number ? 5 : 0);
    if (bad->by_number) {
        assert_int_equal(b->refusals[1].seq, 6);
        assert_int_equal(b->refusals[1].index, 1);
        assert_true(cb_str_is(b->envelope.site, "demo"));
    }
}

static void test_a_bad_envelope_refuses_its_events(void **state) {
    for (size_t i = 0; i < sizeof bad_envelopes / sizeof *bad_envelopes; i++) {
        both(*state, bad_envelopes[i].body, bad_envelopes[i].site_known, refuses_two,
             &bad_envelopes[i]);
    }
}

static void refuses_one(struct fixture *f, const void *arg) {
    const char *field = arg;
    assert_int_equal(f->b->n_events, 0);
    assert_int_equal(f->b->n_total, 1);
    assert_false(f->b->legible);
    assert_int_equal(f->b->n_refusals, 1);
    assert_int_equal(f->b->refusals[0].fault.refusal, CB_REFUSE_BAD_REQUEST);
    if (field)
        assert_string_equal(f->b->refusals[0].fault.field, field);
}

static void test_an_envelope_needs_events(void **state) {
    static const char *const events[] = {",\"events\":[]", ",\"events\":{}", ",\"events\":null",
                                         ",\"events\":1", ""};
    char body[512];
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        snprintf(body, sizeof body, "{" HEAD "%s}", events[i]);
        both(*state, body, true, refuses_one, "events");
    }
    both(*state, "[]", true, refuses_one, NULL);
    both(*state, "1", true, refuses_one, NULL);
    both(*state, "{}", false, refuses_one, "site");
}

static void is_unknown(struct fixture *f, const void *arg) {
    (void)arg;
    assert_int_equal(f->b->n_events, 0);
    assert_int_equal(f->b->n_refusals, 1);
    assert_int_equal(f->b->refusals[0].fault.refusal, CB_REFUSE_SITE_UNKNOWN);
    assert_int_equal(f->b->refusals[0].n, 2);
    assert_int_equal(f->b->refusals[0].seq, 0);
    assert_int_equal(f->b->envelope.site.len, 0);
}

static void test_an_unknown_site_is_refused_without_a_site(void **state) {
    both(*state, ENVELOPE(CLICK("1") "," CLICK("2")), false, is_unknown, NULL);
}

static void is_too_large(struct fixture *f, const void *arg) {
    (void)arg;
    assert_int_equal(f->b->n_events, 0);
    assert_int_equal(f->b->n_refusals, 1);
    assert_int_equal(f->b->refusals[0].fault.refusal, CB_REFUSE_TOO_LARGE);
    assert_int_equal(f->b->refusals[0].n, CB_EVENTS_MAX + 1);
    /* Halved and sent again its numbers must count. */
    assert_int_equal(f->b->refusals[0].seq, 0);
}

static void is_full(struct fixture *f, const void *arg) {
    (void)arg;
    assert_int_equal(f->b->n_events, CB_EVENTS_MAX);
    assert_int_equal(f->b->n_refusals, 0);
    for (uint32_t i = 0; i < f->b->n_events; i++)
        assert_true(cb_props_valid(f->b->events[i].props) && f->b->events[i].props.len == 4);
}

static void test_an_envelope_has_at_most_5000_events(void **state) {
    static char body[BODY_MAX];
    for (unsigned n = CB_EVENTS_MAX; n <= CB_EVENTS_MAX + 1; n++) {
        size_t at = (size_t)snprintf(body, sizeof body, "{" HEAD ",\"events\":[");
        for (unsigned i = 1; i <= n; i++)
            at += (size_t)snprintf(body + at, sizeof body - at,
                                   "%s{\"seq\":%u,\"name\":\"onClick\",\"at\":" T ",\"p\":\"\"}",
                                   i > 1 ? "," : "", i);
        snprintf(body + at, sizeof body - at, "]}");
        both(*state, body, true, n > CB_EVENTS_MAX ? is_too_large : is_full, NULL);
    }
}

static void test_only_the_type_makes_lines(void **state) {
    static const char body[] = ENVELOPE(CLICK("1")) "\n" ENVELOPE(CLICK("2"));
    struct fixture *f = *state;
    begin(f, body, sizeof body - 1, CB_BEACON_JSON);
    assert_true(next(f, true));
    assert_int_equal(f->b->refusals[0].fault.refusal, CB_REFUSE_BAD_JSON);
    assert_false(f->b->legible);
    assert_false(next(f, true));
    begin(f, body, sizeof body - 1, CB_BEACON_NDJSON);
    assert_true(next(f, true));
    assert_int_equal(f->b->events[0].seq, 1);
    assert_int_equal(f->b->line, 1);
    assert_true(next(f, true));
    assert_int_equal(f->b->events[0].seq, 2);
    assert_int_equal(f->b->line, 2);
    assert_false(next(f, true));
}

static void test_a_bad_line_leaves_the_others(void **state) {
    static const char body[] =
        ENVELOPE(CLICK("1")) "\r\n\n  \t\r\n{bad\n\xff\n" ENVELOPE(CLICK("2")) "\n\n";
    struct fixture *f = *state;
    begin(f, body, sizeof body - 1, CB_BEACON_NDJSON);
    assert_true(next(f, true));
    assert_int_equal(f->b->n_events, 1);
    for (uint32_t line = 4; line <= 5; line++) {
        assert_true(next(f, false));
        assert_int_equal(f->b->line, line);
        assert_int_equal(f->b->n_events, 0);
        assert_int_equal(f->b->n_total, 1);
        assert_int_equal(f->b->refusals[0].fault.refusal, CB_REFUSE_BAD_JSON);
        assert_int_equal(f->b->envelope.site.len, 0);
    }
    assert_true(next(f, true));
    assert_int_equal(f->b->line, 6);
    assert_int_equal(f->b->events[0].seq, 2);
    assert_false(next(f, true));
}

static void test_a_body_of_nothing_is_refused_once(void **state) {
    static const enum cb_beacon_format formats[] = {CB_BEACON_JSON, CB_BEACON_NDJSON,
                                                    CB_BEACON_MSGPACK};
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        begin(f, "", 0, formats[i]);
        assert_true(next(f, false));
        assert_int_equal(f->b->n_refusals, 1);
        assert_int_equal(f->b->refusals[0].fault.refusal, formats[i] == CB_BEACON_MSGPACK
                                                              ? CB_REFUSE_BAD_MSGPACK
                                                              : CB_REFUSE_BAD_JSON);
        assert_false(next(f, false));
    }
    begin(f, "\n \n", 3, CB_BEACON_NDJSON);
    assert_true(next(f, false));
    assert_int_equal(f->b->refusals[0].fault.refusal, CB_REFUSE_BAD_JSON);
    assert_false(next(f, false));
}

static void test_several_envelopes_of_msgpack(void **state) {
    struct fixture *f = *state;
    struct cb_buf packed;
    cb_buf_init(&packed, BODY_MAX);
    to_msgpack(ENVELOPE(CLICK("1")), &packed);
    size_t one = packed.len;
    to_msgpack(ENVELOPE(CLICK("2")), &packed);
    begin(f, packed.data, packed.len, CB_BEACON_MSGPACK);
    assert_true(next(f, true));
    assert_int_equal(f->b->events[0].seq, 1);
    assert_true(next(f, true));
    assert_int_equal(f->b->events[0].seq, 2);
    assert_false(next(f, true));
    /* Cut anywhere, nothing of it is taken: where it would go on is not known. */
    for (size_t len = one + 1; len < packed.len; len++) {
        begin(f, packed.data, len, CB_BEACON_MSGPACK);
        assert_true(next(f, true));
        assert_int_equal(f->b->n_events, 0);
        assert_int_equal(f->b->refusals[0].fault.refusal, CB_REFUSE_BAD_MSGPACK);
        assert_false(next(f, true));
    }
    cb_buf_fini(&packed);
}

static void test_hostile_msgpack_is_refused(void **state) {
    static const struct {
        const char *p;
        size_t len;
    } bodies[] = {
        {"\xdf\xff\xff\xff\xff", 5}, /* a map of 2^32-1 */
        {"\xdd\xff\xff\xff\xff", 5}, /* an array of 2^32-1 */
        {"\xdb\xff\xff\xff\xff", 5}, /* a string of 2^32-1 */
        {"\x81\xa1\xff\x01", 4},     /* a key that is not UTF-8 */
        {"\xc7\x01\x01\x00", 4},     /* an extension */
        {"\xc1", 1},                 /* never used */
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        begin(f, bodies[i].p, bodies[i].len, CB_BEACON_MSGPACK);
        assert_true(next(f, false));
        assert_int_equal(f->b->refusals[0].fault.refusal, CB_REFUSE_BAD_MSGPACK);
    }
    char deep[100];
    memset(deep, '\x91', sizeof deep);
    deep[99] = '\xc0';
    begin(f, deep, sizeof deep, CB_BEACON_MSGPACK);
    assert_true(next(f, false));
    assert_int_equal(f->b->refusals[0].fault.refusal, CB_REFUSE_BAD_MSGPACK);
    begin(f, "\x81\x01\x01", 3, CB_BEACON_MSGPACK); /* a key that is no string */
    assert_true(next(f, false));
    assert_int_equal(f->b->refusals[0].fault.refusal, CB_REFUSE_BAD_REQUEST);
}

/* Every prefix of a body is refused or taken without harm. */
static void test_no_prefix_does_harm(void **state) {
    static const char body[] = ENVELOPE("{\"seq\":1,\"name\":\"set\",\"key\":\"name\",\"value\":"
                                        "\"\\u00e9\",\"at\":" T ",\"props\":{\"a\":1.5}}");
    struct fixture *f = *state;
    struct cb_buf packed;
    cb_buf_init(&packed, BODY_MAX);
    to_msgpack(body, &packed);
    for (size_t len = 0; len < sizeof body - 1; len++) {
        begin(f, body, len, CB_BEACON_JSON);
        assert_true(next(f, true));
        assert_int_equal(f->b->n_events, 0);
    }
    for (size_t len = 0; len < packed.len; len++) {
        begin(f, packed.data, len, CB_BEACON_MSGPACK);
        assert_true(next(f, true));
        assert_int_equal(f->b->n_events, 0);
    }
    cb_buf_fini(&packed);
}

static void test_formats_by_type(void **state) {
    static const struct {
        const char *type;
        enum cb_beacon_format format;
    } cases[] = {{"application/json", CB_BEACON_JSON},
                 {"text/plain;charset=UTF-8", CB_BEACON_JSON},
                 {"", CB_BEACON_JSON},
                 {"application/x-ndjson", CB_BEACON_NDJSON},
                 {"Application/NDJSON ; charset=utf-8", CB_BEACON_NDJSON},
                 {"application/ndjsonx", CB_BEACON_JSON},
                 {"application/msgpack", CB_BEACON_MSGPACK},
                 {"application/x-msgpack", CB_BEACON_MSGPACK},
                 {"application/vnd.msgpack;x", CB_BEACON_MSGPACK}};
    (void)state;
    assert_int_equal(cb_beacon_format_of(NULL), CB_BEACON_JSON);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cb_str type = cb_str_of(cases[i].type);
        assert_int_equal(cb_beacon_format_of(&type), cases[i].format);
    }
}

/* An erased visitor's events are refused one by one, with their numbers; another's are taken. */
static void test_an_erased_visitor_is_refused(void **state) {
    struct fixture *f = *state;
    static const char body[] =
        "{\"site\":\"demo\",\"visitor\":\"00112233445566778899aabbccddeeff\","
        "\"producer\":\"0123456789abcdef\",\"sent\":9,"
        "\"events\":[{\"seq\":4,\"name\":\"a\",\"at\":9},{\"seq\":5,\"name\":\"b\",\"at\":9}]}";
    uint8_t tags[2 * CB_VISITOR_BYTES] = {1}, key[CB_VISITOR_BYTES];
    struct cb_beacon_receipt receipt = {.received_ms = 1234, .site_known = true};
    assert_int_equal(
        cb_beacon_visitor(CB_STR("demo"), CB_STR("00112233445566778899aabbccddeeff"), key), 0);
    cb_visitor_tag(key, tags + CB_VISITOR_BYTES);
    receipt.erasures = (struct cb_str){(const char *)tags, sizeof tags};
    begin(f, body, sizeof body - 1, CB_BEACON_JSON);
    assert_true(cb_beacon_next(f->b));
    cb_beacon_check(f->b, &receipt);
    assert_int_equal(f->b->n_events, 0);
    assert_int_equal(f->b->n_refusals, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(f->b->refusals[i].fault.refusal, CB_REFUSE_ERASED);
        assert_int_equal(f->b->refusals[i].seq, 4 + i);
        assert_string_equal(f->b->refusals[i].fault.field, "visitor");
    }
    receipt.erasures.len = CB_VISITOR_BYTES; /* somebody else */
    begin(f, body, sizeof body - 1, CB_BEACON_JSON);
    assert_true(cb_beacon_next(f->b));
    cb_beacon_check(f->b, &receipt);
    assert_int_equal(f->b->n_events, 2);
}

int main(void) {
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(test_takes_a_beacon),
        ROW(test_a_server_has_no_visitor),
        ROW(test_an_event_is_at_most_seven_days_old),
        ROW(test_a_bad_event_leaves_its_neighbours),
        ROW(test_an_event_is_an_object),
        ROW(test_sizes_are_bounded),
        ROW(test_set_needs_a_visitor),
        ROW(test_an_erased_visitor_is_refused),
        ROW(test_a_bad_envelope_refuses_its_events),
        ROW(test_an_envelope_needs_events),
        ROW(test_an_unknown_site_is_refused_without_a_site),
        ROW(test_an_envelope_has_at_most_5000_events),
        ROW(test_only_the_type_makes_lines),
        ROW(test_a_bad_line_leaves_the_others),
        ROW(test_a_body_of_nothing_is_refused_once),
        ROW(test_several_envelopes_of_msgpack),
        ROW(test_hostile_msgpack_is_refused),
        ROW(test_no_prefix_does_harm),
        ROW(test_formats_by_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
