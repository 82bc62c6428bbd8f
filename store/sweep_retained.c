/* SPDX-License-Identifier: MIT */
#include "store/sweep_retained.h"

#include "proto/metric.h"
#include "store/folds/folds.h"
#include "store/retained.h"
#include "store/rows.h"

enum {
    LOOKED_AT_MAX = 200000, /* rows of a step */
    CHANGED_MAX = 1024,     /* rows, or people */
    DAY_MINUTES = 1440,
};

static const int64_t day_ms = INT64_C(86400000);

/* ---- where rollups have their time ---- */

/* The end of what a row is of, in minutes. */
static int64_t end_of_count(const uint8_t *key) {
    return ((int64_t)cb_be32_get(key + 4) + 1) * DAY_MINUTES;
}

static int64_t end_of_unique_day(const uint8_t *key) {
    return ((int64_t)cb_be32_get(key + 4) + key[8]) * CB_QUARTER_MINUTES;
}

static int64_t end_of_hour(const uint8_t *key) {
    return ((int64_t)cb_be32_get(key) + 1) * 60;
}

static int64_t end_of_visits(const uint8_t *key) {
    uint32_t minutes = key[5] == CB_VISITS_DAY ? DAY_MINUTES : CB_QUARTER_MINUTES;
    return ((int64_t)cb_be32_get(key + 6) + 1) * minutes;
}

static int64_t end_of_dimension(const uint8_t *key) {
    return ((int64_t)cb_day_get(key + 4) + CB_LOCAL_DAYS) * DAY_MINUTES;
}

/* Rows of one prefix stand in order of time; behind one that is kept so are all of them. Hours have
 * the time first, and go by themselves after CB_HOURS_KEPT_DAYS: each (hour, site) is looked at,
 * where any site wants less. Minutes are not worth it. */
static const struct rollup {
    enum cb_table table;
    uint8_t site;   /* where the site stands in the key */
    uint8_t prefix; /* bytes */
    uint8_t whole;  /* bytes that every key has */
    int64_t (*end)(const uint8_t *key);
} rollups[] = {
    {CB_TABLE_COUNTS, 0, 4, 12, end_of_count},
    {CB_TABLE_UNIQUE_DAYS, 0, 4, 17, end_of_unique_day},
    {CB_TABLE_UNIQUE_HOURS, 4, 8, 16, end_of_hour},
    {CB_TABLE_VISITS, 0, 6, 10, end_of_visits},
    {CB_TABLE_DIMENSIONS, 0, 4, 17, end_of_dimension},
    {CB_TABLE_DIMENSION_SETS, 0, 4, 21, end_of_dimension},
};
enum { ROLLUPS = sizeof(rollups) / sizeof(*rollups) };

/* ---- the walk: first people, then each table of rollups ---- */

struct walk {
    struct cb_views *views;
    uint32_t day;
    unsigned phase;   /* 0: people; from 1: rollups */
    struct cb_key at; /* the first key that was not looked at */
    uint32_t looked_at;
    uint32_t rows_left; /* of those that may go */
    bool end;           /* of the phase */
    /* of the site at hand */
    bool known;
    uint32_t site, kept_days; /* 0: for ever */
    /* what is due */
    uint32_t n;
    struct due {
        struct cb_key key; /* people: site and ordinal */
        uint32_t bytes;
    } due[CHANGED_MAX];
};

static int read_settings(struct walk *walk, uint32_t site) {
    struct cb_settings settings;
    if (walk->known && walk->site == site) {
        return 0;
    }
    int rc = cb_sites_settings(walk->views, site, &settings);
    if (rc == 0) {
        walk->known = true;
        walk->site = site;
        walk->kept_days = walk->phase == 0 ? settings.personal_days : settings.rollup_days;
    }
    return rc;
}

/* The first key behind all that begin with these bytes; false where there is none. */
static bool jump_behind(struct cb_key *key, const char *bytes, size_t len) {
    cb_key_init(key);
    cb_key_bytes(key, bytes, len);
    while (key->len > 0 && ++key->bytes[key->len - 1] == 0) {
        key->len--;
    }
    return key->len > 0;
}

/* The day before which nothing of the site at hand is kept. */
static int64_t first_day(const struct walk *walk) {
    return (int64_t)walk->day - walk->kept_days;
}

