/* SPDX-License-Identifier: MIT
 * settings.c: each site's settings, as the last control frame has them. What the folds go by stands
 * in part 0 by itself, so that looking it up for an event touches one small row; what pages get is
 * cut in parts of 1,500 bytes behind it. */
#include "store/folds/folds.h"
#include "store/rows.h"

static int part_row(struct cb_views *views, uint32_t site, unsigned part, struct cb_row **out) {
    struct cb_key key = cb_key_settings(site, (uint8_t)part);
    return cb_views_row(views, CB_TABLE_SETTINGS, &key, out);
}

static unsigned parts_of(size_t len) {
    return (unsigned)((len + CB_SETTINGS_PART_BYTES - 1) / CB_SETTINGS_PART_BYTES);
}

/* The byte at `at` of two texts, one behind the other. */
static char byte_of(struct cb_str first, struct cb_str second, size_t at) {
    return at < first.len ? first.p[at] : second.p[at - first.len];
}

static int put_texts(struct cb_fold_ctx *ctx, const struct cb_settings *settings,
                     unsigned parts_before) {
    size_t whole = settings->origins.len + settings->page.len;
    unsigned parts = parts_of(whole);
    for (unsigned part = 0; part < parts || part < parts_before; part++) {
        struct cb_row *row;
        size_t from = (size_t)part * CB_SETTINGS_PART_BYTES;
        size_t len = from < whole ? whole - from : 0;
        len = len < CB_SETTINGS_PART_BYTES ? len : CB_SETTINGS_PART_BYTES;
        int rc = part_row(ctx->views, ctx->site, part + 1, &row);
        if (rc == 0) {
            rc = cb_row_resize(ctx->views, row, len);
        }
        if (rc != 0) {
            return rc;
        }
        for (size_t i = 0; i < len; i++) {
            row->data[i] = (uint8_t)byte_of(settings->origins, settings->page, from + i);
        }
    }
    return 0;
}

static int on_control(struct cb_fold_ctx *ctx, const struct cb_control *control) {
    if (control->op != CB_CONTROL_SETTINGS) {
        return 0;
    }
    const struct cb_settings *settings = &control->settings;
    struct cb_row *row;
    int rc = cb_sites_id(ctx->views, control->site, &ctx->site);
    if (rc == 0) {
        rc = part_row(ctx->views, ctx->site, 0, &row);
    }
    if (rc != 0) {
        return rc == CB_ENOENT ? 0 : rc; /* settings of no site */
    }
    unsigned parts_before = 0;
    if (row->len >= CB_SETTINGS_HEAD_BYTES) {
        parts_before = parts_of((size_t)cb_be32_get(row->data + CB_SETTINGS_ORIGINS_LEN) +
                                cb_be32_get(row->data + CB_SETTINGS_PAGE_LEN));
    }
    rc = cb_row_resize(ctx->views, row, CB_SETTINGS_HEAD_BYTES + settings->zone.len);
    if (rc != 0) {
        return rc;
    }
    cb_be64_put(row->data + CB_SETTINGS_POSITION, ctx->position);
    cb_be32_put(row->data + CB_SETTINGS_IDLE, settings->idle_minutes);
    cb_be32_put(row->data + CB_SETTINGS_RAW, settings->raw_days);
    cb_be32_put(row->data + CB_SETTINGS_PERSONAL, settings->personal_days);
    cb_be32_put(row->data + CB_SETTINGS_ROLLUP, settings->rollup_days);
    cb_be32_put(row->data + CB_SETTINGS_ORIGINS_LEN, (uint32_t)settings->origins.len);
    cb_be32_put(row->data + CB_SETTINGS_PAGE_LEN, (uint32_t)settings->page.len);
    memcpy(row->data + CB_SETTINGS_HEAD_BYTES, settings->zone.p, settings->zone.len);
    return put_texts(ctx, settings, parts_before);
}

int cb_sites_settings(struct cb_views *views, uint32_t site, struct cb_settings *out) {
    struct cb_row *row;
    int rc = part_row(views, site, 0, &row);
    *out = cb_settings_default();
    if (rc != 0 || row->len == 0) {
        return rc;
    }
    if (row->len <= CB_SETTINGS_HEAD_BYTES) {
        return CB_ECORRUPT;
    }
    *out = (struct cb_settings){
        .zone = {(const char *)row->data + CB_SETTINGS_HEAD_BYTES,
                 row->len - CB_SETTINGS_HEAD_BYTES},
        .idle_minutes = cb_be32_get(row->data + CB_SETTINGS_IDLE),
        .raw_days = cb_be32_get(row->data + CB_SETTINGS_RAW),
        .personal_days = cb_be32_get(row->data + CB_SETTINGS_PERSONAL),
        .rollup_days = cb_be32_get(row->data + CB_SETTINGS_ROLLUP),
    };
    return 0;
}

const struct cb_fold_ops cb_fold_settings = {.name = "settings", .control = on_control};
