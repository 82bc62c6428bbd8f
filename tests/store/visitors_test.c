/* SPDX-License-Identifier: MIT
 * One visitor and all of them: the list and the search while more come, history, the timeline; each
 * against a recount by the test, and the same again from a rebuild. */
#include "tests/store/rig.h"

#include <ctype.h>

#include "store/base.h"
#include "store/folder.h"
#include "store/folds/folds.h"
#include "store/rows.h"
#include "store/trim.h"
#include "store/upkeep.h"
#include "store/words.h"
#include "tests/proto/guard.h"

static const int64_t t0 = INT64_C(1767225600000), day_ms = 86400000;
static int64_t fake_us; /* of both clocks */
static uint64_t seq;    /* of producer 1 */

static int64_t now_us(void) {
    return fake_us;
}

static const struct cb_clock_ops fake_clock = {now_us, now_us};

static unsigned dice(uint64_t *random, unsigned n) {
    return (unsigned)(guard_random(random) % n);
}

static void set_key(unsigned n, uint8_t out[CB_VISITOR_BYTES]) {
    memset(out, 0x5a, CB_VISITOR_BYTES);
    cb_be32_put(out, n * 2654435761u);
}

/* Adds an event of visitor n to the frame under construction. */
static void add(struct rig *rig, const char *site, unsigned n, int64_t at_ms,
                struct cb_event event) {
    struct cb_envelope envelope = rig_envelope(site, 1, 1, at_ms);
    set_key(n, envelope.visitor);
    event.seq = event.seq ? event.seq : ++seq;
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
}

static struct cb_event set_event(const char *key, const char *value) {
    struct cb_event event = rig_event(0, "set");
    event.key = cb_str_of(key);
    event.value = cb_str_of(value);
    return event;
}

static void set(struct rig *rig, unsigned n, int64_t at_ms, const char *key, const char *value) {
    add(rig, "demo", n, at_ms, set_event(key, value));
}

static struct cb_snapshot *begin(struct rig *rig) {
    struct cb_snapshot *snapshot;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    return snapshot;
}

static void assert_rebuilds(struct rig *rig) {
    struct cb_opts opts = {.data = rig->dir, .map = RIG_MAP_BYTES};
    char *sentence = NULL, text[4096] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    rig_close(rig);
    assert_int_equal(cb_rebuild(&opts, out, &sentence), 0);
    fclose(out);
    if (!strstr(text, "identical: ")) {
        fail_msg("%s", text);
    }
    rig_open(rig);
}

static size_t rows_of(struct rig *rig, enum cb_table table) {
    struct cb_db_txn *txn;
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    size_t n = 0;
    assert_int_equal(cb_db_begin(cb_views_db(rig->views), false, &txn), 0);
    assert_int_equal(cb_db_cursor_open(txn, cb_views_table(rig->views, table), &cursor), 0);
    for (int rc = cb_db_seek(cursor, CB_STR("\0"), &key, &value); rc == 0;
         rc = cb_db_next(cursor, &key, &value)) {
        assert_true(key.len + value.len <= 2048);
        n++;
    }
    cb_db_cursor_close(&cursor);
    cb_db_abort(&txn);
    return n;
}

/* ---- search ---- */

enum { PEOPLE = 120 };
static struct person { char fields[3][64]; } people[PEOPLE];

static unsigned number_of(const struct cb_visitor *visitor) {
    for (unsigned n = 0; n < PEOPLE; n++) {
        uint8_t key[CB_VISITOR_BYTES];
        set_key(n, key);
        if (memcmp(key, visitor->visitor, CB_VISITOR_BYTES) == 0) {
            return n;
        }
    }
    return PEOPLE;
}

struct found {
    unsigned times[PEOPLE + 1], n, limit;
};

static bool take_found(void *user, const struct cb_visitor *visitor) {
    struct found *found = user;
    found->times[number_of(visitor)]++;
    return ++found->n < found->limit;
}

