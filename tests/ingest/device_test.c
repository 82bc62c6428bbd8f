/* SPDX-License-Identifier: MIT
 * Promises of ingest/device.h, by user agents as they are in the wild. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/device.h"

#define CHROME "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "

static const struct {
    const char *agent;
    enum cb_device device;
    bool bot;
} cases[] = {
    {"", CB_DEVICE_UNKNOWN, false},
    {"curl/7.88.1", CB_DEVICE_UNKNOWN, false},
    {"python-requests/2.31", CB_DEVICE_UNKNOWN, false},
    {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) " CHROME "Safari/537.36", CB_DEVICE_DESKTOP, false},
    {"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) " CHROME "Safari/537.36", CB_DEVICE_DESKTOP,
     false},
    {"Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0", CB_DEVICE_DESKTOP,
     false},
    {"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) " CHROME "Safari/537.36", CB_DEVICE_DESKTOP, false},
    {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
     "HeadlessChrome/120.0.0.0 Safari/537.36",
     CB_DEVICE_DESKTOP, true},
    {"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
     "Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
     CB_DEVICE_MOBILE, false},
    {"Mozilla/5.0 (iPad; CPU OS 16_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
     CB_DEVICE_TABLET, false},
    {"Mozilla/5.0 (Linux; Android 10; K) " CHROME "Mobile Safari/537.36", CB_DEVICE_MOBILE, false},
    {"Mozilla/5.0 (Linux; Android 13; SM-X906C) " CHROME "Safari/537.36", CB_DEVICE_TABLET, false},
    {"Mozilla/5.0 (Android 13; Tablet; rv:120.0) Gecko/120.0 Firefox/120.0", CB_DEVICE_TABLET,
     false},
    {"Mozilla/5.0 (Linux; Android 9; CUBOT_X19) " CHROME "Mobile Safari/537.36", CB_DEVICE_MOBILE,
     false},
    {"Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) " CHROME "Mobile Safari/537.36",
     CB_DEVICE_MOBILE, false},
    {"Mozilla/5.0 (Linux; U; Android 8; cubot) " CHROME "Mobile Safari/537.36", CB_DEVICE_MOBILE,
     false},
    {"Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1) Edge/15 Mobile", CB_DEVICE_MOBILE, false},
    {"Opera/9.80 (J2ME/MIDP; Opera Mini/9.5; U; en) Presto/2.5", CB_DEVICE_MOBILE, false},
    {"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", CB_DEVICE_UNKNOWN,
     true},
    {"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) " CHROME
     "Mobile Safari/537.36 (compatible; Googlebot/2.1)",
     CB_DEVICE_MOBILE, true},
    {"Mozilla/5.0 (compatible; YandexBot/3.0)", CB_DEVICE_UNKNOWN, true},
    {"SomeBot", CB_DEVICE_UNKNOWN, true},
    {"some-crawler/1.0", CB_DEVICE_UNKNOWN, true},
    {"Baiduspider+(+http://www.baidu.com)", CB_DEVICE_UNKNOWN, true},
    {"Sogou web spider/4.0", CB_DEVICE_UNKNOWN, true},
    {"facebookexternalhit/1.1", CB_DEVICE_UNKNOWN, true},
    {"Mozilla/5.0 (compatible; Yahoo! Slurp)", CB_DEVICE_UNKNOWN, true},
    {"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ChatGPT-User/1.0)",
     CB_DEVICE_UNKNOWN, true},
    {"Mozilla/5.0 (X11; Linux x86_64) " CHROME "Safari/537.36 PTST/240101.1", CB_DEVICE_DESKTOP,
     true},
    {"Mozilla/5.0 (Windows NT 10.0) " CHROME "Safari/537.36 GTmetrix", CB_DEVICE_DESKTOP, true},
    {"Mozilla/5.0 (compatible; Y!J-BRW/1.0)", CB_DEVICE_UNKNOWN, true},
    {"Mozilla/5.0 (Windows NT 10.0) Botany/1.0 " CHROME, CB_DEVICE_DESKTOP, false},
    {"Mozilla/5.0 (SMART-TV; Linux; Tizen 5.0) " CHROME, CB_DEVICE_UNKNOWN, false},
    /* a token that another's beginning, end or middle hides */
    {"playplaybook", CB_DEVICE_TABLET, false},
    {"iphiphone", CB_DEVICE_MOBILE, false},
    {"smart-smart-tv windows nt", CB_DEVICE_UNKNOWN, false},
    {"sislurp", CB_DEVICE_UNKNOWN, true},
    {"google-inspecgoogle-agent", CB_DEVICE_UNKNOWN, true},
    {"robobot", CB_DEVICE_UNKNOWN, true},
    {"cubotbot", CB_DEVICE_UNKNOWN, true},
    {"bottom cubot", CB_DEVICE_UNKNOWN, false},
};

static void test_classes_and_bots(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = strlen(cases[i].agent);
        char *exact = malloc(len ? len : 1); /* no byte more than the string: reads are checked */
        assert_non_null(exact);
        memcpy(exact, cases[i].agent, len);
        struct cb_device_verdict verdict = cb_device_of((struct cb_str){exact, len});
        free(exact);
        if (verdict.device != cases[i].device || verdict.bot != cases[i].bot)
            fail_msg("%s: device %d bot %d", cases[i].agent, verdict.device, verdict.bot);
    }
}

