/* SPDX-License-Identifier: MIT
 * http_conn.h: what the files of the HTTP server share; nobody else includes it.
 *
 *   http.c        the server: listener, accepting, deadlines, drain
 *   http_peer.c   how many connections each address has
 *   http_conn.c   a connection: when it reads, hands requests over, writes, and ends
 *   http_input.c  its input: bytes to whole requests, or to a refusal
 *   http_head.c   the request line and the headers, on llhttp     (pure)
 *   http_known.c  heads that came before, not parsed again         (pure)
 *   http_chunk.c  the chunked coding, decoded in place            (pure)
 *   http_reply.c  answers and streams
 *   http_query.c  lookups in a request
 *
 * A connection is in the server's list from accept to cb_http_conn_release. When its client goes
 * away (fd < 0) it stays until its last request is answered, since the requests' strings are its
 * memory; it counts against the caps until then. */
#ifndef CB_PROTO_HTTP_CONN_H
#define CB_PROTO_HTTP_CONN_H

#include <event2/event_struct.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>

#include "proto/http.h"

enum {
    CB_HTTP_BLOCK_BYTES = 8192,     /* of an input or output buffer at first; these are pooled */
    CB_HTTP_BLOCKS_POOLED = 256,    /* kept by a server */
    CB_HTTP_REQUESTS_POOLED = 1024, /* kept by a server */
    CB_HTTP_DIRTY_MAX = 64,         /* connections with answers to write before others are read */
    CB_HTTP_BODY_AT_ONCE = 65536,   /* a body up to this gets its memory before it arrives */
    CB_HTTP_HEADERS_PENDING = 512,  /* header fields of a connection's waiting requests */
    CB_HTTP_UNSENT_SOFT = 65536,    /* with this much unsent no further request is handed over */
    CB_HTTP_UNSENT_MAX = 64 << 20,  /* a connection that owes more is closed */
    CB_HTTP_TRAILER_MAX = 8192,     /* bytes of chunk extensions and trailers of a body */
    CB_HTTP_LINGER_MS = 2000,       /* how long a closing connection is still read … */
    CB_HTTP_LINGER_BYTES = 4 << 20, /* … and how much */
};

/* ---- http_chunk.c ---- */
struct cb_http_chunk {
    uint8_t state; /* zeroed to begin */
    uint8_t digits;
    uint32_t overhead_bytes;
    uint64_t left;
};
/* Decodes len raw bytes at src to body + *body_len (both in one buffer, src not before that);
 * *used says how many were read. Returns 1 when the body ended, 0 when more is needed (all were
 * used), CB_EMALFORMED, or CB_ETOOBIG as soon as the body would pass body_max. Extensions and
 * trailers are checked and dropped (RFC 9112, section 7.1). */
CB_MUST_USE int cb_http_chunk_decode(struct cb_http_chunk *chunk, char *body, size_t *body_len,
                                     size_t body_max, const char *src, size_t len, size_t *used);

/* ---- requests ---- */
enum cb_http_state {
    CB_HTTP_WAITING,  /* for cb_http_reply or cb_http_stream_begin */
    CB_HTTP_STREAM,   /* between begin and end */
    CB_HTTP_GONE,     /* a stream whose closed callback runs */
    CB_HTTP_ANSWERED, /* in full; leaves the list when it is the first */
};

struct cb_http_request {
    struct cb_http_req pub; /* first, so that the handler's pointer is this one's */
    struct cb_http_conn *conn;
    struct cb_http_request *next;   /* in order of arrival; in the pool, any */
    struct cb_http_header *headers; /* kept with the request in the pool; see cb_http_read */
    unsigned headers_cap;
    enum cb_http_state state;
    bool http10;
    bool expect;        /* wants 100 Continue before it sends the body */
    bool chunked;       /* the request's body is */
    bool reply_chunked; /* the stream is */
    bool reply_bodiless;
    bool want_writable;
    uint64_t content_length;
    struct cb_buf held; /* the answer while requests before this one have none */
    void (*writable)(struct cb_http_req *req);
    void (*closed)(struct cb_http_req *req);
};

/* ---- http_head.c ---- */
struct cb_http_scan {                /* of a head that may not be complete; zeroed to begin */
    size_t at;                       /* looked at up to here */
    size_t line;                     /* where the current line begins */
    size_t length_begin, length_end; /* the line of Content-Length; 0: none so far */
};
/* Looks for the end of a head that begins at head, of which len bytes are there. *head_len is its
 * length, or 0 while it is not complete. Finds early what llhttp takes and we do not: bare CR and
 * LF, folded lines, HTTP/0.9, a head over its cap. */
CB_MUST_USE enum cb_refusal cb_http_head_scan(struct cb_http_scan *scan, const char *head,
                                              size_t len, size_t *head_len);
