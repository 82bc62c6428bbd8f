/* SPDX-License-Identifier: MIT
 * csv.c: two passes over the rows: which columns there are, in the order in which they stand in the
 * rows; then the cells. */
#include "query/csv.h"

#include <stdlib.h>

enum { NAME_MAX_BYTES = 512 };

int cb_csv_cell(struct cb_buf *out, struct cb_str text) {
    static const char led[] = "=+-@\t\r\n'";
    static const char quoted[] = "\",\r\n";
    bool quotes = false;
    for (size_t i = 0; i < text.len && !quotes; i++)
        quotes = memchr(quoted, text.p[i], sizeof quoted - 1) != NULL;
    int rc = cb_buf_reserve(out, 2 * text.len + 3);
    if (rc)
        return rc;
    char *to = out->data + out->len;
    if (quotes)
        *to++ = '"';
    if (text.len > 0 && memchr(led, text.p[0], sizeof led - 1))
        *to++ = '\'';
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == '"')
            *to++ = '"';
        *to++ = text.p[i];
    }
    if (quotes)
        *to++ = '"';
    out->len = (size_t)(to - out->data);
    return 0;
}

/* ---- JSON, as json.h writes it: without spaces ---- */

/* The value at the beginning of text, as it stands there; empty where there is none. */
static struct cb_str value_at(struct cb_str text) {
    size_t depth = 0, i = 0;
    bool string = false;
    for (; i < text.len; i++) {
        const char c = text.p[i];
        if (string) {
            if (c == '\\')
                i++;
            string = c != '"';
            if (string)
                continue;
        } else if (c == '"') {
            string = true;
            continue;
        } else if (c == '{' || c == '[') {
            depth++;
            continue;
        } else if (c == '}' || c == ']') {
            if (depth == 0) /* of what this value stands in */
                break;
            depth--;
        } else if (depth > 0 || (c != ',' && c != ':')) {
            continue;
        } else {
            break;
        }
        if (depth == 0) {
            i++;
            break;
        }
    }
    return (struct cb_str){text.p, i < text.len ? i : text.len};
}

static bool is_object(struct cb_str value) {
    return value.len >= 2 && value.p[0] == '{';
}

static bool is_array(struct cb_str value) {
    return value.len >= 2 && value.p[0] == '[';
}

/* Takes the next item of what stands between the brackets (text, moved behind it); key is NULL for
 * arrays. False at the end. */
static bool next(struct cb_str *text, struct cb_str *key, struct cb_str *value) {
    if (text->len == 0)
        return false;
    if (key) {
        *key = value_at(*text);
        size_t used = key->len + 1 < text->len ? key->len + 1 : text->len;
        *text = (struct cb_str){text->p + used, text->len - used};
    }
    *value = value_at(*text);
    size_t used = value->len + 1 < text->len ? value->len + 1 : text->len;
    *text = (struct cb_str){text->p + used, text->len - used};
    return value->len > 0;
}

static struct cb_str inside(struct cb_str value) {
    return (struct cb_str){value.p + 1, value.len - 2};
}

struct cb_str cb_csv_member(struct cb_str object, struct cb_str name) {
    struct cb_str text = is_object(object) ? inside(object) : (struct cb_str){NULL, 0}, key, value;
    while (next(&text, &key, &value))
        if (key.len == name.len + 2 && !memcmp(key.p + 1, name.p, name.len))
            return value;
    return (struct cb_str){NULL, 0};
}

/* Whether every item is (an object), or none is a plain value. */
static bool all_objects(struct cb_str object) {
    struct cb_str text = inside(object), key, value;
    bool all = true;
    while (all && next(&text, &key, &value))
        all = is_object(value);
    return all;
}

static bool all_plain(struct cb_str array) {
    struct cb_str text = inside(array), value;
    bool all = true;
    while (all && next(&text, NULL, &value))
        all = !is_object(value) && !is_array(value);
    return all;
}

static unsigned hex4(const char *p) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++)
        value = value * 16 + (unsigned)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    return value;
}

static size_t put_utf8(unsigned code, char *to) {
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    to[0] = (char)(0xe0 | code >> 12);
    to[1] = (char)(0x80 | (code >> 6 & 0x3f));
    to[2] = (char)(0x80 | (code & 0x3f));
    return 3;
}

