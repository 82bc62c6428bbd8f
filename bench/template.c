/* SPDX-License-Identifier: MIT */
#include "bench/template.h"

#include <stdlib.h>

enum { PAGE_DIGITS = 4, HEX_DIGITS = 16, MS_DIGITS = 13 };

static const char *const names[] = {
#define NAME(symbol, name) name,
    CB_TEMPLATE_FIELDS(NAME)
#undef NAME
};

void cb_template_decimal(char *out, unsigned width, uint64_t n) {
    while (width > 0) {
        out[--width] = (char)('0' + n % 10);
        n /= 10;
    }
}

void cb_template_hex(char *out, unsigned width, uint64_t n) {
    while (width > 0) {
        out[--width] = "0123456789abcdef"[n & 15];
        n >>= 4;
    }
}

static bool is_hex(unsigned field) {
    return field == CB_TEMPLATE_PRODUCER || field == CB_TEMPLATE_VISITOR ||
           field == CB_TEMPLATE_VISITOR2;
}

static unsigned width_of(unsigned field, unsigned site_digits) {
    switch (field) {
    case CB_TEMPLATE_SITE:
        return site_digits;
    case CB_TEMPLATE_PAGE:
        return PAGE_DIGITS;
    case CB_TEMPLATE_SEQ:
        return 1;
    default:
        return is_hex(field) ? HEX_DIGITS : MS_DIGITS;
    }
}

/* The field that text begins with, in braces; *len is their length. */
static int field_at(const char *text, size_t *len) {
    for (unsigned i = 0; i < CB_TEMPLATE_FIELD_COUNT; i++) {
        size_t n = strlen(names[i]);
        if (text[0] == '{' && strncmp(text + 1, names[i], n) == 0 && text[n + 1] == '}') {
            *len = n + 2;
            return (int)i;
        }
    }
    return -1;
}

/* Appends text; its fields become slots, their bytes zeros. */
static int append(struct cb_template *t, struct cb_buf *out, const char *text,
                  unsigned site_digits) {
    static const char zeros[HEX_DIGITS + 1] = "0000000000000000";
    while (*text) {
        size_t len = 1;
        int field = field_at(text, &len);
        unsigned width = field < 0 ? 0 : width_of((unsigned)field, site_digits);
        if (field >= 0) {
            if (t->n_slots == CB_TEMPLATE_SLOTS_MAX)
                return CB_ETOOBIG;
            t->slots[t->n_slots++] =
                (struct cb_template_slot){(uint16_t)out->len, (uint8_t)field, (uint8_t)width};
        }
        int rc = cb_buf_append(out, field < 0 ? text : zeros, field < 0 ? len : width);
        if (rc)
            return rc;
        text += len;
    }
    return 0;
}

int cb_template_init(struct cb_template *t, const char *head, const char *body,
                     unsigned site_digits) {
    struct cb_buf whole, content;
    struct cb_template scratch = {0};
    *t = (struct cb_template){0};
    cb_buf_init(&whole, CB_TEMPLATE_BYTES_MAX);
    cb_buf_init(&content, CB_TEMPLATE_BYTES_MAX);
    int rc = append(&scratch, &content, body, site_digits);
    if (!rc)
        rc = append(t, &whole, head, site_digits);
    if (!rc && content.len)
        rc = cb_buf_printf(&whole, "Content-Length: %zu\r\n", content.len);
    if (!rc)
        rc = cb_buf_append(&whole, "\r\n", 2);
    if (!rc)
        rc = append(t, &whole, body, site_digits);
    cb_buf_fini(&content);
    if (rc) {
        cb_buf_fini(&whole);
        *t = (struct cb_template){0};
        return rc;
    }
    t->bytes = whole.data;
    t->len = whole.len;
    return 0;
}

int cb_template_init_piece(struct cb_template *t, const char *text, unsigned site_digits) {
    struct cb_buf whole;
    *t = (struct cb_template){0};
    cb_buf_init(&whole, CB_TEMPLATE_BYTES_MAX);
    int rc = append(t, &whole, text, site_digits);
    if (rc) {
        cb_buf_fini(&whole);
        *t = (struct cb_template){0};
        return rc;
    }
    t->bytes = whole.data;
    t->len = whole.len;
    return 0;
}

void cb_template_fini(struct cb_template *t) {
    free(t->bytes);
    *t = (struct cb_template){0};
}

char *cb_template_render(const struct cb_template *t, const struct cb_template_values *values,
                         char *out) {
    memcpy(out, t->bytes, t->len);
    for (unsigned i = 0; i < t->n_slots; i++) {
        const struct cb_template_slot *slot = &t->slots[i];
        uint64_t n = values->of[slot->field];
        if (is_hex(slot->field))
            cb_template_hex(out + slot->offset, slot->width, n);
        else
            cb_template_decimal(out + slot->offset, slot->width, n);
    }
    return out + t->len;
}
