/* SPDX-License-Identifier: MIT
 * tokens.c: token create, list and revoke, from the command line. Where a store holds the folder
 * they are what the API is: a frame through the control socket, whose ack says that the views hold
 * it, and a snapshot. Where none does they are done under its lock. */
#include <event2/event.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/clock.h"
#include "proto/token.h"
#include "proto/uplink.h"
#include "store/reader.h"
#include "store/store.h"
#include "store/upkeep.h"

enum { WAIT_MS = 5000, RESEND_MS = 200 };

struct job {
    const struct cb_opts *opts;
    struct cb_control control; /* op 0: only to look */
    char secret[CB_SECRET_BYTES];
    FILE *out;
};

/* ---- through the control socket ---- */

struct sending {
    struct event_base *base;
    bool ended;
    enum cb_uplink_result result;
};

static void on_acked(void *user, void *tag, enum cb_uplink_result result, uint64_t position) {
    struct sending *sending = user;
    (void)tag;
    (void)position;
    sending->ended = true;
    sending->result = result;
    event_base_loopbreak(sending->base);
}

static int send_on(struct event_base *base, const struct cb_link_url *url,
                   const struct cb_control *control) {
    struct sending sending = {.base = base};
    struct cb_uplink_opts opts = {.url = *url,
                                  .resend_ms = RESEND_MS,
                                  .expire_ms = WAIT_MS,
                                  .acked = on_acked,
                                  .user = &sending};
    struct cb_uplink *uplink;
    struct cb_buf body;
    int rc = cb_uplink_create(base, &opts, &uplink);
    if (rc != 0) {
        return rc;
    }
    cb_buf_init(&body, CB_CONTROL_MAX);
    rc = cb_control_encode(control, &body);
    if (rc == 0) {
        rc = cb_uplink_send_control(uplink, (struct cb_str){body.data, body.len}, NULL);
    }
    if (rc == 0 && event_base_dispatch(base) < 0) {
        rc = CB_ESYS;
    }
    if (rc == 0 && (!sending.ended || sending.result != CB_UPLINK_OK)) {
        rc = sending.result == CB_UPLINK_REFUSED ? CB_EVERSION : CB_ETIMEDOUT;
    }
    cb_buf_fini(&body);
    cb_uplink_destroy(&uplink);
    return rc;
}

static int send_control(const struct job *job, char **sentence) {
    char local[4096];
    struct cb_link_url url;
    snprintf(local, sizeof(local), "ipc://%s/link", job->opts->data);
    bool given = strncmp(job->opts->link, "ipc://", 6) == 0;
    if (cb_link_url_control(given ? job->opts->link : local, &url) != 0) {
        return cb_upkeep_fail(CB_EINVAL, sentence,
                              "--data: the path is too long for a socket in it; stop the store, or "
                              "say its --link ipc://FOLDER");
    }
    struct event_base *base = event_base_new();
    if (!base) {
        return CB_ENOMEM;
    }
    int rc = send_on(base, &url, &job->control);
    event_base_free(base);
    return rc == 0
               ? 0
               : cb_upkeep_fail(rc, sentence, "--data: the store that holds %s did not take it: %s",
                                job->opts->data, cb_err_text(rc));
}

/* ---- either way ---- */

static int run_online(struct job *job, cb_store_offline_fn *first, cb_store_offline_fn *last,
                      char **sentence) {
    struct cb_reader *reader;
    int rc = cb_reader_open(job->opts->data, (uint64_t)job->opts->map, WAIT_MS, &reader, sentence);
    if (rc != 0) {
        return rc;
    }
    if (first) {
        rc = first(reader, job, sentence);
    }
    if (rc == 0 && job->control.op != 0) {
        rc = send_control(job, sentence);
    }
    if (rc == 0) {
        rc = last(reader, job, sentence);
    }
    cb_reader_close(&reader);
    return rc;
}

static int run(struct job *job, cb_store_offline_fn *first, cb_store_offline_fn *last,
               char **sentence) {
    job->control.made_ms = cb_clock_wall_ms();
    int rc = cb_store_offline(job->opts, job->control.op != 0 ? &job->control : NULL, first, last,
                              job, sentence);
    if (rc == CB_EBUSY) {
        free(*sentence);
        *sentence = NULL;
        rc = run_online(job, first, last, sentence);
    }
    sodium_memzero(job->secret, sizeof(job->secret));
    if (rc != 0 && !*sentence) {
        return cb_upkeep_fail(rc, sentence, "%s: %s", job->opts->data, cb_err_text(rc));
    }
    return rc;
}

/* ---- the three commands ---- */

