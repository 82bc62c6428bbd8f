/* SPDX-License-Identifier: MIT
 * micro.c: chatbeacon-micro: what each arrow of an event's way costs, one after the other, on one
 * thread, in processor time. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/micro/micro.h"
#include "proto/log.h"

static const struct {
    const char *name;
    void (*run)(bool quick);
} arrows[] = {
    {"beacon", cb_micro_beacon}, {"frame", cb_micro_frame},   {"journal", cb_micro_journal},
    {"fold", cb_micro_fold},     {"series", cb_micro_series}, {"breakdown", cb_micro_breakdown},
};

uint64_t cb_micro_cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void cb_micro_row(const char *arrow, const char *what, uint64_t n, uint64_t cpu_ns) {
    double each = n > 0 ? (double)cpu_ns / (double)n : 0;
    printf("%-8s %-58s %10llu %10.0f %12.0f\n", arrow, what, (unsigned long long)n, each,
           each > 0 ? 1e9 / each : 0);
    fflush(stdout);
}

void cb_micro_must(int rc, const char *what) {
    if (rc != 0) {
        fprintf(stderr, "chatbeacon-micro: %s: %s\n", what, cb_err_text(rc));
        exit(1);
    }
}

int main(int argc, char **argv) {
    bool quick = false;
    const char *only = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            quick = true;
        } else if (argv[i][0] != '-' && !only) {
            only = argv[i];
        } else {
            fprintf(
                stderr,
                "usage: chatbeacon-micro [--quick] [beacon|frame|journal|fold|series|breakdown]\n");
            return 2;
        }
    }
    cb_micro_must(sodium_init() < 0 ? CB_ESYS : 0, "libsodium");
    bool any = false;
    printf("%-8s %-58s %10s %10s %12s\n", "arrow", "what", "n", "ns each", "each second");
    for (size_t i = 0; i < sizeof arrows / sizeof *arrows; i++) {
        if (!only || strcmp(only, arrows[i].name) == 0) {
            arrows[i].run(quick);
            any = true;
        }
    }
    if (!any) {
        fprintf(stderr, "chatbeacon-micro: there is no benchmark of that name\n");
    }
    return any ? 0 : 2;
}
