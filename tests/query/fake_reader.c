/* SPDX-License-Identifier: MIT */
#include "tests/query/fake_reader.h"

#include <stdlib.h>

#include "proto/asset.h"
#include "query/access.h"

struct cb_snapshot {
    struct cb_reader *reader;
    uint64_t position;
};

static const char page[] = "<!doctype html><title>fake</title>";
static const char script[] = "export {}";
#define BYTES(text)                                                                                \
    { (const unsigned char *)(text), sizeof(text) - 1 }

extern const struct cb_asset cb_dashboard_assets[];
const struct cb_asset cb_dashboard_assets[] = {
    {"index.html", "text/html; charset=utf-8", "\"page-1\"", BYTES(page), {0}, {0}},
    {"app.js", "text/javascript; charset=utf-8", "\"script-1\"", BYTES(script), {0}, {0}},
    {.path = NULL},
};

int cb_snapshot_begin(struct cb_reader *reader, struct cb_snapshot **out) {
    if (reader->begin_rc)
        return reader->begin_rc;
    struct cb_snapshot *snapshot = malloc(sizeof *snapshot);
    if (!snapshot)
        return CB_ENOMEM;
    snapshot->reader = reader;
    snapshot->position = reader->position ? reader->position : FAKE_POSITION;
    if (reader->growth > 0)
        reader->position = snapshot->position + reader->growth;
    reader->open++;
    *out = snapshot;
    return 0;
}

void cb_snapshot_end(struct cb_snapshot **snapshot) {
    (*snapshot)->reader->open--;
    free(*snapshot);
    *snapshot = NULL;
}

uint64_t cb_snapshot_position(const struct cb_snapshot *snapshot) {
    return snapshot->position;
}

int cb_snapshot_token(struct cb_snapshot *snapshot, const uint8_t hash[CB_TOKEN_HASH_BYTES],
                      struct cb_token *out) {
    static const struct {
        const char *text;
        struct cb_token token;
    } tokens[] = {
        {FAKE_TOKEN_ALL, {.role = CB_ROLE_VIEWER}},
        {FAKE_TOKEN_DEMO, {.role = CB_ROLE_ADMIN, .site = "demo", .id = {0xde}}},
        {FAKE_TOKEN_SHOP, {.role = CB_ROLE_VIEWER, .site = "shop"}},
        {FAKE_TOKEN_NOBODY, {.role = 0}},
        {FAKE_TOKEN_ROOT, {.role = CB_ROLE_ADMIN, .id = {0xaa}}},
        {FAKE_TOKEN_OPERATOR, {.role = CB_ROLE_OPERATOR, .id = {0x0b}}},
    };
    (void)snapshot;
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        uint8_t known[CB_TOKEN_HASH_BYTES];
        cb_token_hash(cb_str_of(tokens[i].text), known);
        if (!memcmp(known, hash, sizeof known)) {
            *out = tokens[i].token;
            return 0;
        }
    }
    return CB_ENOENT;
}

int cb_snapshot_token_of(struct cb_snapshot *snapshot, const uint8_t id[CB_TOKEN_ID_BYTES],
                         struct cb_token *out) {
    const struct cb_reader *reader = snapshot->reader;
    for (size_t i = 0; i < reader->n_tokens; i++) {
        if (!memcmp(reader->tokens[i].id, id, CB_TOKEN_ID_BYTES)) {
            *out = reader->tokens[i];
            return 0;
        }
    }
    return CB_ENOENT;
}

void cb_snapshot_tokens(struct cb_snapshot *snapshot,
                        bool (*each)(void *user, const struct cb_token *token), void *user) {
    const struct cb_reader *reader = snapshot->reader;
    for (size_t i = 0; i < reader->n_tokens; i++)
        if (!each(user, &reader->tokens[i]))
            return;
}

void cb_snapshot_audit(struct cb_snapshot *snapshot, uint64_t before,
                       bool (*each)(void *user, const struct cb_audit *audit), void *user) {
    const struct cb_reader *reader = snapshot->reader;
    for (size_t i = 0; i < reader->n_audit; i++)
        if ((!before || reader->audit[i].position < before) && !each(user, &reader->audit[i]))
            return;
}

int cb_snapshot_settings(struct cb_snapshot *snapshot, uint32_t site, struct cb_settings *out,
                         uint64_t *position) {
    (void)site;
    *out = snapshot->reader->settings.zone.p ? snapshot->reader->settings : cb_settings_default();
    if (position)
        *position = 0;
    return 0;
}

