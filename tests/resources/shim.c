/* SPDX-License-Identifier: MIT
 * shim.c: loaded by LD_PRELOAD, makes the disk fail and the clocks step when it is told to.
 *
 * Writes and syncs of the databases (data.mdb) below CB_FAULT_FOLDER are counted, and those that
 * the control file names fail. The control file (CB_FAULT_CONTROL) is mapped and shared with the
 * test: 64-bit words in the machine's order, see enum word. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, META_BYTES = 8192 };

/* The words of the control file. The test writes all but CALLS and FAILED. */
enum word {
    WORD_CALLS,  /* calls of the chosen files and kinds so far */
    WORD_FROM,   /* the first of them that fails, counted from 1; 0: none */
    WORD_TO,     /* the last one */
    WORD_FILES,  /* FILE_… */
    WORD_KINDS,  /* KIND_… */
    WORD_FIRST,  /* how the first one fails: HOW_… */
    WORD_REST,   /* how those after it do */
    WORD_ERRNO,  /* with this */
    WORD_FAILED, /* how many did */
    WORD_CLOCK,  /* milliseconds added to CLOCK_REALTIME, signed */
    WORD_BOOT,   /* … and to CLOCK_BOOTTIME, by which the journal's time goes on */
    WORDS
};
enum { FILE_JOURNAL = 1, FILE_VIEWS = 2 };
enum { KIND_WRITE = 1, KIND_SYNC = 2, KIND_META = 4 };
enum {
    HOW_UNDONE,
    HOW_DONE,
    HOW_HALF
}; /* nothing was done; all was, and yet; half of a write was */

/* The function behind the one that stands here. */
#define REAL(name) ((__typeof__(&(name)))real(#name))

static int64_t *words; /* NULL without a control file */
static char folder[PATH_BYTES];
static size_t folder_len;

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        _exit(70);
    }
    return found;
}

static int64_t get(enum word word) {
    return __atomic_load_n(&words[word], __ATOMIC_SEQ_CST);
}

static int64_t count(enum word word) {
    return __atomic_add_fetch(&words[word], 1, __ATOMIC_SEQ_CST);
}

__attribute__((constructor)) static void begin(void) {
    const char *control = getenv("CB_FAULT_CONTROL"), *below = getenv("CB_FAULT_FOLDER");
    if (!control || !below) {
        return;
    }
    int fd = open(control, O_RDWR | O_CLOEXEC);
    if (fd < 0 || !realpath(below, folder)) {
        _exit(71);
    }
    folder_len = strlen(folder);
    void *mapped = mmap(NULL, WORDS * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED) {
        _exit(72);
    }
    words = mapped;
}

/* Which database a descriptor is of, 0 for none. */
static int file_of(int fd) {
    char name[64], path[PATH_BYTES];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, sizeof(path) - 1);
    if (n < (ssize_t)folder_len || memcmp(path, folder, folder_len) != 0) {
        return 0;
    }
    path[n] = '\0';
    const char *rest = path + folder_len;
    return strcmp(rest, "/journal/data.mdb") == 0 ? FILE_JOURNAL
           : strcmp(rest, "/views/data.mdb") == 0 ? FILE_VIEWS
                                                  : 0;
}

/* Counts a call. True when it is to fail, *how then says in which way. */
static bool fails(int fd, int kind, int64_t *how) {
    if (!words || fd < 0) {
        return false;
    }
    int saved = errno;
    int file = file_of(fd);
    errno = saved;
    if (!(file & get(WORD_FILES)) || !(kind & get(WORD_KINDS))) {
        return false;
    }
    int64_t call = count(WORD_CALLS), from = get(WORD_FROM);
    if (from == 0 || call < from || call > get(WORD_TO)) {
        return false;
    }
    *how = get(call == from ? WORD_FIRST : WORD_REST);
    count(WORD_FAILED);
    return true;
}

static int fail(void) {
    errno = (int)get(WORD_ERRNO);
    return -1;
}

/* LMDB writes whole pages but for its two heads. */
static int kind_of(size_t len, off_t offset) {
    return offset < META_BYTES && len < META_BYTES / 2 ? KIND_META : KIND_WRITE;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset) {
    int64_t how;
    if (!fails(fd, kind_of(len, offset), &how)) {
        return REAL(pwrite)(fd, data, len, offset);
    }
    if (how == HOW_HALF) {
        return REAL(pwrite)(fd, data, len / 2, offset);
    }
    if (how == HOW_DONE && REAL(pwrite)(fd, data, len, offset) != (ssize_t)len) {
        _exit(73);
    }
    return fail();
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset) {
    return pwrite(fd, data, len, (off_t)offset);
}

ssize_t write(int fd, const void *data, size_t len) {
    int64_t how;
    if (!fails(fd, KIND_WRITE, &how)) {
        return REAL(write)(fd, data, len);
    }
    if (how == HOW_HALF) {
        return REAL(write)(fd, data, len / 2);
    }
    if (how == HOW_DONE && REAL(write)(fd, data, len) != (ssize_t)len) {
        _exit(73);
    }
    return fail();
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    int64_t how;
    if (!fails(fd, KIND_WRITE, &how)) {
        return REAL(writev)(fd, parts, n);
    }
    if (how == HOW_HALF) {
        return REAL(writev)(fd, parts, (n + 1) / 2);
    }
    if (how == HOW_DONE && REAL(writev)(fd, parts, n) < 0) {
        _exit(73);
    }
    return fail();
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset) {
    int64_t how;
    if (!fails(fd, KIND_WRITE, &how)) {
        return REAL(pwritev)(fd, parts, n, offset);
    }
    if (how == HOW_HALF) {
        return REAL(pwritev)(fd, parts, (n + 1) / 2, offset);
    }
    if (how == HOW_DONE && REAL(pwritev)(fd, parts, n, offset) < 0) {
        _exit(73);
    }
    return fail();
}

int fsync(int fd) {
    int64_t how;
    if (!fails(fd, KIND_SYNC, &how)) {
        return REAL(fsync)(fd);
    }
    return how == HOW_DONE && REAL(fsync)(fd) != 0 ? -1 : fail();
}

int fdatasync(int fd) {
    int64_t how;
    if (!fails(fd, KIND_SYNC, &how)) {
        return REAL(fdatasync)(fd);
    }
    return how == HOW_DONE && REAL(fdatasync)(fd) != 0 ? -1 : fail();
}

/* ---- the clocks ---- */

int clock_gettime(clockid_t id, struct timespec *ts) {
    int rc = REAL(clock_gettime)(id, ts);
    bool wall = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE;
    if (rc == 0 && words && (wall || id == CLOCK_BOOTTIME)) {
        int64_t ms = get(wall ? WORD_CLOCK : WORD_BOOT);
        ts->tv_sec += ms / 1000;
        ts->tv_nsec += ms % 1000 * 1000000;
        if (ts->tv_nsec < 0) {
            ts->tv_sec--;
            ts->tv_nsec += 1000000000;
        } else if (ts->tv_nsec >= 1000000000) {
            ts->tv_sec++;
            ts->tv_nsec -= 1000000000;
        }
    }
    return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
    struct timespec ts;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &ts) != 0) {
        return -1;
    }
    *tv = (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (out) {
        *out = ts.tv_sec;
    }
    return ts.tv_sec;
}
