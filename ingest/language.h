/* SPDX-License-Identifier: MIT
 * language.h: the language that a browser asks for, out of Accept-Language.
 *
 * Pure. Any thread. */
#ifndef CB_INGEST_LANGUAGE_H
#define CB_INGEST_LANGUAGE_H

#include "proto/event.h"

/* The primary subtag of the language with the highest weight (RFC 9110, section 12.5.4; of several
 * the first), lower case; "" where the header has none of two or three letters, or none that is
 * wanted (*, q=0). */
void cb_language_of(struct cb_str header, char out[CB_LANGUAGE_MAX + 1]);

#endif
