/* SPDX-License-Identifier: MIT */
#include "proto/frame.h"

#include <inttypes.h>
#include <stdio.h>

#include "tests/proto/guard.h"

static struct cb_buf load(const char *path) {
    struct cb_buf buf;
    char chunk[4096];
    size_t n;
    cb_buf_init(&buf, 1 << 20);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0) {
        assert_int_equal(cb_buf_append(&buf, chunk, n), 0);
    }
    fclose(file);
    return buf;
}

/* ---- a frame as text ---- */

static int dump_event(struct cb_buf *out, const struct cb_event *e) {
    int err = cb_buf_printf(out, "event %" PRIu64 " %.*s(%u) age %" PRId64 " page ", e->seq,
                            (int)e->name.len, e->name.p, e->name_code, e->age_ms);
    err |= cb_buf_append_json(out, e->page);
    err |= cb_buf_printf(out, " props ");
    err |= cb_props_json(out, e->props);
    err |= cb_buf_printf(out, " key ");
    err |= cb_buf_append_json(out, e->key);
    err |= cb_buf_printf(out, " value ");
    err |= cb_buf_append_json(out, e->value);
    if (e->referrer.len > 0) { /* what version 1 does not have, its golden text does not show */
        err |= cb_buf_printf(out, " referrer ");
        err |= cb_buf_append_json(out, e->referrer);
    }
    return err | cb_buf_printf(out, "\n");
}

static int dump_envelope(struct cb_buf *out, const struct cb_envelope *e) {
    char visitor[2 * CB_VISITOR_BYTES + 1] = "-", producer[2 * CB_PRODUCER_BYTES + 1];
    if (e->has_visitor) {
        cb_hex_encode(e->visitor, CB_VISITOR_BYTES, visitor);
    }
    cb_hex_encode(e->producer, CB_PRODUCER_BYTES, producer);
    int err = cb_buf_printf(out,
                            "envelope \"%.*s\" visitor %s producer %s received %" PRId64
                            " device %u bot %d country \"%s\"",
                            (int)e->site.len, e->site.p, visitor, producer, e->received_ms,
                            e->device, e->bot, e->country);
    if (e->language[0] || e->browser) {
        err |= cb_buf_printf(out, " language \"%s\" browser %u", e->language, e->browser);
    }
    return err | cb_buf_printf(out, " events %u\n", e->n_events);
}

static int dump_reject(struct cb_buf *out, const struct cb_reject *r) {
    char producer[2 * CB_PRODUCER_BYTES + 1];
    int err = cb_buf_printf(out, "reject \"%.*s\" refusal %u n %" PRIu64, (int)r->site.len,
                            r->site.p, r->refusal, r->n);
    if (r->has_seq) {
        cb_hex_encode(r->producer, CB_PRODUCER_BYTES, producer);
        err |= cb_buf_printf(out, " producer %s seq %" PRIu64, producer, r->seq);
    }
    return err | cb_buf_printf(out, "\n");
}

static void dump_head(struct cb_buf *out, const struct cb_frame *f) {
    assert_int_equal(cb_buf_printf(out, "kind %d sender %016" PRIx64 " number %" PRIu64 "\n",
                                   (int)f->kind, f->sender, f->number),
                     0);
    for (uint32_t i = 0; i < f->n_sites; i++) {
        assert_int_equal(cb_buf_printf(out, "site \"%.*s\" received %" PRIu64 "\n",
                                       (int)f->sites[i].name.len, f->sites[i].name.p,
                                       f->sites[i].received),
                         0);
    }
}

/* Walks a frame that was decoded, writes it out as text where out is given, and builds it again.
 * What a walk gives must keep every promise, or the builder's own checks speak. */
