/* SPDX-License-Identifier: MIT
 * Sessions and what the reports make of them, against a model that keeps every event and counts
 * anew: random, late, shuffled, repeated, from bots, over days that are swept. */
#include "tests/store/rig.h"

#include "store/folder.h"
#include "store/rows.h"
#include "store/upkeep.h"
#include "store/visit.h"

enum { EVENTS_MAX = 6000, VISITORS = 12, TRIGGERS = 3, MINUTE = 60000, GAP = 30 * MINUTE };
static const int64_t day_ms = 86400000;

static int64_t fake_wall_us, fake_mono_us;

static int64_t wall_us(void) {
    return fake_wall_us;
}

static int64_t mono_us(void) {
    return fake_mono_us;
}

static const struct cb_clock_ops fake_clock = {wall_us, mono_us};

static int64_t wall_ms(void) {
    return fake_wall_us / 1000;
}

static void pass_ms(int64_t ms) {
    fake_mono_us += ms * 1000;
    fake_wall_us += ms * 1000;
}

/* The journal's clock begins anew on the fake one: at its newest record, and from there goes on to
 * the middle of a day, whatever time it is really. */
static void start_clock(struct rig *rig) {
    cb_clock_replace(NULL);
    fake_wall_us = cb_clock_wall_ms() * 1000;
    fake_mono_us = 1000000;
    cb_clock_replace(&fake_clock);
    rig_close(rig);
    rig_open(rig);
    pass_ms(day_ms + day_ms / 2 - wall_ms() % day_ms);
}

static unsigned seed;

static unsigned random_below(unsigned n) {
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % n;
}

/* ---- events ---- */

struct mark {
    int64_t ms;
    uint8_t visitor;
    uint8_t kind; /* of kinds[] */
    uint8_t trigger;
    bool bot;
};

enum { LOADED, TRIGGER, CLICK, MAXIMIZE, WRITING, MESSAGE, MINIMIZE, PAGE, EMAIL, NAME, CUSTOM };
static const char *const kinds[] = {
    "onWebChatLoaded", "onTrigger", "onClick", "onMaximize", "onStartWriting", "message",
    "onMinimize",      "page",      "set",     "set",        "custom"};

static const char *const triggers[TRIGGERS] = {"\x82\xa2id\xa2t0\xa4name\xa5Hello",
                                               "\x83\xa2id\xa2t1\xa4rule\xa5"
                                               "delay\xa7"
                                               "elapsed\x07",
                                               "\x81\xa4name\xa2t2"};

static void add_mark(struct rig *rig, const struct mark *mark, uint64_t seq) {
    struct cb_envelope envelope = rig_envelope("demo", mark->visitor, 1, wall_ms());
    struct cb_event event = rig_event(seq, kinds[mark->kind]);
    envelope.bot = mark->bot;
    event.age_ms = wall_ms() - mark->ms;
    if (mark->kind == EMAIL || mark->kind == NAME) {
        event.key = cb_str_of(mark->kind == EMAIL ? "email" : "name");
        event.value = cb_str_of("x");
    }
    if (mark->kind == TRIGGER) {
        event.props = cb_str_of(triggers[mark->trigger]);
    }
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
}

/* ---- the model ---- */

struct model_session {
    uint8_t visitor;
    bool forgotten;
    int64_t start_ms, end_ms;
};

static struct {
    struct mark marks[EVENTS_MAX];
    unsigned session_of[EVENTS_MAX];
    size_t n_marks;
    struct model_session sessions[EVENTS_MAX];
    unsigned n_sessions;
} model;

static void model_add(const struct mark *mark) {
    unsigned session = model.n_sessions;
    if (mark->bot) {
        return;
    }
    for (unsigned i = model.n_sessions; i-- > 0 && session == model.n_sessions;) {
        const struct model_session *s = &model.sessions[i];
        if (!s->forgotten && s->visitor == mark->visitor && mark->ms >= s->start_ms - GAP &&
            mark->ms <= s->end_ms + GAP) {
            session = i;
        }
    }
    struct model_session *s = &model.sessions[session];
    if (session == model.n_sessions) {
        *s = (struct model_session){mark->visitor, false, mark->ms, mark->ms};
        model.n_sessions++;
    }
    s->start_ms = mark->ms < s->start_ms ? mark->ms : s->start_ms;
    s->end_ms = mark->ms > s->end_ms ? mark->ms : s->end_ms;
    model.session_of[model.n_marks] = session;
    model.marks[model.n_marks++] = *mark;
}

