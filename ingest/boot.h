/* SPDX-License-Identifier: MIT
 * boot.h: POST /v1/boot: {site, visitor?} to the site's status and the visitor's fields.
 *
 * The fields are asked of the store each time: what was set before the last ack is in them. Who has
 * the visitor's id may read them (DESIGN, invariant 7), so the answer is never stored. */
#ifndef CB_INGEST_BOOT_H
#define CB_INGEST_BOOT_H

#include "ingest/hold.h"

cb_hold_handler cb_boot_handle;

#endif
