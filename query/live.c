/* SPDX-License-Identifier: MIT
 * live.c: invariant: a stream was given, or told by a `gap` that it was not, every counted event of
 * its site from where it began up to `at`: its own while it is behind the shared reader, or ahead
 * of it (another thread's stream had come further), else the reader's. */
#include "query/live.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "proto/metric.h"
#include "query/headers.h"
#include "query/pulse.h"
#include "query/tail.h"

enum {
    ROLES = CB_ROLE_ADMIN, /* from viewer on; a stream's is role - 1 */
    SITE_SLOTS = 256,
    /* A turn ends behind the row that passes CB_LIVE_TURN_BYTES; no row has half of this. */
    TAIL_BYTES_MAX = CB_LIVE_TURN_BYTES + 2 * 1024 * 1024,
    TEXT_BYTES_MAX = 4096,
    WARN_MS = 10000, /* between two lines of the log about what fails at each poll */
};

/* A token that streams were opened with. */
struct ticket {
    struct ticket *next;
    uint8_t id[CB_TOKEN_ID_BYTES];
    unsigned n; /* streams */
    bool revoked;
};

struct stream {
    struct stream *next, *prev; /* of its site */
    struct site *site;
    struct cb_live *live;
    struct cb_http_req *req;
    struct ticket *ticket;
    unsigned role;              /* 0 … ROLES - 1 */
    bool behind;                /* at is before the reader's */
    bool fresh;                 /* was not given the counts yet */
    struct cb_export_cursor at; /* the next event that it wants, unless the reader is past it */
    unsigned left_turns;        /* while it is behind: to be read for it … */
    size_t left_bytes;          /* … and to be given to it */
    unsigned turn;              /* the one in which it was written to last */
    int64_t written_ms;
};

/* A site that somebody watches. */
struct site {
    struct site *next; /* of its slot */
    struct site *next_touched;
    bool touched;      /* has events in its tails */
    bool changed;      /* had events since its counts were read */
    int64_t oldest_ms; /* who resumes gets nothing that was received before this */
    uint32_t id;
    char name[CB_SITE_MAX + 1];
    struct stream *streams;
    unsigned n_of[2][ROLES]; /* streams: not behind, behind */
    struct cb_tail tails[ROLES];
    /* Of the second under way, for those who are not behind: */
    size_t given_bytes[ROLES];
    bool cut[ROLES];                     /* more came than is given, … */
    struct cb_export_cursor kept[ROLES]; /* … from here on */
    struct cb_pulse pulse;
};

struct cb_live {
    struct cb_reader *reader;
    struct cb_live_places *places;
    struct event *poll, *turn;
    bool due; /* turn is added */
    bool draining;
    unsigned n, n_behind, n_fresh; /* streams */
    struct cb_export_cursor at;    /* the next event to be read */
    int64_t counts_ms;             /* when the counts are due */
    int64_t now_ms;                /* of this turn, mono */
    int64_t warned_ms;             /* when the log was told of a failure last */
    unsigned turns;                /* so far */
    struct ticket *tickets;
    struct site *sites[SITE_SLOTS];
    struct cb_buf text;
};

/* ---- sites and tickets ---- */

static struct site **slot_of(struct cb_live *live, struct cb_str name) {
    uint32_t hash = 2166136261u; /* FNV-1a: names are those of sites that exist */
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.p[i]) * 16777619u;
    return &live->sites[hash % SITE_SLOTS];
}

static struct site *site_find(struct cb_live *live, struct cb_str name) {
    struct site *site = *slot_of(live, name);
    while (site && !cb_str_is(name, site->name))
        site = site->next;
    return site;
}

static struct site *site_take(struct cb_live *live, struct cb_str name, uint32_t id) {
    struct site *site = site_find(live, name);
    if (site)
        return site;
    site = calloc(1, sizeof *site);
    if (!site)
        return NULL;
    site->id = id;
    site->changed = true;
    memcpy(site->name, name.p, name.len);
    for (unsigned role = 0; role < ROLES; role++) {
        cb_tail_init(&site->tails[role], TAIL_BYTES_MAX);
        site->kept[role] = live->at;
    }
    struct site **slot = slot_of(live, name);
    site->next = *slot;
    *slot = site;
    return site;
}