static void model_sweep(void) {
    int64_t before_ms = (wall_ms() / day_ms - 8) * day_ms;
    for (unsigned i = 0; i < model.n_sessions; i++) {
        model.sessions[i].forgotten |= model.sessions[i].end_ms < before_ms;
    }
}

/* The first (or last) time of a kind in a session; INT64_MAX (or -1) when there is none. */
static int64_t first_of(unsigned session, unsigned kind) {
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < model.n_marks; i++) {
        const struct mark *mark = &model.marks[i];
        if (model.session_of[i] == session && mark->kind == kind && mark->ms < first) {
            first = mark->ms;
        }
    }
    return first;
}

static int64_t last_of(unsigned session, unsigned kind) {
    int64_t last = -1;
    for (size_t i = 0; i < model.n_marks; i++) {
        const struct mark *mark = &model.marks[i];
        if (model.session_of[i] == session && mark->kind == kind && mark->ms > last) {
            last = mark->ms;
        }
    }
    return last;
}

static unsigned count_of(unsigned session, int kind) {
    unsigned n = 0;
    for (size_t i = 0; i < model.n_marks; i++) {
        n += model.session_of[i] == session && (kind < 0 || model.marks[i].kind == kind);
    }
    return n;
}

/* The trigger of a session: the earliest, of several at once that of the smallest index (ids were
 * made known in that order). TRIGGERS for none. */
static unsigned trigger_of(unsigned session) {
    int64_t first = first_of(session, TRIGGER);
    unsigned trigger = TRIGGERS;
    for (size_t i = 0; i < model.n_marks; i++) {
        const struct mark *mark = &model.marks[i];
        if (model.session_of[i] == session && mark->kind == TRIGGER && mark->ms == first &&
            mark->trigger < trigger) {
            trigger = mark->trigger;
        }
    }
    return trigger;
}

struct sums {
    struct cb_session_sums sessions;
    struct cb_funnel funnel;
    struct cb_hist timings[CB_TIMING_COUNT];
    uint64_t outcomes[TRIGGERS + 1][CB_OUTCOME_COUNT];
};

static void model_timing(struct cb_hist *hist, int64_t from, int64_t to) {
    if (from != INT64_MAX && to != INT64_MAX && to >= from) {
        cb_hist_add(hist, (uint64_t)(to - from));
    }
}

static void model_triggers(struct sums *sums, unsigned session) {
    static const int64_t within[] = CB_WITHIN_S;
    unsigned trigger = trigger_of(session);
    uint64_t *outcomes = sums->outcomes[trigger];
    int64_t from = first_of(session, trigger < TRIGGERS ? TRIGGER : LOADED);
    from = from == INT64_MAX ? model.sessions[session].start_ms : from;
    int64_t opened = first_of(session, MAXIMIZE), writing = first_of(session, WRITING);
    bool wrote = writing != INT64_MAX && writing >= from;
    outcomes[CB_OUTCOME_VISITS]++;
    outcomes[CB_OUTCOME_WROTE] += wrote;
    outcomes[CB_OUTCOME_CLOSED] += !wrote && last_of(session, MINIMIZE) >= from;
    if (opened != INT64_MAX && opened >= from) {
        outcomes[CB_OUTCOME_OPENED]++;
        for (unsigned i = 0; i < CB_WITHIN_COUNT; i++) {
            outcomes[CB_OUTCOME_WITHIN + i] += opened - from <= within[i] * 1000;
        }
    }
}

