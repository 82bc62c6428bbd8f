/* SPDX-License-Identifier: MIT
 * beacon.c: see beacon.h. Refusing is done here, before the ack: what leaves as an event is sound.
 *
 * Members of an envelope that are not known are ignored, so that a newer sender may add some; none
 * may repeat. An envelope that is refused whole refuses each of its events, by number where there
 * is one; except too_large: its sender will halve it and send the same numbers again, so they must
 * not be marked as seen. */
#include "ingest/beacon.h"

#include <stdlib.h>
#include <strings.h>

#include "ingest/msgpack.h"

enum { UNKNOWN_MEMBERS_MAX = 32 };

enum member {
    MEMBER_SITE = 1,
    MEMBER_VISITOR = 2,
    MEMBER_PRODUCER = 4,
    MEMBER_SENT = 8,
    MEMBER_EVENTS = 16,
};

static bool type_is(struct cb_str type, const char *name) {
    size_t len = strlen(name);
    return type.len == len && strncasecmp(type.p, name, len) == 0;
}

enum cb_beacon_format cb_beacon_format_of(const struct cb_str *content_type) {
    if (!content_type || content_type->len == 0)
        return CB_BEACON_JSON;
    struct cb_str type = *content_type;
    const char *parameters = memchr(type.p, ';', type.len);
    if (parameters)
        type.len = (size_t)(parameters - type.p);
    while (type.len && (type.p[type.len - 1] == ' ' || type.p[type.len - 1] == '\t'))
        type.len--;
    if (type_is(type, "application/x-ndjson") || type_is(type, "application/ndjson"))
        return CB_BEACON_NDJSON;
    if (type_is(type, "application/msgpack") || type_is(type, "application/x-msgpack") ||
        type_is(type, "application/vnd.msgpack"))
        return CB_BEACON_MSGPACK;
    return CB_BEACON_JSON;
}

int cb_beacon_create(size_t body_max_bytes, struct cb_beacon **out) {
    struct cb_beacon *b = calloc(1, sizeof *b);
    if (!b)
        return CB_ENOMEM;
    /* A prop's msgpack takes at most twice its JSON ("a":1e1 becomes a double), that of a msgpack
     * body does not grow; each event adds its count. */
    size_t props_max = 2 * body_max_bytes + 3 * (size_t)CB_EVENTS_MAX;
    /* Behind an event's props stands its referrer, which is a part of one of them. */
    size_t kept_max = props_max + body_max_bytes;
    cb_draft_init(&b->draft, props_max);
    cb_buf_init(&b->props, kept_max);
    b->events = calloc(CB_EVENTS_MAX, sizeof *b->events);
    b->refusals = calloc(CB_EVENTS_MAX, sizeof *b->refusals);
    int err =
        b->events && b->refusals ? cb_json_parser_create(body_max_bytes, &b->json) : CB_ENOMEM;
    if (err)
        cb_beacon_destroy(&b);
    else
        *out = b;
    return err;
}

void cb_beacon_destroy(struct cb_beacon **beacon) {
    struct cb_beacon *b = *beacon;
    if (!b)
        return;
    if (b->json)
        cb_json_parser_destroy(&b->json);
    cb_draft_fini(&b->draft);
    cb_buf_fini(&b->props);
    free(b->events);
    free(b->refusals);
    free(b);
    *beacon = NULL;
}

int cb_beacon_visitor(struct cb_str site, struct cb_str hex, uint8_t out[CB_VISITOR_BYTES]) {
    uint8_t id[CB_VISITOR_BYTES];
    int err = cb_hex_decode(hex, id, sizeof id);
    if (!err)
        cb_visitor_hash(site, id, out);
    explicit_bzero(id, sizeof id);
    return err;
}

static void blame(struct cb_beacon *b, enum cb_refusal refusal, const char *message,
                  const char *field) {
    if (b->fault.refusal == CB_REFUSE_NONE)
        b->fault = (struct cb_fault){refusal, message, field};
}

static bool faulty(const struct cb_beacon *b) {
    return b->fault.refusal != CB_REFUSE_NONE;
}

void cb_beacon_begin(struct cb_beacon *b, struct cb_str body, enum cb_beacon_format format) {
    b->format = format;
    b->ops = format == CB_BEACON_MSGPACK ? &cb_msgpack_values : &cb_json_values;
    b->rest = body;
    b->any = false;
    b->failed = false;
    b->line = 0;
}

/* Takes the next line that is not blank; false at the end. */
static bool take_line(struct cb_beacon *b, struct cb_str *line) {
    while (b->rest.len) {
        const char *end = memchr(b->rest.p, '\n', b->rest.len);
        line->p = b->rest.p;
        line->len = end ? (size_t)(end - b->rest.p) : b->rest.len;
        size_t taken = end ? line->len + 1 : line->len;
        b->rest.p += taken;
        b->rest.len -= taken;
        b->line++;
        for (size_t i = 0; i < line->len; i++)
            if (line->p[i] != ' ' && line->p[i] != '\t' && line->p[i] != '\r')
                return true;
    }
    return false;
}

