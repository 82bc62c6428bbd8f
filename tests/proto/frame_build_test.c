/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "proto/frame.h"
#include "tests/proto/guard.h"

static struct cb_frame_builder b;
static struct cb_frame frame;
static struct cb_buf wire;

static int setup(void **state) {
    (void)state;
    cb_frame_builder_init(&b);
    cb_buf_init(&wire, CB_FRAME_MAX);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    cb_frame_builder_fini(&b);
    cb_buf_fini(&wire);
    return 0;
}

/* Seals and decodes what the builder holds. */
static void seal(void) {
    cb_buf_clear(&wire);
    assert_int_equal(cb_frame_builder_seal(&b, UINT64_MAX, 3, &wire), 0);
    assert_true(wire.len <= cb_frame_builder_bytes(&b) && wire.len <= CB_FRAME_MAX);
    assert_int_equal(cb_frame_decode(wire.data, wire.len, &frame), 0);
    assert_int_equal(frame.kind, CB_FRAME_BEACONS);
    assert_true(frame.sender == UINT64_MAX && frame.number == 3);
    uint64_t received = 0;
    for (uint32_t i = 0; i < frame.n_sites; i++) {
        received += frame.sites[i].received;
    }
    assert_true(received == b.n_events);
}

static struct cb_envelope envelope_of(struct cb_str site) {
    return (struct cb_envelope){.site = site, .received_ms = 1700000000000};
}

static struct cb_event event_of(uint64_t seq) {
    return (struct cb_event){.seq = seq, .name_code = CB_NAME_CLICK, .name = CB_STR("onClick")};
}

static int add_one(struct cb_str site, uint64_t seq) {
    struct cb_envelope envelope = envelope_of(site);
    struct cb_event event = event_of(seq);
    return cb_frame_builder_add(&b, &envelope, &event, 1);
}

static int reject(struct cb_str site, unsigned refusal, uint64_t n) {
    struct cb_reject r = {.site = site, .refusal = refusal, .n = n};
    return cb_frame_builder_reject(&b, &r);
}

/* ---- what goes in comes out ---- */

enum { FRAMES = 60, ENVELOPES = 80, EVENTS = 8 };

struct put {
    struct cb_envelope envelope;
    struct cb_event events[EVENTS];
    char site[CB_SITE_MAX], page[EVENTS][CB_PAGE_MAX], value[EVENTS][CB_PAGE_MAX];
};

static struct put given[ENVELOPES];

static struct cb_str random_text(uint64_t *seed, char *out, size_t max) {
    size_t len = guard_random(seed) % 4 ? guard_random(seed) % (max < 40 ? max : 40)
                                        : guard_random(seed) % (max + 1);
    memset(out, 'a' + (int)(guard_random(seed) % 26), len);
    return (struct cb_str){out, len};
}

static uint64_t random_up_to(uint64_t *seed, uint64_t max) {
    return (guard_random(seed) >> (guard_random(seed) % 64)) % (max + 1);
}

static void put_random(uint64_t *seed, struct put *p) {
    struct cb_envelope *e = &p->envelope;
    *e = (struct cb_envelope){.n_events = 1 + (uint32_t)(guard_random(seed) % EVENTS)};
    int len = snprintf(p->site, sizeof p->site, "site-%u", (unsigned)(guard_random(seed) % 40));
    e->site = (struct cb_str){p->site, (size_t)len};
    e->has_visitor = guard_random(seed) % 2;
    for (size_t i = 0; i < CB_VISITOR_BYTES && e->has_visitor; i++) {
        e->visitor[i] = (uint8_t)guard_random(seed);
    }
    for (size_t i = 0; i < CB_PRODUCER_BYTES; i++) {
        e->producer[i] = (uint8_t)guard_random(seed);
    }
    e->received_ms = (int64_t)random_up_to(seed, (uint64_t)CB_FRAME_TIME_MAX_MS);
    e->device = (unsigned)(guard_random(seed) % (CB_DEVICE_MAX + 1));
    e->bot = guard_random(seed) % 2;
    memcpy(e->country, guard_random(seed) % 2 ? "NZ" : "\0\0", 3);
    memcpy(e->language, guard_random(seed) % 2 ? "mi\0" : "haw", 4);
    e->browser = (unsigned)(guard_random(seed) % (CB_BROWSER_MAX + 1));
    for (uint32_t i = 0; i < e->n_events; i++) {
        struct cb_event *v = &p->events[i];
        memset(v, 0, sizeof *v);
        v->seq = 1 + random_up_to(seed, CB_SEQ_MAX - 1);
        v->age_ms = (int64_t)random_up_to(seed, (uint64_t)CB_AGE_MAX_MS);
        v->name_code = (unsigned)(guard_random(seed) % (CB_NAME_KNOWN_MAX + 1));
        v->name = v->name_code ? cb_event_name_text(v->name_code) : CB_STR("my.own:event-1");
        v->page = random_text(seed, p->page[i], CB_PAGE_MAX);
        v->props = guard_random(seed) % 2 ? CB_STR("\x82\xa1k\xa1v\xa1n\x05") : CB_STR("");
        if (v->name_code == CB_NAME_SET || v->name_code == CB_NAME_GET) {
            v->key = cb_str_of(cb_field_key((unsigned)(guard_random(seed) % CB_FIELD_COUNT)));
        } else if (guard_random(seed) % 2) {
            v->referrer = CB_STR("www.example.com");
        }
        if (v->name_code == CB_NAME_SET) {
            size_t max = cb_field_max_chars((unsigned)cb_field_of(v->key));
            v->value = random_text(seed, p->value[i], max < CB_PAGE_MAX ? max : CB_PAGE_MAX);
        }
    }
}