static void model_session_sums(struct sums *sums, unsigned session) {
    const struct model_session *s = &model.sessions[session];
    static const unsigned steps[] = {LOADED, TRIGGER, CLICK, MAXIMIZE, WRITING};
    unsigned n = count_of(session, -1);
    bool acts = count_of(session, CLICK) + count_of(session, MAXIMIZE) +
                    count_of(session, WRITING) + count_of(session, MESSAGE) >
                0;
    sums->sessions.sessions++;
    sums->sessions.interacted += acts;
    sums->sessions.bounced +=
        !acts && count_of(session, PAGE) <= 1 && count_of(session, LOADED) <= 1;
    sums->sessions.events += n;
    sums->sessions.duration_ms += (uint64_t)(s->end_ms - s->start_ms);
    cb_hist_add(&sums->sessions.durations, (uint64_t)(s->end_ms - s->start_ms));
    int64_t at = 0;
    bool on = true;
    for (unsigned i = 0; i < 5; i++) {
        int64_t first = first_of(session, steps[i]);
        sums->funnel.happened[i] += first != INT64_MAX;
        on = on && first != INT64_MAX && first >= at;
        at = first;
        sums->funnel.reached[i] += on;
    }
    int64_t message = last_of(session, MESSAGE), email = last_of(session, EMAIL);
    int64_t contact = message > email ? message : email;
    sums->funnel.happened[5] += contact >= 0;
    sums->funnel.reached[5] += on && contact >= at;
    int64_t loaded = first_of(session, LOADED), maximize = first_of(session, MAXIMIZE);
    model_timing(&sums->timings[CB_TIMING_LOADED_CLICK], loaded, first_of(session, CLICK));
    model_timing(&sums->timings[CB_TIMING_LOADED_MAXIMIZE], loaded, maximize);
    model_timing(&sums->timings[CB_TIMING_MAXIMIZE_WRITING], maximize, first_of(session, WRITING));
    model_timing(&sums->timings[CB_TIMING_TRIGGER_MAXIMIZE], first_of(session, TRIGGER), maximize);
    model_triggers(sums, session);
}

static void model_sums(int64_t from, int64_t to, struct sums *sums) {
    memset(sums, 0, sizeof(*sums));
    for (unsigned i = 0; i < model.n_sessions; i++) {
        if (model.sessions[i].start_ms >= from * MINUTE &&
            model.sessions[i].start_ms < to * MINUTE) {
            model_session_sums(sums, i);
        }
    }
}

static void read_sums(struct rig *rig, int64_t from, int64_t to, struct sums *sums) {
    struct cb_snapshot *snapshot;
    struct cb_trigger_sums *rows;
    size_t n;
    memset(sums, 0, sizeof(*sums));
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    uint32_t site = rig_site_id(snapshot, "demo");
    assert_int_equal(cb_snapshot_sessions(snapshot, site, from, to, &sums->sessions), 0);
    assert_int_equal(cb_snapshot_funnel(snapshot, site, from, to, &sums->funnel), 0);
    for (unsigned i = 0; i < CB_TIMING_COUNT; i++) {
        assert_int_equal(
            cb_snapshot_timing(snapshot, site, from, to, (enum cb_timing)i, &sums->timings[i]), 0);
    }
    assert_int_equal(cb_snapshot_triggers(snapshot, site, from, to, &rows, &n), 0);
    for (size_t i = 0; i < n; i++) {
        unsigned trigger = TRIGGERS;
        if (rows[i].number != CB_TRIGGER_NONE) {
            assert_int_equal(rows[i].id.len, 2);
            trigger = (unsigned)(rows[i].id.p[1] - '0');
            assert_int_equal(rows[i].number, CB_TRIGGER_FIRST + trigger);
            assert_true(cb_str_is(rows[i].name, trigger == 0 ? "Hello" : trigger == 1 ? "" : "t2"));
        }
        memcpy(sums->outcomes[trigger], rows[i].outcomes, sizeof(rows[i].outcomes));
    }
    free(rows);
    cb_snapshot_end(&snapshot);
}

