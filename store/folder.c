/* SPDX-License-Identifier: MIT */
#include "store/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/token.h"

enum { PATH_BYTES = 4096 };

__attribute__((format(printf, 3, 4))) static int fail(int code, char **sentence, const char *format,
                                                      ...) {
    va_list args;
    va_start(args, format);
    if (vasprintf(sentence, format, args) < 0) {
        *sentence = NULL;
    }
    va_end(args);
    return code;
}

static int path_of(char *out, const char *data_dir, const char *name) {
    return snprintf(out, PATH_BYTES, "%s/%s", data_dir, name) < PATH_BYTES ? 0 : CB_EINVAL;
}

int cb_folder_sync(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return CB_ESYS;
    }
    int rc = fsync(fd) == 0 ? 0 : CB_EIO;
    close(fd);
    return rc;
}

int cb_folder_write_file(const char *data_dir, const char *name, const char *text) {
    char path[PATH_BYTES], fresh[PATH_BYTES + 4];
    int rc = path_of(path, data_dir, name);
    if (rc != 0) {
        return rc;
    }
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return CB_ESYS;
    }
    size_t len = strlen(text);
    bool written = fchmod(fd, 0600) == 0 && write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    if (close(fd) != 0 || !written || rename(fresh, path) != 0) {
        unlink(fresh);
        return CB_EIO;
    }
    return cb_folder_sync(data_dir);
}

static int make_folder(const char *data_dir, char **sentence) {
    if (mkdir(data_dir, 0700) != 0 && errno != EEXIST) {
        return fail(CB_ESYS, sentence, "--data: cannot make the folder %s: %s", data_dir,
                    strerror(errno));
    }
    struct stat stat_of;
    if (stat(data_dir, &stat_of) != 0 || !S_ISDIR(stat_of.st_mode)) {
        return fail(CB_ESYS, sentence, "--data: %s is not a folder", data_dir);
    }
    if (access(data_dir, R_OK | W_OK | X_OK) != 0) {
        return fail(CB_ESYS, sentence, "--data: cannot write to the folder %s: %s", data_dir,
                    strerror(errno));
    }
    char copy[PATH_BYTES];
    if (path_of(copy, data_dir, ".") != 0) {
        return fail(CB_EINVAL, sentence, "--data: the path is too long");
    }
    snprintf(copy, sizeof(copy), "%s", data_dir);
    if (cb_folder_sync(data_dir) != 0 || cb_folder_sync(dirname(copy)) != 0) {
        return fail(CB_EIO, sentence, "--data: cannot sync the folder %s: %s", data_dir,
                    strerror(errno));
    }
    return 0;
}

static int take_lock(const char *data_dir, int *lock_fd, char **sentence) {
    char path[PATH_BYTES];
    int rc = path_of(path, data_dir, "lock");
    if (rc != 0) {
        return fail(rc, sentence, "--data: the path is too long");
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return fail(CB_ESYS, sentence, "--data: cannot write to the folder %s: %s", data_dir,
                    strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        rc = fail(CB_EBUSY, sentence, "--data: another chatbeacon holds the folder %s", data_dir);
        close(fd);
        return rc;
    }
    *lock_fd = fd;
    return 0;
}

int cb_folder_hold(const char *data_dir, bool alone, int *fd) {
    char path[PATH_BYTES];
    int rc = path_of(path, data_dir, "format");
    if (rc != 0) {
        return rc;
    }
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) {
        return errno == ENOENT ? CB_ENOENT : CB_ESYS;
    }
    int locked;
    do {
        locked = flock(*fd, alone ? LOCK_EX | LOCK_NB : LOCK_SH);
    } while (locked != 0 && errno == EINTR);
    if (locked != 0) {
        rc = errno == EWOULDBLOCK ? CB_EBUSY : CB_ESYS;
        close(*fd);
    }
    return rc;
}

int cb_folder_write_format(const char *data_dir) {
    char text[16];
    snprintf(text, sizeof(text), "%d\n", CB_FORMAT_VERSION);
    return cb_folder_write_file(data_dir, "format", text);
}

int cb_folder_check_format(const char *data_dir, const char *option, char **sentence) {
    char path[PATH_BYTES];
    if (path_of(path, data_dir, "format") != 0) {
        return fail(CB_EINVAL, sentence, "%s: the path is too long", option);
    }
    FILE *file = fopen(path, "re");
    char line[32] = "";
    bool read = file && fgets(line, sizeof(line), file);
    if (file) {
        fclose(file);
    }
    char *end;
    long version = strtol(line, &end, 10);
    if (!read || end == line || (*end != '\n' && *end != '\0') || version < 1) {
        return fail(CB_ECORRUPT, sentence, "%s: %s does not hold a format version", option, path);
    }
    if (version > CB_FORMAT_VERSION) {
        return fail(
            CB_EVERSION, sentence,
            "%s: %s was written by a newer chatbeacon (format %ld, this one knows up to %d)",
            option, data_dir, version, CB_FORMAT_VERSION);
    }
    return 0;
}

/* Checks the version of a folder that has one, and gives one to a fresh folder. */
static int check_or_write_format(const char *data_dir, char **sentence) {
    char path[PATH_BYTES];
    int rc = path_of(path, data_dir, "format");
    if (rc != 0) {
        return fail(rc, sentence, "--data: the path is too long");
    }
    if (access(path, F_OK) == 0 || errno != ENOENT) {
        return cb_folder_check_format(data_dir, "--data", sentence);
    }
    /* A first start writes the version before it makes anything else; a copy writes it last. */
    char journal[PATH_BYTES];
    rc = path_of(journal, data_dir, "journal");
    if (rc == 0 && access(journal, F_OK) == 0) {
        return fail(CB_ECORRUPT, sentence,
                    "--data: %s is an unfinished copy: it has no format file", data_dir);
    }
    rc = cb_folder_write_format(data_dir);
    return rc == 0 ? 0 : fail(rc, sentence, "--data: cannot write %s", path);
}

int cb_folder_open(const char *data_dir, int *lock_fd, char **sentence) {
    int rc = make_folder(data_dir, sentence);
    if (rc == 0) {
        rc = take_lock(data_dir, lock_fd, sentence);
    }
    if (rc == 0) {
        rc = check_or_write_format(data_dir, sentence);
        if (rc != 0) {
            close(*lock_fd);
        }
    }
    return rc;
}

int cb_folder_make_token(const char *data_dir, uint8_t hash[CB_TOKEN_HASH_BYTES], char **sentence) {
    char text[CB_SECRET_BYTES + 1];
    cb_token_text(text);
    cb_token_hash(cb_str_of(text), hash);
    size_t len = strlen(text);
    text[len] = '\n';
    text[len + 1] = '\0';
    int rc = cb_folder_write_file(data_dir, "admin-token", text);
    sodium_memzero(text, sizeof(text));
    return rc == 0 ? 0 : fail(rc, sentence, "--data: cannot write %s/admin-token", data_dir);
}