static void walk(const struct cb_frame *frame, struct cb_buf *out, struct cb_frame_builder *b) {
    struct cb_frame_walk w;
    struct cb_envelope envelope;
    struct cb_reject reject;
    static struct cb_event events[CB_EVENTS_MAX];
    uint64_t n_events = 0, received = 0;
    enum cb_frame_item item;
    if (out) {
        dump_head(out, frame);
    }
    cb_frame_walk_init(&w, frame);
    while ((item = cb_frame_walk_next(&w, &envelope, &reject)) != CB_ITEM_END) {
        if (item == CB_ITEM_REJECT) {
            assert_true(!out || dump_reject(out, &reject) == 0);
            assert_int_equal(cb_frame_builder_reject(b, &reject), 0);
            n_events += reject.n;
            continue;
        }
        uint32_t n = 0;
        assert_true(!out || dump_envelope(out, &envelope) == 0);
        while (cb_frame_walk_event(&w, &events[n])) {
            const struct cb_event *e = &events[n];
            assert_true(!out || dump_event(out, e) == 0);
            assert_true(e->seq >= 1 && e->seq <= CB_SEQ_MAX);
            assert_true(e->age_ms >= 0 && e->age_ms <= CB_AGE_MAX_MS);
            assert_true(cb_event_name_valid(e->name));
            assert_int_equal(cb_event_name_code(e->name), e->name_code);
            assert_true(e->page.len <= CB_PAGE_MAX && cb_utf8_valid(e->page));
            assert_true(cb_props_valid(e->props) && cb_utf8_valid(e->value));
            assert_true(e->referrer.len == 0 || cb_referrer_valid(e->referrer));
            bool has_key = e->name_code == CB_NAME_SET || e->name_code == CB_NAME_GET;
            assert_int_equal(has_key, cb_field_of(e->key) >= 0);
            n++;
        }
        assert_int_equal(n, envelope.n_events);
        assert_int_equal(cb_frame_builder_add(b, &envelope, events, n), 0);
        n_events += n;
    }
    assert_true(cb_pack_done(&w.body));
    for (uint32_t i = 0; i < frame->n_sites; i++) {
        received += frame->sites[i].received;
    }
    assert_true(n_events == received && n_events == b->n_events);
}

/* ---- the golden frames ---- */

#define NEWEST CB_GOLDEN "/frame-v2.msgpack"

/* The frame of a version decodes to its text; *again: what a builder makes of that. */
static void decode_golden(const char *wire_path, const char *text_path, struct cb_buf *again) {
    static struct cb_frame frame;
    static struct cb_frame_builder b;
    struct cb_buf wire = load(wire_path), want = load(text_path), text;
    cb_buf_init(&text, 1 << 20);
    cb_buf_init(again, CB_FRAME_MAX);
    cb_frame_builder_init(&b);
    assert_int_equal(cb_frame_decode(wire.data, wire.len, &frame), 0);
    walk(&frame, &text, &b);
    assert_int_equal(cb_buf_append(&text, "", 1), 0);
    assert_int_equal(cb_buf_append(&want, "", 1), 0);
    assert_string_equal(text.data, want.data);
    assert_int_equal(cb_frame_builder_seal(&b, frame.sender, frame.number, again), 0);
    assert_true(cb_frame_builder_bytes(&b) >= again->len);
    cb_frame_builder_fini(&b);
    cb_buf_fini(&wire);
    cb_buf_fini(&want);
    cb_buf_fini(&text);
}

/* An older frame holds what it held, and is written anew as the newest version. */
static void golden_v1_decodes(void **state) {
    (void)state;
    static struct cb_frame frame;
    struct cb_buf again;
    decode_golden(CB_GOLDEN "/frame-v1.msgpack", CB_GOLDEN "/frame-v1.txt", &again);
    assert_int_equal(cb_frame_decode(again.data, again.len, &frame), 0);
    assert_int_equal(frame.version, CB_FRAME_VERSION);
    cb_buf_fini(&again);
}

static void golden_v2_decodes_and_encodes(void **state) {
    (void)state;
    struct cb_buf wire = load(NEWEST), again;
    decode_golden(NEWEST, CB_GOLDEN "/frame-v2.txt", &again);
    assert_int_equal(again.len, wire.len);
    assert_memory_equal(again.data, wire.data, wire.len);
    cb_buf_fini(&wire);
    cb_buf_fini(&again);
}

static bool decodes_soundly(const void *data, size_t len) {
    static struct cb_frame frame;
    static struct cb_frame_builder b;
    uint64_t sender, number;
    int peeked = cb_frame_peek(data, len, &sender, &number);
    int err = cb_frame_decode(data, len, &frame);
    if (err || frame.kind != CB_FRAME_BEACONS) {
        assert_true(!err || err == CB_EMALFORMED || err == CB_EVERSION);
        return false;
    }
    assert_int_equal(peeked, 0);
    assert_true(sender == frame.sender && number == frame.number);
    cb_frame_builder_init(&b);
    walk(&frame, NULL, &b);
    cb_frame_builder_fini(&b);
    return true;
}

