/* SPDX-License-Identifier: MIT
 * pixel.h: GET /v1/pixel.gif: one event where scripts cannot run (mail, <noscript>).
 *
 * Parameters: site; name ("page" without one); page (without one, the Referer); producer and seq,
 * both or neither (without: a producer of the server's own); all others are props. A visitor's id
 * is refused: addresses end in logs (DESIGN, invariant 7). */
#ifndef CB_INGEST_PIXEL_H
#define CB_INGEST_PIXEL_H

#include "ingest/hold.h"

cb_hold_handler cb_pixel_handle;

#endif
