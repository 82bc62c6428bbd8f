/* SPDX-License-Identifier: MIT
 * template.h: a request whose bytes are there already but for some numbers of fixed width, which
 * are written over copies of it.
 *
 * Pure but for its memory. A template may be rendered by several threads at once. */
#ifndef CB_BENCH_TEMPLATE_H
#define CB_BENCH_TEMPLATE_H

#include <stdint.h>

#include "proto/buf.h"

/* X(symbol, name in the text). Widths are set when a template is made. */
#define CB_TEMPLATE_FIELDS(X)                                                                      \
    X(CB_TEMPLATE_SITE, "site")         /* the number of the site, decimal */                      \
    X(CB_TEMPLATE_PAGE, "page")         /* … of the page, decimal */                             \
    X(CB_TEMPLATE_PRODUCER, "producer") /* hex */                                                  \
    X(CB_TEMPLATE_VISITOR, "visitor")   /* hex; two numbers make one */                            \
    X(CB_TEMPLATE_VISITOR2, "visitor2")                                                            \
    X(CB_TEMPLATE_SENT, "sent") /* milliseconds, decimal */                                        \
    X(CB_TEMPLATE_AT, "at")                                                                        \
    X(CB_TEMPLATE_SEQ, "seq") /* one digit */                                                      \
    X(CB_TEMPLATE_FROM, "from")

enum cb_template_field {
#define CB_TEMPLATE_ENUM(symbol, name) symbol,
    CB_TEMPLATE_FIELDS(CB_TEMPLATE_ENUM)
#undef CB_TEMPLATE_ENUM
        CB_TEMPLATE_FIELD_COUNT
};

enum { CB_TEMPLATE_SLOTS_MAX = 16, CB_TEMPLATE_BYTES_MAX = 4096 };

struct cb_template {
    char *bytes;
    size_t len;
    unsigned n_slots;
    struct cb_template_slot {
        uint16_t offset;
        uint8_t field; /* enum cb_template_field */
        uint8_t width;
    } slots[CB_TEMPLATE_SLOTS_MAX];
};

/* The values of all fields, as numbers. */
struct cb_template_values {
    uint64_t of[CB_TEMPLATE_FIELD_COUNT];
};

/* Makes a template of a head and a body, in which "{name}" stands for a field and everything else
 * for itself; Content-Length is written behind the head's lines where there is a body. The head's
 * lines end in \r\n and hold no empty one. site_digits: the width of {site}, which may be 0.
 * Errors: CB_ETOOBIG, CB_ENOMEM. */
CB_MUST_USE int cb_template_init(struct cb_template *template, const char *head, const char *body,
                                 unsigned site_digits);
/* The same for a piece of a body. */
CB_MUST_USE int cb_template_init_piece(struct cb_template *template, const char *text,
                                       unsigned site_digits);
void cb_template_fini(struct cb_template *template);
/* Writes it to out, which holds template->len bytes. Returns the byte behind. */
char *cb_template_render(const struct cb_template *template,
                         const struct cb_template_values *values, char *out);

/* Writes the last width digits of n, with zeros in front. */
void cb_template_decimal(char *out, unsigned width, uint64_t n);
void cb_template_hex(char *out, unsigned width, uint64_t n);

#endif