static void golden_spoiled(void **state) {
    (void)state;
    static const char *const paths[] = {CB_GOLDEN "/frame-v1.msgpack", NEWEST};
    for (size_t i = 0; i < 2; i++) {
        struct cb_buf wire = load(paths[i]);
        guard_spoil(wire.data, wire.len, decodes_soundly);
        cb_buf_fini(&wire);
    }
}

/* Many bytes at once, anywhere: what single bytes do not reach. */
static void golden_spoiled_at_random(void **state) {
    (void)state;
    struct cb_buf wire = load(NEWEST);
    uint64_t seed = 7;
    struct guard g;
    guard_init(&g, wire.len);
    for (int i = 0; i < 100000; i++) {
        uint8_t *p = guard_put(&g, wire.data, wire.len);
        for (uint64_t n = 2 + guard_random(&seed) % 4; n > 0; n--) {
            p[guard_random(&seed) % wire.len] = (uint8_t)guard_random(&seed);
        }
        decodes_soundly(p, wire.len);
    }
    guard_fini(&g);
    cb_buf_fini(&wire);
}

/* Events that nobody reads are stepped over. */
static void a_walk_may_leave_events_out(void **state) {
    (void)state;
    static struct cb_frame frame;
    struct cb_buf wire = load(NEWEST);
    struct cb_frame_walk w;
    struct cb_envelope envelope;
    struct cb_event event;
    struct cb_reject reject;
    char items[32] = "";
    enum cb_frame_item item;
    assert_int_equal(cb_frame_decode(wire.data, wire.len, &frame), 0);
    cb_frame_walk_init(&w, &frame);
    assert_false(cb_frame_walk_event(&w, &event));
    while ((item = cb_frame_walk_next(&w, &envelope, &reject)) != CB_ITEM_END) {
        items[strlen(items)] = item == CB_ITEM_ENVELOPE ? 'e' : 'r';
        if (strlen(items) == 1) {
            assert_true(cb_frame_walk_event(&w, &event));
        }
    }
    assert_string_equal(items, "ereerrrr");
    assert_int_equal(cb_frame_walk_next(&w, &envelope, &reject), CB_ITEM_END);
    cb_buf_fini(&wire);
}

/* ---- the rules, one by one ---- */

#define HEAD                                                                                       \
    "\x96\xa4"                                                                                     \
    "cb.f\x01\x01\xcf\0\0\0\0\0\0\0\x05\x01"
#define ONE "\x91\x92\xa1s\x01" /* one site, s, of which one was received */
#define TWO "\x91\x92\xa1s\x02"
#define NOWHERE "\x91\x92\xa0\x01" /* one event of no site */
#define PRODUCER "\xc4\x08PPPPPPPP"
#define VISITOR "\xc4\x10VVVVVVVVVVVVVVVV"
#define ENVELOPE                                                                                   \
    "\x99\x01\x00" VISITOR PRODUCER "\xcd\x03\xe8\x01\xc2\xa2"                                     \
    "CZ"
#define EVENT(tail) ENVELOPE "\x91" tail
#define REST "\x04\x00" /* … of an event: onMinimize, age 0 */
#define PLAIN EVENT("\x93\x01" REST)

static int decode(struct cb_str wire) {
    static struct cb_frame frame;
    struct guard g;
    guard_init(&g, wire.len);
    int err = cb_frame_decode(guard_put(&g, wire.p, wire.len), wire.len, &frame);
    if (err == 0) {
        static struct cb_frame_builder b;
        cb_frame_builder_init(&b);
        walk(&frame, NULL, &b);
        cb_frame_builder_fini(&b);
    }
    guard_fini(&g);
    return err;
}

#define TAKEN(wire) assert_int_equal(decode(CB_STR(wire)), 0)
#define REFUSED(wire) assert_int_equal(decode(CB_STR(wire)), CB_EMALFORMED)

