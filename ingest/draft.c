/* SPDX-License-Identifier: MIT
 * draft.c: see draft.h. After the first fault only seq is still looked for, so that the refused
 * number can be marked as seen and a hostile event costs no more than a walk over its members. */
#include "ingest/draft.h"

#include <math.h>
#include <strings.h>

#include "ingest/referrer.h"
#include "proto/pack.h"

enum member {
    MEMBER_SEQ = 1,
    MEMBER_NAME = 2,
    MEMBER_AT = 4,
    MEMBER_PAGE = 8,
    MEMBER_KEY = 16,
    MEMBER_VALUE = 32,
    MEMBER_PROPS = 64,
};

void cb_draft_init(struct cb_draft *draft, size_t props_max_bytes) {
    memset(draft, 0, sizeof *draft);
    cb_buf_init(&draft->pairs, props_max_bytes);
    msgpack_packer_init(&draft->packer, &draft->pairs, cb_pack_write);
}

void cb_draft_fini(struct cb_draft *draft) {
    cb_buf_fini(&draft->pairs);
}

void cb_draft_begin(struct cb_draft *draft) {
    cb_buf_clear(&draft->pairs);
    draft->n_props = 0;
    draft->referrer_len = 0;
    draft->fault = (struct cb_fault){CB_REFUSE_NONE, NULL, NULL};
}

void cb_draft_blame(struct cb_draft *draft, enum cb_refusal refusal, const char *message,
                    const char *field) {
    if (draft->fault.refusal == CB_REFUSE_NONE)
        draft->fault = (struct cb_fault){refusal, message, field};
}

static void blame(struct cb_draft *draft, const char *message, const char *field) {
    cb_draft_blame(draft, CB_REFUSE_BAD_EVENT, message, field);
}

static bool faulty(const struct cb_draft *draft) {
    return draft->fault.refusal != CB_REFUSE_NONE;
}

static int pack_scalar(msgpack_packer *pk, const struct cb_value *value) {
    switch (value->type) {
    case CB_VALUE_NULL:
        return msgpack_pack_nil(pk);
    case CB_VALUE_BOOL:
        return value->boolean ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
    case CB_VALUE_UINT:
        return msgpack_pack_uint64(pk, value->u);
    case CB_VALUE_INT:
        return msgpack_pack_int64(pk, value->i);
    case CB_VALUE_FLOAT:
        return msgpack_pack_double(pk, value->f);
    default:
        return msgpack_pack_str_with_body(pk, value->s.p ? value->s.p : "", value->s.len);
    }
}

void cb_draft_prop(struct cb_draft *draft, struct cb_str key, const struct cb_value *value) {
    if (faulty(draft))
        return;
    if (!key.p || !cb_event_name_valid(key)) {
        blame(draft, "a prop's key must be [a-zA-Z][a-zA-Z0-9_.:-]*, at most 64 long", "props");
        return;
    }
    /* The id is a secret that must end in ingest: a page that repeats it here would have it
     * stored. */
    if (key.len == 7 && strncasecmp(key.p, "visitor", 7) == 0) {
        blame(draft, "visitor belongs into the envelope, not into an event", "visitor");
        return;
    }
    if (value->type >= CB_VALUE_ARRAY) {
        blame(draft, "a prop must be a string, a number, true, false or null", "props");
        return;
    }
    if (value->type == CB_VALUE_STRING && value->s.len > CB_PROP_VALUE_MAX) {
        blame(draft, "a prop's string is longer than 1024 bytes", "props");
        return;
    }
    if (value->type == CB_VALUE_FLOAT && !isfinite(value->f)) {
        blame(draft, "a prop's number must be finite", "props");
        return;
    }
    if (draft->n_props == CB_PROPS_MAX) {
        blame(draft, "an event has at most 32 props", "props");
        return;
    }
    for (unsigned i = 0; i < draft->n_props; i++) {
        if (cb_str_eq(draft->keys[i], key)) {
            blame(draft, "a prop is given twice", "props");
            return;
        }
    }
    draft->keys[draft->n_props++] = key;
    if (cb_str_is(key, "referrer") && value->type == CB_VALUE_STRING && value->s.len) {
        memcpy(draft->referrer, value->s.p, value->s.len);
        draft->referrer_len = value->s.len;
    }
    if (msgpack_pack_str_with_body(&draft->packer, key.p, key.len) ||
        pack_scalar(&draft->packer, value))
        cb_draft_blame(draft, CB_REFUSE_TOO_LARGE, "the event's props are too large", "props");
}

