/* SPDX-License-Identifier: MIT
 * Invariant: header, items and sums of a builder always fit one frame. Sizes are worked out before
 * a byte is written, so a call either adds all or leaves the builder as it was. They are exact,
 * which each writer asserts: what it writes goes straight into the room that was reserved by them.
 */
#include <assert.h>

#include "proto/frame.h"
#include "proto/frame_wire.h"
#include "proto/pack_put.h"

/* Array head, magic, version, kind, sender, number, head of the sites: at most. */
enum { HEAD_BYTES_MAX = 1 + 5 + 1 + 1 + 9 + 9 + 3, SUM_BYTES_MAX = 1 + 1 + 2 + 1 + 5 };

_Static_assert(HEAD_BYTES_MAX + CB_FRAME_SITES_MAX * (1 + 2 + CB_SITE_MAX + 9) <= CB_FRAME_HEAD_MAX,
               "a full header passes CB_FRAME_HEAD_MAX");

/* ---- sizes, as msgpack-c writes: always the shortest form ---- */

static size_t uint_bytes(uint64_t v) {
    return v < 128 ? 1 : v <= UINT8_MAX ? 2 : v <= UINT16_MAX ? 3 : v <= UINT32_MAX ? 5 : 9;
}

static size_t str_bytes(size_t len) {
    return len + (len < 32 ? 1u : len <= UINT8_MAX ? 2u : len <= UINT16_MAX ? 3u : 5u);
}

static size_t array_bytes(uint32_t n) {
    return n < 16 ? 1 : n <= UINT16_MAX ? 3 : 5;
}

static unsigned event_values(const struct cb_event *e) {
    if (e->name_code == CB_NAME_SET) {
        return CB_EVENT_SET_VALUES;
    }
    if (e->name_code == CB_NAME_GET) {
        return CB_EVENT_GET_VALUES;
    }
    return e->referrer.len ? 6 : e->props.len ? 5 : e->page.len ? 4 : 3;
}

static size_t event_bytes(const struct cb_event *e) {
    unsigned n = event_values(e);
    size_t bytes = 1 + uint_bytes(e->seq) + uint_bytes((uint64_t)e->age_ms);
    bytes += e->name_code ? 1 : str_bytes(e->name.len);
    if (n > 3) {
        bytes += e->page.len ? str_bytes(e->page.len) : 1;
    }
    if (n > 4) {
        bytes += e->props.len ? e->props.len : 1;
    }
    if (n > 5) {
        bytes += str_bytes(e->key.len ? e->key.len : e->referrer.len);
    }
    if (n > 6) {
        bytes += str_bytes(e->value.len);
    }
    return bytes;
}

static size_t envelope_bytes(uint32_t site, const struct cb_envelope *e,
                             const struct cb_event *events, uint32_t n) {
    size_t bytes = 1 + 1 + uint_bytes(site) + (e->has_visitor ? 2 + CB_VISITOR_BYTES : 1);
    bytes += 2 + CB_PRODUCER_BYTES + uint_bytes((uint64_t)e->received_ms);
    bytes += 1 + 1 + str_bytes(strlen(e->country)) + str_bytes(strlen(e->language)) + 1 +
             array_bytes(n); /* device, bot, country, language, browser, events */
    for (uint32_t i = 0; i < n; i++) {
        bytes += event_bytes(&events[i]);
    }
    return bytes;
}

static size_t numbered_bytes(uint32_t site, const struct cb_reject *reject) {
    return 1 + 1 + uint_bytes(site) + 1 + 1 + 2 + CB_PRODUCER_BYTES + uint_bytes(reject->seq);
}

static size_t site_bytes(struct cb_str name) {
    return 1 + str_bytes(name.len) + 9;
}

/* ---- the builder ---- */

void cb_frame_builder_init(struct cb_frame_builder *b) {
    cb_buf_init(&b->body, CB_FRAME_MAX);
    cb_frame_builder_clear(b);
}

void cb_frame_builder_fini(struct cb_frame_builder *b) {
    cb_buf_fini(&b->body);
    cb_frame_builder_clear(b);
}

void cb_frame_builder_clear(struct cb_frame_builder *b) {
    cb_buf_clear(&b->body);
    b->n_sites = b->n_sums = b->site_last = 0;
    b->sites_bytes = 0;
    b->n_events = 0;
    memset(b->site_slots, 0, sizeof b->site_slots);
}

size_t cb_frame_builder_bytes(const struct cb_frame_builder *b) {
    return HEAD_BYTES_MAX + b->sites_bytes + b->body.len + (size_t)b->n_sums * SUM_BYTES_MAX;
}

/* The index of a site, or n_sites when it is not there yet. */
static uint32_t site_find(struct cb_frame_builder *b, struct cb_str name) {
    if (b->n_sites > 0 && cb_str_eq(b->sites[b->site_last].name, name)) {
        return b->site_last;
    }
    uint16_t slot = *cb_frame_site_slot(b->site_slots, b->sites, name);
    return slot ? slot - 1u : b->n_sites;
}

