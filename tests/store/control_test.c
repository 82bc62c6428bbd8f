/* SPDX-License-Identifier: MIT
 * What control frames make of the views: sites, status, settings, tokens, edits, the audit log; and
 * that a rebuild makes the same. */
#include "proto/clock.h"
#include "store/folds/folds.h"
#include "tests/store/rig.h"

static const uint8_t by[CB_TOKEN_ID_BYTES] = {0xb0, 1};

static void control(struct rig *rig, struct cb_control control) {
    memcpy(control.by, by, sizeof(by));
    control.made_ms = 1234;
    rig_control(rig, &control);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
}

static struct cb_snapshot *begin(struct rig *rig) {
    struct cb_snapshot *snapshot;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    return snapshot;
}

static void assert_str(struct cb_str have, const char *want) {
    if (!cb_str_is(have, want)) {
        fail_msg("\"%.*s\" is not \"%s\"", (int)have.len, have.p, want);
    }
}

static void test_status(void **state) {
    struct rig *rig = *state;
    control(rig, (struct cb_control){.op = CB_CONTROL_STATUS,
                                     .site = CB_STR("demo"),
                                     .status = CB_STATUS_AUTOMATIC});
    control(rig, (struct cb_control){
                     .op = CB_CONTROL_STATUS, .site = CB_STR("none"), .status = CB_STATUS_OFFLINE});
    struct cb_snapshot *snapshot = begin(rig);
    struct cb_site site;
    assert_int_equal(cb_snapshot_site(snapshot, CB_STR("demo"), &site), 0);
    assert_int_equal(site.status, CB_STATUS_AUTOMATIC);
    assert_int_equal(site.made_ms, 1000); /* as before */
    assert_int_equal(cb_snapshot_site(snapshot, CB_STR("none"), &site), CB_ENOENT);
    cb_snapshot_end(&snapshot);
}

static struct cb_control settings_of(char *page, size_t page_len, const char *zone) {
    memset(page, ' ', page_len);
    page[0] = '{';
    page[page_len - 1] = '}';
    return (struct cb_control){
        .op = CB_CONTROL_SETTINGS,
        .site = CB_STR("demo"),
        .settings = {.zone = cb_str_of(zone),
                     .idle_minutes = 20,
                     .raw_days = 1,
                     .personal_days = 2,
                     .rollup_days = 3,
                     .origins = CB_STR("https://a.example https://b.example"),
                     .page = {page, page_len}},
    };
}

/* The idle time of a site ends its sessions, from the place in the journal on where it was set. */
static void test_idle_minutes(void **state) {
    struct rig *rig = *state;
    static char page[2];
    const int64_t minute = INT64_C(29454000), minute_ms = minute * 60000;
    rig_add(rig, "demo", 1, 1, minute_ms, 1, "page");
    rig_add(rig, "demo", 1, 1, minute_ms + 25 * 60000, 2, "page");
    rig_fold(rig);
    assert_int_equal(rig_count(rig, "demo", "sessions", minute, minute + 120, NULL), 1);
    control(rig, settings_of(page, sizeof(page), "UTC")); /* 20 minutes */
    rig_add(rig, "demo", 1, 1, minute_ms + 44 * 60000, 3, "page");
    rig_add(rig, "demo", 1, 1, minute_ms + 69 * 60000, 4, "page");
    rig_add(rig, "shop", 1, 1, minute_ms, 1, "page");
    rig_add(rig, "shop", 1, 1, minute_ms + 25 * 60000, 2, "page");
    rig_fold(rig);
    assert_int_equal(rig_count(rig, "demo", "sessions", minute, minute + 120, NULL), 2);
    assert_int_equal(rig_count(rig, "shop", "sessions", minute, minute + 120, NULL), 1);
}

