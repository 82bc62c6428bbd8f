/* SPDX-License-Identifier: MIT
 * crc.h: CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor's instruction where it has
 * one. Any thread. */
#ifndef CB_PROTO_CRC_H
#define CB_PROTO_CRC_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of data, continued from crc (0 to begin). */
uint32_t cb_crc32c(uint32_t crc, const void *data, size_t len);

#endif
