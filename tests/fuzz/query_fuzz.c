/* SPDX-License-Identifier: MIT
 * A query string: single values, a route's parameters, and what from, to, tz, grain and q (as a
 * search and as a filter) mean. A
 * span that was taken lies in its bounds, is the same when it is asked for in milliseconds, and its
 * buckets cover it without a gap. A cursor that was taken is the same when it is written; any text
 * in a table can be had back, and runs in no spreadsheet. */
#include "proto/http.h"
#include "query/csv.h"
#include "query/filter.h"
#include "query/rows.h"
#include "query/span.h"
#include "store/words.h"
#include "tests/fuzz/fuzz.h"

#define NOW_MS INT64_C(1700000000000)
#define MINUTE_LAST (INT64_C(253402300799999) / CB_MINUTE_MS)

enum { BUCKETS_TRIED = 2000, ENCODED_MAX = 8 + 3 * CB_PARAM_VALUE_MAX };

static const char *const allowed[] = {"from", "to",    "tz",     "grain", "event",
                                      "q",    "limit", "cursor", NULL};

/* The value comes back when it is asked for in another spelling. */
static void encode_again(const char *value) {
    static const char digits[] = "0123456789aBcDeF";
    char query[ENCODED_MAX], back[CB_PARAM_VALUE_MAX + 1];
    size_t n = 0, len = strlen(value);
    memcpy(query, "&%61=", 5);
    n = 5;
    for (size_t i = 0; i < len; i++) {
        query[n++] = '%';
        query[n++] = digits[(unsigned char)value[i] >> 4];
        query[n++] = digits[(unsigned char)value[i] & 15];
    }
    FUZZ_CHECK(cb_http_query((struct cb_str){query, n}, "a", back, sizeof back) == 0);
    FUZZ_CHECK(strcmp(back, value) == 0);
}

static void check_value(struct cb_str query, const char *name) {
    static const size_t sizes[] = {0, 1, 2, 16, CB_PARAM_VALUE_MAX + 1};
    char whole[CB_PARAM_VALUE_MAX + 1];
    int rc = cb_http_query(query, name, whole, sizeof whole);
    FUZZ_CHECK(rc == 0 || rc == CB_ENOENT || rc == CB_EMALFORMED || rc == CB_ETOOBIG);
    if (rc == 0) {
        FUZZ_CHECK(cb_utf8_valid(cb_str_of(whole)));
        encode_again(whole);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *out = malloc(sizes[i] ? sizes[i] : 1);
        FUZZ_CHECK(out);
        int short_rc = cb_http_query(query, name, out, sizes[i]);
        if (rc == 0 && strlen(whole) < sizes[i])
            FUZZ_CHECK(short_rc == 0 && strcmp(out, whole) == 0);
        else
            FUZZ_CHECK(short_rc != 0);
        free(out);
    }
}

static void check_error(const struct cb_param_error *error) {
    FUZZ_CHECK(memchr(error->field, 0, sizeof error->field));
    FUZZ_CHECK(memchr(error->sentence, 0, sizeof error->sentence));
    FUZZ_CHECK(error->sentence[0]);
}

/* The same span, asked for in milliseconds. */
static void ask_again(const struct cb_span *span) {
    char query[160];
    struct cb_params params;
    struct cb_param_error error;
    struct cb_span again;
    snprintf(query, sizeof query, "to=%lld&tz=%s&from=%lld", (long long)(span->to * CB_MINUTE_MS),
             span->tz, (long long)(span->from * CB_MINUTE_MS));
    for (char *c = query; *c; c++) /* Etc/GMT+1: in a query, + is a space */
        FUZZ_CHECK(*c != '%');
    char *plus = strchr(query, '+');
    if (plus) {
        memmove(plus + 3, plus + 1, strlen(plus + 1) + 1);
        memcpy(plus, "%2B", 3);
    }
    FUZZ_CHECK(cb_params_parse(cb_str_of(query), allowed, &params, &error) == 0);
    FUZZ_CHECK(cb_span_parse(&params, NOW_MS, &again, &error) == 0);
    FUZZ_CHECK(again.from == span->from && again.to == span->to && !strcmp(again.tz, span->tz));
}

