/* SPDX-License-Identifier: MIT */
#include "bench/plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/event.h"

enum {
    AGENTS = 4,
    SERVER_REQUESTS = 50, /* of one producer before a server takes another site */
    HEAD_ROOM = 512,      /* for the head of a batch, which is written when its length is known */
    ENVELOPE_BYTES = 256,
    EVENT_BYTES = 192,
    DAY_MS = 86400000,
    MIXED_QUERIES = 20, /* of 1,000 requests */
    MIXED_WIDGET = 15,
    MIXED_SERVER = 2, /* of 100 sessions */
};

struct cb_plan {
    struct cb_plan_opts opts;
    char *strings[CB_LANES + 2]; /* owned copies */
    unsigned site_digits;
    struct cb_zipf sites, pages;
    struct cb_template requests[CB_KIND_COUNT][AGENTS]; /* all but batches */
    struct cb_template envelope, events[CB_PLAN_NAMES]; /* pieces of a batch */
    char batch_head[HEAD_ROOM];
    size_t bytes_max;
};

static const char *const mixes[] = {"beacon", "server", "widget", "dashboard", "mixed"};

static const char *const agents[AGENTS] = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 "
    "Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
};

/* The kinds: what an event says beside seq, at and page; or the path of a report. */
static const struct {
    const char *name, *more;
} kinds[CB_KIND_COUNT] = {
    [CB_KIND_LOADED] = {"onWebChatLoaded", ""},
    [CB_KIND_PAGE] = {"page", ""},
    [CB_KIND_TRIGGER] = {"onTrigger", ",\"trigger\":\"welcome\""},
    [CB_KIND_CLICK] = {"onClick", ""},
    [CB_KIND_MAXIMIZE] = {"onMaximize", ""},
    [CB_KIND_WRITING] = {"onStartWriting", ""},
    [CB_KIND_SET] = {"set", ",\"key\":\"name\",\"value\":\"Visitor {page}\""},
    [CB_KIND_GET] = {"get", ",\"key\":\"name\""},
    [CB_KIND_TOTALS] = {NULL, "totals"},
    [CB_KIND_HOURS] = {NULL, "timeseries?grain=hour"},
    [CB_KIND_DAYS] = {NULL, "timeseries?grain=day&from={from}"},
    [CB_KIND_VISITORS] = {NULL, "visitors"},
};

static const uint8_t beacon_steps[] = {CB_KIND_LOADED, CB_KIND_PAGE,     CB_KIND_TRIGGER,
                                       CB_KIND_CLICK,  CB_KIND_MAXIMIZE, CB_KIND_WRITING};
static const uint8_t widget_steps[] = {CB_KIND_BOOT,    CB_KIND_LOADED, CB_KIND_GET,
                                       CB_KIND_TRIGGER, CB_KIND_CLICK,  CB_KIND_MAXIMIZE,
                                       CB_KIND_SET,     CB_KIND_WRITING};
static const uint8_t dashboard_steps[] = {CB_KIND_TOTALS, CB_KIND_HOURS, CB_KIND_DAYS,
                                          CB_KIND_VISITORS};
static const uint8_t server_steps[SERVER_REQUESTS] = {[0 ... SERVER_REQUESTS - 1] = CB_KIND_BATCH};

enum { BEACON_STEPS = sizeof beacon_steps };

int cb_plan_mix_of(const char *name, enum cb_plan_mix *out) {
    for (unsigned i = 0; i < sizeof mixes / sizeof *mixes; i++) {
        if (!strcmp(name, mixes[i])) {
            *out = (enum cb_plan_mix)i;
            return 0;
        }
    }
    return CB_ENOENT;
}

const char *cb_plan_mix_name(enum cb_plan_mix mix) {
    return mixes[mix];
}

unsigned cb_plan_lane_share(enum cb_plan_mix mix, enum cb_plan_lane lane) {
    unsigned queries = mix == CB_MIX_DASHBOARD ? 1000 : mix == CB_MIX_MIXED ? MIXED_QUERIES : 0;
    return lane == CB_LANE_QUERY ? queries : 1000 - queries;
}