static void the_header_keeps_its_rules(void **state) {
    (void)state;
    TAKEN(HEAD "\x90");
    TAKEN(HEAD ONE PLAIN);
    TAKEN("\xdd\0\0\0\x06\xd9\x04"
          "cb.f\xcc\x01\xd0\x01\x05\xcd\0\x01\xdc\0\0"); /* long forms */
    REFUSED("");
    REFUSED("\x96\xa4"
            "cb.a\x01\x01\xcf\0\0\0\0\0\0\0\x05\x01\x90"); /* another's magic */
    REFUSED("\x96\xa4"
            "cb.f\x00\x01\xcf\0\0\0\0\0\0\0\x05\x01\x90"); /* version 0 */
    REFUSED("\x96\xa4"
            "cb.f\x01\x00\xcf\0\0\0\0\0\0\0\x05\x01\x90"); /* kind 0 */
    REFUSED("\x96\xa4"
            "cb.f\x01\x04\xcf\0\0\0\0\0\0\0\x05\x01\x90"); /* kind 4 */
    REFUSED("\x96\xa4"
            "cb.f\x01\x01\xcf\0\0\0\0\0\0\0\x05\x00\x90"); /* number 0 */
    REFUSED("\x95\xa4"
            "cb.f\x01\x01\xcf\0\0\0\0\0\0\0\x05\x01\x90");
    REFUSED("\x97\xa4"
            "cb.f\x01\x01\xcf\0\0\0\0\0\0\0\x05\x01\x90\xc0");
    REFUSED(HEAD "\x91\x92\xa1\xff\x01" PLAIN);
    REFUSED(HEAD "\x91\x92\xa1+\x01" PLAIN);
    REFUSED(HEAD "\x91\x93\xa1s\x01\x01" PLAIN);
    REFUSED(HEAD "\x92\x92\xa1s\x01\x92\xa1s\x01" PLAIN PLAIN); /* a site twice */
    REFUSED(HEAD "\x92\x92\xa1s\x01\x92\xa1s\x01" PLAIN "\x94\x02\x01\x04\x01");
    REFUSED(HEAD "\x92\x92\xa1s\x01\x92\xa1t\x00" PLAIN); /* a site with nothing */
    REFUSED("\xdd\xff\xff\xff\xff\xa4"
            "cb.f\x01\x01\x05\x01\x90"); /* 2^32-1 values */
    REFUSED("\x96\xa4"
            "cb.f\x01\x01\x05\x01\xdd\xff\xff\xff\xff");
    REFUSED("\xdf\xff\xff\xff\xff");
}

static void newer_versions_are_told_apart(void **state) {
    (void)state;
    uint64_t sender = 0, number = 0;
    static const char newer[] = "\x99\xa4"
                                "cb.f\x03\x09\x05\x07{}[]---";
    assert_int_equal(decode(CB_STR("\x98\xa4"
                                   "cb.f\x03\x09\x05\x07{}[]-")),
                     CB_EVERSION);
    assert_int_equal(decode(CB_STR("\x92\xa4"
                                   "cb.f\xcd\x01\x00")),
                     CB_EVERSION);
    assert_int_equal(cb_frame_peek(newer, sizeof newer - 1, &sender, &number), 0);
    assert_int_equal(sender, 5);
    assert_int_equal(number, 7);
    assert_int_equal(cb_frame_peek("\x96\xa4"
                                   "cb.f\x01\x01\x05",
                                   9, &sender, &number),
                     CB_EMALFORMED);
    assert_int_equal(cb_frame_peek("\x96\xa4"
                                   "cb.x\x01\x01\x05\x01\x90",
                                   11, &sender, &number),
                     CB_EMALFORMED);
}

static void received_is_what_the_body_holds(void **state) {
    (void)state;
    TAKEN(HEAD TWO PLAIN PLAIN);
    TAKEN(HEAD TWO PLAIN "\x94\x02\x00\x04\x01");
    TAKEN(HEAD "\x92\x92\xa1s\x01\x92\xa0\x07" PLAIN "\x94\x02\x01\x04\x07");
    REFUSED(HEAD ONE);
    REFUSED(HEAD "\x90" PLAIN);
    REFUSED(HEAD ONE PLAIN PLAIN);
    REFUSED(HEAD TWO PLAIN);
    REFUSED(HEAD TWO PLAIN "\x94\x02\x00\x04\x02");
    REFUSED(HEAD "\x92\x92\xa1s\x02\x92\xa0\x06" PLAIN "\x94\x02\x01\x04\x07");
    REFUSED(HEAD "\x91\x92\xa1s\xcf\xff\xff\xff\xff\xff\xff\xff\xff" PLAIN);
}

