/* SPDX-License-Identifier: MIT */
#include "store/ordinal_set.h"

static int list_to_bitmap(struct cb_views *views, struct cb_row *row) {
    uint16_t offsets[CB_ORDINAL_SET_LIST_MAX];
    size_t n = row->len / 2;
    for (size_t i = 0; i < n; i++) {
        offsets[i] = cb_be16_get(row->data + 2 * i);
    }
    int rc = cb_row_resize(views, row, CB_ORDINAL_SET_BYTES);
    if (rc != 0) {
        return rc;
    }
    memset(row->data, 0, CB_ORDINAL_SET_BYTES);
    for (size_t i = 0; i < n; i++) {
        row->data[offsets[i] / 8] |= (uint8_t)(1u << offsets[i] % 8);
    }
    return 0;
}

static int add_to_list(struct cb_views *views, struct cb_row *row, uint16_t offset) {
    size_t low = 0, high = row->len / 2;
    while (low < high) {
        size_t middle = (low + high) / 2;
        uint16_t there = cb_be16_get(row->data + 2 * middle);
        if (there == offset) {
            return 0;
        }
        if (there < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t behind = row->len - 2 * low;
    int rc = cb_row_resize(views, row, row->len + 2);
    if (rc == 0) {
        memmove(row->data + 2 * low + 2, row->data + 2 * low, behind);
        cb_be16_put(row->data + 2 * low, offset);
    }
    return rc;
}

int cb_ordinal_set_add(struct cb_views *views, struct cb_row *row, uint16_t offset) {
    if (row->len != CB_ORDINAL_SET_BYTES) {
        if (row->len / 2 < CB_ORDINAL_SET_LIST_MAX) {
            return add_to_list(views, row, offset);
        }
        int rc = list_to_bitmap(views, row);
        if (rc != 0) {
            return rc;
        }
    }
    uint8_t bit = (uint8_t)(1u << offset % 8);
    if (!(row->data[offset / 8] & bit)) {
        row->data[offset / 8] |= bit;
        cb_row_touch(row);
    }
    return 0;
}

int cb_ordinal_set_or(struct cb_str value, uint64_t words[CB_ORDINAL_SET_WORDS]) {
    const uint8_t *p = (const uint8_t *)value.p;
    if (value.len == CB_ORDINAL_SET_BYTES) {
        for (unsigned w = 0; w < CB_ORDINAL_SET_WORDS; w++) {
            uint64_t word; /* bit n of byte n / 8: little-endian */
            memcpy(&word, p + 8 * w, sizeof(word));
            words[w] |= word;
        }
        return 0;
    }
    if (value.len % 2 != 0 || value.len / 2 > CB_ORDINAL_SET_LIST_MAX) {
        return CB_ECORRUPT;
    }
    for (size_t i = 0; i < value.len / 2; i++) {
        uint16_t offset = cb_be16_get(p + 2 * i);
        if (offset >> CB_ORDINAL_SET_BITS) {
            return CB_ECORRUPT;
        }
        words[offset / 64] |= UINT64_C(1) << offset % 64;
    }
    return 0;
}