static void parse(struct cb_beacon *b, struct cb_str text, struct cb_value *out) {
    const char *why = NULL;
    int err = cb_json_parse(b->json, text, out, &why);
    if (err == CB_EMALFORMED)
        blame(b, CB_REFUSE_BAD_JSON, why, NULL);
    else if (err)
        b->failed = true;
}

/* Reads the next document of the body; false at its end. A fault is in b->fault. */
static bool take_document(struct cb_beacon *b, struct cb_value *out) {
    switch (b->format) {
    case CB_BEACON_NDJSON: {
        struct cb_str line = {NULL, 0};
        if (!take_line(b, &line)) {
            if (!b->any)
                blame(b, CB_REFUSE_BAD_JSON, "the body is empty", NULL);
            return !b->any;
        }
        parse(b, line, out);
        return true;
    }
    case CB_BEACON_MSGPACK:
        if (!b->any && cb_msgpack_check(b->rest)) {
            b->rest.len = 0;
            blame(b, CB_REFUSE_BAD_MSGPACK, cb_refusal_text(CB_REFUSE_BAD_MSGPACK), NULL);
            return true;
        }
        return cb_msgpack_next(&b->rest, out);
    case CB_BEACON_JSON:
    default:
        if (b->any)
            return false;
        parse(b, b->rest, out);
        return true;
    }
}

static unsigned member_of(struct cb_str key) {
    switch (key.len) {
    case 4:
        return memcmp(key.p, "site", 4) == 0   ? MEMBER_SITE
               : memcmp(key.p, "sent", 4) == 0 ? MEMBER_SENT
                                               : 0;
    case 6:
        return memcmp(key.p, "events", 6) == 0 ? MEMBER_EVENTS : 0;
    case 7:
        return memcmp(key.p, "visitor", 7) == 0 ? MEMBER_VISITOR : 0;
    case 8:
        return memcmp(key.p, "producer", 8) == 0 ? MEMBER_PRODUCER : 0;
    default:
        return 0;
    }
}

/* The members of an envelope. */
static void read_members(struct cb_beacon *b, const struct cb_value *document) {
    struct cb_str unknown[UNKNOWN_MEMBERS_MAX];
    unsigned n_unknown = 0;
    struct cb_value_walk walk;
    struct cb_str key;
    struct cb_value value;
    b->ops->begin(document, &walk);
    while (b->ops->member(&walk, &key, &value)) {
        unsigned member = key.p ? member_of(key) : 0;
        bool repeated = (b->members & member) != 0;
        if (!key.p)
            blame(b, CB_REFUSE_BAD_REQUEST, "a member's key must be a string", NULL);
        else if (!member) {
            for (unsigned i = 0; i < n_unknown && !repeated; i++)
                repeated = cb_str_eq(unknown[i], key);
            if (n_unknown == UNKNOWN_MEMBERS_MAX)
                blame(b, CB_REFUSE_BAD_REQUEST, "the envelope has too many members", NULL);
            else
                unknown[n_unknown++] = key;
        }
        if (repeated)
            blame(b, CB_REFUSE_BAD_REQUEST, "a member is given twice", NULL);
        b->members |= member;
        if (member == MEMBER_SITE && !repeated && value.type == CB_VALUE_STRING &&
            cb_site_name_valid(value.s))
            b->site = value.s;
        else if (member == MEMBER_SITE)
            b->site = (struct cb_str){NULL, 0};
        else if (member == MEMBER_VISITOR)
            b->visitor = value;
        else if (member == MEMBER_PRODUCER)
            b->producer = value;
        else if (member == MEMBER_SENT)
            b->sent = value;
        else if (member == MEMBER_EVENTS)
            b->list = value;
        if (n_unknown == UNKNOWN_MEMBERS_MAX && faulty(b))
            return; /* hostile: enough was seen */
    }
}

bool cb_beacon_next(struct cb_beacon *b) {
    struct cb_value document = {.type = CB_VALUE_NULL};
    b->site = (struct cb_str){NULL, 0};
    b->fault = (struct cb_fault){CB_REFUSE_NONE, NULL, NULL};
    b->members = 0;
    b->legible = false;
    if (!take_document(b, &document) || b->failed)
        return false;
    b->any = true;
    if (faulty(b))
        return true;
    if (document.type != CB_VALUE_OBJECT) {
        blame(b, CB_REFUSE_BAD_REQUEST, "an envelope must be an object", NULL);
        return true;
    }
    read_members(b, &document);
    b->legible = (b->members & MEMBER_EVENTS) && b->list.type == CB_VALUE_ARRAY &&
                 b->ops->count(&b->list) > 0;
    return true;
}

static bool is_erased(const struct cb_beacon *b, struct cb_str erasures) {
    uint8_t tag[CB_VISITOR_BYTES];
    if (erasures.len == 0)
        return false;
    cb_visitor_tag(b->envelope.visitor, tag);
    for (size_t i = 0; i + sizeof tag <= erasures.len; i += sizeof tag)
        if (!memcmp(erasures.p + i, tag, sizeof tag))
            return true;
    return false;
}