static void envelopes_keep_their_rules(void **state) {
    (void)state;
    TAKEN(HEAD ONE "\x99\x01\x00\xc0" PRODUCER "\x05\x07\xc3\xa0\x91\x93\x01" REST);
    REFUSED(HEAD ONE "\x99\x01\x01\xc0" PRODUCER "\x05\x07\xc3\xa0\x91\x93\x01" REST); /* site */
    /* … also where memory still holds a site of the frame before */
    TAKEN(HEAD "\x92\x92\xa1s\x01\x92\xa1t\x01" PLAIN "\x94\x02\x01\x04\x01");
    REFUSED(HEAD ONE PLAIN "\x94\x02\x01\x04\x01");
    REFUSED(HEAD ONE "\x99\x03\x00\xc0" PRODUCER "\x05\x07\xc3\xa0\x91\x93\x01" REST); /* kind */
    REFUSED(HEAD ONE "\x98\x01\x00\xc0" PRODUCER "\x05\x07\xc3\xa0\x91\x93\x01" REST);
    REFUSED(HEAD ONE "\x99\x01\x00\xc4\x0fVVVVVVVVVVVVVVV" PRODUCER
                     "\x05\x07\xc3\xa0\x91\x93\x01" REST);
    REFUSED(HEAD ONE "\x99\x01\x00\xc0\xc4\x07PPPPPPP\x05\x07\xc3\xa0\x91\x93\x01" REST);
    REFUSED(HEAD ONE "\x99\x01\x00\xc0\xc0\x05\x07\xc3\xa0\x91\x93\x01" REST);
    REFUSED(HEAD ONE "\x99\x01\x00\xc0" PRODUCER "\xff\x07\xc3\xa0\x91\x93\x01" REST); /* time */
    REFUSED(HEAD ONE "\x99\x01\x00\xc0" PRODUCER
                     "\xcf\x00\x00\xe6\x77\xd2\x1f\xdc\x00\x07\xc3\xa0\x91\x93\x01" REST);
    TAKEN(HEAD ONE "\x99\x01\x00\xc0" PRODUCER
                   "\xcf\x00\x00\xe6\x77\xd2\x1f\xdb\xff\x07\xc3\xa0\x91\x93\x01" REST);
    REFUSED(HEAD ONE "\x99\x01\x00\xc0" PRODUCER "\x05\x08\xc3\xa0\x91\x93\x01" REST); /* device */
    REFUSED(HEAD ONE "\x99\x01\x00\xc0" PRODUCER "\x05\x07\x01\xa0\x91\x93\x01" REST); /* bot */
    REFUSED(HEAD ONE "\x99\x01\x00\xc0" PRODUCER "\x05\x07\xc3\xa2"
                     "cz\x91\x93\x01" REST);
    REFUSED(HEAD ONE "\x99\x01\x00\xc0" PRODUCER "\x05\x07\xc3\xa2"
                     "C\0\x91\x93\x01" REST);
    REFUSED(HEAD ONE "\x99\x01\x00\xc0" PRODUCER "\x05\x07\xc3\xa1"
                     "C\x91\x93\x01" REST);
    REFUSED(HEAD ONE "\x99\x01\x00\xc0" PRODUCER "\x05\x07\xc3\xa0\x90"); /* no events */
    REFUSED(HEAD ONE PLAIN ENVELOPE "\x90");
    REFUSED(HEAD NOWHERE PLAIN); /* an envelope is of a site */
    REFUSED(HEAD ONE ENVELOPE "\xdd\xff\xff\xff\xff\x93\x01" REST);
}

