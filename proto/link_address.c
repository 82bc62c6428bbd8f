/* SPDX-License-Identifier: MIT
 * link_address.c: reads the addresses of the channels, and clears the way for a bind. */
#include "proto/link_address.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/log.h"

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) >= CB_LINK_URL_MAX,
               "a path that fits an address of ours fits a socket's");

enum {
    HOST_MAX = 80,
    PORT_LAST = 65535,
};

static const char INPROC[] = "inproc://";
static const char IPC[] = "ipc://";
static const char TCP[] = "tcp://";

/* ---- reading ---- */

static const char *after(const char *text, const char *prefix) {
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* Printable ASCII without spaces: what may stand in a log line as it is. */
static bool is_plain(const char *text) {
    for (; *text; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

static int three(struct cb_link_url *out, const char *scheme, int len, const char *place) {
    int most = 0;
    int n = snprintf(out->frames, sizeof(out->frames), "%s%.*s/frames", scheme, len, place);
    most = n > most ? n : most;
    n = snprintf(out->acks, sizeof(out->acks), "%s%.*s/acks", scheme, len, place);
    most = n > most ? n : most;
    n = snprintf(out->asks, sizeof(out->asks), "%s%.*s/asks", scheme, len, place);
    most = n > most ? n : most;
    return most < CB_LINK_URL_MAX ? 0 : CB_EINVAL;
}

/* Splits HOST:PORT at its last colon. */
static int split_tcp(const char *place, char host[HOST_MAX], unsigned *port) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ".-_*[]:";
    const char *colon = strrchr(place, ':');
    if (!colon || colon == place || (size_t)(colon - place) >= HOST_MAX) {
        return CB_EINVAL;
    }
    memcpy(host, place, (size_t)(colon - place));
    host[colon - place] = '\0';
    bool bracketed = host[0] == '[' && strlen(host) > 2 && host[strlen(host) - 1] == ']';
    if (strspn(host, allowed) != strlen(host) || (strpbrk(host, "[]:") && !bracketed)) {
        return CB_EINVAL;
    }
    size_t digits = strspn(colon + 1, "0123456789");
    if (digits == 0 || digits > 5 || colon[1 + digits] != '\0') {
        return CB_EINVAL;
    }
    *port = (unsigned)strtoul(colon + 1, NULL, 10);
    return *port >= 1 && *port <= PORT_LAST ? 0 : CB_EINVAL;
}

static int three_tcp(struct cb_link_url *out, const char *place) {
    char host[HOST_MAX];
    unsigned port;
    if (split_tcp(place, host, &port) || port + 2 > PORT_LAST) {
        return CB_EINVAL;
    }
    (void)snprintf(out->frames, sizeof(out->frames), "%s%s:%u", TCP, host, port);
    (void)snprintf(out->acks, sizeof(out->acks), "%s%s:%u", TCP, host, port + 1);
    (void)snprintf(out->asks, sizeof(out->asks), "%s%s:%u", TCP, host, port + 2);
    return 0;
}

int cb_link_url_parse(const char *url, struct cb_link_url *out) {
    if (!url || !is_plain(url) || strlen(url) >= CB_LINK_URL_MAX) {
        return CB_EINVAL;
    }
    struct cb_link_url parsed;
    memset(&parsed, 0, sizeof(parsed));
    const char *place;
    int rc = CB_EINVAL;
    if ((place = after(url, INPROC)) || (place = after(url, IPC))) {
        size_t len = strlen(place);
        while (len > 0 && place[len - 1] == '/') {
            len--;
        }
        if (len > 0) {
            rc = three(&parsed, after(url, IPC) ? IPC : INPROC, (int)len, place);
        }
    } else if ((place = after(url, TCP))) {
        rc = three_tcp(&parsed, place);
    }
    if (rc == 0) {
        *out = parsed;
    }
    return rc;
}

int cb_link_url_control(const char *url, struct cb_link_url *out) {
    static const char frames[] = "/frames", control[] = "/control";
    struct cb_link_url parsed;
    int rc = url && after(url, TCP) ? CB_EINVAL : cb_link_url_parse(url, &parsed);
    if (rc) {
        return rc;
    }
    size_t len = strlen(parsed.frames) - (sizeof(frames) - 1);
    if (len + sizeof(control) > sizeof(parsed.frames)) {
        return CB_EINVAL;
    }
    memcpy(parsed.frames + len, control, sizeof(control));
    *out = parsed;
    return 0;
}

bool cb_link_address_is_ipv6(const char *url) {
    const char *place = after(url, TCP);
    return place && place[0] == '[';
}

/* ---- clearing the way ---- */

static int failed(const char *url, int code, const char *reason) {
    char quoted[200];
    cb_log(CB_LOG_ERROR, "link_bind_failed", "address=%s reason=%s", url,
           cb_log_quote(reason, quoted, sizeof(quoted)));
    return code;
}

/* Whoever can put a file into the folder can pose as the store, and whoever can reach its sockets
 * can abort it: so the folder is ours alone. A folder that is open to others is refused rather than
 * closed, since it may be somebody's home. */
static int prepare_folder(const char *url, const char *path) {
    char folder[CB_LINK_URL_MAX];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return failed(url, CB_ESYS, strerror(errno));
    }
    struct stat st;
    if (lstat(folder, &st) != 0) {
        return failed(url, CB_ESYS, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        return failed(url, CB_ESYS, "its folder is not a directory");
    }
    if (st.st_uid != geteuid()) {
        return failed(url, CB_ESYS, "its folder belongs to another user");
    }
    if (st.st_mode & 077) {
        return failed(url, CB_ESYS, "its folder is open to other users; it must have mode 0700");
    }
    return 0;
}

/* A socket file that refuses a connection is left over from a store that is gone. */
static int clear_socket(const char *url, const char *path) {
    struct stat st;
    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? 0 : failed(url, CB_ESYS, strerror(errno));
    }
    if (!S_ISSOCK(st.st_mode)) {
        return failed(url, CB_ESYS, "a file that is no socket is in its place");
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return failed(url, CB_ESYS, strerror(errno));
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int rc = connect(fd, (struct sockaddr *)&address, sizeof(address));
    int error = rc == 0 ? 0 : errno;
    close(fd);
    if (error == 0 || error == EAGAIN) {
        return failed(url, CB_EBUSY, "another store is there");
    }
    if (error != ECONNREFUSED && error != ENOENT) {
        return failed(url, CB_ESYS, strerror(error));
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return failed(url, CB_ESYS, strerror(errno));
    }
    return 0;
}

/* Binds and closes again, under the same options as nanomsg will. */
static int try_port(const char *url, const struct addrinfo *address) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return failed(url, CB_ESYS, strerror(errno));
    }
    int on = 1, rc = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0) {
        rc = failed(url, errno == EADDRINUSE ? CB_EBUSY : CB_ESYS, strerror(errno));
    }
    close(fd);
    return rc;
}