/* Whether an item of the given size, of site_find's site, can be added. */
static int room_check(const struct cb_frame_builder *b, uint32_t site, struct cb_str name,
                      size_t item_bytes) {
    bool is_new = site == b->n_sites;
    if (HEAD_BYTES_MAX + site_bytes(name) + item_bytes > CB_FRAME_MAX) {
        return CB_ETOOBIG;
    }
    if (is_new && b->n_sites == CB_FRAME_SITES_MAX) {
        return CB_EFULL;
    }
    size_t bytes = cb_frame_builder_bytes(b) + (is_new ? site_bytes(name) : 0) + item_bytes;
    return bytes > CB_FRAME_MAX ? CB_EFULL : 0;
}

/* Counts n events of a site for which there is room, making its row if there is none. */
static void site_count(struct cb_frame_builder *b, uint32_t site, struct cb_str name, uint64_t n) {
    if (site == b->n_sites) {
        assert(name.len <= CB_SITE_MAX && b->n_sites < CB_FRAME_SITES_MAX);
        if (name.len > 0) {
            memcpy(b->site_names[site], name.p, name.len);
        }
        *cb_frame_site_slot(b->site_slots, b->sites, name) = (uint16_t)(site + 1);
        b->sites[site].name = (struct cb_str){b->site_names[site], name.len};
        b->sites[site].received = 0;
        b->site_sums[site] = 0;
        b->sites_bytes += site_bytes(name);
        b->n_sites++;
    }
    b->sites[site].received += n;
    b->n_events += n;
    b->site_last = site;
}

/* Below nothing can fail: the callers reserved the room. */
static void pack_str(char **at, struct cb_str s) {
    cb_put_text(at, s.p, s.len);
}

static void pack_event(char **at, const struct cb_event *e) {
    unsigned n = event_values(e);
    cb_put_array(at, n);
    cb_put_uint64(at, e->seq);
    if (e->name_code) {
        cb_put_uint8(at, (uint8_t)e->name_code);
    } else {
        pack_str(at, e->name);
    }
    cb_put_uint64(at, (uint64_t)e->age_ms);
    if (n > 3 && e->page.len) {
        pack_str(at, e->page);
    } else if (n > 3) {
        cb_put_nil(at);
    }
    if (n > 4 && e->props.len) {
        cb_put_bytes(at, e->props.p, e->props.len);
    } else if (n > 4) {
        cb_put_nil(at);
    }
    if (n > 5) {
        pack_str(at, e->key.len ? e->key : e->referrer);
    }
    if (n > 6) {
        pack_str(at, e->value);
    }
}

static void pack_envelope(char **at, uint32_t site, const struct cb_envelope *e,
                          const struct cb_event *events, uint32_t n) {
    cb_put_array(at, CB_ITEM_ENVELOPE_VALUES);
    cb_put_uint8(at, CB_ITEM_ENVELOPE);
    cb_put_uint32(at, site);
    if (e->has_visitor) {
        cb_put_blob(at, e->visitor, CB_VISITOR_BYTES);
    } else {
        cb_put_nil(at);
    }
    cb_put_blob(at, e->producer, CB_PRODUCER_BYTES);
    cb_put_uint64(at, (uint64_t)e->received_ms);
    cb_put_uint32(at, e->device);
    if (e->bot) {
        cb_put_true(at);
    } else {
        cb_put_false(at);
    }
    pack_str(at, cb_str_of(e->country));
    pack_str(at, cb_str_of(e->language));
    cb_put_uint8(at, (uint8_t)e->browser);
    cb_put_array(at, n);
    for (uint32_t i = 0; i < n; i++) {
        pack_event(at, &events[i]);
    }
}

/* The rules of one event, and those that its strings bring along: costly, so for assert only. */
static inline bool event_valid(const struct cb_event *e) {
    return cb_frame_event_ok(e) && cb_utf8_valid(e->page) && cb_utf8_valid(e->value) &&
           cb_props_valid(e->props);
}

int cb_frame_builder_add(struct cb_frame_builder *b, const struct cb_envelope *envelope,
                         const struct cb_event *events, uint32_t n_events) {
    assert(cb_frame_envelope_ok(envelope) && n_events <= CB_EVENTS_MAX);
    for (uint32_t i = 0; i < n_events; i++) {
        assert(event_valid(&events[i]));
    }
    if (n_events == 0) {
        return 0;
    }
    uint32_t site = site_find(b, envelope->site);
    size_t bytes = envelope_bytes(site, envelope, events, n_events);
    int err = room_check(b, site, envelope->site, bytes);
    if (!err) {
        err = cb_buf_reserve(&b->body, bytes);
    }
    if (err) {
        return err;
    }
    char *at = b->body.data + b->body.len, *end = at + bytes;
    pack_envelope(&at, site, envelope, events, n_events);
    assert(at == end);
    b->body.len = (size_t)(end - b->body.data);
    site_count(b, site, envelope->site, n_events);
    return 0;
}

/* The site's sum for a reason; NULL when there is none yet. */
static struct cb_frame_sum *sum_find(struct cb_frame_builder *b, uint32_t site, unsigned refusal) {
    uint16_t at = site < b->n_sites ? b->site_sums[site] : 0;
    while (at && b->sums[at - 1].refusal != refusal) {
        at = b->sums[at - 1].next;
    }
    return at ? &b->sums[at - 1] : NULL;
}