static int append_props(const struct cb_draft *draft, struct cb_buf *out) {
    if (draft->n_props == 0)
        return 0;
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, cb_pack_write);
    int err = msgpack_pack_map(&packer, draft->n_props) ? CB_ENOMEM : 0;
    return err ? err : cb_buf_append(out, draft->pairs.data, draft->pairs.len);
}

void cb_draft_keep(struct cb_draft *draft, struct cb_event *event, struct cb_buf *out) {
    char host[CB_REFERRER_MAX];
    size_t before = out->len, len = 0;
    if (faulty(draft))
        return;
    if (event->name_code != CB_NAME_SET && event->name_code != CB_NAME_GET)
        len = cb_referrer_of((struct cb_str){draft->referrer, draft->referrer_len}, event->page,
                             host);
    int err = append_props(draft, out);
    event->props.len = err ? 0 : out->len - before;
    if (!err)
        err = cb_buf_append(out, host, len);
    if (err) {
        out->len = before;
        cb_draft_blame(draft, CB_REFUSE_TOO_LARGE, "the props are too large", "props");
        return;
    }
    event->referrer.len = len;
}

void cb_draft_place(struct cb_event *event, const char *data, size_t *at) {
    struct cb_str *const parts[] = {&event->props, &event->referrer};
    for (size_t i = 0; i < 2; i++) {
        parts[i]->p = parts[i]->len ? data + *at : NULL;
        *at += parts[i]->len;
    }
}

static void field_of(struct cb_draft *draft, const struct cb_value *key,
                     const struct cb_value *value, bool has_visitor, struct cb_event *out) {
    int field = key && key->type == CB_VALUE_STRING ? cb_field_of(key->s) : CB_ENOENT;
    if (field < 0) {
        blame(draft, "set and get need a key: name, email, phone or notes", "key");
        return;
    }
    out->key = cb_str_of(cb_field_key((unsigned)field));
    if (out->name_code == CB_NAME_GET) {
        if (value && value->type != CB_VALUE_NULL)
            blame(draft, "get has no value", "value");
        return;
    }
    if (!has_visitor)
        blame(draft, "set needs an envelope with a visitor", "visitor");
    else if (!value || value->type != CB_VALUE_STRING)
        blame(draft, "set needs a value, a string", "value");
    else if (cb_utf8_length(value->s) > cb_field_max_chars((unsigned)field))
        blame(draft, "the value is longer than its field may be", "value");
    else
        out->value = value->s;
}

void cb_draft_name(struct cb_draft *draft, struct cb_str name, const struct cb_value *key,
                   const struct cb_value *value, bool has_visitor, struct cb_event *out) {
    if (!cb_event_name_valid(name)) {
        blame(draft, "name must be [a-zA-Z][a-zA-Z0-9_.:-]*, at most 64 long", "name");
        return;
    }
    out->name_code = cb_event_name_code(name);
    out->name = out->name_code == CB_NAME_CUSTOM ? name : cb_event_name_text(out->name_code);
    if (out->name_code == CB_NAME_SET || out->name_code == CB_NAME_GET) {
        field_of(draft, key, value, has_visitor, out);
        return;
    }
    if (key)
        cb_draft_prop(draft, CB_STR("key"), key);
    if (value)
        cb_draft_prop(draft, CB_STR("value"), value);
}

void cb_draft_page(struct cb_draft *draft, struct cb_str page, struct cb_event *out) {
    if (page.len > CB_PAGE_MAX)
        blame(draft, "page is longer than 2048 bytes", "page");
    else
        out->page = page;
}

static enum member member_of(struct cb_str key) {
    switch (key.len) {
    case 2:
        return memcmp(key.p, "at", 2) == 0 ? MEMBER_AT : 0;
    case 3:
        return memcmp(key.p, "seq", 3) == 0   ? MEMBER_SEQ
               : memcmp(key.p, "key", 3) == 0 ? MEMBER_KEY
                                              : 0;
    case 4:
        return memcmp(key.p, "name", 4) == 0   ? MEMBER_NAME
               : memcmp(key.p, "page", 4) == 0 ? MEMBER_PAGE
                                               : 0;
    case 5:
        return memcmp(key.p, "value", 5) == 0   ? MEMBER_VALUE
               : memcmp(key.p, "props", 5) == 0 ? MEMBER_PROPS
                                                : 0;
    default:
        return 0;
    }
}

static uint64_t seq_of(const struct cb_value *value) {
    return value->type == CB_VALUE_UINT && value->u <= CB_SEQ_MAX ? value->u : 0;
}