/* One page, or all of them with a limit each. */
static void search(struct rig *rig, const char *q, unsigned limit, uint32_t scan_max,
                   struct found *found) {
    struct cb_search_cursor cursor = {.len = 0};
    bool more = true;
    memset(found, 0, sizeof(*found));
    for (unsigned pages = 0; more; pages++) {
        struct cb_snapshot *snapshot = begin(rig);
        found->n = 0;
        found->limit = limit;
        assert_int_equal(cb_snapshot_search(snapshot, rig_site_id(snapshot, "demo"), cb_str_of(q),
                                            &cursor, scan_max, take_found, found, &more),
                         0);
        cb_snapshot_end(&snapshot);
        assert_true(found->n <= limit && pages < 2000);
    }
}

/* The test's own way to tell: names and addresses here are ASCII words, numbers are digits. */
static bool matches(const struct person *person, const char *q) {
    for (unsigned field = 0; field < 2; field++) {
        const char *text = person->fields[field];
        for (const char *p = text; *p; p++) {
            bool begins =
                isalnum((unsigned char)*p) && (p == text || !isalnum((unsigned char)p[-1]));
            bool last = field == 1 && strchr(text, '.') && p > strrchr(text, '.');
            size_t i = 0;
            while (q[i] && p[i] &&
                   (tolower((unsigned char)p[i]) == tolower((unsigned char)q[i]) ||
                    (!isalnum((unsigned char)p[i]) && !isalnum((unsigned char)q[i])))) {
                i++;
            }
            if (begins && !last && !q[i]) {
                return true;
            }
        }
    }
    return false;
}

static void test_search(void **state) {
    struct rig *rig = *state;
    static const char *const words[] = {"Ada",  "Adam", "adal", "Bob",   "Bobby", "Zoe",
                                        "King", "Kim",  "van",  "Vance", "De",    "ex"};
    static const char *const queries[] = {"a",       "ad",   "ADA",     "ada k",   "b",   "bob",
                                          "ki",      "v",    "example", "x",       "com", "de",
                                          "zoe van", "ada.", "adal ",   "king@ex", "q"};
    uint64_t random = 4711;
    for (unsigned round = 0; round < 12; round++) {
        for (unsigned i = 0; i < 60; i++) {
            unsigned n = dice(&random, PEOPLE), field = dice(&random, 2);
            struct person *person = &people[n];
            const char *a = words[dice(&random, 12)], *b = words[dice(&random, 12)];
            if (dice(&random, 8) == 0) {
                person->fields[field][0] = '\0';
            } else if (field == 0) {
                snprintf(person->fields[0], 64, "%s %s", a, b);
            } else {
                snprintf(person->fields[1], 64, "%s@%s.com", a, b);
            }
            set(rig, n, t0 + (int64_t)(round * 100 + i) * 60000, field ? "email" : "name",
                person->fields[field]);
        }
        rig_fold(rig);
        for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
            struct found found;
            char normal[64] = "";
            for (const char *p = queries[i]; *p; p++) { /* as it stands in the texts */
                size_t len = strlen(normal);
                normal[len] = *p;
                normal[len + 1] = '\0';
            }
            if (strcmp(normal, "ada.") == 0 || strcmp(normal, "adal ") == 0) {
                normal[strlen(normal) - 1] = '\0'; /* what ends a word is not looked for */
            }
            search(rig, queries[i], 1 + dice(&random, 20), 1 + dice(&random, 40), &found);
            assert_int_equal(found.times[PEOPLE], 0);
            for (unsigned n = 0; n < PEOPLE; n++) {
                if (found.times[n] != (matches(&people[n], normal) ? 1u : 0u)) {
                    fail_msg("%s: %s <%s> %u times", queries[i], people[n].fields[0],
                             people[n].fields[1], found.times[n]);
                }
            }
        }
    }
    assert_rebuilds(rig);
}

static unsigned count_found(struct rig *rig, const char *q) {
    struct found found;
    unsigned n = 0;
    search(rig, q, 50, 1000, &found);
    for (unsigned i = 0; i <= PEOPLE; i++) {
        n += found.times[i];
    }
    return n;
}

