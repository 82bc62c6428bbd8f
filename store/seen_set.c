/* SPDX-License-Identifier: MIT */
#include "store/seen_set.h"

#include "proto/event.h"
#include "store/varint.h"

enum { CHUNKED = 0x80 };

/* A run begins at least two behind the last number of the one before it (0 for none: at 1 or more).
 * Returns that last number, or 0. */
static uint64_t take_run(const uint8_t **p, const uint8_t *end, bool first, uint64_t before,
                         struct cb_seen_run *run) {
    uint64_t gap, more;
    if (!cb_varint_take(p, end, &gap) || !cb_varint_take(p, end, &more) || gap > CB_SEQ_MAX ||
        more > CB_SEQ_MAX) {
        return 0;
    }
    run->first = before + gap + (first ? 1 : 2);
    run->last = run->first + more;
    return run->last <= CB_SEQ_MAX ? run->last : 0;
}

int cb_seen_set_decode(struct cb_str value, struct cb_seen_set *out) {
    out->highest = out->n_seen = 0;
    out->day = 0;
    out->n_runs = 0;
    out->chunked = false;
    if (value.len == 0) {
        return 0;
    }
    const uint8_t *p = (const uint8_t *)value.p, *end = p + value.len;
    unsigned n_runs = p[0] & ~(unsigned)CHUNKED;
    if (value.len < CB_SEEN_SET_HEAD_BYTES || n_runs > CB_SEEN_RUNS_MAX) {
        return CB_ECORRUPT;
    }
    out->chunked = p[0] & CHUNKED;
    out->day = (uint32_t)p[1] << 16 | cb_be16_get(p + 2);
    p += CB_SEEN_SET_HEAD_BYTES;
    for (; out->n_runs < n_runs; out->n_runs++) {
        struct cb_seen_run *run = &out->runs[out->n_runs];
        out->highest = take_run(&p, end, out->n_runs == 0, out->highest, run);
        if (out->highest == 0) {
            return CB_ECORRUPT;
        }
        out->n_seen += run->last - run->first + 1;
    }
    bool sound = !out->chunked ||
                 (cb_varint_take(&p, end, &out->highest) && cb_varint_take(&p, end, &out->n_seen));
    return sound && p == end && out->n_seen <= out->highest && out->highest <= CB_SEQ_MAX
               ? 0
               : CB_ECORRUPT;
}

size_t cb_seen_set_encode(const struct cb_seen_set *set, uint8_t out[CB_SEEN_SET_BYTES_MAX]) {
    size_t n = CB_SEEN_SET_HEAD_BYTES;
    out[0] = (uint8_t)(set->n_runs | (set->chunked ? CHUNKED : 0));
    out[1] = (uint8_t)(set->day >> 16);
    cb_be16_put(out + 2, (uint16_t)set->day);
    uint64_t before = 0;
    for (unsigned i = 0; i < set->n_runs; i++) {
        const struct cb_seen_run *run = &set->runs[i];
        n += cb_varint_put(out + n, run->first - before - (i == 0 ? 1 : 2));
        n += cb_varint_put(out + n, run->last - run->first);
        before = run->last;
    }
    if (set->chunked) {
        n += cb_varint_put(out + n, set->highest);
        n += cb_varint_put(out + n, set->n_seen);
    }
    return n;
}

static int chunk_row(struct cb_views *views, uint32_t site, const uint8_t *producer,
                     uint64_t number, struct cb_row **out) {
    struct cb_key key = cb_key_seen_chunk(site, producer, number / CB_SEEN_CHUNK_NUMBERS);
    return cb_views_row(views, CB_TABLE_SEEN_CHUNKS, &key, out);
}

static int in_chunk(struct cb_views *views, uint32_t site, const uint8_t *producer, uint64_t number,
                    bool *found) {
    struct cb_row *row;
    int rc = chunk_row(views, site, producer, number, &row);
    if (rc == 0) {
        unsigned bit = (unsigned)(number % CB_SEEN_CHUNK_NUMBERS);
        *found = row->len > 0 && (row->data[bit / 8] >> bit % 8 & 1);
    }
    return rc;
}

/* Moves the shortest run into chunks. */
static int spill(struct cb_views *views, uint32_t site, const uint8_t *producer,
                 struct cb_seen_set *set) {
    unsigned shortest = 0;
    for (unsigned i = 1; i < set->n_runs; i++) {
        if (set->runs[i].last - set->runs[i].first <
            set->runs[shortest].last - set->runs[shortest].first) {
            shortest = i;
        }
    }
    struct cb_seen_run run = set->runs[shortest];
    for (uint64_t number = run.first; number <= run.last;) {
        struct cb_row *row;
        int rc = chunk_row(views, site, producer, number, &row);
        if (rc == 0) {
            rc = cb_row_resize(views, row, CB_SEEN_CHUNK_NUMBERS / 8);
        }
        if (rc != 0) {
            return rc;
        }
        uint64_t end = (number / CB_SEEN_CHUNK_NUMBERS + 1) * CB_SEEN_CHUNK_NUMBERS;
        for (; number < end && number <= run.last; number++) {
            unsigned bit = (unsigned)(number % CB_SEEN_CHUNK_NUMBERS);
            row->data[bit / 8] |= (uint8_t)(1u << bit % 8);
        }
    }
    memmove(&set->runs[shortest], &set->runs[shortest + 1],
            (set->n_runs - shortest - 1) * sizeof(struct cb_seen_run));
    set->n_runs--;
    set->chunked = true;
    return 0;
}

int cb_seen_set_add(struct cb_views *views, uint32_t site, const uint8_t producer[8],
                    struct cb_seen_set *set, uint64_t number, bool *fresh) {
    *fresh = false;
    unsigned at =
        set->n_runs; /* of the first run that begins behind number; mostly there is none */
    while (at > 0 && set->runs[at - 1].first > number) {
        at--;
    }
    if (at > 0 && number <= set->runs[at - 1].last) {
        return 0;
    }
    if (set->chunked) {
        bool found;
        int rc = in_chunk(views, site, producer, number, &found);
        if (rc != 0 || found) {
            return rc;
        }
    }
    *fresh = true;
    set->n_seen++;
    set->highest = number > set->highest ? number : set->highest;
    bool joins_left = at > 0 && set->runs[at - 1].last + 1 == number;
    bool joins_right = at < set->n_runs && set->runs[at].first == number + 1;
    if (joins_left && joins_right) {
        set->runs[at - 1].last = set->runs[at].last;
        memmove(&set->runs[at], &set->runs[at + 1],
                (set->n_runs - at - 1) * sizeof(struct cb_seen_run));
        set->n_runs--;
    } else if (joins_left) {
        set->runs[at - 1].last = number;
    } else if (joins_right) {
        set->runs[at].first = number;
    } else {
        memmove(&set->runs[at + 1], &set->runs[at],
                (set->n_runs - at) * sizeof(struct cb_seen_run));
        set->runs[at] = (struct cb_seen_run){number, number};
        set->n_runs++;
        if (set->n_runs > CB_SEEN_RUNS_MAX) {
            return spill(views, site, producer, set);
        }
    }
    return 0;
}