static void events_keep_their_rules(void **state) {
    (void)state;
    TAKEN(HEAD ONE EVENT("\x94\x01" REST "\xc0"));
    TAKEN(HEAD ONE EVENT("\x95\x01" REST "\xa0\x80"));
    TAKEN(HEAD ONE EVENT("\x95\x01" REST "\xc0\xc0"));
    REFUSED(HEAD ONE EVENT("\x92\x01\x04"));
    REFUSED(HEAD ONE EVENT("\x93\x00" REST)); /* seq from 1 to 2^53 - 1 */
    REFUSED(HEAD ONE EVENT("\x93\xcf\x00\x20\0\0\0\0\0\0" REST));
    TAKEN(HEAD ONE EVENT("\x93\xcf\x00\x1f\xff\xff\xff\xff\xff\xff" REST));
    REFUSED(HEAD ONE EVENT("\x93\xa1\x31" REST));
    REFUSED(HEAD ONE EVENT("\x93\x01\x00\x00")); /* known names are 1 to 10 */
    TAKEN(HEAD ONE EVENT("\x93\x01\x0a\x00"));
    REFUSED(HEAD ONE EVENT("\x93\x01\x0b\x00"));
    TAKEN(HEAD ONE EVENT("\x93\x01\xa2x1\x00"));
    REFUSED(HEAD ONE EVENT("\x93\x01\xa2\x31x\x00"));
    REFUSED(HEAD ONE EVENT("\x93\x01\xa0\x00"));
    REFUSED(HEAD ONE EVENT("\x93\x01\x04\xff")); /* ages from 0 to 7 days */
    TAKEN(HEAD ONE EVENT("\x93\x01\x04\xce\x24\x0c\x84\x00"));
    REFUSED(HEAD ONE EVENT("\x93\x01\x04\xce\x24\x0c\x84\x01"));
    REFUSED(HEAD ONE EVENT("\x94\x01" REST "\xa1\xff"));
    REFUSED(HEAD ONE EVENT("\x94\x01" REST "\xc4\x01x"));
    REFUSED(HEAD ONE EVENT("\x95\x01" REST "\xc0\x82\xa1k\x01\xa1k\x01")); /* a key twice */
    REFUSED(HEAD ONE EVENT("\x95\x01" REST "\xc0\x81\xa1k\x90"));
    REFUSED(HEAD ONE EVENT("\x95\x01" REST "\xc0\xdf\xff\xff\xff\xff"));
    REFUSED(HEAD ONE EVENT("\x93\xd4\x01\x01" REST)); /* an extension */
    /* Only set and get have a key, only set a value. */
    TAKEN(HEAD ONE EVENT("\x96\x01\x08\x00\xc0\xc0\xa4"
                         "name"));
    TAKEN(HEAD ONE EVENT("\x97\x01\x07\x00\xc0\xc0\xa4"
                         "name\xa0"));
    TAKEN(HEAD ONE EVENT("\x97\x01\xa3set\x00\xc0\xc0\xa4"
                         "name\xa0")); /* spelled out */
    REFUSED(HEAD ONE EVENT("\x93\x01\x07\x00"));
    REFUSED(HEAD ONE EVENT("\x93\x01\xa3set\x00"));
    REFUSED(HEAD ONE EVENT("\x93\x01\x08\x00"));
    REFUSED(HEAD ONE EVENT("\x96\x01\x07\x00\xc0\xc0\xa4"
                           "name"));
    REFUSED(HEAD ONE EVENT("\x97\x01\x08\x00\xc0\xc0\xa4"
                           "name\xa0"));
    REFUSED(HEAD ONE EVENT("\x96\x01\x04\x00\xc0\xc0\xa4"
                           "name"));
    REFUSED(HEAD ONE EVENT("\x96\x01\x08\x00\xc0\xc0\xa4"
                           "Name"));
    REFUSED(HEAD ONE EVENT("\x96\x01\x08\x00\xc0\xc0\xc0"));
    REFUSED(HEAD ONE EVENT("\x97\x01\x07\x00\xc0\xc0\xa4"
                           "name\xc0"));
    REFUSED(HEAD ONE EVENT("\x97\x01\x07\x00\xc0\xc0\xa4"
                           "name\xa1\xff"));
}

#define HEAD2                                                                                      \
    "\x96\xa4"                                                                                     \
    "cb.f\x02\x01\xcf\0\0\0\0\0\0\0\x05\x01" ONE
#define ENVELOPE2(head, facts) head "\x01\x00\xc0" PRODUCER "\x05\x01\xc2\xa0" facts "\x91"
#define EVENT2(tail) ENVELOPE2("\x9b", "\xa2nl\x03") tail

