/* SPDX-License-Identifier: MIT
 * pixel.c: see pixel.h. at and sent are the moment of receipt, so the event's age is 0. HEAD counts
 * nothing: no page shows a picture by it. */
#include "ingest/pixel.h"

#include "ingest/events.h"
#include "ingest/reply.h"
#include "proto/metric.h"

enum { VALUE_BYTES = CB_HTTP_HEAD_MAX + 1 };

/* A transparent picture of 1x1 (GIF89a). */
static const uint8_t picture[] = {
    'G',  'I',  'F',  '8',  '9',  'a', 1, 0, 1, 0, 0x80, 0, 0,    0,    0, 0, /* screen */
    0xff, 0xff, 0xff, 0x21, 0xf9, 4,   1, 0, 0, 0, 0, /* colour 0 is transparent */
    0x2c, 0,    0,    0,    0,    1,   0, 1, 0, 0, 2,    2, 0x44, 0x01, 0, 0x3b};

#define PICTURE_HEADERS "Content-Type: image/gif\r\n" CB_REPLY_CORS CB_REPLY_NO_STORE

/* The event of a query string. Its strings live in the memory that is here. */
struct shot {
    struct cb_str site;
    bool has_producer;
    uint8_t producer[CB_PRODUCER_BYTES];
    struct cb_event event; /* seq 0: of the server's own producer */
    char site_text[CB_SITE_MAX + 2], name[CB_NAME_MAX + 2], page[VALUE_BYTES];
    char key[64], value[VALUE_BYTES];
};

static void blame(struct cb_draft *draft, enum cb_refusal refusal, const char *message,
                  const char *field) {
    cb_draft_blame(draft, refusal, message, field);
}

/* Reads a parameter; false when there is none or it is bad, which is blamed on it. */
static bool read(struct cb_draft *draft, struct cb_str query, const char *name, char *out,
                 size_t out_bytes) {
    int err = cb_http_query(query, name, out, out_bytes);
    if (err && err != CB_ENOENT)
        blame(draft, CB_REFUSE_BAD_REQUEST, "a parameter is malformed, too long or given twice",
              NULL);
    return err == 0;
}

static uint64_t seq_of(const char *text) {
    uint64_t seq = 0;
    if (!*text)
        return 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || seq > CB_SEQ_MAX / 10)
            return 0;
        seq = 10 * seq + (uint64_t)(*text - '0');
    }
    return seq <= CB_SEQ_MAX ? seq : 0;
}

static void read_number(struct cb_draft *draft, struct cb_str query, struct shot *shot) {
    char producer[2 * CB_PRODUCER_BYTES + 2], seq[20];
    bool has_producer = read(draft, query, "producer", producer, sizeof producer);
    bool has_seq = read(draft, query, "seq", seq, sizeof seq);
    if (has_producer != has_seq) {
        blame(draft, CB_REFUSE_BAD_REQUEST, "producer and seq go together",
              has_producer ? "seq" : "producer");
        return;
    }
    if (!has_producer)
        return;
    shot->has_producer = cb_hex_decode(cb_str_of(producer), shot->producer, CB_PRODUCER_BYTES) == 0;
    shot->event.seq = seq_of(seq);
    if (!shot->has_producer)
        blame(draft, CB_REFUSE_BAD_REQUEST, "producer must be 16 hex digits", "producer");
    if (shot->event.seq == 0)
        blame(draft, CB_REFUSE_BAD_EVENT, "seq must be a whole number from 1 to 9007199254740991",
              "seq");
}

static bool reserved(struct cb_str name) {
    static const char *const names[] = {"site", "name", "page", "producer", "seq", "key", "value"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cb_str_is(name, names[i]))
            return true;
    return false;
}

/* Takes the next name=value of a query string; false at the end. */
static bool next_pair(struct cb_str *query, struct cb_str *name, struct cb_str *pair) {
    while (query->len) {
        const char *end = memchr(query->p, '&', query->len);
        *pair = (struct cb_str){query->p, end ? (size_t)(end - query->p) : query->len};
        size_t taken = end ? pair->len + 1 : pair->len;
        query->p += taken;
        query->len -= taken;
        const char *equals = pair->len ? memchr(pair->p, '=', pair->len) : NULL;
        *name = (struct cb_str){pair->p, equals ? (size_t)(equals - pair->p) : pair->len};
        if (pair->len)
            return true;
    }
    return false;
}

