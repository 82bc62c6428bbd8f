/* SPDX-License-Identifier: MIT
 * What the folds remember changes no row: events that are folded one record a batch, where nothing
 * is remembered from one to the next, make the same views as a rebuild, which folds them all in
 * one. */
#include "tests/store/rig.h"

enum { SENDERS = 20000, RECORDS = 60, ROUNDS = 1700 };

static const int64_t t0 = INT64_C(1767225600000); /* 2026-01-01 */
static uint64_t random_state;

static unsigned pick(unsigned n) {
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(random_state >> 33) % n;
}

static void id_of(unsigned n, uint8_t *out, size_t len) {
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)((n + 1) * 2654435761u >> (i % 4 * 8)) ^ (uint8_t)(i * 41);
    }
}

static struct cb_envelope envelope_of(unsigned sender, int64_t received_ms) {
    static const char *const sites[] = {"demo", "shop", "nosite"};
    unsigned visitor = sender / 3; /* which has several pages */
    struct cb_envelope envelope =
        rig_envelope(sites[sender % 50 == 0 ? 2 : sender % 2], 1, 1, received_ms);
    envelope.has_visitor = sender % 11 != 0;
    envelope.bot = sender % 37 == 0;
    id_of(visitor, envelope.visitor, CB_VISITOR_BYTES);
    id_of(sender, envelope.producer, CB_PRODUCER_BYTES);
    return envelope;
}

static void add(struct rig *rig, unsigned sender, uint64_t seq, int64_t now_ms) {
    static const char *const names[] = {"onWebChatLoaded", "onClick",  "onMaximize", "page",
                                        "onStartWriting",  "custom.a", "custom.b",   "onTrigger"};
    struct cb_envelope envelope = envelope_of(sender, now_ms);
    struct cb_event event = rig_event(seq, names[pick(8)]);
    event.age_ms = pick(10) == 0 ? pick(3 * 86400) * INT64_C(1000) : pick(60000);
    event.page = cb_str_of(pick(2) ? "https://shop.example/a" : "https://shop.example/b");
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
}

static void refuse(struct rig *rig, unsigned sender, uint64_t seq) {
    struct cb_envelope envelope = envelope_of(sender, 0);
    struct cb_reject reject = {
        .site = envelope.site, .refusal = CB_REFUSE_BAD_EVENT, .n = 1, .has_seq = true, .seq = seq};
    memcpy(reject.producer, envelope.producer, CB_PRODUCER_BYTES);
    assert_int_equal(cb_frame_builder_reject(&rig->builder, &reject), 0);
}

static void set_zone(struct rig *rig, const char *zone, uint32_t idle_minutes) {
    struct cb_control control = {.op = CB_CONTROL_SETTINGS, .site = CB_STR("demo")};
    control.settings = cb_settings_default();
    control.settings.zone = cb_str_of(zone);
    control.settings.idle_minutes = idle_minutes;
    rig_control(rig, &control);
}

static void erase(struct rig *rig, unsigned sender) {
    struct cb_envelope envelope = envelope_of(sender, 0);
    struct cb_control control = {.op = CB_CONTROL_ERASE, .site = envelope.site, .made_ms = 1};
    memcpy(control.visitor, envelope.visitor, CB_VISITOR_BYTES);
    cb_visitor_tag(control.visitor, control.tag);
    memset(control.pseudonym, 7, CB_VISITOR_BYTES);
    rig_control(rig, &control);
}

/* More senders, sites and minutes at once than there are places, and what sites and visitors are
 * changes in between. */
static void test_same_rows(void **state) {
    struct rig *rig = *state;
    static uint64_t seqs[SENDERS];
    memset(seqs, 0, sizeof(seqs));
    random_state = 5;
    for (unsigned record = 0; record < RECORDS; record++) {
        for (unsigned i = 0; i < 700; i++) {
            /* Some senders are always there, some come once. */
            unsigned sender = pick(3) == 0 ? pick(40) : pick(SENDERS);
            uint64_t seq = pick(20) == 0 && seqs[sender] > 0 ? 1 + pick((unsigned)seqs[sender])
                                                             : ++seqs[sender] + pick(2);
            seqs[sender] = seq > seqs[sender] ? seq : seqs[sender];
            if (pick(50) == 0) {
                refuse(rig, sender, seq);
            } else {
                add(rig, sender, seq, t0 + record * INT64_C(400000));
            }
        }
        rig_fold(rig);
        if (record == 20) {
            set_zone(rig, "America/Caracas", 30);
        }
        if (record == 30) {
            erase(rig, 14);
        }
        if (record == 40) {
            set_zone(rig, "Asia/Kathmandu", 5);
        }
    }
    rig_rebuild_is_identical(rig);
}

/* A visitor on two pages in turns, until the row of the timeline is full: a page must not go on
 * with the row that was the last one when it was there before. */
static void test_full_rows(void **state) {
    struct rig *rig = *state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct cb_envelope envelope =
            rig_envelope("demo", 9, (uint8_t)(1 + round / 7 % 2), t0 + round * INT64_C(3600000));
        struct cb_event event = rig_event(round + 1, "page");
        assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
        rig_seal(rig);
        if (round % 100 == 99) {
            assert_int_equal(cb_fold_catch_up(rig->fold), 0);
        }
    }
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    rig_rebuild_is_identical(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_STOPPED_TEST(test_same_rows),
        RIG_STOPPED_TEST(test_full_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
