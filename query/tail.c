/* SPDX-License-Identifier: MIT */
#include "query/tail.h"

#include <stdlib.h>

void cb_tail_init(struct cb_tail *tail, size_t bytes_max) {
    *tail = (struct cb_tail){.marks = NULL};
    cb_buf_init(&tail->bytes, bytes_max);
}

void cb_tail_fini(struct cb_tail *tail) {
    cb_buf_fini(&tail->bytes);
    free(tail->marks);
    tail->marks = NULL;
    tail->n = tail->cap = 0;
}

static int write_event(struct cb_buf *out, const struct cb_export_row *row,
                       struct cb_row_rights rights) {
    const struct cb_export_cursor behind = {row->position, row->index + 1};
    char id[CB_CURSOR_TEXT_MAX];
    cb_cursor_text(&behind, id);
    int rc = cb_buf_printf(out, "id: %s\nevent: event\ndata: ", id);
    if (!rc) /* JSON of ours has no line breaks */
        rc = cb_row_json(row, rights, out);
    return rc ? rc : cb_buf_append(out, "\n\n", 2);
}

int cb_tail_add(struct cb_tail *tail, const struct cb_export_row *row,
                struct cb_row_rights rights) {
    if (tail->n == tail->cap) {
        size_t cap = tail->cap ? tail->cap * 2 : 16;
        struct cb_tail_mark *marks = realloc(tail->marks, cap * sizeof *marks);
        if (!marks)
            return CB_ENOMEM;
        tail->marks = marks;
        tail->cap = cap;
    }
    const size_t before = tail->bytes.len;
    int rc = write_event(&tail->bytes, row, rights);
    if (rc) {
        tail->bytes.len = before;
        return rc;
    }
    tail->marks[tail->n++] =
        (struct cb_tail_mark){row->position, row->index, (uint32_t)tail->bytes.len};
    return 0;
}

struct cb_str cb_tail_from(const struct cb_tail *tail, const struct cb_export_cursor *from) {
    size_t low = 0, high = tail->n;
    while (low < high) { /* the first mark at or behind from */
        size_t middle = low + (high - low) / 2;
        const struct cb_export_cursor at = {tail->marks[middle].position,
                                            tail->marks[middle].index};
        if (cb_cursor_before(&at, from))
            low = middle + 1;
        else
            high = middle;
    }
    const size_t start = low > 0 ? tail->marks[low - 1].end : 0;
    return (struct cb_str){tail->bytes.data ? tail->bytes.data + start : "",
                           tail->bytes.len - start};
}