static void test_settings(void **state) {
    struct rig *rig = *state;
    static char page[CB_PAGE_SETTINGS_MAX];
    char zone[CB_ZONE_MAX + 1];
    struct cb_settings settings;
    uint64_t position;
    struct cb_snapshot *snapshot = begin(rig);
    uint32_t demo = rig_site_id(snapshot, "demo"), shop = rig_site_id(snapshot, "shop");
    assert_int_equal(cb_snapshot_settings(snapshot, demo, &settings, &position), 0);
    assert_int_equal(position, 0);
    assert_str(settings.zone, "UTC");
    assert_str(settings.page, "{}");
    cb_snapshot_end(&snapshot);

    /* The largest, then smaller ones: nothing of the larger may be left. */
    static const size_t sizes[] = {CB_PAGE_SETTINGS_MAX, 2000, 2, 1465, CB_PAGE_SETTINGS_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        control(rig, settings_of(page, sizes[i], i % 2 ? "Europe/Athens" : "Asia/Kathmandu"));
        snapshot = begin(rig);
        assert_int_equal(cb_snapshot_settings(snapshot, demo, &settings, &position), 0);
        assert_true(position > 0);
        assert_str(settings.zone, i % 2 ? "Europe/Athens" : "Asia/Kathmandu");
        assert_true(settings.idle_minutes == 20 && settings.raw_days == 1);
        assert_true(settings.personal_days == 2 && settings.rollup_days == 3);
        assert_str(settings.origins, "https://a.example https://b.example");
        assert_int_equal(settings.page.len, sizes[i]);
        assert_memory_equal(settings.page.p, page, sizes[i]);
        assert_int_equal(cb_snapshot_zone(snapshot, demo, zone), 0);
        assert_string_equal(zone, i % 2 ? "Europe/Athens" : "Asia/Kathmandu");
        assert_int_equal(cb_snapshot_zone(snapshot, shop, zone), 0);
        assert_string_equal(zone, "UTC");
        cb_snapshot_end(&snapshot);
    }
    /* What the folds see, in a batch. */
    assert_int_equal(cb_views_begin(rig->views), 0);
    assert_int_equal(cb_sites_settings(rig->views, demo, &settings), 0);
    assert_str(settings.zone, "Asia/Kathmandu");
    assert_int_equal(settings.idle_minutes, 20);
    assert_int_equal(cb_sites_settings(rig->views, shop, &settings), 0);
    assert_str(settings.zone, "UTC");
    assert_int_equal(settings.idle_minutes, CB_IDLE_MINUTES_DEFAULT);
    cb_views_abort(rig->views);
}

static bool count_token(void *user, const struct cb_token *token) {
    unsigned *n = user;
    (void)token;
    ++*n;
    return true;
}

static void test_tokens(void **state) {
    struct rig *rig = *state;
    struct cb_control token = {.op = CB_CONTROL_TOKEN,
                               .role = CB_ROLE_OPERATOR,
                               .site = CB_STR("shop"),
                               .name = CB_STR("Ann")};
    struct cb_control revoke = {.op = CB_CONTROL_REVOKE};
    struct cb_token found;
    unsigned n = 0;
    memset(token.token, 0xab, sizeof(token.token));
    memset(revoke.token, 0xab, CB_TOKEN_ID_BYTES);
    control(rig, token);
    struct cb_snapshot *snapshot = begin(rig);
    assert_int_equal(cb_snapshot_token(snapshot, token.token, &found), 0);
    assert_int_equal(found.role, CB_ROLE_OPERATOR);
    assert_string_equal(found.site, "shop");
    assert_string_equal(found.name, "Ann");
    assert_int_equal(found.made_ms, 1234);
    assert_memory_equal(found.made_by, by, sizeof(by));
    assert_memory_equal(found.id, token.token, CB_TOKEN_ID_BYTES);
    assert_int_equal(cb_snapshot_token_of(snapshot, token.token, &found), 0);
    /* The same id is not the same token. */
    token.token[31] ^= 1;
    assert_int_equal(cb_snapshot_token(snapshot, token.token, &found), CB_ENOENT);
    cb_snapshot_tokens(snapshot, count_token, &n);
    assert_int_equal(n, 1);
    cb_snapshot_end(&snapshot);

    control(rig, revoke);
    control(rig, revoke); /* of none: nothing */
    snapshot = begin(rig);
    token.token[31] ^= 1;
    assert_int_equal(cb_snapshot_token(snapshot, token.token, &found), CB_ENOENT);
    cb_snapshot_end(&snapshot);
}

static void set_name(struct rig *rig, uint64_t seq, int64_t at_ms, const char *value) {
    struct cb_envelope envelope = rig_envelope("demo", 1, 1, at_ms);
    struct cb_event event = rig_event(seq, "set");
    event.key = CB_STR("name");
    event.value = cb_str_of(value);
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
    rig_fold(rig);
}

static void assert_visitor(struct rig *rig, const char *name, const char *remarks) {
    struct cb_envelope envelope = rig_envelope("demo", 1, 1, 1);
    struct cb_snapshot *snapshot = begin(rig);
    struct cb_visitor visitor;
    assert_int_equal(
        cb_snapshot_visitor(snapshot, rig_site_id(snapshot, "demo"), envelope.visitor, &visitor),
        0);
    assert_str(visitor.fields[CB_FIELD_NAME], name);
    assert_str(visitor.remarks, remarks);
    cb_snapshot_end(&snapshot);
}

