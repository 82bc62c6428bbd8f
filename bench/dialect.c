/* SPDX-License-Identifier: MIT */
#include "bench/dialect.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 1024, REDIS_PARTS = 15 };

#define PAGE_URL "https://shop.example/p/{page}"

/* VictoriaMetrics and InfluxDB are given what a user of theirs would: labels of few values; a
 * visitor as a label would make a series of each. */
static const struct cb_dialect dialects[] = {
    {"victoriametrics", "/api/v1/import", "application/json",
     "{\"metric\":{\"__name__\":\"event\",\"site\":\"%2$s{site}\",\"name\":\"%1$s\",\"page\":"
     "\"" PAGE_URL "\"},\"values\":[1],\"timestamps\":[{at}]}\n",
     false},
    {"influxdb", "/write?db=bench&precision=u", "text/plain",
     "events,site=%2$s{site},name=%1$s page=\"" PAGE_URL
     "\",visitor=\"{visitor}{visitor2}\" {at}{seq}00\n",
     false},
    {"clickhouse", "/?query=INSERT%20INTO%20events%20FORMAT%20JSONEachRow", "application/json",
     "{\"site\":\"%2$s{site}\",\"visitor\":\"{visitor}{visitor2}\",\"producer\":\"{producer}\","
     "\"name\":\"%1$s\",\"at\":{at},\"page\":\"" PAGE_URL "\"}\n",
     false},
    {"redis", NULL, NULL, NULL, true},
};

int cb_dialect_of(const char *name, const struct cb_dialect **out) {
    *out = NULL;
    for (size_t i = 0; i < sizeof dialects / sizeof *dialects; i++) {
        if (!strcmp(name, dialects[i].name)) {
            *out = &dialects[i];
            return 0;
        }
    }
    return !strcmp(name, "chatbeacon") || !strcmp(name, "nginx") ? 0 : CB_ENOENT;
}

/* A command of Redis, whose strings are counted before its fields are filled in. */
static int redis_command(const char *name, const char *site, unsigned site_digits, char *out,
                         size_t size) {
    char stream[TEXT_BYTES];
    snprintf(stream, sizeof stream, "events:%s{site}", site);
    const char *parts[REDIS_PARTS] = {
        "XADD",     stream,       "*",    "visitor", "{visitor}{visitor2}",
        "producer", "{producer}", "seq",  "{seq}",   "name",
        name,       "at",         "{at}", "page",    PAGE_URL};
    size_t len = (size_t)snprintf(out, size, "*%d\r\n", REDIS_PARTS);
    for (unsigned i = 0; i < REDIS_PARTS; i++) {
        struct cb_template part;
        int rc = cb_template_init_piece(&part, parts[i], site_digits);
        if (rc)
            return rc;
        len += (size_t)snprintf(out + len, size - len, "$%zu\r\n%s\r\n", part.len, parts[i]);
        cb_template_fini(&part);
    }
    return len < size ? 0 : CB_ETOOBIG;
}

void cb_dialect_head(const struct cb_dialect *dialect, const char *host, char *out, size_t size) {
    snprintf(out, size,
             "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: chatbeacon-load/" CB_VERSION
             "\r\nContent-Type: %s\r\n",
             dialect->path, host, dialect->type);
}

int cb_dialect_event(const struct cb_dialect *dialect, const char *host, const char *name,
                     const char *site, unsigned site_digits, struct cb_template *out) {
    char text[TEXT_BYTES], head[TEXT_BYTES];
    if (dialect->redis) {
        int rc = redis_command(name, site, site_digits, text, sizeof text);
        return rc ? rc : cb_template_init_piece(out, text, site_digits);
    }
    snprintf(text, sizeof text, dialect->event, name, site);
    if (!host)
        return cb_template_init_piece(out, text, site_digits);
    cb_dialect_head(dialect, host, head, sizeof head);
    return cb_template_init(out, head, text, site_digits);
}
