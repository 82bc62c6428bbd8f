/* SPDX-License-Identifier: MIT
 * report.h: what a report is given, and what it gives back.
 *
 * A report reads one snapshot and writes one JSON object (or text), or sets up an export: it sees
 * no socket, and nothing of the store but store/reader.h. A new report is one file in reports/, one
 * line here and one row in the table of routes.c. Called on a query thread; must end within the
 * life of a snapshot, so what it scans and writes is bounded. */
#ifndef CB_QUERY_REPORT_H
#define CB_QUERY_REPORT_H

#include "proto/token.h"
#include "query/json.h"
#include "query/params.h"
#include "query/span.h"
#include "store/reader.h"

enum {
    CB_REPORT_BYTES_MAX = 32 * 1024 * 1024, /* of an answer */
    CB_REPORT_NAMES_MAX = 10000,            /* event names of one totals answer */
    CB_REPORT_SITES_MAX = 100000,           /* sites of one balance */
    CB_REPORT_SCAN_MAX = 1000,              /* visitors that one search looks at */
    CB_REPORT_ROWS_MAX = 200,               /* visitors of one answer */
    CB_REPORT_ROWS_DEFAULT = 50,
    CB_REPORT_VALUES_DEFAULT = 10, /* of one breakdown */
    CB_REPORT_VALUES_MAX = 1000,
    CB_REPORT_RAW_BUCKETS_MAX = 5000, /* of a timeseries that is counted from raw events */
    CB_REPORT_DAYS_MAX = 1100,        /* with events, that a breakdown reads */
    CB_REPORT_AUDIT_ROWS_MAX = 500,   /* of one answer */
    CB_EXPORT_CHUNK_BYTES_MAX = 2 * 1024 * 1024, /* of an export at once: 128 KB and the largest
                                                  row, or all that one visitor's fields held */
};

struct cb_report_ctx;
/* Returns CB_REFUSE_NONE, with *out written, or a refusal (what was written is dropped).
 * ctx->json.err is looked at by the caller. */
typedef enum cb_refusal cb_report_fn(struct cb_report_ctx *ctx);

/* What somebody wants to watch (live.h). */
struct cb_live_ask {
    struct cb_str site; /* its name; p NULL: nothing. Lives as long as the request */
    uint32_t site_id;
    const struct cb_token *token;
    uint64_t position; /* of the views as the request saw them: new is what comes behind it */
    bool resumes;      /* … or what is from `from` on */
    struct cb_export_cursor from;
    int64_t oldest_ms; /* what was received before this may not be seen any more */
    bool old;          /* … and so is what comes at `from`, up to `seen` */
    struct cb_export_cursor seen;
};

struct cb_report_ctx {
    /* Given. Valid during the call. */
    struct cb_reader *reader;
    struct cb_snapshot *snapshot; /* NULL on open routes */
    struct cb_token token;        /* on routes that need one */
    struct cb_str site_name;      /* per-site routes: known, and open to the token */
    struct cb_site site;
    struct cb_str visitor;       /* {visitor} of the path, unchecked */
    struct cb_str id;            /* {id}, likewise */
    struct cb_str body;          /* of the request; for body.h */
    struct cb_str last_event_id; /* the header Last-Event-ID; empty where it was not sent */
    struct cb_json_parser *parser;
    struct cb_params params;
    struct cb_span span; /* on routes that take from, to and tz */
    bool comparing;      /* the second run for one answer, of the span that is compared with */
    int64_t now_ms;
    /* To be written. json writes into out; a report of another type writes out itself. */
    struct cb_buf *out;
    struct cb_json json;
    bool csv;                          /* given: the answer is made into a table afterwards */
    char next[CB_PARAM_VALUE_MAX + 1]; /* … which has no place for the cursor of the next page */
    struct cb_param_error error;       /* on a refusal: field and sentence; empty for none */
    struct cb_export *export;          /* instead of out: the caller's to send and destroy */
    struct cb_live_ask live;           /* … or: a stream; token points into this */
    int status;                        /* of the answer; 0: 200 */
    /* Instead of out: what is to be written, its op not 0. made_ms and by are filled in by the
     * caller. When the views hold it, after is called in a snapshot that has it, and writes the
     * answer. Strings point into text, or what lives as long as the call. */
    struct cb_control control;
    cb_report_fn *after;
    struct cb_buf text; /* empty; holds CB_CONTROL_MAX */
    bool lease;         /* … or: renew the site's lease; after sees the site's status here: */
    unsigned lease_status;
    char secret[CB_SECRET_BYTES]; /* what only after may tell, once */
};

cb_report_fn cb_report_live;      /* reports/live.c: sets ctx->live */
cb_report_fn cb_report_totals;    /* reports/totals.c */
cb_report_fn cb_report_series;    /* reports/series.c */
cb_report_fn cb_report_sessions;  /* reports/sessions.c */
cb_report_fn cb_report_funnel;    /* reports/funnel.c; with steps= the next one */
cb_report_fn cb_report_steps;     /* reports/steps.c: sets ctx->export */
cb_report_fn cb_report_timings;   /* reports/timings.c */
cb_report_fn cb_report_triggers;  /* reports/triggers.c */
cb_report_fn cb_report_breakdown; /* reports/breakdown.c */
cb_report_fn cb_report_retention; /* reports/retention.c */
cb_report_fn cb_report_visitors;  /* reports/visitors.c: list and search */
cb_report_fn cb_report_visitor;   /* reports/visitor.c: one */
cb_report_fn cb_report_timeline;  /* reports/visitor.c: … and its events */
cb_report_fn cb_report_person;    /* reports/person.c: all of one; sets ctx->export */
cb_report_fn cb_report_export;    /* reports/export.c: sets ctx->export */
cb_report_fn cb_report_balance;   /* reports/books.c */
cb_report_fn cb_report_metrics;   /* reports/metrics.c */
cb_report_fn cb_report_alive;     /* reports/health.c */
cb_report_fn cb_report_ready;     /* reports/health.c */