static int reject_sum(struct cb_frame_builder *b, uint32_t site, const struct cb_reject *reject) {
    struct cb_frame_sum *sum = sum_find(b, site, reject->refusal);
    if (sum) {
        if (reject->n > CB_REJECT_N_MAX - sum->n) {
            return CB_EFULL;
        }
        sum->n += reject->n;
        site_count(b, site, reject->site, reject->n);
        return 0;
    }
    int err = room_check(b, site, reject->site, SUM_BYTES_MAX);
    if (err) {
        return err;
    }
    if (b->n_sums == CB_FRAME_SUMS_MAX) {
        return CB_EFULL;
    }
    site_count(b, site, reject->site, reject->n);
    sum = &b->sums[b->n_sums++];
    *sum = (struct cb_frame_sum){.n = reject->n,
                                 .site = (uint16_t)site,
                                 .next = b->site_sums[site],
                                 .refusal = reject->refusal};
    b->site_sums[site] = (uint16_t)b->n_sums;
    return 0;
}

int cb_frame_builder_reject(struct cb_frame_builder *b, const struct cb_reject *reject) {
    assert(reject->refusal >= 1 && reject->refusal <= CB_REFUSAL_MAX);
    assert(reject->site.len == 0 || cb_site_name_valid(reject->site));
    if (reject->n > CB_REJECT_N_MAX) {
        return CB_ETOOBIG;
    }
    if (reject->n == 0) {
        return 0;
    }
    uint32_t site = site_find(b, reject->site);
    if (!reject->has_seq || reject->site.len == 0) {
        return reject_sum(b, site, reject);
    }
    assert(reject->n == 1 && reject->seq >= 1 && reject->seq <= CB_SEQ_MAX);
    size_t bytes = numbered_bytes(site, reject);
    int err = room_check(b, site, reject->site, bytes);
    if (!err) {
        err = cb_buf_reserve(&b->body, bytes);
    }
    if (err) {
        return err;
    }
    char *at = b->body.data + b->body.len, *end = at + bytes;
    cb_put_array(&at, CB_ITEM_NUMBERED_VALUES);
    cb_put_uint8(&at, CB_ITEM_REJECT);
    cb_put_uint32(&at, site);
    cb_put_uint32(&at, reject->refusal);
    cb_put_uint8(&at, 1);
    cb_put_blob(&at, reject->producer, CB_PRODUCER_BYTES);
    cb_put_uint64(&at, reject->seq);
    assert(at == end);
    b->body.len = (size_t)(end - b->body.data);
    site_count(b, site, reject->site, 1);
    return 0;
}

/* ---- whole frames ---- */

static void pack_head(char **at, enum cb_frame_kind kind, uint64_t sender, uint64_t number) {
    cb_put_array(at, CB_FRAME_HEAD_VALUES);
    pack_str(at, CB_STR(CB_FRAME_MAGIC));
    cb_put_uint8(at, CB_FRAME_VERSION);
    cb_put_uint8(at, (uint8_t)kind);
    cb_put_fix_uint64(at, sender);
    cb_put_uint64(at, number);
}

int cb_frame_builder_seal(const struct cb_frame_builder *b, uint64_t sender, uint64_t number,
                          struct cb_buf *out) {
    assert(number >= 1);
    int err = cb_buf_reserve(out, cb_frame_builder_bytes(b));
    if (err) {
        return err;
    }
    char *at = out->data + out->len;
    pack_head(&at, CB_FRAME_BEACONS, sender, number);
    cb_put_array(&at, b->n_sites);
    for (uint32_t i = 0; i < b->n_sites; i++) {
        cb_put_array(&at, CB_FRAME_SITE_VALUES);
        pack_str(&at, b->sites[i].name);
        cb_put_uint64(&at, b->sites[i].received);
    }
    cb_put_bytes(&at, b->body.data, b->body.len);
    for (uint32_t i = 0; i < b->n_sums; i++) {
        cb_put_array(&at, CB_ITEM_SUM_VALUES);
        cb_put_uint8(&at, CB_ITEM_REJECT);
        cb_put_uint32(&at, b->sums[i].site);
        cb_put_uint32(&at, b->sums[i].refusal);
        cb_put_uint64(&at, b->sums[i].n);
    }
    out->len = (size_t)(at - out->data);
    return 0;
}

int cb_frame_wrap(enum cb_frame_kind kind, uint64_t sender, uint64_t number, struct cb_str body,
                  struct cb_buf *out) {
    assert(number >= 1);
    if (body.len > CB_FRAME_MAX - HEAD_BYTES_MAX) {
        return CB_ETOOBIG;
    }
    int err = cb_buf_reserve(out, HEAD_BYTES_MAX + body.len);
    if (err) {
        return err;
    }
    char *at = out->data + out->len;
    pack_head(&at, kind, sender, number);
    cb_put_array(&at, 0);
    cb_put_bytes(&at, body.p, body.len);
    out->len = (size_t)(at - out->data);
    return 0;
}
