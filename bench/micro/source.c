/* SPDX-License-Identifier: MIT
 * source.c: visits as the widget makes them, for the benchmarks behind ingest. Times go on by a
 * millisecond with each visit. */
#include <stdio.h>
#include <string.h>

#include "bench/micro/micro.h"

enum { EVENT_BYTES_MAX = 128, CODES = 6 };

#define START_MS INT64_C(1750000000000)

void cb_micro_source_init(struct cb_micro_source *source, const struct cb_micro_shape *shape) {
    *source = (struct cb_micro_source){.shape = shape, .random = 1, .now_ms = START_MS};
    cb_micro_must(cb_zipf_init(&source->sites, shape->sites), "sites");
    cb_micro_must(cb_zipf_init(&source->pages, shape->pages), "pages");
}

void cb_micro_source_fini(struct cb_micro_source *source) {
    cb_zipf_fini(&source->sites);
    cb_zipf_fini(&source->pages);
}

static void next_visit(struct cb_micro_source *source) {
    const struct cb_micro_shape *shape = source->shape;
    source->visit++;
    source->now_ms++;
    source->left = shape->visit;
    source->site = cb_zipf_pick(&source->sites, cb_random_next(&source->random));
    source->visitor = cb_random_below(cb_random_next(&source->random), shape->visitors);
}

uint64_t cb_micro_source_fill(struct cb_micro_source *source, struct cb_frame_builder *builder,
                              size_t bytes) {
    static const unsigned codes[CODES] = {CB_NAME_LOADED, CB_NAME_PAGE,     CB_NAME_TRIGGER,
                                          CB_NAME_CLICK,  CB_NAME_MAXIMIZE, CB_NAME_START_WRITING};
    struct cb_event events[CB_MICRO_VISIT_MAX];
    char pages[CB_MICRO_VISIT_MAX][64];
    const struct cb_micro_shape *shape = source->shape;
    uint64_t total = 0;
    while (cb_frame_builder_bytes(builder) + EVENT_BYTES_MAX * shape->batch < bytes) {
        if (source->left == 0) {
            next_visit(source);
        }
        char site[16];
        struct cb_envelope envelope = {.has_visitor = true,
                                       .received_ms = source->now_ms,
                                       .device = CB_DEVICE_DESKTOP,
                                       .country = "DE",
                                       .language = "de"};
        envelope.site =
            (struct cb_str){site, (size_t)snprintf(site, sizeof site, "s%u", source->site)};
        uint64_t who = cb_random_mix(source->visitor + 1);
        memcpy(envelope.visitor, &who, sizeof who);
        who = cb_random_mix(who ^ source->site);
        memcpy(envelope.visitor + sizeof who, &who, sizeof who);
        memcpy(envelope.producer, &source->visit, sizeof source->visit);
        unsigned n = 0;
        for (; n < shape->batch && source->left > 0; n++, source->left--) {
            unsigned nth = shape->visit - source->left;
            unsigned page = cb_zipf_pick(&source->pages, cb_random_next(&source->random));
            events[n] = (struct cb_event){.seq = nth + 1,
                                          .age_ms = (int64_t)source->left * 900,
                                          .name_code = codes[nth % CODES],
                                          .name = cb_event_name_text(codes[nth % CODES])};
            events[n].page =
                (struct cb_str){pages[n], (size_t)snprintf(pages[n], sizeof pages[n],
                                                           "https://shop.example/page/%u", page)};
        }
        cb_micro_must(cb_frame_builder_add(builder, &envelope, events, n), "a frame");
        total += n;
    }
    return total;
}