static void test_search_fields(void **state) {
    struct rig *rig = *state;
    char key[33];
    uint8_t bytes[CB_VISITOR_BYTES];
    struct cb_control edit = {.op = CB_CONTROL_EDIT, .site = CB_STR("demo")};
    set(rig, 1, t0, "name", "Zoë 555");
    set(rig, 1, t0, "phone", "+420 603 555 11");
    set(rig, 1, t0, "notes", "secret");
    add(rig, "shop", 2, t0, set_event("name", "Zoe"));
    rig_fold(rig);
    assert_int_equal(count_found(rig, "zoe"), 1); /* not the other site's */
    assert_int_equal(count_found(rig, "ZOË"), 1);
    assert_int_equal(count_found(rig, "603-555"), 1);
    assert_int_equal(count_found(rig, "555"), 1); /* by two fields, once */
    assert_int_equal(count_found(rig, "420"), 1);
    assert_int_equal(count_found(rig, "secret"), 0);
    assert_int_equal(count_found(rig, "oe"), 0);
    set_key(1, bytes);
    cb_hex_encode(bytes, sizeof(bytes), key);
    assert_int_equal(count_found(rig, key), 1);
    key[8] = '\0';
    assert_int_equal(count_found(rig, key), 1);
    key[7] = '\0';
    assert_int_equal(count_found(rig, key), 0);
    /* An edit is found as well, and one term of two fields goes with the last of them. */
    memcpy(edit.visitor, bytes, sizeof(bytes));
    edit.fields[CB_FIELD_NAME] = CB_STR("Bob");
    rig_control(rig, &edit);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    assert_int_equal(count_found(rig, "bob"), 1);
    assert_int_equal(count_found(rig, "zoe"), 0);
    assert_int_equal(count_found(rig, "555"), 1);
    edit.fields[CB_FIELD_PHONE] = CB_STR("");
    rig_control(rig, &edit);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    assert_int_equal(count_found(rig, "555"), 0);
    assert_int_equal(rows_of(rig, CB_TABLE_SEARCH), 2); /* bob, and the other site's zoe */
    assert_rebuilds(rig);
}

static void test_search_is_checked(void **state) {
    struct rig *rig = *state;
    struct found found = {.limit = 1};
    struct cb_snapshot *snapshot = begin(rig);
    uint32_t site = rig_site_id(snapshot, "demo");
    struct cb_search_cursor cursor = {.len = 0};
    bool more;
    static const char *const none[] = {"", " ", "-+", "\xe2\x80\xa6"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_int_equal(cb_snapshot_search(snapshot, site, cb_str_of(none[i]), &cursor, 10,
                                            take_found, &found, &more),
                         CB_EINVAL);
    }
    uint64_t random = 99;
    for (unsigned i = 0; i < 2000; i++) {
        cursor.len = (uint8_t)(1 + dice(&random, CB_SEARCH_CURSOR_MAX));
        for (unsigned j = 0; j < CB_SEARCH_CURSOR_MAX; j++) {
            cursor.bytes[j] = (uint8_t)guard_random(&random);
        }
        cursor.bytes[0] = (uint8_t)(dice(&random, 4));
        int rc = cb_snapshot_search(snapshot, site, CB_STR("ada"), &cursor, 10, take_found, &found,
                                    &more);
        assert_int_equal(rc, CB_EMALFORMED);
    }
    cb_snapshot_end(&snapshot);
}

/* ---- the list ---- */

/* Whoever is there when the first page is read, and not seen again meanwhile, is on one page of it,
 * once, however many come and are seen between the pages. */
static void test_pages_stand_still(void **state) {
    struct rig *rig = *state;
    struct cb_visitor_cursor cursor = {{0}};
    struct found found = {.limit = 0};
    bool more = true;
    for (unsigned n = 0; n < 60; n++) {
        add(rig, "demo", n, t0 + (int64_t)(n / 7) * 60000, rig_event(0, "page"));
    }
    rig_fold(rig);
    for (unsigned page = 0; more; page++) {
        struct cb_snapshot *snapshot = begin(rig);
        found.n = 0;
        found.limit = 1 + page % 5;
        assert_int_equal(cb_snapshot_visitors(snapshot, rig_site_id(snapshot, "demo"), &cursor,
                                              found.limit, take_found, &found, &more),
                         0);
        cb_snapshot_end(&snapshot);
        /* New ones, also in minutes that are listed already; old ones come again. */
        add(rig, "demo", 60 + page, t0 + (int64_t)(page % 12) * 60000, rig_event(0, "page"));
        add(rig, "demo", page % 8, t0 + 3600000 + (int64_t)page * 60000, rig_event(0, "page"));
        rig_fold(rig);
    }
    for (unsigned n = 8; n < 60; n++) {
        assert_int_equal(found.times[n], 1);
    }
    for (unsigned n = 60; n <= PEOPLE; n++) {
        assert_true(found.times[n] <= 1);
    }
}

