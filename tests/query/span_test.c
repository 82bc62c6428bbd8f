/* SPDX-License-Identifier: MIT
 * from, to, tz and grain: what is read from a query, and where buckets begin in the calendars of
 * several zones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "query/span.h"

#define NOW_MS INT64_C(1715000030500) /* 2024-05-06T12:53:50.5Z */

static const char *const allowed[] = {"from", "to", "tz", "grain", NULL};

static int parse(const char *query, struct cb_span *span, struct cb_param_error *error) {
    struct cb_params params;
    *error = (struct cb_param_error){"", ""};
    int rc = cb_params_parse(cb_str_of(query), allowed, &params, error);
    return rc ? rc : cb_span_parse(&params, NOW_MS, span, error);
}

/* The minute of a UTC time: the arithmetic of the tests' expectations, apart from that of span.c.
 */
static int64_t utc(int year, int month, int day, int hour, int minute) {
    int64_t days = 0;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int y = 1970; y < year; y++)
        days += (y % 4 == 0 && y % 100 != 0) || y % 400 == 0 ? 366 : 365;
    for (int m = 1; m < month; m++)
        days += lengths[m - 1] + (m == 2 && year % 4 == 0 ? 1 : 0);
    return ((days + day - 1) * 24 + hour) * 60 + minute;
}

static void assert_from(const char *query, int64_t from) {
    struct cb_span span;
    struct cb_param_error error;
    if (parse(query, &span, &error))
        fail_msg("%s: %s", query, error.sentence);
    if (span.from != from)
        fail_msg("%s: from is %lld, not %lld", query, (long long)span.from, (long long)from);
}

static void assert_refused(const char *query, const char *field) {
    struct cb_span span;
    struct cb_param_error error;
    if (parse(query, &span, &error) != CB_EINVAL)
        fail_msg("%s: not refused", query);
    if (strcmp(error.field, field) != 0)
        fail_msg("%s: refused for %s: %s", query, error.field, error.sentence);
    assert_true(error.sentence[0] != '\0');
}

static void times_are_read(void **state) {
    (void)state;
    assert_from("from=0", 0);
    assert_from("from=1714996859999", utc(2024, 5, 6, 12, 0)); /* cut to the minute */
    assert_from("from=2024-05-01", utc(2024, 5, 1, 0, 0));
    assert_from("from=2024-02-29", utc(2024, 2, 29, 0, 0));
    assert_from("from=2024-05-01T13:45", utc(2024, 5, 1, 13, 45));
    assert_from("from=2024-05-01T13:45Z&tz=Asia/Tokyo", utc(2024, 5, 1, 13, 45));
    assert_from("from=2024-05-01T13:45:59.999999Z", utc(2024, 5, 1, 13, 45));
    assert_from("from=2024-05-01T13:45:59%2B02:00", utc(2024, 5, 1, 11, 45));
    assert_from("from=2024-05-01T13:45-0330", utc(2024, 5, 1, 17, 15));
    assert_from("from=2024-05-01T13:45%2B05", utc(2024, 5, 1, 8, 45));
    assert_from("from=2024-05-01T00:15%2B05:45&tz=UTC", utc(2024, 4, 30, 18, 30));
}

static void local_times_follow_the_zone(void **state) {
    (void)state;
    assert_from("from=2024-01-10&tz=Europe/Athens", utc(2024, 1, 9, 22, 0));
    assert_from("from=2024-05-01&tz=Europe%2FAthens", utc(2024, 4, 30, 21, 0));
    assert_from("from=2024-05-01T09:00&tz=Asia/Kathmandu", utc(2024, 5, 1, 3, 15));
    assert_from("from=2024-05-01T09:00&tz=America/St_Johns", utc(2024, 5, 1, 11, 30));
    /* 03:30 does not exist on this day in Athens: the end of the gap, 04:00 there. */
    assert_from("from=2024-03-31T03:30&tz=Europe/Athens", utc(2024, 3, 31, 1, 0));
    /* 03:30 comes twice: the first. */
    assert_from("from=2023-10-29T03:30&tz=Europe/Athens", utc(2023, 10, 29, 0, 30));
    /* The clock goes on at midnight: the day begins at 01:00. */
    assert_from("from=2018-11-04&tz=America/Sao_Paulo", utc(2018, 11, 4, 3, 0));
    /* The clock goes back at 01:00 to 00:00: the day begins at the first midnight. */
    assert_from("from=2023-11-05&tz=America/Havana", utc(2023, 11, 5, 4, 0));
}

