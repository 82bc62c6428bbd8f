/* SPDX-License-Identifier: MIT */
#include "store/visit.h"

#include "store/rows.h"

static const struct {
    enum cb_step from, to;
} timings[CB_TIMING_COUNT] = {
    [CB_TIMING_LOADED_CLICK] = {CB_STEP_LOADED, CB_STEP_CLICK},
    [CB_TIMING_LOADED_MAXIMIZE] = {CB_STEP_LOADED, CB_STEP_MAXIMIZE},
    [CB_TIMING_MAXIMIZE_WRITING] = {CB_STEP_MAXIMIZE, CB_STEP_WRITING},
    [CB_TIMING_TRIGGER_MAXIMIZE] = {CB_STEP_TRIGGER, CB_STEP_MAXIMIZE},
};

static const int64_t within_s[CB_WITHIN_COUNT] = CB_WITHIN_S;

/* A time of six bytes; all ones for none. Frames hold no time past the year 9999. */
static void put_time(uint8_t *p, int64_t ms) {
    cb_be16_put(p, (uint16_t)(ms >> 32));
    cb_be32_put(p + 2, (uint32_t)ms);
}

static int64_t get_time(const uint8_t *p) {
    int64_t ms = (int64_t)cb_be16_get(p) << 32 | cb_be32_get(p + 2);
    return ms == (INT64_C(1) << 48) - 1 ? CB_VISIT_NEVER : ms;
}

void cb_visit_encode(const struct cb_visit *visit, uint8_t out[CB_VISIT_BYTES]) {
    cb_be64_put(out + CB_SESSION_START, (uint64_t)visit->start_ms);
    cb_be64_put(out + CB_SESSION_END, (uint64_t)visit->end_ms);
    cb_be32_put(out + CB_SESSION_EVENTS, visit->events);
    out[CB_SESSION_LOADS] = visit->loads;
    out[CB_SESSION_PAGES] = visit->pages;
    out[CB_SESSION_MESSAGE] = visit->wrote_message;
    cb_be16_put(out + CB_SESSION_TRIGGER, visit->trigger);
    for (unsigned i = 0; i < CB_VISIT_FIRSTS; i++) {
        put_time(out + CB_SESSION_FIRSTS + 6 * i, visit->first_ms[i]);
    }
    put_time(out + CB_SESSION_CONTACT, visit->contact_ms);
    put_time(out + CB_SESSION_MINIMIZE, visit->minimize_ms);
}

void cb_visit_decode(const uint8_t in[CB_VISIT_BYTES], struct cb_visit *out) {
    out->start_ms = (int64_t)cb_be64_get(in + CB_SESSION_START);
    out->end_ms = (int64_t)cb_be64_get(in + CB_SESSION_END);
    out->events = cb_be32_get(in + CB_SESSION_EVENTS);
    out->loads = in[CB_SESSION_LOADS];
    out->pages = in[CB_SESSION_PAGES];
    out->wrote_message = in[CB_SESSION_MESSAGE] != 0;
    out->trigger = cb_be16_get(in + CB_SESSION_TRIGGER);
    for (unsigned i = 0; i < CB_VISIT_FIRSTS; i++) {
        out->first_ms[i] = get_time(in + CB_SESSION_FIRSTS + 6 * i);
    }
    out->contact_ms = get_time(in + CB_SESSION_CONTACT);
    out->minimize_ms = get_time(in + CB_SESSION_MINIMIZE);
}

void cb_visit_init(struct cb_visit *visit, int64_t true_ms) {
    *visit = (struct cb_visit){.start_ms = true_ms,
                               .end_ms = true_ms,
                               .contact_ms = CB_VISIT_NEVER,
                               .minimize_ms = CB_VISIT_NEVER};
    for (unsigned i = 0; i < CB_VISIT_FIRSTS; i++) {
        visit->first_ms[i] = CB_VISIT_NEVER;
    }
}

static bool first(struct cb_visit *visit, enum cb_step step, int64_t true_ms) {
    int64_t *at = &visit->first_ms[step];
    bool earlier = *at == CB_VISIT_NEVER || true_ms < *at;
    *at = earlier ? true_ms : *at;
    return earlier;
}

static bool last(int64_t *at, int64_t true_ms) {
    bool later = true_ms > *at;
    *at = later ? true_ms : *at;
    return later;
}

static bool count(uint8_t *n) {
    bool more = *n < 2;
    *n = (uint8_t)(*n + more);
    return more;
}

/* Of two triggers at the same time the one whose id came first to the site counts. */
static bool triggered(struct cb_visit *visit, int64_t true_ms, uint16_t trigger) {
    int64_t at = visit->first_ms[CB_STEP_TRIGGER];
    if (at == true_ms && trigger < visit->trigger) {
        visit->trigger = trigger;
        return true;
    }
    if (!first(visit, CB_STEP_TRIGGER, true_ms)) {
        return false;
    }
    visit->trigger = trigger;
    return true;
}

