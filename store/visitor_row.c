/* SPDX-License-Identifier: MIT */
#include "store/visitor_row.h"

#include "store/key.h"
#include "store/varint.h"

enum {
    FIRST_SEEN = CB_VISITOR_BYTES,
    FLAGS = FIRST_SEEN + 6,
    HEAD_BYTES = FLAGS + 1,

    /* What most visitors have in common takes no bytes: */
    ONE_SESSION = 1, /* they had one session */
    FROM_FIRST = 2,  /* the last one begins when they were first seen */
    TO_LAST = 4,     /* … ends when they were last seen */
    ALL_EVENTS = 8,  /* … has all their events */
    ONE_PART = 16,   /* the timeline's last row is the first of the day of last seen */
    FLAGS_ALL = 31,
};

static const int64_t day_ms = INT64_C(86400000);

/* How far a day is from that of last seen, small on either side: 0, -1, 1, -2, 2 … are 0, 1, 2, 3,
 * 4 … */
static uint64_t fold_day(uint32_t day, int64_t last_seen_ms) {
    int64_t from = (int64_t)day - last_seen_ms / day_ms;
    return from < 0 ? (uint64_t)(-from) * 2 - 1 : (uint64_t)from * 2;
}

static bool unfold_day(uint64_t folded, int64_t last_seen_ms, uint32_t *day) {
    if (folded > UINT64_C(2) * UINT32_MAX) {
        return false;
    }
    int64_t from = folded & 1 ? -(int64_t)(folded / 2) - 1 : (int64_t)(folded / 2);
    int64_t whole = last_seen_ms / day_ms + from;
    *day = (uint32_t)whole;
    return whole >= 0 && whole <= UINT32_MAX;
}

static unsigned flags_of(const struct cb_visitor_row *row) {
    const struct cb_visit *session = &row->session;
    unsigned flags = row->timeline.parts == 1 && fold_day(row->timeline.day, row->last_seen_ms) == 0
                         ? ONE_PART
                         : 0;
    if (row->sessions > 0) {
        flags |= row->sessions == 1 ? ONE_SESSION : 0;
        flags |= session->start_ms == row->first_seen_ms ? FROM_FIRST : 0;
        flags |= session->end_ms == row->last_seen_ms ? TO_LAST : 0;
        flags |= session->events == row->events ? ALL_EVENTS : 0;
    }
    return flags;
}

size_t cb_visitor_row_encode(const struct cb_visitor_row *row,
                             uint8_t out[CB_VISITOR_ROW_BYTES_MAX]) {
    const struct cb_visit *session = &row->session;
    const unsigned flags = flags_of(row);
    size_t n = HEAD_BYTES;
    memcpy(out, row->id, CB_VISITOR_BYTES);
    cb_be48_put(out + FIRST_SEEN, (uint64_t)row->first_seen_ms);
    out[FLAGS] = (uint8_t)flags;
    n += cb_varint_put(out + n, (uint64_t)(row->last_seen_ms - row->first_seen_ms));
    n += cb_varint_put(out + n, row->events);
    if (!(flags & ONE_PART)) {
        n += cb_varint_put(out + n, row->timeline.parts);
        if (row->timeline.parts > 0) {
            n += cb_varint_put(out + n, fold_day(row->timeline.day, row->last_seen_ms));
        }
    }
    if (!(flags & ONE_SESSION)) {
        n += cb_varint_put(out + n, row->sessions);
        if (row->sessions == 0) {
            return n;
        }
        n += cb_varint_put(out + n, cb_visitor_parts_end(row) - row->part);
    }
    if (!(flags & FROM_FIRST)) {
        n += cb_varint_put(out + n, (uint64_t)(row->last_seen_ms - session->start_ms));
    }
    if (!(flags & TO_LAST)) {
        n += cb_varint_put(out + n, (uint64_t)(row->last_seen_ms - session->end_ms));
    }
    if (!(flags & ALL_EVENTS)) {
        n += cb_varint_put(out + n, session->events);
    }
    return n + cb_visit_put_steps(session, out + n);
}

/* A number that is max at most. */
static bool take(const uint8_t **p, const uint8_t *end, uint64_t max, uint64_t *v) {
    return cb_varint_take(p, end, v) && *v <= max;
}

static bool take_timeline(const uint8_t **p, const uint8_t *end, unsigned flags,
                          struct cb_visitor_row *row) {
    uint64_t parts = 1, folded = 0;
    if (!(flags & ONE_PART) &&
        (!take(p, end, UINT16_MAX, &parts) || (parts > 0 && !cb_varint_take(p, end, &folded)))) {
        return false;
    }
    row->timeline = (struct cb_timeline_place){.parts = (uint16_t)parts};
    return parts == 0 || unfold_day(folded, row->last_seen_ms, &row->timeline.day);
}

static bool take_counts(const uint8_t **p, const uint8_t *end, unsigned flags,
                        struct cb_visitor_row *row) {
    uint64_t sessions = 1, parts = 0;
    if (!(flags & ONE_SESSION) && !take(p, end, UINT32_MAX, &sessions)) {
        return false;
    }
    row->sessions = (uint32_t)sessions;
    const uint32_t parts_end = cb_visitor_parts_end(row);
    if (!(flags & ONE_SESSION) && sessions > 0 && !take(p, end, parts_end, &parts)) {
        return false;
    }
    row->part = parts_end - (uint32_t)parts;
    return true;
}

static bool take_session(const uint8_t **p, const uint8_t *end, unsigned flags,
                         struct cb_visitor_row *row) {
    struct cb_visit *session = &row->session;
    const uint64_t seen = (uint64_t)(row->last_seen_ms - row->first_seen_ms);
    uint64_t start = seen, before = 0, events = row->events; /* times: before last seen */
    if ((!(flags & FROM_FIRST) && !take(p, end, seen, &start)) ||
        (!(flags & TO_LAST) && !take(p, end, start, &before)) ||
        (!(flags & ALL_EVENTS) && !cb_varint_take(p, end, &events)) || events > UINT32_MAX) {
        return false;
    }
    session->start_ms = row->last_seen_ms - (int64_t)start;
    session->end_ms = row->last_seen_ms - (int64_t)before;
    session->events = (uint32_t)events;
    return cb_visit_take_steps(p, end, session);
}

int cb_visitor_row_decode(struct cb_str value, struct cb_visitor_row *out) {
    const uint8_t *p = (const uint8_t *)value.p, *end = p + value.len;
    uint64_t seen;
    if (value.len < HEAD_BYTES || p[FLAGS] > FLAGS_ALL) {
        return CB_ECORRUPT;
    }
    const unsigned flags = p[FLAGS];
    memcpy(out->id, p, CB_VISITOR_BYTES);
    out->first_seen_ms = (int64_t)cb_be48_get(p + FIRST_SEEN);
    p += HEAD_BYTES;
    if (!take(&p, end, (uint64_t)(CB_VISIT_MS_MAX - out->first_seen_ms), &seen) ||
        !cb_varint_take(&p, end, &out->events)) {
        return CB_ECORRUPT;
    }
    out->last_seen_ms = out->first_seen_ms + (int64_t)seen;
    bool sound = take_timeline(&p, end, flags, out) && take_counts(&p, end, flags, out);
    if (sound && out->sessions > 0) {
        sound = take_session(&p, end, flags, out);
    } else {
        cb_visit_init(&out->session, out->first_seen_ms);
    }
    return sound && p == end ? 0 : CB_ECORRUPT;
}
