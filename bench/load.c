/* SPDX-License-Identifier: MIT
 * load.c: chatbeacon-load, the load generator: options, threads, a line each second, the report.
 *
 * Exit status: 0, also when the service refused; 1 when the audit found a difference, or something
 * is wrong with the machine or the service; 2 for misuse. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench/audit.h"
#include "bench/client.h"
#include "bench/options.h"
#include "bench/report.h"
#include "proto/clock.h"
#include "proto/event.h"

enum {
    EXIT_FAILED = 1,
    EXIT_MISUSE = 2,
    TOKEN_MAX = 256,
    AUDIT_WAIT_MS = 20000,  /* without any progress */
    AUDIT_BACK_MS = 120000, /* no event of a run is that much older than the run */
    DESCRIPTORS_BESIDE = 64,
};

struct load {
    struct cb_load_options options;
    struct cb_load_url targets[CB_LANES];
    char token[TOKEN_MAX];
    struct cb_plan *plan;
    struct cb_audit *audit;
    struct cb_audit_result audited;
    struct cb_client **clients;
    pthread_t *threads;
    unsigned n_started;
    pthread_barrier_t ready;
    _Atomic int64_t start_us;
    _Atomic bool finished;
    struct cb_report report;
    struct rusage before, after;
};

static int fail(int status, char *sentence) {
    fprintf(stderr, "chatbeacon-load: %s\n", sentence ? sentence : "out of memory");
    free(sentence);
    return status;
}

static int fail_text(const char *text) {
    fprintf(stderr, "chatbeacon-load: %s\n", text);
    return EXIT_FAILED;
}

/* ---- set-up ---- */

static int help(void) {
    struct cb_buf text;
    cb_buf_init(&text, 65536);
    int rc = cb_load_options_help(&text);
    if (!rc)
        printf("chatbeacon-load " CB_VERSION ": sends what pages, servers and dashboards send, and "
               "says how it was answered\n\nusage: chatbeacon-load [--option VALUE …]\n\n%.*s\n"
               "bench/README.md says what each figure means.\n",
               (int)text.len, text.data);
    cb_buf_fini(&text);
    return rc ? EXIT_FAILED : 0;
}

static int read_token(struct load *load) {
    const char *path = load->options.token_file;
    if (!*path)
        return 0;
    FILE *file = fopen(path, "re");
    size_t len = file ? fread(load->token, 1, sizeof load->token - 1, file) : 0;
    if (file)
        fclose(file);
    while (len > 0 && load->token[len - 1] <= ' ')
        len--;
    load->token[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if (load->token[i] <= ' ' || load->token[i] > '~')
            len = 0;
    if (len == 0)
        fprintf(stderr, "chatbeacon-load: --token-file: there is no token in %s\n", path);
    return len ? 0 : EXIT_FAILED;
}

static int find_targets(struct load *load) {
    const struct cb_load_options *o = &load->options;
    const char *query = *o->query ? o->query : *o->audit ? o->audit : o->url;
    char *sentence;
    if (cb_load_url_parse("url", o->url, o->allow_remote, &load->targets[CB_LANE_INGEST],
                          &sentence) ||
        cb_load_url_parse(*o->query ? "query" : "audit", query, o->allow_remote,
                          &load->targets[CB_LANE_QUERY], &sentence))
        return fail(EXIT_MISUSE, sentence);
    return 0;
}

static int make_plan(struct load *load) {
    const struct cb_load_options *o = &load->options;
    struct cb_plan_opts opts = {.mix = o->mix_of,
                                .dialect = o->dialect,
                                .site = o->site,
                                .n_sites = (unsigned)o->sites,
                                .n_pages = (unsigned)o->pages,
                                .n_visitors = (uint32_t)o->visitors,
                                .batch = (unsigned)o->batch,
                                .batch_visitors = (unsigned)o->batch_visitors,
                                .seed = (uint64_t)o->seed,
                                .token = load->token};
    for (unsigned i = 0; i < CB_LANES; i++)
        opts.hosts[i] = load->targets[i].host;
    if (getrandom(&opts.run, sizeof opts.run, 0) != sizeof opts.run)
        return fail_text("no random numbers from the system");
    return cb_plan_create(&opts, &load->plan) ? fail_text("out of memory") : 0;
}

static int begin_audit(struct load *load) {
    const struct cb_load_options *o = &load->options;
    struct cb_load_url url;
    char *sentence;
    if (!*o->audit)
        return 0;
    if (cb_load_url_parse("audit", o->audit, o->allow_remote, &url, &sentence))
        return fail(EXIT_MISUSE, sentence);
    if (cb_audit_create(&url, load->token, load->plan, (unsigned)o->sites, &load->audit))
        return fail(EXIT_FAILED, NULL);
    if (cb_audit_begin(load->audit, cb_clock_wall_ms() - AUDIT_BACK_MS, &sentence))
        return fail(EXIT_FAILED, sentence);
    load->report.audit = &load->audited;
    return 0;
}

/* Connections are files. */
static int raise_descriptors(const struct load *load) {
    struct rlimit limit;
    rlim_t needed = (rlim_t)load->options.connections + DESCRIPTORS_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed) {
        limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* looked at below */
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < needed)
        return fail_text("--connections: the system allows fewer open files (ulimit -n)");
    return 0;
}