static void site_free(struct site *site) {
    for (unsigned role = 0; role < ROLES; role++)
        cb_tail_fini(&site->tails[role]);
    free(site);
}

/* Sites that nobody watches any more; not while a list of them is walked. */
static void sites_prune(struct cb_live *live) {
    for (unsigned i = 0; i < SITE_SLOTS; i++) {
        struct site **at = &live->sites[i];
        while (*at) {
            struct site *site = *at;
            if (site->streams) {
                at = &site->next;
                continue;
            }
            *at = site->next;
            site_free(site);
        }
    }
}

static struct ticket *ticket_take(struct cb_live *live, const struct cb_token *token) {
    struct ticket *ticket = live->tickets;
    while (ticket && memcmp(ticket->id, token->id, sizeof ticket->id) != 0)
        ticket = ticket->next;
    if (!ticket) {
        ticket = calloc(1, sizeof *ticket);
        if (!ticket)
            return NULL;
        memcpy(ticket->id, token->id, sizeof ticket->id);
        ticket->next = live->tickets;
        live->tickets = ticket;
    }
    ticket->n++;
    return ticket;
}

static void ticket_give(struct cb_live *live, struct ticket *ticket) {
    struct ticket **at = &live->tickets;
    if (--ticket->n > 0)
        return;
    while (*at != ticket)
        at = &(*at)->next;
    *at = ticket->next;
    free(ticket);
}

/* ---- streams ---- */

static void set_behind(struct stream *stream, bool behind) {
    if (stream->behind == behind)
        return;
    stream->site->n_of[stream->behind][stream->role]--;
    stream->behind = behind;
    stream->site->n_of[behind][stream->role]++;
    stream->live->n_behind += behind ? 1 : -1u;
}

/* Its request is answered in full, or its client is gone. */
static void stream_free(struct stream *stream) {
    struct cb_live *live = stream->live;
    struct site *site = stream->site;
    set_behind(stream, false);
    site->n_of[0][stream->role]--;
    live->n_fresh -= stream->fresh;
    if (stream->prev)
        stream->prev->next = stream->next;
    else
        site->streams = stream->next;
    if (stream->next)
        stream->next->prev = stream->prev;
    ticket_give(live, stream->ticket);
    free(stream);
    atomic_fetch_sub(&live->places->taken, 1);
    cb_metric_add(CB_METRIC_LIVE_STREAMS, -1);
    if (--live->n == 0)
        event_del(live->poll);
}

static void on_closed(struct cb_http_req *req) {
    struct stream *stream = req->user;
    struct cb_live *live = stream->live;
    stream_free(stream);
    sites_prune(live);
}

static void send_text(struct stream *stream, struct cb_str text) {
    int rc = cb_http_stream_write(stream->req, text.p, text.len);
    (void)rc; /* what waits is looked at before each write; where it is closed on_closed follows */
    stream->written_ms = stream->live->now_ms;
}

/* Says why, and ends it. */
static void stream_end(struct stream *stream, const char *event, const char *reason) {
    char text[128];
    int n = snprintf(text, sizeof text, "event: %s\ndata: {\"reason\":\"%s\"}\n\n", event, reason);
    send_text(stream, (struct cb_str){text, (size_t)n});
    cb_http_stream_end(stream->req);
    stream_free(stream);
}

/* Returns false when the stream was dropped: the client has not read what it was sent in earlier
 * turns. */
static bool give(struct stream *stream, struct cb_str text) {
    bool first = stream->turn != stream->live->turns;
    stream->turn = stream->live->turns;
    if (first && cb_http_stream_unsent(stream->req) > CB_LIVE_QUEUE_BYTES) {
        cb_log(CB_LOG_DEBUG, "live_dropped", "site=%s", stream->site->name);
        cb_metric_add(CB_METRIC_LIVE_DROPPED, 1);
        stream_end(stream, "dropped", "slow");
        return false;
    }
    if (text.len > 0)
        send_text(stream, text);
    return true;
}

/* Tells a stream that it does not get the events from `after` up to `to`, and why. exported: they
 * can be had. Returns false when it was dropped. */
