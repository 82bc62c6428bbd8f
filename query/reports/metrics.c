/* SPDX-License-Identifier: MIT
 * metrics.c: GET /metrics: what this process counts (proto/metric.h), and the books of every site
 * from the views, in the Prometheus text format 0.0.4. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "proto/metric.h"
#include "query/report.h"

#ifndef CB_VERSION
#define CB_VERSION "unknown"
#endif

struct page {
    struct cb_buf *out;
    int err;
};

static void print(struct page *page, const char *text) {
    if (!page->err)
        page->err = cb_buf_append(page->out, text, strlen(text));
}

static void print_uint(struct page *page, uint64_t value) {
    if (!page->err)
        page->err = cb_buf_printf(page->out, " %" PRIu64 "\n", value);
}

/* A label's value: \, " and line feed are escaped, by the format's rule. */
static void print_label(struct page *page, const char *key, struct cb_str value) {
    print(page, key);
    print(page, "=\"");
    for (size_t i = 0; i < value.len && !page->err; i++) {
        char c = value.p[i];
        if (c == '\\')
            print(page, "\\\\");
        else if (c == '"')
            print(page, "\\\"");
        else if (c == '\n')
            print(page, "\\n");
        else
            page->err = cb_buf_append(page->out, &c, 1);
    }
    print(page, "\"");
}

static void print_head(struct page *page, const char *name, const char *type, const char *help) {
    if (!page->err)
        page->err =
            cb_buf_printf(page->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The members of struct cb_books that are single numbers. lost is no counter: a gap may close
 * again.
 */
static const struct {
    const char *name;
    size_t offset;
    const char *type, *help;
} rows[] = {
    {"chatbeacon_books_received_total", offsetof(struct cb_books, received), "counter",
     "Events received, summed from the frames that carried them."},
    {"chatbeacon_books_counted_total", offsetof(struct cb_books, counted), "counter",
     "Events counted."},
    {"chatbeacon_books_duplicate_total", offsetof(struct cb_books, duplicate), "counter",
     "Events that had been counted before."},
    {"chatbeacon_books_lost", offsetof(struct cb_books, lost), "gauge",
     "Events that a gap in their producer's numbers shows to be missing."},
};

/* What belongs to no site stands under an empty site. */
static const struct cb_report_site no_site = {CB_SITE_ID_NONE, {"", 0}};

static const struct cb_report_site *site_at(const struct cb_report_site *sites, size_t n,
                                            size_t i) {
    return i < n ? &sites[i] : &no_site;
}

static void print_rejected(struct page *page, struct cb_str site, const struct cb_books *books) {
    const char *unknown = cb_refusal_code(CB_REFUSE_NONE);
    uint64_t others = 0;
    for (unsigned i = 0; i <= CB_REFUSAL_MAX + 1; i++) {
        bool last = i > CB_REFUSAL_MAX; /* reasons without a name, in one row */
        const char *code = last ? unknown : cb_refusal_code(i);
        uint64_t value = last ? others : books->rejected[i];
        if (!last && !strcmp(code, unknown)) {
            others += value;
            continue;
        }
        if (value == 0)
            continue;
        print(page, "chatbeacon_books_rejected_total{");
        print_label(page, "site", site);
        print(page, ",");
        print_label(page, "reason", cb_str_of(code));
        print(page, "}");
        print_uint(page, value);
    }
}

static void print_books(struct page *page, struct cb_report_ctx *ctx,
                        const struct cb_report_site *sites, size_t n) {
    struct cb_books books;
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        print_head(page, rows[row].name, rows[row].type, rows[row].help);
        for (size_t i = 0; i <= n; i++) {
            const struct cb_report_site *site = site_at(sites, n, i);
            uint64_t value;
            cb_snapshot_books(ctx->snapshot, site->id, &books);
            memcpy(&value, (const char *)&books + rows[row].offset, sizeof value);
            print(page, rows[row].name);
            print(page, "{");
            print_label(page, "site", site->name);
            print(page, "}");
            print_uint(page, value);
        }
    }
    print_head(page, "chatbeacon_books_rejected_total", "counter", "Events refused, by reason.");
    for (size_t i = 0; i <= n; i++) {
        const struct cb_report_site *site = site_at(sites, n, i);
        cb_snapshot_books(ctx->snapshot, site->id, &books);
        print_rejected(page, site->name, &books);
    }
}

enum cb_refusal cb_report_metrics(struct cb_report_ctx *ctx) {
    struct page page = {.out = ctx->out};
    struct cb_report_site *sites;
    size_t n;
    if (cb_report_sites(ctx, &sites, &n))
        return CB_REFUSE_INTERNAL;
    page.err = cb_metric_render(page.out);
    print_head(&page, "chatbeacon_build_info", "gauge", "The version that runs.");
    print(&page, "chatbeacon_build_info{");
    print_label(&page, "version", CB_STR(CB_VERSION));
    print(&page, "}");
    print_uint(&page, 1);
    print_head(&page, "chatbeacon_views_position", "gauge",
               "Journal position that the views of this answer hold.");
    print(&page, "chatbeacon_views_position");
    print_uint(&page, cb_snapshot_position(ctx->snapshot));
    print_books(&page, ctx, sites, n);
    free(sites);
    return page.err ? CB_REFUSE_INTERNAL : CB_REFUSE_NONE;
}
