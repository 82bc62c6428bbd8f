/* SPDX-License-Identifier: MIT
 * journal.c: frame → journal: append and commit, by the bytes of a frame and the frames of a batch.
 * Processor time only: what the disk takes to sync is not in it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/micro/micro.h"
#include "store/db.h"
#include "store/journal.h"

#define MAP_BYTES (UINT64_C(16) << 30)

static void run(unsigned frame_bytes, unsigned frames, uint64_t commits) {
    char folder[] = "/tmp/chatbeacon-micro-XXXXXX", path[64], what[96];
    char *bytes = calloc(1, frame_bytes);
    struct cb_journal *journal;
    cb_micro_must(bytes && mkdtemp(folder) ? 0 : CB_ESYS, "a folder");
    cb_micro_must(cb_journal_open(folder, MAP_BYTES, &journal), "the journal");
    uint64_t begin = cb_micro_cpu_ns();
    for (uint64_t i = 0; i < commits; i++) {
        cb_micro_must(cb_journal_begin(journal), "a batch");
        for (unsigned k = 0; k < frames; k++) {
            uint64_t position;
            cb_micro_must(cb_journal_admit(journal, 1, i * frames + k + 1), "a frame");
            cb_micro_must(
                cb_journal_append(journal, (struct cb_str){bytes, frame_bytes}, &position),
                "a frame");
        }
        cb_micro_must(cb_journal_commit(journal), "a commit");
    }
    snprintf(what, sizeof what, "append, %u frames of %u bytes a commit", frames, frame_bytes);
    cb_micro_row("journal", what, commits * frames, cb_micro_cpu_ns() - begin);
    cb_journal_close(&journal);
    snprintf(path, sizeof path, "%s/journal", folder);
    cb_db_remove(path);
    rmdir(folder);
    free(bytes);
}

void cb_micro_journal(bool quick) {
    static const struct {
        unsigned bytes, frames;
    } shapes[] = {{200, 1}, {200, 64}, {64 * 1024, 1}, {64 * 1024, 16}, {400 * 1024, 4}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        run(shapes[i].bytes, shapes[i].frames, quick ? 20 : 200);
    }
}