/* Parameters that are no member of an event are props; their names stand as they are, since a
 * prop's key needs no escape. */
static void read_props(struct cb_draft *draft, struct cb_str query, struct shot *shot) {
    struct cb_str name, pair;
    while (draft->fault.refusal == CB_REFUSE_NONE && next_pair(&query, &name, &pair)) {
        if (reserved(name))
            continue;
        char text[CB_PROP_KEY_MAX + 1];
        if (cb_event_name_valid(name)) {
            memcpy(text, name.p, name.len);
            text[name.len] = '\0';
            /* Of this pair alone: that a name repeats is found by cb_draft_prop. */
            if (!read(draft, pair, text, shot->value, sizeof shot->value))
                continue;
        }
        struct cb_value value = {.type = CB_VALUE_STRING};
        value.s = cb_str_of(shot->value);
        cb_draft_prop(draft, name, &value);
    }
}

static void read_event(struct cb_draft *draft, struct cb_str query, struct shot *shot) {
    struct cb_value key = {.type = CB_VALUE_STRING}, value = key;
    bool has_key = read(draft, query, "key", shot->key, sizeof shot->key);
    bool has_value = read(draft, query, "value", shot->value, sizeof shot->value);
    struct cb_str name = CB_STR("page");
    if (read(draft, query, "name", shot->name, sizeof shot->name))
        name = cb_str_of(shot->name);
    key.s = cb_str_of(shot->key);
    value.s = cb_str_of(shot->value);
    cb_draft_name(draft, name, has_key ? &key : NULL, has_value ? &value : NULL, false,
                  &shot->event);
}

static void read_page(struct cb_draft *draft, const struct cb_http_req *req, struct shot *shot) {
    if (read(draft, req->query, "page", shot->page, sizeof shot->page)) {
        cb_draft_page(draft, cb_str_of(shot->page), &shot->event);
        return;
    }
    const struct cb_str *referer = cb_http_header(req, "referer");
    if (!referer)
        return;
    /* Without query and fragment, as the widget sends it: they often hold secrets. */
    struct cb_str page = *referer;
    page.len = 0;
    while (page.len < referer->len && page.p[page.len] != '?' && page.p[page.len] != '#')
        page.len++;
    if (page.len <= CB_PAGE_MAX && cb_utf8_valid(page))
        shot->event.page = page;
}

/* Fills shot from the query; what is wrong stands in the draft's fault. */
static void read_shot(struct cb_draft *draft, const struct cb_http_req *req, struct shot *shot) {
    char visitor[2];
    memset(&shot->event, 0, sizeof shot->event);
    shot->site = (struct cb_str){NULL, 0};
    shot->has_producer = false;
    shot->value[0] = shot->key[0] = '\0';
    cb_draft_begin(draft);
    if (read(draft, req->query, "site", shot->site_text, sizeof shot->site_text) &&
        cb_site_name_valid(cb_str_of(shot->site_text)))
        shot->site = cb_str_of(shot->site_text);
    else
        blame(draft, CB_REFUSE_BAD_REQUEST, "site must be the name of a site", "site");
    if (cb_http_query(req->query, "visitor", visitor, sizeof visitor) != CB_ENOENT)
        blame(draft, CB_REFUSE_BAD_REQUEST, "a visitor's id must not stand in a URL", "visitor");
    read_number(draft, req->query, shot);
    read_event(draft, req->query, shot);
    read_page(draft, req, shot);
    read_props(draft, req->query, shot);
}