static bool give_gap(struct stream *stream, const char *reason,
                     const struct cb_export_cursor *after, const struct cb_export_cursor *to,
                     bool exported) {
    char from[CB_CURSOR_TEXT_MAX], id[CB_CURSOR_TEXT_MAX], text[512];
    cb_cursor_text(after, from);
    cb_cursor_text(to, id);
    int n = snprintf(text, sizeof text,
                     "id: %s\nevent: gap\ndata: {\"reason\":\"%s\",\"after\":\"%s\",\"up_to\":"
                     "\"%s\",\"export\":",
                     id, reason, from, id);
    size_t len = (size_t)n;
    if (exported)
        n = snprintf(text + len, sizeof text - len,
                     "\"/v1/sites/%s/export?cursor=%s&until=%llu\"}\n\n", stream->site->name, from,
                     (unsigned long long)(to->position - (to->index == 0)));
    else
        n = snprintf(text + len, sizeof text - len, "null}\n\n");
    cb_metric_add(CB_METRIC_LIVE_GAPS, 1);
    return give(stream, (struct cb_str){text, len + (size_t)n});
}

/* Calls what for every stream, which may free its own. */
static void each_stream(struct cb_live *live, void (*what)(struct stream *stream, void *user),
                        void *user) {
    for (unsigned i = 0; i < SITE_SLOTS; i++)
        for (struct site *site = live->sites[i]; site; site = site->next)
            for (struct stream *stream = site->streams, *next; stream; stream = next) {
                next = stream->next;
                what(stream, user);
            }
}

/* ---- reading the journal ---- */

struct scan {
    struct cb_live *live;
    bool behind; /* for those who are */
    struct site *touched;
    const char *name; /* of the site at hand, as the frame has it */
    uint64_t position;
    struct site *site;
    size_t bytes;
    int rc;
};

static struct site *site_of(struct scan *scan, const struct cb_export_row *row) {
    struct cb_str name = row->envelope->site;
    if (name.p != scan->name || row->position != scan->position) {
        scan->site = site_find(scan->live, name);
        scan->name = name.p;
        scan->position = row->position;
    }
    return scan->site;
}

/* Whether a role's streams get another event in this second; else where their gap begins is noted.
 */
static bool has_room(struct site *site, unsigned role, const struct cb_export_row *row) {
    if (site->cut[role])
        return false;
    site->cut[role] = site->given_bytes[role] >= CB_LIVE_TAIL_BYTES;
    if (!site->cut[role])
        site->kept[role] = (struct cb_export_cursor){row->position, row->index + 1};
    return !site->cut[role];
}

static int add_row(struct scan *scan, struct site *site, unsigned role,
                   const struct cb_export_row *row) {
    static const struct cb_row_rights rights[ROLES] = {
        [CB_ROLE_VIEWER - 1] = {false, false, INT64_MIN, INT64_MIN},
        [CB_ROLE_OPERATOR - 1] = {false, true, INT64_MIN, INT64_MIN},
        [CB_ROLE_ADMIN - 1] = {true, true, INT64_MIN, INT64_MIN},
    };
    struct cb_tail *tail = &site->tails[role];
    size_t before = tail->bytes.len;
    int rc = cb_tail_add(tail, row, rights[role]);
    scan->bytes += tail->bytes.len - before;
    if (!scan->behind)
        site->given_bytes[role] += tail->bytes.len - before;
    return rc;
}

static bool take(void *user, const struct cb_export_row *row) {
    struct scan *scan = user;
    const struct cb_export_cursor here = {row->position, row->index};
    if (scan->behind && !cb_cursor_before(&here, &scan->live->at))
        return false;
    struct site *site = site_of(scan, row);
    if (!site)
        return true;
    site->changed |= !scan->behind;
    if (scan->behind && row->envelope->received_ms < site->oldest_ms)
        return true;
    if (!site->touched) {
        site->touched = true;
        site->next_touched = scan->touched;
        scan->touched = site;
    }
    for (unsigned role = 0; role < ROLES && !scan->rc; role++)
        if (site->n_of[scan->behind][role] > 0 && (scan->behind || has_room(site, role, row)))
            scan->rc = add_row(scan, site, role, row);
    return !scan->rc &&
           scan->bytes < (size_t)(scan->behind ? CB_LIVE_BEHIND_BYTES : CB_LIVE_TURN_BYTES);
}

