/* SPDX-License-Identifier: MIT
 * http.h: the HTTP/1.1 server that ingest and query share (RFC 9112), on libevent and llhttp.
 *
 * One cb_http per thread: its own event base, its own SO_REUSEPORT listener, its own connections;
 * nothing is shared, and every call comes from that thread. A request is handed to the handler when
 * it is complete. The handler answers now or later (from the same thread), by cb_http_reply or by a
 * stream, exactly once. All complete requests of one read are handed over before anything is
 * written (pipelining); answers leave in the order of the requests, those of one turn of the event
 * loop in one write. While a request of a connection waits for its answer, the connection is not
 * read.
 *
 * What the server answers by itself, with the JSON error of refusal.h and Connection: close:
 * malformed requests (400), head over its cap (431), body over its cap (413), an expectation other
 * than 100-continue (417 is not used: 400). Refused as malformed: NUL bytes, conflicting or
 * repeated Content-Length, Content-Length with Transfer-Encoding, codings other than chunked,
 * folded lines, bare CR or LF, missing or double Host, versions other than 1.0 and 1.1, targets
 * that do not begin with /, CONNECT and Upgrade. Deadlines are absolute: a client that drips is
 * closed (408). Further requests of a connection wait while 64 KB of answers are unsent.
 *
 * A head is not parsed again when the same bytes came before on a connection twice in a row: up to
 * 1,024 heads of at most 2 KB are kept by each server, none with Authorization (http_known.c). */
#ifndef CB_PROTO_HTTP_H
#define CB_PROTO_HTTP_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/refusal.h"

enum {
    CB_HTTP_HEAD_MAX = 8192,   /* bytes of request line and headers */
    CB_HTTP_HEADERS_MAX = 64,  /* header fields of a request */
    CB_HTTP_PIPELINE_MAX = 64, /* requests of one connection that wait for an answer */
    CB_HTTP_BODY_PAD = 64,     /* readable bytes behind every body, for parsers that read ahead */
};

enum cb_http_method {
    CB_HTTP_GET,
    CB_HTTP_HEAD,
    CB_HTTP_POST,
    CB_HTTP_PUT,
    CB_HTTP_PATCH,
    CB_HTTP_DELETE,
    CB_HTTP_OPTIONS,
    CB_HTTP_OTHER
};

struct cb_http_opts {
    char host[256]; /* address or name to listen on */
    uint16_t port;  /* 0 picks one */
    size_t body_max_bytes;
    unsigned connections_max; /* of this server (a thread's share of the option) */
    unsigned
        per_address_max; /* connections of one peer address (IPv6: of one /64), of this server */
    unsigned head_timeout_ms;  /* from the first byte of a request to the end of its head; 408 */
    unsigned body_timeout_ms;  /* from there to the end of its body; 408 */
    unsigned idle_timeout_ms;  /* between requests, and before the first; closed silently */
    unsigned write_timeout_ms; /* for a peer to take what was unsent when its socket got full; where
                                  the kernel has it, twice that */
    size_t stream_max_bytes;   /* unread bytes of a stream at which cb_http_stream_write says
                                  CB_EAGAIN */
    const char *error_headers; /* header lines for the answers that the server makes by itself, or
                                  NULL; static */
};

struct cb_http_header {
    struct cb_str name; /* as sent; compare without case */
    struct cb_str value;
};

/* A request. Strings belong to the connection and live until the request was answered, or until
 * cb_http_read. */
struct cb_http_req {
    enum cb_http_method method;
    struct cb_str path;  /* undecoded, from the first / to the ? */
    struct cb_str query; /* undecoded, behind the ?, may be empty */
    struct cb_str body;  /* CB_HTTP_BODY_PAD readable bytes follow */
    unsigned n_headers;
    const struct cb_http_header *headers;
    const char *peer;    /* the client's address as text, without port */
    int64_t received_ms; /* wall clock when the request was complete, to a few callbacks */
    bool keep_alive;
    void *user; /* the handler's own; starts as NULL */
};

struct cb_http;
typedef void cb_http_handler(struct cb_http_req *req, void *user);