enum { CROWD = 9000 }; /* more than a set has room for */

struct crowd {
    unsigned numbers[CROWD], n, limit;
};

static bool take_one(void *user, const struct cb_visitor *visitor) {
    struct crowd *crowd = user;
    assert_true(crowd->n < CROWD);
    /* set_key, the other way around */
    crowd->numbers[crowd->n++] = cb_be32_get(visitor->visitor) * 244002641u;
    return crowd->n % crowd->limit != 0;
}

/* Last seen first, then by order of first sight, newest first; in pages of any size. */
static void assert_listed(struct rig *rig, const unsigned *minutes, unsigned limit,
                          uint32_t scan_max) {
    static struct crowd crowd;
    struct cb_visitor_cursor cursor = {{0}};
    struct cb_snapshot *snapshot = begin(rig);
    bool more = true;
    crowd.n = 0;
    crowd.limit = limit;
    for (unsigned before = 0; more; before = crowd.n) {
        assert_int_equal(cb_snapshot_visitors(snapshot, rig_site_id(snapshot, "demo"), &cursor,
                                              scan_max, take_one, &crowd, &more),
                         0);
        unsigned given = crowd.n - before;
        assert_true(given > 0 && given <= scan_max && given <= limit);
        assert_true(!more || given == scan_max || crowd.n % limit == 0);
    }
    cb_snapshot_end(&snapshot);
    assert_int_equal(crowd.n, CROWD);
    for (unsigned i = 1; i < CROWD; i++) {
        unsigned before = crowd.numbers[i - 1], now = crowd.numbers[i];
        assert_true(before < CROWD && now < CROWD);
        assert_true(minutes[before] > minutes[now] ||
                    (minutes[before] == minutes[now] && before > now));
    }
}

/* A minute in which thousands were seen, who come again one by one, is listed as any other. */
static void test_crowd(void **state) {
    struct rig *rig = *state;
    static unsigned minutes[CROWD];
    uint64_t random = 17;
    for (unsigned n = 0; n < CROWD; n++) {
        minutes[n] = 5;
        add(rig, "demo", n, t0 + 5 * 60000, rig_event(0, "page"));
    }
    rig_fold(rig);
    assert_int_equal(rows_of(rig, CB_TABLE_RECENT), 2);
    assert_listed(rig, minutes, 1000, 5000);
    assert_listed(rig, minutes, 4000, 77);
    for (unsigned left = CROWD, round = 0; left > 0; round++) {
        for (unsigned i = 0; left > 0 && i < 3500; i++) {
            unsigned n = round < 2 ? dice(&random, CROWD) : --left, later = 5 + dice(&random, 4);
            later = round < 2 ? later : 9 + n % 2;
            minutes[n] = minutes[n] > later ? minutes[n] : later;
            add(rig, "demo", n, t0 + (int64_t)later * 60000, rig_event(0, "page"));
        }
        rig_fold(rig);
        assert_listed(rig, minutes, 1 + dice(&random, 2000), 1 + dice(&random, 2000));
    }
    assert_int_equal(rows_of(rig, CB_TABLE_RECENT), 4); /* none is empty */
    assert_rebuilds(rig);
}

/* ---- history ---- */

static size_t history(struct rig *rig, unsigned n, unsigned field, char texts[][64],
                      struct cb_field_value *values) {
    struct cb_snapshot *snapshot = begin(rig);
    uint8_t key[CB_VISITOR_BYTES];
    size_t rows;
    set_key(n, key);
    assert_int_equal(
        cb_snapshot_history(snapshot, rig_site_id(snapshot, "demo"), key, field, values, &rows), 0);
    for (size_t i = 0; i < rows; i++) {
        snprintf(texts[i], 64, "%.*s", (int)values[i].text.len, values[i].text.p);
    }
    cb_snapshot_end(&snapshot);
    return rows;
}

