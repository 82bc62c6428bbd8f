/* SPDX-License-Identifier: MIT
 * metric.h: the table of what a process counts. GET /metrics shows it in the Prometheus text
 * format.
 *
 * Every metric is one row here: symbol, Prometheus name, type, help. Values are process-wide
 * atomics; adding is relaxed and cheap, so a row may sit on the hot path. Any thread. */
#ifndef CB_PROTO_METRIC_H
#define CB_PROTO_METRIC_H

#include <stdint.h>

#include "proto/buf.h"

#define CB_METRICS(X)                                                                              \
    X(HTTP_CONNECTIONS, "chatbeacon_http_connections", "gauge", "Open HTTP connections.")          \
    X(HTTP_ACCEPTED, "chatbeacon_http_accepted_total", "counter", "HTTP connections accepted.")    \
    X(HTTP_ACCEPT_PAUSED, "chatbeacon_http_accept_paused_total", "counter",                        \
      "Times accepting paused: out of descriptors or at the connection cap.")                      \
    X(HTTP_OVER_ADDRESS, "chatbeacon_http_over_address_total", "counter",                          \
      "Connections closed because one address held too many.")                                     \
    X(HTTP_REQUESTS, "chatbeacon_http_requests_total", "counter", "HTTP requests parsed.")         \
    X(HTTP_2XX, "chatbeacon_http_responses_2xx_total", "counter", "Answers with a 2xx status.")    \
    X(HTTP_4XX, "chatbeacon_http_responses_4xx_total", "counter", "Answers with a 4xx status.")    \
    X(HTTP_5XX, "chatbeacon_http_responses_5xx_total", "counter", "Answers with a 5xx status.")    \
    X(HTTP_MALFORMED, "chatbeacon_http_malformed_total", "counter",                                \
      "Requests refused by the HTTP parser.")                                                      \
    X(HTTP_DEADLINES, "chatbeacon_http_deadlines_total", "counter",                                \
      "Connections closed because a head, body or read took too long.")                            \
    X(INGEST_EVENTS, "chatbeacon_ingest_events_total", "counter",                                  \
      "Events received by ingest, taken or refused.")                                              \
    X(INGEST_REJECTED, "chatbeacon_ingest_rejected_total", "counter",                              \
      "Events refused by ingest; the books give the reasons.")                                     \
    X(INGEST_RATE_LIMITED, "chatbeacon_ingest_rate_limited_total", "counter",                      \
      "Requests refused whole with 429.")                                                          \
    X(INGEST_BUSY, "chatbeacon_ingest_busy_total", "counter", "Requests refused whole with 503.")  \
    X(INGEST_HELD, "chatbeacon_ingest_held_requests", "gauge",                                     \
      "Requests whose answer waits for an ack.")                                                   \
    X(FRAMES_SENT, "chatbeacon_frames_sent_total", "counter", "Frames sent, first tries only.")    \
    X(FRAMES_RESENT, "chatbeacon_frames_resent_total", "counter", "Frames sent again.")            \
    X(FRAMES_ACKED, "chatbeacon_frames_acked_total", "counter", "Frames acknowledged ok.")         \
    X(FRAMES_EXPIRED, "chatbeacon_frames_expired_total", "counter",                                \
      "Frames given up without an ack; their requests got 503.")                                   \
    X(ASKS_SENT, "chatbeacon_asks_sent_total", "counter", "Asks sent to the store.")               \
    X(ASKS_EXPIRED, "chatbeacon_asks_expired_total", "counter", "Asks without an answer in time.") \
    X(JOURNAL_FRAMES, "chatbeacon_journal_frames_total", "counter", "Frames appended.")            \
    X(JOURNAL_BYTES, "chatbeacon_journal_bytes_total", "counter", "Bytes of records appended.")    \
    X(JOURNAL_COMMITS, "chatbeacon_journal_commits_total", "counter", "Journal commits.")          \
    X(JOURNAL_REPEATED, "chatbeacon_journal_repeated_total", "counter",                            \
      "Frames that were there already and were only acked.")                                       \
    X(JOURNAL_REFUSED, "chatbeacon_journal_refused_total", "counter",                              \
      "Frames refused: malformed, of a newer version, or no room.")                                \
    X(JOURNAL_POSITION, "chatbeacon_journal_position", "gauge", "Position of the newest frame.")   \
    X(JOURNAL_FIRST, "chatbeacon_journal_first_position", "gauge",                                 \
      "Position of the oldest frame that is kept.")                                                \
    X(JOURNAL_TRIMMED, "chatbeacon_journal_trimmed_total", "counter",                              \
      "Frames dropped from the front of the journal.")                                             \
    X(BASE_POSITION, "chatbeacon_base_position", "gauge",                                          \
      "Position of the newest base, a checked copy of the views; 0 for none.")                     \
    X(FOLD_POSITION, "chatbeacon_fold_position", "gauge", "Position that the views hold.")         \
    X(FOLD_EVENTS, "chatbeacon_fold_events_total", "counter", "Events folded.")                    \
    X(FOLD_COMMITS, "chatbeacon_fold_commits_total", "counter", "Commits of the views.")           \
    X(OVERLAY_BYTES, "chatbeacon_overlay_bytes", "gauge",                                          \
      "Memory of the fresh fields that the views do not hold yet.")                                \
    X(KEPT_ROWS, "chatbeacon_retention_rows_total", "counter",                                     \
      "Rows of rollups dropped because their site keeps them no longer.")                          \
    X(KEPT_PEOPLE, "chatbeacon_retention_people_total", "counter",                                 \
      "Visitors whose fields were dropped because their site keeps them no longer.")               \
    X(KEPT_BYTES, "chatbeacon_retention_bytes_total", "counter", "Bytes of all of these.")         \
    X(QUERY_REPORTS, "chatbeacon_query_reports_total", "counter", "Reports served.")               \
    X(LIVE_STREAMS, "chatbeacon_live_streams", "gauge", "Open live streams.")                      \
    X(LIVE_DROPPED, "chatbeacon_live_dropped_total", "counter",                                    \
      "Live streams dropped because their client did not read.")                                   \
    X(LIVE_GAPS, "chatbeacon_live_gaps_total", "counter",                                          \
      "Times a live stream was told that it does not get some events.")

enum cb_metric {
#define CB_METRIC_ENUM(symbol, name, type, help) CB_METRIC_##symbol,
    CB_METRICS(CB_METRIC_ENUM)
#undef CB_METRIC_ENUM
        CB_METRIC_COUNT
};

void cb_metric_add(enum cb_metric metric, int64_t n);
void cb_metric_set(enum cb_metric metric, int64_t value);
int64_t cb_metric_get(enum cb_metric metric);

/* Appends every row in the Prometheus text exposition format 0.0.4. Errors: those of cb_buf_append.
 */
int cb_metric_render(struct cb_buf *out);

#endif