/* Parses a complete, scanned head into req. Lifetime: its strings point into head. */
CB_MUST_USE enum cb_refusal cb_http_head_parse(const char *head, size_t len,
                                               struct cb_http_request *req);

/* Makes room for n headers in all. False without memory. */
CB_MUST_USE bool cb_http_headers_reserve(struct cb_http_request *req, unsigned n);
/* 1*DIGIT (RFC 9110, section 8.6); without leading zeros, which some read as octal. */
CB_MUST_USE bool cb_http_length_parse(struct cb_str value, uint64_t *out);
#define cb_http_str_is(s, literal)                                                                 \
    ((s).len == sizeof(literal) - 1 && strncasecmp((s).p, literal, sizeof(literal) - 1) == 0)

/* ---- http_known.c ---- */
enum {
    CB_HTTP_KNOWN_MAX = 1024,   /* heads that a server keeps, at most … */
    CB_HTTP_KNOWN_BYTES = 2048, /* … of this many bytes each */
};
struct cb_http_head;
struct cb_http_known { /* zeroed to begin */
    struct cb_http_head *heads[CB_HTTP_KNOWN_MAX];
};
void cb_http_known_fini(struct cb_http_known *known);
/* Where a scanned head is kept; the digits of its length do not matter. */
uint32_t cb_http_known_hash(const struct cb_http_scan *scan, const char *head, size_t len);
/* Keeps a head that cb_http_head_parse took, if it is worth it. */
void cb_http_known_keep(struct cb_http_known *known, uint32_t hash, const char *head, size_t len,
                        const struct cb_http_request *req);
/* Reads the head at data, of which len bytes are there, if the one that is kept at hash is equal to
 * it but for the number that is its length. The result is that of cb_http_head_scan and
 * cb_http_head_parse. Returns the head's length; 0 where it is another or not complete: req is
 * unchanged then. */
size_t cb_http_known_read(const struct cb_http_known *known, uint32_t hash, const char *data,
                          size_t len, struct cb_http_request *req);

/* ---- http_peer.c ---- */
struct cb_http_peer {
    struct cb_http_peer *next;
    uint64_t key;
    unsigned n;
};
struct cb_http_peers {
    struct cb_http_peer **buckets;
    unsigned n_buckets, n_peers;
    uint64_t seed;
};
CB_MUST_USE int cb_http_peers_init(struct cb_http_peers *peers);
void cb_http_peers_fini(struct cb_http_peers *peers);
/* One more connection of that address. Errors: CB_EFULL at max, CB_ENOMEM. */
CB_MUST_USE int cb_http_peers_take(struct cb_http_peers *peers, const struct sockaddr *address,
                                   unsigned max, struct cb_http_peer **out);
void cb_http_peers_give(struct cb_http_peers *peers, struct cb_http_peer *peer);
/* The address as text, without port; IPv4 in IPv6 as IPv4. out holds INET6_ADDRSTRLEN. */
void cb_http_peer_text(const struct sockaddr *address, char *out);

/* ---- http_conn.c ---- */
enum cb_http_phase {
    CB_HTTP_IDLE, /* between requests */
    CB_HTTP_HEAD_COMING,
    CB_HTTP_BODY_COMING,
    CB_HTTP_WORKING, /* requests wait for their answers: the handler's own deadline counts */
    CB_HTTP_BLOCKED, /* the client does not read what it was answered */
    CB_HTTP_LINGERING,
};

struct cb_http_conn {
    struct cb_http_conn *next, *prev; /* of the server */
    int64_t deadline_ms;              /* monotonic; INT64_MAX for none */
    struct cb_http_conn *next_late;   /* during a sweep */
    struct cb_http_conn *next_dirty;  /* has something to write, or to be looked at */
    struct cb_http *http;
    int fd; /* -1 when the client is gone */
    uint8_t phase;
    bool dirty;
    bool reading, writing; /* read_event, write_event are added */
    bool last;             /* no further request is taken; closes when all is sent */
    bool broken;           /* to be closed at the next flush */
    bool blocked;          /* the socket took less than it was given */
    bool skipped;          /* an empty line before the request line */
    unsigned pins;         /* functions that use this now */
    struct event read_event, write_event;

    char *in; /* input; does not move while requests wait that were not read (cb_http_read) */
    size_t in_cap, in_len;
    size_t in_start; /* where the request begins that is not handed over yet */
    struct cb_http_scan scan;
    uint32_t head_hash;              /* of its last head: its next one is often the same */
    struct cb_http_request *partial; /* its head is parsed, its body is not complete */
    size_t body_at;                  /* its body: from in_start */
    size_t body_len;                 /* … decoded so far, when chunked */
    struct cb_http_chunk chunk;