/* Appends what a string says; json.h escapes nothing past U+FFFF. */
static int unescape(struct cb_str string, struct cb_buf *out) {
    const char *p = string.p + 1, *end = string.p + string.len - 1;
    int rc = cb_buf_reserve(out, string.len);
    if (rc)
        return rc;
    char *to = out->data + out->len;
    while (p < end) {
        if (*p != '\\') {
            *to++ = *p++;
            continue;
        }
        if (end - p < 2)
            return CB_EMALFORMED;
        const char c = p[1];
        if (c == 'u') {
            if (end - p < 6)
                return CB_EMALFORMED;
            to += put_utf8(hex4(p + 2), to);
            p += 6;
            continue;
        }
        *to++ = (char)(c == 'n'   ? '\n'
                       : c == 't' ? '\t'
                       : c == 'r' ? '\r'
                       : c == 'b' ? '\b'
                       : c == 'f' ? '\f'
                                  : c);
        p += 2;
    }
    out->len = (size_t)(to - out->data);
    return 0;
}

/* ---- columns and cells ---- */

struct column {
    struct cb_str name; /* on the heap */
    struct cb_str cell; /* of the row at hand */
};

struct table {
    struct cb_buf *out, text;
    bool pairs;  /* what would be a cell is a row */
    bool titled; /* the second pass */
    struct column *columns;
    size_t n, cap;
    size_t at; /* the column behind the last one that was found */
};

static int column_insert(struct table *table, struct cb_str name, size_t at) {
    if (table->n == CB_CSV_COLUMNS_MAX)
        return CB_ETOOBIG;
    if (table->n == table->cap) {
        size_t cap = table->cap ? table->cap * 2 : 32;
        struct column *columns = realloc(table->columns, cap * sizeof *columns);
        if (!columns)
            return CB_ENOMEM;
        table->columns = columns;
        table->cap = cap;
    }
    char *copy = malloc(name.len + 1);
    if (!copy)
        return CB_ENOMEM;
    memcpy(copy, name.p, name.len);
    memmove(table->columns + at + 1, table->columns + at, (table->n - at) * sizeof *table->columns);
    table->columns[at] = (struct column){.name = {copy, name.len}};
    table->n++;
    return 0;
}

static int write_value(struct table *table, struct cb_str value) {
    if (value.len == 0 || cb_str_is(value, "null"))
        return 0;
    if (is_array(value))
        return cb_csv_cell(table->out, value);
    if (value.p[0] != '"')
        return cb_buf_append_str(table->out, value);
    cb_buf_clear(&table->text);
    int rc = unescape(value, &table->text);
    return rc ? rc
              : cb_csv_cell(table->out, (struct cb_str){table->text.len > 0 ? table->text.data : "",
                                                        table->text.len});
}

static int write_pair(struct table *table, struct cb_str name, struct cb_str value) {
    int rc = cb_csv_cell(table->out, name);
    if (!rc)
        rc = cb_buf_append(table->out, ",", 1);
    if (!rc)
        rc = write_value(table, value);
    return rc ? rc : cb_buf_append(table->out, "\r\n", 2);
}

/* A cell of the row at hand. Rows mostly have the same members in the same order; a new one goes
 * behind the one before it. */
static int put(struct table *table, struct cb_str name, struct cb_str value) {
    size_t at = table->at;
    if (table->pairs)
        return write_pair(table, name, value);
    for (size_t i = 0; i < table->n; i++, at++) {
        if (at >= table->n)
            at = 0;
        if (cb_str_eq(name, table->columns[at].name))
            break;
        if (i + 1 == table->n)
            at = table->n;
    }
    if (at >= table->n) {
        at = table->at < table->n ? table->at : table->n;
        int rc = table->titled ? CB_EMALFORMED : column_insert(table, name, at);
        if (rc)
            return rc;
    }
    table->columns[at].cell = value;
    table->at = at + 1;
    return 0;
}

static int flatten(struct table *table, struct cb_str name, struct cb_str value, unsigned depth);

static int flatten_items(struct table *table, struct cb_str name, struct cb_str value,
                         unsigned depth) {
    char longer[NAME_MAX_BYTES];
    const bool object = is_object(value);
    struct cb_str text = inside(value), key = {NULL, 0}, item;
    unsigned number = 0;
    int rc = 0;
    while (!rc && next(&text, object ? &key : NULL, &item)) {
        struct cb_buf to = {.data = longer, .cap = sizeof longer, .max_bytes = sizeof longer};
        if (name.len > sizeof longer / 2 || key.len > sizeof longer / 4)
            return CB_ETOOBIG;
        if (name.len > 0)
            rc = cb_buf_append_str(&to, name);
        if (!rc && name.len > 0)
            rc = cb_buf_append(&to, ".", 1);
        if (!rc)
            rc = object ? unescape(key, &to) : cb_buf_printf(&to, "%u", number++);
        if (!rc)
            rc = flatten(table, (struct cb_str){longer, to.len}, item, depth + 1);
    }
    return rc;
}

static int flatten(struct table *table, struct cb_str name, struct cb_str value, unsigned depth) {
    if (depth > CB_CSV_DEPTH_MAX)
        return CB_ETOOBIG;
    if (is_object(value) || (is_array(value) && all_plain(value)))
        return flatten_items(table, name, value, depth);
    return put(table, name, value);
}