static void check_buckets(const struct cb_span *span, enum cb_grain grain) {
    static const int64_t minutes[] = {1, 60, 24 * 60, 7 * 24 * 60, 31 * 24 * 60};
    struct cb_span part = *span;
    struct cb_buckets buckets;
    struct cb_param_error error;
    if (part.to - part.from > BUCKETS_TRIED * minutes[grain])
        part.to = part.from + BUCKETS_TRIED * minutes[grain];
    FUZZ_CHECK(cb_buckets_init(&part, grain, &buckets, &error) == 0);
    FUZZ_CHECK(buckets.n >= 1 && buckets.n <= CB_SPAN_BUCKETS_MAX);
    FUZZ_CHECK(buckets.first <= part.from);
    FUZZ_CHECK(buckets.bounds[0] == part.from && buckets.bounds[buckets.n] == part.to);
    for (size_t i = 0; i < buckets.n; i++)
        FUZZ_CHECK(buckets.bounds[i] < buckets.bounds[i + 1]);
    cb_buckets_fini(&buckets);
}

/* A name is found by itself, and folding what is folded changes nothing. */
static void check_search(const char *text) {
    struct cb_words name, wanted, again;
    cb_words_of(CB_FIELD_NAME, cb_str_of(text), &name);
    cb_words_wanted(cb_str_of(text), &wanted);
    FUZZ_CHECK(name.len <= CB_WORDS_BYTES && name.n <= CB_WORDS_TERMS && wanted.n <= 1);
    FUZZ_CHECK((name.n > 0) == (wanted.n > 0));
    FUZZ_CHECK(cb_utf8_valid((struct cb_str){name.text, name.len}));
    cb_words_of(CB_FIELD_NAME, (struct cb_str){name.text, name.len}, &again);
    FUZZ_CHECK(again.len == name.len && memcmp(again.text, name.text, name.len) == 0);
    bool digits = text[strspn(text, "0123456789 +-()./")] == '\0';
    if (wanted.n > 0 && !digits)
        FUZZ_CHECK(cb_words_begins(cb_words_term(&name, 0), cb_words_term(&wanted, 0)));
    cb_words_of(CB_FIELD_EMAIL, cb_str_of(text), &again);
    cb_words_of(CB_FIELD_PHONE, cb_str_of(text), &again);
}

static void check_cursor(const char *text) {
    struct cb_export_cursor cursor, again;
    char written[CB_CURSOR_TEXT_MAX];
    if (cb_cursor_parse(text, &cursor) != 0)
        return;
    cb_cursor_text(&cursor, written);
    FUZZ_CHECK(cb_cursor_parse(written, &again) == 0);
    FUZZ_CHECK(again.position == cursor.position && again.index == cursor.index);
}

/* A cell, read back as RFC 4180 has it; then without the quote that keeps it from running. */
static void check_cell(const char *at, const char *text) {
    char back[2 * CB_PARAM_VALUE_MAX + 2];
    const bool quoted = *at == '"';
    size_t n = 0;
    at += quoted;
    while (quoted ? at[0] != '"' || at[1] == '"' : at[0] != '\r') {
        FUZZ_CHECK(*at && n < sizeof back - 1);
        at += quoted && at[0] == '"';
        back[n++] = *at++;
    }
    back[n] = '\0';
    FUZZ_CHECK(!strcmp(at + quoted, "\r\n"));
    FUZZ_CHECK(n == 0 || !strchr("=+-@\t\r\n", back[0]));
    FUZZ_CHECK(!strcmp(back + (back[0] == '\''), text));
}

static void check_table(const char *text) {
    struct cb_buf out, table;
    struct cb_json json;
    cb_buf_init(&out, 16384);
    cb_buf_init(&table, 16384);
    cb_json_init(&json, &out);
    cb_json_object_begin(&json);
    cb_json_key(&json, "rows");
    cb_json_array_begin(&json);
    cb_json_object_begin(&json);
    cb_json_key(&json, "x");
    cb_json_str(&json, cb_str_of(text));
    cb_json_object_end(&json);
    cb_json_array_end(&json);
    cb_json_object_end(&json);
    FUZZ_CHECK(json.err == 0);
    FUZZ_CHECK(cb_csv_write((struct cb_str){out.data, out.len}, "rows", &table) == 0);
    FUZZ_CHECK(cb_buf_append(&table, "", 1) == 0);
    FUZZ_CHECK(!strncmp(table.data, "x\r\n", 3));
    check_cell(table.data + 3, text);
    cb_buf_fini(&table);
    cb_buf_fini(&out);
}

