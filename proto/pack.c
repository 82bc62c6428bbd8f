/* SPDX-License-Identifier: MIT
 * Invariant: p never passes end, and no length or count is handed out that the bytes behind p could
 * not hold (each item takes a byte at least). Loops over a count are therefore bounded by the size
 * of the input. */
#include "proto/pack.h"

#include <assert.h>
#include <endian.h>

void cb_pack_reader_init(struct cb_pack_reader *r, const void *data, size_t len) {
    r->p = len ? data : (const uint8_t *)"";
    r->end = r->p + len;
    r->ok = true;
}

void cb_pack_fail(struct cb_pack_reader *r) {
    r->ok = false;
}

bool cb_pack_done(const struct cb_pack_reader *r) {
    return r->ok && r->p == r->end;
}

static inline size_t left(const struct cb_pack_reader *r) {
    return (size_t)(r->end - r->p);
}

static inline bool fail(struct cb_pack_reader *r) {
    r->ok = false;
    return false;
}

/* Nearly all text is ASCII: or its bytes together, eight at a time (the last eight overlap), and
 * ask for the full check only where a high bit turns up. */
static inline bool utf8(struct cb_str s) {
    uint64_t high = 0, word;
    if (s.len >= 8) {
        for (size_t i = 0; i + 8 < s.len; i += 8) {
            memcpy(&word, s.p + i, sizeof word);
            high |= word;
        }
        memcpy(&word, s.p + s.len - 8, sizeof word);
        high |= word;
    } else {
        for (size_t i = 0; i < s.len; i++) {
            high |= (unsigned char)s.p[i];
        }
    }
    return !(high & UINT64_C(0x8080808080808080)) || cb_utf8_valid(s);
}

/* Takes a big-endian number of 1, 2, 4 or 8 bytes. */
static inline bool take_number(struct cb_pack_reader *r, size_t width, uint64_t *out) {
    if (left(r) < width) {
        return fail(r);
    }
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    switch (width) {
    case 1:
        *out = *r->p;
        break;
    case 2:
        memcpy(&v16, r->p, sizeof v16);
        *out = be16toh(v16);
        break;
    case 4:
        memcpy(&v32, r->p, sizeof v32);
        *out = be32toh(v32);
        break;
    default:
        memcpy(&v64, r->p, sizeof v64);
        *out = be64toh(v64);
    }
    r->p += width;
    return true;
}

static inline bool take_bytes(struct cb_pack_reader *r, uint64_t len, enum cb_pack_type type,
                              struct cb_pack_token *out) {
    if (len > left(r)) {
        return fail(r);
    }
    out->type = type;
    out->s = (struct cb_str){(const char *)r->p, (size_t)len};
    r->p += len;
    return type == CB_PACK_BIN || utf8(out->s) || fail(r);
}

static inline bool take_count(struct cb_pack_reader *r, uint64_t n, enum cb_pack_type type,
                              struct cb_pack_token *out) {
    if (n * (type == CB_PACK_MAP ? 2 : 1) > left(r)) {
        return fail(r);
    }
    out->type = type;
    out->n = (uint32_t)n;
    return true;
}

static inline bool take_float(struct cb_pack_reader *r, size_t width, struct cb_pack_token *out) {
    uint64_t bits;
    if (!take_number(r, width, &bits)) {
        return false;
    }
    out->type = CB_PACK_FLOAT;
    if (width == 4) {
        uint32_t low = (uint32_t)bits;
        float f;
        memcpy(&f, &low, sizeof f);
        out->f = (double)f;
    } else {
        memcpy(&out->f, &bits, sizeof out->f);
    }
    return true;
}

static inline bool take_signed(struct cb_pack_reader *r, size_t width, struct cb_pack_token *out) {
    uint64_t bits;
    if (!take_number(r, width, &bits)) {
        return false;
    }
    unsigned shift = (unsigned)(64 - 8 * width);
    int64_t v = (int64_t)(bits << shift) >> shift;
    out->type = v < 0 ? CB_PACK_INT : CB_PACK_UINT;
    out->i = v; /* the same bits as u where v >= 0 */
    return true;
}

