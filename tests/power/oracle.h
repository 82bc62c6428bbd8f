/* SPDX-License-Identifier: MIT
 * oracle.h: starts a store on an image, and says whether it kept what was promised. */
#ifndef CB_TESTS_POWER_ORACLE_H
#define CB_TESTS_POWER_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/power/disk.h"

struct oracle;

/* Learns the frames from the log's notes, and what the views must hold after each of them: every
 * position is folded by itself into fresh views in scratch, and compared with a recount. Prints a
 * sentence and returns NULL when that fails. */
struct oracle *oracle_create(const struct disk *disk, const char *scratch);

/* What the image must, and may, hold. */
struct oracle_due {
    uint64_t acked;     /* everything up to here was acked before the cut */
    uint64_t noted;     /* nothing above this was on its way */
    bool go_on;         /* also take further frames, and start once more */
    bool without_views; /* they are removed first: journal and base must do */
};

/* Starts on data_dir (changing it) and checks. False: sentence says what was broken. */
bool oracle_check(const struct oracle *oracle, const char *data_dir, const struct oracle_due *due,
                  char *sentence, size_t len);

#endif