const char *cb_plan_event_name(unsigned kind) {
    return kinds[kind].name;
}

/* ---- making a plan ---- */

#define PAGE_URL "https://shop.example/p/{page}"

static int request_init(struct cb_plan *plan, unsigned kind, unsigned agent) {
    const struct cb_plan_opts *o = &plan->opts;
    char head[2048], body[1024] = "";
    struct cb_template *t = &plan->requests[kind][agent];
    if (kind == CB_KIND_BATCH || (o->dialect && kind >= CB_PLAN_NAMES))
        return 0;
    if (o->dialect)
        return cb_dialect_event(o->dialect, o->hosts[CB_LANE_INGEST], kinds[kind].name, o->site,
                                plan->site_digits, t);
    if (kind >= CB_KIND_TOTALS) {
        snprintf(head, sizeof head,
                 "GET /v1/sites/%s{site}/%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
                 "Accept: application/json\r\n",
                 o->site, kinds[kind].more, o->hosts[CB_LANE_QUERY], o->token);
        return cb_template_init(t, head, body, plan->site_digits);
    }
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n"
             "Content-Type: text/plain;charset=UTF-8\r\nAccept: */*\r\n"
             "Accept-Language: en-US,en;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\n"
             "Origin: https://shop.example\r\nReferer: https://shop.example/\r\n"
             "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: empty\r\n",
             kind == CB_KIND_BOOT ? "/v1/boot" : "/v1/events", o->hosts[CB_LANE_INGEST],
             agents[agent]);
    if (kind == CB_KIND_BOOT)
        snprintf(body, sizeof body, "{\"site\":\"%s{site}\",\"visitor\":\"{visitor}{visitor2}\"}",
                 o->site);
    else
        snprintf(body, sizeof body,
                 "{\"site\":\"%s{site}\",\"visitor\":\"{visitor}{visitor2}\",\"producer\":"
                 "\"{producer}\",\"sent\":{sent},\"events\":[{\"seq\":{seq},\"name\":\"%s\","
                 "\"at\":{at},\"page\":\"" PAGE_URL "\"%s}]}",
                 o->site, kinds[kind].name, kinds[kind].more);
    return cb_template_init(t, head, body, plan->site_digits);
}

/* The lines of a batch for another system. */
static int dialect_init(struct cb_plan *plan) {
    const struct cb_plan_opts *o = &plan->opts;
    char text[HEAD_ROOM - sizeof "Content-Length: "];
    size_t line_max = 0;
    int rc = 0;
    if (!o->dialect->redis) {
        cb_dialect_head(o->dialect, o->hosts[CB_LANE_INGEST], text, sizeof text);
        snprintf(plan->batch_head, sizeof plan->batch_head, "%sContent-Length: ", text);
    }
    for (unsigned i = 0; i < CB_PLAN_NAMES && !rc; i++) {
        rc = cb_dialect_event(o->dialect, NULL, kinds[i].name, o->site, plan->site_digits,
                              &plan->events[i]);
        line_max = plan->events[i].len > line_max ? plan->events[i].len : line_max;
    }
    plan->bytes_max = CB_TEMPLATE_BYTES_MAX + HEAD_ROOM + o->batch * line_max;
    return rc;
}

