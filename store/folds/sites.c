/* SPDX-License-Identifier: MIT
 * sites.c: which sites and tokens there are, by control frames; and each site's small state. */
#include "store/folds/folds.h"
#include "store/rows.h"

int cb_sites_id(struct cb_views *views, struct cb_str name, uint32_t *id) {
    struct cb_key key = {.len = 0};
    cb_key_bytes(&key, name.p ? name.p : "", name.len);
    struct cb_row *row;
    int rc = cb_views_row(views, CB_TABLE_SITES, &key, &row);
    if (rc != 0) {
        return rc;
    }
    if (row->len == 0) {
        return CB_ENOENT;
    }
    if (row->len != CB_ROW_SITE_BYTES) {
        return CB_ECORRUPT;
    }
    *id = cb_be32_get(row->data);
    return 0;
}

int cb_sites_state(struct cb_views *views, uint32_t site, struct cb_row **row) {
    struct cb_key key = cb_key_site(site);
    int rc = cb_views_row(views, CB_TABLE_SITE_STATE, &key, row);
    if (rc == 0 && (*row)->len == 0) {
        rc = cb_row_resize(views, *row, CB_ROW_SITE_STATE_BYTES);
    }
    return rc == 0 && (*row)->len != CB_ROW_SITE_STATE_BYTES ? CB_ECORRUPT : rc;
}

int cb_sites_state_here(struct cb_fold_ctx *ctx, struct cb_row **row) {
    int rc = ctx->here->state ? 0 : cb_sites_state(ctx->views, ctx->site, &ctx->here->state);
    *row = ctx->here->state;
    return rc;
}

/* The next site's id: 1, 2, 3… */
static int next_id(struct cb_views *views, uint32_t *id) {
    struct cb_row *row;
    int rc = cb_sites_state(views, CB_SITE_ID_NONE, &row);
    if (rc == 0) {
        *id = cb_be32_get(row->data + CB_STATE_NAMES) + 1;
        cb_be32_put(row->data + CB_STATE_NAMES, *id);
        cb_row_touch(row);
    }
    return rc;
}

static int put_site(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    struct cb_key key = {.len = 0};
    cb_key_bytes(&key, control->site.p, control->site.len);
    struct cb_row *row;
    int rc = cb_views_row(ctx->views, CB_TABLE_SITES, &key, &row);
    if (rc != 0) {
        return rc;
    }
    bool fresh = row->len == 0;
    if (!fresh && row->len != CB_ROW_SITE_BYTES) {
        return CB_ECORRUPT;
    }
    uint32_t id = fresh ? 0 : cb_be32_get(row->data);
    if (fresh) {
        rc = next_id(ctx->views, &id);
    }
    if (rc == 0) {
        rc = cb_row_resize(ctx->views, row, CB_ROW_SITE_BYTES);
    }
    if (rc != 0) {
        return rc;
    }
    cb_be32_put(row->data, id);
    row->data[4] = (uint8_t)control->status;
    if (fresh) {
        cb_be64_put(row->data + 5, (uint64_t)control->made_ms);
    }
    return 0;
}

static int put_token(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    struct cb_key key = cb_key_token(control->token);
    struct cb_row *row;
    int rc = cb_views_row(ctx->views, CB_TABLE_TOKENS, &key, &row);
    if (rc == 0) {
        rc = cb_row_resize(ctx->views, row,
                           CB_ROW_TOKEN_HEAD_BYTES + control->site.len + control->name.len);
    }
    if (rc != 0) {
        return rc;
    }
    memcpy(row->data + CB_TOKEN_HASH, control->token, CB_TOKEN_HASH_BYTES);
    row->data[CB_TOKEN_ROLE] = (uint8_t)control->role;
    cb_be64_put(row->data + CB_TOKEN_MADE, (uint64_t)control->made_ms);
    memcpy(row->data + CB_TOKEN_BY, control->by, CB_TOKEN_ID_BYTES);
    row->data[CB_TOKEN_SITE_LEN] = (uint8_t)control->site.len;
    uint8_t *text = row->data + CB_ROW_TOKEN_HEAD_BYTES;
    if (control->site.len > 0) {
        memcpy(text, control->site.p, control->site.len);
    }
    if (control->name.len > 0) {
        memcpy(text + control->site.len, control->name.p, control->name.len);
    }
    return 0;
}

static int drop_token(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    struct cb_key key = cb_key_token(control->token);
    struct cb_row *row;
    int rc = cb_views_row(ctx->views, CB_TABLE_TOKENS, &key, &row);
    return rc == 0 && row->len > 0 ? cb_row_resize(ctx->views, row, 0) : rc;
}

/* Of a site that is not there, nothing. */
static int put_status(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    struct cb_key key = {.len = 0};
    cb_key_bytes(&key, control->site.p, control->site.len);
    struct cb_row *row;
    int rc = cb_views_row(ctx->views, CB_TABLE_SITES, &key, &row);
    if (rc != 0 || row->len == 0) {
        return rc;
    }
    if (row->len != CB_ROW_SITE_BYTES) {
        return CB_ECORRUPT;
    }
    row->data[4] = (uint8_t)control->status;
    cb_row_touch(row);
    return 0;
}

static int on_control(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    switch (control->op) {
    case CB_CONTROL_SITE:
        return put_site(ctx, control);
    case CB_CONTROL_TOKEN:
        return put_token(ctx, control);
    case CB_CONTROL_REVOKE:
        return drop_token(ctx, control);
    case CB_CONTROL_STATUS:
        return put_status(ctx, control);
    case CB_CONTROL_SETTINGS:
    case CB_CONTROL_EDIT:
    case CB_CONTROL_ERASE:
    case CB_CONTROL_SWEPT:
        break; /* settings.c, fields.c, erasures.c */
    }
    return 0;
}

const struct cb_fold_ops cb_fold_sites = {.name = "sites", .control = on_control};
