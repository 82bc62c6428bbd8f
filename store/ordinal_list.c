/* SPDX-License-Identifier: MIT */
#include "store/ordinal_list.h"

enum { ENTRY = CB_ORDINAL_LIST_ENTRY_BYTES };

static void put(uint8_t *list, size_t i, uint32_t entry) {
    list[ENTRY * i] = (uint8_t)(entry >> 16);
    cb_be16_put(list + ENTRY * i + 1, (uint16_t)entry);
}

/* The first of n entries that is not below one, as an index. */
static size_t find(const uint8_t *list, size_t n, uint32_t entry) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cb_ordinal_list_entry(list, middle) < entry) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int insert(struct cb_views *views, struct cb_row *row, size_t i, uint32_t entry) {
    const size_t behind = row->len - ENTRY * i;
    int rc = cb_row_resize(views, row, row->len + ENTRY);
    if (rc == 0) {
        memmove(row->data + ENTRY * (i + 1), row->data + ENTRY * i, behind);
        put(row->data, i, entry);
    }
    return rc;
}

int cb_ordinal_list_add(struct cb_views *views, struct cb_row *row, unsigned low, uint32_t entry,
                        bool *moved) {
    const size_t n = row->len / ENTRY;
    *moved = cb_ordinal_list_moved(row);
    if (*moved) {
        return 0;
    }
    const size_t i = n > 0 ? find(row->data, n, entry >> low << low) : 0;
    const uint32_t there = i < n ? cb_ordinal_list_entry(row->data, i) : 0;
    if (i < n && there >> low == entry >> low) {
        if ((there | entry) != there) {
            put(row->data, i, there | entry);
            cb_row_touch(row);
        }
        return 0;
    }
    *moved = n >= CB_ORDINAL_LIST_MAX;
    return *moved ? 0 : insert(views, row, i, entry);
}

int cb_ordinal_list_move(struct cb_views *views, struct cb_row *row,
                         uint32_t entries[CB_ORDINAL_LIST_MAX], size_t *n) {
    *n = row->len / ENTRY;
    *n = *n < CB_ORDINAL_LIST_MAX ? *n : CB_ORDINAL_LIST_MAX;
    for (size_t i = 0; i < *n; i++) {
        entries[i] = cb_ordinal_list_entry(row->data, i);
    }
    int rc = cb_row_resize(views, row, CB_ORDINAL_LIST_MOVED_BYTES);
    if (rc == 0) {
        row->data[0] = 0;
    }
    return rc;
}
