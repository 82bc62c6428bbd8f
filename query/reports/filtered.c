/* SPDX-License-Identifier: MIT
 * filtered.c: totals and timeseries of the events that have given values of dimensions: filter=.
 *
 * One value by whole days of the site's zone is folded, as a breakdown is. Anything else is counted
 * from raw events, as far as the journal has them (raw.h). `source` says which of the two it was.
 */
#include <stdlib.h>

#include "query/csv.h"
#include "query/filter.h"
#include "query/raw.h"
#include "query/tally.h"

/* What is asked for. */
struct question {
    struct cb_filters filters;
    const char *text;  /* filter= */
    const char *event; /* NULL: all */
    const char *grain; /* NULL: totals */
    const struct cb_buckets *buckets;
};

static void write_question(const struct question *q, const char *source, struct cb_json *json) {
    if (q->grain) {
        cb_json_key(json, "grain");
        cb_json_str(json, cb_str_of(q->grain));
    }
    if (q->event) {
        cb_json_key(json, "event");
        cb_json_str(json, cb_str_of(q->event));
    }
    cb_json_key(json, "filter");
    cb_json_str(json, cb_str_of(q->text));
    cb_json_key(json, "source");
    cb_json_str(json, cb_str_of(source));
}

static void write_points(struct cb_json *json, const struct cb_buckets *buckets,
                         const uint64_t *events, const uint64_t *visitors) {
    cb_json_key(json, "points");
    cb_json_array_begin(json);
    for (size_t i = 0; i < buckets->n; i++) {
        cb_json_object_begin(json);
        cb_json_key(json, "t");
        cb_json_int(json, (i == 0 ? buckets->first : buckets->bounds[i]) * CB_MINUTE_MS);
        cb_json_key(json, "events");
        cb_json_uint(json, events[i]);
        cb_json_key(json, "visitors");
        cb_json_uint(json, visitors[i]);
        cb_json_object_end(json);
    }
    cb_json_array_end(json);
}

/* ---- folded ---- */

/* The day that begins at a bound. Before the site's first event and behind its last one any place
 * is as good as the beginning of a day. Errors: CB_ENOENT: none does. */
static int day_at(struct cb_report_ctx *ctx, int64_t bound, bool is_end, int32_t *out) {
    struct cb_site_days days;
    int rc = cb_snapshot_days(ctx->snapshot, ctx->site.id, bound, bound + 1, &days);
    if (rc)
        return rc;
    *out = days.first;
    if (days.from == bound || (!is_end && bound <= ctx->site.first_minute))
        return 0;
    *out = days.end;
    return is_end && bound > ctx->site.last_minute ? 0 : CB_ENOENT;
}

/* Errors: CB_ENOENT: the buckets are not of whole days. */
static int find_days(struct cb_report_ctx *ctx, const struct cb_buckets *buckets, int32_t *days) {
    int rc = 0;
    for (size_t i = 0; !rc && i <= buckets->n; i++)
        rc = day_at(ctx, buckets->bounds[i], i == buckets->n, &days[i]);
    return rc;
}

struct name {
    uint32_t id;
    struct cb_str text;
    uint64_t events;
};

struct names {
    struct name *rows;
    size_t n, cap;
    bool failed;
};

static bool gather(void *user, uint32_t name_id, struct cb_str text) {
    struct names *names = user;
    if (names->n == names->cap) {
        size_t cap = names->cap ? names->cap * 2 : 32;
        struct name *grown = realloc(names->rows, cap * sizeof *grown);
        if (!grown) {
            names->failed = true;
            return false;
        }
        names->rows = grown;
        names->cap = cap;
    }
    names->rows[names->n++] = (struct name){name_id, text, 0};
    return names->n < CB_REPORT_NAMES_MAX;
}

