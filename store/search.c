/* SPDX-License-Identifier: MIT
 * search.c: who is found by a text. The rows of `search` with a prefix are one run of keys, by term
 * and then by ordinal; a visitor is given at the first of its terms that the text begins, so none
 * comes twice, whatever page it is on. */
#include "store/rows.h"
#include "store/snapshot.h"
#include "store/words.h"

enum {
    PHASE_TERMS = 1, /* the first byte of a cursor */
    PHASE_KEYS = 2,
    TAIL_BYTES = 5, /* of a key, behind the term: zero, ordinal */
    HEX_MIN = 8,
};

struct search {
    struct cb_snapshot *snapshot;
    uint32_t site, left;
    struct cb_words wanted;
    struct cb_search_cursor *cursor;
    bool (*each)(void *user, const struct cb_visitor *visitor);
    void *user;
    bool go_on, *more;
    char hex[2 * CB_VISITOR_BYTES + 1]; /* q as the beginning of a key, or empty */
};

static int compare(struct cb_str a, struct cb_str b) {
    int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* The least of the visitor's terms that begins with what is wanted, as it stands in its key. */
static bool first_term(const struct search *search, const struct cb_visitor *visitor,
                       struct cb_words *words, struct cb_str *out) {
    static const unsigned fields[] = {CB_FIELD_NAME, CB_FIELD_EMAIL, CB_FIELD_PHONE};
    struct cb_str wanted = cb_words_term(&search->wanted, 0);
    bool any = false;
    for (unsigned i = 0; search->wanted.n > 0 && i < sizeof(fields) / sizeof(fields[0]); i++) {
        cb_words_of(fields[i], visitor->fields[fields[i]], &words[i]);
        for (unsigned j = 0; j < words[i].n; j++) {
            struct cb_str term = cb_words_term(&words[i], j), key = cb_words_key(term);
            if (cb_words_begins(term, wanted) && (!any || compare(key, *out) < 0)) {
                *out = key;
                any = true;
            }
        }
    }
    return any;
}

static void stand_at(struct search *search, unsigned phase, struct cb_str where) {
    search->cursor->bytes[0] = (uint8_t)phase;
    memcpy(search->cursor->bytes + 1, where.p, where.len);
    search->cursor->len = (uint8_t)(1 + where.len);
}

/* Takes a row into account; false where the request has had enough. */
static bool may_look(struct search *search) {
    if (!search->go_on || search->left == 0) {
        *search->more = true;
        return false;
    }
    search->left--;
    return true;
}

static int give(struct search *search, uint32_t ordinal, const struct cb_str *at) {
    struct cb_visitor visitor;
    struct cb_words words[3];
    struct cb_str first;
    int rc = cb_snapshot_visitor_at(search->snapshot, search->site, ordinal, &visitor);
    if (rc != 0) {
        return rc == CB_ENOENT ? CB_ECORRUPT : rc;
    }
    bool found = first_term(search, &visitor, words, &first);
    /* By its key only where no term has found it before. */
    if (at ? found && cb_str_eq(first, *at) : !found) {
        search->go_on = search->each(search->user, &visitor);
    }
    return 0;
}

static int walk_terms(struct search *search) {
    struct cb_db_cursor *rows;
    struct cb_str key, value, wanted = cb_words_key(cb_words_term(&search->wanted, 0));
    struct cb_key from = cb_key_site(search->site), prefix = from;
    cb_key_bytes(&prefix, wanted.p, wanted.len);
    bool begun = search->cursor->len > 0;
    if (begun) {
        cb_key_bytes(&from, search->cursor->bytes + 1, search->cursor->len - 1u);
    } else {
        from = prefix;
    }
    int rc = cb_db_cursor_open(search->snapshot->txn,
                               cb_views_table(search->snapshot->views, CB_TABLE_SEARCH), &rows);
    if (rc != 0) {
        return rc;
    }
    rc = cb_db_seek(rows, cb_key_str(&from), &key, &value);
    if (rc == 0 && begun && cb_str_eq(key, cb_key_str(&from))) {
        rc = cb_db_next(rows, &key, &value);
    }
    for (; rc == 0; rc = cb_db_next(rows, &key, &value)) {
        if (key.len < prefix.len || memcmp(key.p, prefix.bytes, prefix.len) != 0) {
            break;
        }
        if (key.len < 4 + TAIL_BYTES) {
            rc = CB_ECORRUPT;
            break;
        }
        if (!may_look(search)) {
            break;
        }
        struct cb_str term = {key.p + 4, key.len - 4 - TAIL_BYTES};
        rc = give(search, cb_be32_get((const uint8_t *)key.p + key.len - 4), &term);
        if (rc != 0) {
            break;
        }
        stand_at(search, PHASE_TERMS, (struct cb_str){key.p + 4, key.len - 4});
    }
    cb_db_cursor_close(&rows);
    return rc == CB_ENOENT ? 0 : rc;
}

static int walk_keys(struct search *search) {
    struct cb_db_cursor *rows;
    struct cb_str key, value;
    struct cb_key from = cb_key_site(search->site);
    size_t digits = strlen(search->hex);
    char padded[2 * CB_VISITOR_BYTES + 1], hex[2 * CB_VISITOR_BYTES + 1];
    uint8_t least[CB_VISITOR_BYTES];
    bool begun = search->cursor->len > 0 && search->cursor->bytes[0] == PHASE_KEYS;
    memset(padded, '0', sizeof(padded) - 1);
    memcpy(padded, search->hex, digits);
    int rc = cb_hex_decode((struct cb_str){padded, sizeof(padded) - 1}, least, sizeof(least));
    cb_key_bytes(&from, begun ? search->cursor->bytes + 1 : least, CB_VISITOR_BYTES);
    if (rc == 0) {
        rc = cb_db_cursor_open(search->snapshot->txn,
                               cb_views_table(search->snapshot->views, CB_TABLE_ORDINALS), &rows);
    }
    if (rc != 0) {
        return rc;
    }
    rc = cb_db_seek(rows, cb_key_str(&from), &key, &value);
    if (rc == 0 && begun && cb_str_eq(key, cb_key_str(&from))) {
        rc = cb_db_next(rows, &key, &value);
    }
    for (; rc == 0; rc = cb_db_next(rows, &key, &value)) {
        if (key.len != 4 + CB_VISITOR_BYTES || memcmp(key.p, from.bytes, 4) != 0) {
            break;
        }
        if (value.len == CB_ROW_HUSK_ORDINAL_BYTES) {
            continue;
        }
        cb_hex_encode((const uint8_t *)key.p + 4, CB_VISITOR_BYTES, hex);
        if (memcmp(hex, search->hex, digits) != 0 || !may_look(search)) {
            break;
        }
        rc = value.len == 4 ? give(search, cb_be32_get((const uint8_t *)value.p), NULL)
                            : CB_ECORRUPT;
        if (rc != 0) {
            break;
        }
        stand_at(search, PHASE_KEYS, (struct cb_str){key.p + 4, CB_VISITOR_BYTES});
    }
    cb_db_cursor_close(&rows);
    return rc == CB_ENOENT ? 0 : rc;
}

/* Whether *cursor is one that this search gave. */
static bool cursor_ok(const struct search *search) {
    const struct cb_search_cursor *cursor = search->cursor;
    struct cb_str wanted = cb_words_key(cb_words_term(&search->wanted, 0));
    if (cursor->len == 0) {
        return true;
    }
    if (cursor->bytes[0] == PHASE_KEYS) {
        return search->hex[0] != '\0' && cursor->len == 1 + CB_VISITOR_BYTES;
    }
    size_t term_len = cursor->len - 1u - TAIL_BYTES;
    return cursor->bytes[0] == PHASE_TERMS && cursor->len > 1 + TAIL_BYTES &&
           term_len <= CB_WORDS_KEY_BYTES && term_len >= wanted.len &&
           memcmp(cursor->bytes + 1, wanted.p, wanted.len) == 0 &&
           memchr(cursor->bytes + 1, 0, term_len + 1) == cursor->bytes + 1 + term_len;
}

static void set_hex(struct search *search, struct cb_str q) {
    if (q.len < HEX_MIN || q.len > 2 * CB_VISITOR_BYTES) {
        return;
    }
    for (size_t i = 0; i < q.len; i++) {
        char c = q.p[i] >= 'A' && q.p[i] <= 'F' ? (char)(q.p[i] | 0x20) : q.p[i];
        search->hex[i] = c;
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            search->hex[0] = '\0';
            return;
        }
    }
    search->hex[q.len] = '\0';
}

int cb_snapshot_search(struct cb_snapshot *snapshot, uint32_t site, struct cb_str q,
                       struct cb_search_cursor *cursor, uint32_t scan_max,
                       bool (*each)(void *user, const struct cb_visitor *visitor), void *user,
                       bool *more) {
    struct search search = {.snapshot = snapshot,
                            .site = site,
                            .left = scan_max,
                            .cursor = cursor,
                            .each = each,
                            .user = user,
                            .go_on = true,
                            .more = more};
    int rc = 0;
    *more = false;
    cb_words_wanted(q, &search.wanted);
    set_hex(&search, q);
    if (search.wanted.n == 0) {
        return CB_EINVAL;
    }
    if (!cursor_ok(&search)) {
        return CB_EMALFORMED;
    }
    if (cursor->len == 0 || cursor->bytes[0] == PHASE_TERMS) {
        rc = walk_terms(&search);
    }
    if (rc == 0 && !*more && search.hex[0] != '\0') {
        rc = walk_keys(&search);
    }
    return rc;
}