static int write_line(struct table *table, bool titles) {
    int rc = 0;
    for (size_t i = 0; !rc && i < table->n; i++) {
        if (i > 0)
            rc = cb_buf_append(table->out, ",", 1);
        if (!rc)
            rc = titles ? cb_csv_cell(table->out, table->columns[i].name)
                        : write_value(table, table->columns[i].cell);
    }
    return rc ? rc : cb_buf_append(table->out, "\r\n", 2);
}

/* ---- rows ---- */

/* What a row begins with; empty: no such column. Values are JSON. */
struct lead {
    struct cb_str span, part, name;
};

static int row(struct table *table, const struct lead *lead, struct cb_str value) {
    static const struct cb_str plain = CB_STR("value");
    int rc = 0;
    table->at = 0;
    for (size_t i = 0; i < table->n; i++)
        table->columns[i].cell = (struct cb_str){NULL, 0};
    if (lead->span.len > 0)
        rc = put(table, cb_str_of("span"), lead->span);
    if (!rc && lead->part.len > 0)
        rc = put(table, cb_str_of("part"), lead->part);
    if (!rc && lead->name.len > 0)
        rc = put(table, cb_str_of("name"), lead->name);
    if (!rc)
        rc = is_object(value) ? flatten(table, (struct cb_str){NULL, 0}, value, 0)
                              : flatten(table, plain, value, 0);
    return rc || !table->titled ? rc : write_line(table, false);
}

/* The rows of a member. */
static int rows_of(struct table *table, struct lead lead, struct cb_str value) {
    struct cb_str text, key, item;
    int rc = 0;
    if (is_array(value)) {
        text = inside(value);
        while (!rc && next(&text, NULL, &item))
            rc = row(table, &lead, item);
    } else if (is_object(value) && all_objects(value)) {
        text = inside(value);
        while (!rc && next(&text, &key, &item)) {
            lead.name = key;
            rc = row(table, &lead, item);
        }
    } else if (is_object(value)) {
        rc = row(table, &lead, value);
    }
    return rc;
}

static int objects_of(struct table *table, struct lead lead, struct cb_str json) {
    struct cb_str text = inside(json), value;
    int rc = 0;
    while (!rc && next(&text, &lead.name, &value))
        if (is_object(value) && !cb_str_is(lead.name, "\"compare\""))
            rc = row(table, &lead, value);
    return rc;
}

static int members_of(struct table *table, struct lead lead, struct cb_str json, const char *rows) {
    const bool several = strchr(rows, '+') != NULL;
    int rc = 0;
    for (const char *at = rows; !rc && *at;) {
        const struct cb_str name = {at, strcspn(at, "+")};
        char quoted[64];
        struct cb_buf to = {.data = quoted, .cap = sizeof quoted, .max_bytes = sizeof quoted};
        rc = cb_buf_append_json(&to, name);
        if (several)
            lead.part = (struct cb_str){quoted, to.len};
        if (!rc)
            rc = rows_of(table, lead, cb_csv_member(json, name));
        at += name.len + (at[name.len] == '+');
    }
    return rc;
}

static int span_of(struct table *table, struct lead lead, struct cb_str json, const char *rows) {
    return strcmp(rows, CB_CSV_OBJECTS) ? members_of(table, lead, json, rows)
                                        : objects_of(table, lead, json);
}

static int all_rows(struct table *table, struct cb_str json, const char *rows) {
    const struct cb_str compare = cb_csv_member(json, cb_str_of("compare"));
    struct lead lead = {.span = {NULL, 0}};
    if (compare.len > 0)
        lead.span = cb_str_of("\"this\"");
    int rc = span_of(table, lead, json, rows);
    lead.span = cb_str_of("\"compare\"");
    return rc || compare.len == 0 ? rc : span_of(table, lead, compare, rows);
}

int cb_csv_write(struct cb_str json, const char *rows, struct cb_buf *out) {
    struct table table = {.out = out};
    if (!is_object(json))
        return CB_EMALFORMED;
    cb_buf_init(&table.text, json.len + 1);
    int rc = 0;
    if (!strcmp(rows, CB_CSV_PAIRS)) {
        table.pairs = true;
        rc = cb_buf_append_str(out, cb_str_of("name,value\r\n"));
        if (!rc)
            rc = flatten(&table, (struct cb_str){NULL, 0}, json, 0);
    } else {
        rc = all_rows(&table, json, rows);
        table.titled = true;
        if (!rc && table.n > 0)
            rc = write_line(&table, true);
        if (!rc)
            rc = all_rows(&table, json, rows);
    }
    for (size_t i = 0; i < table.n; i++)
        free((char *)table.columns[i].name.p);
    free(table.columns);
    cb_buf_fini(&table.text);
    return rc;
}
