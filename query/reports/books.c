/* SPDX-License-Identifier: MIT
 * books.c: GET /v1/balance: for each site what was received and what became of it, and whether that
 * adds up (received = counted + duplicate + rejected). */
#include <stdlib.h>

#include "query/report.h"

struct gathered {
    struct cb_report_site *rows;
    size_t n, cap;
    const char *only; /* a site's name, or "" for all */
    int rc;
};

static bool gather(void *user, struct cb_str name, const struct cb_site *site) {
    struct gathered *sites = user;
    if (*sites->only && !cb_str_is(name, sites->only))
        return true;
    if (sites->n == CB_REPORT_SITES_MAX) {
        sites->rc = CB_ETOOBIG;
        return false;
    }
    if (sites->n == sites->cap) {
        size_t cap = sites->cap ? sites->cap * 2 : 16;
        struct cb_report_site *grown = realloc(sites->rows, cap * sizeof *grown);
        if (!grown) {
            sites->rc = CB_ENOMEM;
            return false;
        }
        sites->rows = grown;
        sites->cap = cap;
    }
    sites->rows[sites->n++] = (struct cb_report_site){site->id, name};
    return true;
}

int cb_report_sites(struct cb_report_ctx *ctx, struct cb_report_site **sites, size_t *n) {
    struct gathered gathered = {.only = ctx->token.site};
    cb_snapshot_sites(ctx->snapshot, gather, &gathered);
    if (gathered.rc) {
        free(gathered.rows);
        return gathered.rc;
    }
    *sites = gathered.rows;
    *n = gathered.n;
    return 0;
}

static void books_add(struct cb_books *sum, const struct cb_books *books) {
    sum->received += books->received;
    sum->counted += books->counted;
    sum->duplicate += books->duplicate;
    sum->lost += books->lost;
    for (unsigned i = 0; i <= CB_REFUSAL_MAX; i++)
        sum->rejected[i] += books->rejected[i];
}

static bool books_balance(const struct cb_books *books) {
    uint64_t known = books->counted + books->duplicate;
    for (unsigned i = 0; i <= CB_REFUSAL_MAX; i++)
        known += books->rejected[i];
    return known == books->received;
}

/* Reasons that this version does not know (a newer store's) share one name: they are one row. */
static void write_rejected(struct cb_json *json, const struct cb_books *books) {
    const char *unknown = cb_refusal_code(CB_REFUSE_NONE);
    uint64_t others = 0;
    cb_json_object_begin(json);
    for (unsigned i = 0; i <= CB_REFUSAL_MAX; i++) {
        const char *code = cb_refusal_code(i);
        if (!strcmp(code, unknown)) {
            others += books->rejected[i];
        } else if (books->rejected[i] > 0) {
            cb_json_key(json, code);
            cb_json_uint(json, books->rejected[i]);
        }
    }
    if (others > 0) {
        cb_json_key(json, unknown);
        cb_json_uint(json, others);
    }
    cb_json_object_end(json);
}

static void write_books(struct cb_json *json, const struct cb_books *books) {
    cb_json_object_begin(json);
    cb_json_key(json, "received");
    cb_json_uint(json, books->received);
    cb_json_key(json, "counted");
    cb_json_uint(json, books->counted);
    cb_json_key(json, "duplicate");
    cb_json_uint(json, books->duplicate);
    cb_json_key(json, "rejected");
    write_rejected(json, books);
    cb_json_key(json, "lost");
    cb_json_uint(json, books->lost);
    cb_json_object_end(json);
}

enum cb_refusal cb_report_balance(struct cb_report_ctx *ctx) {
    struct cb_report_site *sites = NULL;
    struct cb_books total = {0}, books;
    bool balanced = true;
    size_t n = 0;
    if (cb_report_sites(ctx, &sites, &n))
        return CB_REFUSE_INTERNAL;

    cb_json_object_begin(&ctx->json);
    cb_json_key(&ctx->json, "sites");
    cb_json_object_begin(&ctx->json);
    for (size_t i = 0; i < n; i++) {
        cb_snapshot_books(ctx->snapshot, sites[i].id, &books);
        balanced = balanced && books_balance(&books);
        books_add(&total, &books);
        cb_json_key_str(&ctx->json, sites[i].name);
        write_books(&ctx->json, &books);
    }
    cb_json_object_end(&ctx->json);
    free(sites);

    if (ctx->token.site[0] == '\0') { /* what belongs to no site is no one site's to see */
        cb_snapshot_books(ctx->snapshot, CB_SITE_ID_NONE, &books);
        balanced = balanced && books_balance(&books);
        books_add(&total, &books);
    }
    cb_json_key(&ctx->json, "total");
    write_books(&ctx->json, &total);
    cb_json_key(&ctx->json, "balanced");
    cb_json_bool(&ctx->json, balanced);
    cb_json_key(&ctx->json, "position");
    cb_json_uint(&ctx->json, cb_snapshot_position(ctx->snapshot));
    cb_json_object_end(&ctx->json);
    return CB_REFUSE_NONE;
}