/* Gives the streams of a group what the scan wrote. */
static void deliver(struct scan *scan) {
    for (struct site *site = scan->touched, *next_site; site; site = next_site) {
        next_site = site->next_touched;
        for (struct stream *stream = site->streams, *next; stream; stream = next) {
            next = stream->next;
            if (stream->behind != scan->behind)
                continue;
            struct cb_str part = cb_tail_from(&site->tails[stream->role], &stream->at);
            if (stream->behind)
                stream->left_bytes -= part.len < stream->left_bytes ? part.len : stream->left_bytes;
            if (part.len > 0)
                give(stream, part);
        }
        for (unsigned role = 0; role < ROLES; role++)
            cb_tail_fini(&site->tails[role]);
        site->touched = false;
    }
}

/* Reads on from *cursor for a group, and gives it what there is. Errors: those of
 * cb_snapshot_export. */
static int read_on(struct cb_live *live, struct cb_snapshot *snapshot, bool behind,
                   struct cb_export_cursor *cursor, uint64_t end) {
    struct scan scan = {.live = live, .behind = behind};
    bool more;
    int rc =
        cb_snapshot_export(snapshot, NULL, cursor, end, CB_LIVE_TURN_EVENTS, take, &scan, &more);
    rc = rc ? rc : scan.rc;
    if (!rc && !more && cursor->position <= end) /* nothing of the end was there */
        *cursor = (struct cb_export_cursor){end + 1, 0};
    deliver(&scan);
    return rc;
}

/* The oldest row that is kept. */
static int oldest_kept(struct cb_snapshot *snapshot, struct cb_export_cursor *out) {
    bool more;
    *out = (struct cb_export_cursor){0, 0};
    return cb_snapshot_export(snapshot, NULL, out, 0, 1, NULL, NULL, &more);
}

struct to {
    const char *reason;
    const struct cb_export_cursor *cursor;
    bool behind, exported;
};

/* A stream of the group that stands before the cursor jumps to it. */
static void jump(struct stream *stream, void *user) {
    const struct to *to = user;
    struct cb_export_cursor from = stream->behind ? stream->at : stream->live->at;
    if (stream->behind != to->behind || !cb_cursor_before(&from, to->cursor) ||
        !cb_cursor_before(&stream->at, to->cursor))
        return;
    if (stream->behind)
        stream->at = *to->cursor;
    give_gap(stream, to->reason, &from, to->cursor, to->exported);
}

/* What a group wanted next is trimmed. */
static int jump_trimmed(struct cb_live *live, struct cb_snapshot *snapshot, bool behind,
                        struct cb_export_cursor *cursor) {
    struct cb_export_cursor oldest;
    int rc = oldest_kept(snapshot, &oldest);
    if (rc)
        return rc;
    if (behind && cb_cursor_before(&live->at, &oldest))
        oldest = live->at;
    each_stream(live, jump, &(struct to){"trimmed", &oldest, behind, false});
    *cursor = oldest;
    return 0;
}

static void find_first(struct stream *stream, void *user) {
    struct cb_export_cursor *first = user;
    if (stream->behind && cb_cursor_before(&stream->at, first))
        *first = stream->at;
}

/* A stream that was behind has been given everything before the cursor: it joins the others, goes
 * on, or has had its share. */
static void move_on(struct stream *stream, void *user) {
    const struct cb_export_cursor *reached = user, *now = &stream->live->at;
    if (!stream->behind)
        return;
    if (cb_cursor_before(&stream->at, reached)) {
        stream->at = *reached;
        stream->left_turns--;
    }
    if (!cb_cursor_before(&stream->at, now)) {
        set_behind(stream, false);
    } else if (stream->left_turns == 0 || stream->left_bytes == 0) {
        const struct cb_export_cursor from = stream->at;
        stream->at = *now;
        set_behind(stream, false);
        give_gap(stream, "behind", &from, now, true);
    }
}