static int pieces_init(struct cb_plan *plan) {
    char text[512];
    if (plan->opts.dialect)
        return dialect_init(plan);
    snprintf(plan->batch_head, sizeof plan->batch_head,
             "POST /v1/events HTTP/1.1\r\nHost: %s\r\nUser-Agent: chatbeacon-load/" CB_VERSION
             "\r\nContent-Type: application/x-ndjson\r\nContent-Length: ",
             plan->opts.hosts[CB_LANE_INGEST]);
    snprintf(text, sizeof text,
             "{\"site\":\"%s{site}\",\"visitor\":\"{visitor}{visitor2}\",\"producer\":"
             "\"{producer}\",\"sent\":{sent},\"events\":[",
             plan->opts.site);
    int rc = cb_template_init_piece(&plan->envelope, text, plan->site_digits);
    for (unsigned i = 0; i < CB_PLAN_NAMES && !rc; i++) {
        snprintf(text, sizeof text, ",\"name\":\"%s\",\"at\":{at},\"page\":\"" PAGE_URL "\"%s}",
                 kinds[i].name, kinds[i].more);
        rc = cb_template_init_piece(&plan->events[i], text, plan->site_digits);
    }
    return rc;
}

/* Points *text at a copy of it. */
static int own(struct cb_plan *plan, unsigned slot, const char **text) {
    plan->strings[slot] = strdup(*text ? *text : "");
    *text = plan->strings[slot];
    return *text ? 0 : CB_ENOMEM;
}

static bool opts_valid(const struct cb_plan_opts *o) {
    return o->n_sites >= 1 && o->n_sites <= CB_PLAN_SITES_MAX && o->n_pages >= 1 &&
           o->n_pages <= CB_PLAN_PAGES_MAX && o->n_visitors >= 1 && o->batch >= 1 &&
           o->batch <= CB_PLAN_BATCH_MAX && o->batch_visitors >= 1 &&
           o->batch_visitors <= o->batch && cb_site_name_valid(cb_str_of(o->site)) &&
           (!o->dialect || o->mix == CB_MIX_BEACON || o->mix == CB_MIX_SERVER);
}

static int parts_init(struct cb_plan *plan) {
    struct cb_plan_opts *o = &plan->opts;
    for (unsigned n = o->n_sites - 1; o->n_sites > 1 && (n || !plan->site_digits); n /= 10)
        plan->site_digits++;
    if (strlen(o->site) + plan->site_digits > CB_SITE_MAX)
        return CB_ETOOBIG;
    int rc = own(plan, 0, &o->site);
    rc = rc ? rc : own(plan, 1, &o->token);
    for (unsigned i = 0; i < CB_LANES && !rc; i++)
        rc = own(plan, 2 + i, &o->hosts[i]);
    rc = rc ? rc : cb_zipf_init(&plan->sites, o->n_sites);
    rc = rc ? rc : cb_zipf_init(&plan->pages, o->n_pages);
    for (unsigned kind = 0; kind < CB_KIND_COUNT && !rc; kind++)
        for (unsigned agent = 0; agent < AGENTS && !rc; agent++)
            rc = request_init(plan, kind, agent);
    plan->bytes_max = CB_TEMPLATE_BYTES_MAX + HEAD_ROOM + o->batch_visitors * ENVELOPE_BYTES +
                      o->batch * EVENT_BYTES;
    return rc ? rc : pieces_init(plan);
}

int cb_plan_create(const struct cb_plan_opts *opts, struct cb_plan **out) {
    if (!opts_valid(opts))
        return CB_EINVAL;
    struct cb_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return CB_ENOMEM;
    plan->opts = *opts;
    int rc = parts_init(plan);
    if (rc)
        cb_plan_destroy(&plan);
    else
        *out = plan;
    return rc;
}

void cb_plan_destroy(struct cb_plan **out) {
    struct cb_plan *plan = *out;
    if (!plan)
        return;
    for (unsigned i = 0; i < sizeof plan->strings / sizeof *plan->strings; i++)
        free(plan->strings[i]);
    cb_zipf_fini(&plan->sites);
    cb_zipf_fini(&plan->pages);
    for (unsigned kind = 0; kind < CB_KIND_COUNT; kind++)
        for (unsigned agent = 0; agent < AGENTS; agent++)
            cb_template_fini(&plan->requests[kind][agent]);
    cb_template_fini(&plan->envelope);
    for (unsigned i = 0; i < CB_PLAN_NAMES; i++)
        cb_template_fini(&plan->events[i]);
    free(plan);
    *out = NULL;
}

