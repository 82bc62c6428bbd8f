/* SPDX-License-Identifier: MIT
 * The days of time zones: known ones, and all of a stretch of years against the C library, which
 * reads the system's zone files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "store/zone.h"

static struct cb_zone *zone_of(const char *name) {
    struct cb_zone *zone = NULL;
    assert_int_equal(cb_zone_open(cb_str_of(name), &zone), 0);
    return zone;
}

/* Minutes since 1970 of a UTC date and time. */
static int64_t utc(int year, int month, int day, int hour, int minute) {
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute};
    return timegm(&tm) / 60;
}

static int32_t date(int year, int month, int day) {
    return (int32_t)(utc(year, month, day, 0, 0) / 1440);
}

/* Not from the cache, which holds two days. */
static struct cb_day day_anew(struct cb_zone *zone, int64_t minute) {
    (void)cb_zone_day(zone, minute - 14400);
    (void)cb_zone_day(zone, minute + 14400);
    return cb_zone_day(zone, minute);
}

static void known_days(void **state) {
    (void)state;
    static const struct {
        const char *zone;
        int year, month, day; /* the local date */
        int start[5];         /* in UTC */
        int minutes;
    } cases[] = {
        {"UTC", 2026, 3, 29, {2026, 3, 29, 0, 0}, 1440},
        {"Europe/Athens", 2026, 3, 28, {2026, 3, 27, 22, 0}, 1440},
        {"Europe/Athens", 2026, 3, 29, {2026, 3, 28, 22, 0}, 23 * 60},
        {"Europe/Athens", 2026, 10, 25, {2026, 10, 24, 21, 0}, 25 * 60},
        {"Asia/Kathmandu", 2026, 1, 1, {2025, 12, 31, 18, 15}, 1440},
        {"Australia/Lord_Howe", 2026, 4, 5, {2026, 4, 4, 13, 0}, 24 * 60 + 30},
        {"Australia/Lord_Howe", 2026, 10, 4, {2026, 10, 3, 13, 30}, 23 * 60 + 30},
        {"Pacific/Chatham", 2026, 6, 1, {2026, 5, 31, 11, 15}, 1440},
        /* midnight is skipped; midnight comes twice */
        {"America/Sao_Paulo", 2018, 11, 4, {2018, 11, 4, 3, 0}, 23 * 60},
        {"America/Asuncion", 2020, 3, 21, {2020, 3, 21, 3, 0}, 25 * 60},
        /* at 00:01 of November 7th it was 23:01 of the 6th again */
        {"America/St_Johns", 2010, 11, 6, {2010, 11, 6, 2, 30}, 24 * 60},
        {"America/St_Johns", 2010, 11, 7, {2010, 11, 7, 2, 30}, 25 * 60},
        /* Samoa left December 30th out */
        {"Pacific/Apia", 2011, 12, 29, {2011, 12, 29, 10, 0}, 1440},
        {"Pacific/Apia", 2011, 12, 31, {2011, 12, 30, 10, 0}, 1440},
        {"Antarctica/Troll", 2026, 3, 29, {2026, 3, 29, 0, 0}, 22 * 60},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int *s = cases[i].start;
        int64_t from = utc(s[0], s[1], s[2], s[3], s[4]), to = from + cases[i].minutes;
        int32_t number = date(cases[i].year, cases[i].month, cases[i].day);
        struct cb_zone *zone = zone_of(cases[i].zone);
        for (int64_t minute = from; minute < to; minute += 7) {
            struct cb_day day = minute % 2 ? cb_zone_day(zone, minute) : day_anew(zone, minute);
            assert_int_equal(day.number, number);
            assert_int_equal(day.from, from);
            assert_int_equal(day.to, to);
        }
        assert_int_equal(cb_zone_day(zone, to - 1).number, number);
        assert_true(cb_zone_day(zone, from - 1).number < number);
        assert_true(cb_zone_day(zone, to).number > number);
        assert_int_equal(cb_zone_day_start(zone, number), from);
        cb_zone_close(&zone);
    }
}

