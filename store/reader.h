/* SPDX-License-Identifier: MIT
 * reader.h: what the query service may read: the views, in snapshots. No other file of store/ is
 * used by query/.
 *
 * A snapshot is one LMDB read transaction: all that it gives belongs to one moment of the fold. It
 * is bound to the thread that began it, should live for milliseconds and may live for 2 s at most
 * (it holds back the reuse of pages). Strings that a snapshot gives out die with it. Ranges are in
 * whole minutes since 1970 UTC, [from, to). Layout of what is read: FORMAT.md. */
#ifndef CB_STORE_READER_H
#define CB_STORE_READER_H

#include "proto/control.h"
#include "proto/event.h"
#include "proto/hist.h"
#include "proto/refusal.h"

struct cb_reader;   /* shared by threads */
struct cb_snapshot; /* one thread */
struct cb_store;

/* Opens the views of a data folder read-only, for a process that holds no store; waits up to
 * wait_ms for a store to make them. map_bytes must be the store's. *sentence as in store.h. Errors:
 * CB_ENOENT, CB_EVERSION, CB_ESTALE, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_reader_open(const char *data_dir, uint64_t map_bytes, unsigned wait_ms,
                               struct cb_reader **out, char **sentence);
/* Borrows the environment of a store of this process (LMDB must not open one twice); the store must
 * outlive it. Errors: CB_ENOMEM. */
CB_MUST_USE int cb_reader_borrow(struct cb_store *store, struct cb_reader **out);
void cb_reader_close(struct cb_reader **reader);

CB_MUST_USE int cb_snapshot_begin(struct cb_reader *reader, struct cb_snapshot **out);
void cb_snapshot_end(struct cb_snapshot **snapshot);
/* The journal position that the views of this snapshot hold. */
uint64_t cb_snapshot_position(const struct cb_snapshot *snapshot);

struct cb_token {
    unsigned role;              /* enum cb_role */
    char site[CB_SITE_MAX + 1]; /* empty: all sites */
    uint8_t id[CB_TOKEN_ID_BYTES];
    uint8_t made_by[CB_TOKEN_ID_BYTES]; /* zeros: the service or the command line */
    int64_t made_ms;
    char name[CB_TOKEN_NAME_MAX + 1]; /* UTF-8, may be empty */
};
/* The hash is compared in constant time. Errors: CB_ENOENT. */
CB_MUST_USE int cb_snapshot_token(struct cb_snapshot *snapshot,
                                  const uint8_t hash[CB_TOKEN_HASH_BYTES], struct cb_token *out);
/* The token of an id, which opens nothing. Errors: CB_ENOENT. */
CB_MUST_USE int cb_snapshot_token_of(struct cb_snapshot *snapshot,
                                     const uint8_t id[CB_TOKEN_ID_BYTES], struct cb_token *out);
/* Calls each for every token, by id, until it returns false. */
void cb_snapshot_tokens(struct cb_snapshot *snapshot,
                        bool (*each)(void *user, const struct cb_token *token), void *user);

/* What somebody did: a control frame. Strings live during the call that gives them. */
struct cb_audit {
    uint64_t position;
    int64_t at_ms; /* journal time */
    uint8_t by[CB_TOKEN_ID_BYTES];
    unsigned act;       /* enum cb_control_op */
    struct cb_str site; /* may be empty */
    struct cb_str summary;
};
/* Calls each for the acts below position before (0: from the newest), newest first, until it
 * returns false or none is left. */
void cb_snapshot_audit(struct cb_snapshot *snapshot, uint64_t before,
                       bool (*each)(void *user, const struct cb_audit *audit), void *user);