size_t cb_plan_bytes_max(const struct cb_plan *plan) {
    return plan->bytes_max;
}

void cb_plan_site_name(const struct cb_plan *plan, unsigned site, char *out) {
    size_t len = strlen(plan->opts.site);
    memcpy(out, plan->opts.site, len);
    cb_template_decimal(out + len, plan->site_digits, site);
    out[len + plan->site_digits] = '\0';
}

/* ---- sessions ---- */

void cb_plan_session_init(const struct cb_plan *plan, enum cb_plan_lane lane, uint64_t connection,
                          struct cb_plan_session *session) {
    *session = (struct cb_plan_session){.lane = lane, .connection = connection};
    session->random = cb_random_mix(plan->opts.seed ^ cb_random_mix(connection + 1));
}

static void steps_choose(const struct cb_plan *plan, struct cb_plan_session *s) {
    enum cb_plan_mix mix = plan->opts.mix;
    if (mix == CB_MIX_MIXED) {
        uint64_t of100 = cb_random_below(cb_random_next(&s->random), 100);
        mix = of100 < MIXED_SERVER                  ? CB_MIX_SERVER
              : of100 < MIXED_SERVER + MIXED_WIDGET ? CB_MIX_WIDGET
                                                    : CB_MIX_BEACON;
    }
    if (s->lane == CB_LANE_QUERY) {
        s->steps = dashboard_steps;
        s->n_steps = sizeof dashboard_steps;
    } else if (mix == CB_MIX_SERVER) {
        s->steps = server_steps;
        s->n_steps = sizeof server_steps;
    } else if (mix == CB_MIX_WIDGET) {
        s->steps = widget_steps;
        s->n_steps = sizeof widget_steps;
    } else {
        s->steps = beacon_steps;
        s->n_steps = sizeof beacon_steps;
    }
}

static void session_begin(const struct cb_plan *plan, struct cb_plan_session *s) {
    steps_choose(plan, s);
    uint64_t which = cb_random_next(&s->random);
    s->item = (struct cb_plan_item){
        /* Of the run and of this session alone: mix keeps different numbers different. */
        .producer = cb_random_mix(plan->opts.run + (s->connection << 36 | s->count++)),
        .site = (uint16_t)cb_zipf_pick(&plan->sites, cb_random_next(&s->random)),
        .page = (uint16_t)cb_zipf_pick(&plan->pages, cb_random_next(&s->random)),
        .visitor = (uint32_t)cb_random_below(which, plan->opts.n_visitors),
        .agent = (uint8_t)(cb_random_mix(which) % AGENTS),
    };
}

void cb_plan_next(const struct cb_plan *plan, struct cb_plan_session *s, int64_t now_ms,
                  struct cb_plan_item *out) {
    if (s->n_steps == 0)
        session_begin(plan, s);
    s->n_steps--;
    s->item.kind = *s->steps++;
    s->item.at_ms = now_ms;
    s->item.seq += s->item.n; /* of the request before */
    s->item.n =
        s->item.kind == CB_KIND_BATCH ? (uint16_t)plan->opts.batch : s->item.kind < CB_PLAN_NAMES;
    if (s->item.seq == 0 && s->item.n)
        s->item.seq = 1;
    *out = s->item;
}

/* The name of a batch's event goes by its number. */
static unsigned batch_kind(uint64_t seq) {
    return beacon_steps[(seq - 1) % BEACON_STEPS];
}

void cb_plan_tally(const struct cb_plan_item *item, uint64_t (*counts)[CB_PLAN_NAMES]) {
    if (item->kind < CB_PLAN_NAMES)
        counts[item->site][item->kind]++;
    for (unsigned i = 0; item->kind == CB_KIND_BATCH && i < item->n; i++)
        counts[item->site][batch_kind(item->seq + i)]++;
}

/* ---- rendering ---- */