cb_report_fn cb_report_settings;      /* reports/settings.c */
cb_report_fn cb_report_kept;          /* reports/kept.c */
cb_report_fn cb_report_settings_put;  /* reports/settings.c */
cb_report_fn cb_report_status_put;    /* reports/settings.c */
cb_report_fn cb_report_presence;      /* reports/settings.c */
cb_report_fn cb_report_visitor_edit;  /* reports/edit.c */
cb_report_fn cb_report_visitor_erase; /* reports/erase.c */
cb_report_fn cb_report_erasure;       /* reports/erase.c: the receipt */
cb_report_fn cb_report_sites_list;    /* reports/sites.c */
cb_report_fn cb_report_site_put;      /* reports/sites.c */
cb_report_fn cb_report_token;         /* reports/tokens.c: the asker's own */
cb_report_fn cb_report_tokens;        /* reports/tokens.c */
cb_report_fn cb_report_token_make;    /* reports/tokens.c */
cb_report_fn cb_report_token_revoke;  /* reports/tokens.c */
cb_report_fn cb_report_audit;         /* reports/audit.c */

/* The refusal for a negative cb_err of a helper: CB_EINVAL means that ctx->error is filled. */
static inline enum cb_refusal cb_report_failed(int rc) {
    return rc == CB_EINVAL ? CB_REFUSE_BAD_REQUEST : CB_REFUSE_INTERNAL;
}

/* For the reports of events and visitors (reports/totals.c): widens the ends of the span to whole
 * quarter hours where minutes are not kept. Errors: CB_ECORRUPT, CB_EIO. */
CB_MUST_USE int cb_report_fit(struct cb_report_ctx *ctx);
/* Writes visitors (null where nothing is known), and visitors_exact: false where it is not. */
void cb_report_distinct(struct cb_json *json, const struct cb_distinct *visitors);

/* For the reports by whole days of the site (reports/breakdown.c), whose routes do not take a span:
 * reads from, to and tz into ctx->span, in the site's zone where no other was given. Errors: those
 * of cb_span_parse, and CB_ECORRUPT, CB_EIO. */
CB_MUST_USE int cb_report_site_span(struct cb_report_ctx *ctx);

/* For the reports about visits (reports/visits.c): widens the span to whole quarter hours, which
 * their rollups stand in; writes site, from, to and tz; writes a histogram of milliseconds as
 * count, p50_ms, p90_ms, p99_ms (null without any) and buckets: [highest value, n] each. */
void cb_report_quarters(struct cb_report_ctx *ctx);
void cb_report_range(struct cb_report_ctx *ctx);
void cb_report_hist(struct cb_json *json, const struct cb_hist *hist);

/* An answer that is made in chunks, each in a snapshot of its own (reports/export.c; stream.h sends
 * it). It needs nothing of the request. One owner. */
struct cb_export {
    const struct cb_export_ops *ops;
    const char *type; /* its Content-Type; static */
    const char *name; /* of the file that a browser makes of it; NULL: none. Its own */
    uint64_t end;     /* the journal position that it goes up to */
};
struct cb_export_ops {
    /* Appends the next chunk to out, which is empty and holds CB_EXPORT_CHUNK_BYTES_MAX; *more says
     * whether another follows. A chunk may be empty: what it looked at was nobody's. Errors:
     * CB_EAGAIN (no snapshot), CB_EGONE (the journal has been trimmed past what was asked for),
     * CB_ECORRUPT, CB_EIO, CB_ENOMEM; then the export is over. */
    int (*next)(struct cb_export *export, struct cb_buf *out, bool *more);
    void (*destroy)(struct cb_export *export);
};
CB_MUST_USE static inline int cb_export_next(struct cb_export *export, struct cb_buf *out,
                                             bool *more) {
    return export->ops->next(export, out, more);
}
static inline const char *cb_export_type(const struct cb_export *export) {
    return export->type;
}
static inline uint64_t cb_export_end(const struct cb_export *export) {
    return export->end;
}
static inline void cb_export_destroy(struct cb_export **export) {
    if (*export)
        (*export)->ops->destroy(*export);
    *export = NULL;
}

/* Totals and timeseries of what filter= says, which is there (reports/filtered.c). */
cb_report_fn cb_report_filtered_totals;
enum cb_refusal cb_report_filtered_series(struct cb_report_ctx *ctx, const char *event,
                                          enum cb_grain grain, const struct cb_buckets *buckets);

/* A status mode by its name, and its name; 0 for none of them. (reports/settings.c) */
unsigned cb_status_of(struct cb_str text);
const char *cb_status_name(unsigned status);

/* The sites that a token may see, by name; names live as long as the snapshot. */
struct cb_report_site {
    uint32_t id;
    struct cb_str name;
};
/* *sites is the caller's (free). Errors: CB_ENOMEM, CB_ETOOBIG. (reports/books.c) */
CB_MUST_USE int cb_report_sites(struct cb_report_ctx *ctx, struct cb_report_site **sites,
                                size_t *n);

#endif