/* What was taken as a filter is the same when it is written with its escapes. */
static void check_filter(const char *text) {
    struct cb_filters filters, again;
    struct cb_param_error error = {0};
    char written[CB_FILTERS_MAX * 2 * CB_PARAM_VALUE_MAX];
    size_t n = 0;
    if (cb_filters_parse(text, &filters, &error) != 0) {
        FUZZ_CHECK(!strcmp(error.field, "filter"));
        check_error(&error);
        return;
    }
    FUZZ_CHECK(filters.n >= 1 && filters.n <= CB_FILTERS_MAX);
    for (unsigned i = 0; i < filters.n; i++) {
        struct cb_str value = filters.rows[i].value;
        FUZZ_CHECK(value.len > 0 && value.len <= strlen(text));
        n += (size_t)snprintf(written + n, sizeof written - n, "%s%s:", i ? ";" : "",
                              cb_dim_name(filters.rows[i].dim));
        for (size_t k = 0; k < value.len; k++) {
            if (value.p[k] == ';' || value.p[k] == '\\')
                written[n++] = '\\';
            written[n++] = value.p[k];
        }
    }
    written[n] = '\0';
    FUZZ_CHECK(!strcmp(written, text));
    FUZZ_CHECK(cb_filters_parse(written, &again, &error) == 0 && again.n == filters.n);
    for (unsigned i = 0; i < filters.n; i++)
        FUZZ_CHECK(again.rows[i].dim == filters.rows[i].dim &&
                   cb_str_eq(again.rows[i].value, filters.rows[i].value));
}

/* What a span is compared with is a span of the same zone, or refused by name. */
static void check_compare(const struct cb_span *span, const char *text) {
    struct cb_span other;
    struct cb_param_error error = {0};
    int rc = cb_span_compare(span, text, &other, &error);
    if (rc != 0) {
        FUZZ_CHECK(rc == CB_EINVAL && !strcmp(error.field, "compare"));
        check_error(&error);
        return;
    }
    FUZZ_CHECK(other.from >= 0 && other.from < other.to && other.to <= MINUTE_LAST);
    FUZZ_CHECK(!strcmp(other.tz, span->tz));
    if (!strcmp(text, "previous"))
        FUZZ_CHECK(other.from < span->from && other.to < span->to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct cb_str query = {(const char *)data, len};
    struct cb_params params;
    struct cb_param_error error = {0};
    struct cb_span span;
    enum cb_grain grain;
    for (size_t i = 0; allowed[i]; i++)
        check_value(query, allowed[i]);
    int rc = cb_params_parse(query, allowed, &params, &error);
    if (rc != 0) {
        FUZZ_CHECK(rc == CB_EINVAL);
        check_error(&error);
        return 0;
    }
    const char *q = cb_params_get(&params, "q");
    if (q && *q)
        check_search(q);
    if (q) {
        check_table(q);
        check_filter(q);
    }
    const char *cursor = cb_params_get(&params, "cursor");
    if (cursor)
        check_cursor(cursor);
    rc = cb_span_parse(&params, NOW_MS, &span, &error);
    if (rc != 0) {
        FUZZ_CHECK(rc == CB_EINVAL);
        check_error(&error);
        return 0;
    }
    FUZZ_CHECK(span.from >= 0 && span.from < span.to && span.to <= MINUTE_LAST);
    ask_again(&span);
    check_compare(&span, "previous");
    check_compare(&span, "year");
    if (q)
        check_compare(&span, q);
    rc = cb_grain_parse(&params, &grain, &error);
    if (rc != 0)
        check_error(&error);
    else
        check_buckets(&span, grain);
    return 0;
}