static void version_2_keeps_its_rules(void **state) {
    (void)state;
    TAKEN(HEAD2 EVENT2("\x93\x01" REST));
    TAKEN(HEAD2 ENVELOPE2("\x9b", "\xa0\x00") "\x93\x01" REST);
    TAKEN(HEAD2 ENVELOPE2("\x9b", "\xa3gsw\x1f") "\x93\x01" REST);
    REFUSED(HEAD2 ENVELOPE2("\x9b", "\xa2nl\x20") "\x93\x01" REST); /* browser */
    REFUSED(HEAD2 ENVELOPE2("\x9b", "\xa2NL\x03") "\x93\x01" REST); /* language */
    REFUSED(HEAD2 ENVELOPE2("\x9b", "\xa1n\x03") "\x93\x01" REST);
    REFUSED(HEAD2 ENVELOPE2("\x9b", "\xa4nlnl\x03") "\x93\x01" REST);
    REFUSED(HEAD2 ENVELOPE2("\x9b", "\xc0\x03") "\x93\x01" REST);
    REFUSED(HEAD2 ENVELOPE2("\x9b", "\xa2nl\xc0") "\x93\x01" REST);
    REFUSED(HEAD2 ENVELOPE2("\x99", "") "\x93\x01" REST); /* the other version's */
    REFUSED(HEAD ONE ENVELOPE2("\x9b", "\xa2nl\x03") "\x93\x01" REST);
    TAKEN(HEAD2 EVENT2("\x96\x01" REST "\xc0\xc0\xa3t.d"));
    REFUSED(HEAD ONE EVENT("\x96\x01" REST "\xc0\xc0\xa3t.d"));
    REFUSED(HEAD2 EVENT2("\x96\x01" REST "\xc0\xc0\xa0")); /* none is left out */
    REFUSED(HEAD2 EVENT2("\x96\x01" REST "\xc0\xc0\xc0"));
    REFUSED(HEAD2 EVENT2("\x96\x01" REST "\xc0\xc0\xa3T.d"));
    REFUSED(HEAD2 EVENT2("\x96\x01" REST "\xc0\xc0\xa3t/d"));
    REFUSED(HEAD2 EVENT2("\x97\x01" REST "\xc0\xc0\xa3t.d\xa0"));
    TAKEN(HEAD2 EVENT2("\x96\x01\x08\x00\xc0\xc0\xa4" /* get and set have a key there */
                       "name"));
    REFUSED(HEAD2 EVENT2("\x96\x01\x08\x00\xc0\xc0\xa3t.d"));
}

static void refusals_keep_their_rules(void **state) {
    (void)state;
    TAKEN(HEAD ONE "\x94\x02\x00\x1f\x01");
    TAKEN(HEAD NOWHERE "\x94\x02\x00\x01\x01");
    TAKEN(HEAD ONE "\x96\x02\x00\x04\x01" PRODUCER "\x09");
    TAKEN(HEAD "\x91\x92\xa1s\xce\xff\xff\xff\xff\x94\x02\x00\x04\xce\xff\xff\xff\xff");
    REFUSED(HEAD "\x91\x92\xa1s\xcf\0\0\0\x01\0\0\0\0\x94\x02\x00\x04\xcf\0\0\0\x01\0\0\0\0");
    REFUSED(HEAD ONE "\x94\x02\x00\x00\x01"); /* reasons from 1 to 31 */
    REFUSED(HEAD ONE "\x94\x02\x00\x20\x01");
    REFUSED(HEAD ONE PLAIN "\x94\x02\x00\x04\x00");
    REFUSED(HEAD ONE "\x94\x02\x01\x04\x01");
    REFUSED(HEAD ONE "\x95\x02\x00\x04\x01" PRODUCER);
    REFUSED(HEAD TWO "\x96\x02\x00\x04\x02" PRODUCER "\x09"); /* a number is of one event … */
    REFUSED(HEAD ONE "\x96\x02\x00\x04\x01" PRODUCER "\x00");
    REFUSED(HEAD NOWHERE "\x96\x02\x00\x04\x01" PRODUCER "\x09"); /* … of a site */
}

/* ---- text of every length ---- */

