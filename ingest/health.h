/* SPDX-License-Identifier: MIT
 * health.h: GET /healthz (the process runs) and GET /readyz (it can take events). */
#ifndef CB_INGEST_HEALTH_H
#define CB_INGEST_HEALTH_H

#include "ingest/hold.h"

cb_hold_handler cb_health_alive;
/* Ready: the store answered within the last second that it is ready and has room, and the events
 * that wait for it are below their bound. Else 503 with the reason. */
cb_hold_handler cb_health_ready;

#endif
