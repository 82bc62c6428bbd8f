/* SPDX-License-Identifier: MIT
 * An erased visitor: gone from what is read and from every byte on disk, while all numbers stay;
 * after a rebuild, too, and from a journal that is half rewritten. */
#include "tests/store/rig.h"

#include <dirent.h>
#include <sys/stat.h>

#include "proto/frame_mask.h"
#include "store/base.h"
#include "store/db.h"
#include "store/eraser.h"
#include "store/folder.h"
#include "store/rows.h"
#include "store/trim.h"
#include "store/upkeep.h"
#include "store/visitor_row.h"
#include "tests/proto/guard.h"

static const int64_t t0 = INT64_C(1767225600000), day_ms = 86400000;
static int64_t fake_us; /* of both clocks */
static uint64_t seq;    /* of producer 1 */

#define SECRET "Wanda Secretova"

static int64_t now_us(void) {
    return fake_us;
}

static const struct cb_clock_ops fake_clock = {now_us, now_us};

static void key_of(unsigned n, uint8_t out[CB_VISITOR_BYTES]) {
    for (unsigned i = 0; i < CB_VISITOR_BYTES; i++) {
        out[i] = (uint8_t)(0x80 + 37 * i + 91 * n);
    }
}

static void add(struct rig *rig, const char *site, unsigned n, int64_t at_ms,
                struct cb_event event) {
    struct cb_envelope envelope = rig_envelope(site, 1, 1, at_ms);
    key_of(n, envelope.visitor);
    event.seq = event.seq ? event.seq : ++seq;
    assert_int_equal(cb_frame_builder_add(&rig->builder, &envelope, &event, 1), 0);
}

static void set(struct rig *rig, unsigned n, int64_t at_ms, const char *key, const char *value) {
    struct cb_event event = rig_event(0, "set");
    event.key = cb_str_of(key);
    event.value = cb_str_of(value);
    add(rig, "demo", n, at_ms, event);
}

static struct cb_snapshot *begin(struct rig *rig) {
    struct cb_snapshot *snapshot;
    assert_int_equal(cb_snapshot_begin(rig->reader, &snapshot), 0);
    return snapshot;
}

/* ---- every byte on disk ---- */

static unsigned look_in(const char *path, const void *bytes, size_t len) {
    static char data[RIG_MAP_BYTES];
    FILE *file = fopen(path, "rb");
    if (!file) {
        return 0;
    }
    size_t have = fread(data, 1, sizeof(data), file);
    fclose(file);
    unsigned n = 0;
    for (char *at = data; (at = memmem(at, have - (size_t)(at - data), bytes, len)) != NULL; at++) {
        n++;
    }
    return n;
}

static unsigned look_for(const char *dir, const void *bytes, size_t len) {
    DIR *entries = opendir(dir);
    unsigned n = 0;
    assert_non_null(entries);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[512];
        struct stat st;
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        assert_int_equal(stat(path, &st), 0);
        n += S_ISDIR(st.st_mode) ? look_for(path, bytes, len) : look_in(path, bytes, len);
    }
    closedir(entries);
    return n;
}

static unsigned look_at(struct cb_str frame, const void *bytes, size_t len) {
    unsigned n = 0;
    for (const char *at = frame.p, *end = frame.p + frame.len;
         (at = memmem(at, (size_t)(end - at), bytes, len)) != NULL; at++) {
        n++;
    }
    return n;
}

