/* SPDX-License-Identifier: MIT
 * options.h: the command line of chatbeacon-load, in one table, and the addresses that URLs mean.
 * Everything is bounded: a generator that was forgotten stops by itself. */
#ifndef CB_BENCH_OPTIONS_H
#define CB_BENCH_OPTIONS_H

#include <stdint.h>
#include <sys/socket.h>

#include "bench/plan.h"

/* X(field, name, argument, default, least, most, help): numbers. */
#define CB_LOAD_NUMBERS(X)                                                                         \
    X(rate, "rate", "N", 1000, 1, 10000000,                                                        \
      "open loop: requests a second, on a fixed schedule; latency counts from it")                 \
    X(connections, "connections", "N", 64, 1, 50000, "open at all times, one request each")        \
    X(duration, "duration", "SECONDS", 10, 1, 3600, "how long requests are sent")                  \
    X(batch, "batch", "N", 100, 1, CB_PLAN_BATCH_MAX, "events of a request of the server mix")     \
    X(batch_visitors, "batch-visitors", "N", 5, 1, CB_PLAN_BATCH_MAX,                              \
      "… and of how many visitors")                                                                \
    X(visitors, "visitors", "N", 100000, 1, 1000000000, "different visitors")                      \
    X(sites, "sites", "N", 1, 1, CB_PLAN_SITES_MAX,                                                \
      "different sites; if several, numbers from 0 are put behind --site; see --list-sites")       \
    X(pages, "pages", "N", 1000, 1, CB_PLAN_PAGES_MAX, "different pages; like sites, by Zipf")     \
    X(seed, "seed", "N", 1, 0, INT64_MAX, "what everything but the producers' ids is drawn from")  \
    X(threads, "threads", "N", 1, 1, 64, "threads that send")                                      \
    X(timeout, "timeout", "SECONDS", 30, 1, 600, "a request without an answer is given up")        \
    X(addresses, "addresses", "N", 0, 0, 65000,                                                    \
      "loopback addresses that connections come from in turn (127.1.0.1 and on); 0: 127.0.0.1")

/* X(field, name, argument, default, help): texts. */
#define CB_LOAD_TEXTS(X)                                                                           \
    X(url, "url", "URL", "http://127.0.0.1:8080", "where beacons go, or reports are asked for")    \
    X(query, "query", "URL", "", "where dashboards ask; by default --audit, else --url")           \
    X(site, "site", "NAME", "demo", "the site, which must be there")                               \
    X(mix, "mix", "MIX", "beacon", "beacon, server, widget, dashboard or mixed")                   \
    X(as, "as", "SYSTEM", "chatbeacon", "how events are written: for " CB_DIALECT_NAMES)           \
    X(audit, "audit", "URL", "",                                                                   \
      "the query service: what was acked must be counted there, exactly; else exit 1")             \
    X(token_file, "token-file", "FILE", "", "a token for --audit and for dashboards")              \
    X(json, "json", "FILE", "", "writes the figures there")                                        \
    X(html, "html", "FILE", "", "writes a page with plots there")

/* X(field, name, help): switches. */
#define CB_LOAD_SWITCHES(X)                                                                        \
    X(closed, "closed", "closed loop instead of --rate: as fast as answers come")                  \
    X(allow_remote, "allow-remote", "URLs may name other machines than this one")                  \
    X(list_sites, "list-sites", "prints the sites' names, as chatbeacon's --sites wants them")     \
    X(quiet, "quiet", "no line each second")

struct cb_load_options {
#define FIELD(field, ...) int64_t field;
    CB_LOAD_NUMBERS(FIELD)
#undef FIELD
#define FIELD(field, ...) const char *field;
    CB_LOAD_TEXTS(FIELD)
#undef FIELD
#define FIELD(field, ...) bool field;
    CB_LOAD_SWITCHES(FIELD)
#undef FIELD
    const struct cb_dialect *dialect; /* of --as */
    bool help;
    enum cb_plan_mix mix_of;
};

/* Lifetime: strings of out are argv's. Errors: CB_EINVAL; *sentence (heap, caller frees; NULL
 * without memory) says what is wrong with which option. */
CB_MUST_USE int cb_load_options_parse(int argc, char **argv, struct cb_load_options *out,
                                      char **sentence);
/* The table as help text. Errors: as cb_buf_append. */
CB_MUST_USE int cb_load_options_help(struct cb_buf *out);

/* A base URL, http://HOST:PORT with nothing behind. */
struct cb_load_url {
    struct sockaddr_storage address;
    socklen_t address_len;
    char host[300]; /* HOST:PORT, for the Host line */
};
/* Looks the address up. Errors: CB_EINVAL (no such URL, or not this machine and not allow_remote);
 * *sentence as above. */
CB_MUST_USE int cb_load_url_parse(const char *option, const char *text, bool allow_remote,
                                  struct cb_load_url *out, char **sentence);

#endif