    struct cb_http_request *first, *final; /* handed over and not answered, or not in turn */
    unsigned n_requests, n_headers;        /* of that list */
    unsigned n_batch;                      /* handed over since the last flush */

    struct cb_buf out;
    size_t out_sent;   /* of out */
    uint64_t sent;     /* ever */
    uint64_t write_by; /* value of sent that must be reached by the deadline */
    size_t linger_left;

    struct cb_http_peer *peer;
    char peer_text[INET6_ADDRSTRLEN];
};

/* Takes over fd. Errors: CB_ENOMEM, CB_ESYS; fd and peer stay the caller's then. */
CB_MUST_USE int cb_http_conn_create(struct cb_http *http, int fd, struct cb_http_peer *peer,
                                    const struct sockaddr *address);
/* Closes it without a word. Frees it when nobody uses it any more. */
void cb_http_conn_gone(struct cb_http_conn *conn);
/* Frees it if the client is gone and nobody uses it any more. */
void cb_http_conn_release(struct cb_http_conn *conn);
/* Frees it, whoever uses it. */
void cb_http_conn_destroy(struct cb_http_conn *conn);
/* Its deadline passed. */
void cb_http_conn_late(struct cb_http_conn *conn);
/* Takes what is there and, if that is nothing, closes it: for the drain of an idle connection. */
void cb_http_conn_drain(struct cb_http_conn *conn);
/* Writes at the end of this turn. */
void cb_http_conn_dirty(struct cb_http_conn *conn);
/* Writes what there is, and goes on. */
void cb_http_conn_flush(struct cb_http_conn *conn);
/* Bytes that the client was not sent yet. */
size_t cb_http_conn_unsent(const struct cb_http_conn *conn);
/* req is answered in full: lets the answers behind it out. Frees req, perhaps the connection. */
void cb_http_conn_answered(struct cb_http_request *req);
/* A stream began or wants to be told when it may write. */
void cb_http_conn_watch(struct cb_http_conn *conn);

/* What it waits for now; a new deadline if that is something else than before. */
void cb_http_conn_phase(struct cb_http_conn *conn, enum cb_http_phase phase);

/* ---- http_input.c ---- */
/* Makes room for at least one byte and the pad; only while no request waits. False without memory.
 */
bool cb_http_input_room(struct cb_http_conn *conn);
/* Hands the next whole request over. False when there is none; true also when the client was
 * refused. */
bool cb_http_input_next(struct cb_http_conn *conn);
/* Answers, in turn, what is wrong with the request that is coming, and takes no further one. */
void cb_http_input_refuse(struct cb_http_conn *conn, enum cb_refusal refusal);
void cb_http_input_release(struct cb_http_conn *conn);
/* The only request's strings are no longer needed: nor is the input, if nothing else is in it. */
void cb_http_input_read(struct cb_http_conn *conn);

/* ---- http.c ---- */
struct cb_http {
    struct event_base *base;
    struct cb_http_opts opts;
    cb_http_handler *handler;
    void *user;
    char *error_headers; /* of the answers that the server makes by itself */
    int fd;              /* of the listener; -1 when draining */
    uint16_t port;
    bool full;         /* the listener waits for a connection to close */
    bool accept_fails; /* the listener waits for its timer */
    bool accept_warned;
    bool draining;
    bool flushing; /* flush_event is active */
    struct event accept_event, retry_event, sweep_event, flush_event, turn_event;
    struct cb_http_conn *conns;
    unsigned n_conns;
    struct cb_http_conn *dirty_first, *dirty_final;
    unsigned n_dirty;
    struct cb_http_peers peers;
    struct cb_http_known known;
    int64_t now_ms, wall_ms; /* see cb_http_now */
    unsigned now_uses;       /* for so many callbacks they hold */
    int64_t date_s;
    char date[40]; /* the header line */
    struct cb_http_request *requests;
    unsigned n_requests;
    struct cb_http_header *headers; /* of a request that was read: the next one's */
    unsigned headers_cap;
    void *blocks; /* each begins with the next one's address */
    unsigned n_blocks;
};

/* Sets now_ms and wall_ms. From the event loop only. */
void cb_http_now(struct cb_http *http);
/* Writes to all dirty connections; only from the event loop. */
void cb_http_flush(struct cb_http *http);
/* A connection was freed. */
void cb_http_room(struct cb_http *http);
/* CB_HTTP_BLOCK_BYTES, or NULL. */
char *cb_http_block_take(struct cb_http *http);
/* data may be NULL or of another size (cap); then it is freed. */
void cb_http_block_give(struct cb_http *http, char *data, size_t cap);
/* A request with everything zero but its headers' memory, or NULL. */
struct cb_http_request *cb_http_request_take(struct cb_http *http);
void cb_http_request_give(struct cb_http *http, struct cb_http_request *req);

#endif
