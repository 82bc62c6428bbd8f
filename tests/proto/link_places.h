/* SPDX-License-Identifier: MIT
 * link_places.h: an address of each transport for a test, and waiting with a deadline. */
#ifndef CB_TESTS_PROTO_LINK_PLACES_H
#define CB_TESTS_PROTO_LINK_PLACES_H

#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/link.h"

enum place_transport { PLACE_INPROC, PLACE_IPC, PLACE_TCP };

struct place {
    struct cb_link_url url;
    char folder[64]; /* ipc: the socket folder */
};

static inline bool place_port_is_free(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_free = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return is_free;
}

/* Three free ports in a row, below those that the kernel gives to connections. */
static inline unsigned place_ports(void) {
    static unsigned next;
    if (next == 0) {
        next = 16000 + (unsigned)getpid() % 4000 * 4;
    }
    for (int tries = 0; tries < 1000; tries++) {
        unsigned port = next;
        next = next + 3 < 32000 ? next + 3 : 16000;
        if (place_port_is_free(port) && place_port_is_free(port + 1) &&
            place_port_is_free(port + 2)) {
            return port;
        }
    }
    return 0;
}

static inline bool place_make(enum place_transport transport, struct place *out) {
    static unsigned count;
    char url[CB_LINK_URL_MAX];
    memset(out, 0, sizeof(*out));
    switch (transport) {
    case PLACE_INPROC:
        (void)snprintf(url, sizeof(url), "inproc://place-%u", ++count);
        break;
    case PLACE_IPC:
        (void)snprintf(out->folder, sizeof(out->folder), "/tmp/cb-link-XXXXXX");
        if (!mkdtemp(out->folder)) {
            return false;
        }
        (void)snprintf(url, sizeof(url), "ipc://%s", out->folder);
        break;
    case PLACE_TCP:
        (void)snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", place_ports());
        break;
    }
    return cb_link_url_parse(url, &out->url) == 0;
}

static inline void place_remove(struct place *place) {
    if (place->folder[0]) {
        static const char *const names[] = {"frames", "acks", "asks"};
        for (size_t i = 0; i < 3; i++) {
            char path[96];
            (void)snprintf(path, sizeof(path), "%s/%s", place->folder, names[i]);
            (void)unlink(path);
        }
        (void)rmdir(place->folder);
    }
}

/* Whether fd becomes readable within ms. */
static inline bool place_readable(int fd, int ms) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return poll(&pollfd, 1, ms) == 1;
}

#endif