static void assert_envelope(const struct cb_envelope *a, const struct cb_envelope *z) {
    assert_true(cb_str_eq(a->site, z->site));
    assert_int_equal(a->has_visitor, z->has_visitor);
    assert_memory_equal(a->visitor, z->visitor, CB_VISITOR_BYTES);
    assert_memory_equal(a->producer, z->producer, CB_PRODUCER_BYTES);
    assert_true(a->received_ms == z->received_ms);
    assert_int_equal(a->device, z->device);
    assert_int_equal(a->bot, z->bot);
    assert_string_equal(a->country, z->country);
    assert_string_equal(a->language, z->language);
    assert_int_equal(a->browser, z->browser);
    assert_int_equal(a->n_events, z->n_events);
}

static void assert_event(const struct cb_event *a, const struct cb_event *z) {
    assert_true(a->seq == z->seq && a->age_ms == z->age_ms);
    assert_int_equal(a->name_code, z->name_code);
    assert_true(cb_str_eq(a->name, z->name) && cb_str_eq(a->page, z->page));
    assert_true(cb_str_eq(a->props, z->props) && cb_str_eq(a->key, z->key));
    assert_true(cb_str_eq(a->value, z->value) && cb_str_eq(a->referrer, z->referrer));
}

static void what_goes_in_comes_out(void **state) {
    (void)state;
    uint64_t seed = 99;
    for (int i = 0; i < FRAMES; i++) {
        struct cb_frame_walk walk;
        struct cb_envelope envelope;
        struct cb_event event;
        struct cb_reject r;
        uint32_t n = 0;
        cb_frame_builder_clear(&b);
        for (; n < ENVELOPES; n++) {
            put_random(&seed, &given[n]);
            size_t before = b.body.len;
            int err = cb_frame_builder_add(&b, &given[n].envelope, given[n].events,
                                           given[n].envelope.n_events);
            if (err) {
                assert_int_equal(err, CB_EFULL);
                assert_int_equal(b.body.len, before);
                break;
            }
        }
        seal();
        cb_frame_walk_init(&walk, &frame);
        for (uint32_t k = 0; k < n; k++) {
            assert_int_equal(cb_frame_walk_next(&walk, &envelope, &r), CB_ITEM_ENVELOPE);
            assert_envelope(&envelope, &given[k].envelope);
            for (uint32_t v = 0; v < envelope.n_events; v++) {
                assert_true(cb_frame_walk_event(&walk, &event));
                assert_event(&event, &given[k].events[v]);
            }
            assert_false(cb_frame_walk_event(&walk, &event));
        }
        assert_int_equal(cb_frame_walk_next(&walk, &envelope, &r), CB_ITEM_END);
    }
}

static void an_empty_frame_is_a_frame(void **state) {
    (void)state;
    struct cb_envelope envelope = envelope_of(CB_STR("s"));
    assert_int_equal(cb_frame_builder_add(&b, &envelope, NULL, 0), 0);
    assert_int_equal(reject(CB_STR("s"), CB_REFUSE_BAD_EVENT, 0), 0);
    seal();
    assert_int_equal(frame.n_sites, 0);
    assert_int_equal(frame.body.len, 0);
}

