/* SPDX-License-Identifier: MIT */
#include "store/seen_set.h"

int cb_seen_set_decode(struct cb_str value, struct cb_seen_set *out) {
    *out = (struct cb_seen_set){0};
    if (value.len == 0) {
        return 0;
    }
    const uint8_t *p = (const uint8_t *)value.p;
    if (value.len < CB_SEEN_SET_HEAD_BYTES || p[25] > CB_SEEN_RUNS_MAX ||
        value.len != CB_SEEN_SET_HEAD_BYTES + 16u * p[25]) {
        return CB_ECORRUPT;
    }
    out->highest = cb_be64_get(p);
    out->n_seen = cb_be64_get(p + 8);
    out->journal_ms = (int64_t)cb_be64_get(p + 16);
    out->chunked = p[24] != 0;
    out->n_runs = p[25];
    for (unsigned i = 0; i < out->n_runs; i++) {
        out->runs[i].first = cb_be64_get(p + CB_SEEN_SET_HEAD_BYTES + 16 * i);
        out->runs[i].last = cb_be64_get(p + CB_SEEN_SET_HEAD_BYTES + 16 * i + 8);
    }
    return 0;
}

size_t cb_seen_set_encode(const struct cb_seen_set *set, uint8_t out[CB_SEEN_SET_BYTES_MAX]) {
    cb_be64_put(out, set->highest);
    cb_be64_put(out + 8, set->n_seen);
    cb_be64_put(out + 16, (uint64_t)set->journal_ms);
    out[24] = set->chunked;
    out[25] = (uint8_t)set->n_runs;
    for (unsigned i = 0; i < set->n_runs; i++) {
        cb_be64_put(out + CB_SEEN_SET_HEAD_BYTES + 16 * i, set->runs[i].first);
        cb_be64_put(out + CB_SEEN_SET_HEAD_BYTES + 16 * i + 8, set->runs[i].last);
    }
    return CB_SEEN_SET_HEAD_BYTES + 16 * set->n_runs;
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
