/* SPDX-License-Identifier: MIT */
#include "query/rows.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/pack.h"
#include "query/csv.h"

enum { PROPS_BYTES_MAX = 896 * 1024 }; /* as JSON */

/* days ago; 0 days: never. By when events were received, not by the journal's own time, which lags
 * behind after a long rest. */
static int64_t ago(int64_t now_ms, uint32_t days) {
    return days > 0 ? now_ms - days * INT64_C(86400000) : INT64_MIN;
}

int cb_row_rights_read(struct cb_snapshot *snapshot, const struct cb_token *token, uint32_t site,
                       int64_t now_ms, struct cb_row_rights *out) {
    struct cb_settings settings;
    int rc = cb_snapshot_settings(snapshot, site, &settings, NULL);
    if (!rc)
        *out = (struct cb_row_rights){.producers = token->role >= CB_ROLE_ADMIN,
                                      .personal = token->role >= CB_ROLE_OPERATOR,
                                      .from_ms = ago(now_ms, settings.raw_days),
                                      .personal_from_ms = ago(now_ms, settings.personal_days)};
    return rc;
}

static void json_hex(struct cb_json *json, const char *key, const uint8_t *bytes, size_t len) {
    char hex[2 * CB_VISITOR_BYTES + 1];
    cb_hex_encode(bytes, len, hex);
    cb_json_key(json, key);
    cb_json_str(json, cb_str_of(hex));
}

static bool sees_typed(struct cb_row_rights rights, const struct cb_export_row *row) {
    return rights.personal && row->envelope->received_ms >= rights.personal_from_ms;
}

/* A message's props are what a visitor typed. */
static struct cb_str props_of(struct cb_row_rights rights, const struct cb_export_row *row) {
    bool hidden = row->event->name_code == CB_NAME_MESSAGE && !sees_typed(rights, row);
    return hidden ? (struct cb_str){NULL, 0} : row->event->props;
}

int cb_row_json(const struct cb_export_row *row, struct cb_row_rights rights, struct cb_buf *out) {
    const struct cb_envelope *envelope = row->envelope;
    const struct cb_event *event = row->event;
    struct cb_json json;
    cb_json_init(&json, out);
    cb_json_object_begin(&json);
    cb_json_key(&json, "position");
    cb_json_uint(&json, row->position);
    cb_json_key(&json, "index");
    cb_json_uint(&json, row->index);
    cb_json_key(&json, "received");
    cb_json_int(&json, envelope->received_ms);
    cb_json_key(&json, "at");
    cb_json_int(&json, row->true_ms);
    cb_json_key(&json, "site");
    cb_json_str(&json, envelope->site);
    if (envelope->has_visitor) {
        json_hex(&json, "visitor", envelope->visitor, CB_VISITOR_BYTES);
    } else {
        cb_json_key(&json, "visitor");
        cb_json_null(&json);
    }
    if (rights.producers)
        json_hex(&json, "producer", envelope->producer, CB_PRODUCER_BYTES);
    cb_json_key(&json, "seq");
    cb_json_uint(&json, event->seq);
    cb_json_key(&json, "name");
    cb_json_str(&json, event->name);
    cb_json_key(&json, "page");
    if (event->page.len > 0)
        cb_json_str(&json, event->page);
    else
        cb_json_null(&json);
    if (event->name_code == CB_NAME_SET || event->name_code == CB_NAME_GET) {
        cb_json_key(&json, "key");
        cb_json_str(&json, event->key);
    }
    if (event->name_code == CB_NAME_SET && sees_typed(rights, row)) {
        cb_json_key(&json, "value");
        cb_json_str(&json, event->value);
    }
    cb_json_key(&json, "props");
    if (!json.err)
        json.err = cb_props_json(out, props_of(rights, row));
    cb_json_object_end(&json);
    return json.err;
}

/* A text cell, with the comma before it. */
static int csv_cell(struct cb_buf *out, struct cb_str text) {
    int rc = cb_buf_append(out, ",", 1);
    return rc ? rc : cb_csv_cell(out, text);
}

static int csv_props(struct cb_buf *out, struct cb_str props) {
    struct cb_buf json;
    cb_buf_init(&json, PROPS_BYTES_MAX);
    int rc = cb_props_json(&json, props);
    if (!rc)
        rc = csv_cell(out, (struct cb_str){json.data, json.len});
    cb_buf_fini(&json);
    return rc;
}

const struct cb_str cb_row_csv_titles =
    CB_STR("position,index,received,at,site,visitor,producer,seq,name,page,key,value,props\r\n");

int cb_row_csv(const struct cb_export_row *row, struct cb_row_rights rights, struct cb_buf *out) {
    const struct cb_envelope *envelope = row->envelope;
    const struct cb_event *event = row->event;
    char visitor[2 * CB_VISITOR_BYTES + 1] = "", producer[2 * CB_PRODUCER_BYTES + 1] = "";
    if (envelope->has_visitor)
        cb_hex_encode(envelope->visitor, CB_VISITOR_BYTES, visitor);
    if (rights.producers)
        cb_hex_encode(envelope->producer, CB_PRODUCER_BYTES, producer);
    int rc = cb_buf_printf(out, "%" PRIu64 ",%" PRIu32 ",%" PRId64 ",%" PRId64, row->position,
                           row->index, envelope->received_ms, row->true_ms);
    if (!rc)
        rc = csv_cell(out, envelope->site);
    if (!rc)
        rc = cb_buf_printf(out, ",%s,%s,%" PRIu64, visitor, producer, event->seq);
    if (!rc)
        rc = csv_cell(out, event->name);
    if (!rc)
        rc = csv_cell(out, event->page);
    if (!rc)
        rc = csv_cell(out, event->key);
    if (!rc)
        rc = csv_cell(out, sees_typed(rights, row) ? event->value : (struct cb_str){NULL, 0});
    if (!rc)
        rc = csv_props(out, props_of(rights, row));
    return rc ? rc : cb_buf_append(out, "\r\n", 2);
}

bool cb_number_take(const char **at, uint64_t max, uint64_t *out) {
    const char *digit = *at;
    uint64_t value = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        unsigned n = (unsigned)(*digit - '0');
        if (value > (max - n) / 10)
            return false;
        value = value * 10 + n;
    }
    bool some = digit > *at;
    *at = digit;
    *out = value;
    return some;
}

int cb_cursor_parse(const char *text, struct cb_export_cursor *out) {
    uint64_t position, index;
    if (!cb_number_take(&text, UINT64_MAX, &position))
        return CB_EMALFORMED;
    if (*text == '\0' && position < UINT64_MAX) {
        *out = (struct cb_export_cursor){position + 1, 0};
        return 0;
    }
    if (position == 0 || *text++ != '-' || !cb_number_take(&text, UINT32_MAX - 1, &index) ||
        *text != '\0')
        return CB_EMALFORMED;
    *out = (struct cb_export_cursor){position, (uint32_t)index + 1};
    return 0;
}

void cb_cursor_text(const struct cb_export_cursor *cursor, char out[CB_CURSOR_TEXT_MAX]) {
    if (cursor->index == 0)
        snprintf(out, CB_CURSOR_TEXT_MAX, "%" PRIu64, cursor->position - (cursor->position > 0));
    else
        snprintf(out, CB_CURSOR_TEXT_MAX, "%" PRIu64 "-%" PRIu32, cursor->position,
                 cursor->index - 1);
}
