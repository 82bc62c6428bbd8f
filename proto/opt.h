/* SPDX-License-Identifier: MIT
 * opt.h: the one table of options. It drives the command line (--name VALUE or --name=VALUE), the
 * environment (CHATBEACON_NAME, dashes as underscores), the config file (name = value, # comments),
 * --help and the docs.
 *
 * The command line wins over the environment, that over the file, that over the default. Filled
 * once in main, read only afterwards: any thread. */
#ifndef CB_PROTO_OPT_H
#define CB_PROTO_OPT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"

/* Which subcommands know an option. */
enum cb_opt_tier {
    CB_OPT_INGEST = 1,
    CB_OPT_STORE = 2,
    CB_OPT_QUERY = 4,
    CB_OPT_SERVE = 7,
    CB_OPT_UPKEEP = 8, /* verify, rebuild, backup, restore */
    CB_OPT_BACKUP = 16,
    CB_OPT_RESTORE = 32,
    CB_OPT_TOKEN = 64, /* token create, list, revoke; each has its own besides */
    CB_OPT_TOKEN_CREATE = 128,
    CB_OPT_TOKEN_REVOKE = 256,
};

enum cb_opt_type {
    CB_OPT_STRING,
    CB_OPT_INT,   /* a whole number within [min, max] */
    CB_OPT_BYTES, /* a whole number with an optional K, M or G (powers of 1024) */
};

/* X(field, name, type, tiers, default, min, max, argument, help). Strings are bounded by max in
 * bytes. */
