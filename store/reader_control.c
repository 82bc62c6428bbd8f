/* SPDX-License-Identifier: MIT
 * reader_control.c: what control frames made, read back: tokens, settings, the audit log. */
#include <sodium.h>

#include "store/rows.h"
#include "store/snapshot.h"
#include "store/visitor_row.h"

/* ---- tokens ---- */

static int decode_token(struct cb_str value, struct cb_token *out) {
    const uint8_t *p = (const uint8_t *)value.p;
    if (value.len < CB_ROW_TOKEN_HEAD_BYTES) {
        return CB_ECORRUPT;
    }
    size_t site_len = p[CB_TOKEN_SITE_LEN], text_len = value.len - CB_ROW_TOKEN_HEAD_BYTES;
    if (site_len > CB_SITE_MAX || site_len > text_len || text_len - site_len > CB_TOKEN_NAME_MAX) {
        return CB_ECORRUPT;
    }
    const char *text = value.p + CB_ROW_TOKEN_HEAD_BYTES;
    *out = (struct cb_token){.role = p[CB_TOKEN_ROLE],
                             .made_ms = (int64_t)cb_be64_get(p + CB_TOKEN_MADE)};
    memcpy(out->id, p + CB_TOKEN_HASH, CB_TOKEN_ID_BYTES);
    memcpy(out->made_by, p + CB_TOKEN_BY, CB_TOKEN_ID_BYTES);
    memcpy(out->site, text, site_len);
    memcpy(out->name, text + site_len, text_len - site_len);
    return 0;
}

/* Rows stand under the first bytes of the hash, which open nothing and may leak by timing; the
 * whole is compared in constant time. */
int cb_snapshot_token(struct cb_snapshot *snapshot, const uint8_t hash[CB_TOKEN_HASH_BYTES],
                      struct cb_token *out) {
    struct cb_key key = cb_key_token(hash);
    struct cb_str value;
    int rc = cb_snapshot_row(snapshot, CB_TABLE_TOKENS, &key, &value);
    if (rc == 0) {
        rc = decode_token(value, out);
    }
    if (rc == 0 && sodium_memcmp(value.p + CB_TOKEN_HASH, hash, CB_TOKEN_HASH_BYTES) != 0) {
        rc = CB_ENOENT;
    }
    return rc;
}

int cb_snapshot_token_of(struct cb_snapshot *snapshot, const uint8_t id[CB_TOKEN_ID_BYTES],
                         struct cb_token *out) {
    struct cb_key key = cb_key_token(id);
    struct cb_str value;
    int rc = cb_snapshot_row(snapshot, CB_TABLE_TOKENS, &key, &value);
    return rc == 0 ? decode_token(value, out) : rc;
}

struct tokens_user {
    bool (*each)(void *user, const struct cb_token *token);
    void *user;
};

static bool give_token(void *user, struct cb_str key, struct cb_str value) {
    const struct tokens_user *u = user;
    struct cb_token token;
    (void)key;
    return decode_token(value, &token) != 0 || u->each(u->user, &token);
}

void cb_snapshot_tokens(struct cb_snapshot *snapshot,
                        bool (*each)(void *user, const struct cb_token *token), void *user) {
    struct tokens_user u = {each, user};
    struct cb_key prefix = {.len = 0};
    int rc = cb_snapshot_scan(snapshot, CB_TABLE_TOKENS, &prefix, give_token, &u);
    (void)rc; /* the disk's errors were logged in db.c; what was read was given */
}

/* ---- the audit log ---- */

static bool decode_audit(struct cb_str key, struct cb_str value, struct cb_audit *out) {
    const uint8_t *p = (const uint8_t *)value.p;
    if (key.len != 8 || value.len < CB_AUDIT_HEAD_BYTES ||
        p[CB_AUDIT_SITE_LEN] > value.len - CB_AUDIT_HEAD_BYTES) {
        return false;
    }
    size_t site_len = p[CB_AUDIT_SITE_LEN];
    *out = (struct cb_audit){
        .position = ~cb_be64_get((const uint8_t *)key.p),
        .at_ms = (int64_t)cb_be64_get(p + CB_AUDIT_AT),
        .act = p[CB_AUDIT_ACT],
        .site = {value.p + CB_AUDIT_HEAD_BYTES, site_len},
        .summary = {value.p + CB_AUDIT_HEAD_BYTES + site_len,
                    value.len - CB_AUDIT_HEAD_BYTES - site_len},
    };
    memcpy(out->by, p + CB_AUDIT_BY, CB_TOKEN_ID_BYTES);
    return true;
}

