/* SPDX-License-Identifier: MIT
 * Invariant: an answer has as many entries as its ask, in the same order; what an entry holds
 * follows from its kind alone. */
#include "proto/ask.h"

#include <assert.h>
#include <msgpack/pack.h>

#define ASK_MAGIC "cb.q"
#define ANSWER_MAGIC "cb.r"

enum {
    MESSAGE_VALUES = 3, /* magic, version, entries */
    MESSAGE_HEAD_BYTES = 1 + 5 + 1 + 3,
    HELLO_ASK_VALUES = 1,     /* kind */
    SITE_ASK_VALUES = 2,      /* kind, site; also of a lease */
    FIELDS_ASK_VALUES = 3,    /* kind, site, visitor */
    HELLO_ANSWER_VALUES = 4,  /* kind, found, later, accepting */
    SITE_ANSWER_VALUES = 5,   /* kind, found, later, accepting, status */
    SET_ANSWER_VALUES = 7,    /* … and origins, page, of a site that has any */
    TAGS_ANSWER_VALUES = 8,   /* … and erasures, where there are some */
    LEASE_ANSWER_VALUES = 4,  /* kind, found, later, status */
    FIELDS_ANSWER_VALUES = 4, /* kind, found, later, fields */
    ERASED_ANSWER_VALUES = 5, /* … and erased, where it is so */
    ASK_BYTES_MAX = 1 + 1 + 2 + CB_SITE_MAX + 2 + CB_VISITOR_BYTES,
    ANSWER_BYTES_MAX = 1 + 1 + 1 + 1 + 1 + CB_FIELD_COUNT * 5, /* without any text */
};

_Static_assert(CB_ASKS_MAX *(ANSWER_BYTES_MAX + CB_FIELD_COUNT * CB_ASK_VALUE_MAX) <
                   CB_ASK_MESSAGE_MAX,
               "a full answer passes CB_ASK_MESSAGE_MAX");
_Static_assert(CB_ORIGINS_MAX_BYTES + CB_PAGE_SETTINGS_MAX +
                       CB_ASK_ERASURES_MAX * CB_VISITOR_BYTES <
                   CB_FIELD_COUNT * CB_ASK_VALUE_MAX,
               "a site's answer is shorter than a visitor's");

static void pack_head(msgpack_packer *pk, const char *magic, uint32_t n) {
    msgpack_pack_array(pk, MESSAGE_VALUES);
    msgpack_pack_str_with_body(pk, magic, strlen(magic));
    msgpack_pack_uint8(pk, CB_ASK_VERSION);
    msgpack_pack_array(pk, n);
}

static void pack_bool(msgpack_packer *pk, bool value) {
    if (value) {
        msgpack_pack_true(pk);
    } else {
        msgpack_pack_false(pk);
    }
}

/* Reads a message's head; the entries of version 1 are next. */
static int take_head(struct cb_pack_reader *r, const void *data, size_t len, const char *magic,
                     uint32_t *n) {
    if (len > CB_ASK_MESSAGE_MAX) {
        return CB_EMALFORMED;
    }
    cb_pack_reader_init(r, data, len);
    uint32_t n_values = cb_pack_array(r, UINT32_MAX);
    struct cb_str found = cb_pack_str(r, 4);
    uint64_t version = cb_pack_uint(r, UINT64_MAX);
    if (!r->ok || !cb_str_is(found, magic) || version < 1) {
        return CB_EMALFORMED;
    }
    switch (version) {
    case 1:
        *n = cb_pack_array(r, CB_ASKS_MAX);
        return n_values == MESSAGE_VALUES && *n > 0 ? 0 : CB_EMALFORMED;
    default:
        return CB_EVERSION;
    }
}

/* ---- asks ---- */

int cb_ask_encode(const struct cb_ask *asks, uint32_t n, struct cb_buf *out) {
    assert(n >= 1 && n <= CB_ASKS_MAX);
    int err = cb_buf_reserve(out, MESSAGE_HEAD_BYTES + (size_t)n * ASK_BYTES_MAX);
    if (err) {
        return err;
    }
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, cb_pack_write);
    pack_head(&pk, ASK_MAGIC, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct cb_ask *ask = &asks[i];
        static const uint8_t n_values[] = {[CB_ASK_HELLO] = HELLO_ASK_VALUES,
                                           [CB_ASK_SITE] = SITE_ASK_VALUES,
                                           [CB_ASK_FIELDS] = FIELDS_ASK_VALUES,
                                           [CB_ASK_LEASE] = SITE_ASK_VALUES};
        assert(ask->kind >= CB_ASK_HELLO && ask->kind <= CB_ASK_LEASE);
        assert(ask->kind == CB_ASK_HELLO || cb_site_name_valid(ask->site));
        msgpack_pack_array(&pk, n_values[ask->kind]);
        msgpack_pack_uint8(&pk, (uint8_t)ask->kind);
        if (ask->kind != CB_ASK_HELLO) {
            msgpack_pack_str_with_body(&pk, ask->site.p, ask->site.len);
        }
        if (ask->kind == CB_ASK_FIELDS) {
            msgpack_pack_bin_with_body(&pk, ask->visitor, CB_VISITOR_BYTES);
        }
    }
    return 0;
}