static void defaults(void **state) {
    struct cb_span span;
    struct cb_param_error error;
    (void)state;
    assert_int_equal(parse("", &span, &error), 0);
    assert_int_equal(span.to, utc(2024, 5, 6, 12, 54)); /* the minute under way is in */
    assert_int_equal(span.from, utc(2024, 4, 6, 0, 0));
    assert_string_equal(span.tz, "UTC");
    assert_int_equal(parse("tz=Asia/Kathmandu&to=2024-03-10T10:00Z", &span, &error), 0);
    assert_int_equal(span.from, utc(2024, 2, 8, 18, 15)); /* 2024-02-09 there */
    assert_string_equal(span.tz, "Asia/Kathmandu");
    assert_int_equal(parse("to=1970-01-02", &span, &error), 0);
    assert_int_equal(span.from, 0);
}

static void zones_are_checked(void **state) {
    (void)state;
    static const char *const bad[] = {
        "Mars/Olympus",
        "",
        "GMT%2B3",
        "UTC%2B01:00",
        "europe/athens",
        "Etc/Unknown",
        "Europe/",
        "../etc/passwd",
        "Europe/Athens%20",
        "%CE%91",
        "Europe/Athens/Europe/Athens/Europe/Athens/Europe/Athens/Europe/Athens",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char query[160];
        snprintf(query, sizeof query, "tz=%s", bad[i]);
        assert_refused(query, "tz");
    }
}

static void hostile_times_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "now",
        "-1",
        "1e12",
        "99999999999999999999999999",
        "999999999999999",
        "2024-5-1",
        "2024-13-01",
        "2024-00-01",
        "2024-04-31",
        "2023-02-29",
        "1900-01-01",
        "1969-12-31",
        "10000-01-01",
        "2024-05-01T",
        "2024-05-01T24:00",
        "2024-05-01T12:60",
        "2024-05-01T12:00:60",
        "2024-05-01T12:00:00.",
        "2024-05-01T12",
        "2024-05-01 12:00",
        "2024-05-01T12:00%2B",
        "2024-05-01T12:00%2B2:00",
        "2024-05-01T12:00%2B02:",
        "2024-05-01T12:00%2B99:00",
        "2024-05-01T12:00+02:00", /* + is a space in a query */
        "2024-05-01T12:00ZZ",
        "2024-05-01Z",
        "1970-01-01T00:00%2B05:00",
        "%D9%A2%D9%A0", /* digits of another script */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char query[160];
        snprintf(query, sizeof query, "from=%s", bad[i]);
        assert_refused(query, "from");
        snprintf(query, sizeof query, "from=0&to=%s", bad[i]);
        assert_refused(query, "to");
    }
}

static void from_lies_before_to(void **state) {
    (void)state;
    assert_refused("from=2024-05-01&to=2024-05-01", "from");
    assert_refused("from=2024-05-02&to=2024-05-01", "from");
    assert_refused("from=60000&to=119999", "from"); /* the same minute */
    assert_refused("from=2030-01-01", "from");
    assert_refused("to=0", "to");
    assert_from("from=60000&to=120000", 1);
}

static void params_are_checked(void **state) {
    (void)state;
    assert_refused("form=2024-05-01", "form");
    assert_refused("from=0&from=0", "from");
    assert_refused("fr%6Fm=0", "fr%6Fm");
    assert_refused("tz=%FF", "tz");
    assert_refused("tz=%", "tz");
    assert_refused("tz=%00", "tz");
    assert_refused("=", "");
    assert_from("&from=0&&", 0);
    char query[600] = "tz=";
    memset(query + 3, 'a', 500);
    assert_refused(query, "tz");
    query[0] = 'x'; /* the name is cut where the error has no room for it */
    memset(query, 'x', 500);
    struct cb_span span;
    struct cb_param_error error;
    assert_int_equal(parse(query, &span, &error), CB_EINVAL);
    assert_int_equal(strlen(error.field), CB_PARAM_VALUE_MAX);
}

