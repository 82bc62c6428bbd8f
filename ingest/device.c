/* SPDX-License-Identifier: MIT
 * device.c: see device.h. One walk over the user agent, a step of an automaton for each byte (Aho
 * and Corasick, 1975), however many tokens there are. What is not listed is unknown and no bot: a
 * wrong "bot" would hide a person. */
#include "ingest/device.h"

#include <assert.h>
#include <pthread.h>

#include "proto/hash.h"

enum {
    LOOKED_AT_MAX = 512, /* bytes of a user agent; real ones are shorter */
    STATES_MAX = 1024,   /* of the automaton: the different beginnings of all tokens */
    ENDS = STATES_MAX,   /* marks a state */
    CLASSES_MAX = 40,    /* different letters of tokens, and one for all other bytes */
};

enum mark {
    BOT = 1,      /* anywhere */
    BOT_WORD = 2, /* the end of a word, as in Googlebot/2.1 */
    TABLET = 4,   /* a tablet, whatever else it says */
    PHONE = 8,    /* a phone, whatever else it says */
    MOBILE = 16,  /* says that it is mobile */
    ANDROID = 32, /* a phone when also mobile, else a tablet */
    DESKTOP = 64, /* a desktop system */
    TELEVISION = 128,
};

/* The bots are those that run a page's scripts, or look so: chosen from the instances of
 * github.com/monperrus/crawler-user-agents (MIT, of July 2026), besides the words that most bots
 * have. To take one in, add its row and a user agent of it in the test. */
static const struct {
    const char *text; /* lower case */
    unsigned mark;
    enum cb_browser browser;
} tokens[] = {
    {"acunetix", BOT, 0},
    {"alertsite", BOT, 0},
    {"android", ANDROID, 0},
    {"archivebox", BOT, 0},
    {"bingpreview", BOT, 0},
    {"bot", BOT_WORD, 0},
    {"bots", BOT_WORD, 0},
    {"brandverity", BOT, 0},
    {"censysinspect", BOT, 0},
    {"chatgpt-user", BOT, 0},
    {"checkly", BOT, 0},
    {"chrome/", 0, CB_BROWSER_CHROME},
    {"chromium/", 0, CB_BROWSER_CHROME},
    {"claude-user", BOT, 0},
    {"cloudflare-", BOT, 0},
    {"contentking", BOT, 0},
    {"crawl", BOT, 0},
    {"crios/", 0, CB_BROWSER_CHROME},
    {"cros", DESKTOP, 0},
    {"dareboost", BOT, 0},
    {"datadogsynthetics", BOT, 0},
    {"ddg/", 0, CB_BROWSER_DUCKDUCKGO},
    {"dotcom-monitor", BOT, 0},
    {"duckduckgo/", 0, CB_BROWSER_DUCKDUCKGO},
    {"edg/", 0, CB_BROWSER_EDGE},
    {"edga/", 0, CB_BROWSER_EDGE},
    {"edge/", 0, CB_BROWSER_EDGE},
    {"edgios/", 0, CB_BROWSER_EDGE},
    {"facebookexternalhit", BOT, 0},
    {"feedfetcher", BOT, 0},
    {"firefox/", 0, CB_BROWSER_FIREFOX},
    {"flipboardproxy", BOT, 0},
    {"fxios/", 0, CB_BROWSER_FIREFOX},
    {"gemini-deep-research", BOT, 0},
    {"ghost inspector", BOT, 0},
    {"google favicon", BOT, 0},
    {"google web preview", BOT, 0},
    {"google-agent", BOT, 0},
    {"google-inspectiontool", BOT, 0},
    {"google-site-verification", BOT, 0},
    {"google-structured-data", BOT, 0},
    {"googleagent", BOT, 0},
    {"googleother", BOT, 0},
    {"gtmetrix", BOT, 0},
    {"headless", BOT, 0},
    {"heritrix", BOT, 0},
    {"httrack", BOT, 0},
    {"huaweibrowser/", 0, CB_BROWSER_HUAWEI},
    {"ia_archiver", BOT, 0},
    {"ipad", TABLET, 0},
    {"iphone", PHONE, 0},
    {"ipod", PHONE, 0},
    {"kindle", TABLET, 0},
    {"lighthouse", BOT, 0},
    {"macintosh", DESKTOP, 0},
    {"manus-user", BOT, 0},
    {"mediapartners-google", BOT, 0},
    {"meta-externalagent", BOT, 0},
    {"meta-externalfetcher", BOT, 0},
    {"miuibrowser/", 0, CB_BROWSER_MIUI},
    {"mobi", MOBILE, 0},
    {"mqqbrowser/", 0, CB_BROWSER_QQ},
    {"msie ", 0, CB_BROWSER_EXPLORER},
    {"nessus", BOT, 0},
    {"netcraft", BOT, 0},
    {"newrelicsynthetics", BOT, 0},
    {"nikto", BOT, 0},
    {"opera", 0, CB_BROWSER_OPERA},
    {"opera mini", PHONE, 0},
    {"opios/", 0, CB_BROWSER_OPERA},
    {"opr/", 0, CB_BROWSER_OPERA},
    {"opt/", 0, CB_BROWSER_OPERA},
    {"pagespeed", BOT, 0},
    {"perplexity-user", BOT, 0},
    {"phantomjs", BOT, 0},
    {"pingdom", BOT, 0},
    {"playbook", TABLET, 0},
    {"playwright", BOT, 0},
    {"prerender", BOT, 0},
    {"ptst/", BOT, 0},
    {"puppeteer", BOT, 0},
    {"qqbrowser/", 0, CB_BROWSER_QQ},
    {"qualys", BOT, 0},
    {"safari/", 0, CB_BROWSER_SAFARI},
    {"samsungbrowser/", 0, CB_BROWSER_SAMSUNG},
    {"selenium", BOT, 0},
    {"silk/", TABLET, CB_BROWSER_SILK},
    {"silktide", BOT, 0},
    {"site24x7", BOT, 0},
    {"sitebulb", BOT, 0},
    {"siteimprove", BOT, 0},
    {"skypeuripreview", BOT, 0},
    {"slurp", BOT, 0},
    {"smart-tv", TELEVISION, 0},
    {"smarttv", TELEVISION, 0},
    {"spider", BOT, 0},
    {"statuscake", BOT, 0},
    {"tablet", TABLET, 0},
    {"thousandeyes", BOT, 0},
    {"trident/", 0, CB_BROWSER_EXPLORER},
    {"ubrowser/", 0, CB_BROWSER_UC},
    {"ucbrowser/", 0, CB_BROWSER_UC},
    {"uptimerobot", BOT, 0},
    {"virustotal", BOT, 0},
    {"vivaldi/", 0, CB_BROWSER_VIVALDI},
    {"vkshare", BOT, 0},
    {"whale/", 0, CB_BROWSER_WHALE},
    {"windows nt", DESKTOP, 0},
    {"windows phone", PHONE, 0},
    {"x11", DESKTOP, 0},
    {"y!j", BOT, 0},
    {"yabrowser/", 0, CB_BROWSER_YANDEX},
    {"yahoo link preview", BOT, 0},
    {"zgrab", BOT, 0},
};