/* One turn for those who are behind, from the one that is furthest behind on. */
static int catch_up(struct cb_live *live, struct cb_snapshot *snapshot) {
    struct cb_export_cursor reached = live->at;
    each_stream(live, find_first, &reached);
    uint64_t end = live->at.position - (live->at.index == 0);
    int rc = read_on(live, snapshot, true, &reached, end);
    if (rc == CB_EGONE)
        rc = jump_trimmed(live, snapshot, true, &reached);
    if (rc)
        return rc;
    if (cb_cursor_before(&live->at, &reached))
        reached = live->at;
    each_stream(live, move_on, &reached);
    return 0;
}

/* One turn for the others. */
static int follow(struct cb_live *live, struct cb_snapshot *snapshot) {
    uint64_t end = cb_snapshot_position(snapshot);
    if (live->at.position > end)
        return 0;
    int rc = read_on(live, snapshot, false, &live->at, end);
    if (rc == CB_EGONE)
        rc = jump_trimmed(live, snapshot, false, &live->at);
    return rc;
}

/* ---- counts ---- */

/* The streams of a site that wait for counts, or all; those for whom the counts' id would claim
 * what they were not given, or go back, wait for the next ones. */
static void give_counts(struct site *site, struct cb_str text, bool all) {
    for (struct stream *stream = site->streams, *next; stream; stream = next) {
        struct cb_live *live = stream->live;
        next = stream->next;
        if (stream->behind || cb_cursor_before(&live->at, &stream->at) ||
            (!all && (!stream->fresh || site->cut[stream->role])))
            continue;
        live->n_fresh -= stream->fresh;
        stream->fresh = false;
        give(stream, text);
    }
}

static int write_counts(struct cb_live *live, const struct site *site, int64_t wall_ms) {
    char id[CB_CURSOR_TEXT_MAX];
    struct cb_json json;
    cb_cursor_text(&live->at, id);
    cb_buf_clear(&live->text);
    int rc = cb_buf_printf(&live->text, "id: %s\nevent: counts\ndata: ", id);
    cb_json_init(&json, &live->text);
    cb_pulse_json(&site->pulse, wall_ms, &json);
    rc = rc ? rc : json.err;
    return rc ? rc : cb_buf_append(&live->text, "\n\n", 2);
}

static bool has_fresh(const struct site *site) {
    const struct stream *stream = site->streams;
    while (stream && !stream->fresh)
        stream = stream->next;
    return stream != NULL;
}

static int count_site(struct cb_live *live, struct cb_snapshot *snapshot, struct site *site,
                      bool all) {
    int64_t wall_ms = cb_clock_wall_ms();
    int rc = 0;
    if (site->changed || cb_pulse_is_old(&site->pulse, wall_ms))
        rc = cb_pulse_read(&site->pulse, snapshot, site->id, wall_ms);
    if (rc)
        return rc;
    site->changed = false;
    rc = write_counts(live, site, wall_ms);
    if (!rc)
        give_counts(site, (struct cb_str){live->text.data, live->text.len}, all);
    return rc;
}

/* The second is over: who got less than came is told so. */
static void close_second(struct cb_live *live, struct site *site) {
    for (unsigned role = 0; role < ROLES; role++) {
        for (struct stream *stream = site->streams, *next; stream && site->cut[role];
             stream = next) {
            const struct cb_export_cursor *kept = &site->kept[role];
            next = stream->next;
            if (cb_cursor_before(kept, &stream->at)) /* it came later */
                kept = &stream->at;
            if (stream->role == role && !stream->behind && cb_cursor_before(kept, &live->at))
                give_gap(stream, "busy", kept, &live->at, true);
        }
        site->cut[role] = false;
        site->given_bytes[role] = 0;
        site->kept[role] = live->at;
    }
}

static void check_token(struct stream *stream, void *user) {
    (void)user;
    if (stream->ticket->revoked)
        stream_end(stream, "end", "revoked");
}