/* Puts the key that the visitor has now before the summary. */
static int name_visitor(struct cb_snapshot *snapshot, struct cb_str value, struct cb_audit *audit) {
    uint32_t ordinal = cb_be32_get((const uint8_t *)value.p + CB_AUDIT_VISITOR);
    struct cb_visitor_row visitor;
    struct cb_site site;
    struct cb_str row;
    char hex[2 * CB_VISITOR_BYTES + 1];
    if (ordinal == 0) {
        return 0;
    }
    int rc = cb_snapshot_site(snapshot, audit->site, &site);
    struct cb_key key = cb_key_visitor(site.id, ordinal - 1);
    rc = rc == 0 ? cb_snapshot_row(snapshot, CB_TABLE_VISITORS, &key, &row) : rc;
    rc = rc == 0 ? cb_visitor_row_decode(row, &visitor) : rc;
    if (rc != 0) {
        return rc;
    }
    cb_hex_encode(visitor.id, CB_VISITOR_BYTES, hex);
    cb_buf_clear(&snapshot->text);
    rc = cb_buf_printf(&snapshot->text, "visitor %s%s%.*s", hex, audit->summary.len ? ": " : "",
                       (int)audit->summary.len, audit->summary.p);
    audit->summary = (struct cb_str){snapshot->text.data, snapshot->text.len};
    return rc;
}

void cb_snapshot_audit(struct cb_snapshot *snapshot, uint64_t before,
                       bool (*each)(void *user, const struct cb_audit *audit), void *user) {
    struct cb_db_cursor *cursor;
    struct cb_str key, value;
    struct cb_audit audit;
    if (cb_db_cursor_open(snapshot->txn, cb_views_table(snapshot->views, CB_TABLE_AUDIT),
                          &cursor) != 0) {
        return;
    }
    struct cb_key from = cb_key_audit(before > 0 ? before - 1 : UINT64_MAX);
    int rc = cb_db_seek(cursor, cb_key_str(&from), &key, &value);
    while (rc == 0 && (!decode_audit(key, value, &audit) ||
                       name_visitor(snapshot, value, &audit) != 0 || each(user, &audit))) {
        rc = cb_db_next(cursor, &key, &value);
    }
    cb_db_cursor_close(&cursor);
}

/* ---- settings ---- */

/* Part 0. Errors: CB_ENOENT where the site was given none. */
static int read_head(struct cb_snapshot *snapshot, uint32_t site, struct cb_str *head) {
    struct cb_key key = cb_key_settings(site, 0);
    int rc = cb_snapshot_row(snapshot, CB_TABLE_SETTINGS, &key, head);
    if (rc == 0 &&
        (head->len <= CB_SETTINGS_HEAD_BYTES || head->len - CB_SETTINGS_HEAD_BYTES > CB_ZONE_MAX)) {
        rc = CB_ECORRUPT;
    }
    return rc;
}

int cb_snapshot_zone(struct cb_snapshot *snapshot, uint32_t site, char out[CB_ZONE_MAX + 1]) {
    struct cb_str head, zone = cb_settings_default().zone;
    int rc = read_head(snapshot, site, &head);
    if (rc != 0 && rc != CB_ENOENT) {
        return rc;
    }
    if (rc == 0) {
        zone = (struct cb_str){head.p + CB_SETTINGS_HEAD_BYTES, head.len - CB_SETTINGS_HEAD_BYTES};
    }
    memcpy(out, zone.p, zone.len);
    out[zone.len] = '\0';
    return 0;
}

int cb_snapshot_settings(struct cb_snapshot *snapshot, uint32_t site, struct cb_settings *out,
                         uint64_t *position) {
    struct cb_str head;
    if (position) {
        *position = 0;
    }
    *out = cb_settings_default();
    int rc = read_head(snapshot, site, &head);
    if (rc != 0) {
        return rc == CB_ENOENT ? 0 : rc;
    }
    const uint8_t *p = (const uint8_t *)head.p;
    size_t origins_len = cb_be32_get(p + CB_SETTINGS_ORIGINS_LEN);
    size_t whole = origins_len + cb_be32_get(p + CB_SETTINGS_PAGE_LEN);
    struct cb_buf *text = &snapshot->settings;
    cb_buf_clear(text);
    for (uint8_t part = 1; text->len < whole; part++) {
        struct cb_key key = cb_key_settings(site, part);
        struct cb_str value;
        rc = cb_snapshot_row(snapshot, CB_TABLE_SETTINGS, &key, &value);
        if (rc == 0 && (value.len == 0 || value.len > whole - text->len)) {
            rc = CB_ECORRUPT;
        }
        if (rc == 0) {
            rc = cb_buf_append_str(text, value);
        }
        if (rc != 0) {
            return rc == CB_ENOENT || rc == CB_ETOOBIG ? CB_ECORRUPT : rc;
        }
    }
    if (position) {
        *position = cb_be64_get(p + CB_SETTINGS_POSITION);
    }
    *out = (struct cb_settings){
        .zone = {head.p + CB_SETTINGS_HEAD_BYTES, head.len - CB_SETTINGS_HEAD_BYTES},
        .idle_minutes = cb_be32_get(p + CB_SETTINGS_IDLE),
        .raw_days = cb_be32_get(p + CB_SETTINGS_RAW),
        .personal_days = cb_be32_get(p + CB_SETTINGS_PERSONAL),
        .rollup_days = cb_be32_get(p + CB_SETTINGS_ROLLUP),
        .origins = {text->data, origins_len},
        .page = {text->data + origins_len, whole - origins_len},
    };
    return 0;
}
