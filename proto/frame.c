/* SPDX-License-Identifier: MIT
 * Invariant: cb_frame_decode lets nothing through that a walk could stumble over, and nothing that
 * breaks a limit of event.h. Both read items by the same functions; decode adds the limits.
 *
 * On the way to the ack: no allocation, one pass. */
#include "proto/frame.h"

#include <assert.h>

#include "proto/frame_wire.h"

static const struct cb_str no_str = {NULL, 0};

/* ---- one event, one item ---- */

static void take_name(struct cb_pack_reader *r, struct cb_event *event) {
    struct cb_pack_token t;
    event->name_code = CB_NAME_CUSTOM;
    event->name = no_str;
    if (!cb_pack_next(r, &t)) {
        return;
    }
    if (t.type == CB_PACK_UINT && t.u >= 1 && t.u <= CB_NAME_KNOWN_MAX) {
        event->name_code = (unsigned)t.u;
        event->name = cb_event_name_text(event->name_code);
    } else if (t.type == CB_PACK_STR) {
        /* A sender that did not know a name yet spells it out: it counts as the known one. */
        event->name_code = cb_event_name_code(t.s);
        event->name = t.s;
    } else {
        cb_pack_fail(r);
    }
}

static bool has_key(unsigned name_code) {
    return name_code == CB_NAME_SET || name_code == CB_NAME_GET;
}

/* Whether an event of this name may have n values. */
static bool event_values_ok(unsigned version, unsigned name_code, uint32_t n) {
    if (name_code == CB_NAME_SET) {
        return n == CB_EVENT_SET_VALUES;
    }
    if (name_code == CB_NAME_GET) {
        return n == CB_EVENT_GET_VALUES;
    }
    return n >= CB_EVENT_VALUES_MIN &&
           n <= (version == 1 ? (uint32_t)CB_EVENT_VALUES_MAX_V1 : CB_EVENT_VALUES_MAX);
}

/* checked: props were validated before, so they are only stepped over. */
static inline bool take_event(struct cb_pack_reader *r, unsigned version, bool checked,
                              struct cb_event *event) {
    uint32_t n = cb_pack_array(r, CB_EVENT_SET_VALUES);
    event->seq = cb_pack_uint(r, CB_SEQ_MAX);
    take_name(r, event);
    event->age_ms = (int64_t)cb_pack_uint(r, (uint64_t)CB_AGE_MAX_MS);
    event->page = event->props = event->key = event->value = event->referrer = no_str;
    if (!event_values_ok(version, event->name_code, n)) {
        cb_pack_fail(r);
        return false;
    }
    if (n > 3 && !cb_pack_nil(r)) {
        event->page = cb_pack_str(r, CB_PAGE_MAX);
    }
    if (n > 4 && !cb_pack_nil(r)) {
        event->props = checked ? cb_pack_skip(r, 1) : cb_props_take(r);
        if (event->props.len == 1) { /* an empty map */
            event->props = no_str;
        }
    }
    if (n > 5 && has_key(event->name_code)) {
        event->key = cb_pack_str(r, SIZE_MAX);
    } else if (n > 5) {
        event->referrer = cb_pack_str(r, CB_REFERRER_MAX);
        if (event->referrer.len == 0) {
            cb_pack_fail(r); /* none is left out */
        }
    }
    if (n > 6) {
        event->value = cb_pack_str(r, SIZE_MAX);
    }
    return r->ok;
}

bool cb_frame_event_ok(const struct cb_event *e) {
    if (e->seq < 1 || e->seq > CB_SEQ_MAX || e->age_ms < 0 || e->age_ms > CB_AGE_MAX_MS ||
        e->page.len > CB_PAGE_MAX || e->name_code > CB_NAME_KNOWN_MAX) {
        return false;
    }
    if (e->name_code == CB_NAME_CUSTOM && !cb_event_name_valid(e->name)) {
        return false;
    }
    if (!has_key(e->name_code)) {
        return e->key.len == 0 && e->value.len == 0 &&
               (e->referrer.len == 0 || cb_referrer_valid(e->referrer));
    }
    int field = cb_field_of(e->key);
    if (field < 0 || e->referrer.len > 0 || (e->name_code == CB_NAME_GET && e->value.len > 0)) {
        return false;
    }
    size_t chars_max = cb_field_max_chars((unsigned)field);
    return e->value.len <= chars_max ||
           (e->value.len <= 4 * chars_max && cb_utf8_length(e->value) <= chars_max);
}