/* Opens the listener and starts to accept. *sentence (heap, caller frees) says what failed, naming
 * the address. Another process on the same port is found, although SO_REUSEPORT would let both in;
 * pass first = false for the second and further threads of one address (with the port that the
 * first one got). Errors: CB_EBUSY (in use), CB_EINVAL (host), CB_ESYS, CB_ENOMEM. */
CB_MUST_USE int cb_http_create(struct event_base *base, const struct cb_http_opts *opts, bool first,
                               cb_http_handler *handler, void *user, struct cb_http **out,
                               char **sentence);
/* The port that it listens on. */
uint16_t cb_http_port(const struct cb_http *http);
/* Closes the listener and idle connections; further answers close theirs. A request that has
 * arrived but was not read yet is still handed over, from within this call. Done when
 * cb_http_connections is 0; connections without a sound end by their deadlines. */
void cb_http_drain(struct cb_http *http);
/* Open connections, and closed ones whose requests still wait for their answer. */
unsigned cb_http_connections(const struct cb_http *http);
/* Closes everything. Requests still unanswered are void: their cb_http_req must not be touched
 * again, and no callback follows. Not from within a handler or a callback. */
void cb_http_destroy(struct cb_http **http);

/* The handler has read the request and will answer it later: path, query, headers and body are void
 * from now on (and empty). Where thousands of requests wait, their memory serves the next ones
 * meanwhile, while the processor's cache still holds it. */
void cb_http_read(struct cb_http_req *req);

/* The first header of that name (lower case), or NULL. */
const struct cb_str *cb_http_header(const struct cb_http_req *req, const char *name);

/* Decodes the value of name in a query string (application/x-www-form-urlencoded) into out
 * (NUL-terminated). Errors: CB_ENOENT, CB_EMALFORMED (bad %, NUL, not UTF-8, or name given twice),
 * CB_ETOOBIG. */
CB_MUST_USE int cb_http_query(struct cb_str query, const char *name, char *out, size_t out_bytes);

/* Answers. headers: whole header lines, each ending in \r\n, or NULL; Content-Length, Date and
 * Connection are added. body is copied; NULL with 0 for none (204 and 304 have none; HEAD gets the
 * length only). Frees req. If the client is gone, the answer is dropped. */
void cb_http_reply(struct cb_http_req *req, int status, const char *headers, const void *body,
                   size_t len);

/* Answers in pieces: chunked for HTTP/1.1, until close for 1.0. writable is called when a write
 * that got CB_EAGAIN may go on; closed once, when the client went away before the end (req is freed
 * after it; a cb_http_stream_end from within it does nothing). Both come from the event loop.
 * Either may be NULL; without closed, req lives until cb_http_stream_end in any case. A client that
 * closes its sending side is taken as gone. */
void cb_http_stream_begin(struct cb_http_req *req, int status, const char *headers,
                          void (*writable)(struct cb_http_req *req),
                          void (*closed)(struct cb_http_req *req));
/* Nothing is sent before the end of this turn of the event loop.
 * Errors: CB_EAGAIN: taken in full, but wait for writable before more (a writer that does not wait
 * loses its client at 64 MB). CB_ECLOSED: the client is
 * gone (closed will be or was called from the event loop). */
int cb_http_stream_write(struct cb_http_req *req, const void *data, size_t len);
/* Bounds what the kernel takes of a connection before its client reads it, by default megabytes:
 * for streams that last, where all of them together must be bounded. */
void cb_http_stream_narrow(struct cb_http_req *req, int bytes);
/* Bytes of a stream that its client was not sent yet: 0 when it is gone. */
size_t cb_http_stream_unsent(const struct cb_http_req *req);
/* Ends the stream and frees req. */
void cb_http_stream_end(struct cb_http_req *req);
/* Breaks a stream off: its connection is closed without the end of the answer, so that the client
 * knows that something is missing (HTTP/1.1). closed follows from the event loop, as when the
 * client goes away; a stream without it still needs its cb_http_stream_end. */
void cb_http_stream_abort(struct cb_http_req *req);

#endif