static void check_tickets(struct cb_live *live, struct cb_snapshot *snapshot) {
    struct cb_token token;
    bool some = false;
    for (struct ticket *ticket = live->tickets; ticket; ticket = ticket->next) {
        ticket->revoked = cb_snapshot_token_of(snapshot, ticket->id, &token) == CB_ENOENT;
        some |= ticket->revoked;
    }
    if (some)
        each_stream(live, check_token, NULL);
}

static int count_all(struct cb_live *live, struct cb_snapshot *snapshot) {
    bool all = live->now_ms >= live->counts_ms;
    int rc = 0;
    if (all) {
        live->counts_ms += CB_LIVE_COUNTS_MS;
        if (live->counts_ms <= live->now_ms)
            live->counts_ms = live->now_ms + CB_LIVE_COUNTS_MS;
        check_tickets(live, snapshot);
    }
    for (unsigned i = 0; i < SITE_SLOTS && (all || live->n_fresh > 0); i++)
        for (struct site *site = live->sites[i]; site; site = site->next) {
            if (all)
                close_second(live, site);
            if (!rc && (all || has_fresh(site)))
                rc = count_site(live, snapshot, site, all);
        }
    return rc;
}

/* ---- turns ---- */

/* A timer, since an event made active from within its own callback would run again before the loop
 * looks at any socket. */
static void turn_soon(struct cb_live *live) {
    const struct timeval now = {0, 0};
    if (!live->due)
        live->due = event_add(live->turn, &now) == 0;
}

static void beat(struct stream *stream, void *user) {
    static const struct cb_str comment = CB_STR(": still here\n\n");
    const struct cb_live *live = stream->live;
    (void)user;
    if (live->now_ms - stream->written_ms >= CB_LIVE_HEARTBEAT_MS)
        give(stream, comment);
}

static void on_turn(evutil_socket_t fd, short what, void *user) {
    struct cb_live *live = user;
    struct cb_snapshot *snapshot;
    (void)fd;
    (void)what;
    live->due = false;
    live->turns++;
    live->now_ms = cb_clock_mono_ms();
    if (live->n == 0)
        return;
    int rc = cb_snapshot_begin(live->reader, &snapshot);
    if (!rc) {
        rc = live->n_behind > 0 ? catch_up(live, snapshot) : 0;
        rc = rc ? rc : follow(live, snapshot);
        rc = rc ? rc : count_all(live, snapshot);
        bool more = live->n_behind > 0 || live->at.position <= cb_snapshot_position(snapshot);
        cb_snapshot_end(&snapshot);
        if (!rc && more && live->n > 0)
            turn_soon(live);
    }
    if (rc) { /* the next poll tries again */
        if (live->now_ms - live->warned_ms >= WARN_MS) {
            live->warned_ms = live->now_ms;
            cb_log(CB_LOG_WARN, "live_failed", "streams=%u text=\"%s\"", live->n, cb_err_text(rc));
        }
        each_stream(live, beat, NULL);
    }
    sites_prune(live);
}

/* ---- life ---- */

int cb_live_create(struct event_base *base, struct cb_reader *reader, struct cb_live_places *places,
                   struct cb_live **out) {
    struct cb_live *live = calloc(1, sizeof *live);
    if (!live)
        return CB_ENOMEM;
    *live = (struct cb_live){.reader = reader, .places = places, .warned_ms = -WARN_MS};
    cb_buf_init(&live->text, TEXT_BYTES_MAX);
    live->turn = event_new(base, -1, 0, on_turn, live);
    live->poll = event_new(base, -1, EV_PERSIST, on_turn, live);
    if (!live->turn || !live->poll) {
        cb_live_destroy(&live);
        return CB_ENOMEM;
    }
    *out = live;
    return 0;
}

static void free_stream(struct stream *stream, void *user) {
    (void)user;
    stream_free(stream);
}

void cb_live_destroy(struct cb_live **live) {
    struct cb_live *l = *live;
    if (!l)
        return;
    each_stream(l, free_stream, NULL);
    sites_prune(l);
    if (l->turn)
        event_free(l->turn);
    if (l->poll)
        event_free(l->poll);
    cb_buf_fini(&l->text);
    free(l);
    *live = NULL;
}