enum { N_TOKENS = sizeof tokens / sizeof *tokens };

/* Which browser it is when an agent names several, as most do: those that are built on another
 * come before it. */
static const enum cb_browser ranks[] = {
    CB_BROWSER_EDGE,    CB_BROWSER_OPERA,    CB_BROWSER_SAMSUNG, CB_BROWSER_YANDEX,
    CB_BROWSER_UC,      CB_BROWSER_VIVALDI,  CB_BROWSER_SILK,    CB_BROWSER_HUAWEI,
    CB_BROWSER_MIUI,    CB_BROWSER_QQ,       CB_BROWSER_WHALE,   CB_BROWSER_DUCKDUCKGO,
    CB_BROWSER_FIREFOX, CB_BROWSER_EXPLORER, CB_BROWSER_CHROME,  CB_BROWSER_SAFARI,
};

static unsigned char lower(unsigned char c) {
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool is_letter(char c) {
    return lower((unsigned char)c) >= 'a' && lower((unsigned char)c) <= 'z';
}

/* ---- the automaton: a state is the longest beginning of a token that the text ends with ---- */

static struct {
    uint8_t classes[256];                   /* of a byte, in either case; 0: in no token */
    uint16_t next[STATES_MAX][CLASSES_MAX]; /* with ENDS, where a token ends in that state */
    struct found {
        uint16_t marks; /* of the tokens that end here, but BOT_WORD */
        uint8_t word;   /* the length of the one with BOT_WORD, or 0 */
        uint32_t browsers;
    } found[STATES_MAX];
} automaton;

static void classes_make(void) {
    uint8_t n = 1;
    for (unsigned i = 0; i < N_TOKENS; i++)
        for (const char *p = tokens[i].text; *p; p++)
            if (!automaton.classes[(unsigned char)*p])
                automaton.classes[(unsigned char)*p] = n++;
    assert(n <= CLASSES_MAX);
    for (unsigned c = 'A'; c <= 'Z'; c++)
        automaton.classes[c] = automaton.classes[lower((unsigned char)c)];
}

/* The tree of all tokens: 0 is no child. Returns its number of states. */
static unsigned tree_make(void) {
    unsigned n = 1;
    for (unsigned i = 0; i < N_TOKENS; i++) {
        unsigned state = 0, len = 0;
        for (; tokens[i].text[len]; len++) {
            uint16_t *next =
                &automaton.next[state][automaton.classes[(unsigned char)tokens[i].text[len]]];
            if (!*next)
                *next = (uint16_t)n++;
            assert(n <= STATES_MAX);
            state = *next;
        }
        struct found *found = &automaton.found[state];
        found->marks |= (uint16_t)(tokens[i].mark & ~(unsigned)BOT_WORD);
        found->browsers |= 1u << tokens[i].browser;
        if (tokens[i].mark == BOT_WORD)
            found->word = (uint8_t)len;
    }
    return n;
}

static bool ends_any(unsigned state) {
    const struct found *found = &automaton.found[state];
    return found->marks || found->browsers || found->word;
}

/* Where a token does not go on, the text goes on with the longest other beginning that it ends with
 * (its shorter is known, since states are visited by their length), and ends what that ends. */
static void automaton_make(void) {
    static uint16_t queue[STATES_MAX], shorter[STATES_MAX];
    classes_make();
    unsigned n = tree_make(), first = 0, last = 1; /* the root is in the queue */
    while (first < last) {
        unsigned state = queue[first++];
        const uint16_t *other = automaton.next[shorter[state]];
        struct found *found = &automaton.found[state], *more = &automaton.found[shorter[state]];
        if (state) {
            assert(!found->word || !more->word);
            found->marks |= more->marks;
            found->browsers |= more->browsers;
            found->word |= more->word;
        }
        for (unsigned c = 0; c < CLASSES_MAX; c++) {
            uint16_t *next = &automaton.next[state][c];
            if (*next) {
                shorter[*next] = state ? other[c] : 0;
                queue[last++] = *next;
            } else if (state) {
                *next = other[c];
            }
        }
    }
    assert(last == n);
    for (unsigned state = 0; state < n; state++)
        for (unsigned c = 0; c < CLASSES_MAX; c++)
            automaton.next[state][c] |= ends_any(automaton.next[state][c]) ? ENDS : 0;
}

/* "bot" must end a word, and the word must not be the phone maker's: CUBOT. */
static bool ends_bot_word(struct cb_str ua, size_t at, size_t len) {
    if (at + len < ua.len && is_letter(ua.p[at + len]))
        return false;
    return !(at >= 2 && lower((unsigned char)ua.p[at - 2]) == 'c' &&
             lower((unsigned char)ua.p[at - 1]) == 'u' && (at == 2 || !is_letter(ua.p[at - 3])));
}

/* *browsers: a bit for each that is named. */
static unsigned marks_of(struct cb_str ua, unsigned *browsers) {
    static pthread_once_t made = PTHREAD_ONCE_INIT;
    unsigned marks = 0, state = 0;
    (void)pthread_once(&made, automaton_make);
    *browsers = 0;
    for (size_t at = 0; at < ua.len; at++) {
        state = automaton.next[state][automaton.classes[(unsigned char)ua.p[at]]];
        if (!(state & ENDS))
            continue;
        state -= ENDS;
        const struct found *found = &automaton.found[state];
        marks |= found->marks;
        *browsers |= found->browsers;
        if (found->word && ends_bot_word(ua, at + 1 - found->word, found->word))
            marks |= BOT_WORD;
    }
    return marks;
}

static enum cb_browser browser_of(unsigned browsers) {
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
        if (browsers & 1u << ranks[i])
            return ranks[i];
    return CB_BROWSER_UNKNOWN;
}

struct cb_device_verdict cb_device_of(struct cb_str user_agent) {
    struct cb_str ua = user_agent;
    if (ua.len > LOOKED_AT_MAX)
        ua.len = LOOKED_AT_MAX;
    unsigned browsers, marks = marks_of(ua, &browsers);
    struct cb_device_verdict out = {CB_DEVICE_UNKNOWN, browser_of(browsers),
                                    (marks & (BOT | BOT_WORD)) != 0};
    if (marks & TELEVISION)
        out.device = CB_DEVICE_UNKNOWN;
    else if (marks & TABLET)
        out.device = CB_DEVICE_TABLET;
    else if (marks & PHONE)
        out.device = CB_DEVICE_MOBILE;
    else if (marks & ANDROID)
        out.device = marks & MOBILE ? CB_DEVICE_MOBILE : CB_DEVICE_TABLET;
    else if (marks & MOBILE)
        out.device = CB_DEVICE_MOBILE;
    else if (marks & DESKTOP)
        out.device = CB_DEVICE_DESKTOP;
    return out;
}

struct cb_device_verdict cb_device_recall(struct cb_device_kept *kept, struct cb_str user_agent) {
    if (user_agent.len == 0 || user_agent.len > CB_DEVICE_KEPT_BYTES)
        return cb_device_of(user_agent);
    uint64_t hash = cb_hash_bytes(0, user_agent.p, user_agent.len);
    struct cb_device_agent *a = &kept->agents[hash % CB_DEVICE_KEPT];
    if (!cb_str_eq(user_agent, (struct cb_str){a->agent, a->len})) {
        struct cb_device_verdict verdict = cb_device_of(user_agent);
        a->len = (uint8_t)user_agent.len;
        a->device = (uint8_t)verdict.device;
        a->browser = (uint8_t)verdict.browser;
        a->bot = verdict.bot;
        memcpy(a->agent, user_agent.p, user_agent.len);
    }
    return (struct cb_device_verdict){(enum cb_device)a->device, (enum cb_browser)a->browser,
                                      a->bot};
}