/* How often anything of visitor 0's lies there: as it is, or in what records unpack to. */
static unsigned traces(struct rig *rig) {
    uint8_t key[CB_VISITOR_BYTES];
    char hex[2 * CB_VISITOR_BYTES + 1];
    struct cb_journal_reader *reader;
    struct cb_journal_record record;
    key_of(0, key);
    cb_hex_encode(key, sizeof(key), hex);
    unsigned n = look_for(rig->dir, key, sizeof(key)) +
                 look_for(rig->dir, hex, 2 * CB_VISITOR_BYTES) + look_for(rig->dir, SECRET, 15) +
                 look_for(rig->dir, "secretova", 9);
    int rc = cb_journal_reader_open(rig->journal, cb_journal_first(rig->journal), &reader);
    assert_int_equal(rc, 0);
    while ((rc = cb_journal_reader_next(reader, &record)) == 0) {
        n += look_at(record.frame, key, sizeof(key)) + look_at(record.frame, SECRET, 15) +
             look_at(record.frame, "secretova", 9);
    }
    assert_int_equal(rc, CB_ENOENT);
    cb_journal_reader_close(&reader);
    return n;
}

/* ---- what records were, packed ---- */

enum { VALUES = 400, PACKED_FROM = 19, PACKED_MIN = 24 };

static char *were[VALUES]; /* by position */
static size_t value_lens[VALUES];

static struct cb_str packed_of(unsigned position) {
    return (struct cb_str){were[position] + PACKED_FROM, value_lens[position] - PACKED_FROM};
}

static unsigned each_value(struct rig *rig,
                           unsigned (*each)(struct rig *, unsigned, struct cb_str)) {
    struct cb_db_txn *txn;
    unsigned table, n = 0;
    assert_int_equal(cb_db_begin(cb_journal_db(rig->journal), false, &txn), 0);
    assert_int_equal(cb_db_table(txn, "records", false, &table), 0);
    for (uint64_t position = 1; position <= cb_journal_head(rig->journal); position++) {
        struct cb_key key = cb_key_position(position);
        struct cb_str value;
        assert_true(position < VALUES);
        assert_int_equal(cb_db_get(txn, table, cb_key_str(&key), &value), 0);
        n += each(rig, (unsigned)position, value);
    }
    cb_db_abort(&txn);
    return n;
}

static unsigned keep_value(struct rig *rig, unsigned position, struct cb_str value) {
    (void)rig;
    were[position] = malloc(value.len);
    assert_non_null(were[position]);
    memcpy(were[position], value.p, value.len);
    value_lens[position] = value.len;
    return 1;
}

/* Of records that were rewritten, long enough not to be there by chance. */
static unsigned changed(struct rig *rig, unsigned position, struct cb_str value) {
    (void)rig;
    return were[position] && value_lens[position] >= PACKED_FROM + PACKED_MIN &&
           (value.len != value_lens[position] || memcmp(value.p, were[position], value.len) != 0);
}

static unsigned changed_and_left(struct rig *rig, unsigned position, struct cb_str value) {
    return changed(rig, position, value) &&
           look_for(rig->dir, packed_of(position).p, packed_of(position).len) > 0;
}

static void forget_values(void) {
    for (unsigned i = 0; i < VALUES; i++) {
        free(were[i]);
        were[i] = NULL;
    }
}

/* ---- what must not move ---- */

struct numbers {
    struct cb_books demo, shop;
    uint64_t events, visitors, sessions, clicks, clickers;
    struct cb_session_sums sums;
};

static void read_numbers(struct rig *rig, struct numbers *out) {
    const int64_t minute = t0 / 60000, from = minute - 60 * 24 * 30, to = minute + 60 * 24 * 90;
    memset(out, 0, sizeof(*out));
    out->demo = rig_books(rig, "demo");
    out->shop = rig_books(rig, "shop");
    out->events = rig_count(rig, "demo", "", from, to, &out->visitors);
    out->clicks = rig_count(rig, "demo", "onClick", from, to, &out->clickers);
    out->sessions = rig_count(rig, "demo", "sessions", from, to, NULL);
    struct cb_snapshot *snapshot = begin(rig);
    uint32_t site = rig_site_id(snapshot, "demo");
    assert_int_equal(cb_snapshot_sessions(snapshot, site, from / 15 * 15, to / 15 * 15, &out->sums),
                     0);
    cb_snapshot_end(&snapshot);
}

