/* SPDX-License-Identifier: MIT */
#include "proto/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void cb_buf_init(struct cb_buf *buf, size_t max_bytes) {
    *buf = (struct cb_buf){.max_bytes = max_bytes};
}

void cb_buf_fini(struct cb_buf *buf) {
    free(buf->data);
    cb_buf_init(buf, buf->max_bytes);
}

void cb_buf_clear(struct cb_buf *buf) {
    buf->len = 0;
}

int cb_buf_reserve(struct cb_buf *buf, size_t more) {
    if (more > buf->max_bytes || buf->len > buf->max_bytes - more) {
        return CB_ETOOBIG;
    }
    size_t need = buf->len + more;
    if (need <= buf->cap) {
        return 0;
    }
    size_t cap = buf->cap ? buf->cap : 64;
    while (cap < need) {
        cap *= 2;
    }
    if (cap > buf->max_bytes) {
        cap = buf->max_bytes;
    }
    char *data = realloc(buf->data, cap);
    if (!data) {
        return CB_ENOMEM;
    }
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int cb_buf_append(struct cb_buf *buf, const void *data, size_t len) {
    if (len == 0) {
        return 0;
    }
    int rc = cb_buf_reserve(buf, len);
    if (rc != 0) {
        return rc;
    }
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return 0;
}

int cb_buf_append_str(struct cb_buf *buf, struct cb_str s) {
    return cb_buf_append(buf, s.p, s.len);
}

int cb_buf_printf(struct cb_buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        return CB_EINVAL;
    }
    /* One byte more for vsnprintf's NUL, which does not count as content. */
    size_t room = (size_t)len + 1;
    if (buf->len + (size_t)len <= buf->max_bytes && buf->len + room > buf->max_bytes) {
        char *text = malloc(room);
        if (!text) {
            return CB_ENOMEM;
        }
        va_start(args, format);
        vsnprintf(text, room, format, args);
        va_end(args);
        int rc = cb_buf_append(buf, text, (size_t)len);
        free(text);
        return rc;
    }
    int rc = cb_buf_reserve(buf, room);
    if (rc != 0) {
        return rc;
    }
    va_start(args, format);
    vsnprintf(buf->data + buf->len, room, format, args);
    va_end(args);
    buf->len += (size_t)len;
    return 0;
}

/* The length of the UTF-8 sequence at p, 0 when it is not one (RFC 3629, section 4). */
static size_t utf8_sequence(const unsigned char *p, const unsigned char *end) {
    unsigned char lead = p[0];
    size_t left = (size_t)(end - p);
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
        return left >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        if (left < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80) {
            return 0;
        }
        if ((lead == 0xe0 && p[1] < 0xa0) || (lead == 0xed && p[1] > 0x9f)) {
            return 0;
        }
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (left < 4 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80) {
            return 0;
        }
        if ((lead == 0xf0 && p[1] < 0x90) || (lead == 0xf4 && p[1] > 0x8f)) {
            return 0;
        }
        return 4;
    }
    return 0;
}

bool cb_utf8_valid(struct cb_str s) {
    const unsigned char *p = (const unsigned char *)s.p;
    const unsigned char *end = s.len ? p + s.len : p;
    while (p < end) {
        uint64_t word;
        if ((size_t)(end - p) >= sizeof(word)) {
            memcpy(&word, p, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                p += sizeof(word);
                continue;
            }
        }
        size_t n = utf8_sequence(p, end);
        if (n == 0) {
            return false;
        }
        p += n;
    }
    return true;
}

size_t cb_utf8_length(struct cb_str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    }
    return n;
}

/* The escape that RFC 8259 or safety asks for at p, or NULL; *taken is how many bytes it stands
 * for. */
static const char *json_escape(const unsigned char *p, size_t sequence, char scratch[8],
                               size_t *taken) {
    *taken = 1;
    switch (*p) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    case '<':
        return "\\u003c";
    default:
        break;
    }
    if (*p < 0x20 || *p == 0x7f) {
        snprintf(scratch, 8, "\\u%04x", *p);
        return scratch;
    }
    if (sequence == 0) {
        return "\\ufffd";
    }
    if (sequence == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) {
        *taken = 3;
        return p[2] == 0xa8 ? "\\u2028" : "\\u2029";
    }
    return NULL;
}

/* What needs neither an escape nor a look at the bytes behind it. */
static bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '<';
}

int cb_buf_append_json(struct cb_buf *buf, struct cb_str s) {
    size_t before = buf->len;
    const unsigned char *p = (const unsigned char *)s.p;
    const unsigned char *end = s.len ? p + s.len : p;
    const unsigned char *plain = p;
    int rc = cb_buf_append(buf, "\"", 1);
    while (rc == 0 && p < end) {
        if (is_plain(*p)) {
            p++;
            continue;
        }
        size_t sequence = utf8_sequence(p, end);
        size_t taken;
        char scratch[8];
        const char *escape = json_escape(p, sequence, scratch, &taken);
        if (!escape) {
            p += sequence;
            continue;
        }
        rc = cb_buf_append(buf, plain, (size_t)(p - plain));
        if (rc == 0) {
            rc = cb_buf_append(buf, escape, strlen(escape));
        }
        p += taken;
        plain = p;
    }
    if (rc == 0) {
        rc = cb_buf_append(buf, plain, (size_t)(p - plain));
    }
    if (rc == 0) {
        rc = cb_buf_append(buf, "\"", 1);
    }
    if (rc != 0) {
        buf->len = before;
    }
    return rc;
}

void cb_hex_encode(const uint8_t *bytes, size_t len, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

/* A hex digit's value and IS_HEX; 0 for what is none. */
enum { IS_HEX = 16 };
#define ROW6(first, value)                                                                         \
    [first] = IS_HEX + (value), IS_HEX + (value) + 1, IS_HEX + (value) + 2, IS_HEX + (value) + 3,  \
    IS_HEX + (value) + 4, IS_HEX + (value) + 5
static const uint8_t hex_digits[256] = {ROW6('0', 0), IS_HEX + 6,    IS_HEX + 7,   IS_HEX + 8,
                                        IS_HEX + 9,   ROW6('A', 10), ROW6('a', 10)};
#undef ROW6

int cb_hex_decode(struct cb_str hex, uint8_t *out, size_t len) {
    if (hex.len != 2 * len) {
        return CB_EMALFORMED;
    }
    unsigned all = IS_HEX;
    for (size_t i = 0; i < len; i++) {
        unsigned high = hex_digits[(unsigned char)hex.p[2 * i]];
        unsigned low = hex_digits[(unsigned char)hex.p[2 * i + 1]];
        all &= high & low;
        out[i] = (uint8_t)(high << 4 | (low & 15));
    }
    return all ? 0 : CB_EMALFORMED;
}
