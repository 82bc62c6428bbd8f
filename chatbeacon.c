/* SPDX-License-Identifier: MIT
 * chatbeacon.c: the subcommands: which tiers to set up, in order, and take down against it; and the
 * upkeep of a data folder.
 *
 * Exit status: 0 after SIGTERM or SIGINT and for --help; 1 when something is wrong with the machine
 * or the data; 2 for misuse. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ingest/ingest.h"
#include "proto/log.h"
#include "proto/metrics_server.h"
#include "query/query.h"
#include "store/store.h"
#include "store/upkeep.h"

enum { EXIT_FAILED = 1, EXIT_MISUSE = 2, READER_WAIT_MS = 30000 };

extern char **environ;

/* The tiers of this process; those that it does not run are NULL. */
struct tiers {
    struct cb_store *store;
    struct cb_ingest *ingest;
    struct cb_reader *reader;
    struct cb_query *query;
    struct cb_metrics_server *metrics;
};

static const struct command {
    const char *name;
    unsigned tiers;
    const char *help;
    int (*upkeep)(const struct cb_opts *opts, FILE *out, char **sentence); /* NULL: a service */
} commands[] = {
    {"serve", CB_OPT_SERVE, "all tiers in this process", NULL},
    {"ingest", CB_OPT_INGEST, "take beacons, hand them to a store elsewhere", NULL},
    {"store", CB_OPT_STORE, "the one writer: journal and views", NULL},
    {"query", CB_OPT_QUERY, "serve the API and the dashboard from a store's data folder", NULL},
    {"verify", CB_OPT_UPKEEP, "check every record of a data folder, and recount its books",
     cb_verify},
    {"rebuild", CB_OPT_UPKEEP, "make the views anew from the journal (offline)", cb_rebuild},
    {"backup", CB_OPT_UPKEEP | CB_OPT_BACKUP, "copy a data folder, also of a running store",
     cb_backup},
    {"token create", CB_OPT_UPKEEP | CB_OPT_TOKEN | CB_OPT_TOKEN_CREATE,
     "make a token and print its text, this once", cb_token_create},
    {"token list", CB_OPT_UPKEEP | CB_OPT_TOKEN, "who may do what: ids, roles, sites, names",
     cb_token_list},
    {"token revoke", CB_OPT_UPKEEP | CB_OPT_TOKEN | CB_OPT_TOKEN_REVOKE,
     "end a token by its id, at once", cb_token_revoke},
    {"restore", CB_OPT_UPKEEP | CB_OPT_RESTORE, "make a data folder of a backup", cb_restore},
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int fail(int status, char *sentence) {
    fprintf(stderr, "chatbeacon: %s\n", sentence ? sentence : "out of memory");
    free(sentence);
    return status;
}

static int usage(FILE *to, int status) {
    fprintf(to,
            "chatbeacon %s: takes a live-chat widget's beacons, counts each exactly once, answers "
            "dashboards\n\n"
            "usage: chatbeacon COMMAND [--option VALUE …]\n       chatbeacon COMMAND --help\n\n",
            CB_VERSION);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].help);
    }
    fprintf(to, "\nOptions come from the command line, then CHATBEACON_NAME in the environment, "
                "then --config FILE.\n");
    return status;
}

static int command_help(const struct command *command) {
    struct cb_buf help;
    cb_buf_init(&help, 65536);
    int rc = cb_opt_help(command->tiers, &help);
    if (rc == 0) {
        printf("usage: chatbeacon %s [--option VALUE …]\n%s\n\n%.*s", command->name, command->help,
               (int)help.len, help.data);
    }
    cb_buf_fini(&help);
    return rc == 0 ? 0 : EXIT_FAILED;
}

/* Where the tiers meet: inproc within one process, else ipc in the data folder unless the option
 * says other. Control frames are taken there too unless that is tcp, and always over ipc in the
 * data folder, for `query` and `token` (but where its path is too long for a socket's address, if
 * there is another way). *frames: what there is for beacons. */
static int find_places(const struct command *command, const struct cb_opts *opts,
                       struct cb_store_places *places, char **sentence) {
    char text[4096], local[4096];
    *places = (struct cb_store_places){.n_controls = 0};
    snprintf(local, sizeof(local), "ipc://%s/link", opts->data);
    snprintf(text, sizeof(text), "%s",
             opts->link[0] != '\0'            ? opts->link
             : command->tiers == CB_OPT_SERVE ? "inproc://chatbeacon"
                                              : local);
    if (cb_link_url_parse(text, &places->frames) != 0) {
        if (asprintf(sentence,
                     "--link: \"%s\" is none of inproc://NAME, ipc://FOLDER (a short one), "
                     "tcp://HOST:PORT",
                     text) < 0) {
            *sentence = NULL;
        }
        return CB_EINVAL;
    }
    const char *controls[] = {text, local};
    for (unsigned i = 0; i < CB_STORE_CONTROLS_MAX; i++) {
        struct cb_link_url *url = &places->controls[places->n_controls];
        if ((i == 0 || strcmp(text, local) != 0) && cb_link_url_control(controls[i], url) == 0) {
            places->n_controls++;
        }
    }
    return 0;
}