#define CB_OPTIONS(X)                                                                              \
    X(data, "data", CB_OPT_STRING, CB_OPT_STORE | CB_OPT_QUERY | CB_OPT_UPKEEP, "./data", 1, 3800, \
      "DIR", "data folder; made if it is not there")                                               \
    X(ingest, "ingest", CB_OPT_STRING, CB_OPT_INGEST, "127.0.0.1:8080", 1, 260, "HOST:PORT",       \
      "where pages send their beacons; port 0 picks one")                                          \
    X(query, "query", CB_OPT_STRING, CB_OPT_QUERY, "127.0.0.1:8081", 1, 260, "HOST:PORT",          \
      "where the API and the dashboard are served; port 0 picks one")                              \
    X(link, "link", CB_OPT_STRING, CB_OPT_SERVE | CB_OPT_TOKEN, "", 0, 260, "URL",                 \
      "how the tiers reach the store: ipc:///FOLDER, tcp://HOST:PORT (takes PORT to PORT+2), or "  \
      "inproc://NAME; serve uses inproc, the others ipc in DIR/link; query and token go by "       \
      "DIR/link unless this says ipc")                                                             \
    X(sites, "sites", CB_OPT_STRING, CB_OPT_STORE, "demo", 1, 100000, "A,B,…",                     \
      "sites to make at start if they are not there")                                              \
    X(ingest_threads, "ingest-threads", CB_OPT_INT, CB_OPT_INGEST, "1", 1, 64, "N",                \
      "threads that take beacons")                                                                 \
    X(query_threads, "query-threads", CB_OPT_INT, CB_OPT_QUERY, "1", 1, 64, "N",                   \
      "threads that answer reports")                                                               \
    X(connections, "connections", CB_OPT_INT, CB_OPT_INGEST | CB_OPT_QUERY, "10000", 1, 1000000,   \
      "N", "open HTTP connections, in all, of each HTTP address")                                  \
    X(connections_per_address, "connections-per-address", CB_OPT_INT,                              \
      CB_OPT_INGEST | CB_OPT_QUERY, "4000", 1, 1000000, "N",                                       \
      "open HTTP connections of one client address")                                               \
    X(live_streams, "live-streams", CB_OPT_INT, CB_OPT_QUERY, "1000", 0, 100000, "N",              \
      "live streams at a time, in all; past it 503")                                               \
    X(body, "body", CB_OPT_BYTES, CB_OPT_INGEST, "64K", 1024, 16777216, "BYTES",                   \
      "largest request body; larger gets 413")                                                     \
    X(request_timeout, "request-timeout", CB_OPT_INT, CB_OPT_INGEST | CB_OPT_QUERY, "10", 1, 600,  \
      "SECONDS", "deadline for a request's head, and another for its body")                        \
    X(idle_timeout, "idle-timeout", CB_OPT_INT, CB_OPT_INGEST | CB_OPT_QUERY, "75", 1, 3600,       \
      "SECONDS", "how long an idle connection is kept")                                            \
    X(ack_timeout, "ack-timeout", CB_OPT_INT, CB_OPT_INGEST | CB_OPT_QUERY, "5000", 100, 600000,   \
      "MS", "how long an answer waits for the store before it is 503")                             \
    X(held, "held", CB_OPT_BYTES, CB_OPT_INGEST, "16M", 65536, 1073741824, "BYTES",                \
      "events that may wait for the store, of each ingest thread; past it 503")                    \
    X(address_rate, "address-rate", CB_OPT_INT, CB_OPT_INGEST, "0", 0, 10000000, "N",              \
      "events a second that one client address may send (IPv6: one /64); past it 429; 0 for no "   \
      "limit, for behind a proxy that --proxies does not name all clients are one")                \
    X(site_rate, "site-rate", CB_OPT_INT, CB_OPT_INGEST, "0", 0, 10000000, "N",                    \
      "events a second that one site may be sent; past it 429; 0 for no limit")                    \
    X(rate_burst, "rate-burst", CB_OPT_INT, CB_OPT_INGEST, "10", 1, 3600, "SECONDS",               \
      "how many seconds' worth of either rate may come at once")                                   \
    X(proxies, "proxies", CB_OPT_STRING, CB_OPT_INGEST, "", 0, 4000, "A,B/BITS,…",                 \
      "proxies whose X-Forwarded-For is believed, by address or network")                          \
    X(geo, "geo", CB_OPT_STRING, CB_OPT_INGEST, "", 0, 3800, "FILE",                               \
      "MaxMind database of countries or cities, for the country of a visitor's address; none is "  \
      "told without it")                                                                           \
    X(metrics, "metrics", CB_OPT_STRING, CB_OPT_INGEST | CB_OPT_STORE, "", 0, 260, "HOST:PORT",    \
      "where this process shows what it counts: /metrics and /healthz, without a token, so best "  \
      "on loopback; port 0 picks one; off if not given")                                           \
    X(map, "map", CB_OPT_BYTES, CB_OPT_STORE | CB_OPT_QUERY | CB_OPT_UPKEEP, "64G", 16777216,      \
      17592186044416, "BYTES",                                                                     \
      "largest size of each database; at 90 % of it 503 (views of a small one: a third)")          \
    X(raw_days, "raw-days", CB_OPT_INT, CB_OPT_STORE, "0", 0, 36500, "N",                          \
      "days for which single events are kept (export, timelines); then the journal is trimmed "    \
      "and only what is counted stays; 0: for ever")                                               \
    X(raw_bytes, "raw-bytes", CB_OPT_BYTES, CB_OPT_STORE, "0", 0, 17592186044416, "BYTES",         \
      "what single events may take on disk before the oldest go, at most three quarters of "       \
      "--map; 0: no such bound, at 90 % of --map it is 503")                                       \
    X(to, "to", CB_OPT_STRING, CB_OPT_BACKUP, "", 0, 3800, "DIR",                                  \
      "folder for the copy: new or empty")                                                         \
    X(from, "from", CB_OPT_STRING, CB_OPT_RESTORE, "", 0, 3800, "DIR", "folder of a backup")       \
    X(erasures, "erasures", CB_OPT_STRING, CB_OPT_RESTORE, "", 0, 3800, "FILE",                    \
      "the newest `erasures` of the data folder: who was erased after the backup was made is "     \
      "erased again")                                                                              \
    X(cors_origins, "cors-origins", CB_OPT_STRING, CB_OPT_QUERY, "", 0, 4000, "A,B,…",             \
      "origins (https://HOST) whose pages may use the API besides the dashboard's own; none if "   \
      "not given")                                                                                 \
    X(role, "role", CB_OPT_STRING, CB_OPT_TOKEN_CREATE, "viewer", 1, 16, "ROLE",                   \
      "viewer, operator or admin")                                                                 \
    X(site, "site", CB_OPT_STRING, CB_OPT_TOKEN_CREATE, "", 0, 64, "SITE",                         \
      "the one site that the token is for; all sites if not given")                                \
    X(name, "name", CB_OPT_STRING, CB_OPT_TOKEN_CREATE, "", 0, 100, "TEXT",                        \
      "what people call the token")                                                                \
    X(id, "id", CB_OPT_STRING, CB_OPT_TOKEN_REVOKE, "", 0, 16, "ID",                               \
      "the token's id, as `token list` shows it")                                                  \
    X(log, "log", CB_OPT_STRING, CB_OPT_SERVE | CB_OPT_UPKEEP, "info", 1, 8, "LEVEL",              \
      "error, warn, info or debug")

struct cb_opts {
#define CB_OPT_FIELD_CB_OPT_STRING(field) const char *field;
#define CB_OPT_FIELD_CB_OPT_INT(field) int64_t field;
#define CB_OPT_FIELD_CB_OPT_BYTES(field) int64_t field;
#define CB_OPT_FIELD(field, name, type, tiers, def, min, max, arg, help) CB_OPT_FIELD_##type(field)
    CB_OPTIONS(CB_OPT_FIELD)
#undef CB_OPT_FIELD
    void *owned; /* the strings' memory */
};

/* Fills out from argv (without program and subcommand), the environment and --config FILE, for the
 * given tiers. On failure *sentence (always set then; caller frees) names the option and what is
 * wrong with it. Errors: CB_EINVAL for misuse, CB_EIO for an unreadable config file, CB_ENOMEM. */
CB_MUST_USE int cb_opt_parse(unsigned tiers, int argc, char **argv, char **envp,
                             struct cb_opts *out, char **sentence);
void cb_opt_fini(struct cb_opts *opts);

/* Appends the options of the tiers as help text, a line or two each. */
int cb_opt_help(unsigned tiers, struct cb_buf *out);

/* Splits HOST:PORT, [IPv6]:PORT. host holds host_bytes. Errors: CB_EINVAL. */
CB_MUST_USE int cb_opt_address(const char *text, char *host, size_t host_bytes, uint16_t *port);

#endif