static void step_over(struct walk *walk, struct cb_str key) {
    cb_key_init(&walk->at);
    cb_key_bytes(&walk->at, key.p, key.len);
    cb_key_u8(&walk->at, 0);
}

/* One row of a table of rollups: due, kept, or of a site that keeps all. */
static int look_at_rollup(struct walk *walk, struct cb_str key, struct cb_str value) {
    const struct rollup *rollup = &rollups[walk->phase - 1];
    const uint8_t *p = (const uint8_t *)key.p;
    if (key.len < rollup->whole) {
        return CB_ECORRUPT;
    }
    int rc = read_settings(walk, cb_be32_get(p + rollup->site));
    if (rc != 0) {
        return rc;
    }
    if (walk->kept_days == 0) {
        walk->end = !jump_behind(&walk->at, key.p, rollup->site + 4u);
    } else if (rollup->end(p) > first_day(walk) * DAY_MINUTES) {
        walk->end = !jump_behind(&walk->at, key.p, rollup->prefix);
    } else {
        struct due *due = &walk->due[walk->n++];
        cb_key_init(&due->key);
        cb_key_bytes(&due->key, key.p, key.len);
        due->bytes = (uint32_t)(key.len + value.len);
        walk->rows_left--;
        step_over(walk, key);
    }
    return 0;
}

/* When a visitor was seen last; INT64_MIN where there is no row. */
static int last_seen(struct cb_db_cursor *visitors, const struct cb_key *visitor, int64_t *ms) {
    struct cb_str key, value;
    *ms = INT64_MIN;
    int rc = cb_db_seek(visitors, cb_key_str(visitor), &key, &value);
    if (rc == 0 && cb_str_eq(key, cb_key_str(visitor))) {
        struct cb_visitor_row row;
        rc = cb_visitor_row_decode(value, &row);
        *ms = rc == 0 ? row.last_seen_ms : INT64_MIN;
    }
    return rc == CB_ENOENT ? 0 : rc;
}

/* All fields of one person, from the first one's row on: due when neither they were seen nor
 * anything was written about them for so long. The cursor is left at the last row. */
static int look_at_person(struct walk *walk, struct cb_db_cursor *fields,
                          struct cb_db_cursor *visitors, struct cb_str key, struct cb_str value) {
    struct due *due = &walk->due[walk->n];
    const size_t person = 8, parts = 10; /* bytes of key: of who it is; of a whole key */
    int64_t latest;
    uint32_t rows = 0;
    cb_key_init(&due->key);
    cb_key_bytes(&due->key, key.p, person);
    due->bytes = 0;
    int rc = last_seen(visitors, &due->key, &latest);
    while (rc == 0 && key.len == parts && memcmp(key.p, due->key.bytes, person) == 0) {
        if (key.p[parts - 1] == 0 && value.len >= CB_FIELD_HEAD_BYTES) {
            int64_t written = (int64_t)cb_be64_get((const uint8_t *)value.p + CB_FIELD_TRUE_MS);
            latest = written > latest ? written : latest;
        }
        due->bytes += (uint32_t)(key.len + value.len);
        rows++;
        step_over(walk, key);
        rc = cb_db_next(fields, &key, &value);
    }
    if (rc != 0 && rc != CB_ENOENT) {
        return rc;
    }
    walk->looked_at += rows;
    if (latest < first_day(walk) * day_ms) {
        walk->n++;
        walk->rows_left -= rows < walk->rows_left ? rows : walk->rows_left;
    }
    return rows > 0 ? 0 : CB_ECORRUPT;
}

static int look_at_field(struct walk *walk, struct cb_db_cursor *fields,
                         struct cb_db_cursor *visitors, struct cb_str key, struct cb_str value) {
    if (key.len < 8) {
        return CB_ECORRUPT;
    }
    int rc = read_settings(walk, cb_be32_get((const uint8_t *)key.p));
    if (rc == 0 && walk->kept_days == 0) {
        walk->end = !jump_behind(&walk->at, key.p, 4);
        return 0;
    }
    return rc == 0 ? look_at_person(walk, fields, visitors, key, value) : rc;
}