static bool take_ask(struct cb_pack_reader *r, struct cb_ask *ask) {
    memset(ask, 0, sizeof *ask);
    uint32_t n_values = cb_pack_array(r, FIELDS_ASK_VALUES);
    ask->kind = (enum cb_ask_kind)cb_pack_uint(r, CB_ASK_LEASE);
    switch (ask->kind) {
    case CB_ASK_HELLO:
        return r->ok && n_values == HELLO_ASK_VALUES;
    case CB_ASK_SITE:
    case CB_ASK_LEASE:
        ask->site = cb_pack_str(r, CB_SITE_MAX);
        return r->ok && n_values == SITE_ASK_VALUES && cb_site_name_valid(ask->site);
    case CB_ASK_FIELDS:
        ask->site = cb_pack_str(r, CB_SITE_MAX);
        struct cb_str visitor = cb_pack_bin(r, CB_VISITOR_BYTES);
        if (!r->ok || visitor.len != CB_VISITOR_BYTES) {
            return false;
        }
        memcpy(ask->visitor, visitor.p, CB_VISITOR_BYTES);
        return n_values == FIELDS_ASK_VALUES && cb_site_name_valid(ask->site);
    }
    return false;
}

int cb_ask_decode(const void *data, size_t len, struct cb_ask *out, uint32_t *n) {
    struct cb_pack_reader r;
    uint32_t n_asks = 0;
    int err = take_head(&r, data, len, ASK_MAGIC, &n_asks);
    if (err) {
        return err;
    }
    for (uint32_t i = 0; i < n_asks; i++) {
        if (!take_ask(&r, &out[i])) {
            return CB_EMALFORMED;
        }
    }
    if (!cb_pack_done(&r)) {
        return CB_EMALFORMED;
    }
    *n = n_asks;
    return 0;
}

/* ---- answers ---- */

static size_t answers_bytes_max(const struct cb_answer *answers, uint32_t n) {
    size_t bytes = MESSAGE_HEAD_BYTES + (size_t)n * ANSWER_BYTES_MAX;
    for (uint32_t i = 0; i < n; i++) {
        for (unsigned f = 0; answers[i].kind == CB_ASK_FIELDS && f < CB_FIELD_COUNT; f++) {
            bytes += answers[i].fields[f].len;
        }
        bytes += answers[i].origins.len + answers[i].page.len + 3 + answers[i].erasures.len;
    }
    return bytes;
}

/* The values of a site's answer: each has one form. */
static uint32_t site_values(const struct cb_answer *answer) {
    return answer->erasures.len > 0                          ? TAGS_ANSWER_VALUES
           : answer->origins.len > 0 || answer->page.len > 0 ? SET_ANSWER_VALUES
                                                             : SITE_ANSWER_VALUES;
}

static void pack_answer(msgpack_packer *pk, const struct cb_answer *answer) {
    static const uint8_t n_values[] = {[CB_ASK_HELLO] = HELLO_ANSWER_VALUES,
                                       [CB_ASK_SITE] = SITE_ANSWER_VALUES,
                                       [CB_ASK_FIELDS] = FIELDS_ANSWER_VALUES,
                                       [CB_ASK_LEASE] = LEASE_ANSWER_VALUES};
    assert(answer->kind >= CB_ASK_HELLO && answer->kind <= CB_ASK_LEASE);
    bool erased = answer->kind == CB_ASK_FIELDS && answer->erased;
    uint32_t n = answer->kind == CB_ASK_SITE ? site_values(answer) : n_values[answer->kind];
    msgpack_pack_array(pk, erased ? ERASED_ANSWER_VALUES : n);
    msgpack_pack_uint8(pk, (uint8_t)answer->kind);
    pack_bool(pk, answer->found);
    pack_bool(pk, answer->later);
    if (answer->kind == CB_ASK_FIELDS) {
        msgpack_pack_array(pk, CB_FIELD_COUNT);
        for (unsigned f = 0; f < CB_FIELD_COUNT; f++) {
            msgpack_pack_str_with_body(pk, answer->fields[f].p, answer->fields[f].len);
        }
        if (erased) {
            pack_bool(pk, true);
        }
        return;
    }
    if (answer->kind != CB_ASK_LEASE) {
        pack_bool(pk, answer->accepting);
    }
    if (answer->kind == CB_ASK_HELLO) {
        return;
    }
    assert(!answer->found ||
           (answer->status >= CB_STATUS_ONLINE && answer->status <= CB_STATUS_OFFLINE));
    msgpack_pack_uint32(pk, answer->found ? answer->status : 0);
    if (answer->kind == CB_ASK_SITE && n >= SET_ANSWER_VALUES) {
        msgpack_pack_str_with_body(pk, answer->origins.p ? answer->origins.p : "",
                                   answer->origins.len);
        msgpack_pack_str_with_body(pk, answer->page.p ? answer->page.p : "", answer->page.len);
    }
    if (n == TAGS_ANSWER_VALUES) {
        msgpack_pack_bin_with_body(pk, answer->erasures.p, answer->erasures.len);
    }
}