static void a_cleared_builder_starts_anew(void **state) {
    (void)state;
    assert_int_equal(add_one(CB_STR("s"), 1), 0);
    assert_int_equal(reject(CB_STR("t"), CB_REFUSE_BAD_EVENT, 5), 0);
    cb_frame_builder_clear(&b);
    seal();
    assert_int_equal(frame.n_sites, 0);
    assert_int_equal(reject(CB_STR("t"), CB_REFUSE_BAD_EVENT, 2), 0);
    assert_int_equal(add_one(CB_STR("s"), 1), 0);
    seal();
    assert_int_equal(frame.n_sites, 2);
    assert_true(cb_str_is(frame.sites[0].name, "t") && frame.sites[0].received == 2);
    assert_true(cb_str_is(frame.sites[1].name, "s") && frame.sites[1].received == 1);
}

/* ---- refusals ---- */

static void refusals_are_summed_unless_numbered(void **state) {
    (void)state;
    struct cb_reject numbered = {.site = CB_STR("s"),
                                 .refusal = CB_REFUSE_BAD_TIME,
                                 .n = 1,
                                 .has_seq = true,
                                 .producer = {1, 2, 3},
                                 .seq = 70};
    struct cb_reject nowhere = numbered;
    nowhere.site = CB_STR("");
    assert_int_equal(reject(CB_STR("s"), CB_REFUSE_BAD_TIME, 4), 0);
    assert_int_equal(cb_frame_builder_reject(&b, &numbered), 0);
    assert_int_equal(reject(CB_STR("s"), CB_REFUSE_BAD_EVENT, 1), 0);
    assert_int_equal(reject(CB_STR(""), CB_REFUSE_BAD_TIME, 2), 0);
    assert_int_equal(cb_frame_builder_reject(&b, &nowhere), 0);
    assert_int_equal(reject(CB_STR("s"), CB_REFUSE_BAD_TIME, 6), 0);
    assert_true(b.n_events == 15);
    seal();
    static const struct {
        const char *site;
        unsigned refusal;
        uint64_t n;
    } want[] = {{"s", CB_REFUSE_BAD_TIME, 1},
                {"s", CB_REFUSE_BAD_TIME, 10},
                {"s", CB_REFUSE_BAD_EVENT, 1},
                {"", CB_REFUSE_BAD_TIME, 3}};
    struct cb_frame_walk walk;
    struct cb_envelope envelope;
    struct cb_reject r;
    cb_frame_walk_init(&walk, &frame);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(cb_frame_walk_next(&walk, &envelope, &r), CB_ITEM_REJECT);
        assert_true(cb_str_is(r.site, want[i].site) && r.n == want[i].n);
        assert_int_equal(r.refusal, want[i].refusal);
        assert_int_equal(r.has_seq, i == 0);
        assert_int_equal(r.seq, i == 0 ? 70 : 0);
        assert_int_equal(r.producer[2], i == 0 ? 3 : 0);
    }
    assert_int_equal(cb_frame_walk_next(&walk, &envelope, &r), CB_ITEM_END);
}

static void sums_are_bounded(void **state) {
    (void)state;
    assert_int_equal(reject(CB_STR("s"), 1, CB_REJECT_N_MAX + 1), CB_ETOOBIG);
    assert_int_equal(reject(CB_STR("s"), 1, CB_REJECT_N_MAX), 0);
    assert_int_equal(reject(CB_STR("s"), 1, 1), CB_EFULL);
    assert_int_equal(reject(CB_STR("s"), 2, 1), 0);
    assert_true(b.n_events == CB_REJECT_N_MAX + 1);
    seal();
    char site[CB_SITE_MAX];
    for (unsigned i = 2; i < CB_FRAME_SUMS_MAX; i++) {
        int len = snprintf(site, sizeof site, "%u", i / CB_REFUSAL_MAX);
        assert_int_equal(reject((struct cb_str){site, (size_t)len}, 1 + i % CB_REFUSAL_MAX, 1), 0);
    }
    seal();
    assert_int_equal(reject(CB_STR("other"), 1, 1), CB_EFULL);
    assert_int_equal(reject(CB_STR("0"), CB_REFUSAL_MAX, 9), 0);
    assert_int_equal(reject(CB_STR("s"), 2, 9), 0);
    seal();
}

/* ---- bounds ---- */