static void check_visitor(struct cb_beacon *b, struct cb_str erasures) {
    b->envelope.has_visitor = (b->members & MEMBER_VISITOR) && b->visitor.type != CB_VALUE_NULL;
    if (!b->envelope.has_visitor)
        return;
    if (b->visitor.type != CB_VALUE_STRING ||
        cb_beacon_visitor(b->site, b->visitor.s, b->envelope.visitor)) {
        b->envelope.has_visitor = false;
        blame(b, CB_REFUSE_BAD_REQUEST, "visitor must be 32 hex digits", "visitor");
    } else if (is_erased(b, erasures)) {
        blame(b, CB_REFUSE_ERASED, cb_refusal_text(CB_REFUSE_ERASED), "visitor");
    }
}

/* Everything of an envelope but its events. */
static void check_envelope(struct cb_beacon *b, const struct cb_beacon_receipt *receipt) {
    memset(&b->envelope, 0, sizeof b->envelope);
    b->envelope.received_ms = receipt->received_ms;
    cb_facts_put(&receipt->facts, &b->envelope);
    b->has_producer = (b->members & MEMBER_PRODUCER) && b->producer.type == CB_VALUE_STRING &&
                      cb_hex_decode(b->producer.s, b->envelope.producer, CB_PRODUCER_BYTES) == 0;
    if (b->site.len == 0)
        blame(b, CB_REFUSE_BAD_REQUEST, "site must be the name of a site", "site");
    else if (!receipt->site_known)
        blame(b, CB_REFUSE_SITE_UNKNOWN, cb_refusal_text(CB_REFUSE_SITE_UNKNOWN), "site");
    else if (receipt->origin_refused)
        blame(b, CB_REFUSE_ORIGIN_REFUSED, cb_refusal_text(CB_REFUSE_ORIGIN_REFUSED), "site");
    if (receipt->site_known)
        b->envelope.site = b->site;
    if (!faulty(b))
        check_visitor(b, receipt->erasures);
    if (!b->envelope.has_visitor && b->envelope.device == CB_DEVICE_UNKNOWN)
        b->envelope.device = CB_DEVICE_SERVER;
    if (!b->has_producer)
        blame(b, CB_REFUSE_BAD_REQUEST, "producer must be 16 hex digits", "producer");
    if (!(b->members & MEMBER_SENT) || b->sent.type != CB_VALUE_UINT || b->sent.u > CB_TIME_MAX_MS)
        blame(b, CB_REFUSE_BAD_REQUEST, "sent must be a time in whole milliseconds since 1970",
              "sent");
    if (!b->legible)
        blame(b, CB_REFUSE_BAD_REQUEST, "events must be an array with one event at least",
              "events");
    if (b->n_total > CB_EVENTS_MAX)
        blame(b, CB_REFUSE_TOO_LARGE, "an envelope has at most 5000 events", "events");
}

static void refuse(struct cb_beacon *b, const struct cb_fault *fault, uint32_t index, uint32_t n,
                   uint64_t seq) {
    b->refusals[b->n_refusals++] = (struct cb_beacon_refusal){*fault, index, n, seq};
}

/* The whole envelope is refused. */
static void refuse_all(struct cb_beacon *b) {
    bool numbered = b->legible && b->has_producer && b->envelope.site.len &&
                    b->n_total <= CB_EVENTS_MAX && b->fault.refusal != CB_REFUSE_TOO_LARGE;
    if (!numbered) {
        refuse(b, &b->fault, 0, b->n_total, 0);
        return;
    }
    struct cb_value_walk walk;
    struct cb_value event;
    uint32_t index = 0;
    b->ops->begin(&b->list, &walk);
    while (b->ops->item(&walk, &event))
        refuse(b, &b->fault, index++, 1, cb_draft_seq(b->ops, &event));
}

static void check_events(struct cb_beacon *b) {
    struct cb_value_walk walk;
    struct cb_value value;
    uint32_t index = 0;
    int64_t sent_ms = (int64_t)b->sent.u;
    b->ops->begin(&b->list, &walk);
    for (; b->ops->item(&walk, &value); index++) {
        struct cb_event *event = &b->events[b->n_events];
        cb_draft_event(&b->draft, b->ops, &value, sent_ms, b->envelope.has_visitor, event);
        cb_draft_keep(&b->draft, event, &b->props);
        if (b->draft.fault.refusal != CB_REFUSE_NONE) {
            refuse(b, &b->draft.fault, index, 1, event->seq);
            continue;
        }
        b->n_events++;
    }
    /* The buffer may have moved while it grew: only now do its addresses hold. */
    size_t at = 0;
    for (uint32_t i = 0; i < b->n_events; i++)
        cb_draft_place(&b->events[i], b->props.data, &at);
    b->envelope.n_events = b->n_events;
}

void cb_beacon_check(struct cb_beacon *b, const struct cb_beacon_receipt *receipt) {
    size_t count = b->legible ? b->ops->count(&b->list) : 1;
    b->n_total = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
    b->n_events = 0;
    b->n_refusals = 0;
    cb_buf_clear(&b->props);
    check_envelope(b, receipt);
    if (faulty(b))
        refuse_all(b);
    else
        check_events(b);
}