/* How many of a lane's connections this thread has. */
static unsigned part_of(unsigned n, unsigned threads, unsigned thread) {
    return n / threads + (thread < n % threads);
}

/* Splits rate and connections between the lanes, as the mix has it. */
static void split_lanes(struct load *load) {
    const struct cb_load_options *o = &load->options;
    struct cb_report *r = &load->report;
    for (unsigned i = 0; i < CB_LANES; i++) {
        uint64_t share = cb_plan_lane_share(o->mix_of, (enum cb_plan_lane)i);
        r->rate[i] = o->closed ? 0 : ((uint64_t)o->rate * share + 999) / 1000;
        r->connections[i] = (unsigned)(((uint64_t)o->connections * share + 500) / 1000);
        if (share && r->connections[i] < o->threads)
            r->connections[i] = (unsigned)o->threads;
    }
}

static int make_clients(struct load *load) {
    const struct cb_load_options *o = &load->options;
    unsigned n = (unsigned)o->threads;
    uint64_t number = 0;
    load->clients = calloc(n, sizeof *load->clients);
    load->threads = calloc(n, sizeof *load->threads);
    if (!load->clients || !load->threads || pthread_barrier_init(&load->ready, NULL, n))
        return fail(EXIT_FAILED, NULL);
    for (unsigned t = 0; t < n; t++) {
        struct cb_client_opts opts = {.plan = load->plan,
                                      .thread = t,
                                      .n_threads = n,
                                      .duration_s = (unsigned)o->duration,
                                      .timeout_s = (unsigned)o->timeout,
                                      .addresses = (unsigned)o->addresses,
                                      .redis = o->dialect && o->dialect->redis,
                                      .settle = *o->audit != '\0',
                                      .ready = &load->ready,
                                      .start_us = &load->start_us};
        for (unsigned i = 0; i < CB_LANES; i++) {
            unsigned mine = part_of(load->report.connections[i], n, t);
            opts.targets[i] = (struct cb_client_target){.address = load->targets[i].address,
                                                        .address_len = load->targets[i].address_len,
                                                        .connections = mine,
                                                        .first = number,
                                                        .rate = mine ? load->report.rate[i] : 0};
            number += mine;
        }
        if (cb_client_create(&opts, (unsigned)o->sites, &load->clients[t]))
            return fail(EXIT_FAILED, NULL);
    }
    return 0;
}

/* ---- the run ---- */

static void look(const struct load *load, struct cb_report_second *out) {
    *out = (struct cb_report_second){0};
    for (unsigned t = 0; t < load->n_started; t++) {
        struct cb_client_live *live = &load->clients[t]->live;
        out->accepted += atomic_load_explicit(&live->accepted, memory_order_relaxed);
        out->refused += atomic_load_explicit(&live->refused, memory_order_relaxed);
        out->unanswered += atomic_load_explicit(&live->unanswered, memory_order_relaxed);
        out->events += atomic_load_explicit(&live->events, memory_order_relaxed);
    }
}

static void sleep_until_us(int64_t at_us) {
    for (int64_t left; (left = at_us - cb_clock_mono_us()) > 0;)
        nanosleep(&(struct timespec){left / 1000000, left % 1000000 * 1000}, NULL);
}

static void print_second(const struct load *load, unsigned second,
                         const struct cb_report_second *s) {
    if (load->options.quiet)
        return;
    fprintf(stderr, "%4u s  %9llu 2xx/s", second, (unsigned long long)s->accepted);
    if (s->events != s->accepted)
        fprintf(stderr, "  %9llu events/s", (unsigned long long)s->events);
    if (s->refused)
        fprintf(stderr, "  %9llu refused/s", (unsigned long long)s->refused);
    if (s->unanswered)
        fprintf(stderr, "  %9llu not answered", (unsigned long long)s->unanswered);
    fputc('\n', stderr);
}

/* Watches the run from the main thread, second by second. */
static void watch(struct load *load) {
    struct cb_report_second last = {0}, now;
    int64_t start_us;
    while ((start_us = atomic_load(&load->start_us)) == 0)
        sleep_until_us(cb_clock_mono_us() + 1000);
    if (start_us < 0)
        return;
    sleep_until_us(start_us);
    getrusage(RUSAGE_SELF, &load->before);
    for (unsigned second = 1; second <= (unsigned)load->options.duration; second++) {
        sleep_until_us(start_us + (int64_t)second * 1000000);
        look(load, &now);
        struct cb_report_second *s = &load->report.seconds[load->report.n_seconds++];
        *s = (struct cb_report_second){now.accepted - last.accepted, now.refused - last.refused,
                                       now.unanswered - last.unanswered, now.events - last.events};
        last = now;
        print_second(load, second, s);
    }
    getrusage(RUSAGE_SELF, &load->after);
    load->report.wall_s = (double)(cb_clock_mono_us() - start_us) / 1e6;
}

