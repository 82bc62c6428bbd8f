/* SPDX-License-Identifier: MIT */
#include "store/ordinal_set.h"

static int list_to_bitmap(struct cb_views *views, struct cb_row *row, size_t head) {
    uint8_t bitmap[CB_ORDINAL_SET_BYTES] = {0};
    for (size_t at = head; at < row->len; at += 2) {
        uint16_t offset = cb_be16_get(row->data + at);
        bitmap[offset / 8 % CB_ORDINAL_SET_BYTES] |= (uint8_t)(1u << offset % 8);
    }
    int rc = cb_row_resize(views, row, head + sizeof(bitmap));
    if (rc == 0) {
        memcpy(row->data + head, bitmap, sizeof(bitmap));
    }
    return rc;
}

size_t cb_u16_list_find(const uint8_t *list, size_t n, uint16_t value) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cb_be16_get(list + 2 * middle) < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int cb_u16_list_insert(struct cb_views *views, struct cb_row *row, size_t at, uint16_t value) {
    size_t behind = row->len - at;
    int rc = cb_row_resize(views, row, row->len + 2);
    if (rc == 0) {
        memmove(row->data + at + 2, row->data + at, behind);
        cb_be16_put(row->data + at, value);
    }
    return rc;
}

int cb_ordinal_set_add_behind(struct cb_views *views, struct cb_row *row, size_t head,
                              uint16_t offset) {
    if (row->len - head != CB_ORDINAL_SET_BYTES) {
        size_t n = (row->len - head) / 2, at = 0;
        if (n > 0) {
            at = cb_u16_list_find(row->data + head, n, offset);
        }
        if (at < n && cb_be16_get(row->data + head + 2 * at) == offset) {
            return 0;
        }
        if (n < CB_ORDINAL_SET_LIST_MAX) {
            return cb_u16_list_insert(views, row, head + 2 * at, offset);
        }
        int rc = list_to_bitmap(views, row, head);
        if (rc != 0) {
            return rc;
        }
    }
    uint8_t *byte = row->data + head + offset / 8, bit = (uint8_t)(1u << offset % 8);
    if (!(*byte & bit)) {
        *byte |= bit;
        cb_row_touch(row);
    }
    return 0;
}

int cb_ordinal_set_or(struct cb_str value, uint64_t *words, size_t n) {
    const uint8_t *p = (const uint8_t *)value.p;
    if (value.len == CB_ORDINAL_SET_BYTES) {
        for (size_t w = 0; w < CB_ORDINAL_SET_WORDS; w++) {
            uint64_t word; /* bit n of byte n / 8: little-endian */
            memcpy(&word, p + 8 * w, sizeof(word));
            if (w < n) {
                words[w] |= word;
            } else if (word != 0) {
                return CB_ECORRUPT;
            }
        }
        return 0;
    }
    if (value.len % 2 != 0 || value.len / 2 > CB_ORDINAL_SET_LIST_MAX) {
        return CB_ECORRUPT;
    }
    n = n < CB_ORDINAL_SET_WORDS ? n : CB_ORDINAL_SET_WORDS;
    for (size_t i = 0; i < value.len / 2; i++) {
        uint16_t offset = cb_be16_get(p + 2 * i);
        if (offset / 64u >= n) {
            return CB_ECORRUPT;
        }
        words[offset / 64] |= UINT64_C(1) << offset % 64;
    }
    return 0;
}
