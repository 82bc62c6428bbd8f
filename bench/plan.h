/* SPDX-License-Identifier: MIT
 * plan.h: what to send. A mix is a kind of client; each connection lives its sessions one after the
 * other, drawn from the seed: which site and page (Zipf), which visitor, which event next.
 *
 * A request is first an item of 40 bytes, which is then rendered: so one that was not acked can be
 * kept, and sent again under the same (producer, seq), with a new `sent`. The same seed gives the
 * same sites, pages, visitors and order; producers depend on `run` too, so that a second run with
 * the same seed is counted and is no replay of the first.
 *
 * A plan is only read after it was made: any thread. A session has one owner. No clock. */
#ifndef CB_BENCH_PLAN_H
#define CB_BENCH_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/dialect.h"
#include "bench/template.h"
#include "bench/zipf.h"

enum cb_plan_mix {
    CB_MIX_BEACON,    /* pages: one event a request, six a producer */
    CB_MIX_SERVER,    /* servers: batches of NDJSON */
    CB_MIX_WIDGET,    /* pages with boot, set and get */
    CB_MIX_DASHBOARD, /* open dashboards: reports */
    CB_MIX_MIXED,     /* all of them */
};
/* The mix of a name. Errors: CB_ENOENT. */
CB_MUST_USE int cb_plan_mix_of(const char *name, enum cb_plan_mix *out);
const char *cb_plan_mix_name(enum cb_plan_mix mix);

/* Where requests go: pages' and servers' to ingest, dashboards' to query. */
enum cb_plan_lane { CB_LANE_INGEST, CB_LANE_QUERY, CB_LANES };
/* Of a mix's requests, those in a thousand that go there. */
unsigned cb_plan_lane_share(enum cb_plan_mix mix, enum cb_plan_lane lane);

enum {
    CB_PLAN_PAGES_MAX = 10000,
    CB_PLAN_SITES_MAX = 10000,
    CB_PLAN_BATCH_MAX = 5000,
    CB_PLAN_NAMES = 8, /* of events: the kinds below CB_KIND_BOOT */
};

enum cb_plan_kind {
    CB_KIND_LOADED,
    CB_KIND_PAGE,
    CB_KIND_TRIGGER,
    CB_KIND_CLICK,
    CB_KIND_MAXIMIZE,
    CB_KIND_WRITING,
    CB_KIND_SET,
    CB_KIND_GET,
    CB_KIND_BOOT,
    CB_KIND_BATCH,
    CB_KIND_TOTALS,
    CB_KIND_HOURS,
    CB_KIND_DAYS,
    CB_KIND_VISITORS,
    CB_KIND_COUNT
};
/* The name of the event of a kind below CB_KIND_BOOT. */
const char *cb_plan_event_name(unsigned kind);

struct cb_plan_opts {
    enum cb_plan_mix mix;
    const char *site; /* the only one, or what the numbers of several are put behind */
    unsigned n_sites, n_pages;
    uint32_t n_visitors;
    unsigned batch, batch_visitors; /* events of a batch, and of how many visitors */
    uint64_t seed, run;
    const char *hosts[CB_LANES];      /* for the Host line */
    const char *token;                /* for dashboards; "" for none */
    const struct cb_dialect *dialect; /* NULL: chatbeacon's own; else beacon and server alone */
};

struct cb_plan;
struct cb_plan_item {
    uint64_t producer, seq; /* seq: of the first event of a batch */
    int64_t at_ms;
    uint32_t visitor;
    uint16_t site, page;
    uint16_t n;   /* events */
    uint8_t kind; /* enum cb_plan_kind */
    uint8_t agent;
};
/* What a connection is living through. */
struct cb_plan_session {
    enum cb_plan_lane lane;
    uint64_t random, connection, count; /* count: of its sessions */
    const uint8_t *steps;               /* kinds; what is left of them */
    unsigned n_steps;
    struct cb_plan_item item; /* what its requests have in common */
};

/* Lifetime: the strings of opts are copied. Errors: CB_EINVAL, CB_ETOOBIG, CB_ENOMEM. */
CB_MUST_USE int cb_plan_create(const struct cb_plan_opts *opts, struct cb_plan **out);
void cb_plan_destroy(struct cb_plan **plan);
/* The most bytes that a request may have. */
size_t cb_plan_bytes_max(const struct cb_plan *plan);
/* Writes the name of a site; out holds CB_SITE_MAX + 1. */
void cb_plan_site_name(const struct cb_plan *plan, unsigned site, char *out);

/* connection: its number among all of all threads. */
void cb_plan_session_init(const struct cb_plan *plan, enum cb_plan_lane lane, uint64_t connection,
                          struct cb_plan_session *session);
/* The next request of a session, made at now_ms (wall clock). */
void cb_plan_next(const struct cb_plan *plan, struct cb_plan_session *session, int64_t now_ms,
                  struct cb_plan_item *out);
/* Writes a request into out, which holds cb_plan_bytes_max, as sent at now_ms. Lifetime: of out. */
struct cb_str cb_plan_render(const struct cb_plan *plan, const struct cb_plan_item *item,
                             int64_t now_ms, char *out);

/* Adds the events of an item to counts, which has a row of CB_PLAN_NAMES for each site. */
void cb_plan_tally(const struct cb_plan_item *item, uint64_t (*counts)[CB_PLAN_NAMES]);

#endif