int cb_snapshot_zone(struct cb_snapshot *snapshot, uint32_t site, char out[CB_ZONE_MAX + 1]) {
    (void)snapshot;
    (void)site;
    memcpy(out, "UTC", 4);
    return 0;
}

static const struct {
    const char *name;
    struct cb_site site;
} sites[] = {
    {"demo", {.id = FAKE_DEMO, .status = CB_STATUS_ONLINE}},
    {"shop", {.id = FAKE_SHOP, .status = CB_STATUS_OFFLINE}},
};

int cb_snapshot_site(struct cb_snapshot *snapshot, struct cb_str name, struct cb_site *out) {
    (void)snapshot;
    for (size_t i = 0; i < 2; i++) {
        if (cb_str_is(name, sites[i].name)) {
            *out = sites[i].site;
            return 0;
        }
    }
    return CB_ENOENT;
}

void cb_snapshot_sites(struct cb_snapshot *snapshot,
                       bool (*each)(void *user, struct cb_str name, const struct cb_site *site),
                       void *user) {
    (void)snapshot;
    for (size_t i = 0; i < 2; i++)
        if (!each(user, cb_str_of(sites[i].name), &sites[i].site))
            return;
}

int cb_snapshot_name(struct cb_snapshot *snapshot, uint32_t site, struct cb_str name,
                     uint32_t *name_id) {
    const struct cb_reader *reader = snapshot->reader;
    for (size_t i = 0; i < reader->n_names; i++) {
        if (reader->names[i].site == site && cb_str_is(name, reader->names[i].text)) {
            *name_id = reader->names[i].name_id;
            return 0;
        }
    }
    return CB_ENOENT;
}

void cb_snapshot_names(struct cb_snapshot *snapshot, uint32_t site,
                       bool (*each)(void *user, uint32_t name_id, struct cb_str name), void *user) {
    const struct cb_reader *reader = snapshot->reader;
    for (size_t i = 0; i < reader->n_names; i++)
        if (reader->names[i].site == site &&
            !each(user, reader->names[i].name_id, cb_str_of(reader->names[i].text)))
            return;
}

int cb_snapshot_kept(struct cb_snapshot *snapshot, struct cb_kept *out) {
    *out = snapshot->reader->kept;
    return 0;
}

int cb_snapshot_totals(struct cb_snapshot *snapshot, uint32_t site, int64_t from, int64_t to,
                       uint64_t sums[CB_NAME_IDS], struct cb_distinct *visitors) {
    const int64_t bounds[] = {from, to};
    uint64_t events;
    int rc = cb_snapshot_series(snapshot, site, CB_NAME_ID_ALL, bounds, 1, &events, visitors);
    for (uint32_t id = 0; !rc && id < CB_NAME_IDS; id++)
        rc = cb_snapshot_series(snapshot, site, id, bounds, 1, &sums[id], NULL);
    return rc;
}

int cb_snapshot_series(struct cb_snapshot *snapshot, uint32_t site, uint32_t name_id,
                       const int64_t *bounds, size_t n, uint64_t *events,
                       struct cb_distinct *visitors) {
    const struct cb_reader *reader = snapshot->reader;
    if (reader->series_rc)
        return reader->series_rc;
    for (size_t i = 0; i < n; i++) {
        uint64_t seen = 0; /* one bit a visitor */
        events[i] = 0;
        for (size_t j = 0; j < reader->n_events; j++) {
            const struct fake_event *event = &reader->events[j];
            bool named = name_id == CB_NAME_ID_ALL ? event->name_id != CB_NAME_ID_SESSIONS
                                                   : event->name_id == name_id;
            if (event->site != site || !named || event->minute < bounds[i] ||
                event->minute >= bounds[i + 1])
                continue;
            events[i]++;
            seen |= UINT64_C(1) << event->visitor;
        }
        if (visitors)
            visitors[i] = (struct cb_distinct){(uint64_t)__builtin_popcountll(seen), reader->known};
    }
    return 0;
}

/* The first cohort is 5, of whom k fewer are there k periods later; others are nobody. */
int cb_snapshot_retention(struct cb_snapshot *snapshot, uint32_t site, const int64_t *bounds,
                          size_t n, uint64_t *sizes, uint64_t *returned, bool *exact) {
    (void)site, (void)bounds;
    for (size_t i = 0; i < n; i++) {
        sizes[i] = i == 0 ? 5 : 0;
        for (size_t k = 0; i + k < n; k++)
            returned[i * n + k] = i == 0 && k < 5 ? 5 - k : 0;
    }
    *exact = snapshot->reader->known == CB_KNOWN;
    return snapshot->reader->series_rc;
}

