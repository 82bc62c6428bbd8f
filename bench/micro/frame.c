/* SPDX-License-Identifier: MIT
 * frame.c: events → frame → events: building a frame, and the checking walk of the store. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/micro/micro.h"

enum { FRAME_BYTES = 64 * 1024 };

static void run(const struct cb_micro_shape *shape, unsigned frames) {
    struct cb_micro_source source;
    struct cb_frame_builder *builder = malloc(sizeof *builder);
    struct cb_frame *decoded = malloc(sizeof *decoded);
    struct cb_buf frame;
    uint64_t build_ns = 0, decode_ns = 0, events = 0, bytes = 0;
    char what[96];
    cb_micro_must(builder && decoded ? 0 : CB_ENOMEM, "a frame");
    cb_frame_builder_init(builder);
    cb_buf_init(&frame, CB_FRAME_MAX);
    cb_micro_source_init(&source, shape);
    for (unsigned i = 0; i < frames; i++) {
        uint64_t begin = cb_micro_cpu_ns();
        events += cb_micro_source_fill(&source, builder, FRAME_BYTES);
        cb_buf_clear(&frame);
        cb_micro_must(cb_frame_builder_seal(builder, 1, i + 1, &frame), "a frame");
        cb_frame_builder_clear(builder);
        uint64_t middle = cb_micro_cpu_ns();
        cb_micro_must(cb_frame_decode(frame.data, frame.len, decoded), "a frame");
        decode_ns += cb_micro_cpu_ns() - middle;
        build_ns += middle - begin;
        bytes += frame.len;
    }
    snprintf(what, sizeof what, "%s: made up and built, %llu bytes", shape->name,
             (unsigned long long)(bytes / events));
    cb_micro_row("frame", what, events, build_ns);
    snprintf(what, sizeof what, "%s: decoded and checked", shape->name);
    cb_micro_row("frame", what, events, decode_ns);
    cb_micro_source_fini(&source);
    cb_frame_builder_fini(builder);
    cb_buf_fini(&frame);
    free(builder);
    free(decoded);
}

void cb_micro_frame(bool quick) {
    static const struct cb_micro_shape shapes[] = {
        {"beacons", 100, 100000, 1000, 6, 1},
        {"20 events of a visitor at once", 100, 100000, 1000, 20, 20},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        run(&shapes[i], quick ? 100 : 2000);
    }
}