static void compare_sums(struct rig *rig, int64_t from, int64_t to) {
    static struct sums want, got;
    model_sums(from, to, &want);
    read_sums(rig, from, to, &got);
    assert_int_equal(got.sessions.sessions, want.sessions.sessions);
    assert_int_equal(got.sessions.events, want.sessions.events);
    assert_int_equal(got.sessions.duration_ms, want.sessions.duration_ms);
    assert_int_equal(got.sessions.interacted, want.sessions.interacted);
    assert_int_equal(got.sessions.bounced, want.sessions.bounced);
    assert_memory_equal(&got.sessions.durations, &want.sessions.durations, sizeof(struct cb_hist));
    assert_memory_equal(&got.funnel, &want.funnel, sizeof(want.funnel));
    assert_memory_equal(got.timings, want.timings, sizeof(want.timings));
    assert_memory_equal(got.outcomes, want.outcomes, sizeof(want.outcomes));
    /* totals' sessions are the same ones, counted at the same starts. */
    assert_int_equal(rig_count(rig, "demo", "sessions", from, to, NULL), want.sessions.sessions);
}

static void compare_ranges(struct rig *rig, int64_t around_ms) {
    int64_t first = around_ms / MINUTE / 15 * 15 - 15 * 96 * 9;
    compare_sums(rig, 0, UINT32_MAX / 15 * 15);
    for (unsigned i = 0; i < 12; i++) {
        int64_t from = first + 15 * random_below(96 * 9);
        compare_sums(rig, from, from + 15 * random_below(96 * 5));
    }
}

/* ---- tests ---- */

static void begin_model(struct rig *rig, uint64_t *seq) {
    memset(&model, 0, sizeof(model));
    start_clock(rig);
    for (unsigned i = 0; i < TRIGGERS; i++) { /* ids are known in this order */
        struct mark mark = {wall_ms() - 6 * day_ms, (uint8_t)(100 + i), TRIGGER, (uint8_t)i, false};
        add_mark(rig, &mark, ++*seq);
        model_add(&mark);
    }
    rig_fold(rig);
}

static struct mark random_mark(void) {
    /* Mostly now, a few late up to 7 days; a narrow band makes ties and joins likely. */
    int64_t back =
        random_below(4) ? random_below(40) * MINUTE / 2 : random_below(7 * 1440) * MINUTE;
    return (struct mark){.ms = wall_ms() - back - random_below(3) * 500,
                         .visitor = (uint8_t)(1 + random_below(VISITORS)),
                         .kind = (uint8_t)random_below(CUSTOM + 1),
                         .trigger = (uint8_t)random_below(TRIGGERS),
                         .bot = random_below(16) == 0};
}

static void test_random(void **state) {
    struct rig *rig = *state;
    uint64_t seq = 0;
    seed = 11;
    begin_model(rig, &seq);
    for (unsigned batch = 0; batch < 90; batch++) {
        unsigned n = 1 + random_below(80);
        for (unsigned i = 0; i < n && model.n_marks < EVENTS_MAX; i++) {
            struct mark mark = random_mark();
            add_mark(rig, &mark, ++seq);
            if (random_below(8) == 0) { /* sent again, and with something else under the number */
                struct mark other = random_mark();
                add_mark(rig, &other, seq);
            }
            model_add(&mark);
            pass_ms(random_below(9000));
        }
        rig_fold(rig);
        if (batch % 15 == 0) {
            compare_ranges(rig, wall_ms());
        }
        pass_ms((int64_t)random_below(600) * MINUTE);
        model_sweep(); /* the next record is of this time */
    }
    compare_ranges(rig, wall_ms());
    compare_ranges(rig, wall_ms() - 10 * day_ms);
    rig_rebuild_is_identical(rig);
    compare_sums(rig, 0, UINT32_MAX / 15 * 15);
    cb_clock_replace(NULL);
}

/* The rows of a table, one behind the other. */
static size_t dump(struct rig *rig, enum cb_table table, struct cb_buf *out) {
    struct cb_db_txn *txn;
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    size_t n = 0;
    assert_int_equal(cb_db_begin(cb_views_db(rig->views), false, &txn), 0);
    assert_int_equal(cb_db_cursor_open(txn, cb_views_table(rig->views, table), &cursor), 0);
    for (int rc = cb_db_seek(cursor, CB_STR("\0"), &key, &value); rc == 0;
         rc = cb_db_next(cursor, &key, &value)) {
        n++;
        if (out) {
            assert_int_equal(cb_buf_append_str(out, key), 0);
            assert_int_equal(cb_buf_append_str(out, value), 0);
        }
    }
    cb_db_cursor_close(&cursor);
    cb_db_abort(&txn);
    return n;
}