/* A site's settings, or the defaults where it was given none. Strings live until the next call.
 * *position (unless NULL): of the frame that has them, 0 for none. Errors: CB_ECORRUPT, CB_EIO,
 * CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_settings(struct cb_snapshot *snapshot, uint32_t site,
                                     struct cb_settings *out, uint64_t *position);
/* The zone alone, NUL-terminated. Errors: CB_ECORRUPT, CB_EIO. */
CB_MUST_USE int cb_snapshot_zone(struct cb_snapshot *snapshot, uint32_t site,
                                 char out[CB_ZONE_MAX + 1]);

struct cb_site {
    uint32_t id;
    unsigned status; /* enum cb_site_status: the mode */
    int64_t made_ms;
    int64_t first_minute,
        last_minute; /* of counted events; 0, 0 when there are none. last_minute is inclusive */
};
/* Errors: CB_ENOENT. */
CB_MUST_USE int cb_snapshot_site(struct cb_snapshot *snapshot, struct cb_str name,
                                 struct cb_site *out);
/* Calls each for every site, by name, until it returns false. */
void cb_snapshot_sites(struct cb_snapshot *snapshot,
                       bool (*each)(void *user, struct cb_str name, const struct cb_site *site),
                       void *user);

/* An event's name as it stands in the views of one site. */
enum {
    CB_NAME_ID_ALL = 0,
    CB_NAME_ID_SESSIONS = 1,
    CB_NAME_ID_NEWCOMERS = 0x40000000
}; /* all events together; sessions, counted at their start; visitors on the day that they came
    * first
    */
/* Errors: CB_ENOENT: no such event was counted. */
CB_MUST_USE int cb_snapshot_name(struct cb_snapshot *snapshot, uint32_t site, struct cb_str name,
                                 uint32_t *name_id);
/* Calls each for every name of the site, without the two above. */
void cb_snapshot_names(struct cb_snapshot *snapshot, uint32_t site,
                       bool (*each)(void *user, uint32_t name_id, struct cb_str name), void *user);

/* From which minutes on the views know more than quarter hours of events, and days of visitors. */
struct cb_kept {
    int64_t minutes_from;  /* single minutes: from the last 48 hours of the journal on */
    int64_t quarters_from; /* visitors by quarter hour: from the last 35 days of the journal on */
};
/* Errors here and below: CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_kept(struct cb_snapshot *snapshot, struct cb_kept *out);

/* How many different visitors there were. */
enum cb_known {
    CB_KNOWN,         /* exactly so many */
    CB_KNOWN_BY_DAYS, /* the site's days that lie in the range, or over its edge but with their
                         middle in it, had so many; quarter hours of then are not kept */
    CB_UNKNOWN,       /* … and there is no such day, or the range is shorter than one: 0 */
};
struct cb_distinct {
    uint64_t n;
    enum cb_known known;
};

/* Counts for n buckets: bucket i is [bounds[i], bounds[i+1]), bounds ascending, n+1 of them. events
 * (and visitors, unless NULL) hold n. Bounds are whole quarter hours, or lie where minutes are
 * kept; of others the quarter hour that they cut counts in the bucket that it begins in. */
CB_MUST_USE int cb_snapshot_series(struct cb_snapshot *snapshot, uint32_t site, uint32_t name_id,
                                   const int64_t *bounds, size_t n, uint64_t *events,
                                   struct cb_distinct *visitors);
/* How many events of each name [from, to) has, by the ids of names, and how many visitors in all;
 * bounds as above. */
enum { CB_NAME_IDS = 1003 }; /* ids of names are below */
CB_MUST_USE int cb_snapshot_totals(struct cb_snapshot *snapshot, uint32_t site, int64_t from,
                                   int64_t to, uint64_t sums[CB_NAME_IDS],
                                   struct cb_distinct *visitors);

/* Of n periods (as above, by days of the site) how many visitors came for the first time in each:
 * sizes, n of them; and how many of these were there in the k-th period behind it: returned[i * n +
 * k], for i + k < n. *exact is false where a day of the site lies over the edge of a period, as
 * days of another zone do: it then belongs to the one that its middle lies in. */