int cb_answer_encode(const struct cb_answer *answers, uint32_t n, struct cb_buf *out) {
    assert(n >= 1 && n <= CB_ASKS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        for (unsigned f = 0; answers[i].kind == CB_ASK_FIELDS && f < CB_FIELD_COUNT; f++) {
            if (answers[i].fields[f].len > CB_ASK_VALUE_MAX) {
                return CB_ETOOBIG;
            }
        }
        if (answers[i].origins.len > CB_ORIGINS_MAX_BYTES ||
            answers[i].page.len > CB_PAGE_SETTINGS_MAX ||
            answers[i].erasures.len > CB_ASK_ERASURES_MAX * CB_VISITOR_BYTES) {
            return CB_ETOOBIG;
        }
    }
    int err = cb_buf_reserve(out, answers_bytes_max(answers, n));
    if (err) {
        return err;
    }
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, cb_pack_write);
    pack_head(&pk, ANSWER_MAGIC, n);
    for (uint32_t i = 0; i < n; i++) {
        pack_answer(&pk, &answers[i]);
    }
    return 0;
}

static bool take_answer(struct cb_pack_reader *r, struct cb_answer *answer) {
    memset(answer, 0, sizeof *answer);
    uint32_t n_values = cb_pack_array(r, TAGS_ANSWER_VALUES);
    answer->kind = (enum cb_ask_kind)cb_pack_uint(r, CB_ASK_LEASE);
    answer->found = cb_pack_bool(r);
    answer->later = cb_pack_bool(r);
    switch (answer->kind) {
    case CB_ASK_HELLO:
        answer->accepting = cb_pack_bool(r);
        return r->ok && n_values == HELLO_ANSWER_VALUES;
    case CB_ASK_SITE:
        answer->accepting = cb_pack_bool(r);
        answer->status = (unsigned)cb_pack_uint(r, CB_STATUS_OFFLINE);
        if (n_values >= SET_ANSWER_VALUES) {
            answer->origins = cb_pack_str(r, CB_ORIGINS_MAX_BYTES);
            answer->page = cb_pack_str(r, CB_PAGE_SETTINGS_MAX);
        }
        if (n_values == TAGS_ANSWER_VALUES) {
            answer->erasures = cb_pack_bin(r, CB_ASK_ERASURES_MAX * CB_VISITOR_BYTES);
        }
        return r->ok && (answer->status > 0) == answer->found &&
               answer->erasures.len % CB_VISITOR_BYTES == 0 && n_values == site_values(answer);
    case CB_ASK_LEASE:
        answer->status = (unsigned)cb_pack_uint(r, CB_STATUS_OFFLINE);
        return r->ok && n_values == LEASE_ANSWER_VALUES && (answer->status > 0) == answer->found;
    case CB_ASK_FIELDS:
        if (cb_pack_array(r, CB_FIELD_COUNT) != CB_FIELD_COUNT) {
            return false;
        }
        for (unsigned f = 0; f < CB_FIELD_COUNT; f++) {
            answer->fields[f] = cb_pack_str(r, CB_ASK_VALUE_MAX);
        }
        if (n_values == ERASED_ANSWER_VALUES) {
            answer->erased = cb_pack_bool(r);
        }
        return r->ok && n_values == (answer->erased ? ERASED_ANSWER_VALUES : FIELDS_ANSWER_VALUES);
    }
    return false;
}

int cb_answer_decode(const void *data, size_t len, struct cb_answer *out, uint32_t *n) {
    struct cb_pack_reader r;
    uint32_t n_answers = 0;
    int err = take_head(&r, data, len, ANSWER_MAGIC, &n_answers);
    if (err) {
        return err;
    }
    for (uint32_t i = 0; i < n_answers; i++) {
        if (!take_answer(&r, &out[i])) {
            return CB_EMALFORMED;
        }
    }
    if (!cb_pack_done(&r)) {
        return CB_EMALFORMED;
    }
    *n = n_answers;
    return 0;
}