/* Visits that are well apart: in whatever order their events arrive, the rollups are the same, byte
 * by byte. */
static void test_order_of_arrival(void **state) {
    enum { VISITS = 60, EACH = 10, N = VISITS * EACH };
    static struct mark marks[N];
    struct cb_buf first, other;
    seed = 5;
    cb_buf_init(&first, 1 << 22);
    cb_buf_init(&other, 1 << 22);
    for (unsigned round = 0; round < 4; round++) {
        struct rig *rig = *state;
        uint64_t seq = 0;
        rig_fini(rig);
        rig_init(rig);
        begin_model(rig, &seq);
        for (unsigned i = 0; i < N && round == 0; i++) {
            unsigned visit = i / EACH;
            marks[i] = random_mark();
            marks[i].bot = false;
            marks[i].visitor = (uint8_t)(1 + visit % VISITORS);
            marks[i].ms = wall_ms() - (int64_t)(1 + visit / VISITORS) * 3 * 60 * MINUTE +
                          random_below(29 * 60) * 1000;
        }
        for (unsigned i = N; round > 0 && i-- > 1;) {
            unsigned j = random_below(i + 1);
            struct mark mark = marks[i];
            marks[i] = marks[j];
            marks[j] = mark;
        }
        for (unsigned i = 0; i < N; i++) {
            add_mark(rig, &marks[i], ++seq);
            model_add(&marks[i]);
            if (i % 7 == 0) {
                rig_fold(rig);
            }
        }
        rig_fold(rig);
        compare_sums(rig, 0, UINT32_MAX / 15 * 15);
        assert_int_equal(model.n_sessions, VISITS + TRIGGERS);
        cb_buf_clear(&other);
        dump(rig, CB_TABLE_VISITS, round == 0 ? &first : &other);
        if (round > 0) {
            assert_int_equal(other.len, first.len);
            assert_memory_equal(other.data, first.data, first.len);
        }
    }
    cb_clock_replace(NULL);
    cb_buf_fini(&first);
    cb_buf_fini(&other);
}

/* As many sessions of one visitor as 7 days hold. */
static void test_many_sessions(void **state) {
    enum { SESSIONS = 300 };
    struct rig *rig = *state;
    uint64_t seq = 0;
    begin_model(rig, &seq);
    for (unsigned round = 0; round < 2; round++) { /* opened, then joined in another order */
        for (unsigned i = 0; i < SESSIONS; i++) {
            unsigned at = round == 0 ? i : (i * 7) % SESSIONS;
            struct mark mark = {wall_ms() - (int64_t)(at + 1) * 33 * MINUTE + round * 2 * MINUTE, 1,
                                PAGE, 0, false};
            add_mark(rig, &mark, ++seq);
            model_add(&mark);
        }
        rig_fold(rig);
    }
    assert_int_equal(model.n_sessions, SESSIONS + TRIGGERS);
    compare_ranges(rig, wall_ms());
    assert_int_equal(dump(rig, CB_TABLE_SESSIONS, NULL), (SESSIONS - 2) / CB_VISIT_LIST_MAX + 1);
    for (unsigned day = 0; day < 12; day++) { /* goes on, while the oldest go */
        pass_ms(day_ms);
        model_sweep();
        for (unsigned i = 0; i < 5; i++) {
            struct mark mark = {wall_ms() - i * 200 * MINUTE, 1, PAGE, 0, false};
            add_mark(rig, &mark, ++seq);
            model_add(&mark);
        }
        rig_fold(rig);
    }
    compare_ranges(rig, wall_ms());
    pass_ms(20 * day_ms);
    struct mark mark = {wall_ms(), 2, PAGE, 0, false};
    add_mark(rig, &mark, ++seq);
    rig_fold(rig);
    assert_int_equal(dump(rig, CB_TABLE_SESSIONS, NULL), 0);
    rig_rebuild_is_identical(rig);
    cb_clock_replace(NULL);
}

enum { KEPT_MAX = 8 };
struct kept {
    struct cb_visitor_visit *visits;
    size_t n;
};

