/* SPDX-License-Identifier: MIT
 * Invariant: a slot is filled from cb_streams_take until its request is answered in full or its
 * client is gone; `ready` says that it waits for a turn and for nothing else. */
#include "query/stream.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/log.h"
#include "proto/metric.h"
#include "query/headers.h"
#include "query/routes.h"

struct stream {
    struct cb_streams *streams;
    struct cb_http_req *req;
    struct cb_export *export; /* NULL: a free slot */
    bool begun;               /* the head was sent */
    bool ready;
};

struct cb_streams {
    struct event *turn;
    bool due;            /* turn is added */
    unsigned at;         /* the slot that had the last turn */
    unsigned n;          /* filled slots */
    struct cb_buf chunk; /* what is made in a turn */
    struct stream slots[CB_STREAMS_MAX];
};

/* A timer, since an event made active from within its own callback would run again before the loop
 * looks at any socket. */
static void turn_soon(struct cb_streams *streams) {
    const struct timeval now = {0, 0};
    if (!streams->due)
        streams->due = event_add(streams->turn, &now) == 0;
}

static void slot_free(struct stream *stream) {
    struct cb_streams *streams = stream->streams;
    cb_export_destroy(&stream->export);
    stream->ready = false;
    if (--streams->n == 0)
        cb_buf_fini(&streams->chunk);
}

static void on_closed(struct cb_http_req *req) {
    slot_free(req->user);
}

static void on_writable(struct cb_http_req *req) {
    struct stream *stream = req->user;
    stream->ready = true;
    turn_soon(stream->streams);
}

static void begin(struct cb_http_req *req, const struct cb_export *export, bool calls_back) {
    char headers[CB_HEADERS_MAX], more[384];
    int len = snprintf(more, sizeof more, "Content-Type: %s\r\nX-Export-End: %llu\r\n",
                       cb_export_type(export), (unsigned long long)cb_export_end(export));
    if (export->name)
        snprintf(more + len, sizeof more - (size_t)len,
                 "Content-Disposition: attachment; filename=\"%s\"\r\n", export->name);
    cb_headers_write(req, more, headers);
    cb_metric_add(CB_METRIC_QUERY_REPORTS, 1);
    cb_http_stream_begin(req, 200, headers, calls_back ? on_writable : NULL,
                         calls_back ? on_closed : NULL);
}

/* Before the head was sent there is a status that says what went wrong; behind it only an answer
 * that breaks off does: one that ended would be taken as whole. */
static void fail(struct stream *stream, int rc) {
    struct cb_http_req *req = stream->req;
    cb_log(CB_LOG_WARN, "export_failed", "begun=%d text=\"%s\"", stream->begun, cb_err_text(rc));
    if (stream->begun) {
        cb_http_stream_abort(req); /* on_closed follows */
        return;
    }
    slot_free(stream);
    cb_api_refuse(req,
                  rc == CB_EAGAIN  ? CB_REFUSE_BUSY
                  : rc == CB_EGONE ? CB_REFUSE_GONE
                                   : CB_REFUSE_INTERNAL,
                  NULL);
}

static void stream_turn(struct stream *stream) {
    struct cb_buf *chunk = &stream->streams->chunk;
    bool more = false;
    cb_buf_clear(chunk);
    stream->ready = false;
    int rc = cb_export_next(stream->export, chunk, &more);
    if (rc) {
        fail(stream, rc);
        return;
    }
    if (!stream->begun) {
        begin(stream->req, stream->export, true);
        stream->begun = true;
    }
    rc = cb_http_stream_write(stream->req, chunk->data, chunk->len);
    if (rc == CB_ECLOSED) /* on_closed follows */
        return;
    if (!more) {
        cb_http_stream_end(stream->req);
        slot_free(stream);
        return;
    }
    stream->ready = rc == 0; /* CB_EAGAIN: on_writable follows */
}

static void on_turn(evutil_socket_t fd, short what, void *user) {
    struct cb_streams *streams = user;
    bool served = false;
    (void)fd;
    (void)what;
    streams->due = false;
    for (unsigned i = 1; i <= CB_STREAMS_MAX; i++) {
        unsigned at = (streams->at + i) % CB_STREAMS_MAX;
        struct stream *stream = &streams->slots[at];
        if (!stream->ready)
            continue;
        if (served) {
            turn_soon(streams);
            return;
        }
        served = true;
        stream_turn(stream);
        streams->at = at;
        i = 0; /* from the one behind it, itself last */
    }
}

int cb_streams_create(struct event_base *base, struct cb_streams **out) {
    struct cb_streams *streams = calloc(1, sizeof *streams);
    if (!streams)
        return CB_ENOMEM;
    streams->turn = event_new(base, -1, 0, on_turn, streams);
    if (!streams->turn) {
        free(streams);
        return CB_ENOMEM;
    }
    cb_buf_init(&streams->chunk, CB_EXPORT_CHUNK_BYTES_MAX);
    *out = streams;
    return 0;
}

void cb_streams_destroy(struct cb_streams **streams) {
    struct cb_streams *s = *streams;
    if (!s)
        return;
    for (unsigned i = 0; i < CB_STREAMS_MAX; i++)
        cb_export_destroy(&s->slots[i].export);
    cb_buf_fini(&s->chunk);
    event_free(s->turn);
    free(s);
    *streams = NULL;
}

int cb_streams_take(struct cb_streams *streams, struct cb_http_req *req,
                    struct cb_export **export) {
    if (req->method == CB_HTTP_HEAD) {
        begin(req, *export, false);
        cb_http_stream_end(req);
        cb_export_destroy(export);
        return 0;
    }
    struct stream *stream = streams->slots;
    while (stream < streams->slots + CB_STREAMS_MAX && stream->export)
        stream++;
    if (stream == streams->slots + CB_STREAMS_MAX)
        return CB_EFULL;
    turn_soon(streams);
    if (!streams->due)
        return CB_ENOMEM;
    *stream = (struct stream){.streams = streams, .req = req, .export = *export, .ready = true};
    *export = NULL;
    req->user = stream;
    streams->n++;
    return 0;
}