/* Formats with a fixed head byte, 0xc0 to 0xdf: see the msgpack specification, "Formats". */
static bool take_long(struct cb_pack_reader *r, uint8_t head, struct cb_pack_token *out) {
    uint64_t v;
    switch (head) {
    case 0xc0:
        out->type = CB_PACK_NIL;
        return true;
    case 0xc2:
    case 0xc3:
        out->type = CB_PACK_BOOL;
        out->boolean = head == 0xc3;
        return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return take_number(r, (size_t)1 << (head - 0xc4), &v) && take_bytes(r, v, CB_PACK_BIN, out);
    case 0xca:
    case 0xcb:
        return take_float(r, head == 0xca ? 4 : 8, out);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        out->type = CB_PACK_UINT;
        return take_number(r, (size_t)1 << (head - 0xcc), &out->u);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take_signed(r, (size_t)1 << (head - 0xd0), out);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return take_number(r, (size_t)1 << (head - 0xd9), &v) && take_bytes(r, v, CB_PACK_STR, out);
    case 0xdc:
    case 0xdd:
        return take_number(r, head == 0xdc ? 2 : 4, &v) && take_count(r, v, CB_PACK_ARRAY, out);
    case 0xde:
    case 0xdf:
        return take_number(r, head == 0xde ? 2 : 4, &v) && take_count(r, v, CB_PACK_MAP, out);
    default: /* 0xc1 is never used; the rest are extensions */
        return fail(r);
    }
}

static inline bool take(struct cb_pack_reader *r, struct cb_pack_token *out) {
    if (!r->ok || r->p == r->end) {
        return fail(r);
    }
    uint8_t head = *r->p++;
    if (head < 0x80) {
        out->type = CB_PACK_UINT;
        out->u = head;
        return true;
    }
    if (head < 0x90) {
        return take_count(r, head & 0x0f, CB_PACK_MAP, out);
    }
    if (head < 0xa0) {
        return take_count(r, head & 0x0f, CB_PACK_ARRAY, out);
    }
    if (head < 0xc0) {
        return take_bytes(r, head & 0x1f, CB_PACK_STR, out);
    }
    if (head < 0xe0) {
        return take_long(r, head, out);
    }
    out->type = CB_PACK_INT;
    out->i = (int)head - 256;
    return true;
}

/* Takes the next token, which must be of the type. */
static inline bool take_type(struct cb_pack_reader *r, enum cb_pack_type type,
                             struct cb_pack_token *out) {
    return take(r, out) && (out->type == type || fail(r));
}

bool cb_pack_next(struct cb_pack_reader *r, struct cb_pack_token *out) {
    return take(r, out);
}

bool cb_pack_peek(const struct cb_pack_reader *r, enum cb_pack_type *out) {
    static const struct {
        uint8_t last; /* head byte */
        int type;     /* enum cb_pack_type; -1: none that is taken */
    } heads[] = {
        {0x7f, CB_PACK_UINT},
        {0x8f, CB_PACK_MAP},
        {0x9f, CB_PACK_ARRAY},
        {0xbf, CB_PACK_STR},
        {0xc0, CB_PACK_NIL},
        {0xc1, -1},
        {0xc3, CB_PACK_BOOL},
        {0xc6, CB_PACK_BIN},
        {0xc9, -1},
        {0xcb, CB_PACK_FLOAT},
        {0xcf, CB_PACK_UINT},
        {0xd3, CB_PACK_INT},
        {0xd8, -1},
        {0xdb, CB_PACK_STR},
        {0xdd, CB_PACK_ARRAY},
        {0xdf, CB_PACK_MAP},
        {0xff, CB_PACK_INT},
    };
    if (!r->ok || r->p == r->end) {
        return false;
    }
    uint8_t head = *r->p;
    if (head >= 0xd0 && head <= 0xd3) { /* a signed width may hold a number >= 0 */
        if (left(r) < 2) {
            return false;
        }
        *out = r->p[1] & 0x80 ? CB_PACK_INT : CB_PACK_UINT;
        return true;
    }
    size_t i = 0;
    while (heads[i].last < head) {
        i++;
    }
    if (heads[i].type < 0) {
        return false;
    }
    *out = (enum cb_pack_type)heads[i].type;
    return true;
}