static int by_id(const void *a, const void *b) {
    const struct name *left = a, *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

static void add_name(void *user, uint32_t name_id, uint64_t events) {
    struct names *names = user;
    struct name key = {.id = name_id};
    struct name *row =
        names->n > 0 ? bsearch(&key, names->rows, names->n, sizeof key, by_id) : NULL;
    if (row)
        row->events += events;
}

static int by_text(const void *a, const void *b) {
    const struct name *left = a, *right = b;
    size_t len = left->text.len < right->text.len ? left->text.len : right->text.len;
    int order = memcmp(left->text.p, right->text.p, len);
    return order ? order : (left->text.len > right->text.len) - (left->text.len < right->text.len);
}

static void write_names(struct cb_json *json, struct names *names) {
    cb_json_key(json, "events");
    cb_json_object_begin(json);
    if (names->n > 0)
        qsort(names->rows, names->n, sizeof *names->rows, by_text);
    for (size_t i = 0; i < names->n; i++) {
        if (names->rows[i].events == 0)
            continue;
        cb_json_key_str(json, names->rows[i].text);
        cb_json_uint(json, names->rows[i].events);
    }
    cb_json_object_end(json);
}

/* counts: room for the events and the visitors of each bucket. */
static int write_folded(struct cb_report_ctx *ctx, const struct question *q, const int32_t *days,
                        uint64_t *counts, struct names *names) {
    struct cb_json *json = &ctx->json;
    const size_t n = q->buckets->n;
    uint32_t name_id = CB_NAME_ID_ALL;
    bool lower_bound = false;
    int rc = 0;
    if (q->event)
        rc = cb_snapshot_name(ctx->snapshot, ctx->site.id, cb_str_of(q->event), &name_id);
    if (!rc)
        rc = cb_snapshot_filtered(ctx->snapshot, ctx->site.id, &q->filters.rows[0], name_id, days,
                                  n, counts, counts + n, &lower_bound, add_name, names);
    else if (rc == CB_ENOENT) /* a name that never happened is no mistake: zeros */
        rc = 0;
    if (rc)
        return rc;
    cb_json_object_begin(json);
    cb_report_range(ctx);
    write_question(q, "folded", json);
    if (q->grain) {
        write_points(json, q->buckets, counts, counts + n);
    } else {
        write_names(json, names);
        cb_json_key(json, "visitors");
        cb_json_uint(json, counts[1]);
    }
    if (lower_bound) {
        cb_json_key(json, "lower_bound");
        cb_json_bool(json, true);
    }
    cb_json_object_end(json);
    return 0;
}

/* Errors: CB_ENOENT: it is not folded. */
static int answer_folded(struct cb_report_ctx *ctx, const struct question *q) {
    const size_t n = q->buckets->n;
    if (q->filters.n > 1)
        return CB_ENOENT;
    int32_t *days = malloc((n + 1) * sizeof *days);
    uint64_t *counts = calloc(n, 2 * sizeof *counts);
    struct names names = {0};
    int rc = days && counts ? find_days(ctx, q->buckets, days) : CB_ENOMEM;
    if (!rc && !q->grain) {
        cb_snapshot_names(ctx->snapshot, ctx->site.id, gather, &names);
        rc = names.failed ? CB_ENOMEM : 0;
        if (!rc && names.n > 0)
            qsort(names.rows, names.n, sizeof *names.rows, by_id);
    }
    if (!rc)
        rc = write_folded(ctx, q, days, counts, &names);
    free(names.rows);
    free(counts);
    free(days);
    return rc;
}

/* ---- raw ---- */

struct filtered {
    struct cb_raw raw;
    struct question question; /* its texts and buckets are those below */
    struct cb_buckets buckets;
    struct cb_tally tally;
    char text[CB_PARAM_VALUE_MAX + 1], event[CB_NAME_MAX + 1];
};

static void fini(struct cb_raw *raw) {
    struct filtered *filtered = (struct filtered *)raw;
    cb_tally_fini(&filtered->tally);
    cb_buckets_fini(&filtered->buckets);
}

static void write_head(const struct cb_raw *raw, struct cb_json *json) {
    write_question(&((const struct filtered *)raw)->question, "raw", json);
}

static int take(struct cb_raw *raw, const struct cb_export_row *row) {
    struct filtered *filtered = (struct filtered *)raw;
    const struct question *q = &filtered->question;
    if ((q->event && !cb_str_is(row->event->name, q->event)) ||
        !cb_filters_match(&q->filters, row->envelope, row->event))
        return 0;
    return cb_tally_add(&filtered->tally, row->envelope, row->event, row->true_ms);
}

static int compare_names(const void *a, const void *b) {
    const struct cb_tally_name *left = a, *right = b;
    size_t len = left->len < right->len ? left->len : right->len;
    int order = memcmp(left->text, right->text, len);
    return order ? order : (left->len > right->len) - (left->len < right->len);
}

/* No more is added: the order of the names is free. */
static int sort_names(struct cb_raw *raw, bool *more) {
    struct cb_tally *tally = &((struct filtered *)raw)->tally;
    if (tally->n_names > 0)
        qsort(tally->names, tally->n_names, sizeof *tally->names, compare_names);
    *more = false;
    return 0;
}

static void write_tail(const struct cb_raw *raw, struct cb_json *json) {
    const struct filtered *filtered = (const struct filtered *)raw;
    const struct cb_tally *tally = &filtered->tally;
    if (filtered->question.grain) {
        write_points(json, &filtered->buckets, tally->events, tally->visitors);
        return;
    }
    cb_json_key(json, "events");
    cb_json_object_begin(json);
    for (size_t i = 0; i < tally->n_names; i++) {
        cb_json_key_str(json, (struct cb_str){tally->names[i].text, tally->names[i].len});
        cb_json_uint(json, tally->names[i].events);
    }
    cb_json_object_end(json);
    cb_json_key(json, "visitors");
    cb_json_uint(json, tally->visitors[0]);
}

static const struct cb_raw_ops totals_ops = {.head = write_head,
                                             .take = take,
                                             .count = sort_names,
                                             .tail = write_tail,
                                             .rows = CB_CSV_PAIRS,
                                             .fini = fini};
static const struct cb_raw_ops series_ops = {
    .head = write_head, .take = take, .tail = write_tail, .rows = "points", .fini = fini};

static int copy_question(struct filtered *filtered, const struct question *q,
                         struct cb_param_error *error) {
    struct question *copy = &filtered->question;
    const size_t bytes = (q->buckets->n + 1) * sizeof *filtered->buckets.bounds;
    memcpy(filtered->text, q->text, strlen(q->text) + 1);
    copy->text = filtered->text;
    copy->grain = q->grain;
    if (q->event) {
        memcpy(filtered->event, q->event, strlen(q->event) + 1);
        copy->event = filtered->event;
    }
    filtered->buckets = *q->buckets;
    filtered->buckets.bounds = malloc(bytes);
    copy->buckets = &filtered->buckets;
    if (!filtered->buckets.bounds)
        return CB_ENOMEM;
    memcpy(filtered->buckets.bounds, q->buckets->bounds, bytes);
    int rc = cb_filters_parse(copy->text, &copy->filters, error);
    return rc ? rc : cb_tally_init(&filtered->tally, filtered->buckets.bounds, q->buckets->n);
}

static enum cb_refusal answer_raw(struct cb_report_ctx *ctx, const struct question *q) {
    struct cb_raw *raw;
    if (q->buckets->n > CB_REPORT_RAW_BUCKETS_MAX)
        return cb_report_failed(cb_param_refuse(&ctx->error, "grain",
                                                "with this filter a range has at most %d buckets: "
                                                "choose a coarser grain or a shorter range",
                                                CB_REPORT_RAW_BUCKETS_MAX));
    enum cb_refusal refusal =
        cb_raw_create(ctx, q->grain ? &series_ops : &totals_ops, sizeof(struct filtered), &raw);
    if (refusal)
        return refusal;
    int rc = copy_question((struct filtered *)raw, q, &ctx->error);
    if (!rc)
        rc = cb_raw_start(ctx, q->grain ? "timeseries" : "totals", &raw);
    if (rc)
        cb_raw_destroy(&raw);
    return rc ? cb_report_failed(rc) : CB_REFUSE_NONE;
}

/* ---- the reports ---- */

static enum cb_refusal answer(struct cb_report_ctx *ctx, struct question *q) {
    q->text = cb_params_get(&ctx->params, "filter");
    int rc = cb_filters_parse(q->text, &q->filters, &ctx->error);
    if (!rc)
        rc = answer_folded(ctx, q);
    if (rc == CB_ENOENT)
        return answer_raw(ctx, q);
    return rc ? cb_report_failed(rc) : CB_REFUSE_NONE;
}

enum cb_refusal cb_report_filtered_totals(struct cb_report_ctx *ctx) {
    int64_t bounds[] = {ctx->span.from, ctx->span.to};
    struct cb_buckets buckets = {1, ctx->span.from, ctx->span.to, bounds};
    struct question q = {.buckets = &buckets};
    return answer(ctx, &q);
}

enum cb_refusal cb_report_filtered_series(struct cb_report_ctx *ctx, const char *event,
                                          enum cb_grain grain, const struct cb_buckets *buckets) {
    struct question q = {.event = event, .grain = cb_grain_name(grain), .buckets = buckets};
    return answer(ctx, &q);
}