#define SAFARI "AppleWebKit/605.1.15 (KHTML, like Gecko) "

static void test_browsers(void **state) {
    (void)state;
    static const struct {
        const char *agent;
        enum cb_browser browser;
    } browsers[] = {
        {"", CB_BROWSER_UNKNOWN},
        {"curl/7.88.1", CB_BROWSER_UNKNOWN},
        {"Mozilla/5.0 (Windows NT 10.0) " CHROME "Safari/537.36", CB_BROWSER_CHROME},
        {"Mozilla/5.0 (Windows NT 10.0) " CHROME "Safari/537.36 Edg/120.0", CB_BROWSER_EDGE},
        {"Mozilla/5.0 (Linux; Android 10) " CHROME "Mobile Safari/537.36 EdgA/120",
         CB_BROWSER_EDGE},
        {"Mozilla/5.0 (Windows NT 10.0) " CHROME "Safari/537.36 OPR/106.0", CB_BROWSER_OPERA},
        {"Opera/9.80 (J2ME/MIDP; Opera Mini/9.5; U; en) Presto/2.5", CB_BROWSER_OPERA},
        {"Mozilla/5.0 (Windows NT 10.0) " CHROME "Safari/537.36 Vivaldi/6.5", CB_BROWSER_VIVALDI},
        {"Mozilla/5.0 (Windows NT 10.0) " CHROME "YaBrowser/24.1 Safari/537.36", CB_BROWSER_YANDEX},
        {"Mozilla/5.0 (Linux; Android 13) SamsungBrowser/23.0 " CHROME "Mobile Safari/537.36",
         CB_BROWSER_SAMSUNG},
        {"Mozilla/5.0 (Macintosh) " SAFARI "Version/17.0 Safari/605.1.15", CB_BROWSER_SAFARI},
        {"Mozilla/5.0 (iPhone) " SAFARI "CriOS/120.0 Mobile/15E148 Safari/604.1",
         CB_BROWSER_CHROME},
        {"Mozilla/5.0 (iPhone) " SAFARI "FxiOS/120.0 Mobile/15E148 Safari/605.1",
         CB_BROWSER_FIREFOX},
        {"Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
         CB_BROWSER_FIREFOX},
        {"Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko", CB_BROWSER_EXPLORER},
        {"Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)", CB_BROWSER_EXPLORER},
        {"Mozilla/5.0 (Linux; U; Android 9) MQQBrowser/13.3 " CHROME, CB_BROWSER_QQ},
        {"operopera", CB_BROWSER_OPERA},
        {"huaweibrowser whale/3", CB_BROWSER_WHALE},
    };
    for (size_t i = 0; i < sizeof browsers / sizeof *browsers; i++)
        if (cb_device_of(cb_str_of(browsers[i].agent)).browser != browsers[i].browser)
            fail_msg("%s", browsers[i].agent);
}

static void test_a_long_agent_is_cut(void **state) {
    (void)state;
    char agent[9000];
    memset(agent, 'b', sizeof agent);
    memcpy(agent + sizeof agent - 4, " bot", 4);
    assert_false(cb_device_of((struct cb_str){agent, sizeof agent}).bot);
    memcpy(agent, "bot ", 4);
    assert_true(cb_device_of((struct cb_str){agent, sizeof agent}).bot);
}

static void assert_recalled(struct cb_device_kept *kept, struct cb_str agent) {
    struct cb_device_verdict want = cb_device_of(agent), got = cb_device_recall(kept, agent);
    if (want.device != got.device || want.browser != got.browser || want.bot != got.bot)
        fail_msg("%.*s", (int)agent.len, agent.p);
}

/* Whatever is kept, the verdict is the agent's own. */
static void test_kept_verdicts(void **state) {
    static struct cb_device_kept kept;
    (void)state;
    for (unsigned round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            assert_recalled(&kept, cb_str_of(cases[i].agent));
    /* many that replace each other: of one or two letters more, no bot and bot in turn */
    char agent[64];
    for (unsigned i = 0; i < 20 * CB_DEVICE_KEPT; i++) {
        int len = snprintf(agent, sizeof agent, "%x %s iphone", i / 2, i % 2 ? "bo" : "bot");
        assert_recalled(&kept, (struct cb_str){agent, (size_t)len});
        assert_recalled(&kept, (struct cb_str){agent, (size_t)len});
    }
    unsigned n = 0;
    for (unsigned i = 0; i < CB_DEVICE_KEPT; i++)
        n += kept.agents[i].len > 0;
    assert_true(n > CB_DEVICE_KEPT * 9 / 10); /* they spread */
    /* equal but for the last letter, and the longest */
    char large[CB_DEVICE_KEPT_BYTES + 1];
    memset(large, 'x', sizeof large);
    for (size_t len = CB_DEVICE_KEPT_BYTES - 1; len <= CB_DEVICE_KEPT_BYTES + 1; len++) {
        memcpy(large + len - 3, "bot", 3);
        assert_recalled(&kept, (struct cb_str){large, len});
        large[len - 1] = 'x';
        assert_recalled(&kept, (struct cb_str){large, len});
        memset(large, 'x', sizeof large);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_and_bots),
        cmocka_unit_test(test_browsers),
        cmocka_unit_test(test_a_long_agent_is_cut),
        cmocka_unit_test(test_kept_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