/* Whether a site wants hours to go before they go by themselves. */
static int wants_hours(struct walk *walk, bool *wanted) {
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    struct cb_key first = {.len = 0};
    int rc = cb_views_cursor(walk->views, CB_TABLE_SITES, &cursor);
    if (rc != 0) {
        return rc;
    }
    cb_key_u8(&first, 0);
    *wanted = false;
    rc = cb_db_seek(cursor, cb_key_str(&first), &key, &value);
    while (rc == 0 && !*wanted) {
        rc = value.len == CB_ROW_SITE_BYTES
                 ? read_settings(walk, cb_be32_get((const uint8_t *)value.p))
                 : CB_ECORRUPT;
        *wanted = walk->kept_days > 0 && walk->kept_days <= CB_HOURS_KEPT_DAYS;
        rc = rc == 0 ? cb_db_next(cursor, &key, &value) : rc;
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT ? 0 : rc;
}

/* Reads on, and notes what is due, until a bound is reached or the phase is over. */
static int look(struct walk *walk) {
    struct cb_db_cursor *rows = NULL, *visitors = NULL;
    struct cb_str key, value;
    const enum cb_table table = walk->phase == 0 ? CB_TABLE_FIELDS : rollups[walk->phase - 1].table;
    int rc = cb_views_cursor(walk->views, table, &rows);
    if (rc == 0 && walk->phase == 0) {
        rc = cb_views_cursor(walk->views, CB_TABLE_VISITORS, &visitors);
    }
    if (rc == 0 && table == CB_TABLE_UNIQUE_HOURS) {
        bool wanted = false;
        rc = wants_hours(walk, &wanted);
        walk->end = !wanted;
    }
    while (rc == 0 && !walk->end && walk->n < CHANGED_MAX && walk->rows_left > 0 &&
           walk->looked_at++ < LOOKED_AT_MAX) {
        rc = cb_db_seek(rows, cb_key_str(&walk->at), &key, &value);
        if (rc == CB_ENOENT) {
            walk->end = true;
        } else if (rc == 0) {
            rc = walk->phase == 0 ? look_at_field(walk, rows, visitors, key, value)
                                  : look_at_rollup(walk, key, value);
        }
    }
    cb_db_cursor_close(&visitors);
    cb_db_cursor_close(&rows);
    return rc == CB_ENOENT ? 0 : rc;
}

/* ---- forgetting ---- */

/* Bytes of the rows that begin with a key; before anything of them is changed. */
static int sum_rows(struct cb_views *views, enum cb_table table, const struct cb_key *prefix,
                    uint32_t *bytes) {
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    int rc = cb_views_cursor(views, table, &cursor);
    if (rc != 0) {
        return rc;
    }
    for (rc = cb_db_seek(cursor, cb_key_str(prefix), &key, &value);
         rc == 0 && key.len >= prefix->len && memcmp(key.p, prefix->bytes, prefix->len) == 0;
         rc = cb_db_next(cursor, &key, &value)) {
        *bytes += (uint32_t)(key.len + value.len);
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT ? 0 : rc;
}

static int forget_person(struct walk *walk, struct due *due, struct cb_retained *kept) {
    int rc = sum_rows(walk->views, CB_TABLE_HISTORY, &due->key, &due->bytes);
    if (rc == 0) {
        rc = cb_fields_forget(walk->views, cb_be32_get(due->key.bytes),
                              cb_be32_get(due->key.bytes + 4));
    }
    kept->people++;
    kept->people_bytes += due->bytes;
    cb_metric_add(CB_METRIC_KEPT_PEOPLE, 1);
    return rc;
}

static int forget_rollup(struct walk *walk, const struct due *due, struct cb_retained *kept) {
    struct cb_row *row;
    int rc = cb_views_row(walk->views, rollups[walk->phase - 1].table, &due->key, &row);
    rc = rc == 0 ? cb_row_resize(walk->views, row, 0) : rc;
    kept->rows++;
    kept->row_bytes += due->bytes;
    cb_metric_add(CB_METRIC_KEPT_ROWS, 1);
    return rc;
}

static int forget(struct walk *walk) {
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < walk->n; i++) {
        struct due *due = &walk->due[i];
        uint32_t site = cb_be32_get(due->key.bytes);
        struct cb_retained kept;
        rc = cb_retained_read(walk->views, site, &kept);
        if (rc == 0) {
            rc = walk->phase == 0 ? forget_person(walk, due, &kept)
                                  : forget_rollup(walk, due, &kept);
        }
        cb_metric_add(CB_METRIC_KEPT_BYTES, due->bytes);
        rc = rc == 0 ? cb_retained_write(walk->views, site, &kept) : rc;
    }
    return rc;
}

/* ---- steps ---- */

/* Notes for each site the day before which its rollups are gone, before any of them goes: from then
 * on no session is taken out of them (cb_retained_gone). */
static int note_days(struct cb_views *views, uint32_t day) {
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    int rc = cb_views_cursor(views, CB_TABLE_SITES, &cursor);
    if (rc != 0) {
        return rc;
    }
    struct cb_key first = {.len = 0};
    cb_key_u8(&first, 0);
    for (rc = cb_db_seek(cursor, cb_key_str(&first), &key, &value); rc == 0;
         rc = cb_db_next(cursor, &key, &value)) {
        struct cb_settings settings;
        struct cb_retained kept;
        if (value.len != CB_ROW_SITE_BYTES) {
            rc = CB_ECORRUPT;
            break;
        }
        uint32_t site = cb_be32_get((const uint8_t *)value.p);
        rc = cb_sites_settings(views, site, &settings);
        if (rc == 0 && settings.rollup_days > 0 && settings.rollup_days < day) {
            rc = cb_retained_read(views, site, &kept);
            if (rc == 0 && kept.day < day - settings.rollup_days) {
                kept.day = day - settings.rollup_days;
                rc = cb_retained_write(views, site, &kept);
            }
        }
        if (rc != 0) {
            break;
        }
    }
    cb_db_cursor_close(&cursor);
    return rc == CB_ENOENT ? 0 : rc;
}

/* Where the walk stands: u8 phase · key. Empty: it begins. */
static int state_row(struct cb_views *views, struct cb_row **out) {
    struct cb_key key = cb_key_meta(CB_META_RETAINED_AT);
    int rc = cb_views_row(views, CB_TABLE_META, &key, out);
    return rc == 0 &&
                   ((*out)->len > CB_KEY_MAX + 1 || ((*out)->len > 0 && (*out)->data[0] > ROLLUPS))
               ? CB_ECORRUPT
               : rc;
}

static int load(struct walk *walk, const struct cb_row *row) {
    walk->at = cb_key_site(0);
    if (row->len == 0) {
        return note_days(walk->views, walk->day);
    }
    walk->phase = row->data[0];
    if (row->len > 1) {
        cb_key_init(&walk->at);
        cb_key_bytes(&walk->at, row->data + 1, row->len - 1);
    }
    return 0;
}

static void next_phase(struct walk *walk) {
    walk->phase++;
    walk->at = cb_key_site(0);
    walk->end = walk->known = false;
}

static int save(struct walk *walk, bool *done) {
    struct cb_row *row;
    if (walk->end) {
        next_phase(walk);
    }
    *done = walk->phase > ROLLUPS;
    int rc = state_row(walk->views, &row);
    rc = rc == 0 ? cb_row_resize(walk->views, row, *done ? 0 : walk->at.len + 1u) : rc;
    if (rc == 0 && !*done) {
        row->data[0] = (uint8_t)walk->phase;
        memcpy(row->data + 1, walk->at.bytes, walk->at.len);
    }
    return rc;
}

int cb_sweep_retained(struct cb_views *views, uint32_t day, uint32_t rows_max, bool *done) {
    struct walk walk = {.views = views, .day = day, .rows_left = rows_max > 0 ? rows_max : 1};
    struct cb_row *row;
    int rc = state_row(views, &row);
    rc = rc == 0 ? load(&walk, row) : rc;
    while (rc == 0 && walk.phase <= ROLLUPS && walk.n == 0 && walk.looked_at < LOOKED_AT_MAX) {
        rc = look(&walk);
        if (rc == 0 && walk.n == 0 && walk.end) {
            next_phase(&walk);
        }
    }
    rc = rc == 0 ? forget(&walk) : rc;
    return rc == 0 ? save(&walk, done) : rc;
}