uint32_t cb_pack_array(struct cb_pack_reader *r, uint32_t n_max) {
    struct cb_pack_token t;
    if (!take_type(r, CB_PACK_ARRAY, &t) || (t.n > n_max && !fail(r))) {
        return 0;
    }
    return t.n;
}

uint32_t cb_pack_map(struct cb_pack_reader *r, uint32_t n_max) {
    struct cb_pack_token t;
    if (!take_type(r, CB_PACK_MAP, &t) || (t.n > n_max && !fail(r))) {
        return 0;
    }
    return t.n;
}

uint64_t cb_pack_uint(struct cb_pack_reader *r, uint64_t max) {
    struct cb_pack_token t;
    if (r->ok && r->p < r->end && *r->p <= (max < 0x7f ? max : 0x7f)) {
        return *r->p++; /* the most frequent form, without the general way */
    }
    if (!take_type(r, CB_PACK_UINT, &t) || (t.u > max && !fail(r))) {
        return 0;
    }
    return t.u;
}

bool cb_pack_bool(struct cb_pack_reader *r) {
    struct cb_pack_token t;
    return take_type(r, CB_PACK_BOOL, &t) && t.boolean;
}

struct cb_str cb_pack_str(struct cb_pack_reader *r, size_t len_max) {
    struct cb_pack_token t;
    if (!take_type(r, CB_PACK_STR, &t) || (t.s.len > len_max && !fail(r))) {
        return (struct cb_str){NULL, 0};
    }
    return t.s;
}

struct cb_str cb_pack_bin(struct cb_pack_reader *r, size_t len_max) {
    struct cb_pack_token t;
    if (!take_type(r, CB_PACK_BIN, &t) || (t.s.len > len_max && !fail(r))) {
        return (struct cb_str){NULL, 0};
    }
    return t.s;
}

bool cb_pack_nil(struct cb_pack_reader *r) {
    if (!r->ok || r->p == r->end || *r->p != 0xc0) {
        return false;
    }
    r->p++;
    return true;
}

struct cb_str cb_pack_skip(struct cb_pack_reader *r, unsigned depth) {
    uint64_t todo[CB_PACK_DEPTH_MAX + 1]; /* values still to come, of each open level */
    unsigned level = 0;
    const uint8_t *start = r->p;
    assert(depth <= CB_PACK_DEPTH_MAX);
    if (depth > CB_PACK_DEPTH_MAX) {
        depth = CB_PACK_DEPTH_MAX;
    }
    todo[0] = 1;
    for (;;) {
        struct cb_pack_token t;
        while (todo[level] == 0) {
            if (level == 0) {
                return (struct cb_str){(const char *)start, (size_t)(r->p - start)};
            }
            level--;
        }
        todo[level]--;
        if (!take(r, &t)) {
            break;
        }
        if (t.type != CB_PACK_ARRAY && t.type != CB_PACK_MAP) {
            continue;
        }
        if (level == depth) {
            fail(r);
            break;
        }
        todo[++level] = (uint64_t)t.n * (t.type == CB_PACK_MAP ? 2 : 1);
    }
    return (struct cb_str){NULL, 0};
}

int cb_pack_write(void *buf, const char *data, size_t len) {
    return len == 0 || cb_buf_append(buf, data, len) == 0 ? 0 : -1;
}
