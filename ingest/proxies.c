/* SPDX-License-Identifier: MIT
 * proxies.c: see proxies.h. A header line that stands there several times is one list, in that
 * order (RFC 9110, section 5.3), so the last line is read first. */
#include "ingest/proxies.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { V4_BITS = 96, ALL_BITS = 128 };

struct network {
    struct cb_address address;
    unsigned bits; /* of the address that count */
};

struct cb_proxies {
    unsigned n;
    struct network networks[];
};

static const uint8_t v4_prefix[V4_BITS / 8] = {[10] = 0xff, [11] = 0xff};

int cb_address_parse(struct cb_str text, struct cb_address *out) {
    char copy[INET6_ADDRSTRLEN];
    struct cb_address address;
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.p, '\0', text.len))
        return CB_EMALFORMED;
    memcpy(copy, text.p, text.len);
    copy[text.len] = '\0';
    memcpy(address.bytes, v4_prefix, sizeof v4_prefix);
    if (inet_pton(AF_INET, copy, address.bytes + sizeof v4_prefix) != 1 &&
        inet_pton(AF_INET6, copy, address.bytes) != 1)
        return CB_EMALFORMED;
    *out = address;
    return 0;
}

/* ---- the option ---- */

/* ADDRESS or ADDRESS/BITS. */
static int network_parse(struct cb_str text, struct network *out) {
    const char *slash = memchr(text.p, '/', text.len);
    struct cb_str head = {text.p, slash ? (size_t)(slash - text.p) : text.len};
    if (cb_address_parse(head, &out->address))
        return CB_EINVAL;
    bool v4 = memchr(head.p, ':', head.len) == NULL;
    unsigned most = v4 ? ALL_BITS - V4_BITS : ALL_BITS, bits = 0;
    if (!slash) {
        bits = most;
    } else {
        const char *end = text.p + text.len;
        if (slash + 1 == end || end - slash > 4)
            return CB_EINVAL;
        for (const char *p = slash + 1; p < end; p++) {
            if (*p < '0' || *p > '9')
                return CB_EINVAL;
            bits = 10 * bits + (unsigned)(*p - '0');
        }
        if (bits > most)
            return CB_EINVAL;
    }
    out->bits = v4 ? V4_BITS + bits : bits;
    return 0;
}

/* Takes the next item of the option; false at the end. */
static bool next_item(const char **list, struct cb_str *out) {
    const char *p = *list + strspn(*list, ", \t");
    out->p = p;
    out->len = strcspn(p, ", \t");
    *list = p + out->len;
    return out->len > 0;
}

int cb_proxies_create(const char *list, struct cb_proxies **out, char **sentence) {
    struct cb_str item;
    unsigned n = 0;
    *sentence = NULL;
    for (const char *at = list; next_item(&at, &item);)
        n++;
    struct cb_proxies *p = calloc(1, sizeof *p + n * sizeof p->networks[0]);
    if (!p)
        return CB_ENOMEM;
    for (const char *at = list; next_item(&at, &item); p->n++) {
        if (network_parse(item, &p->networks[p->n]) == 0)
            continue;
        if (asprintf(sentence, "--proxies: \"%.*s\" is no address and no ADDRESS/BITS",
                     (int)item.len, item.p) < 0)
            *sentence = NULL;
        free(p);
        return CB_EINVAL;
    }
    *out = p;
    return 0;
}

void cb_proxies_destroy(struct cb_proxies **proxies) {
    free(*proxies);
    *proxies = NULL;
}

/* ---- a request ---- */

static bool within(const struct network *network, const struct cb_address *address) {
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    if (memcmp(network->address.bytes, address->bytes, whole) != 0)
        return false;
    unsigned differ = rest ? network->address.bytes[whole] ^ address->bytes[whole] : 0;
    return differ >> (8 - rest) == 0;
}

static bool is_proxy(const struct cb_proxies *proxies, const struct cb_address *address) {
    for (unsigned i = 0; i < proxies->n; i++)
        if (within(&proxies->networks[i], address))
            return true;
    return false;
}

static struct cb_str trimmed(const char *begin, const char *end) {
    while (begin < end && (*begin == ' ' || *begin == '\t'))
        begin++;
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (struct cb_str){begin, (size_t)(end - begin)};
}

/* A hop as proxies write it: an address, also in brackets, also with a port. */
static int hop_parse(struct cb_str text, struct cb_address *out) {
    const char *end = text.p + text.len;
    if (text.p[0] == '[') {
        const char *bracket = memchr(text.p, ']', text.len);
        if (!bracket || (bracket + 1 < end && bracket[1] != ':'))
            return CB_EMALFORMED;
        return cb_address_parse((struct cb_str){text.p + 1, (size_t)(bracket - text.p - 1)}, out);
    }
    const char *colon = memchr(text.p, ':', text.len);
    if (colon && !memchr(colon + 1, ':', (size_t)(end - colon - 1)))
        text.len = (size_t)(colon - text.p); /* one colon: IPv4 and a port */
    return cb_address_parse(text, out);
}

/* Walks one header line from its right end. True when the client is found: *client is it. */
static bool walk(const struct cb_proxies *proxies, struct cb_str line, struct cb_address *client) {
    const char *end = line.p + line.len;
    while (end > line.p) {
        const char *comma = memrchr(line.p, ',', (size_t)(end - line.p));
        struct cb_str hop = trimmed(comma ? comma + 1 : line.p, end);
        end = comma ? comma : line.p;
        if (hop.len == 0)
            continue; /* an empty element counts for nothing (RFC 9110, section 5.6.1) */
        if (hop_parse(hop, client) || !is_proxy(proxies, client))
            return true;
    }
    return false;
}

void cb_proxies_client(const struct cb_proxies *proxies, const struct cb_http_req *req,
                       struct cb_address *out) {
    memset(out, 0, sizeof *out);
    if (cb_address_parse(cb_str_of(req->peer), out) || !is_proxy(proxies, out))
        return;
    for (unsigned i = req->n_headers; i > 0; i--) {
        const struct cb_http_header *h = &req->headers[i - 1];
        static const char name[] = "x-forwarded-for";
        if (h->name.len == sizeof name - 1 && strncasecmp(h->name.p, name, h->name.len) == 0 &&
            walk(proxies, h->value, out))
            return;
    }
}
