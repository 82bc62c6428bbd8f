/* SPDX-License-Identifier: MIT
 * fake_reader.h: the contract of store/reader.h over a few rows in memory, so that the query
 * service is tested alone. Counts are worked out from the rows, bounds and all. */
#ifndef CB_TESTS_QUERY_FAKE_READER_H
#define CB_TESTS_QUERY_FAKE_READER_H

#include <stdatomic.h>

#include "store/reader.h"

/* Tokens that the fake knows, by their text. */
#define FAKE_TOKEN_ALL "all-viewer"        /* viewer, all sites */
#define FAKE_TOKEN_DEMO "demo-admin"       /* admin, demo only */
#define FAKE_TOKEN_SHOP "shop-viewer"      /* viewer, shop only */
#define FAKE_TOKEN_NOBODY "all-nobody"     /* a role below viewer */
#define FAKE_TOKEN_ROOT "all-admin"        /* admin, all sites; id aa00… */
#define FAKE_TOKEN_OPERATOR "all-operator" /* operator, all sites */

struct fake_event {
    int64_t minute;
    uint32_t site, name_id; /* CB_NAME_ID_SESSIONS: the start of a session */
    unsigned visitor;
};

struct fake_name {
    uint32_t site, name_id;
    const char *text;
};

struct fake_history {
    unsigned field;
    struct cb_field_value value;
};

struct cb_reader {
    const struct fake_event *events;
    size_t n_events;
    const struct fake_name *names;
    size_t n_names;
    const struct cb_visitor *visitors; /* of the site demo, in the order of the list */
    size_t n_visitors;
    const struct fake_history *history; /* of each of them, newest first */
    size_t n_history;
    const struct cb_visitor_visit *visits; /* likewise */
    size_t n_visits;
    const struct cb_erasure *erasure; /* at the site demo; NULL: none */
    /* what visits of the site demo come to, if from <= visits_minute < to */
    const struct cb_session_sums *sessions;
    const struct cb_funnel *funnel;
    const struct cb_hist *timings; /* CB_TIMING_COUNT of them */
    const struct cb_trigger_sums *triggers;
    size_t n_triggers;
    int64_t visits_minute;
    const struct cb_breakdown *breakdown; /* of the site demo, by any dimension and event */
    int visits_rc;                        /* what the reports about visits fail with */
    struct cb_books books[3];             /* none, demo, shop */
    const struct cb_export_row *rows;     /* counted events of all sites, in journal order */
    size_t n_rows;
    const struct cb_token *tokens; /* as the list gives them */
    size_t n_tokens;
    const struct cb_audit *audit; /* newest first */
    size_t n_audit;
    struct cb_retained retained; /* of every site */
    struct cb_settings settings; /* of every site; zone.p NULL: the defaults */
    bool endless;                /* rows[0] stands at every position from 1 on, index 0 */
    uint64_t position;           /* of the views; 0: FAKE_POSITION */
    unsigned growth;             /* positions that are folded between two snapshots */
    uint64_t broken_at;          /* where cb_snapshot_export fails with CB_ECORRUPT; 0: nowhere */
    uint32_t scan_most;          /* the largest scan_max asked for */
    atomic_uint exports;         /* calls of cb_snapshot_export */
    int begin_rc;                /* what cb_snapshot_begin returns */
    int series_rc;               /* what cb_snapshot_series returns */
    struct cb_kept kept;
    enum cb_known known; /* … of all visitors */
    uint32_t scanned;    /* visitors looked at by the last list */
    atomic_int open;     /* snapshots that were begun and not ended */
    bool trimmed;        /* older records are gone */
};

enum { FAKE_DEMO = 1, FAKE_SHOP = 2, FAKE_POSITION = 4711 };

#endif
