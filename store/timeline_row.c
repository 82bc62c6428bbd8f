/* SPDX-License-Identifier: MIT */
#include "store/timeline_row.h"

#include "store/varint.h"

static size_t put_place(uint8_t *p, uint32_t day, const struct cb_timeline_place *before) {
    size_t n = cb_varint_put(p, before->parts);
    return before->parts == 0 ? n : n + cb_varint_put(p + n, day - before->day);
}

/* The place of a row is before that of the one that names it: whoever follows them comes to an end.
 */
static bool take_place(const uint8_t **p, const uint8_t *end, struct cb_timeline_place at,
                       struct cb_timeline_place *before) {
    uint64_t parts, days = 0;
    bool sound = cb_varint_take(p, end, &parts) && (parts == 0 || cb_varint_take(p, end, &days)) &&
                 parts <= UINT16_MAX && days <= at.day && (days > 0 || parts < at.parts);
    *before = (struct cb_timeline_place){parts > 0 ? at.day - (uint32_t)days : 0, (uint16_t)parts};
    return sound;
}

int cb_timeline_row_append(struct cb_views *views, struct cb_row *row, uint32_t day, unsigned nth,
                           uint64_t position, const struct cb_timeline_place *before) {
    uint8_t entry[CB_TIMELINE_ENTRY_MAX];
    const size_t at = row->len > 0 ? row->len : CB_TIMELINE_HEAD_BYTES;
    /* Of the first entry the whole position: a row can be read without others. */
    const bool first = at == CB_TIMELINE_HEAD_BYTES;
    const uint64_t last = first ? 0 : cb_be64_get(row->data + CB_TIMELINE_LAST);
    if (position < last || position - last > UINT64_MAX >> CB_TIMELINE_SHARED_BITS ||
        (before && before->parts > 0 && before->day > day)) {
        return CB_ECORRUPT;
    }
    size_t n = cb_varint_put(entry, (position - last) << CB_TIMELINE_SHARED_BITS | nth);
    n += before ? put_place(entry + n, day, before) : 0;
    int rc = cb_row_resize(views, row, at + n);
    if (rc != 0) {
        return rc;
    }
    uint8_t *who = row->data + CB_TIMELINE_WHO;
    bool more = cb_be64_get(row->data + CB_TIMELINE_LAST) == position;
    cb_be64_put(row->data + CB_TIMELINE_LAST, position);
    cb_be32_put(who, (more ? cb_be32_get(who) : 0) | 1u << nth);
    memcpy(row->data + at, entry, n);
    return 0;
}

int cb_timeline_row_read(struct cb_str row, struct cb_timeline_place at, unsigned nth,
                         uint64_t positions[CB_TIMELINE_ROW_MAX], size_t *n,
                         struct cb_timeline_place *before) {
    const uint8_t *data = (const uint8_t *)row.p, *end = data + row.len;
    const uint8_t *p = data + CB_TIMELINE_HEAD_BYTES;
    uint64_t position = 0, entry;
    uint32_t seen = 0; /* of whom an entry was met: the first has a place */
    *n = 0;
    if (row.len <= CB_TIMELINE_HEAD_BYTES) {
        return CB_ECORRUPT;
    }
    while (p < end) {
        struct cb_timeline_place place;
        if (!cb_varint_take(&p, end, &entry)) {
            return CB_ECORRUPT;
        }
        const unsigned whose = entry % CB_TIMELINE_SHARED;
        position += entry >> CB_TIMELINE_SHARED_BITS;
        if (!(seen >> whose & 1)) {
            if (!take_place(&p, end, at, &place)) {
                return CB_ECORRUPT;
            }
            *before = whose == nth ? place : *before;
        }
        seen |= 1u << whose;
        if (whose == nth) {
            if (*n == CB_TIMELINE_ROW_MAX) {
                return CB_ECORRUPT;
            }
            positions[(*n)++] = position;
        }
    }
    return *n > 0 && position == cb_be64_get(data + CB_TIMELINE_LAST) ? 0 : CB_ECORRUPT;
}