static int run(int (*command)(const struct cb_opts *, FILE *, char **), struct rig *rig, char *text,
               size_t size) {
    struct cb_opts opts = {.data = rig->dir, .map = RIG_MAP_BYTES};
    char *sentence = NULL;
    FILE *out = fmemopen(text, size, "w");
    int rc = command(&opts, out, &sentence);
    fclose(out);
    if (rc != 0) {
        print_error("%s\n", sentence ? sentence : "");
    }
    free(sentence);
    return rc;
}

/* The views say what the journal says, and are made anew the same. */
static void assert_sound(struct rig *rig) {
    char text[8192] = "";
    rig_close(rig);
    assert_int_equal(run(cb_verify, rig, text, sizeof(text)), 0);
    memset(text, 0, sizeof(text));
    assert_int_equal(run(cb_rebuild, rig, text, sizeof(text)), 0);
    if (!strstr(text, "identical: ")) {
        fail_msg("%s", text);
    }
    rig_open(rig);
}

/* ---- a person's traces ---- */

static void edit(struct rig *rig, unsigned n, const char *name) {
    struct cb_control control = {.op = CB_CONTROL_EDIT, .site = CB_STR("demo"), .made_ms = 1};
    key_of(n, control.visitor);
    control.fields[CB_FIELD_NAME] = cb_str_of(name);
    if (n == 0) {
        control.fields[CB_FIELD_REMARKS] = CB_STR("remarks on " SECRET);
    }
    rig_control(rig, &control);
}

static void fill(struct rig *rig) {
    struct cb_event message = rig_event(0, "message"), custom = rig_event(0, "cart.filled");
    message.props = CB_STR("\x81\xa4text\xb5" SECRET " here.");
    custom.props = CB_STR("\x82\xa1n\x05\xa3who\xaf" SECRET);
    for (unsigned i = 0; i < 300; i++) {
        int64_t at_ms = t0 + i * INT64_C(600000);
        add(rig, "demo", i % 7, at_ms, rig_event(0, i % 2 ? "onClick" : "page"));
        add(rig, i % 3 ? "demo" : "shop", i % 3 ? i % 5 : 50, at_ms, rig_event(0, "page"));
        if (i % 20 == 0) {
            set(rig, 0, at_ms, "name", i % 40 ? SECRET : "Mrs. " SECRET " žluťoučká");
            set(rig, 0, at_ms, "email", "wanda@secretova.example");
            set(rig, 0, at_ms, "notes", "likes " SECRET " and nothing else");
            set(rig, 1, at_ms, "name", "Somebody Else");
            add(rig, "demo", 0, at_ms, message);
            add(rig, "demo", 0, at_ms, custom);
        }
        if (i % 10 == 0) {
            struct cb_event again = rig_event(1, "page"); /* not counted */
            add(rig, "demo", 0, at_ms, again);
        }
        if (i % 50 == 49) {
            fake_us += day_ms / 4 * 1000;
        }
        rig_seal(rig);
        if (i % 30 == 0) {
            assert_int_equal(cb_fold_catch_up(rig->fold), 0);
            edit(rig, 0, SECRET);
            edit(rig, 1, "Another");
        }
    }
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
}

static void erase(struct rig *rig, unsigned n, uint8_t pseudonym) {
    struct cb_control control = {.op = CB_CONTROL_ERASE, .site = CB_STR("demo"), .made_ms = 1};
    key_of(n, control.visitor);
    memset(control.pseudonym, pseudonym, CB_VISITOR_BYTES);
    cb_visitor_tag(control.visitor, control.tag);
    rig_control(rig, &control);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
}

static struct cb_erasure erasure_of(struct rig *rig, unsigned n) {
    struct cb_snapshot *snapshot = begin(rig);
    struct cb_erasure erasure;
    uint8_t key[CB_VISITOR_BYTES], tag[CB_VISITOR_BYTES];
    key_of(n, key);
    cb_visitor_tag(key, tag);
    assert_int_equal(cb_snapshot_erasure(snapshot, rig_site_id(snapshot, "demo"), tag, &erasure),
                     0);
    cb_snapshot_end(&snapshot);
    return erasure;
}

