/* SPDX-License-Identifier: MIT
 * dialect.h: how events are written for systems that a user might pick instead, so that
 * bench/compare loads all of them with the same generator: the same events, sites, pages and
 * visitors, in each one's own way of taking them.
 *
 * Pure. Any thread. */
#ifndef CB_BENCH_DIALECT_H
#define CB_BENCH_DIALECT_H

#include <stdbool.h>

#include "bench/template.h"

struct cb_dialect {
    const char *name;
    const char *path, *type; /* of a POST; NULL where it is not HTTP */
    const char *event;       /* a line; of template.h's fields, %1$s: the event's, %2$s: the site's
                                name */
    bool redis;              /* commands, a reply to each */
};

/* The dialect of a name; *out is NULL for chatbeacon itself, and for who takes anything. Errors:
 * CB_ENOENT. */
CB_MUST_USE int cb_dialect_of(const char *name, const struct cb_dialect **out);
/* The names, for --help. */
#define CB_DIALECT_NAMES "chatbeacon, nginx, victoriametrics, influxdb, clickhouse or redis"

/* Writes the head of a POST, but for Content-Length and the empty line. Not for Redis. */
void cb_dialect_head(const struct cb_dialect *dialect, const char *host, char *out, size_t size);
/* Makes the template of one event's request, or, without a host, of its line. Errors: those of
 * cb_template_init. */
CB_MUST_USE int cb_dialect_event(const struct cb_dialect *dialect, const char *host,
                                 const char *name, const char *site, unsigned site_digits,
                                 struct cb_template *out);

#endif