int cb_snapshot_visitor(struct cb_snapshot *snapshot, uint32_t site,
                        const uint8_t visitor[CB_VISITOR_BYTES], struct cb_visitor *out) {
    const struct cb_reader *reader = snapshot->reader;
    for (size_t i = 0; site == FAKE_DEMO && i < reader->n_visitors; i++) {
        if (!memcmp(reader->visitors[i].visitor, visitor, CB_VISITOR_BYTES)) {
            *out = reader->visitors[i];
            return 0;
        }
    }
    return CB_ENOENT;
}

/* The cursor is how many were looked at, in its last bytes. */
int cb_snapshot_visitors(struct cb_snapshot *snapshot, uint32_t site,
                         struct cb_visitor_cursor *cursor, uint32_t scan_max,
                         bool (*each)(void *user, const struct cb_visitor *visitor), void *user,
                         bool *more) {
    struct cb_reader *reader = snapshot->reader;
    size_t n = site == FAKE_DEMO ? reader->n_visitors : 0;
    size_t at = (size_t)cursor->bytes[6] * 256 + cursor->bytes[7];
    bool on = true;
    reader->scanned = 0;
    while (on && at < n && reader->scanned < scan_max) {
        on = each(user, &reader->visitors[at++]);
        reader->scanned++;
    }
    cursor->bytes[6] = (uint8_t)(at / 256);
    cursor->bytes[7] = (uint8_t)(at % 256);
    *more = at < n;
    return 0;
}

/* Finds names that begin with q, byte by byte; one without a letter or digit at its beginning holds
 * no word. The cursor is how many were looked at; above 0xff00 it is none of this search's. */
int cb_snapshot_search(struct cb_snapshot *snapshot, uint32_t site, struct cb_str q,
                       struct cb_search_cursor *cursor, uint32_t scan_max,
                       bool (*each)(void *user, const struct cb_visitor *visitor), void *user,
                       bool *more) {
    struct cb_reader *reader = snapshot->reader;
    size_t n = site == FAKE_DEMO ? reader->n_visitors : 0;
    size_t at = cursor->len == 2 ? (size_t)cursor->bytes[0] * 256 + cursor->bytes[1] : 0;
    bool on = true;
    reader->scanned = 0;
    if (q.len == 0 || strchr("-+.\" ", q.p[0]))
        return CB_EINVAL;
    if (cursor->len != 0 && (cursor->len != 2 || cursor->bytes[0] == 0xff))
        return CB_EMALFORMED;
    while (on && at < n && reader->scanned < scan_max) {
        const struct cb_visitor *visitor = &reader->visitors[at++];
        struct cb_str name = visitor->fields[CB_FIELD_NAME];
        reader->scanned++;
        if (name.len >= q.len && memcmp(name.p, q.p, q.len) == 0)
            on = each(user, visitor);
    }
    cursor->bytes[0] = (uint8_t)(at / 256);
    cursor->bytes[1] = (uint8_t)(at % 256);
    cursor->len = 2;
    *more = at < n;
    return 0;
}

int cb_snapshot_erasure(struct cb_snapshot *snapshot, uint32_t site,
                        const uint8_t tag[CB_VISITOR_BYTES], struct cb_erasure *out) {
    const struct cb_erasure *erasure = snapshot->reader->erasure;
    if (site != FAKE_DEMO || !erasure || memcmp(erasure->tag, tag, CB_VISITOR_BYTES) != 0)
        return CB_ENOENT;
    *out = *erasure;
    return 0;
}

int cb_snapshot_history(struct cb_snapshot *snapshot, uint32_t site,
                        const uint8_t visitor[CB_VISITOR_BYTES], unsigned field,
                        struct cb_field_value out[CB_HISTORY_ROWS_MAX], size_t *n) {
    const struct cb_reader *reader = snapshot->reader;
    (void)visitor;
    *n = 0;
    for (size_t i = 0; site == FAKE_DEMO && i < reader->n_history; i++)
        if (reader->history[i].field == field)
            out[(*n)++] = reader->history[i].value;
    return 0;
}