static bool country_ok(const char country[3]) {
    if (country[0] == 0) {
        return true;
    }
    return country[0] >= 'A' && country[0] <= 'Z' && country[1] >= 'A' && country[1] <= 'Z' &&
           country[2] == 0;
}

bool cb_frame_envelope_ok(const struct cb_envelope *e) {
    return cb_site_name_valid(e->site) && e->received_ms >= 0 &&
           e->received_ms <= CB_FRAME_TIME_MAX_MS && e->device <= CB_DEVICE_MAX &&
           country_ok(e->country) &&
           (e->language[0] == 0 || cb_language_valid(cb_str_of(e->language))) &&
           e->browser <= CB_BROWSER_MAX;
}

static void take_fixed_bin(struct cb_pack_reader *r, uint8_t *out, size_t len) {
    struct cb_str bin = cb_pack_bin(r, len);
    if (bin.len == len) {
        memcpy(out, bin.p, len);
    } else {
        memset(out, 0, len);
        cb_pack_fail(r);
    }
}

static uint32_t take_site(struct cb_pack_reader *r, const struct cb_frame *frame,
                          struct cb_str *name) {
    uint32_t site = (uint32_t)cb_pack_uint(r, CB_FRAME_SITES_MAX - 1);
    *name = no_str;
    if (r->ok && site < frame->n_sites) {
        *name = frame->sites[site].name;
    } else {
        cb_pack_fail(r);
    }
    return site;
}

/* Takes what follows an envelope's kind, up to the head of its events. */
static uint32_t take_envelope(struct cb_pack_reader *r, const struct cb_frame *frame,
                              struct cb_envelope *e) {
    uint32_t site = take_site(r, frame, &e->site);
    e->has_visitor = !cb_pack_nil(r);
    if (e->has_visitor) {
        take_fixed_bin(r, e->visitor, CB_VISITOR_BYTES);
    } else {
        memset(e->visitor, 0, CB_VISITOR_BYTES);
    }
    take_fixed_bin(r, e->producer, CB_PRODUCER_BYTES);
    e->received_ms = (int64_t)cb_pack_uint(r, (uint64_t)CB_FRAME_TIME_MAX_MS);
    e->device = (unsigned)cb_pack_uint(r, CB_DEVICE_MAX);
    e->bot = cb_pack_bool(r);
    struct cb_str country = cb_pack_str(r, 2);
    memset(e->country, 0, sizeof e->country);
    if (country.len == 2) {
        memcpy(e->country, country.p, 2);
    } else if (country.len != 0) {
        cb_pack_fail(r);
    }
    memset(e->language, 0, sizeof e->language);
    e->browser = CB_BROWSER_UNKNOWN;
    if (frame->version > 1) {
        struct cb_str language = cb_pack_str(r, CB_LANGUAGE_MAX);
        if (language.len > 0 && !cb_language_valid(language)) {
            cb_pack_fail(r);
        } else if (language.len > 0) {
            memcpy(e->language, language.p, language.len);
        }
        e->browser = (unsigned)cb_pack_uint(r, CB_BROWSER_MAX);
    }
    e->n_events = cb_pack_array(r, CB_EVENTS_MAX);
    return site;
}

static uint32_t take_reject(struct cb_pack_reader *r, const struct cb_frame *frame,
                            uint32_t n_values, struct cb_reject *reject) {
    uint32_t site = take_site(r, frame, &reject->site);
    reject->refusal = (unsigned)cb_pack_uint(r, CB_REFUSAL_MAX);
    reject->n = cb_pack_uint(r, CB_REJECT_N_MAX);
    reject->has_seq = n_values == CB_ITEM_NUMBERED_VALUES;
    reject->seq = 0;
    memset(reject->producer, 0, CB_PRODUCER_BYTES);
    if (reject->has_seq) {
        take_fixed_bin(r, reject->producer, CB_PRODUCER_BYTES);
        reject->seq = cb_pack_uint(r, CB_SEQ_MAX);
    }
    return site;
}

