/* SPDX-License-Identifier: MIT
 * event.h: what an event is, its limits, and the envelope that carries it. Both sides of the
 * pipeline agree here.
 *
 * Pure: no I/O, no clock, no globals. Any thread. Rules: WIRE.md, "Event". */
#ifndef CB_PROTO_EVENT_H
#define CB_PROTO_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"

enum {
    CB_SITE_MAX = 64,         /* bytes of a site's name: [a-zA-Z0-9_-]+ */
    CB_NAME_MAX = 64,         /* bytes of an event's name: [a-zA-Z][a-zA-Z0-9_.:-]* */
    CB_PAGE_MAX = 2048,       /* bytes of a page's address */
    CB_PROPS_MAX = 32,        /* pairs of props */
    CB_PROP_KEY_MAX = 64,     /* bytes of a prop's key: like an event's name */
    CB_PROP_VALUE_MAX = 1024, /* bytes of a prop's string */
    CB_EVENTS_MAX = 5000,     /* events of one envelope */
    CB_VISITOR_BYTES = 16,    /* a visitor's id, and its hash */
    CB_PRODUCER_BYTES = 8,    /* a producer's id */
    CB_DEVICE_MAX = 7,        /* device classes stay below 8 */
    CB_BROWSER_MAX = 31,      /* browser families stay below 32 */
    CB_LANGUAGE_MAX = 3,      /* letters of a language's primary subtag: 2 or 3 */
    CB_REFERRER_MAX = 253,    /* bytes of a referring host, as in DNS */
};

#define CB_SEQ_MAX ((UINT64_C(1) << 53) - 1)             /* numbers of a producer: 1 … 2^53-1 */
#define CB_AGE_MAX_MS (INT64_C(7) * 24 * 60 * 60 * 1000) /* an event older than this is refused */

/* The names that the widget and the contract know. Their numbers stand in frames; 0 is any other
 * name, spelled out. */
#define CB_EVENT_NAMES(X)                                                                          \
    X(CB_NAME_LOADED, 1, "onWebChatLoaded")                                                        \
    X(CB_NAME_CLICK, 2, "onClick")                                                                 \
    X(CB_NAME_MAXIMIZE, 3, "onMaximize")                                                           \
    X(CB_NAME_MINIMIZE, 4, "onMinimize")                                                           \
    X(CB_NAME_TRIGGER, 5, "onTrigger")                                                             \
    X(CB_NAME_START_WRITING, 6, "onStartWriting")                                                  \
    X(CB_NAME_SET, 7, "set")                                                                       \
    X(CB_NAME_GET, 8, "get")                                                                       \
    X(CB_NAME_PAGE, 9, "page")                                                                     \
    X(CB_NAME_MESSAGE, 10, "message")

enum cb_event_name {
    CB_NAME_CUSTOM = 0,
#define CB_EVENT_NAME_ENUM(symbol, number, text) symbol = (number),
    CB_EVENT_NAMES(CB_EVENT_NAME_ENUM)
#undef CB_EVENT_NAME_ENUM
        CB_NAME_KNOWN_MAX = 10,
};

/* The visitor's fields that set and get know, with their limits in characters (WIDGET_API: set).
 * X(symbol, number, key, characters). Numbers stand on the wire and on disk. */
#define CB_FIELDS(X)                                                                               \
    X(CB_FIELD_NAME, 0, "name", 200)                                                               \
    X(CB_FIELD_EMAIL, 1, "email", 254)                                                             \
    X(CB_FIELD_PHONE, 2, "phone", 40)                                                              \
    X(CB_FIELD_NOTES, 3, "notes", 4000)

enum cb_field {
#define CB_FIELD_ENUM(symbol, number, key, characters) symbol = (number),
    CB_FIELDS(CB_FIELD_ENUM)
#undef CB_FIELD_ENUM
        CB_FIELD_COUNT = 4
};

/* Classes of devices and families of browsers. Numbers stand on the wire and on disk, texts in
 * reports. X(symbol, number, text). */
#define CB_DEVICES(X)                                                                              \
    X(CB_DEVICE_UNKNOWN, 0, "unknown")                                                             \
    X(CB_DEVICE_DESKTOP, 1, "desktop")                                                             \
    X(CB_DEVICE_MOBILE, 2, "mobile")                                                               \
    X(CB_DEVICE_TABLET, 3, "tablet")                                                               \
    X(CB_DEVICE_SERVER, 4, "server")

#define CB_BROWSERS(X)                                                                             \
    X(CB_BROWSER_UNKNOWN, 0, "unknown")                                                            \
    X(CB_BROWSER_CHROME, 1, "chrome")                                                              \
    X(CB_BROWSER_SAFARI, 2, "safari")                                                              \
    X(CB_BROWSER_FIREFOX, 3, "firefox")                                                            \
    X(CB_BROWSER_EDGE, 4, "edge")                                                                  \
    X(CB_BROWSER_OPERA, 5, "opera")                                                                \
    X(CB_BROWSER_SAMSUNG, 6, "samsung")                                                            \
    X(CB_BROWSER_EXPLORER, 7, "explorer")                                                          \
    X(CB_BROWSER_YANDEX, 8, "yandex")                                                              \
    X(CB_BROWSER_UC, 9, "uc")                                                                      \
    X(CB_BROWSER_VIVALDI, 10, "vivaldi")                                                           \
    X(CB_BROWSER_DUCKDUCKGO, 11, "duckduckgo")                                                     \
    X(CB_BROWSER_SILK, 12, "silk")                                                                 \
    X(CB_BROWSER_HUAWEI, 13, "huawei")                                                             \
    X(CB_BROWSER_MIUI, 14, "miui")                                                                 \
    X(CB_BROWSER_QQ, 15, "qq")                                                                     \
    X(CB_BROWSER_WHALE, 16, "whale")