static int check_site(struct cb_reader *reader, void *user, char **sentence) {
    struct job *job = user;
    struct cb_snapshot *snapshot;
    struct cb_site site;
    if (job->control.site.len == 0) {
        return 0;
    }
    int rc = cb_snapshot_begin(reader, &snapshot);
    if (rc == 0) {
        rc = cb_snapshot_site(snapshot, job->control.site, &site);
        cb_snapshot_end(&snapshot);
    }
    return rc == CB_ENOENT ? cb_upkeep_fail(CB_EINVAL, sentence, "--site: there is no site \"%s\"",
                                            job->opts->site)
                           : rc;
}

static int tell_secret(struct cb_reader *reader, void *user, char **sentence) {
    struct job *job = user;
    (void)reader;
    (void)sentence;
    fprintf(job->out, "%s\n", job->secret);
    return fflush(job->out) == 0 ? 0 : CB_EIO;
}

int cb_token_create(const struct cb_opts *opts, FILE *out, char **sentence) {
    struct job job = {.opts = opts, .out = out, .control = {.op = CB_CONTROL_TOKEN}};
    job.control.role = cb_role_of(cb_str_of(opts->role));
    job.control.site = cb_str_of(opts->site);
    job.control.name = cb_str_of(opts->name);
    if (job.control.role == 0) {
        return cb_upkeep_fail(CB_EINVAL, sentence, "--role: viewer, operator or admin is expected");
    }
    if (!cb_control_valid(&job.control)) {
        return cb_upkeep_fail(CB_EINVAL, sentence,
                              "--site is the name of a site, --name a text of UTF-8");
    }
    cb_token_text(job.secret);
    cb_token_hash(cb_str_of(job.secret), job.control.token);
    return run(&job, check_site, tell_secret, sentence);
}

static bool print_token(void *user, const struct cb_token *token) {
    FILE *out = user;
    char id[2 * CB_TOKEN_ID_BYTES + 1], made[32] = "";
    time_t made_s = (time_t)(token->made_ms / 1000);
    struct tm tm;
    struct cb_buf name;
    cb_hex_encode(token->id, CB_TOKEN_ID_BYTES, id);
    if (gmtime_r(&made_s, &tm)) {
        strftime(made, sizeof(made), "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
    cb_buf_init(&name, 1024);
    if (cb_buf_append_json(&name, cb_str_of(token->name)) == 0) { /* whatever it holds, one line */
        fprintf(out, "%s role=%s site=%s made=%s name=%.*s\n", id, cb_role_name(token->role),
                token->site[0] ? token->site : "*", made, (int)name.len, name.data);
    }
    cb_buf_fini(&name);
    return true;
}

static int print_tokens(struct cb_reader *reader, void *user, char **sentence) {
    struct job *job = user;
    struct cb_snapshot *snapshot;
    (void)sentence;
    int rc = cb_snapshot_begin(reader, &snapshot);
    if (rc != 0) {
        return rc;
    }
    cb_snapshot_tokens(snapshot, print_token, job->out);
    cb_snapshot_end(&snapshot);
    return fflush(job->out) == 0 ? 0 : CB_EIO;
}

int cb_token_list(const struct cb_opts *opts, FILE *out, char **sentence) {
    struct job job = {.opts = opts, .out = out};
    return run(&job, NULL, print_tokens, sentence);
}

static int check_token(struct cb_reader *reader, void *user, char **sentence) {
    struct job *job = user;
    struct cb_snapshot *snapshot;
    struct cb_token token;
    int rc = cb_snapshot_begin(reader, &snapshot);
    if (rc == 0) {
        rc = cb_snapshot_token_of(snapshot, job->control.token, &token);
        cb_snapshot_end(&snapshot);
    }
    return rc == CB_ENOENT
               ? cb_upkeep_fail(CB_EINVAL, sentence, "--id: there is no token %s", job->opts->id)
               : rc;
}

static int tell_revoked(struct cb_reader *reader, void *user, char **sentence) {
    struct job *job = user;
    (void)reader;
    (void)sentence;
    fprintf(job->out, "revoked id=%s\n", job->opts->id);
    return fflush(job->out) == 0 ? 0 : CB_EIO;
}

int cb_token_revoke(const struct cb_opts *opts, FILE *out, char **sentence) {
    struct job job = {.opts = opts, .out = out, .control = {.op = CB_CONTROL_REVOKE}};
    if (cb_hex_decode(cb_str_of(opts->id), job.control.token, CB_TOKEN_ID_BYTES) != 0) {
        return cb_upkeep_fail(CB_EINVAL, sentence,
                              "--id: the 16 hexadecimal digits of `token list` are expected");
    }
    return run(&job, check_token, tell_revoked, sentence);
}