static void refuse(struct cb_worker *w, struct cb_ticket *ticket, const struct shot *shot,
                   bool site_known) {
    const struct cb_fault *fault = &w->beacon->draft.fault;
    struct cb_reject reject = {.refusal = fault->refusal, .n = 1};
    struct cb_batch_reply reply = {.status = cb_refusal_status(fault->refusal),
                                   .headers = CB_REPLY_JSON CB_REPLY_CORS CB_REPLY_NO_STORE};
    if (site_known) {
        reject.site = shot->site;
        reject.has_seq = shot->has_producer && shot->event.seq != 0;
        reject.seq = reject.has_seq ? shot->event.seq : 0;
        memcpy(reject.producer, shot->producer, sizeof reject.producer);
    }
    cb_buf_init(&reply.text, 4096);
    if (cb_refusal_json(&reply.text, fault->refusal, fault->message, fault->field))
        cb_buf_clear(&reply.text); /* out of memory: the status still says it */
    cb_metric_add(CB_METRIC_INGEST_REJECTED, 1);
    cb_batch_reject(w->batch, ticket, &reject);
    cb_batch_close(w->batch, ticket, &reply, false);
}

static void take(struct cb_worker *w, struct cb_http_req *req, struct cb_ticket *ticket,
                 struct shot *shot, struct cb_site *site) {
    struct cb_beacon *b = w->beacon;
    struct cb_facts facts;
    struct cb_envelope envelope = {
        .site = shot->site, .received_ms = req->received_ms, .n_events = 1};
    cb_facts_read(req, &w->agents, w->proxies, w->geo, &facts);
    cb_facts_put(&facts, &envelope);
    if (shot->has_producer) {
        memcpy(envelope.producer, shot->producer, sizeof envelope.producer);
    } else {
        memcpy(envelope.producer, site->pixel_producer, sizeof envelope.producer);
        shot->event.seq = ++site->pixel_seq;
    }
    size_t at = 0;
    cb_draft_place(&shot->event, b->props.data, &at);
    cb_batch_add(w->batch, ticket, &envelope, &shot->event, 1);
    struct cb_batch_reply reply = {
        .status = 200, .headers = PICTURE_HEADERS, .body = picture, .len = sizeof picture};
    cb_batch_close(w->batch, ticket, &reply, false);
}

void cb_pixel_handle(struct cb_worker *w, struct cb_http_req *req, bool settled) {
    struct shot shot;
    struct cb_draft *draft = &w->beacon->draft;
    struct cb_site *site = NULL;
    enum cb_site_state state = CB_SITE_UNKNOWN;
    struct cb_ticket *ticket;
    if (req->method == CB_HTTP_HEAD) {
        cb_http_reply(req, 200, PICTURE_HEADERS, picture, sizeof picture);
        return;
    }
    read_shot(draft, req, &shot);
    if (shot.site.len) {
        state = cb_hold_site(w, shot.site, settled, &site);
        if (state == CB_SITE_WAIT) {
            cb_hold_for_site(w, req, shot.site, cb_pixel_handle);
            return;
        }
        if (state == CB_SITE_UNKNOWN) {
            cb_draft_begin(draft); /* of several faults this one is told */
            blame(draft, CB_REFUSE_SITE_UNKNOWN, NULL, "site");
        }
        if (state == CB_SITE_KNOWN && !cb_reply_origin_allowed(req, site)) {
            cb_draft_begin(draft);
            blame(draft, CB_REFUSE_ORIGIN_REFUSED, NULL, "site");
        }
        unsigned wait_s = state == CB_SITE_KNOWN ? cb_limit_site_wait(w->limit, shot.site) : 0;
        if (wait_s) {
            cb_reply_limited(req, wait_s);
            return;
        }
    }
    cb_buf_clear(&w->beacon->props);
    cb_draft_keep(draft, &shot.event, &w->beacon->props);
    if (state == CB_SITE_UNAVAILABLE || cb_batch_open(w->batch, req, req->query.len, &ticket)) {
        cb_reply_busy(req);
        return;
    }
    if (state == CB_SITE_KNOWN)
        cb_limit_site_take(w->limit, shot.site, 1);
    cb_metric_add(CB_METRIC_INGEST_EVENTS, 1);
    if (draft->fault.refusal != CB_REFUSE_NONE)
        refuse(w, ticket, &shot, state == CB_SITE_KNOWN);
    else
        take(w, req, ticket, &shot, site);
}