static bool keep_visit(void *user, const struct cb_visitor_visit *visit) {
    struct kept *kept = user;
    kept->visits[kept->n++] = *visit;
    return kept->n < KEPT_MAX;
}

/* One event of visitor 1, `back` before now; returns the visits that are kept of him, the last
 * opened first. */
static size_t visit_at(struct rig *rig, uint64_t seq, int64_t back, struct cb_visitor_visit *out) {
    struct mark mark = {wall_ms() - back, 1, PAGE, 0, false};
    add_mark(rig, &mark, seq);
    rig_fold(rig);
    struct kept kept = {out, 0};
    struct cb_snapshot *snapshot;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    struct cb_envelope envelope = rig_envelope("demo", 1, 1, 0);
    assert_int_equal(cb_snapshot_visits(snapshot, rig_site_id(snapshot, "demo"), envelope.visitor,
                                        keep_visit, &kept),
                     0);
    cb_snapshot_end(&snapshot);
    return kept.n;
}

/* The last session stays in the visitor's row, however long ago it was; when another is opened, it
 * gets a row of its own while late events can still join it, else it goes. */
static void test_last_session(void **state) {
    struct rig *rig = *state;
    struct cb_visitor_visit visits[KEPT_MAX];
    uint64_t seq = 0;
    start_clock(rig);
    assert_int_equal(visit_at(rig, ++seq, 0, visits), 1);
    pass_ms(30 * day_ms);
    rig_add(rig, "demo", 0, 200, wall_ms(), 1, "onClick"); /* a day's first record: a sweep */
    rig_fold(rig);
    assert_int_equal(visit_at(rig, ++seq, 0, visits), 1); /* of now: the one before is gone */
    assert_int_equal(visits[0].start_ms, wall_ms());
    pass_ms(day_ms);
    assert_int_equal(visit_at(rig, ++seq, 0, visits), 2);
    assert_int_equal(visit_at(rig, ++seq, 3 * day_ms, visits), 3); /* late: opened last */
    assert_int_equal(dump(rig, CB_TABLE_SESSIONS, NULL), 1);
    assert_int_equal(visit_at(rig, ++seq, day_ms - MINUTE, visits), 3); /* joins the oldest */
    assert_true(visits[0].events == 1 && visits[1].events == 1 && visits[2].events == 2);
    assert_int_equal(visit_at(rig, ++seq, 0, visits), 3); /* … the one between */
    assert_true(visits[0].events == 1 && visits[1].events == 2 && visits[2].events == 2);
    pass_ms(8 * day_ms); /* the oldest is swept, the one between is not */
    assert_int_equal(visit_at(rig, ++seq, 0, visits), 2);
    assert_int_equal(dump(rig, CB_TABLE_SESSIONS, NULL), 1);
    assert_true(visits[0].events == 1 && visits[1].events == 2);
    rig_rebuild_is_identical(rig);
    cb_clock_replace(NULL);
}

/* Of a site whose sessions end after a minute a visitor may have more than are kept. */
static void test_most_sessions(void **state) {
    enum { GONE = 2 * CB_VISIT_LIST_MAX, OLDER = CB_SESSION_PARTS_MAX * CB_VISIT_LIST_MAX };
    enum { SESSIONS = GONE + OLDER + 1 };
    struct rig *rig = *state;
    uint64_t seq = 0;
    start_clock(rig);
    struct cb_control control = {
        .op = CB_CONTROL_SETTINGS, .site = cb_str_of("demo"), .settings = cb_settings_default()};
    control.settings.idle_minutes = 1;
    rig_control(rig, &control);
    for (unsigned i = 0; i < SESSIONS; i++) {
        struct mark mark = {wall_ms() - (int64_t)(SESSIONS - i) * 2 * MINUTE, 1, PAGE, 0, false};
        add_mark(rig, &mark, ++seq);
        if (i % 100 == 0) {
            rig_fold(rig);
        }
    }
    rig_fold(rig);
    assert_int_equal(dump(rig, CB_TABLE_SESSIONS, NULL), CB_SESSION_PARTS_MAX);
    assert_int_equal(rig_count(rig, "demo", "sessions", 0, UINT32_MAX, NULL), SESSIONS);
    /* An event of the first one that is kept joins it, one of the last that went opens another. */
    for (unsigned i = 0; i < 2; i++) {
        struct mark mark = {wall_ms() - (int64_t)(OLDER + 1 + i) * 2 * MINUTE, 1, PAGE, 0, false};
        add_mark(rig, &mark, ++seq);
        rig_fold(rig);
        assert_int_equal(rig_count(rig, "demo", "sessions", 0, UINT32_MAX, NULL), SESSIONS + i);
    }
    rig_rebuild_is_identical(rig);
    cb_clock_replace(NULL);
}