static struct cb_control edit_of(const char *name, const char *remarks) {
    struct cb_envelope envelope = rig_envelope("demo", 1, 1, 1);
    struct cb_control edit = {.op = CB_CONTROL_EDIT, .site = CB_STR("demo")};
    memcpy(edit.visitor, envelope.visitor, CB_VISITOR_BYTES);
    edit.fields[CB_FIELD_NAME] = cb_str_of(name);
    edit.fields[CB_FIELD_REMARKS] = cb_str_of(remarks);
    return edit;
}

static void test_edits(void **state) {
    struct rig *rig = *state;
    int64_t now_ms = cb_clock_wall_ms();
    control(rig, edit_of("too early", NULL)); /* nobody there yet */
    set_name(rig, 1, now_ms - 60000, "page");
    assert_visitor(rig, "page", "");
    control(rig, edit_of("operator", "pays late"));
    assert_visitor(rig, "operator", "pays late");
    /* A page's older write that comes late loses, a later one wins, and so does the next edit. */
    set_name(rig, 3, now_ms - 30000, "late");
    assert_visitor(rig, "operator", "pays late");
    set_name(rig, 4, now_ms + 3600000, "future");
    assert_visitor(rig, "future", "pays late");
    control(rig, edit_of(NULL, ""));
    assert_visitor(rig, "future", "");
    /* Of another site, and of none: nothing. */
    struct cb_control other = edit_of("x", "x");
    other.site = CB_STR("shop");
    control(rig, other);
    other.site = CB_STR("none");
    control(rig, other);
    assert_visitor(rig, "future", "");
}

static void test_two_edits_at_once(void **state) {
    struct rig *rig = *state;
    set_name(rig, 1, cb_clock_wall_ms() - 60000, "page");
    struct cb_control first = edit_of("first", NULL), second = edit_of("second", NULL);
    rig_control(rig, &first); /* in one batch, and perhaps one millisecond */
    rig_control(rig, &second);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    assert_visitor(rig, "second", "");
}

struct log {
    struct cb_audit rows[16];
    char text[16][CB_SITE_MAX + 400];
    size_t n;
};

static bool take_row(void *user, const struct cb_audit *audit) {
    struct log *log = user;
    snprintf(log->text[log->n], sizeof(log->text[0]), "%u %.*s|%.*s", audit->act,
             (int)audit->site.len, audit->site.p, (int)audit->summary.len, audit->summary.p);
    log->rows[log->n++] = *audit;
    return log->n < 16;
}

static void test_audit(void **state) {
    struct rig *rig = *state;
    static char page[100];
    static struct log log;
    struct cb_control token = {
        .op = CB_CONTROL_TOKEN, .role = CB_ROLE_ADMIN, .name = CB_STR("Ann")};
    memset(token.token, 0xcd, sizeof(token.token));
    set_name(rig, 1, 1000000, "page");
    control(rig, token);
    control(rig, settings_of(page, sizeof(page), "UTC"));
    control(rig, edit_of("secret name", "secret remark"));
    log.n = 0;
    struct cb_snapshot *snapshot = begin(rig);
    cb_snapshot_audit(snapshot, 0, take_row, &log);
    assert_int_equal(log.n, 5); /* and the rig's two sites */
    assert_string_equal(log.text[0],
                        "6 demo|visitor 01010101010101010101010101010101: name remarks");
    assert_string_equal(log.text[1], "4 demo|zone UTC, idle 20 min, kept 1/2/3 days, 2 origins, "
                                     "100 bytes for pages");
    assert_string_equal(log.text[2], "2 |admin cdcdcdcdcdcdcdcd: Ann");
    assert_string_equal(log.text[3], "1 shop|online");
    assert_memory_equal(log.rows[0].by, by, sizeof(by));
    assert_true(log.rows[0].position > log.rows[1].position);
    uint64_t before = log.rows[2].position;
    log.n = 0;
    cb_snapshot_audit(snapshot, before, take_row, &log);
    assert_int_equal(log.n, 2);
    cb_snapshot_end(&snapshot);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_status), RIG_TEST(test_settings), RIG_STOPPED_TEST(test_idle_minutes),
        RIG_TEST(test_tokens), RIG_TEST(test_edits),    RIG_TEST(test_two_edits_at_once),
        RIG_TEST(test_audit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
