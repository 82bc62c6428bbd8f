/* SPDX-License-Identifier: MIT
 * device.c: see device.h. One walk over the user agent; a token is looked for only where its first
 * letter stands. What is not listed is unknown and no bot: a wrong "bot" would hide a person. */
#include "ingest/device.h"

#include <assert.h>

enum { LOOKED_AT_MAX = 512 }; /* bytes of a user agent; real ones are shorter */

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

static const struct {
    const char *text; /* lower case */
    unsigned mark;
} tokens[] = {
    /* sorted by their first letter */
    {"android", ANDROID},
    {"bot", BOT_WORD},
    {"bots", BOT_WORD},
    {"bingpreview", BOT},
    {"crawl", BOT},
    {"cros", DESKTOP},
    {"facebookexternalhit", BOT},
    {"google-inspectiontool", BOT},
    {"googleother", BOT},
    {"headless", BOT},
    {"ia_archiver", BOT},
    {"ipad", TABLET},
    {"iphone", PHONE},
    {"ipod", PHONE},
    {"kindle", TABLET},
    {"lighthouse", BOT},
    {"macintosh", DESKTOP},
    {"mediapartners-google", BOT},
    {"mobi", MOBILE},
    {"opera mini", PHONE},
    {"phantomjs", BOT},
    {"pingdom", BOT},
    {"playbook", TABLET},
    {"prerender", BOT},
    {"silk/", TABLET},
    {"slurp", BOT},
    {"smart-tv", TELEVISION},
    {"smarttv", TELEVISION},
    {"spider", BOT},
    {"tablet", TABLET},
    {"uptimerobot", BOT},
    {"windows nt", DESKTOP},
    {"windows phone", PHONE},
    {"x11", DESKTOP},
};

enum { N_TOKENS = sizeof tokens / sizeof *tokens };

static unsigned char lower(char c) {
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool is_letter(char c) {
    return lower(c) >= 'a' && lower(c) <= 'z';
}

/* The length of the token when it stands at p, else 0. */
static size_t matches(const char *p, size_t left, const char *token) {
    size_t len = 0;
    for (; token[len]; len++)
        if (len == left || lower(p[len]) != (unsigned char)token[len])
            return 0;
    return len;
}

/* "bot" must end a word, and the word must not be the phone maker's: CUBOT. */
static bool ends_bot_word(struct cb_str ua, size_t at, size_t len) {
    if (at + len < ua.len && is_letter(ua.p[at + len]))
        return false;
    return !(at >= 2 && lower(ua.p[at - 2]) == 'c' && lower(ua.p[at - 1]) == 'u' &&
             (at == 2 || !is_letter(ua.p[at - 3])));
}

/* tokens[first[c]] to tokens[first[c + 1]] are those that begin with the letter 'a' + c. */
static void index_tokens(uint8_t first[27]) {
    uint8_t i = 0;
    for (uint8_t c = 0; c < 26; c++) {
        first[c] = i;
        while (i < N_TOKENS && tokens[i].text[0] == 'a' + c)
            i++;
    }
    first[26] = i;
    assert(i == N_TOKENS); /* they are sorted */
}

static unsigned marks_of(struct cb_str ua) {
    uint8_t first[27];
    unsigned marks = 0;
    index_tokens(first);
    for (size_t at = 0; at < ua.len; at++) {
        unsigned letter = (unsigned)lower(ua.p[at]) - 'a';
        if (letter >= 26)
            continue;
        for (unsigned i = first[letter]; i < first[letter + 1]; i++) {
            size_t len = matches(ua.p + at, ua.len - at, tokens[i].text);
            if (len && (tokens[i].mark != BOT_WORD || ends_bot_word(ua, at, len)))
                marks |= tokens[i].mark;
        }
    }
    return marks;
}

struct cb_device_verdict cb_device_of(struct cb_str user_agent) {
    struct cb_str ua = user_agent;
    if (ua.len > LOOKED_AT_MAX)
        ua.len = LOOKED_AT_MAX;
    unsigned marks = marks_of(ua);
    struct cb_device_verdict out = {CB_DEVICE_UNKNOWN, (marks & (BOT | BOT_WORD)) != 0};
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