static int prepare_tcp(const char *url, const char *place, char out[CB_LINK_URL_MAX]) {
    char host[HOST_MAX], service[8], number[HOST_MAX];
    unsigned port;
    if (split_tcp(place, host, &port)) {
        return failed(url, CB_EINVAL, "it is not HOST:PORT");
    }
    char *name = host;
    bool ipv6 = host[0] == '[';
    if (ipv6) {
        host[strlen(host) - 1] = '\0';
        name = host + 1;
    }
    struct addrinfo hints = {.ai_family = ipv6 ? AF_INET6 : AF_INET,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    (void)snprintf(service, sizeof(service), "%u", port);
    int rc = getaddrinfo(strcmp(name, "*") == 0 ? NULL : name, service, &hints, &list);
    if (rc == 0) {
        rc = getnameinfo(list->ai_addr, list->ai_addrlen, number, sizeof(number), NULL, 0,
                         NI_NUMERICHOST);
    }
    if (rc != 0) {
        rc = failed(url, CB_EINVAL, gai_strerror(rc));
    } else {
        rc = try_port(url, list);
        int n =
            snprintf(out, CB_LINK_URL_MAX, ipv6 ? "tcp://[%s]:%u" : "tcp://%s:%u", number, port);
        if (rc == 0 && n >= CB_LINK_URL_MAX) {
            rc = failed(url, CB_EINVAL, "its host is too long");
        }
    }
    if (list) {
        freeaddrinfo(list);
    }
    return rc;
}

int cb_link_address_prepare(const char *url, char out[CB_LINK_URL_MAX]) {
    const char *place = after(url, TCP);
    if (place) {
        return prepare_tcp(url, place, out);
    }
    (void)snprintf(out, CB_LINK_URL_MAX, "%s", url);
    place = after(url, IPC);
    if (!place) {
        return 0;
    }
    if (!strrchr(place, '/')) {
        return failed(url, CB_EINVAL, "it names no folder");
    }
    int rc = prepare_folder(url, place);
    return rc ? rc : clear_socket(url, place);
}