int cb_snapshot_visits(struct cb_snapshot *snapshot, uint32_t site,
                       const uint8_t visitor[CB_VISITOR_BYTES],
                       bool (*each)(void *user, const struct cb_visitor_visit *visit), void *user) {
    const struct cb_reader *reader = snapshot->reader;
    (void)visitor;
    for (size_t i = 0; site == FAKE_DEMO && i < reader->n_visits; i++)
        if (!each(user, &reader->visits[i]))
            break;
    return 0;
}

/* The visitor's rows from the last to the first. */
int cb_snapshot_timeline(struct cb_snapshot *snapshot, uint32_t site, struct cb_str site_name,
                         const uint8_t visitor[CB_VISITOR_BYTES], struct cb_export_cursor *cursor,
                         uint64_t scan_bytes,
                         bool (*each)(void *user, const struct cb_export_row *row), void *user,
                         bool *more, bool *trimmed) {
    const struct cb_reader *reader = snapshot->reader;
    struct cb_visitor found;
    bool on = true;
    int rc = cb_snapshot_visitor(snapshot, site, visitor, &found);
    (void)scan_bytes;
    *more = false;
    *trimmed = reader->trimmed;
    for (size_t i = rc ? 0 : reader->n_rows; i-- > 0;) {
        const struct cb_export_row *row = &reader->rows[i];
        bool before = cursor->position == 0 || row->position < cursor->position ||
                      (row->position == cursor->position && row->index < cursor->index);
        if (!before || !cb_str_eq(row->envelope->site, site_name) || !row->envelope->has_visitor ||
            memcmp(row->envelope->visitor, visitor, CB_VISITOR_BYTES) != 0)
            continue;
        *more = !on;
        if (*more)
            break;
        on = each(user, row);
        *cursor = (struct cb_export_cursor){row->position, row->index};
    }
    return rc;
}

static const struct cb_export_row *export_row(struct cb_reader *reader, size_t at,
                                              struct cb_export_row *made) {
    if (!reader->endless)
        return at < reader->n_rows ? &reader->rows[at] : NULL;
    *made = reader->rows[0];
    made->position = at + 1;
    made->index = 0;
    return made;
}

int cb_snapshot_export(struct cb_snapshot *snapshot, const struct cb_str *site,
                       struct cb_export_cursor *cursor, uint64_t end, uint32_t scan_max,
                       bool (*each)(void *user, const struct cb_export_row *row), void *user,
                       bool *more) {
    struct cb_reader *reader = snapshot->reader;
    const struct cb_export_row *row;
    struct cb_export_row made;
    size_t at = reader->endless && cursor->position > 0 ? cursor->position - 1 : 0;
    bool on = true;
    end = end < snapshot->position ? end : snapshot->position;
    reader->scan_most = scan_max > reader->scan_most ? scan_max : reader->scan_most;
    reader->exports++;
    for (*more = false; (row = export_row(reader, at, &made)) && row->position <= end; at++) {
        if (row->position < cursor->position ||
            (row->position == cursor->position && row->index < cursor->index))
            continue;
        *more = !on || scan_max == 0;
        if (*more)
            return 0;
        if (row->position == reader->broken_at)
            return CB_ECORRUPT;
        scan_max--;
        *cursor = (struct cb_export_cursor){row->position, row->index + 1};
        if (!site || cb_str_eq(row->envelope->site, *site))
            on = each(user, row);
    }
    return 0;
}

int cb_snapshot_retained(struct cb_snapshot *snapshot, uint32_t site, struct cb_retained *out) {
    (void)site;
    *out = snapshot->reader->retained;
    return 0;
}

void cb_snapshot_books(struct cb_snapshot *snapshot, uint32_t site, struct cb_books *out) {
    *out = site < 3 ? snapshot->reader->books[site] : (struct cb_books){0};
}

/* Whether the range has the fake's visits; also checks that it was widened. */
static bool has_visits(const struct cb_reader *reader, uint32_t site, int64_t from, int64_t to) {
    return site == FAKE_DEMO && from % CB_QUARTER_MINUTES == 0 && to % CB_QUARTER_MINUTES == 0 &&
           from <= reader->visits_minute && reader->visits_minute < to;
}

int cb_snapshot_sessions(struct cb_snapshot *snapshot, uint32_t site, int64_t from, int64_t to,
                         struct cb_session_sums *out) {
    const struct cb_reader *reader = snapshot->reader;
    memset(out, 0, sizeof *out);
    if (reader->sessions && has_visits(reader, site, from, to))
        *out = *reader->sessions;
    return reader->visits_rc;
}