static void test_history(void **state) {
    struct rig *rig = *state;
    static const uint8_t by[CB_TOKEN_ID_BYTES] = {7, 8};
    struct cb_field_value values[CB_HISTORY_ROWS_MAX];
    char texts[CB_HISTORY_ROWS_MAX][64];
    /* A prop of the event says that a form made it: {"source": "form"}. */
    struct cb_event form = set_event("name", "two");
    form.props = CB_STR("\x81\xa6source\xa4"
                        "form");
    set(rig, 1, t0, "name", "one");
    add(rig, "demo", 1, t0 + 2000, form);
    set(rig, 1, t0 + 3000, "name", "two"); /* the same again: no new row */
    rig_fold(rig);
    assert_int_equal(history(rig, 1, CB_FIELD_EMAIL, texts, values), 0);
    assert_int_equal(history(rig, 1, CB_FIELD_NAME, texts, values), 2);
    assert_string_equal(texts[0], "two");
    assert_string_equal(texts[1], "one");
    assert_true(values[0].at_ms == t0 + 3000 && values[1].at_ms == t0);
    assert_true(values[1].source == CB_SOURCE_PAGE);
    /* One of another page that comes late: it never counted, and is in its place. */
    struct cb_envelope other = rig_envelope("demo", 1, 2, t0 + 1000);
    struct cb_event late = set_event("name", "late");
    late.seq = 1;
    set_key(1, other.visitor);
    assert_int_equal(cb_frame_builder_add(&rig->builder, &other, &late, 1), 0);
    rig_fold(rig);
    struct cb_control edit = {.op = CB_CONTROL_EDIT, .site = CB_STR("demo")};
    set_key(1, edit.visitor);
    memcpy(edit.by, by, sizeof(by));
    edit.fields[CB_FIELD_NAME] = CB_STR("operator");
    rig_control(rig, &edit);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    assert_int_equal(history(rig, 1, CB_FIELD_NAME, texts, values), 4);
    static const char *const want[] = {"operator", "two", "late", "one"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(texts[i], want[i]);
    }
    assert_int_equal(values[0].source, CB_SOURCE_OPERATOR);
    assert_memory_equal(values[0].by, by, sizeof(by));
    /* The last 20 of a field, and long ones leave nothing behind. */
    static char notes[4001];
    for (unsigned i = 0; i < 70; i++) {
        memset(notes, 'a' + (int)i % 26, sizeof(notes) - 1);
        notes[i % 3 ? 4000 - i * 50 : 4000] = '\0';
        set(rig, 2, t0 + i, "notes", notes);
        snprintf(texts[0], 64, "n%u", i);
        set(rig, 2, t0 + i, "name", texts[0]);
        rig_fold(rig);
    }
    assert_int_equal(history(rig, 2, CB_FIELD_NAME, texts, values), CB_HISTORY_ROWS_MAX);
    for (unsigned i = 0; i < CB_HISTORY_ROWS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", 69 - i);
        assert_string_equal(texts[i], name);
    }
    assert_int_equal(history(rig, 2, CB_FIELD_NOTES, texts, values), CB_HISTORY_ROWS_MAX);
    assert_rebuilds(rig);
    /* Nothing is left of what is forgotten. */
    struct cb_snapshot *snapshot = begin(rig);
    uint32_t site = rig_site_id(snapshot, "demo");
    cb_snapshot_end(&snapshot);
    assert_int_equal(cb_views_begin(rig->views), 0);
    for (uint32_t ordinal = 0; ordinal < 3; ordinal++) {
        assert_int_equal(cb_fields_forget(rig->views, site, ordinal), 0);
    }
    assert_int_equal(cb_views_commit(rig->views, cb_journal_head(rig->journal)), 0);
    assert_int_equal(rows_of(rig, CB_TABLE_FIELDS), 0);
    assert_int_equal(rows_of(rig, CB_TABLE_HISTORY), 0);
    assert_int_equal(rows_of(rig, CB_TABLE_SEARCH), 0);
}

/* ---- the timeline ---- */

struct place {
    uint64_t position;
    uint32_t index;
};

struct line {
    struct place *places;
    size_t n, limit, taken;
};