static void it_fills_up_to_a_frame_and_no_further(void **state) {
    (void)state;
    static char page[CB_PAGE_MAX];
    struct cb_envelope envelope = envelope_of(CB_STR("s"));
    struct cb_event events[2] = {event_of(1), event_of(2)};
    memset(page, 'p', sizeof page);
    events[1].page = (struct cb_str){page, sizeof page};
    int err = 0;
    for (uint64_t n = 0; !err; n += 2) {
        assert_true(b.n_events == n);
        err = cb_frame_builder_add(&b, &envelope, events, 2);
    }
    assert_int_equal(err, CB_EFULL);
    assert_true(cb_frame_builder_bytes(&b) > CB_FRAME_MAX - 3000);
    do { /* what is smaller still finds a place */
        err = add_one(CB_STR("s"), 1);
    } while (!err);
    assert_int_equal(err, CB_EFULL);
    assert_int_equal(add_one(CB_STR("t"), 1), CB_EFULL);
    assert_true(cb_frame_builder_bytes(&b) > CB_FRAME_MAX - 60);
    err = 0;
    for (unsigned refusal = 1; !err; refusal++) {
        assert_true(refusal < 10);
        err = reject(CB_STR("s"), refusal, 1);
    }
    assert_int_equal(err, CB_EFULL);
    assert_int_equal(reject(CB_STR("s"), 1, 1), b.n_sums ? 0 : CB_EFULL);
    assert_true(cb_frame_builder_bytes(&b) > CB_FRAME_MAX - 12);
    seal();
}

static void what_fits_no_frame_is_too_big(void **state) {
    (void)state;
    static struct cb_event events[CB_EVENTS_MAX];
    static char page[CB_PAGE_MAX];
    struct cb_envelope envelope = envelope_of(CB_STR("s"));
    memset(page, 'p', sizeof page);
    for (uint32_t i = 0; i < CB_EVENTS_MAX; i++) {
        events[i] = event_of(1 + i);
    }
    assert_int_equal(cb_frame_builder_add(&b, &envelope, events, CB_EVENTS_MAX), 0);
    seal();
    for (uint32_t i = 0; i < CB_EVENTS_MAX; i++) {
        events[i].page = (struct cb_str){page, sizeof page};
    }
    assert_int_equal(cb_frame_builder_add(&b, &envelope, events, CB_EVENTS_MAX), CB_ETOOBIG);
    assert_int_equal(cb_frame_builder_add(&b, &envelope, events, 256), CB_ETOOBIG);
    assert_int_equal(cb_frame_builder_add(&b, &envelope, events, 252), CB_EFULL);
    cb_frame_builder_clear(&b);
    assert_int_equal(cb_frame_builder_add(&b, &envelope, events, 252), 0);
    seal();
}

static void sites_are_bounded(void **state) {
    (void)state;
    char site[CB_SITE_MAX + 1];
    for (unsigned i = 0; i < CB_FRAME_SITES_MAX; i++) {
        snprintf(site, sizeof site, "%064u", i);
        assert_int_equal(add_one(cb_str_of(site), 1), 0);
    }
    assert_int_equal(add_one(CB_STR("one-more"), 1), CB_EFULL);
    assert_int_equal(reject(CB_STR("one-more"), 1, 1), CB_EFULL);
    for (unsigned i = 0; i < CB_FRAME_SITES_MAX; i++) {
        snprintf(site, sizeof site, "%064u", i * 7 % CB_FRAME_SITES_MAX);
        assert_int_equal(add_one(cb_str_of(site), 2), 0);
        assert_int_equal(reject(cb_str_of(site), 1, 1), 0);
    }
    seal();
    assert_int_equal(frame.n_sites, CB_FRAME_SITES_MAX);
    for (unsigned i = 0; i < CB_FRAME_SITES_MAX; i++) {
        snprintf(site, sizeof site, "%064u", i);
        assert_true(cb_str_is(frame.sites[i].name, site));
        assert_true(frame.sites[i].received == 3);
    }
    assert_true((size_t)(frame.body.p - wire.data) <= CB_FRAME_HEAD_MAX);
}

static void a_small_buffer_is_left_as_it_was(void **state) {
    (void)state;
    struct cb_buf small;
    cb_buf_init(&small, 40);
    assert_int_equal(add_one(CB_STR("s"), 1), 0);
    assert_int_equal(cb_frame_builder_seal(&b, 1, 1, &small), CB_ETOOBIG);
    assert_int_equal(small.len, 0);
    cb_buf_fini(&small);
    seal(); /* and the builder too */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_goes_in_comes_out, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_frame_is_a_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cleared_builder_starts_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals_are_summed_unless_numbered, setup, teardown),
        cmocka_unit_test_setup_teardown(sums_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(it_fills_up_to_a_frame_and_no_further, setup, teardown),
        cmocka_unit_test_setup_teardown(what_fits_no_frame_is_too_big, setup, teardown),
        cmocka_unit_test_setup_teardown(sites_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_small_buffer_is_left_as_it_was, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