/* Where a query of its own sends what people write: ipc, and never tcp, so that it is beside the
 * store. Errors: CB_EINVAL: the data folder's path is too long. */
static int find_control(const struct cb_opts *opts, struct cb_link_url *url) {
    char local[4096];
    snprintf(local, sizeof(local), "ipc://%s/link", opts->data);
    bool given = strncmp(opts->link, "ipc://", 6) == 0;
    return cb_link_url_control(given ? opts->link : local, url);
}

/* A tier that fails leaves those before it to be taken down by the caller. */
static int set_up(const struct command *command, const struct cb_opts *opts, struct tiers *tiers,
                  char **sentence) {
    struct cb_store_places places = {.n_controls = 0};
    struct cb_link_url control;
    bool controlled = false;
    int rc = 0;
    if (command->tiers & (CB_OPT_INGEST | CB_OPT_STORE)) {
        rc = find_places(command, opts, &places, sentence);
        controlled = places.n_controls > 0;
        control = places.controls[0];
    } else {
        controlled = find_control(opts, &control) == 0;
    }
    if (rc == 0 && (command->tiers & (CB_OPT_STORE | CB_OPT_QUERY)) && !controlled) {
        cb_log(CB_LOG_WARN, "control_closed",
               "text=\"--data: the path is too long for a socket in "
               "it: nothing can be written by people\"");
    }
    if (rc == 0 && (command->tiers & CB_OPT_STORE)) {
        rc = cb_store_setup(opts, &places, &tiers->store, sentence);
    }
    if (rc == 0 && (command->tiers & CB_OPT_INGEST)) {
        rc = cb_ingest_setup(opts, &places.frames, &tiers->ingest, sentence);
    }
    if (rc == 0 && (command->tiers & CB_OPT_QUERY)) {
        rc = tiers->store ? cb_reader_borrow(tiers->store, &tiers->reader)
                          : cb_reader_open(opts->data, (uint64_t)opts->map, READER_WAIT_MS,
                                           &tiers->reader, sentence);
        if (rc == 0) {
            rc = cb_query_setup(opts, tiers->reader, controlled ? &control : NULL, &tiers->query,
                                sentence);
        }
    }
    if (rc == 0 && opts->metrics[0] != '\0') {
        rc = cb_metrics_server_setup(opts->metrics, &tiers->metrics, sentence);
    }
    if (rc == 0) {
        printf("ready");
        if (tiers->store && !tiers->ingest) {
            printf(" store=%s", places.frames.frames);
        }
        if (tiers->ingest) {
            printf(" ingest=http://%s", cb_ingest_address(tiers->ingest));
        }
        if (tiers->query) {
            printf(" query=http://%s", cb_query_address(tiers->query));
        }
        if (tiers->metrics) {
            printf(" metrics=http://%s", cb_metrics_server_address(tiers->metrics));
        }
        printf("\n");
        fflush(stdout);
    }
    return rc;
}

static void tear_down(struct tiers *tiers) {
    cb_ingest_teardown(&tiers->ingest); /* drains by acks: the store must still be there */
    cb_query_teardown(&tiers->query);
    cb_reader_close(&tiers->reader);
    cb_store_teardown(&tiers->store);
    cb_metrics_server_teardown(&tiers->metrics); /* last: it shows the others end */
}

/* Waits for a signal to stop, or for the store to fail. Returns the exit status. */
static int wait_for_end(const struct tiers *tiers, int signal_fd) {
    struct pollfd fds[] = {
        {.fd = signal_fd, .events = POLLIN},
        {.fd = tiers->store ? cb_store_failed_fd(tiers->store) : -1, .events = POLLIN},
    };
    while (poll(fds, 2, -1) < 0) {
    }
    if (fds[1].revents != 0) {
        fprintf(stderr, "chatbeacon: the store cannot go on; see the log above\n");
        return EXIT_FAILED;
    }
    cb_log(CB_LOG_INFO, "stopping", "reason=signal");
    return 0;
}