static void sweep(struct rig *rig) {
    struct cb_eraser eraser;
    bool more;
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    cb_eraser_init(&eraser, rig->dir, RIG_MAP_BYTES, rig->journal, rig->views, NULL, NULL);
    assert_int_equal(cb_eraser_turn(&eraser, &more), 0);
    assert_false(more);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    assert_int_equal(cb_eraser_turn(&eraser, &more), 0); /* nothing is due any more */
    assert_false(cb_eraser_under_way(rig->dir));
}

static bool count_visitor(void *user, const struct cb_visitor *visitor) {
    unsigned *n = user;
    (void)visitor;
    ++*n;
    return true;
}

static unsigned listed(struct rig *rig, const char *q) {
    struct cb_visitor_cursor cursor = {{0}};
    struct cb_search_cursor found = {.len = 0};
    struct cb_snapshot *snapshot = begin(rig);
    uint32_t site = rig_site_id(snapshot, "demo");
    unsigned n = 0;
    bool more;
    int rc =
        q ? cb_snapshot_search(snapshot, site, cb_str_of(q), &found, 1000, count_visitor, &n, &more)
          : cb_snapshot_visitors(snapshot, site, &cursor, 1000, count_visitor, &n, &more);
    assert_int_equal(rc, 0);
    cb_snapshot_end(&snapshot);
    return n;
}

static bool no_row(void *user, const struct cb_export_row *row) {
    (void)user, (void)row;
    return true;
}

/* Neither by the key nor by the pseudonym. */
static void assert_gone(struct rig *rig, uint8_t pseudonym) {
    uint8_t keys[2][CB_VISITOR_BYTES];
    key_of(0, keys[0]);
    memset(keys[1], pseudonym, CB_VISITOR_BYTES);
    struct cb_snapshot *snapshot = begin(rig);
    uint32_t site = rig_site_id(snapshot, "demo");
    for (unsigned i = 0; i < 2; i++) {
        struct cb_visitor visitor;
        struct cb_field_value values[CB_HISTORY_ROWS_MAX];
        struct cb_export_cursor cursor = {0};
        size_t n;
        bool more, trimmed;
        assert_int_equal(cb_snapshot_visitor(snapshot, site, keys[i], &visitor), CB_ENOENT);
        assert_int_equal(cb_snapshot_history(snapshot, site, keys[i], CB_FIELD_NAME, values, &n),
                         CB_ENOENT);
        assert_int_equal(cb_snapshot_timeline(snapshot, site, CB_STR("demo"), keys[i], &cursor,
                                              UINT64_MAX, no_row, NULL, &more, &trimmed),
                         CB_ENOENT);
    }
    cb_snapshot_end(&snapshot);
    char hex[2 * CB_VISITOR_BYTES + 1];
    cb_hex_encode(keys[1], CB_VISITOR_BYTES, hex);
    assert_int_equal(listed(rig, hex), 0);
    assert_int_equal(listed(rig, "wanda"), 0);
    assert_int_equal(listed(rig, "secretova"), 0);
}

/* What stays of a visitor: sums and days, and of the last visit that there was one. */
static void assert_husk(struct rig *rig, uint32_t ordinal) {
    struct cb_snapshot *snapshot = begin(rig);
    struct cb_key key = cb_key_visitor(rig_site_id(snapshot, "demo"), ordinal);
    struct cb_visitor_row row;
    struct cb_str value;
    assert_int_equal(cb_snapshot_row(snapshot, CB_TABLE_VISITORS, &key, &value), 0);
    assert_int_equal(cb_visitor_row_decode(value, &row), 0);
    cb_snapshot_end(&snapshot);
    assert_true(row.events > 100 && row.sessions > 0 && row.timeline.parts > 0);
    assert_true(row.session.events == 0 && row.session.end_ms == row.session.start_ms);
    for (unsigned i = 0; i < CB_VISIT_TIMES; i++) {
        assert_int_equal(row.session.times_ms[i], CB_VISIT_NEVER);
    }
}

