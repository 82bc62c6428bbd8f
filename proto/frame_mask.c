/* SPDX-License-Identifier: MIT */
#include "proto/frame_mask.h"

#include "proto/control.h"

/* Strings that were decoded point into what is masked: these are its bytes. */
static char *bytes_of(char *data, struct cb_str text) {
    return data + (text.p - data);
}

/* A character for each, as long as the one before: so lengths in bytes and in characters stay. */
static void mask_text(char *data, struct cb_str text) {
    static const char *const fillers[] = {"x", "\xc3\x97", "\xe2\x80\xa2", "\xf0\x9f\x91\xa4"};
    char *p = text.len > 0 ? bytes_of(data, text) : NULL;
    for (size_t i = 0; i < text.len;) {
        unsigned char c = (unsigned char)p[i];
        size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        n = n <= text.len - i ? n : 1;
        memcpy(p + i, fillers[n - 1], n);
        i += n;
    }
}

static void mask_props(char *data, struct cb_str props) {
    struct cb_pack_reader r;
    if (props.len == 0) {
        return;
    }
    cb_pack_reader_init(&r, props.p, props.len);
    for (uint32_t n = cb_pack_map(&r, CB_PROPS_MAX); n > 0 && r.ok; n--) {
        struct cb_pack_token value;
        cb_pack_str(&r, CB_PROP_KEY_MAX);
        if (cb_pack_next(&r, &value) && value.type == CB_PACK_STR) {
            mask_text(data, value.s);
        }
    }
}

/* Whether a value of CB_VISITOR_BYTES bytes begins at p: behind the head of such a bin, of any
 * width. */
static bool is_bin(const char *from, const char *p) {
    static const struct cb_str heads[] = {CB_STR("\xc4\x10"), CB_STR("\xc5\x00\x10"),
                                          CB_STR("\xc6\x00\x00\x00\x10")};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t len = heads[i].len;
        if ((size_t)(p - from) >= len && memcmp(p - len, heads[i].p, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Puts the pseudonym in the place of a key, the first value in these bytes that is it. */
static void mask_key(char *data, const char *from, size_t len, const uint8_t *visitor,
                     const struct cb_mask *mask) {
    const char *at = from;
    while ((at = memmem(at, len - (size_t)(at - from), visitor, CB_VISITOR_BYTES)) != NULL) {
        if (is_bin(from, at)) {
            memcpy(data + (at - data), mask->pseudonym, CB_VISITOR_BYTES);
            return;
        }
        at++;
    }
}

static bool is_person(const uint8_t visitor[CB_VISITOR_BYTES], const struct cb_mask *mask) {
    uint8_t tag[CB_VISITOR_BYTES];
    cb_visitor_tag(visitor, tag);
    return memcmp(tag, mask->tag, CB_VISITOR_BYTES) == 0;
}

static void mask_beacons(char *data, const struct cb_frame *frame, const struct cb_mask *mask,
                         bool *changed) {
    struct cb_frame_walk walk;
    struct cb_envelope envelope;
    struct cb_reject reject;
    struct cb_event event;
    cb_frame_walk_init(&walk, frame);
    for (;;) {
        const char *item = (const char *)walk.body.p;
        enum cb_frame_item kind = cb_frame_walk_next(&walk, &envelope, &reject);
        if (kind == CB_ITEM_END) {
            return;
        }
        if (kind != CB_ITEM_ENVELOPE) {
            continue;
        }
        bool person = envelope.has_visitor && cb_str_eq(envelope.site, mask->site) &&
                      is_person(envelope.visitor, mask);
        if (person) {
            mask_key(data, item, (size_t)((const char *)walk.body.p - item), envelope.visitor,
                     mask);
            *changed = true;
        }
        while (cb_frame_walk_event(&walk, &event)) { /* to the end: the next item stands there */
            if (person && event.name_code == CB_NAME_SET) {
                mask_text(data, event.value);
            }
            if (person &&
                (event.name_code == CB_NAME_MESSAGE || event.name_code == CB_NAME_CUSTOM)) {
                mask_props(data, event.props);
            }
        }
    }
}

static int mask_control(char *data, const struct cb_frame *frame, const struct cb_mask *mask,
                        bool *changed) {
    struct cb_control control;
    int rc = cb_control_decode(frame->body, &control);
    bool about = rc == 0 && (control.op == CB_CONTROL_EDIT || control.op == CB_CONTROL_ERASE) &&
                 cb_str_eq(control.site, mask->site) && is_person(control.visitor, mask);
    if (about) {
        mask_key(data, frame->body.p, frame->body.len, control.visitor, mask);
        for (unsigned i = 0; control.op == CB_CONTROL_EDIT && i < CB_EDITABLE_COUNT; i++) {
            mask_text(data, control.fields[i]);
        }
        *changed = true;
        rc = cb_control_decode(frame->body, &control) == 0 ? 0 : CB_ECORRUPT;
    }
    return rc;
}

int cb_frame_mask(char *data, size_t len, struct cb_frame *frame, const struct cb_mask *mask,
                  bool *changed) {
    *changed = false;
    int rc = cb_frame_decode(data, len, frame);
    if (rc == 0 && frame->kind == CB_FRAME_BEACONS) {
        mask_beacons(data, frame, mask, changed);
    } else if (rc == 0 && frame->kind == CB_FRAME_CONTROL) {
        rc = mask_control(data, frame, mask, changed);
    }
    if (rc == 0 && *changed && cb_frame_decode(data, len, frame) != 0) {
        rc = CB_ECORRUPT;
    }
    return rc;
}