static int decode_with(struct cb_str head, char fill, size_t len, bool two_bytes) {
    struct cb_buf wire;
    uint8_t text_head[3] = {0xda, (uint8_t)(len >> 8), (uint8_t)len};
    cb_buf_init(&wire, 1 << 20);
    int err = cb_buf_append_str(&wire, head);
    err |= cb_buf_append(&wire, text_head, sizeof text_head);
    for (size_t i = 0; i < len; i += two_bytes ? 2 : 1) {
        err |= two_bytes ? cb_buf_append(&wire, "\xc3\xa9", 2) : cb_buf_append(&wire, &fill, 1);
    }
    assert_int_equal(err, 0);
    err = decode((struct cb_str){wire.data, wire.len});
    cb_buf_fini(&wire);
    return err;
}

static void lengths_are_exact(void **state) {
    (void)state;
    struct cb_str page = CB_STR(HEAD ONE EVENT("\x94\x01" REST));
    assert_int_equal(decode_with(page, 'x', CB_PAGE_MAX, false), 0);
    assert_int_equal(decode_with(page, 'x', CB_PAGE_MAX + 1, false), CB_EMALFORMED);
    /* Fields are limited in characters. */
    struct cb_str name = CB_STR(HEAD ONE EVENT("\x97\x01\x07\x00\xc0\xc0\xa4"
                                               "name"));
    assert_int_equal(decode_with(name, 'x', 200, false), 0);
    assert_int_equal(decode_with(name, 'x', 201, false), CB_EMALFORMED);
    assert_int_equal(decode_with(name, 0, 400, true), 0);
    assert_int_equal(decode_with(name, 0, 402, true), CB_EMALFORMED);
    struct cb_str notes = CB_STR(HEAD ONE EVENT("\x97\x01\x07\x00\xc0\xc0\xa5"
                                                "notes"));
    assert_int_equal(decode_with(notes, 0, 8000, true), 0);
    assert_int_equal(decode_with(notes, 'x', 16001, false), CB_EMALFORMED);
}

static void a_frame_over_the_bound_is_too_big(void **state) {
    (void)state;
    static char big[CB_FRAME_MAX + 1] = HEAD "\x90";
    static struct cb_frame frame;
    assert_int_equal(cb_frame_decode(big, sizeof big, &frame), CB_ETOOBIG);
    assert_int_equal(cb_frame_decode(big, sizeof big - 1, &frame), CB_EMALFORMED);
}

static void a_control_frame_carries_its_body(void **state) {
    (void)state;
    static struct cb_frame frame;
    struct cb_buf wire;
    cb_buf_init(&wire, CB_FRAME_MAX);
    assert_int_equal(cb_frame_wrap(CB_FRAME_CONTROL, 5, 6, CB_STR("any bytes"), &wire), 0);
    assert_int_equal(cb_frame_decode(wire.data, wire.len, &frame), 0);
    assert_int_equal(frame.kind, CB_FRAME_CONTROL);
    assert_true(frame.sender == 5 && frame.number == 6 && frame.n_sites == 0);
    assert_true(cb_str_is(frame.body, "any bytes"));
    cb_buf_fini(&wire);
    cb_buf_init(&wire, 20);
    assert_int_equal(cb_frame_wrap(CB_FRAME_CONTROL, 5, 6, CB_STR("any bytes"), &wire), CB_ETOOBIG);
    assert_int_equal(wire.len, 0);
    cb_buf_fini(&wire);
    REFUSED("\x96\xa4"
            "cb.f\x01\x02\x05\x01" ONE); /* sites are for beacons */
    REFUSED("\x96\xa4"
            "cb.f\x01\x03\x05\x01" ONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_v1_decodes),
        cmocka_unit_test(golden_v2_decodes_and_encodes),
        cmocka_unit_test(golden_spoiled),
        cmocka_unit_test(golden_spoiled_at_random),
        cmocka_unit_test(a_walk_may_leave_events_out),
        cmocka_unit_test(the_header_keeps_its_rules),
        cmocka_unit_test(newer_versions_are_told_apart),
        cmocka_unit_test(received_is_what_the_body_holds),
        cmocka_unit_test(envelopes_keep_their_rules),
        cmocka_unit_test(events_keep_their_rules),
        cmocka_unit_test(version_2_keeps_its_rules),
        cmocka_unit_test(refusals_keep_their_rules),
        cmocka_unit_test(lengths_are_exact),
        cmocka_unit_test(a_frame_over_the_bound_is_too_big),
        cmocka_unit_test(a_control_frame_carries_its_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