/* ---- tests ---- */

static void test_erased(void **state) {
    struct rig *rig = *state;
    static struct numbers before, after;
    fill(rig);
    read_numbers(rig, &before);
    unsigned all = listed(rig, NULL);
    assert_true(before.visitors >= 7 && listed(rig, "wanda") == 1);
    assert_true(traces(rig) > 100);
    erase(rig, 0, 0xa5);
    read_numbers(rig, &after);
    assert_memory_equal(&after, &before, sizeof(before));
    assert_gone(rig, 0xa5);
    assert_int_equal(listed(rig, NULL), all - 1);
    assert_int_equal(listed(rig, "somebody") + listed(rig, "another"), 1);
    struct cb_erasure erasure = erasure_of(rig, 0);
    assert_true(!erasure.swept && erasure.swept_ms == 0);
    assert_husk(rig, erasure.ordinal);
    each_value(rig, keep_value);
    assert_true(look_for(rig->dir, packed_of(20).p, packed_of(20).len) > 0);
    sweep(rig);
    assert_true(each_value(rig, changed) > 50);
    assert_int_equal(each_value(rig, changed_and_left), 0);
    forget_values();
    erasure = erasure_of(rig, 0);
    assert_true(erasure.swept && erasure.swept_ms > 0);
    assert_int_equal(traces(rig), 0);
    read_numbers(rig, &after);
    assert_memory_equal(&after, &before, sizeof(before));
    assert_sound(rig);
    assert_gone(rig, 0xa5);
    read_numbers(rig, &after);
    assert_memory_equal(&after, &before, sizeof(before));
    assert_int_equal(traces(rig), 0);
    assert_true(look_for(rig->dir, "Somebody Else", 13) > 0);
}

/* What was under way when the visitor was erased, and what comes within 8 days, is refused in the
 * books; and its records are swept as well. */
static void test_late(void **state) {
    struct rig *rig = *state;
    fill(rig);
    struct cb_books before = rig_books(rig, "demo");
    erase(rig, 0, 0xa5);
    erase(rig, 0, 0x5a); /* asked for twice: the first counts */
    set(rig, 0, t0, "name", SECRET);
    add(rig, "demo", 0, t0,
        rig_event(1, "page")); /* a number that is known: refused all the same */
    add(rig, "demo", 1, t0, rig_event(0, "page"));
    rig_fold(rig);
    edit(rig, 0, SECRET);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    sweep(rig);
    assert_int_equal(traces(rig), 0);
    assert_gone(rig, 0xa5);
    fake_us += 7 * day_ms * 1000;
    set(rig, 0, t0, "email", "again@secretova");
    rig_fold(rig);
    assert_true(traces(rig) > 0 && !erasure_of(rig, 0).swept);
    sweep(rig);
    assert_int_equal(traces(rig), 0);
    struct cb_books after = rig_books(rig, "demo");
    assert_int_equal(after.rejected[CB_REFUSE_ERASED], 3);
    assert_int_equal(after.counted, before.counted + 1);
    assert_int_equal(after.lost, before.lost);
    assert_int_equal(after.received, after.counted + after.duplicate + 3);
    assert_sound(rig);
    /* After 8 days the key is anybody's: a new visitor, who can be erased in turn. */
    unsigned all = listed(rig, NULL);
    fake_us += 2 * day_ms * 1000;
    set(rig, 0, t0, "name", "New " SECRET);
    rig_fold(rig);
    assert_int_equal(rig_books(rig, "demo").counted, after.counted + 1);
    assert_int_equal(listed(rig, NULL), all + 1);
    assert_sound(rig);
    erase(rig, 0, 0x77);
    sweep(rig);
    assert_int_equal(traces(rig), 0);
    assert_gone(rig, 0x77);
    assert_sound(rig);
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
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
}