/* Signals are taken from a descriptor, by this thread: blocked before any other thread is there. */
static int open_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Until the tiers are ready a signal ends the process at once: nothing was taken yet that would
 * have to be drained, and waiting for a store that is not there can be long. */
struct watch {
    pthread_t thread;
    int signal_fd, done_fd;
};

static void *watch_signals(void *arg) {
    const struct watch *watch = arg;
    struct pollfd fds[] = {{.fd = watch->signal_fd, .events = POLLIN},
                           {.fd = watch->done_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0) {
    }
    if (fds[0].revents != 0 && fds[1].revents == 0) {
        cb_log(CB_LOG_INFO, "stopping", "reason=signal ready=no");
        _exit(0);
    }
    return NULL;
}

static int set_up_watched(const struct command *command, const struct cb_opts *opts, int signal_fd,
                          struct tiers *tiers, char **sentence) {
    struct watch watch = {.signal_fd = signal_fd, .done_fd = eventfd(0, EFD_CLOEXEC)};
    if (watch.done_fd < 0) {
        return CB_ESYS;
    }
    if (pthread_create(&watch.thread, NULL, watch_signals, &watch) != 0) {
        close(watch.done_fd);
        return CB_ESYS;
    }
    int rc = set_up(command, opts, tiers, sentence);
    uint64_t one = 1;
    ssize_t written = write(watch.done_fd, &one, sizeof(one));
    (void)written; /* an eventfd takes 8 bytes */
    pthread_join(watch.thread, NULL);
    close(watch.done_fd);
    return rc;
}

static int run(const struct command *command, int argc, char **argv) {
    struct cb_opts opts;
    char *sentence = NULL;
    int rc = cb_opt_parse(command->tiers, argc, argv, environ, &opts, &sentence);
    if (rc != 0) {
        return fail(rc == CB_EINVAL ? EXIT_MISUSE : EXIT_FAILED, sentence);
    }
    enum cb_log_level level;
    if (cb_log_level_parse(opts.log, &level) != 0) {
        cb_opt_fini(&opts);
        fprintf(stderr, "chatbeacon: --log is one of error, warn, info, debug\n");
        return EXIT_MISUSE;
    }
    cb_log_set_level(level);
    int status = EXIT_FAILED;
    if (command->upkeep) {
        rc = sodium_init() < 0 ? CB_ESYS : command->upkeep(&opts, stdout, &sentence);
        status = rc == 0 ? 0 : fail(rc == CB_EINVAL ? EXIT_MISUSE : EXIT_FAILED, sentence);
        cb_opt_fini(&opts);
        return status;
    }
    int signal_fd = open_signals();
    struct tiers tiers = {0};
    if (signal_fd < 0 || sodium_init() < 0) {
        rc = CB_ESYS;
    } else {
        rc = set_up_watched(command, &opts, signal_fd, &tiers, &sentence);
    }
    if (rc == 0) {
        status = wait_for_end(&tiers, signal_fd);
    } else {
        if (!sentence && asprintf(&sentence, "cannot start: %s", cb_err_text(rc)) < 0) {
            sentence = NULL;
        }
        status = fail(rc == CB_EINVAL ? EXIT_MISUSE : EXIT_FAILED, sentence);
    }
    tear_down(&tiers);
    cb_opt_fini(&opts);
    if (signal_fd >= 0) {
        close(signal_fd);
    }
    return status;
}

/* How many arguments spell a command's name: one or two; 0: they do not. */
static int words_of(const char *name, int argc, char **argv) {
    const char *space = strchr(name, ' ');
    if (!space) {
        return cb_str_is(cb_str_of(argv[1]), name);
    }
    struct cb_str first = {name, (size_t)(space - name)};
    return argc > 2 && cb_str_eq(cb_str_of(argv[1]), first) &&
                   cb_str_is(cb_str_of(argv[2]), space + 1)
               ? 2
               : 0;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        return usage(stderr, EXIT_MISUSE);
    }
    if (cb_str_is(cb_str_of(argv[1]), "--help")) {
        return usage(stdout, 0);
    }
    if (cb_str_is(cb_str_of(argv[1]), "--version")) {
        printf("chatbeacon %s\n", CB_VERSION);
        return 0;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        int words = words_of(commands[i].name, argc, argv);
        if (words == 0) {
            continue;
        }
        for (int k = 1 + words; k < argc; k++) {
            if (cb_str_is(cb_str_of(argv[k]), "--help")) {
                return command_help(&commands[i]);
            }
        }
        return run(&commands[i], argc - 1 - words, argv + 1 + words);
    }
    fprintf(stderr, "chatbeacon: there is no command \"%s\"; see chatbeacon --help\n", argv[1]);
    return EXIT_MISUSE;
}