/* More rows than a step of the sweep deletes; events that have no visitor count in no visit. */
static void test_forgotten_in_steps(void **state) {
    struct rig *rig = *state;
    enum { MANY = 2500 };
    start_clock(rig);
    for (uint32_t i = 0; i < 2 * MANY; i++) { /* two sessions each, the first well behind */
        struct cb_envelope envelope = rig_envelope("demo", 1, 1, wall_ms());
        uint32_t who = i % MANY;
        memcpy(envelope.visitor, &who, sizeof(who));
        memcpy(envelope.producer, &who, sizeof(who));
        struct cb_event event = rig_event(1 + i / MANY, "onClick");
        event.age_ms = i < MANY ? 2 * GAP : 0;
        assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
    }
    rig_fold(rig);
    assert_int_equal(dump(rig, CB_TABLE_SESSIONS, NULL), MANY);
    pass_ms(8 * day_ms);
    rig_add(rig, "demo", 0, 200, wall_ms(), 1, "onClick");
    rig_fold(rig);
    assert_int_equal(dump(rig, CB_TABLE_SESSIONS, NULL), MANY); /* still within reach */
    pass_ms(day_ms);
    rig_add(rig, "demo", 0, 200, wall_ms(), 2, "onClick");
    rig_fold(rig);
    assert_int_equal(dump(rig, CB_TABLE_SESSIONS, NULL), 0);
    assert_int_equal(rig_count(rig, "demo", "sessions", 0, UINT32_MAX, NULL), 2 * MANY);
    cb_clock_replace(NULL);
}

/* Ids of triggers are hostile: long, missing, of another type, ever new. */
static void test_trigger_ids(void **state) {
    struct rig *rig = *state;
    char props[200];
    struct cb_trigger_sums *rows;
    struct cb_snapshot *snapshot;
    size_t n;
    start_clock(rig);
    for (unsigned i = 0; i < CB_TRIGGERS_MAX + 20; i++) {
        struct cb_envelope envelope = rig_envelope("demo", 1, 1, wall_ms());
        memcpy(envelope.visitor, &i, sizeof(i));
        struct cb_event event = rig_event(i + 1, "onTrigger");
        /* 62 bytes and a character of three, which the cut must not split */
        int len =
            snprintf(props, sizeof(props), "\x81\xa2id\xd9\x45%04u%058u\xe2\x82\xac%04u", i, i, i);
        event.props = (struct cb_str){props, (size_t)len};
        if (i == 0) {
            event.props = CB_STR("\x81\xa2id\x05");
        }
        assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
    }
    rig_fold(rig);
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    assert_int_equal(
        cb_snapshot_triggers(snapshot, rig_site_id(snapshot, "demo"), 0, UINT32_MAX, &rows, &n), 0);
    assert_int_equal(n, 1 + CB_TRIGGERS_MAX);
    assert_int_equal(rows[0].number, CB_TRIGGER_OTHER);
    assert_int_equal(rows[0].outcomes[CB_OUTCOME_VISITS], 20);
    assert_int_equal(rows[1].id.len, 62);
    assert_int_equal(rows[1].outcomes[CB_OUTCOME_VISITS], 1);
    free(rows);
    cb_snapshot_end(&snapshot);
    cb_clock_replace(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_random),        RIG_TEST(test_order_of_arrival),
        RIG_TEST(test_many_sessions), RIG_TEST(test_last_session),
        RIG_TEST(test_most_sessions), RIG_TEST(test_forgotten_in_steps),
        RIG_TEST(test_trigger_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
