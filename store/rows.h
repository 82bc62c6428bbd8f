/* SPDX-License-Identifier: MIT
 * rows.h: the sizes and places of what stands in the views' rows, as FORMAT.md says. Both the folds
 * (which write) and the reader (which reads) include it; nobody else. */
#ifndef CB_STORE_ROWS_H
#define CB_STORE_ROWS_H

#include "proto/event.h"
#include "proto/refusal.h"
#include "store/key.h"
#include "store/reader.h"

enum {
    CB_ROW_SITE_BYTES = 13,

    /* site_state */
    CB_STATE_FIRST_MINUTE = 0, /* of counted events */
    CB_STATE_LAST_MINUTE = 4,  /* 0: none yet */
    CB_STATE_VISITORS = 8,
    CB_STATE_NAMES = 12, /* site 0: how many sites there are */
    CB_ROW_SITE_STATE_BYTES = 16,

    /* tokens: the site's name and the token's follow */
    CB_TOKEN_HASH = 0,
    CB_TOKEN_ROLE = 32,
    CB_TOKEN_MADE = 33,
    CB_TOKEN_BY = 41,
    CB_TOKEN_SITE_LEN = 49,
    CB_ROW_TOKEN_HEAD_BYTES = 50,

    /* settings: part 0; the zone follows. Further parts hold the origins and the page's JSON, one
       behind the other */
    CB_SETTINGS_POSITION = 0,
    CB_SETTINGS_IDLE = 8,
    CB_SETTINGS_RAW = 12,
    CB_SETTINGS_PERSONAL = 16,
    CB_SETTINGS_ROLLUP = 20,
    CB_SETTINGS_ORIGINS_LEN = 24,
    CB_SETTINGS_PAGE_LEN = 28,
    CB_SETTINGS_HEAD_BYTES = 32,
    CB_SETTINGS_PART_BYTES = 1500,

    /* audit: the site's name and the summary follow */
    CB_AUDIT_AT = 0,
    CB_AUDIT_BY = 8,
    CB_AUDIT_ACT = 16,
    CB_AUDIT_SITE_LEN = 17,
    CB_AUDIT_VISITOR = 18, /* u32 ordinal + 1; 0: about nobody */
    CB_AUDIT_HEAD_BYTES = 22,
    CB_AUDIT_SUMMARY_MAX = 320,

    /* books: received, counted, duplicate, lost, then rejected by reason; u64 each */
    CB_BOOKS_RECEIVED = 0,
    CB_BOOKS_COUNTED = 8,
    CB_BOOKS_DUPLICATE = 16,
    CB_BOOKS_LOST = 24,
    CB_BOOKS_REJECTED = 32,
    CB_ROW_BOOKS_BYTES = CB_BOOKS_REJECTED + 8 * (CB_REFUSAL_MAX + 1),

    /* verdicts: a chunk covers this many events of a frame */
    CB_VERDICT_CHUNK_EVENTS = 8192,

    /* names: ids below this one have a meaning of their own (reader.h) */
    CB_NAME_ID_FIRST = 2,
    CB_NAMES_MAX = 1000, /* names of a site; further ones are counted as CB_NAME_OTHER */

    CB_HOUR_QUARTERS = 60 / CB_QUARTER_MINUTES,
    CB_DAY_QUARTERS = 24 * CB_HOUR_QUARTERS,
    CB_DAY_MINUTES = 24 * 60,
    CB_LOCAL_DAYS = 2, /* a local day is over everywhere on the second day behind it (UTC) */

    /* counts: a sorted list of u8 quarter · u32 events, or a u32 for each quarter once that is
       smaller */
    CB_COUNT_ENTRY_BYTES = 5,
    CB_COUNT_ALL_BYTES = 4 * CB_DAY_QUARTERS,
    CB_COUNT_ENTRIES_MAX = CB_COUNT_ALL_BYTES / CB_COUNT_ENTRY_BYTES,

    /* minutes: u32 events, then the set of their visitors; the chunk of events without a visitor,
       as a u32 */
    CB_MINUTE_HEAD_BYTES = 4,
    CB_MINUTE_NO_VISITOR = -1,

    /* unique_hours: smaller chunks, a list of u16: offset · 4 bits of quarters; or four bitmaps, of
       a quarter each */
    CB_HOUR_LIST_BITS = 20, /* of the ordinal; the others of an entry are the quarters */
    CB_HOUR_CHUNK_BITS = 11,
    CB_HOUR_PLANE_BYTES = (1 << CB_HOUR_CHUNK_BITS) / 8,
    CB_HOUR_BITMAP_BYTES = CB_HOUR_QUARTERS * CB_HOUR_PLANE_BYTES,
    CB_HOUR_LIST_MAX = CB_HOUR_BITMAP_BYTES / 2 - 1,

    /* unique_days: no day of any zone is longer (Troll: 26 hours) */
    CB_ZONE_DAY_QUARTERS_MAX = 26 * CB_HOUR_QUARTERS,

    /* days of the journal for which these are kept, besides the one at hand */
    CB_MINUTES_KEPT_DAYS = 2,
    CB_HOURS_KEPT_DAYS = 35,