static int run(struct load *load) {
    unsigned n = (unsigned)load->options.threads;
    load->report.seconds = calloc((size_t)load->options.duration, sizeof *load->report.seconds);
    if (!load->report.seconds)
        return fail(EXIT_FAILED, NULL);
    while (load->n_started < n &&
           pthread_create(&load->threads[load->n_started], NULL, cb_client_run,
                          load->clients[load->n_started]) == 0)
        load->n_started++;
    if (load->n_started < n) {
        fail_text("--threads: no more threads"); /* those that run wait for ever: give up at once */
        _exit(EXIT_FAILED);
    }
    watch(load);
    int rc = 0;
    for (unsigned t = 0; t < n; t++) {
        pthread_join(load->threads[t], NULL);
        rc = rc ? rc : load->clients[t]->rc;
    }
    if (rc == CB_ECLOSED)
        return fail_text("not all --connections could be opened within 20 s");
    return rc ? fail_text(cb_err_text(rc)) : 0;
}

/* ---- the report ---- */

static double seconds_between(const struct timeval *from, const struct timeval *to) {
    return (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_usec - from->tv_usec) / 1e6;
}

static void gather(struct load *load) {
    struct cb_report *r = &load->report;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    r->options = &load->options;
    r->user_s = seconds_between(&load->before.ru_utime, &load->after.ru_utime);
    r->system_s = seconds_between(&load->before.ru_stime, &load->after.ru_stime);
    r->cores = cores > 0 ? (unsigned)cores : 1;
    for (unsigned t = 0; t < load->n_started; t++) {
        struct cb_client *client = load->clients[t];
        for (unsigned i = 0; i < CB_LANES; i++)
            cb_report_merge(&r->lanes[i], &client->lanes[i]);
        r->unacked += client->unacked;
        r->partly += client->partly;
        for (unsigned s = 0; t && s < (unsigned)load->options.sites; s++)
            for (unsigned k = 0; k < CB_PLAN_NAMES; k++)
                load->clients[0]->acked[s][k] += client->acked[s][k];
    }
}

static int end_audit(struct load *load) {
    char *sentence;
    if (!load->audit)
        return 0;
    if (cb_audit_end(load->audit, load->clients[0]->acked, AUDIT_WAIT_MS, &load->audited,
                     &sentence))
        return fail(EXIT_FAILED, sentence);
    return 0;
}

static int write_file(const char *option, const char *path, const struct cb_report *report,
                      int (*put)(const struct cb_report *, struct cb_buf *)) {
    struct cb_buf text;
    if (!*path)
        return 0;
    cb_buf_init(&text, CB_REPORT_OUT_MAX);
    FILE *file = put(report, &text) == 0 ? fopen(path, "we") : NULL;
    bool ok = file && fwrite(text.data, 1, text.len, file) == text.len;
    ok = file && fclose(file) == 0 && ok;
    cb_buf_fini(&text);
    if (!ok)
        fprintf(stderr, "chatbeacon-load: --%s: cannot write %s\n", option, path);
    return ok ? 0 : EXIT_FAILED;
}

static int tell(struct load *load) {
    struct cb_buf table;
    cb_buf_init(&table, CB_REPORT_OUT_MAX);
    int status = cb_report_table(&load->report, &table) ? EXIT_FAILED : 0;
    printf("%.*s", (int)table.len, table.data);
    cb_buf_fini(&table);
    int json = write_file("json", load->options.json, &load->report, cb_report_json);
    int html = write_file("html", load->options.html, &load->report, cb_report_html);
    if (load->audit && !load->audited.equal)
        return EXIT_FAILED;
    return status ? status : json ? json : html;
}

static void list_sites(const struct load *load) {
    char name[CB_SITE_MAX + 1];
    for (unsigned i = 0; i < (unsigned)load->options.sites; i++) {
        cb_plan_site_name(load->plan, i, name);
        printf("%s%s", i ? "," : "", name);
    }
    putchar('\n');
}

static int work(struct load *load) {
    int status = read_token(load);
    status = status ? status : find_targets(load);
    status = status ? status : make_plan(load);
    if (!status && load->options.list_sites) {
        list_sites(load);
        return 0;
    }
    status = status ? status : raise_descriptors(load);
    status = status ? status : begin_audit(load);
    split_lanes(load);
    status = status ? status : make_clients(load);
    status = status ? status : run(load);
    if (status)
        return status;
    gather(load);
    status = end_audit(load);
    return status ? status : tell(load);
}

int main(int argc, char **argv) {
    static struct load load;
    char *sentence;
    if (cb_load_options_parse(argc - 1, argv + 1, &load.options, &sentence))
        return fail(EXIT_MISUSE, sentence);
    if (load.options.help)
        return help();
    int status = work(&load);
    for (unsigned t = 0; load.clients && t < (unsigned)load.options.threads; t++)
        cb_client_destroy(&load.clients[t]);
    free(load.clients);
    free(load.threads);
    free(load.report.seconds);
    cb_audit_destroy(&load.audit);
    cb_plan_destroy(&load.plan);
    return status;
}
