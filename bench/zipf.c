/* SPDX-License-Identifier: MIT */
#include "bench/zipf.h"

#include <stdlib.h>

int cb_zipf_init(struct cb_zipf *zipf, unsigned n) {
    *zipf = (struct cb_zipf){0};
    if (n == 0 || n > CB_ZIPF_MAX)
        return CB_EINVAL;
    uint64_t *ends = malloc(n * sizeof *ends);
    if (!ends)
        return CB_ENOMEM;
    double all = 0, sum = 0;
    for (unsigned k = 0; k < n; k++)
        all += 1.0 / (k + 1);
    for (unsigned k = 0; k < n; k++) {
        sum += 1.0 / (k + 1);
        double end = sum / all * 0x1p64;
        ends[k] = end < 0x1p64 ? (uint64_t)end : UINT64_MAX;
    }
    ends[n - 1] = UINT64_MAX;
    *zipf = (struct cb_zipf){n, ends};
    return 0;
}

void cb_zipf_fini(struct cb_zipf *zipf) {
    free(zipf->ends);
    *zipf = (struct cb_zipf){0};
}

unsigned cb_zipf_pick(const struct cb_zipf *zipf, uint64_t random) {
    unsigned low = 0, high = zipf->n - 1; /* the last one takes all that is left */
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (random < zipf->ends[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}