#define CB_NUMBER_ENUM(symbol, number, text) symbol = (number),
enum cb_device { CB_DEVICES(CB_NUMBER_ENUM) };
enum cb_browser { CB_BROWSERS(CB_NUMBER_ENUM) };
#undef CB_NUMBER_ENUM

/* One event. The strings belong to whoever filled it (a request's body, a frame) and live as long
 * as that. */
struct cb_event {
    uint64_t seq;   /* 1 … CB_SEQ_MAX, given by the producer */
    int64_t age_ms; /* sent - at, 0 … CB_AGE_MAX_MS; true time = envelope's received_ms - age_ms */
    unsigned name_code;     /* enum cb_event_name */
    struct cb_str name;     /* always set, also for known names (then static) */
    struct cb_str page;     /* empty when there is none */
    struct cb_str key;      /* set and get: the field's key, else empty */
    struct cb_str value;    /* set: the value, else empty */
    struct cb_str props;    /* a msgpack map of scalar values, or empty; as in WIRE.md, "Props" */
    struct cb_str referrer; /* the host that the visitor came from (cb_referrer_valid), or empty */
};

/* What the events of one sender have in common. */
struct cb_envelope {
    struct cb_str site;                /* a known site's name */
    uint8_t visitor[CB_VISITOR_BYTES]; /* the hash of invariant 7; see has_visitor */
    bool has_visitor;                  /* false for events without one (a server's, the pixel) */
    uint8_t producer[CB_PRODUCER_BYTES];
    int64_t received_ms;                /* ingest's wall clock when the request was complete */
    unsigned device;                    /* enum cb_device */
    bool bot;                           /* the verdict of ingest */
    char country[3];                    /* ISO 3166 alpha-2, or "" where unknown */
    char language[CB_LANGUAGE_MAX + 1]; /* BCP 47 primary subtag, lower case, or "" */
    unsigned browser;                   /* enum cb_browser */
    uint32_t n_events;
};

/* When the event happened, by the server's clock; not below 1970, which a wrong clock could reach.
 */
static inline int64_t cb_event_true_ms(const struct cb_envelope *envelope,
                                       const struct cb_event *event) {
    int64_t true_ms = envelope->received_ms - event->age_ms;
    return true_ms > 0 ? true_ms : 0;
}

/* The number of a known name, else CB_NAME_CUSTOM. */
unsigned cb_event_name_code(struct cb_str name);
/* The text of a known name; empty for CB_NAME_CUSTOM or any other number. Static. */
struct cb_str cb_event_name_text(unsigned code);
/* True when text obeys the rule of an event's (and a prop key's) name. */
bool cb_event_name_valid(struct cb_str text);
bool cb_site_name_valid(struct cb_str text);
/* Two or three letters, lower case. */
bool cb_language_valid(struct cb_str text);
/* A host as a browser writes it: lower case, no port; an IPv6 address in its brackets. */
bool cb_referrer_valid(struct cb_str text);

/* The texts of a device and a browser; that of unknown for a number that is none of ours. */
const char *cb_device_text(unsigned device);
const char *cb_browser_text(unsigned browser);

/* The field of a key, or CB_ENOENT (negative). */
int cb_field_of(struct cb_str key);
const char *cb_field_key(unsigned field);
size_t cb_field_max_chars(unsigned field);

/* The stored key of a visitor: BLAKE2b-128(site ‖ id). id is what only the browser holds (invariant
 * 7): it must not outlive the call. sodium_init() was called once before. */
void cb_visitor_hash(struct cb_str site, const uint8_t id[CB_VISITOR_BYTES],
                     uint8_t out[CB_VISITOR_BYTES]);

/* What an erased visitor is recognized by: BLAKE2b-128 of the stored key, under a name of its own.
 * It leads to nobody: who has it has neither the key nor the id. */
void cb_visitor_tag(const uint8_t visitor[CB_VISITOR_BYTES], uint8_t out[CB_VISITOR_BYTES]);

enum {
    CB_ERASED_DAYS = 8
}; /* of journal time, for which beacons of an erased visitor are refused */

/* Who wrote a field; the numbers stand on disk. 0 in a stamp means a page. FORM: the visitor in a
 * form of the widget, which says so by the prop `source`; a page's like any other to the order of
 * writes. */
enum cb_source { CB_SOURCE_PAGE = 1, CB_SOURCE_OPERATOR = 2, CB_SOURCE_FORM = 3 };

/* Order of writes of a visitor's field (DESIGN, "Write order of a field"). An operator's has the
 * journal's time of append, its position as seq, and no producer. */
struct cb_stamp {
    int64_t true_ms;
    uint64_t seq;
    uint8_t producer[CB_PRODUCER_BYTES];
    uint8_t source; /* enum cb_source */
};

/* Whether a write stamped b replaces one stamped a. Same producer: the higher seq wins (equal: the
 * first stays); otherwise the later true_ms, ties to the operator, then by producer bytes. */
bool cb_stamp_replaces(const struct cb_stamp *a, const struct cb_stamp *b);

#endif
