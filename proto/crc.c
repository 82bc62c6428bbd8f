/* SPDX-License-Identifier: MIT */
#include "proto/crc.h"

#include <string.h>

/* The reflected polynomial of RFC 3720, for processors without the instruction. */
#define CRC32C_POLYNOMIAL 0x82f63b78u

static uint32_t crc_bytes(uint32_t crc, const unsigned char *p, size_t len) {
    while (len-- > 0) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
        }
    }
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc, const unsigned char *p,
                                                               size_t len) {
    uint64_t state = crc;
    while (len >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        state = _mm_crc32_u64(state, word);
        p += sizeof(word);
        len -= sizeof(word);
    }
    crc = (uint32_t)state;
    while (len-- > 0) {
        crc = _mm_crc32_u8(crc, *p++);
    }
    return crc;
}

uint32_t cb_crc32c(uint32_t crc, const void *data, size_t len) {
    return ~(__builtin_cpu_supports("sse4.2") ? crc_hardware(~crc, data, len)
                                              : crc_bytes(~crc, data, len));
}
#else
uint32_t cb_crc32c(uint32_t crc, const void *data, size_t len) {
    return ~crc_bytes(~crc, data, len);
}
#endif