/* With a base that holds the person, and a journal without its beginning. */
static void test_trimmed(void **state) {
    struct rig *rig = *state;
    struct cb_base base;
    fill(rig);
    trim(rig, 150);
    assert_int_equal(cb_base_newest(rig->dir, &base), 0);
    erase(rig, 0, 0xa5);
    assert_true(traces(rig) > 0 && base.position < erasure_of(rig, 0).position);
    sweep(rig);
    assert_int_equal(traces(rig), 0);
    assert_int_equal(cb_base_newest(rig->dir, &base), 0); /* still needed */
    assert_true(base.position >= erasure_of(rig, 0).position);
    assert_sound(rig);
    assert_gone(rig, 0xa5);
    assert_int_equal(traces(rig), 0);
}

struct half {
    struct cb_mask mask;
    struct cb_frame frame;
    unsigned masked;
};

static int mask_some(void *user, uint64_t position, char *frame, size_t len, bool *changed) {
    struct half *half = user;
    if (position < 100 || position >= 140) {
        return 0;
    }
    int rc = cb_frame_mask(frame, len, &half->frame, &half->mask, changed);
    half->masked += *changed;
    return rc;
}

/* A store that was killed while it rewrote: the views come from the base, and the sweep goes on. */
static void test_half_rewritten(void **state) {
    struct rig *rig = *state;
    static struct numbers before, after;
    struct cb_base base;
    fill(rig);
    read_numbers(rig, &before);
    erase(rig, 0, 0xa5);
    assert_int_equal(cb_base_make(rig->dir, RIG_MAP_BYTES, rig->views, NULL, &base), 0);
    assert_int_equal(cb_folder_write_file(rig->dir, "erasing", "1\n"), 0);
    struct cb_erasure erasure = erasure_of(rig, 0);
    struct cb_mask mask = {.site = CB_STR("demo")};
    memcpy(mask.tag, erasure.tag, sizeof(mask.tag));
    memcpy(mask.pseudonym, erasure.pseudonym, sizeof(mask.pseudonym));
    static struct half half;
    half.mask = mask;
    assert_int_equal(cb_journal_begin(rig->journal), 0);
    for (uint64_t position = 100, behind; position < 140; position = behind) {
        assert_int_equal(cb_journal_edit(rig->journal, position, mask_some, &half, &behind), 0);
        assert_true(behind > position);
    }
    assert_in_range(half.masked, 5, 40);
    assert_int_equal(cb_journal_commit(rig->journal), 0);
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    assert_sound(rig);
    read_numbers(rig, &after);
    assert_memory_equal(&after, &before, sizeof(before));
    sweep(rig);
    assert_int_equal(traces(rig), 0);
    assert_int_equal(cb_base_newest(rig->dir, &base), CB_ENOENT); /* not needed any more */
    assert_sound(rig);
    read_numbers(rig, &after);
    assert_memory_equal(&after, &before, sizeof(before));
}

/* A backup keeps the sweep waiting, and so does a reader of before. */
static void test_waits(void **state) {
    struct rig *rig = *state;
    struct cb_eraser eraser;
    bool more;
    int hold_fd;
    fill(rig);
    erase(rig, 0, 0xa5);
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    cb_eraser_init(&eraser, rig->dir, RIG_MAP_BYTES, rig->journal, rig->views, NULL, NULL);
    assert_int_equal(cb_folder_hold(rig->dir, false, &hold_fd), 0);
    assert_int_equal(cb_eraser_turn(&eraser, &more), 0);
    assert_true(more);
    close(hold_fd);
    struct cb_snapshot *snapshot = begin(rig);
    assert_int_equal(cb_eraser_turn(&eraser, &more), 0);
    assert_true(more && cb_eraser_under_way(rig->dir));
    cb_snapshot_end(&snapshot);
    assert_int_equal(cb_fold_catch_up(rig->fold), 0);
    assert_false(erasure_of(rig, 0).swept);
    sweep(rig);
    assert_true(erasure_of(rig, 0).swept);
    assert_int_equal(traces(rig), 0);
}