static void begin(struct cb_http_req *req, bool calls_back) {
    char headers[CB_HEADERS_MAX];
    cb_headers_write(req,
                     "Content-Type: text/event-stream\r\n"
                     "X-Accel-Buffering: no\r\n", /* nginx: pass each event on at once */
                     headers);
    cb_metric_add(CB_METRIC_QUERY_REPORTS, 1);
    cb_http_stream_begin(req, 200, headers, NULL, calls_back ? on_closed : NULL);
}

/* The first stream of a thread: its reader begins where the views are, and the clock runs. */
static int wake(struct cb_live *live, uint64_t position) {
    const struct timeval poll = {0, CB_LIVE_POLL_MS * 1000};
    if (live->n > 0)
        return 0;
    live->at = (struct cb_export_cursor){position + 1, 0};
    live->counts_ms = live->now_ms + CB_LIVE_COUNTS_MS;
    return event_add(live->poll, &poll) ? CB_ENOMEM : 0;
}

static void link_stream(struct cb_live *live, struct stream *stream) {
    struct site *site = stream->site;
    stream->next = site->streams;
    if (stream->next)
        stream->next->prev = stream;
    site->streams = stream;
    site->n_of[0][stream->role]++;
    live->n++;
    live->n_fresh++;
    cb_metric_add(CB_METRIC_LIVE_STREAMS, 1);
}

static int join(struct cb_live *live, struct cb_http_req *req, const struct cb_live_ask *ask,
                struct stream **out) {
    int rc = wake(live, ask->position);
    struct stream *stream = rc ? NULL : calloc(1, sizeof *stream);
    struct site *site = stream ? site_take(live, ask->site, ask->site_id) : NULL;
    struct ticket *ticket = site ? ticket_take(live, ask->token) : NULL;
    if (!ticket) {
        free(stream);
        sites_prune(live);
        if (live->n == 0)
            event_del(live->poll);
        return rc ? rc : CB_ENOMEM;
    }
    *stream = (struct stream){.site = site,
                              .live = live,
                              .req = req,
                              .ticket = ticket,
                              .role = ask->token->role - 1,
                              .fresh = true,
                              .at = {ask->position + 1, 0},
                              .left_turns = CB_LIVE_BEHIND_TURNS,
                              .left_bytes = CB_LIVE_BEHIND_BYTES,
                              .written_ms = live->now_ms};
    site->oldest_ms = ask->oldest_ms;
    link_stream(live, stream);
    *out = stream;
    return 0;
}

int cb_live_take(struct cb_live *live, struct cb_http_req *req, const struct cb_live_ask *ask) {
    static const struct cb_str retry = CB_STR("retry: 2000\n\n");
    struct stream *stream;
    if (req->method == CB_HTTP_HEAD) {
        begin(req, false);
        cb_http_stream_end(req);
        return 0;
    }
    if (live->draining)
        return CB_EFULL;
    if (atomic_fetch_add(&live->places->taken, 1) >= live->places->max) {
        atomic_fetch_sub(&live->places->taken, 1);
        return CB_EFULL;
    }
    live->now_ms = cb_clock_mono_ms();
    int rc = join(live, req, ask, &stream);
    if (rc) {
        atomic_fetch_sub(&live->places->taken, 1);
        return rc;
    }
    req->user = stream;
    begin(req, true);
    cb_http_stream_narrow(req, CB_LIVE_SOCKET_BYTES);
    send_text(stream, retry);
    const struct cb_export_cursor head = stream->at;
    if (ask->resumes && cb_cursor_before(&head, &ask->from)) {
        give_gap(stream, "unknown", &ask->from, &head, false);
    } else if (ask->resumes) {
        if (ask->old)
            give_gap(stream, "trimmed", &ask->from, &ask->seen, false);
        stream->at = ask->old ? ask->seen : ask->from;
        set_behind(stream, cb_cursor_before(&stream->at, &live->at));
    }
    turn_soon(live);
    return 0;
}

static void shut(struct stream *stream, void *user) {
    (void)user;
    stream_end(stream, "end", "shutdown");
}

void cb_live_drain(struct cb_live *live) {
    live->draining = true;
    live->now_ms = cb_clock_mono_ms();
    each_stream(live, shut, NULL);
    sites_prune(live);
}