bool cb_visit_add(struct cb_visit *visit, const struct cb_event *event, int64_t true_ms,
                  uint16_t trigger) {
    bool changed = true_ms < visit->start_ms;
    visit->start_ms = changed ? true_ms : visit->start_ms;
    visit->end_ms = true_ms > visit->end_ms ? true_ms : visit->end_ms;
    visit->events += visit->events < UINT32_MAX;
    switch (event->name_code) {
    case CB_NAME_LOADED:
        changed |= count(&visit->loads);
        return first(visit, CB_STEP_LOADED, true_ms) || changed;
    case CB_NAME_PAGE:
        return count(&visit->pages) || changed;
    case CB_NAME_TRIGGER:
        return triggered(visit, true_ms, trigger) || changed;
    case CB_NAME_CLICK:
        return first(visit, CB_STEP_CLICK, true_ms) || changed;
    case CB_NAME_MAXIMIZE:
        return first(visit, CB_STEP_MAXIMIZE, true_ms) || changed;
    case CB_NAME_START_WRITING:
        return first(visit, CB_STEP_WRITING, true_ms) || changed;
    case CB_NAME_MINIMIZE:
        return last(&visit->minimize_ms, true_ms) || changed;
    case CB_NAME_MESSAGE:
        changed |= !visit->wrote_message;
        visit->wrote_message = true;
        return last(&visit->contact_ms, true_ms) || changed;
    case CB_NAME_SET:
        if (cb_str_is(event->key, "email") || cb_str_is(event->key, "phone")) {
            return last(&visit->contact_ms, true_ms) || changed;
        }
        return changed;
    default:
        return changed;
    }
}

uint32_t cb_visit_quarter(const struct cb_visit *visit) {
    int64_t quarter = visit->start_ms / (CB_QUARTER_MINUTES * INT64_C(60000));
    return quarter < UINT32_MAX ? (uint32_t)quarter : UINT32_MAX;
}

bool cb_visit_interacted(const struct cb_visit *visit) {
    return visit->wrote_message || visit->first_ms[CB_STEP_CLICK] != CB_VISIT_NEVER ||
           visit->first_ms[CB_STEP_MAXIMIZE] != CB_VISIT_NEVER ||
           visit->first_ms[CB_STEP_WRITING] != CB_VISIT_NEVER;
}

bool cb_visit_bounced(const struct cb_visit *visit) {
    return visit->loads < 2 && visit->pages < 2 && !cb_visit_interacted(visit);
}

unsigned cb_visit_happened(const struct cb_visit *visit) {
    unsigned steps = 0;
    for (unsigned i = 0; i < CB_VISIT_FIRSTS; i++) {
        steps |= (unsigned)(visit->first_ms[i] != CB_VISIT_NEVER) << i;
    }
    return steps | (unsigned)(visit->contact_ms != CB_VISIT_NEVER) << CB_STEP_CONTACT;
}

unsigned cb_visit_reached(const struct cb_visit *visit) {
    int64_t at_ms = 0;
    for (unsigned i = 0; i < CB_VISIT_FIRSTS; i++) {
        if (visit->first_ms[i] == CB_VISIT_NEVER || visit->first_ms[i] < at_ms) {
            return (1u << i) - 1;
        }
        at_ms = visit->first_ms[i];
    }
    bool all = visit->contact_ms != CB_VISIT_NEVER && visit->contact_ms >= at_ms;
    return (1u << (CB_VISIT_FIRSTS + all)) - 1;
}

int64_t cb_visit_timing(const struct cb_visit *visit, enum cb_timing timing) {
    int64_t from_ms = visit->first_ms[timings[timing].from];
    int64_t to_ms = visit->first_ms[timings[timing].to];
    return from_ms == CB_VISIT_NEVER || to_ms < from_ms ? CB_VISIT_NEVER : to_ms - from_ms;
}

unsigned cb_visit_outcomes(const struct cb_visit *visit) {
    int64_t from_ms =
        visit->first_ms[visit->trigger != CB_TRIGGER_NONE ? CB_STEP_TRIGGER : CB_STEP_LOADED];
    from_ms = from_ms == CB_VISIT_NEVER ? visit->start_ms : from_ms;
    int64_t opened_ms = visit->first_ms[CB_STEP_MAXIMIZE];
    bool wrote = visit->first_ms[CB_STEP_WRITING] >= from_ms;
    unsigned outcomes = 1u << CB_OUTCOME_VISITS;
    outcomes |= (unsigned)wrote << CB_OUTCOME_WROTE;
    outcomes |= (unsigned)(!wrote && visit->minimize_ms >= from_ms) << CB_OUTCOME_CLOSED;
    if (opened_ms < from_ms) {
        return outcomes; /* never, which is below every time, or before */
    }
    outcomes |= 1u << CB_OUTCOME_OPENED;
    for (unsigned i = 0; i < CB_WITHIN_COUNT; i++) {
        outcomes |= (unsigned)(opened_ms - from_ms <= within_s[i] * 1000)
                    << (CB_OUTCOME_WITHIN + i);
    }
    return outcomes;
}