/* What a query's span is compared with, as minutes; or the sentence that refuses it. */
static const char *compared(const char *query, const char *compare) {
    static char text[256];
    struct cb_span span, other;
    struct cb_param_error error = {"", ""};
    assert_int_equal(parse(query, &span, &error), 0);
    int rc = cb_span_compare(&span, compare, &other, &error);
    if (rc) {
        assert_int_equal(rc, CB_EINVAL);
        assert_string_equal(error.field, "compare");
        assert_true(error.sentence[0] != '\0');
        return "refused";
    }
    assert_string_equal(other.tz, span.tz);
    snprintf(text, sizeof text, "%lld %lld", (long long)other.from * 60, (long long)other.to * 60);
    return text;
}

static void assert_compared(const char *query, const char *compare, const char *as) {
    struct cb_span span;
    struct cb_param_error error;
    char want[256];
    assert_int_equal(parse(as, &span, &error), 0);
    snprintf(want, sizeof want, "%lld %lld", (long long)span.from * 60, (long long)span.to * 60);
    const char *got = compared(query, compare);
    if (strcmp(got, want) != 0)
        fail_msg("%s, %s: %s, not %s", query, compare, got, want);
}

static void spans_before(void **state) {
    (void)state;
    const char *athens = "from=2024-04-01&to=2024-04-08&tz=Europe/Athens";
    /* A week of 167 hours before one of 168; dates stay dates over changes of the clocks. */
    assert_compared(athens, "previous", "from=2024-03-25&to=2024-04-01&tz=Europe/Athens");
    assert_compared(athens, "year", "from=2023-04-01&to=2023-04-08&tz=Europe/Athens");
    assert_compared("from=2024-03-31&to=2024-04-01&tz=Europe/Athens", "previous",
                    "from=2024-03-30&to=2024-03-31&tz=Europe/Athens");
    assert_compared("from=2023-10-29&to=2023-10-30&tz=Europe/Athens", "previous",
                    "from=2023-10-28&to=2023-10-29&tz=Europe/Athens");
    assert_compared("from=2024-04-07&to=2024-04-08&tz=Australia/Lord_Howe", "previous",
                    "from=2024-04-06&to=2024-04-07&tz=Australia/Lord_Howe");
    /* Part of a day: the same of the day before. Days that are not over: as much of those before.
     */
    assert_compared("from=2024-05-02T13:00&to=2024-05-02T15:30", "previous",
                    "from=2024-05-01T13:00&to=2024-05-01T15:30");
    assert_compared("from=2024-05-01&to=2024-05-03T15:30", "previous",
                    "from=2024-04-28&to=2024-04-30T15:30");
    /* The hour that the clocks leave out. */
    assert_compared("from=2024-04-01T03:00&to=2024-04-01T05:00&tz=Europe/Athens", "previous",
                    "from=2024-03-31T04:00&to=2024-03-31T05:00&tz=Europe/Athens");
    assert_compared("from=2011-12-31&to=2012-01-01&tz=Pacific/Apia", "previous",
                    "from=2011-12-29&to=2011-12-31&tz=Pacific/Apia");
    assert_compared("from=2024-02-29&to=2024-03-01", "year", "from=2023-02-28&to=2023-03-01");
    assert_compared("from=2024-02-28&to=2024-03-02", "year", "from=2023-02-28&to=2023-03-02");
    assert_compared(athens, "2024-01-01..2024-01-03",
                    "from=2024-01-01&to=2024-01-03&tz=Europe/Athens");
    assert_compared(athens, "1704067200000..2024-01-03T00:00Z",
                    "from=1704067200000&to=2024-01-03T00:00Z&tz=Europe/Athens");
    static const char *const bad[] = {"",
                                      "PREVIOUS",
                                      "last year",
                                      "2024-01-01",
                                      "..",
                                      "2024-01-01..",
                                      "..2024-01-01",
                                      "a..b",
                                      "2024-01-02..2024-01-01",
                                      "1..2",
                                      "2024-01-01..2024-01-03..2024-01-04"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_string_equal(compared(athens, bad[i]), "refused");
    assert_string_equal(compared("from=1970-01-02&to=1970-01-04", "previous"), "refused");
    assert_string_equal(compared("from=1970-06-02&to=1970-06-04", "year"), "refused");
    assert_string_equal(compared("from=0&to=9999-12-31", "previous"), "refused");
}

static void cut(const char *query, struct cb_buckets *buckets) {
    struct cb_params params;
    struct cb_param_error error = {"", ""};
    struct cb_span span;
    enum cb_grain grain;
    if (cb_params_parse(cb_str_of(query), allowed, &params, &error) ||
        cb_span_parse(&params, NOW_MS, &span, &error) || cb_grain_parse(&params, &grain, &error) ||
        cb_buckets_init(&span, grain, buckets, &error))
        fail_msg("%s: %s", query, error.sentence);
    assert_int_equal(buckets->bounds[0], span.from);
    assert_int_equal(buckets->bounds[buckets->n], span.to);
    assert_true(buckets->first <= span.from);
    for (size_t i = 0; i < buckets->n; i++)
        assert_true(buckets->bounds[i] < buckets->bounds[i + 1]);
}

/* The lengths of the buckets in minutes, like "1440 1380 1440". */
static void assert_lengths(const char *query, const char *lengths) {
    struct cb_buckets buckets;
    char text[512];
    size_t len = 0;
    cut(query, &buckets);
    for (size_t i = 0; i < buckets.n && len < sizeof text; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%lld", i ? " " : "",
                                (long long)(buckets.bounds[i + 1] - buckets.bounds[i]));
    cb_buckets_fini(&buckets);
    if (strcmp(text, lengths) != 0)
        fail_msg("%s: %s, not %s", query, text, lengths);
}

static void days_have_23_to_25_hours(void **state) {
    (void)state;
    assert_lengths("from=2024-03-30&to=2024-04-02&tz=UTC", "1440 1440 1440");
    assert_lengths("from=2024-03-30&to=2024-04-02&tz=Europe/Athens", "1440 1380 1440");
    assert_lengths("from=2023-10-28&to=2023-10-31&tz=Europe/Athens", "1440 1500 1440");
    assert_lengths("from=2024-03-30&to=2024-04-02&tz=Asia/Kathmandu", "1440 1440 1440");
    assert_lengths("from=2024-03-09&to=2024-03-12&tz=America/St_Johns", "1440 1380 1440");
    /* Until 2011 St John's changed its clock at 00:01, so midnight came twice in autumn. */
    assert_lengths("from=2010-11-06&to=2010-11-09&tz=America/St_Johns", "1440 1500 1440");
    assert_lengths("from=2018-11-03&to=2018-11-06&tz=America/Sao_Paulo", "1440 1380 1440");
    assert_lengths("from=2023-11-04&to=2023-11-07&tz=America/Havana", "1440 1500 1440");
    /* Samoa left a day out. */
    assert_lengths("from=2011-12-28&to=2012-01-01&tz=Pacific/Apia", "1440 1440 1440");
}

static void hours_follow_the_local_clock(void **state) {
    (void)state;
    /* 02:00, 04:00 (03:00 is skipped), 05:00 */
    assert_lengths("grain=hour&from=2024-03-31T02:00&to=2024-03-31T06:00&tz=Europe/Athens",
                   "60 60 60");
    /* 02:00, 03:00, 03:00 again, 04:00 */
    assert_lengths("grain=hour&from=2023-10-29T02:00&to=2023-10-29T05:00&tz=Europe/Athens",
                   "60 60 60 60");
    assert_lengths("grain=hour&from=2024-05-01T00:30&to=2024-05-01T02:10&tz=Asia/Kathmandu",
                   "30 60 10");
    /* Half an hour of daylight saving: one bucket takes it in. */
    assert_lengths("grain=hour&from=2024-04-07T00:00&to=2024-04-07T03:00&tz=Australia/Lord_Howe",
                   "60 90 60");
    struct cb_buckets buckets;
    cut("grain=hour&from=2024-05-01T00:00Z&to=2024-05-01T02:00Z&tz=Asia/Kathmandu", &buckets);
    assert_int_equal(buckets.n, 3);
    assert_int_equal(buckets.first, utc(2024, 4, 30, 23, 15)); /* 05:00 there */
    assert_int_equal(buckets.bounds[1], utc(2024, 5, 1, 0, 15));
    cb_buckets_fini(&buckets);
}

static void the_first_bucket_begins_in_the_calendar(void **state) {
    struct cb_buckets buckets;
    (void)state;
    cut("grain=day&from=2024-05-01T12:00&to=2024-05-02T12:00&tz=Europe/Athens", &buckets);
    assert_int_equal(buckets.n, 2);
    assert_int_equal(buckets.first, utc(2024, 4, 30, 21, 0));
    assert_int_equal(buckets.bounds[0], utc(2024, 5, 1, 9, 0));
    assert_int_equal(buckets.bounds[1], utc(2024, 5, 1, 21, 0));
    assert_int_equal(buckets.bounds[2], utc(2024, 5, 2, 9, 0));
    cb_buckets_fini(&buckets);
    /* In the 59 minutes of November 6 that came again after the 7th had begun. */
    cut("grain=day&from=2010-11-07T02:45Z&to=2010-11-08T03:30Z&tz=America/St_Johns", &buckets);
    assert_int_equal(buckets.n, 1);
    assert_int_equal(buckets.first, utc(2010, 11, 7, 2, 30));
    cb_buckets_fini(&buckets);
}

static void weeks_begin_on_monday(void **state) {
    struct cb_buckets buckets;
    (void)state;
    cut("grain=week&from=2024-01-03&to=2024-01-17&tz=Europe/Athens", &buckets);
    assert_int_equal(buckets.n, 3);
    assert_int_equal(buckets.first, utc(2023, 12, 31, 22, 0)); /* Monday, January 1 */
    assert_int_equal(buckets.bounds[1], utc(2024, 1, 7, 22, 0));
    assert_int_equal(buckets.bounds[2], utc(2024, 1, 14, 22, 0));
    cb_buckets_fini(&buckets);
    assert_lengths("grain=week&from=2024-03-25&to=2024-04-08&tz=Europe/Athens", "10020 10080");
    cut("grain=week&from=2024-01-07&to=2024-01-08", &buckets); /* a Sunday */
    assert_int_equal(buckets.n, 1);
    assert_int_equal(buckets.first, utc(2024, 1, 1, 0, 0));
    cb_buckets_fini(&buckets);
}

static void months_have_their_days(void **state) {
    (void)state;
    assert_lengths("grain=month&from=2023-12-01&to=2024-05-01&tz=UTC",
                   "44640 44640 41760 44640 43200");
    assert_lengths("grain=month&from=2024-03-01&to=2024-04-01&tz=Europe/Athens", "44580");
    assert_lengths("grain=month&from=2024-10-01&to=2024-11-01&tz=America/St_Johns", "44640");
    assert_lengths("grain=month&from=2024-11-01&to=2024-12-01&tz=America/St_Johns", "43260");
    assert_lengths("grain=month&from=2024-01-31&to=2024-02-02&tz=Asia/Kathmandu", "1440 1440");
}

/* Of a long range most starts are reckoned from the one before: each is where the calendar has it
 * for a single minute. */
static void assert_starts(const char *zone, enum cb_grain grain, int64_t from, int64_t to) {
    struct cb_span span = {.from = from, .to = to}, minute;
    struct cb_buckets all, one;
    struct cb_param_error error;
    snprintf(span.tz, sizeof span.tz, "%s", zone);
    minute = span;
    assert_int_equal(cb_buckets_init(&span, grain, &all, &error), 0);
    assert_true(all.n > 50);
    for (size_t i = 1; i < all.n; i++) {
        minute.from = all.bounds[i];
        minute.to = minute.from + 1;
        assert_int_equal(cb_buckets_init(&minute, grain, &one, &error), 0);
        if (one.first != minute.from || (i + 1 < all.n && one.end != all.bounds[i + 1]))
            fail_msg("%s, grain %d: a bucket from %lld to %lld, not %lld to %lld", zone, grain,
                     (long long)minute.from, (long long)all.bounds[i + 1], (long long)one.first,
                     (long long)one.end);
        cb_buckets_fini(&one);
    }
    cb_buckets_fini(&all);
}

static void starts_are_those_of_the_calendar(void **state) {
    (void)state;
    /* Clocks that change at midnight, over it, by half an hour, by a day, often, or never. */
    static const char *const zones[] = {
        "UTC",           "Europe/Athens",     "Asia/Kathmandu",     "America/St_Johns",
        "Asia/Beirut",   "America/Sao_Paulo", "America/Havana",     "Australia/Lord_Howe",
        "Pacific/Apia",  "Africa/Casablanca", "Pacific/Kiritimati", "America/Caracas",
        "Asia/Pyongyang"};
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        assert_starts(zones[i], CB_GRAIN_WEEK, utc(1994, 1, 5, 0, 0), utc(2026, 1, 1, 0, 0));
        assert_starts(zones[i], CB_GRAIN_DAY, utc(1994, 12, 1, 0, 0), utc(1995, 12, 1, 0, 0));
        assert_starts(zones[i], CB_GRAIN_DAY, utc(2010, 10, 1, 0, 0), utc(2012, 4, 1, 0, 0));
        assert_starts(zones[i], CB_GRAIN_HOUR, utc(2024, 3, 1, 0, 0), utc(2024, 4, 15, 0, 0));
        assert_starts(zones[i], CB_GRAIN_HOUR, utc(2010, 10, 25, 0, 0), utc(2010, 11, 15, 0, 0));
    }
}