/* Takes the head of an item. An envelope's fields, or a refusal, are then complete; the events are
 * next. Anything that is not an item ends the walk with r->ok false. */
static enum cb_frame_item take_item(struct cb_pack_reader *r, const struct cb_frame *frame,
                                    struct cb_envelope *envelope, struct cb_reject *reject,
                                    uint32_t *site) {
    const uint32_t envelope_values =
        frame->version == 1 ? CB_ITEM_ENVELOPE_VALUES_V1 : CB_ITEM_ENVELOPE_VALUES;
    uint32_t n_values = cb_pack_array(r, envelope_values);
    uint64_t kind = cb_pack_uint(r, CB_ITEM_REJECT);
    if (kind == CB_ITEM_ENVELOPE && n_values == envelope_values) {
        *site = take_envelope(r, frame, envelope);
        return CB_ITEM_ENVELOPE;
    }
    if (kind == CB_ITEM_REJECT &&
        (n_values == CB_ITEM_SUM_VALUES || n_values == CB_ITEM_NUMBERED_VALUES)) {
        *site = take_reject(r, frame, n_values, reject);
        return CB_ITEM_REJECT;
    }
    cb_pack_fail(r);
    return CB_ITEM_END;
}

/* ---- decoding ---- */

static bool reject_ok(const struct cb_reject *reject) {
    if (reject->refusal < 1 || reject->n < 1) {
        return false;
    }
    /* A number is marked seen with its site and producer: without a site there is no such place. */
    return !reject->has_seq || (reject->n == 1 && reject->seq >= 1 && reject->site.len > 0);
}

static bool events_ok(struct cb_pack_reader *r, unsigned version, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        struct cb_event event;
        if (!take_event(r, version, false, &event) || !cb_frame_event_ok(&event)) {
            return false;
        }
    }
    return n > 0;
}

/* Checks every item, and that the header's counts are what the items add up to. */
static bool body_ok(const struct cb_frame *frame) {
    struct cb_pack_reader r;
    struct cb_envelope envelope;
    struct cb_reject reject;
    uint64_t found[CB_FRAME_SITES_MAX];
    uint32_t site = 0;
    memset(found, 0, frame->n_sites * sizeof found[0]);
    cb_pack_reader_init(&r, frame->body.p, frame->body.len);
    while (!cb_pack_done(&r)) {
        uint64_t n = 0;
        switch (take_item(&r, frame, &envelope, &reject, &site)) {
        case CB_ITEM_ENVELOPE:
            if (!r.ok || !cb_frame_envelope_ok(&envelope) ||
                !events_ok(&r, frame->version, envelope.n_events)) {
                return false;
            }
            n = envelope.n_events;
            break;
        case CB_ITEM_REJECT:
            if (!r.ok || !reject_ok(&reject)) {
                return false;
            }
            n = reject.n;
            break;
        case CB_ITEM_END:
            return false;
        }
        found[site] += n; /* cannot wrap: n is under 2^32 and an item takes bytes */
    }
    for (site = 0; site < frame->n_sites; site++) {
        if (found[site] != frame->sites[site].received) {
            return false;
        }
    }
    return true;
}

static bool take_sites(struct cb_pack_reader *r, struct cb_frame *out) {
    uint16_t slots[2 * CB_FRAME_SITES_MAX];
    uint32_t n = cb_pack_array(r, CB_FRAME_SITES_MAX);
    if (n > 0) {
        memset(slots, 0, sizeof slots);
    }
    for (out->n_sites = 0; out->n_sites < n; out->n_sites++) {
        struct cb_frame_site *site = &out->sites[out->n_sites];
        uint32_t n_values = cb_pack_array(r, CB_FRAME_SITE_VALUES);
        site->name = cb_pack_str(r, CB_SITE_MAX);
        site->received = cb_pack_uint(r, UINT64_MAX);
        if (!r->ok || n_values != CB_FRAME_SITE_VALUES || site->received == 0 ||
            (site->name.len > 0 && !cb_site_name_valid(site->name))) {
            return false;
        }
        uint16_t *slot = cb_frame_site_slot(slots, out->sites, site->name);
        if (*slot != 0) {
            return false; /* the same site twice */
        }
        *slot = (uint16_t)(out->n_sites + 1);
    }
    return r->ok;
}

