/* SPDX-License-Identifier: MIT
 * audit.c: one row for each control frame: when, by which token, what, at which site, and in a few
 * words with what. No secret and no personal data: of a token its id, of a visitor the ordinal, of
 * fields their names. */
#include <stdio.h>

#include "proto/token.h"
#include "store/folds/folds.h"
#include "store/rows.h"

static const char *status_text(unsigned status) {
    return status == CB_STATUS_ONLINE    ? "online"
           : status == CB_STATUS_OFFLINE ? "offline"
                                         : "automatic";
}

static unsigned count_words(struct cb_str list) {
    unsigned n = list.len > 0;
    for (size_t i = 0; i < list.len; i++) {
        n += list.p[i] == ' ';
    }
    return n;
}

static void summarize_edit(const struct cb_control *control, char *out, size_t size) {
    size_t len = 0;
    for (unsigned i = 0; i < CB_EDITABLE_COUNT; i++) {
        if (control->fields[i].p) {
            len +=
                (size_t)snprintf(out + len, size - len, "%s%s", len ? " " : "", cb_editable_key(i));
        }
    }
}

/* The visitor that it is about, by ordinal + 1; 0 for none. The key would outlive an erasure here;
 * the reader puts it before the summary. */
static int find_visitor(struct cb_fold_ctx *ctx, const struct cb_control *control, uint32_t *out) {
    bool edit = control->op == CB_CONTROL_EDIT;
    uint32_t site, ordinal;
    *out = 0;
    if (!edit && control->op != CB_CONTROL_ERASE && control->op != CB_CONTROL_SWEPT) {
        return 0;
    }
    int rc = cb_sites_id(ctx->views, control->site, &site);
    if (rc == 0) {
        rc = edit ? cb_visitors_ordinal(ctx->views, site, control->visitor, &ordinal)
                  : cb_erasures_ordinal(ctx->views, site, control->tag, &ordinal);
    }
    *out = rc == 0 ? ordinal + 1 : 0;
    return rc == CB_ENOENT ? 0 : rc;
}

static void summarize(const struct cb_control *control, char *out, size_t size) {
    const struct cb_settings *s = &control->settings;
    char id[2 * CB_TOKEN_ID_BYTES + 1];
    cb_hex_encode(control->token, CB_TOKEN_ID_BYTES, id);
    switch (control->op) {
    case CB_CONTROL_SITE:
    case CB_CONTROL_STATUS:
        snprintf(out, size, "%s", status_text(control->status));
        break;
    case CB_CONTROL_TOKEN:
        snprintf(out, size, "%s %s%s%.*s", cb_role_name(control->role), id,
                 control->name.len > 0 ? ": " : "", (int)control->name.len,
                 control->name.len > 0 ? control->name.p : "");
        break;
    case CB_CONTROL_REVOKE:
        snprintf(out, size, "%s", id);
        break;
    case CB_CONTROL_SETTINGS:
        snprintf(out, size,
                 "zone %.*s, idle %u min, kept %u/%u/%u days, %u origins, %zu bytes for pages",
                 (int)s->zone.len, s->zone.p, s->idle_minutes, s->raw_days, s->personal_days,
                 s->rollup_days, count_words(s->origins), s->page.len);
        break;
    case CB_CONTROL_EDIT:
        summarize_edit(control, out, size);
        break;
    case CB_CONTROL_ERASE:
    case CB_CONTROL_SWEPT:
        break; /* the visitor says it all */
    }
}

static int on_control(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    char summary[CB_AUDIT_SUMMARY_MAX] = "";
    summarize(control, summary, sizeof(summary));
    size_t len = strlen(summary), site_len = control->site.len;
    struct cb_key key = cb_key_audit(ctx->position);
    struct cb_row *row;
    uint32_t visitor;
    int rc = find_visitor(ctx, control, &visitor);
    rc = rc == 0 ? cb_views_row(ctx->views, CB_TABLE_AUDIT, &key, &row) : rc;
    if (rc == 0) {
        rc = cb_row_resize(ctx->views, row, CB_AUDIT_HEAD_BYTES + site_len + len);
    }
    if (rc != 0) {
        return rc;
    }
    cb_be64_put(row->data + CB_AUDIT_AT, (uint64_t)ctx->journal_ms);
    memcpy(row->data + CB_AUDIT_BY, control->by, CB_TOKEN_ID_BYTES);
    row->data[CB_AUDIT_ACT] = (uint8_t)control->op;
    row->data[CB_AUDIT_SITE_LEN] = (uint8_t)site_len;
    cb_be32_put(row->data + CB_AUDIT_VISITOR, visitor);
    if (site_len > 0) {
        memcpy(row->data + CB_AUDIT_HEAD_BYTES, control->site.p, site_len);
    }
    memcpy(row->data + CB_AUDIT_HEAD_BYTES + site_len, summary, len);
    return 0;
}

const struct cb_fold_ops cb_fold_audit = {.name = "audit", .control = on_control};
