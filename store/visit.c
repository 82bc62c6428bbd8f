/* SPDX-License-Identifier: MIT */
#include "store/visit.h"

#include "store/rows.h"
#include "store/varint.h"

static const struct {
    enum cb_step from, to;
} timings[CB_TIMING_COUNT] = {
    [CB_TIMING_LOADED_CLICK] = {CB_STEP_LOADED, CB_STEP_CLICK},
    [CB_TIMING_LOADED_MAXIMIZE] = {CB_STEP_LOADED, CB_STEP_MAXIMIZE},
    [CB_TIMING_MAXIMIZE_WRITING] = {CB_STEP_MAXIMIZE, CB_STEP_WRITING},
    [CB_TIMING_TRIGGER_MAXIMIZE] = {CB_STEP_TRIGGER, CB_STEP_MAXIMIZE},
};

static const int64_t within_s[CB_WITHIN_COUNT] = CB_WITHIN_S;

enum {
    START_BYTES = 6,
    MESSAGE = 0x80, /* in the byte that says which times are there */
    COUNT_MAX = 2,  /* of loads, and of pages: two bits each */
    COUNT_BITS = 2,
};

size_t cb_visit_put_steps(const struct cb_visit *visit, uint8_t out[CB_VISIT_STEPS_MAX]) {
    uint8_t there = visit->wrote_message ? MESSAGE : 0;
    size_t n = 2;
    out[1] = (uint8_t)(visit->loads | visit->pages << COUNT_BITS);
    if (visit->first_ms[CB_STEP_TRIGGER] != CB_VISIT_NEVER) {
        n += cb_varint_put(out + n, visit->trigger);
    }
    for (unsigned i = 0; i < CB_VISIT_TIMES; i++) {
        if (visit->times_ms[i] != CB_VISIT_NEVER) {
            there |= (uint8_t)(1u << i);
            n += cb_varint_put(out + n, (uint64_t)(visit->times_ms[i] - visit->start_ms));
        }
    }
    out[0] = there;
    return n;
}

bool cb_visit_take_steps(const uint8_t **p, const uint8_t *end, struct cb_visit *visit) {
    const uint64_t longest = (uint64_t)(visit->end_ms - visit->start_ms);
    uint64_t trigger = CB_TRIGGER_NONE, after;
    if (end - *p < 2) {
        return false;
    }
    unsigned there = *(*p)++, counts = *(*p)++;
    visit->wrote_message = there & MESSAGE;
    visit->loads = counts & ((1u << COUNT_BITS) - 1);
    visit->pages = (uint8_t)(counts >> COUNT_BITS);
    if (visit->loads > COUNT_MAX || visit->pages > COUNT_MAX ||
        ((there >> CB_STEP_TRIGGER & 1) &&
         (!cb_varint_take(p, end, &trigger) || trigger > UINT16_MAX))) {
        return false;
    }
    visit->trigger = (uint16_t)trigger;
    for (unsigned i = 0; i < CB_VISIT_TIMES; i++) {
        visit->times_ms[i] = CB_VISIT_NEVER;
        if (there >> i & 1) {
            if (!cb_varint_take(p, end, &after) || after > longest) {
                return false;
            }
            visit->times_ms[i] = visit->start_ms + (int64_t)after;
        }
    }
    return true;
}

size_t cb_visit_encode(const struct cb_visit *visit, uint8_t out[CB_VISIT_BYTES_MAX]) {
    size_t n = START_BYTES;
    cb_be48_put(out, (uint64_t)visit->start_ms);
    n += cb_varint_put(out + n, (uint64_t)(visit->end_ms - visit->start_ms));
    n += cb_varint_put(out + n, visit->events);
    return n + cb_visit_put_steps(visit, out + n);
}

static bool take_span(const uint8_t **p, const uint8_t *end, int64_t *start_ms, int64_t *end_ms) {
    uint64_t longest;
    if (end - *p < START_BYTES) {
        return false;
    }
    *start_ms = (int64_t)cb_be48_get(*p);
    *p += START_BYTES;
    if (!cb_varint_take(p, end, &longest) || longest > (uint64_t)(CB_VISIT_MS_MAX - *start_ms)) {
        return false;
    }
    *end_ms = *start_ms + (int64_t)longest;
    return true;
}

int cb_visit_span(struct cb_str value, int64_t *start_ms, int64_t *end_ms) {
    const uint8_t *p = (const uint8_t *)value.p;
    return take_span(&p, p + value.len, start_ms, end_ms) ? 0 : CB_ECORRUPT;
}

int cb_visit_decode(struct cb_str value, struct cb_visit *out) {
    const uint8_t *p = (const uint8_t *)value.p, *end = p + value.len;
    uint64_t events;
    if (!take_span(&p, end, &out->start_ms, &out->end_ms) || !cb_varint_take(&p, end, &events) ||
        events > UINT32_MAX) {
        return CB_ECORRUPT;
    }
    out->events = (uint32_t)events;
    return cb_visit_take_steps(&p, end, out) && p == end ? 0 : CB_ECORRUPT;
}

int cb_visit_list(struct cb_str row, struct cb_str out[CB_VISIT_LIST_MAX], size_t *n) {
    const char *p = row.p, *end = p + row.len;
    for (*n = 0; p < end; p += out[(*n)++].len) {
        size_t len = (uint8_t)*p++;
        if (*n == CB_VISIT_LIST_MAX || len > (size_t)(end - p)) {
            return CB_ECORRUPT;
        }
        out[*n] = (struct cb_str){p, len};
    }
    return 0;
}

void cb_visit_init(struct cb_visit *visit, int64_t true_ms) {
    *visit = (struct cb_visit){.start_ms = true_ms, .end_ms = true_ms};
    for (unsigned i = 0; i < CB_VISIT_TIMES; i++) {
        visit->times_ms[i] = CB_VISIT_NEVER;
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