CB_MUST_USE int cb_snapshot_retention(struct cb_snapshot *snapshot, uint32_t site,
                                      const int64_t *bounds, size_t n, uint64_t *sizes,
                                      uint64_t *returned, bool *exact);

struct cb_visitor {
    uint8_t visitor[CB_VISITOR_BYTES];
    int64_t first_seen_ms, last_seen_ms;
    uint64_t events, sessions;
    struct cb_str
        fields[CB_FIELD_COUNT]; /* empty where never set; live until the next visitor is read */
    struct cb_str remarks;      /* the operators' own, likewise */
};
/* Errors: CB_ENOENT, CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_visitor(struct cb_snapshot *snapshot, uint32_t site,
                                    const uint8_t visitor[CB_VISITOR_BYTES],
                                    struct cb_visitor *out);

/* Where a list goes on: opaque, all zero for the beginning. */
struct cb_visitor_cursor {
    uint8_t bytes[8];
};
/* Calls each for the site's visitors, the last seen first (to the minute; within one by order of
 * first sight, newest first), behind *cursor, until it returns false or scan_max were looked at;
 * *cursor then stands behind the last one given, and *more says whether any are left. Errors:
 * CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_visitors(struct cb_snapshot *snapshot, uint32_t site,
                                     struct cb_visitor_cursor *cursor, uint32_t scan_max,
                                     bool (*each)(void *user, const struct cb_visitor *visitor),
                                     void *user, bool *more);

/* Where a search goes on: len 0 for the beginning. */
enum { CB_SEARCH_CURSOR_MAX = 48 };
struct cb_search_cursor {
    uint8_t len, bytes[CB_SEARCH_CURSOR_MAX];
};
/* Calls each for the site's visitors who are found by q (valid UTF-8): in whose name or e-mail q
 * begins at a word, in whose phone number at a group of digits (words.h), each once, in order of
 * what q began (then of first sight); then, where q is 8 to 32 hexadecimal digits, those whose key
 * it begins. Bounds, *cursor and *more as above. Errors: CB_EINVAL (q holds no word), CB_EMALFORMED
 * (*cursor is of no such search), CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_search(struct cb_snapshot *snapshot, uint32_t site, struct cb_str q,
                                   struct cb_search_cursor *cursor, uint32_t scan_max,
                                   bool (*each)(void *user, const struct cb_visitor *visitor),
                                   void *user, bool *more);

/* An erasure: of whom nothing but a tag is left. */
struct cb_erasure {
    uint8_t tag[CB_VISITOR_BYTES]; /* cb_visitor_tag of the key */
    uint8_t pseudonym[CB_VISITOR_BYTES];
    int64_t at_ms, swept_ms; /* journal time; swept_ms: 0 until all records were rewritten */
    uint64_t position;       /* of the control frame */
    uint64_t dirty;          /* the last record that holds, or held, the key */
    bool swept;              /* no record up to there holds it now */
    uint32_t ordinal;
};
/* The erasure of a tag. Errors: CB_ENOENT, CB_ECORRUPT, CB_EIO. */
CB_MUST_USE int cb_snapshot_erasure(struct cb_snapshot *snapshot, uint32_t site,
                                    const uint8_t tag[CB_VISITOR_BYTES], struct cb_erasure *out);
/* Calls each for all erasures of a site, by tag, until it returns false. */
void cb_snapshot_erasures(struct cb_snapshot *snapshot, uint32_t site,
                          bool (*each)(void *user, const struct cb_erasure *erasure), void *user);
/* Whether anybody was erased, at any site, after this moment of journal time. */
bool cb_snapshot_erased_since(struct cb_snapshot *snapshot, int64_t ms);

