/* SPDX-License-Identifier: MIT
 * replay.c: main for a fuzz target without a fuzzer: each file of the folders that are named runs
 * once, in memory of its own size, so that the address sanitizer sees a byte too far. A folder that
 * is not there is one without files. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

/* Returns false when the file cannot be read. */
static bool replay_file(const char *path) {
    struct stat st;
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    bool ok = fstat(fileno(file), &st) == 0;
    size_t len = ok ? (size_t)st.st_size : 0;
    uint8_t *data = malloc(len ? len : 1);
    ok = ok && data && fread(data, 1, len, file) == len;
    fclose(file);
    if (ok && len == 0) { /* no byte of it may be read */
        free(data);
        data = NULL;
        LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    } else if (ok) {
        LLVMFuzzerTestOneInput(data, len);
    }
    free(data);
    return ok;
}

/* Returns the number of files that ran, or -1. */
static int replay_folder(const char *folder) {
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[PATH_MAX];
    int n = 0;
    if (!dir)
        return errno == ENOENT ? 0 : -1;
    while ((entry = readdir(dir)) && n >= 0) {
        if (entry->d_name[0] == '.')
            continue;
        int rc = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        /* The name is said first: after a crash it is the last line. */
        fprintf(stderr, "%s\n", path);
        n = rc < (int)sizeof path && replay_file(path) ? n + 1 : -1;
    }
    closedir(dir);
    return n;
}

int main(int argc, char **argv) {
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int n = replay_folder(argv[i]);
        if (n < 0) {
            fprintf(stderr, "replay: cannot read %s: %s\n", argv[i], strerror(errno));
            return 1;
        }
        total += n;
    }
    fprintf(stderr, "replayed %d files\n", total);
    return total > 0 ? 0 : 1;
}
