/* SPDX-License-Identifier: MIT
 * shim.c: the recorder, loaded by LD_PRELOAD: what the process does to files below a folder is
 * done, and noted in the log (log.h).
 *
 * An entry is one writev to a descriptor with O_APPEND, so threads and forked children may share
 * the log, and the order of its entries is one that the disk could have seen: a write is noted
 * before it is done, a sync after it returned. What is not recorded (writes through a shared map,
 * but for LMDB's lock file; links; copies in the kernel) is noted as unknown rather than missed. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/power/log.h"

enum { PATH_BYTES = 4096, PARTS_MAX = 1024 };

/* The function behind the one that stands here. */
#define REAL(name) ((__typeof__(&(name)))real(#name))

static int log_fd = -1;
static char root[PATH_BYTES];
static size_t root_len;

/* Held over an entry and what it notes: a process that ends in one thread must not cut short what
 * another one writes, here or in the log. */
static pthread_mutex_t entry_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        _exit(70);
    }
    return found;
}

static void put(const struct power_entry *entry, const char *name, const struct iovec *data,
                int n_data) {
    struct iovec parts[PARTS_MAX + 2] = {{(void *)(uintptr_t)entry, sizeof(*entry)},
                                         {(void *)(uintptr_t)name, entry->name_bytes}};
    size_t bytes = sizeof(*entry) + entry->name_bytes + (size_t)entry->data_bytes;
    if (n_data > PARTS_MAX - 2) {
        _exit(71);
    }
    for (int i = 0; i < n_data; i++) {
        parts[2 + i] = data[i];
    }
    pthread_mutex_lock(&entry_lock);
    ssize_t done = REAL(writev)(log_fd, parts, 2 + n_data);
    pthread_mutex_unlock(&entry_lock);
    if (done != (ssize_t)bytes) {
        _exit(72); /* a log with a hole would prove nothing */
    }
}

static void put_name(enum power_kind kind, uint64_t ino, uint64_t parent, const char *name,
                     size_t len) {
    struct power_entry entry = {
        .kind = kind, .ino = ino, .parent = parent, .name_bytes = (uint32_t)len};
    put(&entry, name, NULL, 0);
}

static void put_unknown(const char *call) {
    put_name(POWER_UNKNOWN, 0, 0, call, strlen(call));
}

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv(POWER_LOG_ENV), *folder = getenv(POWER_ROOT_ENV);
    struct stat st;
    if (!log || !folder) {
        return;
    }
    if (!realpath(folder, root) || stat(root, &st) != 0) {
        _exit(73);
    }
    root_len = strlen(root);
    log_fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) {
        _exit(74);
    }
    if (lseek(log_fd, 0, SEEK_END) == 0) {
        put_name(POWER_ROOT, (uint64_t)st.st_ino, 0, "", 0);
    }
}

void cb_power_note(enum power_kind kind, uint64_t position, const void *data, size_t len) {
    struct power_entry entry = {.kind = kind, .offset = position, .data_bytes = len};
    struct iovec part = {(void *)(uintptr_t)data, len};
    if (log_fd >= 0) {
        put(&entry, "", &part, len > 0 ? 1 : 0);
    }
}

static bool below_root(const char *path) {
    return log_fd >= 0 && strncmp(path, root, root_len) == 0 &&
           (path[root_len] == '/' || path[root_len] == '\0');
}

/* Whether fd is a file or folder below the root, and which. */
static bool recorded(int fd, uint64_t *ino) {
    int before = errno;
    char link[64], path[PATH_BYTES];
    struct stat st;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = log_fd >= 0 ? readlink(link, path, sizeof(path) - 1) : -1;
    bool yes = false;
    if (len > 0) {
        path[len] = '\0';
        yes = below_root(path) && fstat(fd, &st) == 0;
    }
    if (yes) {
        *ino = (uint64_t)st.st_ino;
    }
    errno = before;
    return yes;
}

/* The folder that path stands in, when that is the root or below it; *name is its last part. */
static bool parent_of(const char *path, uint64_t *parent, const char **name) {
    int before = errno;
    char folder[PATH_BYTES], whole[PATH_BYTES];
    struct stat st;
    const char *slash = strrchr(path, '/');
    bool yes = false;
    *name = slash ? slash + 1 : path;
    if (log_fd >= 0 && strlen(path) < sizeof(folder)) {
        snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path + 1) : 1,
                 slash ? path : ".");
        yes = realpath(folder, whole) && below_root(whole) && stat(whole, &st) == 0;
    }
    if (yes) {
        *parent = (uint64_t)st.st_ino;
    }
    errno = before;
    return yes;
}

