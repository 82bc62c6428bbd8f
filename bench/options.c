/* SPDX-License-Identifier: MIT */
#include "bench/options.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/event.h"
#include "proto/opt.h"

enum kind { NUMBER, TEXT, SWITCH };

static const struct row {
    const char *name, *argument, *help;
    enum kind kind;
    int64_t least, most;
    size_t offset;
    const char *text;
    int64_t number;
} rows[] = {
#define ROW(field, name, argument, def, least, most, help)                                         \
    {name, argument, help, NUMBER, least, most, offsetof(struct cb_load_options, field), NULL, def},
    CB_LOAD_NUMBERS(ROW)
#undef ROW
#define ROW(field, name, argument, def, help)                                                      \
    {name, argument, help, TEXT, 0, 0, offsetof(struct cb_load_options, field), def, 0},
        CB_LOAD_TEXTS(ROW)
#undef ROW
#define ROW(field, name, help)                                                                     \
    {name, "", help, SWITCH, 0, 0, offsetof(struct cb_load_options, field), NULL, 0},
            CB_LOAD_SWITCHES(ROW)
#undef ROW
};

enum { N_ROWS = sizeof rows / sizeof *rows };

__attribute__((format(printf, 2, 3))) static int fail(char **sentence, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (vasprintf(sentence, format, args) < 0)
        *sentence = NULL;
    va_end(args);
    return CB_EINVAL;
}

static void put(struct cb_load_options *o, const struct row *row, const char *text,
                int64_t number) {
    char *field = (char *)o + row->offset;
    bool yes = true;
    if (row->kind == NUMBER)
        memcpy(field, &number, sizeof number);
    else if (row->kind == TEXT)
        memcpy(field, &text, sizeof text);
    else
        memcpy(field, &yes, sizeof yes);
}

static const struct row *row_of(const char *name, size_t len) {
    for (size_t i = 0; i < N_ROWS; i++)
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

static int assign(struct cb_load_options *o, const struct row *row, const char *text,
                  char **sentence) {
    long long number = 0;
    if (row->kind == NUMBER) {
        char *end;
        errno = 0;
        number = strtoll(text, &end, 10);
        if (errno || end == text || *end || number < row->least || number > row->most)
            return fail(sentence, "--%s: \"%s\" is not a whole number from %lld to %lld", row->name,
                        text, (long long)row->least, (long long)row->most);
    }
    put(o, row, text, number);
    return 0;
}

static int check(struct cb_load_options *o, bool rate, char **sentence) {
    if (cb_plan_mix_of(o->mix, &o->mix_of))
        return fail(sentence, "--mix: \"%s\" is not beacon, server, widget, dashboard or mixed",
                    o->mix);
    if (!cb_site_name_valid(cb_str_of(o->site)) || strlen(o->site) > CB_SITE_MAX - 5)
        return fail(sentence, "--site: \"%s\" is not a site's name of at most %d characters",
                    o->site, CB_SITE_MAX - 5);
    if (cb_dialect_of(o->as, &o->dialect))
        return fail(sentence, "--as: \"%s\" is not " CB_DIALECT_NAMES, o->as);
    if (strcmp(o->as, "chatbeacon") &&
        (*o->audit || (o->mix_of != CB_MIX_BEACON && o->mix_of != CB_MIX_SERVER)))
        return fail(sentence,
                    "--as %s: other systems take the mixes beacon and server, and have no audit",
                    o->as);
    if (o->closed && rate)
        return fail(sentence, "--closed and --rate: choose one");
    if (o->batch_visitors > o->batch)
        o->batch_visitors = o->batch;
    if (o->connections < o->threads)
        return fail(sentence, "--connections must not be less than --threads");
    if (*o->audit && !*o->token_file)
        return fail(sentence, "--audit needs --token-file");
    return 0;
}

int cb_load_options_parse(int argc, char **argv, struct cb_load_options *out, char **sentence) {
    struct cb_load_options o = {0};
    bool rate = false;
    *sentence = NULL;
    for (size_t i = 0; i < N_ROWS; i++)
        if (rows[i].kind != SWITCH)
            put(&o, &rows[i], rows[i].text, rows[i].number);
    for (int i = 0; i < argc; i++) {
        const char *name = argv[i];
        if (strncmp(name, "--", 2) != 0)
            return fail(sentence, "\"%s\" is not an option; options begin with --", name);
        name += 2;
        const char *equals = strchr(name, '=');
        size_t len = equals ? (size_t)(equals - name) : strlen(name);
        const struct row *row = row_of(name, len);
        if (!strcmp(name, "help")) {
            o.help = true;
            continue;
        }
        if (!row || (row->kind == SWITCH && equals))
            return fail(sentence, "there is no option \"%s\"; see --help", argv[i]);
        if (row->kind != SWITCH && !equals && i + 1 == argc)
            return fail(sentence, "--%s takes a value: %s", row->name, row->argument);
        const char *text = row->kind == SWITCH ? "" : equals ? equals + 1 : argv[++i];
        int rc = assign(&o, row, text, sentence);
        if (rc)
            return rc;
        rate = rate || !strcmp(row->name, "rate");
    }
    int rc = check(&o, rate, sentence);
    if (!rc)
        *out = o;
    return rc;
}

int cb_load_options_help(struct cb_buf *out) {
    int rc = 0;
    for (size_t i = 0; i < N_ROWS && !rc; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", rows[i].name, rows[i].argument);
        rc = cb_buf_printf(out, "  %-22s %s", left, rows[i].help);
        if (!rc && rows[i].kind == NUMBER)
            rc = cb_buf_printf(out, " [%lld]", (long long)rows[i].number);
        else if (!rc && rows[i].kind == TEXT && *rows[i].text)
            rc = cb_buf_printf(out, " [%s]", rows[i].text);
        if (!rc)
            rc = cb_buf_append(out, "\n", 1);
    }
    return rc;
}

static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof v6);
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

int cb_load_url_parse(const char *option, const char *text, bool allow_remote,
                      struct cb_load_url *out, char **sentence) {
    static const char scheme[] = "http://";
    const size_t skip = sizeof scheme - 1;
    char host[256], service[8];
    uint16_t port;
    *sentence = NULL;
    memset(out, 0, sizeof *out);
    size_t len = strlen(text);
    if (len > skip && text[len - 1] == '/')
        len--;
    if (len <= skip || strncmp(text, scheme, skip) != 0 || len - skip >= sizeof out->host)
        return fail(sentence, "--%s: \"%s\" is not of the form http://HOST:PORT", option, text);
    memcpy(out->host, text + skip, len - skip);
    if (cb_opt_address(out->host, host, sizeof host, &port) || port == 0)
        return fail(sentence, "--%s: \"%s\" is not of the form http://HOST:PORT", option, text);
    snprintf(service, sizeof service, "%u", (unsigned)port);
    /* Without leave no name is asked of the network: only addresses, and this machine's name. */
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    bool local_name = !strcmp(host, "localhost");
    hints.ai_flags = allow_remote || local_name ? 0 : AI_NUMERICHOST;
    int err = getaddrinfo(host, service, &hints, &found);
    if (err || !found)
        return fail(sentence, "--%s: %s: %s", option, host,
                    allow_remote ? gai_strerror(err)
                                 : "not an address of this machine; see --allow-remote");
    bool ok = allow_remote || is_loopback(found->ai_addr);
    memcpy(&out->address, found->ai_addr, found->ai_addrlen);
    out->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    if (!ok)
        return fail(sentence, "--%s: %s is not this machine; see --allow-remote", option, host);
    return 0;
}