static bool take_place(void *user, const struct cb_export_row *row) {
    struct line *line = user;
    line->places[line->n++] = (struct place){row->position, row->index};
    return ++line->taken < line->limit;
}

/* Reads a whole timeline in pages; returns whether it says that something was trimmed. */
static bool read_line(struct rig *rig, unsigned n, size_t limit, uint64_t scan_bytes,
                      struct line *line) {
    struct cb_export_cursor cursor = {0, 0};
    uint8_t key[CB_VISITOR_BYTES];
    bool more = true, trimmed = false;
    set_key(n, key);
    line->n = 0;
    line->limit = limit;
    for (unsigned pages = 0; more; pages++) {
        struct cb_snapshot *snapshot = begin(rig);
        line->taken = 0;
        assert_int_equal(cb_snapshot_timeline(snapshot, rig_site_id(snapshot, "demo"),
                                              CB_STR("demo"), key, &cursor, scan_bytes, take_place,
                                              line, &more, &trimmed),
                         0);
        assert_true(line->taken <= limit && pages < 20000);
        assert_true(!more || line->taken == limit || scan_bytes < UINT64_MAX);
        cb_snapshot_end(&snapshot);
    }
    return trimmed;
}

enum { LINE_ROWS = 20000, WATCHED = 5 };
static struct place wanted[WATCHED][LINE_ROWS], got[LINE_ROWS];
static size_t n_wanted[WATCHED];

static void assert_line(struct rig *rig, unsigned n, size_t limit, uint64_t scan_bytes) {
    struct line line = {.places = got};
    read_line(rig, n, limit, scan_bytes, &line);
    assert_int_equal(line.n, n_wanted[n]);
    for (size_t i = 0; i < line.n; i++) {
        const struct place *want = &wanted[n][n_wanted[n] - 1 - i];
        assert_true(got[i].position == want->position && got[i].index == want->index);
    }
}

/* Random frames over days, several events of several visitors in each, some of them duplicates. */
static void test_timeline(void **state) {
    struct rig *rig = *state;
    uint64_t random = 815;
    memset(n_wanted, 0, sizeof(n_wanted));
    for (unsigned i = 0; i < 900; i++) {
        uint32_t index = 0;
        unsigned events = 1 + dice(&random, 6);
        uint64_t position = cb_journal_head(rig->journal) + 1;
        for (unsigned j = 0; j < events; j++, index++) {
            unsigned n = i % 3 ? 0 : dice(&random, WATCHED);
            bool again = seq > 0 && dice(&random, 10) == 0;
            const char *site = dice(&random, 8) ? "demo" : "shop";
            struct cb_event event = rig_event(0, "page");
            if (again && strcmp(site, "demo") == 0) {
                event.seq = 1; /* of producer 1, which has sent that: not counted */
            }
            add(rig, site, n, t0, event);
            if (strcmp(site, "demo") == 0 && (!again || seq == 0)) {
                wanted[n][n_wanted[n]++] = (struct place){position, index};
            }
            if (i == 0 && j == 0) {
                n_wanted[n] = 0;
            }
        }
        if (i == 0) { /* the number 1 is seen from here on, whatever the dice said */
            cb_frame_builder_clear(&rig->builder);
            memset(n_wanted, 0, sizeof(n_wanted));
            seq = 1;
            add(rig, "demo", 0, t0,
                (struct cb_event){.seq = 1, .name_code = CB_NAME_PAGE, .name = CB_STR("page")});
            wanted[0][n_wanted[0]++] = (struct place){position, 0};
        }
        if (i % 300 == 299) {
            fake_us += day_ms * 1000;
        }
        rig_seal(rig);
    }
    /* One record with more events of a visitor than are held at once. */
    uint64_t position = cb_journal_head(rig->journal) + 1;
    for (uint32_t index = 0; index < 1500; index++) {
        add(rig, "demo", index % 2, t0, rig_event(0, "page"));
        wanted[index % 2][n_wanted[index % 2]++] = (struct place){position, index};
    }
    rig_fold(rig);
    for (unsigned n = 0; n < WATCHED; n++) {
        assert_true(n_wanted[n] > 20);
        assert_line(rig, n, LINE_ROWS, UINT64_MAX);
        assert_line(rig, n, 1 + dice(&random, 300), UINT64_MAX);
        assert_line(rig, n, 7, UINT64_MAX);
        assert_line(rig, n, 50, 1000); /* the bytes of a few records */
    }
    assert_rebuilds(rig);
    assert_line(rig, 0, 100, UINT64_MAX);
    struct cb_snapshot *snapshot = begin(rig);
    struct cb_export_cursor cursor = {0, 0};
    struct line line = {.places = got, .limit = 1};
    uint8_t nobody[CB_VISITOR_BYTES] = {1};
    bool more, trimmed;
    assert_int_equal(cb_snapshot_timeline(snapshot, rig_site_id(snapshot, "demo"), CB_STR("demo"),
                                          nobody, &cursor, 1000, take_place, &line, &more,
                                          &trimmed),
                     CB_ENOENT);
    cb_snapshot_end(&snapshot);
}