/* A value that a field has or had. */
struct cb_field_value {
    int64_t at_ms;
    unsigned source;               /* enum cb_source */
    uint8_t by[CB_TOKEN_ID_BYTES]; /* of an operator's: the token; else zeros */
    struct cb_str text;            /* lives until the next history is read */
    uint32_t moved;                /* values that a field had before (or too late for it) */
};
enum { CB_HISTORY_ROWS_MAX = 21 };
/* What a visitor's field holds, then what it held, newest first: at most CB_HISTORY_ROWS_MAX
 * values; *n is 0 where it was never set. field may be CB_FIELD_REMARKS. Errors: CB_ENOENT (no such
 * visitor), CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_history(struct cb_snapshot *snapshot, uint32_t site,
                                    const uint8_t visitor[CB_VISITOR_BYTES], unsigned field,
                                    struct cb_field_value out[CB_HISTORY_ROWS_MAX], size_t *n);

/* A visit of a visitor: a session. */
struct cb_visitor_visit {
    int64_t start_ms, end_ms;
    uint32_t events;
    bool interacted; /* clicked, maximized, wrote or sent a message */
};
/* Calls each for a visitor's visits that are kept (the one opened last, and of the others those
 * that ended in the last 8 days), the one opened last first, until it returns false. Errors:
 * CB_ENOENT, CB_ECORRUPT, CB_EIO. */
CB_MUST_USE int cb_snapshot_visits(struct cb_snapshot *snapshot, uint32_t site,
                                   const uint8_t visitor[CB_VISITOR_BYTES],
                                   bool (*each)(void *user, const struct cb_visitor_visit *visit),
                                   void *user);

/* Where an export goes on: before event `index` of the frame at `position`. Zeros for the beginning
 * of what the journal keeps. */
struct cb_export_cursor {
    uint64_t position;
    uint32_t index;
};

/* A counted event as the journal has it. Strings live during the call that gives it. */
struct cb_export_row {
    uint64_t position;
    uint32_t index; /* of the event in its frame */
    const struct cb_envelope *envelope;
    const struct cb_event *event;
    int64_t true_ms;
};

/* Gives the counted events of a site in journal order, each once, behind *cursor up to and with
 * position end (at most the snapshot's own), until each returns false or about scan_max events,
 * counted or not, were looked at. *cursor then stands behind the last one looked at, and *more says
 * whether any are left: an export goes on with the same end in a fresh snapshot, so that none is
 * held for long. site NULL: all sites. Errors: CB_EGONE (the journal was trimmed past the cursor),
 * CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_export(struct cb_snapshot *snapshot, const struct cb_str *site,
                                   struct cb_export_cursor *cursor, uint64_t end, uint32_t scan_max,
                                   bool (*each)(void *user, const struct cb_export_row *row),
                                   void *user, bool *more);

/* Gives a visitor's counted events, newest first (by journal order), before *cursor (position 0:
 * from the newest), until each returns false or about scan_bytes of records were read. *cursor then
 * stands at the last one given, *more says whether older ones may be left, and *trimmed that there
 * were some which the journal keeps no longer. Errors: CB_ENOENT (no such visitor), CB_ECORRUPT,
 * CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_timeline(struct cb_snapshot *snapshot, uint32_t site,
                                     struct cb_str site_name,
                                     const uint8_t visitor[CB_VISITOR_BYTES],
                                     struct cb_export_cursor *cursor, uint64_t scan_bytes,
                                     bool (*each)(void *user, const struct cb_export_row *row),
                                     void *user, bool *more, bool *trimmed);

/* ---- what visitors did in their visits (sessions): behaviour.c ----
 * Without bots, and without events that have no visitor. A visit belongs to the quarter hour of its
 * start; from and to are minutes, multiples of CB_QUARTER_MINUTES: so any zone's days are exact. */
enum { CB_QUARTER_MINUTES = 15 };

