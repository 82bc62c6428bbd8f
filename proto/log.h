/* SPDX-License-Identifier: MIT
 * log.h: one line an occurrence to stderr: ts=… level=warn event=frame_resent peer=… n=…
 *
 * Levels mean: error, the process is unhealthy; warn, a request was hurt; info, life cycle; debug,
 * the rest. Nothing per request above debug: count it (metric.h). Lines are written by one
 * write(2), so threads do not mix; values that hold spaces, quotes, controls or newlines are quoted
 * and escaped, so input cannot forge a line. */
#ifndef CB_PROTO_LOG_H
#define CB_PROTO_LOG_H

enum cb_log_level { CB_LOG_ERROR, CB_LOG_WARN, CB_LOG_INFO, CB_LOG_DEBUG };

/* Lines above this level are dropped. Set once at start, before threads. Default: info. */
void cb_log_set_level(enum cb_log_level level);
/* "error", "warn", "info" or "debug". Errors: CB_EINVAL. */
int cb_log_level_parse(const char *name, enum cb_log_level *out);

/* Writes a line. event is a fixed word; format gives the pairs: cb_log(CB_LOG_WARN, "frame_resent",
 * "n=%u", n). The text of format itself must be `key=value` pairs; pass hostile strings through
 * cb_log_quote. Any thread. */
void cb_log(enum cb_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Copies s into out as a value that is safe in a line: as it is when plain, else "quoted" with \xNN
 * escapes, cut with … when it does not fit. Returns out. */
const char *cb_log_quote(const char *s, char *out, unsigned out_bytes);

#endif