    /* fields, history: the head stands in part 0 only */
    CB_FIELD_TRUE_MS = 0,
    CB_FIELD_SEQ = 8,
    CB_FIELD_PRODUCER = 16,
    CB_FIELD_SOURCE = 24,
    CB_FIELD_LEN = 25,
    CB_FIELD_BY = 29,    /* id of an operator's token */
    CB_FIELD_MOVED = 37, /* values that went to history so far */
    CB_FIELD_HEAD_BYTES = 41,
    CB_FIELD_PART_BYTES = 1500, /* of the value in each part */
    CB_FIELD_PARTS_MAX = 11,    /* 4,000 characters of 4 bytes */

    CB_HISTORY_MAX = 20, /* values of a field */

    /* ordinals: of a husk (erasures) a zero byte follows */
    CB_ROW_HUSK_ORDINAL_BYTES = 5,

    /* erasures: by the tag of the key; by that of the pseudonym: the tag of the key alone */
    CB_ERASURE_AT = 0,        /* journal time */
    CB_ERASURE_POSITION = 8,  /* of the control frame */
    CB_ERASURE_DIRTY = 16,    /* the last record that holds, or held, the key */
    CB_ERASURE_SWEPT = 24,    /* what `dirty` was when the records up to there were rewritten */
    CB_ERASURE_SWEPT_AT = 32, /* journal time */
    CB_ERASURE_PSEUDONYM = 40,
    CB_ERASURE_ORDINAL = 56,
    CB_ROW_ERASURE_BYTES = 60,

    CB_SESSION_PARTS_MAX = 48, /* rows of a visitor; 8 days of default gaps hold 384 sessions */

    /* visits: key kinds, and the places in their rows */
    CB_VISITS_SESSIONS = 0,
    CB_VISITS_FUNNEL = 1,
    CB_VISITS_TRIGGERS = 2,
    CB_VISITS_TIMINGS = 3, /* … and one for each timing */
    CB_VISITS_QUARTER = 0, /* key grains */
    CB_VISITS_DAY = 1,
    CB_VISITS_COUNT = 0, /* kind sessions: then the histogram of durations */
    CB_VISITS_INTERACTED = 4,
    CB_VISITS_BOUNCED = 8,
    CB_VISITS_EVENTS = 12,
    CB_VISITS_DURATION = 20,
    CB_VISITS_SESSIONS_HEAD = 28,
    CB_ROW_FUNNEL_BYTES = 2 * 4 * CB_STEP_COUNT, /* reached, then happened; u32 each */
    CB_TRIGGER_ENTRY_BYTES = 2 + 4 * CB_OUTCOME_COUNT,
    CB_TRIGGERS_CHUNK = 32, /* numbers of a row */

    /* values: by text; the text is in the key where it is short, else its hash */
    CB_VALUE_NUMBER = 0,
    CB_VALUE_DAY = 4,
    CB_VALUE_DAYS = 8,
    CB_ROW_VALUE_BYTES = 12,
    CB_VALUE_PLAIN_MAX = 64,
    CB_VALUE_HASH_BYTES = 32,
    CB_VALUE_TEXT_MAX = 1024,  /* of a value: what is longer is cut */
    CB_VALUE_OTHER = 0,        /* number of those past the cap; others begin with 1 */
    CB_VALUES_DAY_MAX = 10000, /* of a site, kind and day */

    /* dimensions: kinds of values. A profile is what an envelope says of its sender: */
    CB_VALUES_PROFILE = 0,
    CB_VALUES_PAGE = 1,
    CB_VALUES_REFERRER = 2,
    CB_VALUES_TRIGGER = 3,
    CB_VALUES_KINDS = 4,
    CB_PROFILE_DEVICE = 0, /* u8; CB_PROFILE_BOT for bots, whose other bytes are 0 */
    CB_PROFILE_BROWSER = 1,
    CB_PROFILE_LANGUAGE = 2, /* 3 letters, zeros behind; CB_PROFILE_OTHER first: past the cap */
    CB_PROFILE_COUNTRY = 5,  /* 2 letters, or zeros, or CB_PROFILE_OTHER first */
    CB_PROFILE_BYTES = 7,
    CB_PROFILE_BOT = 255,
    CB_PROFILE_OTHER = 1,

    CB_RETAINED_DAY = 0,
    CB_RETAINED_ROWS = 4,
    CB_RETAINED_ROW_BYTES = 12,
    CB_RETAINED_PEOPLE = 20,
    CB_RETAINED_PEOPLE_BYTES = 28,
    CB_ROW_RETAINED_BYTES = 36,

    CB_TRIGGER_ID_BYTES = 64, /* of a trigger's id and name: what is longer is cut */
    CB_TRIGGERS_MAX = 500,    /* ids of a site; further ones are counted as CB_TRIGGER_OTHER */
};

/* dimensions: stands in the place of a name where a row says how many values the day has */
#define CB_DIMENSION_VALUES UINT32_MAX

#define CB_NAME_OTHER "(other)"

/* The first minutes (since 1970) that `minutes` and `unique_hours` hold on a day of the journal. */
static inline int64_t cb_minutes_kept_from(int64_t day) {
    return day > CB_MINUTES_KEPT_DAYS ? (day - CB_MINUTES_KEPT_DAYS) * CB_DAY_MINUTES : 0;
}
static inline int64_t cb_hours_kept_from(int64_t day) {
    return day > CB_HOURS_KEPT_DAYS ? (day - CB_HOURS_KEPT_DAYS) * CB_DAY_MINUTES : 0;
}

#endif