static void grains_and_their_number_are_checked(void **state) {
    struct cb_params params;
    struct cb_param_error error;
    struct cb_span span;
    struct cb_buckets buckets;
    enum cb_grain grain;
    (void)state;
    assert_int_equal(cb_params_parse(CB_STR("grain=year"), allowed, &params, &error), 0);
    assert_int_equal(cb_grain_parse(&params, &grain, &error), CB_EINVAL);
    assert_string_equal(error.field, "grain");

    assert_int_equal(parse("from=0&to=6000000000", &span, &error), 0);
    assert_int_equal(cb_buckets_init(&span, CB_GRAIN_MINUTE, &buckets, &error), 0);
    assert_int_equal(buckets.n, CB_SPAN_BUCKETS_MAX);
    cb_buckets_fini(&buckets);
    span.to++;
    assert_int_equal(cb_buckets_init(&span, CB_GRAIN_MINUTE, &buckets, &error), CB_EINVAL);
    assert_string_equal(error.field, "grain");
    assert_int_equal(parse("from=0&to=9999-12-31&tz=Africa/Monrovia", &span, &error), 0);
    assert_int_equal(cb_buckets_init(&span, CB_GRAIN_DAY, &buckets, &error), CB_EINVAL);
    assert_int_equal(cb_buckets_init(&span, CB_GRAIN_MONTH, &buckets, &error), 0);
    /* Liberia was 44 min 30 s behind until 1972: December 1969 comes first. */
    assert_int_equal(buckets.n, 8030 * 12 + 1);
    cb_buckets_fini(&buckets);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(local_times_follow_the_zone),
        cmocka_unit_test(defaults),
        cmocka_unit_test(zones_are_checked),
        cmocka_unit_test(hostile_times_are_refused),
        cmocka_unit_test(from_lies_before_to),
        cmocka_unit_test(params_are_checked),
        cmocka_unit_test(spans_before),
        cmocka_unit_test(days_have_23_to_25_hours),
        cmocka_unit_test(hours_follow_the_local_clock),
        cmocka_unit_test(the_first_bucket_begins_in_the_calendar),
        cmocka_unit_test(weeks_begin_on_monday),
        cmocka_unit_test(months_have_their_days),
        cmocka_unit_test(starts_are_those_of_the_calendar),
        cmocka_unit_test(grains_and_their_number_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
