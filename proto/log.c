/* SPDX-License-Identifier: MIT */
#include "proto/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/err.h"

enum { LINE_MAX_BYTES = 2048 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static atomic_int log_level = CB_LOG_INFO;

void cb_log_set_level(enum cb_log_level level) {
    atomic_store(&log_level, (int)level);
}

int cb_log_level_parse(const char *name, enum cb_log_level *out) {
    for (int i = 0; i <= CB_LOG_DEBUG; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum cb_log_level)i;
            return 0;
        }
    }
    return CB_EINVAL;
}

const char *cb_log_quote(const char *s, char *out, unsigned out_bytes) {
    size_t len = strlen(s);
    bool plain = len > 0 && len < out_bytes;
    for (size_t i = 0; plain && i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        plain = c > 0x20 && c != 0x7f && c != '"' && c != '\\' && c != '=';
    }
    if (plain) {
        memcpy(out, s, len + 1);
        return out;
    }
    static const char cut[] = "\xe2\x80\xa6\"";
    if (out_bytes < 2 + sizeof(cut)) {
        if (out_bytes > 0) {
            out[0] = '\0';
        }
        return out;
    }
    unsigned n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        bool escape = c < 0x20 || c == 0x7f || c == '"' || c == '\\';
        if (n + (escape ? 4 : 1) + sizeof(cut) > out_bytes) {
            memcpy(out + n, cut, sizeof(cut));
            return out;
        }
        if (escape) {
            n += (unsigned)snprintf(out + n, 5, "\\x%02x", c);
        } else {
            out[n++] = (char)c;
        }
    }
    out[n++] = '"';
    out[n] = '\0';
    return out;
}

void cb_log(enum cb_log_level level, const char *event, const char *format, ...) {
    if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed)) {
        return;
    }
    char line[LINE_MAX_BYTES];
    int64_t now_ms = cb_clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(line, sizeof(line), "ts=%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03dZ level=%s event=%s ",
                          (int)(now_ms % 1000), level_names[level], event);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + n, sizeof(line) - n - 1, format, args);
    va_end(args);
    if (more > 0) {
        n += (size_t)more < sizeof(line) - n - 1 ? (size_t)more : sizeof(line) - n - 2;
    }
    while (n > 0 && line[n - 1] == ' ') {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)line[i] < 0x20) {
            line[i] = ' '; /* the last guard: no input ends a line */
        }
    }
    line[n++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, n);
    (void)written; /* nobody is left to tell */
}