/* Days since 1970 of the date that the C library's clock shows. */
static int32_t shown(time_t s) {
    struct tm tm;
    assert_non_null(localtime_r(&s, &tm));
    return date(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

/* Every half hour of 1990 to 2020, and where its days begin. */
static void against_the_system(void **state) {
    (void)state;
    static const char *const zones[] = {
        "Europe/Athens",     "America/New_York", "Asia/Kathmandu",    "Australia/Lord_Howe",
        "Pacific/Chatham",   "Pacific/Apia",     "America/Sao_Paulo", "America/Asuncion",
        "America/St_Johns",  "America/Havana",   "Asia/Beirut",       "Asia/Tehran",
        "Pacific/Kwajalein", "Asia/Pyongyang",   "Africa/Casablanca", "Africa/Cairo",
        "Antarctica/Troll",  "America/Caracas",  "Asia/Kolkata",      "Europe/Dublin",
    };
    if (access("/usr/share/zoneinfo/Europe/Athens", R_OK) != 0) {
        skip();
    }
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        struct cb_zone *zone = zone_of(zones[i]);
        assert_int_equal(setenv("TZ", zones[i], 1), 0);
        tzset();
        int32_t begun = INT32_MIN; /* the latest date that the clock has shown */
        struct cb_day before = {0};
        for (int64_t minute = utc(1990, 1, 1, 0, 0); minute < utc(2021, 1, 1, 0, 0); minute += 30) {
            int32_t number = shown((time_t)(minute * 60));
            begun = number > begun ? number : begun;
            struct cb_day day = day_anew(zone, minute);
            if (day.number != begun || minute < day.from || minute >= day.to) {
                fail_msg("%s, minute %lld: day %d, not %d", zones[i], (long long)minute, day.number,
                         begun);
            }
            if (before.to > 0 && day.number != before.number) {
                assert_int_equal(day.from, before.to);
                assert_true(shown((time_t)(day.from * 60)) >= day.number);
                assert_true(shown((time_t)(day.from * 60 - 1)) < day.number);
            }
            before = day;
        }
        cb_zone_close(&zone);
    }
    unsetenv("TZ");
    tzset();
}

static void far_away(void **state) {
    (void)state;
    struct cb_zone *zone = zone_of("Europe/Athens");
    const int64_t minutes[] = {
        0, 1, -100000, utc(2099, 12, 31, 23, 59), utc(2100, 7, 1, 0, 0), UINT32_MAX};
    for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++) {
        struct cb_day day = cb_zone_day(zone, minutes[i]);
        assert_true(day.from <= minutes[i] && minutes[i] < day.to);
        assert_true(day.to - day.from <= 25 * 60);
    }
    cb_zone_close(&zone);
}

static void by_name(void **state) {
    (void)state;
    struct cb_zones *zones;
    struct cb_zone *athens, *again, *unknown, *utc_zone;
    assert_int_equal(cb_zones_create(&zones), 0);
    assert_int_equal(cb_zones_get(zones, cb_str_of("Europe/Athens"), &athens), 0);
    assert_int_equal(cb_zones_get(zones, cb_str_of("UTC"), &utc_zone), 0);
    assert_int_equal(cb_zones_get(zones, cb_str_of("Europe/Athens"), &again), 0);
    assert_ptr_equal(again, athens);
    static const char *const names[] = {
        "", "Europe/Atlantis", "GMT+3", "Etc/Unknown", "europe/athens", "Europe/Ath\xc3\xa8nes"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(cb_zone_open(cb_str_of(names[i]), &unknown), CB_ENOENT);
        assert_int_equal(cb_zones_get(zones, cb_str_of(names[i]), &unknown), 0);
        assert_ptr_equal(unknown, utc_zone);
    }
    cb_zones_destroy(&zones);
    assert_null(zones);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_days),
        cmocka_unit_test(against_the_system),
        cmocka_unit_test(far_away),
        cmocka_unit_test(by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