static int open_recorded(int folder, const char *path, int flags, mode_t mode) {
    uint64_t parent = 0, ino;
    const char *name;
    struct stat st;
    bool below = parent_of(path, &parent, &name);
    bool fresh = below && (flags & O_CREAT) && lstat(path, &st) != 0;
    int fd = REAL(openat)(folder, path, flags, mode);
    if (fd < 0 || !recorded(fd, &ino)) {
        return fd;
    }
    if (folder != AT_FDCWD && path[0] != '/' && (flags & (O_CREAT | O_TRUNC))) {
        put_unknown("openat of a relative path");
    }
    if (fresh) {
        put_name(POWER_CREATE, ino, parent, name, strlen(name));
    } else if ((flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY) {
        struct power_entry entry = {.kind = POWER_TRUNCATE, .ino = ino};
        put(&entry, "", NULL, 0);
    }
    return fd;
}

#define OPEN_MODE(flags)                                                                           \
    mode_t mode = 0;                                                                               \
    if (((flags)&O_CREAT) || ((flags)&O_TMPFILE) == O_TMPFILE) {                                   \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode = va_arg(args, mode_t);                                                               \
        va_end(args);                                                                              \
    }

int open(const char *path, int flags, ...) {
    OPEN_MODE(flags)
    return open_recorded(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    OPEN_MODE(flags)
    return open_recorded(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    OPEN_MODE(flags)
    return open_recorded(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    OPEN_MODE(flags)
    return open_recorded(folder, path, flags, mode);
}

int creat(const char *path, mode_t mode) {
    return open_recorded(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

void _exit(int status) {
    pthread_mutex_lock(&entry_lock);
    REAL(_exit)(status);
    __builtin_unreachable();
}

/* Writes at offset, or where the descriptor stands when that is -1. */
static ssize_t write_recorded(int fd, const struct iovec *parts, int n, off_t offset) {
    uint64_t ino;
    if (!recorded(fd, &ino)) {
        return offset < 0 ? REAL(writev)(fd, parts, n) : REAL(pwritev)(fd, parts, n, offset);
    }
    int flags = fcntl(fd, F_GETFL);
    off_t at = offset >= 0 ? offset : lseek(fd, 0, (flags & O_APPEND) ? SEEK_END : SEEK_CUR);
    uint64_t bytes = 0;
    for (int i = 0; i < n; i++) {
        bytes += parts[i].iov_len;
    }
    bool dsync = (flags & (O_DSYNC | O_SYNC)) != 0;
    struct power_entry entry = {.kind = dsync ? POWER_WRITE_DSYNC : POWER_WRITE,
                                .ino = ino,
                                .offset = (uint64_t)at,
                                .data_bytes = bytes};
    pthread_mutex_lock(&entry_lock);
    put(&entry, "", parts, n);
    ssize_t done = offset < 0 ? REAL(writev)(fd, parts, n) : REAL(pwritev)(fd, parts, n, offset);
    pthread_mutex_unlock(&entry_lock);
    if (done != (ssize_t)bytes) {
        put_unknown("a write that was cut short");
    }
    if (dsync) {
        put_name(POWER_DSYNCED, ino, 0, "", 0);
    }
    return done;
}

ssize_t write(int fd, const void *data, size_t len) {
    struct iovec part = {(void *)(uintptr_t)data, len};
    return write_recorded(fd, &part, 1, -1);
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    return write_recorded(fd, parts, n, -1);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset) {
    struct iovec part = {(void *)(uintptr_t)data, len};
    return write_recorded(fd, &part, 1, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset) {
    struct iovec part = {(void *)(uintptr_t)data, len};
    return write_recorded(fd, &part, 1, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset) {
    return write_recorded(fd, parts, n, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int n, off_t offset) {
    return write_recorded(fd, parts, n, offset);
}

static int truncate_recorded(int fd, off_t size) {
    uint64_t ino;
    int rc = REAL(ftruncate)(fd, size);
    if (rc == 0 && recorded(fd, &ino)) {
        struct power_entry entry = {.kind = POWER_TRUNCATE, .ino = ino, .offset = (uint64_t)size};
        put(&entry, "", NULL, 0);
    }
    return rc;
}

int ftruncate(int fd, off_t size) {
    return truncate_recorded(fd, size);
}

int ftruncate64(int fd, off_t size) {
    return truncate_recorded(fd, size);
}

/* What was allocated reads as zeros: only the size may be new. */
static int allocate_recorded(int fd, int rc) {
    uint64_t ino;
    struct stat st;
    if (rc == 0 && recorded(fd, &ino) && fstat(fd, &st) == 0) {
        struct power_entry entry = {
            .kind = POWER_TRUNCATE, .ino = ino, .offset = (uint64_t)st.st_size};
        put(&entry, "", NULL, 0);
    }
    return rc;
}

int posix_fallocate(int fd, off_t offset, off_t len) {
    return allocate_recorded(fd, REAL(posix_fallocate)(fd, offset, len));
}

int posix_fallocate64(int fd, off64_t offset, off64_t len) {
    return allocate_recorded(fd, REAL(posix_fallocate64)(fd, offset, len));
}

static int sync_recorded(int fd, int rc) {
    uint64_t ino;
    if (rc == 0 && recorded(fd, &ino)) {
        put_name(POWER_SYNC, ino, 0, "", 0);
    }
    return rc;
}

int fsync(int fd) {
    return sync_recorded(fd, REAL(fsync)(fd));
}

int fdatasync(int fd) {
    return sync_recorded(fd, REAL(fdatasync)(fd));
}

int mkdir(const char *path, mode_t mode) {
    uint64_t parent;
    const char *name;
    struct stat st;
    int rc = REAL(mkdir)(path, mode);
    if (rc == 0 && parent_of(path, &parent, &name) && stat(path, &st) == 0) {
        put_name(POWER_MKDIR, (uint64_t)st.st_ino, parent, name, strlen(name));
    }
    return rc;
}

int rename(const char *from, const char *to) {
    uint64_t from_parent, to_parent;
    const char *from_name, *to_name;
    bool from_in = parent_of(from, &from_parent, &from_name);
    bool to_in = parent_of(to, &to_parent, &to_name);
    int rc = REAL(rename)(from, to);
    if (rc == 0 && from_in && to_in) {
        char names[2 * PATH_BYTES];
        int len = snprintf(names, sizeof(names), "%s%c%s", from_name, 0, to_name);
        put_name(POWER_RENAME, from_parent, to_parent, names, (size_t)len);
    } else if (rc == 0 && (from_in || to_in)) {
        put_unknown("rename across the root");
    }
    return rc;
}

static int unlink_recorded(const char *path, int rc) {
    uint64_t parent;
    const char *name;
    if (rc == 0 && parent_of(path, &parent, &name)) {
        put_name(POWER_UNLINK, 0, parent, name, strlen(name));
    }
    return rc;
}

int unlink(const char *path) {
    return unlink_recorded(path, REAL(unlink)(path));
}

int rmdir(const char *path) {
    return unlink_recorded(path, REAL(rmdir)(path));
}

int remove(const char *path) {
    return unlink_recorded(path, REAL(remove)(path));
}

/* ---- what cannot be recorded ---- */

static void refuse(int fd, const char *call) {
    uint64_t ino;
    if (recorded(fd, &ino)) {
        put_unknown(call);
    }
}

static void *map_recorded(void *at, size_t len, int protection, int flags, int fd, off_t offset) {
    char link[64], path[PATH_BYTES];
    if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE)) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, path, sizeof(path) - 1);
        path[n > 0 ? n : 0] = '\0';
        const char *name = strrchr(path, '/');
        /* The lock file's content means nothing after a crash: images fill it with noise. */
        if (!name || strcmp(name, "/lock.mdb") != 0) {
            refuse(fd, "mmap to write");
        }
    }
    return REAL(mmap)(at, len, protection, flags, fd, offset);
}

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset) {
    return map_recorded(at, len, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset) {
    return map_recorded(at, len, protection, flags, fd, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t len) {
    refuse(fd, "fallocate");
    return REAL(fallocate)(fd, mode, offset, len);
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t len,
                        unsigned flags) {
    refuse(out, "copy_file_range");
    return REAL(copy_file_range)(in, in_at, out, out_at, len, flags);
}

int truncate(const char *path, off_t size) {
    uint64_t parent;
    const char *name;
    if (parent_of(path, &parent, &name)) {
        put_unknown("truncate");
    }
    return REAL(truncate)(path, size);
}

int link(const char *from, const char *to) {
    uint64_t parent;
    const char *name;
    if (parent_of(to, &parent, &name)) {
        put_unknown("link");
    }
    return REAL(link)(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    uint64_t parent;
    const char *name;
    if (parent_of(from, &parent, &name) || parent_of(to, &parent, &name)) {
        put_unknown("renameat");
    }
    return REAL(renameat)(from_folder, from, to_folder, to);
}