/* How many positions the rows of the timeline have of the nth of a site's first visitors. */
static size_t noted(struct rig *rig, unsigned nth) {
    static uint64_t positions[CB_TIMELINE_ROW_MAX];
    struct cb_db_txn *txn;
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    size_t total = 0;
    assert_int_equal(cb_db_begin(cb_views_db(rig->views), false, &txn), 0);
    assert_int_equal(cb_db_cursor_open(txn, cb_views_table(rig->views, CB_TABLE_TIMELINE), &cursor),
                     0);
    for (int rc = cb_db_seek(cursor, CB_STR("\0"), &key, &value); rc == 0;
         rc = cb_db_next(cursor, &key, &value)) {
        const uint8_t *p = (const uint8_t *)key.p;
        struct cb_timeline_place at = {cb_be32_get(p), 1}, before;
        at.parts = (uint16_t)(key.len > 12 ? 1 + cb_be16_get(p + 12) : 1);
        size_t n;
        if (cb_timeline_row_read(value, at, nth, positions, &n, &before) == 0) {
            total += n;
        }
    }
    cb_db_cursor_close(&cursor);
    cb_db_abort(&txn);
    return total;
}

/* More records on one day than a row holds, of visitors who share it and come twice in each. */
static void test_timeline_of_parts(void **state) {
    struct rig *rig = *state;
    size_t records[WATCHED] = {0};
    memset(n_wanted, 0, sizeof(n_wanted));
    for (unsigned i = 0; i < 4000; i++) {
        const unsigned other =
            i % 1000 != 500 ? 1 + i % (WATCHED - 1) : 0; /* a row ends with any */
        const unsigned order[] = {0, other, 0, other};
        for (uint32_t index = 0; index < 4; index++) {
            const unsigned n = order[index];
            wanted[n][n_wanted[n]++] = (struct place){cb_journal_head(rig->journal) + 1, index};
            add(rig, "demo", n, t0, rig_event(0, "page"));
        }
        records[0]++;
        records[other] += other != 0;
        rig_seal(rig);
    }
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    assert_true(rows_of(rig, CB_TABLE_TIMELINE) >= 5);
    for (unsigned n = 0; n < WATCHED; n++) {
        assert_line(rig, n, 333, UINT64_MAX);
        assert_int_equal(noted(rig, n), records[n]); /* once each */
    }
    assert_rebuilds(rig);
}

/* As the journal's thread does it, behind a base. */
static void trim(struct rig *rig, uint64_t before) {
    struct cb_buf frame;
    struct cb_base base;
    uint64_t position;
    bool left;
    assert_int_equal(cb_base_make(rig->dir, RIG_MAP_BYTES, rig->views, NULL, &base), 0);
    cb_buf_init(&frame, 4096);
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    assert_int_equal(cb_journal_trim(rig->journal, &before, 1 << 30, &left), 0);
    assert_int_equal(cb_trim_encode(before, 1, &frame), 0);
    assert_int_equal(
        cb_journal_append(rig->journal, (struct cb_str){frame.data, frame.len}, &position), 0);
    assert_int_equal(cb_journal_commit(rig->journal), 0);
    cb_buf_fini(&frame);
}