static char *put_number(char *out, uint64_t n) {
    char digits[20];
    unsigned len = 0;
    do
        digits[len++] = (char)('0' + n % 10);
    while (n /= 10);
    while (len)
        *out++ = digits[--len];
    return out;
}

static void visitor_set(const struct cb_plan *plan, uint32_t visitor,
                        struct cb_template_values *values) {
    uint64_t first = cb_random_mix((plan->opts.seed << 32) + visitor + 1);
    values->of[CB_TEMPLATE_VISITOR] = first;
    values->of[CB_TEMPLATE_VISITOR2] = cb_random_mix(first);
}

/* The lines of a batch: its events dealt out to its visitors, in order. */
static char *put_lines(const struct cb_plan *plan, const struct cb_plan_item *item,
                       struct cb_template_values *values, char *out) {
    unsigned n_visitors = plan->opts.batch_visitors;
    bool own = !plan->opts.dialect;
    for (unsigned v = 0, i = 0; v < n_visitors; v++) {
        unsigned end = (unsigned)((uint64_t)item->n * (v + 1) / n_visitors);
        visitor_set(plan, (uint32_t)((item->visitor + item->seq + v) % plan->opts.n_visitors),
                    values);
        if (own)
            out = cb_template_render(&plan->envelope, values, out);
        for (bool first = true; i < end; i++, first = false) {
            uint64_t seq = item->seq + i;
            values->of[CB_TEMPLATE_AT] = (uint64_t)item->at_ms - (item->n - 1 - i);
            values->of[CB_TEMPLATE_PAGE] =
                cb_zipf_pick(&plan->pages, cb_random_mix(item->producer + seq));
            values->of[CB_TEMPLATE_SEQ] = seq;
            if (own && !first)
                *out++ = ',';
            if (own) {
                memcpy(out, "{\"seq\":", 7);
                out = put_number(out + 7, seq);
            }
            out = cb_template_render(&plan->events[batch_kind(seq)], values, out);
        }
        if (own) {
            memcpy(out, "]}\n", 3);
            out += 3;
        }
    }
    return out;
}

static struct cb_str render_batch(const struct cb_plan *plan, const struct cb_plan_item *item,
                                  struct cb_template_values *values, char *out) {
    char *body = out + HEAD_ROOM;
    size_t len = (size_t)(put_lines(plan, item, values, body) - body);
    if (plan->opts.dialect && plan->opts.dialect->redis)
        return (struct cb_str){body, len};
    char digits[24];
    size_t n_digits = (size_t)(put_number(digits, len) - digits), n = strlen(plan->batch_head);
    char *head = body - (n + n_digits + 4);
    memcpy(head, plan->batch_head, n);
    memcpy(head + n, digits, n_digits);
    memcpy(head + n + n_digits, "\r\n\r\n", 4);
    return (struct cb_str){head, (size_t)(body - head) + len};
}

struct cb_str cb_plan_render(const struct cb_plan *plan, const struct cb_plan_item *item,
                             int64_t now_ms, char *out) {
    struct cb_template_values values;
    values.of[CB_TEMPLATE_SITE] = item->site;
    values.of[CB_TEMPLATE_PAGE] = item->page;
    values.of[CB_TEMPLATE_PRODUCER] = item->producer;
    values.of[CB_TEMPLATE_SENT] = (uint64_t)now_ms;
    values.of[CB_TEMPLATE_AT] = (uint64_t)item->at_ms;
    values.of[CB_TEMPLATE_SEQ] = item->seq;
    values.of[CB_TEMPLATE_FROM] = (uint64_t)(now_ms - INT64_C(30) * DAY_MS);
    visitor_set(plan, item->visitor, &values);
    if (item->kind == CB_KIND_BATCH)
        return render_batch(plan, item, &values, out);
    const struct cb_template *t = &plan->requests[item->kind][item->agent];
    cb_template_render(t, &values, out);
    return (struct cb_str){out, t->len};
}