struct cb_session_sums {
    uint64_t sessions, interacted, bounced; /* see visit.h */
    uint64_t events, duration_ms;           /* of all sessions together */
    struct cb_hist durations;               /* ms */
};
/* Errors here and below: CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_sessions(struct cb_snapshot *snapshot, uint32_t site, int64_t from,
                                     int64_t to, struct cb_session_sums *out);

/* The steps of the chat funnel. */
enum cb_step {
    CB_STEP_LOADED,
    CB_STEP_TRIGGER,
    CB_STEP_CLICK,
    CB_STEP_MAXIMIZE,
    CB_STEP_WRITING,
    CB_STEP_CONTACT, /* a message, or a `set` of email or phone */
    CB_STEP_COUNT
};
struct cb_funnel {
    uint64_t reached[CB_STEP_COUNT];  /* visits with this step and all before, in order */
    uint64_t happened[CB_STEP_COUNT]; /* visits with this step, whatever else they have */
};
CB_MUST_USE int cb_snapshot_funnel(struct cb_snapshot *snapshot, uint32_t site, int64_t from,
                                   int64_t to, struct cb_funnel *out);

/* Durations from the first of one to the first of the other, within a visit. */
enum cb_timing {
    CB_TIMING_LOADED_CLICK,
    CB_TIMING_LOADED_MAXIMIZE,
    CB_TIMING_MAXIMIZE_WRITING,
    CB_TIMING_TRIGGER_MAXIMIZE,
    CB_TIMING_COUNT
};
CB_MUST_USE int cb_snapshot_timing(struct cb_snapshot *snapshot, uint32_t site, int64_t from,
                                   int64_t to, enum cb_timing timing, struct cb_hist *out);

/* What became of visits after their first trigger. */
enum cb_outcome {
    CB_OUTCOME_VISITS, /* all of them */
    CB_OUTCOME_OPENED, /* maximized for the first time at or after it */
    CB_OUTCOME_WROTE,  /* began to write for the first time at or after it */
    CB_OUTCOME_CLOSED, /* minimized at or after it, and did not write */
    CB_OUTCOME_WITHIN, /* opened within CB_WITHIN_S[0] s; then one for each further */
    CB_WITHIN_COUNT = 5,
    CB_OUTCOME_COUNT = CB_OUTCOME_WITHIN + CB_WITHIN_COUNT
};
#define CB_WITHIN_S                                                                                \
    { 10, 30, 60, 120, 300 }
/* Numbers of triggers: none (visits without one), and all past those that a site may have. */
enum { CB_TRIGGER_NONE = 0, CB_TRIGGER_OTHER = 1, CB_TRIGGER_FIRST = 2 };
struct cb_trigger_sums {
    unsigned number;
    struct cb_str id, name; /* empty for the two above */
    uint64_t outcomes[CB_OUTCOME_COUNT];
};
/* The triggers with visits in the range, by number: CB_TRIGGER_NONE is first where it has any.
 * *out is the caller's (free); strings live as long as the snapshot. */
CB_MUST_USE int cb_snapshot_triggers(struct cb_snapshot *snapshot, uint32_t site, int64_t from,
                                     int64_t to, struct cb_trigger_sums **out, size_t *n);

/* ---- what events are about, and where they come from: breakdown.c ----
 * By the days of the site's zone, as it was set when an event came. Without bots, but for
 * CB_DIM_DEVICE, where they are a value; and without events that have no value. */
#define CB_DIMS(X)                                                                                 \
    X(CB_DIM_PAGE, "page")                                                                         \
    X(CB_DIM_REFERRER, "referrer") /* a host */                                                    \
    X(CB_DIM_LANGUAGE, "language")                                                                 \
    X(CB_DIM_DEVICE, "device")   /* cb_device_text, or CB_VALUE_BOT */                             \
    X(CB_DIM_BROWSER, "browser") /* cb_browser_text */                                             \
    X(CB_DIM_TRIGGER, "trigger") /* its id, or else its name; of onTrigger */                      \
    X(CB_DIM_COUNTRY, "country")
#define CB_VALUE_BOT "bot"

