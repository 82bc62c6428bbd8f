/* SPDX-License-Identifier: MIT
 * geo.h: the country of an address, out of a MaxMind database; the one file that knows
 * libmaxminddb.
 *
 * The file is mapped, not read: replace it by renaming another over it, and start anew. */
#ifndef CB_INGEST_GEO_H
#define CB_INGEST_GEO_H

#include "ingest/proxies.h"

struct cb_geo; /* read-only: shared by threads */

/* path: the file; "" for none, then *out is NULL. On failure *sentence (heap, caller frees) names
 * the option and what is wrong. Errors: CB_EIO, CB_EINVAL (not such a database), CB_ENOMEM. */
CB_MUST_USE int cb_geo_open(const char *path, struct cb_geo **out, char **sentence);
void cb_geo_close(struct cb_geo **geo);

/* ISO 3166 alpha-2, or "" where the database has none for the address, or is NULL. A database that
 * is damaged within gives none. */
void cb_geo_country(const struct cb_geo *geo, const struct cb_address *address, char out[3]);

#endif