/* Of nobody, and of nowhere: nothing. */
static void test_nobody(void **state) {
    struct rig *rig = *state;
    struct cb_control control = {.op = CB_CONTROL_ERASE, .site = CB_STR("none"), .made_ms = 1};
    static struct numbers before, after;
    fill(rig);
    read_numbers(rig, &before);
    rig_control(rig, &control);
    erase(rig, 99, 1);
    assert_int_equal(cb_folder_write_format(rig->dir), 0);
    read_numbers(rig, &after);
    assert_memory_equal(&after, &before, sizeof(before));
    assert_sound(rig);
}

/* ---- masking ---- */

static void test_mask(void **state) {
    struct rig *rig = *state;
    static struct cb_frame frame;
    struct cb_buf wire;
    bool changed;
    struct cb_mask mask = {.site = CB_STR("demo")};
    uint8_t key[CB_VISITOR_BYTES];
    key_of(0, key);
    cb_visitor_tag(key, mask.tag);
    memset(mask.pseudonym, 0xee, CB_VISITOR_BYTES);
    set(rig, 0, t0, "name", "aé€\xf0\x9f\x98\x80z");
    set(rig, 1, t0, "name", "kept");
    add(rig, "shop", 0, t0, rig_event(0, "page")); /* the same key, but another site's */
    cb_buf_init(&wire, CB_FRAME_MAX);
    assert_int_equal(cb_frame_builder_seal(&rig->builder, 1, 1, &wire), 0);
    cb_frame_builder_clear(&rig->builder);
    assert_int_equal(cb_frame_mask(wire.data, wire.len, &frame, &mask, &changed), 0);
    assert_true(changed);
    assert_non_null(memmem(wire.data, wire.len, "x×•\xf0\x9f\x91\xa4x", 11));
    assert_non_null(memmem(wire.data, wire.len, "kept", 4));
    assert_non_null(memmem(wire.data, wire.len, mask.pseudonym, CB_VISITOR_BYTES));
    assert_non_null(memmem(wire.data, wire.len, key, CB_VISITOR_BYTES));
    /* A key that looks like the head of its own value. */
    struct cb_envelope odd = rig_envelope("demo", 1, 1, t0);
    struct cb_event page = rig_event(1, "page");
    struct cb_mask odd_mask = {.site = CB_STR("demo"), .pseudonym = {0xdd}};
    struct cb_buf odd_wire;
    for (unsigned i = 0; i < CB_VISITOR_BYTES; i++) {
        odd.visitor[i] = i % 2 ? 0x10 : 0xc4;
    }
    cb_visitor_tag(odd.visitor, odd_mask.tag);
    cb_buf_init(&odd_wire, CB_FRAME_MAX);
    assert_int_equal(cb_frame_builder_add(&rig->builder, &odd, &page, 1), 0);
    assert_int_equal(cb_frame_builder_seal(&rig->builder, 1, 1, &odd_wire), 0);
    cb_frame_builder_clear(&rig->builder);
    assert_int_equal(cb_frame_mask(odd_wire.data, odd_wire.len, &frame, &odd_mask, &changed), 0);
    assert_null(memmem(odd_wire.data, odd_wire.len, odd.visitor, CB_VISITOR_BYTES));
    cb_buf_fini(&odd_wire);
    /* What is masked stays as it is. */
    char *again = malloc(wire.len);
    memcpy(again, wire.data, wire.len);
    assert_int_equal(cb_frame_mask(again, wire.len, &frame, &mask, &changed), 0);
    assert_false(changed);
    assert_memory_equal(again, wire.data, wire.len);
    assert_int_equal(cb_frame_mask(again, wire.len - 1, &frame, &mask, &changed), CB_EMALFORMED);
    free(again);
    cb_buf_fini(&wire);
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
        TEST(test_erased), TEST(test_late),   TEST(test_trimmed), TEST(test_half_rewritten),
        TEST(test_waits),  TEST(test_nobody), TEST(test_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