static void nested_props(struct cb_draft *draft, const struct cb_value_ops *ops,
                         const struct cb_value *value) {
    if (value->type != CB_VALUE_OBJECT) {
        blame(draft, "props must be an object", "props");
        return;
    }
    struct cb_value_walk walk;
    struct cb_str key;
    struct cb_value prop;
    ops->begin(value, &walk);
    while (!faulty(draft) && ops->member(&walk, &key, &prop))
        cb_draft_prop(draft, key, &prop);
}

/* What an event's members hold, by their names; absent ones have no bit in seen. */
struct members {
    unsigned seen;
    struct cb_value name, at, page, key, value;
};

static void read_member(struct cb_draft *draft, const struct cb_value_ops *ops, struct cb_str key,
                        const struct cb_value *value, struct members *m, struct cb_event *out) {
    enum member which = key.p ? member_of(key) : 0;
    if (which && (m->seen & which)) {
        if (which == MEMBER_SEQ)
            out->seq = 0; /* of two numbers none is legible */
        blame(draft, "a member is given twice", NULL);
        return;
    }
    m->seen |= which;
    switch (which) {
    case MEMBER_SEQ:
        out->seq = seq_of(value);
        break;
    case MEMBER_NAME:
        m->name = *value;
        break;
    case MEMBER_AT:
        m->at = *value;
        break;
    case MEMBER_PAGE:
        m->page = *value;
        break;
    case MEMBER_KEY:
        m->key = *value;
        break;
    case MEMBER_VALUE:
        m->value = *value;
        break;
    case MEMBER_PROPS:
        nested_props(draft, ops, value);
        break;
    default:
        cb_draft_prop(draft, key, value);
    }
}

static void read_at(struct cb_draft *draft, const struct members *m, int64_t sent_ms,
                    struct cb_event *out) {
    if (!(m->seen & MEMBER_AT) || m->at.type != CB_VALUE_UINT || m->at.u > CB_TIME_MAX_MS) {
        blame(draft, "at must be a time in whole milliseconds since 1970", "at");
        return;
    }
    int64_t age_ms = sent_ms - (int64_t)m->at.u;
    if (age_ms > CB_AGE_MAX_MS)
        cb_draft_blame(draft, CB_REFUSE_BAD_TIME, cb_refusal_text(CB_REFUSE_BAD_TIME), "at");
    out->age_ms = age_ms < 0 ? 0 : age_ms; /* never in the future */
}

enum cb_refusal cb_draft_event(struct cb_draft *draft, const struct cb_value_ops *ops,
                               const struct cb_value *value, int64_t sent_ms, bool has_visitor,
                               struct cb_event *out) {
    cb_draft_begin(draft);
    memset(out, 0, sizeof *out);
    if (value->type != CB_VALUE_OBJECT) {
        blame(draft, "an event must be an object", NULL);
        return draft->fault.refusal;
    }
    struct members m = {.seen = 0};
    struct cb_value_walk walk;
    struct cb_str key;
    struct cb_value member;
    ops->begin(value, &walk);
    while (ops->member(&walk, &key, &member))
        read_member(draft, ops, key, &member, &m, out);

    if (out->seq == 0)
        blame(draft, "seq must be a whole number from 1 to 9007199254740991", "seq");
    if (!(m.seen & MEMBER_NAME) || m.name.type != CB_VALUE_STRING)
        blame(draft, "name must be a string", "name");
    else
        cb_draft_name(draft, m.name.s, m.seen & MEMBER_KEY ? &m.key : NULL,
                      m.seen & MEMBER_VALUE ? &m.value : NULL, has_visitor, out);
    if ((m.seen & MEMBER_PAGE) && m.page.type != CB_VALUE_NULL) {
        if (m.page.type == CB_VALUE_STRING)
            cb_draft_page(draft, m.page.s, out);
        else
            blame(draft, "page must be a string", "page");
    }
    read_at(draft, &m, sent_ms, out);
    return draft->fault.refusal;
}

uint64_t cb_draft_seq(const struct cb_value_ops *ops, const struct cb_value *value) {
    if (value->type != CB_VALUE_OBJECT)
        return 0;
    struct cb_value_walk walk;
    struct cb_str key;
    struct cb_value member;
    uint64_t seq = 0;
    unsigned n = 0;
    ops->begin(value, &walk);
    while (ops->member(&walk, &key, &member)) {
        if (key.p && member_of(key) == MEMBER_SEQ) {
            seq = seq_of(&member);
            n++;
        }
    }
    return n == 1 ? seq : 0;
}