/* Takes magic and version, which stand at the same place in every version. */
static bool take_version(struct cb_pack_reader *r, uint32_t *n_values, uint64_t *version) {
    *n_values = cb_pack_array(r, UINT32_MAX);
    struct cb_str magic = cb_pack_str(r, sizeof CB_FRAME_MAGIC - 1);
    *version = cb_pack_uint(r, UINT64_MAX);
    return r->ok && cb_str_is(magic, CB_FRAME_MAGIC) && *version >= 1;
}

/* Versions 1 and 2 differ in what envelopes and events hold: cb_frame.version. */
static int decode_v1(struct cb_pack_reader *r, uint32_t n_values, struct cb_frame *out) {
    uint64_t kind = cb_pack_uint(r, CB_FRAME_TRIM);
    out->sender = cb_pack_uint(r, UINT64_MAX);
    out->number = cb_pack_uint(r, UINT64_MAX);
    if (n_values != CB_FRAME_HEAD_VALUES || !take_sites(r, out) || kind < 1 || out->number < 1) {
        return CB_EMALFORMED;
    }
    out->kind = (enum cb_frame_kind)kind;
    out->body = (struct cb_str){(const char *)r->p, (size_t)(r->end - r->p)};
    if (out->kind !=
        CB_FRAME_BEACONS) { /* their bodies are cb_control_decode's, cb_trim_decode's */
        return out->n_sites == 0 ? 0 : CB_EMALFORMED;
    }
    return body_ok(out) ? 0 : CB_EMALFORMED;
}

int cb_frame_decode(const void *data, size_t len, struct cb_frame *out) {
    struct cb_pack_reader r;
    uint32_t n_values;
    uint64_t version;
    if (len > CB_FRAME_MAX) {
        return CB_ETOOBIG;
    }
    cb_pack_reader_init(&r, data, len);
    if (!take_version(&r, &n_values, &version)) {
        return CB_EMALFORMED;
    }
    switch (version) {
    case 1:
    case 2:
        out->version = (unsigned)version;
        return decode_v1(&r, n_values, out);
    default:
        return CB_EVERSION;
    }
}

int cb_frame_peek(const void *data, size_t len, uint64_t *sender, uint64_t *number) {
    struct cb_pack_reader r;
    uint32_t n_values;
    uint64_t version;
    cb_pack_reader_init(&r, data, len);
    if (!take_version(&r, &n_values, &version)) {
        return CB_EMALFORMED;
    }
    cb_pack_uint(&r, UINT64_MAX); /* kind */
    *sender = cb_pack_uint(&r, UINT64_MAX);
    *number = cb_pack_uint(&r, UINT64_MAX);
    return r.ok && *number >= 1 ? 0 : CB_EMALFORMED;
}

/* ---- walking ---- */

void cb_frame_walk_init(struct cb_frame_walk *walk, const struct cb_frame *frame) {
    assert(frame->kind == CB_FRAME_BEACONS);
    walk->frame = frame;
    walk->events_left = 0;
    cb_pack_reader_init(&walk->body, frame->body.p, frame->body.len);
}

enum cb_frame_item cb_frame_walk_next(struct cb_frame_walk *walk, struct cb_envelope *envelope,
                                      struct cb_reject *reject) {
    uint32_t site;
    for (; walk->events_left > 0; walk->events_left--) {
        cb_pack_skip(&walk->body, 2);
    }
    if (cb_pack_done(&walk->body)) {
        return CB_ITEM_END;
    }
    enum cb_frame_item item = take_item(&walk->body, walk->frame, envelope, reject, &site);
    assert(walk->body.ok);
    if (!walk->body.ok) {
        return CB_ITEM_END;
    }
    if (item == CB_ITEM_ENVELOPE) {
        walk->events_left = envelope->n_events;
    }
    return item;
}

bool cb_frame_walk_event(struct cb_frame_walk *walk, struct cb_event *event) {
    if (walk->events_left == 0) {
        return false;
    }
    walk->events_left--;
    bool ok = take_event(&walk->body, walk->frame->version, true, event);
    assert(ok);
    return ok;
}