enum cb_dim {
#define CB_DIM_ENUM(symbol, name) symbol,
    CB_DIMS(CB_DIM_ENUM)
#undef CB_DIM_ENUM
        CB_DIM_COUNT
};

/* The days of the site's zone that hold some of a range. */
struct cb_site_days {
    char zone[CB_ZONE_MAX + 1];
    int32_t first, end; /* days since 1970-01-01 of their local dates, [first, end) */
    int64_t from, to;   /* minutes: where the first begins and the last ends */
};
/* Of [from, to) minutes, from below to. Errors: CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_days(struct cb_snapshot *snapshot, uint32_t site, int64_t from,
                                 int64_t to, struct cb_site_days *out);

struct cb_breakdown_row {
    struct cb_str value; /* lives as long as the snapshot */
    uint64_t events;
    uint64_t visitors; /* different ones, of all days together */
};
struct cb_breakdown {
    struct cb_breakdown_row *rows; /* most events first, ties by value */
    size_t n;
    uint64_t other_events, other_values; /* what is not among the rows */
    bool lower_bound; /* a day had more values than are kept: other_values are those that are known
                       */
};
/* The limit values with the most events of a name (CB_NAME_ID_ALL for any). out->rows is the
 * caller's (free). Errors: CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_breakdown(struct cb_snapshot *snapshot, uint32_t site, enum cb_dim dim,
                                      uint32_t name_id, const struct cb_site_days *days,
                                      size_t limit, struct cb_breakdown *out);

/* Events of one value of a dimension. */
struct cb_filter {
    enum cb_dim dim;
    struct cb_str value;
};
/* Counts them by days of the site's zone, for n buckets: bucket i is [bounds[i], bounds[i+1]) days.
 * Of a name, or of all: then each (unless NULL) gets what each name has, in pieces. events and
 * visitors hold n; *lower_bound: a day had no room for more values, and what was left out may have
 * been this one. Errors: CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_filtered(struct cb_snapshot *snapshot, uint32_t site,
                                     const struct cb_filter *filter, uint32_t name_id,
                                     const int32_t *bounds, size_t n, uint64_t *events,
                                     uint64_t *visitors, bool *lower_bound,
                                     void (*each)(void *user, uint32_t name_id, uint64_t events),
                                     void *user);
/* Whether an event is one of them, by the same rules. Pure. */
bool cb_filter_matches(const struct cb_filter *filter, const struct cb_envelope *envelope,
                       const struct cb_event *event);

/* The first position whose journal time is journal_ms or later; the snapshot's own + 1 when there
 * is none. *kept is false when older records were trimmed away: then there may have been one.
 * Errors: CB_ECORRUPT, CB_EIO, CB_ENOMEM. */
CB_MUST_USE int cb_snapshot_since(struct cb_snapshot *snapshot, int64_t journal_ms,
                                  uint64_t *position, bool *kept);

/* What a site's retention has taken away so far. */
struct cb_retained {
    uint32_t day; /* rollups of days (UTC, since 1970) before this one are gone; 0: all are there */
    uint64_t rows, row_bytes;      /* of rollups that went */
    uint64_t people, people_bytes; /* visitors whose fields went */
};
/* Zeros where nothing ever went. Errors: CB_ECORRUPT, CB_EIO. */
CB_MUST_USE int cb_snapshot_retained(struct cb_snapshot *snapshot, uint32_t site,
                                     struct cb_retained *out);

/* The books of one site (DESIGN, invariant 4). received is summed from frames' headers, apart from
 * the rest. */
struct cb_books {
    uint64_t received, counted, duplicate, lost;
    uint64_t rejected[CB_REFUSAL_MAX + 1]; /* by enum cb_refusal */
};
/* site: an id, or CB_SITE_ID_NONE for what cannot be put down to a site. A site without a row has
 * zeros. */
enum { CB_SITE_ID_NONE = 0 };
void cb_snapshot_books(struct cb_snapshot *snapshot, uint32_t site, struct cb_books *out);

#endif