int cb_snapshot_funnel(struct cb_snapshot *snapshot, uint32_t site, int64_t from, int64_t to,
                       struct cb_funnel *out) {
    const struct cb_reader *reader = snapshot->reader;
    memset(out, 0, sizeof *out);
    if (reader->funnel && has_visits(reader, site, from, to))
        *out = *reader->funnel;
    return reader->visits_rc;
}

int cb_snapshot_timing(struct cb_snapshot *snapshot, uint32_t site, int64_t from, int64_t to,
                       enum cb_timing timing, struct cb_hist *out) {
    const struct cb_reader *reader = snapshot->reader;
    memset(out, 0, sizeof *out);
    if (reader->timings && has_visits(reader, site, from, to))
        *out = reader->timings[timing];
    return reader->visits_rc;
}

int cb_snapshot_triggers(struct cb_snapshot *snapshot, uint32_t site, int64_t from, int64_t to,
                         struct cb_trigger_sums **out, size_t *n) {
    const struct cb_reader *reader = snapshot->reader;
    if (reader->visits_rc)
        return reader->visits_rc;
    *n = reader->triggers && has_visits(reader, site, from, to) ? reader->n_triggers : 0;
    *out = calloc(*n + 1, sizeof **out);
    if (!*out)
        return CB_ENOMEM;
    for (size_t i = 0; i < *n; i++)
        (*out)[i] = reader->triggers[i];
    return 0;
}

/* Records' journal time is when their events were received. */
int cb_snapshot_since(struct cb_snapshot *snapshot, int64_t journal_ms, uint64_t *position,
                      bool *kept) {
    const struct cb_reader *reader = snapshot->reader;
    *kept = !reader->trimmed;
    *position = snapshot->position + 1;
    for (size_t i = reader->n_rows; i-- > 0;)
        if (reader->rows[i].envelope->received_ms >= journal_ms)
            *position = reader->rows[i].position;
    return reader->visits_rc;
}

/* Days are those of UTC. */
int cb_snapshot_days(struct cb_snapshot *snapshot, uint32_t site, int64_t from, int64_t to,
                     struct cb_site_days *out) {
    const int64_t day = 24 * 60;
    int rc = cb_snapshot_zone(snapshot, site, out->zone);
    out->first = (int32_t)(from / day);
    out->end = (int32_t)((to + day - 1) / day);
    out->from = out->first * day;
    out->to = out->end * day;
    return rc;
}

int cb_snapshot_breakdown(struct cb_snapshot *snapshot, uint32_t site, enum cb_dim dim,
                          uint32_t name_id, const struct cb_site_days *days, size_t limit,
                          struct cb_breakdown *out) {
    const struct cb_breakdown *given = snapshot->reader->breakdown;
    (void)dim;
    (void)name_id;
    *out = (struct cb_breakdown){0};
    if (snapshot->reader->visits_rc)
        return snapshot->reader->visits_rc;
    if (!given || site != FAKE_DEMO || days->first >= days->end)
        return 0;
    *out = *given;
    out->n = given->n < limit ? given->n : limit;
    out->rows = calloc(given->n + 1, sizeof *out->rows);
    if (!out->rows)
        return CB_ENOMEM;
    memcpy(out->rows, given->rows, given->n * sizeof *out->rows);
    return 0;
}

int cb_snapshot_filtered(struct cb_snapshot *snapshot, uint32_t site,
                         const struct cb_filter *filter, uint32_t name_id, const int32_t *bounds,
                         size_t n, uint64_t *events, uint64_t *visitors, bool *lower_bound,
                         void (*each)(void *user, uint32_t name_id, uint64_t events), void *user) {
    (void)site, (void)filter;
    for (size_t i = 0; i < n; i++) { /* so that what is asked for shows in the answer */
        events[i] = (uint64_t)(bounds[i + 1] - bounds[i]) * 10 + name_id;
        visitors[i] = (uint64_t)bounds[i];
    }
    *lower_bound = snapshot->reader->breakdown && snapshot->reader->breakdown->lower_bound;
    if (each)
        each(user, 7, events[0]);
    return snapshot->reader->visits_rc;
}

/* By pages, devices and languages. */
bool cb_filter_matches(const struct cb_filter *filter, const struct cb_envelope *envelope,
                       const struct cb_event *event) {
    return filter->dim == CB_DIM_PAGE ? cb_str_eq(filter->value, event->page)
           : filter->dim == CB_DIM_DEVICE
               ? cb_str_is(filter->value, cb_device_text(envelope->device))
               : filter->dim == CB_DIM_LANGUAGE && cb_str_is(filter->value, envelope->language);
}