static void test_timeline_of_trimmed(void **state) {
    struct rig *rig = *state;
    struct line line = {.places = got};
    uint64_t third_day = 0;
    cb_journal_group_limit(rig->journal, 1); /* the journal's front goes by groups */
    for (unsigned day = 0; day < 4; day++) {
        third_day = day == 2 ? cb_journal_head(rig->journal) + 1 : third_day;
        for (unsigned i = 0; i < 10; i++) {
            add(rig, "demo", day < 2 ? i % 2 : 0, t0, rig_event(0, "page"));
            rig_seal(rig);
        }
        fake_us += day_ms * 1000;
    }
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    assert_int_equal(rows_of(rig, CB_TABLE_TIMELINE), 4); /* one a day, for both */
    assert_false(read_line(rig, 0, 8, UINT64_MAX, &line));
    assert_int_equal(line.n, 30);
    trim(rig, third_day + 3);
    assert_true(read_line(rig, 0, 8, UINT64_MAX, &line));
    assert_int_equal(line.n, 17);
    assert_true(read_line(rig, 1, 8, UINT64_MAX, &line));
    assert_int_equal(line.n, 0);
    /* The next day the rows of the first two go. */
    add(rig, "demo", 2, t0, rig_event(0, "page"));
    rig_fold(rig);
    fake_us += day_ms * 1000;
    add(rig, "demo", 2, t0, rig_event(0, "page"));
    rig_fold(rig);
    assert_int_equal(rows_of(rig, CB_TABLE_TIMELINE), 4);
    assert_true(read_line(rig, 0, 8, UINT64_MAX, &line));
    assert_int_equal(line.n, 17);
    assert_true(read_line(rig, 1, 8, UINT64_MAX, &line));
    assert_int_equal(line.n, 0);
    assert_false(read_line(rig, 2, 8, UINT64_MAX, &line));
    assert_int_equal(line.n, 2);
    assert_rebuilds(rig);
}

/* ---- visits ---- */

struct visits {
    struct cb_visitor_visit rows[64];
    size_t n;
};

static bool take_visit(void *user, const struct cb_visitor_visit *visit) {
    struct visits *visits = user;
    visits->rows[visits->n++] = *visit;
    return visits->n < 64;
}

static void test_visits(void **state) {
    struct rig *rig = *state;
    struct visits visits = {.n = 0};
    uint8_t key[CB_VISITOR_BYTES];
    for (unsigned i = 0; i < 30; i++) { /* of which one stands in his row */
        add(rig, "demo", 1, t0 + i * INT64_C(3600000), rig_event(0, i % 2 ? "onClick" : "page"));
        add(rig, "demo", 1, t0 + i * INT64_C(3600000) + 1000, rig_event(0, "page"));
    }
    rig_fold(rig);
    set_key(1, key);
    struct cb_snapshot *snapshot = begin(rig);
    uint32_t site = rig_site_id(snapshot, "demo");
    assert_int_equal(cb_snapshot_visits(snapshot, site, key, take_visit, &visits), 0);
    assert_int_equal(visits.n, 30);
    for (size_t i = 0; i < 30; i++) {
        const struct cb_visitor_visit *visit = &visits.rows[i];
        assert_int_equal(visit->start_ms, t0 + (int64_t)(29 - i) * 3600000);
        assert_int_equal(visit->end_ms, visit->start_ms + 1000);
        assert_true(visit->events == 2 && visit->interacted == ((29 - i) % 2 == 1));
    }
    key[0] ^= 1;
    assert_int_equal(cb_snapshot_visits(snapshot, site, key, take_visit, &visits), CB_ENOENT);
    cb_snapshot_end(&snapshot);
}

static int setup(void **state) {
    seq = 0;
    fake_us = cb_clock_wall_ms() / day_ms * day_ms * 1000 + 1000000;
    cb_clock_replace(&fake_clock);
    return rig_setup(state);
}

static int teardown(void **state) {
    int rc = rig_teardown(state);
    cb_clock_replace(NULL);
    return rc;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_search),
        TEST(test_search_fields),
        TEST(test_search_is_checked),
        TEST(test_pages_stand_still),
        TEST(test_crowd),
        TEST(test_history),
        TEST(test_timeline),
        TEST(test_timeline_of_parts),
        TEST(test_timeline_of_trimmed),
        TEST(test_visits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
